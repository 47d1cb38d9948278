"""The classifier of the article, three ways: as written there, replayed in place, and without a loop.

python examples/article.py [--steps N]
"""

from __future__ import annotations

import argparse
import random

import kilograd
from kilograd import MLP, optim

XS = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
YS = [1.0, -1.0, -1.0, 1.0]


def make() -> MLP:
    random.seed(1337)
    return MLP(3, [4, 4, 1])


def as_written(steps: int) -> list[float]:
    n = make()
    losses = []
    for _ in range(steps):
        ypred = [n(x) for x in XS]
        loss = sum((yout - ygt) ** 2 for ygt, yout in zip(YS, ypred, strict=True))
        for p in n.parameters():
            p.grad = 0.0
        loss.backward()
        for p in n.parameters():
            p.data += -0.1 * p.grad
        losses.append(loss.data)
    return losses


def replayed(steps: int) -> list[float]:
    """The graph is built once; each step recomputes it from the parameters as they are."""
    n = make()
    loss = sum((n(x) - y) ** 2 for x, y in zip(XS, YS, strict=True))
    optimizer = optim.SGD(n, lr=0.1)
    losses = []
    for _ in range(steps):
        losses.append(loss.forward())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses


def fitted(steps: int) -> list[float]:
    """The mean in place of the sum, hence four times the rate."""
    n = make()
    history = kilograd.fit(n, XS, YS, loss="mse", optimizer=optim.SGD(n, lr=0.4), epochs=steps)
    return [4 * loss for loss in history.losses]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=50)
    steps = parser.parse_args().steps
    runs = [as_written(steps), replayed(steps), fitted(steps)]
    print(f"{'step':>4} {'as written':>14} {'replayed':>14} {'fit':>14}")
    for k in sorted({*range(0, steps, 10), steps - 1}):
        print(f"{k:4}", *(f"{losses[k]:14.9f}" for losses in runs))


if __name__ == "__main__":
    main()
