"""The operation is a text, and backward() chooses the rule by it."""


class Node:
    def __init__(self, data, parents=(), op=''):
        self.data = data
        self.grad = 0.0
        self.parents = parents
        self.op = op

    def __add__(self, other):
        other = other if isinstance(other, Node) else Node(other)
        return Node(self.data + other.data, (self, other), 'add')

    def __mul__(self, other):
        other = other if isinstance(other, Node) else Node(other)
        return Node(self.data * other.data, (self, other), 'mul')

    def backward(self):
        topo, seen = [], set()

        def build(v):
            if v not in seen:
                seen.add(v)
                for o in v.parents:
                    build(o)
                topo.append(v)
        build(self)
        self.grad = 1.0
        for v in reversed(topo):
            if v.op == 'add':
                v.parents[0].grad += v.grad
                v.parents[1].grad += v.grad
            elif v.op == 'mul':
                v.parents[0].grad += v.parents[1].data * v.grad
                v.parents[1].grad += v.parents[0].data * v.grad


a, b = Node(1.5), Node(-2.0)
c = a * b + b * 4
c.backward()
print(c.data, a.grad, b.grad)
