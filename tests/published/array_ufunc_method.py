"""NumPy's functions come to the class by a method __array_ufunc__"""
import numpy as np


class Value:
    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if method != '__call__':
            return NotImplemented
        if ufunc is np.multiply:
            return inputs[1] * inputs[0]
        if ufunc is np.add:
            return inputs[1] + inputs[0]
        if ufunc is np.tanh:
            return inputs[0].tanh()
        return NotImplemented

    def __init__(self, data, _children=(), _op=''):
        self.data = data
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


row = np.array([0.5, -1.25, 2.0])
weights = [Value(0.1), Value(-0.4), Value(0.3)]
for step in range(3):
    score = sum((x * w for x, w in zip(row, weights)), np.float64(0.25) * Value(1.0))
    loss = (score.tanh() - 1) ** 2 + np.int64(2) * score
    for w in weights:
        w.grad = 0.0
    loss.backward()
    for w in weights:
        w.data -= 0.1 * w.grad
    print(step, repr(loss.data), [repr(w.grad) for w in weights])
try:
    print(np.tanh(weights[0]).data, np.exp(weights[0]))
except TypeError as error:
    print(type(error).__name__)
