"""The constructor makes every number a float."""
import math
from typing import Callable, Iterable, Union

Number = Union[int, float]


class Value:
    """A differentiable scalar."""

    def __init__(self, data: Number, _children: Iterable["Value"] = (), _op: str = "") -> None:
        self.data: float = float(data)
        self.grad: float = 0.0
        self._backward: Callable[[], None] = lambda: None
        self._prev = set(_children)
        self._op = _op

    def __add__(self, other: Union["Value", Number]) -> "Value":
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other), "+")

        def _backward() -> None:
            self.grad += out.grad
            other.grad += out.grad

        out._backward = _backward
        return out

    def __radd__(self, other: Number) -> "Value":
        return self + other

    def __mul__(self, other: Union["Value", Number]) -> "Value":
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other), "*")

        def _backward() -> None:
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out._backward = _backward
        return out

    def __rmul__(self, other: Number) -> "Value":
        return self * other

    def relu(self) -> "Value":
        out = Value(max(0, self.data), (self,), "ReLU")

        def _backward() -> None:
            self.grad += (out.data > 0) * out.grad

        out._backward = _backward
        return out

    def exp(self) -> "Value":
        out = Value(math.exp(self.data), (self,), "exp")

        def _backward() -> None:
            self.grad += out.data * out.grad

        out._backward = _backward
        return out

    def backward(self) -> None:
        topo: list["Value"] = []
        visited: set["Value"] = set()

        def build(v: "Value") -> None:
            if v not in visited:
                visited.add(v)
                for child in v._prev:
                    build(child)
                topo.append(v)

        build(self)
        self.grad = 1.0
        for v in reversed(topo):
            v._backward()

    def __repr__(self) -> str:
        return f"Value(data={self.data}, grad={self.grad})"


a, b = Value(3), Value(-2)
c = (a * b + 7).relu() + 2 * (a + -3).relu()
d = c.exp() + True
d.backward()
print(a, b, c, d)
print(Value(True), Value(0) + 1, [n.data for n in sorted((a * 2)._prev, key=lambda n: n.data)])
