"""What NumPy's ufuncs, and `special_ufuncs` of SciPy's, do with the entries of traced arrays: Values and floats.

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
from kilograd.compiled.integers import exact
from kilograd.compiled.special_ufuncs import SPECIAL, Number, select, series

__all__ = ["BOOLS", "NUMBERS", "sinc", "truth"]


def _method(name: str) -> Callable[[Number], Number]:
    return operator.methodcaller(name)


def _scaled(factor: float) -> Callable[[Number], Number]:
    return lambda x: x * factor


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


def sinc(x: Number) -> Number:
    """`numpy.sinc`."""
    y = math.pi * x
    near = _core._less(abs(y), 0.1)
    part = _core._gate(near, y)
    return select(near, series(part * part, _SINC), y.sin() / (y + near))


_SINC = [(-1.0) ** k / math.factorial(2 * k + 1) for k in range(7)]


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
    "remainder": exact(_core._modulo),
    "floor_divide": exact(_core._floor_divide),
    "fmod": exact(_fmod),
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
    "ldexp": lambda x, n: x * 2.0**n,
    **SPECIAL,
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
