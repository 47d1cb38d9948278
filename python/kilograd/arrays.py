"""Between NumPy arrays of floats and Values: many at a time, in one call.

Wherever Values are taken they may come alone, in lists and tuples nested to any rectangular shape, or in object arrays;
wherever numbers are, in arrays and tables of any library (`kilograd.tables`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, overload

from kilograd import _core, tables
from kilograd._core import Value

if TYPE_CHECKING:
    from numpy import float64, object_
    from numpy.typing import NDArray

    from kilograd._types import Number, Numbers, Values

__all__ = ["assign", "assign_gradients", "data", "gradients", "values"]

P = ParamSpec("P")  # the arguments of a function


@overload
def values(array: Numbers, *, as_array: Literal[True], value_type: type[Value] = Value) -> NDArray[object_]: ...
@overload
def values(array: Number, *, as_array: Literal[False] = False, value_type: type[Value] = Value) -> Value: ...
@overload
def values(
    array: Sequence[Sequence[Number]], *, as_array: Literal[False] = False, value_type: type[Value] = Value
) -> list[list[Value]]: ...
@overload
def values(
    array: Sequence[Number], *, as_array: Literal[False] = False, value_type: type[Value] = Value
) -> list[Value]: ...
@overload
def values(array: Numbers, *, as_array: bool = False, value_type: type[Value] = Value) -> Any: ...
def values(array: Any, *, as_array: bool = False, value_type: type[Value] = Value) -> Any:
    """Make a leaf for each entry of an array.

    Parameters
    ----------
    array : array_like of real numbers, or a table
    as_array : bool, default False
        Whether the leaves come in an object array, and not in nested lists.
    value_type : type, default `Value`
        What the leaves are; ``kilograd.micrograd.engine.Value``, for instance.

    Returns
    -------
    nested list of Value, or ndarray of object
        Of the same shape; a single Value for a single number.

    Raises
    ------
    TypeError, ValueError
        If `array` is no array of real numbers.
    """
    import numpy as np

    numbers = _floats(array, "the array")
    shape = numbers.shape
    flat = _core.leaves(numbers.reshape(-1), value_type)
    if as_array:
        out = np.empty(len(flat), dtype=object)
        out[:] = flat
        return out.reshape(shape)
    nested: Any = flat
    for width in reversed(shape[1:]):
        nested = [nested[i : i + width] for i in range(0, len(nested), width)] if width else [[] for _ in nested]
    return nested if shape else nested[0]


def data(values: Values) -> NDArray[float64]:
    """The data of Values as a float array of the same shape; numbers among them stay what they are.

    Raises
    ------
    TypeError
        If something is neither Value nor number.
    ValueError
        If the nesting is ragged, or an entry of a table is missing.
    """
    import numpy as np

    flat, shape = _flatten(values, "the values")
    if all(isinstance(v, Value) for v in flat):
        out = np.empty(len(flat))
        _core.read_data(flat, out)
    else:
        out = np.array([v.data if isinstance(v, Value) else v for v in flat], dtype=float)
    return out.reshape(shape)


def gradients(values: Values) -> NDArray[float64]:
    """The gradients of Values as a float array of the same shape.

    Raises
    ------
    TypeError
        If something is no Value.
    ValueError
        If the nesting is ragged.

    Examples
    --------
    >>> from kilograd import Value, arrays
    >>> x = Value(3.0)
    >>> (x**2).backward()
    >>> arrays.gradients([x])
    array([6.])
    """
    import numpy as np

    flat, shape = _flatten(values, "the values")
    out = np.empty(len(flat))
    _core.read_grad(flat, out)
    return out.reshape(shape)


def assign(params: Values, array: Numbers) -> None:
    """Set the data of Values from an array: the way back of `data`.

    Parameters
    ----------
    params : Values
        ``model.parameters()``, for instance.
    array : array_like of real numbers, or a table
        Of the same shape.

    Raises
    ------
    ValueError
        If the shapes differ. Then, as after any error, nothing is changed.
    """
    _core.write_data(*_fitting(params, array))


def assign_gradients(params: Values, array: Numbers) -> None:
    """Set the gradients of Values from an array: the way back of `gradients`.

    Parameters
    ----------
    params : Values
    array : array_like of real numbers, or a table
        Of the same shape.

    Raises
    ------
    ValueError
        If the shapes differ. Then, as after any error, nothing is changed.

    Examples
    --------
    >>> from kilograd import Value, arrays
    >>> w = [Value(1.0), Value(2.0)]
    >>> arrays.assign_gradients(w, [0.5, -0.5])
    >>> w[1].grad
    -0.5
    """
    _core.write_grad(*_fitting(params, array))


def _fitting(params: Values, array: Numbers) -> tuple[list[Any], NDArray[float64]]:
    flat, shape = _flatten(params, "the parameters")
    numbers = _floats(array, "the array")
    if numbers.shape != shape:
        raise ValueError(f"Values of the shape {shape} are to be set from an array of the shape {numbers.shape}")
    return flat, numbers.reshape(-1)


def _flatten(values: Any, what: str) -> tuple[list[Any], tuple[int, ...]]:
    found = tables.array(values, what)
    flat, shape = _core.flatten(values if found is None else found, what)
    if found is not None and not flat:  # nested lists cannot say the inner lengths of an empty array
        shape = found.shape
    return flat, shape


def _floats(array: Any, what: str) -> NDArray[float64]:
    """A new array of floats, in C order."""
    return tables.numbers(array, what).astype(float, order="C")
