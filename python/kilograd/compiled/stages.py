"""Stages: what a traced function computes other than op by op, and the composition that its path becomes with them.

A stage is noted in the trace with the Values that go in and new leaves for what comes out. A path with stages is then a
sequence: a program of what the first stage needs, the stage, a program of what the next one needs, and so on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from kilograd import _core
from kilograd._core import Value
from kilograd.arrays import data
from kilograd.compiled.blocks import Block, Touched
from kilograd.compiled.conditions import thread
from kilograd.compiled.narrow import Narrow, refuse
from kilograd.compiled.structure import (
    NUMBER,
    Collected,
    Listed,
    Named,
    Numbers,
    Static,
    Structure,
    of_argument,
    take,
    width_of,
)
from kilograd.compiled.sweeps import Sweeps, places_of
from kilograd.compiled.traced import Traced
from kilograd.program import Program

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kilograd.compiled.structure import Array, Columns, Shape

Entry: TypeAlias = "Value | float"
Part: TypeAlias = "Value | float | Block"
"""Of the inputs of a stage."""
FEW = 4
"""Sweeps that are not worth to find out which of them a sparse matrix could do without."""
Stretch: TypeAlias = tuple[int, int]
"""Neighbours among places: the first, and how many."""


class Stage(NamedTuple):
    """A stage in a trace."""

    core: _core._Stage
    inputs: Sequence[Part]
    outputs: list[Value]
    notes: int
    """How many notes were made before it."""


@contextmanager
def paused() -> Iterator[list[Any] | None]:
    """Run what is no part of the trace; gives the notes of the trace."""
    before = thread.notes, thread.stages
    _core._trace_into(None)
    thread.notes = thread.stages = None
    try:
        yield before[0]
    finally:
        thread.notes, thread.stages = before
        _core._trace_into(before[0])


def staged(core: _core._Stage, inputs: Sequence[Part], what: str) -> list[Entry]:
    """Run a stage for its numbers, and note it in the trace: Values where Values went in, else numbers."""
    with paused() as notes:
        try:
            numbers = core.forward((), _numbers_of(inputs), True)
        except (ValueError, ArithmeticError) as error:
            if notes is not None:
                notes.append(("raises", None, None, True))
            text, of_row, _ = str(error).partition(" (row 0); check=False")
            if of_row:
                raise type(error)(f"{what}: {text}") from None
            raise
    if not any(isinstance(part, (Value, Block)) for part in inputs):
        return numbers.tolist()  # type: ignore[no-any-return]
    outputs = _core.leaves(numbers, Value)
    assert thread.stages is not None
    thread.stages.append(Stage(core, inputs, outputs, len(notes or ())))
    return list(outputs)


def _numbers_of(parts: Sequence[Part]) -> Array:
    found = [np.empty(0)]
    for has_blocks, group in groupby(parts, lambda part: isinstance(part, Block)):
        run: list[Any] = list(group)
        found += [part.numbers.reshape(-1) for part in run] if has_blocks else [data(run)]
    return np.concatenate(found)


def outside(
    outputs: Sequence[Entry], known: Sequence[Value | Block], stages: Sequence[Stage], since: Value | None = None
) -> list[Value]:
    """What outputs are computed from besides known leaves and what stages give.

    Leaves that Python holds, and whatever is older than the result `since` of an operation.
    """
    stages = _needed(outputs, stages, since)
    own = {id(v) for v in known} | {id(v) for stage in stages for v in stage.outputs}
    roots = [*outputs, *(entry for stage in stages for entry in stage.inputs)]
    return [v for v in _core._boundary(roots, [], since) if id(v) not in own]


def composed(outputs: Sequence[Entry], inputs: Sequence[Value | Block], stages: Sequence[Stage]) -> _core._Stage:
    """A stage that computes outputs from inputs, with stages on the way.

    Where there are blocks, the inputs begin with all numbers of the call.
    """
    stages = _needed(outputs, stages, inputs)
    if not stages and not any(isinstance(part, Block) for part in inputs):
        return _core._program_stage(_core._record(list(outputs), [len(outputs)], list(inputs), [], True)[0])
    places: dict[Any, int] = {}
    width = 0
    for part in inputs:
        places[id(part)] = width
        width += _size(part)
    count = width
    steps: list[tuple[_core._Stage, list[Stretch]]] = []
    computed = [part for part in inputs if not isinstance(part, Block)]

    def key(entry: Entry) -> Any:
        return id(entry) if isinstance(entry, Value) else entry.hex()

    def stretch(part: Part) -> Stretch:
        if not isinstance(part, Block):
            return places[key(part)], 1
        if not any(block.holds(part) for block in inputs if isinstance(block, Block)):
            raise Touched(part)  # inside of a gradient, whose inputs are not those of the call
        return part.first, part.size

    def placed(parts: Sequence[Part], is_last: bool = False) -> list[Stretch]:
        """The places of numbers, with a program for those that are not there yet."""
        nonlocal width
        missing = {key(part): part for part in parts if not isinstance(part, Block) and key(part) not in places}
        if missing:
            # And for what later programs may need of the same operations, so that none is repeated.
            shared = [] if is_last else _core._shared_results(list(missing.values()), computed)
            wanted = list((missing | {key(v): v for v in shared}).values())
            used = _core._boundary(wanted, computed, None)
            program = _core._record(wanted, [len(wanted)], used, [], True)[0]
            steps.append((_core._program_stage(program), joined(map(stretch, used))))
            for name in map(key, wanted):
                places[name] = width
                width += 1
            computed.extend([entry for entry in wanted if isinstance(entry, Value)])
        return joined(map(stretch, parts))

    for stage in stages:
        where = placed(stage.inputs)
        steps.append((stage.core, where))
        for v in stage.outputs:
            places[id(v)] = width
            width += 1
    return _core._sequence_stage(count, steps, placed(outputs, is_last=True))


def _size(part: Part) -> int:
    return part.size if isinstance(part, Block) else 1


def joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The same places in fewer stretches."""
    found: list[Stretch] = []
    for first, count in stretches:
        if found and sum(found[-1]) == first:
            found[-1] = (found[-1][0], found[-1][1] + count)
        else:
            found.append((first, count))
    return found


def _needed(
    outputs: Sequence[Entry], stages: Sequence[Stage], before: Value | Sequence[Value | Block] | None
) -> list[Stage]:
    """The stages that outputs are computed from; nobody looks behind what is `before`: known Values, or all older."""
    found: list[Stage] = []
    inner, since = ([], before) if before is None or isinstance(before, Value) else (list(before), None)
    needed = {id(v) for v in _core._boundary(list(outputs), inner, since)} if stages else set()
    for stage in reversed(stages):
        if any(id(v) in needed for v in stage.outputs):
            found.append(stage)
            needed.update([id(v) for v in _core._boundary(stage.inputs, inner, since)])
    return found[::-1]


class Staged:
    """A path with stages: as a `Program`, of one row or many, with the methods that compiled functions need."""

    def __init__(self, outputs: Sequence[Entry], inputs: Sequence[Value | Block], stages: Sequence[Stage]) -> None:
        self._parameters = tuple(outside(outputs, inputs, stages))
        self._core = composed(outputs, [*inputs, *self._parameters], stages)
        self._outputs = self._core.n_outputs
        self._sweeps: dict[tuple[bool, Columns], Sweeps] = {}

    @property
    def nbytes(self) -> int:
        """The memory of the programs and the constants of loops, in bytes."""
        return self._core.nbytes

    def forward(self, x: Array, *, check: bool = True) -> Array:
        """Values, (..., m)."""
        return self._core.forward(self._parameters, x, check)

    def value_and_grad(self, x: Array, *, check: bool = True) -> tuple[Array, Array]:
        """Values and the gradient of their sum."""
        weights = np.ones((*x.shape[:-1], self._outputs))
        return self._core.vjp(self._parameters, x, weights, check)

    def vjp(self, x: Array, v: Array, *, check: bool = True) -> Array:
        """Vector-Jacobian products, (..., n)."""
        return self._core.vjp(self._parameters, x, v, check)[1]

    def jvp(self, x: Array, v: Array, *, check: bool = True) -> Array:
        """Jacobian-vector products, (..., m)."""
        return self._core.jvp(self._parameters, x, v, check)

    def hvp(self, x: Array, v: Array, *, weights: Array | None = None, check: bool = True) -> Array:
        """Products of the Hessian of the weighted sum with vectors, (..., n)."""
        self._check_order()
        lead = (*x.shape[:-1], self._outputs)
        return self._core.hvp(self._parameters, x, v, np.broadcast_to(1.0 if weights is None else weights, lead), check)

    def jacobian(self, x: Array, columns: Columns, *, check: bool = True) -> Array:
        """Jacobians by the inputs in the columns, (..., m, k)."""
        n, m, k = x.shape[-1], self._outputs, width_of(columns)
        if min(m, k) > FEW and (sweeps := self.sweeps(False, columns)).count < min(m, k):
            return sweeps.whole(self.entries(x, False, columns, check=check))
        if m <= k:
            found = self.vjp(_repeated(x, m), _unit(x, np.arange(m), m), check=check)
            return found.reshape(*x.shape[:-1], m, n)[..., places_of(columns)]
        found = self.jvp(_repeated(x, k), _unit(x, places_of(columns), n), check=check)
        return found.reshape(*x.shape[:-1], k, m).swapaxes(-1, -2)

    def hessian(self, x: Array, columns: Columns, *, check: bool = True) -> Array:
        """Hessians of the sum of the outputs by the inputs in the columns, (..., k, k)."""
        n, k = x.shape[-1], width_of(columns)
        self._check_order()
        if k > FEW and (sweeps := self.sweeps(True, columns)).count < k:
            return sweeps.whole(self.entries(x, True, columns, check=check))
        found = self.hvp(_repeated(x, k), _unit(x, places_of(columns), n), check=check)
        return found.reshape(*x.shape[:-1], k, n)[..., places_of(columns)]

    def pattern(self, second: bool, columns: Columns) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Which entries of the Jacobian or, if `second`, the Hessian may differ from zero, as in a CSR matrix."""
        sweeps = self.sweeps(second, columns)
        return sweeps.starts.copy(), sweeps.columns.copy()

    def entries(self, x: Array, second: bool, columns: Columns, *, check: bool = True) -> Array:
        """The entries of the pattern, (..., entries)."""
        sweeps = self.sweeps(second, columns)
        if second:
            return sweeps.entries(x, lambda x, v: self.hvp(x, v, check=check))
        return sweeps.entries(x, lambda x, v: self.jvp(x, v, check=check), lambda x, v: self.vjp(x, v, check=check))

    def sweeps(self, second: bool, columns: Columns) -> Sweeps:
        """What gives the entries, made when first asked for."""
        if second:
            self._check_order()
        found = self._sweeps.get((second, columns))
        if found is None:
            found = self._sweeps[second, columns] = Sweeps(self._core, second, columns)
        return found

    def _check_order(self) -> None:
        if self._core.order < 2:
            raise TypeError(
                "second derivatives of a function that takes a gradient inside would be third ones, which are not "
                "there: write its gradient out, or take the gradient of the whole"
            )


def _repeated(x: Array, count: int) -> Array:
    """Each row so many times."""
    return np.repeat(x.reshape(-1, x.shape[-1]), count, axis=0)


def _unit(x: Array, places: NDArray[np.intp], size: int) -> Array:
    """For each row unit vectors, with the ones at these places."""
    vectors = np.zeros((len(places), size))
    vectors[np.arange(len(places)), places] = 1.0
    return np.tile(vectors, (math.prod(x.shape[:-1]), 1))


def recorded(outputs: Sequence[Entry], inputs: list[Value | Block], stages: Sequence[Stage]) -> Program | Staged:
    """What a trace computes: a program where there are no stages."""
    has_parts = stages or any(isinstance(part, Block) for part in inputs)
    return Staged(outputs, inputs, stages) if has_parts else Program(outputs, inputs=inputs)


# --- guards


class Guards:
    """Guards some of which stand behind stages: a row meets those before a stage first.

    A part has the guards between two stages, and what gives those results of the stages before it that these or later
    ones need, of the call's numbers and the results of earlier parts.
    """

    def __init__(self, notes: list[Any], inputs: list[Value | Block], stages: Sequence[Stage]) -> None:
        ends = np.cumsum([_size(part) for part in inputs], dtype=int)
        known = [part for part in inputs if not isinstance(part, Block)]
        places = [end - 1 for end, part in zip(ends.tolist(), inputs, strict=True) if not isinstance(part, Block)]
        self._columns: Any = slice(None) if len(places) == len(inputs) else places
        self._parts: list[_GuardsBetween] = []
        needed = {id(v) for v in _core._boundary(_operands(notes), [], None)}
        for stage in _needed(_operands(notes), stages, None):
            needed.update([id(v) for v in _core._boundary(stage.inputs, [], None)])
        results: list[Value] = []
        place: dict[int, int] = {}
        first = begin = 0

        def used(roots: list[Any]) -> list[int]:
            """Which results these are computed from."""
            found = [place[id(v)] for v in _core._boundary(roots, [], None) if id(v) in place]
            return sorted(set(found))

        for k in range(len(stages) + 1):
            last = stages[k].notes if k < len(stages) else len(notes)
            if last > first:
                within = stages[begin:k]
                found = [v for stage in within for v in stage.outputs if id(v) in needed]
                before = used([entry for stage in within for entry in stage.inputs])
                program = Staged(found, [*inputs, *(results[j] for j in before)], within) if found else None
                place.update([(id(v), len(results) + j) for j, v in enumerate(found)])
                results += found
                compared = used(_operands(notes[first:last]))
                guards = _core._guards(notes[first:last], [*known, *(results[j] for j in compared)])
                self._parts.append(_GuardsBetween(program, before, guards, compared))
                first, begin = last, k
        self._count = len(results)

    def __len__(self) -> int:
        return sum(len(part.guards) for part in self._parts)

    def holds(self, rows: Array) -> NDArray[np.int8]:
        """Of each row: 1 where it takes this path, 0 where not, -1 where an operation raises on the way."""
        result = np.ones(len(rows), np.int8)
        results = np.empty((len(rows), self._count))
        done = 0
        for program, before, guards, compared in self._parts:
            pending = np.flatnonzero(result == 1)
            if not len(pending):
                break
            if program is not None:
                try:
                    found = program.forward(np.hstack([rows[pending], results[:, before][pending]]))
                except (ValueError, ArithmeticError):
                    if len(rows) == 1:
                        return np.full(1, -1, np.int8)
                    return np.concatenate([self.holds(rows[r : r + 1]) for r in range(len(rows))])
                results[pending, done : done + found.shape[1]] = found
                done += found.shape[1]
            numbers = [rows[:, self._columns][pending], results[:, compared][pending]]
            result[pending] = guards.holds(np.hstack(numbers))
        return result


class _GuardsBetween(NamedTuple):
    """Those between two stages."""

    program: Staged | None
    """Gives the results of the stages before them."""
    before: list[int]
    """The earlier results that it takes, after the numbers of the call."""
    guards: _core._Guards
    compared: list[int]
    """The results that these take."""


def _operands(notes: list[Any]) -> list[Value]:
    return [operand for _, *both, _ in notes for operand in both if isinstance(operand, Value)]


def guards(notes: list[Any], inputs: list[Value | Block], stages: Sequence[Stage]) -> _core._Guards | Guards:
    """The conditions of a path."""
    has_parts = stages or any(isinstance(part, Block) for part in inputs)
    return Guards(notes, inputs, stages) if has_parts else _core._guards(notes, inputs)


# --- structures of numbers and Values


def flattened(thing: Any, parts: list[Any], what: str, others: bool = False, with_blocks: bool = False) -> Structure:
    """The structure of numbers, Values, arrays and containers of them.

    Each number or array is appended to `parts`, as a flat array of floats, or of objects where it holds Values. With
    `with_blocks`, blocks of the trace that runs are as they are. With `others`, all else is constant.
    """
    if isinstance(thing, Block):
        if not with_blocks or thing.stages is not thread.stages:
            raise Touched(thing)
        parts.append(thing)
        return Numbers(thing.shape)
    if isinstance(thing, Value):
        parts.append(_objects([thing]))
        return NUMBER
    if isinstance(thing, (list, tuple)):
        return Listed(type(thing), tuple([flattened(part, parts, what, others, with_blocks) for part in thing]))
    if isinstance(thing, dict):
        return Named(
            tuple(thing), tuple([flattened(part, parts, what, others, with_blocks) for part in thing.values()])
        )
    if isinstance(thing, Narrow):
        refuse(thing, what)
    if isinstance(thing, np.ndarray) and (isinstance(thing, Traced) or thing.dtype == object):
        objects = thing.view(np.ndarray)
        if any(isinstance(entry, Value) for entry in objects.flat):
            parts.append(_objects([v if isinstance(v, Value) else _number(v, what) for v in objects.flat]))
            return Numbers(objects.shape)
        thing = objects
    if thing is None:
        return Static(type(None), None)
    numbers = Collected()
    structure = of_argument(thing, numbers)
    if isinstance(structure, Numbers):
        structure = structure.of_numbers()
        parts.append(np.atleast_1d(numbers[0]))
    elif not others:
        raise TypeError(f"{what} is made of numbers, Values, arrays and containers of them, not of {_kind(thing)}")
    return structure


def _kind(thing: Any) -> str:
    return f"an array of {thing.dtype}" if isinstance(thing, np.ndarray) else type(thing).__name__


def _number(entry: Any, what: str) -> float:
    numbers = Collected()
    if of_argument(entry, numbers).of_numbers() != NUMBER:
        raise TypeError(f"{what} is made of numbers and Values, not of {_kind(entry)}")
    return float(numbers[0])


def _objects(entries: list[Any]) -> NDArray[Any]:
    array = np.empty(len(entries), dtype=object)
    array[:] = entries
    return array


def entries_of(parts: Sequence[NDArray[Any]]) -> list[Entry]:
    """All numbers and Values of flat arrays."""
    return [entry for part in parts for entry in part.tolist()]


def built(structure: Structure, entries: Sequence[Entry]) -> Any:
    """The container of a structure with these numbers and Values."""

    def block(where: slice, shape: Shape) -> Any:
        return array_of(entries[where], shape) if shape else entries[where.start]

    return structure.build(take(block), lambda constant: constant)


def array_of(entries: Sequence[Entry], shape: Shape) -> NDArray[Any]:
    """An array of floats, or of objects where there are Values: one as the trace that runs has them."""
    if not any(isinstance(entry, Value) for entry in entries):
        return np.array(entries, dtype=np.float64).reshape(shape)
    array = _objects(list(entries)).reshape(shape)
    return array if thread.notes is None else array.view(Traced)
