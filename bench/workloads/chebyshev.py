"""One row through long chains: Chebyshev series by their recurrence T[k+1] = 2 x T[k] - T[k-1], with gradient.

Five series over five inputs, of 2,750 terms each, four operations a term. The value and the derivatives also have a
closed form, sum of c[k] cos(k t) with x = cos(t), which the engines' results are held against.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.model import Floor, Metric, Results, Workload


@dataclass(frozen=True)
class Chebyshev:
    """Inputs in (-1, 1) and the number of terms of each series."""

    inputs: Sequence[float]
    terms: int

    @property
    def ops(self) -> int:
        return 4 * self.terms * len(self.inputs)


def coefficient(k: int) -> float:
    return 1.0 / (1 + k)


def series(problem: Chebyshev, inputs: Sequence[Any]) -> Any:
    """The sum of the series over any number type."""
    total = None
    for x in inputs:
        twice = x * 2.0
        before, now, value = 1.0, x, x * coefficient(1)
        for k in range(2, problem.terms + 2):
            before, now = now, twice * now - before
            value = value + now * coefficient(k)
        total = value if total is None else total + value
    return total


def expected(problem: Chebyshev) -> Results:
    value, gradient = 0.0, []
    for x in problem.inputs:
        t = math.acos(x)
        orders = range(1, problem.terms + 2)
        value += math.fsum(coefficient(k) * math.cos(k * t) for k in orders)
        gradient.append(math.fsum(coefficient(k) * k * math.sin(k * t) for k in orders) / math.sin(t))
    return {"value": [value], "gradient": gradient}


CHEBYSHEV: Workload[Chebyshev] = Workload(
    name="chebyshev",
    title="One row, 55,000 operations in long chains (five Chebyshev series), recorded once: value and gradient",
    make=lambda quick: Chebyshev([0.9, 0.3, -0.2, -0.55, 0.71], 40 if quick else 2_750),
    metrics=[Metric("call", "op", lambda problem: problem.ops)],
    floors=[
        Floor(
            "1.5 times faster than ddx-ad's interpreter",
            "call",
            at_least=1.5,
            engine="ddx-ad (interpreter)",
            to="kilograd",
        ),
        Floor("1.5 times faster than casadi's VM", "call", at_least=1.5, engine="casadi", to="kilograd"),
    ],
    tolerance=1e-8,
    expected=expected,
)
