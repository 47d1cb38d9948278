"""Numbers of NumPy's types and Python's meet in random graphs, and in what is written to them: values and types."""

import copy
import math
import pickle
import random
import warnings

import numpy as np

warnings.simplefilter("ignore")


class Value:
    def __init__(self, data, _children=(), _op=''):
        self.data = data; self.grad = 0; self._prev = tuple(_children); self._backward = lambda: None; self._op=_op
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
        out = Value(self.data**other, (self,), f'**{other}')
        def _backward():
            self.grad += (other * self.data**(other-1)) * out.grad
        out._backward = _backward
        return out
    def relu(self):
        out = Value(0 if self.data < 0 else self.data, (self,), 'ReLU')
        def _backward():
            self.grad += (out.data > 0) * out.grad
        out._backward = _backward
        return out
    def exp(self):
        out = Value(math.exp(self.data), (self,), 'exp')
        def _backward():
            self.grad += out.data * out.grad
        out._backward = _backward
        return out
    def tanh(self):
        t = (math.exp(2*self.data) - 1)/(math.exp(2*self.data) + 1)
        out = Value(t, (self,), 'tanh')
        def _backward():
            self.grad += (1 - t**2) * out.grad
        out._backward = _backward
        return out
    def backward(self):
        topo, seen = [], set()
        def build(v):
            if v not in seen:
                seen.add(v)
                for child in v._prev: build(child)
                topo.append(v)
        build(self)
        self.grad = 1
        for v in reversed(topo): v._backward()
    def __neg__(self): return self * -1
    def __radd__(self, other): return self + other
    def __sub__(self, other): return self + (-other)
    def __rmul__(self, other): return self * other
    def __truediv__(self, other): return self * other**-1

def show(v):
    return type(v.data).__name__, repr(v.data), type(v.grad).__name__, repr(v.grad)


def play(case, r, kinds):
    leaves = [Value(r.choice(kinds)(r.uniform(-3, 3))) for _ in range(5)]
    nodes = list(leaves)
    for _ in range(12):
        a, b = r.choice(nodes), r.choice(nodes[-4:])
        forms = (
            lambda: a + b, lambda: a * b, lambda: a - b, lambda: -a, lambda: a.relu(), lambda: (a * 0.1).exp(),
            lambda: (a * 0.3).tanh(), lambda: a * np.float32(0.7), lambda: np.float32(0.7) * a, lambda: a * 2 + b,
            lambda: (a * 0.2) ** 2, lambda: a * a,
        )  # fmt: skip
        nodes.append(r.choice(forms)())
    out = nodes[-1] + nodes[-2]
    mode = r.randrange(4)
    if mode == 1:
        leaves[0].data = np.float32(0.3)
    if mode == 2:
        leaves[1].data = r.choice([0.5, np.float64(0.3), 2])
    if mode == 3:
        nodes[-3].data = r.choice([0.5, np.float32(0.3), 2])
    out.backward()
    for p in leaves:
        p.data -= 0.05 * p.grad
    print(case, [show(v) for v in nodes], show(out))
    out.backward()
    for p in leaves:
        p.data = p.data - p.grad * np.float32(0.01)
        p.grad = np.float32(0)
    (out * nodes[1] + sum(leaves, nodes[3])).backward()
    print(case, [show(v) for v in nodes], show(out))


source = random.Random(1)
SINGLES = [np.float32, np.float32, np.float32, float, np.float64, int, np.int64]
INTEGERS = [np.int64, np.int64, int, float, bool, np.float32]
for number in range(60):
    for some in (SINGLES, INTEGERS):
        try:
            play(number, source, some)
        except (TypeError, OverflowError, ZeroDivisionError) as error:
            print(number, type(error).__name__)

x, y = Value(np.float32(0.7)), Value(np.int64(3))
z = x * y + x * 0.1
again = copy.deepcopy(z)
z.backward()
again.backward()
print(show(z), show(x), show(y), show(again), sorted(map(show, again._prev)))
leaf = pickle.loads(pickle.dumps(Value(np.float32(0.1)).data))
print(type(leaf).__name__, repr(leaf), show(Value(leaf) * Value(1e39)), show(Value(leaf) * Value(float("nan"))))
