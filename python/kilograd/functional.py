"""Sums, softmax and losses of many values, each built in one call as a graph of ordinary nodes.

Values and numbers are given in lists, tuples or arrays, nested or not. All results are Values, or lists of them.

A loss compares predictions and targets of one shape, in a form that holds for large arguments. Its `reduction` says
what becomes of the losses of the n elements: their ``"mean"``, their ``"sum"``, or ``"none"``, a list of them. Formulas
and defaults are PyTorch's where it has the loss. All arguments are checked before a node is built.

Raises
------
ValueError
    If shapes differ, nothing is given, or a target is not one that the loss has.
TypeError
    If something else than numbers and Values is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from kilograd import _core
from kilograd._core import Value, binary_cross_entropy_from_logits, hinge, huber, log_cosh, mse

if TYPE_CHECKING:
    from kilograd._types import Row, Rows, Scalar, SupportsArray, Values

__all__ = [
    "LossName",
    "Reduction",
    "binary_cross_entropy",
    "binary_cross_entropy_from_logits",
    "cross_entropy",
    "dot",
    "hinge",
    "huber",
    "l2",
    "log_cosh",
    "log_softmax",
    "logsumexp",
    "mean",
    "mse",
    "softmax",
    "sum",
]

LossName: TypeAlias = Literal[
    "mse",
    "huber",
    "log_cosh",
    "hinge",
    "cross_entropy",
    "binary_cross_entropy",
    "binary_cross_entropy_from_logits",
]
"""The losses, as `kilograd.fit` knows them: functions of this module."""

Reduction: TypeAlias = Literal["mean", "sum", "none"]
"""What becomes of the losses of many samples: their mean, their sum, or a list of them."""
_Reduced = Literal["mean", "sum"]


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


def sum(values: Values, start: Scalar = 0) -> Value:
    """``sum(values, start)``: the same graph, built in one call; nested values are added up in order."""
    return _core.sum(values, start)


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


@overload
def binary_cross_entropy(
    prediction: Values, target: Values, *, from_logits: bool = False, reduction: _Reduced = "mean"
) -> Value: ...
@overload
def binary_cross_entropy(
    prediction: Values, target: Values, *, from_logits: bool = False, reduction: Reduction
) -> Any: ...
def binary_cross_entropy(
    prediction: Values, target: Values, *, from_logits: bool = False, reduction: Reduction = "mean"
) -> Any:
    """Cross-entropy of a binary classifier, ``-(t * log(p) + (1 - t) * log(1 - p))``.

    Parameters
    ----------
    prediction : Values and numbers
        Probabilities from 0 to 1; a logarithm below -100 counts as -100, and gradients are
        exact (PyTorch caps them for p or 1 - p below 1e-12). With `from_logits` any numbers z, of which
        ``sigmoid(z)`` is the probability: this is then `binary_cross_entropy_from_logits`.
    target : numbers or Values from 0 to 1, of the same shape
    from_logits : bool, default False
    reduction : {"mean", "sum", "none"}
    """
    loss = binary_cross_entropy_from_logits if from_logits else _core.binary_cross_entropy
    return loss(prediction, target, reduction=reduction)


@overload
def cross_entropy(logits: Values, target: Values, *, reduction: _Reduced = "mean") -> Value: ...
@overload
def cross_entropy(logits: Values, target: Values, *, reduction: Reduction) -> Any: ...
def cross_entropy(logits: Values, target: Values, *, reduction: Reduction = "mean") -> Any:
    """Softmax cross-entropy of a classifier of C classes, ``-log(softmax(logits)[target])``.

    Parameters
    ----------
    logits : shape (..., C)
        One score for each class; no softmax before.
    target : int, or ints of shape (...); or numbers and Values of shape (..., C)
        The index of the right class, or a probability for each class.
    reduction : {"mean", "sum", "none"}
        Over the samples.
    """
    return _core.cross_entropy(logits, target, reduction)


def l2(values: Values, alpha: float = 1.0) -> Value:
    """Penalty ``alpha * (v[0]**2 + v[1]**2 + ...)``; ``l2(model.parameters(), 1e-4)`` is weight decay in a loss."""
    return _core.l2(values, alpha)


if not TYPE_CHECKING:  # a checker sees that a name is not there

    def __getattr__(name: str) -> object:
        from kilograd.advice import missing

        raise missing(__name__, name)
