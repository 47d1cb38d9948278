"""Sets of operands that the program changes in place, compares, copies and pickles."""
import copy, pickle
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
        return len(topo)
    def __repr__(self): return f"Value({self.data}, {self.grad})"
def graph():
    a, b = Value(2.0), Value(3.0)
    c = a * b
    d = c + a
    return a, b, c, d
a, b, c, d = graph()
print(c._prev == {a, b}, a._prev, repr(a._prev), a in c._prev, len(d._prev), c._prev | d._prev == {a, b, c}, c._prev & d._prev)
c._prev.clear(); print(d.backward(), a, b, c, d, c._prev)
a, b, c, d = graph()
c._prev.discard(a); c._prev.add(Value(7.0)); print(d.backward(), a, b, sorted(map(repr, c._prev)))
d._prev.remove(a); c._prev |= {a}; print(len(c._prev), len(d._prev), d.backward())
a, b, c, d = graph()
a._prev.add(b); print(d.backward(), a, b, a._prev)
e = Value(5, c._prev, 'kept'); print(sorted(map(repr, e._prev)), e.backward(), e._op)
s = copy.copy(d._prev); s.clear(); print(len(d._prev), type(s) is set, d.backward(), a, b)
print(sorted(x.data for x in pickle.loads(pickle.dumps({1, 2})) | {3}  if isinstance(x, Value)), isinstance(c._prev, set))
f = c._prev.union({a}); f.clear(); f = c._prev - {a}; f.clear(); print(len(c._prev))
