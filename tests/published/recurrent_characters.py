"""A tiny recurrent network over characters."""
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

    def tanh(self):
        out = Value(math.tanh(self.data), (self,), 'tanh')

        def _backward():
            self.grad += (1 - out.data * out.data) * out.grad
        out._backward = _backward
        return out

    def exp(self):
        out = Value(math.exp(self.data), (self,), 'exp')

        def _backward():
            self.grad += out.data * out.grad
        out._backward = _backward
        return out

    def log(self):
        out = Value(math.log(self.data), (self,), 'log')

        def _backward():
            self.grad += out.grad / self.data
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


text = "hello"
chars = sorted(set(text))
random.seed(0)
H = 2
wx = [[Value(random.uniform(-1, 1)) for _ in chars] for _ in range(H)]
wh = [[Value(random.uniform(-1, 1)) for _ in range(H)] for _ in range(H)]
wo = [[Value(random.uniform(-1, 1)) for _ in range(H)] for _ in chars]
params = [p for m in (wx, wh, wo) for row in m for p in row]
for epoch in range(4):
    h = [Value(0.0) for _ in range(H)]
    loss = Value(0.0)
    for now, nxt in zip(text, text[1:]):
        i, t = chars.index(now), chars.index(nxt)
        h = [(wx[j][i] + sum((wh[j][k] * h[k] for k in range(H)), Value(0.0))).tanh() for j in range(H)]
        logits = [sum((w * x for w, x in zip(row, h)), Value(0.0)) for row in wo]
        total = sum((l.exp() for l in logits), Value(0.0))
        loss = loss + total.log() - logits[t]
    for p in params:
        p.grad = 0.0
    loss.backward()
    for p in params:
        p.data -= 0.1 * p.grad
    print(epoch, loss.data)
