"""The documents: their code runs, their tables hold, their links lead somewhere, their pictures are up to date."""

from __future__ import annotations

import ast
import builtins
import html
import pathlib
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import kilograd
import kilograd.micrograd.engine

ROOT = pathlib.Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "bench/README.md")), *DOCS]
PICTURES = ROOT / "docs" / "pictures"


def name_of(path: pathlib.Path) -> str:
    return path.relative_to(ROOT).as_posix()


# --- code ----------------------------------------------------------------------------------------------------------

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", [page for page in DOCS if BLOCK.search(page.read_text())], ids=name_of)
def test_code_blocks_run(page: pathlib.Path, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    blocks = BLOCK.findall(page.read_text())
    for name in re.findall(r"^import (pyarrow)\b", "".join(blocks), re.MULTILINE):
        pytest.importorskip(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)  # some write files
        for block in blocks:
            exec(compile(block, name_of(page), "exec"), {"__name__": "docs"})
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
    printed = capsys.readouterr().out.splitlines()
    promised = re.findall(r"^print\(.*\) +# (.*)$", "".join(blocks), re.MULTILINE)
    assert [line for line in printed if line in promised] == promised


# --- tables --------------------------------------------------------------------------------------------------------
# A table whose first column is headed "you write" is run, row by row, after the first code block of its page. The other
# columns say what comes out: the first code span of a cell is the repr of the last expression, or an exception, and
# further ones are parts of its message. A cell without code says nothing that can be run.


def articles_class() -> type:
    source = (ROOT / "tests" / "programs" / "article.py").read_text().partition("\nclass Neuron")[0]
    namespace: dict[str, Any] = {"__name__": "article"}
    exec(source, namespace)
    cls: type = namespace["Value"]
    return cls


def microgpts_class() -> type:
    source = (ROOT / "tests" / "programs" / "microgpt_slots.py").read_text().partition("\nrandom.seed")[0]
    namespace: dict[str, Any] = {"__name__": "microgpt"}
    exec(source, namespace)
    cls: type = namespace["Value"]
    return cls


def micrograds_class() -> type:
    cls: type = pytest.importorskip("micrograd.engine").Value
    return cls


COLUMNS = {
    "kilograd": lambda: kilograd.Value,
    "kilograd.micrograd": lambda: kilograd.micrograd.engine.Value,
    "pure Python": articles_class,
    "micrograd": micrograds_class,
    "microgpt": microgpts_class,
}


def cells_of(line: str) -> list[str]:
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def checked_rows() -> Iterator[Any]:
    for page in DOCS:
        text = page.read_text()
        setup = "".join(BLOCK.findall(text)[:1])
        for header in re.finditer(r"^\| you write \|.*$", text, re.MULTILINE):
            titles = cells_of(header[0])
            lines = text[header.end() :].partition("\n\n")[0].strip().splitlines()[1:]
            for line in lines:
                yield pytest.param(setup, titles, cells_of(line), id=f"{page.stem}: {cells_of(line)[0]}")


def outcome(setup: str, code: str, cls: type) -> Any:
    """What the last expression of `code` gives, or the exception."""
    namespace: dict[str, Any] = {"__name__": "docs", "Value": cls}
    exec(setup.replace("from kilograd import Value\n", ""), namespace)
    tree = ast.parse(code)
    last = tree.body.pop()
    assert isinstance(last, ast.Expr)
    try:
        exec(compile(tree, "<row>", "exec"), namespace)
        return eval(compile(ast.Expression(last.value), "<row>", "eval"), namespace)
    except Exception as error:
        return error


@pytest.mark.parametrize(("setup", "titles", "cells"), list(checked_rows()))
def test_table_row(setup: str, titles: list[str], cells: list[str]) -> None:
    code = "; ".join(re.findall(r"`(.+?)`", cells[0]))
    ran = 0
    for title, cell in zip(titles[1:], cells[1:], strict=True):
        spans = re.findall(r"`(.+?)`", cell)
        if title not in COLUMNS or not spans:
            continue
        got = outcome(setup, code, COLUMNS[title]())
        expected = getattr(builtins, spans[0], None)
        if isinstance(expected, type) and issubclass(expected, BaseException):
            assert type(got) is expected, got
            assert all(part in str(got) for part in spans[1:]), got
        else:
            assert " ".join(repr(got).split()) == spans[0], title
        ran += 1
    assert ran


# The code in a column headed "kilograd", beside what another library writes, runs after the first code block of its
# page; that in a column headed "write" after what a comment of the page has.

SETUP = re.compile(r"^<!-- the tables run after this:\n(.*?)^-->$", re.DOTALL | re.MULTILINE)


def written_cells() -> Iterator[Any]:
    for page in DOCS:
        text = page.read_text()
        setups = {"kilograd": BLOCK.findall(text)[:1], "write": SETUP.findall(text)}
        for table in re.findall(r"^\|.*\n\| ---.*\n(?:\|.*\n)+", text, re.MULTILINE):
            titles, _, *rows = map(cells_of, table.splitlines())
            for title, setup in setups.items():
                if setup and title in titles and "you write" not in titles:
                    cells = [row[titles.index(title)] for row in rows]
                    for code in re.findall(r"`(.+?)`", "\n".join(cells)):
                        yield pytest.param(setup[0], code, id=f"{page.stem}: {code}")


@pytest.mark.parametrize(("setup", "code"), list(written_cells()))
def test_what_is_to_be_written_runs(setup: str, code: str, tmp_path: pathlib.Path) -> None:
    namespace: dict[str, Any] = {"__name__": "docs", "kilograd": kilograd}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        for name in ("micrograd", "micrograd.engine", "micrograd.nn"):
            patch.setitem(sys.modules, name, None)  # what is there is back in the end, and if it is nothing
            patch.delitem(sys.modules, name)
        exec(setup, namespace)
        exec(code, namespace)


# --- links ---------------------------------------------------------------------------------------------------------


def anchors_of(page: pathlib.Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: pathlib.Path) -> None:
    prose = re.sub(r"^```.*?^```$|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", prose) if not link.startswith("https:")]
    for link in links:
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        waiting += [(page.parent / link).resolve() for link in re.findall(r"\]\(([^)\s#]+\.md)", page.read_text())]
    assert reached >= set(PAGES)


# --- pictures ------------------------------------------------------------------------------------------------------


def texts_of(svg: str) -> list[str]:
    texts = re.findall(r"<text [^>]*>(.*?)</text>", svg)
    return sorted(html.unescape(text).replace("\xa0", " ") for text in texts)


@pytest.mark.parametrize("source", sorted(PICTURES.glob("*.dot")), ids=name_of)
def test_picture_is_that_of_its_source(source: pathlib.Path) -> None:
    shown = set(texts_of(source.with_suffix(".svg").read_text()))
    written = re.findall(r'(?<![\w])(?:x?label)="([^"]*)"', source.read_text())
    lines = {line for label in written for line in re.split(r"\\[nl]", label) if line}
    assert lines
    assert lines <= shown


def test_picture_of_the_neuron_is_what_draw_dot_gives() -> None:
    pytest.importorskip("graphviz")
    source: str = runpy.run_path(str(PICTURES / "neuron.py"))["dot_source"]()
    boxes = re.findall(r'label="\{ (.*?) \}"', source)
    operations = re.findall(r'_op" \[label="?(.*?)"?\]', source)
    assert boxes
    texts = [text for box in boxes for text in box.split(" | ")]
    assert texts_of((PICTURES / "neuron.svg").read_text()) == sorted(texts + operations)


GALLERY: dict[str, Any] = runpy.run_path(str(PICTURES / "gallery.py"))


def test_gallery_is_that_of_its_script() -> None:
    assert (ROOT / "docs" / "gallery.md").read_text() == GALLERY["page"]()


@pytest.mark.parametrize("picture", GALLERY["PICTURES"], ids=lambda picture: picture.__name__)
def test_pictures_of_the_gallery_are_what_their_code_gives(picture: Any) -> None:
    pytest.importorskip("matplotlib").use("svg")
    written = (PICTURES / f"gallery_{picture.__name__}.svg").read_text()
    shown = picture()
    if hasattr(shown, "figure"):
        legend = shown.get_legend()
        names = [text.get_text() for text in legend.get_texts()] if legend else []
        texts = [shown.get_xlabel(), shown.get_ylabel(), *names]
        assert {text for text in texts if text} <= set(texts_of(written))
        sys.modules["matplotlib.pyplot"].close("all")
    else:
        drawn: str = GALLERY["svg"](picture)
        assert texts_of(drawn) == texts_of(written)
        titles = r"<title>([^\d<]*\d.*?)</title>"
        assert ("source" in dir(shown)) or re.findall(titles, drawn) == re.findall(titles, written)


def test_badges_say_what_the_project_says() -> None:
    made = runpy.run_path(str(PICTURES / "badges.py"))
    badges = {f"badge_{name}.svg": made["badge"](*fact) for name, fact in made["facts"]().items()}
    assert badges == {path.name: path.read_text(encoding="utf-8") for path in PICTURES.glob("badge_*.svg")}
    for name in badges:
        assert f"(docs/pictures/{name})" in (ROOT / "README.md").read_text()


# --- kilograd run --------------------------------------------------------------------------------------------------


def changed(source: str, spans: list[str]) -> str:
    """The article's class with one change: another first line, a method more, or a line more in a method."""
    if spans[0].startswith("class"):
        return source.replace("class Value:", spans[0])
    if spans[0].startswith("def"):
        name = spans[0].partition("(")[0]
        rest = re.sub(rf"    {name}\(.*?(?=\n    def |\Z)", "", source, flags=re.DOTALL)
        return f"{rest.rstrip()}\n\n    {spans[0]}\n"
    method, line = spans
    return re.sub(rf"(    def {method}\(.*\n)", rf"\g<1>        {line}\n", source)


def test_reasons_for_leaving_a_class_alone(tmp_path: pathlib.Path) -> None:
    table = (ROOT / "docs" / "run.md").read_text().partition("| change | what is said |")[2].partition("\n\n")[0]
    rows = [cells_of(line) for line in table.strip().splitlines()[2:]]
    source = (
        "class Value"
        + (ROOT / "tests" / "programs" / "article.py").read_text().split("class Neuron")[0].partition("class Value")[2]
    )
    script = "import math\n\nscale = [1]\nclass Meta(type): pass\n"
    for change, *_ in rows:
        script += "\n\n" + changed(source, re.findall(r"`(.+?)`", change)).rstrip()
    path = tmp_path / "script.py"
    path.write_text(script + "\n")
    done = subprocess.run(
        [sys.executable, "-m", "kilograd", "run", str(path)], capture_output=True, text=True, timeout=120, check=True
    )
    said = [line.removeprefix("kilograd: class Value runs as it is: ") for line in done.stderr.splitlines()]
    for line, (_, reason, _) in zip(said, rows, strict=True):
        assert line.startswith(reason)
