"""Integers and bools that meet floats; negative zero; gradients set by hand; numbers as str; rounding; comparison of types."""
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
data = [0, 1, -1, 2, True, False, 0.0, -0.0, 1.5, -2.5, 3, 2**52, -2**52 - 1, 2**53 - 1, 1e16, float('inf'), float('-inf'), float('nan')]
for p in data:
    for q in data:
        x, y = Value(p), Value(q)
        try: z = (x * y - y + 2 * x).relu() + x * 0
        except Exception as e: print(type(e).__name__, e); continue
        z.backward(); print(x, y, z)
        x.grad = -0.0; y.grad = True
        (x * y + (-x)).backward(); print(x, y)
        w = x + y; w.grad = 3; w._backward(); w._backward(); print(x.grad, y.grad, type(x.grad), type(y.grad))
for p in (3, -3, 2, 10, 1, 0, True):
    for n in (0, 1, 2, 3, 5, 10, 15, 16, 20, 30, 33, 40):
        x = Value(p)
        try: y = x ** n * 2 + x; y.backward(); print(x, y)
        except Exception as e: print(type(e).__name__, e)
x = Value(7); y = Value(2); z = x / y; z.backward(); print(x, y, z)
z = 1 / y; z.backward(); print(y, z); z = y / 4; z.backward(); print(y, z); z = (x - 7) / y; z.backward(); print(x, y, z)
s = sum([Value(1), Value(2), Value(3)]); s.backward(); print(s)
s = Value(2**52); t = s; 
for i in range(3): t = t + t
t.backward(); print(s, t)
a = Value(3); g = [a * k for k in range(5)]; l = g[0]
for v in g[1:]: l = l + v * v
l.backward(); print(a, l, g)
