"""Two interleaved half circles, told apart by MLP(2, [16, 16, 1]) with a hinge loss; draws the decision boundary.

python examples/moons.py [--samples N] [--epochs N] [--output FILE]
"""

from __future__ import annotations

import argparse
import math
import random

import kilograd
from kilograd import optim
from kilograd.micrograd.nn import MLP


def moons(count: int, noise: float = 0.1) -> tuple[list[list[float]], list[int]]:
    """Points of two half circles with Gaussian noise, and their classes -1 and 1."""
    points, classes = [], []
    for k in range(count):
        angle = math.pi * random.random()
        upper = k % 2 == 0
        x, y = (math.cos(angle), math.sin(angle)) if upper else (1 - math.cos(angle), 0.5 - math.sin(angle))
        points.append([x + random.gauss(0, noise), y + random.gauss(0, noise)])
        classes.append(-1 if upper else 1)
    return points, classes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--output", default="moons.png")
    options = parser.parse_args()

    random.seed(1337)
    points, classes = moons(options.samples)
    model = MLP(2, [16, 16, 1])
    optimizer = optim.Adam(model, lr=optim.Cosine(0.02, options.epochs), weight_decay=1e-4)
    history = kilograd.fit(model, points, classes, loss="hinge", optimizer=optimizer, epochs=options.epochs)
    right = (kilograd.predict(model, points) > 0) == (kilograd.arrays.data(classes) > 0)
    print(f"{model.__class__.__name__} with {len(model.parameters())} parameters")
    print(f"loss {history.losses[0]:.4f} -> {history.losses[-1]:.4f}, accuracy {right.mean():.1%}")

    ax = kilograd.training.plot_boundary(model, points, classes)
    ax.set_title(f"moons: accuracy {right.mean():.1%}")
    ax.figure.savefig(options.output, dpi=120)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
