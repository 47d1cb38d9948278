"""Compiled functions: the same results, errors and branches as the plain function, and derivatives in its structure."""

from __future__ import annotations

import concurrent.futures
import contextlib
import copy
import dataclasses
import functools
import io
import math
import numbers
import operator as op
import os
import pathlib
import pickle
import random
import runpy
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kilograd
from kilograd import Value
from kilograd.compiled import PATH_LIMIT, names

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"


def paths_of(f) -> int:
    return sum(map(len, f._paths.values()))


def floats(fn, x):
    """What the plain function gives, infinity and NaN without warnings."""
    with np.errstate(all="ignore"):
        return fn(x)


def eager(fn, x):
    """The value and the gradient that the plain graph gives, x an array."""
    leaves = np.array([Value(v) for v in x])
    out = fn(leaves)
    if not isinstance(out, Value):
        return float(out), np.zeros(len(x))
    out.backward()
    return out.data, np.array([leaf.grad for leaf in leaves])


# --- values and derivatives


def polynomial(x):
    return x[0] ** 2 * x[1] + np.sin(x[1]) * x[2] - (x * x).sum()


def test_value_and_derivatives_of_an_array():
    f = kilograd.compile(polynomial)
    x = np.array([0.5, -1.25, 2.0])
    want, gradient = eager(polynomial, x)
    assert f(x) == pytest.approx(want, rel=1e-15)
    assert type(f(x)) is float
    value, got = f.value_and_grad(x)
    assert type(value) is float
    assert value == pytest.approx(want, rel=1e-15)
    assert got == pytest.approx(gradient, rel=1e-14)
    assert f.grad(x) == pytest.approx(gradient, rel=1e-14)
    assert f.jacobian(x) == pytest.approx(gradient, rel=1e-14)
    a, b, c = x
    hessian = [[2 * b - 2, 2 * a, 0], [2 * a, -math.sin(b) * c - 2, math.cos(b)], [0, math.cos(b), -2]]
    assert f.hessian(x) == pytest.approx(np.array(hessian), rel=1e-14)
    v = np.array([1.0, -2.0, 0.5])
    assert f.hvp(x, v) == pytest.approx(np.array(hessian) @ v, rel=1e-14)
    assert paths_of(f) == 1


def test_numbers_give_numbers():
    f = kilograd.compile(lambda x: x**3)
    for result in (f(2), f.grad(2), f.hessian(2), f.jacobian(2), f.hvp(2, 1), f.value_and_grad(np.float64(2))[1]):
        assert type(result) is float
    assert (f(2), f.grad(2), f.hessian(2), f.jacobian(2.0), f.hvp(2.0, 0.5)) == (8.0, 12.0, 12.0, 12.0, 6.0)


def test_the_function_runs_once_for_each_structure():
    runs = []

    @kilograd.compile
    def f(x):
        runs.append(np.shape(x))
        return np.sum(x * x)

    for x in (1.5, 2.5, np.ones(2), np.arange(2), np.ones(2, dtype=np.float32), np.ones((2, 1)), [1.0, 2.0]):
        f(x) if not isinstance(x, list) else f(np.array(x))
    assert runs == [(), (2,), (2, 1)]
    assert f(np.arange(2)) == 1.0
    assert f(np.ones((2, 2), order="F")[:, ::-1]) == 4.0


@pytest.mark.parametrize(
    ("fn", "want"),
    [
        (lambda x: [x[0], x[0] * x[1]], [2.0, 6.0]),
        (lambda x: (x[0] * 2, {"a": x[1] + 1, "b": 7}), (4.0, {"a": 4.0, "b": 7})),
        (lambda x: x, np.array([2.0, 3.0])),
        (lambda x: x[::-1].reshape(2, 1), np.array([[3.0], [2.0]])),
        (lambda x: None, None),
        (lambda x: (), ()),
        (lambda x: 5, 5),
        (lambda x: np.arange(3), np.arange(3)),
        (lambda x: np.array([x[0], 1, 2.5]), np.array([2.0, 1.0, 2.5])),
        (lambda x: (x[0], x[0], "name", True), (2.0, 2.0, "name", True)),
        (lambda x: x[0] > x[1], False),
        (lambda x: np.array(x[0] * 2, dtype=object), 4.0),
    ],
)
def test_structures_of_results(fn, want):
    f = kilograd.compile(fn)
    for _ in range(2):  # recorded, and from the record
        got = f(np.array([2.0, 3.0]))
        assert type(got) is type(want)
        np.testing.assert_equal(got, want)


def test_named_tuples_go_in_and_out():
    class Pair(NamedTuple):
        a: float
        b: float

    f = kilograd.compile(lambda p: Pair(p.a * p.b, p.b))
    assert f(Pair(2.0, 3.0)) == Pair(6.0, 3.0)
    assert isinstance(f(Pair(2.0, 3.0)), Pair)
    assert f.jacobian(Pair(2.0, 3.0)) == Pair(Pair(3.0, 2.0), Pair(0.0, 1.0))


def test_constant_arrays_in_results_are_copies():
    f = kilograd.compile(lambda x: (x, np.zeros(2)))
    f(1.0)[1][:] = 5.0
    assert f(1.0)[1].tolist() == [0.0, 0.0]


def test_containers_and_keywords_as_arguments():
    f = kilograd.compile(lambda p, *, scale: (p["w"] * p["x"][0]).sum() * scale)
    p = {"w": np.array([1.0, 2.0]), "x": [3.0, "unused"]}
    assert f(p, scale=2.0) == 18.0
    gradient = f.grad(p, scale=2.0)
    assert gradient["w"].tolist() == [6.0, 6.0]
    assert gradient["x"] == [6.0, None]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: 2 * x if x / x == 1.0 else 3 * x,
        lambda x: 2 * x if x / 49.0 == 1.0 else 3 * x,
        lambda x: 2 * x if 49.0 / x + 1.0 == 2.0 else 3 * x,
        lambda x: 2 * x if f"{x / 3.0}" == str(1.1 / 3.0) else 3 * x,
        lambda x: kilograd.where(x / 49.0 < 1.0, 2 * x, 3 * x),
        lambda x: kilograd.where((x / 49.0 + 1.0 == 2.0) | (x > 55.0), 2 * x, 3 * x),
    ],
)
def test_what_decides_by_a_quotient_sees_that_of_floats(function):
    f = kilograd.compile(function)
    numbers = [49.0, 1.1, 0.1, *map(float, range(1, 60))]
    assert 49.0 * 49.0**-1 != 1.0
    assert [f(x) for x in numbers] == [float(function(x)) for x in numbers]
    assert f.batch(np.array(numbers)).tolist() == [float(function(x)) for x in numbers]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: abs(np.sign(x) ** 0.5),
        lambda x: abs(pow(np.clip(x, -1.0, 1.0), 0.3)) + x,
        lambda x: abs(np.power(np.sign(np.array([x, 1.0])), 0.5)).sum() * x,
    ],
)
def test_roots_of_negative_numbers_that_numpy_chose_are_no_complex_numbers(function):
    """NaN in NumPy, and like every such operation an error here."""
    f = kilograd.compile(function)
    assert f(1.5) == float(function(1.5))
    for call in (f, f.grad, f):
        with pytest.raises(ValueError, match="outside the domain"):
            call(-1.5)
    assert isinstance(f.grad(1.5), float)


def test_argnums():
    def f(x, y, z):
        return (x * y).sum() * z

    x, y, z = np.array([1.0, 2.0]), np.array([3.0, 5.0]), 2.0
    g = kilograd.compile(f)
    assert g.grad(x, y, z).tolist() == [6.0, 10.0]
    assert g.grad(x, y, z, argnums=1).tolist() == [2.0, 4.0]
    assert g.grad(x, y, z, argnums=-1) == 13.0
    dz, dx = kilograd.compile(f, argnums=(2, 0)).grad(x, y, z)
    assert dz == 13.0
    assert dx.tolist() == [6.0, 10.0]
    h = g.hessian(x, y, z, argnums=(1, 2))
    assert h[0][0].tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert h[0][1].tolist() == h[1][0].tolist() == [1.0, 2.0]
    assert h[1][1] == 0.0
    product = g.hvp(x, (y, 1.0), y, z, argnums=(0, 2))
    assert product[0].tolist() == y.tolist()
    assert product[1] == 34.0
    j = kilograd.jacobian(lambda x, y: np.outer(x, y), argnums=(0, 1))(x, y)
    assert (j[0].shape, j[1].shape) == ((2, 2, 2), (2, 2, 2))
    assert j[0][0, 1].tolist() == [5.0, 0.0]
    assert j[1][0, 1].tolist() == [0.0, 1.0]
    for wrong, error in ((3, ValueError), (-4, ValueError), ("x", TypeError), (1.0, TypeError), ((), TypeError)):
        with pytest.raises(error):
            g.grad(x, y, z, argnums=wrong)


def test_a_compiled_function_compiled_with_other_options():
    f = kilograd.compile(lambda x, y: x * y**2)
    g = kilograd.compile(f, argnums=1)
    assert (f.grad(3.0, 2.0), g.grad(3.0, 2.0)) == (4.0, 12.0)
    assert "1 path" in repr(f)
    assert "1 path" in repr(g)


@pytest.mark.parametrize("outputs", [1, 3, 40])
def test_jacobian_by_one_of_two_arguments(outputs):
    """By columns or by rows, whichever are fewer, and never by the data."""
    t = np.linspace(0.0, 1.0, outputs)
    f = kilograd.compile(lambda p, t: p[0] * np.exp(p[1] * t) + p[2])
    p = np.array([2.0, -0.5, 0.25])
    want = np.stack([np.exp(p[1] * t), p[0] * t * np.exp(p[1] * t), np.ones(outputs)], axis=1)
    assert f.jacobian(p, t) == pytest.approx(want, rel=1e-14)
    assert f.jacobian(p, t, argnums=1) == pytest.approx(np.diag(p[0] * p[1] * np.exp(p[1] * t)), rel=1e-14)


def test_jacobian_of_a_list_and_of_constants():
    f = kilograd.compile(lambda x: [x[0] * x[1], 3.0, np.ones(2), "s"])
    a, b, c, d = f.jacobian(np.array([2.0, 3.0]))
    assert a.tolist() == [3.0, 2.0]
    assert b.tolist() == [0.0, 0.0]
    assert c.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert d is None


def test_a_constant_function_has_derivatives_of_zero():
    f = kilograd.compile(lambda x: 3)
    x = np.ones(2)
    assert f.value_and_grad(x)[0] == 3.0
    assert f.grad(x).tolist() == f.jacobian(x).tolist() == f.hvp(x, x).tolist() == [0.0, 0.0]
    assert f.hessian(x).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert f.batch.grad(np.ones((3, 2))).tolist() == [[0.0, 0.0]] * 3


def test_free_functions():
    def f(x, y):
        return x**2 * y

    assert kilograd.grad(f)(3.0, 2.0) == 12.0
    assert kilograd.grad(f, argnums=(0, 1))(3.0, 2.0) == (12.0, 9.0)
    assert kilograd.value_and_grad(f)(3.0, 2.0) == (18.0, 12.0)
    assert kilograd.jacobian(f, argnums=1)(3.0, 2.0) == 9.0
    assert kilograd.hessian(f)(3.0, 2.0) == 4.0
    assert kilograd.hvp(f)(3.0, 0.5, 2.0) == 2.0
    compiled = kilograd.compile(f)
    assert kilograd.grad(compiled, 1)(3.0, 2.0) == 9.0
    assert paths_of(compiled) == 1
    assert kilograd.grad(f).__name__ == "grad(f)"


@pytest.mark.parametrize(
    "argument",
    [
        2**53 + 1,
        np.int64(2**53 + 1),
        -(2**60) - 1,
        [1.0, 2**53 + 1],
        np.array([1, 2**53 + 1]),
        np.array([2**64 - 1], np.uint64),
    ],
)
def test_an_integer_that_is_no_float_is_refused(argument):
    with pytest.raises(ValueError, match="takes floats, and .* is none: pass float"):
        kilograd.compile(lambda x: x if np.isscalar(x) else x[0])(argument)


@pytest.mark.parametrize("argument", [2**53, -(2**53), 2**60, np.array([2**62, -(2**53), 7]), np.uint64([2**63])])
def test_large_integers_that_are_floats(argument):
    assert np.all(kilograd.compile(lambda x: x * 1.0)(argument) == argument)


def test_where_decides_by_what_was_written():
    """x * y**-1 is no quotient: it is one rounding away from x / y."""
    f = kilograd.compile(lambda x, y: kilograd.where(x * y**-1 < 1.0, 1.0 * x, 2.0 * x))
    x = np.arange(1.0, 100.0)
    expected = np.where(x * x**-1 < 1.0, x, 2.0 * x)
    assert (expected == x).any()
    np.testing.assert_array_equal(f.batch(x, x), expected)
    np.testing.assert_array_equal([f(a, a) for a in x], expected)


def test_an_argument_that_is_chosen_twice_has_the_sum_of_the_vectors():
    f = kilograd.compile(lambda x, y: x * x * y, argnums=(0, 0))
    assert f.hessian(2.0, 3.0) == ((6.0, 6.0), (6.0, 6.0))
    assert f.hvp(2.0, (1.0, 5.0), 3.0) == (36.0, 36.0)


@pytest.mark.parametrize("number", [2**53 + 1, -(2**60) - 1, 10**400])
def test_a_comparison_with_an_integer_that_is_no_float_is_refused(number: int):
    with pytest.raises(ValueError, match=f"no float equals {number}"[:150]):
        kilograd.compile(lambda x: x if x < number else -x)(2.0**53)
    assert kilograd.compile(lambda x: x if x < 2**60 else -x)(2.0**60) == -(2.0**60)


@pytest.mark.parametrize("text", [str, repr, ascii, format, "{}".format, lambda x: f"{x}", lambda x: f"{x!r}"])
def test_the_text_of_a_value_is_its_numbers(text):
    f = kilograd.compile(lambda x: -x if text(x)[0] == "-" else 2 * x * len(text(x)))
    assert [f(-3.0), f(2.0), f(0.125), f(-0.5)] == [3.0, 12.0, 1.25, 0.5]
    assert [f.grad(-3.0), f.grad(2.0)] == [-1.0, 6.0]
    np.testing.assert_array_equal(f.batch(np.array([-1.0, 2.0, -3.0])), [1.0, 12.0, 3.0])


def test_the_text_and_the_bytes_of_an_array():
    x = np.array([1.0, -2.0])
    for function in (lambda x: x[0] * len(str(x)), lambda x: x[0] * len(f"{x}{x!r}")):
        f = kilograd.compile(function)
        for point in (x, x / 3.0, x):
            assert f(point) == function(point)
            assert f.grad(point) == pytest.approx([function(point) / point[0], 0.0])

    def function(x):
        return x[0] * x.tobytes()[6]

    assert kilograd.compile(function)(x) == function(x)
    with pytest.raises(TypeError):
        kilograd.compile(function).grad(x)


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_tables_and_matrices_are_refused_where_their_rules_would_count():
    pd = pytest.importorskip("pandas")
    table = np.array([[1.0, 2.0], [3.0, 5.0]])
    f = kilograd.compile(lambda x: (x * x).sum() + x.std())
    for thing in (np.matrix(table), pd.DataFrame(table), pd.Series(table[0])):
        for call in (f, f.grad, f.hessian):
            with pytest.raises(TypeError, match=r"has other rules .* numpy.asarray\(x\)"):
                call(thing)
    np.testing.assert_array_equal(f.batch(pd.DataFrame(table)), f.batch(table))
    for thing in (np.array([1, 2], "m8[s]"), np.array(["2020"], "M8[D]"), np.array(["1"])):
        with pytest.raises(TypeError, match="arrays of real numbers"):
            f(thing)


def test_the_base_of_an_array_is_refused():
    with pytest.raises(TypeError, match="base of an array"):
        kilograd.compile(lambda x: x[0] if x.base is None else x[1])(np.array([1.0, 2.0]))


def test_masked_entries_are_refused():
    masked = np.ma.array([1.0, 2.0], mask=[False, True])
    with pytest.raises(ValueError, match=r"masked.*filled"):
        kilograd.compile(lambda x: x[0] + x[1])(masked)
    assert kilograd.compile(lambda x: x[0] + x[1])(np.ma.array([1.0, 2.0])) == 3.0


# --- branches


def branchy(x):
    total = x.sum()
    if x[0] > 0.5:
        total = total * 2
    elif x[0] == 0.25:
        total = total + 100
    if not x[1] <= x[2] * 0.1 + 0.2:
        total = total - x[1] * x[1]
    if x[2]:
        total = total * 3
    return total


def branchy_gradient(x):
    gradient = np.ones(3) * (2.0 if x[0] > 0.5 else 1.0)
    if not x[1] <= x[2] * 0.1 + 0.2:
        gradient[1] -= 2 * x[1]
    return gradient * (3.0 if x[2] else 1.0)


NUMBERS = st.one_of(
    st.floats(-2, 2), st.sampled_from([0.0, -0.0, 0.25, 0.5, 1.0, 0.3, 0.1 * 1.0 + 0.2, math.nan, math.inf])
)


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=12))
def test_every_branch_is_the_one_that_floats_take(rows):
    f = kilograd.compile(branchy)
    X = np.array(rows)
    want = [floats(branchy, x) for x in X]
    for x, value in zip(X, want, strict=True):
        np.testing.assert_allclose(f(x), value, rtol=1e-13, atol=1e-13)
    fresh = kilograd.compile(branchy)
    np.testing.assert_allclose(fresh.batch(X), want, rtol=1e-13, atol=1e-13)
    assert paths_of(f) == paths_of(fresh) <= 12


def test_a_decision_is_bit_for_bit_that_of_eager_code():
    """A fused or regrouped sum rounds differently, and here the comparison would notice."""

    def f(x):
        return (x[0] * x[1] + x[2] * x[3]) - x[4] * x[5] - x[6] > 0

    random.seed(7)
    compiled = kilograd.compile(f)
    X = np.array([[random.random() for _ in range(7)] for _ in range(2000)])
    X[:, 6] = (X[:, 0] * X[:, 1] + X[:, 2] * X[:, 3]) - X[:, 4] * X[:, 5]  # a tie, before or after rounding
    X[::2, 6] = np.nextafter(X[::2, 6], -1.0)
    want = [bool(f(x)) for x in X]
    assert 0 < sum(want) < len(want)
    assert compiled.batch(X).tolist() == want
    assert [compiled(x) for x in X[:100]] == want[:100]


def test_loops_that_depend_on_the_numbers():
    def newton(a):
        x, steps = a, 0
        while abs(x * x - a) > 1e-12 * a:
            x, steps = 0.5 * (x + a / x), steps + 1
        return x, steps

    f = kilograd.compile(newton)
    for a in (1.0, 2.0, 3.0, 100.0, 2.0):
        root, steps = f(a)
        assert steps == newton(a)[1]
        assert root == pytest.approx(math.sqrt(a), rel=1e-12)
    assert f.jacobian(2.0)[0] == pytest.approx(0.5 / math.sqrt(2.0), rel=1e-10)


def test_functions_without_guards():
    f = kilograd.compile(lambda x: kilograd.maximum(x, 0.5) + kilograd.minimum(x, 2.0) + abs(x) + x.relu())
    for x in (-3.0, 0.25, 1.0, 5.0):
        assert f(x) == max(x, 0.5) + min(x, 2.0) + abs(x) + max(x, 0.0)
    assert paths_of(f) == 1


def test_where():
    f = kilograd.compile(lambda x: kilograd.where(x > 0, x, 0.1 * x))
    X = np.array([[1.0, -2.0], [-1.0, -2.0], [3.0, 4.0]])
    np.testing.assert_allclose(f.batch(X), np.where(X > 0, X, 0.1 * X), rtol=1e-15)
    assert paths_of(f) == 1
    assert f.jacobian(X[0]).tolist() == [[1.0, 0.0], [0.0, 0.1]]
    assert kilograd.where(True, 1.0, 2.0) == 1.0
    x = Value(2.0)
    assert kilograd.where(x > 0, x, 1.0) is x
    for wrong in (x, 1.0, [x, x]):
        with pytest.raises(TypeError, match="bool"):
            kilograd.where(wrong, 1.0, 2.0)


NUMBERS = [-math.inf, -1.5, -0.0, 0.0, 1.0, 1.5, math.inf, math.nan]


@pytest.mark.parametrize("compare", [op.lt, op.le, op.eq, op.ne, op.gt, op.ge])
@pytest.mark.parametrize("number", [0.0, 1, -0.0, math.nan])
def test_where_compares_as_python_does(compare, number):
    f = kilograd.compile(lambda x, y: kilograd.where(compare(x, y), 2.0 * x, -y))
    g = kilograd.compile(lambda x: kilograd.where(compare(x, number), 3.0, x))
    h = kilograd.compile(lambda x: kilograd.where(compare(number, x), x, -0.0))
    f(1.0, 1.0), g(1.0), h(1.0)
    for x in NUMBERS:
        for y in NUMBERS:
            np.testing.assert_array_equal(f(x, y), 2.0 * x if compare(x, y) else -y)
        for got, want in ((g(x), 3.0 if compare(x, number) else x), (h(x), x if compare(number, x) else -0.0)):
            np.testing.assert_array_equal(got, want)
            assert math.copysign(1.0, got) == math.copysign(1.0, want) or math.isnan(want)
    assert (paths_of(f), paths_of(g), paths_of(h)) == (1, 1, 1)


def test_where_takes_derivatives_of_the_chosen_side():
    def function(x, y):
        a = kilograd.where(x * y < 1.0, x**2 * y, (x - y).exp())
        return kilograd.where((a > 0.5) & (y > 0), a * a, kilograd.where(x >= y, a.sin() * y, x / (2.0 + y * y)))

    f = kilograd.compile(function, argnums=(0, 1))
    points = np.random.default_rng(0).uniform(-2.0, 2.0, (60, 2))
    for x, y in points:
        values = [Value(x), Value(y)]
        out = function(*values)
        out.backward()
        value, gradient = f.value_and_grad(x, y)
        np.testing.assert_allclose([value, *gradient], [out.data, *(v.grad for v in values)], rtol=1e-13, atol=1e-15)
        h = 1e-6
        ups, downs = f.grad(x + h, y), f.grad(x - h, y)
        second = [(a - b) / (2 * h) for a, b in zip(ups, downs, strict=True)]
        np.testing.assert_allclose(f.hessian(x, y)[0], second, rtol=1e-6, atol=1e-6)
    assert paths_of(f) == 1
    got = f.batch(points[:, 0], points[:, 1])
    np.testing.assert_allclose(got, [f(x, y) for x, y in points], rtol=1e-14)
    assert paths_of(f) == 1


def test_no_nan_from_the_side_not_chosen():
    """An infinite derivative times the adjoint 0; Python has no such product, as that side is in no graph."""
    f = kilograd.compile(lambda x, y: kilograd.where(x > 0, x.sqrt() * y.sqrt(), 3.0 * y), argnums=(0, 1))
    assert f(1.0, 4.0) == 2.0
    for x, y in ((0.0, 4.0), (0.0, 0.0), (4.0, 1.0)):
        a, b = Value(x), Value(y)
        kilograd.where(a > 0, a.sqrt() * b.sqrt(), 3.0 * b).backward()
        assert f.grad(x, y) == (a.grad, b.grad)
    assert f.hessian(0.0, 0.0) == ((0.0, 0.0), (0.0, 0.0))
    nested = kilograd.compile(
        lambda x: kilograd.where(x > 1, kilograd.where(x > -1, (x * 0.0).sqrt() + x, x) * 2.0, x * 5.0)
    )
    assert [nested.grad(0.0), nested.hessian(0.0), nested.grad(-2.0)] == [5.0, 0.0, 5.0]
    shared = kilograd.compile(lambda x: (lambda r: kilograd.where(x > 1, r * 2.0, x) + r)((x + 1.0).sqrt()))
    assert shared.grad(0.0) == 1.5
    assert math.isinf(shared.grad(-1.0))  # the root is used outside of the choice too
    assert [paths_of(g) for g in (f, nested, shared)] == [1, 1, 1]
    X = np.array([[0.0], [4.0], [0.0]])
    batched = kilograd.compile(lambda x: kilograd.where(x > 0, x.sqrt(), 7.0 * x))
    np.testing.assert_array_equal(batched.batch.grad(X[:, 0]), [7.0, 0.25, 7.0])
    assert paths_of(batched) == 1


def test_where_raises_what_the_side_not_chosen_raises():
    f = kilograd.compile(lambda x: kilograd.where(x > 0, x.log(), 0.0))
    assert f(1.0) == 0.0
    with pytest.raises(ValueError, match="log"):
        f(-1.0)


def test_where_shares_a_path_with_guards_for_the_rest():
    def function(x):
        m = x > 2
        y = kilograd.where(x < 5, x, 5.0)
        return y * 10.0 if m else y

    f = kilograd.compile(function)
    assert [f(1.0), f(3.0), f(6.0), f(-1.0)] == [1.0, 30.0, 50.0, -1.0]
    assert paths_of(f) == 2


@pytest.mark.parametrize(
    "function",
    [
        lambda x: kilograd.where(x > 0, 1.0, 2.0) * (x if (x > 3) is True else -x),
        lambda x: (lambda m: kilograd.where(m, 1.0, 2.0) * (x if m is True else -x))(x > 0),
        lambda x: (lambda m: kilograd.where(m, x, 2.0) + (m + 1))(x > 0),
        lambda x: kilograd.where(x > 0, x, 1.0) * [2.0, 3.0][x > 1],
        lambda x: [5.0, x][kilograd.where(x > 0, 1, 0)],
        lambda x: kilograd.where(True, x, 1.0) * (2.0 if x > 1 else 3.0),
        lambda x: {True: x, False: 2.0 * x}[x > 1] + kilograd.where(x != 2, x, 1.0),
        lambda x: kilograd.where(x > 0, "positive", "negative"),
    ],
)
def test_conditions_used_as_bools_are_guards(function):
    f = kilograd.compile(function)
    for x in (0.5, -1.0, 2.0, 4.0, 0.0):
        assert f(x) == function(x)


def test_where_of_arrays_and_masks():
    def function(x, y):
        big = (x > 1) | (y == 0)
        a = kilograd.where(big & ~(x > 3), x * y, 0)
        return kilograd.where(a.sum() > 2, a, np.array([1.0, 2.0, 3.0]) - x)

    def plain(x, y):
        a = np.where(((x > 1) | (y == 0)) & ~(x > 3), x * y, 0)
        return np.where(a.sum() > 2, a, np.array([1.0, 2.0, 3.0]) - x)

    f = kilograd.compile(function)
    rng = np.random.default_rng(1)
    X, Y = rng.uniform(-1, 4, (40, 3)), rng.integers(-1, 2, (40, 3)).astype(float)
    np.testing.assert_allclose(f.batch(X, Y), [plain(x, y) for x, y in zip(X, Y, strict=True)], rtol=1e-14)
    assert paths_of(f) == 1
    g = kilograd.compile(lambda x: (x[x > 0] * 2.0).sum() + kilograd.where(x > 1, x, 0.0).sum())
    for x in X:
        assert g(x) == pytest.approx((x[x > 0] * 2).sum() + x[x > 1].sum())


def test_a_function_with_where_is_traced_twice_and_keeps_nothing():
    calls = []

    def function(x):
        calls.append(1)
        threshold = Value(0.5)
        return kilograd.where(x > threshold, x, threshold)

    f = kilograd.compile(function)
    before = kilograd.live_nodes()
    assert [f(0.0), f(1.0)] == [0.5, 1.0]
    assert len(calls) == 2
    assert kilograd.live_nodes() == before


def test_numpy_functions_that_compare():
    for fn in (np.max, np.sort, np.argmin, lambda x: np.maximum(x, 0.5), lambda x: np.where(x == 1.0, 7.0, x)):
        f = kilograd.compile(fn)
        for x in ([1.0, 2.0, 0.0], [2.0, 1.0, 3.0], [0.0, 0.0, 1.0]):
            np.testing.assert_array_equal(f(np.array(x)), fn(np.array(x)))


def test_reading_data_ties_the_path_to_the_number():
    f = kilograd.compile(lambda x: x * (2 if x.data > 1 else 3) + Value(x.data))
    assert [f(2.0), f(0.5), f(2.0), f(-0.5)] == [6.0, 2.0, 6.0, -2.0]
    assert f.grad(2.0) == 2.0
    sign = kilograd.compile(lambda x: math.copysign(1.0, x.data))
    assert [sign(0.0), sign(-0.0), sign(0.0), sign(math.nan)] == [1.0, -1.0, 1.0, 1.0]
    assert paths_of(sign) == 3
    sign(math.nan)
    assert paths_of(sign) == 3


def test_texts_of_a_number_are_of_the_number():
    texts = kilograd.compile(lambda x: (2 * x, f"{x}", f"{x:.2f}", repr(x)))
    for x in (1.0, 2.5, 1.0):
        assert texts(x) == (2 * x, f"{x}", f"{x:.2f}", repr(x))


def test_range_checks_of_losses_hold_for_later_numbers():
    entropy = kilograd.compile(lambda p, t: kilograd.functional.binary_cross_entropy([p], [t]))
    hinge = kilograd.compile(lambda score, t: kilograd.functional.hinge([score], [t]))
    assert entropy(0.25, 1.0) == pytest.approx(-math.log(0.25))
    assert entropy(0.5, 0.0) == pytest.approx(-math.log(0.5))
    assert (hinge(0.25, 1.0), hinge(0.25, -1.0)) == (0.75, 1.25)
    for bad in [(1.5, 1.0), (0.5, -0.5), (math.nan, 0.0)]:
        with pytest.raises(ValueError, match="from 0 to 1"):
            entropy(*bad)
    with pytest.raises(ValueError, match="-1 or 1"):
        hinge(0.25, 0.5)
    assert "1 path recorded" in repr(entropy)
    assert "1 path recorded" in repr(hinge)


def test_membership_and_equality_go_by_the_number():
    f = kilograd.compile(lambda x, y: (x in [1.0, 2.0], x == y, x != y, not x))
    for x, y in ((1.0, 1.0), (2.0, 1.0), (0.0, 0.0), (math.nan, math.nan), (1.0, 1.0)):
        assert f(x, y) == (x in [1.0, 2.0], x == y, x != y, not x)
    x, y = Value(1.0), Value(1.0)  # and outside all is as ever
    assert x != y
    assert bool(Value(0.0)) is True
    assert len({x, y}) == 2


def test_structures_may_differ_between_paths():
    f = kilograd.compile(lambda x: [x, x] if x > 0 else {"x": x})
    assert f(1.0) == [1.0, 1.0]
    assert f(-1.0) == {"x": -1.0}
    assert f.jacobian(-1.0) == {"x": 1.0}
    with pytest.raises(ValueError, match="one structure"):
        f.batch(np.array([1.0, -1.0]))
    g = kilograd.compile(lambda x: x.sum() if x[0] > 0 else x)
    assert g.grad(np.ones(2)).tolist() == [1.0, 1.0]
    with pytest.raises(TypeError, match=r"shape \(2,\).*jacobian"):
        g.grad(-np.ones(2))


def test_the_limit_warns_once_and_goes_on_eagerly():
    def f(x):
        k = 0
        while x > k:
            k += 1
        return x * k

    compiled = kilograd.compile(f)
    for n in range(PATH_LIMIT):
        assert compiled(n + 0.5) == f(n + 0.5)
    with pytest.warns(RuntimeWarning, match=r"64 paths.*maximum"):
        assert compiled(80.5) == f(80.5)
    assert paths_of(compiled) == PATH_LIMIT
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compiled.value_and_grad(99.5) == (9950.0, 100.0)
        assert compiled.hessian(99.5) == 0.0
        X = np.array([0.5, 99.5, 3.5, 200.5])
        assert compiled.batch(X).tolist() == [f(x) for x in X]


# --- batches


def test_batches_by_path():
    f = kilograd.compile(branchy)
    rng = np.random.default_rng(3)
    X = rng.normal(size=(500, 3))
    X[::7, 0] = 0.25
    X[::5, 2] = 0.0
    want = np.array([branchy_gradient(x) for x in X])
    values, gradient = f.batch.value_and_grad(X)
    np.testing.assert_allclose(values, [branchy(x) for x in X], rtol=1e-12)
    np.testing.assert_allclose(gradient, want, rtol=1e-12)
    np.testing.assert_allclose(f.batch.grad(X), want, rtol=1e-12)
    hessian = f.batch.hessian(X)
    assert hessian.shape == (500, 3, 3)
    np.testing.assert_allclose(hessian[17], f.hessian(X[17]))
    np.testing.assert_allclose(f.batch.jacobian(X), want, rtol=1e-12)
    V = rng.normal(size=X.shape)
    np.testing.assert_allclose(f.batch.hvp(X, V), np.einsum("rij,rj->ri", hessian, V), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(f.batch.hvp(X, V[0]), hessian @ V[0], rtol=1e-12, atol=1e-12)
    assert 6 <= paths_of(f) <= 12


def test_jacobians_of_batches_are_those_of_the_rows():
    def f(x, y):
        return {"outer": x[:, None] * y, "branch": (x[0] * y if y > 0 else 3.0, x)}

    compiled = kilograd.compile(f, argnums=(1, 0))
    X, Y = np.arange(1.0, 9.0).reshape(4, 2), np.array([1.0, -2.0, 3.0, -4.0])
    got = compiled.batch.jacobian(X, Y)
    assert [part.shape for part in got["outer"]] == [(4, 2, 1), (4, 2, 1, 2)]
    assert [part.shape for part in got["branch"][0]] == [(4,), (4, 2)]
    for r in range(4):
        want = compiled.jacobian(X[r], Y[r])
        for parts, rows in zip([want["outer"], *want["branch"]], [got["outer"], *got["branch"]], strict=True):
            for part, row in zip(parts, rows, strict=True):
                assert np.array_equal(row[r], part)
    by_x = compiled.batch.jacobian(X, Y, argnums=0)
    assert np.array_equal(by_x["branch"][0], np.where(Y > 0, Y, 0.0)[:, None] * [1.0, 0.0])
    assert compiled.batch.jacobian(X[:0], Y[:0], argnums=0)["outer"].shape == (0, 2, 1, 2)
    with pytest.raises(ValueError, match="first row"):
        kilograd.compile(f).batch.jacobian(X[:0], Y[:0])


def test_hessian_vector_products_of_batches():
    f = kilograd.compile(lambda x, k, y: (x[0] ** 2 * x[1] * y * k).sum(), argnums=(0, 2))
    X, Y = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 4.0]]), np.array([[1.0], [2.0], [-1.0]])
    V, W = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, -1.0]]), np.array([[0.5], [1.0], [0.0]])
    by_x, by_y = f.batch.hvp(X, (V, W), 3.0, Y)
    assert (by_x.shape, by_y.shape) == ((3, 2), (3, 1))
    for r in range(3):
        want_x, want_y = f.hvp(X[r], (V[r], W[r]), 3.0, Y[r])
        assert np.array_equal(by_x[r], want_x)
        assert np.array_equal(by_y[r], want_y)
    same_x, _ = f.batch.hvp(X, (V[0], W[0]), 3.0, Y)
    assert np.array_equal(same_x[2], f.hvp(X[2], (V[0], W[0]), 3.0, Y[2])[0])
    assert f.batch.hvp(X[:0], V[:0], 3.0, Y[:0], argnums=0).shape == (0, 2)
    constant = kilograd.compile(lambda x: 2.0)
    assert constant.batch.hvp(X, V).tolist() == [[0.0, 0.0]] * 3


def test_what_jacobians_and_products_of_batches_refuse():
    f = kilograd.compile(lambda x: x.sum() if x[0] > 0 else x)
    X = np.array([[1.0, 2.0], [-1.0, 2.0]])
    with pytest.raises(TypeError, match="one number"):
        f.batch.hvp(X, X)
    with pytest.raises(ValueError, match="one structure"):
        f.batch.jacobian(X)
    g = kilograd.compile(lambda x: x[0].log() * x[1])
    with pytest.raises(ValueError, match=r"\[\(3,\)\], the argument \[\(2,\)\] in each row, \[\(2, 2\)\] in"):
        g.batch.hvp(X, np.ones(3))
    with pytest.raises(ValueError, match="1 arguments were chosen, and 2 vectors"):
        g.batch.hvp(X, (X, X), argnums=(0,))
    with pytest.raises(TypeError, match="not of Values"):
        g.batch.hvp(X, np.array([Value(1.0), Value(2.0)]))
    with pytest.raises(ValueError, match="argnums names argument 1"):
        g.batch.jacobian(X, argnums=1)
    for method in (g.batch.jacobian, lambda x: g.batch.hvp(x, x)):
        with pytest.raises(ValueError, match="log") as error:
            method(X)
        if sys.version_info >= (3, 11):
            assert error.value.__notes__ == ["in row 1 of the batch"]


def test_batches_of_several_arguments():
    f = kilograd.compile(lambda x, y, k, name: ((x * y).sum() + k, y))
    X, Y = np.arange(6.0).reshape(3, 2), np.array([1.0, 2.0, 3.0])
    total, y = f.batch(X, Y, 10, "static")
    assert total.tolist() == [11.0, 20.0, 37.0]
    assert y.tolist() == Y.tolist()
    g = kilograd.compile(lambda x, y: (x * y).sum(), argnums=(0, 1))
    dx, dy = g.batch.grad(X, Y)
    assert dx.tolist() == [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]
    assert dy.tolist() == [1.0, 5.0, 9.0]
    with pytest.raises(ValueError, match="number of rows"):
        f.batch(X, Y[:2], 1.0, "")
    with pytest.raises(ValueError, match="no rows"):
        f.batch(1.0, 2.0, 3.0, "")
    with pytest.raises(TypeError, match="Values"):
        f.batch(np.array([Value(1.0)]), Y, 1.0, "")


@pytest.mark.parametrize("of", [lambda x, m: (x * m).sum(), lambda x, m: np.where(m, x, 0.0).sum()])
@pytest.mark.parametrize("mask", [np.array([True, False, True]), np.array([[True, False, False]] * 2 + [[False] * 3])])
def test_an_array_of_bools_is_not_taken_apart_into_rows(of, mask):
    """Each row had all of it, as if the rows shared it."""
    f, x = kilograd.compile(of), np.arange(9.0).reshape(3, 3)
    for call in (f.batch, f.batch.grad, f.batch.hessian):
        with pytest.raises(TypeError, match="not taken apart into the rows.*astype.float.*None in in_axes"):
            call(x, mask)
    with pytest.raises(TypeError, match="not taken apart"):
        f.batch(x, m=mask)
    with pytest.raises(TypeError, match="not taken apart"):
        kilograd.compile(lambda d: of(d["x"], d["m"])).batch({"x": x, "m": mask})
    numbers = kilograd.compile(lambda x, m: of(x, m > 0))
    assert numbers.batch(x, mask.astype(float)).tolist() == [of(row, m) for row, m in zip(x, mask, strict=True)]
    shared = mask.reshape(-1)[:3]
    assert f.batch(x, shared, in_axes=(0, None)).tolist() == [of(row, shared) for row in x]
    assert f.batch(x, np.array(True)).tolist() == x.sum(axis=1).tolist()


@dataclasses.dataclass(frozen=True)
class Setting:
    number: float


@pytest.mark.parametrize(
    ("equal", "of"),
    [
        ((0.0, -0.0), lambda c: np.copysign(1.0, c)),
        (((1,), (1.0,)), lambda c: 2.0 if isinstance(c[0], float) else 3.0),
        ((Setting(0.0), Setting(-0.0)), lambda c: np.copysign(1.0, c.number)),
        ((Decimal("0.1"), Decimal("0.10")), lambda c: float(len(str(c)))),
    ],
)
def test_arguments_that_are_equal_and_not_the_same(equal, of):
    """The second one took the path of the first."""
    f = kilograd.compile(lambda x, c: x * of(c), static_argnums=1)
    for c in (*equal, *equal):
        assert (f(2.0, c), f.grad(2.0, c)) == (2 * of(c), of(c))
    assert str(f).endswith("2 paths recorded>")


def test_keys_that_are_equal_and_not_the_same():
    f = kilograd.compile(lambda d: sum(v * (2 if isinstance(k, bool) else len(str(k))) for k, v in d.items()))
    for key, right in [(1, 1), (True, 2), (1.0, 3), (1, 1), ("1", 1), (0.0, 3), (-0.0, 4)]:
        assert f({key: 2.0}) == 2.0 * right
        assert f.grad({key: 2.0}) == {key: right}


def test_batches_of_constants_and_of_no_rows():
    f = kilograd.compile(lambda x: (x > 0, 1 if x > 0 else x * 0.5))
    with pytest.raises(ValueError, match="first row"):
        f.batch(np.zeros(0))
    positive, other = f.batch(np.array([1.0, -1.0]))
    assert positive.dtype == bool
    assert positive.tolist() == [True, False]
    assert other.tolist() == [1.0, -0.5]
    assert [part.shape for part in f.batch(np.zeros(0))] == [(0,), (0,)]
    g = kilograd.compile(lambda x: x.sum())
    values, gradient = g.batch.value_and_grad(np.zeros((0, 4)))
    assert (values.shape, gradient.shape) == ((0,), (0, 4))


# --- errors


@pytest.mark.parametrize("recorded_first", [False, True])
def test_errors_of_operations_are_those_of_eager_code(recorded_first):
    def f(x):
        return (x - 1.0).log() + 1 / x

    for bad in (0.5, 0.0, 1.0):
        compiled = kilograd.compile(f)
        if recorded_first:
            compiled(3.0)
        with pytest.raises((ValueError, ZeroDivisionError)) as want:
            f(Value(bad))
        methods = (compiled, compiled.grad, compiled.jacobian, compiled.hessian, compiled.hvp)
        for method in methods:
            with pytest.raises(want.type) as got:
                method(bad, *([1.0] if method == compiled.hvp else []))
            assert str(got.value) == str(want.value)
        with pytest.raises(want.type):
            compiled.batch(np.array([2.0, bad, 3.0]))
        assert compiled(2.0) == 0.5


def test_a_compared_value_that_is_refused_is_an_error_although_the_result_does_not_need_it():
    f = kilograd.compile(lambda x: x * 2 if x.log() < 0 else x * 3)
    assert f(2.0) == 6.0
    assert f(0.5) == 1.0
    with pytest.raises(ValueError, match="log"):
        f(-1.0)
    with pytest.raises(ValueError, match="log"):
        f.batch(np.array([2.0, 0.5, -1.0]))
    h = kilograd.compile(lambda x: x if (1 / x.exp()) < 0.5 else -x)
    assert h(1.0) == 1.0
    with pytest.raises(OverflowError):
        h(1000.0)


def test_functions_that_handle_errors_run_eagerly():
    def safe_log(x):
        try:
            return x.log() if isinstance(x, Value) else math.log(x)
        except ValueError:
            return x * 0.0

    for order in ([2.0, -1.0, 3.0, -2.0], [-1.0, 2.0, -2.0, 3.0]):
        f = kilograd.compile(safe_log)
        for x in order:
            assert f(x) == pytest.approx(safe_log(x), rel=1e-15)
            assert f.grad(x) == (1 / x if x > 0 else 0.0)
        np.testing.assert_allclose(f.batch(np.array(order)), [safe_log(x) for x in order], rtol=1e-15)


def test_guards_do_not_evaluate_what_a_row_would_not_reach():
    f = kilograd.compile(lambda x: x.log() if x > 0 and x.log() > 1 else x)
    assert f(10.0) == pytest.approx(math.log(10.0))
    assert f(-1.0) == -1.0
    assert f(2.0) == 2.0
    np.testing.assert_allclose(f.batch(np.array([-1.0, 10.0, 0.0])), [-1.0, math.log(10.0), 0.0])


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (lambda x: float(x), "leave out float"),
        (lambda x: math.frexp(x)[0], "math.frexp\\(\\) is not recorded"),
        (lambda x: {x: 1}, "hash"),
        (lambda x: copy.deepcopy(x), "copy"),
        (lambda x: x.backward(), "backward"),
        (lambda x: x.grad, "grad"),
        (lambda x: x.zero_grad(), "zero_grad"),
        (lambda x: setattr(x, "data", 3.0), "assignment to .data"),
        (lambda x: setattr(x, "grad", 3.0), "grad"),
        (lambda x: kilograd.arrays.data([x]), "kilograd.arrays"),
        (lambda x: kilograd.no_grad().__enter__(), "no_grad"),
        (lambda x: kilograd.hessian(lambda y: y * y)(x), "hessian"),
        (lambda x: kilograd.compile(lambda y: y).batch.grad(np.array([x])), "hessian|numbers"),
        (lambda x: Value(2.0, (x,), "mine"), "mine"),
        (lambda x: object(), "returns numbers"),
        (lambda x: (v for v in [x]), "returns numbers"),
    ],
)
def test_what_cannot_be_recorded_is_a_type_error(fn, message):
    with pytest.raises(TypeError, match=message):
        kilograd.compile(fn)(2.0)
    x = Value(1.0)  # the thread is as before
    assert (x == Value(1.0)) is False
    assert x.grad == 0.0


def test_copies_of_a_number_are_the_number():
    f = kilograd.compile(lambda x: copy.copy(x) * copy.copy(x))
    assert f.value_and_grad(3.0) == (9.0, 6.0)


def test_arguments_that_are_refused():
    f = kilograd.compile(lambda x: x)
    for wrong in (1j, np.array([1j]), np.array(["a"]), {1, 2}, np.array([None])):
        with pytest.raises(TypeError):
            f(wrong)
    with pytest.raises(TypeError, match="no numbers"):
        f.grad("text")
    with pytest.raises(TypeError, match="with respect to Values"):
        f.grad(Value(1.0))
    with pytest.raises(TypeError, match="function"):
        kilograd.compile(3)
    with pytest.raises(ValueError, match="shapes"):
        f.hvp(np.ones(2), np.ones(3))
    with pytest.raises(TypeError):
        f()


def test_counts_belong_in_static_argnums():
    def power(x, n):
        out = 1
        for _ in range(n):
            out = out * x
        return out

    with pytest.raises(TypeError) as caught:
        kilograd.compile(power)(2.0, 3.0)
    if hasattr(caught.value, "__notes__"):
        assert "static_argnums" in caught.value.__notes__[0]
    f = kilograd.compile(power, static_argnums=1)
    assert [f(2.0, 3), f(2.0, 5), f(2.0, n=3)] == [8.0, 32.0, 8.0]
    assert f.grad(2.0, 3) == 12.0
    with pytest.raises(TypeError, match="hashable"):
        f(2.0, [1])


def test_flags_and_masks_are_python_objects():
    f = kilograd.compile(lambda x, mask, flag: x[mask].sum() if flag is True else x.sum())
    x = np.array([1.0, 2.0, 4.0])
    assert f(x, np.array([True, False, True]), True) == 5.0
    assert f(x, np.array([True, True, False]), True) == 3.0
    assert f(x, np.array([True, True, False]), np.False_) == 7.0


# --- the world outside


def test_values_from_outside_are_read_at_each_call():
    w, threshold = Value(2.0), Value(0.0)
    f = kilograd.compile(lambda x: w * x if x > threshold else -x)
    assert f(3.0) == 6.0
    w.data = 5.0
    assert f(3.0) == 15.0
    assert f.grad(3.0) == 5.0
    threshold.data = 4.0
    assert f(3.0) == -3.0
    assert f(5.0) == 25.0
    assert w.grad == 0.0


def test_a_model_inside():
    random.seed(1)
    model = kilograd.MLP(2, [4, 1])
    f = kilograd.compile(lambda x: model(list(x)))
    x = np.array([0.5, -1.0])
    for _ in range(2):
        want = model([Value(v) for v in x]).data
        assert f(x) == pytest.approx(want, rel=1e-14)
        for p in model.parameters():
            p.data *= 0.5


def test_arguments_are_not_changed():
    def f(x):
        x[0] = 5.0
        x += 1
        return x.sum()

    x = np.array([1.0, 2.0])
    compiled = kilograd.compile(f)
    assert compiled(x) == 9.0
    assert compiled(x) == 9.0
    assert x.tolist() == [1.0, 2.0]
    assert compiled.grad(x).tolist() == [0.0, 1.0]


def test_values_run_the_function_itself():
    f = kilograd.compile(lambda x: x * x)
    x = Value(3.0)
    out = f(x)
    assert isinstance(out, Value)
    out.backward()
    assert x.grad == 6.0
    assert [v.data for v in f(np.array([x, Value(2.0)]))] == [9.0, 4.0]
    assert paths_of(f) == 0


def test_nested_compilation():
    inner = kilograd.compile(lambda x: x * 2 if x > 1 else x * 3)
    outer = kilograd.compile(lambda x: inner(x) + inner(0.5))
    assert [outer(2.0), outer(0.5), outer.grad(2.0), outer.grad(0.5)] == [5.5, 3.0, 2.0, 3.0]
    assert paths_of(inner) == 0
    assert paths_of(outer) == 2


def test_an_error_inside_a_nested_call_leaves_the_trace_as_it_was():
    def f(x):
        with contextlib.suppress(TypeError):
            kilograd.compile(lambda y: float(y))(x)
        return x if x > 0 else -x

    compiled = kilograd.compile(f)
    assert [compiled(2.0), compiled(-2.0)] == [2.0, 2.0]


def test_under_no_grad():
    f = kilograd.compile(lambda x: x * x if x > 0 else x)
    with kilograd.no_grad():
        assert f(3.0) == 9.0
        assert f.grad(3.0) == 6.0
    assert f.grad(4.0) == 8.0


def test_nothing_stays_alive():
    before = kilograd.live_nodes()
    f = kilograd.compile(branchy)
    f(np.array([1.0, 2.0, 3.0]))
    f.batch(np.random.default_rng(0).normal(size=(50, 3)))
    assert kilograd.live_nodes() == before


@kilograd.compile
def decorated(x):
    """Doubles."""
    return 2 * x


def test_metadata_pickles_and_copies():
    assert decorated.__name__ == "decorated"
    assert decorated.__doc__ == "Doubles."
    assert pickle.loads(pickle.dumps(decorated)) is decorated
    f = kilograd.compile(branchy, argnums=0)
    g = pickle.loads(pickle.dumps(f))
    x = np.array([1.0, 2.0, 3.0])
    assert g(x) == f(x) == copy.copy(f)(x)
    assert repr(f) == "<compiled branchy: 1 path recorded>"


def test_a_compiled_function_of_main_goes_where_functions_go(tmp_path):
    """By value with cloudpickle, as the function would; by name with pickle, which knows no other way."""
    for name, text in PICKLED.items():
        (tmp_path / f"{name}.py").write_text(text)
    package = pathlib.Path(kilograd.__file__).parents[1]
    for name in ("program", "reader"):  # each in an interpreter of its own
        done = subprocess.run(
            [sys.executable, f"{name}.py"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(package)},
            capture_output=True,
            text=True,
        )
        assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr


PICKLED = {
    "importable": """
import kilograd

@kilograd.compile
def f(x):
    return 4 * x

class C:
    @kilograd.compile
    def method(self, x):
        return 7 * x
""",
    "program": """
import copy, multiprocessing, pickle
import cloudpickle, importable, kilograd

@kilograd.compile(static_argnums=1)
def power(x, n):
    return x * power(x, n - 1) if n else x  # refers to itself

def through(x):
    return power(x, 1) + 1

class K:
    def __init__(self):
        self.factor = 2.0
        self.own = kilograd.compile(self.own)

    @kilograd.compile
    def method(self, x):
        return self.factor * x

    def own(self, x):
        return self.factor * x**2

if __name__ == "__main__":
    k = K()
    things = {
        "power": power, "grad": power.grad, "batch": power.batch, "batch.grad": power.batch.grad, "through": through,
        "k": k, "k.method": k.method, "k.own": k.own, "raw": power.__wrapped__, "f": importable.f,
        "C.method": importable.C().method, "named": kilograd.compile(through), "derived": kilograd.grad(through),
    }
    k.method(1.0)
    with open("things", "wb") as file:
        cloudpickle.dump(things, file)
    cloudpickle.register_pickle_by_value(importable)
    with open("by_value", "wb") as file:
        cloudpickle.dump(importable.f, file)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for thing in (power, importable.f):
            assert pickle.loads(pickle.dumps(thing, protocol)) is thing
        for thing in (k.method, k.own, kilograd.compile(through), importable.f.grad):
            assert pickle.loads(pickle.dumps(thing, protocol))(2.0) == thing(2.0)
        assert pickle.loads(pickle.dumps(k, protocol)).own(3.0) == 18.0
    assert copy.deepcopy(power) is copy.copy(power) is power
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.starmap(power, [(2.0, 1)]) == [4.0]
        assert pool.starmap(power.grad, [(2.0, 1)]) == [4.0]
        assert pool.map(k.method, [2.0]) == [4.0]
    print("done")
""",
    "reader": """
import pickle
import numpy as np

with open("things", "rb") as file:
    t = pickle.load(file)
assert [t["power"](2.0, 1), t["grad"](2.0, 1), t["through"](2.0), t["raw"](2.0, 1)] == [4.0, 4.0, 5.0, 4.0]
assert [t["k"].method(2.0), t["k.method"](2.0), t["k.own"](2.0), t["k"].own.grad(2.0)] == [4.0, 4.0, 8.0, 8.0]
assert [t["f"](2.0), t["C.method"](2.0), t["named"](2.0), t["derived"](2.0)] == [8.0, 14.0, 5.0, 4.0]
assert t["batch"](np.array([2.0, 3.0]), 1).tolist() == [4.0, 9.0]
assert t["batch.grad"](np.array([2.0, 3.0]), 1).tolist() == [4.0, 6.0]
import importable
assert t["f"] is importable.f
importable.f = None  # by value: the module's own is not asked
with open("by_value", "rb") as file:
    assert pickle.load(file)(2.0) == 8.0
print("done")
""",
}


# --- what numbers do is what counts


def handled(x):
    try:
        return 1.0 / x
    except ZeroDivisionError:
        return 99.0


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (lambda x: 2 * x if isinstance(x, float) else 3 * x, 1.5),
        (lambda x: 2 * x if isinstance(x, numbers.Real) else 3 * x, 1.5),
        (lambda x: 2 * x if np.isscalar(x) else 3 * x, 1.5),
        (lambda x: 2 * x if x.__class__ is float else 3 * x, 1.5),
        (lambda x: 2 * x if (x > 0) is True else 3 * x, 1.5),
        (handled, 0.0),
        (handled, 4.0),
        (lambda x: min(x, 1.0) + max(1.0, x), math.nan),
        (lambda x: np.fmax(x, 1.0) * 1.0, math.nan),
        (lambda x: np.fmin(1.0, x), math.nan),
        (lambda x: np.max([x, 1.0]), math.nan),
        (lambda x: np.min([x, 1.0]), math.nan),
        (lambda x: np.clip(x, -1.0, 1.0), math.nan),
        (lambda x: np.maximum(x, 1.0), math.nan),
    ],
)
def test_values_take_the_branch_of_a_float(function, x):
    f = kilograd.compile(function)
    for _ in range(2):
        np.testing.assert_equal(f(x), function(x))
        f.grad(x)
    np.testing.assert_equal(f.batch(np.array([2.0, x, -1.0])), [function(v) for v in (2.0, x, -1.0)])


@pytest.mark.parametrize(
    "function",
    [
        np.max,
        lambda x: np.sort(x)[::-1],
        np.median,
        lambda x: x.sum() if x.dtype == float else x[0],
        lambda x: np.array([x[0], x[1]], dtype=x.dtype).sum(),
    ],
)
def test_arrays_of_values_do_what_arrays_of_floats_do(function):
    f = kilograd.compile(function)
    for x in ([1.5, 1.0, 2.0], [math.nan, 1.0, 2.0], [1.0, 2.0, math.nan], [0.5, -1.0, 0.25]):
        np.testing.assert_equal(f(np.array(x)), function(np.array(x)))
        f.jacobian(np.array(x))
    assert paths_of(f) == 1


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (lambda x: 2 * x if type(x) is float else 3 * x, 1.5),
        (lambda x: 2 * x if type(x) == float else 3 * x, 1.5),  # noqa: E721
        (lambda x: 2 * x[0] if isinstance(x[0], np.floating) else 3 * x[0], np.array([1.5])),
        (lambda x: 2 * x[0] if (x[0] > 0) is True else 3 * x[0], np.array([1.5])),
        (lambda x: x[0] * ((x[0] > 0) + (x[1] > 0)), np.array([1.5, 1.0])),
        (lambda x: 1 * x[0] if hasattr(x[0], "dtype") else 3 * x[0], np.array([1.5])),
        (lambda x: handled(x[0]), np.array([0.0])),
    ],
)
def test_where_numbers_do_something_else_they_are_right_and_derivatives_are_refused(function, x):
    with np.errstate(all="ignore"):
        want = function(x)
    f = kilograd.compile(function)
    for argument in (x, np.full(np.shape(x), 0.5), x):  # a path that was recorded elsewhere is not taken
        result = f(argument)
        if argument is x:
            np.testing.assert_equal(result, want)
    with pytest.raises(TypeError, match="in their place"):
        f.jacobian(x)
    batch = np.array([x, x])
    np.testing.assert_equal(f.batch(batch), np.array([want, want]))
    for derivative in (f.batch.jacobian, f.batch.grad if np.ndim(want) == 0 else f.batch.jacobian):
        with pytest.raises(TypeError, match="in their place") as error:
            derivative(batch)
        if sys.version_info >= (3, 11):
            assert error.value.__notes__ == ["in row 0 of the batch"]


def test_numbers_that_differ_by_rounding_are_no_other_branch():
    """NumPy sums in another order: what is left where all cancels is no reason to refuse."""

    def function(x):
        assert isinstance(x, np.ndarray)
        return np.exp(x).sum() - sum(np.exp(v) for v in x)

    f = kilograd.compile(function)
    for x in np.random.default_rng(0).normal(size=(20, 30)):
        assert abs(f(x)) < 1e-12
        assert f.grad(x).shape == (30,)


def test_functions_that_ask_nothing_run_once():
    runs = []

    def helper(x):
        runs.append(x)
        return x.sum() if x is not None else None

    f = kilograd.compile(lambda x: helper(np.maximum(x, -x)) if np.max(x) > 0 else 0.0)
    f(np.array([1.0, -2.0]))
    assert len(runs) == 1


def test_an_error_that_is_handled_counts_where_nothing_needs_the_result():
    def function(x):
        try:
            1.0 / x
        except ZeroDivisionError:
            return 99.0
        return 2.0 * x

    f = kilograd.compile(function)
    assert [f(2.0), f(0.0), f(3.0)] == [4.0, 99.0, 6.0]
    assert f.batch(np.array([1.0, 0.0])).tolist() == [2.0, 99.0]
    g = kilograd.compile(handled)
    assert [g(2.0), g(0.0), g(4.0)] == [0.5, 99.0, 0.25]
    assert paths_of(g) == 1  # all that can fail is in the program


def test_derivatives_are_refused_also_where_the_values_happen_to_be_equal():
    f = kilograd.compile(lambda x: 2 * x if type(x) is float else 3 * x)
    assert f(0.0) == 0.0
    with pytest.raises(TypeError, match="in their place"):
        f.grad(0.0)


def test_an_answer_may_make_a_difference_at_later_numbers_alone():
    def function(x, y):
        return np.max([y, (type(y) is float) * x])

    f = kilograd.compile(function)
    for x, y in ((-1.0, 2.0), (1.9, 0.2), (0.5, 0.1)):
        assert f(x, y) == function(x, y)


def test_a_batch_in_which_rows_handle_errors_with_constants():
    f = kilograd.compile(handled)
    X = np.array([2.0, 0.0, 4.0, 0.0])
    assert f.batch(X).tolist() == [0.5, 99.0, 0.25, 99.0]
    values, gradient = f.batch.value_and_grad(X)
    assert values.tolist() == [0.5, 99.0, 0.25, 99.0]
    assert gradient.tolist() == f.batch.jacobian(X).tolist() == [-0.25, 0.0, -0.0625, 0.0]
    assert f.batch.hessian(X).tolist() == f.batch.hvp(X, np.ones(4)).tolist() == [0.25, 0.0, 0.03125, 0.0]
    several = kilograd.compile(lambda x: (handled(x), [x, 7]))
    ratio, (same, seven) = several.batch(X)
    assert (ratio.tolist(), same.tolist(), seven.tolist()) == ([0.5, 99.0, 0.25, 99.0], X.tolist(), [7] * 4)


def test_decorator_with_arguments_and_on_methods():
    @kilograd.compile(argnums=1)
    def f(x, y):
        return x * y

    assert f.grad(2.0, 3.0) == 2.0

    class Scaled:
        def __init__(self, factor):
            self.factor = factor

        @kilograd.compile
        def __call__(self, x):
            return self.factor * x

        @kilograd.compile
        def apply(self, x):
            return self.factor * x**2

    a, b = Scaled(2.0), Scaled(3.0)
    assert (a(1.5), b(1.5)) == (3.0, 4.5)
    assert (a.apply(2.0), b.apply(2.0), a.apply.grad(2.0)) == (8.0, 12.0, 8.0)
    assert a.apply is a.apply


def test_partials_and_callable_objects():
    f = kilograd.compile(functools.partial(lambda k, x: k * x, 3.0))
    assert f.value_and_grad(2.0) == (6.0, 3.0)
    assert "partial" in repr(f)


def test_threads():
    """Recording notes the comparisons of its own thread, and paths are kept once."""
    f = kilograd.compile(branchy)
    X = np.random.default_rng(5).normal(size=(64, 3))
    want = [branchy(x) for x in X]
    barrier = threading.Barrier(8)

    def work(k):
        barrier.wait(timeout=60)
        out = []
        for i in np.random.default_rng(k).permutation(64):
            assert (Value(1.0) == Value(1.0)) is False
            out.append((i, f(X[i])))
        return out

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for results in pool.map(work, range(8)):
            for i, value in results:
                assert value == pytest.approx(want[i], rel=1e-13)
    keys = [path.key for path in next(iter(f._paths.values()))]
    assert len(keys) == len(set(keys)) <= 12


# --- SciPy


def rosenbrock(x):
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


@pytest.mark.parametrize("n", [2, 1000])
def test_rosenbrock_derivatives_are_those_of_scipy(n):
    optimize = pytest.importorskip("scipy.optimize")
    f = kilograd.compile(rosenbrock)
    rng = np.random.default_rng(n)
    x, p = rng.uniform(-1, 1, n), rng.normal(size=n)
    value, gradient = f.value_and_grad(x)
    assert value == pytest.approx(optimize.rosen(x), rel=1e-13)
    np.testing.assert_allclose(gradient, optimize.rosen_der(x), rtol=1e-11, atol=1e-10)
    np.testing.assert_allclose(f.hessian(x), optimize.rosen_hess(x), rtol=1e-11, atol=1e-10)
    np.testing.assert_allclose(f.hvp(x, p), optimize.rosen_hess_prod(x, p), rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize(
    ("n", "method"),
    [(2, "BFGS"), (2, "Newton-CG"), (2, "trust-exact"), (1000, "L-BFGS-B"), (1000, "Newton-CG")],
)
def test_minimising_rosenbrock_takes_the_way_that_scipys_own_derivatives_take(n, method):
    optimize = pytest.importorskip("scipy.optimize")
    f = kilograd.compile(rosenbrock)
    x0 = np.where(np.arange(n) % 2 == 0, -1.2, 1.0) if n == 2 else np.full(n, 0.5)
    ours, theirs = {}, {}
    if method == "trust-exact":
        ours, theirs = {"hess": f.hessian}, {"hess": optimize.rosen_hess}
    elif method == "Newton-CG":
        ours, theirs = {"hessp": f.hvp}, {"hessp": optimize.rosen_hess_prod}
    got = optimize.minimize(f.value_and_grad, x0, jac=True, method=method, **ours)
    want = optimize.minimize(optimize.rosen, x0, jac=optimize.rosen_der, method=method, **theirs)
    assert got.success == want.success
    assert got.success
    np.testing.assert_allclose(got.x, want.x, atol=1e-4)


@pytest.mark.parametrize(
    "name", ["rosenbrock", "curve_fit", "logistic", "optimal_control", "sensitivities", "bootstrap"]
)
def test_examples_run(name, capsys):
    pytest.importorskip("scipy.optimize")
    if name == "logistic":
        pytest.importorskip("sklearn")
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert capsys.readouterr().out.strip()


def test_calls_with_one_array_find_their_path():
    def f(x):
        if x[0, 0] > 3.0:
            return 7.0
        try:
            if math.log(x[0, 1]) > x[1, 0]:
                return x * 2.0
        except ValueError:
            return -x
        return x.sum()

    compiled = kilograd.compile(f)
    base = np.array([[0.5, 2.0, 0.1], [0.25, 3.0, 0.2]])
    changes = [(0, 0, 0.5), (1, 0, 1.5), (0, 1, -2.0), (0, 0, 4.0), (0, 1, 0.3), (0, 0, np.nan)]
    for _ in range(3):  # recorded, then found
        for i, j, number in changes:
            x = base.copy()
            x[i, j] = number
            wide = np.zeros((4, 6))
            wide[::2, ::2] = x
            for each in (x, np.asfortranarray(x), wide[::2, ::2]):
                np.testing.assert_allclose(compiled(each), f(x), rtol=1e-15)
    assert len(compiled._paths[next(iter(compiled._paths))]) == 3  # nothing is kept where an error is handled
    with pytest.raises(TypeError, match="one number"):
        compiled.grad(base)


@pytest.mark.parametrize("before", ["pass", "np.random.default_rng(0)"])
def test_extension_modules_see_no_replacement(before):
    # They have no frames, and write floats into what numpy.empty() gives them; here while one is imported, too.
    code = f"""
import numpy as np, sys, kilograd
{before}
f = lambda x: np.random.default_rng(0).normal(size=4) @ x + np.zeros(2)[0]
x = np.array([1.0, 2.0, 0.5, -1.0])
g = kilograd.compile(f)
np.testing.assert_allclose([g(x), *g.grad(x)], [f(x), *np.random.default_rng(0).normal(size=4)], rtol=1e-15)
assert vars(np.random._common)["np"] is np and "kilograd" not in str(sys.meta_path)
assert "kilograd" not in str(np.random.__spec__) and "kilograd" not in str(np.random._common.__loader__)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_extension_modules_write_no_floats_over_references():
    def drawn(x):
        normal = np.zeros(3)
        np.random.default_rng(0).standard_normal(out=normal)
        return normal @ x

    with pytest.raises(TypeError, match="extension module .* leave out out="):
        kilograd.compile(drawn)(np.ones(3))
    asks = kilograd.compile(lambda x: x.sum() if x.dtype == getattr(x, "dtype", None) == np.float64 else 0.0)
    assert asks.grad(np.ones(3)).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.frombuffer(x.data).sum(),
        lambda x: np.frombuffer(bytes(x)).sum(),
        lambda x: np.ndarray((3,), float, x).sum(),
        lambda x: memoryview(x).cast("B").cast("d")[1] * x[0],
        lambda x: struct.unpack_from("3d", x)[1] * x[0],
        lambda x: zlib.crc32(x) * x[0],
        lambda x: np.frombuffer(np.zeros(3).data).fill(5.0),
    ],
)
def test_nobody_reads_or_writes_the_memory_of_recorded_arrays(function):
    compiled = kilograd.compile(function)
    for call in (compiled, compiled.grad):
        with pytest.raises(TypeError, match="the bytes of an array that is recorded are not those of its numbers"):
            call(np.array([0.5, 1.5, 2.0]))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: struct.pack_into("3d", np.zeros(3), 0, 1.0, 2.0, 3.0) or x[0],
        lambda x: io.BytesIO(bytes(24)).readinto(np.zeros(3)) * x[0],
    ],
)
def test_who_would_write_into_that_memory_has_an_error_of_its_own(function):
    with pytest.raises(TypeError, match="read-write bytes-like object"):
        kilograd.compile(function).grad(np.array([0.5, 1.5, 2.0]))


def test_a_timeout_while_a_function_is_traced_is_raised():
    calls = iter([TimeoutError, None])  # as from a handler of signals: with numbers it would not come again

    def late(x):
        if (error := next(calls, None)) is not None:
            raise error
        return x * x

    with pytest.raises(TimeoutError):
        kilograd.compile(late)(1.0)


def test_an_interrupt_while_names_are_replaced_leaves_them_as_they_were(monkeypatch):
    put = names._Names.put

    def interrupted(self, entry):
        put(self, entry)
        if len(self.active) == 20:
            raise KeyboardInterrupt

    before = dict(vars(np)), dict(vars(math)), list(sys.meta_path)
    with monkeypatch.context() as patch:
        patch.setattr(names._Names, "put", interrupted)
        with pytest.raises(KeyboardInterrupt):
            kilograd.compile(lambda x: x * x)(1.0)
    assert (vars(np), vars(math), sys.meta_path) == before
    assert kilograd.compile(lambda x: math.sin(x)).grad(0.0) == 1.0
