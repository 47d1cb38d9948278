"""Timing: every engine in turn, round after round, in one process; medians, quartiles, and ratios within a round.

What one round measures is measured within seconds, so a ratio of two engines is taken round by round and its median
and quartiles reported: a machine that slows down for a while slows both. A *turn* is as many runs as fit its share of
the time, at least one, and counts as their median. An engine with slow runs gets fewer turns, spread over the rounds.

The collector is on, as in a user's program; everything that exists when a workload's set-up is done is frozen out of
its sight (``gc.freeze``), so that no engine pays for another's modules, and a full collection precedes each turn,
outside the clock.
"""

from __future__ import annotations

import gc
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from time import perf_counter, process_time
from typing import Any

from bench.model import Engine, Entry, Floor, Results, Run, UnavailableError, Workload

ROOT = Path(__file__).resolve().parent.parent
BASELINE = "kilograd"
ROUNDS = 15
ALWAYS = (0, ROUNDS // 2, ROUNDS - 1)
"""Rounds in which an engine has a turn however much time it has used."""

Sample = dict[str, float]


class MismatchError(Exception):
    """Two engines do not agree on the results of a workload."""


@dataclass(frozen=True)
class Spread:
    """Median and quartiles."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        if len(values) == 1:
            return cls(values[0], values[0], values[0], 1)
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high, len(values))


@dataclass
class Contender:
    """An entry whose set-up succeeded: the samples of its turns by round."""

    label: str
    execute: Callable[[], tuple[Sample, Results]]
    turns: dict[int, Sample] = field(default_factory=dict)

    def series(self, metric: str) -> dict[int, float]:
        return {k: sample[metric] for k, sample in self.turns.items() if metric in sample}


@dataclass(frozen=True)
class Verdict:
    """A floor and what was measured: `value` is None where an engine that it needs did not run."""

    floor: Floor
    value: Spread | None

    @property
    def passed(self) -> bool | None:
        if self.value is None:
            return None
        if self.floor.at_most is not None:
            return self.value.median <= self.floor.at_most
        return self.value.median >= (self.floor.at_least or 0.0)


@dataclass
class Report:
    """All that was found out about one workload.

    `absent` has a reason for each engine or entry without numbers; `failures` those whose run raised or disagreed.
    """

    workload: Workload[Any]
    contenders: list[Contender] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    share: float = 1.0
    """Processor time over wall time while it was timed: below 1 where other programs wanted the core too."""

    def find(self, label: str) -> Contender | None:
        return next((c for c in self.contenders if c.label == label), None)

    def spread(self, label: str, metric: str) -> Spread | None:
        contender = self.find(label)
        values = list(contender.series(metric).values()) if contender else []
        return Spread.of(values) if values else None

    def ratio(self, label: str, metric: str, to: str, to_metric: str | None = None) -> Spread | None:
        """`label` over `to`, round by round."""
        first, second = self.find(label), self.find(to)
        if first is None or second is None:
            return None
        numerators, denominators = first.series(metric), second.series(to_metric or metric)
        common = [k for k in numerators if denominators.get(k, 0.0) > 0.0]
        return Spread.of([numerators[k] / denominators[k] for k in common]) if common else None

    def verdicts(self) -> list[Verdict]:
        return [Verdict(floor, self._value(floor)) for floor in self.workload.floors]

    def _value(self, floor: Floor) -> Spread | None:
        if floor.to is None and floor.to_metric is None:
            return self.spread(floor.engine, floor.metric)
        return self.ratio(floor.engine, floor.metric, floor.to or floor.engine, floor.to_metric)


# Running


def time_phases(run: Run, memory: Callable[[], int] | None = None) -> tuple[Sample, Results]:
    """One run: seconds by phase (and growth of `memory`), and its results.

    The time of a phase is the lesser of wall time and processor time. Other programs on the core can only add to the
    first, threads only to the second, and asking for the second costs a microsecond that the first does not see.
    """
    sample: Sample = {}
    phases = run()
    try:
        while True:
            bytes_before = memory() if memory else 0
            cpu = processor_time()
            start = perf_counter()
            phase = next(phases)
            wall = perf_counter() - start
            cpu = processor_time() - cpu
            if phase is not None:
                sample[phase] = sample.get(phase, 0.0) + min(wall, cpu)
                if memory:
                    sample[f"{phase}, resident"] = float(memory() - bytes_before)
    except StopIteration as stop:
        results: Results = stop.value
        return sample, results


def processor_time() -> float:
    """Seconds of processor time of this process, all its threads, and the processes that it has waited for."""
    children = getrusage(RUSAGE_CHILDREN)
    return process_time() + children.ru_utime + children.ru_stime


def run_here(entry: Entry, problem: Any) -> tuple[Sample, Results]:
    """Body of an isolated process: times and growth of resident memory by phase, and the peak."""
    run = entry.setup(problem)
    gc.collect()
    sample, results = time_phases(run, resident)
    sample["peak resident"] = float(peak_resident())
    return sample, results


def run_isolated(workload: str, entry: Entry, quick: bool) -> tuple[Sample, Results]:
    """The same in a new process that loads this one engine."""
    command = [sys.executable, "-m", "bench", workload, "--child", entry.label, "--engine", entry.engine]
    command += ["--quick"] if quick else []
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}")
    answer = json.loads(done.stdout)
    if "unavailable" in answer:
        raise UnavailableError(answer["unavailable"])
    return answer["sample"], answer["results"]


def resident() -> int:
    """Bytes of this process that are in memory now."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        raise UnavailableError("resident memory is read from /proc, which this system does not have") from None
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak_resident() -> int:
    """Most bytes that this process ever had in memory. (`getrusage` would count the parent's from before exec.)"""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise UnavailableError("this system does not tell a process its peak memory")


def metrics_of(workload: Workload[Any], problem: Any, sample: Sample) -> Sample:
    """A run's raw sample as the workload's metrics, per unit; without those whose phase the engine does not have."""
    values: Sample = {}
    for metric in workload.metrics:
        if metric.kind == "time" and metric.phase == "*":
            raw = sum(seconds for phase, seconds in sample.items() if "resident" not in phase)
        elif metric.name in sample:
            raw = sample[metric.name]
        else:
            continue
        values[metric.name] = raw / metric.count(problem)
    return values


def numbers(values: Iterable[Any]) -> list[float]:
    return [float(value) for value in values]


def compare(expected: Results, found: Results, tolerance: float) -> None:
    """Raise `MismatchError` unless every list that both have agrees, and there is one."""
    common = expected.keys() & found.keys()
    if not common:
        raise MismatchError(f"gave {sorted(found)}, of which nothing is among {sorted(expected)}")
    for key in sorted(common):
        right, got = numbers(expected[key]), numbers(found[key])
        if len(right) != len(got):
            raise MismatchError(f"{key}: {len(got)} numbers where {len(right)} are right")
        scale = max((abs(value) for value in right), default=0.0)
        for i, (a, b) in enumerate(zip(right, got, strict=True)):
            if not abs(a - b) <= tolerance * scale:
                raise MismatchError(f"{key}[{i}] is {b!r}, should be {a!r}")
            if not math.isfinite(a):
                raise MismatchError(f"{key}[{i}] is {a!r}: the workload itself is broken")


@contextmanager
def frozen() -> Iterator[None]:
    """Everything that exists now is out of the collector's sight inside."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.collect()


def measure(
    workload: Workload[Any],
    engines: Sequence[Engine],
    *,
    quick: bool = False,
    slow: bool = False,
    seconds: float = 3.0,
    say: Callable[[str], None] = lambda text: None,
) -> Report:
    """Check that all engines agree on `workload`, then (unless `quick`) time them.

    Parameters
    ----------
    quick : bool
        The small problem, one run each, no times.
    slow : bool
        Also the entries whose set-up takes long.
    seconds : float
        Time for each engine, set-up aside; three turns are taken whatever they cost.
    say : callable
        Is told what is going on.
    """
    problem = workload.make(quick)
    report = Report(workload)
    results: dict[str, Results] = {}
    for engine in engines:
        entries = engine.entries.get(workload.name, [])
        if not entries:
            report.absent[engine.name] = engine.reasons.get(workload.name, engine.otherwise)
        for entry in entries:
            if entry.slow and not (slow or quick):
                report.absent[entry.label] = f"{entry.slow}; --slow runs it"
                continue
            say(f"{workload.name}: {entry.label}")
            try:
                execute = _executor(workload, entry, problem, quick)
                _, results[entry.label] = execute()
            except UnavailableError as reason:
                report.absent[entry.label] = str(reason)
            except Exception as error:  # one engine's failure is reported and must not take the others' numbers along
                report.failures[entry.label] = f"{type(error).__name__}: {error}"
            else:
                report.contenders.append(Contender(entry.label, execute))

    _check(workload, problem, report, results)
    if quick:
        return report

    spent = dict.fromkeys(results, 0.0)
    del results
    with frozen():
        before, begin = os.times(), perf_counter()
        for k in range(ROUNDS):
            for contender in report.contenders:
                if spent[contender.label] <= seconds * (k + 0.5) / ROUNDS or k in ALWAYS:
                    say(f"{workload.name}: round {k + 1} of {ROUNDS}, {contender.label}")
                    start = perf_counter()
                    contender.turns[k] = _turn(workload, problem, contender, seconds / ROUNDS)
                    spent[contender.label] += perf_counter() - start
        after, end = os.times(), perf_counter()  # whose own clock has ticks of ten milliseconds
        if report.contenders:
            report.share = (sum(after[:4]) - sum(before[:4])) / (end - begin)
    return report


def _executor(workload: Workload[Any], entry: Entry, problem: Any, quick: bool) -> Callable[[], tuple[Sample, Results]]:
    if workload.isolated:
        return lambda: run_isolated(workload.name, entry, quick)
    run = entry.setup(problem)
    return lambda: time_phases(run)


def _turn(workload: Workload[Any], problem: Any, contender: Contender, seconds: float) -> Sample:
    gc.collect()
    runs: list[Sample] = []
    end = perf_counter() + seconds
    while not runs or perf_counter() < end:
        sample, _ = contender.execute()
        runs.append(metrics_of(workload, problem, sample))
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def _check(workload: Workload[Any], problem: Any, report: Report, results: Mapping[str, Results]) -> None:
    """Move every contender that disagrees with what is right to the failures."""
    if workload.expected is not None:
        right = workload.expected(problem)
    else:
        label = next((label for label in (*workload.oracles, *results) if label in results), None)
        if label is None:
            return
        right = results[label]
    for contender in list(report.contenders):
        try:
            compare(right, results[contender.label], workload.tolerance)
        except MismatchError as mismatch:
            report.failures[contender.label] = f"wrong result: {mismatch}"
            report.contenders.remove(contender)
