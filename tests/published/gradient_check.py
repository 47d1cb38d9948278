"""Gradients are compared with finite differences."""
import math


class V:
    def __init__(self, data, _children=()):
        self.data = data
        self.grad = 0.0
        self._prev = tuple(_children)
        self._backward = lambda: None

    def __add__(self, other):
        other = other if isinstance(other, V) else V(other)
        out = V(self.data + other.data, (self, other))

        def _backward():
            self.grad += out.grad
            other.grad += out.grad
        out._backward = _backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, V) else V(other)
        out = V(self.data * other.data, (self, other))

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

    def exp(self):
        out = V(math.exp(self.data), (self,))

        def _backward():
            self.grad += out.data * out.grad
        out._backward = _backward
        return out

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


def f(x, y):
    return x * y + (x * 0.5).exp() - y * y


def numeric(i, at, h=1e-6):
    up, down = list(at), list(at)
    up[i] += h
    down[i] -= h
    return (f(*map(V, up)).data - f(*map(V, down)).data) / (2 * h)


at = (0.3, -1.2)
leaves = [V(t) for t in at]
f(*leaves).backward()
for i, leaf in enumerate(leaves):
    print(f"{leaf.grad:.10f}", abs(leaf.grad - numeric(i, at)) < 1e-7)
