"""Visited by id, the order cached in the object, a counter in __init__, sorting by the counter."""
class Node:
    def __init__(self, value, parents=(), op=None):
        self.value = value
        self.grad = 0
        self.parents = tuple(parents)
        self.op = op
        self._topo = None
        self._backward = lambda: None

    def __add__(self, other):
        other = other if isinstance(other, Node) else Node(other)
        out = Node(self.value + other.value, (self, other), 'add')
        def _backward():
            self.grad += out.grad
            other.grad += out.grad
        out._backward = _backward
        return out
    __radd__ = __add__

    def __mul__(self, other):
        other = other if isinstance(other, Node) else Node(other)
        out = Node(self.value * other.value, (self, other), 'mul')
        def _backward():
            self.grad += other.value * out.grad
            other.grad += self.value * out.grad
        out._backward = _backward
        return out
    __rmul__ = __mul__

    def order(self):
        if self._topo is None:
            seen, topo = set(), []
            def visit(n):
                if id(n) in seen:
                    return
                seen.add(id(n))
                for p in n.parents:
                    visit(p)
                topo.append(n)
            visit(self)
            self._topo = topo
        return self._topo

    def backward(self, grad=1):
        for n in self.order():
            n.grad = 0
        self.grad = grad
        for n in reversed(self.order()):
            n._backward()

    def __repr__(self):
        return f"Node({self.value!r}, grad={self.grad!r}, op={self.op})"

x, y = Node(3), Node(4.5)
z = x * y + x * 2 + y
z.backward()
print(x, y, z)
z.backward()
print(x, y, z)
z.backward(grad=2.5)
print(x, y, z)
print([n.op for n in z.order()], [n.value for n in z.order()])
assert all(a is b for a, b in zip(z.order(), z.order()))
w = x
for i in range(30):
    w = w * 1.01 + y
w.backward()
print(x, y, w, len(w.order()))
ids = {id(n): i for i, n in enumerate(w.order())}
print([ids[id(p)] for n in w.order() for p in n.parents][:30])
