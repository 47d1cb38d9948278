"""Functions of `scipy.special` that are no ufuncs, for traced arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kilograd import _core
from kilograd.compiled.conditions import refusal
from kilograd.compiled.functions import where
from kilograd.compiled.traced import entries, traced

__all__ = ["log_softmax", "logsumexp", "multigammaln", "polygamma", "softmax"]


def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False) -> Any:
    """`scipy.special.logsumexp`."""
    if return_sign:
        raise refusal("scipy.special.logsumexp() with return_sign=True cannot be recorded")
    array = traced(entries(a))
    largest = _largest(array, axis)
    parts = np.exp(array - largest)
    total = np.log(np.sum(parts if b is None else parts * b, axis=axis, keepdims=True)) + largest
    return total if keepdims else _squeezed(total, axis)


def softmax(x: Any, axis: Any = None) -> Any:
    """`scipy.special.softmax`."""
    array = traced(entries(x))
    parts = np.exp(array - np.max(array, axis=axis, keepdims=True))
    return parts / np.sum(parts, axis=axis, keepdims=True)


def log_softmax(x: Any, axis: Any = None) -> Any:
    """`scipy.special.log_softmax`."""
    array = traced(entries(x))
    shifted = array - _largest(array, axis)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def polygamma(n: Any, x: Any) -> Any:
    """`scipy.special.polygamma`."""
    orders = np.asarray(n)
    if orders.ndim or orders.dtype.kind not in "iu" or orders < 0:
        raise refusal("scipy.special.polygamma() is recorded with one order, a whole number")
    return traced(np.frompyfunc(lambda entry: _core._polygamma(entry, int(orders)), 1, 1)(entries(x)))


def multigammaln(a: Any, d: int) -> Any:
    """`scipy.special.multigammaln`."""
    array, least = traced(entries(a)), 0.5 * (d - 1)
    if bool(np.any(np.less_equal(array, least))):
        raise ValueError(f"multigammaln() with d={d} is undefined for numbers up to (d - 1) / 2 = {least}: {a}")
    result = d * (d - 1) * 0.25 * math.log(math.pi)
    for j in range(d):
        result = result + traced(np.frompyfunc(_core._log_gamma, 1, 1)(entries(array) - 0.5 * j))
    return result


def _largest(array: Any, axis: Any) -> Any:
    """What is taken off the numbers, so that no exponential overflows; infinities stay what they are."""
    largest = np.max(array, axis=axis, keepdims=True)
    return where(np.isfinite(largest), largest, 0.0)


def _squeezed(array: Any, axis: Any) -> Any:
    found = np.squeeze(array, axis) if np.ndim(array) else array
    return found.item() if isinstance(found, np.ndarray) and not found.ndim else found
