"""NumPy inside: np.tanh, float64 and float32 and arrays as data, object arrays of nodes."""

import numpy as np


class Tensor:
    def __init__(self, data, _children=(), _op=""):
        self.data = data
        self.grad = 0
        self._prev = set(_children)
        self._op = _op
        self._backward = lambda: None

    def __repr__(self):
        return f"Tensor({self.data!r}, grad={self.grad!r})"

    def __add__(self, other):
        other = other if isinstance(other, Tensor) else Tensor(other)
        out = Tensor(self.data + other.data, (self, other), "+")

        def _backward():
            self.grad = self.grad + out.grad
            other.grad = other.grad + out.grad

        out._backward = _backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Tensor) else Tensor(other)
        out = Tensor(self.data * other.data, (self, other), "*")

        def _backward():
            self.grad = self.grad + other.data * out.grad
            other.grad = other.grad + self.data * out.grad

        out._backward = _backward
        return out

    def __pow__(self, other):
        out = Tensor(self.data**other, (self,), f"**{other}")

        def _backward():
            self.grad += (other * self.data ** (other - 1)) * out.grad

        out._backward = _backward
        return out

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other

    def tanh(self):
        t = np.tanh(self.data)
        out = Tensor(t, (self,), "tanh")

        def _backward():
            self.grad += (1 - t**2) * out.grad

        out._backward = _backward
        return out

    def relu(self):
        out = Tensor(np.maximum(0, self.data), (self,), "ReLU")

        def _backward():
            self.grad += (out.data > 0) * out.grad

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
        self.grad = 1
        for v in reversed(topo):
            v._backward()


def show(*nodes):
    print(*nodes, sep="\n")


a, b = Tensor(np.float64(0.5)), Tensor(-1.5)
c = (a * b + 2).tanh() * a
c.backward()
show(a, b, c)
a, b = Tensor(np.float32(0.1)), Tensor(3)
c = (a * b + a).relu()
c.backward()
show(a, b, c, type(c.data))
w = Tensor(2.0)
x = Tensor(np.array([1.0, -2.0, 3.0]))
h = w * 3
y = (h * x + 1.0).relu() + w
y.backward()
show(w, x, h, y, isinstance(y, Tensor), y._prev >= {w})
w.data -= 0.5 * w.grad
show(w, w * 2)
w.data, w.grad = 1.5, 0
(w * w).backward()
show(w)
m = np.array([[Tensor(1.0), Tensor(2.0)], [Tensor(3.0), Tensor(4.0)]])
v = np.array([Tensor(0.5), Tensor(-0.5)])
out = np.sum(m @ v)
out.backward()
show(out, m[1, 0], v[1])
show(np.float64(2.0) * Tensor(1.5), Tensor(1.5) * np.float64(2.0), np.int64(3) + Tensor(1), -np.float64(1) * Tensor(2.0))
show(Tensor(np.float64(0.0)) ** 2, Tensor(np.float64(4.0)) ** 0.5, Tensor(2) ** np.float64(3.0))
show(np.array([1.0, 2.0]) * Tensor(3.0), Tensor(3.0) * np.array([1.0, 2.0]))
with np.errstate(all="ignore"):
    show(Tensor(np.float64(0.0)) ** -1, Tensor(np.float64(1e200)) * 1e200)
