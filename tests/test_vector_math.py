"""Elementary functions of programs against 40 digits: within 2 ulp, whatever the instruction set.

`KILOGRAD_POINTS=1000000 python -m pytest tests/test_vector_math.py` tries a million points each (minutes);
tests/cpp/test_vector_math.cpp does so in C++, against quadruple precision and for every instruction set.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

from kilograd import Program, Value, _core, special

POINTS = int(os.environ.get("KILOGRAD_POINTS", "3000"))
CONTEXT = mpmath.mp.clone()
CONTEXT.dps = 40

# name: the function, and a stretch over which points are spread evenly, another over which their logarithms are
FUNCTIONS: dict[str, tuple[Callable[[Any], Any], float, tuple[float, float], bool]] = {
    "exp": (CONTEXT.exp, 700.0, (1e-300, 700.0), True),
    "log": (CONTEXT.log, 0.0, (5e-308, 1e308), False),
    "tanh": (CONTEXT.tanh, 20.0, (1e-300, 20.0), True),
    "sigmoid": (lambda x: 1 / (1 + CONTEXT.exp(-x)), 700.0, (1e-300, 700.0), True),
    "sin": (CONTEXT.sin, 100.0, (1e-300, 1e15), True),
    "cos": (CONTEXT.cos, 100.0, (1e-300, 1e15), True),
    "erf": (CONTEXT.erf, 6.0, (1e-300, 6.0), True),
    "erfc": (CONTEXT.erfc, 26.0, (1e-300, 26.0), True),
    "tan": (CONTEXT.tan, 100.0, (1e-300, 1e15), True),
    "atan": (CONTEXT.atan, 10.0, (1e-300, 1e300), True),
    "sinh": (CONTEXT.sinh, 700.0, (1e-300, 700.0), True),
    "cosh": (CONTEXT.cosh, 700.0, (1e-300, 700.0), True),
    "expm1": (CONTEXT.expm1, 700.0, (1e-300, 700.0), True),
    "log1p": (lambda x: CONTEXT.log1p(x), 0.0, (1e-300, 1e300), False),
    "cbrt": (lambda x: CONTEXT.sign(x) * CONTEXT.cbrt(abs(x)), 20.0, (1e-300, 1e300), True),
    "exp2": (lambda x: CONTEXT.mpf(2) ** x, 1000.0, (1e-300, 1000.0), True),
    "log2": (lambda x: CONTEXT.log(x, 2), 0.0, (5e-308, 1e308), False),
    "log10": (CONTEXT.log10, 0.0, (5e-308, 1e308), False),
}


def ulps(found: np.ndarray[Any, Any], exact: list[Any], floor: float = 0.0) -> float:
    """The largest error, in units in the last place of the rounded truth, or of `floor` where that is larger."""
    return max(
        float(abs(CONTEXT.mpf(y) - true)) / float(np.spacing(max(abs(float(true)), floor)))
        for y, true in zip(found.tolist(), exact, strict=True)
    )


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_within_two_ulp(name):
    function, even, (low, high), signed = FUNCTIONS[name]
    rng = np.random.default_rng(7)
    x = np.exp(rng.uniform(np.log(low), np.log(high), POINTS))
    if signed:
        x *= rng.choice([-1.0, 1.0], POINTS)
    if even:
        half = rng.random(POINTS) < 0.5
        x[half] = rng.uniform(-even, even, int(half.sum()))
    leaf = Value(0.5)
    out = getattr(leaf, name)() if hasattr(leaf, name) else getattr(_core, f"_{name}")(leaf)
    found = Program(out, inputs=[leaf])(x[:, None])
    assert ulps(found, [function(CONTEXT.mpf(a)) for a in x.tolist()]) <= 2.0


def test_power_within_two_ulp():
    rng = np.random.default_rng(7)
    x = np.column_stack([np.exp(rng.uniform(-20.0, 20.0, POINTS)), rng.uniform(-30.0, 30.0, POINTS)])
    base, exponent = Value(2.0), Value(0.5)
    found = Program(base**exponent, inputs=[base, exponent])(x)
    assert ulps(found, [CONTEXT.mpf(a) ** CONTEXT.mpf(b) for a, b in x.tolist()]) <= 2.0


@pytest.mark.parametrize("name", ["hypot", "atan2"])
def test_functions_of_two_within_two_ulp(name):
    rng = np.random.default_rng(7)
    x = np.exp(rng.uniform(-300.0, 300.0, (POINTS, 2))) * rng.choice([-1.0, 1.0], (POINTS, 2))
    x[::2] = rng.normal(size=(len(x[::2]), 2))
    a, b = Value(2.0), Value(0.5)
    found = Program(getattr(_core, f"_{name}")(a, b), inputs=[a, b])(x)
    assert ulps(found, [getattr(CONTEXT, name)(*map(CONTEXT.mpf, row)) for row in x.tolist()]) <= 2.0


@pytest.mark.parametrize("rows", [1, 16])
def test_steps_and_remainders_are_those_of_numpy(rows):
    ends = [0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 7.0, -7.25, 2.0**51 + 0.5, -(2.0**52) - 1, 1e300, -1e-320, 1.0 / 3]
    x = np.array([(a, b) for a in ends for b in ends] * rows)[: len(ends) ** 2 // rows * rows]
    a, b = Value(2.0), Value(0.5)
    for name, ufunc in (("floor", np.floor), ("rint", np.rint), ("sign", np.sign)):
        found = Program(getattr(_core, f"_{name}")(a), inputs=[a, b])(x)
        np.testing.assert_array_equal(found, ufunc(x[:, 0]))
    for name, ufunc in (
        ("modulo", np.remainder),
        ("floor_divide", np.floor_divide),
        ("fmax", np.fmax),
        ("fmin", np.fmin),
        ("copysign", np.copysign),
    ):
        with np.errstate(all="ignore"):
            wanted = ufunc(x[:, 0], x[:, 1])
        found = Program(getattr(_core, f"_{name}")(a, b), inputs=[a, b])(x, check=False)
        np.testing.assert_array_equal(found, wanted)
        if ufunc not in (np.fmax, np.fmin):  # of two zeros NumPy's kernels take one or the other
            np.testing.assert_array_equal(np.signbit(found[wanted == 0.0]), np.signbit(wanted[wanted == 0.0]))


def normal_quantile(p):
    """By Newton's method, from a bisection of 60 steps."""
    x = CONTEXT.mpf(math.copysign(0.0, p - 0.5))
    step = CONTEXT.mpf(64)
    below = CONTEXT.mpf(p) < 0.5
    for _ in range(60):  # of the tail that is small
        step /= 2
        too_large = CONTEXT.ncdf(x) > p if below else CONTEXT.ncdf(-x) < 1 - CONTEXT.mpf(p)
        x += -step if too_large else step
    for _ in range(4):
        error = CONTEXT.ncdf(x) - p if below else (1 - CONTEXT.mpf(p)) - CONTEXT.ncdf(-x)
        x -= error / CONTEXT.npdf(x)
    return x


def erfcx(x, order=0):
    with CONTEXT.workdps(80):
        y = CONTEXT.exp(CONTEXT.mpf(x) ** 2) * CONTEXT.erfc(x)
        return y if order == 0 else 1 / CONTEXT.sqrt(CONTEXT.pi) - x * y


def bessel(order, scaled=False):
    return lambda x: CONTEXT.besseli(order, x) * (CONTEXT.exp(-abs(x)) if scaled else 1)


# Of the op table: the node of a leaf, the function, stretches over which points are spread evenly and over which their
# logarithms are, and the size below which errors are in ulp of it: at zeros at which no expansion was made.
SPECIAL: dict[
    str, tuple[Callable[[Any], Any], Callable[[Any], Any], list[tuple[float, float]], tuple[float, float], float]
]
SPECIAL = {
    "gammaln": (
        _core._log_gamma,
        lambda x: CONTEXT.loggamma(x).real,
        [(0.4, 12.0), (0.9, 1.1), (1.9, 2.1)],
        (1e-300, 1e300),
        0.0,
    ),
    "gammaln of negative numbers": (
        _core._log_gamma,
        lambda x: CONTEXT.loggamma(x).real,
        [(-20.0, 0.0), (-400.0, 0.0)],
        (1e-9, 0.1),
        0.25,
    ),
    "gamma": (_core._tgamma, CONTEXT.gamma, [(-170.0, 171.6), (-10.0, 10.0)], (1e-300, 170.0), 0.0),
    "digamma": (lambda x: _core._polygamma(x, 0), CONTEXT.digamma, [(0.4, 12.0), (1.4, 1.5)], (1e-300, 1e300), 0.0),
    "digamma of negative numbers": (
        lambda x: _core._polygamma(x, 0),
        CONTEXT.digamma,
        [(-20.0, 0.0), (-400.0, 0.0)],
        (1e-9, 0.1),
        0.5,
    ),
    "trigamma": (
        lambda x: _core._polygamma(x, 1),
        lambda x: CONTEXT.polygamma(1, x),
        [(-20.0, 20.0), (0.4, 12.0)],
        (1e-100, 1e300),
        0.0,
    ),
    "ndtri": (_core._ndtri, normal_quantile, [(0.0, 1.0), (0.49, 0.51), (0.99, 1.0)], (1e-300, 0.5), 0.0),
    "ndtr": (_core._ndtr, CONTEXT.ncdf, [(-37.0, 9.0), (-2.0, 2.0)], (1e-300, 9.0), 0.0),
    "erfcx": (lambda x: _core._erfcx(x, 0), erfcx, [(-26.0, 60.0), (-1.0, 4.0)], (1e-300, 1e8), 0.0),
    "erfcx of order 1": (
        lambda x: _core._erfcx(x, 1),
        lambda x: erfcx(x, 1),
        [(-26.0, 60.0), (-1.0, 4.0)],
        (1e-300, 1e10),
        0.0,
    ),
    "i0": (lambda x: _core._bessel_i(x, 0), bessel(0), [(-713.0, 713.0), (-9.0, 9.0)], (1e-300, 700.0), 0.0),
    "i1": (lambda x: _core._bessel_i(x, 1), bessel(1), [(-713.0, 713.0), (-9.0, 9.0)], (1e-300, 700.0), 0.0),
    "i0e": (lambda x: _core._bessel_ie(x, 0), bessel(0, True), [(-713.0, 713.0), (-9.0, 9.0)], (1e-300, 700.0), 0.0),
    "i1e": (lambda x: _core._bessel_ie(x, 1), bessel(1, True), [(-713.0, 713.0), (-9.0, 9.0)], (1e-300, 700.0), 0.0),
}


@pytest.fixture(params=_core._instruction_sets())
def isa(request, monkeypatch):
    monkeypatch.setenv("KILOGRAD_ISA", request.param)


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("name", SPECIAL)
def test_special_functions_within_two_ulp(name):
    of, exact, stretches, (low, high), floor = SPECIAL[name]
    rng = np.random.default_rng(7)
    count = POINTS // 10
    parts = [rng.uniform(*stretch, count) for stretch in stretches]
    x = np.concatenate([*parts, np.exp(rng.uniform(np.log(low), np.log(high), count))])
    if "negative" in name:
        x = -abs(x)
    leaf = Value(0.75)
    program = Program(of(leaf), inputs=[leaf])
    found = program(x[:, None])
    assert ulps(found, [exact(CONTEXT.mpf(a)) for a in x.tolist()], floor) <= 2.0
    # The same as one row alone, and whatever the neighbours are.
    assert [program(row) for row in x[:50, None]] == found[:50].tolist()
    order = rng.permutation(len(x))
    np.testing.assert_array_equal(program(x[order, None]), found[order])


def log_beta(a, b):
    with CONTEXT.workdps(60 + 2 * int(max(abs(CONTEXT.log10(a)), abs(CONTEXT.log10(b))))):
        return CONTEXT.loggamma(a) + CONTEXT.loggamma(b) - CONTEXT.loggamma(a + b)


def gap(order):
    def of(a, b):
        with CONTEXT.workdps(60 + 3 * int(max(abs(CONTEXT.log10(a)), abs(CONTEXT.log10(b))))):
            return CONTEXT.polygamma(order, a) - CONTEXT.polygamma(order, a + b)

    return of


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize(
    ("name", "exact", "floor"),
    [("log_beta", log_beta, 0.25), ("digamma_gap", gap(0), 0.0), ("trigamma_gap", gap(1), 0.0)],
)
def test_beta_function_and_its_derivatives_within_two_ulp(name, exact, floor):
    rng = np.random.default_rng(7)
    count = POINTS // 30
    x = np.concatenate(
        [
            np.exp(rng.uniform(-12.0, 12.0, (count, 2))),
            rng.uniform(0.0, 20.0, (count, 2)),
            rng.uniform(5.0, 60.0, (count, 2)),
            np.exp(rng.uniform(-40.0, 60.0, (count, 2))),
        ]
    )
    a, b = Value(2.0), Value(0.5)
    found = Program(getattr(_core, f"_{name}")(a, b), inputs=[a, b])(x)
    assert ulps(found, [exact(*map(CONTEXT.mpf, row)) for row in x.tolist()], floor) <= 2.0


LARGEST = sys.float_info.max
ORDERS_AND_OPERANDS = [
    *[(1, 1e-153), (1, -1e-154), (1, 7e-155)],
    *[(3, 1e90), (3, 1e100), (10, 1e29), (30, 1e11), (100, 1e4), (100, -1200.25)],
]
# Where what is on the way overflows or underflows, and the result does not, or does: the function of leaves, operands,
# the exact number.
ENDS: list[tuple[Callable[..., Any], tuple[float, ...], Callable[..., Any]]] = [
    (_core._log_gamma, (-5e-324,), lambda x: -CONTEXT.log(-x)),
    (_core._log_gamma, (-1e-320,), lambda x: -CONTEXT.log(-x)),
    (lambda x: _core._bessel_i(x, 0), (1e100,), lambda x: CONTEXT.inf),
    (lambda x: _core._bessel_i(x, 1), (-1e100,), lambda x: -CONTEXT.inf),
    *[
        (lambda x, n=n: _core._bessel_ie(x, n), (LARGEST,), lambda x: 1 / CONTEXT.sqrt(2 * CONTEXT.pi * x))
        for n in (0, 1, 2)
    ],
    (lambda x: _core._erfcx(x, 1), (-26.3,), lambda x: erfcx(x, 1)),
    (lambda x: _core._erfcx(x, 1), (-26.55,), lambda x: erfcx(x, 1)),
    (lambda x: _core._erfcx(x, 1), (-26.6,), lambda x: CONTEXT.inf),
    (lambda x: _core._erfcx(x, 1), (-26.7,), lambda x: CONTEXT.inf),
    *[
        (lambda x, n=n: _core._polygamma(x, n), (at,), lambda x, n=n: CONTEXT.polygamma(n, x))
        for n, at in ORDERS_AND_OPERANDS
    ],
    (_core._log_beta, (5e-324, 5e-324), lambda a, b: CONTEXT.log(1 / a + 1 / b)),
    (_core._log_beta, (5e-324, 1e-320), lambda a, b: CONTEXT.log(1 / a + 1 / b)),
    (_core._log_beta, (LARGEST, LARGEST), lambda a, b: -CONTEXT.inf),
    *[(_core._digamma_gap, at, lambda a, b: -1 / a) for at in ((1e-300, 1e10), (1e-151, 1e154), (1e-103, 1e270))],
    *[(_core._trigamma_gap, at, lambda a, b: 1 / a**2) for at in ((1e-200, 2.0), (1e-152, 1e150), (1e-30, 1e270))],
]


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize(("of", "at", "exact"), ENDS)
def test_what_leaves_the_range_on_the_way(of, at, exact):
    leaves = [Value(0.75) for _ in at]
    program, wanted = Program(of(*leaves), inputs=leaves), exact(*map(CONTEXT.mpf, at))
    if abs(wanted) > LARGEST:
        wanted = CONTEXT.sign(wanted) * CONTEXT.inf
    for found in (program(list(at), check=False), *program([list(at)] * 11, check=False).tolist()):
        if CONTEXT.isinf(wanted):
            assert found == float(wanted)
        else:
            assert abs(CONTEXT.mpf(found) - wanted) <= 4 * 2.0**-52 * abs(wanted)


def test_slope_of_erfcx_where_it_nearly_overflows():
    x = Value(-26.4)
    special.erfcx(x).backward()
    assert x.grad == pytest.approx(float(-2 * erfcx(-26.4, 1)), rel=1e-15)
    with pytest.raises(OverflowError, match="bessel_i"):
        special.i0(Value(1e100))


def test_gamma_of_whole_numbers_is_exact():
    leaf = Value(2.0)
    program = Program(_core._tgamma(leaf), inputs=[leaf])
    whole = np.arange(1.0, 23.0)
    assert program(whole[:, None]).tolist() == [float(math.factorial(n)) for n in range(22)]
    assert [_core._tgamma(Value(n)).data for n in whole.tolist()] == [float(math.factorial(n)) for n in range(22)]


@pytest.mark.usefixtures("isa")
def test_ends_of_special_functions():
    """Poles, infinities and NaN, as SciPy has them."""
    scipy_special = pytest.importorskip("scipy.special")
    x = np.array([0.0, -0.0, -1.0, -2.0, np.inf, np.nan, 1e-307, 1.7e308, 1e300, -26.7, 200.0, -4503599627370497.0])
    for of, theirs in (
        (_core._log_gamma, scipy_special.gammaln),
        (_core._tgamma, scipy_special.gamma),
        (lambda a: _core._polygamma(a, 0), scipy_special.digamma),
        (_core._ndtri, scipy_special.ndtri),
        (lambda a: _core._erfcx(a, 0), scipy_special.erfcx),
        (lambda a: _core._bessel_ie(a, 0), scipy_special.i0e),
        (lambda a: _core._bessel_ie(a, 1), scipy_special.i1e),
    ):
        leaf = Value(0.5)
        with np.errstate(all="ignore"):
            wanted = theirs(x)
        found = Program(of(leaf), inputs=[leaf])(x[:, None], check=False)
        np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-320)


@pytest.mark.usefixtures("isa")
def test_ends_of_atan2():
    for y, x, wanted in ((0.0, -0.0, np.pi), (-0.0, -1.0, -np.pi), (-0.0, 0.0, -0.0), (1e-320, 3.0, 1e-320 / 3.0)):
        a, b = Value(2.0), Value(0.5)
        found = Program(_core._atan2(a, b), inputs=[a, b])([y, x])
        assert (found, math.copysign(1.0, found)) == (wanted, math.copysign(1.0, wanted))


@pytest.mark.parametrize("order", [2, 3])
def test_further_derivatives_of_log_gamma(order):
    """Within 8 ulp of the larger of 1 and the number."""
    rng = np.random.default_rng(7)
    x = np.concatenate([np.exp(rng.uniform(-20.0, 20.0, 300)), rng.uniform(-10.0, 0.0, 100)])
    leaf = Value(2.0)
    found = Program(_core._polygamma(leaf, order), inputs=[leaf])(x[:, None]).reshape(-1)
    for at, y in zip(x.tolist(), found.tolist(), strict=True):
        exact = CONTEXT.polygamma(order, CONTEXT.mpf(at))
        assert abs(CONTEXT.mpf(y) - exact) <= 8 * 2.0**-52 * max(1, abs(exact)), at
