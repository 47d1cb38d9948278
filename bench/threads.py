"""Graphs of two threads against those of one: ``python -m bench.threads``.

Each thread builds and differentiates graphs of its own, as many as the other. With a GIL two threads take twice as long
as one; without, as long as one. Rounds are interleaved, and ratios taken within a round: how many times the work of one
thread two of them do in its time, for operators, for networks, and where both use one network. What two threads of the
machine and of CPython itself can do tells the same with floats and lists.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Callable

from kilograd import MLP, Value

ROUNDS = 7


def floats(steps: int) -> None:
    for _ in range(steps):
        xs = [float(i) for i in range(50)]
        kept = [xs[0]]
        for x in xs[1:]:
            kept.append(kept[-1] * 0.5 + x * x)


def operators(steps: int) -> None:
    for _ in range(steps):
        xs = [Value(float(i)) for i in range(50)]
        total = xs[0]
        for x in xs[1:]:
            total = total * 0.5 + x * x
        total.backward()


def network(steps: int, model: MLP | None = None) -> None:
    model = model or MLP(3, [8, 8, 1])
    for _ in range(steps):
        loss = (model([1.0, 2.0, 3.0]) - 1.0) ** 2
        model.zero_grad()
        loss.backward()


def seconds(work: Callable[[], None], threads: int) -> float:
    """For this work in each of so many threads."""
    start = threading.Barrier(threads + 1)

    def body() -> None:
        start.wait()
        work()

    running = [threading.Thread(target=body) for _ in range(threads)]
    for thread in running:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in running:
        thread.join()
    return time.perf_counter() - began


def main() -> None:
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(f"CPython {sys.version.split()[0]}, {'with' if gil else 'without'} the GIL: throughput of two threads to one")
    shared = MLP(3, [8, 8, 1])
    works: dict[str, Callable[[], None]] = {
        "floats and lists": lambda: floats(4000),
        "operators": lambda: operators(2000),
        "networks of their own": lambda: network(2000),
    }
    for name, work in works.items():
        report(name, work)
    report("one network for both", lambda: network(2000, shared))


def report(name: str, work: Callable[[], None]) -> None:
    seconds(work, 2)
    ratios, alone = [], []
    for _ in range(ROUNDS):
        one, two = seconds(work, 1), seconds(work, 2)
        alone.append(one)
        ratios.append(2 * one / two)
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    print(f"{name:24} {statistics.median(ratios):.2f} ({spread}); one thread {statistics.median(alone) * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
