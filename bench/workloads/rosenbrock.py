"""The dense Hessian of Rosenbrock's function in 100 dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bench.model import Floor, Metric, Results, Workload


@dataclass(frozen=True)
class Rosenbrock:
    """The point at which the Hessian is wanted."""

    point: Sequence[float]


def function(x: Sequence[Any]) -> Any:
    """Sum of 100 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2 over any number type."""
    total = None
    for a, b in pairwise(x):
        valley, distance = b - a * a, 1.0 - a
        term = 100.0 * (valley * valley) + distance * distance
        total = term if total is None else total + term
    return total


def expected(problem: Rosenbrock) -> Results:
    """The Hessian by hand, row after row."""
    x, n = problem.point, len(problem.point)
    hessian = [[0.0] * n for _ in range(n)]
    for i in range(n - 1):
        hessian[i][i] += 1200.0 * x[i] ** 2 - 400.0 * x[i + 1] + 2.0
        hessian[i + 1][i + 1] += 200.0
        hessian[i][i + 1] = hessian[i + 1][i] = -400.0 * x[i]
    return {"hessian": [entry for row in hessian for entry in row]}


ROSENBROCK: Workload[Rosenbrock] = Workload(
    name="rosenbrock",
    title="Hessian of Rosenbrock's function in 100 dimensions",
    make=lambda quick: Rosenbrock([0.5 + 0.01 * i for i in range(10 if quick else 100)]),
    metrics=[Metric("hessian", "call")],
    floors=[
        Floor("faster than casadi", "hessian", at_least=1.0, engine="casadi", to="kilograd"),
        Floor(
            "faster than ddx-ad's interpreter", "hessian", at_least=1.0, engine="ddx-ad (interpreter)", to="kilograd"
        ),
        Floor("faster than ddx-ad, compiled", "hessian", at_least=1.0, engine="ddx-ad (compiled)", to="kilograd"),
    ],
    expected=expected,
)
