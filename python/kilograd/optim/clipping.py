"""Gradient clipping."""

from __future__ import annotations

from collections.abc import Iterable

from kilograd import _core
from kilograd._core import Value
from kilograd.checks import not_negative

__all__ = ["clip_grad_norm", "clip_grad_value"]


def clip_grad_norm(parameters: Iterable[Value], max_norm: float, *, order: float = 2.0) -> float:
    """Scale all gradients together so that their norm is at most `max_norm`.

    Parameters
    ----------
    parameters : iterable of Value
    max_norm : float
        The gradients are multiplied by ``max_norm / (norm + 1e-6)`` where that is below 1.
    order : float, default 2.0
        Of the norm; ``math.inf`` takes the largest magnitude.

    Returns
    -------
    float
        The norm before.

    Raises
    ------
    FloatingPointError
        If the norm is infinite or NaN; the gradients are as before.
    ValueError
        If `max_norm` is negative or `order` not positive.
    """
    not_negative("max_norm", max_norm)
    if not order > 0:
        raise ValueError(f"the order of a norm is positive, not {order}")
    return _core.clip_norm(list(parameters), max_norm, order)


def clip_grad_value(parameters: Iterable[Value], limit: float) -> None:
    """Limit each gradient to the range from ``-limit`` to ``limit``.

    Raises
    ------
    ValueError
        If `limit` is negative.
    """
    not_negative("limit", limit)
    _core.clip_value(list(parameters), limit)
