"""XAD's Python bindings, adjoint mode: one tape that is cleared and filled again, as its documentation advises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import xad.math as xm
from xad.adj_1st import Real, Tape

from bench.model import Engine, Phases, Run
from bench.workloads import (
    article,
    backward,
    black_scholes,
    chain,
    chebyshev,
    dag,
    eager,
    moons,
    random_ops,
    rosenbrock,
)
from bench.workloads.memory import MEMORY

ENGINE = Engine(
    "xad",
    version=version("xad"),
    drive="adjoint mode, one tape, cleared (its memory kept) and recorded anew each time",
    otherwise="a recorded tape cannot be called again from Python: each row would be recorded anew",
)
ENGINE.cannot(rosenbrock.ROSENBROCK, "its Python package has first derivatives only")
ENGINE.cannot(black_scholes.BLACK_SCHOLES, "a tape records one row: 10^6 recordings")

FUNCTIONS: dict[str, Callable[[Any], Any]] = {"tanh": xm.tanh, "exp": xm.exp, "log": xm.log, "sin": xm.sin}


def relu(x: Any) -> Any:
    return xm.fmax(x, 0.0)


def begin(tape: Any, values: Sequence[float]) -> list[Any]:
    """Inputs, registered, with a recording begun."""
    leaves = [Real(value) for value in values]
    for leaf in leaves:
        tape.registerInput(leaf)
    tape.newRecording()
    return leaves


def finish(tape: Any, root: Any) -> None:
    """Adjoints of everything that `root` was computed from."""
    tape.registerOutput(root)
    root.derivative = 1.0
    tape.computeAdjoints()


def differentiate(
    tape: Any, function: Callable[[list[Any]], Any], values: Sequence[float]
) -> tuple[float, list[float]]:
    """Value and gradient by one recording; its numbers are gone on return, as `Tape.clearAll` needs it."""
    leaves = begin(tape, values)
    root = function(leaves)
    finish(tape, root)
    return root.getValue(), [leaf.derivative for leaf in leaves]


@ENGINE.runs(eager.EAGER)
def eager_loop(problem: eager.Eager) -> Run:
    def run() -> Phases:
        with Tape() as tape:
            x, w, b = begin(tape, (problem.x, problem.w, problem.b))
            yield None
            for _ in range(problem.loops):
                x = x * w + b
            data = x.getValue()
            del x, w, b
            tape.clearAll()
            yield "op"
        return {"x": [data]}

    return run


@ENGINE.runs(backward.BACKWARD)
def backward_only(problem: backward.Backward) -> Run:
    def run() -> Phases:
        gradients = []
        with Tape() as tape:
            for graph, times, phase in ((problem.small, problem.times, "10^4 nodes"), (problem.large, 1, "10^6 nodes")):
                leaves = begin(tape, graph.leaves)
                for _ in range(times):
                    tape.newRecording()
                    root = dag.build(graph, leaves, FUNCTIONS)
                    yield None
                    finish(tape, root)
                    yield phase
                    del root
                gradients += [leaf.derivative for leaf in leaves]
        return {"gradient": gradients}

    return run


@ENGINE.runs(MEMORY)
def memory(problem: dag.Dag) -> Run:
    def run() -> Phases:
        with Tape() as tape:
            leaves = begin(tape, problem.leaves)
            yield None
            root = dag.build(problem, leaves, FUNCTIONS)
            yield "build"
            return {"root": [root.getValue()]}

    return run


@ENGINE.runs(chain.CHAIN)
def long_chain(problem: chain.Chain) -> Run:
    def run() -> Phases:
        chain.touch_memory(problem)
        ends, slopes = [], []
        for ops, size in ((problem.short, "10^6"), (problem.long, "10^7")):
            with Tape() as tape:
                x0, w, b = begin(tape, (problem.x, problem.w, problem.b))
                x = x0
                yield None
                for _ in range(ops // 2):
                    x = x * w + b
                yield f"build {size}"
                finish(tape, x)
                yield f"backward {size}"
                ends.append(x.getValue())
                slopes.append(x0.derivative)
                del x, x0, w, b
                yield None
                tape.clearAll()
            del tape
            yield f"free {size}"
        return {"x": ends, "dx": slopes}

    return run


@ENGINE.runs(article.ARTICLE)
def article_loop(problem: article.Article) -> Run:
    def loss_of(parameters: list[Any]) -> Any:
        predictions = [article.network(parameters, x, xm.tanh) for x in article.XS]
        return sum((out - y) ** 2 for y, out in zip(article.YS, predictions, strict=True))

    def run() -> Phases:
        values, losses = list(problem.parameters), []
        with Tape() as tape:
            yield None
            for _ in range(problem.steps):
                loss, gradient = differentiate(tape, loss_of, values)
                tape.clearAll()
                values = [p - article.RATE * g for p, g in zip(values, gradient, strict=True)]
                losses.append(loss)
            yield "training"
        return {"losses": losses, "parameters": values}

    return run


@ENGINE.runs(moons.MOONS)
def moons_step(problem: moons.Moons) -> Run:
    def loss_of(parameters: list[Any]) -> Any:
        return moons.demo_loss(problem, lambda x: moons.score(parameters, x, relu), parameters, float, relu)

    tape = Tape()

    def run() -> Phases:
        with tape:
            yield None
            loss, gradient = differentiate(tape, loss_of, problem.parameters)
            tape.clearAll()
            yield "step"
        return {"loss": [loss], "gradient": gradient}

    return run


def one_row(function: Callable[[list[Any]], Any], point: Sequence[float]) -> Run:
    tape = Tape()

    def run() -> Phases:
        with tape:
            yield None
            value, gradient = differentiate(tape, function, point)
            tape.clearAll()
            yield "call"
        return {"value": [value], "gradient": gradient}

    return run


@ENGINE.runs(random_ops.RANDOM_OPS)
def random_graph(problem: dag.Dag) -> Run:
    return one_row(lambda leaves: dag.build(problem, leaves, FUNCTIONS), problem.leaves)


@ENGINE.runs(chebyshev.CHEBYSHEV)
def chains(problem: chebyshev.Chebyshev) -> Run:
    return one_row(lambda inputs: chebyshev.series(problem, inputs), problem.inputs)
