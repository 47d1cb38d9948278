"""The graph of one training step of a character transformer: built, differentiated and freed, in this process.

It is that of bench/programs/microgpt.py, over the program's own class, over the same class as `kilograd run` serves it,
and over `Value`: what of a step's time is the price of another class's conventions.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bench.model import Floor, Metric, Phases, Run, Workload

SCRIPT = Path(__file__).resolve().parent.parent / "programs" / "microgpt.py"
CLASS_ENDS, MODEL_ENDS = "random.seed(42)", "first, second ="
WORD = "karimo"


@dataclass(frozen=True)
class Transformer:
    """The program in two parts, its class and its model."""

    class_source: Any
    model_source: Any
    word: str


def _make(quick: bool) -> Transformer:
    text = SCRIPT.read_text()
    lines = text.partition(CLASS_ENDS)[0].count("\n")
    rest = "\n" * lines + text[text.index(CLASS_ENDS) : text.index(MODEL_ENDS)]  # on the lines of the script
    parts = text[: text.index(CLASS_ENDS)], rest
    source, model = [compile(part, str(SCRIPT), "exec", dont_inherit=True) for part in parts]
    return Transformer(source, model, WORD[:2] if quick else WORD)


def built_and_differentiated(problem: Transformer, choose: Callable[[Any], Any]) -> Run:
    """The step over the class that `choose` gives for the program's own."""
    names: dict[str, Any] = {"__name__": "microgpt"}
    exec(problem.class_source, names)
    names["Value"] = choose(names["Value"])
    names["sys"] = SimpleNamespace(argv=[str(SCRIPT)])  # the model reads how many steps it is to train
    exec(problem.model_source, names)
    stop, letters, parameters = names["stop"], names["letters"], names["parameters"]
    tokens = [stop, *(letters.index(letter) for letter in problem.word), stop]

    def run() -> Phases:
        for p in parameters:
            p.grad = 0
        yield None
        keys: list[Any] = []
        values: list[Any] = []
        losses = []
        for place, (token, target) in enumerate(itertools.pairwise(tokens)):
            losses.append(-names["softmax"](names["gpt"](token, place, keys, values))[target].log())
        loss = (1 / len(losses)) * sum(losses)
        yield "build"
        loss.backward()
        yield "backward"
        result = loss.data
        del loss, losses, keys, values
        yield "free"
        return {"loss": [result], "gradient": [p.grad for p in parameters]}

    return run


TRANSFORMER: Workload[Transformer] = Workload(
    name="transformer",
    title="One step of a character transformer: `Value`, and the program's own class as `kilograd run` serves it",
    make=_make,
    metrics=[
        Metric("*", "step"),
        Metric("build", "graph"),
        Metric("backward", "graph"),
        Metric("free", "graph"),
    ],
    floors=[Floor("at most 1.3 times `Value`", "total", at_most=1.3, engine="kilograd (run)", to="kilograd")],
    oracles=("reference",),
)
