"""A tape: a list of the module to which every operation appends its rule."""

tape = []


class Var:
    def __init__(self, data):
        self.data = data
        self.grad = 0.0

    def __add__(self, other):
        out = Var(self.data + other.data)

        def rule():
            self.grad += out.grad
            other.grad += out.grad
        tape.append(rule)
        return out

    def __mul__(self, other):
        out = Var(self.data * other.data)

        def rule():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        tape.append(rule)
        return out


def backward(v):
    v.grad = 1.0
    for rule in reversed(tape):
        rule()
    tape.clear()


a, b = Var(2.0), Var(7.0)
c = a * b + a
backward(c)
print(c.data, a.grad, b.grad)
