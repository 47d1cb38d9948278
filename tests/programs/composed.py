"""Methods made of nothing but operators, in the forms that people give them; and errors inside them."""
import traceback


class Value:
    def __init__(self, data, _children=(), _op=""):
        self.data = data
        self.grad = 0.0
        self._backward = lambda: None
        self._prev = set(_children)
        self._op = _op

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other), "+")

        def _backward():
            self.grad += out.grad
            other.grad += out.grad

        out._backward = _backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other), "*")

        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out._backward = _backward
        return out

    def __pow__(self, other):
        assert isinstance(other, (int, float)), "numbers only"
        out = Value(self.data**other, (self,), f"**{other}")

        def _backward():
            self.grad += other * self.data ** (other - 1) * out.grad

        out._backward = _backward
        return out

    def __neg__(self):
        """The sign changed."""
        return -1.0 * self

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other

    def __sub__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return self + (-other)

    def __rsub__(self, other):
        return -(self - other)

    def __truediv__(self, other):
        return self * other**-1

    def __rtruediv__(self, other):
        return other * self**-1

    def square(self):
        return self**2

    def cube(self):
        return self.square() * self

    def sigmoid(self):
        return 1 / (1 + self.square())

    def backward(self):
        order, seen = [], set()

        def build(node):
            if node not in seen:
                seen.add(node)
                for child in node._prev:
                    build(child)
                order.append(node)

        build(self)
        self.grad = 1.0
        for node in reversed(order):
            node._backward()

    def __repr__(self):
        return f"Value({self.data!r}, {self.grad!r}, {self._op!r})"


def show(node, depth=4):
    return (repr(node), sorted((show(one, depth - 1) for one in node._prev), key=repr) if depth else "...")


for left, right in ((Value(1.5), Value(-0.25)), (Value(3), 2), (2.5, Value(4)), (Value(-0.0), 0.0), (0, Value(2))):
    for operation in (lambda a, b: a - b, lambda a, b: a / b, lambda a, b: -a - b):
        try:
            result = operation(left, right)
        except ZeroDivisionError as error:
            print(type(error).__name__, error, [frame.name for frame in traceback.extract_tb(error.__traceback__)])
            continue
        print(show(result) if isinstance(result, Value) else result)
        if isinstance(result, Value):
            result.backward()
            print(left, right)
x = Value(0.75)
y = x.cube() + x.sigmoid() - x.square() / 3
y.backward()
print(show(y, 9))
print(x.__sub__(1), x.__rsub__(1), Value.__neg__(x), x.__truediv__(0.5), (3).__sub__(2), x.__neg__.__name__)
for strange in ("text", None, [1.0], 1 + 2j, 2**70, object):
    for operation in (lambda a, b: a - b, lambda a, b: b - a, lambda a, b: a / b, lambda a, b: b / a):
        try:
            print(operation(x, strange))
        except Exception as error:
            print(type(error).__name__, error, [frame.name for frame in traceback.extract_tb(error.__traceback__)])
print(Value.__neg__.__doc__, hasattr(Value, "__pos__"), hasattr(Value, "__abs__"))


class Loud(Value):
    def __neg__(self):
        print("negated")
        return super().__neg__()

    def __sub__(self, other):
        return NotImplemented


print(-Loud(2.0), Value(1.0) - Loud(2.0), Value(3.0) / Loud(2.0))
for operation in (lambda: Loud(1.0) - 2, lambda: Loud(1.0) - Value(2.0), lambda: 5 - Loud(1.0)):
    try:
        print(operation())
    except TypeError as error:
        print(error)
Value.__neg__ = lambda self: self * 10
print(-x, x - 1, 1 - x)
del Value.__neg__
for operation in (lambda: -x, lambda: x - x):
    try:
        operation()
    except TypeError as error:
        print(error)
del Value.__sub__, Value.__rsub__
for operation in (lambda: 1 - x, lambda: x - 1, lambda: x - x):
    try:
        operation()
    except TypeError as error:
        print(error)
print(x / 2)
