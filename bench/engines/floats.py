"""Bare Python floats: the same statements without an engine, forward only."""

from __future__ import annotations

import platform

from bench.model import Engine, Phases, Run
from bench.workloads import eager

ENGINE = Engine(
    "floats",
    version=f"Python {platform.python_version()}",
    drive="the same statements over Python floats",
    otherwise="forward only, no derivatives",
)


@ENGINE.runs(eager.EAGER)
def eager_loop(problem: eager.Eager) -> Run:
    def run() -> Phases:
        x, w, b = problem.x, problem.w, problem.b
        yield None
        for _ in range(problem.loops):
            x = x * w + b
        yield "op"
        return {"x": [x]}

    return run
