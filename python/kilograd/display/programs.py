"""What a notebook shows of programs and compiled functions: what goes in, the operations, the size, what code runs."""

from __future__ import annotations

import inspect
from typing import Any

from kilograd.display.page import beside, escaped, or_nothing, table

__all__ = ["compiled_html", "program_html"]

OPERATIONS, PATHS = 12, 8
"""How many of each are listed."""


@or_nothing
def program_html(program: Any) -> str:
    """A Program as HTML."""
    shape = program._core.shape
    rows = [
        ("inputs", f"{program._core.n_inputs:,}"),
        ("parameters", f"{len(program.parameters):,}"),
        ("outputs", f"of shape {shape}" if shape else "1"),
        *_size(program),
        ("code", program.code),
    ]
    return beside(f"<p>{escaped(type(program).__name__)}</p>{table(rows)}", _operations(program))


def _size(program: Any) -> list[tuple[str, str]]:
    ops = program.ops
    recorded, optimised = sum(ops["recorded"].values()), sum(ops["optimised"].values())
    return [
        ("operations", f"{recorded:,} recorded, {optimised:,} after optimisation"),
        ("memory", _bytes(program.nbytes)),
    ]


def _operations(program: Any) -> str:
    """How many of each operation there were, and are."""
    recorded, optimised = program.ops["recorded"], program.ops["optimised"]
    names = sorted({*recorded, *optimised}, key=lambda name: -max(recorded.get(name, 0), optimised.get(name, 0)))
    rows = [(name, recorded.get(name, 0), optimised.get(name, 0)) for name in names[:OPERATIONS]]
    if len(names) > OPERATIONS:
        others = names[OPERATIONS:]
        counts = [sum(ops.get(name, 0) for name in others) for ops in (recorded, optimised)]
        rows.append((f"{len(others)} others", *counts))
    return table(rows, ("operation", "recorded", "optimised")) if rows else ""


@or_nothing
def compiled_html(function: Any) -> str:
    """A compiled function as HTML: its paths, each of which is a program."""
    try:
        signature = str(inspect.signature(function._function))
    except (TypeError, ValueError):
        signature = "(...)"
    paths = [(call, path) for call, found in list(function._paths.items()) for path in found]
    title = f"<p><code>{escaped(f'{function._name}{signature}')}</code>, compiled"
    if not paths:
        return f"{title}: no path is recorded before the first call</p>"
    rows = [_path(*each) for each in paths[:PATHS]]
    more = f"<p>and {len(paths) - PATHS} more paths</p>" if len(paths) > PATHS else ""
    head = ("arguments", "result", "comparisons", "operations", "optimised", "memory", "code")
    return f"{title}: {len(paths)} path{'s' if len(paths) > 1 else ''}</p>{table(rows, head)}{more}"


def _path(call: Any, path: Any) -> tuple[Any, ...]:
    arguments, keywords = call
    given = ", ".join([*map(str, arguments), *(f"{name}: {each}" for name, each in keywords)])
    program, comparisons = path.program, len(path.key)
    if path.refusal:
        return given, path.structure, comparisons, "", "", "", "Python: what it does with numbers is not recorded"
    if program is None:
        return given, path.structure, comparisons, 0, 0, "", ""
    if not hasattr(program, "ops"):
        return given, path.structure, comparisons, "", "", _bytes(program.nbytes), "programs and stages in turn"
    ops = program.ops
    counts = [sum(ops[which].values()) for which in ("recorded", "optimised")]
    return given, path.structure, comparisons, *counts, _bytes(program.nbytes), program.code


def _bytes(count: int) -> str:
    for unit in ("bytes", "KB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}" if unit != "bytes" else f"{count} bytes"
        count = count / 1000  # type: ignore[assignment]
    return f"{count:.3g} GB"
