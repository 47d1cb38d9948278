"""Sorting traced arrays, and what is read off sorted ones: short rows by networks of operations, others by guards.

A network has no guards, and the derivatives of a tie are shared. Longer rows are sorted as at the numbers of the trace,
by guards of neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from kilograd import _core
from kilograd._core import Value
from kilograd.compiled.conditions import refusal
from kilograd.compiled.functions import holds
from kilograd.compiled.protocols import axes_of, implements, written
from kilograd.compiled.traced import Objects, Traced, entries, traced

NETWORK = 8
"""Up to so many numbers are sorted by operations."""


@implements(np.sort)
def _sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    array = entries(a)
    if axis is None:
        array, axis = array.reshape(-1), -1
    moved = np.moveaxis(array, axis, -1).copy()
    for place in np.ndindex(moved.shape[:-1]):
        moved[place] = _sorted(moved[place])
    return np.moveaxis(moved, -1, axis).view(Traced)


def _sorted(row: Objects) -> Objects:
    n = len(row)
    if n > NETWORK:
        return np.array(row[_order(row)])
    row = np.array(row)
    for i, j in _comparators(n):
        a, b = row[i], row[j]
        row[i], row[j] = _least(a, b), _greatest(a, b)
    return row


def _least(a: Any, b: Any) -> Any:
    """The one that NumPy sorts before the other; NaN comes last."""
    return _core._fmin(a, b)


def _greatest(a: Any, b: Any) -> Any:
    return _core.maximum(a, b)


def _comparators(n: int) -> list[tuple[int, int]]:
    """A network that sorts n numbers: Batcher's odd-even merge sort, for any n."""
    found = []
    p = 1
    while p < n:
        k = p
        while k >= 1:
            for j in range(k % p, n - k, 2 * k):
                for i in range(min(k, n - j - k)):
                    if (i + j) // (2 * p) == (i + j + k) // (2 * p):
                        found.append((i + j, i + j + k))
            k //= 2
        p *= 2
    return found


def numbers_of(row: Objects) -> Any:
    """The numbers at which the function is traced, which are not noted."""
    notes = _core._trace_into(None)
    try:
        return np.array([entry.data if isinstance(entry, Value) else entry for entry in row], dtype=float)
    finally:
        _core._trace_into(notes)


def _order(row: Objects, **options: Any) -> Any:
    """The permutation that sorts a row, held by guards of neighbours."""
    data = numbers_of(row)
    order = np.argsort(data, **options)
    for i, j in pairwise(order):
        _ = bool(row[i] == row[j] if data[i] == data[j] else row[i] < row[j])
    return order


@implements(np.argsort)
def _argsort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    array = np.atleast_1d(entries(a))
    if axis is None:
        array, axis = array.reshape(-1), -1
    moved = np.moveaxis(array, axis, -1)
    result = np.empty(moved.shape, dtype=np.intp)
    for place in np.ndindex(moved.shape[:-1]):
        result[place] = _order(moved[place], kind=kind or ("stable" if stable else None))
    return np.moveaxis(result, -1, axis)


@implements(np.argpartition)
def _argpartition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Any:
    array = entries(a)
    if axis is None:
        array, axis = array.reshape(-1), -1
    moved = np.moveaxis(array, axis, -1)
    result = np.empty(moved.shape, dtype=np.intp)
    for place in np.ndindex(moved.shape[:-1]):
        _order(moved[place])  # which decides where the others go
        result[place] = np.argpartition(numbers_of(moved[place]), kth)
    return np.moveaxis(result, -1, axis)


@implements(np.partition)
def _partition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Any:
    array = entries(a)
    if axis is None:
        array, axis = array.reshape(-1), -1
    places = _argpartition(array, kth, axis)
    return np.take_along_axis(array, places, axis).view(Traced)


@implements(np.argmax)
def _argmax(a: Any, axis: Any = None, out: Any = None, *, keepdims: bool = False) -> Any:
    return written(entries(a).argmax(axis, keepdims=keepdims), out)  # by comparisons, which are guards


@implements(np.argmin)
def _argmin(a: Any, axis: Any = None, out: Any = None, *, keepdims: bool = False) -> Any:
    return written(entries(a).argmin(axis, keepdims=keepdims), out)


# --- quantiles


@implements(np.median)
def _median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    return _of_rows(_middle, (), a, axis, out, keepdims)


@implements(np.nanmedian)
def _nanmedian(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    return _of_rows(lambda row: _middle(_without_nan(row)), (), a, axis, out, keepdims)


def _middle(row: Objects) -> Any:
    row = _sorted(row)
    n = len(row)
    if not n:
        return math.nan
    return _unless_nan(row[n // 2] if n % 2 else 0.5 * (row[n // 2 - 1] + row[n // 2]), row[-1])


@implements(np.quantile)
def _quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    **options: Any,
) -> Any:
    return _quantiles(a, q, axis, out, method, keepdims, options)


@implements(np.nanquantile)
def _nanquantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    **options: Any,
) -> Any:
    return _quantiles(a, q, axis, out, method, keepdims, options, _without_nan)


@implements(np.percentile)
def _percentile(a: Any, q: Any, *args: Any, **options: Any) -> Any:
    return _quantile(a, np.asarray(q, dtype=float) / 100.0, *args, **options)


@implements(np.nanpercentile)
def _nanpercentile(a: Any, q: Any, *args: Any, **options: Any) -> Any:
    return _nanquantile(a, np.asarray(q, dtype=float) / 100.0, *args, **options)


def _quantiles(
    a: Any,
    q: Any,
    axis: Any,
    out: Any,
    method: str,
    keepdims: bool,
    options: dict[str, Any],
    kept: Callable[[Objects], Objects] = np.array,
) -> Any:
    if method != "linear" or options.get("weights") is not None or holds(q):
        raise refusal("numpy.quantile() is recorded with constant q, by the method 'linear', without weights")
    wanted = np.asarray(q, dtype=float)
    if not ((wanted >= 0.0) & (wanted <= 1.0)).all():
        raise ValueError("Quantiles must be in the range [0, 1]")

    def one(row: Objects) -> Any:
        row = _sorted(kept(row))
        found = np.full(wanted.shape, math.nan, dtype=object)
        if kept is _without_nan and not len(row):
            return found if found.ndim else math.nan
        for at in np.ndindex(wanted.shape):
            found[at] = _unless_nan(_between(row, float(wanted[at])), row[-1])
        return found if found.ndim else found.item()

    return _of_rows(one, wanted.shape, a, axis, out, keepdims)


def _between(row: Objects, q: float) -> Any:
    """The quantile of sorted numbers, as NumPy interpolates: NaN beside an infinite one."""
    position = q * (len(row) - 1)
    k = int(position)
    t = position - k
    low, high = row[k], row[min(k + 1, len(row) - 1)]
    step = high - low
    return low + step * t if t < 0.5 else high - step * (1.0 - t)


def _unless_nan(number: Any, last: Any) -> Any:
    """Of sorted numbers the last is NaN if one of them is."""
    is_number = _core._equal(last, last)
    return _core._gate(is_number, number) + _core._gate(1.0 - is_number, last)


def _without_nan(row: Objects) -> Objects:
    """What of a row is a number, by guards."""
    return row[[bool(entry == entry) for entry in row]]


def _of_rows(one: Callable[[Objects], Any], shape: tuple[int, ...], a: Any, axis: Any, out: Any, keepdims: bool) -> Any:
    """What a function gives of each row along an axis, several or (None) all: results of a shape."""
    array = entries(a)
    axes = axes_of(axis, array.ndim)
    rest = [k for k in range(array.ndim) if k not in axes]
    last = math.prod(array.shape[k] for k in axes)
    rows = array.transpose([*rest, *axes]).reshape([array.shape[k] for k in rest] + [last])
    result = np.empty(shape + rows.shape[:-1], dtype=object)
    for place in np.ndindex(rows.shape[:-1]):
        result[(slice(None),) * len(shape) + place] = one(rows[place])
    if keepdims:
        result = result.reshape(shape + tuple(n if k in rest else 1 for k, n in enumerate(array.shape)))
    return written(traced(result if result.ndim else result.item()), out)
