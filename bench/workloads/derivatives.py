"""Jacobians and Hessians of functions as scientists write them, by the functions that they call in a loop.

The functions take arrays of any number type and NumPy's functions of it; what is right is found by complex steps, exact
to rounding, or by hand.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.model import Floor, Metric, Results, Workload


@dataclass(frozen=True)
class Function:
    """A function of one array, and where its derivatives are wanted."""

    call: Callable[[Any], Any]
    point: Sequence[float]


def jacobian(problem: Function) -> Results:
    """By complex steps, row after row."""
    import numpy as np

    n, step = len(problem.point), 1e-40
    columns = [problem.call(np.array(problem.point) + 1j * step * unit).imag / step for unit in np.eye(n)]
    return {"jacobian": np.array(columns).T.ravel()}


def _workload(
    name: str,
    title: str,
    make: Callable[[bool], Function],
    microseconds: float,
    *,
    expected: Callable[[Function], Results] = jacobian,
    metric: str = "jacobian",
    floors: Sequence[Floor] = (),
) -> Workload[Function]:
    return Workload(
        name=name,
        title=title,
        make=make,
        metrics=[Metric(metric, "call")],
        floors=[Floor(f"at most {microseconds:g} us", metric, at_most=microseconds * 1e-6), *floors],
        expected=expected,
        tolerance=1e-8,
    )


def _beside_ddx(to: str, times: float = 1.2) -> Floor:
    text = f"at most {times:g} times ddx-ad compiled"
    return Floor(text, "jacobian", at_least=1 / times, engine="ddx-ad (compiled)", to=to)


RECORDED = [_beside_ddx("kilograd (program)")]


# --- optimal control: the Van der Pol oscillator, multiple shooting by Runge-Kutta steps


def _van_der_pol(intervals: int) -> Callable[[Any], Any]:
    h = 10.0 / intervals

    def slope(s: Any, u: Any) -> Any:
        import numpy as np

        return np.array([(1 - s[1] ** 2) * s[0] - s[1] + u, s[0]])

    def defects(z: Any) -> Any:
        import numpy as np

        states, controls = z[: 2 * (intervals + 1)].reshape(-1, 2), z[2 * (intervals + 1) :]
        found = []
        for s, after, u in zip(states, states[1:], controls, strict=False):
            k1 = slope(s, u)
            k2 = slope(s + h / 2 * k1, u)
            k3 = slope(s + h / 2 * k2, u)
            k4 = slope(s + h * k3, u)
            found.append(after - (s + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)))
        return np.concatenate(found)

    return defects


def _control(intervals: int) -> Function:
    rng = random.Random(1)
    return Function(_van_der_pol(intervals), [rng.gauss(0.0, 0.5) for _ in range(3 * intervals + 2)])


# --- a curve of four parameters


def _curve(points: int) -> Function:
    def residuals(p: Any) -> Any:
        import numpy as np

        t = np.linspace(0.0, 1.0, points)
        return p[0] * np.exp(-p[1] * t) + p[2] * np.sin(p[3] * t) - np.exp(-t)

    return Function(residuals, [1.0, 2.0, 0.3, 4.0])


# --- a hand: points that follow four bones, each turned and moved


def _hand(points: int) -> Function:
    rng = random.Random(3)
    rows = [[rng.gauss(0.0, 1.0) for _ in range(3)] for _ in range(points)]
    shares = [[rng.random() for _ in range(4)] for _ in range(points)]

    def turned(angles: Any) -> Any:
        import numpy as np

        (a, b, c), (sa, sb, sc) = np.cos(angles), np.sin(angles)
        return np.array(
            [
                [b * c, sa * sb * c - a * sc, a * sb * c + sa * sc],
                [b * sc, sa * sb * sc + a * c, a * sb * sc - sa * c],
                [-sb, sa * b, a * b],
            ]
        )

    def residuals(p: Any) -> Any:
        import numpy as np

        bones = [(turned(p[6 * k : 6 * k + 3]), p[6 * k + 3 : 6 * k + 6]) for k in range(4)]
        found = []
        for row, share in zip(rows, shares, strict=True):
            place = sum(
                w / sum(share) * (turn @ np.array(row) + move) for w, (turn, move) in zip(share, bones, strict=True)
            )
            found.append(p[24] * place + p[25])
        return np.concatenate(found)

    return Function(residuals, [rng.gauss(0.0, 0.3) for _ in range(26)])


# --- logistic regression


@dataclass(frozen=True)
class Logistic(Function):
    """The loss of all rows, of which `table` has the features times the sign of the class."""

    table: Sequence[Sequence[float]]


def _logistic(rows: int, features: int) -> Logistic:
    rng = random.Random(4)
    table = [[rng.choice([-1, 1]) * rng.gauss(0.0, 1.0) for _ in range(features)] for _ in range(rows)]

    def loss(w: Any) -> Any:
        import numpy as np

        return np.log1p(np.exp(-(np.array(table) @ w))).sum()

    return Logistic(loss, [rng.gauss(0.0, 0.1) for _ in range(features)], table)


def logistic_hessian(problem: Function) -> Results:
    """By hand."""
    import numpy as np

    assert isinstance(problem, Logistic)
    table = np.array(problem.table)
    p = 1.0 / (1.0 + np.exp(table @ np.array(problem.point)))
    return {"hessian": ((table.T * (p * (1.0 - p))) @ table).ravel()}


# --- bundle adjustment: a camera of eleven parameters, a point and a weight in each row


@dataclass(frozen=True)
class Bundle:
    """Rows of 15 numbers."""

    rows: Sequence[Sequence[float]]


def projected(row: Sequence[Any], sqrt: Any, sin: Any, cos: Any) -> list[Any]:
    """The weighted error of a camera's picture of a point, over any number type."""
    r, center, focal, x0, radial, place, weight = row[:3], row[3:6], row[6], row[7:9], row[9:11], row[11:14], row[14]
    d = [a - b for a, b in zip(place, center, strict=True)]
    angle = sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2])
    axis = [a / angle for a in r]
    along = (axis[0] * d[0] + axis[1] * d[1] + axis[2] * d[2]) * (1.0 - cos(angle))
    cross = [axis[(k + 1) % 3] * d[(k + 2) % 3] - axis[(k + 2) % 3] * d[(k + 1) % 3] for k in range(3)]
    p = [d[k] * cos(angle) + cross[k] * sin(angle) + axis[k] * along for k in range(3)]
    u, v = p[0] / p[2], p[1] / p[2]
    square = u * u + v * v
    bent = 1.0 + radial[0] * square + radial[1] * square * square
    return [weight * (x0[0] + focal * u * bent - 0.1), weight * (x0[1] + focal * v * bent - 0.2)]


def _bundle(rows: int) -> Bundle:
    rng = random.Random(5)
    base = [0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 1.0, 0.1, 0.1, 0.01, 0.01, 0.1, 0.2, 5.0, 1.0]
    return Bundle([[x * rng.uniform(0.95, 1.05) for x in base] for _ in range(rows)])


def bundle_jacobians(problem: Bundle) -> Results:
    """By complex steps."""
    import numpy as np

    x, step = np.array(problem.rows), 1e-40
    columns = [
        np.array(projected(list((x + 1j * step * unit).T), np.sqrt, np.sin, np.cos)).imag / step for unit in np.eye(15)
    ]
    return {"jacobian": np.array(columns).transpose(2, 1, 0).ravel()}


# --- a small function called often


def rosenbrock(x: Any) -> Any:
    """As it is written with NumPy."""
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()


def rosenbrock_at(n: int) -> Function:
    return Function(rosenbrock, [0.5 + 0.7 * (i % 3) for i in range(n)])


def rosenbrock_gradient(problem: Function) -> Results:
    """By complex steps."""
    return {"gradient": jacobian(problem)["jacobian"]}


def rosenbrock_hessian(problem: Function) -> Results:
    """By complex steps of the gradient by hand."""
    import numpy as np

    def gradient(x: Any) -> Any:
        found = np.zeros(len(x), dtype=x.dtype)
        inner = x[1:] - x[:-1] ** 2
        found[:-1] += -400.0 * x[:-1] * inner - 2.0 * (1.0 - x[:-1])
        found[1:] += 200.0 * inner
        return found

    return {"hessian": jacobian(Function(gradient, problem.point))["jacobian"]}


# --- a sum whose terms are chosen by comparisons


def _branches(x: Any) -> Any:
    total = 0.0
    for each in x:
        total = total + (0.5 * each * each if abs(each) < 1.0 else abs(each) - 0.5)
    return total


def branches_gradient(problem: Function) -> Results:
    """By hand."""
    import numpy as np

    return {"gradient": np.clip(np.array(problem.point), -1.0, 1.0)}


CONTROL_20 = _workload(
    "control",
    "Optimal control, 20 intervals: Jacobian of the defects, 40 x 62",
    lambda quick: _control(20),
    15,
    floors=RECORDED,
)
CONTROL_200 = _workload(
    "control-200",
    "Optimal control, 200 intervals: Jacobian of the defects, 400 x 602",
    lambda quick: _control(10 if quick else 200),
    150,
    floors=RECORDED,
)
CURVE = _workload(
    "curve", "Fit of a curve to 60 points: Jacobian, 60 x 4", lambda quick: _curve(60), 3, floors=RECORDED
)
HAND = _workload(
    "hand",
    "A hand of four bones, 100 points: Jacobian, 300 x 26",
    lambda quick: _hand(5 if quick else 100),
    30,
    floors=RECORDED,
)
LOGISTIC = _workload(
    "logistic",
    "Logistic regression, 569 rows, 30 features: Hessian",
    lambda quick: _logistic(20, 5) if quick else _logistic(569, 30),
    120,
    expected=logistic_hessian,
    metric="hessian",
)
COMPILED_HESSIAN = _workload(
    "compiled-hessian",
    "Rosenbrock's function of 100 numbers, compiled: Hessian",
    lambda quick: rosenbrock_at(10 if quick else 100),
    4,
    expected=rosenbrock_hessian,
    metric="hessian",
)
SPARSE_HESSIAN = _workload(
    "sparse-hessian",
    "Rosenbrock's function of 1,000 numbers, compiled: entries of the Hessian",
    lambda quick: rosenbrock_at(10 if quick else 1_000),
    150,
    expected=rosenbrock_hessian,
    metric="hessian",
)
COMPILED_CALL = _workload(
    "compiled-call",
    "Rosenbrock's function of 10 numbers, compiled: value and gradient",
    lambda quick: rosenbrock_at(10),
    2,
    expected=rosenbrock_gradient,
    metric="gradient",
)
BRANCHES_CALL = _workload(
    "branches-call",
    "Huber's function of 10 numbers, by comparisons, compiled: value and gradient",
    lambda quick: Function(_branches, [0.3, -1.7, 2.5, -0.2, 0.9, 1.1, -3.0, 0.5, -0.8, 4.0]),
    3,
    expected=branches_gradient,
    metric="gradient",
)
BUNDLE: Workload[Bundle] = Workload(
    name="bundle",
    title="Bundle adjustment, 31,843 rows: Jacobians, 2 x 15 each",
    make=lambda quick: _bundle(50 if quick else 31_843),
    metrics=[Metric("jacobian", "call")],
    floors=[Floor("at most 1.5 ms", "jacobian", at_most=1.5e-3), _beside_ddx("kilograd", times=0.8)],
    expected=bundle_jacobians,
)

FUNCTIONS = [CONTROL_20, CONTROL_200, CURVE, HAND]
"""Those whose Jacobian is wanted."""
WORKLOADS: list[Workload[Any]] = [
    *FUNCTIONS,
    BUNDLE,
    LOGISTIC,
    COMPILED_HESSIAN,
    SPARSE_HESSIAN,
    COMPILED_CALL,
    BRANCHES_CALL,
]
