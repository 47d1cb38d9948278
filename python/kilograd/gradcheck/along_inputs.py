"""Rules of nodes that move with the inputs alone.

Moving one input moves the operands of a node and the node itself: the rule is right only if its local derivatives,
times how the operands move, add up to how the node moves. With as many independent movements as there are operands, the
local derivatives themselves follow. Where an input is at a kink of what is computed, its two sides are two movements; a
rule that is right on one of them is that of a kink of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from types import BuiltinFunctionType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kilograd._core import ops
from kilograd.gradcheck.differences import Estimate
from kilograd.gradcheck.judging import UNDEFINED, Names, Tolerance
from kilograd.gradcheck.report import Finding, Verdict
from kilograd.gradcheck.rules import added, different_operands, symptom

__all__ = ["check_along_inputs"]

_LABELS = frozenset(label for _, label, *_ in ops() if label)
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
    values, errors, kinks, left, right, slack = (
        np.array([getattr(each, name) for each in along])
        for name in ("value", "error", "kink", "left", "right", "slack")
    )
    for place, node in enumerate(nodes):
        operands = different_operands(node)
        columns = [places[id(operand)] for operand in operands]
        moved = [k for k, column in enumerate(columns) if np.any(values[:, column] != 0.0)]
        for operand in (each for k, each in enumerate(operands) if k not in moved and _has_own_rule(node)):
            note = "the operand does not move with the inputs: make it one of them"
            yield Finding("unclear", names.operand(operand), math.nan, math.nan, 0.0, names.rule(node), note)
        if not moved:
            continue
        try:
            local = np.array(added(node, operands))
        except Exception as raised:
            note = f"it raises {type(raised).__name__}: {raised}"
            yield Finding("wrong", names.operand(operands[0]), math.nan, math.nan, 0.0, names.rule(node), note)
            continue
        usable = np.isfinite(values[:, [place, *columns]]).all(axis=1)
        bent = usable & kinks[:, [place, *columns]].any(axis=1)
        smooth, *sides = (
            _Movements(moves[np.ix_(rows, columns)], moves[rows, place], off[np.ix_(rows, columns)], off[rows, place])
            for moves, off, rows in ((values, errors, usable & ~bent), (left, slack, bent), (right, slack, bent))
        )
        off_left, off_right = (side.disagree(local, tolerance) | side.at_rest for side in sides)
        at_rest = sides[0].at_rest & sides[1].at_rest
        told = values[np.ix_(bent, columns)] @ local
        lowest, highest = (f(left[bent, place], right[bent, place]) for f in (np.minimum, np.maximum))
        allowed = slack[bent, place] + tolerance.rtol * np.abs(told) + tolerance.atol
        between = (told >= lowest - allowed) & (told <= highest + allowed)
        astray = off_left & off_right & ~at_rest
        if smooth.disagree(local, tolerance).any() or (astray & ~between).any():
            yield from _wrong(node, operands, local, smooth.and_those_of(*sides), names, tolerance)
            continue
        known = not astray.any() and bool((~smooth.at_rest).any() or (~off_left & ~off_right).any())
        for k in moved:
            note = symptom(node, operands, k, float(local[k]), tolerance.of(local[k], local[k], 0.0)) or ""
            verdict: Verdict = "wrong" if note else "right" if known else "kink" if bent.any() else "unclear"
            if verdict == "unclear":
                note = UNDEFINED
            yield Finding(
                verdict, names.operand(operands[k]), float(local[k]), float(local[k]), 0.0, names.rule(node), note
            )


def _has_own_rule(node: Any) -> bool:
    """Whether it is no operation of the engine, as far as its names tell."""
    return not isinstance(node._backward, BuiltinFunctionType) or not (node._op in _LABELS or node._op.startswith("**"))


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

    def and_those_of(self, *others: _Movements) -> _Movements:
        """All of these movements."""
        every = [self, *others]
        return _Movements(
            np.concatenate([each.operands for each in every]),
            np.concatenate([each.node for each in every]),
            np.concatenate([each._operand_errors for each in every]),
            np.concatenate([each._node_errors for each in every]),
        )

    @property
    def at_rest(self) -> NDArray[np.bool_]:
        """In which rows no operand moves, so that any rule is right."""
        moving: NDArray[np.bool_] = np.any(self.operands, axis=1)
        return ~moving

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
