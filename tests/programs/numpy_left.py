"""NumPy's scalars, and everything else, on either side of nodes: results, types and errors of all operators."""

import operator

import numpy as np


class Value:
    def __init__(self, data, _children=()):
        self.data = data
        self.grad = 0.0
        self._prev = tuple(_children)
        self._backward = lambda: None

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other))

        def _backward():
            self.grad += out.grad
            other.grad += out.grad

        out._backward = _backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other))

        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out._backward = _backward
        return out

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other

    def __neg__(self):
        return self * -1

    def __rsub__(self, other):
        return other + (-self)

    def backward(self):
        topo, seen = [], set()

        def build(v):
            if v not in seen:
                seen.add(v)
                for child in v._prev:
                    build(child)
                topo.append(v)

        build(self)
        self.grad = 1.0
        for v in reversed(topo):
            v._backward()


class Sized(Value):
    def __floordiv__(self, other):
        return "floor"

    def __rfloordiv__(self, other):
        return ("reflected", type(other).__name__)

    def __len__(self):
        return 3


class Plain(Value):
    pass


def show(result):
    if isinstance(result, Value):
        result.backward()
        leaf = result._prev[0] if result._prev else result
        numbers = (result.data, result.grad, leaf.grad)
        return (type(result).__name__, *((type(number).__name__, repr(number)) for number in numbers))
    if isinstance(result, np.ndarray):
        return ("array", result.shape, result.dtype.str, [show(item) for item in result.flat])
    return (type(result).__name__, repr(result).partition(" at 0x")[0])


SYMBOLS = "add mul sub truediv pow floordiv mod matmul and_ or_ xor lshift rshift lt le eq ne gt ge imul iadd"
LEFT = [
    np.int64(3), np.int64(-2), np.float64(1.5), np.float64("nan"), np.float32(0.1), np.int32(4), np.uint8(200),
    np.bool_(True), np.float16(0.5), np.longdouble(1.25), np.complex128(1j), np.str_("ab"), np.bytes_(b"x"),
    np.datetime64("2020-01-01"), np.timedelta64(3, "D"), np.array(2.0), np.array([1, 2]), np.array([1.0, None]),
    np.ma.array([1, 2]), 3, 2.0, True, None, "x", [1],
]  # fmt: skip
noted = Value(2.0)
noted.note = 1
for name in SYMBOLS.split():
    for left in LEFT:
        nodes = [Value(2.0), Value(3), Value(np.float64(0.5)), Value(1.0) * Value(2.0), Sized(2.0), Plain(2.0), noted]
        for index, node in enumerate(nodes):
            for one, two in ((left, node), (node, left)):
                try:
                    shown = show(getattr(operator, name)(one, two))
                except Exception as error:
                    shown = (type(error).__name__, str(error))
                print(name, type(one).__name__, index, shown)

v = Value(2.0)
print(v in [np.int64(3), v], np.int64(3) in [v], [np.float64(1.0)].count(v), v == v, v != v, {v: 1}[v])
print(Value.__eq__ is object.__eq__, Value.__hash__ is object.__hash__, [name for name in dir(v) if "array" in name])
print([name for name in ("__add__", "__radd__", "__pow__", "__rpow__", "__sub__") if hasattr(Value, name)])
print(show(np.multiply(2, v)), show(np.dot([v, v], np.array([1.0, 2.0]))), show(sum([v, v], np.float64(0.0))))

# What the class, a node or a part of it is given later counts.
print(show(np.int64(3) * v), np.int64(3) == v)
Value.__lt__ = lambda self, other: type(other).__name__
print(np.int64(3) > v, v < np.int64(3), show(np.int64(3) * v))
del Value.__lt__
Value.__rfloordiv__ = lambda self, other: type(other).__name__
print(np.int64(3) // v)
del Value.__rfloordiv__
print(show(np.int64(3) * v))


class Callable:
    def __call__(self, other):
        return type(other).__name__


Value.__rmod__ = Callable()
print(np.int64(3) % v)
