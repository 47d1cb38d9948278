"""The class is made inside a function, twice; and there are two classes in one program."""

import inspect
import pickle


def make(scale):
    class Value:
        def __init__(self, data, _children=(), _op=""):
            self.data = data
            self.grad = 0.0
            self._prev = set(_children)
            self._op = _op
            self._backward = lambda: None

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

        def scaled(self):
            return self * scale

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

    return Value


class Pair:
    """Local gradients, a list of operands."""

    def __init__(self, v, inputs=None, local=None):
        self.v = v
        self.g = 0.0
        self.inputs = inputs if inputs is not None else []
        self.local = local if local is not None else []

    def __add__(self, other):
        return Pair(self.v + other.v, [self, other], [1.0, 1.0])

    def __mul__(self, other):
        return Pair(self.v * other.v, [self, other], [other.v, self.v])

    def backward(self):
        topo, visited = [], set()

        def build(v):
            if v not in visited:
                visited.add(v)
                for child in v.inputs:
                    build(child)
                topo.append(v)

        build(self)
        self.g = 1.0
        for node in reversed(topo):
            for child, slope in zip(node.inputs, node.local):
                child.g += slope * node.g


A, B = make(2.0), make(10)
a, b = A(1.5), B(2.5)
(a * a + a).scaled().backward()
(b.scaled() * b).backward()
print(a.grad, b.grad, A is B, isinstance(a, B), A.__qualname__, A.__module__)
try:
    print((a + b).data)
except Exception as error:
    print(type(error).__name__, error)
p, q = Pair(3.0), Pair(-4.0)
r = p * q + p * p + q
r.backward()
print(p.g, q.g, r.v, r.local, [x.v for x in r.inputs], p.inputs, p.local)
print(inspect.getsource(Pair).splitlines()[0], len(inspect.getsource(Pair.__mul__).splitlines()), inspect.signature(Pair))
copy = pickle.loads(pickle.dumps(p))
print(type(copy) is Pair, copy.v, copy.g, Pair, p.__class__.__name__, Pair.__doc__)
