"""Running a fuzzer in a process of its own: exceptions, crashes and hangs are findings, each with its seed.

The worker runs one item after the other and notes in a shared file which one it is at. It ends by itself; the watcher
looks on, and where the worker died or stands still, it counts a finding and starts another behind the item.
"""

from __future__ import annotations

import contextlib
import importlib
import mmap
import os
import pathlib
import pkgutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from types import ModuleType

__all__ = ["hunt", "module", "names", "replay", "worker"]

HERE = pathlib.Path(__file__).parent
HANGS = 120.0  # seconds without a new item, after which a worker counts as hanging
_RECORD = struct.Struct("qqq")  # the item that runs, how many are done, how many of them were findings


def names() -> list[str]:
    """The fuzzers of this folder."""
    return sorted(info.name for info in pkgutil.iter_modules([str(HERE)]) if _is_fuzzer(info.name))


def _is_fuzzer(name: str) -> bool:
    file = HERE / f"{name}.py"
    return file.exists() and "\ndef run(seed" in file.read_text(encoding="utf-8")


def module(name: str) -> ModuleType:
    """The module of a fuzzer."""
    return importlib.import_module(f"tests.fuzz.{name}")


def worker(name: str, corpus: bool, first: int, count: int | None, seconds: float, record: str) -> None:
    """Run the items from `first` on, noting each in the file `record` before it runs.

    Items are seeds, or the cases of the corpus. Ends after so many, after so many seconds, or when its parent is gone.
    """
    fuzzer = module(name)
    cases = list(fuzzer.corpus()) if corpus else []
    end = time.monotonic() + seconds
    parent = os.getppid()
    findings = 0
    with open(record, "r+b") as file, mmap.mmap(file.fileno(), _RECORD.size) as shared:
        done = 0
        while (count is None or done < count) and time.monotonic() < end and os.getppid() == parent:
            item = first + done
            shared[:] = _RECORD.pack(item, done, findings)
            try:
                cases[item][1]() if corpus else fuzzer.run(item)
            except Exception:
                findings += 1
                print(f"{name}: {_title(cases, item)}\n{traceback.format_exc()}", flush=True)
            done += 1
            shared[:] = _RECORD.pack(item, done, findings)


def _title(cases: list[tuple[str, Callable[[], None]]], item: int) -> str:
    return f"{cases[item][0]} is back" if cases else f"seed {item}"


def replay(name: str) -> int:
    """Run everything that was once found; how much of it is back."""
    cases = list(module(name).corpus())
    return _watch(name, cases, 0, len(cases), float("inf"))[1] if cases else 0


def hunt(name: str, seed: int, rounds: int | None, seconds: float) -> tuple[int, int]:
    """Run seeds for so many rounds or seconds; the number of programs and of findings among them."""
    return _watch(name, [], seed, rounds, seconds)


def _watch(
    name: str, cases: list[tuple[str, Callable[[], None]]], first: int, count: int | None, seconds: float
) -> tuple[int, int]:
    end = time.monotonic() + seconds
    total = findings = 0
    with tempfile.TemporaryDirectory() as folder:
        record = pathlib.Path(folder) / "record"
        while (count is None or total < count) and time.monotonic() < end:
            record.write_bytes(_RECORD.pack(first, 0, 0))
            options = [f"--seed={first}", f"--seconds={max(end - time.monotonic(), 0.0)}", f"--worker={record}"]
            options += [] if count is None else [f"--rounds={count - total}"]
            options += ["--corpus"] if cases else []
            with _running([sys.executable, "-X", "faulthandler", "-m", "tests.fuzz", name, *options]) as child:
                hangs = _wait(child, record)
            item, done, found = _RECORD.unpack(record.read_bytes())
            total, findings = total + done, findings + found
            if child.returncode == 0:
                break
            total, findings, first = total + 1, findings + 1, item + 1
            end_of_it = "hangs" if hangs else f"ends the process with {child.returncode}"
            print(f"{name}: {_title(cases, item)}: {end_of_it}", flush=True)
    return total, findings


@contextlib.contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own, which Ctrl-C reaches through us alone; nothing of it is left afterwards."""
    child = subprocess.Popen(command, start_new_session=True)
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL) if hasattr(os, "killpg") else child.kill()
        child.wait()


def _wait(child: subprocess.Popen[bytes], record: pathlib.Path) -> bool:
    """Wait until the child ends, or stands still for too long."""
    moved, last = time.monotonic(), record.read_bytes()
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=1.0)
            return False
        now, current = time.monotonic(), record.read_bytes()
        if current != last:
            moved, last = now, current
        elif now - moved > HANGS:
            return True
