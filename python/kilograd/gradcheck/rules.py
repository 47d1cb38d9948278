"""What the rule of one node adds to its operands, and how it goes wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kilograd.listing import operands_of

__all__ = ["added", "different_operands", "has_rule", "run_rule", "symptom"]

_START, _SEED = 3.0, 2.0


def different_operands(node: Any) -> list[Any]:
    """The operands, each once."""
    return list({id(operand): operand for operand in operands_of(node)}.values())


def has_rule(node: Any) -> bool:
    """Whether it can be told what a node adds to its operands."""
    return callable(getattr(node, "_backward", None)) or getattr(node, "_local_grads", None) is not None


def run_rule(node: Any) -> None:
    """Add the gradient of a node, times its local derivatives, into the gradients of its operands."""
    rule = getattr(node, "_backward", None)
    if callable(rule):
        rule()
        return
    for operand, local in zip(operands_of(node), node._local_grads, strict=True):
        operand.grad += local * node.grad


def added(node: Any, operands: Sequence[Any], seed: float = 1.0, start: float = 0.0) -> list[float]:
    """What the rule leaves in the gradients of the operands, for a gradient `seed` of the node, less the `start`.

    All gradients are as before afterwards.
    """
    kept = [node.grad, *(operand.grad for operand in operands)]
    try:
        for operand in operands:
            operand.grad = start
        node.grad = seed
        run_rule(node)
        return [float(operand.grad) - start for operand in operands]
    finally:
        for each, grad in zip([node, *operands], kept, strict=True):
            each.grad = grad


def symptom(node: Any, operands: Sequence[Any], place: int, right: float, tolerance: float) -> str | None:
    """What is wrong with what the rule adds to an operand, in words; None if nothing is.

    Parameters
    ----------
    node : Value
    operands : sequence of Value
        Its different operands.
    place : int
        The operand that it is about.
    right : float
        The derivative of the node by this operand.
    tolerance : float
        How far off `right` may be.
    """

    def close(a: float, b: float, times: float = 1.0) -> bool:
        return abs(a - b) <= times * tolerance or (math.isinf(a) and a == b)

    plain = added(node, operands)[place]
    doubled = added(node, operands, seed=_SEED)[place]
    started = added(node, operands, start=_START)[place]
    if close(plain, right):
        if not close(doubled, _SEED * right, _SEED):
            if close(doubled, right):
                return "it does not multiply by the node's own gradient (* out.grad)"
            return f"for a gradient of {_SEED:g} it adds {doubled:.6g}, where {_SEED * right:.6g} is right"
        if not close(started, right):
            if close(started + _START, right):
                return "it sets the gradient where it has to add to it (= in place of +=)"
            return "what it adds depends on the gradient that is there already"
        return None
    if plain == 0.0 and doubled == 0.0:
        if started == -_START:
            return "it sets the gradient to 0"
        return "it adds nothing" if started == 0.0 else "it multiplies the gradient that is there already"
    if close(plain, -right):
        return "the sign is the other one"
    if close(plain, 2.0 * right, 2.0):
        return "it adds twice as much"
    return ""
