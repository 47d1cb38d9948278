"""A signal of 256 numbers whose power spectrum is fitted: the value of the misfit, and its gradient."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.model import Floor, Metric, Results, Workload


@dataclass(frozen=True)
class Signal:
    """The numbers, and the logarithms of one and the power that each frequency should have."""

    numbers: Sequence[float]
    target: Sequence[float]


def make(quick: bool) -> Signal:
    """Three tones and some noise, and a spectrum that falls."""
    n = 32 if quick else 256
    numbers = [math.sin(0.3 * t) + 0.5 * math.cos(1.1 * t) + ((7 * t) % 13) / 13.0 - 0.5 for t in range(n)]
    return Signal(numbers, [3.0 / (1.0 + k) for k in range(n // 2 + 1)])


def expected(problem: Signal) -> Results:
    """By the sums of the definition."""
    x = problem.numbers
    n = len(x)
    roots = [cmath.exp(-2j * math.pi * k / n) for k in range(n)]
    value, gradient = 0.0, [0.0] * n
    for k, target in enumerate(problem.target):
        z = sum(x[t] * roots[k * t % n] for t in range(n))
        power = abs(z) ** 2
        rest = math.log1p(power) - target
        value += rest * rest
        factor = 4.0 * rest / (1.0 + power)
        for t in range(n):
            gradient[t] += factor * (z * roots[k * t % n].conjugate()).real
    return {"value": [value], "gradient": gradient}


SPECTRUM: Workload[Signal] = Workload(
    name="spectrum",
    title="A power spectrum of 256 numbers: its misfit, and the gradient",
    make=make,
    metrics=[Metric("call", "call")],
    floors=[Floor("as fast as jitted JAX", "call", at_least=1.0, engine="jax", to="kilograd")],
    expected=expected,
)
