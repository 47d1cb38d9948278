"""The article's training loop: four samples, MLP(3, [4, 4, 1]) of tanh neurons, squared error, 50 steps."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bench.model import Floor, Metric, Phases, Workload

XS = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
YS = [1.0, -1.0, -1.0, 1.0]
SIZES = [3, 4, 4, 1]
RATE = 0.1


@dataclass(frozen=True)
class Article:
    """`parameters`: initial values, neuron by neuron, its weights and then its bias."""

    steps: int
    parameters: Sequence[float]


def _make(quick: bool) -> Article:
    rng = random.Random(1337)
    count = sum((nin + 1) * nout for nin, nout in pairwise(SIZES))
    return Article(5 if quick else 50, [rng.uniform(-1, 1) for _ in range(count)])


def train(problem: Article, predict: Callable[[list[float]], Any], parameters: Sequence[Any]) -> Phases:
    """The loop in the article's words, for engines whose numbers have `data`, `grad` and `backward()`."""
    for parameter, value in zip(parameters, problem.parameters, strict=True):
        parameter.data = value
    losses = []
    yield None
    for _ in range(problem.steps):
        predictions = [predict(x) for x in XS]
        loss = sum((prediction - y) ** 2 for y, prediction in zip(YS, predictions, strict=True))
        for parameter in parameters:
            parameter.grad = 0.0
        loss.backward()
        for parameter in parameters:
            parameter.data += -RATE * parameter.grad
        losses.append(loss.data)
    yield "training"
    return {"losses": losses, "parameters": [parameter.data for parameter in parameters]}


def network(parameters: Sequence[Any], x: Sequence[Any], tanh: Callable[[Any], Any]) -> Any:
    """The same network over any number type, in the order of operations of the article's classes."""
    values = iter(parameters)
    for nin, nout in pairwise(SIZES):
        outs = []
        for _ in range(nout):
            weights = [next(values) for _ in range(nin)]
            outs.append(tanh(sum(w * xi for w, xi in zip(weights, x, strict=True)) + next(values)))
        x = outs
    return x[0]


ARTICLE: Workload[Article] = Workload(
    name="article",
    title="Article loop as written: MLP(3, [4, 4, 1]), four samples, 50 steps",
    make=_make,
    metrics=[Metric("training", "step", lambda problem: problem.steps)],
    floors=[Floor("at least 60 times the reference", "training", at_least=60, engine="reference", to="kilograd")],
)
