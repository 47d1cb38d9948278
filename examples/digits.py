"""Handwritten digits, 8x8 pixels (scikit-learn's 1,797), told apart by a scalar-valued MLP(64, [32, 10]).

python examples/digits.py [--samples N] [--epochs N] [--save FILE]
"""

from __future__ import annotations

import argparse
import random

import kilograd
from kilograd import MLP, optim


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1797)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--save", metavar="FILE", help="write the trained model there")
    options = parser.parse_args()

    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = list(range(len(images)))
    random.Random(0).shuffle(order)  # the images come writer by writer
    images, labels = images[order[: options.samples]] / 16.0, labels[order[: options.samples]]
    split = len(images) * 4 // 5

    random.seed(0)
    model = MLP(64, [32, 10], activation=["tanh", "linear"])
    for p in model.parameters():  # Python's weights are uniform from -1 to 1: too large for 64 inputs
        p.data *= 0.2
    optimizer = optim.Adam(model, lr=0.01)
    history = kilograd.fit(
        model, images[:split], labels[:split], loss="cross_entropy", optimizer=optimizer,
        epochs=options.epochs, batch_size=32, seed=0,
    )  # fmt: skip
    right = kilograd.predict(model, images[split:]).argmax(axis=1) == labels[split:]
    print(f"{len(model.parameters())} parameters, {len(history.steps)} steps in {sum(history.times):.1f} s")
    print(f"loss {history.losses[0]:.4f} -> {history.losses[-1]:.4f}")
    print(f"accuracy on {len(right)} images that it never saw: {right.mean():.1%}")
    if options.save:
        kilograd.save(options.save, model, optimizer)
        print(f"wrote {options.save}")


if __name__ == "__main__":
    main()
