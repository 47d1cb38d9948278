"""Nodes say whether they require a gradient, and pass it on."""


class Value:
    def __init__(self, data, requires_grad=False, parents=()):
        self.data = data
        self.requires_grad = requires_grad
        self.grad = 0.0
        self.parents = parents
        self._backward = lambda: None

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, self.requires_grad or other.requires_grad, (self, other))

        def _backward():
            if self.requires_grad:
                self.grad += out.grad
            if other.requires_grad:
                other.grad += out.grad
        out._backward = _backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, self.requires_grad or other.requires_grad, (self, other))

        def _backward():
            if self.requires_grad:
                self.grad += other.data * out.grad
            if other.requires_grad:
                other.grad += self.data * out.grad
        out._backward = _backward
        return out

    def backward(self):
        topo, seen = [], set()

        def build(v):
            if v not in seen:
                seen.add(v)
                for p in v.parents:
                    build(p)
                topo.append(v)
        build(self)
        self.grad = 1.0
        for v in reversed(topo):
            v._backward()


w, x = Value(2.0, requires_grad=True), Value(5.0)
y = w * x + 1
y.backward()
print(y.data, w.grad, x.grad, y.requires_grad)
