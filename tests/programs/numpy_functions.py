"""NumPy's functions of floats, integers and NumPy's numbers, and powers of these: values, bits and types."""

import random
import warnings

import numpy as np

warnings.simplefilter("ignore")


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

    def root(self):
        out = Value(np.sqrt(self.data), (self,), 'root')

        def _backward():
            self.grad += (0.5 / out.data) * out.grad
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


def show(v):
    return type(v.data).__name__, repr(v.data), type(v.grad).__name__, repr(v.grad)


def play(seed):
    source = random.Random(seed)
    kinds = [float, float, np.float64, np.float32, np.int64, int]
    leaves = [Value(source.choice(kinds)(source.uniform(0.5, 3))) for _ in range(4)]
    nodes = list(leaves)
    for _ in range(14):
        a, b = source.choice(nodes), source.choice(nodes[-4:])
        forms = (
            lambda: a + b, lambda: a * b, lambda: a - b, lambda: -a, lambda: a.relu(), lambda: (a * 0.1).exp(),
            lambda: (a * 0.3).tanh(), lambda: (a * a + 0.5).log(), lambda: (a * 0.5).sigmoid(), lambda: a * 2 + b,
            lambda: (a * 0.2) ** 2, lambda: a ** 2, lambda: (a * a + 1) ** 0.5, lambda: (a * a + 1) ** -1,
            lambda: a * np.float64(0.75), lambda: np.float32(0.5) * a, lambda: (a * a + 1).root(),
        )  # fmt: skip
        nodes.append(source.choice(forms)())
    out = nodes[-1] + nodes[-2]
    if seed % 3 == 1:
        nodes[-3].data = source.choice([0.5, np.float64(0.3), 2])
    if seed % 3 == 2:
        leaves[1].data = source.choice([0.5, np.float32(0.3), np.int64(2), np.float64(0.1)])
    out.backward()
    print(seed, [show(v) for v in nodes], show(out))
    for p in leaves:
        p.data -= 0.05 * p.grad
        p.grad = 0.0
    (out * nodes[1] + sum(leaves, nodes[3])).backward()
    print(seed, [show(v) for v in leaves])


for number in range(50):
    try:
        play(number)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError) as error:
        print(number, type(error).__name__, error)
