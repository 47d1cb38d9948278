"""Local gradients beside the operands, and a minus of its own: -1 is written where it belongs."""
import math
import random


class Num:
    __slots__ = ('v', 'g', 'args', 'slopes')

    def __init__(self, v, args=(), slopes=()):
        self.v = v
        self.g = 0.0
        self.args = args
        self.slopes = slopes

    def __add__(self, other):
        other = other if isinstance(other, Num) else Num(other)
        return Num(self.v + other.v, (self, other), (1.0, 1.0))

    def __sub__(self, other):
        other = other if isinstance(other, Num) else Num(other)
        return Num(self.v - other.v, (self, other), (1.0, -1.0))

    def __mul__(self, other):
        other = other if isinstance(other, Num) else Num(other)
        return Num(self.v * other.v, (self, other), (other.v, self.v))

    def __neg__(self):
        return Num(-self.v, (self,), (-1.0,))

    def __rsub__(self, other):
        return Num(other) - self

    __radd__ = __add__
    __rmul__ = __mul__

    def exp(self):
        e = math.exp(self.v)
        return Num(e, (self,), (e,))

    def log(self):
        return Num(math.log(self.v), (self,), (1.0 / self.v,))

    def backward(self):
        order, seen = [], set()

        def visit(n):
            if n not in seen:
                seen.add(n)
                for a in n.args:
                    visit(a)
                order.append(n)
        visit(self)
        self.g = 1.0
        for n in reversed(order):
            for a, slope in zip(n.args, n.slopes):
                a.g += slope * n.g


random.seed(3)
points = [(random.gauss(-1, 1), 0.0) for _ in range(10)] + [(random.gauss(1.5, 1), 1.0) for _ in range(10)]
w, b = Num(0.1), Num(0.0)
for step in range(30):
    loss = Num(0.0)
    for x, target in points:
        score = w * x - b
        # the log of the logistic function of the score, or of what is left of 1
        loss = loss + ((1.0 + (-score).exp()).log() if target else (1.0 + score.exp()).log())
    loss = loss * (1 / len(points))
    w.g = b.g = 0.0
    loss.backward()
    w.v -= 0.5 * w.g
    b.v -= 0.5 * b.g
    if step % 10 == 0:
        print(step, round(loss.v, 9))
print(f'{w.v:.9f} {b.v:.9f}', (1 - w).slopes, (-w).slopes)
