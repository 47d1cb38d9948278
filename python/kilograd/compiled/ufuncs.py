"""What NumPy's ufuncs, and those of `scipy.special`, do with the entries of traced arrays: Values and floats.

A function here is called where at least one of its operands is a Value, and composes what the ufunc computes of
operations, as exactly as these are: without guards, but where it gives a bool. Derivatives at kinks are those of the
operations: a tie shares its derivative, `abs` and `sign` have 0 at 0, steps have 0 everywhere.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from kilograd import _core
from kilograd._core import Value
from kilograd.compiled.conditions import Condition

__all__ = ["BOOLS", "NUMBERS", "select", "sinc", "truth"]

Number = Any  # a Value or a float


def _method(name: str) -> Callable[[Number], Number]:
    return operator.methodcaller(name)


def _scaled(factor: float) -> Callable[[Number], Number]:
    return lambda x: x * factor


def select(mask: Number, a: Number, b: Number) -> Number:
    """Give `a` where a mask is 1, `b` where it is 0."""
    return _core._gate(mask, a) + _core._gate(1.0 - mask, b)


def _clip(x: Number, low: Number, high: Number) -> Number:
    return _core.minimum(high, _core.maximum(low, x))  # of a tie of zeros, x


def _truncated(x: Number) -> Number:
    return _core._copysign(_core._floor(abs(x)), x)


def _heaviside(x: Number, middle: Number) -> Number:
    jump = 0.5 * (_core._sign(x) + 1.0)
    return select(_core._equal(x, 0.0), middle, jump)


def _high_and_gap(a: Number, b: Number) -> tuple[Number, Number]:
    """The greater number, and the other less it: of a tie one of the two, not both by half, or there were a kink."""
    ordered = _core._less_equal(b, a)
    high, low = select(ordered, a, b), select(ordered, b, a)
    equal_infinities = _core._equal(a, b) * _core._equal(abs(a), math.inf)  # these have no difference
    return high, _core._gate(1.0 - equal_infinities, low - high)


def _logaddexp(a: Number, b: Number) -> Number:
    high, gap = _high_and_gap(a, b)
    return high + gap.exp().log1p()


def _logaddexp2(a: Number, b: Number) -> Number:
    high, gap = _high_and_gap(a, b)
    return high + _core._exp2(gap).log1p() * (1.0 / math.log(2.0))


def _fmod(a: Number, b: Number) -> Number:
    return _core._copysign(_core._modulo(abs(a), abs(b)), a)


def _power(a: Number, b: Number) -> Number:
    return a**b


def _unless_at_end(x: Number, y: Number, pole: float) -> Number:
    """Give y, and 1 where x is 0 and the logarithm of y no number."""
    at_end = _core._equal(x, 0.0) * (_core._less_equal(y, pole) + _core._equal(y, math.inf))
    return select(at_end, 1.0, y)


def _xlogy(x: Number, y: Number) -> Number:
    return x * _log(_unless_at_end(x, y, 0.0))


def _xlog1py(x: Number, y: Number) -> Number:
    return x * _log1p(_unless_at_end(x, y, -1.0))


def _log(x: Number) -> Number:
    return x.log() if isinstance(x, Value) else math.log(x)


def _log1p(x: Number) -> Number:
    return x.log1p() if isinstance(x, Value) else math.log1p(x)


def _entropy(x: Number) -> Number:
    outside = _core._less(x, 0.0)
    inside = select(outside, 1.0, x)
    return select(outside, -math.inf, -_xlogy(inside, inside))


def _log_of_ratio(x: Number, y: Number) -> Number:
    """Give log(x / y), also of positive numbers that are nearly equal, to the last digits."""
    gap = x - y
    near = _core._less(abs(gap), 0.5 * y) * _core._less(1e-300, y)
    return select(near, _log1p(_core._gate(near, gap) / select(near, y, 1.0)), _log(x) - _log(y))


def _relative_entropy(x: Number, y: Number) -> Number:
    return _divergence(x, y, lambda x, y: 0.0)


def _kullback_leibler(x: Number, y: Number) -> Number:
    return _divergence(x, y, lambda x, y: y - x)


def _divergence(x: Number, y: Number, rest: Callable[[Number, Number], Number]) -> Number:
    """Give x log(x / y) and a rest; infinity outside the domain, and the rest alone at its border x = 0."""
    positive = _core._less(0.0, x) * _core._less(0.0, y)
    inside = positive + _core._equal(x, 0.0) * _core._less_equal(0.0, y)
    are_numbers = _core._equal(x, x) * _core._equal(y, y)
    a, b = select(positive, x, 1.0), select(positive, y, 1.0)
    number = _core._gate(positive, a * _log_of_ratio(a, b)) + _core._gate(inside, rest(x, y))
    return number + _core._gate((1.0 - inside) * are_numbers, math.inf) + _core._gate(1.0 - are_numbers, x + y)


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


def _distribution(x: Number) -> Number:
    return 0.5 * (x * -math.sqrt(0.5)).erfc()


def _exprel(x: Number) -> Number:
    near = _core._less(abs(x), 0.05)  # where derivatives of the quotient cancel
    return select(near, _series(_core._gate(near, x), _EXPREL), x.expm1() / (_core.minimum(x, 1e300) + near))


_EXPREL = [1.0 / math.factorial(k + 1) for k in range(11)]


def sinc(x: Number) -> Number:
    """`numpy.sinc`."""
    y = math.pi * x
    near = _core._less(abs(y), 0.1)
    part = _core._gate(near, y)
    return select(near, _series(part * part, _SINC), y.sin() / (y + near))


_SINC = [(-1.0) ** k / math.factorial(2 * k + 1) for k in range(7)]


def _series(x: Number, coefficients: list[float]) -> Number:
    result: Number = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        result = result * x + coefficient
    return result


NUMBERS: dict[str, Callable[..., Number]] = {
    # arithmetic
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "negative": operator.neg,
    "positive": operator.pos,
    "conjugate": operator.pos,
    "absolute": operator.abs,
    "fabs": operator.abs,
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1.0 / x,
    "power": _power,
    "float_power": _power,
    "remainder": _core._modulo,
    "floor_divide": _core._floor_divide,
    "fmod": _fmod,
    # choices and steps
    "maximum": _core.maximum,
    "minimum": _core.minimum,
    "fmax": _core._fmax,
    "fmin": _core._fmin,
    "clip": _clip,
    "sign": _core._sign,
    "heaviside": _heaviside,
    "copysign": _core._copysign,
    "floor": _core._floor,
    "ceil": lambda x: -_core._floor(-x),
    "trunc": _truncated,
    "rint": _core._rint,
    # exponentials, logarithms, roots
    "exp": _method("exp"),
    "exp2": _core._exp2,
    "expm1": _method("expm1"),
    "log": _method("log"),
    "log2": _core._log2,
    "log10": _core._log10,
    "log1p": _method("log1p"),
    "logaddexp": _logaddexp,
    "logaddexp2": _logaddexp2,
    "sqrt": _method("sqrt"),
    "cbrt": _core._cbrt,
    # angles
    "sin": _method("sin"),
    "cos": _method("cos"),
    "tan": _method("tan"),
    "arcsin": _method("asin"),
    "arccos": _method("acos"),
    "arctan": _method("atan"),
    "arctan2": _core._atan2,
    "hypot": _core._hypot,
    "sinh": _method("sinh"),
    "cosh": _method("cosh"),
    "tanh": _method("tanh"),
    "arcsinh": _method("asinh"),
    "arccosh": _method("acosh"),
    "arctanh": _method("atanh"),
    "deg2rad": _scaled(math.pi / 180.0),
    "radians": _scaled(math.pi / 180.0),
    "rad2deg": _scaled(180.0 / math.pi),
    "degrees": _scaled(180.0 / math.pi),
    # scipy.special
    "erf": _method("erf"),
    "erfc": _method("erfc"),
    "expit": _method("sigmoid"),
    "log_expit": lambda x: -(-x).softplus(),
    "logit": lambda x: x.log() - (-x).log1p(),
    "ndtr": _distribution,
    "xlogy": _xlogy,
    "xlog1py": _xlog1py,
    "entr": _entropy,
    "rel_entr": _relative_entropy,
    "kl_div": _kullback_leibler,
    "huber": _huber,
    "pseudo_huber": _pseudo_huber,
    "exprel": _exprel,
    "exp10": lambda x: 10.0**x,
    "gammaln": _core._log_gamma,
    "gamma": _core._tgamma,
    "psi": lambda x: _core._polygamma(x, 0),
    "ldexp": lambda x, n: x * 2.0**n,
}
"""By the name of the ufunc."""


def _is_finite(x: Number) -> Any:
    return abs(x) < math.inf


def _is_infinite(x: Number) -> Any:
    return abs(x) == math.inf


def truth(x: Any) -> Any:
    """Whether a number is not 0; bools and conditions as they are."""
    return x != 0.0 if isinstance(x, (Value, float)) else x


def _and(a: Any, b: Any) -> Any:
    a, b = truth(a), truth(b)
    if isinstance(a, Condition) and isinstance(b, Condition):
        return a & b
    if isinstance(a, Condition):
        a, b = b, a
    return b if a else False


def _not(x: Any) -> Any:
    x = truth(x)
    return ~x if isinstance(x, Condition) else not x


def _or(a: Any, b: Any) -> Any:
    return _not(_and(_not(a), _not(b)))


def _xor(a: Any, b: Any) -> Any:
    return _or(_and(a, _not(b)), _and(_not(a), b))


BOOLS: dict[str, Callable[..., Any]] = {
    "less": operator.lt,
    "less_equal": operator.le,
    "equal": operator.eq,
    "not_equal": operator.ne,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "isnan": lambda x: x != x,
    "isfinite": _is_finite,
    "isinf": _is_infinite,
    "signbit": lambda x: _core._copysign(1.0, x) < 0.0,
    "logical_and": _and,
    "logical_or": _or,
    "logical_xor": _xor,
    "logical_not": _not,
    "bitwise_and": _and,
    "bitwise_or": _or,
    "bitwise_xor": _xor,
    "invert": _not,
}
"""Those that give bools: conditions, or bools and guards."""
