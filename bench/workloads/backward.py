"""`backward()` alone, over graphs of 10^4 and 10^6 nodes that were just built and whose handles are gone."""

from __future__ import annotations

from dataclasses import dataclass

from bench.model import Floor, Metric, Workload
from bench.workloads.dag import Dag, make

MIX = {"add": 8, "mul": 4, "weigh": 8, "tanh": 4, "retire": 2}


@dataclass(frozen=True)
class Backward:
    """A small graph, to be built and differentiated `times` times, and a large one, to be done once."""

    small: Dag
    times: int
    large: Dag


def _make(quick: bool) -> Backward:
    if quick:
        return Backward(make(1_000, MIX), 2, make(5_000, MIX))
    return Backward(make(10_000, MIX), 20, make(1_000_000, MIX))


BACKWARD: Workload[Backward] = Workload(
    name="backward",
    title="`backward()` over a random graph of + * tanh, 20 times 10^4 nodes and once 10^6",
    make=_make,
    metrics=[
        Metric("10^4 nodes", "node", lambda problem: problem.times * problem.small.nodes),
        Metric("10^6 nodes", "node", lambda problem: problem.large.nodes),
    ],
    floors=[
        Floor("10^4 nodes: at most 8 ns a node", "10^4 nodes", at_most=8e-9),
        Floor("10^6 nodes: at most 8 ns a node", "10^6 nodes", at_most=8e-9),
        Floor("10^6 costs at most 1.6 times 10^4 a node", "10^6 nodes", at_most=1.6, to_metric="10^4 nodes"),
        Floor("10^4: at least 60 times the reference", "10^4 nodes", at_least=60, engine="reference", to="kilograd"),
        Floor("10^6: at least 60 times the reference", "10^6 nodes", at_least=60, engine="reference", to="kilograd"),
    ],
)
