"""Reading a method before anybody runs it: whether it is made of nothing but what is known to be harmless.

The judge runs an author's methods on small expressions. That is safe where a method touches nothing but the nodes it
was given, and it proves something where what it does depends on nothing but their numbers. Both are read off its syntax
tree by a list of what is *allowed*: operands, their attributes, numbers, functions of `math`, the class itself, and
builtins called on those. Whatever else a method does, its author's code does it.

`examine` walks the tree and knows of each expression what `KINDS` says. It raises `Unclean` where a method may not be
tried, and notes in its `Facts` what a method may be tried with and still not be served (`odd`): its outcome may change
where no probe looks, at a threshold of its own making, say.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import FunctionType

from kilograd import reading
from kilograd.run.purity.facts import Facts, Unclean, unclean
from kilograd.run.purity.kinds import ORDINARY
from kilograd.run.purity.statements import Examiner, tree_of

__all__ = ["ORDINARY", "Facts", "Unclean", "examine", "unclean"]

_STANDARD = ("functools", "reprlib", "dataclasses")  # where Python writes methods for the author


def _written_by_python(function: FunctionType, cls: type) -> bool:
    """Whether `dataclasses` or `functools` wrote the method, for the author."""
    if function.__code__.co_filename == "<string>":
        return "__dataclass_fields__" in vars(cls)
    return any(function.__code__.co_filename == getattr(sys.modules.get(name), "__file__", None) for name in _STANDARD)


def examine(
    function: FunctionType,
    cls: type,
    attributes: Iterable[str],
    text: bool = False,
    tolerant: bool = False,
    of_class: bool = False,
) -> Facts:
    """What a method is made of.

    Parameters
    ----------
    function : function
        A method of the class.
    cls : type
        The class as its author wrote it.
    attributes : collection of str
        What its methods may read and set: the attributes of the class's instances.
    text : bool
        Whether it may work on text: ``__repr__`` and the like.
    tolerant : bool
        Whether it may compare an attribute with a text: ``backward()``, which may ask for the op of a node.
    of_class : bool
        Whether it is a class method.

    Raises
    ------
    Unclean
        If it may not be tried: it does something that is not known to be harmless.
    """
    if _written_by_python(function, cls):
        facts = Facts()
        facts.calls = set(vars(cls)) & reading.names(function.__code__)
        for default in vars(cls).get("__dataclass_fields__", {}).values():
            factory = default.default_factory
            if factory not in (sys.modules["dataclasses"].MISSING, list, set, dict, tuple, float, int):
                if not isinstance(factory, FunctionType):
                    raise Unclean(f"makes a default with {factory!r:.40}")
                examine(factory, cls, attributes)
        return facts
    return Examiner(function, cls, attributes, text, tolerant, of_class).whole(tree_of(function))
