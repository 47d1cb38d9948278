"""One head of attention over three positions."""
import math
import random


class Value:
    def __init__(self, data, _children=(), _op=''):
        self.data = data
        self.grad = 0.0
        self._prev = _children
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

    def __pow__(self, other):
        out = Value(self.data ** other, (self,), f'**{other}')

        def _backward():
            self.grad += (other * self.data ** (other - 1)) * out.grad
        out._backward = _backward
        return out

    def __truediv__(self, other):
        return self * other ** -1

    def exp(self):
        out = Value(math.exp(self.data), (self,), 'exp')

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


def dot(a, b):
    return sum((x * y for x, y in zip(a, b)), Value(0.0))


def softmax(xs):
    m = max(x.data for x in xs)
    es = [(x - m).exp() for x in xs]
    s = sum(es)
    return [e / s for e in es]


random.seed(11)
make = lambda n, m: [[Value(random.gauss(0, 1)) for _ in range(m)] for _ in range(n)]
x, wq, wk, wv = make(3, 2), make(2, 2), make(2, 2), make(2, 2)
q, k, v = ([[dot(row, w) for w in m] for row in x] for m in (wq, wk, wv))
out = []
for i in range(3):
    weights = softmax([dot(q[i], k[j]) / math.sqrt(2) for j in range(i + 1)])
    out.append([dot(weights, [v[j][c] for j in range(i + 1)]) for c in range(2)])
loss = sum(dot(row, row) for row in out)
loss.backward()
print(f"{loss.data:.12f}")
print([f"{w.grad:.9f}" for row in wq for w in row])
