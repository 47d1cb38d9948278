"""The ufuncs of `scipy.special`, of numbers: what `kilograd.special` has, and SciPy's functions in a trace.

Each takes Values and floats, at least one Value, and is made of operations without guards: of a row of the op table
where a composition would lose digits. Where a formula holds on one side of a point alone, its operand is gated, so that
neither the number nor a derivative of the other side gets through.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from kilograd import _core
from kilograd._core import Value

__all__ = ["SPECIAL", "Number", "select", "series"]

Number = Any  # a Value or a float


def select(mask: Number, a: Number, b: Number) -> Number:
    """Give `a` where a mask is 1, `b` where it is 0."""
    return _core._gate(mask, a) + _core._gate(1.0 - mask, b)


def series(x: Number, coefficients: list[float]) -> Number:
    """A polynomial, its constant first."""
    result: Number = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        result = result * x + coefficient
    return result


def log(x: Number) -> Number:
    return x.log() if isinstance(x, Value) else math.log(x)


def log1p(x: Number) -> Number:
    return x.log1p() if isinstance(x, Value) else math.log1p(x)


# --- the normal distribution


def _log_ndtr(x: Number) -> Number:
    below = _core._less(x, 0.0)
    tail, rest = _core._gate(below, x), _core._gate(1.0 - below, x)
    left = _core._erfcx(-math.sqrt(0.5) * tail, 0).log() - 0.5 * (tail * tail) - math.log(2.0)
    return select(below, left, (-_core._ndtr(-rest)).log1p())


def _logit(x: Number) -> Number:
    low = _core._less(x, 0.25)
    small = select(low, x, 0.25)
    odds = _core._gate(1.0 - low, 2.0 * x - 1.0)  # without a rounding from 1/4 on
    return select(low, small.log() - (-small).log1p(), 2.0 * odds.atanh())


# --- entropies


def _unless_at_end(x: Number, y: Number, pole: float) -> Number:
    """Give y, and 1 where x is 0 and the logarithm of y no number."""
    at_end = _core._equal(x, 0.0) * (_core._less_equal(y, pole) + _core._equal(y, math.inf))
    return select(at_end, 1.0, y)


def _xlogy(x: Number, y: Number) -> Number:
    return x * log(_unless_at_end(x, y, 0.0))


def _xlog1py(x: Number, y: Number) -> Number:
    return x * log1p(_unless_at_end(x, y, -1.0))


def _entropy(x: Number) -> Number:
    outside = _core._less(x, 0.0)
    inside = select(outside, 1.0, x)
    return select(outside, -math.inf, -_xlogy(inside, inside))


def _are_near(x: Number, y: Number) -> Number:
    """Whether positive numbers are so near that their difference has no rounding."""
    return _core._less(abs(x - y), 0.5 * y) * _core._less(1e-300, y)


def _log_of_ratio(x: Number, y: Number) -> Number:
    """Give log(x / y), also of positive numbers that are nearly equal, to the last digits."""
    near = _are_near(x, y)
    return select(near, log1p(_core._gate(near, x - y) / select(near, y, 1.0)), log(x) - log(y))


def _kullback_leibler(x: Number, y: Number) -> Number:
    """With t = (y - x) / x it is x (t - log1p(t)), and log1p(t) is 2 atanh(s), s = t / (2 + t)."""
    near = _are_near(x, y)
    gap, a = _core._gate(near, y - x), select(near, x, 1.0)
    half = 0.5 * gap
    s = half / (half + a)  # no sum overflows
    close = gap * s - a * (2.0 * (s * s * s) * series(s * s, _ATANH))
    return select(near, close, x * (log(x) - log(y)) + (y - x))


_ATANH = [1.0 / (2.0 * k + 3.0) for k in range(17)]


def _divergence(
    x: Number, y: Number, of_positive: Callable[[Number, Number], Number], at_border: Callable[[Number], Number]
) -> Number:
    """A function of positive numbers, another of y where x is 0, and infinity outside of the domain."""
    positive = _core._less(0.0, x) * _core._less(0.0, y)
    border = _core._equal(x, 0.0) * _core._less_equal(0.0, y)
    are_numbers = _core._equal(x, x) * _core._equal(y, y)
    a, b = select(positive, x, 1.0), select(positive, y, 1.0)
    number = _core._gate(positive, of_positive(a, b)) + _core._gate(border, at_border(y))
    outside = (1.0 - positive - border) * are_numbers
    return number + _core._gate(outside, math.inf) + _core._gate(1.0 - are_numbers, x + y)


# --- others


def _huber(delta: Number, r: Number) -> Number:
    size = abs(r)
    loss = select(_core._less_equal(size, delta), 0.5 * (r * r), delta * (size - 0.5 * delta))
    return _unless_negative(delta, loss)


def _pseudo_huber(delta: Number, r: Number) -> Number:
    is_zero = _core._equal(delta, 0.0)
    ratio = r / select(is_zero, 1.0, delta)
    loss = _core._gate(1.0 - is_zero, delta * delta * (0.5 * (ratio * ratio).log1p()).expm1())
    return _unless_negative(delta, loss)


def _unless_negative(delta: Number, loss: Number) -> Number:
    return select(_core._less(delta, 0.0), math.inf, loss)


def _exprel(x: Number) -> Number:
    near = _core._less(abs(x), 0.05)  # where derivatives of the quotient cancel
    return select(near, series(_core._gate(near, x), _EXPREL), x.expm1() / (_core.minimum(x, 1e300) + near))


_EXPREL = [1.0 / math.factorial(k + 1) for k in range(11)]


SPECIAL: dict[str, Callable[..., Number]] = {
    "erf": lambda x: x.erf(),
    "erfc": lambda x: x.erfc(),
    "erfcx": lambda x: _core._erfcx(x, 0),
    "ndtr": _core._ndtr,
    "log_ndtr": _log_ndtr,
    "ndtri": _core._ndtri,
    "expit": lambda x: x.sigmoid(),
    "log_expit": lambda x: -(-x).softplus(),
    "logit": _logit,
    "xlogy": _xlogy,
    "xlog1py": _xlog1py,
    "entr": _entropy,
    "rel_entr": lambda x, y: _divergence(x, y, lambda a, b: a * _log_of_ratio(a, b), lambda y: 0.0),
    "kl_div": lambda x, y: _divergence(x, y, _kullback_leibler, lambda y: y),
    "gammaln": _core._log_gamma,
    "gamma": _core._tgamma,
    "psi": lambda x: _core._polygamma(x, 0),
    "betaln": _core._log_beta,
    "beta": lambda a, b: _core._log_beta(a, b).exp(),
    "i0": lambda x: _core._bessel_i(x, 0),
    "i0e": lambda x: _core._bessel_ie(x, 0),
    "i1": lambda x: _core._bessel_i(x, 1),
    "i1e": lambda x: _core._bessel_ie(x, 1),
    "huber": _huber,
    "pseudo_huber": _pseudo_huber,
    "exprel": _exprel,
    "exp10": lambda x: 10.0**x,
}
"""By the name of the ufunc."""
