"""Sums, means and softmax of many values in one call, as graphs of ordinary nodes.

Values are given in lists, tuples or arrays, nested or not, of Values and numbers. All results are Values, or lists of
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from kilograd import _core
from kilograd._core import Value

if TYPE_CHECKING:
    from kilograd._types import Row, Rows, Scalar, SupportsArray, Values

__all__ = ["dot", "log_softmax", "logsumexp", "mean", "softmax", "total"]


def dot(w: Row | SupportsArray, x: Row | SupportsArray, b: Scalar = 0) -> Value:
    """Weighted sum, ``b + w[0]*x[0] + w[1]*x[1] + ...``, added up from the left.

    Builds the graph of ``sum((wi * xi for wi, xi in zip(w, x)), b)``.

    Parameters
    ----------
    w, x : sequence of n Values or numbers
    b : Value or number, default 0
        What the sum begins with.

    Raises
    ------
    ValueError
        If `w` and `x` differ in length or are nested.
    """
    return _core.dot(w, x, b)


def total(values: Values, start: Scalar = 0) -> Value:
    """``sum(values, start)``: the same graph, built in one call; nested values are added up in order."""
    return _core.total(values, start)


def mean(values: Values) -> Value:
    """Arithmetic mean, ``sum(values) * (1 / n)``, over all n values, nested ones too.

    Raises
    ------
    ValueError
        If there are no values.
    """
    return _core.mean(values)


@overload
def logsumexp(values: Rows) -> list[Value]: ...
@overload
def logsumexp(values: Row) -> Value: ...
@overload
def logsumexp(values: Values) -> Any: ...
def logsumexp(values: Values) -> Any:
    """``log(exp(v[0]) + exp(v[1]) + ...)``, over the last axis, without overflow.

    Computed as ``m + log(sum(exp(v - m)))`` with the maximum m, which is part of the graph.

    Parameters
    ----------
    values : shape (..., n)

    Returns
    -------
    Value, or nested list of Values of shape (...)
    """
    return _core.logsumexp(values)


@overload
def softmax(values: Rows) -> list[list[Value]]: ...
@overload
def softmax(values: Row) -> list[Value]: ...
@overload
def softmax(values: Values) -> Any: ...
def softmax(values: Values) -> Any:
    """``exp(v[i]) / sum(exp(v))`` over the last axis, without overflow.

    Parameters
    ----------
    values : shape (..., n)

    Returns
    -------
    list of Values of shape (..., n)
    """
    return _core.softmax(values)


@overload
def log_softmax(values: Rows) -> list[list[Value]]: ...
@overload
def log_softmax(values: Row) -> list[Value]: ...
@overload
def log_softmax(values: Values) -> Any: ...
def log_softmax(values: Values) -> Any:
    """``v[i] - logsumexp(v)`` over the last axis: the logarithm of `softmax`, exact where that underflows.

    Parameters
    ----------
    values : shape (..., n)

    Returns
    -------
    list of Values of shape (..., n)
    """
    return _core.log_softmax(values)
