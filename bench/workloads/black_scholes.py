"""Black-Scholes: the price of a European call and its derivatives with respect to all five inputs, over 10^6 rows."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.model import Floor, Metric, Results, Workload

INPUTS = ("spot", "strike", "years", "rate", "volatility")
SHOWN = 1_000
"""How many rows of an engine's arrays are compared."""


@dataclass(frozen=True)
class BlackScholes:
    """`columns`: one list per input, in the order of `INPUTS`."""

    columns: Sequence[Sequence[float]]

    @property
    def rows(self) -> int:
        return len(self.columns[0])


def _make(quick: bool) -> BlackScholes:
    rng = random.Random(7)
    bounds = ((60.0, 140.0), (80.0, 120.0), (0.1, 3.0), (0.0, 0.08), (0.1, 0.6))
    return BlackScholes([[rng.uniform(*bound) for _ in range(200 if quick else 1_000_000)] for bound in bounds])


def price(
    spot: Any,
    strike: Any,
    years: Any,
    rate: Any,
    volatility: Any,
    *,
    sqrt: Callable[[Any], Any],
    log: Callable[[Any], Any],
    exp: Callable[[Any], Any],
    cdf: Callable[[Any], Any],
) -> Any:
    """The price over any number type; `cdf` is the normal distribution function."""
    spread = volatility * sqrt(years)
    d1 = (log(spot / strike) + (rate + 0.5 * volatility * volatility) * years) / spread
    return spot * cdf(d1) - strike * exp(-rate * years) * cdf(d1 - spread)


def expected(problem: BlackScholes) -> Results:
    """Price and textbook sensitivities of the first rows, by the `math` module."""
    prices: list[float] = []
    sensitivities: list[list[float]] = [[] for _ in INPUTS]
    for s, k, t, r, v in zip(*(column[:SHOWN] for column in problem.columns), strict=True):
        spread = v * math.sqrt(t)
        d1 = (math.log(s / k) + (r + 0.5 * v * v) * t) / spread
        d2 = d1 - spread
        n1, n2 = (0.5 * math.erfc(-d / math.sqrt(2.0)) for d in (d1, d2))
        density, discount = math.exp(-0.5 * d1 * d1) / math.sqrt(2.0 * math.pi), math.exp(-r * t)
        prices.append(s * n1 - k * discount * n2)
        row = (
            n1,
            -discount * n2,
            s * density * v / (2.0 * math.sqrt(t)) + r * k * discount * n2,
            k * t * discount * n2,
            s * density * math.sqrt(t),
        )
        for values, value in zip(sensitivities, row, strict=True):
            values.append(value)
    return {"price": prices, **dict(zip(INPUTS, sensitivities, strict=True))}


BLACK_SCHOLES: Workload[BlackScholes] = Workload(
    name="black-scholes",
    title="Black-Scholes price and five sensitivities, 10^6 rows; arrays of results reused by those who can",
    make=_make,
    metrics=[Metric("call", "row", lambda problem: problem.rows)],
    floors=[
        Floor(
            "1.5 times faster than vectorised NumPy for the price alone",
            "call",
            at_least=1.5,
            engine="numpy (price only)",
            to="kilograd",
        ),
        Floor("at most 1.4 times C++ with a vector library", "call", at_most=1.4, to="C++"),
    ],
    expected=expected,
)


def shown(prices: Any, sensitivities: Any = None) -> Results:
    """The first rows of an engine's arrays.

    Parameters
    ----------
    prices : array, shape (rows,)
    sensitivities : array or sequence of arrays, shape (5, rows), optional
    """
    results = {"price": prices[:SHOWN]}
    if sensitivities is not None:
        for name, column in zip(INPUTS, sensitivities, strict=True):
            results[name] = column[:SHOWN]
    return results
