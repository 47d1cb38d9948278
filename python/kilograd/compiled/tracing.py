"""Tracing: running a function of numbers with Values in their place, and noting what its path depends on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from kilograd import _core
from kilograd._core import Value
from kilograd.compiled import conditions, names
from kilograd.compiled.blocks import Block, Touched, is_large
from kilograd.compiled.calls import Call
from kilograd.compiled.conditions import thread
from kilograd.compiled.narrow import Narrow
from kilograd.compiled.structure import ArrayShape, Shape, Structure, of_result, shapes_of, take
from kilograd.compiled.traced import Traced

if TYPE_CHECKING:
    from kilograd.compiled.structure import Array

Function: TypeAlias = Callable[..., Any]


def run_traced(
    function: Function,
    call: Call,
    leaves: list[Any],
    notes: list[Any],
    stages: list[Any] | None = None,
    touched: Collection[int] | None = None,
    indexed: set[int] | None = None,
) -> Any:
    """Run a function with Values for the numbers of a call, and note what the path through it depends on.

    The Values are appended to `leaves`; with `touched`, large arrays are blocks, but for those that begin there. With
    `stages`, loops are noted there as stages; `indexed` gets the places of the numbers that became integers.
    """
    places_of_integers = frozenset(call.integers)
    integers: dict[int, int | None] = {}

    def block(where: slice, shape: Shape) -> Any:
        if stages is not None and touched is not None and where.start not in touched and is_large(shape):
            leaves.append(Block(where.start, call.x[where].reshape(shape), stages))
            return leaves[-1]
        own = [Value(number) for number in call.x[where].tolist()]
        leaves.extend(own)
        if places_of_integers:
            places = [place if place in places_of_integers else None for place in range(where.start, where.stop)]
            integers.update(zip(map(id, own), places, strict=True))
        if not shape and not isinstance(shape, ArrayShape):
            return own[0]
        array = np.empty(len(own), dtype=object)
        array[:] = own
        array = array.reshape(shape)
        if isinstance(shape, ArrayShape) and shape.kind is not None:
            return Narrow.of(array, shape.kind, call.names_of([where.start]))
        return array.view(Traced)

    arguments, keywords = call.built(take(block))
    before = _core._trace_into(notes), thread.notes, thread.integers, thread.indexed, thread.stages
    thread.depth += 1
    thread.notes = notes
    thread.integers = integers
    thread.indexed = set() if indexed is None else indexed
    thread.stages = stages
    try:
        with np.errstate(all="ignore"):  # what NaN does is no fault of the function's
            return names.run_with_others(function, arguments, keywords, bool(call.integers))
    except (TypeError, AttributeError) as error:
        add_note(
            error,
            f"kilograd.compile ran {name_of(function)} with Values in place of its numbers, to record it. A number "
            "that has to stay one (a count, an index) is passed as an integer, or belongs in static_argnums.",
        )
        if named := call.names_of(call.integers):
            add_note(
                error,
                f"Of integers, as {named}, int(k) is one to all functions; each value is then a path of its own.",
            )
        raise
    except IndexError as error:
        if call.integers:
            add_note(
                error,
                "An array of integers that is an argument indexes arrays that are recorded; of others take "
                "numpy.take(table, k), or numpy.array(table)[k].",
            )
        raise
    finally:
        thread.refused |= bool(notes) and notes[-1][0] == "raises"
        thread.depth -= 1
        _, thread.notes, thread.integers, thread.indexed, thread.stages = before
        _core._trace_into(before[0])


def without_notes(function: Function) -> Function:
    """Wrap a function whose checks of its arguments are known to pass: a trace does not note them."""

    def run(*arguments: Any) -> Any:
        notes = _core._trace_into(None)
        if notes is None:
            return function(*arguments)
        _core._trace_into([])
        try:
            return function(*arguments)
        finally:
            _core._trace_into(notes)

    return run


class Trace(NamedTuple):
    """What a function was given, what its path depends on, and what it returned: Values, in a structure."""

    leaves: list[Any]  # Values and blocks
    notes: list[Any]
    outputs: list[Any]
    structure: Structure
    dead: int = 0  # how many operations nothing needs
    stages: Sequence[Any] = ()
    indexed: Sequence[int] = ()  # the places of the arguments that became integers, which guards hold as they were
    told: bool = False  # whether texts were made of numbers

    @property
    def numbers(self) -> list[Any]:
        """What was computed, as numbers."""
        return [v.data if isinstance(v, Value) else v for v in self.outputs]


def trace(function: Function, call: Call, with_blocks: bool = False) -> Trace:
    """Trace a function; one that chooses by comparisons once more, for fewer guards and so fewer paths.

    The second trace, with conditions in place of bools, counts only where it went as the first did. With `with_blocks`,
    large arrays are blocks where that is enough.
    """
    touched: set[int] = set()
    while with_blocks and any(is_large(shape) for part in call.structures() for shape in shapes_of(part)):
        try:
            return _traced(function, call, touched)
        except Touched as signal:
            touched.add(signal.argument)
        except Exception:  # which may be one of blocks
            break
    return _traced(function, call, None)


def _traced(function: Function, call: Call, touched: Collection[int] | None) -> Trace:
    thread.chose = False
    first = _traced_into([], function, call, touched)
    if not thread.chose:
        return first
    notes = conditions.Notes()
    try:
        second = _traced_into(notes, function, call, touched)
    except Exception:  # whatever cannot be done with a condition could be done with the bool
        return first
    sound = notes.is_sound
    notes.made.clear()  # they hold numbers of the trace, which would count as parameters
    if sound and len(notes) < len(first.notes) and _look_alike(first, second):
        return second._replace(notes=list(notes))
    return first


def _traced_into(notes: list[Any], function: Function, call: Call, touched: Collection[int] | None) -> Trace:
    leaves: list[Any] = []
    outputs: list[Any] = []
    stages: list[Any] = []
    thread.told = False
    dead = _core._dead_interior()
    indexed: set[int] = set()
    structure = of_result(run_traced(function, call, leaves, notes, stages, touched, indexed), outputs)
    dead = _core._dead_interior() - dead
    return Trace(leaves, notes, outputs, structure, dead, stages, sorted(indexed), thread.told)


def with_numbers(function: Function, call: Call, indexed: Sequence[int] = ()) -> Trace:
    """Run a function with its numbers, which at some places are integers."""
    outputs: list[Any] = []
    arguments, keywords = call.with_numbers(indexed)
    stages, thread.stages = thread.stages, None
    thread.depth += 1
    try:
        with np.errstate(all="ignore"):
            result = function(*arguments, **keywords)
    finally:
        thread.depth -= 1
        thread.stages = stages
    return Trace([], [], outputs, of_result(result, outputs))


def flat(trace: Trace) -> tuple[Any, Array]:
    """What a trace returned, computed or constant: the structure, and all its numbers."""
    values = trace.numbers
    numbers: list[Array] = []
    shown = trace.structure.build(take(lambda s, shape: np.reshape(values[s], shape)), np.asarray)
    return _flattened(shown, numbers), np.concatenate([*numbers, np.empty(0)])


def _flattened(result: Any, numbers: list[Any]) -> Any:
    """The structure of a result that has arrays in place of its numbers, which are appended to a list as vectors."""
    if isinstance(result, dict):
        return dict, [(key, _flattened(part, numbers)) for key, part in result.items()]
    if not isinstance(result, np.ndarray):
        return type(result), [_flattened(part, numbers) for part in result]
    if result.dtype.kind not in "biuf":
        return result.shape, result.tolist()
    numbers.append(result.astype(np.float64).reshape(-1))
    return result.shape


def _look_alike(first: Trace, second: Trace) -> bool:
    """Whether two traces returned the same numbers, computed or constant, in the same structure."""
    (one, x), (other, y) = flat(first), flat(second)
    return one == other and np.array_equal(x, y, equal_nan=True)


def name_of(function: Function) -> str:
    """How messages name a function."""
    return getattr(function, "__qualname__", None) or repr(function)


def add_note(error: BaseException, text: str) -> None:
    """Say more about an error, where Python can."""
    if sys.version_info >= (3, 11):
        error.add_note(text)
