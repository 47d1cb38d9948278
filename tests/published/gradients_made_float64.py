"""Data and gradients are numpy.float64 from the beginning"""
import numpy as np


class Value:
    def __init__(self, data, _children=(), _op=''):
        self.data = np.float64(data)
        self.grad = np.float64(0)
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

    def __pow__(self, power):
        out = Value(self.data ** power, (self,), f'**{power}')

        def _backward():
            self.grad += power * self.data ** (power - 1) * out.grad
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

    def __truediv__(self, other):
        return self * other ** -1

    def exp(self):
        out = Value(np.exp(self.data), (self,), 'exp')

        def _backward():
            self.grad += out.data * out.grad
        out._backward = _backward
        return out

    def log(self):
        out = Value(np.log(self.data), (self,), 'log')

        def _backward():
            self.grad += (1 / self.data) * out.grad
        out._backward = _backward
        return out

    def tanh(self):
        out = Value(np.tanh(self.data), (self,), 'tanh')

        def _backward():
            self.grad += (1 - out.data ** 2) * out.grad
        out._backward = _backward
        return out

    def sigmoid(self):
        out = Value(1 / (1 + np.exp(-self.data)), (self,), 'sigmoid')

        def _backward():
            self.grad += (out.data * (1 - out.data)) * out.grad
        out._backward = _backward
        return out

    def relu(self):
        out = Value(np.maximum(0, self.data), (self,), 'relu')

        def _backward():
            self.grad += (out.data > 0) * out.grad
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
        self.grad = np.float64(1)
        for v in reversed(topo):
            v._backward()


rng = np.random.default_rng(5)
w = [Value(x) for x in rng.normal(size=2)]
b = Value(0)
points = rng.normal(size=(6, 2))
for step in range(4):
    losses = []
    for x in points:
        score = w[0] * x[0] + w[1] * x[1] + b
        target = 1.0 if x[0] > x[1] else 0.0
        hidden = score.tanh() + (score * 0.5).relu()
        p = hidden.sigmoid()
        losses.append((p - target) ** 2 - (p + 1e-3).log() * 0.1 + (score * 0.1).exp())
    loss = sum(losses) / len(losses)
    for v in (*w, b):
        v.grad = np.float64(0)
    loss.backward()
    for v in (*w, b):
        v.data -= 0.3 * v.grad
    print(step, repr(loss.data), type(w[0].data).__name__, type(b.grad).__name__)
print([repr(v.data) for v in (*w, b)], [repr(v.grad) for v in (*w, b)])
