"""Gradients are clipped by their norm, weights decay."""
import math
import random


class Value:
    def __init__(self, data, _children=(), _op=''):
        self.data = data
        self.grad = 0.0
        self._prev = tuple(_children)
        self._backward = lambda: None
        self._op = _op

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other), '+')

        def _backward():
            self.grad += out.grad
            other.grad += out.grad
        out._backward = _backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other), '*')

        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out._backward = _backward
        return out

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + (-other)

    def backward(self):
        topo, seen = [], set()

        def build(v):
            if v not in seen:
                seen.add(v)
                for child in v._prev:
                    build(child)
                topo.append(v)
        build(self)
        self.grad = 1.0
        for v in reversed(topo):
            v._backward()


random.seed(5)
w = [Value(random.gauss(0, 2)) for _ in range(4)]
for step in range(6):
    x = [random.random() for _ in w]
    out = sum((a * b for a, b in zip(w, x)), Value(0.0))
    loss = (out - 1) * (out - 1)
    for v in w:
        v.grad = 0.0
    loss.backward()
    norm = math.sqrt(sum(v.grad ** 2 for v in w))
    scale = min(1.0, 1.0 / (norm + 1e-6))
    for v in w:
        v.data = v.data * (1 - 0.01) - 0.3 * scale * v.grad
    print(f"{loss.data:.10f} {norm:.10f}")
