"""Integers while a function is traced: arguments that were passed as integers, and what whole numbers make of them.

Such an argument is a number like all others, with a program for all of its values and derivatives by it, until the
function asks for an index: in `x[k + 1]`, `range(k)`, `names[k]`, `np.zeros(k)`. Then it becomes the integer of the
trace, and guards hold for this one: each value that is met is a path of its own.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from kilograd import _core
from kilograd._core import Value
from kilograd.compiled.conditions import decided, refusal, thread
from kilograd.compiled.texts import shown

__all__ = ["COUNTS", "OPERATORS", "are_integers", "exact", "integer"]

_WHOLE = frozenset(("+", "*", "//", "%", "abs", "maximum", "minimum"))
"""The operations, by their labels, that make integers of integers."""


def integer(number: Any) -> int:
    """The integer that a Value stands for, by guards."""
    if not isinstance(number, Value) or (arguments := _made_of(number)) is None:
        raise IndexError(
            "only integers are indices: an argument that is one is passed as an integer, and stays one through "
            "+ - * // % abs max min with whole numbers; int(x) makes one of any number"
        )
    thread.indexed |= arguments
    notes = _core._trace_into(None)
    try:
        found = int(number.data)
    finally:
        _core._trace_into(notes)
    decided(number == found)  # a guard: a float between two integers is neither
    return found


def index_of_value(number: Value) -> int:
    """`Value.__index__`, for as long as functions are traced."""
    if thread.notes is None or _made_of(number) is None:
        raise TypeError(
            f"{type(number).__name__!r} object cannot be interpreted as an integer: indices must be integers, and so "
            "must counts; int(x) makes one of a number, by guards"
        )
    return integer(number)


def are_integers(things: Any) -> bool:
    """Whether all are integers, or stand for such, without becoming ones."""
    return all(_made_of(each) is not None if isinstance(each, Value) else _is_integer(each) for each in things)


def _is_integer(thing: Any) -> bool:
    return isinstance(thing, (int, np.integer, np.bool_))


def _of_integers(function: Callable[..., Any], is_reflected: bool = False) -> Callable[..., Any]:
    """An operator that integers have and floats have not: of the integers of the trace."""

    def apply(self: Value, *others: Any) -> Any:
        if thread.notes is None or not are_integers((self, *others)):
            return NotImplemented
        operands = [integer(each) if isinstance(each, Value) else each for each in (self, *others)]
        return function(*reversed(operands)) if is_reflected else function(*operands)

    return apply


def exact(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A quotient or a rest, which guards hold to be of integers that floats hold, where it is of computed integers.

    A product beyond 2**53 is rounded, and beyond 2**63 NumPy's wraps around: of a number of that size the last digits,
    which a rest is made of, would be others.
    """

    def apply(a: Any, b: Any) -> Any:
        for each in (a, b) if thread.integers else ():
            is_computed = isinstance(each, Value) and id(each) not in thread.integers and _made_of(each) is not None
            if is_computed and not abs(each) < 2.0**53:
                raise refusal(
                    "the quotient or rest of an integer beyond 2**53 is not recorded: pass what it is made of as "
                    "float(k) if rounding will do, or name the argument in static_argnums"
                )
        return function(a, b)

    return apply


def _inverted(number: Value) -> Any:
    if (found := _INVERT(number)) is NotImplemented:
        raise TypeError(f"bad operand type for unary ~: {type(number).__name__!r}")
    return found


def _text(function: Callable[..., str]) -> Callable[..., str]:
    """The text of the integer where a Value stands for one; else that of its number."""
    plain = getattr(Value, f"__{function.__name__}__")

    def apply(self: Value, *spec: str) -> str:
        if thread.notes is None:
            return plain(self, *spec)  # type: ignore[no-any-return]
        if thread.integers and are_integers([self]):
            return function(integer(self), *spec)
        return shown(plain(self, *spec))

    return apply


_INVERT = _of_integers(operator.invert)
_FUNCTIONS = {"and": operator.and_, "or": operator.or_, "xor": operator.xor}
_FUNCTIONS |= {"lshift": operator.lshift, "rshift": operator.rshift}

_RESTS = ("__mod__", "__rmod__", "__floordiv__", "__rfloordiv__", "__divmod__", "__rdivmod__")

COUNTS: dict[str, Callable[..., Any]] = {
    "__index__": index_of_value,
    **{f"__{function.__name__}__": _text(function) for function in (format, repr)},
}
"""What Values have for as long as functions are traced."""
OPERATORS: dict[str, Callable[..., Any]] = {
    "__invert__": _inverted,
    **{f"__{name}__": _of_integers(function) for name, function in _FUNCTIONS.items()},
    **{f"__r{name}__": _of_integers(function, is_reflected=True) for name, function in _FUNCTIONS.items()},
    **{name: exact(getattr(Value, name)) for name in _RESTS},
}
"""The same where arguments are integers."""


def _made_of(number: Value) -> set[int] | None:
    """The places of the arguments that an integer is made of; None where it is none, or a constant."""
    arguments: set[int] = set()
    notes = _core._trace_into(None)  # what is read of constants here is nothing that a path depends on
    try:
        seen, left = {id(number)}, [number]
        while left:
            node = left.pop()
            if id(node) in thread.integers:
                if (place := thread.integers[id(node)]) is None:
                    return None
                arguments.add(place)
            elif node._op in _WHOLE:
                left += [child for child in node._children if id(child) not in seen]
                seen.update(map(id, node._children))
            elif node._children or not float(node.data).is_integer():
                return None
    finally:
        _core._trace_into(notes)
    return arguments or None
