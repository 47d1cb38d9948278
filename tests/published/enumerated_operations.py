"""The operation is an Enum, and one method has all the rules."""
from enum import Enum


class Op(Enum):
    NONE = 0
    ADD = 1
    MUL = 2


class Scalar:
    def __init__(self, data, operands=(), op=Op.NONE):
        self.data = data
        self.grad = 0.0
        self.operands = operands
        self.op = op

    def __add__(self, other):
        other = other if isinstance(other, Scalar) else Scalar(other)
        return Scalar(self.data + other.data, (self, other), Op.ADD)

    def __mul__(self, other):
        other = other if isinstance(other, Scalar) else Scalar(other)
        return Scalar(self.data * other.data, (self, other), Op.MUL)

    def _backward(self):
        if self.op is Op.ADD:
            for o in self.operands:
                o.grad += self.grad
        elif self.op is Op.MUL:
            x, y = self.operands
            x.grad += y.data * self.grad
            y.grad += x.data * self.grad

    def backward(self):
        topo, seen = [], set()

        def build(v):
            if v not in seen:
                seen.add(v)
                for o in v.operands:
                    build(o)
                topo.append(v)
        build(self)
        self.grad = 1.0
        for v in reversed(topo):
            v._backward()


a, b = Scalar(2.0), Scalar(3.0)
c = a * b + b
c.backward()
print(c.data, a.grad, b.grad, c.op)
