"""sin, cos, sqrt, abs and a square by method."""
import math


class Scalar:
    def __init__(self, data, _children=(), _op=''):
        self.data = data
        self.grad = 0.0
        self._prev = tuple(_children)
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

    def sin(self):
        out = Scalar(math.sin(self.data), (self,), 'sin')

        def _backward():
            self.grad += math.cos(self.data) * out.grad
        out._backward = _backward
        return out

    def cos(self):
        out = Scalar(math.cos(self.data), (self,), 'cos')

        def _backward():
            self.grad += -math.sin(self.data) * out.grad
        out._backward = _backward
        return out

    def sqrt(self):
        out = Scalar(math.sqrt(self.data), (self,), 'sqrt')

        def _backward():
            self.grad += 0.5 / out.data * out.grad
        out._backward = _backward
        return out

    def square(self):
        out = Scalar(self.data ** 2, (self,), 'square')

        def _backward():
            self.grad += 2 * self.data * out.grad
        out._backward = _backward
        return out

    def __abs__(self):
        out = Scalar(abs(self.data), (self,), '__abs__')

        def _backward():
            self.grad += (1.0 if self.data >= 0 else -1.0) * out.grad
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


x = Scalar(0.8)
y = (x.sin() * x.cos()).square() + (x * 2 + 1).sqrt() + abs(x * -1)
y.backward()
h = 1e-6
f = lambda t: (math.sin(t) * math.cos(t)) ** 2 + math.sqrt(2 * t + 1) + t
print(y.data, x.grad, abs(x.grad - (f(0.8 + h) - f(0.8 - h)) / (2 * h)) < 1e-6)
