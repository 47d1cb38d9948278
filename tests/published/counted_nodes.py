"""Every node gets a number from a counter."""
import itertools

_ids = itertools.count()


class Node:
    def __init__(self, value, inputs=()):
        self.value = value
        self.grad = 0.0
        self.inputs = inputs
        self.id = next(_ids)
        self.pull = lambda: None

    def __add__(self, other):
        other = other if isinstance(other, Node) else Node(other)
        out = Node(self.value + other.value, (self, other))

        def pull():
            self.grad += out.grad
            other.grad += out.grad
        out.pull = pull
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Node) else Node(other)
        out = Node(self.value * other.value, (self, other))

        def pull():
            self.grad += other.value * out.grad
            other.grad += self.value * out.grad
        out.pull = pull
        return out

    def backward(self):
        nodes, stack = {self.id: self}, [self]
        while stack:
            for node in stack.pop().inputs:
                if node.id not in nodes:
                    nodes[node.id] = node
                    stack.append(node)
        self.grad = 1.0
        for key in sorted(nodes, reverse=True):
            nodes[key].pull()


x, y = Node(3.0), Node(4.0)
z = x * y + x * x
z.backward()
print(z.value, x.grad, y.grad, z.id)
