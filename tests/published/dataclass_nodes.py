"""A dataclass with default factories."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable


@dataclass(eq=False)
class Var:
    data: float
    grad: float = 0.0
    parents: tuple[Var, ...] = ()
    rule: Callable[[], None] = field(default=lambda: None, repr=False)

    def __add__(self, other):
        other = other if isinstance(other, Var) else Var(other)
        out = Var(self.data + other.data, parents=(self, other))

        def rule():
            self.grad += out.grad
            other.grad += out.grad
        out.rule = rule
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Var) else Var(other)
        out = Var(self.data * other.data, parents=(self, other))

        def rule():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out.rule = rule
        return out

    def backward(self):
        topo, seen = [], set()

        def visit(v):
            if id(v) not in seen:
                seen.add(id(v))
                for p in v.parents:
                    visit(p)
                topo.append(v)
        visit(self)
        self.grad = 1.0
        for v in reversed(topo):
            v.rule()


a = Var(3.0)
b = a * a + 1
b.backward()
print(a, b.data)
