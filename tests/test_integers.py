"""Integers that are arguments of compiled functions: numbers, until the function asks for an index or a count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kilograd

TABLE = np.array([2.0, -1.0, 0.5, 3.0, 7.0])
NAMES = ["a", "b", "c", "d", "e"]
X = np.array([0.5, 1.5, -2.0, 3.0, 0.25])

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "index": lambda x, k: x[k] ** 2,
    "next": lambda x, k: x[k + 1] * x[k - 1] + x[-k],
    "computed": lambda x, k: x[(2 * k + 1) % 5] * x[abs(k - 3)] + x[k // 2] + x[max(k, 2)] * x[min(k, 1)],
    "slice": lambda x, k: x[:k].sum() * x[k:].prod() + x[k - 1 : k + 1].sum(),
    "table": lambda x, k: TABLE[k] * x[0] + TABLE[k + 1] ** 2,
    "list": lambda x, k: x[NAMES.index(NAMES[k])] * [1.0, 2.0, 3.0, 4.0][k],
    "range": lambda x, k: sum(x[i] ** i for i in range(k)) + x[0],
    "range-of-two": lambda x, k: sum((x[i] * j for i in range(k, 5) for j in range(1, k + 1)), 0.0),
    "shapes": lambda x, k: np.zeros(k).size * x[0] + np.ones((k, 2)).sum() * x[1] + np.eye(k).sum() * x[2],
    "arange": lambda x, k: (np.arange(k) * 2.0).sum() * x[0] + np.linspace(0.0, x[1], k).sum(),
    "repeat": lambda x, k: np.tile(x, k).sum() + sum([x[0]] * k) + np.roll(x, k)[0],
    "number-and-index": lambda x, k: k * x[k] + k**2 / 2.0,
    "branch": lambda x, k: x[k] if k > 2 else x[0] * k,
    "take": lambda x, k: np.take(TABLE, k) * np.take(x, k + 1),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("kind", [int, np.int64])
def test_as_the_function_alone(name: str, kind: Any):
    function = FUNCTIONS[name]
    f = kilograd.compile(function)
    for k in (1, 2, 3, 1, 2):
        np.testing.assert_allclose(f(X, kind(k)), function(X, k), rtol=1e-13)
        h = 1e-6
        slopes = [(function(X + h * e, k) - function(X - h * e, k)) / (2 * h) for e in np.eye(5)]
        np.testing.assert_allclose(f.grad(X, kind(k)), slopes, rtol=1e-6, atol=1e-7)
    assert sum(map(len, f._paths.values())) == (2 if name == "branch" else 3)
    ks = np.array([1, 3, 2, 3])
    np.testing.assert_allclose(f.batch(np.array([X] * 4), ks), [function(X, k) for k in ks.tolist()], rtol=1e-13)


def test_one_path_where_an_integer_is_a_number():
    f = kilograd.compile(lambda x, k: (x * k).sum() + np.exp(-k))
    for k in range(200):
        f(X, k)
    assert sum(map(len, f._paths.values())) == 1
    assert f.grad(X, 3, argnums=1) == pytest.approx(X.sum() - np.exp(-3))


def test_arrays_of_integers():
    f = kilograd.compile(lambda x, k: (x[k + 1] * np.take(TABLE, k)).sum() + np.array(TABLE)[k].sum() * x[0])
    for k in ([0, 2], [3, 3], [0, 2]):
        k = np.array(k)
        assert f(X, k) == pytest.approx((X[k + 1] * TABLE[k]).sum() + TABLE[k].sum() * X[0])
    assert sum(map(len, f._paths.values())) == 2
    with pytest.raises(IndexError) as caught:
        kilograd.compile(lambda x, k: TABLE[k] * x[0])(X, np.array([0, 1]))
    if hasattr(caught.value, "__notes__"):
        assert "numpy.take(table, k)" in caught.value.__notes__[0]


def test_numbers_that_are_no_integers():
    for call, error in (
        (lambda x, k: x[k], IndexError),
        (lambda x, k: NAMES[k], TypeError),
        (lambda x, k: range(k), TypeError),
        (lambda x, k: np.arange(k) * x[0], IndexError),
    ):
        with pytest.raises(error, match="integer"):
            kilograd.compile(call)(X, 1.0)
    for call in (lambda x, k: x[k / 2], lambda x, k: x[k + x[0]], lambda x, k: x[k * 0.5]):
        with pytest.raises(IndexError, match="only integers are indices"):
            kilograd.compile(call)(X, 2)


def test_floats_that_are_whole_are_no_integers_beside_one():
    for f in (lambda k, y, x: x[k + y], lambda k, y, x: x[k * y], lambda k, y, x: x[np.minimum(k, y)]):
        compiled = kilograd.compile(f)
        for y in (2.0, 2.5):
            with pytest.raises(IndexError, match="only integers are indices"):
                compiled(1, y, X)


def test_errors_of_the_function_itself():
    f = kilograd.compile(lambda x, k: x[k])
    assert f(X, 1) == X[1]
    with pytest.raises(IndexError, match="out of bounds"):
        f(X, 5)
    assert f(X, 4) == X[4]


def test_many_values_name_the_argument():
    f = kilograd.compile(lambda x, k: sum(x[0] for _ in range(k)))
    g = kilograd.compile(lambda x, *, count: sum(x[0] for _ in range(count)))
    most = kilograd.compiled.PATH_LIMIT
    for k in range(1, most + 1):
        assert f(X, k) == g(X, count=k) == pytest.approx(k * X[0])
    with pytest.warns(RuntimeWarning, match=r"argument 1 is an integer .* static_argnums"):
        assert f(X, most + 1) == pytest.approx((most + 1) * X[0])
    with pytest.warns(RuntimeWarning, match="count is an integer"):
        g(X, count=most + 1)


def test_values_are_no_integers_elsewhere():
    f = kilograd.compile(lambda x, k: x[k])
    f(X, 1)
    v = kilograd.Value(2)
    assert not hasattr(v, "__index__")
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        range(v)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="list indices must be integers"):
        NAMES[v]  # type: ignore[call-overload]
