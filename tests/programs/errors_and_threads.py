"""Exceptions in rules and operators, half-done backward passes, threads, recursion limits, generators."""
import math, sys, threading
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
    def __pow__(self, other):
        assert isinstance(other, (int, float)), "only supporting int/float powers for now"
        out = Value(self.data**other, (self,), f'**{other}')
        def _backward():
            self.grad += (other * self.data**(other-1)) * out.grad
        out._backward = _backward
        return out
    def log(self):
        out = Value(math.log(self.data), (self,), 'log')
        def _backward():
            self.grad += (1 / self.data) * out.grad
        out._backward = _backward
        return out
    def sqrt(self):
        out = Value(self.data ** 0.5, (self,), 'sqrt')
        def _backward():
            self.grad += 0.5 / out.data * out.grad
        out._backward = _backward
        return out
    def __neg__(self): return self * -1
    def __radd__(self, other): return self + other
    def __sub__(self, other): return self + (-other)
    def __rsub__(self, other): return other + (-self)
    def __rmul__(self, other): return self * other
    def __truediv__(self, other): return self * other**-1
    def __rtruediv__(self, other): return other * self**-1
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
    def __repr__(self): return f"Value(data={self.data}, grad={self.grad})"
def attempt(f):
    try: print(f())
    except Exception as e: print(type(e).__name__, e)
a, b, zero = Value(2.0), Value(-4.0), Value(0.0)
attempt(lambda: b.log()); attempt(lambda: zero.log()); attempt(lambda: a / zero); attempt(lambda: 1 / zero)
attempt(lambda: b ** 0.5); attempt(lambda: b.sqrt()); attempt(lambda: a ** b); attempt(lambda: 2 ** a)
attempt(lambda: Value(10.0) ** 400); attempt(lambda: Value(1e308) * 10); attempt(lambda: a + 'x'); attempt(lambda: [1] * a)
attempt(lambda: Value('a') + 'b'); attempt(lambda: Value('ab') * 3); attempt(lambda: Value([1]) + [2])
attempt(lambda: a < b); attempt(lambda: abs(a)); attempt(lambda: float(a)); attempt(lambda: a // b); attempt(lambda: a @ b)
attempt(lambda: sum([a, b, zero])); attempt(lambda: a == 2.0); attempt(lambda: {a: 1}[a]); attempt(lambda: a.nope)
s = zero ** 0.5
s2 = s * 2
def bad():
    s2.backward()
attempt(bad); print(zero, s, s2)
q = zero.sqrt() + a
attempt(q.backward); print(zero, a, q)
c = a * b
def boom():
    raise RuntimeError("in a rule")
c._backward = boom
d = c * 2 + a
attempt(d.backward); print(a, b, c, d)
attempt(d.backward); print(a, b, c, d)
results = {}
def work(i):
    x = Value(float(i)); y = x
    for k in range(200): y = y * 1.01 + x
    y.backward(); results[i] = (f'{x.grad:.10g}', y.data)
ts = [threading.Thread(target=work, args=(i,)) for i in range(4)]
[t.start() for t in ts]; [t.join() for t in ts]
print(sorted(results.items()))
sys.setrecursionlimit(20000)
x = y = Value(0.5)
for i in range(3000): y = y + x * 0.001
y.backward(); print(f'{x.grad:.10g} {y.data}')
gen = (Value(float(i)) * i for i in range(5))
t = sum(gen); t.backward(); print(t)
print(f"{a.grad:.4f} {a.grad:+.2e}", "%.3f" % a.data, "{:>10.2f}|".format(b.data), round(a.grad, 3))
