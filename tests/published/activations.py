"""Leaky ReLU, softplus, GELU and clipping, with constants of their own."""
import math


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

    def leaky_relu(self):
        out = Value(self.data if self.data > 0 else 0.01 * self.data, (self,), 'leaky_relu')

        def _backward():
            self.grad += (1.0 if self.data > 0 else 0.01) * out.grad
        out._backward = _backward
        return out

    def softplus(self):
        out = Value(math.log(1 + math.exp(self.data)), (self,), 'softplus')

        def _backward():
            self.grad += out.grad / (1 + math.exp(-self.data))
        out._backward = _backward
        return out

    def gelu(self):
        out = Value(0.5 * self.data * (1 + math.tanh(0.7978845608 * (self.data + 0.044715 * self.data ** 3))), (self,), 'gelu')

        def _backward():
            self.grad += (0.5 + 0.8 * self.data) * out.grad
        out._backward = _backward
        return out

    def clip(self):
        out = Value(max(-1.0, min(1.0, self.data)), (self,), 'clip')

        def _backward():
            self.grad += (1.0 if -1.0 < self.data < 1.0 else 0.0) * out.grad
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


for x in (-3.0, -0.5, 0.0, 0.5, 3.0):
    v = Value(x)
    y = v.leaky_relu() + v.softplus() * 2 + v.gelu() + v.clip() * v
    y.backward()
    print(f"{y.data:.12f} {v.grad:.12f}")
