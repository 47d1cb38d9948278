"""copy.copy and copy.deepcopy of nodes whose rule is a closure: the closure goes on writing to the originals."""
import copy, weakref, gc
class Value:
    def __init__(self, data, _children=(), _op='', label=''):
        self.data = data
        self.grad = 0.0
        self._prev = set(_children)
        self._op = _op
        self.label = label
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
    def backward(self):
        topo, seen = [], set()
        def build(v):
            if v not in seen:
                seen.add(v)
                for c in v._prev: build(c)
                topo.append(v)
        build(self)
        self.grad = 1.0
        for v in reversed(topo): v._backward()
    def __repr__(self): return f"Value({self.data}, {self.grad}, {self._op!r}, {self.label!r})"
a, b = Value(2.0, label='a'), Value(3.0, label='b')
a.note = [1, 2]
c = a * b + a
c.label = 'c'
d = copy.copy(c)
print(d, d._prev == c._prev, d is c)
d.backward()
print(a, b, c, d)
e = copy.deepcopy(c)
print(e, sorted(map(repr, e._prev)))
e.backward()
print(a, b, c, d, e, sorted(map(repr, e._prev)))
c.backward()
print(a, b, c, d, e, sorted(map(repr, e._prev)))
a2 = copy.deepcopy(a)
a2.note.append(3)
print(a2, a2.note, a.note, copy.copy(a).note is a.note)
params = [a, b]
saved = copy.deepcopy(params)
a.data = 100.0
print(saved, params)
r = weakref.ref(c)
del c, d, e
gc.collect()
print(r() is None)
f = copy.deepcopy({'x': a * b, 'a': a})
print(sorted(f), f['a'] in f['x']._prev, f['x'])
