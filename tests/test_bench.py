"""The benchmark harness: what it compares, how it times, what it says. The engines' results are `bench --quick`'s."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench import report as show
from bench.harness import MismatchError, Spread, compare, measure, metrics_of, time_phases
from bench.model import Engine, Floor, Metric, Phases, Run, UnavailableError, Workload

ROOT = Path(__file__).parent.parent

WORK: Workload[int] = Workload(
    name="work",
    title="Work",
    make=lambda quick: 1 if quick else 2,
    metrics=[Metric("step", "turn", lambda problem: problem), Metric("*", "turn", lambda problem: problem)],
    floors=[
        Floor("slower than the fast one", "step", at_least=2.0, engine="slow", to="kilograd"),
        Floor("as fast as the fast one", "step", at_most=1.0, engine="slow", to="kilograd"),
        Floor("needs one that is not here", "step", at_most=1.0, to="nobody"),
    ],
    expected=lambda problem: {"x": [float(problem)]},
)


def spin(seconds: float) -> None:
    """Use processor time."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def engine(name: str, seconds: float, result: float | None = None) -> Engine:
    """An engine that spins through its step."""
    made = Engine(name, version="1", drive="spins", otherwise="cannot")

    @made.runs(WORK)
    def step(problem: int) -> Run:
        def run() -> Phases:
            yield None
            spin(seconds)
            yield "step"
            return {"x": [problem if result is None else result]}

        return run

    return made


def test_phases_add_up_and_neither_preparation_nor_waiting_counts() -> None:
    def run() -> Phases:
        spin(0.2)
        yield None
        for _ in range(2):
            spin(0.01)
            yield "twice"
        time.sleep(0.2)
        yield "nothing"
        return {"x": [1.0]}

    times, results = time_phases(run)
    assert times.keys() == {"twice", "nothing"}
    assert 0.019 <= times["twice"] < 0.1
    assert times["nothing"] < 0.1, "time that the process did not have the processor does not count"
    assert results == {"x": [1.0]}


def test_metrics_are_per_unit_and_left_out_where_the_engine_has_no_such_phase() -> None:
    assert metrics_of(WORK, 2, {"step": 4.0, "other": 2.0}) == {"step": 2.0, "total": 3.0}
    assert metrics_of(WORK, 2, {"other": 2.0}) == {"total": 1.0}


def test_ratios_and_floors() -> None:
    found = measure(WORK, [engine("kilograd", 0.001), engine("slow", 0.02)], seconds=0.1)
    assert not found.failures
    ratio = found.ratio("slow", "step", "kilograd")
    assert ratio is not None
    assert ratio.median > 2
    assert [verdict.passed for verdict in found.verdicts()] == [True, False, None]
    text = show.as_text(found)
    assert "PASS" in text
    assert "FAIL" in text
    assert "not measured" in text


def test_slow_engines_get_fewer_turns_and_everybody_the_first_and_the_last() -> None:
    found = measure(WORK, [engine("kilograd", 0.0005), engine("slow", 0.05)], seconds=0.15)
    fast, slow = (contender.turns.keys() for contender in found.contenders)
    assert len(fast) > len(slow) >= 3
    assert {0, 14} <= fast & slow


def test_a_wrong_result_is_a_failure_and_not_timed() -> None:
    found = measure(WORK, [engine("kilograd", 0.0), engine("wrong", 0.0, result=3.0)], seconds=0.01)
    assert [contender.label for contender in found.contenders] == ["kilograd"]
    assert found.failures == {"wrong": "wrong result: x[0] is 3.0, should be 2.0"}


def test_reasons_and_errors_do_not_take_the_others_along() -> None:
    absent, broken, unable = (
        Engine(name, version="1", drive="", otherwise="has no sleep") for name in ("absent", "broken", "unable")
    )

    @broken.runs(WORK)
    def fail(problem: int) -> Run:
        raise ZeroDivisionError("at the worst moment")

    @unable.runs(WORK, "variant")
    def refuse(problem: int) -> Run:
        raise UnavailableError("needs a newer version")

    found = measure(WORK, [absent, broken, unable, engine("kilograd", 0.0)], quick=True)
    assert [contender.label for contender in found.contenders] == ["kilograd"]
    assert found.absent == {"absent": "has no sleep", "unable (variant)": "needs a newer version"}
    assert found.failures == {"broken": "ZeroDivisionError: at the worst moment"}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"x": [1.0, 2.1]}, r"x\[1\] is 2.1, should be 2.0"),
        ({"x": [1.0, float("nan")]}, r"x\[1\] is nan"),
        ({"x": [1.0]}, "1 numbers where 2 are right"),
        ({"y": [1.0, 2.0]}, "nothing is among"),
    ],
)
def test_results_that_differ(found: dict[str, list[float]], words: str) -> None:
    with pytest.raises(MismatchError, match=words):
        compare({"x": [1.0, 2.0]}, found, 1e-9)


def test_results_that_agree_may_be_fewer() -> None:
    compare({"x": [1.0, 2.0], "y": [3.0]}, {"x": [1.0, 2.0 + 1e-12]}, 1e-9)


def test_spread() -> None:
    assert Spread.of([5.0, 1.0, 3.0, 2.0, 4.0]) == Spread(3.0, 2.0, 4.0, 5)
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0, 1)


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", "--engine", "kilograd", "--engine", "reference", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_command_line_quick_with_an_isolated_process() -> None:
    done = bench("--quick", "article", "memory")
    assert done.returncode == 0, done.stderr
    assert "article: kilograd, reference agree" in done.stdout
    assert "memory: kilograd, reference agree" in done.stdout
    assert done.stdout.rstrip().endswith("4 passed, 0 failed")


def test_command_line_json_is_timed_and_machine_readable() -> None:
    done = bench("--json", "--seconds", "0.1", "article")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    (workload,) = document["workloads"]
    (metric,) = workload["metrics"]
    engines = metric["engines"]
    assert metric["unit"] == "s/step"
    assert engines["reference"]["ratio"]["median"] > 1
    assert engines["kilograd"]["low"] <= engines["kilograd"]["median"] <= engines["kilograd"]["high"]
    assert document["machine"]["python"]


def test_command_line_names_the_workloads_there_are() -> None:
    done = bench("nonsense")
    assert done.returncode == 2
    assert "no workload 'nonsense'; there are eager, backward" in done.stderr
