"""Division with rules of its own in the usual forms: types, shared operands, late data, errors, copies."""

import copy
import random
from fractions import Fraction


class Late:
    def __init__(self, data, _children=(), _op=""):
        self.data = data
        self.grad = 0
        self._prev = tuple(_children)
        self._backward = lambda: None
        self._op = _op

    def __add__(self, other):
        other = other if isinstance(other, Late) else Late(other)
        out = Late(self.data + other.data, (self, other), "+")

        def _backward():
            self.grad += out.grad
            other.grad += out.grad

        out._backward = _backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Late) else Late(other)
        out = Late(self.data * other.data, (self, other), "*")

        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out._backward = _backward
        return out

    def __truediv__(self, other):
        if not isinstance(other, Late):
            other = Late(other)
        out = Late(self.data / other.data, (self, other), "/")

        def _backward():
            self.grad += out.grad / other.data
            other.grad -= out.grad * self.data / other.data**2

        out._backward = _backward
        return out

    def __rtruediv__(self, other):
        return Late(other) / self

    def backward(self):
        topo, seen = [], set()

        def build(v):
            if v not in seen:
                seen.add(v)
                for child in v._prev:
                    build(child)
                topo.append(v)

        build(self)
        self.grad = 1
        for v in reversed(topo):
            v._backward()


class Fixed:
    __slots__ = ("data", "grad", "_prev", "_locals")

    def __init__(self, data, _prev=(), _locals=()):
        self.data = data
        self.grad = 0.0
        self._prev = _prev
        self._locals = _locals

    def __add__(self, other):
        other = other if isinstance(other, Fixed) else Fixed(other)
        return Fixed(self.data + other.data, (self, other), (1, 1))

    def __mul__(self, other):
        other = other if isinstance(other, Fixed) else Fixed(other)
        return Fixed(self.data * other.data, (self, other), (other.data, self.data))

    def __truediv__(self, other):
        other = other if isinstance(other, Fixed) else Fixed(other)
        return Fixed(self.data / other.data, (self, other), (1 / other.data, -self.data / other.data**2))

    def __rtruediv__(self, other):
        return Fixed(other) / self

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
            for child, slope in zip(v._prev, v._locals):
                child.grad += slope * v.grad


def show(v):
    more = [repr(one) for one in v._locals] if isinstance(v, Fixed) else v._op
    return type(v.data).__name__, repr(v.data), type(v.grad).__name__, repr(v.grad), more


def play(cls, r, kinds):
    leaves = [cls(r.choice(kinds)(r.uniform(-3, 3))) for _ in range(5)]
    nodes = list(leaves)
    for _ in range(10):
        a, b = r.choice(nodes), r.choice(nodes[-4:])
        forms = (lambda: a + b, lambda: a * b, lambda: a / b, lambda: a / b, lambda: a / 2.5, lambda: 3 / a, lambda: a / a)
        try:
            nodes.append(r.choice(forms)())
        except (ZeroDivisionError, OverflowError) as error:
            print(type(error).__name__, error)
    out = nodes[-1] + nodes[-2]
    mode = r.randrange(5)
    if mode == 1:
        leaves[0].data = r.choice([0.3, 0, 0.0, 2, float("inf"), 1e200, 1e-200, True])
    if mode == 2:
        nodes[-2].data = r.choice([0.5, 2, "x", Fraction(1, 3)])
    if mode == 3:
        leaves[1].grad = r.choice([0.5, -0.0, Fraction(1, 3), 2**60])
    if mode == 4:
        out = copy.deepcopy(out)
    out.backward()
    print([show(v) for v in nodes], show(out))
    for p in leaves:
        p.data -= 0.05 * p.grad
    out.backward()
    print([show(v) for v in nodes], show(out))


source = random.Random(3)
for number in range(80):
    for some in ([float], [int, float], [float, float, int, bool, Fraction]):
        for kind in (Late, Fixed):
            try:
                play(kind, source, some)
            except (TypeError, OverflowError, ZeroDivisionError) as error:
                print(number, type(error).__name__, str(error)[:60])
