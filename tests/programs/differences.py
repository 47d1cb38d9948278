"""Subtraction and unary minus with rules of their own: integers, truths, shared operands, late data, copies, texts."""
import copy
from fractions import Fraction


class Value:
    def __init__(self, data, _children=(), _op=""):
        self.data = data
        self.grad = 0
        self._backward = lambda: None
        self._prev = set(_children)
        self._op = _op

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other), "+")

        def _backward():
            self.grad += out.grad
            other.grad += out.grad
        out._backward = _backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other), "*")

        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out._backward = _backward
        return out

    def __neg__(self):
        out = Value(-self.data, (self,), "neg")

        def _backward():
            self.grad -= out.grad
        out._backward = _backward
        return out

    def __sub__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data - other.data, (self, other), "-")

        def _backward():
            self.grad += out.grad
            other.grad -= out.grad
        out._backward = _backward
        return out

    def __rsub__(self, other):
        return Value(other) - self

    __radd__ = __add__
    __rmul__ = __mul__

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

    def __repr__(self):
        return f"Value({self.data!r}, {self.grad!r}, {self._op!r}, {len(self._prev)})"


class Named(Value):
    pass


def both(*values):
    print(*values, *[sorted(v._prev, key=repr) for v in values])


x, y, n = Value(1.5), Value(-0.25), Value(3)
z = (x - y) * (2 - x) - (-y) * n
z.backward()
both(z, x, y, n, -n, n - 1, 1 - n, n - n, Value(True) - True, -Value(False), Value(0) - 0, -Value(0), -Value(0.0), 5 - n)
same = x - x
same.backward()
both(same, x)
for data in (2**53, -(2**53) + 1, 2**70, Fraction(1, 3), 1j, float("inf"), float("nan")):
    v = Value(data)
    try:
        w = (v - 1) + (-v) * 2 - v
        w.backward()
        both(w, v)
    except Exception as error:
        print(type(error).__name__, error)
for other in ("text", None, [1.0], x.__sub__):
    for attempt in (lambda: x - other, lambda: other - x, lambda: -Value(other)):
        try:
            print(attempt())
        except Exception as error:
            print(type(error).__name__, error)
d = x - y
x.data, y.data, d.data = 10, 20.0, 30
(d * d).backward()
both(d, x, y)
d._backward()
print(x, y, Named(1.0) - 2, -Named(1.0), type(Named(2.0) - x).__name__, type(x - Named(1.0)).__name__)


class Said:
    """In place of a number: it says what was done to it."""

    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text

    def __neg__(self):
        return Said(f"(-{self})")

    def __add__(self, other):
        return Said(f"({self} + {other})")

    def __radd__(self, other):
        return Said(f"({other} + {self})")

    def __sub__(self, other):
        return Said(f"({self} - {other})")

    def __rsub__(self, other):
        return Said(f"({other} - {self})")

    def __mul__(self, other):
        return Said(f"({self} * {other})")

    def __rmul__(self, other):
        return Said(f"({other} * {self})")


p, q, n = Value(2.0), Value(3), Value(4.0)
r = (p - q) * Value(Said("g")) + (-n) * Value(Said("h"))
r.backward()
both(r, p, q, n)
r = p - p - q
r.grad = Said("given")
r._backward()
both(r, p, q)
twin = copy.deepcopy(d)
twin._backward()
both(twin, d)
shallow = copy.copy(d)
shallow._backward()
both(shallow, d)
