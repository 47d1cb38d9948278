"""`_backward` is a method, and single objects get a rule of their own in its place, which later goes again."""


class Value:
    def __init__(self, data, _children=(), _op=""):
        self.data = data
        self.grad = 0.0
        self._prev = _children
        self._op = _op

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, (self, other), "+")

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, (self, other), "*")

    def _backward(self):
        if self._op == "+":
            for child in self._prev:
                child.grad += self.grad
        elif self._op == "*":
            left, right = self._prev
            left.grad += right.data * self.grad
            right.grad += left.data * self.grad

    def backward(self):
        order = []
        seen = set()

        def visit(v):
            if v not in seen:
                seen.add(v)
                for child in v._prev:
                    visit(child)
                order.append(v)

        visit(self)
        self.grad = 1.0
        for v in reversed(order):
            v._backward()


a, b = Value(2.0), Value(3.0)
product = a * b
product._backward = lambda: setattr(a, "grad", a.grad + 100.0)
total = product + a
total.backward()
print(a.grad, b.grad, product.grad)

del product._backward
a.grad = b.grad = 0
total.backward()
print(a.grad, b.grad, product.grad)

leaf = Value(2.0)
leaf._backward = lambda: print("the leaf's own rule, at gradient", leaf.grad)
(leaf * 3).backward()
