"""The notebooks of the tutorial: they run from top to bottom, quickly enough, and are kept without outputs."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))


def read(path: pathlib.Path) -> Any:
    return nbformat.read(path, as_version=4)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(path: pathlib.Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("graphviz")
    notebook = read(path)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    said = "".join(output["text"] for output in shown if output.get("name") == "stderr")
    assert re.fullmatch(r"(?:\s*\d+%\|.*?[\r\n])*\s*(?:\d+%\|.*)?\s*", said)  # progress bars, and no warning
    for output in shown:
        data = output.get("data", {})
        assert set(data) - {"text/plain"} or not data.get("text/plain", "").startswith("<"), (
            "shows nothing but an address"
        )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_kept_without_outputs(path: pathlib.Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    assert path.stat().st_size < 20_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_answers_are_hidden(path: pathlib.Path) -> None:
    cells = read(path).cells
    heading = next(k for k, cell in enumerate(cells) if "## Exercises" in cell.source)
    exercises = [cell for cell in cells[heading:] if cell.cell_type == "code"]
    assert exercises
    for cell in exercises:
        assert "hide-cell" in cell.metadata.tags  # on the site
        assert cell.metadata.jupyter.source_hidden  # in Jupyter
        assert cell.metadata.jupyter.outputs_hidden


def test_the_tutorial_has_them_all() -> None:
    page = (ROOT / "docs" / "tutorial.md").read_text()
    assert NOTEBOOKS
    for path in NOTEBOOKS:
        assert f"](../examples/notebooks/{path.name})" in page
        assert f"\n../examples/notebooks/{path.stem}\n" in page  # in the table of contents
