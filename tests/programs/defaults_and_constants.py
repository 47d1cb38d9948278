"""More adversaries: default arguments that are shared, closures that read op and label, class constants, eps, staticmethods, callable nodes."""
import math, collections
EPS = 1e-8
class Value:
    EPSILON = 1e-6
    def __init__(self, data, children=[], op='', label='', name=None):
        self.data = data
        self.grad = 0.0
        self.children = children
        self.op = op
        self.label = label
        self.name = name
        self._backward = None
    def __add__(self, other):
        other = self._lift(other)
        out = Value(self.data + other.data, [self, other], '+')
        def grad_fn():
            self.grad += out.grad
            other.grad += out.grad
        out._backward = grad_fn
        return out
    def __mul__(self, other):
        other = self._lift(other)
        out = Value(self.data * other.data, [self, other], '*')
        def grad_fn():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out._backward = grad_fn
        return out
    @staticmethod
    def _lift(x): return x if isinstance(x, Value) else Value(x)
    def __sub__(self, other): return self + self._lift(other) * -1
    def __truediv__(self, other):
        other = self._lift(other)
        out = Value(self.data / (other.data + self.EPSILON), [self, other], '/')
        def grad_fn():
            self.grad += out.grad / (other.data + self.EPSILON)
            other.grad += -self.data / (other.data + self.EPSILON) ** 2 * out.grad
        out._backward = grad_fn
        return out
    def log(self):
        out = Value(math.log(self.data + EPS), [self], 'log')
        def grad_fn(): self.grad += out.grad / (self.data + EPS)
        out._backward = grad_fn
        return out
    def relu(self):
        out = Value(self.data * (self.data > 0), [self], 'relu')
        def grad_fn(): self.grad += out.grad * (self.data > 0)
        out._backward = grad_fn
        return out
    def backward(self):
        order, visited = [], []
        def dfs(v):
            if v in visited: return
            visited.append(v)
            for c in v.children: dfs(c)
            order.append(v)
        dfs(self)
        self.grad = 1.0
        for v in order[::-1]:
            if v._backward: v._backward()
    def __repr__(self): return f"{self.name or self.label or 'Value'}({self.data:.4f}, {self.grad:.4f})"
a, b = Value(2.0, name='a'), Value(-3.0, label='b')
c = a * b + a / b - b
d = (c * c).log() + (a * b).relu() + a.relu()
d.backward(); print(a, b, c, d)
Value.EPSILON = 0.5
e = a / b; e.backward(); print(a, b, e, [x.name for x in e.children])
EPS = 0.5
f = a.log(); f.backward(); print(a, f)
print(a.children is b.children, a._backward, f._backward.__name__, f.op, collections.Counter(x.op for x in (c, d, e, f)))
c.label = 'loss'; print(c)
c.children = [a]; c.backward(); print(a, b)
a.grad, b.grad = 0.0, 0.0
g = a + a; g += a; g *= 2; g.backward(); print(a, g)
