"""numpy.float64 as data: its type, and so its text, survives copies, pickles and arithmetic."""
import copy, pickle
import numpy as np
class Value:
    def __init__(self, data, children=(), local_grads=()):
        self.data = data
        self.grad = 0
        self._children = children
        self._local_grads = local_grads
    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, (self, other), (1, 1))
    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))
    def __pow__(self, n): return Value(self.data ** n, (self,), (n * self.data ** (n - 1),))
    def tanh(self):
        t = np.tanh(self.data)
        return Value(t, (self,), (1 - t ** 2,))
    def __radd__(self, o): return self + o
    def __rmul__(self, o): return self * o
    def __sub__(self, o): return self + -1 * o
    def backward(self):
        topo, seen = [], set()
        def build(v):
            if v not in seen:
                seen.add(v)
                for c in v._children: build(c)
                topo.append(v)
        build(self)
        self.grad = 1
        for v in reversed(topo):
            for c, l in zip(v._children, v._local_grads): c.grad += l * v.grad
    def __repr__(self): return f"Value({self.data!r}, {type(self.grad).__name__} {self.grad!r}, {self._local_grads!r})"
def tree(v, depth=0):
    print('  ' * depth + repr(v))
    for c in v._children: tree(c, depth + 1)
rng = np.random.default_rng(1)
a, b = Value(rng.normal()), Value(np.float64(2.0))
c = (a * b + 3).tanh() ** 2 + a - np.float32(0.5)
c.backward()
tree(c)
for make in (copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))):
    for v in (a, b, c):
        d = make(v)
        tree(d)
    d.backward()
    tree(d)
print(pickle.loads(pickle.dumps([a, b, a * b])))
w = [Value(x) for x in np.linspace(-1, 1, 4)]
x = np.arange(4)
s = sum(wi * xi for wi, xi in zip(w, x))
s.backward()
print(s, w)
for wi in w: wi.data -= 0.1 * wi.grad
print([wi.data for wi in w], type(w[0].data))
print(np.float64(3) * a, type(np.float64(3) * a), np.float64(1) + b)
i = Value(np.int64(3))
print(i, i * 2, (i * a)); (i * a).backward(); print(i, a)
