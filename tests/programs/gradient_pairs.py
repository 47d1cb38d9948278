"""Operands in pairs with their local gradients: read, walked, changed, copied; integers, big ones too, and fractions."""
import copy
import math
import pickle
from fractions import Fraction


class Var:
    def __init__(self, value, grad_wrt=()):
        self.value = value
        self.grad = 0.0
        self.grad_wrt = list(grad_wrt)

    def __add__(self, other):
        other = other if isinstance(other, Var) else Var(other)
        return Var(self.value + other.value, [(self, 1.0), (other, 1.0)])

    def __mul__(self, other):
        other = other if isinstance(other, Var) else Var(other)
        return Var(self.value * other.value, [(self, other.value), (other, self.value)])

    __radd__ = __add__
    __rmul__ = __mul__

    def __pow__(self, power):
        return Var(self.value**power, [(self, power * self.value ** (power - 1))])

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + -other

    def exp(self):
        return Var(math.exp(self.value), [(self, math.exp(self.value))])

    def log(self):
        return Var(math.log(self.value), [(self, 1.0 / self.value)])

    def backward(self):
        order, seen = [], set()

        def visit(node):
            if node not in seen:
                seen.add(node)
                for operand, _ in node.grad_wrt:
                    visit(operand)
                order.append(node)
        visit(self)
        self.grad = 1.0
        for node in reversed(order):
            for operand, slope in node.grad_wrt:
                operand.grad += slope * node.grad


def show(node):
    return node.value, node.grad, [(operand.value, slope) for operand, slope in node.grad_wrt]


x, y = Var(0.75), Var(-1.5)
z = x * y + x.exp() - (x * x + 2).log() * 3
z.backward()
print(show(z), show(x), show(y), show(z.grad_wrt[0][0]))
print(z.grad_wrt[0][0] is z.grad_wrt[0][0], (x * 2).grad_wrt[0][0] is x, x.grad_wrt, type(z.grad_wrt), type(z.grad_wrt[0]))
w = x * y
x.value = 100.0  # the local gradients are those of the moment
print(show(w))
w.backward()
print(show(x), show(y))
x.value = 0.5
v = x * y + y
v.grad_wrt.append((x, 1000.0))
v.backward()
print(show(v), show(x))
v = x * y
v.grad_wrt[0] = (x, 7.0)
(v * 2).backward()
print(show(v), show(x))
v = x * y + 1
v.grad_wrt = [(x, 3)]
v.backward()
print(show(v), show(x))
v = Var(1.0, [(x, 2.0), (x, 0.5), (y, 1)])
u = v * v
u.backward()
print(show(u), show(v), show(x))
n = Var(3) * Var(2**60) * 5 + 1
n.backward()
print(show(n), show(n.grad_wrt[0][0]))
f = Var(Fraction(1, 3)) * 2 + Var(Fraction(1, 6))
f.backward()
print(show(f))
twin = copy.deepcopy(u)
twin.backward()
print(show(twin), show(u), show(twin.grad_wrt[0][0]))
again = pickle.loads(pickle.dumps(u))
again.backward()
print(show(again), show(again.grad_wrt[1][0]))
for attempt in (lambda: x + "text", lambda: Var(-1.0).log(), lambda: Var(0.0) ** -1, lambda: Var("a").exp()):
    try:
        print(show(attempt()))
    except Exception as error:
        print(type(error).__name__, error)
loop = Var(1.0)
loop.grad_wrt = [(loop, 0.0)]
print(loop.grad_wrt[0][0] is loop)
deep = Var(1.0)
for i in range(300):
    deep = deep * 0.99 + x
deep.backward()
print(show(deep), x.grad)
