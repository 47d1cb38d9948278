"""A decorator lifts the other operand."""
import functools


def lifted(operation):
    @functools.wraps(operation)
    def wrapper(self, other):
        if not isinstance(other, Value):
            other = Value(other)
        return operation(self, other)
    return wrapper


class Value:
    def __init__(self, data, _children=(), _op=''):
        self.data = data
        self.grad = 0.0
        self._prev = tuple(_children)
        self._op = _op
        self._backward = lambda: None

    @lifted
    def __add__(self, other):
        """The sum."""
        out = Value(self.data + other.data, (self, other), '+')

        def _backward():
            self.grad += out.grad
            other.grad += out.grad
        out._backward = _backward
        return out

    @lifted
    def __mul__(self, other):
        """The product."""
        out = Value(self.data * other.data, (self, other), '*')

        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out._backward = _backward
        return out

    @lifted
    def __sub__(self, other):
        return self + other * -1

    def backward(self):
        topo, seen = [], set()

        def build(v):
            if v not in seen:
                seen.add(v)
                for p in v._prev:
                    build(p)
                topo.append(v)
        build(self)
        self.grad = 1.0
        for v in reversed(topo):
            v._backward()


a, b = Value(1.5), Value(-0.5)
c = a * b - 2 + a * a
c.backward()
print(c.data, a.grad, b.grad, Value.__add__.__doc__, Value.__mul__.__name__)
