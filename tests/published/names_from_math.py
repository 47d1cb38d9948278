"""Functions imported from math by name."""
from math import exp, log, tanh


class Scalar:
    def __init__(self, data, _children=(), _op=''):
        self.data = data
        self.grad = 0.0
        self._prev = set(_children)
        self._backward = lambda: None
        self._op = _op

    def __add__(self, other):
        other = other if isinstance(other, Scalar) else Scalar(other)
        out = Scalar(self.data + other.data, (self, other), '+')

        def _backward():
            self.grad += out.grad
            other.grad += out.grad
        out._backward = _backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Scalar) else Scalar(other)
        out = Scalar(self.data * other.data, (self, other), '*')

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
        out = Scalar(exp(self.data), (self,), 'exp')

        def _backward():
            self.grad += exp(self.data) * out.grad
        out._backward = _backward
        return out

    def log(self):
        out = Scalar(log(self.data), (self,), 'log')

        def _backward():
            self.grad += self.data ** (-1) * out.grad
        out._backward = _backward
        return out

    def tanh(self):
        t = tanh(self.data)
        out = Scalar(t, (self,), 'tanh')

        def _backward():
            self.grad += (1 - t * t) * out.grad
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


a = Scalar(0.4)
b = (a.exp() + 1).log() * a.tanh()
b.backward()
print(b.data, f"{a.grad:.12f}")
