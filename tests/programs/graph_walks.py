"""Walks of the program's own over the graph: zeroing, tracing, pruning, editing children, labels, grad = None."""
class Value:
    def __init__(self, data, _children=(), _op='', label=''):
        self.data = data
        self.grad = None
        self._children = set(_children)
        self._op = _op
        self.label = label
        self._backward = lambda: None
    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other), '+')
        def _backward():
            self.grad = (self.grad or 0.0) + out.grad
            other.grad = (other.grad or 0.0) + out.grad
        out._backward = _backward
        return out
    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other), '*')
        def _backward():
            self.grad = (self.grad or 0.0) + out.grad * other.data
            other.grad = (other.grad or 0.0) + out.grad * self.data
        out._backward = _backward
        return out
    def backward(self):
        topo, seen = [], set()
        def build(v):
            if v not in seen:
                seen.add(v)
                for c in v._children: build(c)
                topo.append(v)
        build(self)
        self.grad = 1.0
        for v in reversed(topo): v._backward()
a, b = Value(2.0), Value(3.0)
c = a * b + a
c.backward(); print(a.grad, b.grad, c.grad)
class Node:
    def __init__(self, data, _prev=(), op=''):
        self.data = data
        self.grad = 0
        self._prev = set(_prev)
        self.op = op
        self._backward = lambda: None
    def __add__(self, o):
        o = o if isinstance(o, Node) else Node(o)
        out = Node(self.data + o.data, (self, o), '+')
        def _backward():
            self.grad += 1.0 * out.grad
            o.grad += 1.0 * out.grad
        out._backward = _backward
        return out
    def __mul__(self, o):
        o = o if isinstance(o, Node) else Node(o)
        out = Node(self.data * o.data, (self, o), '*')
        def _backward():
            self.grad += o.data * out.grad
            o.grad += self.data * out.grad
        out._backward = _backward
        return out
    def tree(self):
        topo, seen = [], set()
        def build(v):
            if v not in seen:
                seen.add(v)
                for c in sorted(v._prev, key=lambda n: repr(n.data) + n.op): build(c)
                topo.append(v)
        build(self)
        return topo
    def zero_grad(self):
        for v in self.tree(): v.grad = 0
    def backward(self):
        self.grad = 1
        for v in reversed(self.tree()): v._backward()
    def __repr__(self): return f"Node({self.data}, {self.grad}, {self.op})"
x, y, z = Node(2), Node(3.5), Node(-1)
w = x * y + z * x + 1
for _ in range(2):
    w.backward(); print(x, y, z, w)
w.zero_grad(); print(x, y, z, w)
w.backward(); print(w.tree())
m = next(n for n in w.tree() if n.op == '*')
keep = set(m._prev)
m._prev = set(); w.zero_grad(); w.backward(); print(x, y, z, m, len(w.tree()))
m._prev = keep; w.zero_grad(); w.backward(); print(x, y, z, m, len(w.tree()))
m._prev.add(z); print(len(m._prev))
x.grad = None
try: w.backward()
except TypeError as e: print(e)
x.grad = 0.0; w.backward(); print(x, w)
v = Node(5); u = v * v; u._backward = lambda: None; t = u + v; t.backward(); print(v, u, t)
u2 = v * 3; save = u2._backward; u2.grad = 2.0; save(); save(); print(v); print(callable(save))
n = Node(1.0); n._prev = {v}; n.op = 'custom'
def rule(): v.grad += 10 * n.grad
n._backward = rule
(n * 2).backward(); print(v, n)
print(v._backward() is None, u2._backward() is None)
