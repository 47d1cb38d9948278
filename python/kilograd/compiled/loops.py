"""Loops that stay loops: `scan`, `fori_loop`, `while_loop`, with turns that are recorded once where compiled."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from kilograd import _core
from kilograd._core import Value
from kilograd.arrays import data
from kilograd.compiled import conditions
from kilograd.compiled.blocks import Block
from kilograd.compiled.conditions import thread
from kilograd.compiled.stages import (
    Entry,
    Part,
    Stage,
    array_of,
    built,
    composed,
    entries_of,
    flattened,
    outside,
    paused,
    staged,
)
from kilograd.compiled.structure import Listed, Named, Structure, shapes_of, take
from kilograd.compiled.tracing import add_note, name_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kilograd.compiled.structure import Array, Shape

T = TypeVar("T")


def scan(
    step: Callable[[Any, Any], tuple[Any, Any]],
    init: T,
    xs: Any = None,
    length: int | None = None,
    *,
    reverse: bool = False,
    checkpoint: bool = False,
) -> tuple[T, Any]:
    """Carry something through a sequence: a loop that stays a loop where a function is compiled.

    The same as ``carry = init; ys = []; for x in xs: carry, y = step(carry, x); ys.append(y)``, and that is what runs
    outside of compiled functions. While `compile` records a function, `step` is recorded once, however many turns
    there are, and later calls run it without Python.

    Parameters
    ----------
    step : callable
        ``step(carry, x)`` gives ``(carry, y)``. Values from outside may be used.
    init : numbers, Values, arrays, and lists, tuples and dicts of them
        What the first turn is given. A carry has the same structure and shapes in each turn.
    xs : arrays, and lists, tuples and dicts of arrays, optional
        Each turn is given the entries of one index along the first axis.
    length : int, optional
        The number of turns; needed only without `xs`, where ``x`` is None.
    reverse : bool, default False
        From the last index to the first; ``ys`` stand at their indices.
    checkpoint : bool, default False
        Keep one carry in about ``sqrt(length)`` for a gradient, and compute the others twice: less memory, more time.

    Returns
    -------
    carry
        After the last turn, in the structure of `init`.
    ys
        The ``y`` of all turns in their structure, arrays with one more axis in front.

    Raises
    ------
    TypeError
        If a carry changes its structure; in a compiled function also if `step` decides by a number (``if x > 0:``,
        ``x.data``): choose with `kilograd.where`.
    ValueError
        If sequences differ in length; where an operation is refused, with the turn.

    Notes
    -----
    ``x`` is a number, also where `xs` are integers, and no index: pass what ``table[x]`` would give as one more array
    of `xs`.

    Examples
    --------
    >>> import numpy as np
    >>> import kilograd
    >>> @kilograd.compile
    ... def smoothed(rate, xs):
    ...     def step(level, x):
    ...         level = level + rate * (x - level)
    ...         return level, level
    ...
    ...     return kilograd.scan(step, 0.0, xs)
    >>> smoothed(0.5, np.array([1.0, 1.0, 2.0]))
    (1.375, array([0.5  , 0.75 , 1.375]))
    >>> smoothed.jacobian(0.5, np.array([1.0, 1.0, 2.0]))[0]
    1.75
    """
    parts: list[NDArray[Any] | Block] = []
    structure = flattened(xs, parts, "xs of scan", with_blocks=True)
    shapes = shapes_of(structure)
    turns = _turns(shapes, length)
    sequences = [
        part.rows(turns) if isinstance(part, Block) else part.reshape(turns, math.prod(shape[1:]))
        for part, shape in zip(parts, shapes, strict=True)
    ]
    if thread.stages is None and turns:
        return _plain_scan(step, init, xs, turns, reverse)
    loop = _Loop("scan", step, turns, structure, sequences, reverse=reverse, checkpoint=checkpoint)
    carry, ys = loop.run(init)
    return carry, ys


def fori_loop(lower: int, upper: int, body: Callable[[Any, Any], T], init: T) -> T:
    """Do something for each integer: a loop that stays a loop where a function is compiled.

    The same as ``val = init; for i in range(lower, upper): val = body(i, val)``.

    Parameters
    ----------
    lower, upper : int
        The first ``i``, and one past the last.
    body : callable
        ``body(i, val)`` gives the next ``val``. In a compiled function ``i`` is a number and no index: see `scan`.
    init : numbers, Values, arrays, and lists, tuples and dicts of them
        The first ``val``.

    Returns
    -------
    val
        After the last turn, in the structure of `init`.

    Raises
    ------
    TypeError, ValueError
        See `scan`.

    Examples
    --------
    >>> import kilograd
    >>> f = kilograd.compile(lambda x: kilograd.fori_loop(1, 4, lambda i, s: s + x**2 / i, 0.0))
    >>> f.grad(3.0)
    11.0
    """
    try:
        first, last = operator.index(lower), operator.index(upper)
    except TypeError:
        raise TypeError("fori_loop: the bounds are integers; where a number decides how long, use while_loop") from None
    if thread.stages is None:
        value = init
        for i in range(first, last):
            value = body(i, value)
        return value

    def step(value: T, i: Any) -> tuple[T, None]:
        return body(i, value), None

    step.__qualname__ = name_of(body)
    result: T = _Loop("fori_loop", step, max(last - first, 0), count_from=float(first)).run(init)[0]
    return result


def while_loop(cond: Callable[[Any], Any], body: Callable[[T], T], init: T) -> T:
    """Do something for as long as a condition holds: a loop that stays a loop where a function is compiled.

    The same as ``val = init; while cond(val): val = body(val)``.

    Parameters
    ----------
    cond : callable
        ``cond(val)`` is a comparison, or several with ``&``, ``|`` and ``~``.
    body : callable
        ``body(val)`` gives the next ``val``.
    init : numbers, Values, arrays, and lists, tuples and dicts of them
        The first ``val``.

    Returns
    -------
    val
        The first for which the condition fails, in the structure of `init`.

    Raises
    ------
    TypeError, ValueError
        See `scan`.

    Notes
    -----
    How many turns are made, the numbers of each call say. Derivatives are those of the turns that were made: what a
    small change of the numbers would do to their count is no part of them. The condition is computed by the program of
    the function: where it compares what is equal but for rounding, the count may be another than Python's.

    Examples
    --------
    >>> import kilograd
    >>> @kilograd.compile
    ... def root(a):  # Newton's steps
    ...     return kilograd.while_loop(lambda x: abs(x * x - a) > 1e-12, lambda x: (x + a / x) / 2, 1.0)
    >>> round(root(2.0), 12), round(root.grad(2.0), 12)
    (1.414213562373, 0.353553390593)
    """
    if thread.stages is None:
        value = init
        while cond(value):
            value = body(value)
        return value

    def step(value: T, _: None) -> tuple[T, None]:
        return body(value), None

    step.__qualname__ = name_of(body)
    result: T = _Loop("while_loop", step, 0, condition=cond).run(init)[0]
    return result


def _turns(shapes: list[Shape], length: int | None) -> int:
    if () in shapes:
        raise TypeError("scan: an entry of xs is a number and has no axis to go along: pass arrays, np.array(xs)")
    counts = {shape[0] for shape in shapes}
    if length is not None:
        counts.add(operator.index(length))
    if len(counts) != 1:
        raise ValueError(
            f"scan: xs and length say {sorted(counts)} turns" if counts else "scan: xs or length is needed"
        )
    turns = counts.pop()
    if turns < 0:
        raise ValueError(f"scan: the length is {turns}")
    return turns


# --- as Python


def _plain_scan(
    step: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any, turns: int, reverse: bool
) -> tuple[Any, Any]:
    carry, found = init, [None] * turns
    for t in reversed(range(turns)) if reverse else range(turns):
        carry, found[t] = _pair("scan", step(carry, _row(xs, t)))
    return carry, _stacked(found)


def _row(xs: Any, t: int) -> Any:
    if xs is None:
        return None
    if isinstance(xs, (list, tuple)):
        parts = [_row(part, t) for part in xs]
        return type(xs)._make(parts) if hasattr(xs, "_make") else type(xs)(parts)
    if isinstance(xs, dict):
        return {key: _row(part, t) for key, part in xs.items()}
    row = np.asarray(xs)[t]
    return row.item() if isinstance(row, np.generic) else row


def _pair(what: str, result: Any) -> tuple[Any, Any]:
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(f"{what}: the step returns a tuple of two, (carry, y), not {type(result).__name__}")
    return result


def _stacked(found: list[Any]) -> Any:
    rows = []
    structures = set()
    for y in found:
        parts: list[NDArray[Any]] = []
        structures.add(flattened(y, parts, "the y of a scan"))
        rows.append(parts)
    if len(structures) != 1:
        raise TypeError("scan: the y of each turn has the same structure and shapes")
    columns = iter([entries_of(column) for column in zip(*rows, strict=True)])
    return structures.pop().build(
        lambda shape: array_of(next(columns), (len(found), *shape)), lambda constant: constant
    )


# --- as stages


class _Turn(NamedTuple):
    """What was recorded: the inputs of a turn, what the step and the condition gave, and the stages within."""

    leaves: list[Value]
    after: Any
    y: Any
    holds: Entry | None
    stages: list[Stage]
    since: Value


def _varies(sequence: NDArray[Any] | Block) -> bool:
    """Whether other calls may have other numbers in it."""
    return isinstance(sequence, Block) or sequence.dtype == object


def _row_of(sequence: NDArray[Any] | Block, place: int) -> Array:
    return sequence.numbers[place] if isinstance(sequence, Block) else data(sequence[place].tolist())


class _Loop:
    """A loop whose turn is recorded: the step, and what each turn has of its own."""

    def __init__(
        self,
        what: str,
        step: Callable[[Any, Any], tuple[Any, Any]],
        turns: int,
        structure: Structure | None = None,
        sequences: Sequence[NDArray[Any] | Block] = (),
        *,
        condition: Callable[[Any], Any] | None = None,
        count_from: float | None = None,
        reverse: bool = False,
        checkpoint: bool = False,
    ) -> None:
        self.what = what
        self.step = step
        self.turns = turns
        self.structure = structure
        self.sequences = sequences
        self.condition = condition
        self.count_from = count_from
        self.reverse = bool(reverse)
        self.checkpoint = bool(checkpoint)

    def run(self, init: Any) -> tuple[Any, Any]:
        """The last carry, and the results of all turns."""
        parts: list[NDArray[Any]] = []
        carried = flattened(init, parts, f"what {self.what} carries")
        before = entries_of(parts)
        turn = self._recorded(carried, before)
        after_parts: list[NDArray[Any]] = []
        after = flattened(turn.after, after_parts, f"what {self.what} carries")
        if after != carried:
            raise TypeError(
                f"{self.what}: a turn of {name_of(self.step)} is given {_described(carried)} and gives "
                f"{_described(after)} to carry on: the structure and the shapes stay the same"
            )
        y_parts: list[NDArray[Any]] = []
        ys = flattened(turn.y, y_parts, "the y of a scan")
        outputs = entries_of([*after_parts, *y_parts])
        width = len(outputs) - len(before)
        if not outputs:
            raise TypeError(f"{self.what}: a turn gives no numbers")
        if thread.stages is None:
            return init, self._results(ys, [], width)
        core, others = self._core(turn, outputs, len(before))
        own: list[Part] = []
        for part in filter(_varies, self.sequences):
            own += [part] if isinstance(part, Block) else part.reshape(-1).tolist()
        found = staged(core, [*before, *own, *others], self.what)
        return built(carried, found[: len(before)]), self._results(ys, found[len(before) :], width)

    def _core(self, turn: _Turn, outputs: list[Entry], carried: int) -> tuple[_core._Stage, list[Value]]:
        tested = [] if turn.holds is None else [turn.holds]
        others = outside([*outputs, *tested], turn.leaves, turn.stages, turn.since)
        inputs = [*turn.leaves, *others]
        constant = [part for part in self.sequences if not _varies(part)]
        core = _core._loop_stage(
            composed(outputs, inputs, turn.stages),
            composed(tested, inputs, turn.stages) if tested else None,
            carried,
            [part.shape[1] for part in self.sequences if _varies(part)],
            np.hstack(constant) if constant else np.empty((self.turns, 0)),
            self.count_from,
            len(others),
            len(outputs) - carried,
            self.turns,
            self.reverse,
            self.checkpoint,
        )
        return core, others

    def _recorded(self, carried: Structure, before: list[Entry]) -> _Turn:
        """Record a turn: at the numbers of the first, or, where an operation refuses these, at none.

        There may be no turn at all; and if there is one, the error that comes when it is made names it.
        """
        with paused():
            numbers = data(before) if before else np.empty(0)
            first = self._own_numbers()
        try:
            return self._recorded_at(carried, numbers, first)
        except (ValueError, ArithmeticError) as error:
            try:
                return self._recorded_at(carried, np.full(numbers.shape, np.nan), np.full(first.shape, np.nan))
            except (ValueError, ArithmeticError):
                raise error from None

    def _own_numbers(self) -> Array:
        """What the first turn has of its own: of each sequence, and its count."""
        place = -1 if self.reverse else 0
        rows = [_row_of(part, place) if self.turns else np.full(part.shape[1], np.nan) for part in self.sequences]
        return np.concatenate([*rows, [] if self.count_from is None else [self.count_from]])

    def _recorded_at(self, carried: Structure, numbers: Array, first: Array) -> _Turn:
        leaves, own = _core.leaves(numbers, Value), _core.leaves(first, Value)
        since = Value(0.0).tanh()
        with _inner_trace(self.what, name_of(self.step), [*leaves, *own], since) as stages:
            carry = built(carried, leaves)
            holds = None if self.condition is None else _mask(self.what, self.condition(carry))
            x = own[0] if self.count_from is not None else None
            if self.structure is not None:
                x = built(self._of_turn(), own)
            result = self.step(carry, x)
        after, y = _pair(self.what, result)
        # As a turn of the stage has them: the numbers of sequences that vary first, its count last.
        ends = np.cumsum([part.shape[1] for part in self.sequences], dtype=int)
        *blocks, count = np.split(np.array([*own, None], dtype=object), ends)
        order = sorted(range(len(blocks)), key=lambda k: not _varies(self.sequences[k]))
        own = [leaf for k in order for leaf in blocks[k]] + list(count[:-1])
        return _Turn([*leaves, *own], after, y, holds, stages, since)

    def _of_turn(self) -> Structure:
        assert self.structure is not None
        return self.structure.of_row()

    def _results(self, structure: Structure, entries: list[Entry], width: int) -> Any:
        rows = np.empty(len(entries), dtype=object)
        rows[:] = entries
        table = rows.reshape(self.turns, width)

        def column(where: slice, shape: Shape) -> Any:
            return array_of(table[:, where].reshape(-1).tolist(), (self.turns, *shape))

        return structure.build(take(column), lambda constant: constant)


@contextmanager
def _inner_trace(what: str, name: str, leaves: list[Value], since: Value) -> Iterator[list[Stage]]:
    """Trace what is done many times over: nothing may be decided in it by what differs from turn to turn."""
    notes = conditions.Notes(choose_always=True)
    before = thread.notes, thread.stages, thread.chose
    inner: list[Stage] = []
    thread.notes, thread.stages, thread.chose = notes, inner, False
    _core._trace_into(notes)
    thread.depth += 1
    try:
        yield inner
    except (TypeError, IndexError) as error:
        add_note(
            error,
            f"{what} ran {name} with Values in place of numbers, to record it once for all turns. A number that "
            "differs from turn to turn is no index: pass what it would choose as an array of xs of kilograd.scan.",
        )
        raise
    finally:
        thread.depth -= 1
        thread.notes, thread.stages, thread.chose = before
        _core._trace_into(before[0])
        sound = notes.is_sound
        notes.made.clear()
    varying = {id(v) for v in [*leaves, *(v for stage in inner for v in stage.outputs)]}

    def varies(symbol: str, *operands: Any) -> bool:
        values = [operand for operand in operands if isinstance(operand, Value)]
        return symbol == "raises" or any(id(v) in varying for v in _core._boundary(values, [], since))

    refused: list[Any] = []
    allowed: list[Any] = []
    for note in notes:
        (refused if varies(*note) else allowed).append(note)
    if before[0] is not None:
        before[0].extend(allowed)
    if refused or not sound:
        reads = any(symbol == "is" for symbol, *_ in refused)
        handles = any(symbol == "raises" for symbol, *_ in refused)
        does = "reads .data" if reads else "handles an error" if handles else "decides by a comparison of numbers"
        raise TypeError(
            f"{what}: {name} {does}, and is recorded once for all turns: choose between numbers with kilograd.where, "
            "maximum and minimum in place of if, and, or; or write a Python loop"
        )


def _mask(what: str, holds: Any) -> Entry:
    """1 where a condition holds, else 0."""
    if isinstance(holds, np.ndarray) and holds.shape == ():
        holds = holds.view(np.ndarray).item()
    if isinstance(holds, conditions.Condition):
        return holds.mask()[0]
    if isinstance(holds, (bool, np.bool_)):
        return float(holds)
    raise TypeError(
        f"{what}: the condition is a comparison of numbers, or several with &, | and ~, not {type(holds).__name__}"
    )


def _described(structure: Structure) -> str:
    if isinstance(structure, Listed):
        return f"{structure.kind.__name__}({', '.join(map(_described, structure.parts))})"
    if isinstance(structure, Named):
        pairs = zip(structure.keys, structure.parts, strict=True)
        return "{" + ", ".join(f"{key!r}: {_described(part)}" for key, part in pairs) + "}"
    return str(structure)
