"""Arrays while a function is traced: they do what arrays of floats do, entry by entry, with Values for entries.

A `Traced` array is an array of floats to the function: its `dtype` is float64, and NumPy's functions come to it by the
protocols `__array_ufunc__` and `__array_function__` (so do those of Values, whose class has the protocols while a
thread traces). Inside it is an array of objects, which are Values, and Python's floats where entries are constant;
outside, these are numpy.float64, as in any array of floats.

Comparisons give arrays of bools, each of them a guard; in the second trace of `tracing.trace` they give `Mask`s, arrays
of conditions, which `where`, arithmetic and assignments make operations of.
"""

# ruff: noqa: D102 - methods of arrays are NumPy's

from __future__ import annotations

import dis
import operator
import sys
from collections.abc import Callable
from functools import cache, lru_cache
from types import CodeType
from typing import Any, TypeAlias

import numpy as np

from kilograd._core import Value, _refuse_buffers
from kilograd.advice import instead_in_array
from kilograd.compiled.conditions import Condition, choose, decided, refusal, thread
from kilograd.compiled.integers import integer
from kilograd.compiled.texts import shown

__all__ = [
    "Mask",
    "Traced",
    "entries",
    "has_values",
    "index_of",
    "mask_of",
    "traced",
]

Objects: TypeAlias = "np.ndarray[Any, Any]"  # a plain array of objects

FLOAT = np.dtype(np.float64)
SCALARS = (int, float, np.number, np.bool_)


def _by_indices(name: str) -> Callable[..., Any]:
    """A method that orders entries by their indices, and not as they lie in memory: calls of a path differ there."""
    method = getattr(np.ndarray, name)

    def ordered(self: ObjectArray, *args: Any, **options: Any) -> Any:
        for asked in (options.get("order"), *args):
            if isinstance(asked, str) and asked.upper() in ("A", "K") and self.ndim > 1:
                raise refusal(
                    f"order={asked!r} asks how an array lies in memory, which is not recorded: write order='C' for "
                    "rows one after the other, 'F' for columns"
                )
        return method(self, *args, **options)

    return ordered


class ObjectArray(np.ndarray):
    """An array of objects to which NumPy's functions come by its protocols, which `protocols` gives it."""

    ravel = _by_indices("ravel")
    flatten = _by_indices("flatten")
    reshape = _by_indices("reshape")

    def __getitem__(self, key: Any) -> Any:
        got: Any = super().__getitem__(key if type(key) is int else index_of(key))
        return np.float64(got) if type(got) is float else got

    def byteswap(self, *args: Any, **options: Any) -> Any:
        raise refusal("the bytes of an array that is recorded are not those of its numbers: call it outside")

    getfield = tofile = __buffer__ = byteswap  # the last for Python 3.12 and newer


_refuse_buffers(ObjectArray)  # before 3.12: what reads or writes memory would find references there


def _over_an_axis(name: str) -> Callable[..., Any]:
    """A method of arrays that asks the mean of a number alone for its dtype."""
    method = getattr(np.ndarray, name)

    def over(self: Traced, *args: Any, **options: Any) -> Any:
        return method(self if self.ndim else self.reshape(1), *args, **options)

    return over


@lru_cache(maxsize=1024)
def _is_call(code: CodeType, place: int) -> bool:
    """Whether Python is within a call of what has no frame: an attribute is asked for by an extension module.

    `numpy.random` writes floats into an array `out` that says it is one of floats, where references are here.
    """
    instructions = code.co_code
    while place > 0 and dis.opname[instructions[place]] in ("CACHE", "PRECALL"):
        place -= 2
    return dis.opname[instructions[place]].startswith("CALL") and not {"getattr", "hasattr"} & set(code.co_names)


class Traced(ObjectArray):
    """An array of floats while a function is traced."""

    kind: Any = None
    """In arrays of `narrow`, which imports this module, the kind of integers."""

    @property
    def dtype(self) -> Any:
        frame = sys._getframe(1)
        if _is_call(frame.f_code, frame.f_lasti):
            raise refusal(
                "a call of an extension module that asks for the dtype of an array cannot be recorded: leave out out=, "
                "as in numpy.random, or make what the call gives outside of the compiled function"
            )
        return FLOAT

    @property
    def base(self) -> Any:
        raise refusal("the base of an array is not recorded: arrays in a compiled function have memory of their own")

    @property  # type: ignore[misc]
    def imag(self) -> Any:
        return np.zeros(self.shape)

    @property
    def flat(self) -> Any:
        return self.reshape(-1) if self.flags.c_contiguous else super().flat

    @flat.setter
    def flat(self, value: Any) -> None:
        self[...] = np.resize(entries(value), self.shape)

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, np.ndarray) and (isinstance(key, Mask) or key.dtype == bool) and key.shape == self.shape:
            thread.chose = True
            new = entries(value)
            if isinstance(key, Mask) and new.size == 1:
                super().__setitem__(..., chosen(key, new.reshape(()), self))
                return
        key, new = index_of(key), entries(value)
        if new.ndim and not isinstance(super().__getitem__(key), np.ndarray):
            if new.size != 1:
                raise ValueError("setting an array element with a sequence.")
            new = new.reshape(())
        super().__setitem__(key, new if new.ndim else new.item())  # an entry, and no array of it

    def __getattr__(self, name: str) -> Any:
        text = f"an array has no attribute {name!r}{instead_in_array(name)}"
        raise AttributeError(text, name=name, obj=self)

    def __index__(self) -> int:
        if self.ndim:
            raise TypeError("only integer scalar arrays can be converted to a scalar index")
        return operator.index(entries(self).item())

    def fill(self, value: Any) -> None:
        self[...] = value

    def astype(  # type: ignore[override]
        self, dtype: Any, order: Any = "K", casting: Any = "unsafe", subok: bool = True, copy: bool = True
    ) -> Any:
        if is_float(dtype):
            return self.copy() if copy or np.dtype(dtype) != FLOAT else self
        kind = np.dtype(dtype).kind
        if np.dtype(dtype) == np.complex128:
            return self + 0j
        if kind not in "biu":
            raise refusal(f"an array that is recorded has floats of 64 bits, and does not become one of {dtype}")
        numbers = [bool(entry) if kind == "b" else int(entry) for entry in entries(self).flat]
        return np.array(numbers, dtype=dtype).reshape(self.shape)

    def round(self, decimals: int = 0, out: Any = None) -> Any:  # type: ignore[override]
        return np.round(self, decimals, out)

    def sort(self, axis: int = -1, **options: Any) -> None:  # type: ignore[override]
        self[...] = np.sort(self, axis, **options)

    def partition(self, kth: Any, axis: int = -1, **options: Any) -> None:  # type: ignore[override]
        self[...] = np.partition(self, kth, axis)

    def argmax(self, axis: Any = None, out: Any = None, *, keepdims: bool = False) -> Any:
        return np.argmax(self, axis, out, keepdims=keepdims)

    def argmin(self, axis: Any = None, out: Any = None, *, keepdims: bool = False) -> Any:
        return np.argmin(self, axis, out, keepdims=keepdims)

    def argsort(self, axis: Any = -1, **options: Any) -> Any:  # type: ignore[override]
        return np.argsort(self, axis, **options)

    def argpartition(self, kth: Any, axis: Any = -1, **options: Any) -> Any:  # type: ignore[override]
        return np.argpartition(self, kth, axis)

    mean = _over_an_axis("mean")
    std = _over_an_axis("std")
    var = _over_an_axis("var")

    def dot(self, other: Any, out: Any = None) -> Any:
        return np.dot(self, other, out)

    def __repr__(self) -> str:
        return shown(repr(self._numbers()))

    def __str__(self) -> str:
        return shown(str(self._numbers()))

    def __format__(self, spec: str) -> str:
        return shown(format(self._numbers(), spec))

    def _numbers(self) -> Any:
        """What a text shows: the numbers, to which reading them ties the path."""
        read = [entry.data if isinstance(entry, Value) else entry for entry in entries(self).flat]
        return np.array(read, dtype=float).reshape(self.shape)


class Mask(ObjectArray):
    """An array of bools while a function is traced: of conditions, and bools."""

    @property
    def dtype(self) -> Any:
        return np.dtype(bool)

    def astype(self, dtype: Any, *args: Any, **options: Any) -> Any:
        return traced(entries(self)) if is_float(dtype) else decided(self).astype(dtype)


class Pair:
    """An array of complex numbers, of two real ones: that of `complexes`, which imports this module."""

    re: Traced
    im: Traced


def is_complex(thing: Any) -> bool:
    """Whether something is a complex number, an array of such, or holds one."""
    if isinstance(thing, (list, tuple)):
        return any(map(is_complex, thing))
    if isinstance(thing, np.ndarray):
        return bool(thing.dtype.kind == "c")
    return isinstance(thing, (Pair, complex, np.complexfloating))


def is_float(dtype: Any) -> bool:
    """Whether arrays of a dtype are recorded: of floats of 64 bits, or of objects."""
    return dtype is None or np.dtype(dtype) in (FLOAT, np.dtype(object))


def index_of(key: Any) -> Any:
    """A key of NumPy's own: conditions are decided, numbers that were integers are integers again."""
    if isinstance(key, tuple):
        return tuple([index_of(part) for part in key])
    if isinstance(key, slice):
        parts = key.start, key.stop, key.step
        return slice(*map(index_of, parts)) if any(isinstance(part, Value) for part in parts) else key
    if isinstance(key, (Mask, Condition)):
        return decided(key)
    if isinstance(key, list) and any(isinstance(part, (Condition, Value)) for part in key):
        return [index_of(part) for part in key]
    if isinstance(key, Value):
        return integer(key)
    if isinstance(key, Traced):
        return np.array([integer(entry) for entry in entries(key).flat], dtype=np.intp).reshape(key.shape)
    return key


# --- into objects and back


def has_values(array: Objects) -> bool:
    """Whether an entry is a Value, and not all are constants."""
    return any(isinstance(entry, (Value, Condition)) for entry in array.flat)


def entries(thing: Any) -> Objects:
    """Whatever stands for numbers, as a plain array of Values and Python's floats; conditions are 1 or 0."""
    if isinstance(thing, Traced):
        return thing.view(np.ndarray)
    if isinstance(thing, (Value, Condition)):
        return single(number_of(thing))
    if is_complex(thing):
        raise refusal(NO_COMPLEX)
    if isinstance(thing, SCALARS):
        return single(float(thing))
    array = np.asarray(nested(thing))
    if array.dtype.kind in "biuf":
        return array.astype(np.float64).astype(object)
    if array.dtype != object:
        raise refusal(f"kilograd computes with real numbers, not with {array.dtype}")
    return elementwise(number_of, 1)(array) if array.ndim else single(number_of(array.item()))


NO_COMPLEX = (
    "complex numbers are none of what this takes, which is real: give it z.real, z.imag, numpy.abs(z) or numpy.angle(z)"
)


def nested(thing: Any) -> Any:
    """Lists with plain arrays in them, and with the entries of arrays of no dimension, as `where` gives of numbers."""
    if isinstance(thing, (list, tuple)):
        return [part.item() if isinstance(part, np.ndarray) and not part.ndim else part for part in map(nested, thing)]
    return thing.view(np.ndarray) if isinstance(thing, ObjectArray) else thing


def single(number: Any) -> Objects:
    array = np.empty((), dtype=object)
    array[()] = number
    return array


def number_of(entry: Any) -> Any:
    if isinstance(entry, Value) or type(entry) is float:
        return entry
    if isinstance(entry, Condition):
        return entry.mask()[0]
    if isinstance(entry, SCALARS):
        return float(entry)
    raise refusal(f"kilograd computes with real numbers, not with {type(entry).__name__}")


def traced(result: Any) -> Any:
    """Objects as the function sees them: an array of floats, or one of its entries."""
    if isinstance(result, np.ndarray):
        return result.view(Traced)
    return np.float64(result) if type(result) is float else result


def mask_of(result: Any) -> Any:
    """Bools and conditions as the function sees them."""
    if not isinstance(result, np.ndarray):
        return np.bool_(result) if isinstance(result, bool) else result
    if any(isinstance(entry, Condition) for entry in result.flat):
        return result.view(Mask)
    return result.astype(bool)


def bools(thing: Any) -> Objects:
    """Whatever stands for bools or numbers, as a plain array of conditions, bools, Values and floats."""
    if isinstance(thing, Condition):
        return single(thing)
    array = thing.view(np.ndarray) if isinstance(thing, ObjectArray) else np.asarray(thing)
    if array.dtype == bool:
        thread.chose = True
        return array.astype(object)
    if isinstance(thing, Mask):
        return array
    if array.dtype != object:
        return entries(thing)
    return elementwise(_bool, 1)(array) if array.ndim else single(_bool(array.item()))


def _bool(entry: Any) -> Any:
    return entry if isinstance(entry, (Condition, bool, np.bool_)) else number_of(entry)


def array_of(thing: Any) -> Any:
    """Whatever stands for numbers or bools as an array that the function sees: of bools where all are bools."""
    return mask_of(bools(nested(thing))) if is_of_bools(thing) else entries(thing).view(Traced)


def is_of_bools(thing: Any) -> bool:
    """Whether NumPy makes an array of bools of something."""
    if isinstance(thing, (list, tuple)):
        return bool(thing) and all(map(is_of_bools, thing))
    if isinstance(thing, np.ndarray):
        return bool(thing.dtype == bool)
    return isinstance(thing, (Condition, bool, np.bool_))


@cache
def elementwise(function: Callable[..., Any], operands: int) -> Any:
    return np.frompyfunc(function, operands, 1)


def chosen(mask: Any, a: Any, b: Any) -> Any:
    """As `numpy.where`, for arrays of objects and whatever stands for bools."""
    return elementwise(choose, 3)(bools(mask), entries(a), entries(b))
