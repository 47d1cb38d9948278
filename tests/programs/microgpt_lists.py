"""microgpt's dialect in other clothes: lists, keyword arguments, no __slots__, a helper that builds nodes, softmax over views."""
import math, random
class V:
    def __init__(self, data, *, children=(), grads=()):
        self.data, self.grad = data, 0.0
        self.children, self.grads = list(children), list(grads)
    @classmethod
    def make(cls, data, *pairs):
        return cls(data, children=[c for c, _ in pairs], grads=[g for _, g in pairs])
    @staticmethod
    def wrap(x): return x if isinstance(x, V) else V(x)
    def __add__(self, o):
        o = V.wrap(o)
        return V.make(self.data + o.data, (self, 1.0), (o, 1.0))
    def __mul__(self, o):
        o = V.wrap(o)
        return V.make(self.data * o.data, (self, o.data), (o, self.data))
    def __pow__(self, k): return V.make(self.data ** k, (self, k * self.data ** (k - 1)))
    def exp(self):
        e = math.exp(self.data)
        return V.make(e, (self, e))
    def log(self): return V.make(math.log(self.data), (self, 1.0 / self.data))
    def __radd__(self, o): return self + o
    def __rmul__(self, o): return self * o
    def __neg__(self): return self * -1.0
    def __sub__(self, o): return self + -V.wrap(o)
    def __truediv__(self, o): return self * V.wrap(o) ** -1.0
    def backward(self):
        topo, seen = [], set()
        def visit(v):
            if id(v) in seen: return
            seen.add(id(v))
            for c in v.children: visit(c)
            topo.append(v)
        visit(self)
        self.grad = 1.0
        while topo:
            v = topo.pop()
            for c, g in zip(v.children, v.grads): c.grad += g * v.grad
    def __repr__(self): return f"V({self.data!r}, {self.grad!r}, {self.grads})"
random.seed(5)
xs = [V(random.gauss(0, 1)) for _ in range(5)]
def softmax(zs):
    m = max(z.data for z in zs)
    es = [(z - m).exp() for z in zs]
    t = sum(es[1:], es[0])
    return [e / t for e in es]
p = softmax(xs)
loss = -(p[2].log()) + sum(xs, V(0.0)) * 0.1
loss.backward()
print(loss); [print(x) for x in xs]; [print(q) for q in p]
loss.grads[0] = 5.0; loss.children.append(xs[0]); loss.grads.append(2.0)
print(loss.grads, len(loss.children))
loss.backward(); [print(x) for x in xs]
x = V(3); y = x * x; y.grads = [100.0, 1.0]; y.backward(); print(x, y)
x = V(2.0); y = x * 3 + x; x.data = 50.0; y.backward(); print(x, y)
z = V(1.0, children=(x, y), grads=(2.0, 0.5)); z.backward(); print(x, y, z, z.children[0] is x)
z.children = (); z.backward(); print(x, y, z)
