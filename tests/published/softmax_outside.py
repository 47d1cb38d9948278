"""Softmax and cross entropy are functions of the module, over lists of nodes."""
import math
import random


class Value:
    def __init__(self, data, _children=(), _op=''):
        self.data = data
        self.grad = 0.0
        self._prev = set(_children)
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

    def exp(self):
        out = Value(math.exp(self.data), (self,), 'exp')

        def _backward():
            self.grad += out.data * out.grad
        out._backward = _backward
        return out

    def log(self):
        out = Value(math.log(self.data), (self,), 'log')

        def _backward():
            self.grad += (1 / self.data) * out.grad
        out._backward = _backward
        return out

    def __pow__(self, other):
        assert isinstance(other, (int, float))
        out = Value(self.data ** other, (self,), f'**{other}')

        def _backward():
            self.grad += other * self.data ** (other - 1) * out.grad
        out._backward = _backward
        return out

    def __truediv__(self, other):
        return self * other ** -1

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


def softmax(xs):
    exps = [x.exp() for x in xs]
    total = sum(exps)
    return [e / total for e in exps]


def cross_entropy(xs, target):
    return -softmax(xs)[target].log()


random.seed(7)
w = [[Value(random.uniform(-1, 1)) for _ in range(2)] for _ in range(3)]
points = [((1.0, 0.5), 0), ((-0.5, 1.0), 1), ((0.2, -1.0), 2)]
for epoch in range(8):
    loss = sum(cross_entropy([row[0] * p[0] + row[1] * p[1] for row in w], t) for p, t in points) * (1 / 3)
    for row in w:
        for v in row:
            v.grad = 0.0
    loss.backward()
    for row in w:
        for v in row:
            v.data -= 0.5 * v.grad
    print(epoch, f"{loss.data:.10f}")
