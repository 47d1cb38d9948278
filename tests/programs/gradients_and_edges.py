"""Tricks with gradients: clipping in place, second backward with scaled root, accumulate over minibatches, ema copies."""
import math, random
class Value:
    def __init__(self, data, _children=(), _op=''):
        self.data = data
        self.grad = 0
        self._backward = lambda: None
        self._prev = set(_children)
        self._op = _op
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
    def __pow__(self, other):
        assert isinstance(other, (int, float))
        out = Value(self.data**other, (self,), f'**{other}')
        def _backward():
            self.grad += (other * self.data**(other-1)) * out.grad
        out._backward = _backward
        return out
    def relu(self):
        out = Value(0 if self.data < 0 else self.data, (self,), 'ReLU')
        def _backward():
            self.grad += (out.data > 0) * out.grad
        out._backward = _backward
        return out
    def tanh(self):
        out = Value(math.tanh(self.data), (self,), 'tanh')
        def _backward():
            self.grad += (1 - out.data**2) * out.grad
        out._backward = _backward
        return out
    def sigmoid(self):
        return 1 / (1 + (-self).exp())
    def exp(self):
        out = Value(math.exp(self.data), (self,), 'exp')
        def _backward():
            self.grad += out.data * out.grad
        out._backward = _backward
        return out
    def log(self):
        out = Value(math.log(self.data), (self,), 'log')
        def _backward():
            self.grad += out.grad / self.data
        out._backward = _backward
        return out
    def leaky(self, slope=0.01):
        out = Value(self.data if self.data > 0 else slope * self.data, (self,), 'leaky')
        def _backward():
            self.grad += (1 if self.data > 0 else slope) * out.grad
        out._backward = _backward
        return out
    def max(self, other):
        out = Value(max(self.data, other.data), (self, other), 'max')
        def _backward():
            if self.data >= other.data: self.grad += out.grad
            else: other.grad += out.grad
        out._backward = _backward
        return out
    def __neg__(self): return self * -1
    def __radd__(self, other): return self + other
    def __sub__(self, other): return self + (-other)
    def __rsub__(self, other): return other + (-self)
    def __rmul__(self, other): return self * other
    def __truediv__(self, other): return self * other**-1
    def __rtruediv__(self, other): return other * self**-1
    def backward(self):
        topo, visited = [], set()
        def build_topo(v):
            if v not in visited:
                visited.add(v)
                for child in v._prev: build_topo(child)
                topo.append(v)
        build_topo(self)
        self.grad = 1
        for v in reversed(topo): v._backward()
    def __repr__(self): return f"Value(data={self.data}, grad={self.grad})"
random.seed(3)
a, b = Value(0.7), Value(-1.3)
for f in (Value.relu, Value.tanh, Value.sigmoid, Value.exp, Value.leaky, lambda v: (v * v).log(), lambda v: v.max(b)):
    a.grad = b.grad = 0
    y = f(a); y.backward(); print(a, b, y, y._op)
    z = f(b); z.backward(); print(b, z)
for v in (0, 1, -1, 2, True, 0.0, -0.0, 1e-9, 30.0, -800.0, 1e200):
    for f in (Value.relu, Value.tanh, Value.leaky, Value.exp, Value.sigmoid):
        x = Value(v)
        try:
            y = f(x); y.backward(); print(v, x, y)
        except Exception as e: print(v, type(e).__name__, e)
for base in (0, 2, -2, 0.0, 1.5, -1.5, True):
    for n in (0, 1, 2, 3, -1, 0.5, 2.0, -0.5, 0.0):
        x = Value(base)
        try:
            y = x ** n; y.backward(); print(base, n, x, y, y._op)
        except Exception as e: print(base, n, type(e).__name__, e)
w = [Value(random.uniform(-1, 1)) for _ in range(6)]
for step in range(4):
    loss = sum((wi * xi for wi, xi in zip(w, [1.0, -2.0, 3, 0.5, 4, -1])), Value(0)) ** 2 + 0.1 * sum(wi ** 2 for wi in w)
    if step % 2 == 0:
        for p in w: p.grad = 0
    loss.backward()
    norm = math.sqrt(sum(p.grad ** 2 for p in w))
    if norm > 1:
        for p in w: p.grad *= 1 / norm
    for p in w: p.data -= 0.1 * p.grad
    print(step, f"{loss.data:.9f} {norm:.9f}", [f"{p.data:.9f} {p.grad:.9f}" for p in w])
s = Value(3); s.grad += 1; s.grad += 0.5; print(s); s.data += 1; print(s); s.data /= 2; print(s); s.data //= 1; print(s, type(s.data)); s.data **= 2; print(s); s.data = -s.data; print(s); s.data = bool(s.data); print(s, s + 1, s * s, -s, s ** 2)
