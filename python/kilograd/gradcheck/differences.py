"""Numerical derivatives with bounds of their errors, for many functions of one number at once.

A central difference with the step h has an error of h**2, which one extrapolation from two steps removes (Richardson
1911); from several pairs of steps that one is taken whose estimated error is least (Ridders 1982). A pair that the next
one does not confirm is not believed: where a function oscillates, two large steps may agree by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["RATIO", "Estimate", "estimate", "steps"]

Numbers = NDArray[np.float64]

RATIO = 8.0
_LARGEST, _COUNT = 2.0**-7, 6
_EPSILON = float(np.finfo(np.float64).eps)


def steps(x: float, relative: bool = False) -> list[float]:
    """The steps: ``max(1, |x|) / 2**k`` for k = 7, 10, ..., 22; `relative`: ``|x| / 2**k``."""
    scale = abs(x) if relative else max(1.0, abs(x))
    return [scale * _LARGEST / RATIO**k for k in range(_COUNT)]


@dataclass(frozen=True, slots=True)
class Estimate:
    """Derivatives of n functions of one number, each field with the shape (n,)."""

    value: Numbers
    """NaN where fewer than three steps gave finite numbers."""
    error: Numbers
    """How far off the value may be."""
    left: Numbers
    """The derivative from the left, and from the right."""
    right: Numbers
    slack: Numbers
    """How far off these may be."""
    kink: NDArray[np.bool_]
    """Whether the one-sided derivatives differ, as those of abs(x) do at 0."""

    @property
    def low(self) -> Numbers:
        """The smallest number that a derivative at a kink may be."""
        return np.minimum(self.left, self.right) - self.slack

    @property
    def high(self) -> Numbers:
        """The largest one."""
        return np.maximum(self.left, self.right) + self.slack


def estimate(
    x: float, taken: Sequence[float], centre: Numbers, above: Numbers, below: Numbers, size: float
) -> Estimate:
    """The derivatives at `x`.

    Parameters
    ----------
    x : float
    taken : sequence of float, length m
        The steps, each `RATIO` times as small as the one before.
    centre : ndarray, shape (n,)
        The functions at `x`.
    above, below : ndarray, shape (m, n)
        At ``x + step`` and ``x - step``; NaN where a function is not defined there.
    size : float
        The largest number that the functions compute with: what their rounding errors are relative to.
    """
    with np.errstate(all="ignore"):
        h = np.array(taken)
        up, down = (x + h) - x, x - (x - h)  # the steps as floats make them
        right = (above - centre) / up[:, None]
        left = (centre - below) / down[:, None]
        central = (above - below) / (up + down)[:, None]
        scale = np.maximum(np.maximum(np.abs(above), np.abs(below)), size)
        noise = 4.0 * _EPSILON * scale / h[:, None]

        square = RATIO**2
        value = (square * central[1:] - central[:-1]) / (square - 1.0)
        spread = np.maximum(np.abs(value[:-1] - central[1:-1]) / RATIO, np.abs(value[:-1] - value[1:]))
        error = 2.0 * spread + noise[1:-1]  # twice: the second derivative may jump, and the error fall as h alone
        error[~np.isfinite(error)] = np.inf
        best = np.argmin(error, axis=0)
        columns = np.arange(centre.size)
        value, error = value[best, columns], error[best, columns]
        value = np.where(np.isfinite(error), value, np.nan)

        gap = np.abs(right - left)
        wide, narrow = gap[best, columns], gap[best + 1, columns]
        right_here, left_here = right[best + 1, columns], left[best + 1, columns]
        drift = np.abs(right_here - right[best, columns]) + np.abs(left_here - left[best, columns])
        floor = 1e-5 * np.maximum(np.abs(right_here), np.abs(left_here)) + 4.0 * noise[best + 1, columns]
        kink = (narrow > 0.5 * wide) & (narrow > floor) & (narrow < 2.0 * wide)
        slack = drift + noise[best + 1, columns]
        error = error + np.where(~kink & (narrow > 0.5 * wide), narrow, 0.0)  # too small a kink to be told from noise
    return Estimate(value, error, left_here, right_here, slack, kink)
