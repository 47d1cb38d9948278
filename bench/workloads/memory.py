"""Memory of a graph whose handles are gone: what the process holds more, after the graph was built than before.

Then Python looks at every node once, from the root down, and lets go of it again: the objects stay, as code that
remembers their addresses needs them to. `walk` is what that adds.
"""

from __future__ import annotations

from typing import Any

from bench.model import Floor, Metric, Phases, Run, Workload
from bench.workloads.backward import MIX
from bench.workloads.dag import Dag, build, make

MEMORY: Workload[Dag] = Workload(
    name="memory",
    title="Memory of 10^6 nodes whose handles are gone, and after Python has walked through them",
    make=lambda quick: make(5_000 if quick else 1_000_000, MIX),
    metrics=[
        Metric("build", "node", lambda problem: problem.nodes, kind="resident"),
        Metric("walk", "node", lambda problem: problem.nodes, kind="resident"),
        Metric("walk", "node", lambda problem: problem.nodes),
    ],
    floors=[
        Floor("at most 72 bytes a node", "build, resident", at_most=72),
        Floor("at most 72 bytes more a node that was looked at", "walk, resident", at_most=72),
    ],
    isolated=True,
)


def built_and_walked(problem: Dag, value: Any, functions: dict[str, Any]) -> Run:
    """The phases of a class that shows the operands of a node as ``_prev``."""

    def run() -> Phases:
        leaves = [value(x) for x in problem.leaves]
        yield None
        root = build(problem, leaves, functions)
        yield "build"
        waiting = [root]
        while waiting:
            node = waiting.pop()
            if node.grad == 0.0:  # a mark that takes no memory of its own
                node.grad = 1.0
                waiting.extend(node._prev)
        del waiting, node
        yield "walk"
        return {"root": [root.data]}

    return run
