"""A user's program about functions that are compiled and differentiated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import kilograd

Array = NDArray[np.float64]


@kilograd.compile
def rosen(a: float, b: float = 1.0) -> float:
    return (1 - a) ** 2 + 100 * (b - a**2) ** 2


@kilograd.compile(argnums=(0, 1), static_argnums=2)
def power(x: float, y: float, n: int) -> float:
    return (x * y) ** n


def norm(x: Array, scale: float = 1.0) -> float:
    result: float = scale * (x**2).sum()
    return result


class Model:
    def __init__(self) -> None:
        self.slope = 2.0

    @kilograd.compile
    def __call__(self, x: Array) -> Array:
        return np.tanh(self.slope * x)

    @kilograd.compile
    def loss(self, x: Array, weight: float = 1.0) -> float:
        result: float = weight * (self(x) ** 2).sum()
        return result


def main() -> None:
    x = np.array([0.5, 1.5])
    value: float = rosen(0.5, b=2.0)
    slope: float = rosen.grad(0.5)
    print(rosen.value_and_grad(0.5, argnums=0), rosen.batch(x), rosen.hvp(0.5, 1.0), power(1.0, 2.0, 3))

    gradient: Array = kilograd.grad(norm)(x, scale=2.0)
    value, gradient = kilograd.value_and_grad(norm)(x)
    matrix: Array = kilograd.hessian(norm)(x)
    print(kilograd.hvp(norm)(x, gradient), kilograd.grad(lambda z: z**2)(3.0), kilograd.grad(rosen, argnums=1)(0.5, 1))
    model = Model()
    rows: Array = model(x)
    print(kilograd.jacobian(model.__call__)(x), model.loss(x, weight=0.5), model.loss.grad(x))

    logarithm: float = kilograd.special.gammaln(2.5)
    tails: Array = kilograd.special.log_ndtr(x)
    node: kilograd.Value = kilograd.special.betaln(kilograd.Value(2.0), 3.0)
    print(logarithm, tails, node, kilograd.special.polygamma(1, 2.0), kilograd.special.softmax(x, axis=0))

    total, steps = kilograd.scan(lambda c, z: (c + z, c), 0.0, x)
    total = kilograd.fori_loop(0, 3, lambda i, c: c * 0.5 + i, total)
    total = kilograd.while_loop(lambda c: c > 1.0, lambda c: c / 2, total)
    squared = kilograd.custom(lambda z: z * z, vjp=lambda w, z: (2 * w * z,))
    root = kilograd.implicit(lambda z, a: z * z - a, lambda a: a**0.5)
    print(total, steps, squared(2.0), root(4.0))

    half: float = kilograd.where(value > 0, value, 0.5)
    positive: NDArray[np.float64] = kilograd.where(x > 0, x, 0.1 * x)
    v: kilograd.Value = kilograd.where(True, kilograd.Value(half), kilograd.Value(1.0))
    print(slope, matrix, rows, positive, v, kilograd.arrays.gradients([v]))


def mistakes() -> None:
    x = np.array([0.5, 1.5])
    model = Model()
    rosen()  # refused
    rosen("no", b=3)  # refused
    rosen(1.0, c=2.0)  # refused
    rosen.grad(1.0, 2.0, 3.0)  # refused
    rosen.hvp(1.0)  # refused
    kilograd.grad(norm)(x, 1.0, 2.0)  # refused
    kilograd.value_and_grad(norm)(x, factor=2.0)  # refused
    kilograd.hessian(norm)()  # refused
    kilograd.jacobian(norm)(x, scale="large")  # refused
    kilograd.hvp(norm)(x)  # refused
    kilograd.compile(norm, argnum=0)  # refused
    kilograd.compile(3)  # refused
    model.loss()  # refused
    model.loss(x, weigth=1.0)  # refused
    kilograd.where("x > 0", x, x)  # refused
