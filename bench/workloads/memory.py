"""Memory of a graph whose handles are gone: what the process holds more, after the graph was built than before."""

from __future__ import annotations

from bench.model import Floor, Metric, Workload
from bench.workloads.backward import MIX
from bench.workloads.dag import Dag, make

MEMORY: Workload[Dag] = Workload(
    name="memory",
    title="Memory of 10^6 nodes whose handles are gone",
    make=lambda quick: make(5_000 if quick else 1_000_000, MIX),
    metrics=[Metric("build", "node", lambda problem: problem.nodes, kind="resident")],
    floors=[Floor("at most 72 bytes a node", "build, resident", at_most=72)],
    isolated=True,
)
