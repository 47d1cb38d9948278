"""Every fuzzer's corpus, and its first seeds: the long runs are ``python -m tests.fuzz``."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest
from tests.fuzz.runner import HERE, module, names

CASES = [pytest.param(check, id=f"{name}-{case}") for name in names() for case, check in module(name).corpus()]


@pytest.mark.parametrize("check", CASES)
def test_corpus(check: Callable[[], None]):
    check()


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("seed", range(5))
def test_first_seeds(name: str, seed: int):
    module(name).run(seed)


DEMO = """
import os

def run(seed):
    if seed == 11:
        raise ValueError("a finding")
    if seed == 12:
        os._exit(3)

def corpus():
    yield "fine", lambda: None
    yield "back", lambda: 1 / 0
"""


def test_findings_are_named_and_counted(tmp_path: pathlib.Path):
    folder = tmp_path / "tests" / "fuzz"
    folder.mkdir(parents=True)
    for name in ("__init__", "__main__", "runner"):
        shutil.copy(HERE / f"{name}.py", folder)
    (folder / "demo.py").write_text(DEMO)

    def fuzz(*arguments: str) -> tuple[str, int]:
        command = [sys.executable, "-m", "tests.fuzz", *arguments]
        result = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, timeout=600)
        return result.stdout, result.returncode

    text, status = fuzz("all", "--seed", "10", "--rounds", "5")
    assert status == 1
    assert "demo: back is back" in text
    assert "demo: seed 11\n" in text
    assert "a finding" in text
    assert "demo: seed 12: ends the process with 3" in text
    assert text.endswith("demo: 5 programs from seed 10 on, 2 findings, 1 old ones are back\n")
    assert fuzz("nobody")[1] == 2
