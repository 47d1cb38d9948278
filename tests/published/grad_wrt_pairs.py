"""Pairs of an operand and its derivative in one list, grad_wrt."""


class Value:
    def __init__(self, data, grad_wrt=()):
        self.data = data
        self.grad = 0.0
        self.grad_wrt = grad_wrt

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, ((self, 1.0), (other, 1.0)))

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, ((self, other.data), (other, self.data)))

    def backward(self):
        topo, seen = [], set()

        def build(v):
            if v not in seen:
                seen.add(v)
                for operand, _ in v.grad_wrt:
                    build(operand)
                topo.append(v)
        build(self)
        self.grad = 1.0
        for v in reversed(topo):
            for operand, slope in v.grad_wrt:
                operand.grad += slope * v.grad


x, y = Value(2.0), Value(0.25)
z = x * y + x
z.backward()
print(z.data, x.grad, y.grad, [slope for _, slope in z.grad_wrt])
