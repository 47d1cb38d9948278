"""Loops that stay loops: the likelihood of a Kalman filter, and a trajectory of Hamiltonian Monte Carlo."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.model import Floor, Metric, Results, Workload
from bench.workloads.derivatives import Function, rosenbrock_at, rosenbrock_hessian


@dataclass(frozen=True)
class Filter:
    """A random walk that was seen with noise, and by how much it walks."""

    observed: Sequence[float]
    variance: float


def observations(count: int) -> Filter:
    dice, level, observed = random.Random(0), 0.0, []
    for _ in range(count):
        level += dice.gauss(0.0, 0.5)
        observed.append(level + dice.gauss(0.0, 1.0))
    return Filter(observed, 0.3)


def turn(carry: Any, y: Any, q: Any, log: Any) -> Any:
    """What an observation does to mean, variance and log-likelihood, over any number type."""
    mean, variance, total = carry
    variance = variance + q
    s = variance + 1.0
    surprise = y - mean
    gain = variance / s
    return mean + gain * surprise, (1.0 - gain) * variance, total - 0.5 * (log(s) + surprise * surprise / s)


def filtered(problem: Filter) -> Results:
    """Value and derivative, by the derivative of each line."""
    mean = variance = total = dmean = dvariance = dtotal = 0.0
    variance = 1.0
    for y in problem.observed:
        variance, dvariance = variance + problem.variance, dvariance + 1.0
        s, surprise = variance + 1.0, y - mean
        gain, dgain = variance / s, dvariance / s - variance * dvariance / s**2
        total -= 0.5 * (math.log(s) + surprise**2 / s)
        dtotal -= 0.5 * (dvariance / s - 2 * surprise * dmean / s - surprise**2 * dvariance / s**2)
        mean, dmean = mean + gain * surprise, dmean + dgain * surprise - gain * dmean
        variance, dvariance = (1 - gain) * variance, (1 - gain) * dvariance - dgain * variance
    return {"value": [total], "gradient": [dtotal]}


KALMAN: Workload[Filter] = Workload(
    name="kalman",
    title="Value and gradient of a Kalman filter's likelihood, 10^4 observations",
    make=lambda quick: observations(100 if quick else 10_000),
    metrics=[Metric("call", "observation", lambda problem: len(problem.observed))],
    floors=[Floor("at most 3 times jitted JAX", "call", at_most=3.0, to="jax (scan)")],
    tolerance=1e-8,
    expected=filtered,
)


KALMAN_ARGUMENT: Workload[Filter] = Workload(
    name="kalman-argument",
    title="The same likelihood of 10^5 observations that are an argument: the first call, which records, and the next",
    make=lambda quick: observations(1_000 if quick else 100_000),
    metrics=[
        Metric("first call", "observation", lambda problem: len(problem.observed)),
        Metric("next call", "observation", lambda problem: len(problem.observed)),
    ],
    floors=[Floor("the first call takes at most 3 times the next", "first call", at_most=3.0, to_metric="next call")],
    tolerance=1e-8,
    expected=lambda problem: {"value": filtered(problem)["value"]},
)


EFFECTS = (28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0)
ERRORS = (15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0)


@dataclass(frozen=True)
class Schools:
    """Where a trajectory begins, how many steps it has, and their size."""

    position: Sequence[float]
    momentum: Sequence[float]
    steps: int = 32
    size: float = 0.2


def start(quick: bool) -> Schools:
    dice = random.Random(0)
    return Schools([dice.gauss(0, 1) for _ in range(10)], [dice.gauss(0, 1) for _ in range(10)], 4 if quick else 32)


def log_density(q: Any, exp: Any, log: Any, effects: Any, errors: Any) -> Any:
    """Of mu, log(tau) and the eight standardised effects, over any kind of array; up to a constant."""
    residual = (effects - q[0] - exp(q[1]) * q[2:]) / errors
    prior = (q[0] / 5.0) ** 2 / 2 + (q[2:] * q[2:]).sum() / 2 + log(1.0 + (exp(q[1]) / 5.0) ** 2) - q[1]
    return -prior - (residual * residual).sum() / 2


def leapt(problem: Schools) -> Results:
    """The end of the trajectory, with the gradient by hand."""

    def slope(q: list[float]) -> list[float]:
        tau = math.exp(q[1])
        r = [(y - q[0] - tau * eta) / s for y, s, eta in zip(EFFECTS, ERRORS, q[2:], strict=True)]
        spread = (tau / 5.0) ** 2
        return [
            sum(x / s for x, s in zip(r, ERRORS, strict=True)) - q[0] / 25.0,
            sum(x * tau * eta / s for x, s, eta in zip(r, ERRORS, q[2:], strict=True))
            + 1.0
            - 2 * spread / (1 + spread),
            *[x * tau / s - eta for x, s, eta in zip(r, ERRORS, q[2:], strict=True)],
        ]

    q, p = list(problem.position), list(problem.momentum)
    for _ in range(problem.steps):
        p = [x + problem.size / 2 * g for x, g in zip(p, slope(q), strict=True)]
        q = [x + problem.size * v for x, v in zip(q, p, strict=True)]
        p = [x + problem.size / 2 * g for x, g in zip(p, slope(q), strict=True)]
    return {"position": q, "momentum": p}


SCHOOLS: Workload[Schools] = Workload(
    name="schools",
    title="A trajectory of 32 leapfrog steps, Hamiltonian Monte Carlo on eight schools",
    make=start,
    metrics=[Metric("trajectory", "trajectory")],
    floors=[Floor("at least as fast as jitted JAX", "trajectory", at_least=1.0, engine="jax (scan)", to="kilograd")],
    tolerance=1e-8,
    expected=leapt,
)


def energies(one: Any, other: Any) -> Any:
    """A term of Rosenbrock's function."""
    return 100.0 * (other - one * one) ** 2 + (1.0 - one) ** 2


SPARSE_LOOP: Workload[Function] = Workload(
    name="sparse-loop",
    title="Rosenbrock's function of 1,000 numbers as a loop: gradient, and Hessian",
    make=lambda quick: rosenbrock_at(10 if quick else 1_000),
    metrics=[Metric("gradient", "call"), Metric("hessian", "call")],
    floors=[Floor("the Hessian takes at most 25 gradients", "hessian", at_most=25.0, to_metric="gradient")],
    tolerance=1e-8,
    expected=rosenbrock_hessian,
)
