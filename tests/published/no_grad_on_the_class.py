"""A context manager turns recording off, through an attribute of the class."""
from contextlib import contextmanager


class Value:
    _grad_enabled = True

    def __init__(self, data, _children=(), _op=''):
        self.data = data
        self.grad = 0.0
        self._prev = set(_children) if Value._grad_enabled else set()
        self._op = _op
        self._backward = lambda: None

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other), '+')
        if not Value._grad_enabled:
            return out

        def _backward():
            self.grad += out.grad
            other.grad += out.grad
        out._backward = _backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other), '*')
        if not Value._grad_enabled:
            return out

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
        self.grad = 1.0
        for v in reversed(topo):
            v._backward()


@contextmanager
def no_grad():
    Value._grad_enabled = False
    try:
        yield
    finally:
        Value._grad_enabled = True


w, x = Value(0.5), Value(2.0)
y = w * x + 1
with no_grad():
    z = w * x + 1
    print(z.data, len(z._prev), len(y._prev))
y.backward()
print(w.grad, x.grad)
v = y * y
v.backward()
print(f"{w.grad:.6f}", len(v._prev))
