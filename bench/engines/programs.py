"""The entries for whole programs: a fresh interpreter for each run."""

from __future__ import annotations

import subprocess
import sys

from bench.model import Engine, Phases, Run
from bench.workloads.run import RUNS, Program, numbers


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
