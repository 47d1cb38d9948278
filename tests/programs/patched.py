"""Methods patched onto the class after its definition, as lectures do, some of them wrong at first."""

import math


class Value:
    def __init__(self, data, _children=(), _op=""):
        self.data = data
        self.grad = 0.0
        self._prev = set(_children)
        self._op = _op
        self._backward = lambda: None

    def __repr__(self):
        return f"Value(data={self.data}, grad={self.grad})"

    def __add__(self, other):
        out = Value(self.data + other.data, (self, other), "+")

        def _backward():
            self.grad += out.grad
            other.grad += out.grad

        out._backward = _backward
        return out

    def __mul__(self, other):
        out = Value(self.data * other.data, (self, other), "*")

        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out._backward = _backward
        return out


def tanh(self):
    t = math.tanh(self.data)
    out = Value(t, (self,), "tanh")

    def _backward():
        self.grad += (1 - t * t) * out.grad

    out._backward = _backward
    return out


def half_tanh(self):
    t = math.tanh(self.data)
    out = Value(t, (self,), "tanh")

    def _backward():
        self.grad += 0.5 * (1 - t * t) * out.grad

    out._backward = _backward
    return out


def backward(self):
    order, seen = [], []

    def visit(node):
        if not any(node is other for other in seen):
            seen.append(node)
            for child in node._prev:
                visit(child)
            order.append(node)

    visit(self)
    self.grad = 1.0
    for node in reversed(order):
        node._backward()


a, b = Value(0.5), Value(-0.25)
c = a * b
try:
    c + 1
except AttributeError as error:
    print(error)
try:
    c.backward()
except AttributeError as error:
    print(error)
c.grad = 1.0
c._backward()
print(a, b, c, hasattr(c, "tanh"))
Value.tanh = half_tanh
d = (a * b).tanh()
d.grad = 1.0
d._backward()
print(d, list(d._prev)[0].grad)
Value.tanh = tanh
Value.backward = backward
e = (a * b + c).tanh() * a
e.backward()
print(e, a, b, c)


def add_any(self, other):
    other = other if isinstance(other, Value) else Value(other)
    out = Value(self.data + other.data, (self, other), "+")

    def _backward():
        self.grad += out.grad
        other.grad += out.grad

    out._backward = _backward
    return out


Value.__add__ = add_any
Value.__radd__ = lambda self, other: self + other
print(c + 1, 2 + c, sum([a, b]))


def noisy(self, other):
    print("adding")
    return add_any(self, other)


Value.__add__ = noisy
f = c + 2
f.backward()
print(f, c.grad)
del Value.tanh
print(hasattr(f, "tanh"))
