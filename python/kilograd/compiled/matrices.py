"""Functions of whole matrices as stages: what NumPy's LAPACK and SciPy do in one call, with their derivatives.

Each `Operation` is of stacks, with a matrix for each row of a batch, and has what a stage needs: its value, its
tangent, its adjoint, and how the adjoint changes along tangents, from which second derivatives come. All but the value
follow from solutions with the same matrix, in a few products and calls of LAPACK.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from kilograd import _core
from kilograd.compiled.conditions import thread
from kilograd.compiled.stages import staged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kilograd.compiled.structure import Shape
    from kilograd.compiled.traced import Objects

Array: TypeAlias = "NDArray[Any]"
Arrays: TypeAlias = "tuple[Array, ...]"
Group: TypeAlias = "tuple[Array, Array, bool]"

__all__ = ["CHOLESKY", "EXPONENTIAL", "LEAST_SQUARES", "LOG_DETERMINANT", "SOLVE", "RankError", "computed"]


def computed(operation: Operation, *operands: Objects) -> Objects:
    """What an operation gives for arrays of Values and floats: a stage of the trace that runs."""
    assert thread.stages is not None
    shapes = [operand.shape for operand in operands]
    call = _Call(operation, shapes)
    inputs = [entry for operand in operands for entry in operand.reshape(-1).tolist()]
    core = _core._python_stage(call, len(inputs), math.prod(call.result))
    found = np.empty(math.prod(call.result), dtype=object)
    found[:] = staged(core, inputs, operation.name)
    return found.reshape(call.result)


class Operation(ABC):
    """A function of arrays to an array, over rows: all arrays have one dimension more, the first."""

    name: str

    @abstractmethod
    def shape(self, *operands: Shape) -> Shape:
        """Of the result."""

    @abstractmethod
    def value(self, *x: Array) -> Array: ...

    @abstractmethod
    def tangent(self, x: Arrays, y: Array, dx: Arrays) -> Array:
        """The change of the result y with the operands."""

    @abstractmethod
    def adjoint(self, x: Arrays, y: Array, w: Array) -> Arrays:
        """The gradient of the sum of w * y, by each operand."""

    @abstractmethod
    def change(self, x: Arrays, y: Array, dx: Arrays, w: Array, dw: Array) -> tuple[Arrays, Arrays]:
        """The adjoint, and its change with the operands and the weights."""

    def groups(self, places: Arrays, result: Array) -> list[Group]:
        """What depends on what, among the places of operands and those of the result: see `_Call.groups`."""
        return [(_joint(places), result.reshape(-1), False)]


class _Call:
    """An operation of operands of these shapes, as a stage of Python; it remembers the result of the last rows."""

    def __init__(self, operation: Operation, shapes: Sequence[Shape]) -> None:
        self.operation = operation
        self.shapes = shapes
        self.result = operation.shape(*shapes)
        self.last: tuple[Array, Array] | None = None

    def forward(self, rows: Array) -> Array:
        y = self.operation.value(*self._parts(rows))
        self.last = rows, y
        return _flat(y)

    def jvp(self, rows: Array, tangents: Array) -> Array:
        x = self._parts(rows)
        return _flat(self.operation.tangent(x, self._value(rows, x), self._parts(tangents)))

    def vjp(self, rows: Array, weights: Array) -> Array:
        x = self._parts(rows)
        return _joined(self.operation.adjoint(x, self._value(rows, x), self._weights(weights)))

    def second(self, rows: Array, tangents: Array, weights: Array, changes: Array) -> tuple[Array, Array]:
        x = self._parts(rows)
        w, dw = self._weights(weights), self._weights(changes)
        adjoint, change = self.operation.change(x, self._value(rows, x), self._parts(tangents), w, dw)
        return _joined(adjoint), _joined(change)

    def groups(self) -> list[Group]:
        """Inputs, with the outputs that depend on them, and whether these are linear in them but for other groups."""
        places = self._parts(np.arange(sum(map(math.prod, self.shapes)))[None])
        result = np.arange(math.prod(self.result)).reshape(self.result)
        return self.operation.groups(tuple([part[0] for part in places]), result)

    def _value(self, rows: Array, x: Arrays) -> Array:
        last = self.last
        if last is not None and np.array_equal(last[0], rows):
            return last[1]
        return self.operation.value(*x)

    def _parts(self, rows: Array) -> Arrays:
        found, first = [], 0
        for shape in self.shapes:
            size = math.prod(shape)
            found.append(rows[:, first : first + size].reshape(len(rows), *shape))
            first += size
        return tuple(found)

    def _weights(self, rows: Array) -> Array:
        return rows.reshape(len(rows), *self.result)


def _flat(y: Array) -> Array:
    return np.ascontiguousarray(y.reshape(len(y), -1))


def _joined(parts: Arrays) -> Array:
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def _joint(places: Sequence[Array]) -> Array:
    return np.concatenate([part.reshape(-1) for part in places])


def _by_column(places: Arrays, result: Array) -> list[Group]:
    """Of a matrix and right sides, of each of which a column of the result is linear."""
    a, b = places
    return [(a.reshape(-1), result.reshape(-1), False)] + [
        (b[:, k], result[:, k], True) for k in range(result.shape[1])
    ]


def _t(a: Array) -> Array:
    return a.swapaxes(-1, -2)


class _Solve(Operation):
    """X of A X = B."""

    name = "numpy.linalg.solve()"

    def shape(self, *operands: Shape) -> Shape:
        return operands[1]

    def groups(self, places: Arrays, result: Array) -> list[Group]:
        return _by_column(places, result)

    def value(self, *x: Array) -> Array:
        return np.linalg.solve(*x)

    def tangent(self, x: Arrays, y: Array, dx: Arrays) -> Array:
        return np.linalg.solve(x[0], dx[1] - dx[0] @ y)

    def adjoint(self, x: Arrays, y: Array, w: Array) -> Arrays:
        u = np.linalg.solve(_t(x[0]), w)
        return -u @ _t(y), u

    def change(self, x: Arrays, y: Array, dx: Arrays, w: Array, dw: Array) -> tuple[Arrays, Arrays]:
        dy = self.tangent(x, y, dx)
        gradient, u = self.adjoint(x, y, w)
        du = np.linalg.solve(_t(x[0]), dw - _t(dx[0]) @ u)
        return (gradient, u), (-du @ _t(y) - u @ _t(dy), du)


class _LogDeterminant(Operation):
    """The sign of a determinant and the logarithm of its size, whose gradient is the inverse, transposed."""

    name = "numpy.linalg.slogdet()"

    def shape(self, *operands: Shape) -> Shape:
        return (2,)

    def groups(self, places: Arrays, result: Array) -> list[Group]:
        return [(places[0].reshape(-1), result[1:], False)]

    def value(self, *x: Array) -> Array:
        return np.stack(np.linalg.slogdet(x[0]), axis=-1)

    def tangent(self, x: Arrays, y: Array, dx: Arrays) -> Array:
        change = np.trace(np.linalg.solve(x[0], dx[0]), axis1=-2, axis2=-1)
        return np.stack([np.zeros_like(change), change], axis=-1)

    def adjoint(self, x: Arrays, y: Array, w: Array) -> Arrays:
        return (w[:, 1, None, None] * _t(np.linalg.inv(x[0])),)

    def change(self, x: Arrays, y: Array, dx: Arrays, w: Array, dw: Array) -> tuple[Arrays, Arrays]:
        inverse = np.linalg.inv(x[0])
        moved = -inverse @ dx[0] @ inverse
        weight, change = w[:, 1, None, None], dw[:, 1, None, None]
        return (weight * _t(inverse),), (change * _t(inverse) + weight * _t(moved),)


class _Cholesky(Operation):
    """L of A = L L', of the lower triangle of A.

    L^-1 dA L^-T is P + P', with P = L^-1 dL; what takes the lower triangle of a matrix and half its diagonal, `_half`,
    makes P of it, and is its own adjoint (Murray, Differentiation of the Cholesky decomposition, 2016).
    """

    name = "numpy.linalg.cholesky()"

    def shape(self, *operands: Shape) -> Shape:
        return operands[0]

    def groups(self, places: Arrays, result: Array) -> list[Group]:
        lower = np.tril_indices(len(result))
        return [(places[0][lower], result[lower], False)]

    def value(self, *x: Array) -> Array:
        return np.linalg.cholesky(x[0])

    def tangent(self, x: Arrays, y: Array, dx: Arrays) -> Array:
        inverse = np.linalg.inv(y)
        lower = np.tril(dx[0])
        return y @ _half(inverse @ (lower + _t(np.tril(lower, -1))) @ _t(inverse))

    def adjoint(self, x: Arrays, y: Array, w: Array) -> Arrays:
        inverse = np.linalg.inv(y)
        return (_of_triangle(_t(inverse) @ _half(_t(y) @ np.tril(w)) @ inverse),)

    def change(self, x: Arrays, y: Array, dx: Arrays, w: Array, dw: Array) -> tuple[Arrays, Arrays]:
        inverse, w, dw = np.linalg.inv(y), np.tril(w), np.tril(dw)
        dy = self.tangent(x, y, dx)
        whole = _t(inverse) @ _half(_t(y) @ w) @ inverse
        moved = _t(inverse) @ (_half(_t(dy) @ w + _t(y) @ dw) @ inverse - _t(dy) @ whole) - whole @ dy @ inverse
        return (_of_triangle(whole),), (_of_triangle(moved),)


def _half(a: Array) -> Array:
    return np.tril(a) - 0.5 * np.eye(a.shape[-1]) * a


def _of_triangle(a: Array) -> Array:
    """The gradient by the lower triangle of a symmetric matrix, of one by all entries."""
    return np.tril(a + _t(a)) - np.eye(a.shape[-1]) * a


class RankError(np.linalg.LinAlgError):
    """A matrix without full column rank."""


class _LeastSquares(Operation):
    """The x that makes the sum of squares of b - A x least, for an A of full column rank.

    With z = (A' A)^-1 w and the rest r = b - A x, the adjoint is r z' - A z x' by A and A z by b.
    """

    name = "numpy.linalg.lstsq()"

    def shape(self, *operands: Shape) -> Shape:
        return (operands[0][1], operands[1][1])

    def groups(self, places: Arrays, result: Array) -> list[Group]:
        return _by_column(places, result)

    def value(self, *x: Array) -> Array:
        a, b = x
        q, r = np.linalg.qr(a)
        sizes = np.abs(np.diagonal(r, axis1=-2, axis2=-1))
        if a.shape[-2] < a.shape[-1] or not (sizes.min(-1) > np.finfo(float).eps * max(a.shape) * sizes.max(-1)).all():
            raise RankError("a matrix without full column rank has many least squares solutions")
        return np.linalg.solve(r, _t(q) @ b)

    def tangent(self, x: Arrays, y: Array, dx: Arrays) -> Array:
        (a, b), (da, db) = x, dx
        q, r = np.linalg.qr(a)
        return np.linalg.solve(r, _t(q) @ (db - da @ y) + np.linalg.solve(_t(r), _t(da) @ (b - a @ y)))

    def adjoint(self, x: Arrays, y: Array, w: Array) -> Arrays:
        a, b = x
        z = _normal(np.linalg.qr(a)[1], w)
        by_b = a @ z
        return (b - a @ y) @ _t(z) - by_b @ _t(y), by_b

    def change(self, x: Arrays, y: Array, dx: Arrays, w: Array, dw: Array) -> tuple[Arrays, Arrays]:
        (a, b), (da, db) = x, dx
        r = np.linalg.qr(a)[1]
        dy = self.tangent(x, y, dx)
        rest, rest_change = b - a @ y, db - da @ y - a @ dy
        z = _normal(r, w)
        by_b = a @ z
        dz = _normal(r, dw - _t(da) @ by_b - _t(a) @ (da @ z))
        by_b_change = da @ z + a @ dz
        moved = rest_change @ _t(z) + rest @ _t(dz) - by_b_change @ _t(y) - by_b @ _t(dy)
        return (rest @ _t(z) - by_b @ _t(y), by_b), (moved, by_b_change)


def _normal(r: Array, w: Array) -> Array:
    """(R' R)^-1 w."""
    return np.linalg.solve(r, np.linalg.solve(_t(r), w))


class _Exponential(Operation):
    """Of a matrix. Derivatives are blocks of the exponential of a triangle of blocks (Van Loan; Higham, 2008, 10.6)."""

    name = "scipy.linalg.expm()"

    def shape(self, *operands: Shape) -> Shape:
        return operands[0]

    def value(self, *x: Array) -> Array:
        from scipy.linalg import expm

        return np.asarray(expm(x[0]), dtype=np.float64)

    def tangent(self, x: Arrays, y: Array, dx: Arrays) -> Array:
        return self._along(x[0], dx[0])

    def adjoint(self, x: Arrays, y: Array, w: Array) -> Arrays:
        return (self._along(_t(x[0]), w),)

    def change(self, x: Arrays, y: Array, dx: Arrays, w: Array, dw: Array) -> tuple[Arrays, Arrays]:
        a, da = _t(x[0]), _t(dx[0])
        n = a.shape[-1]
        zero = np.zeros_like(a)
        found = self.value(np.block([[a, w, da, dw], [zero, a, zero, da], [zero, zero, a, w], [zero, zero, zero, a]]))
        return (found[..., :n, n : 2 * n],), (found[..., :n, 3 * n :],)

    def _along(self, a: Array, e: Array) -> Array:
        n = a.shape[-1]
        return self.value(np.block([[a, e], [np.zeros_like(a), a]]))[..., :n, n:]


SOLVE = _Solve()
LOG_DETERMINANT = _LogDeterminant()
CHOLESKY = _Cholesky()
LEAST_SQUARES = _LeastSquares()
EXPONENTIAL = _Exponential()
