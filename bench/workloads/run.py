"""Whole programs with a class of their own: plain Python against `kilograd run`, start-up included.

The programs are in bench/programs; the result is every number that they print.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.model import Floor, Metric, Workload

PROGRAMS = Path(__file__).resolve().parent.parent / "programs"
NUMBER = re.compile(r"-?\d+\.\d+(?:e[-+]?\d+)?")


@dataclass(frozen=True)
class Program:
    """A script and how many steps it is to train."""

    script: Path
    steps: int

    @property
    def arguments(self) -> list[str]:
        return [str(self.script), str(self.steps)]


def numbers(output: str) -> Mapping[str, Sequence[float]]:
    """What a program printed, as results."""
    return {"printed": [float(text) for text in NUMBER.findall(output)]}


def _faster(floor: float) -> Floor:
    text = f"at least {floor:g} times faster than plain Python"
    return Floor(text, "process", at_least=floor, engine="reference", to="kilograd")


def _workload(name: str, title: str, steps: int, floor: Floor) -> Workload[Program]:
    script = PROGRAMS / f"{name}.py"
    return Workload(
        name=f"run_{name}",
        title=f"`kilograd run`, whole process: {title}",
        make=lambda quick: Program(script, 2 if quick else steps),
        metrics=[Metric("process", "program")],
        floors=[floor],
        oracles=("reference",),
    )


ARTICLE = _workload("article", "the article's classifier", 60_000, _faster(22))
MOONS = _workload("moons", "micrograd's moons", 25, _faster(150))
MOONS_NUMPY = _workload("moons_numpy", "the same with data from NumPy, as in a notebook", 25, _faster(40))
MICROGPT = _workload("microgpt", "a character transformer, 68,000 nodes a step", 90, _faster(45))
SHORT = _workload(
    "short",
    "one gradient, so that judging the class is all there is",
    1,
    Floor("at most 0.12 s, interpreter and all", "process", at_most=0.12),
)
RUNS = (ARTICLE, MOONS, MOONS_NUMPY, MICROGPT, SHORT)
