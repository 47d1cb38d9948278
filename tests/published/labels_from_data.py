"""Nodes are labelled with their number, and results with their formula."""


class Value:
    def __init__(self, data, _children=(), label=None):
        self.data = data
        self.grad = 0.0
        self._prev = tuple(_children)
        self.label = label or str(data)
        self._backward = lambda: None

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other), f"({self.label} + {other.label})")

        def _backward():
            self.grad += out.grad
            other.grad += out.grad
        out._backward = _backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other), f"{self.label} * {other.label}")

        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out._backward = _backward
        return out

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


x = Value(2.0, label='x')
y = x * 3 + x * x
y.backward()
print(y.label, y.data, x.grad)
