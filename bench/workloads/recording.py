"""What it costs to begin: 10^5 random operations from Python to the first gradient.

Phase ``record`` is from an existing graph to a program that can be called; engines in which one cannot be had without
the other give the total only: graph, recording, first value and gradient.
"""

from __future__ import annotations

from bench.model import Floor, Metric, Workload
from bench.workloads.dag import Dag, make
from bench.workloads.random_ops import MIX

RECORDING: Workload[Dag] = Workload(
    name="recording",
    title="Recording and optimising 10^5 random operations, first call included in the total",
    make=lambda quick: make(400 if quick else 100_000, MIX),
    metrics=[Metric("record", "graph"), Metric("*", "graph")],
    floors=[
        Floor("at most 20 ms", "record", at_most=20e-3),
        Floor("at most 60 ms from nothing to the first gradient", "total", at_most=60e-3),
    ],
    oracles=("reference",),
)
