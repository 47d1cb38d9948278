"""A user's program about Values. Type checkers pass every line, and refuse those that say so."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import kilograd
from kilograd import Value


class Weight(Value):
    frozen: bool = False


def article() -> float:
    a, b = Value(2.0, label="a"), Value(-3, label="b")
    c = 10.0 - a * b / 2 + 3**a
    d: Value = (c**2 + -c + abs(b)).tanh()
    d.label = "d"
    d.backward()
    a.data += -0.05 * a.grad
    a.grad = 0
    names: set[str] = {child._op for child in d._prev}
    print(f"{d:.4f}", names, d.data * 2, a > 0, a == b, sum([a, b]), sorted([a, b]))
    return d.grad


def own_rule() -> Value:
    x = Value(0.5)
    out = Value(math.exp(x.data), (x,), "exp")

    def _backward() -> None:
        x.grad += out.data * out.grad

    out._backward = _backward
    Value(1.0, _prev={x}, _op="f")
    Value(1.0, children=[x], local_grads=[0.5])
    return Value(x.data * 2, (x,), (2.0,), label="twice")


def numpy_scalars() -> None:
    v = Value(np.int64(3)) * np.float32(2) + np.float64(1)
    w = np.float64(1) - Value(np.float32(3)) / np.int64(2)
    v.data = np.float32(1)
    v.backward(np.float64(1))
    kilograd.maximum(v, np.float32(2)).backward()
    print(v, w)


def numpy_functions() -> None:
    v, array = Value(1.0), np.array([1.0, 2.0])
    y: Value = np.exp(v) + np.arctan(v)
    row: NDArray[np.object_] = v * array + array / v
    vector = np.array([Value(1.0), y])
    total: Value = np.dot(vector, vector) + vector.sum() + np.tanh(vector).mean()
    mask: NDArray[np.bool_] = v < array
    total.backward()
    print(row, mask)


def notes() -> None:
    v, w = Value(1.0), Weight(2.0)
    v.note = "an attribute of my own"
    w.frozen = True
    print(w.frozen, w.data)


def methods() -> list[Value]:
    v = Value(0.5)
    activation: Callable[[Value], Value] = Value.relu
    with kilograd.no_grad():
        v.leaky_relu(slope=0.2).silu()
    v.zero_grad()
    forward: float = v.forward()
    print(forward, activation(v), kilograd.live_nodes() + kilograd.reserved_bytes())
    smaller: float = kilograd.minimum(1.0, 2.0)
    return [v.maximum(0), v.arctan(), kilograd.minimum(v, smaller)]


def main() -> None:
    numpy_scalars()
    numpy_functions()
    notes()
    print(article(), own_rule(), methods())


def mistakes() -> None:
    v = Value(1.0)
    Value("3")  # refused
    Value(1.0, lable="a")  # refused
    Value(1.0, (2.0,))  # refused
    Value(1j)  # refused
    v + "1"  # refused
    v.tahn()  # refused
    v.grda  # refused
    v.data = "1"  # refused
    v.backward("1")  # refused
    v.leaky_relu(slop=0.1)  # refused
    v._prev = set()  # refused
    v._backward = 1  # refused
    float(v)  # refused
    int(v)  # refused
    math.exp(v)  # refused
    round(v, 2)  # refused
    v.item()  # refused
    v.detach()  # refused
    v.numpy()  # refused
    kilograd.maximum(v, "1")  # refused
