"""Eigenvalues and eigenvectors of symmetric matrices, as stages, with their derivatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from kilograd.compiled.matrices import Operation, _of_triangle, _t

if TYPE_CHECKING:
    from kilograd.compiled.matrices import Array, Arrays, Group
    from kilograd.compiled.structure import Shape

__all__ = ["EIGENVALUES", "EIGENVECTORS", "Triangle"]

Triangle: TypeAlias = Literal["L", "U"]
_EQUAL = 8 * np.finfo(float).eps
"""Of the largest eigenvalue, for each row: what eigenvalues that are equal may come out apart."""
_ALIKE = 1e-10
"""Of the largest weight, or of the size of a direction: what is as good as no difference."""


class _Spectrum:
    """Eigenvalues and eigenvectors of symmetric matrices, and which of the values no rounding tells apart.

    With M = V' dA V, d lambda_i = M_ii and dV = V C, where C_ij = M_ij / (lambda_j - lambda_i) and C_ii = 0 (Magnus,
    On differentiating eigenvalues and eigenvectors, 1985). Equal eigenvalues have derivatives along what keeps them
    equal, and functions of them that treat them alike have a first one; all others are errors, for none exist.
    """

    def __init__(self, values: Array, vectors: Array) -> None:
        n = values.shape[-1]
        self.values, self.vectors = values, vectors
        gaps = values[:, None, :] - values[:, :, None]
        least = _EQUAL * n * np.abs(values).max(-1)[:, None, None]
        self._apart = ~(np.abs(gaps) <= least)
        self._pairs = ~self._apart & ~np.eye(n, dtype=bool)
        self.inverse_gaps = np.divide(1.0, gaps, out=np.zeros_like(gaps), where=self._apart)

    def along(self, da: Array) -> Array:
        """M of a direction, which keeps equal eigenvalues equal."""
        m = _t(self.vectors) @ da @ self.vectors
        size = np.sqrt((da * da).sum((-1, -2)))[:, None, None]
        diagonal = _diagonal_of(m)
        self._refuse(np.abs(m) + np.abs(diagonal[:, None, :] - diagonal[:, :, None]), size)
        return m

    def check_alike(self, w: Array) -> None:
        """Weights of the eigenvalues, alike for those that are equal."""
        self._refuse(w[:, None, :] - w[:, :, None], np.abs(w).max(-1)[:, None, None])

    def check_unused(self, w: Array) -> None:
        """Weights of vectors, or a direction: none for vectors of equal eigenvalues, which are not determined."""
        self._refuse(np.abs(w).max(-2, keepdims=True), 0.0)

    def _refuse(self, differences: Array, sizes: Array | float) -> None:
        if (self._pairs & ~(np.abs(differences) <= _ALIKE * sizes)).any():
            raise np.linalg.LinAlgError("Equal eigenvalues, where this derivative does not exist")


class _Eigenvalues(Operation):
    """Of symmetric matrices, in ascending order, by one triangle.

    The adjoint is V P V', with P the diagonal of the weights, and its change V (C P + dP - P C) V'.
    """

    name = "numpy.linalg.eigvalsh()"

    def __init__(self, triangle: Triangle) -> None:
        self.triangle = triangle

    def shape(self, *operands: Shape) -> Shape:
        return operands[0][1:]

    def groups(self, places: Arrays, result: Array) -> list[Group]:
        lower = np.tril_indices(len(places[0]))
        return [(self._turned(places[0])[lower], result.reshape(-1), False)]

    def value(self, *x: Array) -> Array:
        values: Array = np.linalg.eigvalsh(x[0], self.triangle)
        return values

    def tangent(self, x: Arrays, y: Array, dx: Arrays) -> Array:
        return _diagonal_of(self._spectrum(x, y).along(self._whole(dx[0])))

    def adjoint(self, x: Arrays, y: Array, w: Array) -> Arrays:
        spectrum = self._spectrum(x, y)
        return (self._by_triangle(spectrum, self._inner(spectrum, w)),)

    def change(self, x: Arrays, y: Array, dx: Arrays, w: Array, dw: Array) -> tuple[Arrays, Arrays]:
        spectrum = self._spectrum(x, y)
        m = spectrum.along(self._whole(dx[0]))
        c, p = m * spectrum.inverse_gaps, self._inner(spectrum, w)
        moved = c @ p - p @ c + self._inner_change(spectrum, m, w, dw)
        return (self._by_triangle(spectrum, p),), (self._by_triangle(spectrum, moved),)

    def _inner(self, spectrum: _Spectrum, w: Array) -> Array:
        """P."""
        spectrum.check_alike(w)
        return _diagonal(w)

    def _inner_change(self, spectrum: _Spectrum, m: Array, w: Array, dw: Array) -> Array:
        return self._inner(spectrum, dw)

    def _spectrum(self, x: Arrays, y: Array) -> _Spectrum:
        return _Spectrum(*np.linalg.eigh(x[0], self.triangle))

    def _turned(self, a: Array) -> Array:
        return a if self.triangle == "L" else _t(a)

    def _whole(self, a: Array) -> Array:
        """The symmetric matrix of the triangle."""
        lower = self._turned(a)
        return np.tril(lower) + _t(np.tril(lower, -1))

    def _by_triangle(self, spectrum: _Spectrum, inner: Array) -> Array:
        return self._turned(_of_triangle(spectrum.vectors @ inner @ _t(spectrum.vectors)))


class _Eigenvectors(_Eigenvalues):
    """A row of eigenvalues, and below it the matrix of the eigenvectors in columns.

    With G = V' W of the weights W of the vectors, P has G_ij / (lambda_j - lambda_i) outside of the diagonal.
    """

    name = "numpy.linalg.eigh()"

    def shape(self, *operands: Shape) -> Shape:
        return (operands[0][0] + 1, operands[0][1])

    def value(self, *x: Array) -> Array:
        values, vectors = np.linalg.eigh(x[0], self.triangle)
        return np.concatenate([values[:, None], vectors], axis=1)

    def tangent(self, x: Arrays, y: Array, dx: Arrays) -> Array:
        spectrum, whole = self._spectrum(x, y), self._whole(dx[0])
        spectrum.check_unused(whole.reshape(len(whole), -1, 1))
        m = spectrum.along(whole)
        change = _diagonal_of(m)[:, None]
        return np.concatenate([change, spectrum.vectors @ (m * spectrum.inverse_gaps)], axis=1)

    def _inner(self, spectrum: _Spectrum, w: Array) -> Array:
        spectrum.check_unused(w[:, 1:])
        turned: Array = spectrum.inverse_gaps * (_t(spectrum.vectors) @ w[:, 1:])
        return super()._inner(spectrum, w[:, 0]) + turned

    def _inner_change(self, spectrum: _Spectrum, m: Array, w: Array, dw: Array) -> Array:
        inverse_gaps, values = spectrum.inverse_gaps, _diagonal_of(m)
        g = _t(spectrum.vectors) @ w[:, 1:]
        turned = _t(m * inverse_gaps) @ g
        moved = (values[:, None, :] - values[:, :, None]) * inverse_gaps**2
        change: Array = inverse_gaps * turned - moved * g
        return self._inner(spectrum, dw) + change

    def _spectrum(self, x: Arrays, y: Array) -> _Spectrum:
        return _Spectrum(y[:, 0], y[:, 1:])


def _diagonal_of(m: Array) -> Array:
    return np.diagonal(m, axis1=-2, axis2=-1)


def _diagonal(w: Array) -> Array:
    return w[:, :, None] * np.eye(w.shape[-1])


_TRIANGLES: tuple[Triangle, ...] = ("L", "U")
EIGENVALUES = {triangle: _Eigenvalues(triangle) for triangle in _TRIANGLES}
EIGENVECTORS = {triangle: _Eigenvectors(triangle) for triangle in _TRIANGLES}
"""By the triangle that is looked at, the lower or the upper."""
