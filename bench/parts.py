"""What a step costs where the rows are elsewhere: ``python -m bench.parts`` on Dask, MPI, Ray and Spark, if installed.

Two problems: rows enough to keep two cores busy (how much faster are two workers than one?), and almost none (what does
the engine itself take?). Each round measures every set-up once, one after the other; ratios are taken within a round.
The step is that of a network of 337 parameters, over `PARTS` parts. MPI is started anew in each round, since its idle
ranks would take processors from the others; starting does not count.

Of Dask's workers the processor time is printed as well, that of the busiest one: on a machine that others use, wall
time tells what they do, and this one what the step takes.
"""

from __future__ import annotations

import argparse
import math
import os
import pickle
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from kilograd import MLP, Program, Value, optim
from kilograd.distributed import Ranks, minimize
from kilograd.distributed.parts import packed
from kilograd.distributed.tasks import Function, SumsOf, Table

PARTS = 8
Steps = Callable[[int], tuple[float, float]]
"""From a number of steps to the seconds that they take, and the processor time of the busiest who computes (or NaN)."""


class Problem:
    """A network's loss, and rows in parts."""

    def __init__(self, rows: int) -> None:
        random.seed(0)
        self.model = MLP(2, [16, 16, 1], activation=["tanh", "tanh", None])
        x, y, target = Value(0.0), Value(0.0), Value(0.0)
        loss = (self.model([x, y]) - target) ** 2
        self.program = Program(loss, inputs=[x, y, target], parameters=self.model.parameters())
        data = np.random.default_rng(0).normal(size=(rows, 3))
        self.parts = np.array_split(data, PARTS)

    def steps_over(self, data: Any) -> Steps:
        """Steps over data that may lie anywhere, of which a first one was made."""
        optimizer = optim.SGD(self.model, lr=0.01)

        def run(steps: int) -> tuple[float, float]:
            began, used = time.perf_counter(), time.process_time()
            minimize(self.program, data, optimizer, steps=steps)
            return time.perf_counter() - began, time.process_time() - used

        run(1)
        return run

    def print_bytes(self) -> None:
        """Say what travels."""
        task = SumsOf(Function(self.program, 1, True), Table())
        parameters = np.zeros(len(self.model.parameters()))
        there, back = len(pickle.dumps(parameters)), len(pickle.dumps(task(self.parts[0], 0, parameters)))
        print(f"once to each worker: {len(packed(task)):,} bytes of program")
        print(f"in each step: {there:,} bytes of parameters to each worker, {back:,} bytes from each part")


@contextmanager
def on_dask(problem: Problem, workers: int) -> Iterator[Steps]:
    """A cluster in processes on this machine."""
    import dask.array as da
    from distributed import Client, LocalCluster, wait

    rows = sum(map(len, problem.parts))
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
        client.as_current(),
    ):
        data = da.random.default_rng(0).normal(size=(rows, 3), chunks=(-(-rows // PARTS), 3)).persist()
        wait(data)
        run = problem.steps_over(data)

        def steps(count: int) -> tuple[float, float]:
            with client.as_current():
                before = client.run(time.process_time)
                seconds, _ = run(count)
                after = client.run(time.process_time)
                return seconds, max(after[worker] - before[worker] for worker in after)

        yield steps


@contextmanager
def on_ranks(problem: Problem, ranks: int) -> Iterator[Steps]:
    """Ranks of MPI, started for each measurement."""
    import mpi4py  # noqa: F401 (without it there is nothing to start)

    program = shutil.which("mpiexec", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))
    if program is None:
        raise ImportError("no mpiexec")
    rows = sum(map(len, problem.parts))

    def steps(count: int) -> tuple[float, float]:
        allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        command = [program, "-n", str(ranks), sys.executable, "-m", "bench.parts", "--rank", str(rows), str(count)]
        found = subprocess.run(command, capture_output=True, check=True, env={**os.environ, **allowed})
        return float(found.stdout), math.nan  # a rank that waits is as busy as one that computes

    yield steps


def rank(rows: int, steps: int) -> None:
    """What each rank runs."""
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    problem = Problem(rows)
    own = [part for k, part in enumerate(problem.parts) if k * world.size // PARTS == world.rank]
    seconds, _ = problem.steps_over(Ranks(own))(steps)
    if world.rank == 0:
        print(seconds)


@contextmanager
def on_ray(problem: Problem, workers: int) -> Iterator[Steps]:
    """Ray on this machine."""
    import ray
    import ray.data

    path = os.pathsep.join(path for path in sys.path if path)
    environment = {"env_vars": {"PYTHONPATH": path}}
    ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, runtime_env=environment)
    try:
        yield _elsewhere(problem.steps_over(ray.data.from_numpy(problem.parts)))
    finally:
        ray.shutdown()


@contextmanager
def on_spark(problem: Problem, workers: int) -> Iterator[Steps]:
    """Spark on this machine."""
    import pandas as pd
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master(f"local[{workers}]").config("spark.default.parallelism", PARTS)
    session = builder.config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false").getOrCreate()
    try:
        frame = pd.DataFrame(np.concatenate(problem.parts), columns=["x", "y", "target"])
        yield _elsewhere(problem.steps_over(session.createDataFrame(frame).cache()))
    finally:
        session.stop()


def _elsewhere(run: Steps) -> Steps:
    """Steps that others compute, whose processor time is not known."""
    return lambda count: (run(count)[0], math.nan)


SETUPS: dict[str, tuple[Callable[[Problem, int], Any], int]] = {
    "dask, 1 worker": (on_dask, 1),
    "dask, 2 workers": (on_dask, 2),
    "mpi, 1 rank": (on_ranks, 1),
    "mpi, 2 ranks": (on_ranks, 2),
    "ray, 2 workers": (on_ray, 2),
    "spark, 2 workers": (on_spark, 2),
}


def measure(rows: int, steps: int, rounds: int, names: list[str]) -> None:
    """Print a line for each set-up."""
    problem = Problem(rows)
    print(f"\n{rows:,} rows in {PARTS} parts, {steps} steps, {rounds} rounds: ms for each step")
    with ExitStack() as stack:
        setups: dict[str, Steps] = {"blocks in this process": problem.steps_over(problem.parts)}
        for name in names:
            make, workers = SETUPS[name]
            try:
                setups[name] = stack.enter_context(make(problem, workers))
            except ImportError as error:
                print(f"{name:<24} not here: {error}")
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in setups}
        for _ in range(rounds):
            for name, run in setups.items():
                seconds[name].append(run(steps))
    base = seconds["blocks in this process"]
    print(f"{'':<24} {'wall':>9} {'busiest':>9}   speed by wall time, and its range")
    for name, found in seconds.items():
        wall, busiest = [statistics.median(each) / steps * 1e3 for each in zip(*found, strict=True)]
        ratios = sorted(one[0] / other[0] for one, other in zip(base, found, strict=True))
        spread = f"{ratios[0]:.3f} .. {ratios[-1]:.3f}"
        print(f"{name:<24} {wall:>9.2f} {busiest:>9.2f}   {statistics.median(ratios):.3f} ({spread})")


def main() -> None:
    """Measure what is installed."""
    parser = argparse.ArgumentParser(prog="python -m bench.parts", description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engine", action="append", choices=["dask", "mpi", "ray", "spark"], help="one of them alone")
    parser.add_argument("--rank", type=int, nargs=2, metavar=("ROWS", "STEPS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rank:
        rank(*options.rank)
        return
    names = [name for name in SETUPS if not options.engine or name.partition(",")[0] in options.engine]
    Problem(PARTS).print_bytes()
    measure(options.rows, 3, options.rounds, names)
    measure(10 * PARTS, 20, options.rounds, names)


if __name__ == "__main__":
    main()
