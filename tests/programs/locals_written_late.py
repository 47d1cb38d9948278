"""Local gradients that are the operands' data, which changes between the operations and backward()."""
import random


class Value:
    __slots__ = ("data", "grad", "children", "slopes")

    def __init__(self, data, children=(), slopes=()):
        self.data, self.grad, self.children, self.slopes = data, 0, children, slopes

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other

    def backward(self):
        order, seen = [], set()

        def visit(node):
            if node not in seen:
                seen.add(node)
                for child in node.children:
                    visit(child)
                order.append(node)

        visit(self)
        self.grad = 1
        for node in reversed(order):
            for child, slope in zip(node.children, node.slopes):
                child.grad += slope * node.grad

    def __repr__(self):
        return f"Value({self.data!r}, {self.grad!r}, {self.slopes!r})"


source = random.Random(3)
weights = [Value(source.uniform(-1, 1)) for _ in range(6)]
kept = []
for step in range(40):
    xs = [source.uniform(-1, 1) for _ in range(6)]
    hidden = [sum(w * x for w, x in zip(weights, xs)), sum((w * w for w in weights), weights[0])]
    loss = hidden[0] * hidden[1] + hidden[0] * 2
    if step % 3 == 0:
        kept.append((loss, hidden))
    if step % 4 == 1:
        hidden[1].data = source.choice([2.5, 3, True, 10**20])
    if step % 5 == 2:
        weights[step % 6].data = source.choice([7, 0.5, -0.0, False])
    loss.backward()
    print(loss, hidden, weights[0], weights[-1])
    for p in weights:
        p.data -= 0.01 * p.grad
        p.grad = 0
    if step % 7 == 6:
        old, parts = source.choice(kept)
        print(old.slopes, [part.slopes for part in parts])
        old.backward()
        print(parts, [p.grad for p in weights])
        for p in weights:
            p.grad = 0
    if step == 30:
        del kept[3:]
weights[0].data = 10**400
try:
    kept[0][0].backward()
    print([p.grad for p in weights])
except Exception as error:
    print(type(error).__name__, error)
weights[0].data = 1.25
kept[1][0].backward()
print([p.grad for p in weights], kept[1])
first = weights[1] * weights[2]
first.slopes = (5.0, weights[1].data)
weights[1].data = 100
second = first * first
second.backward()
print(first, second, weights[1], weights[2])
