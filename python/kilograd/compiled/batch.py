"""`Batch`: a compiled function over rows, each on its own path."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from kilograd.compiled.calls import Call, Rows
from kilograd.compiled.derivatives import Argnums, Derivatives, hessian_blocks, jacobian_blocks
from kilograd.compiled.only import Only
from kilograd.compiled.path import Path
from kilograd.compiled.structure import (
    Numbers,
    Shape,
    Structure,
    common,
    nothing,
    places,
    plain,
    size_of,
    take,
    width_of,
)
from kilograd.compiled.tracing import add_note
from kilograd.sparse import Stack, csr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kilograd.compiled.function import Compiled
    from kilograd.compiled.structure import Array, Columns, Indices, Positions
    from kilograd.program import Reduce

T = TypeVar("T")
Pattern: TypeAlias = "tuple[NDArray[np.int32], NDArray[np.int32]]"
InAxes: TypeAlias = "Sequence[int | None]"


class Batch(Derivatives[..., "Array"]):
    """A compiled function over rows: each row takes its own path, and rows of one path run together.

    Arrays have one more axis in front, the rows; in containers so does each of them. Numbers, and arguments that are no
    numbers, are the same for all rows. Results have the axis of the rows in front.

    All methods take two keywords more:

    ``in_axes`` : sequence of 0 and None, optional
        For each positional argument whether it has the axis of the rows (0), or is the same for all of them (None), as
        the parameters of a model are.
    ``reduce`` : {"mean", "sum"}, optional
        Give the mean or the sum over the rows. Of a gradient, the parts by arguments that have rows keep their axis:
        they are the derivatives of that mean or sum by the numbers of each row.

    Raises
    ------
    ValueError
        If arrays differ in their number of rows; if rows return results of different structure; if there are no rows
        and no call has yet shown what the function returns.
    TypeError
        If an array of bools has rows: numbers take its place.
    """

    def __init__(self, function: Compiled[..., Any]) -> None:
        self._compiled = function
        self._name, self._argnums = function._name, function._argnums

    def __call__(self, *args: Any, in_axes: InAxes | None = None, reduce: Reduce = None, **kwargs: Any) -> Any:
        """Call the function with each row."""
        rows = self._rows(args, kwargs, in_axes, reduce)
        only = self._only_of(rows, reduce)
        if only is not None and (reduce or rows.columns):
            with suppress(ValueError, ArithmeticError):
                return plain(only.values(rows, reduce))
        call = rows.whole()
        computed = list(self._by_path(call, Path.values))
        structure = self._structure(call, [path for path, *_ in computed])
        count = len(call.x)
        parts = [(where, iter(_leaves_of(path.structure, values))) for path, where, values in computed]

        def column(shape: Shape) -> Any:
            pieces = [(where, next(leaves)) for where, leaves in parts]
            kind = np.result_type(*[piece for _, piece in pieces]) if pieces else np.float64
            out = np.empty((count, *shape), dtype=kind)
            for where, piece in pieces:
                out[where] = piece
            return _reduced(out, reduce)

        return structure.build(column, nothing)

    def value_and_grad(
        self,
        *args: Any,
        argnums: Argnums | None = None,
        in_axes: InAxes | None = None,
        reduce: Reduce = None,
        **kwargs: Any,
    ) -> tuple[Any, Any]:
        """Compute the value of each row, and its gradient by the chosen arguments: see `kilograd.value_and_grad`.

        Returns
        -------
        value : array, (rows,), or a float if reduced
        gradient : array, (rows,) + A
            In the structure of the argument of shape ``A`` in a row, with a sequence of argnums a tuple of these; by an
            argument that all rows share A, if reduced.
        """
        rows = self._rows(args, kwargs, in_axes, reduce)
        positions = self._positions(rows.call, argnums)
        shared = _shared(in_axes)
        only = self._only_of(rows, reduce)
        if only is not None and only.is_number and reduce:
            with suppress(ValueError, ArithmeticError):
                return _reduced_gradient(only, rows, positions, shared, reduce)
        call = rows.whole()
        value, gradient = self._computed(call, Path.value_and_grad, ((), call.x.shape[-1:]))
        if reduce == "mean":
            gradient = gradient / len(gradient)

        def one(i: int) -> Any:
            return call.gradients(i, gradient.sum(axis=0) if reduce and i in shared else gradient)

        gradients = one(positions) if isinstance(positions, int) else tuple([one(i) for i in positions])
        return _reduced(value, reduce), gradients

    def grad(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the gradient alone, as `value_and_grad` does."""
        return self.value_and_grad(*args, **kwargs)[1]

    def jacobian(
        self,
        *args: Any,
        argnums: Argnums | None = None,
        in_axes: InAxes | None = None,
        reduce: Reduce = None,
        sparse: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Compute the Jacobian of each row: see `kilograd.jacobian`.

        Returns
        -------
        array, (rows,) + S + A, or S + A if reduced
            With `sparse`, a `kilograd.sparse.Stack`: the pattern, which is that of all paths that rows take, once, and
            the entries of each row; if reduced, a ``scipy.sparse.csr_array``.
        """
        if sparse:
            return self._sparse(args, kwargs, argnums, False, in_axes, reduce)
        rows = self._rows(args, kwargs, in_axes, reduce)
        positions = self._positions(rows.call, argnums)
        only = self._only_of(rows, reduce)
        if only is not None and (reduce or rows.columns):
            columns, compact = _columns(only, rows, positions, _shared(in_axes))
            with suppress(ValueError, ArithmeticError):
                return jacobian_blocks(Numbers(only.shape), compact, positions, only.jacobians(rows, columns, reduce))
        return _reduced(self._jacobian_of(rows.whole(), positions), reduce)

    def hessian(
        self,
        *args: Any,
        argnums: Argnums | None = None,
        in_axes: InAxes | None = None,
        reduce: Reduce = None,
        sparse: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Compute the Hessian of each row: see `kilograd.hessian`.

        Returns
        -------
        array, (rows,) + A + A, or A + A if reduced
            With `sparse` as in `jacobian`.
        """
        if sparse:
            return self._sparse(args, kwargs, argnums, True, in_axes, reduce)
        rows = self._rows(args, kwargs, in_axes, reduce)
        positions = self._positions(rows.call, argnums)
        only = self._only_of(rows, reduce)
        if only is not None and only.is_number and (reduce or rows.columns):
            columns, compact = _columns(only, rows, positions, _shared(in_axes))
            with suppress(ValueError, ArithmeticError):
                return hessian_blocks(compact, positions, only.hessians(rows, columns, reduce))
        return _reduced(self._hessian_of(rows.whole(), positions), reduce)

    def hvp(  # type: ignore[override]
        self,
        x: Any,
        v: Any,
        *args: Any,
        argnums: Argnums | None = None,
        in_axes: InAxes | None = None,
        reduce: Reduce = None,
        **kwargs: Any,
    ) -> Any:
        """Compute the product of the Hessian of each row with a vector: see `kilograd.hvp`.

        Parameters
        ----------
        x, *args, **kwargs
            The arguments; `in_axes` counts them without the vector.
        v : array_like, (rows,) + A, or A for all rows
            For a container one of that structure, with a sequence of argnums a sequence of them.

        Returns
        -------
        array, (rows,) + A, or A if reduced
        """
        rows = self._rows((x, *args), kwargs, in_axes, reduce)
        return _reduced(self._hvp_of(rows.whole(), self._positions(rows.call, argnums), v), reduce)

    def _rows(
        self, args: Sequence[Any], kwargs: dict[str, Any], in_axes: InAxes | None = None, reduce: Reduce = None
    ) -> Rows:
        if reduce not in (None, "mean", "sum"):
            raise ValueError(f'reduce must be "mean", "sum" or None, not {reduce!r}')
        if in_axes is not None and not isinstance(in_axes, (list, tuple)):
            raise TypeError(f"in_axes is a sequence of 0 and None, one for each positional argument, not {in_axes!r}")
        if in_axes is not None and len(in_axes) != len(args):
            raise ValueError(f"in_axes has {len(in_axes)} entries for {len(args)} positional arguments")
        rows = self._compiled._rows_of(args, kwargs, _shared(in_axes))
        if rows is None:
            raise TypeError("a batch is made of numbers: call the function itself with Values")
        return rows

    def _numbers(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Call:
        return self._rows(args, kwargs).whole()

    def _only_of(self, rows: Rows, reduce: Reduce) -> Only | None:
        """The program of all rows, where they take one path and it has no guards."""
        paths = self._compiled._paths_of(rows.call)
        if reduce and not paths and len(rows.varying):  # a first call adds up as all later ones do
            self._record(rows._replace(varying=rows.varying[:1]).whole(), 0)
            paths = self._compiled._paths_of(rows.call)
        return paths[0].only if len(paths) == 1 else None

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

    def _sparse(
        self,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        argnums: Argnums | None,
        second: bool,
        in_axes: InAxes | None = None,
        reduce: Reduce = None,
    ) -> Any:
        """The Jacobians or, if `second`, Hessians of all rows as a `Stack`, or reduced as one sparse array."""
        rows, shared = self._rows(args, kwargs, in_axes, reduce), _shared(in_axes)
        positions = self._positions(rows.call, argnums)
        chosen = sorted({positions} if isinstance(positions, int) else set(positions))
        in_order = chosen == sorted(chosen, key=lambda i: (i in shared, i))  # as `_columns` has them
        only = self._only_of(rows, reduce)
        if only is not None and (reduce or rows.columns) and in_order and (only.is_number or not second):
            columns, _ = _columns(only, rows, positions, shared)
            with suppress(ValueError, ArithmeticError):
                return _as_sparse(
                    only.entries(rows, second, columns, reduce), *only.pattern(rows, second, columns), columns
                )
        call = rows.whole()
        columns = call.columns(positions)[0]
        computed = list(
            self._by_path(
                call, lambda path, x, check: (path.entries(x, check, second, columns), path.pattern(second, columns))
            )
        )
        paths = [path for path, *_ in computed] or list(self._compiled._paths_of(call)[:1])
        self._structure(call, paths)
        if not computed:
            computed = [(paths[0], np.arange(0), (np.empty((0, 0)), paths[0].pattern(second, columns)))]
        data, starts, indices = _joint(computed, len(call.x), width_of(columns))
        if reduce == "mean" and not len(data):
            raise ValueError("the mean over a batch of no rows")
        if reduce:
            data = data.sum(axis=0) if reduce == "sum" else data.mean(axis=0)
        return _as_sparse(data, starts, indices, columns)

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


def _shared(in_axes: InAxes | None) -> frozenset[int]:
    """The positions of the arguments that all rows share."""
    if in_axes is None:
        return frozenset()
    for axis in in_axes:
        if axis is not None and axis != 0:
            raise ValueError(f"in_axes holds 0, for arguments with the rows in front, and None, not {axis!r}")
    return frozenset([i for i, axis in enumerate(in_axes) if axis is None])


def _starts(call: Call, shared: frozenset[int]) -> list[int]:
    """Where the numbers of each positional argument begin, among those that rows share or those that differ."""
    sizes = [size_of(structure) for structure in call.arguments]
    return [sum([sizes[j] for j in range(i) if (j in shared) == (i in shared)]) for i in range(len(sizes))]


def _columns(only: Only, rows: Rows, positions: Positions, shared: frozenset[int]) -> tuple[Columns, Call]:
    """The columns of arguments in the program that has shared numbers as parameters, and offsets among these."""
    chosen = {positions} if isinstance(positions, int) else set(positions)
    starts = _starts(rows.call, shared)
    columns: list[int] = []
    offsets, size = list(rows.call.offsets), 0
    for i in sorted(chosen, key=lambda i: (i in shared, i)):
        width = size_of(rows.call.arguments[i])
        first = starts[i] + (only.first_column(rows) if i in shared else 0)
        columns += (first, first + width)
        offsets[i] = size
        size += width
    return tuple(columns), rows.call._replace(offsets=tuple(offsets))


def _as_sparse(data: Array, starts: NDArray[np.int32], indices: NDArray[np.int32], columns: Columns) -> Any:
    made = csr if data.ndim == 1 else Stack
    return made(data, starts, indices, width_of(columns))


def _joint(
    computed: list[tuple[Path, Indices, tuple[Array, Pattern]]], count: int, width: int
) -> tuple[Array, NDArray[np.int32], NDArray[np.int32]]:
    """The entries of all rows in the pattern that has the entries of all their paths, and that pattern."""
    numbers = []  # of the entries of each path in the whole matrix
    for _, _, (_, (starts, indices)) in computed:
        row = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        numbers.append(row * width + indices)
    starts, indices = computed[0][2][1]
    together = numbers[0]
    if any(not np.array_equal(together, other) for other in numbers):
        together = np.unique(np.concatenate(numbers))
        starts = np.searchsorted(together, width * np.arange(len(starts))).astype(np.int32)
        indices = (together % width).astype(np.int32)
    data = np.zeros((count, len(together)))
    for own, (_, where, (found, _)) in zip(numbers, computed, strict=True):
        if len(where):
            data[where[:, None], np.searchsorted(together, own)] = found
    return data, starts, indices


def _reduced_gradient(
    only: Only, rows: Rows, positions: Positions, shared: frozenset[int], reduce: Reduce
) -> tuple[float, Any]:
    """The reduced number and its gradient; what all rows share are parameters of the program."""
    chosen = {positions} if isinstance(positions, int) else set(positions)
    wrt = "inputs" if not chosen & shared else "parameters" if chosen <= shared else "both"
    value, by_row, by_shared = only.values_and_grads(rows, wrt, reduce)
    call = rows.call._replace(offsets=tuple(_starts(rows.call, shared)))

    def one(i: int) -> Any:
        return call.gradients(i, by_shared if i in shared else by_row)

    return value, one(positions) if isinstance(positions, int) else tuple([one(i) for i in positions])


def _reduced(result: Any, reduce: Reduce) -> Any:
    """The sum or the mean over the rows of each array of a result."""
    if reduce is None or result is None:
        return result
    if isinstance(result, dict):
        return {key: _reduced(part, reduce) for key, part in result.items()}
    if isinstance(result, tuple) and hasattr(result, "_make"):
        return type(result)._make([_reduced(part, reduce) for part in result])
    if isinstance(result, (list, tuple)):
        return type(result)([_reduced(part, reduce) for part in result])
    if reduce == "mean" and not len(result):
        raise ValueError("the mean over a batch of no rows")
    return plain(result.sum(axis=0) if reduce == "sum" else result.mean(axis=0))


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
