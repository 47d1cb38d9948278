"""`Batch`: a compiled function over rows, each on its own path."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from kilograd.compiled.derivatives import Derivatives
from kilograd.compiled.path import Path
from kilograd.compiled.structure import Call, Shape, Structure, common, nothing, places, size_of, take, width_of
from kilograd.compiled.tracing import add_note

if TYPE_CHECKING:
    from kilograd.compiled.function import Compiled
    from kilograd.compiled.structure import Array, Columns, Indices

T = TypeVar("T")


class Batch(Derivatives[..., "Array"]):
    """A compiled function over rows: each row takes its own path, and rows of one path run together.

    Arrays have one more axis in front, the rows; in containers so does each of them. Numbers, and arguments that are no
    numbers, are the same for all rows. Results have the axis of the rows in front.

    Raises
    ------
    ValueError
        If arrays differ in their number of rows; if rows return results of different structure; if there are no rows
        and no call has yet shown what the function returns.
    """

    def __init__(self, function: Compiled[..., Any]) -> None:
        self._compiled = function
        self._name, self._argnums = function._name, function._argnums

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function with each row."""
        call = self._numbers(args, kwargs)
        computed = list(self._by_path(call, Path.values))
        structure = self._structure(call, [path for path, *_ in computed])
        rows = len(call.x)
        parts = [(where, iter(_leaves_of(path.structure, values))) for path, where, values in computed]

        def column(shape: Shape) -> Any:
            pieces = [(where, next(leaves)) for where, leaves in parts]
            kind = np.result_type(*[piece for _, piece in pieces]) if pieces else np.float64
            out = np.empty((rows, *shape), dtype=kind)
            for where, piece in pieces:
                out[where] = piece
            return out

        return structure.build(column, nothing)

    def _numbers(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Call:
        whole = self._compiled._call_of(args, kwargs)
        if whole is None:
            raise TypeError("a batch is made of numbers: call the function itself with Values")
        return whole.in_rows()

    def _computed(
        self, call: Call, compute: Callable[..., tuple[Array, ...]], shapes: Sequence[Shape], *others: Array
    ) -> tuple[Array, ...]:
        results = tuple([np.empty((len(call.x), *shape)) for shape in shapes])
        for _, where, found in self._by_path(call, compute, *others):
            for result, part in zip(results, found, strict=True):
                result[where] = part
        return results

    def _jacobian(self, call: Call, columns: Columns) -> tuple[Structure, Array]:
        k = width_of(columns)

        def compute(path: Path, x: Array, check: bool) -> Array:
            part = np.zeros((len(x), size_of(path.structure.of_numbers()), k))
            part[:, places(path.structure)] = path.jacobian(x, check, columns)
            return part

        computed = list(self._by_path(call, compute))
        structure = self._structure(call, [path for path, *_ in computed])
        jacobian = np.empty((len(call.x), size_of(structure), k))
        for _, where, part in computed:
            jacobian[where] = part
        return structure, jacobian

    def _structure(self, call: Call, paths: list[Path]) -> Structure:
        """The structure of the result of every row."""
        shown = paths or self._compiled._paths_of(call)[:1]
        if not shown:
            raise ValueError("the structure of the result is not known before a first row: call with one")
        return common([path.structure for path in shown])

    def _by_path(self, call: Call, compute: Callable[..., T], *others: Array) -> Iterator[tuple[Path, Indices, T]]:
        """What ``compute(path, x, check, *others)`` gives for the rows of each path, and which these are."""
        for path, where in self._groups(call):
            try:
                results = compute(path, call.x[where], True, *[other[where] for other in others])
            except (ValueError, ArithmeticError):
                pass
            except TypeError as error:
                if path.refusal:  # the path of one row
                    add_note(error, f"in row {where[0]} of the batch")
                raise
            else:
                yield path, where, results
                continue
            # An operation was refused in some row. The function itself says what that means, row by row.
            for r in where:
                with _row_noted(int(r)):
                    again, row = self._compiled._path(call.row(int(r))), np.array([r])
                    results = compute(again, call.x[row], False, *[other[row] for other in others])
                yield again, row, results

    def _groups(self, call: Call) -> list[tuple[Path, Indices]]:
        """Every row with the path that it takes."""
        groups: list[tuple[Path, Indices]] = []
        raising: list[Indices] = []
        pending = np.arange(len(call.x))

        def assign(path: Path) -> None:
            nonlocal pending
            held = path.holds(call.x[pending])
            if (held == 1).any():
                groups.append((path, pending[held == 1]))
            raising.append(pending[held == -1])
            pending = pending[held == 0]

        for path in self._compiled._paths_of(call):
            if not len(pending):
                break
            assign(path)
        while len(pending):
            first, pending = pending[:1], pending[1:]
            path = self._record(call, int(first[0]))
            groups.append((path, first))
            if path.recordable:
                assign(path)
        for r in np.sort(np.concatenate(raising)) if raising else ():
            groups.append((self._record(call, int(r)), np.array([r])))
        return groups

    def _record(self, call: Call, r: int) -> Path:
        with _row_noted(r):
            return self._compiled._record(call.row(r))


@contextmanager
def _row_noted(r: int) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        add_note(error, f"in row {r} of the batch")
        raise


def _leaves_of(structure: Structure, values: Array) -> list[Any]:
    """The numbers and arrays of a result, constants included, each with the rows in front or as it is for all rows."""
    found: list[Any] = []

    def computed(where: slice, shape: Shape) -> None:
        found.append(values[:, where].reshape(values.shape[:1] + shape))

    structure.build(take(computed), lambda constant: found.append(np.asarray(constant)))
    return found
