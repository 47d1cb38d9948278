"""Every row of the op table: its value, its derivatives, its errors, and how NaN and infinity pass through it.

The oracle is a 50-digit evaluation of the same function by mpmath; values are held against Python's `math` too, and
derivatives against central differences of the forward pass.

Tolerances count in ulp of the result, or of the largest term where the formula of the row cancels (1 - y*y near
saturation, for example). A correctly rounded operation costs half an ulp, a libm function one or two; no row chains
more than six, which makes `ULPS` = 8 a bound and not a guess. Where a row rounds an intermediate argument, the
condition number of what follows multiplies that rounding, and the row says so in `condition`.
"""

from __future__ import annotations

import ast
import functools
import math
import pathlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mpmath
import pytest
from mpmath import mpf

import kilograd
from kilograd import Value, _core

EPS = 2.0**-52
TINY = 2.0**-1022  # below the smallest normal number a double loses digits: errors of that size are underflow
ULPS = 8
nan, inf = math.nan, math.inf

ROWS = {name: (label, arity, edge, doc) for name, label, arity, edge, doc in _core.ops()}


@dataclass
class Data:
    """What the tests know of one row.

    Parameters
    ----------
    exact : callable
        The function, of mpmath numbers.
    points : list of tuples
        Ordinary points, points near the special ones, and points at the edges of the domain.
    python : callable, optional
        The same of Python floats, by `math`.
    kinks : dict
        Points where the derivative is a convention, with the derivatives.
    edge : list of tuples
        Operands that are refused, with the exception.
    at_infinity : list of tuples
        Operands that are infinite, with the result.
    largest : callable
        The largest term in the formulas of the derivatives, if it is larger than the derivative.
    condition : callable
        Ulps beyond `ULPS`, from rounded arguments of steep functions.
    domain : tuple
        Open interval of the first operand; central differences stay inside.
    nan_at : list of tuples
        Operands with a NaN whose result is a number all the same, with the result.
    """

    exact: Callable[..., Any]
    points: list[tuple[float, ...]]
    python: Callable[..., float] | None = None
    kinks: dict[tuple[float, ...], tuple[float, ...]] = field(default_factory=dict)
    edge: list[tuple[tuple[float, ...], type[Exception]]] = field(default_factory=list)
    at_infinity: list[tuple[tuple[float, ...], float]] = field(default_factory=list)
    largest: Callable[..., float] = lambda *x: 0.0
    condition: Callable[..., float] = lambda *x: 0.0
    domain: tuple[float, float] = (-inf, inf)
    nan_at: list[tuple[tuple[float, ...], float]] = field(default_factory=list)


def unary(*xs: float) -> list[tuple[float, ...]]:
    return [(x,) for x in xs]


AROUND_ZERO = unary(0.0, 1e-300, -1e-300, 1e-9, -1e-9, 0.3, -0.3, 1.0, -1.7, 2.5, -2.5)


def one(x: float) -> float:
    return 1.0


DATA = {
    "add": Data(
        lambda a, b: a + b,
        [(1.5, 2.25), (-0.1, 0.3), (1e300, -1e-300), (0.0, 0.0), (1e16, 1.0)],
        python=lambda a, b: a + b,
        at_infinity=[((inf, 1.0), inf), ((1.0, -inf), -inf), ((inf, -inf), nan), ((1.7e308, 1.7e308), inf)],
    ),
    "mul": Data(
        lambda a, b: a * b,
        [(1.5, 2.25), (-0.1, 0.3), (1e200, 1e-300), (0.0, 3.0), (-2.0, 0.0)],
        python=lambda a, b: a * b,
        at_infinity=[((inf, -2.0), -inf), ((0.0, inf), nan), ((1e300, -1e300), -inf)],
    ),
    "powc": Data(
        lambda a, c: a**c,
        [
            (3.0, 2.0),
            (-1.5, 3.0),
            (-2.0, -2.0),
            (0.3, 0.5),
            (1e-08, 0.5),
            (2.0, -1.0),
            (1e100, 3.0),
            (0.0, 2.0),
            (5.0, 0.0),
            (0.7, -1.5),
            (1e-100, -3.0),
            (4.0, 1.0),
            (1.0 + 1e-09, 1000000.0),
        ],
        python=math.pow,
        kinks={(0.0, 0.0): (0.0,), (0.0, 1.0): (1.0,), (0.0, 0.5): (inf,), (-3.0, 0.0): (0.0,)},
        edge=[
            ((0.0, -1.0), ZeroDivisionError),
            ((-0.0, -0.5), ZeroDivisionError),
            ((-8.0, 1 / 3), ValueError),
            ((10.0, 400.0), OverflowError),
            ((1e-200, -2.0), OverflowError),
        ],
        at_infinity=[((inf, 2.0), inf), ((inf, -1.0), 0.0), ((-inf, 3.0), -inf), ((2.0, inf), inf), ((0.0, -inf), inf)],
        nan_at=[((nan, 0.0), 1.0), ((1.0, nan), 1.0)],
    ),
    "pow": Data(
        lambda a, b: a**b,
        [(3.0, 2.0), (0.3, 0.5), (1e-8, 0.5), (2.0, -1.0), (0.7, -1.5), (5.0, 0.0), (1.0, 3.5), (1.0 + 1e-9, 1e6)],
        python=math.pow,
        kinks={(0.0, 2.0): (0.0, 0.0), (0.0, 1.0): (1.0, 0.0), (0.0, 0.0): (0.0, 0.0), (-2.0, 3.0): (12.0, nan)},
        edge=[
            ((0.0, -1.0), ZeroDivisionError),
            ((-8.0, 1 / 3), ValueError),
            ((10.0, 400.0), OverflowError),
        ],
        at_infinity=[((inf, 2.0), inf), ((2.0, -inf), 0.0), ((0.5, inf), 0.0), ((-inf, 3.0), -inf)],
        domain=(0.0, inf),
        nan_at=[((nan, 0.0), 1.0), ((1.0, nan), 1.0)],
    ),
    "tanh": Data(
        mpmath.tanh,
        [*AROUND_ZERO, *unary(19.0, -19.0, 354.0, 400.0, -1e300)],
        python=math.tanh,
        at_infinity=[((inf,), 1.0), ((-inf,), -1.0)],
        largest=one,
    ),
    "relu": Data(
        lambda a: max(a, mpf(0)),
        unary(1.5, -1.5, 1e-300, -1e-300, 1e300, -1e300),
        kinks={(0.0,): (0.0,)},
        at_infinity=[((inf,), inf), ((-inf,), 0.0)],
    ),
    "leaky_relu": Data(
        lambda a, c: a if a > 0 else c * a,
        [(1.5, 0.01), (-1.5, 0.01), (1e-300, 0.1), (-1e-300, 0.1), (-2.0, 0.0), (-2.0, -1.0), (1e300, 0.3)],
        kinks={(0.0, 0.25): (0.25,)},
        at_infinity=[((inf, 0.1), inf), ((-inf, 0.1), -inf), ((1.0, inf), 1.0), ((-1.0, inf), -inf)],
        nan_at=[((1.0, nan), 1.0)],
    ),
    "sigmoid": Data(
        lambda a: 1 / (1 + mpmath.exp(-a)),
        [*AROUND_ZERO, *unary(36.0, -36.0, 40.0, -700.0, 1e300, -1e300)],
        python=lambda a: 1 / (1 + math.exp(-a)) if a > -700 else math.exp(a),
        at_infinity=[((inf,), 1.0), ((-inf,), 0.0)],
        largest=lambda a: 1.0 if a > 0 else 0.0,  # y * (1 - y): the second factor cancels where y is near 1
    ),
    "softplus": Data(
        lambda a: mpmath.log1p(mpmath.exp(a)),
        [*AROUND_ZERO, *unary(36.0, -36.0, -700.0, 800.0, 1e300, -1e300)],
        python=lambda a: math.log1p(math.exp(a)) if a < 700 else a,
        at_infinity=[((inf,), inf), ((-inf,), 0.0)],
    ),
    "silu": Data(
        lambda a: a / (1 + mpmath.exp(-a)),
        [*AROUND_ZERO, *unary(-1.278, 36.0, -36.0, -700.0, 800.0, 1e300, -1e300)],
        python=lambda a: a / (1 + math.exp(-a)) if a > -700 else a * math.exp(a),
        at_infinity=[((inf,), inf), ((-inf,), nan)],  # -inf * 0, as x * sigmoid(x) says
        largest=lambda a: abs(a) * math.exp(-abs(a)) if abs(a) < 700 else 0.0,  # 1 + a * s(-a) cancels
    ),
    "gelu": Data(
        lambda a: a * mpmath.erfc(-a / mpmath.sqrt(2)) / 2,
        [*AROUND_ZERO, *unary(-0.7518, 6.0, -6.0, -12.0, 9.0, -37.0, 1e4, -1e4)],
        python=lambda a: 0.5 * a * math.erfc(-a / math.sqrt(2.0)),
        at_infinity=[((inf,), inf), ((-inf,), nan)],
        # The rounding of a / sqrt(2) and of -a*a/2 goes through exp(-a*a/2).
        condition=lambda a: 2 * a * a if abs(a) < 40 else 0.0,
        largest=lambda a: (1.0 + abs(a)) * math.exp(-0.5 * a * a) if abs(a) < 40 else 0.0,
    ),
    "exp": Data(
        mpmath.exp,
        [*AROUND_ZERO, *unary(709.7, -700.0, -800.0)],
        python=math.exp,
        edge=[((710.0,), OverflowError), ((1000.0,), OverflowError)],
        at_infinity=[((inf,), inf), ((-inf,), 0.0)],
    ),
    "expm1": Data(
        mpmath.expm1,
        [*AROUND_ZERO, *unary(709.7, -40.0, -800.0)],
        python=math.expm1,
        edge=[((710.0,), OverflowError)],
        at_infinity=[((inf,), inf), ((-inf,), -1.0)],
        largest=one,  # y + 1
    ),
    "log": Data(
        mpmath.log,
        unary(1.0, 1.0 + 1e-15, 1.0 - 1e-9, 0.5, 3.0, 1e-300, 5e-324 * 2**40, 1e300),
        python=math.log,
        edge=[((0.0,), ValueError), ((-0.0,), ValueError), ((-1.0,), ValueError), ((-5e-324,), ValueError)],
        at_infinity=[((inf,), inf), ((-inf,), nan)],
        domain=(0.0, inf),
    ),
    "log1p": Data(
        mpmath.log1p,
        unary(0.0, 1e-300, -1e-300, 1e-9, 0.5, -0.5, 3.0, -1.0 + 2**-50, 1e300),
        python=math.log1p,
        edge=[((-1.0,), ValueError), ((-1.5,), ValueError)],
        at_infinity=[((inf,), inf), ((-inf,), nan)],
        domain=(-1.0, inf),
    ),
    "sqrt": Data(
        mpmath.sqrt,
        unary(1.0, 2.0, 0.25, 1e-300, 1e300, 1e-9),
        python=math.sqrt,
        kinks={(0.0,): (inf,)},
        edge=[((-1.0,), ValueError), ((-5e-324,), ValueError)],
        at_infinity=[((inf,), inf), ((-inf,), nan)],
        domain=(0.0, inf),
    ),
    "abs": Data(
        abs,
        unary(1.5, -1.5, 1e-300, -1e-300, 1e300, -1e300),
        python=abs,
        kinks={(0.0,): (0.0,)},
        at_infinity=[((inf,), inf), ((-inf,), inf)],
    ),
    "sin": Data(
        mpmath.sin,
        [*AROUND_ZERO, *unary(math.pi, math.pi / 2, 100.0, 1e6)],
        python=math.sin,
        at_infinity=[((inf,), nan), ((-inf,), nan)],
    ),
    "cos": Data(
        mpmath.cos,
        [*AROUND_ZERO, *unary(math.pi, math.pi / 2, 100.0, 1e6)],
        python=math.cos,
        at_infinity=[((inf,), nan), ((-inf,), nan)],
    ),
    "tan": Data(
        mpmath.tan,
        [*AROUND_ZERO, *unary(math.pi, 1.5707, math.pi / 2, 100.0)],
        python=math.tan,
        at_infinity=[((inf,), nan), ((-inf,), nan)],
    ),
    "asin": Data(
        mpmath.asin,
        unary(0.0, 1e-300, -1e-9, 0.5, -0.5, 1.0 - 2**-53, -1.0 + 2**-40),
        python=math.asin,
        kinks={(1.0,): (inf,), (-1.0,): (inf,)},
        edge=[((1.0 + 2**-52,), ValueError), ((-2.0,), ValueError)],
        at_infinity=[((inf,), nan), ((-inf,), nan)],
        domain=(-1.0, 1.0),
    ),
    "acos": Data(
        mpmath.acos,
        unary(0.0, 1e-300, -1e-9, 0.5, -0.5, 1.0 - 2**-53, -1.0 + 2**-40),
        python=math.acos,
        kinks={(1.0,): (-inf,), (-1.0,): (-inf,)},
        edge=[((1.0 + 2**-52,), ValueError), ((-2.0,), ValueError)],
        at_infinity=[((inf,), nan), ((-inf,), nan)],
        domain=(-1.0, 1.0),
    ),
    "atan": Data(
        mpmath.atan,
        [*AROUND_ZERO, *unary(1e6, -1e100, 1e200)],
        python=math.atan,
        at_infinity=[((inf,), math.pi / 2), ((-inf,), -math.pi / 2)],
    ),
    "sinh": Data(
        mpmath.sinh,
        [*AROUND_ZERO, *unary(710.0, -710.0)],
        python=math.sinh,
        edge=[((711.0,), OverflowError), ((-711.0,), OverflowError)],
        at_infinity=[((inf,), inf), ((-inf,), -inf)],
    ),
    "cosh": Data(
        mpmath.cosh,
        [*AROUND_ZERO, *unary(710.0, -710.0)],
        python=math.cosh,
        edge=[((711.0,), OverflowError), ((-711.0,), OverflowError)],
        at_infinity=[((inf,), inf), ((-inf,), inf)],
    ),
    "asinh": Data(
        mpmath.asinh,
        [*AROUND_ZERO, *unary(1e6, -1e100, 1e200, -1e300)],
        python=math.asinh,
        at_infinity=[((inf,), inf), ((-inf,), -inf)],
    ),
    "acosh": Data(
        mpmath.acosh,
        unary(1.0 + 2**-52, 1.0 + 1e-9, 1.5, 3.0, 1e6, 1e300),
        python=math.acosh,
        kinks={(1.0,): (inf,)},
        edge=[((1.0 - 2**-53,), ValueError), ((0.0,), ValueError), ((-2.0,), ValueError)],
        at_infinity=[((inf,), inf), ((-inf,), nan)],
        domain=(1.0, inf),
    ),
    "atanh": Data(
        mpmath.atanh,
        unary(0.0, 1e-300, -1e-9, 0.5, -0.5, 1.0 - 2**-53, -1.0 + 2**-40),
        python=math.atanh,
        edge=[((1.0,), ValueError), ((-1.0,), ValueError), ((1.5,), ValueError), ((-2.0,), ValueError)],
        at_infinity=[((inf,), nan), ((-inf,), nan)],
        domain=(-1.0, 1.0),
    ),
    "erf": Data(
        mpmath.erf,
        [*AROUND_ZERO, *unary(6.0, -6.0, 9.0, 1e4)],
        python=math.erf,
        at_infinity=[((inf,), 1.0), ((-inf,), -1.0)],
        condition=lambda a: a * a if abs(a) < 40 else 0.0,  # the rounding of a*a goes through exp(-a*a)
    ),
    "erfc": Data(
        mpmath.erfc,
        [*AROUND_ZERO, *unary(6.0, -6.0, 26.0, 1e4)],
        python=math.erfc,
        at_infinity=[((inf,), 0.0), ((-inf,), 2.0)],
        condition=lambda a: a * a if abs(a) < 40 else 0.0,
    ),
    "maximum": Data(
        lambda a, b: max(a, b),
        [(1.0, 2.0), (2.0, 1.0), (-1.0, -1.5), (1.0, 1.0 + 2**-52), (1e300, -1e300)],
        python=max,
        kinks={(2.0, 2.0): (0.5, 0.5), (0.0, -0.0): (0.5, 0.5)},
        at_infinity=[((inf, 1.0), inf), ((1.0, -inf), 1.0), ((-inf, inf), inf)],
    ),
    "minimum": Data(
        lambda a, b: min(a, b),
        [(1.0, 2.0), (2.0, 1.0), (-1.0, -1.5), (1.0, 1.0 + 2**-52), (1e300, -1e300)],
        python=min,
        kinks={(2.0, 2.0): (0.5, 0.5), (0.0, -0.0): (0.5, 0.5)},
        at_infinity=[((inf, 1.0), 1.0), ((1.0, -inf), -inf), ((-inf, inf), -inf)],
    ),
}

PARAM = {"powc": lambda v, c: v**c, "leaky_relu": lambda v, c: v.leaky_relu(c)}
BINARY = {
    "add": lambda v, w: v + w,
    "mul": lambda v, w: v * w,
    "pow": lambda v, w: v**w,
    "maximum": kilograd.maximum,
    "minimum": kilograd.minimum,
}


def apply(name: str, point: tuple[float, ...]) -> tuple[Value, list[Value]]:
    """The op at a point: the result, and the operands that are Values."""
    arity = ROWS[name][1]
    if arity == "Binary":
        operands = [Value(x) for x in point]
        return BINARY[name](*operands), operands
    operands = [Value(point[0])]
    if arity == "Param":
        return PARAM[name](operands[0], point[1]), operands
    return getattr(operands[0], name)(), operands


def differentiable(name: str) -> int:
    """The number of operands that get a gradient."""
    return 2 if ROWS[name][1] == "Binary" else 1


def close(got: float, want: Any, ulps: float, largest: float) -> bool:
    """Within `ulps` of the larger of the exact result and the largest term; both infinite past the largest double."""
    if abs(want) > mpf(2) ** 1024:
        return math.isinf(got)
    return abs(mpf(got) - want) <= ulps * EPS * max(abs(want), mpf(largest)) + mpf(TINY)


def digits(name: str, point: tuple[float, ...]) -> int:
    """Of mpmath while it differentiates, so that 50 are left: the step is 10**-30, erf(9) is 1 - 10**-37."""
    wide = any(x != 0 and not 1e-60 < abs(x) < 1e60 for x in point)
    return 450 if wide else 150


def exact_derivative(name: str, point: tuple[float, ...], i: int, order: int = 1) -> Any:
    """By mpmath. The central difference of step 10**-30 is good for 50 digits where the precision leaves them."""
    numbers = [mpf(x) for x in point]

    def along(t: Any) -> Any:
        return DATA[name].exact(*numbers[:i], t, *numbers[i + 1 :])

    return mpmath.diff(along, numbers[i], order, h=room(name, point, i) * mpf(10) ** -30)


def room(name: str, point: tuple[float, ...], i: int) -> float:
    """How far operand i may move without leaving the domain or crossing a kink: 1, or its magnitude if larger."""
    sizes = [max(abs(point[i]), 1.0)]
    if i == 0:
        sizes += [abs(point[0] - end) for end in DATA[name].domain if math.isfinite(end)]
    if name == "powc" and (point[1] < 0 or point[1] % 1):
        sizes.append(abs(point[0]))
    for kink in DATA[name].kinks:  # at a number, or, of two operands, where they are equal
        sizes.append(abs(point[0] - (point[1] if ROWS[name][1] == "Binary" else kink[0])))
    return min(size for size in sizes if size > 0)


def test_the_table_and_the_data_here_have_the_same_rows():
    assert set(DATA) == set(ROWS)


def stub() -> ast.Module:
    path = pathlib.Path(kilograd.__file__).with_name("_core.pyi")
    return ast.parse(path.read_text())


@pytest.mark.parametrize("name", ROWS)
def test_the_stub_has_the_row(name):
    value = next(node for node in stub().body if isinstance(node, ast.ClassDef) and node.name == "Value")
    methods = {node.name for node in value.body if isinstance(node, ast.FunctionDef)}
    spelled = {"add": "__add__", "mul": "__mul__", "pow": "__pow__", "powc": "__pow__"}.get(name, name)
    assert spelled in methods


@pytest.mark.parametrize("name", ROWS)
def test_the_row_is_documented_and_has_its_label(name):
    label, arity, edge, doc = ROWS[name]
    assert doc.endswith(".")
    assert arity in ("Unary", "Param", "Binary")
    assert edge in ("Bounded", "Total", "Flows", "Overflows", "Pole", "Poles", "Power")
    out, operands = apply(name, DATA[name].points[0])
    assert out._op == (f"**{DATA[name].points[0][1]}" if name == "powc" else label)
    assert out._children == tuple(operands)
    if name not in ("add", "mul", "pow", "powc"):
        assert getattr(Value, name).__doc__.split("\n--\n\n")[-1].startswith(doc.split(";")[0].rstrip("."))


CASES = [(name, point) for name, data in DATA.items() for point in data.points]
IDS = [f"{name}{point}" for name, point in CASES]


@pytest.mark.parametrize(("name", "point"), CASES, ids=IDS)
def test_value(name, point):
    data = DATA[name]
    out, _ = apply(name, point)
    with mpmath.workdps(50):
        want = data.exact(*map(mpf, point))
        assert close(out.data, want, ULPS + data.condition(*point), 0.0)
    if data.python:  # two libms, or one: both are within a few ulp of the exact value
        python = data.python(*point)
        assert out.data == pytest.approx(python, rel=2 * (ULPS + data.condition(*point)) * EPS, abs=TINY)


@pytest.mark.parametrize(("name", "point"), CASES, ids=IDS)
def test_derivative_against_fifty_digits(name, point):
    data = DATA[name]
    out, operands = apply(name, point)
    out.backward()
    with mpmath.workdps(digits(name, point)):
        for i in range(differentiable(name)):
            want = exact_derivative(name, point, i)
            ulps = ULPS + data.condition(*point)
            assert close(operands[i].grad, want, ulps, data.largest(*point)), (operands[i].grad, want)
            assert out._local_grads[i] == operands[i].grad


@pytest.mark.parametrize(("name", "point"), CASES, ids=IDS)
def test_derivative_against_central_differences(name, point):
    """The error of (f(x+h) - f(x-h)) / 2h is h*h/6 times the third derivative, plus the rounding of f over h."""
    data = DATA[name]
    out, operands = apply(name, point)
    out.backward()
    for i in range(differentiable(name)):
        h = 2.0**-18 * room(name, point, i)
        left, right = ((*point[:i], point[i] + step, *point[i + 1 :]) for step in (-h, h))
        width = right[i] - left[i]  # what the rounded operands really differ by
        if width == 0.0:  # the edge of the domain is less than an ulp away
            continue
        low, high = apply(name, left)[0].data, apply(name, right)[0].data
        if math.isinf(operands[i].grad):  # past the largest double, as the test above checked
            continue
        with mpmath.workdps(digits(name, point)):
            second = abs(exact_derivative(name, point, i, 2))
            third = max(abs(exact_derivative(name, at, i, 3)) for at in (left, right))
        # The two points are not quite symmetric about x: half an ulp of x times the second derivative.
        error = float(mpf(h) ** 2 * third + EPS * abs(mpf(point[i])) * second)
        rounding = (ULPS + data.condition(*point)) * EPS * max(abs(low), abs(high), data.largest(*point) * h) / width
        assert abs(operands[i].grad - (high - low) / width) <= error + rounding + 4 * EPS * abs(operands[i].grad) + TINY


KINKS = [(name, point, want) for name, data in DATA.items() for point, want in data.kinks.items()]


@pytest.mark.parametrize(("name", "point", "want"), KINKS, ids=[f"{n}{p}" for n, p, _ in KINKS])
def test_derivative_where_it_is_a_convention_or_infinite(name, point, want):
    out, operands = apply(name, point)
    out.backward()
    assert [v.grad for v in operands] == pytest.approx(list(want), rel=0, abs=0, nan_ok=True)


EDGES = [(name, point, error) for name, data in DATA.items() for point, error in data.edge]


def test_every_row_that_can_refuse_has_a_refusal_here():
    total = {name for name, (_, _, edge, _) in ROWS.items() if edge in ("Total", "Bounded")}
    assert {name for name, data in DATA.items() if not data.edge} == total
    by_edge = {"Overflows": OverflowError, "Pole": ValueError, "Power": ZeroDivisionError}
    for name, (_, _, edge, _) in ROWS.items():
        if edge in by_edge:
            assert by_edge[edge] in {error for _, error in DATA[name].edge}, name


@pytest.mark.parametrize(("name", "point", "error"), EDGES, ids=[f"{n}{p}" for n, p, _ in EDGES])
def test_refused_and_nothing_changed(name, point, error):
    operands = [Value(point[0], label="first"), Value(point[-1], label="second")]
    parent = operands[0] * operands[1]
    for i, v in enumerate([*operands, parent]):
        v.grad = i + 0.5
    nodes = kilograd.live_nodes()
    before = [(v.data, v.grad, v.label, v._op) for v in [*operands, parent]]
    arity = ROWS[name][1]
    if arity == "Binary":
        refused = functools.partial(BINARY[name], *operands)
    elif arity == "Param":
        refused = functools.partial(PARAM[name], operands[0], point[1])
    else:
        refused = getattr(operands[0], name)
    with pytest.raises(error) as caught:
        refused()
    message = str(caught.value)
    assert ("**" if "pow" in name else name) in message
    assert repr(point[0]) in message
    assert ":" in message or ";" in message  # what happened, then what to do
    assert kilograd.live_nodes() == nodes
    assert [(v.data, v.grad, v.label, v._op) for v in [*operands, parent]] == before
    parent.backward()  # and the engine goes on
    assert operands[0].grad == 0.5 + point[-1]


def same(x: float, y: float) -> bool:
    return x == y or (math.isnan(x) and math.isnan(y))


INFINITE = [(name, point, want) for name, data in DATA.items() for point, want in data.at_infinity]


def test_every_row_is_tried_at_infinity():
    assert all(data.at_infinity for data in DATA.values())


@pytest.mark.parametrize(("name", "point", "want"), INFINITE, ids=[f"{n}{p}" for n, p, _ in INFINITE])
def test_infinity_flows(name, point, want):
    out, _ = apply(name, point)
    assert out.data == pytest.approx(want, rel=EPS, nan_ok=True)
    out.backward()  # whatever comes out, nothing is raised
    assert out.grad == 1.0


@pytest.mark.parametrize("name", ROWS)
def test_nan_flows(name):
    data = DATA[name]
    numbers = {point for point, _ in data.nan_at}
    first = data.points[0]
    for i in range(len(first)):
        point = (*first[:i], nan, *first[i + 1 :])
        if any(all(same(x, y) for x, y in zip(point, exception, strict=True)) for exception in numbers):
            continue
        if name == "leaky_relu" and i == 1:
            continue  # the slope does not matter on the right
        out, _ = apply(name, point)
        assert math.isnan(out.data)
        out.backward()
    for point, want in data.nan_at:
        assert apply(name, point)[0].data == want


@pytest.mark.parametrize("name", ROWS)
def test_rules_read_the_data_at_the_time_of_backward(name):
    first, second = DATA[name].points[0], DATA[name].points[1]
    if ROWS[name][1] == "Param":
        second = (second[0], first[1])
    moved, operands = apply(name, first)
    fresh, others = apply(name, second)
    for v, w in zip(operands, others, strict=True):
        v.data = w.data
    moved.data = fresh.data
    moved.backward()
    fresh.backward()
    assert [v.grad for v in operands] == [w.grad for w in others]


@pytest.mark.parametrize(
    "x", [1e-320, 1e-17, 1e-8, 1e-4, 0.1, 0.5, 0.55, 1.0, 5.0, 19.0, 22.0, 353.0, 355.0, 1e4, 1e308]
)
def test_tanh_is_accurate_to_a_few_ulp_everywhere(x):
    with mpmath.workdps(50):
        for signed in (x, -x):
            assert close(Value(signed).tanh().data, mpmath.tanh(mpf(signed)), 3, 0.0)


def test_maximum_and_minimum_take_numbers_on_either_side():
    v = Value(2.0)
    for out in (kilograd.maximum(v, 1.0), kilograd.maximum(1.0, v), v.maximum(1), kilograd.minimum(v, 3)):
        v.grad = 0.0
        out.backward()
        assert (out.data, v.grad) == (2.0, 1.0)
    assert kilograd.maximum(1.0, 2.0) == 2.0
    with pytest.raises(TypeError, match="maximum"):
        kilograd.maximum(v, "a")
    with pytest.raises(TypeError, match="minimum"):
        v.minimum(None)


def test_leaky_relu_refuses_a_slope_that_is_no_number():
    with pytest.raises(TypeError, match="slope of leaky_relu"):
        Value(1.0).leaky_relu("steep")
    assert Value(-1.0).leaky_relu().data == -0.01
    assert Value(-2.0).leaky_relu(slope=0.5).data == -1.0
