"""What every test shares: the leak check, and the helpers that compare kilograd with the reference."""

from __future__ import annotations

import concurrent.futures
import gc
import os
import pathlib
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings

import kilograd

settings.register_profile(
    "kilograd",
    deadline=None,  # two busy cores: a time limit would measure the neighbours
    derandomize=True,  # the same examples in every run; `--hypothesis-seed` or the profile "explore" tries others
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.register_profile("explore", settings.get_profile("kilograd"), derandomize=False, max_examples=2000)
settings.load_profile(os.environ.get("KILOGRAD_HYPOTHESIS", "kilograd"))


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a job in the background; tests press Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


if sys.platform == "emscripten":  # one thread, no processes, and no clock of their time
    import numpy.testing  # noqa: F401 - before: it asks another process, and takes no for an answer

    def skip(*_: object, **__: object) -> None:
        pytest.skip("needs another thread or process")

    setattr(concurrent.futures, "ProcessPoolExecutor", skip)  # noqa: B010 - its module has it only when asked
    for method in ("start", "join"):
        setattr(threading.Thread, method, skip)
    setattr(subprocess.Popen, "__init__", skip)  # noqa: B010
    time.process_time = time.perf_counter


def pytest_collection_finish() -> None:
    """What lives here is permanent: leave it out of the collections that `no_leaks` makes."""
    gc.collect()
    gc.freeze()


# Without a GIL, CPython 3.13 never frees a class or a function any more, once a second thread has run.
KEEPS_CLASSES = bool(sysconfig.get_config_var("Py_GIL_DISABLED")) and sys.version_info[:2] == (3, 13)


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test ends with as many live nodes as it began with (or fewer, after a failure whose traceback held some)."""
    before = kilograd.live_nodes()  # collected after the test before
    yield
    request.node.funcargs.clear()  # the values of fixtures, which pytest would keep a little longer
    while gc.collect():  # without a GIL, what a class or a function holds is free one collection after it
        pass
    after = kilograd.live_nodes()
    report = getattr(request.node, "call_report", None)
    if report is not None and report.passed and not KEEPS_CLASSES:  # the traceback of a failed test holds its values
        assert after <= before, f"{after - before} nodes are still alive after the test"
    gc.freeze()  # modules that this test imported: 250,000 objects of theirs would cost every later test 0.1 s


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.when == "call":
        item.call_report = report  # type: ignore[attr-defined]


@pytest.fixture
def run_python() -> Callable[[str], str]:
    """Runs a program in a Python of its own and returns what it printed."""

    def run(program: str) -> str:
        package = pathlib.Path(kilograd.__file__).parent.parent
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")])}
        result = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=300
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    return run
