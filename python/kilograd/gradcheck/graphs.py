"""Running a function again with some of its numbers nudged, and finding its nodes again.

The nodes of two runs are told from each other by the order in which a class written in Python constructs them, or by
their places in the graph where the class keeps its operands in order.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, SupportsFloat

from kilograd.listing import operands_of

__all__ = [
    "Construction",
    "Leaf",
    "constructor_of",
    "inputs",
    "nudged",
    "number",
    "numbers_of",
    "parameter_names",
    "run",
]


class Leaf:
    """A number by which is differentiated: a node that stays the same in all runs, and its name."""

    def __init__(self, node: Any, name: str) -> None:
        self.node = node
        self.name = str(getattr(node, "label", "") or "") or name


def number(data: Any, of: Any) -> float:
    """The data of a node as a float."""
    try:
        if isinstance(data, (str, bytes)) or getattr(data, "shape", ()) != ():
            raise TypeError
        return float(data)
    except (TypeError, ValueError):
        raise TypeError(f"gradients of real numbers are checked, and the data of {of!r:.80} is {data!r:.80}") from None


def inputs(x: Any, names: Sequence[str], value_type: Callable[[float], Any]) -> tuple[list[Any], list[Leaf]]:
    """The arguments of a function, and the leaves in them: numbers become leaves, Values are leaves as they are.

    Parameters
    ----------
    x : tuple
        The arguments.
    names : sequence of str
        What they are called.
    value_type : callable
        What makes a leaf of a number.
    """
    import numpy as np

    leaves: dict[int, Leaf] = {}

    def leaf(node: Any, name: str) -> Any:
        if operands_of(node):
            raise TypeError(
                f"{name} is the result of an operation, {node!r:.80}: pass numbers, or Values that were not computed"
            )
        number(node.data, node)
        leaves.setdefault(id(node), Leaf(node, name))
        return node

    def within(thing: Any, name: str) -> Any:
        if hasattr(thing, "data") and hasattr(thing, "grad"):
            return leaf(thing, name)
        if isinstance(thing, (list, tuple)):
            return type(thing)([within(each, f"{name}[{k}]") for k, each in enumerate(thing)])
        if isinstance(thing, dict):
            return {key: within(each, f"{name}[{key!r}]") for key, each in thing.items()}
        if isinstance(thing, np.ndarray) and thing.shape:
            made = np.empty(thing.shape, dtype=object)
            for place in np.ndindex(thing.shape):
                made[place] = within(thing[place], f"{name}[{', '.join(map(str, place))}]")
            return made
        if callable(getattr(thing, "parameters", None)):
            for k, each in enumerate(thing.parameters()):
                leaf(each, f"{name}.parameters()[{k}]")
            return thing
        if isinstance(thing, (bool, np.bool_)) or not isinstance(thing, (int, float, np.number, np.ndarray)):
            raise TypeError(f"{name} holds numbers, Values or an object with parameters(), not {thing!r:.80}")
        return leaf(value_type(float(thing)), name)

    made = [within(each, name) for each, name in zip(x, names, strict=True)]
    if not leaves:
        raise ValueError("x holds no numbers: there is nothing to differentiate by")
    return made, list(leaves.values())


def parameter_names(function: Callable[..., Any], count: int) -> list[str]:
    """What a function calls its first arguments; ``x[0]`` and so on where it does not tell."""
    try:
        parameters = inspect.signature(function).parameters.values()
        found = [each.name for each in parameters if each.kind <= each.POSITIONAL_OR_KEYWORD]
    except (TypeError, ValueError):
        found = []
    return found[:count] if len(found) >= count else [f"x[{k}]" for k in range(count)]


@contextmanager
def nudged(nodes: Sequence[Any], numbers: Sequence[float]) -> Iterator[None]:
    """Give nodes other data meanwhile."""
    kept = [node.data for node in nodes]
    try:
        for node, each in zip(nodes, numbers, strict=True):
            node.data = each
        yield
    finally:
        for node, each in zip(nodes, kept, strict=True):
            node.data = each


def run(function: Callable[[], Any], leaves: Sequence[Leaf]) -> Any:
    """The root that the function gives, with the gradients of the leaves at 0."""
    for leaf in leaves:
        leaf.node.grad = 0.0
    root = function()
    if not (hasattr(root, "data") and (hasattr(root, "_children") or hasattr(root, "_prev"))):
        raise TypeError(
            f"the function that is checked returns one Value, not {type(root).__name__}: {root!r:.80}. Return one "
            "entry, or a sum"
        )
    return root


def constructor_of(kind: type) -> type | None:
    """The class written in Python that has the `__init__` of `kind`; None where there is none."""
    owner = next((each for each in kind.__mro__ if "__init__" in vars(each)), object)
    return owner if hasattr(vars(owner).get("__init__"), "__code__") else None


class Construction:
    """The nodes that a class makes meanwhile, in order; each one may be given other data at once.

    Parameters
    ----------
    owner : type
        From `constructor_of`.
    forced : sequence of float, optional
        The data of the k-th node, as far as there are any: what is computed from it is computed from this number.
    """

    def __init__(self, owner: type, forced: Sequence[float] | None = None) -> None:
        self.nodes: list[Any] = []
        self.computed: list[Any] = []
        self._owner, self._forced = owner, forced

    def __enter__(self) -> Construction:
        self._before = before = vars(self._owner)["__init__"]

        @functools.wraps(before)
        def note(node: Any, *arguments: Any, **keywords: Any) -> None:
            before(node, *arguments, **keywords)
            self._note(node)

        self._owner.__init__ = note  # type: ignore[misc]
        return self

    def __exit__(self, *_: object) -> None:
        self._owner.__init__ = self._before  # type: ignore[misc]

    def _note(self, node: Any) -> None:
        place = len(self.nodes)
        self.nodes.append(node)
        self.computed.append(node.data)
        if self._forced is not None and place < len(self._forced):
            node.data = self._forced[place]


def numbers_of(data: Sequence[Any]) -> list[float]:
    """The data of a nudged run as floats; NaN for what is no number."""
    return [float(each) if isinstance(each, (int, float, SupportsFloat)) else math.nan for each in data]
