"""Hash and equality by data, weak references, id reuse, nodes as dict keys, gc, finalisers, long lists, sorting by grad."""
import gc, weakref, random
class Value:
    __hash__ = object.__hash__
    def __init__(self, data, _children=()):
        self.data = data
        self.grad = 0.0
        self._backward = lambda: None
        self._prev = set(_children)
    def __eq__(self, o): return isinstance(o, Value) and self.data == o.data
    def __lt__(self, o): return self.data < o.data
    def __add__(self, o):
        o = o if isinstance(o, Value) else Value(o)
        out = Value(self.data + o.data, (self, o))
        def _backward():
            self.grad += out.grad
            o.grad += out.grad
        out._backward = _backward
        return out
    def __mul__(self, o):
        o = o if isinstance(o, Value) else Value(o)
        out = Value(self.data * o.data, (self, o))
        def _backward():
            self.grad += o.data * out.grad
            o.grad += self.data * out.grad
        out._backward = _backward
        return out
    __radd__, __rmul__ = __add__, __mul__
    def backward(self):
        topo, visited = [], set()
        def build(v):
            if id(v) not in visited:
                visited.add(id(v))
                for c in v._prev: build(c)
                topo.append(v)
        build(self); self.grad = 1.0
        for v in reversed(topo): v._backward()
    def __repr__(self): return f'{self.data:g}|{self.grad:g}'
random.seed(0)
ps = [Value(random.choice([1.0, 2.0, 3.0])) for _ in range(6)]
print(ps[0] == ps[1], ps.index(Value(3.0)), ps.count(Value(1.0)), Value(1.0) in ps, sorted(ps), min(ps), max(ps))
t = ps[0]
for p in ps[1:]: t = t * p + p
t.backward(); print(ps, t)
print(sorted(ps, key=lambda p: (p.grad, p.data)))
d = {p: i for i, p in enumerate(ps)}; print(len(d), [d[p] for p in ps])
r = [weakref.ref(t), weakref.ref(ps[0])]; dead = []
weakref.finalize(t, dead.append, 'gone')
del t, p; gc.collect(); print(r[0]() is None, r[1]() is ps[0], dead)
wd = weakref.WeakKeyDictionary(); k = Value(9.0); wd[k] = 1; print(len(wd)); del k; gc.collect(); print(len(wd))
eq = Value(2.0); z = eq * Value(2.0) + eq; z.backward(); print(eq, z, len((eq * Value(2.0))._prev))
x = Value(0.5); acc = Value(0.0)
for i in range(200): acc = acc + x * (i % 7)
acc.backward(); print(f'{x.grad:.6g}')
