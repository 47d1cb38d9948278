"""Calls: the structures of the arguments, and their numbers as one vector, or one for each row of a batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kilograd.compiled.structure import (
    NUMBER,
    ArrayShape,
    Collected,
    Columns,
    HoldsValues,
    Leaf,
    Numbers,
    Positions,
    Shape,
    Structure,
    copied,
    is_foreign,
    nothing,
    of_argument,
    plain,
    shapes_of,
    size_of,
    static_of,
    take,
)

if TYPE_CHECKING:
    from kilograd.compiled.structure import Array


class Call(NamedTuple):
    """The arguments of a call: their structure, and their numbers in one vector (or one row of it for each row)."""

    arguments: tuple[Structure, ...]
    keywords: tuple[tuple[str, Structure], ...]
    offsets: tuple[int, ...]
    x: Array
    integers: tuple[int, ...] = ()  # the places of those that were integers: such a number may be an index

    @property
    def signature(self) -> tuple[Any, ...]:
        """What calls on the same paths have in common."""
        return (self.arguments, self.keywords)

    def names_of(self, numbers: Sequence[int]) -> str:
        """The arguments that numbers are in, as messages name them."""
        parts = [(f"argument {i}", part) for i, part in enumerate(self.arguments)] + list(self.keywords)
        ends = np.cumsum([size_of(part) for _, part in parts])
        places = np.searchsorted(ends, numbers, side="right")
        return ", ".join([parts[k][0] for k in sorted(set(places.tolist()))])

    def places_of_narrow(self) -> list[int]:
        """The numbers that are integers of fewer than 64 bits."""
        found: list[int] = []

        def block(where: slice, shape: Shape) -> None:
            if isinstance(shape, ArrayShape) and shape.kind is not None:
                found.extend(range(where.start, where.stop))

        self.built(take(block))
        return found

    def structures(self) -> list[Structure]:
        """Of all arguments."""
        return [*self.arguments, *(structure for _, structure in self.keywords)]

    def row(self, r: int) -> Call:
        """The call of one of the rows."""
        return self._replace(x=self.x[r])

    def built(self, leaf: Leaf) -> tuple[list[Any], dict[str, Any]]:
        """The arguments, with `leaf(shape)` for their numbers."""
        arguments = [structure.build(leaf, copied) for structure in self.arguments]
        return arguments, {name: structure.build(leaf, copied) for name, structure in self.keywords}

    def with_numbers(self, indexed: Sequence[int] = ()) -> tuple[list[Any], dict[str, Any]]:
        """The arguments as they were passed, in copies, as floats, and as integers from these places on."""

        def block(where: slice, shape: Shape) -> Any:
            numbers = self.x[where].reshape(shape)
            if isinstance(shape, ArrayShape) and shape.kind is not None:
                numbers = np.rint(numbers).astype(shape.kind)
                return numbers if shape else numbers[()]
            numbers = np.rint(numbers).astype(np.int64) if where.start in indexed else numbers.copy()
            return numbers if numbers.ndim or isinstance(shape, ArrayShape) else numbers.item()

        return self.built(take(block))

    def by_argument(self, positions: Positions, block: Callable[[slice, Shape], Any]) -> Any:
        """`block(columns, shape)` for the numbers of the chosen arguments, in the structure of the arguments."""

        def one(i: int) -> Any:
            return self.arguments[i].build(take(block, self.offsets[i]), nothing)

        return one(positions) if isinstance(positions, int) else tuple([one(i) for i in positions])

    def gradients(self, positions: Positions, gradient: Array) -> Any:
        """The entries of gradients by all numbers, in the structure of the chosen arguments."""
        lead = gradient.shape[:-1]
        return self.by_argument(positions, lambda s, shape: plain(gradient[..., s].reshape(lead + shape)))

    def columns(self, positions: Positions) -> tuple[Columns, Call]:
        """The numbers of the chosen arguments, and the call with offsets that count these alone."""
        chosen = (positions,) if isinstance(positions, int) else positions
        columns: list[int] = []
        offsets, size = list(self.offsets), 0
        for i in sorted(set(chosen)):
            width = size_of(self.arguments[i])
            columns += (self.offsets[i], self.offsets[i] + width)
            offsets[i] = size
            size += width
        return tuple(columns), self._replace(offsets=tuple(offsets))


_NO_NUMBERS = np.empty(0)


class Rows(NamedTuple):
    """The numbers of a batch."""

    call: Call
    """Of one row, without numbers of its own."""
    varying: Array
    """Those that differ from row to row, (rows, k)."""
    fixed: Array
    """Those that all rows share."""
    columns: Columns
    """Where these stand among the numbers of a row."""

    def whole(self) -> Call:
        """The call of a row, with the numbers of all rows, (rows, n)."""
        if not self.columns:
            return self.call._replace(x=self.varying)
        rows, k = self.varying.shape
        x = np.empty((rows, k + len(self.fixed)))
        is_fixed = np.zeros(x.shape[1], dtype=bool)
        for first, last in zip(self.columns[::2], self.columns[1::2], strict=True):
            is_fixed[first:last] = True
        x[:, is_fixed] = self.fixed
        x[:, ~is_fixed] = self.varying
        return self.call._replace(x=x)


def call_of(
    args: Sequence[Any],
    kwargs: dict[str, Any],
    static_argnums: Sequence[int] = (),
    static_names: frozenset[str] = frozenset(),
) -> Call | None:
    """The structure and the numbers of arguments, or None where they hold Values."""
    if not kwargs and not static_argnums and (call := _call_of_floats(args)) is not None:
        return call
    numbers = Collected()
    call = _call_without_numbers(args, kwargs, static_argnums, static_names, numbers)
    if call is None:
        return None
    integers = numbers.places_of_integers() if numbers.integers else ()
    return call._replace(x=joined(numbers), integers=integers)


def _call_of_floats(args: Sequence[Any]) -> Call | None:
    """The common call, of floats and arrays of floats, without the bookkeeping."""
    structures: list[Structure] = []
    offsets: list[int] = []
    size = 0
    for x in args:
        offsets.append(size)
        if type(x) is np.ndarray and x.dtype == np.float64 and x.ndim:
            structures.append(Numbers(x.shape))
            size += x.size
        elif type(x) is float:
            structures.append(NUMBER)
            size += 1
        else:
            return None
    if len(args) == 1 and type(args[0]) is not float:
        numbers = args[0].reshape(-1)
    else:
        numbers = np.empty(size)
        for first, x in zip(offsets, args, strict=True):
            if type(x) is float:
                numbers[first] = x
            else:
                numbers[first : first + x.size] = x.reshape(-1)
    return Call(tuple(structures), (), tuple(offsets), numbers)


def _call_without_numbers(
    args: Sequence[Any],
    kwargs: dict[str, Any],
    static_argnums: Sequence[int],
    static_names: frozenset[str],
    numbers: Collected,
) -> Call | None:
    structures: list[Structure] = []
    offsets: list[int] = []
    size = counted = 0
    try:
        for i, argument in enumerate(args):
            offsets.append(size)
            if i in static_argnums:
                structures.append(static_of(argument))
                continue
            structures.append(of_argument(argument, numbers))
            for part in numbers[counted:]:
                size += 1 if isinstance(part, float) else part.size
            counted = len(numbers)
        keywords = tuple(
            [
                (name, static_of(kwargs[name]) if name in static_names else of_argument(kwargs[name], numbers))
                for name in sorted(kwargs)
            ]
        )
    except HoldsValues:
        return None
    return Call(tuple(structures), keywords, tuple(offsets), _NO_NUMBERS)


def rows_of(
    args: Sequence[Any],
    kwargs: dict[str, Any],
    static_argnums: Sequence[int],
    static_names: frozenset[str],
    shared: frozenset[int],
) -> Rows | None:
    """The numbers of all rows of a batch, whose arrays have the rows in front, or None where arguments hold Values.

    Parameters
    ----------
    shared : set of int
        The positional arguments that are the same in all rows, and have no such axis.

    Raises
    ------
    ValueError
        If arrays differ in their number of rows.
    """
    args = [np.asarray(a) if i not in shared and is_foreign(a) else a for i, a in enumerate(args)]
    if not kwargs and not static_argnums and (found := _rows_of_floats(args, shared)) is not None:
        return found
    numbers = Collected()
    call = _call_without_numbers(args, kwargs, static_argnums, static_names, numbers)
    if call is None:
        return None
    by_row = [(structure, i in shared) for i, structure in enumerate(call.arguments)]
    by_row += [(structure, False) for _, structure in call.keywords]
    shapes = [(shape, is_shared) for structure, is_shared in by_row for shape in shapes_of(structure)]
    counts = {shape[0] for shape, is_shared in shapes if shape and not is_shared}
    if len(counts) != 1:
        raise ValueError(f"the arrays of a batch have one number of rows, not {sorted(counts) or 'no rows at all'}")
    rows, size = counts.pop(), 0
    varying: list[Array] = []
    fixed: list[Any] = []
    columns: list[int] = []
    integers: list[int] = []
    for k, ((shape, is_shared), part) in enumerate(zip(shapes, numbers, strict=True)):
        width = math.prod(shape if is_shared else shape[1:])
        if is_shared:
            fixed.append(part)
            columns += (size, size + width)
        else:
            varying.append(part.reshape(rows, width) if shape else np.full((rows, 1), part))
        if k in numbers.integers:
            integers += range(size, size + width)
        size += width
    arguments = tuple([structure if i in shared else structure.of_row() for i, structure in enumerate(call.arguments)])
    keywords = tuple([(name, structure.of_row()) for name, structure in call.keywords])
    sizes = [size_of(structure) for structure in arguments]
    return Rows(
        Call(arguments, keywords, tuple([sum(sizes[:i]) for i in range(len(sizes))]), _NO_NUMBERS, tuple(integers)),
        varying[0] if len(varying) == 1 else np.concatenate(varying, axis=1),
        joined(fixed),
        tuple(columns),
    )


def _rows_of_floats(args: Sequence[Any], shared: frozenset[int]) -> Rows | None:
    """The common batch, of arrays of floats, without the bookkeeping."""
    structures: list[Structure] = []
    offsets: list[int] = []
    varying: list[Array] = []
    fixed: list[Any] = []
    columns: list[int] = []
    size, rows = 0, -1
    for i, x in enumerate(args):
        if type(x) is not np.ndarray or x.dtype != np.float64 or not x.ndim:
            return None
        offsets.append(size)
        shape, first = x.shape, size
        if i in shared:
            size += x.size
            fixed.append(x.reshape(-1))
            columns += (first, size)
        else:
            if rows not in (-1, shape[0]):
                return None
            rows, shape = shape[0], shape[1:]
            size += math.prod(shape)
            varying.append(x.reshape(rows, size - first))
        structures.append(Numbers(shape))
    if not varying:
        return None
    together = varying[0] if len(varying) == 1 else np.concatenate(varying, axis=1)
    return Rows(Call(tuple(structures), (), tuple(offsets), _NO_NUMBERS), together, joined(fixed), tuple(columns))


def joined(numbers: list[Any]) -> Array:
    """Floats and flat arrays as one vector."""
    if len(numbers) == 1 and not isinstance(numbers[0], float):
        return numbers[0]  # type: ignore[no-any-return]
    if all(isinstance(part, float) for part in numbers):
        return np.array(numbers, dtype=np.float64)
    return np.concatenate([np.atleast_1d(part) for part in numbers])
