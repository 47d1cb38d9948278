"""A linear system of 100 rows: the value of a sum of its solution, and the gradient by all of its entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.model import Floor, Metric, Results, Workload


@dataclass(frozen=True)
class System:
    """A matrix, row after row, the right side, and the weights of the solution."""

    matrix: Sequence[Sequence[float]]
    right: Sequence[float]
    weights: Sequence[float]


def make(quick: bool) -> System:
    """One whose entries are all different, with a large diagonal."""
    n = 30 if quick else 100

    def row(i: int) -> list[float]:
        return [((7 * i + 3 * j) % 11) / 11.0 + (n if i == j else 0.0) for j in range(n)]

    return System([row(i) for i in range(n)], [1.0 + i % 5 for i in range(n)], [0.5 - i % 3 for i in range(n)])


def solved(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """Elimination without exchanges, for a large diagonal."""
    rows = [[*row, b] for row, b in zip(matrix, right, strict=True)]
    for k, pivot in enumerate(rows):
        for row in rows[k + 1 :]:
            factor = row[k] / pivot[k]
            for j in range(k, len(row)):
                row[j] -= factor * pivot[j]
    x = [0.0] * len(rows)
    for k in reversed(range(len(rows))):
        x[k] = (rows[k][-1] - sum(rows[k][j] * x[j] for j in range(k + 1, len(rows)))) / rows[k][k]
    return x


def expected(problem: System) -> Results:
    """With u of A' u = w the gradient is u by the right side and -u x' by the matrix."""
    x = solved(problem.matrix, problem.right)
    u = solved(list(zip(*problem.matrix, strict=True)), problem.weights)
    value = sum(w * a for w, a in zip(problem.weights, x, strict=True))
    return {"value": [value], "gradient": [*(-a * b for a in u for b in x), *u]}


SOLVE: Workload[System] = Workload(
    name="solve",
    title="A linear system of 100 rows, and the gradient by its 10 100 numbers",
    make=make,
    metrics=[Metric("call", "call")],
    floors=[Floor("within 3 times NumPy's own two solutions", "call", at_least=1 / 3, engine="numpy", to="kilograd")],
    expected=expected,
)
