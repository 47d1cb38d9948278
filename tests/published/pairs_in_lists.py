"""Every node lists where its gradient goes: (node, factor), for any number of them; a switch of the module stops it."""
import math

TRACKING = True


class Scalar:
    def __init__(self, value, flows=None):
        self.value = float(value)
        self.gradient = 0.0
        self.flows = list(flows) if flows and TRACKING else []

    @staticmethod
    def of(x):
        return x if isinstance(x, Scalar) else Scalar(x)

    def __add__(self, other):
        other = Scalar.of(other)
        return Scalar(self.value + other.value, [(self, 1.0), (other, 1.0)])

    def __mul__(self, other):
        other = Scalar.of(other)
        return Scalar(self.value * other.value, [(self, other.value), (other, self.value)])

    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        return self + (-Scalar.of(other))

    __radd__ = __add__
    __rmul__ = __mul__

    def tanh(self):
        t = math.tanh(self.value)
        return Scalar(t, [(self, 1.0 - t * t)])

    def backward(self):
        order, done = [], set()

        def walk(node):
            if id(node) in done:
                return
            done.add(id(node))
            for parent, _ in node.flows:
                walk(parent)
            order.append(node)
        walk(self)
        self.gradient = 1.0
        while order:
            node = order.pop()
            for parent, factor in node.flows:
                parent.gradient += factor * node.gradient


def predict(weights, xs):
    return sum((w * x for w, x in zip(weights, xs)), weights[-1]).tanh()


weights = [Scalar(0.5), Scalar(-0.25), Scalar(0.125)]
rows = [((0.0, 1.0), -0.5), ((1.0, 0.0), 0.5), ((1.0, 1.0), 0.25), ((-1.0, 0.5), -0.75)]
for epoch in range(40):
    errors = [predict(weights, xs) - y for xs, y in rows]
    loss = sum(e * e for e in errors)
    loss.backward()
    for w in weights:
        w.value -= 0.1 * w.gradient
        w.gradient = 0.0
TRACKING = False
print([f'{predict(weights, xs).value:.9f}' for xs, _ in rows], predict(weights, rows[0][0]).flows)
TRACKING = True
print(f'{loss.value:.9f}', len(loss.flows), [factor for _, factor in (weights[0] * 3).flows])
