"""One eager operation: a loop of ``x = x * w + b``, and then the graph that it left is dropped."""

from __future__ import annotations

from dataclasses import dataclass

from bench.model import Floor, Metric, Workload


@dataclass(frozen=True)
class Eager:
    """The recurrence and its length; `ops` counts the two operations of each turn."""

    loops: int
    x: float = 1.0
    w: float = 0.999
    b: float = 0.001

    @property
    def ops(self) -> int:
        return 2 * self.loops


EAGER: Workload[Eager] = Workload(
    name="eager",
    title="Eager operation: 10,000 times `x = x * w + b`, then drop it",
    make=lambda quick: Eager(loops=100 if quick else 10_000, b=0.002),
    metrics=[Metric("op", "op", lambda problem: problem.ops)],
    floors=[
        Floor("at most 1.6 times bare floats", "op", at_most=1.6, to="floats"),
        Floor("at least 40 times faster than the reference", "op", at_least=40, engine="reference", to="kilograd"),
    ],
    oracles=("floats",),
)
