"""`_backward` is a method that looks at the operation; comparisons, hashing and a gradient clip of the author's own."""

import math


class Node:
    def __init__(self, value, prev=(), op=""):
        self.value = value
        self.grad = 0.0
        self.prev = tuple(prev)
        self.op = op

    def __add__(self, other):
        other = other if isinstance(other, Node) else Node(other)
        return Node(self.value + other.value, (self, other), "+")

    def __mul__(self, other):
        other = other if isinstance(other, Node) else Node(other)
        return Node(self.value * other.value, (self, other), "*")

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other

    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        return self + (-other if isinstance(other, Node) else -other)

    def sigmoid(self):
        return Node(1 / (1 + math.exp(-self.value)), (self,), "sigmoid")

    def __lt__(self, other):
        return self.value < (other.value if isinstance(other, Node) else other)

    def __gt__(self, other):
        return self.value > (other.value if isinstance(other, Node) else other)

    def __eq__(self, other):
        return self is other

    def __hash__(self):
        return id(self)

    def __repr__(self):
        return "Node(%.6f | %s)" % (self.value, self.op or "leaf")

    def _backward(self):
        if self.op == "+":
            for child in self.prev:
                child.grad += self.grad
        elif self.op == "*":
            left, right = self.prev
            left.grad += right.value * self.grad
            right.grad += left.value * self.grad
        elif self.op == "sigmoid":
            self.prev[0].grad += self.value * (1 - self.value) * self.grad

    def backward(self):
        order, seen = [], set()

        def visit(node):
            if node in seen:
                return
            seen.add(node)
            for child in node.prev:
                visit(child)
            order.append(node)

        visit(self)
        self.grad = 1.0
        for node in reversed(order):
            node._backward()


def clip(nodes, limit):
    for node in nodes:
        if node.grad > limit:
            node.grad = limit
        if node.grad < -limit:
            node.grad = -limit


w = [Node(0.3), Node(-0.8), Node(1.7)]
data = [((1.0, 2.0), 1.0), ((-1.5, 0.5), 0.0), ((0.2, -0.7), 1.0)]
for epoch in range(8):
    loss = Node(0.0)
    for (p, q), target in data:
        guess = (w[0] * p + w[1] * q + w[2]).sigmoid()
        loss = loss + (guess - target) * (guess - target)
    for node in w:
        node.grad = 0.0
    loss.backward()
    clip(w, 0.25)
    for node in w:
        node.value -= 0.5 * node.grad
    print(epoch, repr(loss.value), w, [n.grad for n in w])
print(max(w), min(w), sorted(w), w[0] == w[0], w[0] == w[1], w[0] < 5, len(set(w)))
