"""Matrices entry by entry: elimination, substitution, Cholesky's factors, determinants.

Zeros that are constants are left out. Rows are exchanged as at the numbers of the trace, by guards: a path holds while
no other pivot would be ten times as large, which keeps elimination as stable as with the largest. Matrices of more than
`LARGEST` rows are left to LAPACK, whole, as stages of `matrices`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kilograd import _core
from kilograd._core import Value
from kilograd.compiled.conditions import thread
from kilograd.compiled.matrices import CHOLESKY, LOG_DETERMINANT, SOLVE, computed
from kilograd.compiled.order import numbers_of
from kilograd.compiled.traced import Objects

LARGEST = 24
"""Rows of the largest matrix that is computed entry by entry."""
_EXCHANGE = 10.0


def _is_zero(number: Any) -> bool:
    return type(number) is float and number == 0.0


def _minus(a: Any, b: Any, c: Any) -> Any:
    """A - b * c without the zeros."""
    return a if _is_zero(b) or _is_zero(c) else a - b * c


class SingularError(np.linalg.LinAlgError):
    """No pivot but 0."""


class Elimination:
    """P A = L U: the factors in one matrix, the rows in their new order, and the sign of the permutation.

    With `of_singular` columns are exchanged too, and what is left where all is zero is `rest`, no part of the factors.
    """

    def __init__(self, matrix: Objects, of_singular: bool = False) -> None:
        n = len(matrix)
        self.factors = lu = matrix.copy()
        self.rows = list(range(n))
        self.sign: Any = 1.0
        self.rank = n
        for k in range(n):
            try:
                pivot = self._pivot(k)
            except SingularError:
                if not of_singular:
                    raise
                found = self._pivot_elsewhere(k)
                if found is None:
                    self.rank = k
                    return
                pivot = found
            if pivot != k:
                lu[[k, pivot]] = lu[[pivot, k]]
                self.rows[k], self.rows[pivot] = self.rows[pivot], self.rows[k]
                self.sign = -self.sign
            for i in range(k + 1, n):
                if _is_zero(lu[i, k]):
                    continue
                lu[i, k] = lu[i, k] / lu[k, k]
                for j in range(k + 1, n):
                    lu[i, j] = _minus(lu[i, j], lu[i, k], lu[k, j])

    def _pivot(self, k: int) -> int:
        column = self.factors[k:, k]
        sizes = np.abs(numbers_of(column))
        if not np.isfinite(sizes).all():
            raise np.linalg.LinAlgError("a matrix with entries that are not finite, at which nothing is recorded")
        best = int(np.argmax(sizes))
        if sizes[best] == 0.0:
            for entry in column:
                _ = bool(entry == 0.0)
            raise SingularError("Singular matrix")
        others = [abs(column[i]) for i in range(len(column)) if i != best and not _is_zero(column[i])]
        if others:
            largest = others[0]
            for other in others[1:]:
                largest = _core.maximum(largest, other)
            _ = bool(_EXCHANGE * abs(column[best]) >= largest)
        return k + best

    def _pivot_elsewhere(self, k: int) -> int | None:
        """Bring a later column to where one is zero; None where all are."""
        for column in range(k + 1, len(self.rows)):
            self.factors[:, [k, column]] = self.factors[:, [column, k]]
            self.sign = -self.sign
            try:
                return self._pivot(k)
            except SingularError:
                pass
        return None

    @property
    def rest(self) -> Objects:
        """What is left to eliminate."""
        return self.factors[self.rank :, self.rank :]

    def diagonal(self) -> list[Any]:
        """The pivots, in order."""
        return [self.factors[k, k] for k in range(self.rank)]

    def sign_and_log_size(self) -> tuple[Any, Any]:
        """Of the product of the diagonal."""
        sign: Any = self.sign
        size: Any = 0.0
        for entry in self.diagonal():
            sign, size = sign * _core._sign(entry), size + _log_size(entry)
        return sign, size

    def solve(self, b: Objects) -> Objects:
        """For the columns of b."""
        y = _substituted(self.factors, b[self.rows], lower=True, unit=True)
        return _substituted(self.factors, y, lower=False)


def solved(matrix: Objects, b: Objects) -> Objects:
    """For the columns of b, or for b, if it is one."""
    if len(matrix) <= LARGEST:
        return Elimination(matrix).solve(b)
    return computed(SOLVE, matrix, b.reshape(len(b), -1)).reshape(b.shape)


def with_triangle(matrix: Objects, b: Objects, lower: bool, unit: bool = False, trans: bool = False) -> Objects:
    """Solve with the triangle of a matrix, for the columns of b."""
    n = len(matrix)
    if n <= LARGEST:
        return _substituted(matrix, b, lower, unit, trans)
    kept = (np.tril if lower else np.triu)(np.ones((n, n), dtype=bool), (-1 if lower else 1) if unit else 0)
    triangle = np.eye(n).astype(object) if unit else np.zeros((n, n)).astype(object)
    triangle[kept] = matrix[kept]
    return solved(triangle.T if trans else triangle, b)


def _substituted(matrix: Objects, b: Objects, lower: bool, unit: bool = False, trans: bool = False) -> Objects:
    """Solve with the triangle of a matrix, the rest of which is not looked at, for the columns of b."""
    if trans:
        matrix, lower = matrix.T, not lower
    n = len(matrix)
    x = b.copy()
    columns = x.reshape(n, -1)
    for i in range(n) if lower else reversed(range(n)):
        for j in range(i) if lower else range(i + 1, n):
            if _is_zero(matrix[i, j]):
                continue
            for c in range(columns.shape[1]):
                columns[i, c] = _minus(columns[i, c], matrix[i, j], columns[j, c])
        if not unit:
            for c in range(columns.shape[1]):
                if not _is_zero(columns[i, c]):
                    columns[i, c] = columns[i, c] / matrix[i, i]
    return columns.reshape(x.shape)


def cholesky_lower(matrix: Objects, upper: bool = False) -> Objects:
    """L of A = L L', of the lower triangle of A, or of the upper."""
    if upper:
        matrix = matrix.T
    n = len(matrix)
    if n > LARGEST:
        return computed(CHOLESKY, matrix)
    factor = np.zeros((n, n)).astype(object)
    for j in range(n):
        rest = matrix[j, j]
        for k in range(j):
            rest = _minus(rest, factor[j, k], factor[j, k])
        if not bool(rest > 0.0):
            raise np.linalg.LinAlgError("Matrix is not positive definite")
        factor[j, j] = _root(rest)
        for i in range(j + 1, n):
            entry = matrix[i, j]
            for k in range(j):
                entry = _minus(entry, factor[i, k], factor[j, k])
            factor[i, j] = entry if _is_zero(entry) else entry / factor[j, j]
    return factor


def _root(number: Any) -> Any:
    return number.sqrt() if isinstance(number, Value) else float(np.sqrt(number))


def _log_size(number: Any) -> Any:
    size = abs(number)
    return size.log() if isinstance(size, Value) else float(np.log(size))


def determinant(matrix: Objects) -> Any:
    """By minors, elimination, or LAPACK, by the size of the matrix."""
    n = len(matrix)
    if n > LARGEST:
        sign, size = computed(LOG_DETERMINANT, matrix)
        return sign * _exponential(size, n)
    if n <= 3:  # without pivots, for singular matrices too
        result = _by_minors(matrix)
        if _is_finite(result) or not all(map(_is_finite, matrix.flat)):
            return result
    elimination = Elimination(matrix, of_singular=True)
    # Of four and more rows that are zero, no first or second derivative is left.
    rest = _by_minors(elimination.rest) if len(elimination.rest) <= 3 else 0.0
    result = elimination.sign
    for entry in elimination.diagonal():
        result = result * entry
    if _is_finite(result):
        return result * rest
    sign, size = elimination.sign_and_log_size()  # as NumPy does: no product on the way is beyond what is finite
    return sign * _exponential(size, n) * rest


def _is_finite(number: Any) -> bool:
    """By a guard; in a loop, which has none, nobody asks."""
    return getattr(thread.notes, "choose_always", False) or bool(abs(number) < math.inf)


def _exponential(size: Any, n: int) -> Any:
    """That of a sum of n logarithms, by squares of a part that does not overflow: infinity flows from a product."""
    squares = (n - 1).bit_length()
    result = (size * 0.5**squares).exp()
    for _ in range(squares):
        result = result * result
    return result


def _by_minors(m: Objects) -> Any:
    if len(m) == 0:
        return 1.0
    if len(m) == 1:
        return m[0, 0]
    if len(m) == 2:
        return m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0]
    return (
        m[0, 0] * (m[1, 1] * m[2, 2] - m[1, 2] * m[2, 1])
        - m[0, 1] * (m[1, 0] * m[2, 2] - m[1, 2] * m[2, 0])
        + m[0, 2] * (m[1, 0] * m[2, 1] - m[1, 1] * m[2, 0])
    )
