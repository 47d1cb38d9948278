"""One row through a recorded graph of 10,000 random operations: value and gradient."""

from __future__ import annotations

from bench.model import Floor, Metric, Workload
from bench.workloads.dag import Dag, make

MIX = {"add": 4, "sub": 4, "mul": 4, "weigh": 5, "div": 3, "tanh": 3, "exp": 2, "log": 2, "sin": 3, "retire": 2}

RANDOM_OPS: Workload[Dag] = Workload(
    name="random-ops",
    title="One row, 10,000 random operations (+ - * / tanh exp log sin), recorded once: value and 128 derivatives",
    make=lambda quick: make(400 if quick else 10_000, MIX),
    metrics=[Metric("call", "op", lambda problem: problem.ops)],
    floors=[
        Floor(
            "4 times faster than ddx-ad's interpreter", "call", at_least=4, engine="ddx-ad (interpreter)", to="kilograd"
        ),
    ],
    oracles=("reference",),
)
