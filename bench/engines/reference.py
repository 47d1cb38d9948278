"""`kilograd.reference`: the pure-Python class that every workload was first written for."""

from __future__ import annotations

import platform

from bench.engines.programs import run_programs, run_transformer
from bench.engines.training import run_again, run_image
from bench.engines.value_class import FUNCTIONS, run_article, run_backward, run_eager
from bench.model import Engine, Phases, Run
from bench.workloads import chain, chebyshev, dag, moons, random_ops, rosenbrock
from bench.workloads.memory import MEMORY, built_and_walked
from kilograd.reference import MLP, Value

ENGINE = Engine(
    "reference",
    version=f"Python {platform.python_version()}",
    drive="pure Python, one object a node, the graph built anew each time",
    otherwise="keeps no program: it builds the graph anew on each call, as in the eager workloads",
)
ENGINE.cannot(chain.CHAIN, "10^7 Python objects need about 6 GB")
ENGINE.cannot(rosenbrock.ROSENBROCK, "has first derivatives only")

run_eager(ENGINE, Value)
run_backward(ENGINE, Value)
run_programs(ENGINE)
run_transformer(ENGINE, lambda cls: cls)
run_article(ENGINE, MLP)
run_again(ENGINE, MLP)
run_image(ENGINE, Value)


@ENGINE.runs(MEMORY)
def memory(problem: dag.Dag) -> Run:
    return built_and_walked(problem, Value, FUNCTIONS)


@ENGINE.runs(moons.MOONS)
def moons_step(problem: moons.Moons) -> Run:
    parameters = [Value(p) for p in problem.parameters]

    def run() -> Phases:
        loss = moons.demo_loss(problem, lambda x: moons.score(parameters, x, Value.relu), parameters, Value, Value.relu)
        for p in parameters:
            p.grad = 0.0
        loss.backward()
        yield "step"
        return {"loss": [loss.data], "gradient": [p.grad for p in parameters]}

    return run


@ENGINE.runs(random_ops.RANDOM_OPS)
def random_graph(problem: dag.Dag) -> Run:
    def run() -> Phases:
        leaves = [Value(x) for x in problem.leaves]
        root = dag.build(problem, leaves, FUNCTIONS)
        root.backward()
        yield "call"
        return {"value": [root.data], "gradient": [leaf.grad for leaf in leaves]}

    return run


@ENGINE.runs(chebyshev.CHEBYSHEV)
def chains(problem: chebyshev.Chebyshev) -> Run:
    def run() -> Phases:
        inputs = [Value(x) for x in problem.inputs]
        root = chebyshev.series(problem, inputs)
        root.backward()
        yield "call"
        return {"value": [root.data], "gradient": [x.grad for x in inputs]}

    return run
