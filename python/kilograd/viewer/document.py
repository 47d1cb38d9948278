"""One HTML file out of the parts in ``page/``: style, code and data inside, nothing from outside.

The page's policy lets run only the code whose hash it names: whatever a label holds, it stays text.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from kilograd.display.page import escaped

__all__ = ["GRAPH", "TRAINING", "document"]

GRAPH = (
    "view.html",
    (
        "elements",
        "ops",
        "graph",
        "text",
        "layout",
        "scene",
        "picture",
        "order",
        "inspector",
        "quiz",
        "app",
        "controls",
        "host",
        "start",
    ),
)
TRAINING = ("training.html", ("elements", "text", "training"))


def document(kind: tuple[str, Sequence[str]], title: str, data: Mapping[str, Any]) -> str:
    """The page of a kind, as one text.

    Parameters
    ----------
    kind : GRAPH or TRAINING
    title : str
    data : dict
        What the page's code reads.
    """
    template, scripts = kind
    script = _script(tuple(scripts))
    policy = f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
    parts = {
        "title": escaped(title),
        "style": _part("view.css"),
        "policy": policy,
        "data": json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _part(template))


@cache
def _script(names: tuple[str, ...]) -> str:
    """Files of code as one function, so that none of their names is the browser's."""
    code = "\n".join(_part(f"{name}.js") for name in names)
    return f'\n(() => {{\n"use strict";\n{code}}})();\n'


@cache
def _part(name: str) -> str:
    return (files("kilograd.viewer") / "page" / name).read_text(encoding="utf-8")
