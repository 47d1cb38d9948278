"""Small programs as people write them, with NumPy, SciPy and `math` inside: compiled, they give what they give plain.

Each is called at several points, alone and in a batch; derivatives are those of central differences. What cannot be
recorded is refused with a message that says so, and nothing is wrong in silence.
"""

from __future__ import annotations

import math
from math import exp as exponential
from math import hypot

import numpy as np
import pytest
import scipy.linalg
import scipy.special
import scipy.stats
from numpy import array, zeros
from scipy.special import logsumexp
from scipy.stats import norm

import kilograd

V = np.array([0.7, 1.9, -1.3])
P = np.array([0.4, 1.1, 2.6])  # positive
W = np.array([0.3, -0.8, 1.7, 0.9])
M = np.array([[2.0, 0.3, -0.4], [0.5, 1.5, 0.2], [-0.3, 0.4, 1.8]])
TABLE = np.array([[1.0, 2.0, -1.0], [0.5, -1.0, 3.0]])


def positive_definite(x):
    return np.outer(x, x) + np.diag(x * x + 1.0)


def gaussian_process(x):
    t = np.arange(4.0)
    K = x[0] ** 2 * np.exp(-0.5 * ((t[:, None] - t[None, :]) / x[1]) ** 2) + 0.1 * np.eye(4)
    y = np.array([0.5, -0.2, 0.3, 1.0])
    L = np.linalg.cholesky(K)
    alpha = np.linalg.solve(L.T, np.linalg.solve(L, y))
    return 0.5 * y @ alpha + np.log(np.diag(L)).sum()


def kalman(x):
    mean, variance, total = 0.0, 1.0, 0.0
    for y in [0.5, 0.1, -0.3, 0.8]:
        variance = variance + x[0] ** 2
        s = variance + x[1] ** 2
        gain = variance / s
        total += 0.5 * (np.log(2 * np.pi * s) + (y - mean) ** 2 / s)
        mean = mean + gain * (y - mean)
        variance = (1 - gain) * variance
    return total


def runge_kutta(x):
    def rate(y):
        return np.array([x[0] * y[0] - x[1] * y[0] * y[1], y[0] * y[1] - x[2] * y[1]])

    y = np.array([1.0, 0.5])
    for _ in range(5):
        k1 = rate(y)
        k2 = rate(y + 0.05 * k1)
        k3 = rate(y + 0.05 * k2)
        k4 = rate(y + 0.1 * k3)
        y = y + 0.1 / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y


def rotation(x):
    R = np.eye(3)
    R[0, 0] = np.cos(x[0])
    R[0, 1] = -np.sin(x[0])
    R[1, 0], R[1, 1] = np.sin(x[0]), np.cos(x[0])
    return R @ x


def filled(x):
    out = np.zeros(5)
    for i in range(3):
        out[i] = x[i] ** 2
    out[3:] += x[:2]
    return out


def thomas(x):
    n = len(x)
    b, d = 2.0 + x * x, x.copy()
    c = np.empty(n)
    y = np.empty(n)
    c[0] = 1.0 / b[0]
    y[0] = d[0] / b[0]
    for i in range(1, n):
        m = b[i] - c[i - 1]
        c[i] = 1.0 / m
        y[i] = (d[i] - y[i - 1]) / m
    for i in range(n - 2, -1, -1):
        y[i] -= c[i] * y[i + 1]
    return y


def accumulated(x):
    acc = np.zeros(1)
    for v in x:
        acc[0] += v * v
    return acc[0]


def cholesky_by_hand(x):
    A = positive_definite(x)
    n = len(A)
    L = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            s = A[i, j] - L[i, :j] @ L[j, :j]
            L[i, j] = np.sqrt(s) if i == j else s / L[j, j]
    return np.log(np.diag(L)).sum()


def in_place(x):
    y = np.ones(3)
    y += x
    y *= 2.0
    y[y > 3.0] = 3.0
    y[0] /= 3.0
    return y


def heron(x):
    a, b, c = math.sqrt(x[0]), math.hypot(x[1], 1.0), math.exp(-x[2])
    return math.log(a * a + b) + math.atan2(c, a) + math.pow(b, 1.5) + math.fsum([a, b, c]) + math.erf(a)


def imported(x):
    return exponential(-x[0]) + hypot(x[1], x[2]) + logsumexp(x) + array([x[0], 2.0]).sum() + zeros(2)[0]


def soft_threshold(x):
    return np.sign(x) * np.maximum(np.abs(x) - 0.5, 0.0)


def huber(x):
    r = x - np.array([0.0, 0.5, -1.0])
    return np.where(np.abs(r) < 1.0, 0.5 * r**2, np.abs(r) - 0.5).sum()


def quadrature(x):
    t = np.linspace(0.0, 1.0, 11)
    return np.trapezoid(np.exp(-x[0] * t) * np.sin(x[1] * t), t)


def option(x):
    spot, vol, rate = 100.0 * x[0], 0.2 + 0.1 * abs(x[1]), 0.01 * x[2]
    d1 = (np.log(spot / 95.0) + rate + 0.5 * vol**2) / vol
    return spot * scipy.special.ndtr(d1) - 95.0 * np.exp(-rate) * scipy.special.ndtr(d1 - vol)


def network(x):
    h = np.tanh(TABLE @ x + 0.1)
    z = np.stack([h.sum(), h[0] * h[1], h[0]])
    z = z - z.max()
    return np.log(np.exp(z).sum()) - z[1]


def newton(x):
    y = x[0]
    for _ in range(20):
        step = (y**3 + y - x[1]) / (3 * y**2 + 1)
        y = y - step
        if abs(step) < 1e-13:
            break
    return y


def likelihood(x):
    data = np.array([0.3, -0.5, 1.2])
    return -np.mean(-0.5 * ((data - x[0]) / np.exp(x[1])) ** 2 - x[1] - 0.5 * np.log(2 * np.pi))


def path_length(x):
    points = np.column_stack([np.cumsum(x), np.cumsum(x**2)])
    return np.sum(np.linalg.norm(np.diff(points, axis=0), axis=1))


def double_pendulum(x):
    a, b = np.deg2rad(30.0 * x[0]), np.deg2rad(20.0 * x[1])
    mass = np.array([[2.0, np.cos(a - b)], [np.cos(a - b), 1.0]])
    force = np.array([-np.sin(a), x[2] - np.sin(b)])
    return np.linalg.solve(mass, force)


def polar(x):
    r = np.hypot(x[0], x[1])
    angle = np.arctan2(x[1], x[0])
    return np.array([r, angle, np.rad2deg(angle)])


def weights(x):
    w = np.exp(x - np.max(x))
    return w / w.sum()


def circular(x):
    return ((np.cumsum(x) + np.pi) % (2 * np.pi) - np.pi) ** 2


def piecewise_linear(x):
    return np.interp(x, [-1.0, 0.0, 1.0, 2.0], [0.5, 0.0, 2.0, 1.0])


def spline_table(x):
    knots = np.linspace(-2.0, 2.0, 9)
    k = np.clip(np.searchsorted(knots, x[0]) - 1, 0, 7)
    t = (x[0] - knots[k]) / 0.5
    return (1 - t) * np.sin(knots[k]) + t * np.sin(knots[k + 1]) + x[1]


def stacked(x):
    return np.vstack([x, x[::-1] ** 2, np.full(3, x[0])])


def padded(x):
    return np.convolve(np.pad(x, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")


def table_lookup(x):
    prices = [1.0, 2.5, 4.0, 8.0]
    return prices[int(x[1])] * x[0]


def trimmed(x):
    return np.sort(x)[1:-1].mean() + np.median(x) * x[0]


def standardised(x):
    return (x - x.mean()) / x.std(ddof=1)


def covariance(x):
    data = np.column_stack([x, x**2, np.sin(x)])
    return np.cov(data, rowvar=False)


def choices(x):
    return np.select([x < 0.0, x < 1.0], [x**2, x**3], default=np.sqrt(np.abs(x)))


def pieces(x):
    return np.piecewise(x, [x < 0, x >= 0], [lambda v: -v * v, lambda v: np.sqrt(v)])


def handled(x):
    try:
        return np.linalg.cholesky(np.array([[x[0], x[1]], [x[1], 2.0]]))[1, 1]
    except np.linalg.LinAlgError:
        return x[2] * 10.0


def by_name(x):
    return np.logaddexp(x[0], x[1]) + np.logaddexp.reduce(x)


def typed(x):
    y = np.asarray(x, dtype=float)
    assert np.issubdtype(y.dtype, np.floating)
    return y.astype(float).sum() * y[0]


def divmod_into(x, a, b):
    np.divmod(x, 0.75, out=(a, b))


def batched_matrices(x):
    A = np.stack([positive_definite(x), positive_definite(x[::-1])])
    return np.linalg.det(A) + np.linalg.inv(A)[:, 0, 1]


RUN = {
    "add": lambda x: x + 2 * x[::-1] - 1 / (3 + x),
    "matrix-vector": lambda x: TABLE @ x,
    "vector-matrix": lambda x: x @ M,
    "quadratic-form": lambda x: x @ M @ x,
    "method-dot": lambda x: x.dot(M).dot(x),
    "np-dot": lambda x: np.dot(M, x),
    "inner": lambda x: np.inner(x, x),
    "outer": lambda x: np.outer(x, x + 1),
    "vdot": lambda x: np.vdot(x, x[::-1]),
    "einsum": lambda x: np.einsum("ij,j->i", M, x),
    "einsum-3": lambda x: np.einsum("i,ij,j", x, M, x),
    "tensordot": lambda x: np.tensordot(M, x, axes=1),
    "kron": lambda x: np.kron(x, x[:2]),
    "cross": lambda x: np.cross(x, [1.0, 2.0, 3.0]),
    "trace": lambda x: np.trace(np.outer(x, x)),
    "triangles": lambda x: np.tril(np.outer(x, x)) + np.triu(np.outer(x, x), 1) * 2,
    "diagonal": lambda x: np.diag(x) @ x + np.diag(np.outer(x, x)),
    "broadcasting": lambda x: np.exp(-((x[:, None] - x[None, :]) ** 2)).sum(),
    "slices": lambda x: x[::2].sum() * x[-1] + x[1:] @ x[:-1],
    "fancy": lambda x: x[[0, 2, 0]] * x[np.array([1, 1, 2])],
    "masks": lambda x: x[x > 0].sum() ** 2,
    "mask-product": lambda x: (x > 0.5) * x + (x <= 0.5) * x**2,
    "mask-count": lambda x: x.sum() * (x > 0).sum() + np.mean(x > 0.0) * x,
    "mask-and": lambda x: np.where((x > 0) & (x < 1) | (x < -1), x**2, 3 * x),
    "mask-sum": lambda x: np.where((x > 0) + (x > 1), x, 2 * x) * ((x > 0) * (x < 1)) + np.maximum(x > 0, x < 1) * x,
    "mask-not": lambda x: np.where(~(x > 0), x, x * x),
    "any-all": lambda x: x.sum() if np.any(x > 0) and not np.all(x > 0) else x[0],
    "where": lambda x: np.where(x > 0.3, np.sin(x), x**2),
    "where-scalar": lambda x: np.where(x[0] > x[1], x[0], 2 * x[1]) * x[2],
    "where-constants": lambda x: np.where(x > 0.0, 1.0, -2.0) * x,
    "where-nested": lambda x: np.where(x > 0, np.where(x > 1, x**2, x), 0.1 * x),
    "select": choices,
    "piecewise": pieces,
    "maximum": lambda x: np.maximum(x, 0.2) * np.minimum(x, x[::-1]),
    "fmax": lambda x: np.fmax(x, 0.2) + np.fmin(x, -0.1),
    "clip": lambda x: np.clip(x, -1.0, 1.0) + x.clip(min=0.1) + np.clip(x, None, x[0]),
    "abs": lambda x: np.abs(x) + np.fabs(x) + abs(x),
    "sign": lambda x: np.sign(x) * x**2,
    "heaviside": lambda x: np.heaviside(x, 0.5) * x,
    "copysign": lambda x: np.copysign(x**2, x[::-1]),
    "max-min": lambda x: x.max() - np.min(x) + np.ptp(x) * np.amax(x**2),
    "max-axis": lambda x: np.max(np.outer(x, x + 1), axis=1) + np.outer(x, x).min(axis=0),
    "argmax": lambda x: x[np.argmax(x)] ** 2 + x[x.argmin()],
    "builtin-max": lambda x: max(x) * min(x[0], x[1]),
    "sort": lambda x: np.sort(x) * np.array([1.0, 2.0, 3.0]),
    "sort-method": lambda x: (lambda y: (y.sort(), y[1] * y[2])[1])(x.copy()),
    "sort-long": lambda x: np.sort(np.concatenate([x, 2 * x, x**2, -x])) @ np.arange(12.0),
    "argsort": lambda x: x[np.argsort(x)] @ [1.0, 2.0, 4.0],
    "median": lambda x: np.median(x) + np.median(np.append(x, x[0] * 2)),
    "median-axis": lambda x: np.median(np.outer(x, x + 1), axis=1),
    "percentile": lambda x: np.percentile(x, 30) + np.quantile(x, [0.1, 0.9]),
    "partition": lambda x: np.partition(x, 1)[1] * x[0],
    "partition-long": lambda x: np.partition(np.concatenate([x, 2 * x, x**2, -x]), [3, 7]) * np.arange(12.0),
    "trimmed": trimmed,
    "sorted": lambda x: sorted(x)[0] * 3.0,
    "mean": lambda x: x.mean() * np.mean(x**2),
    "var": lambda x: np.var(x) + x.var(ddof=1),
    "std": lambda x: np.std(x) * x.std(axis=0),
    "standardised": standardised,
    "average": lambda x: np.average(x, weights=[1.0, 2.0, 3.0]),
    "cov": covariance,
    "corrcoef": lambda x: np.corrcoef(x, x**2 + x[0])[0, 1],
    "cumsum": lambda x: np.cumsum(x) * x.cumsum(),
    "cumprod": lambda x: np.cumprod(x),
    "prod": lambda x: np.prod(x) + x.prod(),
    "diff": lambda x: np.diff(x) ** 2,
    "gradient": lambda x: np.gradient(x**2, 0.5),
    "trapezoid": quadrature,
    "interp": piecewise_linear,
    "interp-outside": lambda x: np.interp(x * 2, [-1.0, 0.0, 1.0], [1.0, 0.0, 2.0], left=-5.0, right=7.0),
    "interp-values": lambda x: np.interp(0.3, [0.0, 0.5, 1.0], x),
    "searchsorted": spline_table,
    "polyval": lambda x: np.polyval(x, 2.0) + np.polyval([1.0, 2.0], x),
    "vander": lambda x: np.vander(x, 3) @ x,
    "convolve": padded,
    "correlate": lambda x: np.correlate(x, [1.0, 2.0, 0.5], mode="same"),
    "roll": lambda x: np.roll(x, 1) * x,
    "flip-repeat-tile": lambda x: np.flip(x).repeat(2) + np.tile(x, 2),
    "stack": stacked,
    "concatenate": lambda x: np.concatenate([x, [1.0], x**2]),
    "hstack-scalars": lambda x: np.hstack([x[0], x[1] * 2, 3.0]),
    "meshgrid": lambda x: np.add(*np.meshgrid(x, x**2)),
    "block": lambda x: np.block([[np.outer(x, x), x[:, None]], [x[None, :], np.ones((1, 1))]]),
    "apply-along-axis": lambda x: np.apply_along_axis(lambda r: r @ r, 1, np.outer(x, x)),
    "vectorize": lambda x: np.vectorize(lambda v: v * v + 1)(x),
    "linspace": lambda x: np.linspace(x[0], x[1], 5) ** 2,
    "full": lambda x: np.full((2, 2), x[0]) * np.full_like(x[:2], x[1]),
    "logs": lambda x: np.log2(x**2 + 1) + np.log10(x**2 + 2) + np.log1p(x**2),
    "exps": lambda x: np.exp2(x) + np.expm1(x) + np.exp(-x),
    "logaddexp": lambda x: np.logaddexp(x, x[::-1]) + np.logaddexp2(x, 0.5),
    "roots": lambda x: np.cbrt(x) + np.sqrt(x**2 + 1) + np.square(x) + np.reciprocal(x),
    "angles": lambda x: np.deg2rad(x) + np.degrees(x) + np.arctan2(x, x[::-1]) + np.hypot(x, 2.0),
    "trigonometry": lambda x: np.sin(x) * np.cos(x) + np.tan(x / 3) + np.arcsin(x / 3) + np.arctan(x),
    "hyperbolic": lambda x: np.sinh(x) + np.cosh(x) + np.tanh(x) + np.arcsinh(x) + np.arctanh(x / 3),
    "powers": lambda x: np.abs(x) ** x[0] + 2.0**x + np.power(np.abs(x), 1.5) + x**-1,
    "floor": lambda x: np.floor(x) * x + np.ceil(x) + np.trunc(x) + np.fix(x) + np.rint(x),
    "round": lambda x: np.round(x) * x + (x * 1.03).round(1) + np.round(x * 70, -1),
    "modulo": lambda x: x % 0.8 + np.mod(x, x[0]) + x // 0.4 + np.fmod(x, 0.75),
    "modulo-scalar": lambda x: x[0] % 0.3 + 5.0 % x[1] + x[2] // 0.3 + divmod(x[0], 0.2)[1],
    "sinc": lambda x: np.sinc(x),
    "unwrap": lambda x: np.unwrap(3 * np.cumsum(x)),
    "nan-to-num": lambda x: np.nan_to_num(x) ** 2,
    "isfinite": lambda x: np.where(np.isfinite(x) & ~np.isnan(x), x, 0.0),
    "allclose": lambda x: x.sum() if np.allclose(x, x) else 0.0,
    "norms": lambda x: np.linalg.norm(x) + np.linalg.norm(np.outer(x, x), axis=1) + np.linalg.norm(x, 1),
    "norm-inf": lambda x: np.linalg.norm(x, np.inf) + np.linalg.norm(M * x, "fro"),
    "solve": lambda x: np.linalg.solve(M + np.diag(x**2), x),
    "solve-columns": lambda x: np.linalg.solve(M, np.outer(x, x)),
    "solve-pivots": lambda x: np.linalg.solve(np.array([[0.0, 1.0, x[0]], [1.0, 0.0, 0.5], [x[1], 2.0, 0.0]]), x),
    "solve-large": lambda x: np.linalg.solve(np.eye(40) * 2 + np.tri(40), np.arange(40.0) * x[0] + x[1])[::13],
    "solve-constants": lambda x: np.linalg.solve(np.zeros((2, 2)) + np.eye(2), np.ones(2)) * x[:2] + np.linalg.det(M),
    "inv": lambda x: np.linalg.inv(M + np.diag(x)) @ x,
    "det": lambda x: np.linalg.det(np.outer(x, x) + np.eye(3)),
    "det-4": lambda x: np.linalg.det(np.eye(4) + 0.1 * np.vander([1.0, 2.0, 3.0, 4.0]) * x[0]),
    "slogdet": lambda x: np.linalg.slogdet(positive_definite(x))[1] + np.linalg.slogdet(-np.eye(3) * x[0])[0],
    "cholesky": lambda x: np.linalg.cholesky(positive_definite(x)),
    "eigvalsh-3": lambda x: np.linalg.eigvalsh(positive_definite(x)),
    "eigh": lambda x: np.linalg.eigh(positive_definite(x))[1],
    "eigvalsh": lambda x: np.linalg.eigvalsh(np.array([[x[0], x[1]], [x[1], x[2]]])),
    "matrix-power": lambda x: np.linalg.matrix_power(np.outer(x, x) * 0.3, 3),
    "multi-dot": lambda x: np.linalg.multi_dot([M, np.outer(x, x), M]),
    "batched": batched_matrices,
    "scipy-cholesky": lambda x: scipy.linalg.cholesky(positive_definite(x), lower=True),
    "scipy-cho-solve": lambda x: scipy.linalg.cho_solve(scipy.linalg.cho_factor(positive_definite(x)), x),
    "scipy-triangular": lambda x: scipy.linalg.solve_triangular(np.tril(np.outer(x, x)) + np.eye(3) * 3, x, lower=True),
    "scipy-solve": lambda x: scipy.linalg.solve(positive_definite(x), x, assume_a="pos"),
    "expit": lambda x: scipy.special.expit(x) + scipy.special.log_expit(x),
    "logit": lambda x: scipy.special.logit(scipy.special.expit(x) * 0.5),
    "erf": lambda x: scipy.special.erf(x) + scipy.special.erfc(x / 2) * scipy.special.ndtr(x),
    "xlogy": lambda x: scipy.special.xlogy(x**2, x**2 + 1) + scipy.special.entr(x**2) + scipy.special.xlog1py(x, x**2),
    "xlogy-zero": lambda x: scipy.special.xlogy(np.zeros(3), x**2) + scipy.special.xlogy(x * 0.0, 0.0) + x,
    "kl-div": lambda x: scipy.special.kl_div(x**2, 1 + x**2) + scipy.special.rel_entr(x**2, 0.5),
    "huber-scipy": lambda x: scipy.special.huber(1.0, x) + scipy.special.pseudo_huber(0.5, x),
    "gamma": lambda x: scipy.special.gammaln(x**2) + scipy.special.gamma(x + 2) + scipy.special.digamma(x**2),
    "gamma-kin": lambda x: scipy.special.polygamma(1, x**2) + math.lgamma(x[0]),
    "multigammaln": lambda x: scipy.special.multigammaln(x[0] ** 2 + 2.0, 3) + math.gamma(2.0 + x[0]),
    "beta": lambda x: scipy.special.betaln(x**2, 2.0) + scipy.special.beta(1.5, 3.0 + x),
    "bessel": lambda x: np.i0(x) + scipy.special.i1(x) * scipy.special.i0e(x) + scipy.special.i1e(x),
    "normal": lambda x: scipy.special.log_ndtr(x) + scipy.special.ndtri(scipy.special.ndtr(x)) + scipy.special.erfcx(x),
    "normal-stats": lambda x: norm.logpdf(x, x[0], 1.5) * scipy.stats.norm.cdf(x, scale=x[1] ** 2) + norm.sf(x),
    "normal-frozen": lambda x: norm(x[0], 2.0 + x**2).pdf(0.3) + norm(0.0, 1.0).logcdf(x) * norm(x[1], 1.0).logsf(x),
    "normal-quantiles": lambda x: norm.ppf(0.25, x, 2.0) + norm.isf(0.5 + 0.1 * x[0], scale=x**2),
    "normal-constants": lambda x: norm.pdf([0.0, 1.0, 2.0]) * norm.mean() * x + norm.interval(0.5)[0] + x,
    "poisson": lambda x: np.sum(np.array([2.0, 0.0, 5.0]) * x - np.exp(x) - scipy.special.gammaln(x**2 + 1.0)),
    "logsumexp": lambda x: scipy.special.logsumexp(x) + scipy.special.logsumexp(np.outer(x, x), axis=1),
    "softmax": lambda x: scipy.special.softmax(x) + scipy.special.log_softmax(x),
    "logsumexp-by-hand": lambda x: np.log(np.sum(np.exp(x - np.max(x)))) + np.max(x),
    "softmax-by-hand": weights,
    "math": lambda x: heron(np.abs(x) + 0.1),
    "imported-names": imported,
    "math-floor": lambda x: math.floor(x[0] * 2) * x[1] + math.ceil(x[1]) * x[0] + math.trunc(x[2]),
    "int": lambda x: int(x[1]) * x[0] + round(x[0]) * x[2],
    "range-int": lambda x: sum(x[0] ** k for k in range(int(x[1]) + 2)),
    "list-by-int": lambda x: table_lookup(np.abs(x)),
    "zeros": filled,
    "zeros-like": lambda x: (lambda y: (y.__setitem__(0, x[1]), y)[1])(np.zeros_like(TABLE[0])) * x,
    "eye": rotation,
    "empty": thomas,
    "accumulator": accumulated,
    "cholesky-by-hand": cholesky_by_hand,
    "in-place": in_place,
    "argument-in-place": lambda x: (lambda y: (y.__setitem__(slice(0, 2), 0.5), y * x)[1])(x.copy()),
    "ufunc-out-where": lambda x: np.divide(1.0, x, out=np.zeros(3), where=x > 0) + np.log(x, where=x > 0.2, out=1 * x),
    "divmod-out": lambda x: (lambda a, b: (divmod_into(x, a, b), a * x + b)[1])(np.zeros(3), np.zeros(3)),
    "maximum-at": lambda x: (lambda y: (np.maximum.at(y, [0, 0, 2], x), y)[1])(np.zeros(3)),
    "multiply-at": lambda x: (lambda y: (np.multiply.at(y, ([0, 1], [1, 1]), x[:2]), y)[1])(np.outer(x, x)),
    "negative-at": lambda x: (lambda y: (np.negative.at(y, x > 0), y)[1])(1 * x),
    "subtract-at": lambda x: (lambda y: (np.subtract.at(y, slice(1, None), x[0]), y)[1])(1 * x),
    "lstsq": lambda x: np.linalg.lstsq(np.vander([0.0, 1.0, 2.0, 3.0], 2) + x[0], np.append(x, 1.0))[0],
    "expm": lambda x: scipy.linalg.expm(np.outer(x, np.cos(x)))[0],
    "fft-by-matrices": lambda x: (np.fft.rfft(np.eye(3), axis=0).real @ x) ** 2 * np.fft.fftshift(x)[:2],
    "add-at": lambda x: (lambda y: (np.add.at(y, [0, 0, 2], x), y)[1])(np.zeros(3)),
    "copy-of-data": lambda x: (lambda a: (a.__setitem__((0, 0), x[0]), a @ x)[1])(np.array(M)),
    "fromiter": lambda x: np.fromiter((v * v for v in x), dtype=float),
    "typed": typed,
    "dtype": lambda x: x.sum() if x.dtype == np.float64 and x.dtype.kind == "f" else 0.0,
    "tolist": lambda x: sum(v * v for v in x.tolist()),
    "reshape": lambda x: (x.reshape(3, 1) @ x.reshape(1, 3)).T.ravel()[1:].sum(),
    "gaussian-process": gaussian_process,
    "kalman": kalman,
    "runge-kutta": runge_kutta,
    "soft-threshold": soft_threshold,
    "huber": huber,
    "option": option,
    "network": network,
    "newton": newton,
    "likelihood": likelihood,
    "path-length": path_length,
    "pendulum": double_pendulum,
    "polar": polar,
    "circular": circular,
    "handled": handled,
    "by-name": by_name,
    "add-reduceat": lambda x: np.add.reduceat(x * x, [0, 1]),
    "ufunc-outer": lambda x: np.subtract.outer(x, x) ** 2 + np.maximum.outer(x, x[::-1]),
    "maximum-accumulate": lambda x: np.maximum.accumulate(x) * x,
    "nansum": lambda x: np.nansum(x) + np.nanmean(x) + np.nanmax(x),
    "swapaxes": lambda x: np.moveaxis(np.outer(x, x)[None], 0, -1).swapaxes(0, 1)[:, :, 0].squeeze(),
    "scalar-ufuncs": lambda x: np.exp(x[0]) * np.maximum(x[1], 0.0) + np.sqrt(np.abs(x[2])),
    "power-of-list": lambda x: np.sum([x[0], x[1] * 2, 1.0]) * np.max([x[0], 0.1]),
    "float-accumulator": lambda x: sum((np.float64(2.0) * v for v in x), 0.0),
    "ternary": lambda x: x[0] ** 2 if x[0] > x[1] else np.exp(x[1]),
    "isinstance": lambda x: x.sum() if isinstance(x, np.ndarray) and np.ndim(x) == 1 else 0.0,
    "ix": lambda x: np.outer(x, x)[np.ix_([0, 2], [1, 2])].sum(),
    "take-put": lambda x: np.take(x, [2, 0]) * np.take_along_axis(x, np.array([1, 0]), 0),
    "choices-in-a-list": lambda x: np.array([x[0], np.where(x[1] > 0, x[1], 2.0 * x[2]), 1.0]) * x,
    "split": lambda x: np.split(np.concatenate([x, x]), 2)[1] * x,
    "expand-dims": lambda x: np.expand_dims(x, 1) + np.atleast_2d(x),
    "fill-diagonal": lambda x: (lambda a: (np.fill_diagonal(a, x), a @ x)[1])(np.ones((3, 3))),
    "tri-indices": lambda x: np.outer(x, x)[np.triu_indices(3)].sum(),
    "nonzero": lambda x: x[np.nonzero(x > 0)].sum() + np.flatnonzero(x > 0).size * x[0],
    "ediff": lambda x: np.ediff1d(x) ** 2,
    "rot90": lambda x: np.rot90(np.outer(x, x + 1)) @ x,
    "ldexp-like": lambda x: x * 2.0**3,
    "in-place-matmul": lambda x: matmul_in_place(np.outer(x, x + 1.0), x),
    "real": lambda x: np.real(x) + x.real * x.conj(),
    "array-equal": lambda x: x.sum() if np.array_equal(x, x) else 0.0,
}


def matmul_in_place(a, x):
    other = a
    a @= np.array([[1.0, 2.0, x[0]], [0.5, x[1], 1.0], [x[2], 0.0, 3.0]])
    return a[0] + other[1]


POINTS = [V, np.array([0.35, -0.6, 1.45]), np.array([1.25, 0.15, 0.55])]

REFUSED = {
    "complex": (lambda x: x * 1j, "return z.real and z.imag"),
    "complex-order": (lambda x: np.maximum(x * 1j, x), "order of complex numbers"),
    "hfft": (lambda x: np.fft.hfft(x), "compose it of other"),
    "float": (lambda x: float(x[0]) * x[1], "leave out float"),
    "np-float64": (lambda x: np.float64(x[0]) * x[1], "leave out float"),
    "zeta": (lambda x: scipy.special.zeta(x, 2.0), "none of the functions"),
    "bessel": (lambda x: scipy.special.j0(x), "none of the functions"),
    "float32": (lambda x: x.astype(np.float32), "64 bits"),
    "write-into-data": (lambda x: TABLE.copy().__setitem__(0, x), "numpy.zeros"),
    "add-into-data": (lambda x: np.add(TABLE[0], x, out=TABLE[1].copy()), "made outside"),
    "eigenvalues": (lambda x: np.linalg.eigvals(positive_definite(x)), "compose it of other"),
    "scipy-eigh": (lambda x: scipy.linalg.eigh(positive_definite(x))[1], r"write numpy.linalg.eigh\(\)"),
    "qr": (lambda x: np.linalg.qr(np.outer(x, x)), "qr"),
    "svd": (lambda x: np.linalg.svd(np.outer(x, x)), "svd"),
    "lstsq": (lambda x: np.linalg.lstsq(np.outer(x, x), x)[0], "full column rank"),
    "buffer": (lambda x: np.frombuffer(x), r"numpy.frombuffer\(\) cannot be recorded"),
    "bytes": (lambda x: x.byteswap(), "bytes of an array"),
    "hash": (lambda x: {x[0]: 1.0}[x[0]], "hash"),
}


def numbers(result):
    return np.asarray(result, dtype=float)


@pytest.mark.parametrize("name", RUN)
@pytest.mark.filterwarnings("ignore:numpy.fix is deprecated:DeprecationWarning")
def test_programs_that_run(name):
    function = RUN[name]
    f = kilograd.compile(function)
    for point in POINTS:
        with np.errstate(all="ignore"):
            want = numbers(function(point.copy()))
        got = f(point)
        assert np.shape(got) == want.shape
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(f.jacobian(point), differences(function, point), rtol=1e-5, atol=1e-6)
    batch = np.array(POINTS)
    np.testing.assert_allclose(f.batch(batch), [f(point) for point in POINTS], rtol=1e-12, atol=1e-13)


def differences(function, point, h=1e-6):
    with np.errstate(all="ignore"):
        columns = []
        for i in range(point.size):
            up, down = point.copy(), point.copy()
            up[i] += h
            down[i] -= h
            columns.append((numbers(function(up)) - numbers(function(down))) / (2 * h))
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("name", REFUSED)
def test_programs_that_are_refused(name):
    function, message = REFUSED[name]
    with pytest.raises((TypeError, ValueError), match=message):
        kilograd.compile(function)(V)


def test_most_programs_run():
    assert len(RUN) >= 150
    assert len(RUN) >= 10 * len(REFUSED)


@pytest.mark.parametrize(
    ("function", "at", "first", "second"),
    [
        (lambda x: np.logaddexp(0.0, x), 0.0, 0.5, 0.25),
        (lambda x: np.logaddexp(x, -x), 0.0, 0.0, 1.0),
        (lambda x: np.logaddexp2(x, 0.0), 0.0, 0.5, math.log(2.0) / 4),
        (lambda x: np.logaddexp.reduce(np.array([x, 0.0, 2 * x])), 0.0, 1.0, 2 / 3),
        (lambda x: scipy.special.exprel(x), 0.0, 0.5, 1 / 3),
        (lambda x: scipy.special.exprel(x), 1e-9, 0.5, 1 / 3),
        (lambda x: np.sinc(x), 0.0, 0.0, -(math.pi**2) / 3),
        (lambda x: np.sinc(np.array([x]))[0], 1e-9, 0.0, -(math.pi**2) / 3),
    ],
)
def test_derivatives_where_smooth_functions_are_made_of_cases(function, at, first, second):
    f = kilograd.compile(function)
    np.testing.assert_allclose(f.grad(at), first, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(f.hessian(at), second, rtol=1e-8)


@pytest.mark.parametrize("function", [np.median, np.linalg.norm])  # NumPy itself leaks where a reduction raises
def test_an_axis_that_is_none_is_refused(function):
    with pytest.raises(ValueError, match="axis 1 is out of bounds"):
        kilograd.compile(lambda x: function(x, axis=1))(np.array([1.0, 2.0]))


def test_places_that_are_arguments_of_reduceat():
    f = kilograd.compile(lambda x, places: np.add.reduceat(x, places))
    assert f(np.array([1.0, 2.0, 4.0]), np.array([0, 2])).tolist() == [3.0, 4.0]
    assert f(np.array([1.0, 2.0, 4.0]), np.array([0, 1])).tolist() == [1.0, 6.0]


def test_a_pseudo_huber_loss_of_little_keeps_its_digits():
    f = kilograd.compile(lambda x: scipy.special.pseudo_huber(1.0, x))
    np.testing.assert_allclose(f(1e-9), scipy.special.pseudo_huber(1.0, 1e-9), rtol=1e-12)
