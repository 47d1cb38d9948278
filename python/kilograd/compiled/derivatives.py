"""A function of numbers and its derivatives, over one row of numbers or over many: what is the same for both."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeAlias, TypeVar, overload

import numpy as np

from kilograd.compiled.calls import Call, call_of
from kilograd.compiled.conditions import thread
from kilograd.compiled.only import Only
from kilograd.compiled.path import Path
from kilograd.compiled.structure import Positions, Shape, Structure, plain, shapes_of, take, width_of

if TYPE_CHECKING:
    from kilograd.compiled.structure import Array, Columns

Argnums: TypeAlias = "int | Sequence[int]"
P = ParamSpec("P")  # the arguments of a function that is compiled
Q = ParamSpec("Q")  # its arguments but for the first
X = TypeVar("X")  # the first
N = TypeVar("N")  # its number: a float, or an array with one for each row


class Derivatives(ABC, Generic[P, N]):
    """The derivatives of a function, of `Compiled` at the numbers of a call, of `Batch` at those of each row.

    Of a batch, arrays have one more axis in front, the rows, in the arguments and in the results.
    """

    _name: str
    _argnums: Argnums

    # To mypy an overload with `argnums` beside the function's own arguments is unsafe, as one of them may have that
    # name: it is then the method's.

    @overload
    def value_and_grad(self, *args: P.args, **kwargs: P.kwargs) -> tuple[N, Any]: ...
    @overload
    def value_and_grad(self, *args: Any, argnums: Argnums | None, **kwargs: Any) -> tuple[N, Any]: ...
    def value_and_grad(self, *args: Any, argnums: Argnums | None = None, **kwargs: Any) -> tuple[N, Any]:  # type: ignore[misc]
        """Compute the value, and the gradient by the chosen arguments: see `kilograd.value_and_grad`.

        A float, or an array of shape (rows,); the gradient of a row is that by its own numbers.
        """
        if thread.stages is not None:
            return self._value_and_grad_in_trace(args, kwargs, self._argnums if argnums is None else argnums)
        if argnums is None and not kwargs and (only := self._only(args)) is not None and only.is_number:
            try:
                return only.value_and_grad(args[0])  # type: ignore[return-value]
            except (ValueError, ArithmeticError):
                pass
        call = self._numbers(args, kwargs)
        positions = self._positions(call, argnums)
        value, gradient = self._computed(call, Path.value_and_grad, ((), call.x.shape[-1:]))
        return plain(value), call.gradients(positions, gradient)

    @overload
    def grad(self, *args: P.args, **kwargs: P.kwargs) -> Any: ...
    @overload
    def grad(self, *args: Any, argnums: Argnums | None, **kwargs: Any) -> Any: ...
    def grad(self, *args: Any, argnums: Argnums | None = None, **kwargs: Any) -> Any:  # type: ignore[misc]
        """Compute the gradient by the chosen arguments, each of the structure and shape of its argument."""
        return self.value_and_grad(*args, argnums=argnums, **kwargs)[1]

    @overload
    def jacobian(self, *args: P.args, **kwargs: P.kwargs) -> Any: ...
    @overload
    def jacobian(self, *args: Any, argnums: Argnums | None = None, sparse: bool = False, **kwargs: Any) -> Any: ...
    def jacobian(self, *args: Any, argnums: Argnums | None = None, sparse: bool = False, **kwargs: Any) -> Any:  # type: ignore[misc]
        """Compute the Jacobian: see `kilograd.jacobian`.

        Parameters
        ----------
        *args, **kwargs
            The arguments; of a batch, with the rows in front.
        argnums : int or sequence of int, optional
            The positional arguments to differentiate by, by default those of `compile`.
        sparse : bool, default False
            Give a ``scipy.sparse.csr_array`` with a row for each number of the result, which is one array, and a column
            for each of the chosen arguments, with the pattern that `sparsity` tells; of a batch a
            `kilograd.sparse.Stack`.

        Returns
        -------
        array, S + A, or of a batch (rows,) + S + A
            For a result of shape ``S`` and an argument of shape ``A`` in each row. Where the function returns a
            container, one of these for each of its entries; with a sequence of argnums tuples of these. Zeros where the
            path gives a constant.
        """
        if argnums is None and not sparse and not kwargs and (only := self._only(args)) is not None:
            try:
                return only.jacobian(args[0])
            except (ValueError, ArithmeticError):
                pass
        if sparse:
            return self._sparse(args, kwargs, argnums, False)
        call = self._numbers(args, kwargs)
        return self._jacobian_of(call, self._positions(call, argnums))

    @overload
    def hessian(self, *args: P.args, **kwargs: P.kwargs) -> Any: ...
    @overload
    def hessian(self, *args: Any, argnums: Argnums | None = None, sparse: bool = False, **kwargs: Any) -> Any: ...
    def hessian(self, *args: Any, argnums: Argnums | None = None, sparse: bool = False, **kwargs: Any) -> Any:  # type: ignore[misc]
        """Compute the Hessian: see `kilograd.hessian`; with `sparse` as in `jacobian`."""
        if argnums is None and not sparse and not kwargs and (only := self._only(args)) is not None and only.is_number:
            try:
                return only.hessian(args[0])
            except (ValueError, ArithmeticError):
                pass
        if sparse:
            return self._sparse(args, kwargs, argnums, True)
        call = self._numbers(args, kwargs)
        return self._hessian_of(call, self._positions(call, argnums))

    @overload
    def hvp(self: Derivatives[Concatenate[X, Q], N], x: X, v: Any, /, *args: Q.args, **kwargs: Q.kwargs) -> Any: ...
    @overload
    def hvp(self, x: Any, v: Any, /, *args: Any, argnums: Argnums | None, **kwargs: Any) -> Any: ...
    def hvp(self, x: Any, v: Any, *args: Any, argnums: Argnums | None = None, **kwargs: Any) -> Any:  # type: ignore[misc]
        """Compute the product of the Hessian with a vector, without the Hessian: see `kilograd.hvp`.

        Parameters
        ----------
        x, *args, **kwargs
            The arguments; of a batch, with the rows in front.
        v : array_like, A, or of a batch (rows,) + A
            The vector for an argument of shape ``A``; of a batch row by row, or one for all rows. For a container one
            of that structure, with a sequence of argnums a sequence of them.
        argnums : int or sequence of int, optional
            The positional arguments to differentiate by, by default those of `compile`.

        Returns
        -------
        array, A, or of a batch (rows,) + A
            In the structure of the argument; with a sequence of argnums a tuple of these.
        """
        call = self._numbers((x, *args), kwargs)
        return self._hvp_of(call, self._positions(call, argnums), v)

    def _jacobian_of(self, call: Call, positions: Positions) -> Any:
        columns, compact = call.columns(positions)
        structure, jacobian = self._jacobian(call, columns)
        return jacobian_blocks(structure, compact, positions, jacobian)

    def _hessian_of(self, call: Call, positions: Positions) -> Any:
        columns, compact = call.columns(positions)

        def compute(path: Path, x: Array, check: bool) -> tuple[Array, ...]:
            return path.hessian(x, check, columns)

        k = width_of(columns)
        (hessian,) = self._computed(call, compute, ((k, k),))
        return hessian_blocks(compact, positions, hessian)

    def _hvp_of(self, call: Call, positions: Positions, v: Any) -> Any:
        vector = _vector(call, positions, v)
        (product,) = self._computed(call, Path.hvp, (call.x.shape[-1:],), vector)
        return call.gradients(positions, product)

    def _only(self, args: Sequence[Any]) -> Only | None:
        """The program of a call with one array of floats, where all such calls take one path."""
        return None

    @abstractmethod
    def _numbers(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Call:
        """The structure of a call in one row, and its numbers, or a TypeError where they hold Values."""

    @abstractmethod
    def _computed(
        self, call: Call, compute: Callable[..., tuple[Array, ...]], shapes: Sequence[Shape], *others: Array
    ) -> tuple[Array, ...]:
        """What ``compute(path, x, check, *others)`` gives on the path of each row, of these shapes in each."""

    @abstractmethod
    def _jacobian(self, call: Call, columns: Columns) -> tuple[Structure, Array]:
        """The structure of the result, and the derivatives of all of its numbers by those in the columns."""

    def _value_and_grad_in_trace(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], argnums: Argnums
    ) -> tuple[Any, Any]:
        """The same while a function that is compiled is recorded, with Values."""
        self._numbers(args, kwargs)  # which refuses
        raise AssertionError

    @abstractmethod
    def _sparse(self, args: Sequence[Any], kwargs: dict[str, Any], argnums: Argnums | None, second: bool) -> Any:
        """The Jacobian or, if `second`, the Hessian as a sparse array."""

    def _positions(self, call: Call, argnums: Argnums | None) -> Positions:
        chosen = self._argnums if argnums is None else checked_argnums(argnums, "argnums")
        count = len(call.arguments)

        def position(i: int) -> int:
            if not -count <= i < count:
                raise ValueError(f"argnums names argument {i}, and {self._name} was given {count} by position")
            if not shapes_of(call.arguments[i]):
                raise TypeError(f"argument {i} of {self._name} holds no numbers to differentiate by")
            return i % count

        return position(chosen) if isinstance(chosen, int) else tuple([position(i) for i in chosen])


def checked_argnums(argnums: Argnums, what: str) -> Positions:
    """The numbers of arguments as they are used, or a TypeError that names them as `what`."""
    if isinstance(argnums, int) and not isinstance(argnums, bool):
        return argnums
    try:
        numbers = tuple(argnums)  # type: ignore[arg-type]
    except TypeError:
        numbers = (None,)  # type: ignore[assignment]
    if (what == "argnums" and not numbers) or not all(isinstance(i, int) for i in numbers):
        raise TypeError(f"{what} is the number of an argument or a sequence of them, not {argnums!r}")
    return numbers


def _vector(call: Call, positions: Positions, v: Any) -> Array:
    """The numbers of a vector by which `hvp` multiplies, zeros for other arguments; in a batch for each row."""
    vector = np.zeros(call.x.shape)
    rows = call.x.shape[:-1]
    parts = (v,) if isinstance(positions, int) else tuple(v)
    chosen = (positions,) if isinstance(positions, int) else positions
    if len(parts) != len(chosen):
        raise ValueError(f"hvp: {len(chosen)} arguments were chosen, and {len(parts)} vectors given")
    for part, position in zip(parts, chosen, strict=True):
        given = call_of((part,), {})
        if given is None:
            raise TypeError("hvp: the vector is made of numbers, not of Values")
        found, wanted = shapes_of(given.arguments[0]), shapes_of(call.arguments[position])
        lead = rows if found == [rows + shape for shape in wanted] else ()
        if found != [lead + shape for shape in wanted]:
            by_row = f" in each row, {[rows + shape for shape in wanted]} in all" if rows else ""
            raise ValueError(f"hvp: the vector has the shapes {found}, the argument {wanted}{by_row}")
        numbers, start = given.x, call.offsets[position]
        for shape in wanted:
            size, many = math.prod(shape), math.prod(lead + shape)
            vector[..., start : start + size] += numbers[:many].reshape((*lead, size))
            numbers, start = numbers[many:], start + size
    return vector


def jacobian_blocks(structure: Structure, call: Call, positions: Positions, jacobian: Array) -> Any:
    """A Jacobian in the structure of the result, each part in that of the chosen arguments."""
    lead = jacobian.shape[:-2]

    def block(r: slice, shape: Shape) -> Any:
        return call.by_argument(positions, lambda c, s: plain(jacobian[..., r, c].reshape(lead + shape + s)))

    def constant(result: Any) -> Any:
        if not isinstance(result, (int, float, np.number, np.ndarray)):
            return None
        return call.by_argument(positions, lambda _, s: plain(np.zeros(np.shape(result) + s)))

    return structure.build(take(block), constant)


def hessian_blocks(call: Call, positions: Positions, hessian: Array) -> Any:
    """A Hessian in the structure of the chosen arguments, twice."""
    lead = hessian.shape[:-2]

    def rows(r: slice, shape: Shape) -> Any:
        return call.by_argument(positions, lambda c, s: plain(hessian[..., r, c].reshape(lead + shape + s)))

    return call.by_argument(positions, rows)
