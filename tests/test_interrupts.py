"""Ctrl-C at any line of what records a function: names, and what the thread does, are as before."""

from __future__ import annotations

import linecache
import math
import pathlib
import sys
from collections import Counter

import numpy as np
import pytest

import kilograd
from kilograd import Value, _core
from kilograd.compiled import function, names
from kilograd.compiled.conditions import thread

FOLDER = str(pathlib.Path(names.__file__).parent)
FILES = {name: f"{FOLDER}/{name}.py" for name in ("names", "tracing", "conditions", "function", "texts", "agreement")}
EXP = math.exp


def total(x, k, table=[EXP, np.sum], options={"sine": np.sin}):  # noqa: B006 - places that are replaced, too
    text = f"{x[k]:.3f}"
    return table[1](np.sin(x) * table[0](x[0])) + options["sine"](x[1]) * len(text)


class Interrupter:
    """Raises at one of the events of a call: lines, and the beginnings and ends of functions, of some files."""

    def __init__(self, at: int | None) -> None:
        self.at = at
        self.seen: list[tuple[str, str, int]] = []

    def __call__(self, frame, event, argument):
        if frame.f_code.co_filename not in FILES.values():
            return None
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
        # No signal comes between the last call within a block and the release of its lock, or into a handler of weak
        # references.
        if event != "exception" and not line.lstrip().startswith("with ") and frame.f_code.co_name != "<lambda>":
            self.seen.append((frame.f_code.co_filename, event, frame.f_lineno))
            if len(self.seen) - 1 == self.at:
                raise KeyboardInterrupt
        return self


def record(at: int | None) -> list[tuple[str, str, int]]:
    """Record a function under an interrupter; gives what it saw."""
    compiled = kilograd.compile(total)
    interrupter = Interrupter(at)
    before = sys.gettrace()
    sys.settrace(interrupter)
    try:
        compiled.grad(np.array([0.5, 0.25]), 1)
    finally:
        sys.settrace(before)
    return interrupter.seen


def spread(seen: list[tuple[str, str, int]]) -> list[int]:
    """The places of events: the first and the last of each line."""
    count = Counter(seen)
    met: Counter[tuple[str, str, int]] = Counter()
    chosen = []
    for place, event in enumerate(seen):
        met[event] += 1
        if met[event] in (1, count[event]):
            chosen.append(place)
    return chosen


def state() -> list[object]:
    methods = {name: vars(Value).get(name) for name in ("__index__", "__repr__", "__format__", "__mod__", "__and__")}
    own = dict(vars(np)), dict(vars(math)), dict(vars(np.linalg)), list(sys.meta_path), methods
    traced = {name: vars(thread)[name] for name in ("depth", "notes", "stages", "veiled")}
    reached = total.__defaults__[0][:], dict(total.__defaults__[1]), total.__globals__["EXP"]
    core = _core._trace_into(None)
    return [*own, traced, *reached, core]


def test_an_interrupt_at_any_line_leaves_nothing_replaced():
    record(None)  # which imports
    seen = record(None)
    places = spread(seen)
    assert len(places) > 200
    before = state()
    for place in places:
        with pytest.raises(KeyboardInterrupt):
            record(place)
        assert state() == before, seen[place]
        assert not names._names.lock.locked(), seen[place]
        assert not names._names.traces, seen[place]
    x = np.array([0.5, 0.25])
    wanted = np.cos(x) * np.exp(x[0]) + [np.exp(x[0]) * np.sin(x).sum(), 5.0 * np.cos(x[1])]
    np.testing.assert_allclose(kilograd.compile(total).grad(x, 1), wanted, rtol=1e-14)
    assert function.thread.depth == 0
