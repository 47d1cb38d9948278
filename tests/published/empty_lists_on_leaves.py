"""Leaves begin with an empty list, results get a tuple."""


class Node:
    def __init__(self, data):
        self.data = data
        self.grad = 0.0
        self.children = []
        self.back = None

    def __add__(self, other):
        other = other if isinstance(other, Node) else Node(other)
        out = Node(self.data + other.data)
        out.children = (self, other)

        def back():
            self.grad += out.grad
            other.grad += out.grad
        out.back = back
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Node) else Node(other)
        out = Node(self.data * other.data)
        out.children = (self, other)

        def back():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out.back = back
        return out

    def backward(self):
        topo, seen = [], set()

        def walk(n):
            if n not in seen:
                seen.add(n)
                for c in n.children:
                    walk(c)
                topo.append(n)
        walk(self)
        self.grad = 1.0
        for n in reversed(topo):
            if n.back is not None:
                n.back()


x, y = Node(1.5), Node(-2.0)
z = x * y + x * 3 + 2
z.backward()
print(z.data, x.grad, y.grad, x.children, len(z.children), x.back)
