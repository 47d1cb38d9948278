"""Integers of fewer than 64 bits that are arguments: what NumPy makes of them, or a refusal.

Sums and products of such integers wrap around in NumPy, and recorded numbers do not. So an array of them knows its
kind, which what is computed of integers alone keeps: guards hold that it is in the range of the kind. Beside floats
they are numbers. A number of such a kind is an array of no dimension, which has its kind too.
"""

# ruff: noqa: D102 - methods of arrays are NumPy's

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kilograd._core import Value
from kilograd.compiled import protocols
from kilograd.compiled import traced as real
from kilograd.compiled.conditions import Condition, refusal
from kilograd.compiled.traced import Traced, entries
from kilograd.compiled.ufuncs import BOOLS

__all__ = ["Narrow", "called", "holds_narrow", "made", "of_function", "reduced", "refuse", "wide"]


class Narrow(Traced):
    """An array of integers of fewer than 64 bits; `told` is how messages name the argument that it is made of."""

    told: str

    @classmethod
    def of(cls, array: Any, kind: Any, told: str) -> Narrow:
        made: Narrow = entries(array).view(cls)
        made.kind, made.told = np.dtype(kind), told
        return made

    def __array_finalize__(self, of: Any) -> None:
        self.kind = getattr(of, "kind", None)
        self.told = getattr(of, "told", "")

    @property
    def dtype(self) -> Any:
        return self.kind

    @property
    def itemsize(self) -> int:
        return int(self.kind.itemsize)

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return found if isinstance(found, np.ndarray) else Narrow.of(found, self.kind, self.told)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise _refused(self, "writing into an array")

    def astype(self, dtype: Any, *args: Any, **options: Any) -> Any:
        kind = np.dtype(dtype)
        if kind.kind in "iu" and kind.itemsize < 8:
            if not np.can_cast(self.kind, kind):
                raise _refused(self, f"a conversion to {kind}")
            return Narrow.of(self.copy(), kind, self.told)
        whole = np.array(entries(self)).view(Traced)
        return whole if kind.kind in "iu" else whole.astype(dtype, *args, **options)


def _refused(array: Narrow, what: str) -> TypeError:
    return refusal(
        f"{array.told} is of {array.kind}, and {what} of that kind is not recorded where it may wrap around: pass it "
        "as one of int64 or float64, or convert it first, k.astype(float)"
    )


def holds_narrow(thing: Any) -> bool:
    """Whether something is an array of such integers, or a sequence with one."""
    if isinstance(thing, (list, tuple)):
        return any(map(holds_narrow, thing))
    return isinstance(thing, Narrow)


def wide(thing: Any) -> Any:
    """The same as plain numbers."""
    if isinstance(thing, (list, tuple)) and type(thing) in (list, tuple):
        return type(thing)([wide(part) for part in thing]) if holds_narrow(thing) else thing
    return entries(thing).view(Traced) if isinstance(thing, Narrow) else thing


def _first(things: Sequence[Any]) -> Narrow:
    """One of the arrays that are held."""
    for thing in things:
        if isinstance(thing, Narrow):
            return thing
        if isinstance(thing, (list, tuple)) and holds_narrow(thing):
            return _first(thing)
    raise AssertionError


def _kind_of(thing: Any) -> Any:
    """What NumPy goes by."""
    if isinstance(thing, (Condition, bool)):
        return np.dtype(bool)
    if isinstance(thing, Value):
        return np.dtype(np.float64)
    if isinstance(thing, np.ndarray):
        return thing.dtype
    return type(thing) if type(thing) in (int, float) else np.asarray(thing).dtype


def called(ufunc: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What a ufunc does with operands of which one is such an array."""
    first, plain = _first(inputs), tuple(map(wide, inputs))
    if any(isinstance(each, (list, tuple)) for each in inputs):
        raise _refused(first, f"{ufunc.__name__}() with a list")
    if ufunc.__name__ in BOOLS and ufunc.__name__ not in protocols._BITWISE:
        return protocols._called(ufunc, plain, options)
    try:
        kind = ufunc.resolve_dtypes((*map(_kind_of, inputs), *[None] * ufunc.nout))[-1]
    except TypeError:
        raise _refused(first, f"{ufunc.__name__}()") from None
    if ufunc.__name__ in protocols._BITWISE or ufunc.__name__ in protocols._INTEGER:
        whole = [real.index_of(each).astype(each.kind) if isinstance(each, Narrow) else each for each in inputs]
        return ufunc(*whole, **options)
    if kind.kind == "f" and kind.itemsize < 8:  # as of roots and exponentials: NumPy has these few digits
        raise _refused(first, f"{ufunc.__name__}(), which is {kind},")
    result = protocols._called(ufunc, plain, options)
    if kind.kind not in "iu" or kind.itemsize == 8:
        return result
    return _within(result, kind, first, f"{ufunc.__name__}()")


def _within(result: Any, kind: Any, first: Narrow, what: str) -> Narrow:
    """A result of that kind, of which guards hold that NumPy has the same."""
    limits = np.iinfo(kind)
    array = entries(result)
    for entry in array.flat:
        if not (bool(entry >= float(limits.min)) and bool(entry <= float(limits.max))):
            raise _refused(first, what)
    return Narrow.of(array, kind, first.told)


def reduced(ufunc: Any, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """The same of reduce, accumulate and reduceat: sums and products are of 64 bits."""
    array = _first(inputs)
    name, plain = ufunc.__name__, tuple(map(wide, inputs))
    if name in ("add", "multiply") or (name in BOOLS and name not in protocols._BITWISE):
        return protocols._along(ufunc, method, plain, options)
    if name in protocols._LIMITS and "initial" not in options:
        return Narrow.of(protocols._along(ufunc, method, plain, options), array.kind, array.told)
    raise _refused(array, f"{name}.{method}()")


def made(thing: Any, dtype: Any) -> Any:
    """What an array is to be made of: such an array, or a sequence with one, as that kind or as plain numbers."""
    if isinstance(thing, Narrow):
        return thing if dtype is None else thing.astype(dtype)
    if holds_narrow(thing) and dtype is None and not _has_floats(thing):
        raise _refused(_first(thing), "an array of a list")
    return wide(thing)


def refuse(thing: Narrow, what: str) -> None:
    """Refuse what would take such integers for numbers."""
    raise _refused(thing, what)


# --- functions

_NUMBERS = (
    "sum mean average var std prod median percentile quantile cumsum cumprod nansum shape ndim size argmax "
    "argmin argsort count_nonzero nonzero flatnonzero any all bincount searchsorted isclose allclose "
    "array_equal corrcoef cov"
)
_ENTRIES = (
    "reshape ravel transpose swapaxes moveaxis expand_dims squeeze flip roll tile sort concatenate stack "
    "hstack vstack copy diag take take_along_axis repeat atleast_1d atleast_2d max min amax amin"
)
_WIDE = frozenset(_NUMBERS.split())  # of plain numbers
_SAME = frozenset(_ENTRIES.split())  # of the kind that the entries have
_PRODUCTS = frozenset(("dot", "inner", "outer", "tensordot", "einsum", "vdot", "kron", "convolve", "where", "interp"))
_CHOICES = ("concatenate", "stack", "select", "extract", "compress", "choose")  # of a later argument


def of_function(function: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What a function of NumPy does with arguments of which one is such an array."""
    name, first = function.__name__, _first([*args, *options.values()])
    plain = tuple(map(wide, args))
    named = {key: wide(option) for key, option in options.items()}
    if name == "clip":  # of ufuncs
        return protocols.FUNCTIONS[function](*args, **options)
    is_index = not holds_narrow(args[0]) and name not in _PRODUCTS and name not in _CHOICES
    beside_floats = name in _PRODUCTS | _SAME and _has_floats(args)
    if name in _WIDE or is_index or beside_floats:
        return protocols.of_function(function, plain, named)
    held = args[0] if isinstance(args[0], (list, tuple)) else [args[0]]
    if name in _SAME and all(isinstance(each, Narrow) and each.kind == first.kind for each in held):
        return Narrow.of(protocols.of_function(function, plain, named), first.kind, first.told)
    raise _refused(first, f"{function.__module__}.{name}()")


def _has_floats(things: Sequence[Any]) -> bool:
    return any(
        _has_floats(each)
        if isinstance(each, (list, tuple))
        else isinstance(each, float) or (isinstance(each, np.ndarray) and each.dtype == np.float64)
        for each in things
    )
