"""Results carry an object that has a backward() of its own."""


class AddBackward:
    def __init__(self, x, y):
        self.inputs = (x, y)

    def backward(self, gradient):
        return gradient, gradient


class MulBackward:
    def __init__(self, x, y):
        self.inputs = (x, y)

    def backward(self, gradient):
        x, y = self.inputs
        return gradient * y.data, gradient * x.data


class Scalar:
    def __init__(self, data, grad_fn=None):
        self.data = data
        self.grad = 0.0
        self.grad_fn = grad_fn

    def __add__(self, other):
        other = other if isinstance(other, Scalar) else Scalar(other)
        return Scalar(self.data + other.data, AddBackward(self, other))

    def __mul__(self, other):
        other = other if isinstance(other, Scalar) else Scalar(other)
        return Scalar(self.data * other.data, MulBackward(self, other))

    def backward(self):
        topo, seen = [], set()

        def build(v):
            if v not in seen:
                seen.add(v)
                if v.grad_fn is not None:
                    for i in v.grad_fn.inputs:
                        build(i)
                topo.append(v)
        build(self)
        self.grad = 1.0
        for v in reversed(topo):
            if v.grad_fn is not None:
                for i, g in zip(v.grad_fn.inputs, v.grad_fn.backward(v.grad)):
                    i.grad += g


a, b = Scalar(2.0), Scalar(-3.0)
c = a * b + a
c.backward()
print(c.data, a.grad, b.grad, type(c.grad_fn).__name__, a.grad_fn)
