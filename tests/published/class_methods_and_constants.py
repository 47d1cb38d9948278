"""Alternative constructors, and a text from a class attribute."""
import random


class Value:
    name = "node"

    def __init__(self, data, _children=()):
        self.data = data
        self.grad = 0.0
        self._prev = tuple(_children)
        self._backward = lambda: None

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other))

        def _backward():
            self.grad += out.grad
            other.grad += out.grad
        out._backward = _backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other))

        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
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

    @classmethod
    def zeros(cls, n):
        return [cls(0.0) for _ in range(n)]

    @classmethod
    def random(cls, scale=1.0):
        return cls(random.uniform(-scale, scale))

    def __repr__(self):
        return f"<{self.name} {self.data:.4f}>"

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


random.seed(9)
a, b = Value.random(), Value.random(2.0)
z = sum((x + a for x in Value.zeros(3)), b) * a
z.backward()
print(a, b, z, f"{a.grad:.6f} {b.grad:.6f}")
