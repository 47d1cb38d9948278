"""A dataclass, with type hints, forward references and a factory for the operands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Union

Number = Union[int, float]


@dataclass(eq=False)
class Var:
    data: float
    grad: float = 0.0
    _prev: set[Var] = field(default_factory=set, repr=False)
    _op: str = field(default="", repr=False)
    _backward: Callable[[], None] = field(default=lambda: None, repr=False)

    def __add__(self, other: Var | Number) -> Var:
        other = other if isinstance(other, Var) else Var(other)
        out = Var(self.data + other.data, 0.0, {self, other}, "+")

        def _backward() -> None:
            self.grad += out.grad
            other.grad += out.grad

        out._backward = _backward
        return out

    def __mul__(self, other: Var | Number) -> Var:
        other = other if isinstance(other, Var) else Var(other)
        out = Var(self.data * other.data, 0.0, {self, other}, "*")

        def _backward() -> None:
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out._backward = _backward
        return out

    __radd__ = __add__
    __rmul__ = __mul__

    def zero_grad(self) -> None:
        self.grad = 0.0
        for child in self._prev:
            child.zero_grad()

    def backward(self) -> None:
        topo: list[Var] = []
        visited: set[Var] = set()

        def build(node: Var) -> None:
            if node in visited:
                return
            visited.add(node)
            for child in node._prev:
                build(child)
            topo.append(node)

        build(self)
        self.grad = 1.0
        for node in reversed(topo):
            node._backward()


x, y = Var(2.0), Var(grad=0.0, data=-3.0)
z = 2 * x * y + y * y + 1.0
z.backward()
print(x, y, z, repr(z), Var.__dataclass_fields__.keys(), Var.grad)
z.zero_grad()
print(x, y, z, x == y, x == x, len({x, y, x}))
