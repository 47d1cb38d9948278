"""The microgpt shape: slots, children and local gradients, no closures; a small attention block."""

import math
import random


class Value:
    __slots__ = ("data", "grad", "_children", "_local_grads")

    def __init__(self, data, children=(), local_grads=()):
        self.data = data
        self.grad = 0
        self._children = children
        self._local_grads = local_grads

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, (self, other), (1, 1))

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, other):
        return Value(self.data**other, (self,), (other * self.data ** (other - 1),))

    def log(self):
        return Value(math.log(self.data), (self,), (1 / self.data,))

    def exp(self):
        return Value(math.exp(self.data), (self,), (math.exp(self.data),))

    def relu(self):
        return Value(max(0, self.data), (self,), (float(self.data > 0),))

    def __neg__(self):
        return self * -1

    def __radd__(self, other):
        return self + other

    def __sub__(self, other):
        return self + (-other)

    def __rsub__(self, other):
        return other + (-self)

    def __rmul__(self, other):
        return self * other

    def __truediv__(self, other):
        return self * other**-1

    def __rtruediv__(self, other):
        return other * self**-1

    def backward(self):
        topo = []
        visited = set()

        def build(v):
            if v not in visited:
                visited.add(v)
                for child in v._children:
                    build(child)
                topo.append(v)

        build(self)
        self.grad = 1
        for v in reversed(topo):
            for child, local in zip(v._children, v._local_grads):
                child.grad += local * v.grad


random.seed(7)
vocabulary, width, length = 5, 6, 6
gauss = lambda rows, columns: [[Value(random.gauss(0, 0.3)) for _ in range(columns)] for _ in range(rows)]
state = {name: gauss(width, width) for name in ("q", "k", "v", "o")}
state["embedding"], state["head"] = gauss(vocabulary, width), gauss(vocabulary, width)
parameters = [p for matrix in state.values() for row in matrix for p in row]


def linear(x, w):
    return [sum(wi * xi for wi, xi in zip(row, x)) for row in w]


def softmax(logits):
    top = max(value.data for value in logits)
    exps = [(value - top).exp() for value in logits]
    total = sum(exps)
    return [e / total for e in exps]


def norm(x):
    scale = (sum(xi * xi for xi in x) / len(x) + 1e-5) ** -0.5
    return [xi * scale for xi in x]


text = [0, 1, 2, 3, 4, 0, 1]
for step in range(6):
    keys, values, losses = [], [], []
    for token, target in zip(text, text[1:]):
        x = norm(state["embedding"][token])
        keys.append(linear(x, state["k"]))
        values.append(linear(x, state["v"]))
        q = linear(x, state["q"])
        weights = softmax([sum(a * b for a, b in zip(q, k)) / width**0.5 for k in keys])
        mixed = [sum(w * v[j] for w, v in zip(weights, values)) for j in range(width)]
        x = [a + b.relu() for a, b in zip(x, linear(mixed, state["o"]))]
        losses.append(-softmax(linear(x, state["head"]))[target].log())
    loss = (1 / len(losses)) * sum(losses)
    loss.backward()
    for p in parameters:
        p.data -= 0.1 * p.grad
        p.grad = 0
    print(step, repr(loss.data))  # operands in tuples: the very same order of summation, the very same bits
old = Value(2.0)
y = old * 3
old.data = 7.0
y.backward()
print(old.grad, y._local_grads, [c.data for c in y._children], Value(2)._children, (Value(2) + 1)._local_grads)
try:
    old.note = 1
except AttributeError as error:
    print("slots", type(error).__name__)
