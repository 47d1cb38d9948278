"""The whole of kilograd in one short file of plain Python.

This is what kilograd computes, without what makes it fast: a number that remembers how it was made, so that the
derivative of a result with respect to everything it came from can be had by walking that memory backwards. Read it
from top to bottom to know what the engine does. The tests hold the engine to this file, and the benchmarks time
against it. It imports nothing from the rest of the package and can be copied away as it stands.

Reverse-mode differentiation in four sentences. Each operation makes a new node and notes its operands. Each node
knows one rule: given the derivative of the final result with respect to itself, what does it add to the derivatives
of its operands? That is the chain rule, one edge at a time. `Value.backward` applies the rules from the result down
to the leaves, in an order in which a node comes only after everything that was computed from it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

__all__ = ["MLP", "Layer", "Neuron", "Value"]

T = TypeVar("T")


class Value:
    """A number in an expression graph.

    Parameters
    ----------
    data : int, float, bool or a NumPy real scalar
        The number. A NumPy scalar is kept as the Python number of the same value.
    _children : iterable of Value
        The operands that `data` was computed from; empty for a leaf.
    _op : str
        The name of the operation, for drawings.
    label : str
        A name for people to read.

    Attributes
    ----------
    data : int or float
    grad : float
        Derivative of the last result on which `backward` was called with respect to this node. Calls add up until
        somebody sets it back to zero.
    _backward : callable
        This node's rule: adds ``local derivative * self.grad`` into the ``grad`` of each operand. Does nothing on a
        leaf. May be assigned, which is how an operation of your own is made.

    Raises
    ------
    TypeError
        If `data` is not a real number.

    Examples
    --------
    >>> a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    >>> c = a * b + 10
    >>> c
    Value(data=4.0)
    >>> c.backward()
    >>> a.grad, b.grad
    (-3.0, 2.0)
    """

    def __init__(self, data: float, _children: Iterable[Value] = (), _op: str = "", label: str = "") -> None:
        self.data = data if type(data) is float else _real(data)
        self.grad = 0.0
        self._children = tuple(_children)
        self._op = _op
        self.label = label
        self._backward: Callable[[], None] = _nothing

    @property
    def _prev(self) -> set[Value]:
        """The operands as a set: ``a + a`` has two children and one predecessor."""
        return set(self._children)

    def __repr__(self) -> str:
        return f"Value(data={self.data})"

    # Three operations have rules of their own: sum, product and power. A rule reads `data` when it runs, not when the
    # node is made. An operand that is a number becomes a leaf. NotImplemented hands anything else back to Python, which
    # asks the other operand (a NumPy array then multiplies its elements one by one) or raises TypeError.

    def __add__(self, other: Value | float) -> Value:
        right = other if isinstance(other, Value) else _leaf(other)
        if right is None:
            return NotImplemented
        out = Value(self.data + right.data, (self, right), "+")

        def _backward() -> None:
            self.grad += out.grad
            right.grad += out.grad

        out._backward = _backward
        return out

    def __mul__(self, other: Value | float) -> Value:
        right = other if isinstance(other, Value) else _leaf(other)
        if right is None:
            return NotImplemented
        out = Value(self.data * right.data, (self, right), "*")

        def _backward() -> None:
            self.grad += right.data * out.grad
            right.grad += self.data * out.grad

        out._backward = _backward
        return out

    def __pow__(self, exponent: float) -> Value:
        """Power with a number for exponent; the derivative of x**n is n * x**(n-1)."""
        if isinstance(exponent, Value):
            return NotImplemented
        n = _real(exponent)
        data = self.data**n
        if isinstance(data, complex):
            raise ValueError(f"{self.data} ** {n} is not a real number: a negative base needs an integer exponent")
        out = Value(data, (self,), f"**{n}")

        def _backward() -> None:
            self.grad += (n * self.data ** (n - 1) if n != 0 else 0.0) * out.grad

        out._backward = _backward
        return out

    # Everything else that is written with a sign is made of those three.

    def __neg__(self) -> Value:
        return self * -1

    def __sub__(self, other: Value | float) -> Value:
        return self + (-_plain(other))

    def __truediv__(self, other: Value | float) -> Value:
        return self * _plain(other) ** -1

    def __radd__(self, other: float) -> Value:
        return self + other

    def __rmul__(self, other: float) -> Value:
        return self * other

    def __rsub__(self, other: float) -> Value:
        return other + (-self)

    def __rtruediv__(self, other: float) -> Value:
        return other * self**-1

    # Functions of one value differ only in their formula, y = f(x), and in their slope, dy/dx.

    def _function(self, name: str, y: float, slope: Callable[[float, float], float]) -> Value:
        out = Value(y, (self,), name)

        def _backward() -> None:
            self.grad += slope(self.data, out.data) * out.grad

        out._backward = _backward
        return out

    def tanh(self) -> Value:
        return self._function("tanh", math.tanh(self.data), lambda x, y: 1 - y**2)

    def exp(self) -> Value:
        return self._function("exp", math.exp(self.data), lambda x, y: y)

    def log(self) -> Value:
        return self._function("log", math.log(self.data), lambda x, y: 1 / x)

    def sqrt(self) -> Value:
        return self._function("sqrt", math.sqrt(self.data), lambda x, y: 0.5 / y)

    def sin(self) -> Value:
        return self._function("sin", math.sin(self.data), lambda x, y: math.cos(x))

    def cos(self) -> Value:
        return self._function("cos", math.cos(self.data), lambda x, y: -math.sin(x))

    def relu(self) -> Value:
        return self._function("ReLU", 0 if self.data < 0 else self.data, lambda x, y: y > 0)

    def sigmoid(self) -> Value:
        small = math.exp(-abs(self.data))  # of minus the magnitude, so that it cannot overflow
        return self._function("sigmoid", (small if self.data < 0 else 1.0) / (1.0 + small), lambda x, y: y * (1 - y))

    def abs(self) -> Value:
        return self._function("abs", abs(self.data), lambda x, y: (x > 0) - (x < 0))

    __abs__ = abs

    def backward(self) -> None:
        """Add the derivative of this node with respect to each node it came from into that node's ``grad``.

        Sets the ``grad`` of this node to 1.0 and runs each node's rule once, results before operands. The order is
        found with an explicit stack in place of recursion, so that a graph may be as deep as memory allows.
        """
        order: list[Value] = []  # operands before results
        seen = {self}
        stack = [(self, iter(self._children))]
        while stack:
            node, children = stack[-1]
            for child in children:
                if child not in seen:
                    seen.add(child)
                    stack.append((child, iter(child._children)))
                    break
            else:
                order.append(node)
                stack.pop()

        self.grad = 1.0
        for node in reversed(order):
            node._backward()


def _nothing() -> None:
    """The rule of a leaf."""


def _plain(x: T) -> T:
    """A NumPy scalar as the Python number of the same value (an unsigned one has no negative); else `x` itself."""
    if hasattr(x, "item") and getattr(x, "ndim", 0) == 0:
        x = x.item()
    return x


def _real(data: Any) -> int | float:
    """`data` as a Python number; TypeError where it is none."""
    data = _plain(data)
    if not isinstance(data, (int, float)):
        raise TypeError(f"a Value holds a real number, not {type(data).__name__}: {data!r}")
    return data


def _leaf(data: Any) -> Value | None:
    """A leaf for a number that stands beside a Value; None where `data` is no number."""
    try:
        return Value(data)
    except TypeError:
        return None


class Neuron:
    """A weighted sum of the inputs plus a bias, through tanh.

    Parameters
    ----------
    nin : int
        Number of inputs. One weight for each, then the bias, are drawn from ``random.uniform(-1, 1)``.
    """

    def __init__(self, nin: int) -> None:
        self.w = [Value(random.uniform(-1, 1)) for _ in range(nin)]
        self.b = Value(random.uniform(-1, 1))

    def __call__(self, x: Sequence[Value | float]) -> Value:
        act: Value = sum(wi * xi for wi, xi in zip(self.w, x, strict=True)) + self.b
        return act.tanh()

    def parameters(self) -> list[Value]:
        return [*self.w, self.b]


class Layer:
    """`nout` neurons that look at the same `nin` inputs. A single output comes without its list."""

    def __init__(self, nin: int, nout: int) -> None:
        self.neurons = [Neuron(nin) for _ in range(nout)]

    def __call__(self, x: Sequence[Value | float]) -> Any:
        outs = [neuron(x) for neuron in self.neurons]
        return outs[0] if len(outs) == 1 else outs

    def parameters(self) -> list[Value]:
        return [p for neuron in self.neurons for p in neuron.parameters()]


class MLP:
    """A multi-layer perceptron: layers of `nouts` neurons each, every one fed by the one before."""

    def __init__(self, nin: int, nouts: Sequence[int]) -> None:
        sizes = [nin, *nouts]
        self.layers = [Layer(sizes[i], sizes[i + 1]) for i in range(len(nouts))]

    def __call__(self, x: Sequence[Value | float]) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x

    def parameters(self) -> list[Value]:
        return [p for layer in self.layers for p in layer.parameters()]
