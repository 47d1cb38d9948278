"""Operands and rule are attributes of results only; leaves do without."""


class Var:
    def __init__(self, data):
        self.data = data
        self.grad = 0.0

    def __add__(self, other):
        other = other if isinstance(other, Var) else Var(other)
        out = Var(self.data + other.data)
        out.inputs = (self, other)

        def rule():
            self.grad += out.grad
            other.grad += out.grad
        out.rule = rule
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Var) else Var(other)
        out = Var(self.data * other.data)
        out.inputs = (self, other)

        def rule():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out.rule = rule
        return out

    def backward(self):
        order, seen = [], set()

        def visit(v):
            if v not in seen:
                seen.add(v)
                for i in getattr(v, 'inputs', ()):
                    visit(i)
                order.append(v)
        visit(self)
        self.grad = 1.0
        for v in reversed(order):
            if hasattr(v, 'rule'):
                v.rule()


a, b = Var(3.0), Var(-1.0)
c = a * b + a * a
c.backward()
print(c.data, a.grad, b.grad, hasattr(a, 'inputs'), hasattr(c, 'inputs'), len(c.inputs))
print(sorted(vars(a)), sorted(vars(c)))
