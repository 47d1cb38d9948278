"""Each node can compute its value anew: a second closure, _forward."""


class Value:
    def __init__(self, data, _children=()):
        self.data = data
        self.grad = 0.0
        self._prev = tuple(_children)
        self._forward = lambda: None
        self._backward = lambda: None

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other))

        def _forward():
            out.data = self.data + other.data

        def _backward():
            self.grad += out.grad
            other.grad += out.grad
        out._forward = _forward
        out._backward = _backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other))

        def _forward():
            out.data = self.data * other.data

        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out._forward = _forward
        out._backward = _backward
        return out

    def order(self):
        topo, seen = [], set()

        def build(v):
            if v not in seen:
                seen.add(v)
                for p in v._prev:
                    build(p)
                topo.append(v)
        build(self)
        return topo

    def forward(self):
        for v in self.order():
            v._forward()

    def backward(self):
        topo = self.order()
        for v in topo:
            v.grad = 0.0
        self.grad = 1.0
        for v in reversed(topo):
            v._backward()


w, x = Value(1.0), Value(3.0)
loss = (w * x + -2) * (w * x + -2)
for _ in range(3):
    loss.forward()
    loss.backward()
    w.data -= 0.05 * w.grad
    print(loss.data, w.data)
