"""The reference: every public name has its place there, and a docstring to show."""

from __future__ import annotations

import importlib
import inspect
import pathlib
import pkgutil
import re
from types import ModuleType
from typing import Any

import pytest

import kilograd

PAGES = sorted((pathlib.Path(__file__).parents[1] / "docs" / "reference").glob("*.md"))
MODULES = [
    *(name for name in kilograd.__all__ if isinstance(getattr(kilograd, name), ModuleType)),
    *("estimators", "gradcheck", "micrograd.engine", "micrograd.nn", "sparse", "viewer"),
]


def documented() -> list[Any]:
    """The objects that the directives of the reference name."""
    found: list[Any] = []
    for page in PAGES:
        module = ""
        for kind, name, options in re.findall(
            r"^\.\. (\w+):: ([\w.]+)\n((?:   :.*\n)*)", page.read_text(), re.MULTILINE
        ):
            if kind == "currentmodule":
                module = name
            elif kind == "automodule":
                module = name
                loaded = importlib.import_module(name)
                hidden = re.findall(r":exclude-members: (.*)", options)
                public = [] if ":no-members:" in options else getattr(loaded, "__all__", [])
                found += [
                    loaded,
                    *(getattr(loaded, public_name) for public_name in public if public_name not in hidden),
                ]
            else:
                found.append(pkgutil.resolve_name(name if name.startswith("kilograd.") else f"{module}.{name}"))
    return found


def public_names() -> list[str]:
    names = [f"kilograd.{name}" for name in kilograd.__all__]
    for home in MODULES:
        try:
            module = importlib.import_module(f"kilograd.{home}")
        except ModuleNotFoundError:  # scikit-learn is an extra
            continue
        names += [f"kilograd.{home}.{name}" for name in module.__all__]
    return names


@pytest.mark.parametrize("name", public_names())
def test_is_documented(name: str) -> None:
    pytest.importorskip("sklearn")
    thing = pkgutil.resolve_name(name)
    assert any(thing is found for found in documented())
    if inspect.isroutine(thing) or inspect.isclass(thing):
        assert inspect.getdoc(thing)


def test_all_of_value_is_documented() -> None:
    protocols = ("__", "_repr_")  # Python's and notebooks'
    names = [name for name in vars(kilograd.Value) if not name.startswith(protocols) and hasattr(kilograd.Value, name)]
    page = (PAGES[0].parent / "value.md").read_text()
    assert "backward" in names
    for name in names:
        assert inspect.getdoc(getattr(kilograd.Value, name)), name
        assert re.search(rf"^\.\. auto\w+:: Value\.{name}$", page, re.MULTILINE), name
