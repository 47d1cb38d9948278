"""A one-layer, four-head character transformer over scalars with local gradients: the microgpt-style program of the bench.

About 68,000 nodes a step; whole process under plain Python: about 40 s. `python bench/programs/microgpt.py [STEPS]`.
"""

import math
import random
import sys


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


random.seed(42)
steps = int(sys.argv[1]) if len(sys.argv) > 1 else 100
syllables = ["ka", "ri", "mo", "te", "nu", "sha", "lo", "vi", "an", "el"]
words = ["".join(random.choice(syllables) for _ in range(random.randint(4, 5))) for _ in range(200)]
letters = sorted(set("".join(words)))
stop = len(letters)  # begins and ends a word
vocabulary, width, heads, block = stop + 1, 16, 4, 12
size = width // heads


def matrix(rows, columns, deviation=0.08):
    return [[Value(random.gauss(0, deviation)) for _ in range(columns)] for _ in range(rows)]


state = {"token": matrix(vocabulary, width), "place": matrix(block, width), "head": matrix(vocabulary, width)}
for name in ("q", "k", "v", "o"):
    state[name] = matrix(width, width)
state["up"], state["down"] = matrix(4 * width, width), matrix(width, 4 * width)
parameters = [p for rows in state.values() for row in rows for p in row]


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


def gpt(token, place, keys, values):
    x = norm([t + p for t, p in zip(state["token"][token], state["place"][place])])
    residual, x = x, norm(x)
    q = linear(x, state["q"])
    keys.append(linear(x, state["k"]))
    values.append(linear(x, state["v"]))
    mixed = []
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        scores = [sum(a * b for a, b in zip(q[part], key[part])) / size**0.5 for key in keys]
        weights = softmax(scores)
        mixed += [sum(w * value[part][j] for w, value in zip(weights, values)) for j in range(size)]
    x = [a + b for a, b in zip(linear(mixed, state["o"]), residual)]
    residual, x = x, norm(x)
    x = linear([h.relu() for h in linear(x, state["up"])], state["down"])
    return linear([a + b for a, b in zip(x, residual)], state["head"])


first, second = [0.0] * len(parameters), [0.0] * len(parameters)
for step in range(steps):
    word = words[step % len(words)]
    tokens = [stop, *(letters.index(letter) for letter in word), stop][: block + 1]
    keys, values, losses = [], [], []
    for place, (token, target) in enumerate(zip(tokens, tokens[1:])):
        losses.append(-softmax(gpt(token, place, keys, values))[target].log())
    loss = (1 / len(losses)) * sum(losses)
    loss.backward()
    rate = 0.01 * (1 - step / steps)
    for i, p in enumerate(parameters):
        first[i] = 0.85 * first[i] + 0.15 * p.grad
        second[i] = 0.99 * second[i] + 0.01 * p.grad**2
        corrected = first[i] / (1 - 0.85 ** (step + 1))
        p.data -= rate * corrected / ((second[i] / (1 - 0.99 ** (step + 1))) ** 0.5 + 1e-8)
        p.grad = 0
    print(f"step {step + 1} / {steps} loss {loss.data:.12g}")
