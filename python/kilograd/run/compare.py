"""``kilograd run --compare``: the program both ways, in fresh processes, and whether it said the same."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Sequence

__all__ = ["compare", "speed"]


def _timed(command: list[str], text: bytes | None) -> tuple[bytes, int, float]:
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, input=text, check=False)
    return done.stdout, done.returncode, time.perf_counter() - start


def _first_difference(plain: bytes, served: bytes) -> str:
    lines = itertools.zip_longest(plain.splitlines(), served.splitlines())
    for number, (one, two) in enumerate(lines, 1):
        if one != two:
            shown = ["(no such line)" if line is None else line.decode(errors="replace") for line in (one, two)]
            return (
                f"the outputs differ, first in line {number}:\n  plain Python: {shown[0]}\n  kilograd:     {shown[1]}"
            )
    return "the outputs differ in their line ends"


def speed(plain: float, served: float) -> str:
    """How much faster that is, in seconds."""
    return f"plain Python {plain:.2f} s, kilograd {served:.2f} s: {plain / served:.1f} times as fast"


def compare(program: Sequence[str]) -> int:
    """Run a program plainly and on the engine; 0 where output and exit status agree, else 1.

    Parameters
    ----------
    program : sequence of str
        What follows ``python`` on the command line: a script or ``-m MODULE``, and its arguments.

    Notes
    -----
    Standard input is read once and given to both. Standard error goes through; what is said here goes there too.
    """
    text = None if sys.stdin is None or sys.stdin.isatty() else sys.stdin.buffer.read()
    python = [sys.executable, *subprocess._args_from_interpreter_flags()]  # type: ignore[attr-defined]
    plain, plain_status, plain_time = _timed([*python, *program], text)
    served, served_status, served_time = _timed([*python, "-m", "kilograd", "run", *program], text)
    sys.stdout.buffer.write(served)
    sys.stdout.flush()
    verdict = None
    if plain != served:
        verdict = _first_difference(plain, served)
    elif plain_status != served_status:
        verdict = f"the exit status differs: {plain_status} in plain Python, {served_status} here"
    print(f"kilograd: {verdict or 'the same output and exit status'}", file=sys.stderr)
    print(f"kilograd: {speed(plain_time, served_time)}", file=sys.stderr)
    return 0 if verdict is None else 1
