"""A character model: learns how given names are spelt, and makes up new ones.

From the last three letters the next one is predicted: an embedding for each letter, then MLP(3 * 4, [24, 27]).

python examples/names.py [--steps N] [--names FILE]
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import kilograd
from kilograd import MLP, Module, Value, no_grad, optim

LETTERS = ".abcdefghijklmnopqrstuvwxyz"  # the dot begins and ends a name
CONTEXT = 3
WIDTH = 4


class Speller(Module):
    """From the indices of the last letters to a score for each next one."""

    def __init__(self, hidden: int) -> None:
        self.embedding = [[Value(random.gauss(0, 0.5)) for _ in range(WIDTH)] for _ in LETTERS]
        self.mlp = MLP(CONTEXT * WIDTH, [hidden, len(LETTERS)], activation=["tanh", "linear"])
        for p in self.mlp.parameters():
            p.data *= 0.3

    def __call__(self, letters: list[int]) -> list[Value]:
        return self.mlp([v for i in letters for v in self.embedding[i]])

    def parameters(self) -> list[Value]:
        return [v for row in self.embedding for v in row] + self.mlp.parameters()


def samples(names: list[str]) -> tuple[list[list[int]], list[int]]:
    contexts, following = [], []
    for name in names:
        window = [0] * CONTEXT
        for letter in f"{name}.":
            index = LETTERS.index(letter)
            contexts.append(window)
            following.append(index)
            window = [*window[1:], index]
    return contexts, following


def invent(model: Speller, rng: random.Random) -> str:
    window, name = [0] * CONTEXT, ""
    with no_grad():
        while len(name) < 20:
            weights = kilograd.arrays.data(kilograd.functional.softmax(model(window)))
            index = rng.choices(range(len(LETTERS)), weights.tolist())[0]
            if index == 0:
                break
            name += LETTERS[index]
            window = [*window[1:], index]
    return name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--names", type=Path, default=Path(__file__).with_name("names.txt"))
    options = parser.parse_args()

    random.seed(42)
    contexts, following = samples(options.names.read_text().split())
    model = Speller(hidden=24)
    optimizer = optim.AdamW(model, lr=optim.WarmUp(optim.Cosine(0.02, options.steps), 20), clip_norm=1.0)
    batch = 32
    losses = []
    for step in range(options.steps):
        chosen = random.sample(range(len(contexts)), batch)
        loss = kilograd.functional.cross_entropy([model(contexts[i]) for i in chosen], [following[i] for i in chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.data)
        if step % 100 == 0 or step == options.steps - 1:
            recent = losses[-100:]
            print(f"step {step:5}  loss {sum(recent) / len(recent):.4f}")
    rng = random.Random(1)
    print("invented:", ", ".join(invent(model, rng) for _ in range(10)))


if __name__ == "__main__":
    main()
