"""From arrays of Values to arrays of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kilograd._core import Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["data", "grad"]


def data(array: ArrayLike) -> NDArray[np.float64]:
    """The numbers of an array of Values.

    Parameters
    ----------
    array : array_like of Value or number
        Any shape; nested lists and single Values too. A number stands for itself.

    Returns
    -------
    numpy.ndarray of float64
        Of the same shape; a copy.

    Raises
    ------
    TypeError
        If an element is neither a Value nor a number.

    Examples
    --------
    >>> import kilograd
    >>> kilograd.data([[kilograd.Value(1.5), 2]])
    array([[1.5, 2. ]])
    """
    return _gather(array, "data")


def grad(array: ArrayLike) -> NDArray[np.float64]:
    """The gradients of an array of Values.

    Parameters
    ----------
    array : array_like of Value
        Any shape; nested lists and single Values too.

    Returns
    -------
    numpy.ndarray of float64
        Of the same shape; a copy.

    Raises
    ------
    TypeError
        If an element is no Value: a number has no gradient.
    """
    return _gather(array, "grad")


def _gather(array: ArrayLike, attribute: str) -> NDArray[np.float64]:
    import numpy as np

    objects: NDArray[Any] = np.asarray(array, dtype=object)
    result = np.empty(objects.shape, dtype=np.float64)
    flat = result.reshape(-1)
    for i, element in enumerate(objects.flat):
        if isinstance(element, Value):
            flat[i] = getattr(element, attribute)
        elif attribute == "data" and isinstance(element, int | float | np.number | np.bool_):
            flat[i] = float(element)
        else:
            raise TypeError(
                f"kilograd.{attribute}: element {i} is a {type(element).__name__}, not a Value"
                + (" or a number" if attribute == "data" else "")
            )
    return result
