"""Machine code against kernels, to the last bit, on functions with loops, stages, rules and matrices.

A function made from a seed is computed by two processes, one with machine code from the first call on and one without:
values, all derivatives, batches, and the words of errors.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
from tests.fuzz import loops

import kilograd


class Writer(loops.Writer):
    """Writes functions with matrices, too: small ones, and such that LAPACK is asked."""

    def number(self, names: list[str], depth: int = 0) -> str:
        if depth or self.dice.random() > 0.15:
            return super().number(names, depth)
        a, b, c = (super(Writer, self).number(names, 1) for _ in range(3))
        n = self.dice.choice([2, 3, 9, 12])
        matrix = f"({n} * np.eye({n}) + np.sin(np.outer(np.arange({n}) + {a}, np.arange({n}) * 0.3 - {b})))"
        form = self.dice.choice(
            [
                "np.linalg.solve({m}, np.cos(np.arange({n}) * {c}))[1]",
                "np.linalg.slogdet({m})[1]",
                "(np.linalg.inv({m})[0, 1] * {c})",
                "np.linalg.cholesky({m} @ {m}.T)[1, 0]",
                "({m} @ np.tanh({m} * {c}))[1, 0]",
            ]
        )
        return form.format(m=matrix, n=n, c=c)


def bits(result: Any) -> list[str]:
    """The numbers as text that is exact. Which sign a NaN has is chance."""
    return [float(x).hex() for x in np.asarray(result, dtype=float).ravel()]


def computed(text: str, seed: int) -> list[tuple[str, Any]]:
    """All that is asked of a function, by this process."""
    function, dice, found = loops.written(text), random.Random(seed), []
    f = kilograd.compile(lambda a, xs: function(*loops.AS_STAGES, a, xs))
    rows = np.array([[dice.uniform(-2, 2) for _ in range(3)] for _ in range(dice.choice([1, 2, 5, 9]))])
    tables = np.array([[dice.uniform(-2, 2) for _ in range(dice.choice([2, 4]))] for _ in range(1)] * len(rows))

    def ask(what: str, call: Callable[[], Any]) -> None:
        try:
            found.append((what, bits(call())))
        except Exception as error:
            found.append((what, f"{type(error).__name__}: {error}"))

    for k, (a, xs) in enumerate(zip(rows[:2], tables, strict=False)):
        ask(f"value {k}", lambda a=a, xs=xs: f(a, xs))  # type: ignore[misc]
        ask(f"hvp {k}", lambda a=a, xs=xs: f.hvp(a, rows[0], xs))  # type: ignore[misc]
        for by in (0, 1):
            for method in ("grad", "jacobian", "hessian"):
                ask(f"{method} {k} by {by}", lambda a=a, xs=xs, m=method, by=by: getattr(f, m)(a, xs, argnums=by))  # type: ignore[misc]
    for method in ("__call__", "grad", "hessian"):
        ask(f"batch {method}", lambda m=method: getattr(f.batch, m)(rows, tables))  # type: ignore[misc]
    return found


def serve() -> None:
    """Answer requests, one a line."""
    for line in sys.stdin:
        text, seed = json.loads(line)
        with loops.blocks_of(4):
            print(json.dumps(computed(text, seed)), flush=True)


class Other:
    """A process with machine code, or without."""

    def __init__(self, setting: str) -> None:
        environment = {**os.environ, "KILOGRAD_CODE": setting, "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, "-c", "from tests.fuzz.machine import serve; serve()"]
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def send(self, request: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()

    def answer(self) -> list[tuple[str, Any]]:
        assert self.process.stdout
        return [(what, result) for what, result in json.loads(self.process.stdout.readline())]


@cache
def others() -> tuple[Other, Other]:
    """Both, started when they are first needed. They end with this process, whose end they read from ends."""
    return Other("always"), Other("0")


def check(text: str, seed: int) -> None:
    """Raise where the two differ."""
    request = json.dumps([text, seed])
    for other in others():
        other.send(request)
    by_code, by_kernels = (other.answer() for other in others())
    for (what, found), (_, wanted) in zip(by_code, by_kernels, strict=True):
        if found != wanted:
            raise AssertionError(f"{what}: {found} by machine code and {wanted} by kernels of\n{text}")


def run(seed: int) -> None:
    """Check the function of a seed."""
    check(Writer(random.Random(seed)).text(), seed)


def looped(turns: int) -> Callable[[Any], Any]:
    """A function of a loop of so many turns, long enough for code and with choices in it."""

    def function(a: Any) -> Any:
        def step(carry: Any, x: Any) -> Any:
            p, q = carry
            r = np.tanh(p * x + a[0]) / (2.0 + q**2)
            chosen = kilograd.where(q > p, np.exp(-q * q), np.sqrt(1.0 + p * p))
            return (r + 0.3 * np.sin(q), chosen), abs(p - q) * r

        (p, q), ys = kilograd.scan(step, (a[0], a[1]), np.linspace(-1.0, 1.0, turns))
        return p * q + ys.sum()

    return function


def code_between_two_sweeps() -> None:
    """What the kernels left in a frame was read as if machine code, which came in between, had left it."""
    a = np.array([0.4, 0.7])
    for turns in (5, 14, 32, 41, 59):
        f = kilograd.compile(looped(turns))
        first = f.grad(a)
        for _ in range(900 // turns):
            np.testing.assert_array_equal(f.grad(a), first)


def corpus() -> Iterator[tuple[str, Callable[[], None]]]:
    """What was found, and what is easily got wrong."""
    yield "code-between-two-sweeps", code_between_two_sweeps
    bodies = {
        "one-turn-loop": "c, y = scan(lambda c, x: (np.sin(c) * x, c), a[0], xs[:1])\n    return c + y.sum()",
        "quotients-in-a-loop": "c, y = scan(lambda c, x: (x / (c * c + 0.1), 1 / c), a[0], xs)\n    return c + y.sum()",
        "large-matrix": "m = 9 * np.eye(9) + np.sin(np.outer(np.arange(9) + a[0], np.arange(9) * a[1]))\n"
        "    return np.linalg.solve(m, np.cos(np.arange(9) * a[2]))[1] + np.linalg.slogdet(m)[1] * xs[0]",
    }
    for name, body in bodies.items():
        text = loops.HEADER + f"    {body}\n"
        yield name, lambda text=text: check(text, 0)  # type: ignore[misc]
