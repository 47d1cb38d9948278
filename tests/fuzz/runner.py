"""Running a fuzzer in a process of its own: exceptions, crashes and hangs are findings, each with its seed."""

from __future__ import annotations

import importlib
import mmap
import pathlib
import pkgutil
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from types import ModuleType

__all__ = ["corpus_of", "hunt", "module", "names", "worker"]

HERE = pathlib.Path(__file__).parent
HANGS = 120.0  # seconds without a new seed, after which a worker counts as hanging
_RECORD = struct.Struct("qqq")  # the seed that runs, how many are done, how many were findings


def names() -> list[str]:
    """The fuzzers of this folder."""
    return sorted(info.name for info in pkgutil.iter_modules([str(HERE)]) if _is_fuzzer(info.name))


def _is_fuzzer(name: str) -> bool:
    return "\ndef run(seed" in (HERE / f"{name}.py").read_text() if (HERE / f"{name}.py").exists() else False


def module(name: str) -> ModuleType:
    """The module of a fuzzer."""
    return importlib.import_module(f"tests.fuzz.{name}")


def corpus_of(name: str) -> int:
    """Run everything that was once found; how much of it is back."""
    back = 0
    for case, check in module(name).corpus():
        try:
            check()
        except Exception:
            back += 1
            print(f"{name}: {case} is back\n{traceback.format_exc()}", flush=True)
    return back


def worker(name: str, seed: int, record: str) -> None:
    """Run seeds from `seed` on until the process is ended, noting each in the file `record` before it runs."""
    run = module(name).run
    with open(record, "r+b") as file, mmap.mmap(file.fileno(), _RECORD.size) as shared:
        _, done, findings = _RECORD.unpack(shared[:])
        while True:
            shared[:] = _RECORD.pack(seed, done, findings)
            try:
                run(seed)
            except Exception:
                findings += 1
                print(f"{name}: seed {seed}\n{traceback.format_exc()}", flush=True)
            done += 1
            seed += 1


def hunt(name: str, seed: int, rounds: int | None, seconds: float) -> tuple[int, int]:
    """Run seeds for so many rounds or seconds; the number of programs and of findings among them."""
    end = time.monotonic() + seconds
    with tempfile.NamedTemporaryFile() as file:
        file.write(_RECORD.pack(seed, 0, 0))
        file.flush()

        def progress() -> tuple[int, int, int]:
            file.seek(0)
            current, done, findings = _RECORD.unpack(file.read(_RECORD.size))
            return current, done, findings

        while True:
            command = [sys.executable, "-X", "faulthandler", "-m", "tests.fuzz", name, "--worker", file.name]
            child = subprocess.Popen([*command, "--seed", str(seed)])
            moved, last = time.monotonic(), progress()
            while child.poll() is None:
                time.sleep(0.02)
                now, current = time.monotonic(), progress()
                if current != last:
                    moved, last = now, current
                if now > end or (rounds is not None and current[1] >= rounds) or now - moved > HANGS:
                    break
            current, done, findings = progress()
            if child.poll() is None:
                child.kill()
                child.wait()
                if time.monotonic() - moved <= HANGS:
                    return (done if rounds is None else min(done, rounds)), findings
                print(f"{name}: seed {current} hangs", flush=True)
            else:
                print(f"{name}: seed {current} ends the process with {child.returncode}", flush=True)
            seed = current + 1
            file.seek(0)
            file.write(_RECORD.pack(seed, done + 1, findings + 1))
            file.flush()
            if time.monotonic() > end or (rounds is not None and done + 1 >= rounds):
                return done + 1, findings + 1
