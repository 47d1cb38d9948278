"""Fourier transforms of traced arrays: `numpy.fft`, by butterflies that are recorded, or whole, as stages.

A transform is recorded entry by entry, by decimation in time: into two halves where it can be, else into as many parts
as the smallest prime factor. Those that would take more than `LARGEST` products are one operation each, NumPy's, which
is linear: its tangent is itself, its adjoint its transpose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from kilograd.compiled.complex_functions import implements_complex
from kilograd.compiled.complexes import Complex, as_complex, plain
from kilograd.compiled.conditions import refusal
from kilograd.compiled.matrices import Operation, computed
from kilograd.compiled.protocols import axes_of, implements
from kilograd.compiled.traced import Traced, entries, index_of, is_complex

if TYPE_CHECKING:
    from kilograd.compiled.matrices import Array, Arrays
    from kilograd.compiled.structure import Shape

LARGEST = 10_000
"""How many complex products a transform takes at most that is recorded as butterflies: one of 512 numbers, or of 97."""


# --- butterflies, along the last axis


@cache
def _roots(n: int, sign: int) -> Complex:
    """The powers of the n-th root of unity, of which quarters of a turn are exact."""
    turns = np.arange(n) / n
    quarter = np.array([1.0, 1j, -1.0, -1j])
    roots = np.where(4 * np.arange(n) % n == 0, quarter[4 * np.arange(n) // n % 4], np.exp(2j * math.pi * turns))
    return as_complex(roots if sign > 0 else roots.conj())


def _transformed(z: Complex, sign: int) -> Complex:
    """Of n numbers, without a factor."""
    n = z.shape[-1]
    if n == 1:
        return z
    p = _smallest_factor(n)
    parts = [_transformed(z[..., r::p], sign) for r in range(p)]
    turned = [parts[0], *[part * _roots(n, sign)[np.arange(n // p) * r % n] for r, part in enumerate(parts[1:], 1)]]
    if p == 2:
        return np.concatenate([turned[0] + turned[1], turned[0] - turned[1]], axis=-1)  # type: ignore[return-value]
    roots = _roots(p, sign)
    pieces = []
    for q in range(p):
        piece = turned[0]
        for r in range(1, p):
            piece = piece + turned[r] * roots[q * r % p]
        pieces.append(piece)
    return np.concatenate(pieces, axis=-1)  # type: ignore[return-value]


def _smallest_factor(n: int) -> int:
    return next((p for p in range(2, math.isqrt(n) + 1) if n % p == 0), n)


def _conjugate(z: Any) -> Any:
    """Zeros that are constants stay positive, as those of transforms are."""
    return np.conjugate(z) + 0.0


def _half_of_real(x: Traced) -> Complex:
    """The transform of n real numbers: its first n // 2 + 1, of which the others are conjugates."""
    n = x.shape[-1]
    if n % 2 or n == 1:
        return _transformed(as_complex(x), -1)[..., : n // 2 + 1]
    even, odd = _half_of_real(x[..., ::2]), _half_of_real(x[..., 1::2])
    odd = odd * _roots(n, -1)[: odd.shape[-1]]
    low, high = even + odd, _conjugate(even - odd)
    return np.concatenate([low, high[..., : n // 2 + 1 - low.shape[-1]][..., ::-1]], axis=-1)  # type: ignore[return-value]


def _real_of_half(z: Complex, n: int) -> Traced:
    """The n real numbers of which this is half the transform, without a factor."""
    z = z.copy()
    z.im[..., 0] = 0.0
    if n % 2 == 0:
        z.im[..., n // 2] = 0.0
    if n % 2:
        mirrored = np.conjugate(z[..., 1:])[..., ::-1]
        return _transformed(np.concatenate([z, mirrored], axis=-1), 1).re  # type: ignore[arg-type]
    m = n // 4 + 1
    first, second = z[..., :m], np.conjugate(z[..., ::-1][..., :m])
    result = np.empty((*z.shape[:-1], n), dtype=object)
    result[..., ::2] = entries(_real_of_half(first + second, n // 2))
    result[..., 1::2] = entries(_real_of_half((first - second) * _roots(n, 1)[:m], n // 2))
    return result.view(Traced)


# --- whole


class _Linear(Operation):
    """A linear map along the last axis, between real arrays and pairs of these; rows first, then the pair."""

    def __init__(self, name: str, map: Callable[[Array], Array], transposed: Callable[[Array], Array], shape: Any):
        self.name = name
        self._map = map
        self._transposed = transposed
        self._shape = shape

    def shape(self, *operands: Shape) -> Shape:
        found: Shape = self._shape(operands[0])
        return found

    def value(self, *x: Array) -> Array:
        return self._map(x[0])

    def tangent(self, x: Arrays, y: Array, dx: Arrays) -> Array:
        return self._map(dx[0])

    def adjoint(self, x: Arrays, y: Array, w: Array) -> Arrays:
        return (self._transposed(w),)

    def change(self, x: Arrays, y: Array, dx: Arrays, w: Array, dw: Array) -> tuple[Arrays, Arrays]:
        return (self._transposed(w),), (self._transposed(dw),)


def _pair(z: Array) -> Array:
    return np.stack([z.real, z.imag], axis=1)


def _joined(pair: Array) -> Array:
    return pair[:, 0] + 1j * pair[:, 1]


def _backward(z: Array) -> Array:
    """The inverse without its factor."""
    return np.fft.ifft(z, norm="forward")


_WHOLE = {
    -1: _Linear(
        "numpy.fft.fft()", lambda x: _pair(np.fft.fft(_joined(x))), lambda w: _pair(_backward(_joined(w))), tuple
    ),
    1: _Linear(
        "numpy.fft.ifft()", lambda x: _pair(_backward(_joined(x))), lambda w: _pair(np.fft.fft(_joined(w))), tuple
    ),
}


def _whole_half_of_real(n: int) -> _Linear:
    def transposed(w: Array) -> Array:
        z = _joined(w)
        whole = np.zeros((*z.shape[:-1], n), dtype=complex)
        whole[..., : z.shape[-1]] = z
        return _backward(whole).real

    def shape(operand: Shape) -> Shape:
        return (2, *operand[:-1], n // 2 + 1)

    return _Linear("numpy.fft.rfft()", lambda x: _pair(np.fft.rfft(x)), transposed, shape)


def _whole_real_of_half(n: int) -> _Linear:
    counts = np.full(n // 2 + 1, 2.0)  # how often each number is in the whole
    counts[0] = 1.0
    if n % 2 == 0:
        counts[-1] = 1.0

    def shape(operand: Shape) -> Shape:
        return (*operand[1:-1], n)

    return _Linear(
        "numpy.fft.irfft()",
        lambda x: np.fft.irfft(_joined(x), n, norm="forward"),
        lambda w: _pair(np.fft.rfft(w) * counts),
        shape,
    )


def _is_whole(shape: Shape) -> bool:
    """Whether transforms along the last axis are one operation."""
    products, n = 0, shape[-1]
    while n > 1:
        p = _smallest_factor(n)
        products, n = products + p, n // p
    return math.prod(shape) * products > LARGEST


def _stacked(z: Complex) -> Any:
    return np.stack([entries(z.re), entries(z.im)])


# --- along an axis


def _fitted(a: Any, n: int, axis: int) -> Any:
    """With n numbers along the axis, which becomes the last: cut, or filled with zeros."""
    if n < 1:
        raise ValueError(f"Invalid number of FFT data points ({n}) specified.")
    parts = []
    for part in (a.re, a.im) if isinstance(a, Complex) else (a,):
        moved = np.moveaxis(entries(part), axis, -1)[..., :n]
        filled = np.zeros((*moved.shape[:-1], n)).astype(object)
        filled[..., : moved.shape[-1]] = moved
        parts.append(filled.view(Traced))
    return Complex.of_parts(*parts) if len(parts) == 2 else parts[0]


def _scaled(result: Any, n: int, norm: Any, is_inverse: bool, axis: int) -> Any:
    if norm not in (None, "backward", "ortho", "forward"):
        raise ValueError(f'Invalid norm value {norm}; should be "backward", "ortho" or "forward".')
    moved = np.moveaxis(result, -1, axis)
    if norm == "ortho":
        return moved * (1.0 / math.sqrt(n))
    return moved * (1.0 / n) if is_inverse == (norm != "forward") and n > 1 else moved


def _array(a: Any) -> Any:
    found = as_complex(a) if is_complex(a) else entries(a).view(Traced)
    if not found.ndim:
        raise ValueError("a Fourier transform is that of an array, not of a number")
    return found


def _fft(a: Any, n: Any = None, axis: Any = -1, norm: Any = None, sign: int = -1) -> Any:
    a, axis = _array(a), index_of(axis)
    n = a.shape[axis] if n is None else int(index_of(n))
    z: Any = _fitted(a, n, axis)
    found: Any
    if not isinstance(z, Complex):
        half = _half(z, n)  # of real numbers the others are conjugates
        mirrored = _conjugate(half[..., 1 : (n + 1) // 2])[..., ::-1]
        found = np.concatenate([half, mirrored], axis=-1)
        found = _conjugate(found) if sign > 0 else found
    else:
        found = Complex(*computed(_WHOLE[sign], _stacked(z))) if _is_whole(z.shape) else _transformed(z, sign)
    return _scaled(found, n, norm, sign > 0, axis)


def _half(x: Traced, n: int) -> Complex:
    if not _is_whole(x.shape):
        return _half_of_real(x)
    half = Complex(*computed(_whole_half_of_real(n), entries(x)))
    half.im[..., 0] = 0.0
    if n % 2 == 0:
        half.im[..., n // 2] = 0.0
    return half


def _ifft(a: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Any:
    return _fft(a, n, axis, norm, sign=1)


def _rfft(a: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Any:
    if is_complex(a):
        raise TypeError("numpy.fft.rfft() is of real numbers")
    a, axis = _array(a), index_of(axis)
    n = a.shape[axis] if n is None else int(index_of(n))
    return _scaled(_half(_fitted(a, n, axis), n), n, norm, False, axis)


def _irfft(a: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Any:
    z: Any = as_complex(_array(a))
    axis = index_of(axis)
    n = 2 * (z.shape[axis] - 1) if n is None else int(index_of(n))
    z = _fitted(z, n // 2 + 1 if n > 0 else n, axis)
    if _is_whole((*z.shape[:-1], n)):
        found: Any = computed(_whole_real_of_half(n), _stacked(z)).view(Traced)
    else:
        found = _real_of_half(z, n)
    return _scaled(found, n, norm, True, axis)


# --- along several axes


def _sizes(a: Any, s: Any, axes: Any) -> tuple[Sequence[Any], Sequence[int]]:
    a, s, axes = _array(a), index_of(s), index_of(axes)
    if axes is None:
        axes = tuple(range(a.ndim))[-len(s) :] if s is not None else tuple(range(a.ndim))
    axes = axes_of(tuple(axes), a.ndim)
    sizes = [None] * len(axes) if s is None else [None if n == -1 else n for n in s]
    if len(sizes) != len(axes):
        raise ValueError("Shape and axes have different lengths.")
    return sizes, axes


def _of_axes(one: Callable[..., Any], last: Callable[..., Any], is_last_first: bool) -> Callable[..., Any]:
    """A transform along several axes: `last` along the last of them, first or last of all, `one` along the others."""

    def transform(a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
        sizes, places = _sizes(a, s, axes)
        steps = [(one, n, axis) for n, axis in zip(sizes[:-1], places[:-1], strict=True)]
        steps.insert(0 if is_last_first else len(steps), (last, sizes[-1], places[-1]))
        for step, n, axis in steps:
            a = step(a, n, axis, norm)
        return a

    return transform


def _of_two(transform: Callable[..., Any]) -> Callable[..., Any]:
    def of_two(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Any:
        return transform(a, s, axes, norm)

    return of_two


_FFTN, _IFFTN = _of_axes(_fft, _fft, True), _of_axes(_ifft, _ifft, True)
_RFFTN, _IRFFTN = _of_axes(_fft, _rfft, True), _of_axes(_ifft, _irfft, False)

TRANSFORMS: dict[str, Callable[..., Any]] = {
    "fft": lambda a, n=None, axis=-1, norm=None: _fft(a, n, axis, norm),
    "ifft": _ifft,
    "rfft": _rfft,
    "irfft": _irfft,
    "fftn": _FFTN,
    "ifftn": _IFFTN,
    "rfftn": _RFFTN,
    "irfftn": _IRFFTN,
    "fft2": _of_two(_FFTN),
    "ifft2": _of_two(_IFFTN),
    "rfft2": _of_two(_RFFTN),
    "irfft2": _of_two(_IRFFTN),
}
"""By their names in `numpy.fft` and `scipy.fft`."""


def _of_scipy(name: str) -> Callable[..., Any]:
    function = getattr(np.fft, name)

    def transform(
        x: Any, *args: Any, overwrite_x: bool = False, workers: Any = None, plan: Any = None, **options: Any
    ) -> Any:
        return function(x, *args, **options)

    return transform


SCIPY = {name: _of_scipy(name) for name in (*TRANSFORMS, "fftshift", "ifftshift")}
"""The twins of `scipy.fft`, by name."""


def _registered(name: str, transform: Callable[..., Any]) -> None:
    function = getattr(np.fft, name)

    def of_arrays(a: Any, *args: Any, out: Any = None, **options: Any) -> Any:
        if out is not None:
            raise refusal(f"numpy.fft.{name}() with out= is not recorded")
        constants = plain(a)
        if constants is not None:
            found = function._implementation(constants, *args, **options)
            return as_complex(found) if is_complex(found) else found.astype(object).view(Traced)
        return transform(a, *args, **options)

    implements(function)(of_arrays)
    implements_complex(function)(of_arrays)


for _name, _transform in TRANSFORMS.items():
    _registered(_name, _transform)
