"""NumPy's functions of complex arrays while a function is traced: of the parts, where they are linear or products."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kilograd.compiled import protocols
from kilograd.compiled.complexes import BY_PARTS, Complex, as_complex, bilinear, plain, product
from kilograd.compiled.conditions import refusal
from kilograd.compiled.traced import Traced, entries, is_complex

__all__ = ["implements_complex", "of_function"]

FUNCTIONS: dict[Any, Callable[..., Any]] = {}
"""What is done in place of functions of NumPy with complex arrays."""


def implements_complex(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Say that a function stands for some of NumPy's where arrays are complex."""

    def register(implementation: Callable[..., Any]) -> Callable[..., Any]:
        FUNCTIONS.update(dict.fromkeys(functions, implementation))
        return implementation

    return register


_NAMES = (
    "sum cumsum diff ravel squeeze transpose swapaxes moveaxis expand_dims reshape repeat take tile roll flip "
    "fliplr flipud trace diagonal diag diagflat tril triu concatenate stack hstack vstack dstack column_stack split "
    "array_split broadcast_to atleast_1d atleast_2d atleast_3d copy rot90 rollaxis delete nansum"
)
_LINEAR: frozenset[Any] = frozenset(getattr(np, name) for name in _NAMES.split())
_LINEAR |= {np.fft.fftshift, np.fft.ifftshift}
_PRODUCTS: frozenset[Any] = frozenset(
    (np.dot, np.inner, np.outer, np.tensordot, np.kron, np.convolve, np.vdot, np.correlate)
)


def of_function(function: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What a function of NumPy does with arguments of which one is complex."""
    implementation = FUNCTIONS.get(function)
    if implementation is not None:
        return implementation(*args, **options)
    constants = [plain(each) for each in (*args, *options.values())]
    given = [*args, *options.values()]
    if not any(one is None and other is not None for one, other in zip(constants, given, strict=True)):
        count = len(args)
        named = dict(zip(options, constants[count:], strict=True))
        found = function._implementation(*constants[:count], **named)
        return as_complex(found) if isinstance(found, np.ndarray) and is_complex(found) else protocols.constant(found)
    name = f"{function.__module__}.{function.__name__}"
    if options.get("out") is not None:
        raise refusal(f"{name}() of complex numbers with out= is not recorded")
    if function in _LINEAR and args and is_complex(args[0]):
        parts = [function(_part(args[0], k), *args[1:], **options) for k in range(2)]
        return _together(*parts)
    if function in _PRODUCTS and not is_complex(list(args[2:])):
        a, b = as_complex(args[0]), as_complex(args[1])
        a = a.conjugate() if function.__name__ == "vdot" else a
        b = b.conjugate() if function.__name__ == "correlate" else b
        return bilinear(function, a, b, *args[2:], **options)
    raise refusal(f"{name}() of complex numbers is not recorded: {BY_PARTS}")


def _part(thing: Any, k: int) -> Any:
    """The real or the imaginary part of an array, or of those of a sequence."""
    if isinstance(thing, (list, tuple)):
        return [_part(part, k) for part in thing]
    z = as_complex(thing)
    return z.im if k else z.re


def _together(re: Any, im: Any) -> Any:
    if isinstance(re, (list, tuple)):
        return [_together(one, other) for one, other in zip(re, im, strict=True)]
    return Complex.of_parts(*[entries(part).view(Traced) for part in (re, im)])  # views of what are views in NumPy


@implements_complex(np.real)
def _real(z: Any) -> Any:
    return as_complex(z).real


@implements_complex(np.imag)
def _imag(z: Any) -> Any:
    return as_complex(z).imag


@implements_complex(np.angle)
def _angle(z: Any, deg: bool = False) -> Any:
    z = as_complex(z)
    found = np.arctan2(z.imag, z.real)
    return found * (180.0 / math.pi) if deg else found


@implements_complex(np.where)
def _where(condition: Any, a: Any = None, b: Any = None) -> Any:
    a, b = as_complex(a), as_complex(b)
    return Complex(*[np.where(condition, getattr(a, name), getattr(b, name)) for name in ("re", "im")])


@implements_complex(np.mean)
def _mean(z: Any, axis: Any = None, keepdims: bool = False) -> Any:
    z = as_complex(z)
    count = math.prod(z.shape[k] for k in protocols.axes_of(axis, z.ndim))
    return np.sum(z, axis=axis, keepdims=keepdims) / count


@implements_complex(np.prod)
def _prod(z: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return product(as_complex(z), axis, keepdims)


@implements_complex(np.linalg.norm)
def _norm(z: Any, *args: Any, **options: Any) -> Any:
    z = as_complex(z)
    if not args and not options:
        return np.sqrt(np.sum(z.re * z.re) + np.sum(z.im * z.im))
    return np.linalg.norm(np.abs(z), *args, **options)


@implements_complex(np.einsum)
def _einsum(subscripts: Any, *operands: Any, **options: Any) -> Any:
    if not isinstance(subscripts, str) or len(operands) > 2:
        raise refusal("numpy.einsum() of complex numbers is recorded of one or two operands, by a string")
    call = functools.partial(np.einsum, subscripts, **options)
    if len(operands) == 1:
        return _together(*[call(_part(operands[0], k)) for k in range(2)])
    return bilinear(call, *map(as_complex, operands))


@implements_complex(np.polyval)
def _polyval(p: Any, x: Any) -> Any:
    x = as_complex(x)
    result = as_complex(np.zeros(x.shape))
    for coefficient in p:
        result = result * x + coefficient
    return result


@implements_complex(np.zeros_like, np.empty_like)
def _zeros_like(z: Any, dtype: Any = None, **options: Any) -> Any:
    if dtype is not None and np.dtype(dtype).kind != "c":
        return np.zeros(np.shape(_part(z, 0)), dtype=dtype)
    return as_complex(np.zeros(as_complex(z).shape))


@implements_complex(np.shape)
def _shape(z: Any) -> Any:
    return as_complex(z).shape


@implements_complex(np.ndim)
def _ndim(z: Any) -> int:
    return int(as_complex(z).ndim)


@implements_complex(np.size)
def _size_of(z: Any, axis: Any = None) -> int:
    found: int = np.size(as_complex(z).re, axis)
    return found


@implements_complex(np.iscomplexobj)
def _is_complex_object(_: Any) -> bool:
    return True


@implements_complex(np.isrealobj)
def _is_real_object(_: Any) -> bool:
    return False


@implements_complex(np.allclose, np.array_equal)
def _no_comparison(*_: Any, **__: Any) -> Any:
    raise refusal("complex numbers are not compared: compare .real and .imag, or numpy.abs(a - b)")
