"""Truths of the module that the operators read: set by statements, by functions, to what is no truth, and deleted."""
import math

GRAD = True
EXACT = False
VERBOSE = False


class Value:
    def __init__(self, data, parents=()):
        self.data = data
        self.grad = 0.0
        self.parents = parents if GRAD else ()
        self._backward = None

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other))

        def _backward():
            self.grad += out.grad
            other.grad += out.grad
        if GRAD:
            out._backward = _backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other))

        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        if GRAD:
            out._backward = _backward
        return out

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + (-other)

    def exp(self):
        if EXACT:
            return Value(math.expm1(self.data) + 1.0)
        out = Value(math.exp(self.data), (self,))

        def _backward():
            self.grad += out.data * out.grad
        if GRAD:
            out._backward = _backward
        return out

    def late(self):
        out = Value(self.data + 1.0, (self,))

        def _backward():
            self.grad += out.grad if GRAD else 100.0
        out._backward = _backward
        return out

    def backward(self):
        if not GRAD:
            raise RuntimeError("no gradients now")
        topo, seen = [], set()

        def build(v):
            if v not in seen:
                seen.add(v)
                for p in v.parents:
                    build(p)
                topo.append(v)
        build(self)
        self.grad = 1.0
        for v in reversed(topo):
            if v._backward:
                v._backward()


class no_grad:
    def __enter__(self):
        global GRAD
        self.before, GRAD = GRAD, False

    def __exit__(self, *exc):
        global GRAD
        GRAD = self.before


def state(*values):
    return [(v.data, v.grad, len(v.parents), v._backward is None) for v in values]


x, y = Value(1.5), Value(-0.5)
held = x * y + x.exp() - y
with no_grad():
    silent = x * y + x.exp() - 2
    print(state(silent, Value(3)), silent.parents, held.parents[0].parents[0] is not None)
    with no_grad():
        pass
    print(state(x + 1))
    try:
        held.backward()
    except RuntimeError as error:
        print(error, state(x, y))
held.backward()
print(state(held, x, y, x + 1))
bound = x.exp
EXACT = True
print(bound().data == math.exp(1.5), bound().data == math.expm1(1.5) + 1.0, bound().parents)
EXACT = False
print(len(bound().parents))
for other in (0, 1, None, "yes", []):
    GRAD = other
    print(other, state(x + y, x * 2))
GRAD = True
z = x.late() * 2
GRAD = False
print(state(z))
GRAD = True
z.backward()
print(x.grad)
del GRAD
try:
    x + y
except NameError as error:
    print(error)
GRAD = True
total = sum([x * k for k in range(1, 4)], Value(0.0))
total.backward()
print(state(total, x))
