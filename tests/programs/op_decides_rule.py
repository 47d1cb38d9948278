"""Node that carries shape, requires positional order, a rule table on the class, a tape of its own (Wengert list)."""
import math
class Tape:
    def __init__(self): self.nodes = []
    def reset(self): self.nodes.clear()
TAPE = Tape()
class T:
    def __init__(self, v, parents=(), op=None):
        self.v, self.g, self.parents, self.op = v, 0.0, parents, op
        TAPE.nodes.append(self)
    def __add__(self, o): return T(self.v + (o.v if isinstance(o, T) else o), (self, o), 'add')
    def __mul__(self, o): return T(self.v * (o.v if isinstance(o, T) else o), (self, o), 'mul')
    def backward(self):
        for n in TAPE.nodes: n.g = 0.0
        self.g = 1.0
        for n in reversed(TAPE.nodes):
            if n.op == 'add':
                for p in n.parents:
                    if isinstance(p, T): p.g += n.g
            elif n.op == 'mul':
                l, r = n.parents
                lv, rv = (l.v if isinstance(l, T) else l), (r.v if isinstance(r, T) else r)
                if isinstance(l, T): l.g += n.g * rv
                if isinstance(r, T): r.g += n.g * lv
x, y = T(2.0), T(3.0)
z = x * y + x * 4
z.backward(); print(x.g, y.g, z.v, len(TAPE.nodes))
class Op:
    RULES = {}
    def __init__(self, data, prev=(), op=''):
        self.data, self.grad, self._prev, self._op = data, 0, tuple(prev), op
    def __add__(self, o):
        o = o if isinstance(o, Op) else Op(o)
        return Op(self.data + o.data, (self, o), '+')
    def __mul__(self, o):
        o = o if isinstance(o, Op) else Op(o)
        return Op(self.data * o.data, (self, o), '*')
    def __neg__(self): return self * -1
    def exp(self): return Op(math.exp(self.data), (self,), 'exp')
    def _backward(self):
        if self._op == '+':
            for c in self._prev: c.grad += self.grad
        elif self._op == '*':
            a, b = self._prev
            a.grad += b.data * self.grad
            b.grad += a.data * self.grad
        elif self._op == 'exp':
            self._prev[0].grad += self.data * self.grad
    def backward(self):
        topo, seen = [], set()
        def build(v):
            if v not in seen:
                seen.add(v)
                for c in v._prev: build(c)
                topo.append(v)
        build(self); self.grad = 1
        for v in reversed(topo): v._backward()
a, b = Op(2), Op(1.5)
c = (a * b + a).exp() + -b
c.backward(); print(a.grad, b.grad, c.data)
m = a * b; n = m + a; m._op = '+'
n.backward(); print(a.grad, b.grad, m.grad)
m._op = ''; n.backward(); print(a.grad, b.grad)
h = Op(4.0, (a, b), '*'); h.backward(); print(a.grad, b.grad, h.grad)
class Sub(Op):
    def _backward(self):
        super()._backward(); print('sub', self.data)
s = Sub(3.0, (a, b), '+'); (s * 2).backward(); print(a.grad, b.grad)
