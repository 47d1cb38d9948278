"""backward() sorts with a stack and no recursion."""


class Node:
    def __init__(self, val, _children=()):
        self.val = val
        self.adj = 0.0
        self.args = tuple(_children)
        self.vjp = lambda: None

    def __add__(self, other):
        other = other if isinstance(other, Node) else Node(other)
        out = Node(self.val + other.val, (self, other))

        def vjp():
            self.adj += out.adj
            other.adj += out.adj
        out.vjp = vjp
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Node) else Node(other)
        out = Node(self.val * other.val, (self, other))

        def vjp():
            self.adj += other.val * out.adj
            other.adj += self.val * out.adj
        out.vjp = vjp
        return out

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + (-other)

    def backward(self):
        order, seen, stack = [], set(), [(self, False)]
        while stack:
            node, done = stack.pop()
            if done:
                order.append(node)
                continue
            if id(node) in seen:
                continue
            seen.add(id(node))
            stack.append((node, True))
            for arg in node.args:
                stack.append((arg, False))
        self.adj = 1.0
        for node in reversed(order):
            node.vjp()


x = Node(0.999)
y = x
for _ in range(300):
    y = y * x + 0.001
y.backward()
print(y.val, f"{x.adj:.9f}")
