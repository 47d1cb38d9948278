"""The same where every number is one of NumPy's: the class is left alone."""
import numpy as np


class Value:
    def __init__(self, data, _children=(), _op=''):
        self.data = np.float64(data)
        self.grad = 0.0
        self._prev = tuple(_children)
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

    def __pow__(self, power):
        out = Value(self.data ** power, (self,), f'**{power}')

        def _backward():
            self.grad += power * self.data ** (power - 1) * out.grad
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

    def __truediv__(self, other):
        return self * other ** -1

    def tanh(self):
        out = Value(np.tanh(self.data), (self,), 'tanh')

        def _backward():
            self.grad += (1 - out.data ** 2) * out.grad
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


def attempt(what):
    try:
        node = what()
        node.backward()
        print(repr(node.data), [repr(leaf.grad) for leaf in leaves])
    except (ArithmeticError, RuntimeWarning) as error:
        print(type(error).__name__, error)
    for leaf in leaves:
        leaf.grad = 0.0


leaves = [Value(np.float64(1e-200)), Value(np.float64(1e200)), Value(np.float64(2.0)), Value(-1.5)]
tiny, huge, two, less = leaves


def all_of_them():
    attempt(lambda: tiny * tiny)
    attempt(lambda: huge * huge)
    attempt(lambda: two * tiny * less * 1e-120 * 1e-20)
    attempt(lambda: two * huge * 1e-250 * 1e300 * (huge * 1e-300))
    attempt(lambda: two * less + two ** 2)
    attempt(lambda: (two * less).tanh() * 1e-310)
    attempt(lambda: (tiny * tiny + 1.5) ** 2 * tiny)


with np.errstate(under="raise"):
    all_of_them()
