"""A global counter and a class counter in the constructor, a no_grad flag on the class, a context manager."""
import contextlib
count = 0

class Tensor:
    created = 0
    grad_enabled = True
    def __init__(self, data, _children=(), _op=''):
        global count
        count += 1
        self.id = count
        Tensor.created += 1
        self.data = data
        self.grad = 0.0
        self._prev = set(_children) if Tensor.grad_enabled else set()
        self._backward = lambda: None
        self._op = _op
    def __add__(self, other):
        other = other if isinstance(other, Tensor) else Tensor(other)
        out = Tensor(self.data + other.data, (self, other), '+')
        if Tensor.grad_enabled:
            def _backward():
                self.grad += out.grad
                other.grad += out.grad
            out._backward = _backward
        return out
    def __mul__(self, other):
        other = other if isinstance(other, Tensor) else Tensor(other)
        out = Tensor(self.data * other.data, (self, other), '*')
        if Tensor.grad_enabled:
            def _backward():
                self.grad += other.data * out.grad
                other.grad += self.data * out.grad
            out._backward = _backward
        return out
    def __radd__(self, o): return self + o
    def __rmul__(self, o): return self * o
    def backward(self):
        topo, seen = [], set()
        def build(v):
            if v not in seen:
                seen.add(v)
                for c in sorted(v._prev, key=lambda t: t.id):
                    build(c)
                topo.append(v)
        build(self)
        self.grad = 1.0
        for v in reversed(topo): v._backward()

@contextlib.contextmanager
def no_grad():
    old, Tensor.grad_enabled = Tensor.grad_enabled, False
    try:
        yield
    finally:
        Tensor.grad_enabled = old

a, b = Tensor(2.0), Tensor(3.0)
with no_grad():
    c = a * b + 1
print(c.data, c._prev, c.id, count, Tensor.created)
d = a * b + 1
d.backward()
print(d.data, a.grad, b.grad, len(d._prev), d.id, count, Tensor.created)
