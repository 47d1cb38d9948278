"""A flag that no probe sets: backward skips nodes that the program froze by a late attribute; max_grad is a knob."""
class Value:
    def __init__(self, data, children=(), op=''):
        self.data = data
        self.grad = 0.0
        self.trainable = True
        self._prev = children
        self._op = op
        self._backward = lambda: None
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
    __radd__ = __add__
    __rmul__ = __mul__
    def backward(self):
        topo, seen = [], set()
        def build(v):
            if v not in seen:
                seen.add(v)
                for c in v._prev: build(c)
                topo.append(v)
        build(self)
        self.grad = 1.0
        for v in reversed(topo):
            if v.trainable:
                v._backward()
a, b = Value(2.0), Value(3.0)
c = a * b
d = c + a
c.trainable = False
d.backward()
print(a.grad, b.grad, c.grad)
d.grad = 0.0; c.trainable = True
d.backward()
print(a.grad, b.grad, c.grad)
