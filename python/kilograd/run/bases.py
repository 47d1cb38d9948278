"""Classes that inherit: what a class has from bases of the program's own, in one namespace."""

from __future__ import annotations

from abc import ABC, ABCMeta

from kilograd import reading
from kilograd.run.clone import functions_of
from kilograd.run.reasons import LeftAlone
from kilograd.run.survey import survey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["check_bases", "flattened", "inherited"]

NOT_INHERITED = frozenset(
    ["__dict__", "__weakref__", "__module__", "__qualname__", "__doc__", "__abstractmethods__", "_abc_impl"]
)


def _bases(cls: type) -> tuple[type, ...]:
    return tuple(base for base in cls.__mro__[1:] if base not in (object, ABC))


def flattened(cls: type) -> type:
    """A class without bases that has all that `cls` has and inherits; `cls` itself where that is the same.

    Raises
    ------
    LeftAlone
        If what it inherits may do anything.
    """
    if type(cls) is type and cls.__bases__ == (object,):
        return cls
    if type(cls) not in (type, ABCMeta):
        raise LeftAlone(f"it has the metaclass {type(cls).__name__}")
    for base in _bases(cls):
        if (
            type(base) not in (type, ABCMeta) or base.__flags__ & 1 << 8 or "__slots__" in vars(base)
        ):  # or no plain class
            raise LeftAlone(f"it derives from {base.__name__}")
    namespace: dict[str, Any] = {}
    for one in (*reversed(_bases(cls)), cls):
        namespace |= {name: value for name, value in vars(one).items() if name not in NOT_INHERITED}
    for name, value in namespace.items():
        for function in functions_of(value):
            if {"super", "__class__"} & reading.names(function.__code__):
                raise LeftAlone(f"it derives from {_bases(cls)[0].__name__}, and {name} calls super()")
    if "__slots__" in namespace:
        raise LeftAlone(f"it derives from {_bases(cls)[0].__name__}, and has __slots__")
    flat = type(cls.__name__, (object,), {**namespace, "__module__": cls.__module__, "__doc__": cls.__doc__})
    flat.__qualname__ = cls.__qualname__
    return flat


def inherited(cls: type) -> frozenset[str]:
    """The names that the class has from its bases."""
    return frozenset(name for base in _bases(cls) for name in vars(base)) - NOT_INHERITED


def check_bases(names: frozenset[str]) -> None:
    """Leave a class alone of whose bases the program may change what it has from them."""
    reason = survey.changes(names)
    if reason is not None:
        raise LeftAlone(reason)
