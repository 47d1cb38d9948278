"""functools.total_ordering, __format__, __float__, __int__, __bool__, __abs__, __call__, __getitem__, __len__."""
import functools, math
@functools.total_ordering
class Scalar:
    def __init__(self, data, _children=(), _op=''):
        self.data = float(data)
        self.grad = 0.0
        self._prev = list(_children)
        self._op = _op
        self._backward = lambda: None
    def __add__(self, o):
        o = o if isinstance(o, Scalar) else Scalar(o)
        out = Scalar(self.data + o.data, [self, o], '+')
        def _backward():
            self.grad += out.grad
            o.grad += out.grad
        out._backward = _backward
        return out
    def __mul__(self, o):
        o = o if isinstance(o, Scalar) else Scalar(o)
        out = Scalar(self.data * o.data, [self, o], '*')
        def _backward():
            self.grad += o.data * out.grad
            o.grad += self.data * out.grad
        out._backward = _backward
        return out
    __radd__, __rmul__ = __add__, __mul__
    def __eq__(self, o):
        return self.data == (o.data if isinstance(o, Scalar) else o)
    def __lt__(self, o):
        return self.data < (o.data if isinstance(o, Scalar) else o)
    def __hash__(self): return id(self)
    def __format__(self, spec): return format(self.data, spec or '.3f')
    def __float__(self): return self.data
    def __int__(self): return int(self.data)
    def __bool__(self): return self.data != 0.0
    def __abs__(self): return self if self.data >= 0 else self * -1
    def __call__(self, x): return self * x + 1
    def __len__(self): return len(self._prev)
    def __getitem__(self, i): return self._prev[i]
    def __round__(self, n=None): return round(self.data, n)
    def backward(self):
        topo = []
        def build(v):
            if v not in topo:
                for c in v._prev: build(c)
                topo.append(v)
        build(self)
        self.grad = 1.0
        for v in reversed(topo): v._backward()
    def __repr__(self): return f"S({self.data:g})"
a, b, z = Scalar(2), Scalar(-3.5), Scalar(0)
print(a < b, a > b, a >= 2, a <= 1.5, a == 2, a != b, max(a, b), sorted([a, b, z], key=float))
print(f"{a} {a:.1f} {b:>8.2f}", float(a), int(b), math.sqrt(a), round(b), round(b, 1), bool(z), bool(a))
if not z: print("zero")
c = abs(b) * a + a(b)
print(c, len(c), c[0], c[1], len(a))
c.backward()
print(f"{a.grad:.4f} {b.grad:.4f}", c.grad)
d = a + Scalar(2) * a   # equal leaves: the author's `not in topo` uses ==
d.backward()
print(f"{a.grad:.4f}", [x.grad for x in d._prev])
