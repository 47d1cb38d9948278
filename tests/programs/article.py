"""The article's shape: tanh by its textbook formula, labels, a classifier trained by hand."""

import math
import random


class Value:
    def __init__(self, data, _children=(), _op="", label=""):
        self.data = data
        self.grad = 0.0
        self._backward = lambda: None
        self._prev = set(_children)
        self._op = _op
        self.label = label

    def __repr__(self):
        return f"Value(data={self.data})"

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other), "+")

        def _backward():
            self.grad += 1.0 * out.grad
            other.grad += 1.0 * out.grad

        out._backward = _backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other), "*")

        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out._backward = _backward
        return out

    def __pow__(self, other):
        assert isinstance(other, (int, float)), "int and float powers only"
        out = Value(self.data**other, (self,), f"**{other}")

        def _backward():
            self.grad += other * (self.data ** (other - 1)) * out.grad

        out._backward = _backward
        return out

    def __rmul__(self, other):
        return self * other

    def __radd__(self, other):
        return self + other

    def __truediv__(self, other):
        return self * other**-1

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + (-other)

    def tanh(self):
        x = self.data
        t = (math.exp(2 * x) - 1) / (math.exp(2 * x) + 1)
        out = Value(t, (self,), "tanh")

        def _backward():
            self.grad += (1 - t**2) * out.grad

        out._backward = _backward
        return out

    def exp(self):
        x = self.data
        out = Value(math.exp(x), (self,), "exp")

        def _backward():
            self.grad += out.data * out.grad

        out._backward = _backward
        return out

    def backward(self):
        topo = []
        visited = set()

        def build_topo(v):
            if v not in visited:
                visited.add(v)
                for child in v._prev:
                    build_topo(child)
                topo.append(v)

        build_topo(self)
        self.grad = 1.0
        for node in reversed(topo):
            node._backward()


class Neuron:
    def __init__(self, nin):
        self.w = [Value(random.uniform(-1, 1)) for _ in range(nin)]
        self.b = Value(random.uniform(-1, 1))

    def __call__(self, x):
        return sum((wi * xi for wi, xi in zip(self.w, x)), self.b).tanh()

    def parameters(self):
        return self.w + [self.b]


class Layer:
    def __init__(self, nin, nout):
        self.neurons = [Neuron(nin) for _ in range(nout)]

    def __call__(self, x):
        outs = [n(x) for n in self.neurons]
        return outs[0] if len(outs) == 1 else outs

    def parameters(self):
        return [p for n in self.neurons for p in n.parameters()]


def trace(root):
    nodes, edges = [root], []
    for node in nodes:
        for child in sorted(node._prev, key=lambda n: n.data):
            edges.append((child.label or child._op, node.label or node._op))
            if child not in nodes:
                nodes.append(child)
    return nodes, edges


a = Value(2.0, label="a")
b = Value(-3.0, label="b")
c = Value(10.0, label="c")
e = a * b
e.label = "e"
d = e + c
d.label = "d"
f = Value(-2.0, label="f")
L = d * f
L.label = "L"
L.backward()
print(L, [(v.label, v.data, v.grad) for v in (a, b, c, d, e, f, L)])
nodes, edges = trace(L)
print([(n.label, n._op, len(n._prev)) for n in nodes], edges)
print(L._prev == {d, f}, d in L._prev, e._prev == e._prev, id(a) == id(sorted(e._prev, key=lambda n: -n.data)[0]))

x1, x2 = Value(2.0), Value(0.0)
n = x1 * -3.0 + x2 * 1.0 + 6.8813735870195432
o = n.tanh()
o.grad = 1.0
o._backward()
n._backward()
print(o, n.grad, x1.grad)
o2 = ((2 * n).exp() - 1) / ((2 * n).exp() + 1)
print(o2.data, n)
for bad in ("n + None", "n ** n", "n < 2", "2 - n", "abs(n)", "Value(1000.0).exp()", "Value(0.0) ** -1", "Value(400.0).tanh()"):
    try:
        print(bad, eval(bad))
    except Exception as error:
        print(bad, type(error).__name__, error)

random.seed(1337)
layers = [Layer(3, 4), Layer(4, 4), Layer(4, 1)]
parameters = [p for layer in layers for p in layer.parameters()]


def model(x):
    for layer in layers:
        x = layer(x)
    return x


xs = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
ys = [1.0, -1.0, -1.0, 1.0]
for step in range(30):
    loss = sum((yout - ygt) ** 2 for ygt, yout in zip(ys, [model(x) for x in xs]))
    for p in parameters:
        p.grad = 0.0
    loss.backward()
    for p in parameters:
        p.data += -0.05 * p.grad
    print(step, f"{loss.data:.10f}")
