"""What NumPy's functions do with arrays that are traced, Values and conditions: the two protocols.

`__array_ufunc__` computes a ufunc entry by entry, by the operations of `ufuncs`. `__array_function__` calls what other
modules say by `implements`, and NumPy's own implementation where that is composed of such functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

try:
    from numpy.lib.array_utils import normalize_axis_tuple
except ImportError:  # before NumPy 2
    from numpy.core.numeric import normalize_axis_tuple  # type: ignore[no-redef]

from kilograd import _core
from kilograd._core import Value
from kilograd.compiled.conditions import Condition, decided, refusal, thread
from kilograd.compiled.integers import are_integers
from kilograd.compiled.traced import (
    FLOAT,
    SCALARS,
    Mask,
    ObjectArray,
    Objects,
    Pair,
    Traced,
    array_of,
    bools,
    chosen,
    elementwise,
    entries,
    has_values,
    index_of,
    is_complex,
    is_float,
    is_of_bools,
    mask_of,
    nested,
    number_of,
    single,
    traced,
)
from kilograd.compiled.ufuncs import BOOLS, NUMBERS, truth


@cache
def _entry(ufunc: Any) -> Any:
    """What a ufunc does with one entry of each operand, as a ufunc of objects; None for one that is not known."""
    name = ufunc.__name__
    if name in BOOLS:
        return np.frompyfunc(BOOLS[name], ufunc.nin, 1)
    function = NUMBERS.get(name)
    if function is None:
        return None
    if name in ("add", "subtract", "multiply", "negative"):
        return ufunc  # of floats too it gives what NumPy does

    def one(*operands: Any) -> Any:
        if any(isinstance(operand, Value) for operand in operands):
            return function(*operands)
        return float(ufunc(*operands))

    return np.frompyfunc(one, ufunc.nin, 1)


# --- ufuncs


def of_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What `__array_ufunc__` of arrays, Values and conditions does."""
    options = {name: option for name, option in options.items() if option is not np._NoValue}
    out = options.pop("out", None)
    if out is None and any(map(is_complex, inputs)):
        from kilograd.compiled import complexes

        return complexes.of_ufunc(ufunc, method, inputs, options)
    if out is not None:
        out = out if isinstance(out, tuple) else (out,)
        if out[0] is not ...:
            return _into(out, ufunc, method, inputs, options)
    for name in ("casting", "order", "subok", "signature"):
        options.pop(name, None)
    dtype = options.pop("dtype", None)
    if not (is_float(dtype) or dtype in (bool, np.bool_)):
        raise refusal(f"{ufunc.__name__} with dtype={dtype} cannot be recorded: leave it out")
    if method == "__call__":
        if options.pop("where", True) is not True:
            raise refusal(f"{ufunc.__name__} with where= and without out= leaves entries undefined")
        return _called(ufunc, inputs, options)
    if method == "outer":
        if any(type(each) is int for each in inputs):  # which take the kind of the others
            return _called(ufunc, inputs, options)
        a, b = (each if _is_narrow(each) else array_of(each) for each in inputs)
        return _called(ufunc, (a.reshape(a.shape + (1,) * b.ndim), b), options)
    if method == "at":
        _at(ufunc, *inputs)
        return None
    return _along(ufunc, method, inputs, options)


def _into(outs: Any, ufunc: Any, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    where = options.pop("where", True) if method == "__call__" else True
    if where is not True and ufunc.__name__ not in BOOLS:  # elsewhere NumPy does not compute it
        harmless = 1.5 if ufunc.__name__ == "arccosh" else 0.5
        inputs = tuple([traced(chosen(where, each, harmless)) for each in inputs])
    results = of_ufunc(ufunc, method, inputs, options)
    if ufunc.nout == 1:
        return _written(outs[0], results, where)
    pairs = zip(outs, results, strict=True)
    return tuple([result if out is None else _written(out, result, where) for out, result in pairs])


def _written(out: Any, result: Any, where: Any) -> Any:
    if isinstance(out, Pair):
        if where is not True:
            raise refusal("complex numbers are not written with where=: choose with numpy.where")
        out[...] = result  # type: ignore[index]
        return out
    if isinstance(out, Traced):
        out[...] = result if where is True else chosen(where, result, out)
        return out
    if isinstance(out, np.ndarray) and type(out) is np.ndarray and out.view(np.ndarray).dtype == object:
        np.copyto(out, entries(result), where=where)
        return out
    if isinstance(result, (Value, Condition)) or (
        isinstance(result, ObjectArray) and has_values(result.view(np.ndarray))
    ):
        raise refusal(_CONSTANT.format(f"array of {out.dtype}"))
    np.copyto(out, np.asarray(result, dtype=out.dtype), where=where)
    return out


_CONSTANT = (
    "numbers that are recorded cannot be written into this {}, which was made outside of the function, or by something "
    "that is not recorded: write into a copy, numpy.array(a), that the function makes itself"
)


def _is_narrow(thing: Any) -> bool:
    return isinstance(thing, Traced) and thing.kind is not None


def _holds_narrow(thing: Any) -> bool:
    return any(map(_holds_narrow, thing)) if isinstance(thing, (list, tuple)) else _is_narrow(thing)


def _called(ufunc: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    name = ufunc.__name__
    if any(map(_is_narrow, inputs)) and name not in PAIRS:
        from kilograd.compiled import narrow

        return narrow.called(ufunc, inputs, options)
    if name in PAIRS:
        return tuple([_called(part, inputs, options) for part in PAIRS[name]])
    if all(map(is_of_bools, inputs)):
        if name not in OF_BOOLS and name not in BOOLS:  # NumPy's arithmetic of bools is none of numbers
            return constant(ufunc(*[decided(array_of(each)) for each in inputs], **options))
        ufunc = OF_BOOLS.get(name, ufunc)
        name = ufunc.__name__
    if name == "power" and _is_constant(inputs[1]) and inputs[1] == 0.5:  # which NumPy makes a root
        return _called(np.sqrt, inputs[:1], options)
    if name in PRODUCTS:
        return traced(PRODUCTS[name](*map(entries, inputs), **options))
    if name in ("equal", "not_equal") and any(each is None or isinstance(each, str) for each in inputs):
        return np.full(np.broadcast_shapes(*map(np.shape, inputs)), name == "not_equal")
    if name in BOOLS:
        operands = [bools(each) for each in inputs]
        if name in _BITWISE and any(isinstance(part, (Value, float)) for each in operands for part in each.flat):
            return _of_integers(ufunc, inputs)
        return _compared(ufunc, *operands)
    if name in _INTEGER:
        return _of_integers(ufunc, inputs)
    entry = _entry(ufunc)
    if entry is None and _is_from_python(ufunc):
        return ufunc(*map(entries, inputs))
    operands = [entries(each) for each in inputs]
    if any(isinstance(each, np.ndarray) and each.dtype == bool for each in inputs):
        thread.chose = True
    if not any(map(has_values, operands)):
        return constant(ufunc(*[each.astype(np.float64) for each in operands], **options))
    if entry is None:
        raise refusal(
            f"{name}() is none of the functions that a recorded function has of its numbers: compose it of others, as "
            "numpy.exp, log, erf by scipy.special, or pass what it gives as an argument"
        )
    result = entry(*operands)
    if name == "power" and operands[1].size == 1 and operands[0].ndim and has_values(operands[1]):
        result = result + elementwise(_is_root, 2)(*operands)  # where NumPy takes a root, minus infinity has none
    return traced(result)


def _is_from_python(ufunc: Any) -> bool:
    """Whether a ufunc is made by `numpy.frompyfunc`."""
    return all(set(types) <= set("O->") for types in ufunc.types)


OF_BOOLS: dict[str, Any] = {
    **dict.fromkeys(("add", "maximum", "fmax"), np.logical_or),
    **dict.fromkeys(("multiply", "minimum", "fmin"), np.logical_and),
}
"""What arithmetic of bools is."""


_BITWISE = frozenset(("bitwise_and", "bitwise_or", "bitwise_xor", "invert"))
_INTEGER = frozenset(("left_shift", "right_shift", "gcd", "lcm", "bitwise_count"))


def _of_integers(ufunc: Any, inputs: tuple[Any, ...]) -> Any:
    """A ufunc that takes integers alone: arguments become those of the trace."""
    arrays = [each if isinstance(each, Traced) else np.asarray(each) for each in inputs]
    for array in arrays:
        if array.dtype.kind not in "biu" and not are_integers(entries(array).flat):
            raise refusal(
                f"numpy.{ufunc.__name__}() is of integers and bools: a number that is one is passed as an integer, and "
                "stays one through + - * // % abs max min with whole numbers"
            )
    return ufunc(*[array if array.dtype.kind in "biu" else index_of(array.view(Traced)) for array in arrays])


def _is_constant(thing: Any) -> bool:
    return isinstance(thing, SCALARS) and not isinstance(thing, Value)


def _is_root(number: Any, exponent: Any) -> Any:
    return _core._gate(_core._equal(exponent, 0.5) * _core._equal(number, -math.inf), math.nan)


PAIRS: dict[str, tuple[Any, Any]] = {"divmod": (np.floor_divide, np.remainder)}
"""Those that give two arrays, which others give one by one."""


def _compared(ufunc: Any, *operands: Objects) -> Any:
    if ufunc.__name__ in ("less", "less_equal", "equal", "not_equal", "greater", "greater_equal"):
        return mask_of(ufunc(*operands, dtype=object))
    return mask_of(_entry(ufunc)(*operands))


def constant(result: Any) -> Any:
    """What NumPy gave for constants: arrays of floats as they are kept here, all else as it is."""
    if isinstance(result, tuple):
        parts = [constant(part) for part in result]
        return type(result)(*parts) if hasattr(result, "_fields") else tuple(parts)
    if isinstance(result, np.ndarray) and result.dtype == FLOAT and not isinstance(result, ObjectArray):
        return result.astype(object).view(Traced)
    return result


def _along(ufunc: Any, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """reduce, accumulate and reduceat: along an axis."""
    if _is_narrow(inputs[0]):
        from kilograd.compiled import narrow

        return narrow.reduced(ufunc, method, inputs, options)
    if is_of_bools(inputs[0]) and ufunc.__name__ in _LIMITS:
        ufunc = OF_BOOLS[ufunc.__name__]
    name = ufunc.__name__
    array = bools(nested(inputs[0])) if name in BOOLS else entries(inputs[0])
    if name in BOOLS:
        if name not in _BITWISE and not name.startswith("logical"):
            raise refusal(f"numpy.{name}.{method}() cannot be recorded: compare neighbours, as x[1:] < x[:-1]")
        array = elementwise(truth, 1)(array) if array.ndim else single(truth(array.item()))
    axis = options.pop("axis", 0)
    keepdims = options.pop("keepdims", False)
    where = options.pop("where", True)
    initial = options.pop("initial", np._NoValue)
    entry = ufunc if _is_from_python(ufunc) else _entry(ufunc)
    if entry is None:
        raise refusal(f"numpy.{name}.{method}() cannot be recorded")
    if method != "accumulate" and name in _UNSOUND:
        raise refusal(
            f"numpy.{name}.{method}() is not recorded: what NumPy makes of it depends on the processor. Write "
            f"functools.reduce(numpy.{name}, x), or numpy.{name}.accumulate(x)"
        )
    if method != "reduce":
        result = getattr(entry, method)(array, *map(index_of, inputs[1:]), axis=axis)
        return mask_of(result) if name in BOOLS else traced(result)
    if where is not True:
        neutral = {"add": 0.0, "multiply": 1.0, "logical_or": False, "logical_and": True}.get(name, initial)
        if neutral is np._NoValue:
            raise refusal(f"numpy.{name}.reduce() with where= needs initial=")
        array = chosen(where, array, single(neutral)).view(np.ndarray)
    result = fold(entry, array, axis, keepdims, EMPTY.get(name, initial))
    if initial is not np._NoValue and initial is not None:
        result = entry(entries(result), entries(initial))
    return mask_of(result) if name in BOOLS else traced(result)


_UNSOUND = frozenset(("power", "arctan2"))
"""Of vectors, NumPy's kernels with AVX-512 give the last step from the first number, for which this is no reduction."""
_LIMITS = frozenset(("maximum", "minimum", "fmax", "fmin"))
"""What these are of bools is a bool; sums and products are numbers."""

EMPTY: dict[str, Any] = {"add": 0.0, "multiply": 1.0, "logical_or": False, "logical_and": True}
"""What reducing nothing gives."""


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """What an axis, several, or (None) all are, counted from the first."""
    if axis is None or not ndim:  # NumPy takes 0 and -1 for numbers too
        return tuple(range(ndim))
    return tuple(normalize_axis_tuple(axis, ndim))


def fold(entry: Any, array: Objects, axis: Any = None, keepdims: bool = False, empty: Any = np._NoValue) -> Any:
    """Reduce by a ufunc of objects along an axis, several, or (None) all."""
    axes = sorted(axes_of(axis, array.ndim))
    rest = [a for a in range(array.ndim) if a not in axes]
    last = math.prod(array.shape[a] for a in axes)
    flat = array.transpose([*rest, *axes]).reshape([array.shape[a] for a in rest] + [last])
    if not flat.shape[-1]:
        if empty is np._NoValue:
            raise ValueError("zero-size array to a reduction which has no identity")
        result: Any = np.full(flat.shape[:-1], empty, dtype=object)
        result = result if result.ndim else result.item()
    else:
        result = entry.reduce(flat, axis=-1)
    if keepdims and array.ndim:
        shape = [1 if a in axes else array.shape[a] for a in range(array.ndim)]
        return (result if isinstance(result, np.ndarray) else single(result)).reshape(shape)
    return result


def _at(ufunc: Any, target: Any, index: Any, *values: Any) -> None:
    entry = _entry(ufunc)
    if not isinstance(target, Traced):
        raise refusal(_CONSTANT.format("array"))
    if entry is None or ufunc.nin != 1 + len(values):
        raise refusal(f"numpy.{ufunc.__name__}.at() cannot be recorded")
    array = target.view(np.ndarray)
    places = np.arange(array.size).reshape(array.shape)[index_of(index)]
    operands = [np.broadcast_to(entries(each), places.shape).reshape(-1) for each in values]
    for row in zip(places.reshape(-1).tolist(), *operands, strict=True):
        where = np.unravel_index(row[0], array.shape)
        array[where] = entry(array[where], *row[1:])


def _vecdot(a: Objects, b: Objects, axis: int = -1) -> Any:
    return fold(np.add, a * b, axis, False, 0.0)


def _matmul(a: Objects, b: Objects, **axes: Any) -> Any:
    """With `axes`, as ``@=`` has it."""
    if not a.shape[-1] if a.ndim else True:
        return np.zeros(np.matmul(a.astype(float), b.astype(float), **axes).shape).astype(object)
    return np.matmul(a, b, **axes)


PRODUCTS: dict[str, Callable[..., Any]] = {
    "matmul": _matmul,
    "vecdot": _vecdot,
    "matvec": lambda a, b: _matmul(a, b[..., None])[..., 0],
    "vecmat": lambda a, b: _matmul(a[..., None, :], b)[..., 0, :],
}


def written(result: Any, out: Any) -> Any:
    """A result, or the array that was to take it."""
    if out is None:
        return result
    out[...] = result
    return out


# --- functions

_COMPOSED = frozenset(("matrix_power", "multi_dot", "cross", "outer", "matmul", "tensordot", "vecdot"))
_COMPOSED |= {"trace", "diagonal", "matrix_transpose", "fftshift", "ifftshift"}

FUNCTIONS: dict[Any, Callable[..., Any]] = {}
"""What is done in place of functions of NumPy."""

_Implementation = Callable[..., Any]


def implements(*functions: Any) -> Callable[[_Implementation], _Implementation]:
    """Say that a function stands for some of NumPy's where arrays are traced."""

    def register(implementation: _Implementation) -> _Implementation:
        FUNCTIONS.update(dict.fromkeys(functions, implementation))
        return implementation

    return register


COUNTS: dict[Any, tuple[int, str]] = {
    np.repeat: (1, "repeats"),
    np.tile: (1, "reps"),
    np.roll: (1, "shift"),
    np.reshape: (1, "shape"),
    **dict.fromkeys((np.split, np.array_split), (1, "indices_or_sections")),
    **dict.fromkeys((np.tril, np.triu, np.diag, np.diagflat, np.rot90), (1, "k")),
    **dict.fromkeys((np.delete, np.insert), (1, "obj")),
    np.take: (1, "indices"),
    np.pad: (1, "pad_width"),
    np.take_along_axis: (1, "indices"),
    np.linspace: (2, "num"),
}
"""Which argument of NumPy's functions is an integer, or several, where it is recorded."""


def of_function(function: Any, args: Any, options: Any) -> Any:
    """What `__array_function__` of arrays, Values and conditions does."""
    options = {name: option for name, option in options.items() if option is not np._NoValue}
    if any(map(is_complex, args)) or any(map(is_complex, options.values())):
        from kilograd.compiled import complex_functions

        return complex_functions.of_function(function, args, options)
    if any(map(_holds_narrow, args)) or any(map(_holds_narrow, options.values())):
        from kilograd.compiled import narrow

        return narrow.of_function(function, args, options)
    position, name = COUNTS.get(function, (len(args), ""))
    if position < len(args):
        args = (*args[:position], index_of(args[position]), *args[position + 1 :])
    elif name in options:
        options = {**options, name: index_of(options[name])}
    implementation = FUNCTIONS.get(function)
    if implementation is not None:
        return implementation(*args, **options)
    if function.__module__ in ("numpy.linalg", "numpy.fft") and function.__name__ not in _COMPOSED:
        raise refusal(
            f"{function.__module__}.{function.__name__}() is not recorded: compose it of other functions, or call it "
            "outside of the compiled function"
        )
    args = [_as_array(argument) for argument in args]
    options = {name: _as_array(argument) for name, argument in options.items()}
    return _returned(function._implementation(*args, **options))


def _as_array(argument: Any) -> Any:
    if isinstance(argument, Value):
        return entries(argument).view(Traced)
    if isinstance(argument, (Mask, Condition)):
        return np.asarray(decided(argument))
    if isinstance(argument, (list, tuple)):
        return type(argument)([_as_array(part) for part in argument]) if _is_plain(argument) else argument
    return argument


def _is_plain(container: Any) -> bool:
    return type(container) in (list, tuple)


def _returned(result: Any) -> Any:
    """What a function of NumPy gave for arrays of objects, as the traced function sees it."""
    if _is_plain(result):
        return type(result)([_returned(part) for part in result])
    if type(result) is np.ndarray and result.dtype == object:
        if all(isinstance(entry, (bool, np.bool_)) for entry in result.flat) and result.size:
            return result.astype(bool)
        if result.ndim == 0:
            return traced(result.item())
        for place, entry in enumerate(result.flat):
            if not isinstance(entry, Value) and type(entry) is not float:
                result.flat[place] = number_of(entry)
        return result.view(Traced)
    return np.float64(result) if type(result) is float else result


def _ufunc_of_value(_: Any, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
    return of_ufunc(ufunc, method, inputs, options)


def _function_of_value(_: Any, function: Any, types: Any, args: Any, options: Any) -> Any:
    return of_function(function, args, options)


kind: Any
for kind in (ObjectArray, Condition):
    kind.__array_ufunc__ = _ufunc_of_value
    kind.__array_function__ = _function_of_value
_OPERATORS = (np.add, np.subtract, np.multiply, np.true_divide)
_COMPARISONS = (np.less, np.less_equal, np.equal, np.not_equal, np.greater, np.greater_equal)
_core._dispatch_by(_ufunc_of_value, _function_of_value, (*_OPERATORS, *_COMPARISONS))
