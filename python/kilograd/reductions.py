"""Sums, means and softmax of many values in one call, as graphs of ordinary nodes.

Values are given in lists, tuples or arrays, nested or not, of Values and numbers. All results are Values, or lists of
them.
"""

from __future__ import annotations

from typing import Any

from kilograd import _core
from kilograd._core import Value

__all__ = ["dot", "log_softmax", "logsumexp", "mean", "softmax", "total"]


def dot(w: Any, x: Any, b: Value | float = 0) -> Value:
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


def total(values: Any, start: Value | float = 0) -> Value:
    """``sum(values, start)``: the same graph, built in one call; nested values are added up in order."""
    return _core.total(values, start)


def mean(values: Any) -> Value:
    """Arithmetic mean, ``sum(values) * (1 / n)``, over all n values, nested ones too.

    Raises
    ------
    ValueError
        If there are no values.
    """
    return _core.mean(values)


def logsumexp(values: Any) -> Any:
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


def softmax(values: Any) -> Any:
    """``exp(v[i]) / sum(exp(v))`` over the last axis, without overflow.

    Parameters
    ----------
    values : shape (..., n)

    Returns
    -------
    list of Values of shape (..., n)
    """
    return _core.softmax(values)


def log_softmax(values: Any) -> Any:
    """``v[i] - logsumexp(v)`` over the last axis: the logarithm of `softmax`, exact where that underflows.

    Parameters
    ----------
    values : shape (..., n)

    Returns
    -------
    list of Values of shape (..., n)
    """
    return _core.log_softmax(values)
