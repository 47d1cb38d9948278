"""What is computed: one file per workload, no engine in any of them. `WORKLOADS` is the order of the tables."""

from __future__ import annotations

from typing import Any

from bench.model import Workload
from bench.workloads import (
    article,
    backward,
    black_scholes,
    chain,
    chebyshev,
    counts,
    derivatives,
    eager,
    loops,
    memory,
    moons,
    random_ops,
    recording,
    rosenbrock,
    rows,
    run,
    solve,
    spectrum,
    training,
    transformer,
)

_IN_ORDER: list[Workload[Any]] = [
    eager.EAGER,
    backward.BACKWARD,
    memory.MEMORY,
    chain.CHAIN,
    article.ARTICLE,
    moons.MOONS,
    *training.WORKLOADS,
    moons.MOONS_100,
    moons.MOONS_10000,
    random_ops.RANDOM_OPS,
    chebyshev.CHEBYSHEV,
    loops.KALMAN,
    loops.KALMAN_ARGUMENT,
    loops.SCHOOLS,
    loops.SPARSE_LOOP,
    recording.RECORDING,
    rosenbrock.ROSENBROCK,
    black_scholes.BLACK_SCHOLES,
    counts.COUNTS,
    *derivatives.WORKLOADS,
    solve.SOLVE,
    spectrum.SPECTRUM,
    *rows.WORKLOADS,
    transformer.TRANSFORMER,
    *run.RUNS,
]
WORKLOADS: dict[str, Workload[Any]] = {workload.name: workload for workload in _IN_ORDER}
