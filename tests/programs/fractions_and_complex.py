"""Exact fractions, decimals and complex numbers as data, next to floats and across the boundary."""

from decimal import Decimal
from fractions import Fraction


class Value:
    def __init__(self, data, children=(), op=""):
        self.data = data
        self.grad = 0
        self.children = children
        self.op = op
        self._backward = None

    def __repr__(self):
        return f"Value({self.data!r}, {self.grad!r})"

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other), "+")

        def back():
            self.grad += out.grad
            other.grad += out.grad

        out._backward = back
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other), "*")

        def back():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out._backward = back
        return out

    def __rmul__(self, other):
        return self * other

    def backward(self):
        order = []

        def visit(node):
            if node not in order:
                for child in node.children:
                    visit(child)
                order.append(node)

        visit(self)
        self.grad = 1
        for node in reversed(order):
            if node._backward is not None:
                node._backward()


third, half = Value(Fraction(1, 3)), Value(Fraction(1, 2))
mixed = third * half + third * 3
mixed.backward()
print(third, half, mixed, mixed.children[0].children == (third, half))
w = Value(2)
h = w * w
root = h * third + w
root.backward()
print(w, h, third, root)
z = Value(1 + 2j) * 3.0 + w
z.backward()
print(z, w, z._backward is None, w._backward)
d = Value(Decimal("0.1")) + Value(Decimal("0.2"))
print(d, Value(Decimal("0.1")) * 2, d.children)
try:
    print(d * 0.5)
except TypeError as error:
    print(error)
w.grad = Fraction(1, 7)
w.data = w.data - w.grad
print(w, w * 7, (w * Fraction(1, 2)).data)
w.data = 1.25
w.grad = 0.0
(w * w * 2.0).backward()
print(w)
