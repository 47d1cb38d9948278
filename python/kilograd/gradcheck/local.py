"""The numerical derivative of each node by each of its operands.

Where a class constructs its nodes in Python, all nodes are held at their numbers but one, which is nudged: what its
consumers are computed as then has their derivatives by this operand alone. Nodes without a common consumer are nudged
in the same run, so that a few runs do for the whole graph (as Curtis, Powell and Reid 1974 did for sparse Jacobians).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from kilograd.gradcheck.differences import Estimate, estimate, steps
from kilograd.gradcheck.graphs import Construction, nudged, number, numbers_of
from kilograd.gradcheck.rules import different_operands

__all__ = ["LocalRuns"]


class LocalRuns:
    """Runs of a function in which single nodes are nudged.

    Parameters
    ----------
    function : callable
        Builds the graph and returns its root.
    base : Construction
        Of a run without nudges.
    nodes : list of Value
        The graph of that run, in topological order.
    lasting : set of int
        The `id` of those nodes that are the same objects in every run.
    """

    def __init__(
        self, function: Callable[[], Any], base: Construction, owner: type, nodes: Sequence[Any], lasting: set[int]
    ) -> None:
        self._function, self._owner = function, owner
        self._data = list(base.computed)
        self._count = len(base.nodes)
        self._places = {id(node): place for place, node in enumerate(base.nodes)}
        self._lasting = lasting
        self._nodes = nodes
        self.consumers: dict[int, list[Any]] = {}
        """For each operand the nodes that are computed from it, as far as both can be found again."""
        for node in nodes:
            for operand in different_operands(node):
                if id(node) in self._places and (id(operand) in self._places or id(operand) in lasting):
                    self.consumers.setdefault(id(operand), []).append(node)

    @property
    def is_complete(self) -> bool:
        """Whether every node can be found again, and its data is what it was constructed with."""
        return all(
            id(node) in self._lasting or (id(node) in self._places and node.data == self._data[self._places[id(node)]])
            for node in self._nodes
        )

    def estimates(self) -> Iterator[tuple[Any, list[Any], Estimate]]:
        """For each operand its consumers, and their derivatives by it."""
        for group in self._groups():
            found = self._nudge(group, relative=False)
            for node, each in zip(group, found, strict=True):
                x = number(node.data, node)
                if np.isnan(each.value).any() and 0.0 < abs(x) < 1.0:  # next to the end of a domain
                    (each,) = self._nudge([node], relative=True)
                yield node, self.consumers[id(node)], each

    def _groups(self) -> list[list[Any]]:
        """The operands, in groups without a common consumer."""
        colours: dict[int, int] = {}
        groups: list[list[Any]] = []
        for node in self._nodes:
            if id(node) not in self.consumers:
                continue
            taken = {
                colours.get(id(other))
                for consumer in self.consumers[id(node)]
                for other in different_operands(consumer)
            }
            colour = next(each for each in range(len(groups) + 1) if each not in taken)
            colours[id(node)] = colour
            if colour == len(groups):
                groups.append([])
            groups[colour].append(node)
        return groups

    def _nudge(self, group: Sequence[Any], relative: bool) -> list[Estimate]:
        points = [number(node.data, node) for node in group]
        taken = [steps(x, relative) for x in points]
        above, below = (
            [
                self._run(group, [x + sign * each[k] for x, each in zip(points, taken, strict=True)])
                for k in range(len(taken[0]))
            ]
            for sign in (1, -1)
        )
        found = []
        for node, x, each in zip(group, points, taken, strict=True):
            places = [self._places[id(consumer)] for consumer in self.consumers[id(node)]]
            centre = np.array([self._data[place] for place in places], dtype=float)
            higher, lower = (np.array([[run[place] for place in places] for run in runs]) for runs in (above, below))
            found.append(estimate(x, each, centre, higher, lower, max(1.0, abs(x))))
        return found

    def _run(self, group: Sequence[Any], numbers: Sequence[float]) -> list[float]:
        """What each node is computed as while those of the group have other numbers; NaN where the function fails."""
        forced = list(self._data)
        here, there = [], []
        for node, each in zip(group, numbers, strict=True):
            place = self._places.get(id(node))
            if place is None:
                here.append(node)
                there.append(each)
            else:
                forced[place] = each
        with nudged(here, there), Construction(self._owner, forced) as construction:
            try:
                self._function()
            except Exception:  # outside of a domain, at this step
                return [float("nan")] * self._count
        if len(construction.nodes) != self._count:  # another branch of the function
            return [float("nan")] * self._count
        return numbers_of(construction.computed)
