"""What rows cost where no two operations are alike, and one row where each waits for the one before."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.model import Floor, Metric, Results, Workload


@dataclass(frozen=True)
class Unstructured:
    """Operations + - *, each on two of the last 500 results, over rows of 100 numbers."""

    steps: Sequence[tuple[str, int, int]]
    rows: Sequence[Sequence[float]]


def last_sum(problem: Unstructured, leaves: Sequence[Any]) -> Any:
    """The sum of the last 50 results, over any number type."""
    pool = list(leaves)
    for name, a, b in problem.steps:
        x, y = pool[a], pool[b]
        pool.append(x + y if name == "+" else x - y if name == "-" else x * y * 0.5)
        if name == "+":
            pool[-1] = pool[-1] * 0.5
    total = pool[-50]
    for x in pool[-49:]:
        total = total + x
    return total


def _unstructured(steps: int, rows: int) -> Unstructured:
    rng = random.Random(2)
    found = []
    for k in range(100, 100 + steps):
        first = max(0, k - 500)
        found.append((rng.choice("++--*"), rng.randrange(first, k), rng.randrange(first, k)))
    return Unstructured(found, [[rng.uniform(0.5, 1.5) for _ in range(100)] for _ in range(rows)])


def by_complex_steps(problem: Unstructured) -> Results:
    """All rows at once, a derivative after the other."""
    import numpy as np

    x, step = np.array(problem.rows), 1e-40
    value = last_sum(problem, list(x.T))
    columns = [last_sum(problem, list((x + 1j * step * unit).T)).imag / step for unit in np.eye(100)]
    return {"value": value, "gradient": np.array(columns).T.ravel()}


UNSTRUCTURED: Workload[Unstructured] = Workload(
    name="unstructured",
    title="256 rows through 10,000 operations + - * of which no two are alike: values and 100 derivatives each",
    make=lambda quick: _unstructured(200, 5) if quick else _unstructured(10_000, 256),
    metrics=[Metric("call", "call")],
    floors=[Floor("at most 3 ms", "call", at_most=3e-3)],
    expected=by_complex_steps,
    tolerance=1e-8,
)
FEW_ROWS: Workload[Unstructured] = Workload(
    name="few-rows",
    title="The same of 2 rows, and of one",
    make=lambda quick: _unstructured(200, 2) if quick else _unstructured(10_000, 2),
    metrics=[Metric("two rows", "call"), Metric("one row", "call")],
    floors=[Floor("two rows cost at most 5 times one", "two rows", at_most=5.0, to_metric="one row")],
    expected=by_complex_steps,
    tolerance=1e-8,
)


@dataclass(frozen=True)
class Chain:
    """`turns` times ``s = sin(s) * x + 0.5``."""

    turns: int
    start: float
    factor: float


def chained(problem: Chain, start: Any, factor: Any, sin: Callable[[Any], Any]) -> Any:
    """The last of it, over any number type."""
    s = start
    for _ in range(problem.turns):
        s = sin(s) * factor + 0.5
    return s


def by_hand(problem: Chain) -> Results:
    """Tangents beside the values."""
    s, by_start, by_factor = problem.start, 1.0, 0.0
    for _ in range(problem.turns):
        slope = math.cos(s) * problem.factor
        by_start, by_factor = slope * by_start, slope * by_factor + math.sin(s)
        s = math.sin(s) * problem.factor + 0.5
    return {"value": [s], "gradient": [by_start, by_factor]}


SINES: Workload[Chain] = Workload(
    name="sines",
    title="A chain of 2,000 turns of s = sin(s) x + 0.5: value and gradient",
    make=lambda quick: Chain(20 if quick else 2_000, 0.3, 0.7),
    metrics=[Metric("call", "call")],
    floors=[Floor("at most 70 us", "call", at_most=70e-6)],
    expected=by_hand,
)

WORKLOADS: list[Workload[Any]] = [UNSTRUCTURED, FEW_ROWS, SINES]
