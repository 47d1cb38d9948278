"""backward() counts consumers, as Kahn does, and goes on where none is left."""
from collections import defaultdict, deque


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
        consumers = defaultdict(int)
        stack, seen = [self], {self}
        while stack:
            for p in stack.pop()._prev:
                consumers[p] += 1
                if p not in seen:
                    seen.add(p)
                    stack.append(p)
        self.grad = 1.0
        ready = deque([self])
        while ready:
            v = ready.popleft()
            v._backward()
            for p in v._prev:
                consumers[p] -= 1
                if consumers[p] == 0:
                    ready.append(p)


a, b = Value(1.0), Value(2.0)
c = a * b + a
d = c * c * b
d.backward()
print(d.data, f"{a.grad:.6f} {b.grad:.6f}")
