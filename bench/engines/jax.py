"""JAX on the CPU, double precision: jitted, and for the eager loop traced by `vjp` without jit."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bench.model import Engine, Phases, Run
from bench.workloads import (
    article,
    black_scholes,
    chebyshev,
    counts,
    derivatives,
    eager,
    loops,
    moons,
    random_ops,
    recording,
    rosenbrock,
    solve,
    spectrum,
)

jax.config.update("jax_enable_x64", True)

ENGINE = Engine(
    "jax",
    version=jax.__version__,
    drive="float64, CPU, one core, jit of value_and_grad, results waited for; eager loop: jax.vjp without jit",
    otherwise="works on arrays; scalar by scalar it dispatches each operation anew",
)
for _workload in (random_ops.RANDOM_OPS, recording.RECORDING):
    ENGINE.cannot(_workload, "XLA takes 10 s to compile 500 such operations, and more than in proportion for more")


@ENGINE.runs(eager.EAGER)
def eager_loop(problem: eager.Eager) -> Run:
    def loop(x: Any, w: Any, b: Any) -> Any:
        for _ in range(problem.loops):
            x = x * w + b
        return x

    def run() -> Phases:
        leaves = [jnp.asarray(value) for value in (problem.x, problem.w, problem.b)]
        yield None
        x, pullback = jax.vjp(loop, *leaves)
        x.block_until_ready()
        del pullback
        yield "op"
        return {"x": [x]}

    return run


@ENGINE.runs(article.ARTICLE)
def article_loop(problem: article.Article) -> Run:
    xs, ys = np.array(article.XS), np.array(article.YS)

    def loss_of(p: Any) -> Any:
        h = xs
        for block in (p[:16].reshape(4, 4), p[16:36].reshape(4, 5), p[36:].reshape(1, 5)):
            h = jnp.tanh(h @ block[:, :-1].T + block[:, -1])
        return ((h[:, 0] - ys) ** 2).sum()

    def update(p: Any) -> tuple[Any, Any]:
        loss, gradient = jax.value_and_grad(loss_of)(p)
        return p - article.RATE * gradient, loss

    step = jax.jit(update)

    def run() -> Phases:
        p, losses = jnp.array(problem.parameters), []
        yield None
        for _ in range(problem.steps):
            p, loss = step(p)
            losses.append(float(loss))
        yield "training"
        return {"losses": losses, "parameters": p}

    return run


def hinge(x: Any, y: Any, p: Any) -> Any:
    """Mean loss; a column for each row, which XLA runs faster here than the transpose."""
    p1, p2, p3 = p[:48].reshape(16, 3), p[48:320].reshape(16, 17), p[320:]
    h = jnp.maximum(p1[:, :2] @ x + p1[:, 2:], 0.0)
    h = jnp.maximum(p2[:, :16] @ h + p2[:, 16:], 0.0)
    return jnp.maximum(1.0 - y * (p3[:16] @ h + p3[16]), 0.0).mean()


def moons_run(problem: moons.Moons, penalty: float = 0.0) -> Run:
    x, y = np.array(problem.rows).T.copy(), np.array(problem.targets)
    step = jax.jit(jax.value_and_grad(lambda p: hinge(x, y, p) + (penalty * (p @ p) if penalty else 0.0)))
    p = jnp.array(problem.parameters)

    def run() -> Phases:
        loss, gradient = jax.block_until_ready(step(p))
        yield "step"
        return {"loss": [loss], "gradient": gradient}

    return run


@ENGINE.runs(moons.MOONS)
def moons_demo(problem: moons.Moons) -> Run:
    return moons_run(problem, moons.ALPHA)


ENGINE.runs(moons.MOONS_100)(moons_run)
ENGINE.runs(moons.MOONS_10000)(moons_run)


@ENGINE.runs(chebyshev.CHEBYSHEV, "scan")
def chains(problem: chebyshev.Chebyshev) -> Run:
    """As its documentation advises for recurrences: a scan, here over all five series at once."""
    coefficients = np.array([chebyshev.coefficient(k) for k in range(2, problem.terms + 2)])

    def function(x: Any) -> Any:
        def turn(carry: Any, c: Any) -> Any:
            before, now, value = carry
            before, now = now, 2.0 * x * now - before
            return (before, now, value + c * now), None

        (_, _, value), _ = jax.lax.scan(turn, (jnp.ones_like(x), x, x * chebyshev.coefficient(1)), coefficients)
        return value.sum()

    call, point = jax.jit(jax.value_and_grad(function)), jnp.array(problem.inputs)

    def run() -> Phases:
        value, gradient = jax.block_until_ready(call(point))
        yield "call"
        return {"value": [value], "gradient": gradient}

    return run


@ENGINE.runs(rosenbrock.ROSENBROCK)
def hessian(problem: rosenbrock.Rosenbrock) -> Run:
    def function(x: Any) -> Any:
        return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()

    differentiate, point = jax.jit(jax.hessian(function)), jnp.array(problem.point)

    def run() -> Phases:
        matrix = differentiate(point).block_until_ready()
        yield "hessian"
        return {"hessian": np.asarray(matrix).ravel()}

    return run


@ENGINE.runs(spectrum.SPECTRUM)
def misfit_of_spectrum(problem: spectrum.Signal) -> Run:
    numbers, target = jnp.array(problem.numbers), jnp.array(problem.target)

    def misfit(x: Any) -> Any:
        z = jnp.fft.rfft(x)
        return jnp.sum((jnp.log1p(z.real**2 + z.imag**2) - target) ** 2)

    call = jax.jit(jax.value_and_grad(misfit))

    def run() -> Phases:
        value, gradient = jax.block_until_ready(call(numbers))
        yield "call"
        return {"value": [value], "gradient": np.asarray(gradient)}

    return run


@ENGINE.runs(solve.SOLVE)
def system(problem: solve.System) -> Run:
    matrix, right, weights = (jnp.array(part) for part in (problem.matrix, problem.right, problem.weights))
    call = jax.jit(jax.value_and_grad(lambda a, b: jnp.linalg.solve(a, b) @ weights, argnums=(0, 1)))

    def run() -> Phases:
        value, gradients = jax.block_until_ready(call(matrix, right))
        yield "call"
        return {"value": [value], "gradient": [*np.asarray(gradients[0]).ravel(), *np.asarray(gradients[1])]}

    return run


@ENGINE.runs(black_scholes.BLACK_SCHOLES)
def options(problem: black_scholes.BlackScholes) -> Run:
    price = partial(black_scholes.price, sqrt=jnp.sqrt, log=jnp.log, exp=jnp.exp, cdf=jax.scipy.special.ndtr)
    call = jax.jit(jax.vmap(jax.value_and_grad(price, argnums=range(5))))
    columns = [jnp.array(column) for column in problem.columns]

    def run() -> Phases:
        prices, gradients = jax.block_until_ready(call(*columns))
        yield "call"
        return black_scholes.shown(np.asarray(prices), [np.asarray(column) for column in gradients])

    return run


@ENGINE.runs(counts.COUNTS)
def likelihood_of_counts(problem: counts.Counts) -> Run:
    *x, count = (jnp.array(column) for column in problem.columns)
    functions = {"exp": jnp.exp, "log1p": jnp.log1p, "log_gamma": jax.lax.lgamma}

    def total(p: Any) -> Any:
        return counts.log_density([*p], x, count, **functions).sum()

    call, parameters = jax.jit(jax.value_and_grad(total)), jnp.array(problem.parameters)

    def run() -> Phases:
        value, gradient = jax.block_until_ready(call(parameters))
        yield "call"
        return {"value": [float(value)], "gradient": gradient}

    return run


@ENGINE.runs(loops.KALMAN, "scan")
def kalman(problem: loops.Filter) -> Run:
    observed = jnp.array(problem.observed)

    def likelihood(q: Any) -> Any:
        def step(carry: Any, y: Any) -> Any:
            return loops.turn(carry, y, q, jnp.log), None

        return jax.lax.scan(step, (0.0, 1.0, 0.0), observed)[0][2]

    call, variance = jax.jit(jax.value_and_grad(likelihood)), jnp.array(problem.variance)

    def run() -> Phases:
        value, gradient = jax.block_until_ready(call(variance))
        yield "call"
        return {"value": [value], "gradient": [gradient]}

    return run


@ENGINE.runs(loops.SPARSE_LOOP, "scan")
def sparse_loop(problem: derivatives.Function) -> Run:
    def energy(x: Any) -> Any:
        return jax.lax.scan(lambda c, pair: (c + loops.energies(*pair), None), 0.0, (x[:-1], x[1:]))[0]

    gradient, hessian, point = jax.jit(jax.grad(energy)), jax.jit(jax.hessian(energy)), jnp.array(problem.point)

    def run() -> Phases:
        jax.block_until_ready(gradient(point))
        yield "gradient"
        matrix = jax.block_until_ready(hessian(point))
        yield "hessian"
        return {"hessian": np.asarray(matrix).ravel()}

    return run


@ENGINE.runs(loops.SCHOOLS, "scan")
def schools(problem: loops.Schools) -> Run:
    effects, errors, size = jnp.array(loops.EFFECTS), jnp.array(loops.ERRORS), problem.size
    slope = jax.grad(lambda q: loops.log_density(q, jnp.exp, jnp.log, effects, errors))

    def trajectory(q: Any, p: Any) -> Any:
        def leapfrog(state: Any, _: None) -> Any:
            q, p = state
            p = p + size / 2 * slope(q)
            q = q + size * p
            return (q, p + size / 2 * slope(q)), None

        return jax.lax.scan(leapfrog, (q, p), length=problem.steps)[0]

    call, q, p = jax.jit(trajectory), np.array(problem.position), np.array(problem.momentum)

    def run() -> Phases:
        position, momentum = jax.block_until_ready(call(q, p))
        yield "trajectory"
        return {"position": np.asarray(position), "momentum": np.asarray(momentum)}

    return run
