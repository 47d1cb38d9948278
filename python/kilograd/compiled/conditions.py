"""Conditions: comparisons in a traced function that need not become guards, because `where` makes an operation of them.

A function that calls `where` is traced twice. The first time comparisons give bools and each is a guard, as in every
function. The second time they give conditions, which become guards when Python asks for their truth, and operations in
`where`. Python code can treat the two differently (``is True``), so the second trace counts only where nothing tells
it from the first: every condition was decided or chosen by, and the results are equal.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from kilograd import _core
from kilograd._core import Value

__all__ = ["Condition", "Notes", "afterwards_as_before", "choose", "decided", "refusal", "thread"]

T = TypeVar("T")


class _Thread(threading.local):
    depth: int  # how many functions run to be recorded, or to be compared with what was
    notes: list[Any] | None  # of the trace that runs
    integers: dict[int, int | None]  # of the ids of arguments, where some are integers: the places of these in the call
    indexed: set[int]  # the places of those that became integers
    stages: list[Any] | None  # of that trace: see `stages`; None where loops run as Python
    refused: bool  # whether a trace ended with an error of an operation, or a refusal
    chose: bool  # whether that trace, or the last, met a choice that conditions would make an operation of
    told: bool  # whether the last trace made a text of a number
    veiled: bool  # whether texts show no digits: see `texts`

    def __init__(self) -> None:
        self.depth = 0
        self.notes = self.stages = None
        self.integers = {}
        self.indexed = set()
        self.refused = self.chose = self.told = self.veiled = False


thread = _Thread()
"""What this thread does. While it runs a function to record it, compiled functions are plain functions."""


def afterwards_as_before(run: Callable[[], T]) -> T:
    """Call a function that changes what this thread does, which afterwards is as it was, wherever Ctrl-C came."""
    before = vars(thread).copy()
    try:
        try:
            return run()
        finally:
            _go_on(before)
    finally:  # an interrupt may have ended that
        _go_on(before)


def _go_on(before: dict[str, Any]) -> None:
    vars(thread).update(before)
    _core._trace_into(before["notes"])


Mask = tuple[Value, Value]
"""1 where a condition holds, else 0; and the reverse."""


class Notes(list[Any]):
    """Notes of a trace in which comparisons give conditions."""

    def __init__(self, choose_always: bool = False) -> None:
        super().__init__()
        self.choose_always = choose_always  # also between integers, which are floats then
        self.made: list[Condition] = []

    def compare(self, symbol: str, left: Any, right: Any, result: bool) -> Condition:
        """Give the condition for a comparison; called by the core."""

        def mask() -> Mask:
            match symbol:
                case "<":
                    holds = _core._less(left, right)
                case ">":
                    holds = _core._less(right, left)
                case "<=":
                    holds = _core._less_equal(left, right)
                case ">=":
                    holds = _core._less_equal(right, left)
                case _:
                    holds = _core._equal(left, right)
            return (1.0 - holds, holds) if symbol == "!=" else (holds, 1.0 - holds)

        return Condition(self, result, mask, note=(symbol, left, right, result))

    @property
    def is_sound(self) -> bool:
        """Whether every condition has been decided or gone into a choice: what else can be made of one is unknown."""
        return all(condition.is_spent for condition in self.made)


class Condition:
    """A comparison that was made while tracing, or several: its truth is a guard, `where` an operation."""

    __slots__ = ("_made", "_mask", "_note", "_notes", "_parts", "_result", "is_spent")

    def __init__(
        self,
        notes: Notes,
        result: bool,
        mask: Callable[[], Mask],
        note: tuple[Any, ...] | None = None,
        parts: Sequence[Condition] = (),
    ) -> None:
        self._notes = notes
        self._result = result
        self._mask = mask
        self._made: Mask | None = None
        self._note = note
        self._parts = parts
        self.is_spent = False
        notes.made.append(self)
        for part in parts:
            part.is_spent = True

    def __bool__(self) -> bool:
        for part in self._parts:
            bool(part)
        if self._note is not None:
            self._notes.append(self._note)
            self._note = None
        self.is_spent = True
        return self._result

    def mask(self) -> Mask:
        """Make an operation of this."""
        self.is_spent = True
        if self._made is None:
            self._made = self._mask()
        return self._made

    def __eq__(self, other: object) -> bool:
        return bool(self) == other

    def __hash__(self) -> int:
        return hash(bool(self))

    def __invert__(self) -> Condition:
        return Condition(self._notes, not self._result, lambda: self.mask()[::-1], parts=(self,))

    def __and__(self, other: Any) -> Condition | bool:
        if isinstance(other, (bool, np.bool_)):
            self.is_spent = True
            return self if other else False
        if not isinstance(other, Condition):
            return NotImplemented

        def mask() -> Mask:
            both = self.mask()[0] * other.mask()[0]
            return both, 1.0 - both

        return Condition(self._notes, self._result and other._result, mask, parts=(self, other))

    def __or__(self, other: Any) -> Condition | bool:
        if isinstance(other, (bool, np.bool_)):
            self.is_spent = True
            return True if other else self
        if not isinstance(other, Condition):
            return NotImplemented
        neither = ~self & ~other
        return ~neither if isinstance(neither, Condition) else not neither

    __rand__, __ror__ = __and__, __or__

    # As a number, 1 or 0, which has no derivative. Beside a bool it is none: a bool of NumPy's with another is a bool.
    def __mul__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, _BOOLS) else self.mask()[0] * other

    __rmul__ = __mul__

    def __add__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, _BOOLS) else self.mask()[0] + other

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, _BOOLS) else self.mask()[0] - other

    def __rsub__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, _BOOLS) else other - self.mask()[0]


_BOOLS = (Condition, bool, np.bool_)


def refusal(text: str) -> TypeError:
    """Make an error of what cannot be recorded, and note it: the function may handle it."""
    if thread.notes is not None:
        thread.notes.append(("raises", None, None, True))
    return TypeError(text)


def decided(condition: Any) -> Any:
    """The bool of a condition, or of an array of them an array of bools: each becomes a guard."""
    if isinstance(condition, np.ndarray):
        return np.array([bool(entry) for entry in condition.flat], dtype=bool).reshape(condition.shape)
    return bool(condition)


def choose(condition: Any, a: Any, b: Any) -> Any:
    """Give `a` where a condition holds, else `b`; as an operation unless both are integers, or no numbers."""
    if not isinstance(condition, Condition):
        return a if condition else b
    sides = [type(side) for side in (a, b)]
    are_numbers = all(issubclass(side, (Value, float, int)) and side is not bool for side in sides)
    are_integers = all(issubclass(side, int) for side in sides) and not condition._notes.choose_always
    if not are_numbers or are_integers:
        return a if condition else b
    holds, fails = condition.mask()
    return _core._gate(holds, a) + _core._gate(fails, b)
