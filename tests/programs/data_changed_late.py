"""Data that changes kind after an operation used it, before backward()."""
from fractions import Fraction
import math
class Value:
    def __init__(self, data, _children=(), _op=''):
        self.data = data
        self.grad = 0
        self._prev = set(_children)
        self._op = _op
        self._backward = lambda: None
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
    def __pow__(self, other):
        out = Value(self.data ** other, (self,), f'**{other}')
        def _backward():
            self.grad += other * self.data ** (other - 1) * out.grad
        out._backward = _backward
        return out
    def exp(self):
        out = Value(math.exp(self.data), (self,), 'exp')
        def _backward():
            self.grad += out.data * out.grad
        out._backward = _backward
        return out
    def relu(self):
        out = Value(0 if self.data < 0 else self.data, (self,), 'ReLU')
        def _backward():
            self.grad += (out.data > 0) * out.grad
        out._backward = _backward
        return out
    def backward(self):
        topo, seen = [], set()
        def build(v):
            if v not in seen:
                seen.add(v)
                for c in v._prev: build(c)
                topo.append(v)
        build(self)
        self.grad = 1
        for v in reversed(topo): v._backward()
    def __repr__(self): return f"Value({self.data!r}, {self.grad!r})"
for late in (Fraction(1, 3), 10 ** 30, 7, True, 2.5, 1 + 2j):
    x, y = Value(2.0), Value(3.0)
    z = x * y + x ** 3 + y * 2
    x.data = late
    z.backward()
    print(late, x, y, z)
    x, y = Value(2.0), Value(3.0)
    z = (x * y).relu() + x
    y.data = late
    z.backward()
    print(late, x, y, z)
x = Value(0.5); y = x.exp() * 2
y.grad = Fraction(1, 2)
y._backward(); print(sorted(map(repr, y._prev)))
x = Value(3); r = x.relu(); r.grad = Fraction(1, 2); r._backward(); print(x, r)
p = Value(3) ** 2; p.grad = Fraction(1, 7); p._backward(); print(p._prev)
x = Value(1.5); y = x.exp(); z = y * x
x.data = 9; y.data = 4
z.backward(); print(x, y, z)
