"""Integers while a function is traced: arguments that were passed as integers, and what whole numbers make of them.

Such an argument is a number like all others, with a program for all of its values and derivatives by it, until the
function asks for an index: in `x[k + 1]`, `range(k)`, `names[k]`, `np.zeros(k)`. Then it becomes the integer of the
trace, and guards hold for this one: each value that is met is a path of its own.
"""

from __future__ import annotations

from typing import Any

from kilograd import _core
from kilograd._core import Value
from kilograd.compiled.conditions import thread

__all__ = ["index_of_value", "integer"]

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
    return number.__trunc__()  # type: ignore[return-value]


def index_of_value(number: Value) -> int:
    """`Value.__index__`, for as long as functions are traced."""
    if thread.notes is None or _made_of(number) is None:
        raise TypeError(
            f"{type(number).__name__!r} object cannot be interpreted as an integer: indices must be integers, and so "
            "must counts; int(x) makes one of a number, by guards"
        )
    return integer(number)


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
