"""Switches that backward() and the rules look for with getattr, hasattr and helper methods; a late instance method."""
class A:
    def __init__(self, data, prev=(), op=''):
        self.data, self.grad, self._prev, self._op = data, 0.0, set(prev), op
        self._backward = lambda: None
    def __add__(self, o):
        o = o if isinstance(o, A) else A(o)
        out = A(self.data + o.data, (self, o), '+')
        def _backward():
            self.grad += out.grad
            o.grad += out.grad
        out._backward = _backward
        return out
    def __mul__(self, o):
        o = o if isinstance(o, A) else A(o)
        out = A(self.data * o.data, (self, o), '*')
        def _backward():
            self.grad += o.data * out.grad
            o.grad += self.data * out.grad
        out._backward = _backward
        return out
    def backward(self):
        topo, seen = [], set()
        def build(v):
            if v not in seen and not getattr(v, 'frozen', False):
                seen.add(v)
                for c in v._prev: build(c)
                topo.append(v)
        build(self); self.grad = 1.0
        for v in reversed(topo): v._backward()
a, b = A(2.0), A(3.0); c = a * b; d = c + a; c.frozen = True
d.backward(); print(a.grad, b.grad, c.grad)
class B:
    def __init__(self, data, prev=(), op=''):
        self.data, self.grad, self._prev, self._op = data, 0.0, set(prev), op
        self.stop = False
        self._backward = lambda: None
    def _flows(self): return not self.stop
    def _order(self):
        topo, seen = [], set()
        def build(v):
            if v not in seen and v._flows():
                seen.add(v)
                for c in v._prev: build(c)
                topo.append(v)
        build(self)
        return topo
    def __add__(self, o):
        o = o if isinstance(o, B) else B(o)
        out = B(self.data + o.data, (self, o), '+')
        def _backward():
            self.grad += out.grad
            o.grad += out.grad
        out._backward = _backward
        return out
    def __mul__(self, o):
        o = o if isinstance(o, B) else B(o)
        out = B(self.data * o.data, (self, o), '*')
        def _backward():
            self.grad += o.data * out.grad
            o.grad += self.data * out.grad
        out._backward = _backward
        return out
    def relu(self):
        out = B(max(0.0, self.data), (self,), 'relu')
        def _backward():
            if self._flows(): self.grad += (out.data > 0) * out.grad
        out._backward = _backward
        return out
    def backward(self):
        self.grad = 1.0
        for v in reversed(self._order()): v._backward()
a, b = B(2.0), B(3.0); c = a * b; d = (c + a).relu() + b; c.stop = True
d.backward(); print(a.grad, b.grad, c.grad)
c.stop = False; d.backward(); print(a.grad, b.grad, c.grad)
e = B(1.5); r = e.relu(); e.stop = True; r.grad = 1.0; r._backward(); print(e.grad)
e.stop = 0; print(e.stop, e._flows()); del a, b, c, d
v = B(3.0); v.relu = lambda: B(-7.0); print(v.relu().data, B(3.0).relu().data)
v.backward = lambda: print("mine"); v.backward(); (v * 2).backward(); print(v.grad)
B.__add__, keep = (lambda self, o: B(1000.0)), B.__add__
print((v + 1).data); B.__add__ = keep; print((v + 1).data)
del B.relu
try: B(1.0).relu()
except AttributeError as e: print(e)
print(B.__mul__(B(2.0), 4).data, B.backward.__name__, v.__class__.__name__, v.__dict__.keys() >= {'backward'})
