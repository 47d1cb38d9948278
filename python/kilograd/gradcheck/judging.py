"""When a derivative is right, and how what is found is named."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from kilograd.gradcheck.differences import Estimate
from kilograd.gradcheck.graphs import Leaf
from kilograd.gradcheck.report import Finding, Verdict
from kilograd.gradcheck.rules import added, different_operands, symptom

__all__ = ["UNDEFINED", "Names", "Tolerance", "judge", "rule_finding"]

UNDEFINED = "there is no numerical derivative: the function is not defined around here, or changes its branch"
_KNOWN = 1e-3
"""How large the error of a numerical derivative may be, relative to it, for a verdict."""


class Tolerance(NamedTuple):
    """How far apart two derivatives may be that are the same."""

    rtol: float
    atol: float

    def of(self, automatic: float, numerical: float, error: float) -> float:
        """For these two derivatives, and the error that the numerical one may have."""
        return self.rtol * max(abs(automatic), abs(numerical)) + self.atol + error


def judge(automatic: float, found: Estimate, column: int, tolerance: Tolerance) -> tuple[Verdict, str]:
    """The verdict on a derivative, and what there is to say of it."""
    numerical, error = float(found.value[column]), float(found.error[column])
    if math.isnan(numerical):
        return "unclear", UNDEFINED
    if found.kink[column]:
        low, high = float(found.low[column]), float(found.high[column])
        allowed = tolerance.of(automatic, max(abs(low), abs(high)), 0.0)
        if low - allowed <= automatic <= high + allowed:
            return "kink", ""
        return "wrong", f"at this kink the derivative is from {low:.6g} to {high:.6g}"
    if not abs(automatic - numerical) <= tolerance.of(automatic, numerical, error):
        return "wrong", ""
    if error > _KNOWN * max(abs(automatic), abs(numerical)) + tolerance.atol:
        return "unclear", "the function jumps here, or bends too much for nudging"
    return "right", ""


class Names:
    """How the nodes of a graph are called."""

    def __init__(self, nodes: Sequence[Any], leaves: Sequence[Leaf]) -> None:
        self._places = {id(node): place for place, node in enumerate(nodes)}
        self._leaves = {id(leaf.node): leaf.name for leaf in leaves}

    def operand(self, node: Any) -> str:
        """The input's name, the label, or the place in topological order."""
        name = self._leaves.get(id(node)) or str(getattr(node, "label", "") or "")
        return name or f"node {self._places[id(node)] + 1} (data {node.data!r:.24})"

    def rule(self, node: Any) -> str:
        """A node whose rule is talked about: ``'*' (node 3 of 5, data -6.0)``."""
        op = str(getattr(node, "_op", "") or "?")
        return f"{op!r} (node {self._places[id(node)] + 1} of {len(self._places)}, data {node.data!r:.24})"


def rule_finding(node: Any, operand: Any, found: Estimate, column: int, names: Names, tolerance: Tolerance) -> Finding:
    """What the rule of a node adds to one operand, against the node's derivative by it, a `column` of `found`."""
    numerical, error = float(found.value[column]), float(found.error[column])
    operands = different_operands(node)
    place = next(place for place, each in enumerate(operands) if each is operand)
    try:
        automatic = added(node, operands)[place]
        verdict, note = judge(automatic, found, column, tolerance)
        if not (verdict == "wrong" and note):
            right = numerical if verdict == "wrong" else automatic
            wrong = symptom(node, operands, place, right, tolerance.of(right, right, error))
            if wrong:
                verdict, note = "wrong", wrong
    except Exception as raised:
        automatic, verdict, note = math.nan, "wrong", f"it raises {type(raised).__name__}: {raised}"
    return Finding(verdict, names.operand(operand), automatic, numerical, error, names.rule(node), note)
