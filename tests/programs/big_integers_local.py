"""The same with local gradients."""
class Value:
    __slots__ = ('data', 'grad', '_children', '_local_grads')
    def __init__(self, data, children=(), local_grads=()):
        self.data = data; self.grad = 0; self._children = children; self._local_grads = local_grads
    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, (self, other), (1, 1))
    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))
    def __pow__(self, other): return Value(self.data**other, (self,), (other * self.data**(other-1),))
    def relu(self): return Value(max(0, self.data), (self,), (float(self.data > 0),))
    def __radd__(self, o): return self + o
    def __rmul__(self, o): return self * o
    def backward(self):
        topo, visited = [], set()
        def build_topo(v):
            if v not in visited:
                visited.add(v)
                for child in v._children: build_topo(child)
                topo.append(v)
        build_topo(self)
        self.grad = 1
        for v in reversed(topo):
            for child, local_grad in zip(v._children, v._local_grads):
                child.grad += local_grad * v.grad
    def __repr__(self): return f"Value({self.data}, {self.grad}, {self._local_grads})"
x = Value(1); y = x
for i in range(60): y = y + y
y.backward(); print(x, y)
x = Value(3); y = x
for i in range(7): y = y * y
y.backward(); print(x, y)
for n in (31, 32, 33, 34, 40):
    x = Value(3); y = x ** n; y.backward(); print(x, y)
x, y = Value(123456789), Value(987654321)
z = x * y * 100 + y * x.relu()
z.backward(); print(x, y, z)
x = Value(94906267); y = x * 94906267 + 0.5; y.backward(); print(x, y)
x = Value(2); s = Value(2 ** 40); t = x * s; u = t * s; u.backward(); print(x, s, t, u)
x.grad = 0; w = t * 0.5 + s * t; w.backward(); print(x, s, t, w)
