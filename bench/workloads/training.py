"""Training at the engine's speed: graphs that are kept and replayed, native layers and losses, optimiser steps."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bench.model import Floor, Metric, Phases, Results, Workload
from bench.workloads import article, moons

ARTICLE_REPLAY: Workload[article.Article] = Workload(
    name="article-replay",
    title="Article loop with the graph built once: forward(), zero_grad(), backward(), step()",
    make=article.ARTICLE.make,
    metrics=article.ARTICLE.metrics,
    floors=[Floor("at least 250 times the reference", "training", at_least=250, engine="reference", to="kilograd")],
)

ARTICLE_PROGRAM: Workload[article.Article] = Workload(
    name="article-program",
    title="Article training, 50 steps along a Program by optimizer.minimize(); recording is set-up and not timed",
    make=article.ARTICLE.make,
    metrics=article.ARTICLE.metrics,
    floors=[Floor("at least 1,000 times the reference", "training", at_least=1000, engine="reference", to="kilograd")],
)


def moons_nodes(problem: moons.Moons) -> int:
    """Operations in the graph of the demo's loss; its leaves are not counted."""
    row = sum(nout * 2 * nin for nin, nout in zip(moons.SIZES, moons.SIZES[1:], strict=False))
    row += sum(moons.SIZES[1:-1])  # ReLU of all layers but the last
    return len(problem.rows) * (row + 4) + 2 * len(problem.parameters) + 3


MOONS_REPLAY: Workload[moons.Moons] = Workload(
    name="moons-replay",
    title="Moons step of micrograd's demo with the graph built once: forward(), zero_grad(), backward()",
    make=moons.MOONS.make,
    metrics=[
        Metric("*", "step"),
        Metric("replay", "node", moons_nodes),
    ],
    floors=[
        Floor("at least 1,200 times PyPI's micrograd", "total", at_least=1200, engine="micrograd", to="kilograd"),
        Floor("at most 10 ns a node, forward and backward together", "replay", at_most=10e-9),
    ],
    oracles=("micrograd", "kilograd"),
)

MOONS_MEMORY: Workload[moons.Moons] = Workload(
    name="moons-memory",
    title="Memory of the moons graph, Python objects included",
    make=lambda quick: moons.make(6 if quick else 100),
    metrics=[Metric("build", "node", moons_nodes, kind="resident")],
    floors=[Floor("at most 66 bytes a node", "build, resident", at_most=66)],
    isolated=True,
)


@dataclass(frozen=True)
class Image:
    """One image and its class; `parameters` neuron by neuron, its weights and then its bias."""

    sizes: Sequence[int]
    pixels: Sequence[float]
    label: int
    parameters: Sequence[float]


def _image(quick: bool) -> Image:
    rng = random.Random(1337)
    sizes = [20, 5, 4] if quick else [784, 32, 10]
    count = sum((nin + 1) * nout for nin, nout in itertools.pairwise(sizes))
    scale = 1 / math.sqrt(sizes[0])
    return Image(sizes, [rng.random() for _ in range(sizes[0])], 3, [rng.gauss(0, scale) for _ in range(count)])


def image_nodes(problem: Image) -> int:
    """Operations of the two layers: products, sums, tanh. Leaves and the loss are not counted."""
    return sum(nout * (2 * nin + 2) for nin, nout in zip(problem.sizes, problem.sizes[1:], strict=False))


IMAGE: Workload[Image] = Workload(
    name="image",
    title="MLP(784, [32, 10]), softmax cross-entropy of one image: graph built, backward, freed",
    make=_image,
    metrics=[Metric("forward and backward", "node", image_nodes), Metric("*", "node", image_nodes)],
    floors=[
        Floor("at least 100 times the reference", "total", at_least=100, engine="reference", to="kilograd"),
        Floor("at most 12 ns a node, forward and backward", "forward and backward", at_most=12e-9),
    ],
)


@dataclass(frozen=True)
class Update:
    """Parameters and gradients for plain gradient descent."""

    data: Sequence[float]
    gradient: Sequence[float]
    times: int
    rate: float = 0.1


def _update(quick: bool) -> Update:
    rng = random.Random(1337)
    count = 50 if quick else 25_450
    return Update([rng.gauss(0, 1) for _ in range(count)], [rng.gauss(0, 1) for _ in range(count)], 2 if quick else 20)


def _updated(problem: Update) -> Results:
    data = list(problem.data)
    for _ in range(problem.times):
        data = [p - problem.rate * g for p, g in zip(data, problem.gradient, strict=True)]
    return {"data": data, "gradient": [0.0] * len(data)}


UPDATE: Workload[Update] = Workload(
    name="update",
    title="Gradient descent over 25,450 parameters: optimizer.step(), optimizer.zero_grad()",
    make=_update,
    metrics=[
        Metric("step", "parameter", lambda problem: len(problem.data) * problem.times),
        Metric("zero_grad", "parameter", lambda problem: len(problem.data) * problem.times),
    ],
    floors=[
        Floor("step(): at most 3 ns a parameter", "step", at_most=3e-9),
        Floor("zero_grad(): at most 3 ns a parameter", "zero_grad", at_most=3e-9),
    ],
    expected=_updated,
)


@dataclass(frozen=True)
class Fit:
    """Two half circles, and MLP(2, [16, 16, 1]) of tanh neurons in the parameter order of `Image`.

    `orders` has the order of the samples in each epoch, as `kilograd.fit` documents it for ``seed=FIT_SEED``.
    """

    rows: Sequence[Sequence[float]]
    targets: Sequence[float]
    parameters: Sequence[float]
    orders: Sequence[Sequence[int]]


FIT_SIZES = [2, 16, 16, 1]
FIT_BATCH = 20
FIT_RATE = 0.05
FIT_SEED = 7


def _fit(quick: bool) -> Fit:
    rng = random.Random(1337)
    rows, targets = [], []
    for k in range(40 if quick else 100):
        angle, side = math.pi * rng.random(), 1 if k % 2 else -1
        rows.append([side * math.cos(angle) + (k % 2), side * -math.sin(angle) + (k % 2) / 2 + rng.gauss(0, 0.1)])
        targets.append(float(side))
    count = sum((nin + 1) * nout for nin, nout in itertools.pairwise(FIT_SIZES))
    parameters = [rng.uniform(-1, 1) for _ in range(count)]
    return Fit(rows, targets, parameters, [fit_order(len(rows), epoch) for epoch in range(6 if quick else 40)])


def fit_order(count: int, epoch: int) -> list[int]:
    """The order of the samples in an epoch."""
    import numpy as np

    source = random.Random(f"{FIT_SEED} {epoch}")
    order: list[int] = np.random.default_rng(source.getrandbits(128)).permutation(count).tolist()
    return order


def fit_batches(problem: Fit) -> Iterator[Sequence[int]]:
    """The samples of each step."""
    for order in problem.orders:
        yield from (order[start : start + FIT_BATCH] for start in range(0, len(order), FIT_BATCH))


def fit_loop(problem: Fit, model: Callable[[Sequence[float]], Any], parameters: Sequence[Any]) -> Phases:
    """The training as one writes it by hand, for engines whose numbers have `data`, `grad` and `backward()`."""
    for parameter, value in zip(parameters, problem.parameters, strict=True):
        parameter.data = value
    losses = []
    yield None
    for batch in fit_batches(problem):
        loss = sum((model(problem.rows[i]) - problem.targets[i]) ** 2 for i in batch) * (1 / len(batch))
        for parameter in parameters:
            parameter.grad = 0.0
        loss.backward()
        for parameter in parameters:
            parameter.data -= FIT_RATE * parameter.grad
        losses.append(loss.data)
    yield "training"
    return {"losses": losses, "parameters": [parameter.data for parameter in parameters]}


FIT: Workload[Fit] = Workload(
    name="fit",
    title="Training of MLP(2, [16, 16, 1]) on 100 moons, 40 epochs in batches of 20: fit(), recording included",
    make=_fit,
    metrics=[
        Metric("training", "step", lambda problem: sum(math.ceil(len(o) / FIT_BATCH) for o in problem.orders)),
    ],
    floors=[
        Floor("at least 6 times fit() on graphs", "training", at_least=6, engine="kilograd (graphs)", to="kilograd"),
        Floor("at least 300 times the reference", "training", at_least=300, engine="reference", to="kilograd"),
    ],
)


@dataclass(frozen=True)
class Table:
    """Many rows of two numbers and a target, and MLP(2, [8, 1]) of tanh neurons in the parameter order of `Image`."""

    rows: Any
    targets: Any
    parameters: Sequence[float]


TABLE_BATCH, TABLE_HIDDEN = 1000, 8


def _table(quick: bool) -> Table:
    import numpy as np

    rng = np.random.default_rng(1337)
    rows = rng.normal(size=(3_000 if quick else 300_000, 2))
    return Table(rows, np.sign(rows[:, 0] * rows[:, 1]), rng.uniform(-1, 1, 4 * TABLE_HIDDEN + 1).tolist())


def _table_trained(problem: Table) -> Results:
    """The epoch in NumPy."""
    import numpy as np

    inner, outer = np.split(np.array(problem.parameters), [3 * TABLE_HIDDEN])
    inner = inner.reshape(TABLE_HIDDEN, 3)
    order = np.array(fit_order(len(problem.rows), 0))
    losses = []
    for start in range(0, len(order), TABLE_BATCH):
        x = np.column_stack([problem.rows[order[start : start + TABLE_BATCH]], np.ones(TABLE_BATCH)])
        hidden = np.tanh(x @ inner.T)
        hidden = np.column_stack([hidden, np.ones(TABLE_BATCH)])
        y = np.tanh(hidden @ outer)
        error = y - problem.targets[order[start : start + TABLE_BATCH]]
        losses.append(np.mean(error**2))
        slope = 2 * error * (1 - y**2) / TABLE_BATCH
        back = slope[:, None] * outer[:-1] * (1 - hidden[:, :-1] ** 2)
        outer = outer - FIT_RATE * (hidden.T @ slope)
        inner = inner - FIT_RATE * (back.T @ x)
    return {"losses": losses, "parameters": [*inner.ravel(), *outer]}


FIT_TABLE: Workload[Table] = Workload(
    name="fit-table",
    title="An epoch of fit() over 300,000 rows in batches of 1,000, MLP(2, [8, 1]); and its gradients alone",
    make=_table,
    metrics=[
        Metric("epoch", "row", lambda problem: len(problem.rows)),
        Metric("gradients", "row", lambda problem: len(problem.rows)),
    ],
    floors=[Floor("at most 2 times its gradients alone", "epoch", at_most=2.0, to="kilograd", to_metric="gradients")],
    tolerance=1e-8,  # of losses that 300 steps have led to
    expected=_table_trained,
)

WORKLOADS = (ARTICLE_REPLAY, ARTICLE_PROGRAM, FIT, FIT_TABLE, MOONS_REPLAY, MOONS_MEMORY, IMAGE, UPDATE)
