"""NumPy's functions where their arrays are traced: those that would compare, strip arrays of their class, or write.

All others run as NumPy has them, and come to `protocols.of_ufunc` by the ufuncs of which they are made.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from kilograd import _core
from kilograd._core import Value
from kilograd.compiled import complex_functions, narrow
from kilograd.compiled.conditions import Condition, decided, refusal, thread
from kilograd.compiled.protocols import implements, of_ufunc, written
from kilograd.compiled.special_ufuncs import select
from kilograd.compiled.traced import (
    Mask,
    Objects,
    Pair,
    Traced,
    array_of,
    bools,
    chosen,
    entries,
    index_of,
    is_complex,
    is_float,
    is_of_bools,
    mask_of,
    single,
    traced,
)
from kilograd.compiled.ufuncs import sinc

SEGMENTS = 64
"""Up to so many segments `interp` is made of operations, beyond by guards of the one that is taken."""

# --- choices

_WHERE = np.where  # the name is replaced in a trace


@implements(np.where)
def where(condition: Any, a: Any = None, b: Any = None) -> Any:
    """`numpy.where`; as an operation where the condition is one of a second trace."""
    if a is None and b is None:
        return np.nonzero(_decided(condition))
    thread.chose = True
    if narrow.holds_narrow([a, b]):
        return narrow.of_function(_WHERE, (condition, a, b), {})
    if is_complex(a) or is_complex(b):
        return complex_functions.of_function(_WHERE, (condition, a, b), {})
    mask = bools(condition)
    sides = [part if isinstance(part, np.ndarray) else np.asarray(_plain(part)) for part in (a, b)]
    are_integers = [side.dtype != object and side.dtype.kind != "f" and not isinstance(side, Traced) for side in sides]
    if all(are_integers) and not getattr(thread.notes, "choose_always", False):
        return np.where(_decided(condition), *sides)  # of integers
    result = chosen(mask, a, b)
    return result.view(Traced) if isinstance(result, np.ndarray) else single(result).view(Traced)


def _plain(thing: Any) -> Any:
    return entries(thing) if isinstance(thing, (Value, Condition, list, tuple)) and holds(thing) else thing


def holds(thing: Any) -> bool:
    """Whether something is recorded, or holds what is."""
    if isinstance(thing, (list, tuple)):
        return any(map(holds, thing))
    return isinstance(thing, (Value, Condition, Traced, Mask, Pair))


def _decided(condition: Any) -> Any:
    if isinstance(condition, (Mask, Condition)):
        return decided(condition)
    if isinstance(condition, (Traced, Value)):
        return _decided(of_ufunc(np.not_equal, "__call__", (condition, 0.0), {}))
    return condition


@implements(np.nonzero)
def _nonzero(a: Any) -> Any:
    return np.nonzero(_decided(a))


@implements(np.count_nonzero)
def _count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return np.count_nonzero(_decided(a), axis, keepdims=keepdims)


@implements(np.select)
def _select(conditions: Any, choices: Any, default: Any = 0.0) -> Any:
    result = default
    for condition, choice in zip(reversed(conditions), reversed(choices), strict=True):
        result = where(condition, choice, result)
    return result


@implements(np.copyto)
def _copyto(target: Any, source: Any, casting: str = "same_kind", where: Any = True) -> None:
    target[...] = source if where is True else chosen(where, source, target)


@implements(np.putmask)
def _putmask(target: Any, mask: Any, values: Any) -> None:
    _copyto(target, np.resize(entries(values), target.shape), where=mask)


@implements(np.nan_to_num)
def _nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    limit = np.finfo(float).max
    result = where(np.isnan(x), nan, x)
    result = where(result == np.inf, limit if posinf is None else posinf, result)
    result = where(result == -np.inf, -limit if neginf is None else neginf, result)
    return result if copy or not isinstance(x, Traced) else written(result, x)


@implements(np.clip)
def _clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, **options: Any) -> Any:
    low, high = options.pop("min", a_min), options.pop("max", a_max)
    if low is not None:
        a = np.maximum(low, a)  # of a tie of zeros, `a`
    if high is not None:
        a = np.minimum(high, a)
    return written(a if low is not None or high is not None else +a, out)


@implements(np.round, np.around)
def rounded(a: Any, decimals: int = 0, out: Any = None) -> Any:
    """`numpy.round`."""
    scale = 10.0 ** abs(decimals)
    if decimals > 0:
        a = np.rint(a * scale) / scale
    elif decimals < 0:
        a = np.rint(a / scale) * scale
    else:
        a = np.rint(a)
    return written(a, out)


@implements(np.isclose)
def _is_close(a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Any:
    near = (abs(np.subtract(a, b)) <= atol + rtol * abs(np.multiply(b, 1.0))) & np.isfinite(b)
    same = np.equal(a, b)
    return near | same | (np.isnan(a) & np.isnan(b)) if equal_nan else near | same


@implements(np.allclose)
def _all_close(*args: Any, **options: Any) -> bool:
    return bool(np.all(_is_close(*args, **options)))


@implements(np.sinc)
def _sinc(x: Any) -> Any:
    def one(number: Any) -> Any:
        return sinc(number) if isinstance(number, Value) else float(np.sinc(number))

    return traced(np.frompyfunc(one, 1, 1)(entries(x)))


# --- pieces


@implements(np.interp)
def _interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    if period is not None:
        raise refusal("numpy.interp() with period= cannot be recorded: take x % period and extend xp and fp")
    knots, values = entries(xp), entries(fp)
    if len(knots) > SEGMENTS:
        return _interp_by_guards(entries(x), knots, values, left, right)
    first = values[0] if left is None else left
    last = values[-1] if right is None else right

    def one(at: Any) -> Any:
        # From below, each knot that is reached replaces what was chosen before.
        result = _core._gate(_core._less(at, knots[0]), first)
        pieces = [
            _piece(at, *(knots[k : k + 2].tolist()), *(values[k : k + 2].tolist())) for k in range(len(knots) - 1)
        ]
        reached = [_core._less_equal(knot, at) for knot in knots]
        for k, piece in enumerate(pieces):
            result = result + _core._gate(reached[k] - reached[k + 1], piece)
        result = result + _core._gate(reached[-1], _at_end(at, knots[-1], values[-1], last))
        return result + _core._gate(1.0 - _core._equal(at, at), at)

    return traced(np.frompyfunc(one, 1, 1)(entries(x)))


def _piece(at: Any, x0: Any, x1: Any, y0: Any, y1: Any) -> Any:
    slope = (y1 - y0) / (x1 - x0)
    y = slope * (at - x0) + y0
    if type(slope) is float and math.isfinite(slope):
        return y
    # As NumPy does where an infinite value makes it NaN.
    from_right = slope * (at - x1) + y1
    is_flat = _core._equal(y0, y1) * (1.0 - _core._equal(from_right, from_right))
    rest = select(_core._equal(at, x0), y0, select(is_flat, y0, from_right))
    return select(_core._equal(y, y), y, rest)


def _at_end(at: Any, knot: Any, value: Any, last: Any) -> Any:
    if value is last:
        return value
    beyond = _core._less(knot, at)
    return _core._gate(1.0 - beyond, value) + _core._gate(beyond, last)


def _interp_by_guards(x: Objects, knots: Objects, values: Objects, left: Any, right: Any) -> Any:
    def one(at: Any) -> Any:
        if bool(at < knots[0]):
            return values[0] if left is None else left
        if bool(at > knots[-1]):
            return values[-1] if right is None else right
        low, high = 0, len(knots) - 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if bool(knots[middle] <= at) else (low, middle)
        if bool(at == knots[high]):
            return values[high]
        return _piece(at, knots[low], knots[high], values[low], values[high])

    return traced(np.frompyfunc(one, 1, 1)(x))


@implements(np.piecewise)
def _piecewise(x: Any, conditions: Any, functions: Any, *args: Any, **options: Any) -> Any:
    """Each piece where its condition holds; with conditions of a second trace everywhere, and then chosen.

    A function may do with several numbers what it does with none alone, such as subtract their mean: it is called with
    those that it is given by NumPy, by guards.
    """
    several = list(conditions) if isinstance(conditions, (list, tuple)) else [conditions]
    if np.size(x) > 1 and any(map(callable, functions)):
        several = [np.asarray(_decided(condition)) for condition in several]
        conditions = several if isinstance(conditions, (list, tuple)) else several[0]
    if not any(isinstance(condition, (Mask, Condition)) for condition in several):
        thread.chose = True
        return _PIECEWISE(entries(x).view(Traced), conditions, functions, *args, **options)
    functions = list(functions)
    result: Any = 0.0
    if len(functions) == len(several) + 1:
        last = functions.pop()
        result = last(x, *args, **options) if callable(last) else last
    for condition, function in zip(several, functions, strict=True):
        result = where(condition, function(x, *args, **options) if callable(function) else function, result)
    return result


_ORIGINAL: Any = np.piecewise
_PIECEWISE = _ORIGINAL._implementation
"""What NumPy itself does, without asking its arguments for a protocol; the name is replaced in a trace."""


# --- sums of products


@implements(np.dot)
def _dot(a: Any, b: Any, out: Any = None) -> Any:
    if is_of_bools(a) and is_of_bools(b):
        result = np.dot(decided(array_of(a)), decided(array_of(b)))
    else:
        result = traced(np.dot(entries(a), entries(b)))
    return written(result, out)


@implements(np.vdot)
def _vdot(a: Any, b: Any) -> Any:
    return _dot(array_of(a).reshape(-1), array_of(b).reshape(-1))


@implements(np.bincount)
def _bincount(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    places = np.asarray(index_of(x))
    size = max(minlength, int(places.max(initial=-1)) + 1)
    if weights is None:
        return np.bincount(places, minlength=minlength)
    result = zeros(size)
    np.add.at(result, places, weights)
    return result


@implements(np.cov)
def _cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: Any = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    if fweights is not None or aweights is not None:
        raise refusal("numpy.cov() with weights cannot be recorded: compose it of sums")
    x = np.atleast_2d(traced(np.atleast_1d(entries(m))))
    x = x.T if not rowvar and x.shape[0] != 1 else x
    if y is not None:
        other = np.atleast_2d(traced(np.atleast_1d(entries(y))))
        x = np.concatenate([x, other.T if not rowvar and other.shape[0] != 1 else other])
    n = max(x.shape[1] - (ddof if ddof is not None else 0 if bias else 1), 0)
    x = x - x.mean(axis=1, keepdims=True)
    return (x @ x.T / n).squeeze()


@implements(np.corrcoef)
def _corrcoef(x: Any, y: Any = None, rowvar: bool = True, **options: Any) -> Any:
    c = _cov(x, y, rowvar)
    if not c.ndim:
        return c / c
    deviation = np.sqrt(np.diag(c))
    return np.clip(c / deviation[:, None] / deviation[None, :], -1.0, 1.0)


@implements(np.concatenate)
def _concatenate(arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    if out is None and all(map(is_of_bools, arrays)):
        return mask_of(np.concatenate([bools(array_of(each)) for each in arrays], axis))
    result = np.concatenate([entries(each) for each in arrays], axis)
    return written(result.view(Traced), out)


@implements(np.take)
def _take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: Any = "raise") -> Any:
    if not holds(a):
        return np.asarray(a).take(indices, axis, out, mode)
    found = array_of(a).view(np.ndarray).take(indices, axis, mode=mode)
    return written(mask_of(found) if is_of_bools(a) else traced(found), out)


@implements(np.reshape)
def _reshape(a: Any, shape: Any = None, order: Any = "C", newshape: Any = None, copy: Any = None) -> Any:
    # Not NumPy's own, which takes the refusal of a method for none, and goes on without the method.
    found = array_of(a).reshape(newshape if shape is None else shape, order=order)
    return found.copy() if copy else found


@implements(np.apply_along_axis)
def _apply_along_axis(function: Any, axis: int, array: Any, *args: Any, **options: Any) -> Any:
    moved = np.moveaxis(traced(entries(array)), axis, -1)
    results = [function(moved[place], *args, **options) for place in np.ndindex(moved.shape[:-1])]
    stacked = np.stack([array_of(result) for result in results])
    parts = stacked.reshape(moved.shape[:-1] + stacked.shape[1:])
    if stacked.ndim == 1:
        return parts
    return np.moveaxis(parts, range(moved.ndim - 1, parts.ndim), range(axis, axis + stacked.ndim - 1))


@implements(np.diag)
def _diag(v: Any, k: int = 0) -> Any:
    array = entries(v)
    if array.ndim == 2:
        return np.diagonal(array, k).copy().view(Traced)
    result = np.diag(np.zeros(len(array)), k).astype(object)
    places = np.arange(len(array))
    result[places + max(-k, 0), places + max(k, 0)] = array
    return result.view(Traced)


@implements(np.diagflat)
def _diagflat(v: Any, k: int = 0) -> Any:
    return _diag(entries(v).reshape(-1), k)


# --- new arrays


def zeros(shape: Any) -> Any:
    """An array of floats that Values may be written into."""
    return np.zeros(shape).astype(object).view(Traced)


@implements(np.zeros_like)
def _zeros_like(a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, **_: Any) -> Any:
    return _full_like(a, 0.0, dtype, order, subok, shape)


@implements(np.empty_like)
def _empty_like(a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, **_: Any) -> Any:
    return _full_like(a, 0.0, dtype, order, subok, shape)


@implements(np.ones_like)
def _ones_like(a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, **_: Any) -> Any:
    return _full_like(a, 1.0, dtype, order, subok, shape)


@implements(np.full_like)
def _full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, **_: Any
) -> Any:
    size = np.shape(a) if shape is None else shape
    if not is_float(dtype) or (dtype is None and isinstance(a, Mask)):
        return np.full(size, fill_value, dtype=bool if dtype is None else dtype)
    result = zeros(size)
    result[...] = fill_value
    return result


@implements(np.result_type)
def _result_type(*things: Any) -> Any:
    if sys._getframe(3).f_globals.get("__name__", "").startswith("numpy."):
        return np.dtype(object)  # what NumPy makes of it is to hold Values
    kinds = [each.dtype if isinstance(each, (Traced, Mask)) else each for each in things]
    return np.result_type(*[np.float64 if isinstance(each, (Value, Condition)) else each for each in kinds])


@implements(np.can_cast)
def _can_cast(kind: Any, to: Any, casting: Any = "safe") -> Any:
    return np.can_cast(kind.dtype if isinstance(kind, (Traced, Mask)) else np.float64, to, casting)


@implements(np.shape)
def _shape(a: Any) -> Any:
    return a.shape if isinstance(a, np.ndarray) else ()


@implements(np.ndim)
def _ndim(a: Any) -> int:
    return a.ndim if isinstance(a, np.ndarray) else 0


@implements(np.size)
def _size(a: Any, axis: Any = None) -> int:
    shape = _shape(a)
    return math.prod(shape) if axis is None else math.prod([shape[k] for k in np.atleast_1d(axis)])


@implements(np.iscomplexobj)
def _is_complex(x: Any) -> bool:
    return False


@implements(np.isrealobj)
def _is_real(x: Any) -> bool:
    return True


@implements(np.iscomplex, np.isneginf, np.isposinf)
def _is_none_of_them(x: Any, out: Any = None) -> Any:
    raise refusal("cannot be recorded: compare with numpy.inf")


@implements(np.real, np.real_if_close)
def _real(x: Any, *_: Any, **options: Any) -> Any:
    return x


@implements(np.imag)
def _imag(x: Any) -> Any:
    return np.zeros(_shape(x)) if _shape(x) else np.float64(0.0)


@implements(np.i0)
def _i0(x: Any) -> Any:
    return traced(np.frompyfunc(lambda entry: _core._bessel_i(entry, 0), 1, 1)(entries(x)))
