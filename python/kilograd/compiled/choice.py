"""Choosing by conditions: `where`, which in a function that is recorded makes an operation of a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np

from kilograd import _core
from kilograd._core import Value
from kilograd.compiled.conditions import Condition, numbers
from kilograd.compiled.tracing import thread

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
    mask = np.asarray(condition)
    if thread.depth:
        thread.chose = True
        if any(isinstance(entry, Condition) for entry in mask.flat):
            return _chosen(mask, a, b)
    if mask.dtype == object and all(isinstance(entry, (bool, np.bool_)) for entry in mask.flat):
        mask = mask.astype(bool)
    if mask.dtype != bool:
        raise TypeError("where: the condition is a bool or an array of bools, such as x > 0")
    result = np.where(mask, a, b)
    return result if result.ndim else result.item()


def _chosen(mask: NDArray[Any], a: Any, b: Any) -> Any:
    """As `where`, for an array of conditions."""
    parts = np.broadcast_arrays(mask, *(np.asarray(part, dtype=object) for part in (a, b)))
    result = np.empty(parts[0].shape, dtype=object)
    for place in np.ndindex(result.shape):
        result[place] = _choose(*(part[place] for part in parts))
    return numbers(result) if result.ndim else result.item()


def _choose(condition: Any, a: Any, b: Any) -> Any:
    """Give `a` where a condition holds, else `b`; as an operation unless both are integers, or no numbers."""
    sides = [type(side) for side in (a, b)]
    are_numbers = all(issubclass(side, (Value, float, int)) and side is not bool for side in sides)
    if isinstance(condition, Condition) and are_numbers and not all(issubclass(side, int) for side in sides):
        holds, fails = condition.mask()
        return _core._gate(holds, a) + _core._gate(fails, b)
    return a if condition else b
