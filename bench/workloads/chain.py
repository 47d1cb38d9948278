"""A chain of 10^7 operations: build, back-propagate, free; and, for linearity, one of 10^6 before it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

from bench.model import Floor, Metric, Results, Workload


@dataclass(frozen=True)
class Chain:
    """``x = x * w + b`` over and over, `short` operations and then `long`."""

    short: int
    long: int
    x: float = 1.0
    w: float = 1.0 - 1e-7
    b: float = 1e-7


def expected(problem: Chain) -> Results:
    """The end of each chain, and dx/dx0 = w^n, by plain loops."""
    ends, slopes = [], []
    for ops in (problem.short, problem.long):
        x, slope = problem.x, 1.0
        for _ in range(ops // 2):
            x = x * problem.w + problem.b
            slope *= problem.w
        ends.append(x)
        slopes.append(slope)
    return {"x": ends, "dx": slopes}


_TOUCH = """
import mmap, sys
memory = mmap.mmap(-1, int(sys.argv[1]), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
if hasattr(mmap, "MADV_HUGEPAGE"):
    memory.madvise(mmap.MADV_HUGEPAGE)
memory[::4096] = bytes(len(memory[::4096]))
"""


def touch_memory(problem: Chain) -> None:
    """Have another process touch as much memory as the chain takes, and give it back, before the clock starts.

    The host of a virtual machine supplies a page at its first touch, and may take back what has been idle for seconds.
    That costs several times as much as the operations that fill the page, and depends on what ran before.
    """
    subprocess.run([sys.executable, "-c", _TOUCH, str(4096 + 64 * problem.long)], check=True)


def _time(phase: str, size: str) -> Metric:
    return Metric(f"{phase} {size}", "op", lambda problem: problem.short if size == "10^6" else problem.long)


CHAIN: Workload[Chain] = Workload(
    name="chain",
    title="A chain of 10^7 operations: build, backward, free",
    make=lambda quick: Chain(2_000, 20_000) if quick else Chain(1_000_000, 10_000_000),
    metrics=[
        *(_time(phase, size) for phase in ("build", "backward", "free") for size in ("10^6", "10^7")),
        Metric("*", "", kind="peak"),
    ],
    floors=[
        *(
            Floor(
                f"{phase} is linear: an op of 10^7 costs at most 1.6 of 10^6",
                f"{phase} 10^7",
                at_most=1.6,
                to_metric=f"{phase} 10^6",
            )
            for phase in ("build", "backward", "free")
        ),
        Floor("no more than 1.5 GB", "peak resident", at_most=1.5e9),
    ],
    expected=expected,
    isolated=True,
)
