"""The README's code runs as it stands."""

from __future__ import annotations

import doctest
import pathlib
import re

import kilograd
import kilograd.arrays
import kilograd.compiled.choice
import kilograd.compiled.transforms
import kilograd.modes
import kilograd.program

ROOT = pathlib.Path(__file__).parents[1]


def test_code_blocks_run(capsys):
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 3
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
    printed = capsys.readouterr().out.splitlines()
    promised = re.findall(r"^print\(.*\) +# (.*)$", "".join(blocks), re.MULTILINE)
    assert promised
    assert [line for line in printed if line in promised] == promised


def test_the_test_command_is_the_one_that_the_gate_runs():
    readme = (ROOT / "README.md").read_text()
    command = re.search(r"^<!-- test command -->\n```sh\n(.*)\n```$", readme, re.MULTILINE)
    assert command
    assert command[1].endswith("-m pytest")
    assert "<!-- test command -->" in (ROOT / ".ci" / "run").read_text()


def test_docstrings_run():
    modules = (kilograd, kilograd.arrays, kilograd.compiled.choice, kilograd.compiled.transforms)
    for module in (*modules, kilograd.modes, kilograd.program):
        result = doctest.testmod(module)
        assert result.attempted
        assert not result.failed
