"""Graphs that several threads build, hand to each other and differentiate at the same time, against plain integers.

Every number is an integer that a float holds, so that no sum depends on its order: whatever the threads do first, data
and gradients are what one thread would get. Where threads take turns it is the same programs with other switches.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import gc
import itertools
import random
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from kilograd import Value

LARGE = 1000.0


class Known(NamedTuple):
    """A Value, its number, and its derivatives by the leaves that it depends on."""

    value: Value
    number: float
    slopes: dict[int, float]


names = itertools.count()


def leaf(number: float) -> Known:
    return Known(Value(number), number, {next(names): 1.0})


def combined(a: Known, b: Known, by_a: float, by_b: float, value: Value, number: float) -> Known:
    leaves = a.slopes.keys() | b.slopes.keys()
    slopes = {k: by_a * a.slopes.get(k, 0.0) + by_b * b.slopes.get(k, 0.0) for k in leaves}
    return Known(value, number, slopes)


def result(dice: random.Random, a: Known, b: Known) -> Known:
    """A new node over two."""
    kind = dice.randrange(4)
    if kind == 0:
        return combined(a, b, 1.0, 1.0, a.value + b.value, a.number + b.number)
    if kind == 1:
        return combined(a, b, 1.0, -1.0, a.value - b.value, a.number - b.number)
    if kind == 2 and abs(a.number) < LARGE and abs(b.number) < LARGE:
        return combined(a, b, b.number, a.number, a.value * b.value, a.number * b.number)
    factor = float(dice.randint(-2, 2))
    return combined(a, a, factor, 0.0, a.value * factor, a.number * factor)


def fits(known: Known) -> bool:
    return abs(known.number) < LARGE and all(abs(slope) < LARGE for slope in known.slopes.values())


def checked(known: Known) -> None:
    assert known.value.data == known.number, (known.value.data, known.number)


class Together:
    """What the threads of one program have in common, and what each of them does."""

    def __init__(self, dice: random.Random) -> None:
        self.count = dice.randint(2, 4)
        self.shared = [leaf(float(dice.randint(-3, 3))) for _ in range(dice.randint(0, 3))]
        self.closures = dice.random() < 0.3
        self.mail: deque[Known] = deque()
        self.lasts: list[list[Known]] = [[] for _ in range(self.count)]
        self.totals: list[dict[int, float]] = [{} for _ in range(self.count)]
        self.seeds = [dice.random() for _ in range(self.count)]
        self.errors: list[BaseException] = []
        self.start = threading.Barrier(self.count)

    def body(self, number: int) -> None:
        try:
            dice = random.Random(self.seeds[number])
            self.start.wait()
            self.build(dice, self.lasts[number])
            self.differentiate(dice, self.totals[number])
        except BaseException as error:
            self.errors.append(error)

    def build(self, dice: random.Random, pool: list[Known]) -> None:
        """Nodes over shared leaves, over this thread's, and over those of others."""
        pool.extend(leaf(float(dice.randint(-3, 3))) for _ in range(2))
        for _ in range(dice.randint(20, 120)):
            choices = [*pool[-6:], *self.shared]
            made = result(dice, dice.choice(choices), dice.choice(choices))
            pool.append(made if fits(made) else leaf(1.0))
            chance = dice.random()
            if chance < 0.1:
                self.mail.append(pool[-1])
            elif chance < 0.2 and self.mail:
                try:
                    pool.append(self.mail.popleft())
                except IndexError:  # another thread was faster
                    continue
            elif chance < 0.3:
                checked(dice.choice(pool))
            elif chance < 0.35:
                del pool[: len(pool) // 2]
            elif chance < 0.37:
                gc.collect(0)
            elif chance < 0.4 and self.closures:
                self.rule(pool[-1])

    def rule(self, known: Known) -> None:
        """A cycle through a rule, for the collector."""
        out = Value(known.number, (known.value,), "same")
        out._backward = lambda: out.data

    def differentiate(self, dice: random.Random, totals: dict[int, float]) -> None:
        """Whole graphs of this thread over the shared leaves: several threads add to one gradient."""
        for _ in range(20):
            pool = [*self.shared, leaf(2.0)]
            for _ in range(dice.randint(1, 8)):
                made = result(dice, dice.choice(pool), dice.choice(pool))
                if fits(made):
                    pool.append(made)
            root = result(dice, pool[-1], pool[0])
            root.value.backward()
            checked(root)
            for key, slope in root.slopes.items():
                totals[key] = totals.get(key, 0.0) + slope


def run(seed: int) -> None:
    """Run the program of a seed."""
    together = Together(random.Random(seed))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=together.body, args=(i,)) for i in range(together.count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    if together.errors:
        raise together.errors[0]
    for known in together.shared:
        (name,) = known.slopes
        wanted = sum(totals.get(name, 0.0) for totals in together.totals)
        assert known.value.grad == wanted, (known.value.grad, wanted)
    ends = [pool[-1] for pool in together.lasts]
    root = ends[0]
    for end in ends[1:]:
        root = combined(root, end, 1.0, 1.0, root.value + end.value, root.number + end.number)
    checked(root)
    root.value.zero_grad()
    root.value.backward()
    for known in together.shared:
        (name,) = known.slopes
        if name in root.slopes:
            assert known.value.grad == root.slopes[name], known


def corpus() -> Iterator[tuple[str, Callable[[], None]]]:
    """What was wrong once."""
    yield "operands given anew while others join arenas", operands_given_anew
    yield "attributes and __dict__ of one Value", attributes_of_one_value


def operands_given_anew() -> None:
    x, base = Value(1.0), Value(1.0) * 2.0

    def change() -> None:
        for _ in range(1500):
            with contextlib.suppress(RuntimeError):  # something was computed from it
                Value.__init__(x, 2.0, (base,), "operation")
                Value.__init__(x, 3.0)

    def use() -> None:
        for _ in range(150):
            at_once(lambda: x * Value(1.0), lambda: Value(1.0) * x)

    at_once(change, use, use)


def attributes_of_one_value() -> None:
    x = Value(1.0)

    def change() -> None:
        for number in range(2000):
            x.note = [number]
            with contextlib.suppress(AttributeError):
                delattr(x, "note")

    def replace() -> None:
        for number in range(2000):
            x.__dict__ = {"note": [number]}

    at_once(change, change, replace)


def at_once(*bodies: Callable[[], object]) -> None:
    """Run functions in threads of their own; raise what one raises."""
    with concurrent.futures.ThreadPoolExecutor(len(bodies)) as threads:
        for done in [threads.submit(body) for body in bodies]:
            done.result()
