"""Complex numbers while a function is traced: arrays of pairs of real numbers, which end as real ones.

A `Complex` array holds two arrays, of Values and floats, and does what an array of complex numbers does: `of_ufunc`
computes entry by entry; `complex_functions` hands NumPy's functions that are linear the two parts one after the other,
and those that are products all pairs of parts. Zeros that are constants are left out.
"""

# ruff: noqa: D102 - methods of arrays are NumPy's

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

from kilograd import _core
from kilograd._core import Value
from kilograd.advice import instead_in_array
from kilograd.compiled import protocols
from kilograd.compiled import traced as real
from kilograd.compiled.conditions import Condition, refusal
from kilograd.compiled.special_ufuncs import select
from kilograd.compiled.texts import shown
from kilograd.compiled.traced import Pair, Traced, entries, has_values, index_of, is_complex

__all__ = ["BY_PARTS", "Complex", "as_complex", "bilinear", "of_ufunc", "plain", "product"]

BY_PARTS = "take .real and .imag, numpy.abs(z) or numpy.angle(z), or compose it of sums and products"
Entry = Any  # a Value or a float
Two = tuple[Entry, Entry]


class Complex(Pair, np.lib.mixins.NDArrayOperatorsMixin):
    """An array of complex numbers, of any number of dimensions, none too."""

    def __init__(self, re: Any, im: Any) -> None:
        re, im = np.broadcast_arrays(entries(re), entries(im))
        self.re = np.array(re).view(Traced)
        self.im = np.array(im).view(Traced)

    @classmethod
    def of_parts(cls, re: Traced, im: Traced) -> Complex:
        """An array of these parts, no copies: what is written into it is written there."""
        made = cls.__new__(cls)
        made.re, made.im = re, im
        return made

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return protocols.of_ufunc(ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        return protocols.of_function(function, args, options)

    def __array__(self, *args: Any, **options: Any) -> Any:
        raise refusal(real.NO_COMPLEX)

    # --- what it is

    shape = property(lambda self: self.re.shape)
    ndim = property(lambda self: self.re.ndim)
    size = property(lambda self: self.re.size)
    dtype = property(lambda self: np.dtype(np.complex128))

    @property
    def real(self) -> Any:
        return self.re if self.ndim else real.traced(self.re.view(np.ndarray).item())

    @real.setter
    def real(self, value: Any) -> None:
        self.re[...] = value

    @property
    def imag(self) -> Any:
        return self.im if self.ndim else real.traced(self.im.view(np.ndarray).item())

    @imag.setter
    def imag(self, value: Any) -> None:
        self.im[...] = value

    @property
    def T(self) -> Complex:  # noqa: N802 - NumPy's name
        return Complex.of_parts(self.re.T, self.im.T)

    def __len__(self) -> int:
        return len(self.re)

    def __iter__(self) -> Iterator[Any]:
        return (self[k] for k in range(len(self)))

    def __getitem__(self, key: Any) -> Complex:
        key = index_of(key)
        return Complex.of_parts(*[entries(part[key]).view(Traced) for part in (self.re, self.im)])

    def __setitem__(self, key: Any, value: Any) -> None:
        new = as_complex(value)
        self.re[key], self.im[key] = new.re, new.im

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError("The truth value of an array with more than one element is ambiguous.")
        return bool(np.any(self.re != 0.0)) or bool(np.any(self.im != 0.0))

    def __complex__(self) -> complex:
        raise refusal("a complex number that is recorded cannot become a plain one: leave out complex(z)")

    def __float__(self) -> float:
        raise TypeError("float() argument must be a string or a real number, not 'complex': take .real, or abs(z)")

    def __repr__(self) -> str:
        return shown(repr(self.re._numbers() + 1j * self.im._numbers()))

    # --- methods of arrays

    def conjugate(self) -> Complex:
        return np.conjugate(self)  # type: ignore[return-value]

    conj = conjugate

    def copy(self) -> Complex:
        return Complex(self.re, self.im)

    def item(self, *where: Any) -> Complex:
        return self.reshape(-1)[where[0] if where else 0] if len(where) < 2 else self[where]

    def astype(self, dtype: Any, *args: Any, **options: Any) -> Complex:
        if np.dtype(dtype) != np.complex128:
            raise refusal(
                f"a complex array that is recorded does not become one of {dtype}: take .real, .imag or abs(z)"
            )
        return self if options.get("copy") is False else self.copy()

    def flatten(self, order: Any = "C") -> Complex:
        return np.ravel(self, order).copy()  # type: ignore[return-value]

    def reshape(self, *shape: Any, **options: Any) -> Complex:
        return Complex.of_parts(*[part.reshape(*index_of(shape), **options) for part in (self.re, self.im)])

    def dot(self, other: Any) -> Any:
        return np.dot(self, other)

    def __getattr__(self, name: str) -> Any:
        if name not in _METHODS:
            instead = f": {BY_PARTS}" if hasattr(np.ndarray, name) else instead_in_array(name)
            raise AttributeError(
                f"a complex array that is recorded has no attribute {name!r}{instead}", name=name, obj=self
            )
        return functools.partial(getattr(np, _METHODS[name]), self)


_METHODS = {name: name for name in ("sum", "mean", "cumsum", "prod", "ravel", "squeeze", "transpose", "swapaxes")}
_METHODS |= {name: name for name in ("repeat", "take", "trace", "diagonal")}


def as_complex(thing: Any) -> Complex:
    """Whatever stands for numbers, as an array of complex ones."""
    if isinstance(thing, Complex):
        return thing
    if isinstance(thing, (list, tuple)) and is_complex(thing):
        parts = [as_complex(part) for part in thing]
        return Complex(*[np.stack([entries(getattr(part, name)) for part in parts]) for name in ("re", "im")])
    if isinstance(thing, (complex, np.complexfloating)) or (isinstance(thing, np.ndarray) and is_complex(thing)):
        return Complex(thing.real, thing.imag)
    numbers = entries(thing)
    return Complex(numbers, np.zeros(numbers.shape))


def plain(thing: Any) -> Any:
    """An array of constants as NumPy's; None where a number is recorded, or all else as it is."""
    if isinstance(thing, Complex):
        if has_values(thing.re.view(np.ndarray)) or has_values(thing.im.view(np.ndarray)):
            return None
        return thing.re.view(np.ndarray).astype(float) + 1j * thing.im.view(np.ndarray).astype(float)
    if isinstance(thing, (Value, Condition, Traced, real.Mask)):
        numbers = entries(thing)
        return None if has_values(numbers) else numbers.astype(float)
    if isinstance(thing, (list, tuple)):
        parts = [plain(part) for part in thing]
        return None if any(map(operator.is_, parts, [None] * len(parts))) else type(thing)(parts)
    return thing


# --- entry by entry


def _is_zero(number: Entry) -> bool:
    return type(number) is float and number == 0.0


def _plus(a: Entry, b: Entry) -> Entry:
    if type(a) is type(b):  # two constants have the sum that NumPy has, down to the sign of a zero
        return a + b
    return b if _is_zero(a) else a if _is_zero(b) else a + b


def _minus(a: Entry, b: Entry) -> Entry:
    if type(a) is type(b):
        return a - b
    return a if _is_zero(b) else -b if _is_zero(a) else a - b


def _times(a: Entry, b: Entry) -> Entry:
    if _is_zero(a) or _is_zero(b):
        return 0.0
    for one, other in ((a, b), (b, a)):
        if type(one) is float and abs(one) == 1.0:
            return other if one > 0.0 else -other
    return a * b


def _zero(ufunc: Any, a: Entry, b: Entry, c: Entry, d: Entry) -> Entry:
    """The imaginary part of a product or quotient of real numbers: the zero that NumPy has where that is negative.

    There its sign is the side of the branch cut that roots, logarithms and angles take.
    """
    a = math.copysign(1.0, a) if type(a) is float else -math.copysign(1.0, c) if type(c) is float else -1.0
    return float(ufunc(complex(a, b), complex(-a, d)).imag)


def _multiply(a: Entry, b: Entry, c: Entry, d: Entry) -> Two:
    if _is_zero(b) and _is_zero(d):
        return _times(a, c), _zero(np.multiply, a, b, c, d)
    return _minus(_times(a, c), _times(b, d)), _plus(_times(a, d), _times(b, c))


def _size(a: Entry, b: Entry) -> Entry:
    if _is_zero(a) or _is_zero(b):
        return abs(b if _is_zero(a) else a)
    return _core._hypot(a, b)


def _divide(a: Entry, b: Entry, c: Entry, d: Entry) -> Two:
    if _is_zero(d):
        return _over(a, c), _zero(np.divide, a, b, c, d) if _is_zero(b) else b / c
    size = _size(c, d)
    u, v = _over(c, size), _over(d, size)
    re, im = _multiply(a, b, u, -v)
    return _over(re, size), _over(im, size)


def _over(a: Entry, b: Entry) -> Entry:
    return 0.0 if _is_zero(a) else a / b


def _exp(a: Entry, b: Entry) -> Two:
    size = 1.0 if _is_zero(a) else _apply("exp", a)
    return _times(size, _apply("cos", b)), _times(size, _apply("sin", b))


def _log(a: Entry, b: Entry) -> Two:
    return _apply("log", _size(a, b)), _core._atan2(b, a)


def _sqrt(a: Entry, b: Entry) -> Two:
    far = _apply("sqrt", 0.5 * (_size(a, b) + abs(a)))
    near = b / (2.0 * (far + _core._equal(far, 0.0)))
    is_right = _core._less_equal(0.0, a)
    return select(is_right, far, abs(near)), select(is_right, near, _core._copysign(far, b))


def _power(a: Entry, b: Entry, c: Entry, d: Entry) -> Two:
    if type(c) is float and c.is_integer() and abs(c) < 100 and _is_zero(d):
        result: Two = (1.0, 0.0)
        for _ in range(int(abs(c))):
            result = _multiply(*result, a, b)
        return _divide(1.0, 0.0, *result) if c < 0 else result
    return _exp(*_multiply(*_log(a, b), c, d))


def _apply(name: str, number: Entry) -> Entry:
    return getattr(number, name)() if isinstance(number, Value) else float(getattr(np, name)(number))


def _both(first: str, second: str, third: str, fourth: str, sign: float) -> Callable[[Entry, Entry], Two]:
    """Sine and its kin: a product of functions of the real part and the imaginary for each part."""

    def function(a: Entry, b: Entry) -> Two:
        return (
            _times(_apply(first, a), _apply(second, b)),
            _times(sign, _times(_apply(third, a), _apply(fourth, b))),
        )

    return function


_NUMBERS: dict[str, Callable[..., Two]] = {
    "add": lambda a, b, c, d: (_plus(a, c), _plus(b, d)),
    "subtract": lambda a, b, c, d: (_minus(a, c), _minus(b, d)),
    "multiply": _multiply,
    "divide": _divide,
    "negative": lambda a, b: (-a, -b),  # of a zero, too: its sign is the side of a branch cut
    "positive": lambda a, b: (a, b),
    "conjugate": lambda a, b: (a, -b),
    "square": lambda a, b: _multiply(a, b, a, b),
    "reciprocal": lambda a, b: _divide(1.0, 0.0, a, b),
    "power": _power,
    "exp": _exp,
    "log": _log,
    "sqrt": _sqrt,
    "sin": _both("sin", "cosh", "cos", "sinh", 1.0),
    "cos": _both("cos", "cosh", "sin", "sinh", -1.0),
    "sinh": _both("sinh", "cos", "cosh", "sin", 1.0),
    "cosh": _both("cosh", "cos", "sinh", "sin", 1.0),
}
"""By the name of the ufunc, of the real and the imaginary part of each operand."""
_REAL: dict[str, Callable[[Entry, Entry], Entry]] = {"absolute": _size}
"""Those that give a real number."""


@cache
def _entry(ufunc: Any) -> Any:
    name, parts = ufunc.__name__, 1 if ufunc.__name__ in _REAL else 2
    function: Callable[..., Any] = _REAL[name] if parts == 1 else _NUMBERS[name]

    def one(*operands: Entry) -> Any:
        if any(isinstance(operand, Value) for operand in operands):
            return function(*operands)
        pairs = zip(operands[::2], operands[1::2], strict=True)
        found = ufunc(*[complex(a, b) for a, b in pairs])
        return (float(found.real), float(found.imag)) if parts == 2 else float(found)

    return np.frompyfunc(one, 2 * ufunc.nin, parts)


def of_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What a ufunc does with operands of which one is complex; `out` is none of the options."""
    if options.pop("where", True) is not True:
        raise refusal(f"{ufunc.__name__} of complex numbers with where= is not recorded: choose with numpy.where")
    if method == "outer":
        a, b = map(as_complex, inputs)
        return _called(ufunc, (a.reshape(a.shape + (1,) * b.ndim), b))
    if method == "__call__":
        return _called(ufunc, inputs)
    name = ufunc.__name__  # and not the ufunc: NumPy's names stand for something else while this runs
    if name == "add" and method in ("reduce", "accumulate"):
        options.pop("dtype", None)
        z = as_complex(inputs[0])
        return Complex(*[getattr(ufunc, method)(part, *inputs[1:], **options) for part in (z.re, z.im)])
    if name == "multiply" and method == "reduce":
        return product(as_complex(inputs[0]), options.get("axis", 0), bool(options.get("keepdims", False)))
    raise refusal(f"numpy.{name}.{method}() of complex numbers is not recorded")


def product(z: Complex, axis: Any, keepdims: bool) -> Any:
    """The product of the entries along an axis, several, or (None) all."""
    axes = protocols.axes_of(axis, z.ndim)
    rest = [k for k in range(z.ndim) if k not in axes]
    moved = np.transpose(z, [*axes, *rest]).reshape(-1, *[z.shape[k] for k in rest])
    result: Any = functools.reduce(operator.mul, list(moved), as_complex(1.0))
    return result.reshape([1 if k in axes else n for k, n in enumerate(z.shape)]) if keepdims else result


def _called(ufunc: Any, inputs: tuple[Any, ...]) -> Any:
    name = ufunc.__name__
    if name in protocols.PRODUCTS:
        a, b = (as_complex(each) for each in inputs)
        return bilinear(ufunc, a.conjugate() if name == "vecdot" else a, b)
    operands = [part for each in map(as_complex, inputs) for part in (each.re, each.im)]
    if name in ("equal", "not_equal"):
        same = np.logical_and(np.equal(*operands[::2]), np.equal(*operands[1::2]))
        return same if name == "equal" else np.logical_not(same)
    if name in _PARTS:
        return _PARTS[name](*[ufunc(part) for part in operands])
    if name not in _NUMBERS and name not in _REAL:
        what = "an order of" if name in _ORDERED else f"{name}() of"
        raise refusal(f"{what} complex numbers is not recorded: take .real, .imag, numpy.abs(z) or numpy.angle(z)")
    found = _entry(ufunc)(*map(entries, operands))
    return real.traced(found) if name in _REAL else Complex(*found)


_PARTS = {"isnan": np.logical_or, "isinf": np.logical_or, "isfinite": np.logical_and}
_ORDERED = ("less", "less_equal", "greater", "greater_equal", "maximum", "minimum", "fmax", "fmin", "sign")


def bilinear(function: Callable[..., Any], a: Complex, b: Complex, *args: Any, **options: Any) -> Complex:
    """A product of two arrays, of complex ones."""

    def of(one: Traced, other: Traced) -> Any:
        if not (_any(one) and _any(other)):
            found = function(np.zeros(one.shape), np.zeros(other.shape), *args, **options)
            return np.zeros(np.shape(found))
        return function(one, other, *args, **options)

    def joined(join: Callable[[Entry, Entry], Entry], one: Any, other: Any) -> Any:
        return np.frompyfunc(join, 2, 1)(entries(one), entries(other))

    re = joined(_minus, of(a.re, b.re), of(a.im, b.im))
    return Complex(re, joined(_plus, of(a.re, b.im), of(a.im, b.re)))


def _any(part: Traced) -> bool:
    return not all(map(_is_zero, part.view(np.ndarray).flat))
