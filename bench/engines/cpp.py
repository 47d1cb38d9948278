"""C++ by hand (`by_hand.cpp`), compiled for this machine when the benchmark starts."""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.model import Engine, Phases, Run
from bench.workloads import black_scholes, chebyshev, derivatives, loops, moons, rosenbrock, rows

FLAGS = ("-std=c++17", "-O3", "-march=native", "-ffast-math", "-mprefer-vector-width=512", "-fPIC", "-shared")


def _compiled() -> tuple[ctypes.CDLL, str]:
    """The library and the compiler's version.

    Raises
    ------
    ImportError
        If there is no compiler, or it does not take the file.
    """
    compiler = shlex.split(os.environ.get("CXX", "c++"))
    if shutil.which(compiler[0]) is None:
        raise ImportError(f"there is no compiler {compiler[0]}")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "by_hand.so")
        command = [*compiler, *FLAGS, "-o", str(library), str(Path(__file__).with_name("by_hand.cpp"))]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            raise ImportError(f"{shlex.join(command[:-1])} failed: {result.stderr.strip().splitlines()[0]}")
        loaded = ctypes.CDLL(str(library))
    version = subprocess.run([*compiler, "-dumpfullversion"], capture_output=True, text=True).stdout.strip()
    for name in ("moons", "sines", "chebyshev", "kalman"):
        getattr(loaded, name).restype = ctypes.c_double
    return loaded, version


LIBRARY, VERSION = _compiled()
ENGINE = Engine(
    "C++",
    version=f"{Path(os.environ.get('CXX', 'c++').split()[0]).name} {VERSION}",
    drive="derivatives by hand, "
    + " ".join(FLAGS[1:4])
    + ", exp, log and erfc of the C library's vectors, buffers reused",
    otherwise="nobody writes this by hand",
)


def at(array: Any) -> Any:
    """The address of an array's numbers, for a call."""
    return ctypes.c_void_p(array.ctypes.data)


def size(n: int) -> Any:
    return ctypes.c_ssize_t(n)


@ENGINE.runs(black_scholes.BLACK_SCHOLES)
def options(problem: black_scholes.BlackScholes) -> Run:
    columns = np.array(problem.columns)
    prices, slopes = np.empty(problem.rows), np.empty((5, problem.rows))

    def run() -> Phases:
        LIBRARY.black_scholes(size(problem.rows), at(columns), at(prices), at(slopes))
        yield "call"
        return black_scholes.shown(prices, slopes)

    return run


def moons_step(problem: moons.Moons) -> Run:
    x, y, p = np.array(problem.rows).T.copy(), np.array(problem.targets), np.array(problem.parameters)
    gradient = np.empty(337)

    def run() -> Phases:
        loss = LIBRARY.moons(size(len(y)), at(x), at(y), at(p), at(gradient))
        yield "step"
        return {"loss": [loss], "gradient": gradient}

    return run


ENGINE.runs(moons.MOONS_100)(moons_step)
ENGINE.runs(moons.MOONS_10000)(moons_step)


@ENGINE.runs(rows.SINES)
def sines(problem: rows.Chain) -> Run:
    gradient = np.empty(2)

    def run() -> Phases:
        start, factor = ctypes.c_double(problem.start), ctypes.c_double(problem.factor)
        value = LIBRARY.sines(size(problem.turns), start, factor, at(gradient))
        yield "call"
        return {"value": [value], "gradient": gradient}

    return run


@ENGINE.runs(chebyshev.CHEBYSHEV)
def chains(problem: chebyshev.Chebyshev) -> Run:
    inputs = np.array(problem.inputs)
    gradient = np.empty(len(inputs))

    def run() -> Phases:
        value = LIBRARY.chebyshev(size(len(inputs)), at(inputs), size(problem.terms), at(gradient))
        yield "call"
        return {"value": [value], "gradient": gradient}

    return run


@ENGINE.runs(rosenbrock.ROSENBROCK)
def hessian(problem: rosenbrock.Rosenbrock) -> Run:
    x = np.array(problem.point)
    matrix = np.empty((len(x), len(x)))

    def run() -> Phases:
        LIBRARY.rosenbrock(size(len(x)), at(x), at(matrix))
        yield "hessian"
        return {"hessian": matrix.ravel()}

    return run


@ENGINE.runs(derivatives.LOGISTIC)
def logistic(problem: derivatives.Function) -> Run:
    assert isinstance(problem, derivatives.Logistic)
    n, features = np.shape(problem.table)
    table, w, matrix = np.zeros((n, 32)), np.zeros(32), np.empty((features, features))
    table[:, :features], w[:features] = problem.table, problem.point

    def run() -> Phases:
        LIBRARY.logistic(size(n), size(features), at(table), at(w), at(matrix))
        yield "hessian"
        return {"hessian": matrix.ravel()}

    return run


@ENGINE.runs(loops.KALMAN)
def kalman(problem: loops.Filter) -> Run:
    observed, gradient = np.array(problem.observed), np.empty(1)

    def run() -> Phases:
        q = ctypes.c_double(problem.variance)
        value = LIBRARY.kalman(size(len(observed)), at(observed), q, at(gradient))
        yield "call"
        return {"value": [value], "gradient": gradient}

    return run


@ENGINE.runs(loops.SCHOOLS)
def schools(problem: loops.Schools) -> Run:
    effects, errors = np.array(loops.EFFECTS), np.array(loops.ERRORS)
    start = np.array([problem.position, problem.momentum])

    def run() -> Phases:
        q, p = start.copy()
        step = ctypes.c_double(problem.size)
        LIBRARY.schools(size(problem.steps), step, at(effects), at(errors), at(q), at(p))
        yield "trajectory"
        return {"position": q, "momentum": p}

    return run
