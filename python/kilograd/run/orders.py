"""The order in which ``backward()`` visits nodes: which of the engine's may be the author's."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from kilograd.run.reasons import functions_named, helpers
from kilograd.run.record import replace
from kilograd.run.served import ORDERS, Plan
from kilograd.run.source import node_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kilograd.run.trial import Trial

__all__ = ["SUMS", "orders"]

SUMS = 1e-12  # how far apart sums of the same terms in another order may be


def orders(trial: Trial) -> Iterable[tuple[Plan, float]]:
    """The ways to visit nodes in backward(), and how close the sums of gradients have to be.

    A set of operands leaves the order of a sum to chance, in plain Python too. Where no native way agrees, backward()
    is the author's.
    """
    plan = trial.plan
    authors = replace(plan, methods={name: recipe for name, recipe in plan.methods.items() if name != "backward"})
    chooses = _chooses_an_order(trial)
    if plan.order != ORDERS[0]:
        for order in () if chooses else ORDERS[1:]:
            yield replace(plan, order=order), 0.0
        yield authors, 0.0
    else:
        if not chooses:
            yield plan, SUMS
        yield authors, SUMS


def _chooses_an_order(trial: Trial) -> bool:
    """Whether backward() sorts operands, or takes them in one order or another: by what no probe may have."""
    mentioned = helpers(trial.author, ["backward"])
    if not {"sorted", "sort"}.isdisjoint(mentioned):
        return True
    children = set(trial.plan.children)

    def takes(parts: Iterable[ast.AST]) -> bool:
        return any(
            isinstance(inner, ast.Attribute) and inner.attr in children for part in parts for inner in ast.walk(part)
        )

    for name in {"backward", *mentioned}:
        for function in functions_named(trial.author, name):
            node = node_of(function.__code__)
            for part in ast.walk(node) if node else ():
                if isinstance(part, ast.IfExp) and takes([part.body, part.orelse]):
                    return True
                if isinstance(part, ast.If) and takes(part.body) and takes(part.orelse) and not _adds(part):
                    return True
    return False


def _adds(part: ast.AST) -> bool:
    """Whether it adds to gradients, as the rules of several operations in one function do."""
    return any(isinstance(inner, ast.AugAssign) and isinstance(inner.target, ast.Attribute) for inner in ast.walk(part))
