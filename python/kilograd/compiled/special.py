"""Functions of `scipy.special` of arrays, of numbers, Values or a trace: what `kilograd.special` gives names."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from kilograd import _core
from kilograd._core import Value
from kilograd.compiled.conditions import Condition, refusal, thread
from kilograd.compiled.functions import where
from kilograd.compiled.protocols import constant
from kilograd.compiled.special_ufuncs import SPECIAL
from kilograd.compiled.traced import Mask, Traced, entries, has_values, traced
from kilograd.program import Program

__all__ = ["elementwise", "log_softmax", "logsumexp", "multigammaln", "polygamma", "softmax"]


def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False) -> Any:
    """`scipy.special.logsumexp`."""
    if return_sign:
        raise refusal("logsumexp() with return_sign=True is not there: return_sign=False alone is")
    array, factors = _array(a), None if b is None else _array(b)
    counted = array  # a factor of 0 leaves out what it is of, however large that is
    if factors is not None:
        choose = where if isinstance(array, Traced) or isinstance(factors, Traced) else np.where
        counted = choose(np.equal(factors, 0.0), -math.inf, array)
        if not isinstance(factors, Traced):
            array = counted
    largest = _largest(counted, axis)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.exp(array - largest)
        total = _log(np.sum(parts if factors is None else parts * factors, axis=axis, keepdims=True)) + largest
    return _shown(total if keepdims else _squeezed(total, axis))


def softmax(x: Any, axis: Any = None) -> Any:
    """`scipy.special.softmax`."""
    array = _array(x)
    parts = np.exp(array - np.max(array, axis=axis, keepdims=True))
    return _shown(parts / np.sum(parts, axis=axis, keepdims=True))


def log_softmax(x: Any, axis: Any = None) -> Any:
    """`scipy.special.log_softmax`."""
    array = _array(x)
    shifted = array - _largest(array, axis)
    with np.errstate(divide="ignore"):
        return _shown(shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True)))


def polygamma(n: Any, x: Any) -> Any:
    """`scipy.special.polygamma`."""
    orders = np.asarray(n)
    if orders.ndim or orders.dtype.kind not in "iu" or not 0 <= orders <= _LARGEST_ORDER:
        raise refusal(f"polygamma() takes one order, a whole number from 0 to {_LARGEST_ORDER}, not {n!r}")
    return elementwise(("polygamma", int(orders)), x)


_LARGEST_ORDER = 100


def multigammaln(a: Any, d: int) -> Any:
    """`scipy.special.multigammaln`."""
    array, least = traced(entries(a)), 0.5 * (d - 1)
    if bool(np.any(np.less_equal(array, least))):
        raise ValueError(f"multigammaln() with d={d} is undefined for numbers up to (d - 1) / 2 = {least}: {a}")
    result = d * (d - 1) * 0.25 * math.log(math.pi)
    for j in range(d):
        result = result + traced(np.frompyfunc(_core._log_gamma, 1, 1)(entries(array) - 0.5 * j))
    return result


def _log(total: Any) -> Any:
    """The logarithm, minus infinity of 0, which has no derivative there: as a root has none."""
    if not _are_recorded((total,)):
        return np.log(total)
    is_zero = np.equal(total, 0.0)
    return np.log(where(is_zero, 1.0, total)) + where(is_zero, np.sqrt(where(is_zero, total, 1.0)) - math.inf, 0.0)


def _largest(array: Any, axis: Any) -> Any:
    """What is taken off the numbers, so that no exponential overflows; infinities stay what they are."""
    largest = np.max(array, axis=axis, keepdims=True)
    return (where if isinstance(array, Traced) else np.where)(np.isfinite(largest), largest, 0.0)


def elementwise(function: Any, *operands: Any) -> Any:
    """A function of numbers, by its name or ("polygamma", order), of each entry of arrays, which broadcast.

    Of numbers alone it is a program's, in which infinities and NaN flow.
    """
    if not _are_recorded(operands):
        arrays = np.broadcast_arrays(*[_floats(each) for each in operands])
        rows = np.column_stack([each.reshape(-1) for each in arrays])
        found: Any = np.asarray(_program(function, len(operands))(rows, check=False)).reshape(arrays[0].shape)
        return (constant(found) if thread.notes is not None else found) if found.ndim else found.item()
    with np.errstate(all="ignore"):  # operations say themselves what is wrong; parts that are not chosen may overflow
        result = np.frompyfunc(_of_entries(function), len(operands), 1)(*map(entries, operands))
    return _shown(traced(result))


def _are_recorded(operands: tuple[Any, ...]) -> bool:
    """Whether there is a Value among numbers and arrays."""
    return any(
        isinstance(each, (Value, Condition, Traced, Mask))
        or (isinstance(each, (list, tuple)) and _are_recorded(tuple(each)))
        or (isinstance(each, np.ndarray) and each.dtype == object)
        for each in operands
    ) and any(has_values(entries(each)) for each in operands)


def _floats(thing: Any) -> Any:
    if isinstance(thing, np.ndarray) and thing.dtype.kind in "biuf" and not isinstance(thing, (Traced, Mask)):
        return thing.astype(np.float64, copy=False)
    return entries(thing).astype(np.float64)


def _array(thing: Any) -> Any:
    """An array of floats, where all are numbers, or one of Values."""
    return traced(entries(thing)) if _are_recorded((thing,)) else _floats(thing)


def _shown(result: Any) -> Any:
    """A result of traced arrays as the caller sees it: outside of a trace a plain array, with floats for entries."""
    if thread.notes is not None:
        return constant(result)
    if isinstance(result, Traced):
        plain = result.view(np.ndarray)
        return plain if has_values(plain) or not plain.size else plain.astype(np.float64)
    return float(result) if isinstance(result, np.floating) else result


def _of_entries(function: Any) -> Callable[..., Any]:
    """What it does with Values and floats."""
    compute = SPECIAL[function] if isinstance(function, str) else lambda x: _core._polygamma(x, function[1])

    def one(*operands: Any) -> Any:
        if any(isinstance(operand, Value) for operand in operands):
            return compute(*operands)
        return float(_program(function, len(operands))(list(operands), check=False))

    return one


@cache
def _program(function: Any, operands: int) -> Program:
    """A function of one or two numbers, recorded."""
    leaves = [Value(0.5) for _ in range(operands)]
    before = _core._trace_into([])  # also where nothing else is
    try:
        out = (SPECIAL[function] if isinstance(function, str) else _of_entries(function))(*leaves)
    finally:
        _core._trace_into(before)
    return Program(out, inputs=leaves)


def _squeezed(array: Any, axis: Any) -> Any:
    found = np.squeeze(array, axis) if np.ndim(array) else array
    return found.item() if isinstance(found, np.ndarray) and not found.ndim else found
