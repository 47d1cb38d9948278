"""A module-level and a class-level switch that the operators read; requires_grad on the objects; detach."""
class Var:
    recording = True
    def __init__(self, data, children=(), op='', requires_grad=True):
        self.data = data
        self.grad = 0.0
        self.requires_grad = requires_grad
        self.children = children
        self.op = op
        self._backward = lambda: None
    def __add__(self, other):
        other = other if isinstance(other, Var) else Var(other, requires_grad=False)
        out = Var(self.data + other.data, (self, other), '+', self.requires_grad or other.requires_grad)
        def _backward():
            if self.requires_grad: self.grad += out.grad
            if other.requires_grad: other.grad += out.grad
        if out.requires_grad: out._backward = _backward
        return out
    def __mul__(self, other):
        other = other if isinstance(other, Var) else Var(other, requires_grad=False)
        out = Var(self.data * other.data, (self, other), '*', self.requires_grad or other.requires_grad)
        def _backward():
            if self.requires_grad: self.grad += other.data * out.grad
            if other.requires_grad: other.grad += self.data * out.grad
        if out.requires_grad: out._backward = _backward
        return out
    __radd__ = __add__
    __rmul__ = __mul__
    def detach(self):
        return Var(self.data, requires_grad=False)
    def backward(self):
        topo, seen = [], set()
        def build(v):
            if v not in seen and v.requires_grad:
                seen.add(v)
                for c in v.children: build(c)
                topo.append(v)
        build(self)
        self.grad = 1.0
        for v in reversed(topo): v._backward()
    def __repr__(self):
        return f"Var({self.data:.4f}, grad={self.grad:.4f}, requires_grad={self.requires_grad})"
a = Var(2.0); b = Var(3.0, requires_grad=False); k = Var(-1.5)
l = a * b + k * a + 4
l.backward()
print(a, b, k, l)
m = l.detach() * a + l
m.backward()
print(a, b, k, l, m)
f = b * 2
f.backward()
print(f, b)
