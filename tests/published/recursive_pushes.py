"""backward(gradient) calls itself on the operands: every path is walked."""


class Var:
    def __init__(self, data, _children=()):
        self.data = data
        self.grad = 0.0
        self._prev = tuple(_children)
        self._backward = lambda: None
        self.kind = ''

    def __add__(self, other):
        other = other if isinstance(other, Var) else Var(other)
        out = Var(self.data + other.data, (self, other))

        def _backward():
            self.grad += out.grad
            other.grad += out.grad
        out._backward = _backward
        out.kind = '+'
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Var) else Var(other)
        out = Var(self.data * other.data, (self, other))

        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out._backward = _backward
        out.kind = '*'
        return out

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + (-other)

    def backward(self, gradient=1.0):
        self.grad += gradient
        if len(self._prev) == 2:
            x, y = self._prev
            if self.kind == '+':
                x.backward(gradient)
                y.backward(gradient)
            else:
                x.backward(gradient * y.data)
                y.backward(gradient * x.data)


a, b = Var(2.0), Var(-4.0)
c = a * b + a * 3
c.backward()
print(c.data, a.grad, b.grad)
