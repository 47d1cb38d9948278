"""Classes that misbehave: they keep their own results."""

import math


def engine(name, add=None, mul=None, tanh_slope=None, accumulate=True, root=1.0, twice=False):
    class Value:
        def __init__(self, data, _children=(), _op=""):
            self.data = data
            self.grad = 0.0
            self._prev = set(_children)
            self._op = _op
            self._backward = lambda: None

        def __add__(self, other):
            other = other if isinstance(other, Value) else Value(other)
            out = Value(self.data + other.data if add is None else add(self.data, other.data), (self, other), "+")

            def _backward():
                if accumulate:
                    self.grad += out.grad
                    other.grad += out.grad
                else:
                    self.grad = out.grad
                    other.grad = out.grad

            out._backward = _backward
            return out

        def __mul__(self, other):
            other = other if isinstance(other, Value) else Value(other)
            out = Value(self.data * other.data if mul is None else mul(self.data, other.data), (self, other), "*")

            def _backward():
                self.grad += other.data * out.grad
                other.grad += self.data * out.grad

            out._backward = _backward
            return out

        def backward(self):
            topo, visited = [], set()

            def build(v):
                if v not in visited:
                    visited.add(v)
                    for child in v._prev:
                        build(child)
                    topo.append(v)

            build(self)
            self.grad = root
            for v in reversed(topo):
                v._backward()

    Value.__qualname__ = name
    return Value


def demonstrate(cls):
    a, b = cls(1.5), cls(-2.0)
    c = a * b + a
    c.backward()
    print(cls.__qualname__, a.grad, b.grad, c.data, c.grad)


demonstrate(engine("right"))
demonstrate(engine("overwrites", accumulate=False))
demonstrate(engine("saturates", add=lambda x, y: min(x + y, 0.5)))
demonstrate(engine("modular", mul=lambda x, y: (x * y) % 7))
demonstrate(engine("root of two", root=2.0))


class Forgetful:
    """Its gradients are overwritten where they should be added, a bug that beginners make."""

    def __init__(self, data, _children=(), _op=""):
        self.data = data
        self.grad = 0.0
        self._prev = set(_children)
        self._op = _op
        self._backward = lambda: None

    def __add__(self, other):
        out = Forgetful(self.data + other.data, (self, other), "+")

        def _backward():
            self.grad = out.grad
            other.grad = out.grad

        out._backward = _backward
        return out

    def __mul__(self, other):
        out = Forgetful(self.data * other.data, (self, other), "*")

        def _backward():
            self.grad = other.data * out.grad
            other.grad = self.data * out.grad

        out._backward = _backward
        return out

    def backward(self):
        topo, visited = [], set()

        def build(v):
            if v not in visited:
                visited.add(v)
                for child in v._prev:
                    build(child)
                topo.append(v)

        build(self)
        self.grad = 1.0
        for v in reversed(topo):
            v._backward()


class Slanted(Forgetful):
    pass


class Sloppy:
    """Only its tanh is wrong, and it takes a shortcut for large arguments."""

    def __init__(self, data, _children=(), _op=""):
        self.data = data
        self.grad = 0.0
        self._prev = set(_children)
        self._op = _op
        self._backward = lambda: None

    def __add__(self, other):
        out = Sloppy(self.data + other.data, (self, other), "+")

        def _backward():
            self.grad += out.grad
            other.grad += out.grad

        out._backward = _backward
        return out

    def __mul__(self, other):
        out = Sloppy(self.data * other.data, (self, other), "*")

        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out._backward = _backward
        return out

    def tanh(self):
        t = 1.0 if self.data > 3.75 else math.tanh(self.data)
        out = Sloppy(t, (self,), "tanh")

        def _backward():
            self.grad += (1 - t) * out.grad

        out._backward = _backward
        return out

    def exp(self):
        x = self.data
        out = Sloppy(math.exp(x) if x < 12.0 else 1e5, (self,), "exp")

        def _backward():
            self.grad += out.data * out.grad

        out._backward = _backward
        return out

    def backward(self):
        topo, visited = [], set()

        def build(v):
            if v not in visited:
                visited.add(v)
                for child in v._prev:
                    build(child)
                topo.append(v)

        build(self)
        self.grad = 1.0
        for v in reversed(topo):
            v._backward()


for cls in (Forgetful, Slanted):
    a = cls(3.0)
    b = a + a
    b.backward()
    print(cls.__name__, a.grad, type(b).__name__)
for x in (0.5, 3.75, 3.7500001, 11.999, 12.0):
    v = Sloppy(x)
    y = v.tanh() * v.exp() + v.exp()
    y.backward()
    print(repr(y.data), repr(v.grad))


def limited(where):
    """Classes with a limit that ordinary numbers never reach."""

    class Value:
        def __init__(self, data, _children=(), _op=""):
            self.data = data
            self.grad = 0.0
            self._prev = set(_children)
            self._op = _op
            self._backward = lambda: None

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

    def clipped_init(self, data, _children=(), _op=""):
        self.data = max(min(data, 1e5), -1e5)
        self.grad = 0.0
        self._prev = set(_children)
        self._op = _op
        self._backward = lambda: None

    def clipped_tanh(self):
        t = math.tanh(self.data)
        out = Value(t, (self,), "tanh")

        def _backward():
            self.grad += (1 - t * t) * min(out.grad, 7777.0)

        out._backward = _backward
        return out

    def clipped_add(self, other):
        out = Value(self.data + other.data, (self, other), "+")

        def _backward():
            self.grad += min(out.grad, 12345.0)
            other.grad += min(out.grad, 12345.0)

        out._backward = _backward
        return out

    if where == "init":
        Value.__init__ = clipped_init
    if where == "add":
        Value.__add__ = clipped_add
    Value.tanh = clipped_tanh
    return Value


for where in ("init", "add", "tanh"):
    Value = limited(where)
    a, b = Value(0.25), Value(4e5)
    c = (a.tanh() + a) * b
    c.grad = 1.0
    for node in (c, *c._prev, *(n for m in c._prev for n in m._prev)):
        node._backward()
    print(where, c.data, a.grad, b.grad)
v, w = Sloppy(2.0), Sloppy(3.0)
u = v * w
t = u + v
u._prev = set()  # cuts the search, and leaves the closure
t.backward()
print(t.data, v.grad, w.grad, u.grad)
u._backward = lambda: None
t.backward()
print(v.grad, w.grad)
