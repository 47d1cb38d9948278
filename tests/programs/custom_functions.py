"""Functions outside the class that make nodes, closures over lists of nodes, rules that build nodes themselves."""
import math
class Value:
    def __init__(self, data, _children=(), _op='', label=''):
        self.data = float(data)
        self.grad = 0.0
        self._prev = tuple(_children)
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
    __radd__ = __add__
    __rmul__ = __mul__
    def __neg__(self): return self * -1
    def __sub__(self, o): return self + (-o if isinstance(o, Value) else -o)
    def __rsub__(self, o): return (-self) + o
    def backward(self):
        topo, visited = [], set()
        def build(v):
            if v not in visited:
                visited.add(v)
                for c in v._prev: build(c)
                topo.append(v)
        build(self)
        for v in topo: v.grad = 0.0
        self.grad = 1.0
        for v in reversed(topo): v._backward()
    def __repr__(self): return f"{self.label or 'v'}({self.data:.6g}, {self.grad:.6g})"
def logsumexp(values):
    m = max(v.data for v in values)
    s = sum(math.exp(v.data - m) for v in values)
    out = Value(m + math.log(s), values, 'lse')
    def _backward():
        for v in values: v.grad += math.exp(v.data - out.data) * out.grad
    out._backward = _backward
    return out
def dot(a, b):
    out = Value(sum(x.data * y.data for x, y in zip(a, b)), list(a) + list(b), 'dot')
    def _backward():
        for x, y in zip(a, b):
            x.grad += y.data * out.grad
            y.grad += x.data * out.grad
    out._backward = _backward
    return out
def checkpoint(f, *args):
    data = [Value(a.data) for a in args]
    y = f(*data)
    out = Value(y.data, args, 'ckpt')
    def _backward():
        inner = [Value(a.data) for a in args]
        z = f(*inner) * Value(out.grad)
        z.backward()
        for a, i in zip(args, inner): a.grad += i.grad
    out._backward = _backward
    return out
a = [Value(x, label=f'a{i}') for i, x in enumerate([1.0, -2.0, 0.5])]
b = [Value(x, label=f'b{i}') for i, x in enumerate([0.3, 0.1, -0.7])]
y = logsumexp([dot(a, b), a[0] * b[1], Value(0.2)]) + checkpoint(lambda p, q: p * q + p, a[1], b[2]) * 2
y.backward(); print(y, a, b)
y.backward(); print(y, a, b)
hist = []
for n in a + b:
    old = n._backward
    def hook(n=n, old=old): hist.append((n.label, n.grad)); old()
    n._backward = hook
y.backward(); print(sorted(hist))
mid = a[0] * a[1]; calls = []
inner = mid._backward
def traced(): calls.append(mid.grad); inner()
mid._backward = traced
t = mid * 3 + mid; t.backward(); print(calls, a, mid)
class Module:
    def parameters(self): return []
    def zero_grad(self):
        for p in self.parameters(): p.grad = 0.0
class Linear(Module):
    def __init__(self, n): self.w, self.b = [Value(0.1 * i - 0.2) for i in range(n)], Value(0)
    def __call__(self, x): return sum((w * xi for w, xi in zip(self.w, x)), self.b)
    def parameters(self): return self.w + [self.b]
m = Linear(3)
for e in range(3):
    l = sum((d * d for d in (m(x) - t for x, t in [([1, 2, 3], 1), ([0.5, -1, 2], -1)])), Value(0))
    l.backward()
    for p in m.parameters(): p.data -= 0.01 * p.grad
    print(f'{l.data:.8f}', m.parameters())
