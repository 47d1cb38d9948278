"""Integrals of samples, as `scipy.integrate` has them, while a function is traced.

SciPy's own code is not what is recorded: what it does with arrays that are no plain ones depends on its version.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kilograd.compiled.functions import where
from kilograd.compiled.traced import entries, traced

__all__ = ["simpson"]


def simpson(y: Any, x: Any = None, *, dx: Any = 1.0, axis: int = -1) -> Any:
    """`scipy.integrate.simpson`: parabolas through three samples at a time.

    Of an even number of samples the last interval has a part of the parabola through the last three (Cartwright 2017).
    """
    samples = np.moveaxis(traced(entries(y)), axis, -1)
    count = samples.shape[-1]
    steps = None if x is None else np.diff(_nodes(x, samples, axis))
    if count == 2:
        step = dx if steps is None else steps[..., 0]
        return 0.5 * step * (samples[..., 0] + samples[..., 1])
    odd = count - 1 + count % 2
    parts = samples[..., : max(odd - 2, 0) : 2], samples[..., 1 : odd - 1 : 2], samples[..., 2:odd:2]
    if steps is None:
        total = dx / 3.0 * np.sum(parts[0] + 4.0 * parts[1] + parts[2], axis=-1)
    else:
        total = np.sum(_of_parabolas(parts, steps[..., : odd - 1 : 2], steps[..., 1 : odd - 1 : 2]), axis=-1)
    if count % 2 == 0:
        total = total + _of_last(samples, steps, dx)
    return total


def _nodes(x: Any, samples: Any, axis: int) -> Any:
    nodes = traced(entries(x))
    if nodes.ndim != 1:
        if nodes.ndim != samples.ndim:
            raise ValueError(f"simpson(): x has 1 dimension or as many as y, {samples.ndim}, not {nodes.ndim}")
        nodes = np.moveaxis(nodes, axis, -1)
    if nodes.shape[-1] != samples.shape[-1]:
        raise ValueError(f"simpson(): x has {nodes.shape[-1]} nodes, and y has {samples.shape[-1]} samples")
    return nodes


def _of_parabolas(parts: Any, before: Any, after: Any) -> Any:
    """The integral below each parabola, of the first, middle and last samples and the steps between them."""
    first, middle, last = parts
    both = before + after
    return (
        both
        / 6.0
        * (
            first * (2.0 - _quotient(after, before))
            + middle * (both * _quotient(both, before * after))
            + last * (2.0 - _quotient(before, after))
        )
    )


def _of_last(samples: Any, steps: Any, dx: Any) -> Any:
    """The integral over the last interval alone."""
    third, second, first = samples[..., -3], samples[..., -2], samples[..., -1]
    if steps is None:
        return dx * (5.0 * first + 8.0 * second - third) / 12.0
    before, after = steps[..., -2], steps[..., -1]
    both = before + after
    return (
        _quotient(2.0 * after**2 + 3.0 * before * after, 6.0 * both) * first
        + _quotient(after**2 + 3.0 * before * after, 6.0 * before) * second
        - _quotient(after**3, 6.0 * before * both) * third
    )


def _quotient(a: Any, b: Any) -> Any:
    """The quotient, and 0 where nodes are the same."""
    is_some = np.not_equal(b, 0.0)
    return where(is_some, a / where(is_some, b, 1.0), 0.0)
