"""Two moons as a notebook has them: the rows of a NumPy array, targets from an array of integers.

The class and the network are those of `moons.py` beside it, so that what is measured is what NumPy's numbers cost.
`python bench/programs/moons_numpy.py [STEPS]`.
"""

import random
import sys

import numpy as np
from moons import MLP, Value, make_points

random.seed(1337)
np.random.seed(1337)
steps = int(sys.argv[1]) if len(sys.argv) > 1 else 60

points, labels = make_points(100)
X = np.array(points)
y = (np.array(labels) + 1) // 2
y = y * 2 - 1  # -1 or 1
model = MLP(2, [16, 16, 1])


def loss(batch_size=None):
    if batch_size is None:
        Xb, yb = X, y
    else:
        ri = np.random.permutation(X.shape[0])[:batch_size]
        Xb, yb = X[ri], y[ri]
    inputs = [list(map(Value, xrow)) for xrow in Xb]
    scores = list(map(model, inputs))
    losses = [(1 + -yi * scorei).relu() for yi, scorei in zip(yb, scores)]
    data_loss = sum(losses) * (1.0 / len(losses))
    reg_loss = 1e-4 * sum((p * p for p in model.parameters()))
    total_loss = data_loss + reg_loss
    accuracy = [(yi > 0) == (scorei.data > 0) for yi, scorei in zip(yb, scores)]
    return total_loss, sum(accuracy) / len(accuracy)


for k in range(steps):
    total_loss, acc = loss()
    model.zero_grad()
    total_loss.backward()
    learning_rate = 1.0 - 0.9 * k / 100
    for p in model.parameters():
        p.data -= learning_rate * p.grad
    if k % 1 == 0:
        print(f"step {k} loss {total_loss.data:.9g}, accuracy {acc * 100}%")
