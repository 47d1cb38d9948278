"""Which source files are the program's: those that nobody has installed."""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder

__all__ = ["find", "is_own"]

INSTALLED = ("site-packages", "dist-packages")


def _real(path: str) -> str:
    return os.path.join(os.path.realpath(path), "")


@cache
def _libraries() -> tuple[str, ...]:
    """Folders that hold Python's own modules, installed ones, and kilograd."""
    import kilograd

    version = "python{}.{}".format(*sys.version_info)
    found = {os.path.dirname(os.__file__), os.path.join(sys.exec_prefix, sys.platlibdir, version), *kilograd.__path__}
    return tuple(_real(path) for path in found)


def is_own(path: str) -> bool:
    """Whether the source file `path` belongs to the program, wherever it lies."""
    real = os.path.realpath(path)
    return not real.startswith(_libraries()) and not any(part in INSTALLED for part in real.split(os.sep))


def find(name: str) -> str | None:
    """Where the program's own top-level module or package `name` is, without its ``.py``; else None.

    It is looked for as an import would look now; nothing is imported.
    """
    try:
        spec: ModuleSpec | None = PathFinder.find_spec(name)
    except (ImportError, ValueError, AttributeError, OSError):
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations is not None:
        place = next(iter(spec.submodule_search_locations), None)
    else:
        place = os.path.splitext(spec.origin)[0] if spec.has_location and spec.origin else None
    return place if place is not None and is_own(place) else None
