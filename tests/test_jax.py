"""Jacobians, Hessians and their products against JAX in double precision, where JAX is installed.

Each function is written once over a namespace of elementary functions: the methods of Values, or JAX's own. Both are
exact up to rounding, so they agree to a few hundred ulp of the largest entry.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import kilograd
from kilograd import Program, Value

jax = pytest.importorskip("jax")
jnp = jax.numpy

# Of each unary op: where JAX has it, and a range well inside its domain.
UNARY: dict[str, tuple[Callable[[Any], Any], float, float]] = {
    "tanh": (jnp.tanh, -3.0, 3.0),
    "relu": (jax.nn.relu, -2.0, 2.0),
    "sigmoid": (jax.nn.sigmoid, -3.0, 3.0),
    "softplus": (jax.nn.softplus, -3.0, 3.0),
    "silu": (jax.nn.silu, -3.0, 3.0),
    "gelu": (lambda x: jax.nn.gelu(x, approximate=False), -3.0, 3.0),
    "exp": (jnp.exp, -3.0, 3.0),
    "expm1": (jnp.expm1, -3.0, 3.0),
    "log": (jnp.log, 0.2, 5.0),
    "log1p": (jnp.log1p, -0.8, 5.0),
    "sqrt": (jnp.sqrt, 0.2, 5.0),
    "abs": (jnp.abs, -2.0, 2.0),
    "sin": (jnp.sin, -4.0, 4.0),
    "cos": (jnp.cos, -4.0, 4.0),
    "tan": (jnp.tan, -1.3, 1.3),
    "asin": (jnp.arcsin, -0.9, 0.9),
    "acos": (jnp.arccos, -0.9, 0.9),
    "atan": (jnp.arctan, -4.0, 4.0),
    "sinh": (jnp.sinh, -3.0, 3.0),
    "cosh": (jnp.cosh, -3.0, 3.0),
    "asinh": (jnp.arcsinh, -4.0, 4.0),
    "acosh": (jnp.arccosh, 1.2, 5.0),
    "atanh": (jnp.arctanh, -0.9, 0.9),
    "erf": (jax.scipy.special.erf, -2.5, 2.5),
    "erfc": (jax.scipy.special.erfc, -2.5, 2.5),
}
JAX = SimpleNamespace(
    maximum=jnp.maximum, minimum=jnp.minimum, array=jnp.array, **{name: row[0] for name, row in UNARY.items()}
)


def _method(name: str) -> Callable[[Any], Any]:
    def function(x: Any) -> Any:
        return np.vectorize(lambda v: getattr(v, name)(), otypes=[object])(x) if np.ndim(x) else getattr(x, name)()

    return function


VALUES = SimpleNamespace(
    maximum=kilograd.maximum, minimum=kilograd.minimum, array=np.array, **{name: _method(name) for name in UNARY}
)


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def agree(got: Any, want: Any) -> None:
    want = np.asarray(want)
    assert want.dtype == np.float64
    assert np.shape(got) == want.shape
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13 * max(1.0, float(np.abs(want).max(initial=0.0))))


def rows_of(low: float, high: float, shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(5).uniform(low, high, shape)


# Functions of a vector, as (n, outputs, range of the inputs, function).


def mixture(m: Any, x: Any) -> Any:
    """Every kind of operator: powers, quotients, choices, and sums that the passes regroup."""
    a, b, c, d = x
    return m.array(
        [
            (a * b + c) / (d + 3.0) ** 2 - a**3 * m.exp(-b * c),
            (1.0 + a * a) ** (b * 0.5) + 2.0**d,
            m.maximum(a, b * c) * m.minimum(c, d * a) + m.sin(a * d),
            m.log(1.0 + m.exp(a + b)) - m.sqrt(1.0 + c * c) * m.tanh(d),
            a - b,
            m.erf(a * c) * m.atan(b - d),
        ]
    )


def network(m: Any, x: Any) -> Any:
    """Two layers whose weights are inputs too: nine inputs, one output."""
    hidden = [m.tanh(x[3 * k] * 0.7 + x[3 * k + 1] * -0.4 + x[3 * k + 2]) for k in range(3)]
    return m.array([m.sigmoid(hidden[0] * x[1] + hidden[1] * x[4] + hidden[2] * x[7]) + m.gelu(x[8] - hidden[0])])


def chain(m: Any, x: Any) -> Any:
    """Neighbours only: a sparse Hessian, found with few sweeps."""
    return m.array([sum(m.cosh(x[k + 1] - x[k] ** 2) + m.erfc(x[k]) for k in range(11))])


FUNCTIONS = {"mixture": (4, mixture), "network": (9, network), "chain": (12, chain)}


def program_of(function: Any, n: int, parameters: int = 0, at: float = 0.3) -> Program:
    """The program of a function whose last inputs are parameters, recorded near `at`."""
    leaves = [Value(at + 0.1 * k) for k in range(n)]
    return Program(function(VALUES, leaves), leaves[: n - parameters], leaves[n - parameters :])


@pytest.mark.parametrize("name", UNARY)
def test_derivatives_of_every_unary_op(name: str) -> None:
    _, low, high = UNARY[name]

    def function(m: Any, x: Any) -> Any:
        u, v = getattr(m, name)(x[0]), getattr(m, name)(x[1])
        return m.array([u * v + x[0], u * u * x[1]])

    program, x = program_of(function, 2, at=low + 0.6 * (high - low)), rows_of(low, high, (37, 2))
    agree(program.jacobian(x), jax.vmap(jax.jacobian(lambda x: function(JAX, x)))(x))
    agree(program.hessian(x), jax.vmap(jax.hessian(lambda x: function(JAX, x).sum()))(x))


@pytest.mark.parametrize("wrt", ["inputs", "parameters", "both"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_programs(name: str, wrt: str) -> None:
    n, function = FUNCTIONS[name]
    fixed = 2
    program = program_of(function, n, fixed)
    x = rows_of(-0.8, 0.8, (19, n - fixed))
    whole = np.column_stack([x, np.tile([p.data for p in program.parameters], (len(x), 1))])
    kept = {"inputs": slice(0, n - fixed), "parameters": slice(n - fixed, n), "both": slice(0, n)}[wrt]
    weights = np.linspace(-1.0, 2.0, len(function(JAX, jnp.array(whole[0]))))
    total = jax.hessian(lambda x: function(JAX, x) @ weights)
    jacobian = jax.vmap(jax.jacobian(lambda x: function(JAX, x)))(whole)[..., kept]
    hessian = jax.vmap(total)(whole)[:, kept, kept]
    v = rows_of(-1.0, 1.0, (len(x), jacobian.shape[-1]))
    agree(program.jacobian(x, wrt), jacobian)
    agree(program.jacobian(x[3], wrt), jacobian[3])
    agree(program.jvp(x, v, wrt), jnp.einsum("roc,rc->ro", jacobian, v))
    agree(program.vjp(x, weights, wrt), jnp.einsum("roc,o->rc", jacobian, weights))
    agree(program.hessian(x, wrt, weights), hessian)
    agree(program.hessian(x[3], wrt, weights), hessian[3])
    agree(program.hvp(x, v, wrt, weights), jnp.einsum("rcd,rd->rc", hessian, v))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_compiled_functions(name: str) -> None:
    n, function = FUNCTIONS[name]
    f = kilograd.compile(lambda x: function(VALUES, x))
    g = kilograd.compile(lambda x: function(VALUES, x).sum())
    x, v = rows_of(-0.8, 0.8, (11, n)), rows_of(-1.0, 1.0, (11, n))[::-1]
    jacobian = jax.vmap(jax.jacobian(lambda x: function(JAX, x)))(x)
    hessian = jax.vmap(jax.hessian(lambda x: function(JAX, x).sum()))(x)
    agree(f.jacobian(x[0]), jacobian[0])
    agree(g.hessian(x[0]), hessian[0])
    agree(g.hvp(x[0], v[0]), hessian[0] @ v[0])
    agree(f.batch.jacobian(x), jacobian)
    agree(g.batch.hessian(x), hessian)
    agree(g.batch.hvp(x, v), jnp.einsum("rcd,rd->rc", hessian, v))


def test_compiled_functions_of_several_arguments() -> None:
    def function(m: Any, w: Any, b: Any, x: Any) -> Any:
        return m.tanh(w @ x + b) * m.exp(b * 0.1)

    f = kilograd.compile(lambda w, b, x: function(VALUES, w, b, x), argnums=(2, 0))
    g = kilograd.compile(lambda w, b, x: function(VALUES, w, b, x).sum(), argnums=(0, 1))
    w, b, x = rows_of(-1, 1, (5, 3, 2)), rows_of(-1, 1, (5,)), rows_of(-1, 1, (5, 2))
    want = jax.jacobian(lambda w, b, x: function(JAX, w, b, x), argnums=(2, 0))
    for got, right in zip(f.batch.jacobian(w, b, x), jax.vmap(want)(w, b, x), strict=True):
        agree(got, right)
    for got, right in zip(f.jacobian(w[1], b[1], x[1]), want(w[1], b[1], x[1]), strict=True):
        agree(got, right)
    blocks = jax.hessian(lambda w, b, x: function(JAX, w, b, x).sum(), argnums=(0, 1))
    got_rows, want_rows = g.batch.hessian(w, b, x), jax.vmap(blocks)(w, b, x)
    for i in range(2):
        for j in range(2):
            agree(got_rows[i][j], want_rows[i][j])
            agree(g.hessian(w[2], b[2], x[2])[i][j], want_rows[i][j][2])
    v = (rows_of(-2, 2, (5, 3, 2)), rows_of(-2, 2, (5,)))
    products = g.batch.hvp(w, v, b, x)
    agree(products[0], sum(jnp.einsum("rij...,r...->rij", want_rows[0][j], v[j]) for j in range(2)))
    agree(products[1], jnp.einsum("rij,rij->r", want_rows[1][0], v[0]) + want_rows[1][1] * v[1])


def test_branches_of_a_batch() -> None:
    def f(m: Any, x: Any) -> Any:
        return m.sin(x[0]) * x[1] ** 2 + m.erf(x[0] * x[1])

    def g(m: Any, x: Any) -> Any:
        return m.exp(x[0]) / (2.0 + x[1] ** 2)

    compiled = kilograd.compile(lambda x: f(VALUES, x) if x[0] < x[1] else g(VALUES, x))
    x, v = rows_of(-2, 2, (40, 2)), rows_of(-1, 1, (40, 2))[::-1]

    def chosen(x: Any) -> Any:
        return jnp.where(x[0] < x[1], f(JAX, x), g(JAX, x))

    hessian = jax.vmap(jax.hessian(chosen))(x)
    agree(compiled.batch.jacobian(x), jax.vmap(jax.jacobian(chosen))(x))
    agree(compiled.batch.hessian(x), hessian)
    agree(compiled.batch.hvp(x, v), jnp.einsum("rcd,rd->rc", hessian, v))


@pytest.mark.parametrize("seed", range(3))
def test_random_expressions(seed: int) -> None:
    dice = random.Random(seed)
    smooth = ["tanh", "sin", "cos", "sigmoid", "softplus", "silu", "gelu", "erf", "erfc", "atan", "asinh"]
    steps = [
        (dice.choice([*smooth, "+", "*", "*", "+"]), dice.randrange(1 << 30), dice.randrange(1 << 30))
        for _ in range(60)
    ]

    def function(m: Any, x: Any) -> Any:
        pool = [x[k] for k in range(6)]
        for name, i, j in steps:
            a, b = pool[i % len(pool)], pool[j % len(pool)]
            pool.append(0.5 * a + b if name == "+" else 0.5 * a * b if name == "*" else getattr(m, name)(0.5 * a))
        return m.array(pool[-4:])

    program, x = program_of(function, 6), rows_of(-1.0, 1.0, (9, 6))
    agree(program.jacobian(x), jax.vmap(jax.jacobian(lambda x: function(JAX, x)))(x))
    agree(program.hessian(x), jax.vmap(jax.hessian(lambda x: function(JAX, x).sum()))(x))
