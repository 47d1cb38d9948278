"""Two interleaved half circles, MLP(2, [16, 16, 1]) with ReLU, hinge loss.

`MOONS` is the step of micrograd's demo: 100 rows, hinge loss and L2 penalty, the graph built anew, then backward.
`MOONS_100` and `MOONS_10000` are the same mean hinge loss and its 337 derivatives, without the penalty, for engines
that record or compile once and are then called with parameters that change from step to step.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bench.model import Floor, Metric, Workload

SIZES = [2, 16, 16, 1]
ALPHA = 1e-4


@dataclass(frozen=True)
class Moons:
    """Rows, their classes as -1 or 1, and the parameters: neuron by neuron, its weights and then its bias."""

    rows: Sequence[Sequence[float]]
    targets: Sequence[float]
    parameters: Sequence[float]


def moons(count: int, noise: float = 0.1, seed: int = 1337) -> tuple[list[list[float]], list[float]]:
    """`count` points of two half circles in random order, with Gaussian noise, and their classes -1 and 1."""
    rng = random.Random(seed)
    half = count // 2
    points = []
    for k in range(count):
        angle = math.pi * (k % half) / max(half - 1, 1)
        x, y, target = (
            (math.cos(angle), math.sin(angle), -1.0)
            if k < half
            else (1.0 - math.cos(angle), 0.5 - math.sin(angle), 1.0)
        )
        points.append(([x + rng.gauss(0.0, noise), y + rng.gauss(0.0, noise)], target))
    rng.shuffle(points)
    return [row for row, _ in points], [target for _, target in points]


def make(count: int) -> Moons:
    rows, targets = moons(count)
    rng = random.Random(1337)
    parameters = []
    for nin, nout in pairwise(SIZES):
        for _ in range(nout):
            parameters += [rng.uniform(-1.0, 1.0) for _ in range(nin)] + [0.0]
    return Moons(rows, targets, parameters)


def score(parameters: Sequence[Any], x: Sequence[Any], relu: Callable[[Any], Any]) -> Any:
    """The network over any number type, in the order of operations of micrograd's classes."""
    values = iter(parameters)
    for layer, (nin, nout) in enumerate(pairwise(SIZES)):
        outs = []
        for _ in range(nout):
            weights = [next(values) for _ in range(nin)]
            out = next(values)
            for w, xi in zip(weights, x, strict=True):
                out = out + w * xi
            outs.append(out if layer == len(SIZES) - 2 else relu(out))
        x = outs
    return x[0]


def demo_loss(
    problem: Moons, model: Callable[[list[Any]], Any], parameters: Sequence[Any], leaf: Any, relu: Any
) -> Any:
    """Loss as the demo writes it: hinge, averaged, plus the L2 penalty.

    Parameters
    ----------
    model : callable
        From a list of numbers of the engine's type to the score.
    leaf, relu : callable
        Make a number of the engine's type; its ReLU.
    """
    inputs = [list(map(leaf, row)) for row in problem.rows]
    scores = list(map(model, inputs))
    losses = [relu(1 + -target * value) for target, value in zip(problem.targets, scores, strict=True)]
    data_loss = sum(losses) * (1.0 / len(losses))
    reg_loss = ALPHA * sum(p * p for p in parameters)
    return data_loss + reg_loss


MOONS: Workload[Moons] = Workload(
    name="moons",
    title="Moons step as micrograd's demo writes it: MLP(2, [16, 16, 1]), 100 rows, graph built anew, backward",
    make=lambda quick: make(6 if quick else 100),
    metrics=[Metric("step", "step")],
    floors=[
        Floor("at least 300 times PyPI's micrograd", "step", at_least=300, engine="micrograd", to="kilograd"),
        Floor("at least 150 times torch on scalars", "step", at_least=150, engine="torch (scalars)", to="kilograd"),
    ],
)

MOONS_100: Workload[Moons] = Workload(
    name="moons-100",
    title="Moons step, recorded once: loss and 337 derivatives over 100 rows",
    make=lambda quick: make(10 if quick else 100),
    metrics=[Metric("step", "step")],
    floors=[
        Floor("at most 0.5 times hand-written NumPy", "step", at_most=0.5, to="numpy"),
        Floor("at most 0.5 times jitted JAX", "step", at_most=0.5, to="jax"),
        Floor(
            "4 times faster than ddx-ad's compiled batch", "step", at_least=4, engine="ddx-ad (compiled)", to="kilograd"
        ),
    ],
    oracles=("numpy",),
)

MOONS_10000: Workload[Moons] = Workload(
    name="moons-10000",
    title="Moons step, recorded once: loss and 337 derivatives over 10,000 rows",
    make=lambda quick: make(40 if quick else 10_000),
    metrics=[Metric("step", "step")],
    floors=[
        Floor("at most 1.0 times jitted JAX", "step", at_most=1.0, to="jax"),
        Floor(
            "2 threads: at most 0.6 times 1 thread", "step", at_most=0.6, engine="kilograd (2 threads)", to="kilograd"
        ),
    ],
    oracles=("numpy",),
)
