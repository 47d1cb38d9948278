"""NumPy: whole columns at a time, derivatives written by hand, buffers allocated once."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.model import Engine, Phases, Run, UnavailableError
from bench.workloads import article, black_scholes, derivatives, moons, rosenbrock, solve, spectrum

ENGINE = Engine(
    "numpy",
    version=np.__version__,
    drive="derivatives by hand, whole columns at a time, buffers reused",
    otherwise="has no derivatives, and there is no array in this to work on",
)


@ENGINE.runs(article.ARTICLE)
def article_loop(problem: article.Article) -> Run:
    xs = np.column_stack([np.array(article.XS), np.ones(4)])
    ys = np.array(article.YS)

    def run() -> Phases:
        p = np.array(problem.parameters)
        p1, p2, p3 = p[:16].reshape(4, 4), p[16:36].reshape(4, 5), p[36:]
        h1, h2 = np.ones((4, 5)), np.ones((4, 5))
        gradient = np.empty(41)
        losses = []
        yield None
        for _ in range(problem.steps):
            np.tanh(xs @ p1.T, out=h1[:, :4])
            np.tanh(h1 @ p2.T, out=h2[:, :4])
            out = np.tanh(h2 @ p3)
            error = out - ys
            dz3 = 2.0 * error * (1.0 - out * out)
            dz2 = np.outer(dz3, p3[:4]) * (1.0 - h2[:, :4] ** 2)
            dz1 = (dz2 @ p2[:, :4]) * (1.0 - h1[:, :4] ** 2)
            gradient[:16] = (dz1.T @ xs).ravel()
            gradient[16:36] = (dz2.T @ h1).ravel()
            gradient[36:] = dz3 @ h2
            p -= article.RATE * gradient
            losses.append(float(error @ error))
        yield "training"
        return {"losses": losses, "parameters": p}

    return run


class HingeStep:
    """Loss and gradient of the moons network, by hand. A column of ones beside each input takes the bias along."""

    def __init__(self, problem: moons.Moons) -> None:
        n = len(problem.rows)
        self.n, self.y = n, np.array(problem.targets)
        self.x = np.column_stack([np.array(problem.rows), np.ones(n)])
        self.h1, self.h2 = np.ones((n, 17)), np.ones((n, 17))
        self.z, self.d2, self.d1 = np.empty((n, 16)), np.empty((n, 16)), np.empty((n, 16))
        self.on1, self.on2 = np.empty((n, 16), bool), np.empty((n, 16), bool)
        self.gradient = np.empty(337)

    def __call__(self, p: Any) -> tuple[float, Any]:
        p1, p2, p3 = p[:48].reshape(16, 3), p[48:320].reshape(16, 17), p[320:]
        np.matmul(self.x, p1.T, out=self.z)
        np.greater(self.z, 0.0, out=self.on1)
        np.maximum(self.z, 0.0, out=self.h1[:, :16])
        np.matmul(self.h1, p2.T, out=self.z)
        np.greater(self.z, 0.0, out=self.on2)
        np.maximum(self.z, 0.0, out=self.h2[:, :16])
        margin = 1.0 - self.y * (self.h2 @ p3)
        on = margin > 0.0
        loss = float(margin @ on) / self.n
        ds = on * self.y
        ds *= -1.0 / self.n
        np.multiply(ds[:, None], p3[:16], out=self.d2)
        self.d2 *= self.on2
        np.matmul(self.d2, p2[:, :16], out=self.d1)
        self.d1 *= self.on1
        np.matmul(self.d1.T, self.x, out=self.gradient[:48].reshape(16, 3))
        np.matmul(self.d2.T, self.h1, out=self.gradient[48:320].reshape(16, 17))
        np.matmul(ds, self.h2, out=self.gradient[320:])
        return loss, self.gradient


@ENGINE.runs(moons.MOONS)
def moons_demo(problem: moons.Moons) -> Run:
    step, p = HingeStep(problem), np.array(problem.parameters)

    def run() -> Phases:
        loss, gradient = step(p)
        loss += moons.ALPHA * float(p @ p)
        gradient += 2.0 * moons.ALPHA * p
        yield "step"
        return {"loss": [loss], "gradient": gradient}

    return run


def moons_run(problem: moons.Moons) -> Run:
    step, p = HingeStep(problem), np.array(problem.parameters)

    def run() -> Phases:
        loss, gradient = step(p)
        yield "step"
        return {"loss": [loss], "gradient": gradient}

    return run


ENGINE.runs(moons.MOONS_100)(moons_run)
ENGINE.runs(moons.MOONS_10000)(moons_run)


@ENGINE.runs(rosenbrock.ROSENBROCK)
def hessian(problem: rosenbrock.Rosenbrock) -> Run:
    x = np.array(problem.point)
    n = len(x)

    def run() -> Phases:
        matrix = np.zeros((n, n))
        diagonal, above, below = (matrix.ravel()[start :: n + 1] for start in (0, 1, n))
        diagonal[:-1] = 1200.0 * x[:-1] ** 2 - 400.0 * x[1:] + 2.0
        diagonal[1:] += 200.0
        above[: n - 1] = below[: n - 1] = -400.0 * x[:-1]
        yield "hessian"
        return {"hessian": matrix.ravel()}

    return run


@ENGINE.runs(solve.SOLVE)
def system(problem: solve.System) -> Run:
    matrix, right, weights = (np.array(part) for part in (problem.matrix, problem.right, problem.weights))

    def run() -> Phases:
        x, u = np.linalg.solve(matrix, right), np.linalg.solve(matrix.T, weights)
        value, gradient = weights @ x, np.outer(-u, x)
        yield "call"
        return {"value": [value], "gradient": [*gradient.ravel(), *u]}

    return run


@ENGINE.runs(spectrum.SPECTRUM)
def misfit_of_spectrum(problem: spectrum.Signal) -> Run:
    numbers, target = np.array(problem.numbers), np.array(problem.target)
    n = len(numbers)

    def run() -> Phases:
        z = np.fft.rfft(numbers)
        power = z.real**2 + z.imag**2
        rest = np.log1p(power) - target
        slope = 2.0 * rest / (1.0 + power) * z
        slope[1 : (n + 1) // 2] *= 0.5  # which irfft() counts twice
        value, gradient = rest @ rest, 2.0 * np.fft.irfft(slope, n, norm="forward")
        yield "call"
        return {"value": [value], "gradient": gradient}

    return run


@ENGINE.runs(derivatives.LOGISTIC)
def logistic(problem: derivatives.Function) -> Run:
    assert isinstance(problem, derivatives.Logistic)
    table, w = np.array(problem.table), np.array(problem.point)

    def run() -> Phases:
        p = 1.0 / (1.0 + np.exp(table @ w))
        matrix = (table.T * (p * (1.0 - p))) @ table
        yield "hessian"
        return {"hessian": matrix.ravel()}

    return run


def _ndtr() -> Any:
    try:
        from scipy.special import ndtr
    except ImportError:
        raise UnavailableError("the normal distribution function is SciPy's, which is not installed") from None
    return ndtr


@ENGINE.runs(black_scholes.BLACK_SCHOLES, "price only")
def price_only(problem: black_scholes.BlackScholes) -> Run:
    columns, ndtr = [np.array(column) for column in problem.columns], _ndtr()

    def run() -> Phases:
        prices = black_scholes.price(*columns, sqrt=np.sqrt, log=np.log, exp=np.exp, cdf=ndtr)
        yield "call"
        return black_scholes.shown(prices)

    return run


@ENGINE.runs(black_scholes.BLACK_SCHOLES)
def sensitivities(problem: black_scholes.BlackScholes) -> Run:
    columns, ndtr = [np.array(column) for column in problem.columns], _ndtr()

    def run() -> Phases:
        s, k, t, r, v = columns
        root = np.sqrt(t)
        spread = v * root
        d1 = (np.log(s / k) + (r + 0.5 * v * v) * t) / spread
        n1, n2 = ndtr(d1), ndtr(d1 - spread)
        density = np.exp(-0.5 * d1 * d1) * (s / np.sqrt(2.0 * np.pi))
        discount = np.exp(-r * t)
        paid = k * discount * n2
        prices = s * n1 - paid
        derivatives = (n1, -discount * n2, density * v / (2.0 * root) + r * paid, t * paid, density * root)
        yield "call"
        return black_scholes.shown(prices, derivatives)

    return run
