"""Proof on real data: MLP(64, [32, 10]) in scalars on scikit-learn's handwritten digits, against PyTorch.

Trains on four fifths of the 1,797 images, tests on the rest, and lets PyTorch train the same network on the same ones
in the same order from the same weights: the losses of all steps have to agree to 1e-9. Needs scikit-learn, and PyTorch
where the comparison is wanted.

python -m bench.digits [--epochs N] [--samples N]
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Iterator
from time import process_time
from typing import Any

BATCH = 32
RATE = 0.01
GOAL = 0.95
SECONDS = 60.0
TOLERANCE = 1e-9


def batches(count: int, epochs: int) -> Iterator[list[int]]:
    rng = random.Random(0)
    for _ in range(epochs):
        order = list(range(count))
        rng.shuffle(order)
        yield from (order[i : i + BATCH] for i in range(0, count, BATCH))


def with_kilograd(model: Any, images: Any, labels: Any, epochs: int) -> list[float]:
    import kilograd

    random.seed(0)  # so that fit() draws the batches of batches()
    optimizer = kilograd.optim.Adam(model, lr=RATE)
    history = kilograd.fit(
        model, images, labels, loss="cross_entropy", optimizer=optimizer, epochs=epochs, batch_size=BATCH
    )
    return history.steps


def with_torch(weights: list[tuple[Any, Any]], images: Any, labels: Any, epochs: int) -> list[float]:
    import torch

    torch.set_num_threads(1)
    layers = [
        (torch.tensor(w, requires_grad=True), torch.tensor(b, requires_grad=True)) for w, b in weights
    ]  # float64, as NumPy's
    optimizer = torch.optim.Adam([p for layer in layers for p in layer], lr=RATE)
    x, t = torch.tensor(images), torch.tensor(labels)
    losses = []
    for batch in batches(len(x), epochs):
        hidden = torch.tanh(x[batch] @ layers[0][0].T + layers[0][1])
        loss = torch.nn.functional.cross_entropy(hidden @ layers[1][0].T + layers[1][1], t[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.digits", description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--samples", type=int, default=1797)
    options = parser.parse_args(arguments)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])

    from sklearn.datasets import load_digits

    import kilograd

    images, labels = load_digits(return_X_y=True)
    order = list(range(len(images)))
    random.Random(0).shuffle(order)  # the images come writer by writer
    images, labels = images[order[: options.samples]] / 16.0, labels[order[: options.samples]]
    split = len(images) * 4 // 5

    random.seed(0)
    model = kilograd.MLP(64, [32, 10], activation=["tanh", "linear"])
    for p in model.parameters():
        p.data *= 0.2
    weights = [
        (kilograd.arrays.data([n.w for n in layer.neurons]), kilograd.arrays.data([n.b for n in layer.neurons]))
        for layer in model.layers
    ]
    began = process_time()
    losses = with_kilograd(model, images[:split], labels[:split], options.epochs)
    seconds = process_time() - began
    accuracy = float((kilograd.predict(model, images[split:]).argmax(axis=1) == labels[split:]).mean())
    print(
        f"kilograd: {len(losses)} steps of {BATCH} images in {seconds:.2f} s of processor time, "
        f"loss {losses[0]:.4f} -> {losses[-1]:.4f}"
    )
    print(f"accuracy on {len(images) - split} images held out: {accuracy:.2%}")
    passed = accuracy >= GOAL and seconds <= SECONDS
    print(f"{'pass' if passed else 'MISS'}: at least {GOAL:.0%} within {SECONDS:.0f} s on one core")

    try:
        theirs = with_torch(weights, images[:split], labels[:split], options.epochs)
    except ImportError:
        print("PyTorch is not installed: no comparison")
        return 0 if passed else 1
    worst = max(abs(a - b) for a, b in zip(losses, theirs, strict=True))
    agree = worst <= TOLERANCE
    print(f"{'pass' if agree else 'MISS'}: PyTorch's losses differ by at most {worst:.1e} over {len(theirs)} steps")
    return 0 if passed and agree else 1


if __name__ == "__main__":
    sys.exit(main())
