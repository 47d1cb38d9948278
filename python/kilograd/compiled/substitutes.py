"""What stands for functions that ask no protocol of their arguments, while a function is traced.

NumPy's functions that make arrays give ones that Values may be written into; those of `math` and of some modules of
SciPy take Values, and so do the methods of `scipy.stats.norm`. To other threads, and to the libraries themselves, the
replacements are the functions.
"""

from __future__ import annotations

import functools
import importlib
import math
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np

from kilograd import _core
from kilograd._core import Value
from kilograd.compiled import fourier, functions, integrals, linalg, narrow, special
from kilograd.compiled.complexes import as_complex
from kilograd.compiled.conditions import refusal, thread
from kilograd.compiled.integers import integer
from kilograd.compiled.special_ufuncs import select
from kilograd.compiled.stats import Normal
from kilograd.compiled.traced import Traced, array_of, entries, has_values, index_of, is_complex, is_float, is_of_bools
from kilograd.compiled.ufuncs import NUMBERS

Function = Callable[..., Any]
Namespace = dict[str, Any]

_LIBRARIES = frozenset({"kilograd", "numpy", "scipy", "pandas", "sklearn"})
_RUNNING = "kilograd.compiled.names"  # which calls the traced function, and that may be one that is replaced


def _replacing(original: Function, replacement: Function) -> Function:
    """Call the replacement while this thread traces, but for libraries that make arrays for themselves."""

    @functools.wraps(original)
    def call(*args: Any, **options: Any) -> Any:
        if _is_for_the_library(sys._getframe(1)):
            return original(*args, **options)
        return replacement(original, *args, **options)

    return call


def _is_for_the_library(caller: FrameType) -> bool:
    """Whether a call is none of a function that this thread traces."""
    name = caller.f_globals.get("__name__", "")
    return thread.notes is None or (name != _RUNNING and name.partition(".")[0] in _LIBRARIES)


# --- arrays that are made


def _writable(original: Function, *args: Any, **options: Any) -> Any:
    """What a function makes, as an array that Values may be written into if it is one of floats or complex numbers."""
    made = original(*args, **options)
    if type(made) is np.ndarray and made.dtype == np.complex128:
        return as_complex(made)
    return made.astype(object).view(Traced) if type(made) is np.ndarray and made.dtype == np.float64 else made


def _empty(original: Function, *args: Any, **options: Any) -> Any:
    return _writable(np.zeros, *args, **options)


def _full(original: Function, shape: Any, fill_value: Any, dtype: Any = None, **options: Any) -> Any:
    if not functions.holds(fill_value):
        return _writable(original, shape, fill_value, dtype, **options)
    if _is_of_complex(fill_value, dtype):
        return as_complex(np.zeros(shape)) + fill_value
    if not is_float(dtype) or (dtype is None and is_of_bools(fill_value)):
        return original(shape, _of_values(fill_value, bool if dtype is None else dtype), dtype, **options)
    result = functions.zeros(shape)
    result[...] = fill_value
    return result


def _like(original: Function, prototype: Any, *args: Any, **options: Any) -> Any:
    return (
        original(prototype, *args, **options)
        if functions.holds(prototype)
        else _writable(original, prototype, *args, **options)
    )


def _is_of_complex(thing: Any, dtype: Any) -> bool:
    return is_complex(thing) if dtype is None else np.dtype(dtype).kind == "c"


def _array(original: Function, thing: Any, dtype: Any = None, **options: Any) -> Any:
    thing = narrow.made(thing, dtype)
    if functions.holds(thing) and _is_of_complex(thing, dtype):
        return as_complex(thing).copy()
    if isinstance(thing, Traced):
        if not is_float(dtype):
            return thing.astype(dtype)
        return original(thing, **{**options, "subok": True})
    if not functions.holds(thing):
        return _writable(original, thing, dtype, **options)
    made = _of_values(thing, dtype)
    missing = options.get("ndmin", 0) - made.ndim
    return made.reshape((1,) * missing + made.shape) if missing > 0 else made


def _as_array(original: Function, thing: Any, dtype: Any = None, **options: Any) -> Any:
    thing = narrow.made(thing, dtype)
    if functions.holds(thing) and _is_of_complex(thing, dtype):
        return as_complex(thing)
    if isinstance(thing, Traced) and dtype is not object:
        return thing if is_float(dtype) else thing.astype(dtype)
    return _of_values(thing, dtype) if functions.holds(thing) else original(thing, dtype, **options)


def _from_buffer(original: Function, buffer: Any, *args: Any, **options: Any) -> Any:
    if functions.holds(buffer):
        raise refusal("numpy.frombuffer() cannot be recorded: numpy.array(a) is a copy of an array")
    return original(buffer, *args, **options)


def _contiguous(original: Function, thing: Any, dtype: Any = None, **options: Any) -> Any:
    made = _as_array(original, thing, dtype, **options)
    if not isinstance(made, Traced):
        return made
    return np.atleast_1d(made if made.flags.c_contiguous else made.copy())


def _of_values(thing: Any, dtype: Any) -> Any:
    if dtype is object:
        return np.array(entries(thing))
    if dtype is None and is_of_bools(thing):
        return array_of(thing).copy()
    made = entries(thing).view(Traced)
    return made.copy() if is_float(dtype) else made.astype(dtype)


def _arange(original: Function, *args: Any, **options: Any) -> Any:
    """Of integers alone: how many there are is no number that is recorded."""
    args = tuple([integer(each) if isinstance(each, Value) else each for each in args])
    return original(*args, **{name: integer(x) if isinstance(x, Value) else x for name, x in options.items()})


def _triangle(original: Function, *args: Any, **options: Any) -> Any:
    return _writable(functools.partial(_arange, original), *args, **options)


def _broadcast(original: Function, array: Any, shape: Any, **options: Any) -> Any:
    return original(_held(array), index_of(shape), **options)


def _frequencies(original: Function, n: Any, d: Any = 1.0, **options: Any) -> Any:
    n = integer(n) if isinstance(n, Value) else n
    return original(n, **options) / d if functions.holds(d) else original(n, d, **options)


def _take(original: Function, a: Any, indices: Any, *args: Any, **options: Any) -> Any:
    return original(a, index_of(indices), *args, **options)


def _from_iterable(original: Function, iterable: Any, dtype: Any, *args: Any, **options: Any) -> Any:
    things = list(iterable)
    return _of_values(things, dtype) if functions.holds(things) else original(things, dtype, *args, **options)


def _of_arrays(original: Function, *args: Any, **options: Any) -> Any:
    """A function that asks no list for a protocol, and no array of objects."""
    held = {name: option if name == "out" else _held(option) for name, option in options.items()}
    return original(*map(_held, args), **held)


def _of_sequences(original: Function, *args: Any, **options: Any) -> Any:
    """A function that asks the parts of a sequence for a protocol, but not lists among them."""

    def one(thing: Any) -> Any:
        return type(thing)(map(_held, thing)) if type(thing) in (list, tuple) else _held(thing)

    return original(*map(one, args), **options)


def _held(thing: Any) -> Any:
    """A list that holds what is recorded, as a traced array; an array of objects as another view of it."""
    if isinstance(thing, (list, tuple)):
        return (as_complex if is_complex(thing) else array_of)(thing) if functions.holds(thing) else thing
    if type(thing) is not np.ndarray or thing.dtype != object or not has_values(thing):
        return thing
    if thing.flags.writeable:
        thing[...] = entries(thing)
    return thing.view(Traced) if thing.flags.writeable else array_of(thing)


class _Ufunc:
    """A ufunc of which lists go to the dispatch; in all else the ufunc."""

    __class__ = np.ufunc  # type: ignore[assignment]

    def __init__(self, original: np.ufunc, module: str) -> None:
        self._original = original
        self._module = module

    def __call__(self, *args: Any, **options: Any) -> Any:
        if _is_for_the_library(sys._getframe(1)):
            return self._original(*args, **options)
        return _of_arrays(self._original, *args, **options)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._original, name)
        return _replacing(found, _of_arrays) if name in _METHODS else found

    def __eq__(self, other: object) -> bool:
        return other is self or other is self._original

    def __hash__(self) -> int:
        return hash(self._original)

    def __repr__(self) -> str:
        return repr(self._original)

    def __reduce__(self) -> Any:
        return _attribute, (self._module, self._original.__name__)


def _attribute(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


_METHODS = frozenset(("accumulate", "outer", "reduce", "reduceat"))


def _where(original: Function, *args: Any, **options: Any) -> Any:
    return functions.where(*args, **options)


_MADE = "zeros ones eye identity copy"
_SEQUENCES = frozenset(
    ("choose", "column_stack", "concat", "concatenate", "dstack", "hstack", "lexsort", "multi_dot", "piecewise")
)
_SEQUENCES |= {"select", "stack", "vstack"}
_AS_THEY_ARE = frozenset(("block",))  # whose lists are the layout, and whose parts are asked

# --- math


def _scalar(thing: Any) -> Any:
    return thing.item() if isinstance(thing, np.ndarray) and thing.size == 1 else thing


def _of_numbers(function: Function) -> Function:
    def replacement(original: Function, *args: Any, **options: Any) -> Any:
        args = tuple(map(_scalar, args))
        return function(*args, **options) if functions.holds(args) else original(*args, **options)

    return replacement


def _log(x: Any, base: Any = None) -> Any:
    one = NUMBERS["log"] if isinstance(x, Value) else math.log
    if base is None:
        return one(x)
    return one(x) / (base.log() if isinstance(base, Value) else math.log(base))


def _hypot(*numbers: Any) -> Any:
    return functools.reduce(_core._hypot, numbers) if len(numbers) > 1 else abs(*numbers)


def _log_gamma(x: Any) -> Any:
    return select(_core._equal(x, -math.inf), math.inf, _core._log_gamma(x))  # where SciPy has minus infinity


def _dist(p: Any, q: Any) -> Any:
    return _hypot(*[a - b for a, b in zip(p, q, strict=True)])


def _fsum(numbers: Any) -> Any:
    return sum(numbers, 0.0)


def _is_finite(x: Any) -> Any:
    return abs(x) < math.inf


def _is_close(a: Any, b: Any, *, rel_tol: float = 1e-9, abs_tol: float = 0.0) -> Any:
    near = abs(a - b) <= max(rel_tol * max(abs(a), abs(b)), abs_tol)
    return a == b or (near and abs(a - b) < math.inf)  # to infinity nothing is near


def _sum_of_products(p: Any, q: Any) -> Any:
    return _fsum([a * b for a, b in zip(p, q, strict=True)])


def _refused(name: str) -> Function:
    def refused(*args: Any) -> Any:
        raise refusal(f"math.{name}() is not recorded: compose it of other functions, or call it outside")

    return refused


_SAME = (
    "exp expm1 exp2 log2 log10 log1p sqrt cbrt sin cos tan sinh cosh tanh erf erfc fabs fmod copysign degrees radians"
)
_INVERSE = "asin acos atan asinh acosh atanh"
_MATH: dict[str, Function] = {
    **{name: NUMBERS[name] for name in _SAME.split()},
    **{name: NUMBERS[f"arc{name[1:]}"] for name in _INVERSE.split()},
    "atan2": NUMBERS["arctan2"],
    "log": _log,
    "pow": NUMBERS["power"],
    "hypot": _hypot,
    "dist": _dist,
    "fsum": _fsum,
    "lgamma": _log_gamma,
    "gamma": NUMBERS["gamma"],
    "isnan": lambda x: x != x,
    "isfinite": _is_finite,
    "isinf": lambda x: not _is_finite(x) and x == x,
    "isclose": _is_close,
    "sumprod": _sum_of_products,
    **{name: _refused(name) for name in ["fma", "frexp", "ldexp", "modf", "nextafter", "remainder", "ulp"]},
}

# --- which names, and where


def _of_values_alone(function: Function) -> Function:
    def replacement(original: Function, *args: Any, **options: Any) -> Any:
        held = functions.holds(args) or functions.holds(list(options.values()))
        return function(*args, **options) if held else original(*args, **options)

    return replacement


TABLE: dict[str, dict[str, Function]] = {
    "numpy": {
        **dict.fromkeys(_MADE.split(), _writable),
        **dict.fromkeys(["zeros_like", "ones_like", "empty_like", "full_like"], _like),
        "arange": _arange,
        "broadcast_to": _broadcast,
        "empty": _empty,
        "full": _full,
        "array": _array,
        **dict.fromkeys(["asarray", "asanyarray", "asarray_chkfinite"], _as_array),
        "ascontiguousarray": _contiguous,
        "frombuffer": _from_buffer,
        "fromiter": _from_iterable,
        "take": _take,
        "tri": _triangle,
        "where": _where,
    },
    "math": {name: _of_numbers(function) for name, function in _MATH.items()},
    "scipy.special": {
        name: _of_values_alone(getattr(special, name)) for name in special.__all__ if name != "elementwise"
    },
    "scipy.integrate": {"simpson": _of_values_alone(integrals.simpson)},
    "scipy.linalg": {name: _of_values_alone(function) for name, function in linalg.SCIPY.items()},
    "scipy.fft": {name: _of_values_alone(function) for name, function in fourier.SCIPY.items()},
    "numpy.fft": dict.fromkeys(["fftfreq", "rfftfreq"], _frequencies),
    "numpy.linalg": {},
    "scipy.stats": {},
}
"""What is replaced by name, beside what takes arrays."""
_OBJECTS: dict[tuple[str, str], Callable[[Any], Any]] = {("scipy.stats", "norm"): Normal}
"""Objects, with what makes of each the other."""


def replacement_of(module: str, name: str, original: Any, replacement: Function | None) -> Any:
    """What stands for a function of a module while one traces; None where nothing does."""
    if (module, name) in _OBJECTS:
        return _OBJECTS[module, name](original)
    if replacement is not None:
        return _replacing(original, replacement)
    if isinstance(original, np.ufunc):
        return _Ufunc(original, module)
    if not hasattr(original, "_implementation") or name in _AS_THEY_ARE:
        return None
    return _replacing(original, _of_sequences if name in _SEQUENCES else _of_arrays)
