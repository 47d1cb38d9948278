"""The words that workloads, engines and the harness share.

A *workload* says what is to be computed, and makes the *problem*: its input data, the same for everybody. An
*engine* has one function for each workload that it can do. That function takes the problem, does what is done once
(builds, compiles), and returns a *run*: a generator function whose body is the measured code. Each ``yield "phase"``
ends a phase, ``yield None`` ends a stretch that is not measured, and what it returns are the results to compare:

    @engine.runs(EAGER)
    def eager(problem: Eager) -> Run:
        def run() -> Phases:
            x, w, b = Value(problem.x), Value(problem.w), Value(problem.b)
            yield None                                   # preparation, not measured
            for _ in range(problem.loops):
                x = x * w + b
            yield "op"                                   # measured
            return {"x": [x.data]}
        return run
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

Results = Mapping[str, Iterable[Any]]
"""Lists or one-dimensional arrays of whatever `float` takes; converted when they are compared, not after each run."""

Phases = Generator[str | None, None, Results]
Run = Callable[[], Phases]

P = TypeVar("P")


class UnavailableError(Exception):
    """Raised by an engine's set-up when this installation cannot do the workload; the message says why."""


@dataclass(frozen=True)
class Metric:
    """One number that a run gives.

    Parameters
    ----------
    phase : str
        The phase that it is measured over; ``"*"`` is all phases together.
    unit : str
        What one of the things is called that the number is divided by: ``"op"``, ``"node"``, ``"step"``.
    count : callable
        From the problem to how many of them a run has in that phase.
    kind : str
        ``"time"`` (seconds per unit), ``"resident"`` (growth of resident memory over the phase, bytes per unit) or
        ``"peak"`` (highest resident memory of the process, bytes; no unit). The memory kinds need `Workload.isolated`.
    """

    phase: str
    unit: str
    count: Callable[[Any], float] = lambda problem: 1.0
    kind: str = "time"

    @property
    def name(self) -> str:
        phase = "total" if self.phase == "*" else self.phase
        return {"time": phase, "resident": f"{phase}, resident", "peak": "peak resident"}[self.kind]


@dataclass(frozen=True)
class Floor:
    """A bound on a metric of one engine, or on its ratio to a metric of another: exactly one of `at_most`, `at_least`.

    `engine` and `to` are row labels (``"kilograd"``, ``"ddx-ad (compiled)"``), `metric` and `to_metric` metric names.
    Without `to` and `to_metric` the bound is absolute: seconds or bytes per unit.
    """

    text: str
    metric: str
    at_most: float | None = None
    at_least: float | None = None
    engine: str = "kilograd"
    to: str | None = None
    to_metric: str | None = None


@dataclass(frozen=True)
class Workload(Generic[P]):
    """What is to be computed.

    Parameters
    ----------
    name, title : str
        For the command line; for the table.
    make : callable
        ``make(quick)`` gives the problem: the full one, or a small one for a quick check of the results.
    metrics : sequence of Metric
    floors : sequence of Floor
    tolerance : float
        Results agree when they differ by no more than this times the largest magnitude in their list.
    expected : callable, optional
        From the problem to the right results, by a way that is independent of the engines. Without it the first
        engine in `oracles` that ran is right.
    oracles : sequence of str
        Row labels, most trusted first.
    isolated : bool
        Run each repetition in a process of its own, started for it (memory is measured so).
    """

    name: str
    title: str
    make: Callable[[bool], P]
    metrics: Sequence[Metric]
    floors: Sequence[Floor] = ()
    tolerance: float = 1e-9
    expected: Callable[[P], Results] | None = None
    oracles: Sequence[str] = ("reference", "numpy", "kilograd")
    isolated: bool = False


@dataclass(frozen=True)
class Entry:
    """One engine's way to do one workload."""

    engine: str
    label: str
    setup: Callable[[Any], Run]
    slow: str | None = None


@dataclass
class Engine:
    """A library that runs workloads.

    Parameters
    ----------
    name : str
        Row label in the tables.
    version : str
    drive : str
        How it is driven here, in one sentence, for the reader of the table.
    otherwise : str
        Why it has no entry for a workload for which `cannot` gives no other reason.
    """

    name: str
    version: str
    drive: str
    otherwise: str
    entries: dict[str, list[Entry]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def runs(
        self, workload: Workload[P], variant: str = "", *, slow: str | None = None
    ) -> Callable[[Callable[[P], Run]], Callable[[P], Run]]:
        """Register the decorated function for `workload`.

        Parameters
        ----------
        variant : str
            Tells several entries of one engine apart; shown in brackets.
        slow : str, optional
            What makes the set-up too long for an everyday run (``"58 s to compile"``); such an entry runs under
            ``--slow`` only.
        """
        label = f"{self.name} ({variant})" if variant else self.name

        def register(function: Callable[[P], Run]) -> Callable[[P], Run]:
            self.entries.setdefault(workload.name, []).append(Entry(self.name, label, function, slow))
            return function

        return register

    def cannot(self, workload: Workload[Any], reason: str) -> None:
        """Say in the table why this engine has no entry for `workload`."""
        self.reasons[workload.name] = reason
