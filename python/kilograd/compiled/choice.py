"""Choosing by conditions: `where`, which in a function that is recorded makes an operation of a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np

from kilograd._core import Value
from kilograd.compiled import functions
from kilograd.compiled.conditions import thread

if TYPE_CHECKING:
    from numpy.typing import NDArray


@overload
def where(condition: bool | np.bool_, a: float, b: float) -> float: ...
@overload
def where(condition: bool | np.bool_, a: Value, b: Value) -> Value: ...
@overload
def where(condition: bool | np.bool_, a: Value | float, b: Value | float) -> Value | float: ...
@overload
def where(condition: bool | np.bool_ | NDArray[Any] | list[Any] | tuple[Any, ...], a: Any, b: Any) -> NDArray[Any]: ...
def where(condition: Any, a: Any, b: Any) -> Any:
    """Choose `a` where a condition holds, `b` elsewhere; elementwise, as `numpy.where`, also for Values.

    Parameters
    ----------
    condition : bool or array of bool
        Such as ``x > 0``, or several such with ``&``, ``|`` and, in arrays, ``~``.
    a, b : numbers, Values, or arrays of them
        Both are computed, errors included. They broadcast.

    Returns
    -------
    number, Value or array

    Raises
    ------
    TypeError
        If the condition is made of anything but bools.

    Notes
    -----
    Inside a compiled function the choice is an operation, and no guard: all rows of a batch share one path. Derivatives
    are those of the side that is chosen. For this, a function that calls `where` is run twice when it is recorded, the
    second time with objects in place of the bools that comparisons give. Comparisons are guards as everywhere where the
    second run differs from the first (it may test ``is True``, index with the condition, or use random numbers), and
    where both sides are plain integers.

    Examples
    --------
    >>> import numpy as np
    >>> import kilograd
    >>> x = np.array([kilograd.Value(1.0), kilograd.Value(-2.0)])
    >>> kilograd.where(x > 0, x, 0.1 * x)
    array([Value(data=1.0), Value(data=-0.2)], dtype=object)
    """
    if thread.notes is not None:
        result = functions.where(condition, a, b)
        return result if result.ndim else result.item()
    mask = np.asarray(condition)
    if mask.dtype == object and all(isinstance(entry, (bool, np.bool_)) for entry in mask.flat):
        mask = mask.astype(bool)
    if mask.dtype != bool:
        raise TypeError("where: the condition is a bool or an array of bools, such as x > 0")
    result = np.where(mask, a, b)
    return result if result.ndim else result.item()
