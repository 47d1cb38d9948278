"""Whether type checkers pass users' programs: ``python -m tests.check_typing``.

The programs stand in ``tests/typing``. Each checker has to report an error on the lines that end with ``# refused``,
and on no other.
"""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator

PROGRAMS = sorted((pathlib.Path(__file__).parent / "typing").glob("*.py"))

Line = tuple[pathlib.Path, int]


def refused_by_mypy() -> Iterator[tuple[Line, str]]:
    """With the project's configuration, which is ``--strict``."""
    command = [sys.executable, "-m", "mypy", "--strict", "--output=json", *map(str, PROGRAMS)]
    report = subprocess.run(command, capture_output=True, text=True)
    for found in map(json.loads, report.stdout.splitlines()):
        if found["severity"] == "error":
            yield (pathlib.Path(found["file"]).resolve(), found["line"]), found["message"]


def refused_by_basedpyright() -> Iterator[tuple[Line, str]]:
    """As it is installed; what it calls a warning is a matter of style."""
    command = [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable, "--outputjson"]
    report = subprocess.run([*command, *map(str, PROGRAMS)], capture_output=True, text=True)
    for found in json.loads(report.stdout)["generalDiagnostics"]:
        if found["severity"] == "error":
            yield (pathlib.Path(found["file"]), found["range"]["start"]["line"] + 1), found["message"]


def main() -> int:
    expected: set[Line] = {
        (path, number)
        for path in PROGRAMS
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"# refused$", line)
    }
    wrong = []
    for checker, report in (("mypy", refused_by_mypy()), ("basedpyright", refused_by_basedpyright())):
        found = dict(report)
        wrong += [f"{path}:{n}: refused by {checker}: {found[path, n]}" for path, n in sorted(found.keys() - expected)]
        wrong += [f"{path}:{n}: passed by {checker}" for path, n in sorted(expected - found.keys())]
    print("\n".join(wrong) or f"{len(expected)} lines refused, all others passed")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
