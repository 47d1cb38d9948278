"""The training workloads, for the engines that do them."""

from __future__ import annotations

from typing import Any, Literal

from bench.model import Engine, Phases, Run
from bench.workloads import article, moons, training


def set_parameters(model: Any, data: Any) -> Any:
    for parameter, value in zip(model.parameters(), data, strict=True):
        parameter.data = value
    return model


def run_kilograd(engine: Engine) -> None:
    import kilograd
    from kilograd import MLP, Value
    from kilograd.micrograd import nn as micrograd_nn
    from kilograd.micrograd.engine import Value as MicrogradValue

    @engine.runs(training.ARTICLE_REPLAY)
    def article_replay(problem: article.Article) -> Run:
        model = MLP(article.SIZES[0], article.SIZES[1:])
        parameters = model.parameters()
        loss: Any = sum((model(x) - y) ** 2 for y, x in zip(article.YS, article.XS, strict=True))
        optimizer = kilograd.optim.SGD(model, lr=article.RATE)

        def run() -> Phases:
            set_parameters(model, problem.parameters)
            losses = []
            yield None
            for _ in range(problem.steps):
                losses.append(loss.forward())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            yield "training"
            return {"losses": losses, "parameters": [p.data for p in parameters]}

        return run

    @engine.runs(training.ARTICLE_PROGRAM)
    def article_program(problem: article.Article) -> Run:
        import numpy as np

        model = MLP(article.SIZES[0], article.SIZES[1:])
        parameters = model.parameters()
        *x, y = inputs = [Value(0.0) for _ in range(4)]
        program = kilograd.Program((model(x) - y) ** 2, inputs, parameters)
        rows = np.column_stack([article.XS, article.YS])
        optimizer = kilograd.optim.SGD(model, lr=article.RATE)

        def run() -> Phases:
            set_parameters(model, problem.parameters)
            yield None
            losses = optimizer.minimize(program, rows, steps=problem.steps, reduce="sum")
            yield "training"
            return {"losses": losses, "parameters": [p.data for p in parameters]}

        return run

    def fitted(problem: training.Fit, how: Literal["auto", "graph"]) -> Run:
        model = MLP(training.FIT_SIZES[0], training.FIT_SIZES[1:])

        def run() -> Phases:
            set_parameters(model, problem.parameters)
            yield None
            history = kilograd.fit(
                model, problem.rows, problem.targets, optimizer=kilograd.optim.SGD(model, lr=training.FIT_RATE),
                epochs=len(problem.orders), batch_size=training.FIT_BATCH, seed=training.FIT_SEED,
                engine=how,
            )  # fmt: skip
            yield "training"
            return {"losses": history.steps, "parameters": [p.data for p in model.parameters()]}

        return run

    @engine.runs(training.FIT)
    def fit(problem: training.Fit) -> Run:
        return fitted(problem, "auto")

    @engine.runs(training.FIT, "graphs")
    def fit_on_graphs(problem: training.Fit) -> Run:
        return fitted(problem, "graph")

    @engine.runs(training.FIT, "loop")
    def fit_by_hand(problem: training.Fit) -> Run:
        model = MLP(training.FIT_SIZES[0], training.FIT_SIZES[1:])
        return lambda: training.fit_loop(problem, model, model.parameters())

    @engine.runs(training.FIT_TABLE)
    def fit_table(problem: training.Table) -> Run:
        import numpy as np

        model = MLP(2, [training.TABLE_HIDDEN, 1])
        inputs = [Value(0.0) for _ in range(3)]
        program = kilograd.Program(kilograd.functional.mse([model(inputs[:2])], inputs[2:]), inputs)
        table = np.column_stack([problem.rows, problem.targets])

        def run() -> Phases:
            set_parameters(model, problem.parameters)
            yield None
            history = kilograd.fit(
                model, problem.rows, problem.targets, optimizer=kilograd.optim.SGD(model, lr=training.FIT_RATE),
                epochs=1, batch_size=training.TABLE_BATCH, seed=training.FIT_SEED,
            )  # fmt: skip
            yield "epoch"
            for start in range(0, len(table), training.TABLE_BATCH):
                rows = table[start : start + training.TABLE_BATCH]
                program.value_and_grad(rows, wrt="parameters", reduce="mean")
            yield "gradients"
            return {"losses": history.steps, "parameters": [p.data for p in model.parameters()]}

        return run

    @engine.runs(training.MOONS_REPLAY)
    def moons_replay(problem: moons.Moons) -> Run:
        model = set_parameters(micrograd_nn.MLP(moons.SIZES[0], moons.SIZES[1:]), problem.parameters)
        loss = moons.demo_loss(problem, model, model.parameters(), MicrogradValue, lambda v: v.relu())
        loss.forward()

        def run() -> Phases:
            loss.forward()
            model.zero_grad()
            loss.backward()
            yield "replay"
            return {"loss": [loss.data], "gradient": [p.grad for p in model.parameters()]}

        return run

    @engine.runs(training.MOONS_MEMORY)
    def moons_memory(problem: moons.Moons) -> Run:
        model = set_parameters(micrograd_nn.MLP(moons.SIZES[0], moons.SIZES[1:]), problem.parameters)

        def run() -> Phases:
            yield None
            loss = moons.demo_loss(problem, model, model.parameters(), MicrogradValue, lambda v: v.relu())
            yield "build"
            return {"loss": [loss.data]}

        return run

    @engine.runs(training.IMAGE)
    def image(problem: training.Image) -> Run:
        model = MLP(problem.sizes[0], problem.sizes[1:], activation=["tanh", "linear"])
        set_parameters(model, problem.parameters)

        def run() -> Phases:
            model.zero_grad()
            yield None
            x = [Value(p) for p in problem.pixels]
            loss = kilograd.functional.cross_entropy(model(x), problem.label)
            loss.backward()
            yield "forward and backward"
            data = loss.data
            del loss, x
            yield "free"
            return {"loss": [data], "gradient": [p.grad for p in model.parameters()]}

        return run

    @engine.runs(training.UPDATE)
    def update(problem: training.Update) -> Run:
        parameters = kilograd.arrays.values(problem.data)
        optimizer = kilograd.optim.SGD(parameters, lr=problem.rate)

        def run() -> Phases:
            kilograd.arrays.assign(parameters, problem.data)
            for p, g in zip(parameters, problem.gradient, strict=True):
                p.grad = g
            yield None
            for _ in range(problem.times):
                optimizer.step()
            yield "step"
            for _ in range(problem.times):
                optimizer.zero_grad()
            yield "zero_grad"
            return {"data": [p.data for p in parameters], "gradient": [p.grad for p in parameters]}

        return run


def run_again(engine: Engine, mlp: Any) -> None:
    """For engines that cannot replay: the loops as written."""

    @engine.runs(training.ARTICLE_REPLAY)
    @engine.runs(training.ARTICLE_PROGRAM)
    def _(problem: article.Article) -> Run:
        model = mlp(article.SIZES[0], article.SIZES[1:])
        return lambda: article.train(problem, model, model.parameters())

    @engine.runs(training.FIT)
    def _(problem: training.Fit) -> Run:
        model = mlp(training.FIT_SIZES[0], training.FIT_SIZES[1:])
        return lambda: training.fit_loop(problem, model, model.parameters())


def run_moons_again(engine: Engine, mlp: Any, value: Any) -> None:
    """For engines that cannot replay: the graph built anew."""

    @engine.runs(training.MOONS_REPLAY)
    def _(problem: moons.Moons) -> Run:
        model = set_parameters(mlp(moons.SIZES[0], moons.SIZES[1:]), problem.parameters)

        def run() -> Phases:
            loss = moons.demo_loss(problem, model, model.parameters(), value, lambda v: v.relu())
            model.zero_grad()
            loss.backward()
            yield "build and backward"
            return {"loss": [loss.data], "gradient": [p.grad for p in model.parameters()]}

        return run


def run_image(engine: Engine, value: Any) -> None:
    """The same network and loss in the statements of the reference's classes."""

    @engine.runs(training.IMAGE)
    def _(problem: training.Image) -> Run:
        parameters = [value(p) for p in problem.parameters]

        def run() -> Phases:
            for p in parameters:
                p.grad = 0.0
            yield None
            entries = iter(parameters)
            x: list[Any] = [value(p) for p in problem.pixels]
            for layer, nout in enumerate(problem.sizes[1:]):
                outs = []
                for _ in range(nout):
                    weights = [next(entries) for _ in x]
                    z = sum(w * xi for w, xi in zip(weights, x, strict=True)) + next(entries)
                    outs.append(z.tanh() if layer == 0 else z)
                x = outs
            largest = max(z.data for z in x)
            below = [z - largest for z in x]
            loss = sum(z.exp() for z in below).log() - below[problem.label]
            loss.backward()
            yield "forward and backward"
            data = loss.data
            del loss, below, x, outs, z
            yield "free"
            return {"loss": [data], "gradient": [p.grad for p in parameters]}

        return run
