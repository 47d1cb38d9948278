"""The entries for whole programs, a fresh interpreter for each run, and for the graph of one of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

from bench.model import Engine, Phases, Run
from bench.workloads.run import RUNS, Program, numbers
from bench.workloads.transformer import TRANSFORMER, Transformer, built_and_differentiated


def run_programs(engine: Engine, *prefix: str) -> None:
    """Let `engine` run the programs as ``python PREFIX SCRIPT STEPS``."""

    def setup(problem: Program) -> Run:
        def run() -> Phases:
            command = [sys.executable, *prefix, *problem.arguments]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            yield "process"
            return numbers(done.stdout)

        return run

    for workload in RUNS:
        engine.runs(workload)(setup)


def run_transformer(engine: Engine, choose: Callable[[Any], Any], variant: str = "") -> None:
    """Let `engine` run the transformer over the class that `choose` gives for the program's own."""

    def setup(problem: Transformer) -> Run:
        return built_and_differentiated(problem, choose)

    engine.runs(TRANSFORMER, variant)(setup)
