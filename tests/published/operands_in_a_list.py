"""Operands in a list, attributes called value, parents and gradient."""


class Scalar:
    def __init__(self, value, parents=None):
        self.value = value
        self.gradient = 0.0
        self.parents = list(parents) if parents else []
        self.propagate = lambda: None

    def __add__(self, other):
        if not isinstance(other, Scalar):
            other = Scalar(other)
        result = Scalar(self.value + other.value, [self, other])

        def propagate():
            self.gradient += result.gradient
            other.gradient += result.gradient

        result.propagate = propagate
        return result

    __radd__ = __add__

    def __mul__(self, other):
        if not isinstance(other, Scalar):
            other = Scalar(other)
        result = Scalar(self.value * other.value, [self, other])

        def propagate():
            self.gradient += other.value * result.gradient
            other.gradient += self.value * result.gradient

        result.propagate = propagate
        return result

    __rmul__ = __mul__

    def backward(self):
        order, seen = [], set()

        def visit(node):
            if node in seen:
                return
            seen.add(node)
            for parent in node.parents:
                visit(parent)
            order.append(node)

        visit(self)
        self.gradient = 1.0
        while order:
            order.pop().propagate()


def line(x, slope, shift):
    return slope * x + shift


slope, shift = Scalar(0.1), Scalar(0.0)
data = [(i / 10, 3 * i / 10 - 1) for i in range(10)]
for epoch in range(40):
    for p in (slope, shift):
        p.gradient = 0.0
    loss = Scalar(0.0)
    for x, y in data:
        d = line(x, slope, shift) + -y
        loss = loss + d * d
    loss.backward()
    for p in (slope, shift):
        p.value -= 0.02 * p.gradient
print(slope.value, shift.value, loss.value, len(loss.parents))
