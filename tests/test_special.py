"""`kilograd.special` against 50 digits: numbers, derivatives of first and second order, tails and zeros.

Bounds are in ulp of the exact result, or of the larger of 1 and it where the function has zeros that no composition of
doubles meets; what grows with the size of the operands says so. SciPy's functions in compiled functions are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special
from mpmath import mpf

import kilograd
from kilograd import Value, _core, special

EPS = 2.0**-52


@dataclass
class Function:
    """What is known of one: itself in mpmath, points, and how many ulp it and two derivatives may be off."""

    exact: Callable[..., Any]
    points: list[tuple[float, ...]]
    ulps: tuple[float, float, float] = (4, 16, 64)
    floor: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """The bound is in ulp of no less than this."""
    tail: Callable[..., float] = lambda *x: 0.0
    """Further ulp of derivatives, which grow with the operands."""


def ndtr(x: Any) -> Any:
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2


def ndtri(p: Any) -> Any:
    x = mpf(float(scipy.special.ndtri(float(p))))
    for _ in range(8):
        step = (ndtr(x) - p) * mpmath.sqrt(2 * mpmath.pi) * mpmath.exp(x * x / 2)
        x -= step / (1 + x * step / 2)
    return x


def log_beta(a: Any, b: Any) -> Any:
    return mpmath.loggamma(a) + mpmath.loggamma(b) - mpmath.loggamma(a + b)


def unary(*points: float) -> list[tuple[float, ...]]:
    return [(x,) for x in points]


def square(x: float) -> float:
    return 2.0 * x * x


LINE = unary(0.0, 1e-300, 1e-9, -1e-9, 0.3, -0.3, 0.7, -0.7, 1.0, -1.0, 1.7, -1.7, 3.0, -3.0, 5.0, -5.0)
POSITIVE = unary(1e-9, 0.01, 0.3, 0.7, 1.0, 1.5, 2.0, 2.5, 3.3, 7.7, 10.0, 33.0, 1e3, 1e6)
UNIT = unary(1e-150, 1e-12, 0.01, 0.1, 0.2499, 0.25, 0.4, 0.5 - 1e-9, 0.5 + 1e-9, 0.6, 0.9, 0.999999)
PAIRS = [
    (0.3, 0.7),
    (2.5, 0.5),
    (1e-6, 3.0),
    (9.5, 0.35),
    (12.0, 11.0),
    (400.0, 0.02),
    (1e5, 2.5),
    (3.0, 7e4),
    (1.5, 8.0),
]
NEAR = [(0.3, 0.3000001), (2.0, 2.0 + 1e-12), (1.0, 1.9), (1.0, 0.6), (1.0, 0.4), (3.0, 7.0), (1e-5, 1e5), (5.0, 4.999)]

FUNCTIONS = {
    "erf": Function(mpmath.erf, LINE, tail=square),
    "erfc": Function(mpmath.erfc, [*LINE, *unary(10.0, 25.0, -8.0)], tail=square),
    "erfcx": Function(
        lambda x: mpmath.exp(x * x) * mpmath.erfc(x), [*LINE, *unary(0.5, 2.3, 12.0, 24.9, 25.1, 1e3, 1e8, -20.0)]
    ),
    "ndtr": Function(ndtr, [*LINE, *unary(-10.0, -37.0, 9.0)], tail=square),
    "log_ndtr": Function(lambda x: mpmath.log(ndtr(x)), [*LINE, *unary(-10.0, -40.0, -1e3, -1e6, 7.0)], tail=square),
    "ndtri": Function(ndtri, [*UNIT, *unary(1e-140, 1e-100, 1e-40, 0.15, 0.16, 0.84, 1 - 1e-13)], (4, 4, 12)),
    "expit": Function(lambda x: 1 / (1 + mpmath.exp(-x)), [*LINE, *unary(-30.0, -700.0)], floor=(0.0, 1.0, 1.0)),
    "log_expit": Function(
        lambda x: -mpmath.log1p(mpmath.exp(-x)), [*LINE, *unary(-30.0, 30.0, -700.0)], floor=(0.0, 0.0, 1.0)
    ),
    "logit": Function(lambda p: mpmath.log(p / (1 - p)), UNIT, floor=(0.0, 0.0, 1.0)),
    "gammaln": Function(
        lambda x: mpmath.loggamma(x).real, [*POSITIVE, *unary(-0.5, -3.3)], (2, 16, 64), floor=(0.25, 1.0, 0.0)
    ),
    "gamma": Function(
        mpmath.gamma, [*POSITIVE[:12], *unary(-0.5, -3.3, 170.0)], (2, 64, 256), tail=lambda x: 4 * abs(x)
    ),
    "digamma": Function(mpmath.digamma, [*POSITIVE, *unary(-0.5, -3.3)], (2, 16, 64), floor=(0.25, 0.0, 0.0)),
    "betaln": Function(log_beta, PAIRS, (2, 16, 64), floor=(0.25, 0.0, 0.0)),
    "beta": Function(lambda a, b: mpmath.beta(a, b), PAIRS, (64, 128, 512)),
    "xlogy": Function(lambda x, y: x * mpmath.log(y), NEAR),
    "xlog1py": Function(lambda x, y: x * mpmath.log1p(y), NEAR),
    "entr": Function(lambda x: -x * mpmath.log(x), POSITIVE, floor=(0.0, 1.0, 0.0)),
    "rel_entr": Function(lambda x, y: x * mpmath.log(x / y), NEAR, floor=(0.0, 1.0, 0.0)),
    "kl_div": Function(lambda x, y: x * mpmath.log(x / y) - x + y, NEAR, (16, 32, 64), floor=(0.0, 1e-3, 0.0)),
    "i0": Function(lambda x: mpmath.besseli(0, x), [*LINE, *unary(4.9, 5.1, 12.0, -60.0, 705.0)], (4, 12, 24)),
    "i1": Function(lambda x: mpmath.besseli(1, x), [*LINE, *unary(4.9, 5.1, 12.0, -60.0, 705.0)], (4, 12, 24)),
    "i0e": Function(
        lambda x: mpmath.besseli(0, x) * mpmath.exp(-abs(x)),
        [*LINE[1:], *unary(4.9, 12.0, 33.0, -60.0, 1e4, -1e8, 1e15, 1e80)],
        (4, 5, 8),
    ),
    "i1e": Function(
        lambda x: mpmath.besseli(1, x) * mpmath.exp(-abs(x)),
        # But where the slope is zero, at 1.55, and near it
        [*LINE[1:10], *LINE[12:], *unary(4.9, 12.0, 33.0, -60.0, 1e4, -1e8, 1e15, 1e80)],
        (4, 8, 16),
    ),
}
CASES = [(name, point) for name, data in FUNCTIONS.items() for point in data.points]


def off(found: float, exact: Any, floor: float) -> float:
    """The error in ulp of the exact number, or of a floor."""
    return float(abs(mpf(found) - exact) / (EPS * max(abs(exact), mpf(floor), mpf(2) ** -1000)))


def derivative(name: str, point: tuple[float, ...], orders: tuple[int, ...]) -> Any:
    small = max([-math.log10(abs(x)) for x in point if x], default=0.0)
    with mpmath.workdps(160 + 4 * max(0, int(small))):
        steps = [mpf(10) ** -40 * (abs(mpf(x)) or 1) for x in point]
        if len(point) == 1:
            return +mpmath.diff(FUNCTIONS[name].exact, mpf(point[0]), orders[0], h=steps[0])
        return +mpmath.diff(FUNCTIONS[name].exact, tuple(map(mpf, point)), orders, h=min(steps))


@pytest.mark.parametrize(("name", "point"), CASES, ids=[f"{n}{p}" for n, p in CASES])
def test_numbers_and_derivatives(name: str, point: tuple[float, ...]):
    data, function = FUNCTIONS[name], getattr(special, name)
    with mpmath.workdps(60):
        exact = data.exact(*map(mpf, point))
        assert off(function(*point), exact, data.floor[0]) <= data.ulps[0]
        values = [Value(x) for x in point]
        out = function(*values)
        assert type(out) is Value
        assert off(out.data, exact, data.floor[0]) <= data.ulps[0]
        out.backward()
        theirs = getattr(scipy.special, name)
        compiled = kilograd.compile(lambda x: theirs(*x))
        hessian = compiled.hessian(np.array(point))
        for i, value in enumerate(values):
            first = tuple([int(i == k) for k in range(len(point))])
            slope = derivative(name, point, first)
            assert off(value.grad, slope, data.floor[1]) <= data.ulps[1] + data.tail(*point)
            curve = derivative(name, point, tuple([2 * k for k in first]))
            assert off(hessian[i, i], curve, data.floor[2]) <= data.ulps[2] + 8 * data.tail(*point)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arrays_values_and_traces_are_the_same(name: str):
    data, function, theirs = FUNCTIONS[name], getattr(special, name), getattr(scipy.special, name)
    rows = np.array([x for x in data.points if max(map(abs, x)) < 100.0])
    columns = list(rows.T)
    found = function(*columns)
    assert type(found) is np.ndarray
    np.testing.assert_allclose(found, theirs(*columns), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found, [function(*row) for row in rows.tolist()], rtol=1e-15)
    objects = [kilograd.arrays.values(column, as_array=True) for column in columns]
    np.testing.assert_allclose(kilograd.arrays.data(function(*objects)), found, rtol=1e-14, atol=1e-15)
    for one in (function, theirs):
        compiled = kilograd.compile(lambda x, one=one: one(*x))
        np.testing.assert_allclose(compiled.batch(rows), found, rtol=1e-14, atol=1e-15)
        assert len(compiled._paths) == 1
        np.testing.assert_allclose(compiled(np.array(columns)), found, rtol=1e-14, atol=1e-15)


def test_shapes_and_kinds():
    assert special.erf(np.zeros((2, 3))).shape == (2, 3)
    assert special.xlogy(np.ones((2, 1)), [1.0, 2.0, 3.0]).shape == (2, 3)
    assert type(special.erf(1)) is float
    assert special.erf([0.0, 1.0]).dtype == np.float64
    mixed = special.erf([Value(0.5), 1.0])
    assert type(mixed[0]) is Value
    assert mixed[1] == special.erf(1.0)
    assert special.beta(Value(2.0), 3).data == pytest.approx(1 / 12)


def test_constants_in_a_trace_can_be_written_into():
    def f(x):
        y = special.erf(np.array([0.5, 1.0]))
        y[0] = x
        return y.sum()

    assert kilograd.grad(f)(2.0) == 1.0


@pytest.mark.parametrize("order", [0, 1, 2, 5])
def test_polygamma(order: int):
    for x in (0.1, 1.5, 9.0, 40.0):
        with mpmath.workdps(40):
            assert off(special.polygamma(order, x), mpmath.polygamma(order, mpf(x)), 1.0 if order == 0 else 0.0) <= 8
            assert special.polygamma(order, Value(x)).data == special.polygamma(order, x)
    np.testing.assert_allclose(special.polygamma(order, [1.5, 2.5]), scipy.special.polygamma(order, [1.5, 2.5]))
    for wrong in (-1, 1.5, 101, [1, 2]):
        with pytest.raises(TypeError, match="one order"):
            special.polygamma(wrong, 1.0)  # type: ignore[call-overload]


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
def test_softmax_and_its_kin(axis: Any):
    x = np.array([[0.5, 1000.0, -3.0], [1.0, 2.0, -1e4]])
    b = np.array([[1.0, 2.0, 0.5], [3.0, 1.0, 1.0]])
    for function, arguments in (
        ("logsumexp", {"axis": axis}),
        ("logsumexp", {"axis": axis, "b": b, "keepdims": True}),
        ("softmax", {"axis": axis}),
        ("log_softmax", {"axis": axis}),
    ):
        ours, want = getattr(special, function), getattr(scipy.special, function)(x, **arguments)
        found = ours(x, **arguments)
        assert np.shape(found) == np.shape(want)
        np.testing.assert_allclose(found, want, rtol=1e-13)
        np.testing.assert_allclose(kilograd.compile(lambda y, o=ours, a=arguments: o(y, **a))(x), want, rtol=1e-13)
        values = ours(kilograd.arrays.values(x, as_array=True), **arguments)
        np.testing.assert_allclose(kilograd.arrays.data(values), want, rtol=1e-13)
    assert special.logsumexp([-math.inf, -math.inf]) == -math.inf


@pytest.mark.parametrize(
    ("x", "factors", "axis", "want"),
    [
        ([1000.0, 0.0], [0.0, 1.0], None, 0.0),
        ([0.0, -1000.0], [0.0, 2.0], None, -1000.0 + math.log(2.0)),
        ([math.inf, 1.0], [0.0, 1.0], 0, 1.0),
        ([math.nan, 1.0], [0.0, 1.0], 0, 1.0),
        ([1.0, 2.0], [[0.0, 1.0], [1.0, 0.0], [2.0, 0.0]], 1, [2.0, 1.0, 1.0 + math.log(2.0)]),
        ([1.0, 2.0], [[0.0, 1.0], [1.0, 0.0], [2.0, 0.0]], 0, [1.0 + math.log(3.0), 2.0]),
    ],
)
def test_a_factor_of_zero_leaves_out_what_it_is_of(x: Any, factors: Any, axis: Any, want: Any):
    x, factors = np.array(x), np.array(factors)
    np.testing.assert_allclose(special.logsumexp(x, axis=axis, b=factors), want, rtol=1e-14)
    f = kilograd.compile(lambda y: special.logsumexp(y, axis=axis, b=factors))
    np.testing.assert_allclose(f(x), want, rtol=1e-14)
    assert np.isfinite(f.jacobian(x)).all()


def test_factors_that_are_arguments_have_derivatives_at_zero():
    f = kilograd.compile(lambda a, b: special.logsumexp(a, b=b))
    by_a, by_b = f.grad(np.array([1.0, 2.0]), np.array([0.0, 2.0]), argnums=(0, 1))
    np.testing.assert_allclose(by_a, [0.0, 1.0], atol=1e-15)
    np.testing.assert_allclose(by_b, [0.5 * math.exp(-1.0), 0.5], rtol=1e-14)


def test_divergences_of_numbers_as_large_as_floats_are():
    x, y = 1.7e308, 1.2e308
    assert special.kl_div(x, x) == 0.0
    want = mpmath.mpf(x) * mpmath.log(mpmath.mpf(x) / mpmath.mpf(y)) - mpmath.mpf(x) + mpmath.mpf(y)
    assert special.kl_div(x, y) == pytest.approx(float(want), rel=1e-15)


def test_outside_of_domains():
    assert math.isnan(special.logit(1.5))
    assert math.isnan(special.betaln(-0.5, 1.0))
    assert special.gammaln(0.0) == math.inf
    assert special.ndtri(0.0) == -math.inf
    for call in (
        lambda: special.logit(Value(1.5)),
        lambda: special.gammaln(Value(0.0)),
        lambda: special.ndtri(Value(1.0)),
    ):
        with pytest.raises(ValueError, match=r"atanh|gamma|ndtri"):
            call()
    with pytest.raises(TypeError, match="complex numbers are none of what this takes, which is real"):
        special.erf(1j)


def test_what_is_too_large_is_an_overflow_and_no_pole():
    for call in (
        lambda: special.gamma(Value(172.0)),
        lambda: special.gamma(Value(1e-309)),
        lambda: special.gammaln(Value(1e306)),
        lambda: special.polygamma(5, Value(1e-100)),
        lambda: kilograd.compile(special.gamma)(172.0),
        lambda: kilograd.compile(lambda x: special.gamma(x)).batch(np.array([1.0, 172.0])),
    ):
        with pytest.raises(OverflowError, match="is too large for a float"):
            call()
    for call in (
        lambda: special.gamma(Value(0.0)),
        lambda: special.gamma(Value(-3.0)),
        lambda: special.gammaln(Value(-2.0)),
        lambda: special.polygamma(1, Value(0.0)),
    ):
        with pytest.raises(ValueError, match="outside the domain"):
            call()


def test_zeros_and_the_operand_that_does_not_count():
    assert special.xlogy(0.0, 0.0) == special.rel_entr(0.0, 0.5) == special.entr(0.0) == 0.0
    assert special.kl_div(0.0, 0.5) == 0.5
    assert special.rel_entr(1.0, 0.0) == math.inf
    assert special.betaln(-0.0, 2.0) == special.betaln(2.0, -0.0) == special.beta(-0.0, 2.0) == math.inf
    for n in (1, 2, 3):  # as SciPy has it
        assert special.polygamma(n, 0.0) == special.polygamma(n, -2.0) == (math.inf if n % 2 else -math.inf)
    x, y = Value(0.0), Value(0.0)
    special.xlogy(x, y).backward()
    assert (x.grad, y.grad) == (0.0, 0.0)


def test_inside_no_grad_and_first_used_there():
    from kilograd.compiled import special as arrays

    arrays._program.cache_clear()
    with kilograd.no_grad():
        assert special.erf(0.5) == math.erf(0.5)
        assert special.erf(np.array([0.25, 0.75])).tolist() == pytest.approx([math.erf(0.25), math.erf(0.75)])
    assert special.erf(0.125) == math.erf(0.125)


def falls(x: Any, n: int) -> Any:
    """(-1)**n times the n-th derivative of i0e: by Kummer's function, or what it is for large x."""
    x, half = abs(mpf(x)), mpf(1) / 2
    if x < 500:
        found = mpmath.exp(-2 * x) * mpmath.hyp1f1(half, n + 1, 2 * x)
    else:
        terms = [mpmath.rf(half + n, k) * mpmath.rf(half, k) / (mpmath.factorial(k) * (2 * x) ** k) for k in range(40)]
        found = mpmath.factorial(n) / mpmath.gamma(half) * mpmath.fsum(terms) / (2 * x) ** (n + half)
    return mpf(2) ** n / mpmath.pi * mpmath.beta(n + half, half) * found


@pytest.mark.parametrize("isa", _core._instruction_sets())
@pytest.mark.parametrize("order", [0, 1, 2, 3, 4, 9])
def test_derivatives_of_a_scaled_bessel_function_of_all_sizes(order: int, isa: str, monkeypatch: Any):
    monkeypatch.setenv("KILOGRAD_ISA", isa)
    points = np.concatenate([np.logspace(-9, 9, 91), np.linspace(0.1, 70.0, 70), [-3.0, 1e-300, 1e25, 0.0]])
    found = kilograd.compile(lambda x: _core._bessel_fall(x, order)).batch(points)
    with mpmath.workdps(60):
        for x, y in zip(points, found, strict=True):
            assert off(y, falls(x, order), 0.0) <= (2 if order == 0 else 6 if order < 4 else 40), x
    assert _core._bessel_fall(np.inf, order) == 0.0 if order else True
    assert math.isnan(_core._bessel_fall(Value(1.0), 33).data)


def test_hypot_of_sides_of_all_sizes():
    rng = np.random.default_rng(0)
    a = 10.0 ** np.concatenate([rng.uniform(-140, 140, 40), rng.uniform(-2, 2, 80)])
    b = a * 10.0 ** np.concatenate([rng.uniform(-25, 25, 40), rng.uniform(-12, 12, 40), rng.uniform(-1, 1, 40)])
    rows = np.stack([a * rng.choice([-1, 1], 120), b * rng.choice([-1, 1], 120)], axis=1)
    f = kilograd.compile(lambda x: np.hypot(x[0], x[1]))
    with mpmath.workdps(60):
        for (x, y), slopes, curves in zip(rows, f.batch.grad(rows), f.batch.hessian(rows), strict=True):
            x, y, h = mpf(x), mpf(y), mpmath.hypot(x, y)
            for found, exact in zip(slopes, (x / h, y / h), strict=True):
                assert off(found, exact, 0.0) <= 2
            exact = [y * y / h**3, -x * y / h**3, -x * y / h**3, x * x / h**3]
            for found, each in zip(curves.flat, exact, strict=True):
                assert off(found, each, 0.0) <= 6
            product = f.hvp(np.array([float(x), float(y)]), np.array([1.0, 0.0]))
            assert max(off(product[0], exact[0], 0.0), off(product[1], exact[1], 0.0)) <= 6
    for point in ([0.0, 0.0], [0.0, 3.0], [-2.0, 0.0]):
        size = max(map(abs, point)) or math.inf
        assert f.grad(np.array(point)).tolist() == [x / size for x in point]
        assert f.hessian(np.array(point)).tolist() == [[abs(point[1]) / size**2, 0.0], [0.0, abs(point[0]) / size**2]]


def test_bessel_at_zero_has_both_derivatives():
    f = kilograd.compile(lambda x: np.i0(x) + special.i1(x))
    assert (f(0.0), f.grad(0.0), f.hessian(0.0)) == (1.0, 0.5, 0.5)
