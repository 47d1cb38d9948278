"""What a notebook shows of a Value: its text, and its graph where that is small."""

from __future__ import annotations

import subprocess
from collections import Counter
from typing import Any

from kilograd.display.neurons import in_order
from kilograd.display.page import beside, escaped, or_nothing, picture, table
from kilograd.draw import _operands, _places, _walk, draw_dot

__all__ = ["html"]

DRAWN = 50
"""Up to how many values are drawn: more are not read, and wait for their layout."""
COUNTED = 2000
"""Up to how many are counted: looking at a value in a graph makes a Python object for it."""


@or_nothing
def html(value: Any) -> str:
    """A Value with what it was computed from, as HTML.

    Parameters
    ----------
    value : Value

    Returns
    -------
    str or None
        None where it cannot be shown.
    """
    text = f"<pre>{escaped(repr(value))}</pre>"
    try:
        nodes = _walk(value, COUNTED)
    except ValueError:
        return beside(text, _advice(f"more than {COUNTED:,} values"))
    if len(nodes) == 1:
        return beside(text, table([("label", value.label), ("grad", _places(value.grad))])) if value.label else text
    if len(nodes) > DRAWN:
        return beside(text, _summary(nodes))
    return beside(text, _drawn(value, len(nodes)) or _listed(nodes))


def _drawn(value: Any, count: int) -> str | None:
    try:
        return picture(draw_dot(value).pipe("svg", encoding="utf-8"), f"graph of {count} values")
    except (ImportError, RuntimeError, OSError, subprocess.SubprocessError, ValueError):  # nothing here lays it out
        return None


def _in_order(nodes: list[Any]) -> list[Any]:
    return in_order(nodes, {id(node): _operands(node) for node in nodes})


def _listed(nodes: list[Any]) -> str:
    """All values, operands first."""
    order = _in_order(nodes)
    places = {id(node): place for place, node in enumerate(order, 1)}
    rows = [
        (
            places[id(node)],
            node.label,
            " ".join([str(node._op), *(f"#{places[id(operand)]}" for operand in _operands(node))]).strip(),
            _places(node.data),
            _places(node.grad),
        )
        for node in order
    ]
    return table(rows, ("#", "label", "operation", "data", "grad"))


def _summary(nodes: list[Any]) -> str:
    """How many of what."""
    order = _in_order(nodes)
    depth: dict[int, int] = {}
    for node in order:
        depth[id(node)] = 1 + max((depth[id(operand)] for operand in _operands(node)), default=-1)
    counts = Counter(str(node._op) for node in nodes if _operands(node))
    rows = [
        ("values", f"{len(nodes):,}"),
        ("leaves", f"{len(nodes) - counts.total():,}"),
        ("depth", f"{depth[id(nodes[0])]:,} operations"),
        ("operations", ", ".join(f"{count:,} {operation}" for operation, count in counts.most_common(8))),
    ]
    return table(rows) + _advice("")


def _advice(what: str) -> str:
    ways = (
        "draw_dot(v, depth=3) draws the last operations, draw_dot(v, collapse='layers') layers as boxes, "
        "kilograd.view(v) makes a page to walk through"
    )
    return f"<p>{escaped(f'{what}: {ways}' if what else ways)}</p>"
