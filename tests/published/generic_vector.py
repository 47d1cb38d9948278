"""Vectors of nodes, a class beside with operators of its own."""


class Value:
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


class Vector:
    def __init__(self, items):
        self.items = list(items)

    def __add__(self, other):
        return Vector(a + b for a, b in zip(self.items, other.items))

    def __mul__(self, other):
        return sum((a * b for a, b in zip(self.items, other.items)), Value(0.0))

    def grads(self):
        return [a.grad for a in self.items]


u, v = Vector(map(Value, (1.0, 2.0))), Vector(map(Value, (-1.0, 0.5)))
y = (u + v) * u
y.backward()
print(y.data, u.grads(), v.grads())
