"""Tracing and drawing graphs."""

from __future__ import annotations

import gc
import importlib
import math
import pickle
import random
import re
import shutil
import sys
import traceback
import zlib

import graphviz
import pytest

import kilograd
from kilograd import reference
from kilograd.display import groups, layout
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


def test_a_label_turns_nothing_around():
    v = kilograd.Value(1.0, label="\u202ea") * 2.0
    v._op = "\u2067*"
    source = draw_dot(v).source
    assert "\\\\u202ea" in source  # as Graphviz escapes it
    assert "\\\\u2067*" in source
    assert "\u202e" not in source + repr(kilograd.table(v)) + v._repr_html_()


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


# --- pictures without the program dot


@pytest.fixture
def no_dot(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def nothing(monkeypatch, no_dot):
    """Neither dot nor graphviz-pure."""
    monkeypatch.setattr(layout, "layout_program", lambda: None)


def squared():
    a = reference.Value(3.0, label="a")
    return a * a


def test_formats_without_dot(no_dot, tmp_path):
    dot = draw_dot(odd_names())
    svg = dot.pipe(encoding="utf-8")
    for text in ("a|b", "{c}", "&lt;d&gt;", "&quot;e&quot;", r"\N", r"&lt;op\N&gt;"):
        assert text in svg
    assert dot.pipe(format="svg").decode() == svg
    assert dot.pipe("png").startswith(b"\x89PNG")
    assert dot.pipe("pdf").startswith(b"%PDF")
    assert dot._repr_mimebundle_() == {"image/svg+xml": svg}


def texts_of_pdf(pdf):
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
    pages = [zlib.decompress(stream) for stream in streams if stream.startswith(b"x")]
    return [text for text in re.findall(rb"\((.*?)\) Tj", b"".join(pages)) if text.strip()]


def test_a_pdf_without_dot_has_the_texts_and_no_warnings(no_dot, caplog):
    texts = texts_of_pdf(draw_dot(squared(), format="pdf").pipe())
    assert sorted(texts) == sorted([b"a", b"data 3.0000", b"grad 0.0000", b"*", b"data 9.0000", b"grad 0.0000"])
    assert caplog.records == []


def test_letters_of_a_pdf_without_dot(no_dot, monkeypatch):
    pytest.importorskip("matplotlib")
    root = squared()
    root.label = "λ·Δw ∑"
    assert draw_dot(root).pipe("pdf").startswith(b"%PDF")
    root.label = "λ 重"
    with pytest.raises(graphviz.ExecutableNotFound, match="letters 重:.*pip install matplotlib"):
        draw_dot(root).pipe("pdf")
    root.label = "λ"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(graphviz.ExecutableNotFound, match="letters λ:.*pip install matplotlib"):
        draw_dot(root).pipe("pdf")


def test_render_without_dot(no_dot, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(graphviz, "view", lambda path, quiet: shown.append((str(path), quiet)))
    dot = draw_dot(squared())
    assert dot.render(tmp_path / "one") == str(tmp_path / "one.svg")
    assert (tmp_path / "one").read_text() == dot.source
    assert dot.render("two", tmp_path, False, True, "png") == str(tmp_path / "two.png")
    assert dot.render(outfile=tmp_path / "three.pdf", cleanup=True) == str(tmp_path / "three.pdf")
    assert dot.view("four", directory=tmp_path, cleanup=True) == str(tmp_path / "four.svg")
    assert shown == [(str(tmp_path / "four.svg"), False)]
    starts = {"one": b"digraph", "one.svg": b"<?xml", "two.png": b"\x89PNG", "three.pdf": b"%PDF", "four.svg": b"<?xml"}
    assert {path.name: path.read_bytes()[: len(starts[path.name])] for path in tmp_path.iterdir()} == starts


def test_what_only_dot_can_do(no_dot, tmp_path):
    dot = draw_dot(squared())
    with pytest.raises(graphviz.ExecutableNotFound, match="makes no eps.*install Graphviz"):
        dot.pipe("eps")
    with pytest.raises(graphviz.ExecutableNotFound, match="renderer= and formatter="):
        dot.pipe("png", renderer="cairo", formatter="cairo")
    with pytest.raises(graphviz.ExecutableNotFound, match="renderer= and formatter="):
        dot.render(tmp_path / "graph", renderer="cairo", formatter="cairo")
    assert [path.name for path in tmp_path.iterdir()] == ["graph"]  # the source, as with dot


def test_dot_is_used_where_it_is(monkeypatch, tmp_path):
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\necho drawn by dot\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert draw_dot(squared()).pipe() == b"drawn by dot\n"


def test_where_the_layout_program_is_found(monkeypatch, tmp_path):
    assert layout.layout_program() is not None
    program = tmp_path / ("graphviz-pure.exe" if sys.platform == "win32" else "graphviz-pure")
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert layout.layout_program() == str(program)  # beside Python, first
    monkeypatch.setattr(sys, "executable", "")
    monkeypatch.setattr("sysconfig.get_path", lambda *args: str(tmp_path / "scripts"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert layout.layout_program() == str(program)
    monkeypatch.setenv("PATH", "")
    assert layout.layout_program() is None


def test_without_fpdf2(no_dot, monkeypatch):
    monkeypatch.setitem(sys.modules, "fpdf", None)
    with pytest.raises(graphviz.ExecutableNotFound, match="pip install fpdf2"):
        draw_dot(squared()).pipe("pdf")


def test_without_anything_that_lays_out(nothing, tmp_path):
    dot = draw_dot(reference.Value(1.0))
    assert isinstance(pickle.loads(pickle.dumps(dot)), graphviz.Digraph)
    for show in (dot.pipe, lambda: dot.render(tmp_path / "graph"), lambda: dot.view(directory=tmp_path)):
        with pytest.raises(graphviz.ExecutableNotFound, match=r"pip install graphviz-pure.*install graphviz") as raised:
            show()
        lines = "".join(traceback.format_exception(raised.value)).splitlines()
        assert sum(1 for line in lines if line.strip(" ^~")) < 20
    assert "install Graphviz" in dot._repr_mimebundle_()["text/plain"]


# --- a part of the graph


def test_without_gradients(value):
    assert "grad" not in draw_dot(value(2.0) * 3.0, gradients=False).source


def test_depth(value):
    a = value(2.0)
    b = a * a
    c = b + a
    d = c.tanh()
    assert draw_dot(d, depth=3).source.count("shape=record") == 4
    assert "..." not in draw_dot(d, depth=2).source  # `a` is drawn, as an operand of `c`
    source = draw_dot(d, depth=1).source
    assert source.count("shape=record") == 2
    assert f'{id(c)}_more" -> "{id(c)}_op" [style=dashed]'.replace('"', "") in source.replace('"', "")
    assert draw_dot(d, depth=0).source.count("shape=record") == 1
    for depth in (-1, 1.5, True, "3"):
        with pytest.raises(ValueError, match="number of operations"):
            draw_dot(d, depth=depth)


def test_a_part_of_a_graph_that_is_too_large(value):
    v = value(1.0)
    for _ in range(5000):
        v = v + 1.0
    assert draw_dot(v, depth=3).source.count("shape=record") == 7
    with pytest.raises(ValueError, match=r"depth=3.*collapse='layers'"):
        draw_dot(v, depth=2000)


# --- highlighted paths


def lit(dot):
    """What is drawn in colour: names, and pairs of names."""
    lines = [line for line in dot.source.splitlines() if "#d55e00" in line]
    return {tuple(re.findall(r"\w+", line.partition("[")[0])) for line in lines}


def test_highlight(value):
    a, b = value(2.0), value(3.0)
    c = a * b
    d = b + 1.0
    e = c + d
    name, c_op, e_op = lambda v: str(id(v)), f"{id(c)}_op", f"{id(e)}_op"
    path = {name(a), c_op, name(c), e_op, name(e)}
    edges = {(name(a), c_op), (c_op, name(c)), (name(c), e_op), (e_op, name(e))}
    assert lit(draw_dot(e, highlight=a)) == {(each,) for each in path} | edges
    assert lit(draw_dot(e)) == set()
    assert lit(draw_dot(e, highlight=[a, a])) == lit(draw_dot(e, highlight=a))
    assert lit(draw_dot(e, highlight=[c, d])) == lit(draw_dot(e, highlight=c)) | lit(draw_dot(e, highlight=d))
    with pytest.raises(ValueError, match="not among the values"):
        draw_dot(e, highlight=value(1.0))
    with pytest.raises(TypeError, match="a Value or a list of them, not int"):
        draw_dot(e, highlight=3)
    with pytest.raises(ValueError, match="limit is a whole number"):
        draw_dot(e, limit="a")
    with pytest.raises(ValueError, match="not among the values"):
        draw_dot(e, highlight=a, depth=1)


# --- layers, neurons, repeats


XS = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
DIALECTS = ["kilograd", "kilograd.micrograd.nn", "kilograd.reference"]


def boxes(dot):
    """The fields of the boxes that stand for several values."""
    return [label.split(" | ") for label in re.findall(r'group\d+ \[label="?(.*?)"? penwidth', dot.source)]


def loss_of(module, sizes=(4, 4, 1), samples=XS):
    model = importlib.import_module(module).MLP(3, list(sizes))
    return model, sum((model(x) - 1.0) ** 2 for x in samples)


@pytest.mark.parametrize("module", DIALECTS)
def test_layers(module):
    model, loss = loss_of(module)
    dot = draw_dot(loss, collapse="layers", model=model)
    found = boxes(dot)
    assert len(found) == 4 * 3
    activations = ["ReLU", "ReLU", "linear"] if module == "kilograd.micrograd.nn" else ["tanh"] * 3
    for title in (
        ["layer 1", f"4 neurons, {activations[0]}", "16 parameters"],
        ["layer 2", f"4 neurons, {activations[1]}", "20 parameters"],
        ["layer 3", f"1 neuron, {activations[2]}", "5 parameters"],
    ):
        assert [box[:3] for box in found].count(title) == 4
    assert len(re.findall(r"group\d+ -> group\d+", dot.source)) == 4 * 2
    assert dot.source.count("-> ") < 60
    y = model(XS[0])
    shown = boxes(draw_dot(y, collapse="layers", model=model))[-1]
    assert shown[3:] == [f"data {y.data:.4f}", "grad 0.0000"]


@pytest.mark.parametrize("module", DIALECTS)
def test_neurons(module):
    model, loss = loss_of(module, samples=XS[:2])
    found = [box[0] for box in boxes(draw_dot(loss, collapse="neurons", model=model))]
    expected = [f"neuron {layer}.{place}" for layer in (1, 2) for place in (1, 2, 3, 4)]
    assert sorted(found) == sorted([*expected, "neuron 3.1"] * 2)
    layer = model.layers[0]
    assert {box[0] for box in boxes(draw_dot(layer(XS[0])[1], collapse="neurons", model=layer))} == {"neuron 2"}
    neuron = layer.neurons[0]
    assert [box[0] for box in boxes(draw_dot(neuron(XS[0]), collapse="neurons", model=neuron))] == ["neuron"]


@pytest.mark.parametrize("module", DIALECTS)
@pytest.mark.parametrize("width", [2, 4, 7])
def test_neurons_of_a_layer_stand_in_their_order(module, width):
    random.seed(width)
    model = importlib.import_module(module).MLP(3, [width, width, 1])
    x = [kilograd.Value(each, label="x") for each in XS[0]] if module == "kilograd" else XS[0]
    plain = draw_dot(model(x), collapse="neurons", model=model).pipe("plain", encoding="utf-8")
    found = re.findall(r"^node \S+ (\S+) (\S+) .*?neuron (\d)\.(\d)", plain, re.MULTILINE)
    heights = {(int(layer), int(place)): float(y) for _, y, layer, place in found}
    assert len(heights) == 2 * width + 1
    for layer in (1, 2):
        column = [heights[layer, place] for place in range(1, width + 1)]
        assert column == sorted(column, reverse=True)  # from above


def test_every_value_of_a_network_is_in_one_box():
    model = kilograd.MLP(3, [4, 4, 1])
    x = [kilograd.Value(each) for each in XS[0]]
    root = model(x)
    nodes = trace(root)[0]
    operands = {id(node): list(dict.fromkeys(node._children)) for node in nodes}
    found = groups.parts([root, *(nodes - {root})], operands, "layers", model)
    members = [member for group in found for member in group.members]
    hidden = [id(leaf) for group in found for leaf in group.parameters]
    assert len(set(members)) == len(members)
    assert {*members, *hidden, *map(id, x)} == set(map(id, nodes))
    assert set(hidden) == set(map(id, model.parameters()))


def test_networks_are_found_while_they_are_held():
    model, loss = loss_of("kilograd")
    assert len(boxes(draw_dot(loss, collapse="layers"))) == 12
    del model
    gc.collect()
    found = boxes(draw_dot(loss, collapse="layers"))  # by shape: of all samples, and no parameter is known
    assert [box[:2] for box in found] == [
        ["layer 1", "16 neurons, tanh"],
        ["layer 2", "16 neurons, tanh"],
        ["layer 3", "4 neurons, tanh"],
    ]


def test_two_networks():
    first, second = kilograd.MLP(1, [2]), kilograd.MLP(1, [1])
    root = sum(first([1.0])) + second([1.0])
    found = sorted(box[0] for box in boxes(draw_dot(root, collapse="layers", model=[first, second])))
    assert found == ["network 1, layer 1", "network 2, layer 1"]
    assert [box[0] for box in boxes(draw_dot(root, collapse="layers", model=second))] == ["layer 1"]


def test_neurons_that_share_weights_are_not_told_apart():
    layer = kilograd.Layer(2, 2)
    layer.neurons[1].w = layer.neurons[0].w
    with pytest.raises(ValueError, match="share weights"):
        draw_dot(sum(layer([1.0, 2.0])), collapse="layers", model=layer)


def test_equal_samples_are_drawn_apart():
    model = kilograd.MLP(2, [2, 1])
    dot = draw_dot(model([1.0, 2.0]) + model([1.0, 2.0]), collapse="layers")
    assert len(boxes(dot)) == 4
    assert len(re.findall(r"group\d+ -> group\d+", dot.source)) == 2


def test_what_is_not_a_neurons_stays_outside():
    model = kilograd.MLP(2, [2, 1], activation=None)
    x = kilograd.Value(1.0, label="x")
    y = model([x, 2.0])
    w = model.layers[0].neurons[0].w[0]
    root = (y - 3.0) + w * w + y.tanh()  # neither the number that is subtracted, nor the penalty, nor a later tanh
    source = draw_dot(root, collapse="layers").source
    assert [box[:2] for box in boxes(draw_dot(root, collapse="layers"))] == [
        ["layer 1", "2 neurons, linear"],
        ["layer 2", "1 neuron, linear"],
    ]
    for text in ("tanh", "x | data 1.0000", "data -3.0000", f"data {w.data:.4f}"):
        assert text in source


def test_a_sum_that_lacks_the_bias_is_no_neuron():
    neuron = kilograd.Neuron(2)
    half = neuron.w[0] * 2.0 + neuron.w[1] * 3.0
    with pytest.raises(ValueError, match="no neuron is in this graph"):
        draw_dot(half, collapse="neurons", model=neuron)


def test_repeats(value):
    xs, ws = [value(float(k)) for k in range(3)], [value(0.5 * k) for k in range(3)]
    total = sum(((w * x).tanh() for w, x in zip(ws, xs)), value(1.0))
    found = boxes(draw_dot(total, collapse="repeats"))
    assert sorted(found, key=str) == sorted(
        [
            ["3 values", "data 0.0000 to 1.0000", "grad 0.0000"],  # w
            ["3 values", "data 0.0000 to 2.0000", "grad 0.0000"],  # x
            ["3 values", "data 0.0000 to 2.0000", "grad 0.0000"],  # the products
            ["3 values", f"data 0.0000 to {math.tanh(2.0):.4f}", "grad 0.0000"],
            [f"data {total.data:.4f}", "grad 0.0000"],  # a sum of sums
        ],
        key=str,
    )
    assert draw_dot(total, collapse="repeats").source.count("->") == 3 + 2 + 2 + 1


def test_repeats_of_a_network_are_as_many_for_any_number_of_samples():
    model = kilograd.MLP(3, [8, 8, 1])
    few, many = (
        draw_dot(sum((model(x) - 1.0) ** 2 for x in XS[:2] * count), collapse="repeats").source for count in (1, 20)
    )
    assert few.count("shape=record") == many.count("shape=record") < 30


def test_highlight_in_boxes():
    model, loss = loss_of("kilograd", samples=XS[:1])
    dot = draw_dot(loss, collapse="layers", highlight=model.layers[1].neurons[0].w[0])
    assert len([line for line in dot.source.splitlines() if "layer" in line and "#d55e00" in line]) == 2


def test_unknown_collapse():
    with pytest.raises(ValueError, match="'layers', 'neurons', 'repeats' or None, not 'all'"):
        draw_dot(squared(), collapse="all")


def test_own_classes_of_networks():
    model, loss = loss_of("kilograd.reference", sizes=(3, 1))
    assert len(boxes(draw_dot(loss, collapse="layers", model=[model]))) == 8
    assert [box[:2] for box in boxes(draw_dot(loss, collapse="layers"))] == [
        ["layer 1", "12 neurons, tanh"],
        ["layer 2", "4 neurons, tanh"],
    ]
    for root, given in ((kilograd.Value(1.0).tanh(), None), (loss, kilograd.Value(1.0))):
        with pytest.raises(ValueError, match="no neuron is in this graph"):
            draw_dot(root, collapse="neurons", model=given)
