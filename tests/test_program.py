"""Programs against eager evaluation: on random graphs over the whole op table, and method by method.

Programs regroup sums and use vector code for elementary functions, so results are equal to rounding only. How much
rounding a graph amplifies is measured, not guessed: the eager graph is evaluated again with every intermediate result
off by a few random ulp, and a program may differ from the unperturbed one by a small multiple of what that does.
"""

from __future__ import annotations

import base64
import concurrent.futures
import copy
import functools
import gc
import math
import multiprocessing
import os
import pathlib
import pickle
import platform
import random
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kilograd
from kilograd import MLP, Program, Value, _core

EPS = 2.0**-52
SETS = _core._instruction_sets()
BATCHES = [0, 1, 7, 64, 1000]

ROWS = {name: arity for name, _, arity, _, _ in _core.ops()}
NAMES = [*ROWS, "sub", "div", "add", "mul", "add", "mul"]  # sums of products are what the passes are about
LITERALS = [-1.0, 2.0, 0.5, 0.0, 1.0, -0.3]
EXPONENTS = [2.0, -1.0, 0.5, 3.0, -2.0, 0.0, 1.0, 1.7]
REFUSALS = (ValueError, OverflowError, ZeroDivisionError)


@pytest.fixture(params=SETS)
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("KILOGRAD_ISA", request.param)
    return str(request.param)


# --- random graphs ---------------------------------------------------------------------------------------------------


@dataclass
class Step:
    name: str
    a: int
    b: int
    constant: float


def apply(step: Step, pool: list[Any]) -> Any:
    a = pool[step.a % len(pool)]
    b = pool[step.b % len(pool)] if step.b >= 0 else LITERALS[-step.b % len(LITERALS)]
    match step.name:
        case "add":
            return a + b
        case "sub":
            return b - a
        case "mul":
            return b * a
        case "div":
            return b / a
        case "pow":
            return a**b
        case "powc":
            return a**step.constant
        case "maximum" | "minimum":
            return getattr(kilograd, step.name)(a, b)
        case "leaky_relu":
            return a.leaky_relu(step.constant)
    return getattr(a, step.name)()


def rounded(step: Step, pool: list[Any], dice: random.Random) -> Value:
    """The same, with the value and the local derivatives off by a few ulp, as other roundings would have them."""
    places = [step.a % len(pool)] + ([step.b % len(pool)] if step.b >= 0 else [])
    operands = [pool[place] for place in places]
    fresh = [Value(v.data) for v in operands]
    y = apply(Step(step.name, 0, len(fresh) - 1 if step.b >= 0 else step.b, step.constant), fresh)
    y.backward()
    # In 1 - y the rounding of y stays whole: it moves these derivatives by an ulp of their largest term, which is 1.
    off = dice.choice([-1, 1]) * EPS if step.name in ("tanh", "sigmoid") else 0.0
    slopes = [v.grad * (1.0 + dice.choice([-4, -3, 3, 4]) * EPS) + off for v in fresh]
    return Value(y.data * (1.0 + dice.choice([-4, -3, 3, 4]) * EPS), operands, slopes)


@dataclass
class Recipe:
    """A graph that can be built anew from numbers."""

    n_inputs: int
    n_parameters: int
    steps: list[Step]
    n_outputs: int
    point: list[float]  # at which it can be built

    def build(self, leaves: list[Value], dice: random.Random | None = None) -> list[Value]:
        """The outputs; with `dice`, every value and local derivative is off by some rounding."""
        pool: list[Any] = list(leaves)
        for step in self.steps:
            y = apply(step, pool)
            if dice:
                y = rounded(step, pool, dice)
            pool.append(y)
        return pool[-self.n_outputs :]

    def record(self) -> tuple[Program, list[Value]]:
        leaves = [Value(x) for x in self.point]
        inputs, parameters = leaves[: self.n_inputs], leaves[self.n_inputs :]
        return Program(self.build(leaves), inputs, parameters), parameters

    def eager(self, row: Any, parameters: list[float], weights: Any, dice: random.Random | None = None) -> np.ndarray:
        """Values, then the gradient of the weighted sum by inputs and parameters."""
        leaves = [Value(float(x)) for x in [*row, *parameters]]
        outputs = self.build(leaves, dice)
        total = sum(o * float(w) for o, w in zip(outputs, weights, strict=True))
        total.backward()
        return np.array([o.data for o in outputs] + [leaf.grad for leaf in leaves])


steps = st.builds(
    Step,
    st.sampled_from(NAMES),
    st.integers(0, 1000),
    st.integers(-len(LITERALS), 1000),
    st.sampled_from(EXPONENTS),
)


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    n_inputs, n_parameters = draw(st.integers(1, 3)), draw(st.integers(0, 3))
    numbers = random.Random(draw(st.integers(0, 2**32)))
    point = [numbers.uniform(-2, 2) for _ in range(n_inputs + n_parameters)]
    recipe = Recipe(n_inputs, n_parameters, [], 1, point)
    pool: list[Any] = [Value(x) for x in point]
    for step in draw(st.lists(steps, min_size=1, max_size=40)):
        try:
            y = apply(step, pool)
        except REFUSALS:
            continue
        if abs(y.data) < 50.0:
            # Operands by their present place: steps that were left out do not shift the others.
            recipe.steps.append(Step(step.name, step.a % len(pool), min(step.b, step.b % len(pool)), step.constant))
            pool.append(y)
    recipe.n_outputs = min(draw(st.integers(1, 3)), len(pool))
    # Everything before an output that it does not depend on is dead code: part of what is tested.
    return recipe


def live_steps(recipe: Recipe) -> Recipe:
    """The recipe without the steps that no output needs, which eager code would run and a program does not."""
    size = recipe.n_inputs + recipe.n_parameters
    first = size + len(recipe.steps) - recipe.n_outputs
    live = set(range(first, size + len(recipe.steps)))
    for place in range(size + len(recipe.steps) - 1, size - 1, -1):
        step = recipe.steps[place - size]
        if place in live:
            live.add(step.a)
            if step.b >= 0 and (ROWS.get(step.name) == "Binary" or step.name in ("sub", "div")):
                live.add(step.b)
    kept = [*range(size), *(place for place in range(size, size + len(recipe.steps)) if place in live)]
    number = {place: k for k, place in enumerate(kept)}
    moved = [
        Step(s.name, number[s.a], number.get(s.b, 0) if s.b >= 0 else s.b, s.constant)
        for s in (recipe.steps[place - size] for place in kept[size:])
    ]
    return Recipe(recipe.n_inputs, recipe.n_parameters, moved, recipe.n_outputs, recipe.point)


def amplification(recipe: Recipe, row: Any, parameters: list[float], weights: Any, exact: np.ndarray) -> np.ndarray:
    """How far rounding moves each number of `Recipe.eager`; infinite where it decides a branch or an error."""
    dice = random.Random(1)
    spread = np.zeros_like(exact)
    for _ in range(3):
        try:
            near = [x * (1.0 + dice.choice([-1, 1]) * EPS) for x in row]
            moved = recipe.eager(near, parameters, weights, dice)
        except REFUSALS:
            return np.full_like(exact, np.inf)
        with np.errstate(invalid="ignore"):
            gap = np.abs(moved - exact)
        spread = np.fmax(spread, np.where((moved == exact) | (np.isnan(moved) & np.isnan(exact)), 0.0, gap))
    return spread


def assert_near(actual: Any, exact: np.ndarray, spread: np.ndarray) -> None:
    actual = np.asarray(actual).ravel()
    with np.errstate(invalid="ignore"):
        same = (actual == exact) | (np.isnan(actual) & np.isnan(exact))
        near = np.abs(actual - exact) <= 16.0 * spread + 16.0 * EPS * np.abs(exact) + 1e-300
    wrong = ~(same | near | np.isinf(spread) | np.isnan(spread))
    assert not wrong.any(), (actual[wrong], exact[wrong], spread[wrong])


def refusal(call: Callable[[], object]) -> type[Exception] | None:
    try:
        call()
    except REFUSALS as error:
        return type(error)
    return None


@settings(max_examples=150)
@given(recipe=recipes(), seed=st.integers(0, 2**32))
def test_random_graphs(recipe: Recipe, seed: int) -> None:
    dice = np.random.default_rng(seed)
    program, parameters = recipe.record()
    assert len(program.parameters) == recipe.n_parameters
    alive = live_steps(recipe)
    data = [p.data for p in parameters]
    x = dice.uniform(-2, 2, (24, recipe.n_inputs))
    weights = dice.uniform(-2, 2, (24, recipe.n_outputs))
    good, exact, spread = [], [], []
    for k, row in enumerate(x):
        rows: list[np.ndarray] = []
        error = refusal(lambda: rows.append(alive.eager(row, data, weights[k])))  # noqa: B023
        if error:
            assert refusal(functools.partial(program, row)) is error
            continue
        exact += rows
        good.append(k)
        spread.append(amplification(alive, row, data, weights[k], exact[-1]))
    m, n = recipe.n_outputs, recipe.n_inputs
    bad = [k for k in range(24) if k not in good]
    if bad:
        with pytest.raises(REFUSALS, match=rf"row {bad[0]}\)|in every row") as caught:
            program(x)
        assert refusal(lambda: program(x[bad[0]])) is caught.type
        program(x, check=False)
    for name in SETS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KILOGRAD_ISA", name)
            for k, row_exact, row_spread in zip(good, exact, spread, strict=True):
                got = program.value_and_grad(x[k], "both", weights[k])
                assert_near(np.concatenate([g.ravel() for g in got]), row_exact, row_spread)
            values, dx, dp = program.value_and_grad(x[good], "both", weights[good])
            for r, (row_exact, row_spread) in enumerate(zip(exact, spread, strict=True)):
                assert_near(values[r], row_exact[:m], row_spread[:m])
                assert_near(dx[r], row_exact[m : m + n], row_spread[m : m + n])
            if good:
                with np.errstate(invalid="ignore", over="ignore"):
                    total = np.sum(exact, axis=0)[m + n :]
                    size = np.sum(np.abs(exact), axis=0)[m + n :] * 32 * EPS + np.sum(spread, axis=0)[m + n :]
                assert_near(dp, total, size)


# --- batches, threads, instruction sets ------------------------------------------------------------------------------


def network() -> tuple[Program, list[Value], list[Value], Value]:
    """A small network with a loss, and what it was made of."""
    random.seed(3)
    model = MLP(2, [5, 4, 1])
    inputs = [Value(0.1), Value(0.2), Value(0.3)]
    loss = (model(inputs[:2]) - inputs[2]) ** 2 + 0.01 * inputs[0].sin()
    return Program(loss, inputs), model.parameters(), inputs, loss


def eager_network(parameters: list[Value], x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random.seed(3)
    model = MLP(2, [5, 4, 1])
    for p, q in zip(model.parameters(), parameters, strict=True):
        p.data = q.data
    values, dx = [], []
    for row in x:
        inputs = [Value(float(v)) for v in row]
        loss = (model(inputs[:2]) - inputs[2]) ** 2 + 0.01 * inputs[0].sin()
        loss.backward()
        values.append(loss.data)
        dx.append([v.grad for v in inputs])
    return np.array(values), np.array(dx).reshape(len(x), 3), np.array([p.grad for p in model.parameters()])


def in_order(program: Program, parameters: list[Value]) -> list[int]:
    return [next(k for k, q in enumerate(program.parameters) if q is p) for p in parameters]


@pytest.mark.parametrize("batch", BATCHES)
def test_batches(batch: int, isa: str) -> None:
    program, parameters, _, _ = network()
    x = np.random.default_rng(0).normal(size=(batch, 3))
    values, dx, dp = eager_network(parameters, x)
    got = program.value_and_grad(x, "both")
    np.testing.assert_allclose(got[0], values, rtol=1e-13, atol=4 * EPS)  # a difference of terms up to 1
    np.testing.assert_allclose(got[1], dx, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(got[2][in_order(program, parameters)], dp, rtol=1e-11, atol=1e-13)
    np.testing.assert_array_equal(program(x), got[0])
    assert [g.shape for g in got] == [(batch,), (batch, 3), (len(parameters),)]


@pytest.mark.parametrize("batch", [1, 7, 64, 1000, 5000])
def test_threads_give_the_same_bits(batch: int, isa: str) -> None:
    program, _, _, _ = network()
    x = np.random.default_rng(1).normal(size=(batch, 3))
    for reduce in (None, "sum", "mean"):
        first = program.value_and_grad(x, "both", reduce=reduce)
        for threads in (2, 3, 4):
            again = program.value_and_grad(x, "both", reduce=reduce, threads=threads)
            for a, b in zip(first, again, strict=True):
                np.testing.assert_array_equal(a, b)
    hessians = [program.hessian(x[:100], "both", threads=t) for t in (1, 2, 4)]
    np.testing.assert_array_equal(hessians[0], hessians[1])
    np.testing.assert_array_equal(hessians[0], hessians[2])


@pytest.mark.parametrize("n", [1, 7, 100])
def test_reduce(n: int) -> None:
    program, _, _, _ = network()
    x = np.random.default_rng(2).normal(size=(n, 3))
    values, dx, dp = program.value_and_grad(x, "both")
    for reduce, scale in (("sum", 1.0), ("mean", 1.0 / n)):
        got = program.value_and_grad(x, "both", reduce=reduce)
        assert got[0].shape == ()
        np.testing.assert_allclose(got[0], values.sum() * scale, rtol=1e-13)
        np.testing.assert_allclose(got[1], dx * scale, rtol=1e-13)
        np.testing.assert_allclose(got[2], dp * scale, rtol=1e-12, atol=1e-15)
        np.testing.assert_array_equal(program(x, reduce=reduce), got[0])
    one = program.value_and_grad(x[0], "both", reduce="mean")
    assert [np.shape(g) for g in one] == [(), (3,), dp.shape]


def test_an_empty_batch_has_a_sum_and_no_mean() -> None:
    program, _, _, _ = network()
    empty = np.empty((0, 3))
    value, dp = program.value_and_grad(empty, "parameters", reduce="sum")
    assert value == 0.0
    assert not dp.any()
    with pytest.raises(ValueError, match="no rows"):
        program(empty, reduce="mean")
    assert program.jacobian(empty).shape == (0, 3)
    assert program.hessian(empty, "both").shape == (0, 3 + len(dp), 3 + len(dp))


def test_weights() -> None:
    x, y = Value(0.0), Value(0.0)
    w = Value(3.0)
    program = Program([[x * y, x + w], [w * y, x * x]], [x, y])
    rows = np.array([[1.0, 2.0], [3.0, -1.0]])
    jx, jp = program.jacobian(rows), program.jacobian(rows, "parameters")
    assert jx.shape == (2, 2, 2, 2)
    assert jp.shape == (2, 2, 2, 1)
    for weights in (np.array([[1.0, -2.0], [0.5, 4.0]]), np.arange(8.0).reshape(2, 2, 2)):
        wide = np.broadcast_to(weights, (2, 2, 2))
        values, dx, dp = program.value_and_grad(rows, "both", weights)
        np.testing.assert_array_equal(values, program(rows))
        np.testing.assert_allclose(dx, np.einsum("rij,rijk->rk", wide, jx), rtol=1e-15)
        np.testing.assert_allclose(dp, np.einsum("rij,rijk->k", wide, jp), rtol=1e-15)
        np.testing.assert_array_equal(program.vjp(rows, weights), dx)
        np.testing.assert_allclose(
            program.hessian(rows, "both", weights),
            [[[2 * w[1, 1], w[0, 0], 0], [w[0, 0], 0, w[1, 0]], [0, w[1, 0], 0]] for w in wide],
        )
    for reduce in ("sum", "mean"):
        weights = np.array([[1.0, -2.0], [0.5, 4.0]])
        _, dx = program.value_and_grad(rows, "inputs", weights, reduce=reduce)
        scale = 0.5 if reduce == "mean" else 1.0
        np.testing.assert_allclose(dx, scale * program.vjp(rows, weights))
        with pytest.raises(ValueError, match=r"weights has shape \(2, 2, 2\); \(2, 2\) is needed"):
            program.value_and_grad(rows, "inputs", np.ones((2, 2, 2)), reduce=reduce)


# --- derivatives -----------------------------------------------------------------------------------------------------


def smooth(v: list[Any]) -> list[Any]:
    a, b, c = v
    return [a * b.sin() + c.exp() * a, (a * a + b * b + 1.0).log() * c.tanh(), b / (c * c + 1.0), a**3 + a * b * c]


def test_derivatives_against_differences(isa: str) -> None:
    leaves = [Value(0.3), Value(-0.2), Value(0.5)]
    program = Program(smooth(leaves), leaves[:2], leaves[2:])
    x = np.random.default_rng(4).normal(size=(9, 2))
    weights = np.array([1.0, -0.5, 2.0, 0.25])

    def gradient(row: np.ndarray, weights: np.ndarray) -> np.ndarray:
        v = [Value(float(t)) for t in row]
        sum(o * float(w) for o, w in zip(smooth(v), weights, strict=True)).backward()
        return np.array([t.grad for t in v])

    for k, row in enumerate(x):
        full = np.array([*row, 0.5])
        jacobian = np.array([gradient(full, unit) for unit in np.eye(4)])
        h = 1e-5
        hessian = np.array(
            [(gradient(full + h * e, weights) - gradient(full - h * e, weights)) / (2 * h) for e in np.eye(3)]
        )
        for wrt, part in (("inputs", slice(0, 2)), ("parameters", slice(2, 3)), ("both", slice(0, 3))):
            size = part.stop - part.start
            v = np.arange(1.0, size + 1.0)
            np.testing.assert_allclose(program.jacobian(x, wrt)[k], jacobian[:, part], rtol=1e-13, atol=1e-14)
            np.testing.assert_allclose(program.jacobian(row, wrt), jacobian[:, part], rtol=1e-13, atol=1e-14)
            np.testing.assert_allclose(program.jvp(x, v, wrt)[k], jacobian[:, part] @ v, rtol=1e-13, atol=1e-14)
            np.testing.assert_allclose(program.jvp(row, v, wrt), jacobian[:, part] @ v, rtol=1e-13, atol=1e-14)
            np.testing.assert_allclose(program.vjp(row, weights, wrt), weights @ jacobian[:, part], rtol=1e-13)
            part2 = hessian[part, part]
            got = program.hessian(x, wrt, weights)[k]
            np.testing.assert_allclose(got, part2, rtol=1e-8, atol=1e-8)
            np.testing.assert_allclose(got, got.T, rtol=1e-13, atol=1e-14)
            np.testing.assert_allclose(program.hessian(row, wrt, weights), got, rtol=1e-13, atol=1e-14)
            np.testing.assert_allclose(program.hvp(row, v, wrt, weights), got @ v, rtol=1e-13, atol=1e-14)
            vs = np.broadcast_to(v, (9, size))[:, ::1]
            np.testing.assert_array_equal(program.hvp(x, vs, wrt, weights)[k], program.hvp(x, v, wrt, weights)[k])


def test_jacobian_of_more_outputs_than_inputs() -> None:
    x = Value(0.0)
    program = Program([x.sin(), x * x, x.exp(), 3.0], [x])
    rows = np.linspace(-1, 1, 11)[:, None]
    expected = np.stack([np.cos(rows), 2 * rows, np.exp(rows), 0 * rows], axis=1)
    np.testing.assert_allclose(program.jacobian(rows), expected, rtol=1e-15)
    assert program.jacobian(rows[0]).shape == (4, 1)


def test_hessian_against_jax() -> None:
    jax = pytest.importorskip("jax")
    jnp = jax.numpy

    def rosenbrock(v: Any) -> Any:
        return sum(100.0 * (v[k + 1] - v[k] ** 2) ** 2 + (1.0 - v[k]) ** 2 for k in range(len(v) - 1))

    point = np.linspace(-1.2, 1.0, 40)
    leaves = [Value(0.0) for _ in point]
    program = Program(rosenbrock(leaves), leaves)
    with jax.enable_x64(True):
        expected = np.asarray(jax.hessian(rosenbrock)(jnp.array(point)))
    np.testing.assert_allclose(program.hessian(point), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_sparse_hessians_are_whole(seed: int) -> None:
    """Column by column, `hvp` knows nothing of the sparsity that `hessian` makes use of."""
    dice = random.Random(seed)
    leaves = [Value(dice.uniform(0.5, 2.0)) for _ in range(40)]
    pool: list[Value] = list(leaves)
    for _ in range(60):
        name = dice.choice([*ROWS, "sub", "div"])
        step = Step(name, dice.randrange(len(pool)), dice.randrange(len(pool)), dice.choice(EXPONENTS))
        if refusal(lambda: pool.append(apply(step, pool))) is None and not abs(pool[-1].data) < 20.0:  # noqa: B023
            pool.pop()
    outputs = [pool[-1], sum(pool[k] * pool[k - 1] for k in range(1, 40)), *pool[-6:-1]]
    program = Program(outputs, leaves[:30], leaves[30:])
    x = np.array([[v.data for v in leaves[:30]], [v.data * 1.01 for v in leaves[:30]]])
    weights = np.array([dice.uniform(-1, 1) for _ in outputs])
    for wrt, size in (("inputs", 30), ("both", 40), ("parameters", 10)):
        hessian = program.hessian(x, wrt, weights, check=False)
        columns = [program.hvp(x, unit, wrt, weights, check=False) for unit in np.eye(size)]
        np.testing.assert_allclose(hessian, np.stack(columns, axis=2), rtol=1e-11, atol=1e-11)
        assert 0 < np.count_nonzero(hessian) < hessian.size or wrt == "parameters"


def neighbours(n: int) -> tuple[list[Value], Program]:
    """A sum of terms of two inputs each: its Hessian, tridiagonal, is made by a program of its entries."""
    v = [Value(0.5) for _ in range(n)]
    parts = [(a * b).sin() * a.log() + b / a + (a - b) ** 2 + a.relu() * b.exp() for a, b in pairwise(v)]
    return v, Program(sum(parts), v)


def test_sparse_hessian_against_sweeps(isa: str) -> None:
    """Weights of one take sweeps over dual numbers, and so does `hvp`; no weights the program of the entries."""
    _, program = neighbours(30)
    before = program.nbytes
    x = np.random.default_rng(3).uniform(0.5, 1.5, size=(20, 30))
    hessian = program.hessian(x)
    assert program.nbytes > before
    np.testing.assert_allclose(hessian, program.hessian(x, weights=1.0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(program.hvp(x, np.ones(30)), hessian.sum(axis=2), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(hessian, hessian.transpose(0, 2, 1))
    assert [np.count_nonzero(h) for h in hessian] == [3 * 30 - 2] * 20
    for k in (0, 19):
        np.testing.assert_allclose(program.hessian(x[k]), hessian[k], rtol=1e-13, atol=1e-13)
    np.testing.assert_array_equal(program.hessian(x, threads=2), hessian)
    np.testing.assert_array_equal(program.hessian(x[:, ::-1][:, ::-1], out=np.empty((20, 30, 30))), hessian)
    assert program.hessian(np.empty((0, 30))).shape == (0, 30, 30)


def test_sparse_hessian_of_parameters(isa: str) -> None:
    v, _ = neighbours(12)
    term = sum(a * b.exp() / (1.0 + a * a) for a, b in pairwise(v))
    program = Program([term, v[0] * v[-1]], v[::2], v[1::2])
    for p in v:
        p.data = 0.25 + 0.1 * v.index(p)
    x = np.array([p.data for p in v[::2]])
    for wrt in ("inputs", "parameters", "both"):
        got = program.hessian(x, wrt)
        np.testing.assert_allclose(got, program.hessian(x, wrt, np.ones(2)), rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(program.hessian(np.stack([x, x]), wrt), [got, got], rtol=1e-13, atol=1e-14)
    v[1].data += 1.0  # read at each call
    np.testing.assert_allclose(program.hessian(x, "both"), program.hessian(x, "both", np.ones(2)), rtol=1e-12)


def test_sparse_hessian_raises_what_the_function_does(isa: str) -> None:
    """The logarithm is in no second derivative, and its reciprocal is not what has failed."""
    v = [Value(0.5) for _ in range(20)]
    program = Program(sum(a.log() * 2.0 + a * b for a, b in pairwise(v)), v)
    x = np.full((3, 20), 2.0)
    x[1, 4] = 0.0
    with pytest.raises(ValueError, match=r"outside the domain of 'log' at 0 \(row 1\)"):
        program.hessian(x)
    with pytest.raises(ValueError, match="outside the domain of 'log' at 0"):
        program.hessian(x[1])
    flowing = program.hessian(x, check=False)
    assert np.isfinite(flowing[[0, 2]]).all()
    assert flowing[1, 4, 4] == -np.inf
    assert np.isfinite(np.delete(flowing[1].ravel(), 4 * 20 + 4)).all()
    program = Program(sum(a.sqrt() * b for a, b in pairwise(v)), v)
    x[1, 4] = 1e-320  # the derivative is not checked, and may overflow
    assert not np.isfinite(program.hessian(x)[1]).all()
    x[1, 4] = -1.0
    with pytest.raises(ValueError, match="'sqrt' at -1"):
        program.hessian(x)


def test_infinite_derivative_in_a_direction_not_taken() -> None:
    """As in sweeps: the derivative of the root is infinite at 0, and the slope of its argument there 0."""
    v = [Value(0.5) for _ in range(18)]
    program = Program(sum((a * a).sqrt() * b for a, b in zip(v[:9], v[9:], strict=True)), v)
    x = np.zeros(18)
    got, sweeps = program.hessian(x), program.hessian(x, weights=1.0)
    assert not (np.isnan(got) & ~np.isnan(sweeps + sweeps.T)).any()
    assert (got[9, 0], sweeps[9, 0]) == (0.0, 0.0)


@pytest.mark.parametrize("name", ["softplus", "relu", "leaky_relu", "abs", "maximum", "minimum"])
def test_forward_sweeps_take_the_derivative_of_the_table_at_a_kink(name: str, isa: str) -> None:
    """What differentiates a formula with a choice in it takes one side, at softplus(0) too, where there is no kink."""
    a, b = Value(0.0), Value(0.0)
    y = getattr(kilograd, name)(a, b) if name in ("maximum", "minimum") else getattr(a, name)() + b * 0.0
    program = Program([y, y * y + a, y.exp()], inputs=[a, b])
    x = np.zeros((5, 2))
    rows = np.array([program.vjp(x, w) for w in np.eye(3)]).transpose(1, 0, 2)
    np.testing.assert_array_equal(program.jacobian(x), rows)  # by columns: fewer than outputs
    v = np.array([1.0, 0.5])
    np.testing.assert_array_equal(program.jvp(x, v), rows @ v)
    hessian = program.hessian(x, weights=[0.0, 1.0, 1.0])
    np.testing.assert_allclose(program.hvp(x, v, weights=[0.0, 1.0, 1.0]), hessian @ v, rtol=1e-14, atol=1e-16)
    if name == "softplus":
        s = math.log(2.0)  # (y * y)'' = 2 y'**2 + 2 y y''
        want = 2 * 0.25 + 2 * s * 0.25 + math.exp(s) * (0.25 + 0.25)
        np.testing.assert_allclose(hessian[:, 0, 0], want, rtol=1e-14)


def test_hessian_of_a_power_whose_exponent_is_zero(isa: str) -> None:
    """d/da a**b is b a**(b - 1): 0 at b = 0, where its derivative by b is 1 / a."""
    a, b = Value(2.0), Value(0.5)
    program = Program(a**b, inputs=[a, b])
    x = np.array([[2.0, 0.0], [4.0, 0.0], [0.5, 0.0]])
    log = np.log(x[:, 0])
    want = np.array([[0.0 * log, 1.0 / x[:, 0]], [1.0 / x[:, 0], log**2]]).transpose(2, 0, 1)
    np.testing.assert_allclose(program.hessian(x), want, rtol=1e-14)
    np.testing.assert_allclose(program.hvp(x, [1.0, 2.0]), want @ [1.0, 2.0], rtol=1e-14)
    np.testing.assert_array_equal(program.value_and_grad([[0.0, 0.0]])[1], [[0.0, 0.0]])


def test_hessian_of_constants() -> None:
    v = [Value(0.5) for _ in range(20)]
    quadratic = Program(sum(a * b * 3.0 - b * b for a, b in pairwise(v)), v)
    expected = np.diag([0.0] + [-2.0] * 19) + np.diag([3.0] * 19, 1) + np.diag([3.0] * 19, -1)
    np.testing.assert_array_equal(quadratic.hessian(np.full(20, np.nan)), expected)
    np.testing.assert_array_equal(quadratic.hessian(np.ones((3, 20))), [expected] * 3)
    linear = Program([sum(v), v[0], 2.0], v)
    np.testing.assert_array_equal(linear.hessian(np.ones((2, 20))), np.zeros((2, 20, 20)))
    nothing = Program(Value(2.0) * 3.0, constant=True)
    assert nothing.hessian().shape == (0, 0)
    assert nothing.hessian(None, "both", out=np.empty((0, 0))).shape == (0, 0)


# --- backward --------------------------------------------------------------------------------------------------------


def test_backward_adds_into_parameters() -> None:
    program, parameters, inputs, loss = network()
    for p in parameters:
        p.grad = 1.0
    for v in inputs:
        v.grad = 7.0
    x = np.random.default_rng(5).normal(size=(6, 3))
    _, dp = program.value_and_grad(x, "parameters", reduce="mean")
    values = program.backward(x, reduce="mean")
    assert values == program(x, reduce="mean")
    for k, p in enumerate(program.parameters):
        assert p.grad == 1.0 + dp[k]
    assert all(v.grad == 7.0 for v in inputs)
    assert loss.grad == 0.0


def test_backward_leaves_gradients_alone_when_refused() -> None:
    w, x = Value(2.0), Value(1.0)
    w.grad = 5.0
    program = Program((w * x).log(), [x])
    with pytest.raises(ValueError, match=r"'log' at -2 \(row 1\)"):
        program.backward([[1.0], [-1.0]])
    assert w.grad == 5.0


def test_parameters_are_read_at_each_call() -> None:
    w, x = Value(2.0), Value(1.0)
    program = Program(w * x, [x])
    assert program([3.0]) == 6.0
    w.data = 5.0
    assert program([3.0]) == 15.0


def test_micrograd_gradients() -> None:
    from kilograd.micrograd.engine import Value as Micro

    w, x = Micro(2.0), Micro(1.0)
    program = Program((w * x).relu(), [x])
    program.backward([[1.0], [3.0]])
    assert w.grad == 4.0


# --- which leaves are what -------------------------------------------------------------------------------------------


def test_leaves_python_holds_are_parameters_in_order_of_use() -> None:
    a, b, x, unused = Value(1.0), Value(2.0), Value(3.0), Value(4.0)
    program = Program(2.0 * x * b + a - b, [x, unused])
    assert [p is q for p, q in zip(program.parameters, [b, a], strict=True)] == [True, True]
    np.testing.assert_array_equal(program.value_and_grad([3.0, 0.0])[1], [4.0, 0.0])


def test_constant_and_listed_parameters() -> None:
    a, b, x = Value(1.0), Value(2.0), Value(3.0)
    fixed = Program(a * x + b, [x], constant=True)
    some = Program(a * x + b, [x], [b])
    a.data = b.data = 10.0
    assert fixed.parameters == []
    assert fixed([1.0]) == 3.0
    assert some.parameters[0] is b
    assert some([1.0]) == 11.0
    _, dp = some.value_and_grad([1.0], "parameters")
    np.testing.assert_array_equal(dp, [1.0])


def test_a_leaf_and_a_number_may_be_outputs() -> None:
    w, x = Value(1.5), Value(0.0)
    program = Program([w, x, 4.0, x * w], [x])
    np.testing.assert_array_equal(program([[2.0], [3.0]]), [[1.5, 2.0, 4.0, 3.0], [1.5, 3.0, 4.0, 4.5]])
    _, dx, dp = program.value_and_grad([[2.0], [3.0]], "both")
    np.testing.assert_array_equal(dx, [[2.5], [2.5]])
    np.testing.assert_array_equal(dp, [1 + 2.0 + 1 + 3.0])


def test_without_inputs() -> None:
    w = Value(3.0)
    program = Program(w * w)
    assert program() == 9.0
    value, dp = program.value_and_grad(wrt="parameters")
    assert (value, list(dp)) == (9.0, [6.0])
    assert program.hessian(wrt="parameters").tolist() == [[2.0]]
    assert program(np.empty((4, 0))).tolist() == [9.0] * 4


def test_nested_outputs_and_inputs() -> None:
    grid = np.array([[Value(float(3 * i + j)) for j in range(3)] for i in range(2)], dtype=object)
    program = Program(grid * 2.0, grid)
    x = np.arange(12.0).reshape(2, 6)
    np.testing.assert_array_equal(program(x), (2 * x).reshape(2, 2, 3))
    assert Program((Value(1.0), [Value(2.0)][0])).forward().shape == (2,)


def test_the_graph_is_unchanged_and_not_kept() -> None:
    gc.collect()
    start = kilograd.live_nodes()
    program, parameters, inputs, loss = network()
    for number, node in enumerate([*parameters, *inputs, loss]):
        node.grad = float(number)
    grads = [node.grad for node in [*parameters, *inputs, loss]]
    before = kilograd.live_nodes()
    again = Program(loss, inputs)
    assert kilograd.live_nodes() == before
    assert [node.grad for node in [*parameters, *inputs, loss]] == grads
    row = [0.1, 0.2, 0.3]
    value = loss.data
    del loss, inputs, node
    gc.collect()
    assert kilograd.live_nodes() == start + len(parameters)
    np.testing.assert_allclose([program(row), again(row)], [value, value], rtol=1e-14)
    del parameters
    gc.collect()
    assert kilograd.live_nodes() == start + len(program.parameters)


def test_a_cycle_through_a_parameter_is_collected() -> None:
    gc.collect()
    start = kilograd.live_nodes()
    w, x = Value(1.0), Value(2.0)
    w.program = Program(w * x, [x])  # type: ignore[attr-defined]
    del w, x
    gc.collect()
    assert kilograd.live_nodes() == start


# --- refusals --------------------------------------------------------------------------------------------------------


def test_custom_ops_are_refused_by_name() -> None:
    a, b = Value(1.0), Value(2.0)
    with pytest.raises(TypeError, match="op 'swish'"):
        Program(Value(3.0, (a, b), "swish") * a)
    with pytest.raises(TypeError, match="local gradients"):
        Program(Value(3.0, (a, b), [1.0, 2.0]))
    ruled = a * b
    ruled.label = "area"
    ruled._backward = lambda: None
    with pytest.raises(TypeError, match=r"op '\*' labelled 'area' has a rule of its own"):
        Program(ruled + 1.0)
    assert a.grad == b.grad == 0.0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (lambda a, b: ([],), ValueError, "at least one output"),
        (lambda a, b: ([[a], [a, b]],), ValueError, "unevenly"),
        (lambda a, b: ("a",), TypeError, "output"),
        (lambda a, b: (a, [a, a]), ValueError, "twice"),
        (lambda a, b: (a * b, [a * b]), ValueError, r"inputs must be leaves; number 0 is the result of '\*'"),
        (lambda a, b: (a, [1.0]), TypeError, "inputs must be Values, not float"),
        (lambda a, b: (a * b, [a], [a, b]), ValueError, "input and a parameter"),
        (lambda a, b: (a * b, [a], [b, b]), ValueError, "twice"),
        (lambda a, b: (a * b, [a], [a + b]), ValueError, "parameters must be leaves"),
    ],
)
def test_what_cannot_be_recorded(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Program(*arguments(Value(1.0), Value(2.0)))


def test_wrong_arguments() -> None:
    x, y = Value(1.0), Value(2.0)
    program = Program([x * y, x + y, x], [x, y])
    for call, message in [
        (lambda: program([1.0]), r"X has shape \(1,\); \(2,\) or \(batch, 2\) is needed"),
        (lambda: program(np.ones((3, 3))), r"X has shape \(3, 3\); \(2,\) or \(batch, 2\) is needed"),
        (lambda: program(1.0), r"X has shape \(\)"),
        (lambda: program(np.ones((1, 1, 2))), r"X has shape \(1, 1, 2\)"),
        (lambda: program.vjp(np.ones((4, 2)), [1.0]), r"weights has shape \(1,\); \(3,\) or \(4, 3\) is needed"),
        (lambda: program.jvp(np.ones((4, 2)), np.ones(3)), r"v has shape \(3,\); \(2,\) or \(4, 2\) is needed"),
        (lambda: program(np.ones((4, 2)), out=np.empty((3, 4))), r"out has shape \(3, 4\); \(4, 3\) is needed"),
        (lambda: program(np.ones((4, 2)), out=np.empty((3, 4)).T), "C-contiguous"),
        (lambda: program.value_and_grad([1.0, 2.0], out=np.empty(3)), "tuple of 2"),
        (lambda: program([1.0, 2.0], reduce="max"), "reduce must be"),
        (lambda: program.value_and_grad([1.0, 2.0], "outputs"), "wrt must be"),
        (lambda: program([1.0, 2.0], threads=0), "threads is a number of at least 1, or -1 for all processors, not 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()  # type: ignore[no-untyped-call]
    for call in [
        lambda: program(),
        lambda: program(["a", "b"]),
        lambda: program([x, y]),
        lambda: program(np.array([1j, 2.0])),
        lambda: program([1.0, 2.0], out=np.empty(3, np.float32)),
        lambda: program.vjp([1.0, 2.0], None),
        lambda: program([1.0, 2.0], threads=1.5),
    ]:
        with pytest.raises(TypeError):
            call()  # type: ignore[no-untyped-call]
    with pytest.raises(TypeError, match=r"^threads is a number of threads, 1 or more, or -1 .*, not NoneType$"):
        program([1.0, 2.0], threads=None)  # type: ignore[arg-type]


def test_an_unknown_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    x = Value(1.0)
    monkeypatch.setenv("KILOGRAD_ISA", "mmx")
    with pytest.raises(ValueError, match="mmx"):
        Program(x * x, [x])([1.0])


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other processors have one")
def test_the_instruction_sets_are_those_that_the_system_tells_of() -> None:
    cpu = pathlib.Path("/proc/cpuinfo")
    if not cpu.exists():
        pytest.skip("nothing to compare with")
    flags = set(next(line for line in cpu.read_text().splitlines() if line.startswith("flags")).split())
    needs = {"avx512": {"avx512f", "avx512dq", "avx512bw", "avx512vl", "avx2", "fma"}, "avx2": {"avx2", "fma"}}
    expected = [*(name for name, needed in needs.items() if needed <= flags), "sse2"]
    assert SETS in (expected, [*expected, "scalar"])  # the last is built for the C++ tests


EDGES: list[tuple[Callable[[Value], Value], float, type[Exception], str]] = [
    (lambda v: v.log(), -2.0, ValueError, "'log' at -2"),
    (lambda v: v.log(), 0.0, ValueError, "'log' at 0"),
    (lambda v: v.sqrt(), -1.0, ValueError, "'sqrt' at -1"),
    (lambda v: v**-1, 0.0, ZeroDivisionError, r"'\*\*-1' at 0"),
    (lambda v: 2.0 / v, 0.0, ZeroDivisionError, r"'\*\*-1' at 0"),
    (lambda v: v**0.5, -1.0, ValueError, r"'\*\*0.5' at -1"),
    (lambda v: v**3, 1e200, OverflowError, r"'\*\*3' at 1e\+200"),
    (lambda v: v.exp(), 1000.0, OverflowError, "'exp' at 1000"),
    (lambda v: v.asin(), 2.0, ValueError, "'asin' at 2"),
    (lambda v: v.atanh(), 1.0, ValueError, "'atanh' at 1"),
]


@pytest.mark.parametrize(("op", "at", "error", "message"), EDGES)
@pytest.mark.parametrize("rows", [1, 2, 40, 3000])
def test_domain_errors(
    op: Callable[[Value], Value], at: float, error: type[Exception], message: str, rows: int, isa: str
) -> None:
    with pytest.raises(error):
        op(Value(at))
    x = Value(0.5)
    program = Program(op(x), [x])
    data = np.full((rows, 1), 0.5)
    data[rows // 2] = at
    for threads in (1, 3):
        with pytest.raises(error, match=rf"{message} \(row {rows // 2}\)"):
            program.value_and_grad(data, threads=threads)
    values = program(data, check=False)
    assert np.isfinite(np.delete(values, rows // 2)).all()
    assert not np.isfinite(values[rows // 2])


def test_the_row_of_an_error_is_that_of_the_input() -> None:
    x = [Value(1.0), Value(2.0)]
    program = Program([x[0].log() * x[1], x[0] * x[1]], x)
    data = np.ones((50, 2))
    data[33, 0] = -1.0
    for call in (program.jacobian, program.hessian, lambda x: program.hessian(x, weights=[1.0, 2.0])):
        with pytest.raises(ValueError, match=r"'log' at -1 \(row 33\)"):
            call(data)


def test_an_error_that_no_input_matters_for() -> None:
    w, x = Value(1.0), Value(1.0)
    program = Program(w.log() * x, [x])
    w.data = -1.0
    with pytest.raises(ValueError, match=r"'log' at -1 \(in every row\)"):
        program([[1.0], [2.0]])
    assert program(np.empty((0, 1))).shape == (0,)


# --- arrays in and out -----------------------------------------------------------------------------------------------


def test_layouts_and_types() -> None:
    program, _, _, _ = network()
    x = np.random.default_rng(6).normal(size=(50, 3)).astype(np.float32).astype(float)
    expected = program.value_and_grad(x, "both")
    wide = np.zeros((100, 6))
    wide[::2, ::2] = x
    backwards = x[::-1].copy()[::-1]
    packed = np.zeros(50, dtype=[("a", "i1"), ("x", "f8", 3)])
    packed["x"] = x
    for same in (
        x.astype(np.float32),
        np.asfortranarray(x),
        wide[::2, ::2],
        backwards,
        packed["x"],
        x.tolist(),
        x.astype(">f8"),
    ):
        for a, b in zip(program.value_and_grad(same, "both"), expected, strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(program(np.array([[1, 0, 1]])), program(np.array([[1.0, 0.0, 1.0]])))
    np.testing.assert_array_equal(program(np.array([[True, False, True]])), program([[1.0, 0.0, 1.0]]))
    np.testing.assert_array_equal(program(np.broadcast_to(x[0], (9, 3))), np.full(9, program(x[:9])[0]))
    x.flags.writeable = False
    np.testing.assert_array_equal(program(x), expected[0])


def test_out() -> None:
    program, _, _, _ = network()
    x = np.random.default_rng(7).normal(size=(50, 3))
    expected = program.value_and_grad(x, "both")
    out = (np.empty(50), np.empty((50, 3)), np.empty(len(expected[2])))
    got = program.value_and_grad(x, "both", out=out)
    for a, b, c in zip(got, out, expected, strict=True):
        assert a is b
        np.testing.assert_array_equal(a, c)
    values = np.empty(50)
    assert program(x, out=values) is values
    np.testing.assert_array_equal(values, expected[0])
    total = np.empty(())
    assert program(x, reduce="sum", out=total) is total
    for method, arguments in [
        (program.jacobian, (x,)),
        (program.hessian, (x,)),
        (program.hessian, (x, "both")),
        (program.hvp, (x, np.ones(3))),
        (program.jvp, (x, np.ones(3))),
        (program.vjp, (x, 2.0)),
        (program.vjp, (x, 2.0, "parameters")),
    ]:
        fresh = method(*arguments)  # type: ignore[operator]
        given = np.full_like(fresh, np.nan)
        assert method(*arguments, out=given) is given  # type: ignore[operator]
        np.testing.assert_array_equal(given, fresh)


def test_out_may_be_the_input() -> None:
    x, y = Value(0.0), Value(0.0)
    program = Program([y, x * y], [x, y])
    data = np.random.default_rng(8).normal(size=(1000, 2))
    expected = program(data)
    program(data, out=data)
    np.testing.assert_array_equal(data, expected)


def test_scalars_are_numpy_scalars() -> None:
    x = Value(0.0)
    program = Program(x.exp(), [x])
    assert isinstance(program([0.0]), np.float64)
    assert isinstance(program.value_and_grad([0.0])[0], np.float64)
    assert isinstance(program.jvp([0.0], [1.0]), np.float64)


# --- what a program says of itself -----------------------------------------------------------------------------------


def test_description() -> None:
    x, w = Value(1.0), Value(2.0)
    program = Program([x * w + 0.0, (x * w + 0.0).exp()], [x])
    assert len(program) == 2
    assert program.ops == {"recorded": {"add": 2, "mul": 2, "exp": 1}, "optimised": {"mul": 1, "exp": 1}}
    assert repr(program) == "Program(1 input, 1 parameter, outputs of shape (2,), 2 ops from 5)"
    assert program.nbytes > 0
    before = program.nbytes
    program(np.ones((5, 1)))
    assert program.nbytes > before
    identity = Program(x, [x])
    assert len(identity) == 0
    assert identity


# --- copies and files ------------------------------------------------------------------------------------------------


def test_copies() -> None:
    program, _, _, _ = network()
    x = np.random.default_rng(9).normal(size=(20, 3))
    expected = program.value_and_grad(x, "both")
    shallow, deep, pickled = copy.copy(program), copy.deepcopy(program), pickle.loads(pickle.dumps(program))
    for twin in (shallow, deep, pickled):
        for a, b in zip(twin.value_and_grad(x, "both"), expected, strict=True):
            np.testing.assert_array_equal(a, b)
        assert repr(twin) == repr(program)
    assert all(p is q for p, q in zip(shallow.parameters, program.parameters, strict=True))
    assert not any(p is q for p, q in zip(deep.parameters, program.parameters, strict=True))
    both, parameters = pickle.loads(pickle.dumps((program, program.parameters)))
    assert all(p is q for p, q in zip(both.parameters, parameters, strict=True))


def test_save_and_load(tmp_path: pathlib.Path) -> None:
    program, parameters, _, _ = network()
    parameters[0].data = 0.125
    program.save(tmp_path / "loss.kg")
    loaded = Program.load(str(tmp_path / "loss.kg"))
    x = np.random.default_rng(10).normal(size=(20, 3))
    for a, b in zip(loaded.value_and_grad(x, "both"), program.value_and_grad(x, "both"), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [p.data for p in loaded.parameters] == [p.data for p in program.parameters]
    w = Value(1.0)
    Program([[w, w * w]]).save(tmp_path / "shape.kg")
    assert Program.load(tmp_path / "shape.kg")().shape == (1, 2)


def fnv(data: bytes) -> int:
    h = 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return h


def test_damaged_files(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.kg"
    a, b, w = Value(1.0), Value(2.0), Value(3.0)
    Program([a * b + w * a, (a * w).exp()], [a, b]).save(path)
    good = path.read_bytes()

    def load(data: bytes) -> Program:
        path.write_bytes(data)
        return Program.load(path)

    load(good)
    for size in range(len(good)):
        with pytest.raises(ValueError, match="program"):
            load(good[:size])
    for k in range(len(good)):
        with pytest.raises(ValueError, match="program"):
            load(good[:k] + bytes([good[k] ^ 0x55]) + good[k + 1 :])
    with pytest.raises(ValueError, match="another version"):
        load(good[:6] + b"\x02\x00" + good[8:])
    with pytest.raises(ValueError, match=path.name):
        load(b"")
    with pytest.raises(ValueError, match="parameters"):
        Program._restore(good, (Value(1.0),) * 3)
    # With a checksum that fits: whatever is accepted can be run.
    dice = random.Random(0)
    accepted = 0
    for _ in range(3000):
        body = bytearray(good[:-8])
        for _ in range(dice.randint(1, 3)):
            body[dice.randrange(8, len(body))] = dice.choice([dice.randrange(8), dice.randrange(256)])
        try:
            program = load(bytes(body) + fnv(bytes(body)).to_bytes(8, "little"))
        except ValueError:
            continue
        accepted += 1
        n = program._core.n_inputs
        if n < 1000:
            program.value_and_grad(np.ones((3, n)), "both", check=False)
    assert accepted > 50


# (log1p(x) * exp(x) + log(x)) ** 2, as saved by an early version.
NAMED = (
    b"YiDqBZ)X7j0RR91000001^@s60ssI20RR91CjbBd000001!-"
    b"<@b#wp#000000000000000000GSZ)Y)Z0000000000000000000017&z{0000000000000000000018i?+0000000000000000000017vS>00000"
    b"0ssI2000000000026J(BVRB^z0000000000000000000300030|Ns91000020000500004Y-M3)0RR9124i(|bZ>0{00006Y-"
    b"w&~VR8Tf000AFWMlyV000ARb!-"
    b"6u000DVZ+Bw>00003aBp`200004bYX62000001af6;bpQYW019knVQYC`a%F6F000002Xkp>ZEtC0000002y<^{bZ~5Sa{vGU00eVsY;^zt000DM"
    b"Wo&f-00003Wq5D_00005Wq5FHF#rGn00V4qX8`~J00nGsXEAUA00004b8&KX0000017Tuw0000019NF^0000017mM<0000019V|-"
    b"000001YvV&ZU6uP00d!UZ*u?u000DGbYX4)00004b7^j9000001Y>V=XaE2J00m)lX>Mo$00005VPkJ|XaE2J00m)mVQy#u00003WpZW!00004Wp"
    b"ZX?000002W??^X>E0F000002W@F?X>E0F000001Z-t<a{vGU019knb8}y1adlyA000001!Zw{VQc^Z000DMVRU5x0002;E0CY&dvrM"
)


def test_files_name_their_operations(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "named.kg"

    def load(data: bytes) -> Program:
        path.write_bytes(data[:-8] + fnv(data[:-8]).to_bytes(8, "little"))
        return Program.load(path)

    data = base64.b85decode(NAMED)
    x = np.array([[0.75], [2.5]])
    want = (np.log1p(x) * np.exp(x) + np.log(x)) ** 2
    np.testing.assert_allclose(load(data)(x), want[:, 0], rtol=1e-14)
    exchanged = data.replace(b"\x03exp", b"\x03...").replace(b"\x03log", b"\x03exp").replace(b"\x03...", b"\x03log")
    want = (np.log1p(x) * np.log(x) + np.exp(x)) ** 2
    np.testing.assert_allclose(load(exchanged)(x), want[:, 0], rtol=1e-14)
    with pytest.raises(ValueError, match="the operation 'lgo', which this version does not know"):
        load(data.replace(b"\x03log", b"\x03lgo"))
    a = Value(1.0)
    Program(a.log(), inputs=[a]).save(path)
    assert b"exp" not in path.read_bytes()  # which a later version may do without


@pytest.mark.parametrize("exponent", [math.inf, -math.inf, math.nan, -1.0, -2.0, -3.0, -7.0, -8.0, 3.0, 0.5, 1.5])
def test_powers_at_the_ends_of_the_numbers(exponent: float, isa: str) -> None:
    """Where the power overflows its reciprocal may not; an exponent that is not finite is none that can be refused."""
    base = Value(2.0)
    program = Program(base**exponent, inputs=[base])
    tested = [s * m * 2.0**e for s in (1, -1) for m in (1.0, 1.7) for e in (-1074, -1000, -511, -150, 0, 60, 150, 500)]
    tested += [1e160, -1e160, 1.5e154, 1.4e154, 1e107, 1e108, 2e40, 6e38, 1e308, math.inf, -math.inf, math.nan, 0.0]
    for x in tested:
        v = Value(x)
        try:
            y = v**exponent
            y.backward()
        except REFUSALS as error:
            with pytest.raises(type(error)):
                program([x])
            continue
        found = program.value_and_grad([[x]] * 9)
        rtol = 8 * EPS
        np.testing.assert_allclose(found[0], [y.data] * 9, rtol=rtol, atol=5e-324)
        np.testing.assert_allclose(found[1][:, 0], [v.grad] * 9, rtol=rtol, atol=1e-323)
        np.testing.assert_allclose(program([x]), y.data, rtol=rtol, atol=5e-324)


def work(program: Program, x: np.ndarray) -> tuple[np.ndarray, ...]:
    return program.value_and_grad(x, "both", threads=2)


def test_another_process() -> None:
    program, _, _, _ = network()
    x = np.random.default_rng(11).normal(size=(200, 3))
    expected = work(program, x)
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        for a, b in zip(pool.submit(work, program, x).result(), expected, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child(run_python: Callable[[str], str]) -> None:
    printed = run_python("""
import os
import numpy as np
from kilograd import Program, Value

x = Value(1.0)
program, rows = Program(x.tanh() * x, [x]), np.linspace(-2, 2, 100_000)[:, None]
expected = program(rows, threads=2)  # the pool of threads exists now, and does not survive the fork
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(program(rows, threads=2), expected) else 1)
print(os.waitpid(child, 0)[1])
""")
    assert printed == "0\n"


def test_joblib() -> None:
    joblib = pytest.importorskip("joblib")
    program, _, _, _ = network()
    x = np.random.default_rng(12).normal(size=(200, 3))
    expected = work(program, x)
    for got in joblib.Parallel(n_jobs=2)(joblib.delayed(work)(program, x) for _ in range(3)):
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_array_equal(a, b)


# --- Python threads --------------------------------------------------------------------------------------------------


def test_many_python_threads() -> None:
    program, _, _, _ = network()
    x = np.random.default_rng(13).normal(size=(700, 3))
    expected = program.value_and_grad(x, "both")
    hessian = program.hessian(x[:30])
    start = threading.Barrier(8)

    def many(number: int) -> None:
        start.wait()
        for _ in range(30):
            for a, b in zip(program.value_and_grad(x, "both", threads=1 + number % 3), expected, strict=True):
                np.testing.assert_array_equal(a, b)
            np.testing.assert_array_equal(program.hessian(x[:30]), hessian)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(many, range(8)))


def test_the_gil_is_released() -> None:
    program, _, _, _ = network()
    x = np.random.default_rng(14).normal(size=(20_000, 3))
    counted, done = 0, threading.Event()

    def count() -> None:
        nonlocal counted
        while not done.is_set():
            counted += 1
            time.sleep(0.0)

    thread = threading.Thread(target=count)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e6)  # no thread has to give the GIL away: they do where they say so
    try:
        thread.start()
        before = counted
        for _ in range(10_000):  # until the other thread was awake in time
            program.value_and_grad(x, "both")
            if counted > before:
                break
        assert counted > before
    finally:
        sys.setswitchinterval(interval)
        done.set()
        thread.join()


def test_out_without_inputs() -> None:
    w = Value(3.0)
    p = Program(w * w)
    value, gradient = np.empty(()), np.empty(1)
    p(out=value)
    assert value == 9.0
    p.value_and_grad(wrt="parameters", out=(value, gradient))
    assert gradient.tolist() == [6.0]
    p.backward(out=value)
    assert w.grad == 6.0
    p.hessian(wrt="parameters", out=(square := np.empty((1, 1))))
    assert square.tolist() == [[2.0]]


def test_parameters_as_an_argument():
    pytest.importorskip("scipy.sparse")
    w = [Value(0.5), Value(-1.5), Value(2.0)]
    x = [Value(0.0), Value(0.0)]
    program = Program([(w[0] * x[0] + w[1]).tanh() * x[1], w[2] * x[0] * x[1]], x, w)
    rows = np.random.default_rng(0).normal(size=(5, 2))
    sets = np.random.default_rng(1).normal(size=(4, 3))
    v, u = [0.3, -0.7], [1.0, 2.0, 3.0]
    calls = {
        "forward": lambda **k: program(rows, **k),
        "mean": lambda **k: program(rows, reduce="mean", **k),
        "row": lambda **k: program(rows[0], **k),
        "value_and_grad": lambda **k: program.value_and_grad(rows, "both", **k),
        "vjp": lambda **k: program.vjp(rows, v, "parameters", **k),
        "jvp": lambda **k: program.jvp(rows, u, "parameters", **k),
        "jacobian": lambda **k: program.jacobian(rows, "both", **k),
        "hessian": lambda **k: program.hessian(rows, "both", weights=v, **k),
        "hvp": lambda **k: program.hvp(rows, u, "parameters", **k),
        "sparse": lambda **k: program.jacobian(rows[0], sparse=True, **k),
        "sparse rows": lambda **k: program.hessian(rows, "both", sparse=True, **k),
    }
    before = [p.data for p in w]

    def dense(result):
        if isinstance(result, (tuple, list)):
            return [dense(part) for part in result]
        return result.toarray() if hasattr(result, "toarray") else np.asarray(result)

    for name, call in calls.items():
        right = []
        for numbers in sets:
            kilograd.arrays.assign(w, numbers)
            right.append(dense(call()))
        kilograd.arrays.assign(w, before)
        for numbers, expected in zip(sets, right):
            found = dense(call(parameters=numbers))
            assert all(np.array_equal(a, b) for a, b in zip(found, expected)), name
        found = dense(call(parameters=sets.tolist()))
        if isinstance(found, list) and not name.startswith("sparse"):
            found = list(zip(*found))
        for each, expected in zip(found, right):
            assert all(np.array_equal(a, b) for a, b in zip(each, expected)), name
        assert [p.data for p in w] == before
        assert [p.grad for p in w] == [0, 0, 0]
    assert program(rows, parameters=sets).shape == (4, 5, 2)


def test_parameters_that_are_refused():
    w, x = Value(0.5), Value(0.0)
    program = Program(w * x, [x])
    for numbers, error, message in [
        ([1.0, 2.0], ValueError, r"parameters has shape \(2,\), not \(1,\) or \(sets, 1\)"),
        (1.0, ValueError, r"parameters has shape \(\)"),
        (np.empty((0, 1)), ValueError, "parameters is a table without rows"),
        ({"a": 1.0}, TypeError, "a list, an array or a table is needed"),
    ]:
        with pytest.raises(error, match=message):
            program([1.0], parameters=numbers)
    with pytest.raises(ValueError, match="out is for one set of parameters"):
        program([[1.0]], parameters=[[1.0]], out=np.empty(1))
    out = np.empty(1)
    assert program([[3.0]], parameters=[2.0], out=out) is out
    assert out.tolist() == [6.0]
