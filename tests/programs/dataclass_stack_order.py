"""dataclass(eq=False), frozen fields, default factories, post_init."""
from __future__ import annotations
from dataclasses import dataclass, field
from typing import Callable, Optional, Tuple, ClassVar
import math
def _nothing() -> None: ...
@dataclass(eq=False)
class Scalar:
    data: float
    grad: float = 0.0
    _prev: Tuple["Scalar", ...] = ()
    _op: str = ""
    _backward: Callable[[], None] = field(default=_nothing, repr=False)
    def __add__(self, other: Scalar | float) -> Scalar:
        other = other if isinstance(other, Scalar) else Scalar(other)
        out = Scalar(self.data + other.data, 0.0, (self, other), "+")
        def _backward() -> None:
            self.grad += out.grad
            other.grad += out.grad
        out._backward = _backward
        return out
    def __mul__(self, other: Scalar | float) -> Scalar:
        other = other if isinstance(other, Scalar) else Scalar(other)
        out = Scalar(self.data * other.data, _prev=(self, other), _op="*")
        def _backward() -> None:
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out._backward = _backward
        return out
    def __radd__(self, other): return self + other
    def __rmul__(self, other): return self * other
    def __neg__(self): return self * -1
    def __sub__(self, other): return self + (-other)
    def sigmoid(self) -> Scalar:
        s = 1 / (1 + math.exp(-self.data))
        out = Scalar(s, _prev=(self,), _op="sig")
        def _backward() -> None:
            self.grad += s * (1 - s) * out.grad
        out._backward = _backward
        return out
    def backward(self) -> None:
        topo: list[Scalar] = []
        seen: set[int] = set()
        stack = [(self, False)]
        while stack:
            node, done = stack.pop()
            if done:
                topo.append(node); continue
            if id(node) in seen: continue
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((p, False) for p in node._prev)
        self.grad = 1.0
        for node in reversed(topo): node._backward()
a, b = Scalar(2.0), Scalar(grad=0.5, data=-1.0)
print(a, b)
c = (a * b + 3 * a).sigmoid() - a
c.backward()
print(a.grad, b.grad, c)
print(Scalar.grad, Scalar.__dataclass_fields__.keys(), a == Scalar(2.0))
import dataclasses
d = dataclasses.replace(a, data=9.0)
print(d.data, d.grad, [f.name for f in dataclasses.fields(a)])
w = [Scalar(i / 10) for i in range(4)]
for step in range(5):
    loss = sum(((wi * x - y) * (wi * x - y) for wi, (x, y) in zip(w, [(1., 2.), (2., 1.), (3., 3.), (0.5, 1.)])), Scalar(0.0))
    for p in w: p.grad = 0.0
    loss.backward()
    for p in w: p.data -= 0.05 * p.grad
    print(step, f"{loss.data:.6f}", [f"{p.data:.5f}" for p in w])
