"""Each variable keeps pairs of an operand and a local gradient; gradients are a dictionary."""
from collections import defaultdict


class Variable:
    def __init__(self, value, local_gradients=()):
        self.value = value
        self.local_gradients = local_gradients

    def __add__(self, other):
        return Variable(self.value + other.value, ((self, 1), (other, 1)))

    def __mul__(self, other):
        return Variable(self.value * other.value, ((self, other.value), (other, self.value)))


def get_gradients(variable):
    gradients = defaultdict(lambda: 0)

    def compute(variable, path_value):
        for child, local in variable.local_gradients:
            value = path_value * local
            gradients[child] += value
            compute(child, value)

    compute(variable, path_value=1)
    return gradients


a, b = Variable(4), Variable(3)
c = a + b
d = a * c
gradients = get_gradients(d)
print(d.value, gradients[a], gradients[b], gradients[c])
