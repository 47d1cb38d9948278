"""Rules of nodes that move with the inputs alone.

Moving one input moves the operands of a node and the node itself: the rule is right only if its local derivatives,
times how the operands move, add up to how the node moves. With as many independent movements as there are operands, the
local derivatives themselves follow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kilograd.gradcheck.differences import Estimate
from kilograd.gradcheck.judging import Names, Tolerance
from kilograd.gradcheck.report import Finding, Verdict
from kilograd.gradcheck.rules import added, different_operands, symptom

__all__ = ["check_along_inputs"]

_INDEPENDENT = 1e-6
"""How small the least singular value may be, relative to the largest, of movements that tell operands apart."""


def check_along_inputs(
    nodes: Sequence[Any], along: Sequence[Estimate], names: Names, tolerance: Tolerance
) -> Iterator[Finding]:
    """Check each rule by how nodes move with each input.

    Parameters
    ----------
    nodes : sequence of Value, length n
        In topological order.
    along : sequence of Estimate, each of shape (n,)
        For each input the derivatives of the nodes by it.
    names : Names
    tolerance : Tolerance
    """
    places = {id(node): place for place, node in enumerate(nodes)}
    values, errors, kinks, low, high = (
        np.array([getattr(each, name) for each in along]) for name in ("value", "error", "kink", "low", "high")
    )
    for place, node in enumerate(nodes):
        operands = different_operands(node)
        columns = [places[id(operand)] for operand in operands]
        moved = [k for k, column in enumerate(columns) if np.any(values[:, column] != 0.0)]
        if not moved:
            continue
        try:
            local = np.array(added(node, operands))
        except Exception as raised:
            note = f"it raises {type(raised).__name__}: {raised}"
            yield Finding("wrong", names.operand(operands[0]), math.nan, math.nan, 0.0, names.rule(node), note)
            continue
        usable = np.isfinite(values[:, place]) & np.isfinite(values[:, columns]).all(axis=1)
        smooth = usable & ~kinks[:, place] & ~kinks[:, columns].any(axis=1)
        chosen = _Movements(
            values[np.ix_(smooth, columns)],
            values[smooth, place],
            errors[np.ix_(smooth, columns)],
            errors[smooth, place],
        )
        if smooth.any() and chosen.disagree(local, tolerance).any():
            yield from _wrong(node, operands, local, chosen, names, tolerance)
            continue
        at_kink = usable & kinks[:, place]
        told = values[np.ix_(at_kink, columns)] @ local
        allowed = tolerance.rtol * np.abs(told) + tolerance.atol
        outside = (told < low[at_kink, place] - allowed) | (told > high[at_kink, place] + allowed)
        for k in moved:
            limit = tolerance.of(local[k], local[k], 0.0)
            note = symptom(node, operands, k, float(local[k]), limit) or ""
            verdict: Verdict = "wrong" if note else "right" if smooth.any() else "kink" if at_kink.any() else "unclear"
            if len(columns) == 1 and at_kink.any() and not smooth.any() and outside.any():
                verdict, note = "wrong", "at this kink it is outside of the derivatives of the two sides"
            if verdict == "unclear":
                note = (
                    "there is no numerical derivative: the function is not defined around here, or changes its branch"
                )
            yield Finding(
                verdict, names.operand(operands[k]), float(local[k]), float(local[k]), 0.0, names.rule(node), note
            )


class _Movements:
    """How m operands move, and their node with them: d rows, one for each input."""

    def __init__(
        self,
        operands: NDArray[np.float64],
        node: NDArray[np.float64],
        operand_errors: NDArray[np.float64],
        node_errors: NDArray[np.float64],
    ) -> None:
        self.operands, self.node = operands, node
        self._operand_errors, self._node_errors = operand_errors, node_errors

    def disagree(self, local: NDArray[np.float64], tolerance: Tolerance) -> NDArray[np.bool_]:
        """In which rows the node moves otherwise than local derivatives tell. NaN disagrees."""
        with np.errstate(all="ignore"):
            terms = np.where(self.operands == 0.0, 0.0, self.operands * local)
            error = self._node_errors + self._operand_errors @ np.abs(local)
            size = np.abs(self.node) + np.abs(terms).sum(axis=1)
            off = np.abs(terms.sum(axis=1) - self.node)
            disagreeing: NDArray[np.bool_] = ~(off <= tolerance.rtol * size + tolerance.atol + error)
        return disagreeing

    def solved(self, tolerance: Tolerance) -> NDArray[np.float64] | None:
        """The local derivatives, where the rows tell them apart."""
        if not np.isfinite(self.operands).all():
            return None
        singular = np.linalg.svd(self.operands, compute_uv=False)
        count = self.operands.shape[1]
        if len(self.operands) < count or singular[count - 1] <= _INDEPENDENT * singular[0]:
            return None
        found = np.linalg.lstsq(self.operands, self.node, rcond=None)[0].astype(np.float64)
        return None if self.disagree(found, tolerance).any() else found


def _wrong(
    node: Any,
    operands: Sequence[Any],
    local: NDArray[np.float64],
    moved: _Movements,
    names: Names,
    tolerance: Tolerance,
) -> Iterator[Finding]:
    right = moved.solved(tolerance)
    if right is not None:
        for k, operand in enumerate(operands):
            limit = 10.0 * tolerance.of(float(local[k]), float(right[k]), 0.0)
            note = symptom(node, operands, k, float(right[k]), limit)
            verdict: Verdict = "right" if note is None else "wrong"
            yield Finding(
                verdict, names.operand(operand), float(local[k]), float(right[k]), limit, names.rule(node), note or ""
            )
        return
    worst = int(np.argmax(moved.disagree(local, tolerance)))
    told = float(moved.operands[worst] @ local)
    together = " and ".join(names.operand(operand) for operand in operands)
    yield Finding(
        "wrong",
        together,
        told,
        float(moved.node[worst]),
        0.0,
        names.rule(node),
        "its operands move together with the input, and which of them is at fault cannot be told: check the operation "
        "alone, each operand an input",
    )
