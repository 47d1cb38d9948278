"""Regression of counts: the log-likelihood of a negative binomial distribution over 10^5 rows, and its gradient."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.model import Floor, Metric, Results, Workload


@dataclass(frozen=True)
class Counts:
    """`columns`: four predictors and the counts; `parameters`: weights, intercept, logarithm of the size."""

    columns: Sequence[Sequence[float]]
    parameters: Sequence[float]

    @property
    def rows(self) -> int:
        return len(self.columns[0])


def _make(quick: bool) -> Counts:
    rng = random.Random(11)
    rows = 200 if quick else 100_000
    columns = [[rng.gauss(0.0, 1.0) for _ in range(rows)] for _ in range(4)]
    weights, intercept, size = (0.3, -0.2, 0.5, 0.1), 1.5, 2.0
    counts = []
    for x in zip(*columns, strict=True):
        mean = math.exp(intercept + sum(w * v for w, v in zip(weights, x, strict=True)))
        counts.append(float(math.floor(rng.expovariate(1.0) * rng.gammavariate(size, mean / size))))
    return Counts([*columns, counts], [0.25, -0.1, 0.4, 0.0, 1.2, 0.5])


def log_density(
    parameters: Sequence[Any],
    x: Sequence[Any],
    count: Any,
    *,
    exp: Callable[[Any], Any],
    log1p: Callable[[Any], Any],
    log_gamma: Callable[[Any], Any],
) -> Any:
    """One row, over any number type."""
    *weights, intercept, log_size = parameters
    linear = intercept
    for weight, value in zip(weights, x, strict=True):
        linear = linear + weight * value
    size, odds = exp(log_size), exp(linear - log_size)  # of the mean to the size
    choices = log_gamma(count + size) - log_gamma(size) - log_gamma(count + 1.0)
    return choices - (count + size) * log1p(odds) + count * (linear - log_size)


def expected(problem: Counts) -> Results:
    """By SciPy's functions and the derivatives written out."""
    import numpy as np
    from scipy.special import digamma, gammaln

    *x, count = (np.array(column) for column in problem.columns)
    *weights, intercept, log_size = problem.parameters
    linear = intercept + sum(w * v for w, v in zip(weights, x, strict=True))
    size, odds = math.exp(log_size), np.exp(linear - log_size)
    choices = gammaln(count + size) - gammaln(size) - gammaln(count + 1.0)
    value = choices - (count + size) * np.log1p(odds) + count * (linear - log_size)
    by_linear = count - (count + size) * odds / (1.0 + odds)
    by_size = size * (digamma(count + size) - digamma(size) - np.log1p(odds))
    gradient = [(by_linear * v).sum() for v in x]
    return {
        "value": [value.sum()],
        "gradient": [*gradient, by_linear.sum(), (by_size - by_linear).sum()],
    }


COUNTS: Workload[Counts] = Workload(
    name="counts",
    title="Log-likelihood of a negative binomial regression and its six derivatives, 10^5 rows",
    make=_make,
    metrics=[Metric("call", "row", lambda problem: problem.rows)],
    floors=[Floor("not slower than JAX", "call", at_least=1.0, engine="jax", to="kilograd")],
    expected=expected,
)
