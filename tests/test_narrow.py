"""Integers of 8, 16 and 32 bits that are arguments: NumPy's results where it wraps nothing around, else a refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kilograd

X = np.array([0.5, 1.5, -2.0])
KINDS = (np.uint8, np.int8, np.uint16, np.int16, np.int32, np.uint32)
NAMES = ["a", "b", "c", "d", "e", "f"]

NUMBERS: dict[str, Callable[[Any, Any], Any]] = {
    "beside-floats": lambda x, k: x * k + k / 2 - 1.5 * k + x[k - k] ** k + np.float64(k),
    "integers": lambda x, k: x * (k + k) + x * (k * k) + x * (2 * k - 1) + x * (k // 2) + x * (k % 2) + x * abs(k),
    "powers": lambda x, k: x * k**2 + x * 2**k,
    "index": lambda x, k: x[k - 1] * len(NAMES[k + 1]) + sum(x[0] for _ in range(k)) + x[:k].sum(),
    "counts": lambda x, k: np.tile(x, k).sum() + np.zeros(k).size * x[0] + np.roll(x, k)[0],
    "bits": lambda x, k: x * (k & 1) + x * (k << 1) + x * (k | 4) + x * (k ^ 3),
    "comparisons": lambda x, k: (x * 2.0 if k > 1 else x) * (k == 2) + np.where(k < 300, x, 2.0 * x),
    "extremes": lambda x, k: x * np.maximum(k, 2) + x * min(k, 1) + x * np.clip(k, 1, 2),
    "converted": lambda x, k: x * (k.astype(float) * 100) + x * (k.astype(np.int64) * 1000) + x * (int(k) * 1000),
    "divmod": lambda x, k: x * divmod(k, 2)[0] + divmod(k, 2)[1],
    "of-no-dimension": lambda x, k: x * k.ndim + x * k.sum() + x[k.reshape(1) - 1].sum(),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(name: str, kind: Any):
    function = NUMBERS[name]
    if name == "beside-floats":
        function = lambda x, k: x * k + k / 2 - 1.5 * k + x[k - k] ** k  # noqa: E731
    f = kilograd.compile(function)
    for k in (1, 2, 3, 2):
        np.testing.assert_allclose(f(X, kind(k)), function(X, kind(k)), rtol=1e-13)
        slopes = [(function(X + 1e-6 * e, kind(k)) - function(X - 1e-6 * e, kind(k))) / 2e-6 for e in np.eye(3)]
        np.testing.assert_allclose(f.jacobian(X, kind(k)).T, slopes, rtol=1e-5, atol=1e-7)
    ks = np.array([1, 2, 3], dtype=kind)
    np.testing.assert_allclose(f.batch(np.array([X] * 3), ks), [function(X, k) for k in ks], rtol=1e-13)


ARRAYS: dict[str, Callable[[Any, Any], Any]] = {
    "beside-floats": lambda x, k: x * k / 255.0 + (k - 1.0) ** 2 + k @ x + np.dot(x, k) + np.where(x > 0, x, k),
    "sums": lambda x, k: x * np.sum(k) + k.sum() * 1000 + k.mean() + np.mean(k) + np.var(k) + k.prod() + np.cumsum(k),
    "integers": lambda x, k: x * (k + k) + x * (k * 2 - k) + x * (k[0] + k[1]) + x * k[::-1],
    "index": lambda x, k: x[k] + x[2 - k] + np.take(X, k) + np.array(NAMES[k[0]] == "b") * x,
    "extremes": lambda x, k: x * np.max(k) + k.max() * x + np.maximum(k, 2) * x + k.argmax() * x + np.sort(k) * x,
    "shapes": lambda x, k: x * np.reshape(k, (1, 3))[0] + k.T * x + k.copy() * x + len(k) + k.size + k.ravel() * x,
    "converted": lambda x, k: (
        k.astype(float) * x + np.asarray(k, dtype=float) * x + np.array(k, dtype=np.int64) * 999 * x
    ),
    "bits": lambda x, k: x * (k & 1) + x * (k << 1),
    "loop": lambda x, k: sum(e * x for e in k) + sum(k) * x,
    "lists": lambda x, k: np.array([k[0], 2.5, k[1]]) * x + np.concatenate([k, k])[:3] * x + np.concatenate([x, k])[3:],
    "size in bytes": lambda x, k: x * k.itemsize + k.nbytes,
    "outer": lambda x, k: np.outer(x, k) @ x + np.einsum("i,i", k, x),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(name: str, kind: Any):
    function = ARRAYS[name]
    f = kilograd.compile(function)
    for numbers in ([1, 2, 1], [0, 1, 2], [2, 2, 1]):
        k = np.array(numbers, dtype=kind)
        np.testing.assert_allclose(f(X, k), function(X, k), rtol=1e-13)


WRAPPING: list[tuple[Callable[[Any, Any], Any], Any, Any]] = [
    (lambda x, k: x * (k + k), np.uint8(7), np.uint8(200)),
    (lambda x, k: x * (k * k), np.int8(7), np.int8(20)),
    (lambda x, k: x * -k, np.int8(7), np.int8(-128)),
    (lambda x, k: x * (k - 4), np.uint16(7), np.uint16(3)),
    (lambda x, k: x * (k * k), np.int32(7), np.int32(50_000)),
    (lambda x, k: x * (k + k), np.array([1, 2, 3], np.uint8), np.array([1, 2, 200], np.uint8)),
    (lambda x, k: x * (k[0] + k[1]), np.array([1, 2, 3], np.uint8), np.array([100, 200, 3], np.uint8)),
    (lambda x, k: x * (np.maximum(k, 100) + k), np.uint8(7), np.uint8(200)),
    (lambda x, k: x * (np.sort(k) + k), np.array([1, 2, 3], np.uint8), np.array([1, 2, 200], np.uint8)),
    (lambda x, k: x * (k.reshape(3, 1).T + k)[0], np.array([1, 2, 3], np.uint8), np.array([1, 2, 200], np.uint8)),
    (lambda x, k: x * ((k > 0) * k + k), np.array([1, 2, 3], np.uint8), np.array([1, 2, 200], np.uint8)),
    (lambda x, k: x * k**2, np.uint8(7), np.uint8(20)),
    (lambda x, k: x * (k @ k), np.array([1, 2, 3], np.int8), np.array([100, 2, 3], np.int8)),
    (lambda x, k: x * np.add.outer(k, k)[0], np.array([1, 2, 3], np.uint8), np.array([200, 2, 3], np.uint8)),
    (lambda x, k: x * np.multiply.outer(k, 2), np.array([1, 2, 3], np.uint8), np.array([200, 2, 3], np.uint8)),
    (lambda x, k: x * (np.repeat(k, 3) * 2)[:3], np.array([1, 2, 3], np.uint8), np.array([200, 2, 3], np.uint8)),
]


@pytest.mark.parametrize(("function", "within", "beyond"), WRAPPING)
def test_what_wraps_around_is_refused(function: Callable[[Any, Any], Any], within: Any, beyond: Any):
    f = kilograd.compile(function)
    np.testing.assert_allclose(f(X, within), function(X, within))
    with pytest.raises(TypeError, match=r"argument 1 is of u?int\d+, .* convert it first"):
        f(X, beyond)
    np.testing.assert_allclose(f(X, within), function(X, within))


@pytest.mark.parametrize(
    "function",
    [
        lambda x, k: x * np.sqrt(k),  # of 16 bits in NumPy
        lambda x, k: np.array([k[0], k[1]]) * x[0],
        lambda x, k: np.select([k > 1], [k], 0) * x,
        lambda x, k: x * np.extract(k > 0, k),
        lambda x, k: x * np.compress([True] * 3, k),
        lambda x, k: [x[0]] * k[0],
        lambda x, k: kilograd.scan(lambda c, t: (c + t, t), x[0], k)[0],
        lambda x, k: k.__setitem__(0, 1),
        lambda x, k: np.pad(k, 1).sum() * x,
    ],
)
def test_what_is_refused(function: Callable[[Any, Any], Any]):
    with pytest.raises(TypeError, match="argument 1 is of uint8"):
        kilograd.compile(function)(X, np.array([1, 2, 3], np.uint8))


def test_keywords_are_named():
    f = kilograd.compile(lambda x, *, count: x * (count + count))
    with pytest.raises(TypeError, match="count is of uint8"):
        f(X, count=np.uint8(200))
