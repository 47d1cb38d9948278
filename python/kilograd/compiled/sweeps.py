"""`Sweeps`: the entries of sparse Jacobians and Hessians of functions with stages, by few sweeps over a row.

One forward sweep along the sum of columns that have no row in common gives the entries of all of them (Curtis, Powell
and Reid, 1974), and one reverse sweep those of rows without a common column. A few rows, or columns, with many entries
are left aside and take sweeps of their own in the other direction; of a Hessian these give its columns, too (Powell and
Toint, 1979).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kilograd.compiled.structure import width_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from kilograd import _core
    from kilograd.compiled.structure import Array, Columns

    Integers = NDArray[np.intp]

MOST = 1 << 22
"""How many numbers sweeps are given at a time."""


def places_of(columns: Columns) -> Integers:
    """The numbers in the columns."""
    ends = zip(columns[::2], columns[1::2], strict=True)
    return np.concatenate([np.empty(0, dtype=np.intp), *(np.arange(first, last) for first, last in ends)])


class _Direction(NamedTuple):
    """Sweeps in one direction."""

    total: int
    """How many."""
    size: int
    """Of the vector that a sweep is given."""
    ones: tuple[Integers, Integers]
    """Where these have a 1: the sweeps, and the places."""
    entries: Integers
    """Which entries they give, in the order of the sweeps."""
    sweeps: Integers
    """Of each of these, the sweep."""
    places: Integers
    """And the place in what that gives."""

    def run(self, sweep: Callable[[Array, Array], Array], x: Array, found: Array) -> None:
        """Write the entries that ``sweep(rows, vectors)`` gives for rows x, into an array of shape (rows, entries)."""
        rows, n = x.shape
        step = max(1, MOST // max(rows * (n + self.size), 1))
        for first in range(0, self.total, step):
            count = min(step, self.total - first)
            vectors = np.zeros((count, self.size))
            chosen = (self.ones[0] >= first) & (self.ones[0] < first + count)
            vectors[self.ones[0][chosen] - first, self.ones[1][chosen]] = 1.0
            given = sweep(np.repeat(x, count, axis=0), np.tile(vectors, (rows, 1))).reshape(rows, count, -1)
            part = slice(*np.searchsorted(self.sweeps, [first, first + count]))
            found[:, self.entries[part]] = given[:, self.sweeps[part] - first, self.places[part]]


def _direction(
    total: int, size: int, ones: tuple[Integers, Integers], chosen: Integers, sweeps: Integers, places: Integers
) -> _Direction:
    """Sweeps that give chosen entries, by entry the sweep and the place."""
    order = chosen[np.argsort(sweeps[chosen], kind="stable")]
    return _Direction(total, size, ones, order, sweeps[order], places[order])


def _jacobian(
    size: int, other_size: int, line: Integers, other: Integers, at: Integers, other_at: Integers, groups: _Groups
) -> tuple[_Direction, _Direction]:
    """Sweeps over groups of lines, columns or rows, and over the others that are alone, in the other direction.

    By entry the number of its line and of its other, whose places in the vectors are `at` and `other_at`.
    """
    number = groups.numbers(len(other_at))
    is_alone = number[other] >= 0
    grouped = _direction(
        groups.count, size, groups.ones(at), np.flatnonzero(~is_alone), groups.colours[line], other_at[other]
    )
    places = (np.arange(len(groups.alone)), other_at[groups.alone])
    single = _direction(len(groups.alone), other_size, places, np.flatnonzero(is_alone), number[other], at[line])
    return grouped, single


def _hessian(size: int, row: Integers, column: Integers, at: Integers, groups: _Groups) -> _Direction:
    """Sweeps over groups of columns, and over columns that are alone, which give their rows, too."""
    number = groups.numbers(len(at))
    sweep_of = np.where(number >= 0, groups.count + number, groups.colours)
    by_row = number[row] >= 0
    (sweeps, places), alone = groups.ones(at), len(groups.alone)
    ones = (
        np.concatenate([sweeps, groups.count + np.arange(alone)]),
        np.concatenate([places, at[groups.alone]]),
    )
    return _direction(
        groups.count + alone,
        size,
        ones,
        np.arange(len(row)),
        sweep_of[np.where(by_row, row, column)],
        at[np.where(by_row, column, row)],
    )


class _Groups:
    """Lines in groups, each with its colour, or -1; and others, or of a Hessian lines, that are alone."""

    def __init__(self, alone: NDArray[np.int32], colours: NDArray[np.int32]) -> None:
        self.alone: Integers = alone.astype(np.intp)
        self.colours: Integers = colours.astype(np.intp)
        self.count = int(self.colours.max(initial=-1)) + 1

    def numbers(self, count: int) -> Integers:
        """By line: the how manieth it is of those that are alone, or -1."""
        found = np.full(count, -1, dtype=np.intp)
        found[self.alone] = np.arange(len(self.alone))
        return found

    def ones(self, at: Integers) -> tuple[Integers, Integers]:
        member = np.flatnonzero(self.colours >= 0)
        return self.colours[member], at[member]


class Sweeps:
    """Which sweeps give the entries of the Jacobian or, if `second`, the Hessian of a function with stages.

    Attributes
    ----------
    starts, columns : array of int32
        The pattern, as in a CSR matrix.
    count : int
        How many sweeps there are.
    """

    def __init__(self, core: _core._Stage, second: bool, columns: Columns) -> None:
        self.starts, self.columns, by_columns, alone, colours = core.pattern(second, columns)
        self.shape = (len(self.starts) - 1, width_of(columns))
        at, rows = places_of(columns), np.arange(self.shape[0])
        row, column = np.repeat(rows, np.diff(self.starts)), self.columns.astype(np.intp)
        groups, n, m = _Groups(alone, colours), core.n_inputs, core.n_outputs
        self._reverse: _Direction | None = None
        if second:
            self._forward = _hessian(n, row, column, at, groups)
        elif by_columns:
            self._forward, self._reverse = _jacobian(n, m, column, row, at, rows, groups)
        else:
            self._reverse, self._forward = _jacobian(m, n, row, column, rows, at, groups)
        self.count = groups.count + len(groups.alone)

    @property
    def is_full(self) -> bool:
        """Whether all entries of the matrix may differ from zero."""
        return len(self.columns) == math.prod(self.shape)

    def entries(
        self, x: Array, forward: Callable[[Array, Array], Array], reverse: Callable[[Array, Array], Array] | None = None
    ) -> Array:
        """The entries at rows x, (..., entries), by ``forward(rows, tangents)`` and ``reverse(rows, weights)``."""
        rows = x.reshape(-1, x.shape[-1])
        found = np.empty((len(rows), len(self.columns)))
        if len(rows):
            self._forward.run(forward, rows, found)
            if reverse is not None and self._reverse is not None:
                self._reverse.run(reverse, rows, found)
        return found.reshape(*x.shape[:-1], len(self.columns))

    def whole(self, entries: Array) -> Array:
        """The matrix with these entries, (..., rows, columns)."""
        lead = entries.shape[:-1]
        if self.is_full:
            return entries.reshape(*lead, *self.shape)
        matrix = np.zeros((*lead, math.prod(self.shape)))
        row = np.repeat(np.arange(self.shape[0]), np.diff(self.starts))
        matrix[..., row * self.shape[1] + self.columns] = entries
        return matrix.reshape(*lead, *self.shape)
