"""Who may know whom: the arrows between folders that docs/design.md draws, read off the sources."""

from __future__ import annotations

import ast
import pathlib
import re
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parent.parent
CPP = ROOT / "cpp"
PYTHON = ROOT / "python" / "kilograd"

# For each folder of C++ (or `.` for cpp/ itself), the folders that it may include from.
PROGRAM = {
    ".",
    "program",
    "program/execution",
    "program/kernels",
    "program/machine",
    "program/passes",
    "program/schedules",
}
MACHINE = {"program/machine", "program/machine/aarch64", "program/machine/x86_64"}
INCLUDES = {
    ".": {"."},
    "math": {".", "math"},
    "engine": {".", "engine"},
    "nn": {".", "engine", "nn"},
    "program": PROGRAM,
    "program/execution": PROGRAM - {"program/passes"},
    "program/machine": {".", "program", "program/kernels", "program/schedules"} | MACHINE,
    "program/machine/aarch64": {"program/machine", "program/machine/aarch64"},
    "program/machine/x86_64": {"program/machine", "program/machine/x86_64"},
    "program/schedules": PROGRAM - {"program/passes", "program/execution", "program/machine"},
    "program/passes": {".", "program", "program/passes"},
    "program/kernels": {".", "math", "program", "program/kernels"},
    "program/stages": PROGRAM | {"program/stages"},
    "bindings": {".", "engine", "nn", *PROGRAM, "bindings", "bindings/value", "bindings/served", "bindings/program"},
    "bindings/value": {".", "engine", "bindings", "bindings/value"},
    "bindings/served": {".", "engine", "bindings", "bindings/value", "bindings/served"},
    "bindings/program": {".", "engine", "nn", *PROGRAM, "bindings", "bindings/value", "bindings/program"}
    | {"program/stages"},
}
# The headers of the engine, from below: each includes only such as stand before it.
ENGINE = [
    *("threading", "pages", "poison", "node", "typed", "arena"),
    *("sweep", "graph", "fixed", "order", "backward", "replay"),
]
# For each module or package, those of kilograd that it may never import, at its top or within a function.
NEVER = {
    "arrays": {"nn", "training", "compiled", "recorded", "run", "cli"},
    "functional": {"nn", "training", "compiled", "recorded", "run", "cli"},
    "optim": {"training", "recorded", "run", "cli"},
    "program": {"training", "recorded", "compiled", "run", "cli"},
    "compiled": {"nn", "training", "recorded", "run", "cli"},
    "recorded": {"training", "run", "cli"},
    "training": {"run", "cli", "distributed"},
    "distributed": {"run", "cli"},
    "nn": {"training", "recorded", "run", "cli"},
    "reference": {"nn", "training", "compiled", "run", "cli", "_core"},
    "run": {"training", "recorded", "compiled", "nn", "optim"},
}


def sources() -> list[pathlib.Path]:
    return [path for path in sorted(CPP.rglob("*")) if path.suffix in (".hpp", ".cpp", ".def")]


def included(path: pathlib.Path) -> list[pathlib.Path]:
    return [(path.parent / name).resolve() for name in re.findall(r'^ *#include "([^"]+)"', path.read_text(), re.M)]


def folder(path: pathlib.Path) -> str:
    return path.parent.relative_to(CPP).as_posix()


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(CPP).as_posix())
def test_includes_point_down(path: pathlib.Path):
    for other in included(path):
        assert other.exists(), f"{other} is not there"
        assert folder(other) in INCLUDES[folder(path)], f"{folder(path)} includes {other.relative_to(CPP)}"
    if not folder(path).startswith("bindings"):
        assert not re.search(r"#include <(Python\.h|pybind11/)", path.read_text())


def test_headers_of_the_engine_point_down():
    paths = [(CPP / "engine" / f"{name}.hpp").resolve() for name in ENGINE]
    assert sorted(paths) == sorted((CPP / "engine").resolve().glob("*.hpp"))
    for k, path in enumerate(paths):
        above = set(included(path)) & set(paths[k:])
        assert not above, f"{path.name} includes {', '.join(other.name for other in above)}"


def test_headers_make_no_circle():
    headers = {path.resolve(): included(path) for path in sources() if path.suffix == ".hpp"}
    done: set[pathlib.Path] = set()

    def visit(path: pathlib.Path, above: tuple[pathlib.Path, ...]) -> None:
        assert path not in above, " -> ".join(p.name for p in (*above, path))
        if path in done:
            return
        for other in headers.get(path, []):
            visit(other, (*above, path))
        done.add(path)

    for path in headers:
        visit(path, ())


def imported(path: pathlib.Path) -> Iterator[str]:
    """The modules and packages of kilograd that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "kilograd" and len(parts) > 1:
                yield parts[1]


@pytest.mark.parametrize("name", NEVER)
def test_imports_point_down(name: str):
    files = [PYTHON / f"{name}.py"] if (PYTHON / f"{name}.py").exists() else sorted((PYTHON / name).rglob("*.py"))
    assert files
    for path in files:
        found = set(imported(path)) & NEVER[name]
        assert not found, f"{path.relative_to(PYTHON)} imports {', '.join(sorted(found))}"
