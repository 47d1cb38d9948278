"""Programs in the manner of those that people publish, and what `kilograd run` makes of their classes.

``python -m tests.published`` runs each of tests/published and writes the table of docs/run.md anew.
"""

from __future__ import annotations

import ast
import pathlib
import re
import subprocess
import sys
from typing import NamedTuple

PROGRAMS = pathlib.Path(__file__).parent / "published"
PAGE = pathlib.Path(__file__).parents[1] / "docs" / "run.md"
BEGIN, END = "<!-- published programs: python -m tests.published -->\n", "<!-- end -->\n"
CLASS = re.compile(r"kilograd: (\S+): (served|left as it is: )(.*)")
METHODS = re.compile(r"  (natively|as the author wrote them): (.*)")


class Outcome(NamedTuple):
    """What became of the classes of a program."""

    verdict: str  # "served", "partly", "left alone" or "not looked at"
    detail: str  # the methods that are the author's, or the reason


def execute(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=PROGRAMS, capture_output=True, text=True, timeout=600, check=False
    )


def names() -> list[str]:
    return sorted(path.name for path in PROGRAMS.glob("*.py"))


def style(name: str) -> str:
    """The first line of a program's documentation."""
    return (ast.get_docstring(ast.parse((PROGRAMS / name).read_text())) or "").partition("\n")[0]


def outcome(name: str, report: str) -> Outcome:
    """What the report of a run says."""
    found = [Outcome("not looked at", "no class has both `+`, `*` and gradients")]
    for line in report.splitlines():
        if match := CLASS.match(line):
            reason = match[3].replace("|", "\\|")
            found.append(Outcome("served", "") if match[2] == "served" else Outcome("left alone", reason))
        elif (match := METHODS.match(line)) and found[-1].verdict == "served":
            if match[1] == "natively":
                rest = {"backward"} - set(match[2].split(", "))
            else:
                rest |= own_rules(name, match[2].split(", "))
            if rest:
                found[-1] = Outcome("served", ", ".join(f"`{method}`" for method in sorted(rest)))
    best = min(found, key=lambda one: ("served", "left alone", "not looked at").index(one.verdict))
    return Outcome("partly", best.detail) if best.verdict == "served" and best.detail else best


def own_rules(name: str, methods: list[str]) -> set[str]:
    """Those of `methods` that have a rule of their own: they make closures."""
    tree = ast.parse((PROGRAMS / name).read_text())
    with_rule = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(part, ast.FunctionDef | ast.Lambda) for inner in node.body for part in ast.walk(inner))
    }
    return set(methods) & with_rule


def row(name: str, one: Outcome) -> str:
    """A line of the table."""
    return f"| [{style(name).rstrip('.')}](../tests/published/{name}) | {one.verdict} | {one.detail} |"


def table(outcomes: dict[str, Outcome]) -> str:
    """The rows of the page, without its head."""
    order = ["served", "partly", "left alone", "not looked at"]
    rows = sorted(outcomes.items(), key=lambda item: (order.index(item[1].verdict), item[0]))
    counts = [sum(one.verdict == verdict for one in outcomes.values()) for verdict in order]
    head = ", ".join(f"{count} {verdict}" for count, verdict in zip(counts, order, strict=True))
    lines = [
        f"Of {len(outcomes)} programs: {head}.",
        "",
        "| a program of this kind | its class | what is the author's, or why |",
        "| --- | --- | --- |",
    ]
    lines += [row(name, one) for name, one in rows]
    return "\n".join(lines) + "\n"


def main() -> int:
    outcomes = {}
    for name in names():
        plain, served = execute(name), execute("-m", "kilograd", "run", "--report", name)
        same = (plain.stdout, plain.returncode) == (served.stdout, served.returncode)
        outcomes[name] = outcome(name, served.stderr)
        print(f"{name:40} {'same' if same else 'DIFFERENT'}  {outcomes[name].verdict}: {outcomes[name].detail}")
    if "--dry" not in sys.argv:
        head, _, rest = PAGE.read_text().partition(BEGIN)
        _, _, tail = rest.partition(END)
        PAGE.write_text(head + BEGIN + table(outcomes) + END + tail)
    return 0


if __name__ == "__main__":
    sys.exit(main())
