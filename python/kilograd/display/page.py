"""Pieces of HTML. Whatever comes from a user, labels above all, is text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from html import escape
from typing import Any, TypeVar

from kilograd.listing import upright

__all__ = ["beside", "escaped", "framed", "or_nothing", "picture", "table"]

T = TypeVar("T")


def escaped(text: Any) -> str:
    """`text` as HTML shows it."""
    return escape(upright(str(text)))


def or_nothing(shown: Callable[[T], str | None]) -> Callable[[T], str | None]:
    """None for what cannot be shown, so that a notebook falls back to its text instead of a traceback."""

    @wraps(shown)
    def guarded(thing: T) -> str | None:
        try:
            return shown(thing)
        except Exception:  # of attributes and methods of the author's, too
            return None

    return guarded


def table(rows: Iterable[Sequence[Any]], head: Sequence[Any] = ()) -> str:
    """A table; without a head the first column is one."""
    lines = [f"<tr>{''.join(f'<th>{escaped(cell)}</th>' for cell in head)}</tr>"] if head else []
    for row in rows:
        cells = [f"<td>{escaped(cell)}</td>" for cell in row]
        if not head:
            cells[0] = f"<th>{escaped(row[0])}</th>"
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f'<table style="border-spacing:.8em .1em">{"".join(lines)}</table>'


def beside(*parts: str) -> str:
    """Parts in a row, one below the other where there is no room; what is too wide can be scrolled."""
    cells = "".join(f'<div style="overflow-x:auto;max-width:100%">{part}</div>' for part in parts if part)
    return f'<div style="display:flex;flex-wrap:wrap;gap:1em;align-items:center">{cells}</div>'


def framed(page: str, title: str, height: int, allowed: str = "") -> str:
    """A whole page in a frame that is shut off from what it stands in: it may do what is `allowed` and no more."""
    return (
        f'<iframe srcdoc="{escaped(page)}" title="{escaped(title)}" sandbox="{allowed}" '
        f'style="width:100%;height:{height}px;border:1px solid #8888;border-radius:6px"></iframe>'
    )


def picture(svg: str, title: str) -> str:
    """Graphviz's SVG as a part of a page: without the names of its nodes, which many pictures of one page share."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<title>.*?</title>|<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    return svg.replace("<svg ", '<svg role="img" ', 1).replace(">", f"><title>{escaped(title)}</title>", 1)
