"""What notebooks show: values, networks, programs, compiled functions."""

from __future__ import annotations

import copy
import gc
import html.parser
import inspect
import json
import math
import pathlib
import pickle
import random
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

import kilograd
import kilograd.micrograd.engine
import kilograd.micrograd.nn
from kilograd import MLP, Layer, Neuron, Program, Value, reference
from kilograd.display import layout, networks, page, values

HOSTILE = '<script>alert("1")</script>&\'|{}\\N'


class Reader(html.parser.HTMLParser):
    """The tags that are opened, and the text between them."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.open, self.text = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def texts_of(shown):
    return [text.strip() for text in Reader(shown).text if text.strip()]


def chain(count, value=Value):
    v = value(1.0)
    for _ in range(count // 2):
        v = v + 1.0
    return v


@pytest.fixture
def no_layout(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(layout, "layout_program", lambda: None)


# --- values


@pytest.mark.parametrize("value", [Value, kilograd.micrograd.engine.Value])
def test_a_small_graph(value):
    a = value(2.0, label="a")
    b = a * 3.0
    b.backward()
    shown = b._repr_html_()
    texts = texts_of(shown)
    assert texts[0] == repr(b)
    assert sorted(each for each in texts if each in ("a", "*")) == ["*", "a"]
    for text in ("graph of 3 values", "data 2.0000", "grad 3.0000", "data 6.0000"):
        assert texts.count(text) == 1
    svg = shown[shown.index("<svg") : shown.index("</svg>") + 6].replace("xlink:", "")
    root = ElementTree.fromstring(svg)
    assert [each for each in root.iter() if each.get("id")] == []  # many pictures stand in one page
    assert len([each for each in root.iter() if each.tag.endswith("title")]) == 1


def test_without_the_program_dot(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "<svg" in (Value(2.0) * 3.0)._repr_html_()


def test_a_leaf():
    assert texts_of(Value(1.0)._repr_html_()) == ["Value(data=1.0)"]
    assert texts_of(Value(1.0, label="w")._repr_html_()) == ["Value(data=1.0)", "label", "w", "grad", "0.0000"]


@pytest.mark.parametrize("missing", ["graphviz", "layout"])
def test_a_table_where_nothing_lays_out(missing, monkeypatch, request):
    if missing == "graphviz":
        monkeypatch.setitem(sys.modules, "graphviz", None)
    else:
        request.getfixturevalue("no_layout")
    a = Value(2.0, label="a")
    shown = (a * a + a)._repr_html_()
    cells = [row.split("</td><td>") for row in shown.split("<tr><td>")[1:]]
    assert [[Reader(cell).text[0] if cell else "" for cell in row[:4]] for row in cells] == [
        ["1", "a", "", "2.0000"],
        ["2", "", "* #1", "4.0000"],
        ["3", "", "+ #2 #1", "6.0000"],
    ]


def test_a_layout_that_fails_is_a_table(monkeypatch, tmp_path):
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    shown = (Value(2.0) * 3.0)._repr_html_()
    assert "<svg" not in shown
    assert "* #1 #2" in shown


def test_hostile_labels_are_text(monkeypatch):
    a = Value(2.0, label=HOSTILE)
    b = a * 3.0
    b._op = HOSTILE
    for show in (a._repr_html_, b._repr_html_):
        reader = Reader(show())
        assert "script" not in reader.tags
        assert "".join(reader.text).replace("\xa0", " ").count('<script>alert("1")</script>&\'|{}\\N') >= 1
    monkeypatch.setattr(values, "_drawn", lambda *args: None)
    reader = Reader(b._repr_html_())
    assert "script" not in reader.tags
    assert "".join(reader.text).count(HOSTILE) == 2


def test_a_larger_graph_is_a_summary(monkeypatch):
    monkeypatch.setattr(values, "draw_dot", None)  # which is not called
    shown = chain(100)._repr_html_()
    assert texts_of(shown)[1:9] == ["values", "101", "leaves", "51", "depth", "50 operations", "operations", "50 +"]
    assert "collapse=" in shown
    assert "draw_dot" in shown


def test_the_largest_graph_that_is_drawn():
    assert "<svg" in chain(values.DRAWN - 1)._repr_html_()
    assert "<svg" not in chain(values.DRAWN + 1)._repr_html_()


def test_of_a_huge_graph_little_is_looked_at():
    looks = 0

    class Counting(reference.Value):
        @property
        def _children(self):
            nonlocal looks
            looks += 1
            return self.__dict__["_children"]

        @_children.setter
        def _children(self, children):
            self.__dict__["_children"] = children

    huge = chain(20_000, Counting)
    looks = 0
    assert "more than 2,000 values" in values.html(huge)
    assert looks <= 4 * values.COUNTED
    assert len(chain(20_000)._repr_html_()) < 1000


def test_subclasses():
    class Named(Value):
        def __repr__(self):
            return "<b>mine</b>"

    class Own(Value):
        def _repr_html_(self):
            return "own"

    class Broken(Value):
        def __repr__(self):
            raise RuntimeError("no text")

    assert texts_of(Named(1.0)._repr_html_()) == ["<b>mine</b>"]
    assert Own(1.0)._repr_html_() == "own"
    assert Broken(1.0)._repr_html_() is None


def test_data_that_is_no_number():
    assert "nan" in (Value(math.nan) * 2.0)._repr_html_()
    assert "inf" in (Value(math.inf) + 2.0)._repr_html_()


def test_nothing_is_kept_or_changed():
    v = Value(2.0) * 3.0
    before = kilograd.live_nodes()
    v._repr_html_()
    gc.collect()
    assert kilograd.live_nodes() == before
    assert v.grad == 0
    assert vars(v) == {}
    for twin in (copy.copy(v), copy.deepcopy(v), pickle.loads(pickle.dumps(v))):
        assert "data 6.0000" in twin._repr_html_()


def test_the_method_in_the_class():
    assert inspect.signature(Value._repr_html_).parameters.keys() == {"self"}
    assert "notebook" in Value._repr_html_.__doc__
    assert not [name for name in dir(Value(1.0)) if "repr" in name and not name.startswith("_")]


def test_a_value_of_a_function_that_is_recorded_shows_nothing():
    shown = []

    @kilograd.compile
    def f(x):
        if isinstance(x, Value):
            shown.append((x * 2.0)._repr_html_())
        return x * 2.0

    assert f(3.0) == 6.0
    assert set(shown) == {None}


def test_served_classes_show_what_their_author_decides(tmp_path):
    source = (pathlib.Path(__file__).parent / "programs" / "article.py").read_text().partition("\nclass Neuron")[0]
    script = tmp_path / "script.py"
    script.write_text(f"{source}\nprint(hasattr(Value(1.0) * 2.0, '_repr_html_'))\n")
    command = [sys.executable, "-m", "kilograd", "run", "--report", str(script)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == "False\n"
    assert "Value: served" in done.stderr


# --- networks


def titles(shown):
    svg = shown[shown.index("<svg") : shown.index("</svg>") + 6]
    root = ElementTree.fromstring(svg)
    return root, [each.text for each in root.iter("title")]


def test_a_network():
    random.seed(1)
    model = MLP(2, [3, 1])
    model.layers[0].neurons[1].w[0].grad = 0.25
    shown = model._repr_html_()
    assert texts_of(shown)[0] == "MLP: 13 parameters"
    root, names = titles(shown)
    assert len(root.findall("line")) == 2 * 3 + 3
    assert len(root.findall("circle")) == 2 + 3 + 1
    weight = model.layers[0].neurons[1].w[0]
    assert f"layer 1, neuron 2, weight 1: {weight.data:.4g}, grad 0.25" in names
    assert f"layer 2, neuron 1, Tanh, bias: {model.layers[1].neurons[0].b.data:.4g}, grad 0" in names
    low, high = (pick(w.data for n in model.layers[0].neurons for w in n.w) for pick in (min, max))
    assert f"{low:.3g} to {high:.3g}" in texts_of(shown)


def test_layers_and_neurons():
    assert texts_of(Layer(2, 3)._repr_html_())[0] == "Layer: 9 parameters"
    assert texts_of(Neuron(2)._repr_html_())[0] == "Neuron: 3 parameters"
    assert texts_of(Neuron(0)._repr_html_())[0] == "Neuron: 1 parameter"
    linear = kilograd.micrograd.nn.MLP(2, [2, 1])._repr_html_()
    assert [text for text in texts_of(linear) if text in ("ReLU", "Linear", "Tanh")] == ["ReLU", "Linear"]


def test_colours_diverge():
    assert networks.colour(1.0, 1.0) == "#2166ac"
    assert networks.colour(-1.0, 1.0) == "#b35806"
    assert networks.colour(0.0, 1.0) == networks.colour(0.0, 0.0) == "#c8c8c8"
    assert networks.colour(math.nan, 1.0) == "#000000"
    model = MLP(1, [1])
    (neuron,) = model.layers[0].neurons
    neuron.w[0].data, neuron.b.data = -2.0, 2.0
    root, _ = titles(model._repr_html_())
    assert root.find("line").get("stroke") == "#b35806"
    assert root.findall("circle")[1].get("fill") == "#2166ac"
    neuron.w[0].data = math.nan
    assert titles(model._repr_html_())[0].find("line").get("stroke") == "#000000"


def test_large_networks_are_tables(monkeypatch):
    for model in (MLP(20, [24, 24, 1]), MLP(25, [1]), MLP(1, [25])):
        shown = model._repr_html_()
        assert "<svg" not in shown
        assert " to " in shown
    monkeypatch.setattr(networks, "READ", 10)
    assert " to " not in MLP(2, [5])._repr_html_()


def test_modules_that_are_no_networks():
    class Other(kilograd.Module):
        pass

    class Odd(kilograd.Module):
        layers = ("<b>",)

    assert Other()._repr_html_() is None
    assert Odd()._repr_html_() is None
    model = MLP(2, [2])
    model.layers[0].neurons[0].activation = type("f", (), {"__name__": HOSTILE, "__call__": lambda self, z: z})()
    assert "script" not in Reader(model._repr_html_()).tags


# --- programs


def test_a_program():
    x, y, w = Value(1.0), Value(2.0), Value(3.0)
    program = Program([(w * x + y).tanh() ** 2, x * 1.0], inputs=[x, y])
    texts = texts_of(program._repr_html_())
    rows = dict(zip(texts[1::2], texts[2::2]))
    ops = program.ops
    assert (rows["inputs"], rows["parameters"], rows["outputs"]) == ("2", "1", "of shape (2,)")
    recorded, optimised = (sum(ops[which].values()) for which in ("recorded", "optimised"))
    assert rows["operations"] == f"{recorded} recorded, {optimised} after optimisation"
    assert rows["memory"] == f"{program.nbytes} bytes"
    assert rows["code"] == program.code
    start = texts.index("tanh")
    assert texts[start : start + 3] == ["tanh", "1", "1"]


def test_many_kinds_of_operations():
    x = Value(0.5)
    names = ["tanh", "relu", "exp", "log", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "erf"]
    shown = Program([getattr(x, name)() for name in names], [x])._repr_html_()
    assert "2 others" in shown


def test_a_compiled_function():
    @kilograd.compile
    def f(x, scale=2.0):
        return np.sum(x**2) * scale if x[0] > 0 else x[1]

    assert "no path is recorded" in f._repr_html_()
    f(np.array([1.0, 2.0]))
    f(np.array([-1.0, 2.0]), scale=3.0)
    texts = texts_of(f._repr_html_())
    assert texts[0].endswith("f(x, scale=2.0)")
    assert texts[1] == ", compiled: 2 paths"
    assert "an array of shape (2,)" in texts
    assert "an array of shape (2,), scale: a number" in texts
    assert texts.count("a number") == 2


def test_compiled_functions_of_other_kinds():
    @kilograd.compile
    def loop(x):
        return kilograd.fori_loop(0, 5, lambda i, s: s * x, 1.0)

    @kilograd.compile
    def constant(x):
        return 5

    @kilograd.compile
    def counted(x, kind):
        return x * len(kind)

    loop(2.0)
    constant(1.0)
    for k in range(12):
        counted(1.0, HOSTILE * k)
    assert "programs and stages in turn" in loop._repr_html_()
    assert "the constant 5" in constant._repr_html_()
    assert "and 4 more paths" in counted._repr_html_()
    assert "script" not in Reader(counted._repr_html_()).tags


@pytest.mark.parametrize(
    ("count", "text"), [(1, "1 bytes"), (999, "999 bytes"), (1000, "1 KB"), (2.5e6, "2.5 MB"), (7e9, "7 GB")]
)
def test_sizes(count, text):
    from kilograd.display.programs import _bytes

    assert _bytes(int(count)) == text


# --- pages


def test_pieces():
    assert page.escaped(HOSTILE) == page.escaped(page.escaped(HOSTILE)).replace("&amp;", "&")
    assert Reader(page.table([(HOSTILE, 1)], (HOSTILE, "b"))).tags == ["table", "tr", "th", "th", "tr", "td", "td"]
    assert Reader(page.table([("a", 1)])).tags == ["table", "tr", "th", "td"]


NOTEBOOK = """
import json, nbclient, nbformat

cells = [
    "from kilograd import MLP, Program, Value, draw_dot",
    "a = Value(2.0, label='a'); b = a * 3.0; b",
    "MLP(2, [2, 1])",
    "Program(b, [a])",
    "from kilograd.training import History; History([3.0, 1.0], [], [0.1, 0.1])",
    "draw_dot(b)",
    "[b]",
]
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
print(json.dumps([[[each.output_type, each.get("data")] for each in cell.outputs] for cell in notebook.cells]))
"""


def test_in_a_notebook(run_python):
    pytest.importorskip("nbclient")
    first, *cells = json.loads(run_python(NOTEBOOK))  # in a process of its own: a kernel's modules change what is shown
    assert first == []
    assert [[kind for kind, _ in outputs] for outputs in cells] == [["execute_result"]] * 6
    shown = [outputs[0][1] for outputs in cells]
    assert [sorted(each) for each in shown] == [
        *[["text/html", "text/plain"]] * 4,
        ["image/svg+xml", "text/plain"],
        ["text/plain"],
    ]
    assert shown[0]["text/plain"] == "Value(data=6.0)"
    assert shown[5]["text/plain"] == "[Value(data=6.0)]"
    for each, text in zip(shown, ("graph of 3 values", "weights of 2 layers", "recorded", "epochs")):
        assert text in " ".join(texts_of(each["text/html"]))


def test_a_terminal_shows_the_text():
    formatters = pytest.importorskip("IPython.core.formatters")
    formatter = formatters.DisplayFormatter(active_types=["text/plain"])
    data, _ = formatter.format(Value(2.0) * 3.0)
    assert data == {"text/plain": "Value(data=6.0)"}
