"""Loops as stages: a turn that is recorded once, with what it reads of what is older than the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

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
from kilograd.compiled.structure import Listed, Named, Structure, take
from kilograd.compiled.tracing import add_note, name_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kilograd.compiled.structure import Array, Shape


def pair_of(what: str, result: Any) -> tuple[Any, Any]:
    """What a step returned, or a TypeError where that is no pair."""
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(f"{what}: the step returns a tuple of two, (carry, y), not {type(result).__name__}")
    return result


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


class Loop:
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
        after, y = pair_of(self.what, result)
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
