"""PyTorch, double precision, one thread: on scalars, as the workloads are written, and on tensors, as it is meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

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
    training,
)
from bench.workloads.memory import MEMORY

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

ENGINE = Engine(
    "torch",
    version=torch.__version__,
    drive="float64, one thread; 'scalars': 0-dimensional tensors, as the reference is written; else whole tensors",
    otherwise="keeps no program of scalar operations: it builds the graph anew on each call",
)
ENGINE.cannot(chain.CHAIN, "10^7 tensors need several GB and minutes")

FUNCTIONS: dict[str, Callable[[Any], Any]] = {"tanh": torch.tanh, "exp": torch.exp, "log": torch.log, "sin": torch.sin}


def leaf(value: float) -> Any:
    return torch.tensor(value, requires_grad=True)


@ENGINE.runs(eager.EAGER, "scalars")
def eager_loop(problem: eager.Eager) -> Run:
    def run() -> Phases:
        x, w, b = leaf(problem.x), leaf(problem.w), leaf(problem.b)
        yield None
        for _ in range(problem.loops):
            x = x * w + b
        data = x.detach()
        del x
        yield "op"
        return {"x": [data.item()]}

    return run


@ENGINE.runs(backward.BACKWARD, "scalars")
def backward_only(problem: backward.Backward) -> Run:
    def run() -> Phases:
        gradients = []
        for graph, times, phase in ((problem.small, problem.times, "10^4 nodes"), (problem.large, 1, "10^6 nodes")):
            for _ in range(times):
                leaves = [leaf(x) for x in graph.leaves]
                root = dag.build(graph, leaves, FUNCTIONS)
                yield None
                root.backward()
                yield phase
                del root
            gradients += [x.grad.item() for x in leaves]
        return {"gradient": gradients}

    return run


@ENGINE.runs(MEMORY, "scalars")
def memory(problem: dag.Dag) -> Run:
    def run() -> Phases:
        leaves = [leaf(x) for x in problem.leaves]
        yield None
        root = dag.build(problem, leaves, FUNCTIONS)
        yield "build"
        return {"root": [root.item()]}

    return run


@ENGINE.runs(article.ARTICLE, "scalars")
def article_scalars(problem: article.Article) -> Run:
    def run() -> Phases:
        parameters = [leaf(p) for p in problem.parameters]
        xs = [[torch.tensor(x) for x in row] for row in article.XS]
        losses = []
        yield None
        for _ in range(problem.steps):
            predictions = [article.network(parameters, x, torch.tanh) for x in xs]
            loss: Any = sum((out - y) ** 2 for y, out in zip(article.YS, predictions, strict=True))
            for p in parameters:
                p.grad = None
            loss.backward()
            with torch.no_grad():
                for p in parameters:
                    p -= article.RATE * p.grad
            losses.append(loss.item())
        yield "training"
        return {"losses": losses, "parameters": [p.item() for p in parameters]}

    return run


@ENGINE.runs(article.ARTICLE)
def article_tensors(problem: article.Article) -> Run:
    xs, ys = torch.tensor(article.XS), torch.tensor(article.YS)

    def run() -> Phases:
        flat = torch.tensor(problem.parameters)
        blocks = [flat[:16].reshape(4, 4), flat[16:36].reshape(4, 5), flat[36:].reshape(1, 5)]
        layers = [(block[:, :-1].clone().requires_grad_(), block[:, -1].clone().requires_grad_()) for block in blocks]
        parameters = [tensor for layer in layers for tensor in layer]
        optimizer = torch.optim.SGD(parameters, lr=article.RATE)
        losses = []
        yield None
        for _ in range(problem.steps):
            h = xs
            for w, b in layers:
                h = torch.tanh(torch.nn.functional.linear(h, w, b))
            loss = ((h[:, 0] - ys) ** 2).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        yield "training"
        final = torch.cat([torch.cat([w, b[:, None]], 1).ravel() for w, b in layers])
        return {"losses": losses, "parameters": final.detach()}

    return run


@ENGINE.runs(training.FIT)
def fit_tensors(problem: training.Fit) -> Run:
    xs, ys = torch.tensor(problem.rows), torch.tensor(problem.targets)

    def run() -> Phases:
        flat = torch.tensor(problem.parameters)
        blocks = [flat[:48].reshape(16, 3), flat[48:320].reshape(16, 17), flat[320:].reshape(1, 17)]
        layers = [(block[:, :-1].clone().requires_grad_(), block[:, -1].clone().requires_grad_()) for block in blocks]
        optimizer = torch.optim.SGD([tensor for layer in layers for tensor in layer], lr=training.FIT_RATE)
        losses = []
        yield None
        for batch in map(list, training.fit_batches(problem)):
            h = xs[batch]
            for w, b in layers:
                h = torch.tanh(torch.nn.functional.linear(h, w, b))
            loss = ((h[:, 0] - ys[batch]) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        yield "training"
        final = torch.cat([torch.cat([w, b[:, None]], 1).ravel() for w, b in layers])
        return {"losses": losses, "parameters": final.detach()}

    return run


@ENGINE.runs(moons.MOONS, "scalars")
def moons_scalars(problem: moons.Moons) -> Run:
    parameters = [leaf(p) for p in problem.parameters]

    def run() -> Phases:
        loss = moons.demo_loss(
            problem, lambda x: moons.score(parameters, x, torch.relu), parameters, torch.tensor, torch.relu
        )
        for p in parameters:
            p.grad = None
        loss.backward()
        yield "step"
        return {"loss": [loss.item()], "gradient": [p.grad.item() for p in parameters]}

    return run


def moons_run(problem: moons.Moons, penalty: float = 0.0) -> Run:
    x, y = torch.tensor(problem.rows), torch.tensor(problem.targets)
    flat = torch.tensor(problem.parameters)
    blocks = [flat[:48].reshape(16, 3), flat[48:320].reshape(16, 17), flat[320:].reshape(1, 17)]
    layers = [(block[:, :-1].clone().requires_grad_(), block[:, -1].clone().requires_grad_()) for block in blocks]
    parameters = [tensor for layer in layers for tensor in layer]

    def run() -> Phases:
        h = x
        for i, (w, b) in enumerate(layers):
            h = torch.nn.functional.linear(h, w, b)
            h = torch.relu(h) if i < 2 else h
        loss = torch.relu(1.0 - y * h[:, 0]).mean()
        if penalty:
            loss = loss + penalty * sum((p * p).sum() for p in parameters)
        for p in parameters:
            p.grad = None
        loss.backward()
        yield "step"
        gradient = torch.cat([torch.cat([w.grad, b.grad[:, None]], 1).ravel() for w, b in layers])
        return {"loss": [loss.item()], "gradient": gradient}

    return run


@ENGINE.runs(moons.MOONS)
def moons_demo(problem: moons.Moons) -> Run:
    return moons_run(problem, moons.ALPHA)


ENGINE.runs(moons.MOONS_100)(moons_run)
ENGINE.runs(moons.MOONS_10000)(moons_run)


@ENGINE.runs(random_ops.RANDOM_OPS, "scalars")
def random_graph(problem: dag.Dag) -> Run:
    def run() -> Phases:
        leaves = [leaf(x) for x in problem.leaves]
        root = dag.build(problem, leaves, FUNCTIONS)
        root.backward()
        yield "call"
        return {"value": [root.item()], "gradient": [x.grad.item() for x in leaves]}

    return run


@ENGINE.runs(chebyshev.CHEBYSHEV, "scalars")
def chains(problem: chebyshev.Chebyshev) -> Run:
    def run() -> Phases:
        inputs = [leaf(x) for x in problem.inputs]
        root = chebyshev.series(problem, inputs)
        root.backward()
        yield "call"
        return {"value": [root.item()], "gradient": [x.grad.item() for x in inputs]}

    return run


@ENGINE.runs(rosenbrock.ROSENBROCK)
def hessian(problem: rosenbrock.Rosenbrock) -> Run:
    def function(x: Any) -> Any:
        return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()

    point, differentiate = torch.tensor(problem.point), torch.func.hessian(function)

    def run() -> Phases:
        matrix = differentiate(point)
        yield "hessian"
        return {"hessian": matrix.ravel()}

    return run


@ENGINE.runs(black_scholes.BLACK_SCHOLES)
def options(problem: black_scholes.BlackScholes) -> Run:
    columns = [torch.tensor(column, requires_grad=True) for column in problem.columns]

    def run() -> Phases:
        prices = black_scholes.price(*columns, sqrt=torch.sqrt, log=torch.log, exp=torch.exp, cdf=torch.special.ndtr)
        gradients = torch.autograd.grad(prices.sum(), columns)
        yield "call"
        return black_scholes.shown(prices.detach(), gradients)

    return run
