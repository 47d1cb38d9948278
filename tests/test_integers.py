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
    "bits": lambda x, k: x[k & 1] * (k >> 1) + x[0] * (1 << k) + x[1] * (k | 4) + x[2] * (~k) + x[3] * (6 ^ k),
    "parity": lambda x, k: x[0] * 2.0 if k & 1 else x[1] * 3.0,
    "axis": lambda x, k: np.sum(np.outer(x, x), axis=k % 2)[0] + np.mean(np.outer(x, X), axis=k % 2)[1],
    "order": lambda x, k: np.diff(x, n=k).sum() + np.vander(x, k)[1, 0] + np.trace(np.outer(x, x), k),
    "moved": lambda x, k: np.moveaxis(np.outer(x, X), k % 2, 1)[0, 1] + np.stack([x, X], axis=k % 2)[0, 1],
    "triangles": lambda x, k: (np.tri(5, k=k) @ x).sum() + np.broadcast_to(x, (k, 5)).sum() + np.pad(x, k)[k],
    "power-of-a-matrix": lambda x, k: np.linalg.matrix_power(np.outer(x, x) / 9, k)[0, 1],
    "text": lambda x, k: x[0] * {"w1": 2.0, "w2": 3.0, "w3": 5.0}[f"w{k}"] + len(str(k + 7)) * x[1] + len(f"{k:04d}"),
    "gcd": lambda x, k: x[0] * np.gcd(k, 6) + x[1] * np.left_shift(k, 2),
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
    assert sum(map(len, f._paths.values())) == (2 if name in ("branch", "axis", "moved") else 3)
    assert not hasattr(kilograd.Value, "__and__")
    ks = np.array([1, 3, 2, 3], dtype=np.int64)
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


def test_bits_of_arrays_of_integers():
    f = kilograd.compile(lambda x, k: x[:3] * (k & 1) + x[:3] * (k >> 1) + np.bitwise_xor(k, [1, 2, 3]) * x[1])
    for k in ([1, 2, 3], [0, 7, 5], [1, 2, 3]):
        k = np.array(k, dtype=np.int64)
        np.testing.assert_allclose(f(X, k), X[:3] * (k & 1) + X[:3] * (k >> 1) + np.bitwise_xor(k, [1, 2, 3]) * X[1])
    for call in (lambda x: x & 1, lambda x: np.gcd(x, 2), lambda x: x[0] & 1, lambda x: 1 << x[0], lambda x: ~x[0]):
        with pytest.raises(TypeError):
            kilograd.compile(call)(X)
    with pytest.raises(TypeError, match="is of integers and bools"):
        kilograd.compile(lambda x: x & 1)(X)


def test_arrays_of_no_dimension_are_arrays():
    for k in (np.array(3, dtype=np.int64), np.array(3.0)):
        f = kilograd.compile(lambda x, k: [x[0]] * k + [1.0] * k * x[1] + k.reshape(1) * k[()] * k.sum() + len(k.shape))
        np.testing.assert_allclose(f(X, k), [0.5 * 3 + 1.5 * 3 + 27.0])
        np.testing.assert_allclose(f.jacobian(X, k, argnums=1), [0.5 + 1.5 + 27.0])
    f = kilograd.compile(lambda x, k: sum([x[0]] * k) + x[k] + [1.0, 2.0, 3.0, 4.0][k] + sum(x[i] for i in range(k)))
    assert f(X, np.array(3, dtype=np.int64)) == pytest.approx(1.5 + 3.0 + 4.0)
    g = kilograd.compile(lambda x: x**2, argnums=0)
    assert g(np.array(3.0)) == g(3.0) == 9.0
    assert g.grad(np.array(3.0)) == 6.0
    assert g.hvp(np.array(3.0), np.array(0.5)) == 1.0
    np.testing.assert_allclose(
        kilograd.compile(lambda x, c: x * c).batch(np.arange(3.0), np.array(2.0), in_axes=(0, None)), [0.0, 2.0, 4.0]
    )


def test_bools_of_numpy_are_bools_of_numpy():
    for yes in (np.bool_(True), True):
        f = kilograd.compile(lambda x, k: x * (k + k) + x * abs(k) + x * (k * k))
        np.testing.assert_allclose(f(X, yes), X * (yes + yes) + X * abs(yes) + X * (yes * yes))
    with pytest.raises(TypeError, match="boolean negative"):
        kilograd.compile(lambda x, k: x * -k)(X, np.bool_(True))


def test_where_an_integer_is_asked_for_messages_name_the_arguments():
    with pytest.raises(TypeError, match="hash of a Value") as caught:
        kilograd.compile(lambda x, k, *, n: x * {1: 2.0}[k])(X, 1, n=2)
    if hasattr(caught.value, "__notes__"):
        assert "argument 1, n, int(k) is one" in caught.value.__notes__[1]
    with pytest.raises(AttributeError, match="bit_length") as missing:
        kilograd.compile(lambda x, k: x * k.bit_length())(X, 1)
    if hasattr(missing.value, "__notes__"):
        assert "int(k)" in missing.value.__notes__[1]
    f = kilograd.compile(lambda x, k: x * {1: 2.0, 4: 3.0}[int(k)] * int(k).bit_length())
    np.testing.assert_allclose(f(X, 4), X * 9.0)


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


@pytest.mark.parametrize(
    "seeds", [3, np.int64(12345678), np.array([3, 2**30], dtype=np.int64)], ids=["int", "int64", "array"]
)
def test_rests_of_integers_that_no_float_holds(seeds):
    def generator(seed, x):
        for _ in range(3):
            seed = (1103515245 * seed + 12345) % 2**31
        return np.sum(seed * x)

    with pytest.raises(TypeError, match=r"rest of an integer beyond 2\*\*53 is not recorded: pass what"):
        kilograd.compile(generator)(seeds, 0.5)
    compiled = kilograd.compile(lambda k, x: np.sum((k + 1) % 7 * x))
    assert compiled(2**52, 0.5) == (2**52 + 1) % 7 * 0.5  # another path, where the first one refuses
    with pytest.raises(TypeError, match=r"beyond 2\*\*53"):
        compiled(2**53, 0.5)


def test_rests_of_the_largest_integers():
    compiled = kilograd.compile(lambda k, x: k * 1103515245 // 1000 % 97 * x)
    for k in (5, 8_000_000):  # the second product is just below 2**53
        assert compiled(k, 1.0) == k * 1103515245 // 1000 % 97
    with pytest.raises(TypeError, match="quotient or rest"):
        compiled(9_000_000, 1.0)
    assert compiled(5, 1.0) == 5 * 1103515245 // 1000 % 97


def test_values_have_their_own_operators_after_a_trace():
    names = ["__mod__", "__rmod__", "__floordiv__", "__rfloordiv__", "__divmod__", "__rdivmod__"]
    before = [vars(kilograd.Value).get(name) for name in names]
    compiled = kilograd.compile(lambda k, x: (2 * k + 1) % 5 * x)
    assert compiled(4, 2.0) == 8.0
    assert [vars(kilograd.Value).get(name) for name in names] == before
    assert not hasattr(kilograd.Value, "__and__")
    with pytest.raises(TypeError, match="raw"):
        kilograd.compile(lambda k, x: raw(k, x))(4, 2.0)
    assert [vars(kilograd.Value).get(name) for name in names] == before


def raw(k, x):
    raise TypeError("raw")


SQUARES = [1.0, 4.0, 9.0, 16.0]
AS_INDEX = {
    "array": (lambda x: np.array(SQUARES)[x].sum(), np.array([1, 2]), np.array([1.5, 2.0])),
    "take": (lambda x: np.take(SQUARES, x).sum(), np.array([1, 2]), np.array([1.5, 2.0])),
    "range": (lambda k: 1.5 * sum(range(k)), 3, 3.5),
    "slice": (lambda x, k: x[:k].sum(), 2, 2.25),
    "bits": (lambda k: 1.5 * (k & 3), 6, 6.5),
    "computed": (lambda x, k: x[2 * k - 1], 1, 1.25),
}


@pytest.mark.parametrize("name", AS_INDEX)
def test_a_float_between_integers_takes_no_path_of_an_integer(name):
    function, whole, between = AS_INDEX[name]
    first = () if function.__code__.co_argcount == 1 else (np.array(SQUARES),)
    f = kilograd.compile(function)
    assert f(*first, whole) == function(*first, whole)
    for call in (f, f.grad):
        with pytest.raises((IndexError, TypeError), match="integer"):
            call(*first, between)
    assert f(*first, whole) == function(*first, whole)
