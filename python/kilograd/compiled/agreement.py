"""Whether a function gives the same numbers with Values as with numbers, roundings aside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from kilograd.compiled.calls import Call
from kilograd.compiled.structure import Structure, copied, of_result, take
from kilograd.compiled.texts import veil, veiled
from kilograd.compiled.tracing import Function, Trace, flat, name_of, trace, with_numbers

if TYPE_CHECKING:
    from kilograd.compiled.structure import Array


def disagreement(traced: Trace, function: Function, call: Call, answers: bool) -> tuple[str, Structure] | None:
    """Run a function with numbers: None if they give what Values gave, else why not, and the structure of the result.

    None too where numbers do not do, because the function calls methods of Values. With `answers`, at others too.
    """
    try:
        plain = other = with_numbers(function, call, traced.indexed)
    except (TypeError, AttributeError, NotImplementedError):
        return None
    where = call
    if _agree(traced, plain, function, call):
        if not answers:
            return None
        where = call._replace(x=_elsewhere(call.x, [*traced.indexed, *call.places_of_narrow()]))
        try:
            with veiled() if traced.told else nullcontext():
                traced = trace(function, where)
            other = with_numbers(function, where, traced.indexed)
        except Exception:  # there it refuses these numbers
            return None
        if _agree(traced, other, function, where):
            return None
    text = (
        f"{name_of(function)} returns {_told(other)} for the numbers {_short(where.x)}, and {_told(traced)} for the "
        "Values that are recorded in their place: it may ask for a type, see whether a bool is Python's or NumPy's, "
        f"handle an error that NumPy does not raise, order NaN, or decide by digits of a text. {_ALL_THE_SAME}"
    )
    values = plain.numbers
    leaf = take(lambda s, shape: np.reshape(values[s], shape) if shape else values[s.start])

    def static(part: Any) -> Any:
        return float(part) if isinstance(part, np.floating) else copied(part)

    return text, of_result(plain.structure.build(leaf, static), [])


def through_texts(traced: Trace, function: Function, call: Call) -> str | None:
    """Run a function that made texts of numbers with texts that show no digits: None if that makes no difference."""
    try:
        with veiled():
            (structure, x), (wanted, y) = flat(trace(function, call)), flat(traced)
        if veil(structure) == veil(wanted) and np.array_equal(x, y, equal_nan=True):
            return None
    except Exception:  # as of float() and such a text
        pass
    return (
        f"{name_of(function)} returns what depends on the digits of a text that it makes of a number, as float(str(x)) "
        f"or a formatted string: compute with x itself, no derivative goes through text. {_ALL_THE_SAME}"
    )


_ALL_THE_SAME = "A call returns what it returns for numbers; derivatives of that cannot be taken"


def _agree(traced: Trace, plain: Trace, function: Function, call: Call) -> bool:
    (structure, x), (wanted, y) = flat(traced), flat(plain)
    # Beside an error that was handled, what moves with a rounding moves to another branch.
    if structure != wanted or _equal(x, y) or any(note[0] == "raises" for note in traced.notes):
        return bool(structure == wanted and _equal(x, y))
    moved = _slack(call.x, y, lambda at: flat(with_numbers(function, call._replace(x=at), traced.indexed))[1])
    return _equal(x, y, moved)


def _equal(x: Array, y: Array, slack: Any = 0.0) -> bool:
    """Whether numbers are equal but for roundings, and for so much more."""
    with np.errstate(all="ignore"):
        bound = 1e-9 * np.maximum(abs(x), abs(y)) + slack
        close = np.isfinite(x) & np.isfinite(y) & (abs(x - y) <= bound)
        return bool(np.all((x == y) | ((x != x) & (y != y)) | close))


def _elsewhere(at: Array, indexed: Sequence[int]) -> Array:
    """Numbers nearby at which what is hidden by chance, as a factor is at 0, is not; indices stay."""
    steps = np.resize([0.013, -0.0091, 0.0173, 0.0067, -0.0119], at.shape)
    moved: Array = at + steps * np.where(abs(at) < 1.0, 1.0, at)
    moved[list(indexed)] = at[list(indexed)]
    return moved


def _slack(at: Array, y: Array, run: Callable[[Array], Array]) -> Any:
    """How far the results y = run(at) move with a few roundings of the numbers `at`; no more than a millionth.

    Numbers that sum in another order give another rest where all cancels.
    """
    reach = np.zeros(y.shape)
    with np.errstate(all="ignore"):
        for k in range(4):  # each number by roundings of its own
            ulps = np.resize(np.roll([8.0, -12.0, 20.0, -5.0, 11.0], k), at.shape)
            moved = run(at + ulps * np.finfo(np.float64).eps * (at if at.any() else 1.0))
            if moved.shape == y.shape:
                reach = np.fmax(reach, 1e3 * abs(moved - y))
        return np.minimum(reach, 1e-6 * np.fmax(1.0, abs(y)))


def _told(trace: Trace) -> str:
    numbers = trace.numbers
    leaf = take(lambda s, shape: numbers[s] if shape else numbers[s.start])
    return _short(trace.structure.build(leaf, copied))


def _short(thing: Any) -> str:
    text = " ".join(str(thing).split())
    return text if len(text) <= 100 else text[:97] + "..."
