"""The workloads that any `Value` class can do, for the engines that have one: kilograd, the reference, micrograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.model import Engine, Phases, Run
from bench.workloads import article, chain, dag, eager, moons
from bench.workloads.backward import BACKWARD, Backward

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "tanh": lambda v: v.tanh(),
    "exp": lambda v: v.exp(),
    "log": lambda v: v.log(),
    "sin": lambda v: v.sin(),
}


def run_eager(engine: Engine, value: Any) -> None:
    @engine.runs(eager.EAGER)
    def _(problem: eager.Eager) -> Run:
        def run() -> Phases:
            x, w, b = value(problem.x), value(problem.w), value(problem.b)
            yield None
            for _ in range(problem.loops):
                x = x * w + b
            data = x.data
            del x
            yield "op"
            return {"x": [data]}

        return run


def run_backward(engine: Engine, value: Any) -> None:
    @engine.runs(BACKWARD)
    def _(problem: Backward) -> Run:
        def run() -> Phases:
            gradients = []
            for graph, times, phase in ((problem.small, problem.times, "10^4 nodes"), (problem.large, 1, "10^6 nodes")):
                for _ in range(times):
                    leaves = [value(x) for x in graph.leaves]
                    root = dag.build(graph, leaves, FUNCTIONS)
                    yield None
                    root.backward()
                    yield phase
                    del root
                gradients += [leaf.grad for leaf in leaves]
            return {"gradient": gradients}

        return run


def run_chain(engine: Engine, value: Any) -> None:
    @engine.runs(chain.CHAIN)
    def _(problem: chain.Chain) -> Run:
        def run() -> Phases:
            chain.touch_memory(problem)
            ends, slopes = [], []
            for ops, size in ((problem.short, "10^6"), (problem.long, "10^7")):
                x0, w, b = value(problem.x), value(problem.w), value(problem.b)
                x = x0
                yield None
                for _ in range(ops // 2):
                    x = x * w + b
                yield f"build {size}"
                x.backward()
                yield f"backward {size}"
                ends.append(x.data)
                slopes.append(x0.grad)
                yield None
                del x
                yield f"free {size}"
            return {"x": ends, "dx": slopes}

        return run


def run_article(engine: Engine, mlp: Any) -> None:
    @engine.runs(article.ARTICLE)
    def _(problem: article.Article) -> Run:
        model = mlp(article.SIZES[0], article.SIZES[1:])
        return lambda: article.train(problem, model, model.parameters())


def run_moons(engine: Engine, mlp: Any, value: Any) -> None:
    """As micrograd's demo: the model's own classes, a list of numbers for each row."""

    @engine.runs(moons.MOONS)
    def _(problem: moons.Moons) -> Run:
        model = mlp(moons.SIZES[0], moons.SIZES[1:])
        for parameter, data in zip(model.parameters(), problem.parameters, strict=True):
            parameter.data = data

        def run() -> Phases:
            loss = moons.demo_loss(problem, model, model.parameters(), value, lambda v: v.relu())
            model.zero_grad()
            loss.backward()
            data = loss.data
            del loss
            yield "step"
            return {"loss": [data], "gradient": [p.grad for p in model.parameters()]}

        return run
