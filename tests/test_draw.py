"""Tracing and drawing graphs."""

from __future__ import annotations

import importlib
import pickle
import re
import shutil
import sys
import traceback

import graphviz
import pytest

from kilograd import reference
from kilograd.draw import draw_dot, trace


@pytest.fixture(params=["kilograd", "kilograd.reference", "kilograd.micrograd.engine"])
def value(request):
    return importlib.import_module(request.param).Value


def test_trace(value):
    a, b = value(2.0), value(3.0)
    c = a * b
    d = c + a
    nodes, edges = trace(d)
    assert nodes == {a, b, c, d}
    assert edges == {(a, c), (b, c), (c, d), (a, d)}
    assert trace(a) == ({a}, set())


def test_an_operand_used_twice_has_one_edge(value):
    a = value(2.0)
    b = a + a
    assert trace(b) == ({a, b}, {(a, b)})
    assert draw_dot(b).source.count("->") == 2  # to the oval and on to the result


def parsed(dot):
    """Records, ovals and edges of a drawing: two dicts from name to label and a list of pairs of names."""
    records = dict(re.findall(r'^\t"?(\w+)"? \[label="\{ (.*?) \}" shape=record\]$', dot.source, re.MULTILINE))
    ovals = dict(re.findall(r'^\t"?(\w+)"? \[label="?([^"]*?)"?\]$', dot.source, re.MULTILINE))
    edges = re.findall(r'^\t"?(\w+)"? -> "?(\w+)"?$', dot.source, re.MULTILINE)
    assert len(records) + len(ovals) + len(edges) == dot.source.count("\n") - 3
    return records, ovals, edges


def test_every_value_a_record_and_every_operation_an_oval(value):
    a, b = value(2.0), value(-3.0)
    c = a * b
    for v, name in ((a, "a"), (b, "b"), (c, "c")):
        v.label = name
    c.backward()
    records, ovals, edges = parsed(draw_dot(c))
    assert records == {
        str(id(a)): "a | data 2.0000 | grad -3.0000",
        str(id(b)): "b | data -3.0000 | grad 2.0000",
        str(id(c)): "c | data -6.0000 | grad 1.0000",
    }
    ((oval, operation),) = ovals.items()
    assert operation == "*"
    assert sorted(edges) == sorted([(str(id(a)), oval), (str(id(b)), oval), (oval, str(id(c)))])


def test_handles_made_on_the_way_keep_their_identity(value):
    x = value(1.0)
    y = (x * 2.0 + 1.0).relu() * x  # its interior nodes are held by nobody
    records, ovals, edges = parsed(draw_dot(y))
    assert (len(records), len(ovals), len(edges)) == (7, 4, 4 + 7)
    assert {name for edge in edges for name in edge} == {*records, *ovals}


def test_direction_and_format(value):
    v = value(1.0)
    dot = draw_dot(v)
    assert isinstance(dot, graphviz.Digraph)
    assert dot.format == "svg"
    assert "rankdir=LR" in dot.source
    dot = draw_dot(v, format="png", rankdir="TB")
    assert dot.format == "png"
    assert "rankdir=TB" in dot.source
    with pytest.raises(ValueError, match="'XY'"):
        draw_dot(v, rankdir="XY")
    with pytest.raises(ValueError, match="nonsense"):
        draw_dot(v, format="nonsense")


def odd_names():
    a = reference.Value(1.0, label=r'a|b {c} <d> "e" \N')
    return reference.Value(a.data, (a,), r"<op\N>", label="b")


def test_special_characters_are_escaped():
    source = draw_dot(odd_names()).source
    assert r"a\|b \{c\} \<d\> \"e\" \\N |" in source
    assert r'[label="<op\\N>"]' in source


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz's program dot")
def test_special_characters_in_the_picture():
    svg = draw_dot(odd_names()).pipe(encoding="utf-8")
    for text in ("a|b", "{c}", "&lt;d&gt;", "&quot;e&quot;", r"\N", r"&lt;op\N&gt;"):
        assert text in svg


@pytest.mark.parametrize(
    ("data", "text"), [(3, "3.0000"), (1e300, "1.0000e+300"), (-1e12, "-1.0000e+12"), (float("nan"), "nan")]
)
def test_numbers_to_four_places(data, text):
    assert f"| data {text} |" in draw_dot(reference.Value(data)).source


def test_large_graphs_are_refused(value):
    v = value(1.0)
    for _ in range(999):
        v = v + 1.0
    assert draw_dot(v, limit=1999).source.count("shape=record") == 1999
    v = v + 1.0
    with pytest.raises(ValueError, match=r"more than 2,000 values.*limit=None"):
        draw_dot(v)
    assert draw_dot(v, limit=None).source.count("shape=record") == 2001
    with pytest.raises(ValueError, match="more than 1 values"):
        draw_dot(value(1.0) + 1, limit=1)


def test_a_deep_graph_is_traced_without_recursion(value):
    v = value(1.0)
    for _ in range(20_000):
        v = v * 1.5
    nodes, edges = trace(v)
    assert (len(nodes), len(edges)) == (40_001, 40_000)


def test_somebody_elses_class():
    class Node:
        def __init__(self, data, prev=()):
            self.data, self.grad, self._prev = data, None, set(prev)

        __eq__ = lambda self, other: self.data == other.data  # noqa: E731
        __hash__ = lambda self: hash(self.data)  # noqa: E731

    a, b = Node("one"), Node("one")
    source = draw_dot(Node("two", {a})).source
    assert "data one | grad None" in source
    assert source.count("->") == 1  # without the name of an operation there is no oval
    assert draw_dot(Node("two", [Node("three", [b]), a])).source.count("shape=record") == 4


def test_what_is_not_a_value():
    for root in (3.0, [reference.Value(1.0)]):
        with pytest.raises(TypeError, match=type(root).__name__):
            draw_dot(root)
        with pytest.raises(TypeError, match=type(root).__name__):
            trace(root)


def test_without_the_graphviz_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(ImportError, match="pip install graphviz"):
        draw_dot(reference.Value(1.0))


def test_without_the_program_dot(monkeypatch, tmp_path):
    dot = draw_dot(reference.Value(1.0))
    assert isinstance(pickle.loads(pickle.dumps(dot)), graphviz.Digraph)
    monkeypatch.setenv("PATH", str(tmp_path))
    for show in (dot.pipe, lambda: dot.render(tmp_path / "graph"), lambda: dot.view(directory=tmp_path)):
        with pytest.raises(graphviz.ExecutableNotFound, match="install Graphviz") as raised:
            show()
        assert len("".join(traceback.format_exception(raised.value)).splitlines()) < 20
    assert "install Graphviz" in dot._repr_mimebundle_()["text/plain"]
