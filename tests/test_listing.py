"""`kilograd.order` and `kilograd.table`."""

from __future__ import annotations

import random
import sys

import pytest

import kilograd
from kilograd import Value, order, reference, table


def graph(kind=Value):
    a, b = kind(2.0, label="a"), kind(-3, label="b")
    e = a * b
    e.label = "e"
    root = (e + a).tanh()
    root.backward()
    return root


@pytest.mark.parametrize("kind", [Value, reference.Value])
def test_operands_come_before_results(kind):
    nodes = order(graph(kind))
    assert [node.label or node._op for node in nodes] == ["a", "b", "e", "+", "tanh"]
    places = {id(node): place for place, node in enumerate(nodes)}
    assert all(places[id(operand)] < places[id(node)] for node in nodes for operand in node._prev)
    random.seed(5)
    loss = sum((kilograd.MLP(3, [4, 1])([1.0, 2.0, each]) - 1) ** 2 for each in (0.5, -0.5))
    nodes = order(loss)
    places = {id(node): place for place, node in enumerate(nodes)}
    assert set(nodes) == kilograd.draw.trace(loss)[0]
    assert all(places[id(operand)] < places[id(node)] for operand, node in kilograd.draw.trace(loss)[1])
    assert nodes[-1] is loss


def test_backward_can_be_stepped_through():
    root = graph()
    expected = [node.grad for node in order(root)]
    root.zero_grad()
    root.grad = 1.0
    for node in reversed(order(root)):
        node._backward()
    assert [node.grad for node in order(root)] == expected


def test_deep_graphs_do_not_recurse():
    v = leaf = Value(1.0)
    for _ in range(3 * sys.getrecursionlimit()):
        v = v * 1.0
    nodes = order(v)
    assert nodes[0] is leaf
    assert len(table(v)) == len(nodes) == 1 + 2 * 3 * sys.getrecursionlimit()


def test_what_is_no_graph():
    for wrong in ([Value(1.0)], 3.0, None, kilograd.MLP(1, [1])):
        with pytest.raises(TypeError, match="one Value, not"):
            order(wrong)
        with pytest.raises(TypeError, match="one Value, not"):
            table(wrong)

    class Ring:
        data = grad = 0.0

        def __init__(self):
            self._prev = (self,)

    with pytest.raises(ValueError, match="depends on itself"):
        order(Ring())


def test_the_table_is_aligned_text():
    root = graph()
    root.grad, (a, b, e, total, _) = 1.0, order(root)
    a.grad, b.grad, e.grad, total.grad, total.data, root.data = 2.5, -10.0, 0.25, 1e-300, 123.0, -1
    assert repr(table(root)).splitlines() == [
        "order  label  op     data    grad",
        "    0  a              2.0     2.5",
        "    1  b               -3   -10.0",
        "    2  e      *      -6.0    0.25",
        "    3         +     123.0  1e-300",
        "    4         tanh     -1     1.0",
    ]


def test_the_table_is_a_sequence_of_rows():
    shown = table(graph())
    assert len(shown) == 5
    assert (shown[0].order, shown[0].label, shown[0].op, shown[0].data) == (0, "a", "", 2.0)
    assert [row.op for row in shown] == ["", "", "*", "+", "tanh"]
    assert shown[-1].grad == 1.0


def test_a_long_table_shows_its_ends():
    v = Value(1.0)
    for _ in range(50):
        v = v.tanh()
    text = repr(table(v, limit=5)).splitlines()
    assert len(text) == 7
    assert text[4] == "... 46 of 51 rows are not shown: table(root, limit=None) shows all"
    assert text[-1].split()[0] == "50"
    assert len(table(v, limit=5)) == 51
    assert len(repr(table(v, limit=None)).splitlines()) == 52
    assert len(repr(table(v, limit=0)).splitlines()) == 2
    assert "46 of 51 rows" in table(v, limit=5)._repr_html_()
    for wrong in (-1, 2.5, True, "3"):
        with pytest.raises(ValueError, match="number of rows or None"):
            table(v, limit=wrong)


def test_hostile_and_long_labels():
    shown = table(Value(1.0, label="<b>&\n\t" + "x" * 100))
    assert "<b>" not in shown._repr_html_()
    assert "&lt;b&gt;&amp;\\n\\t" in shown._repr_html_()
    assert len(repr(shown).splitlines()) == 2
    assert max(map(len, repr(shown).splitlines())) < 70


def test_as_a_data_frame():
    frame = table(graph()).to_pandas()
    assert list(frame.columns) == ["label", "op", "data", "grad"]
    assert list(frame.index) == [0, 1, 2, 3, 4]
    assert frame.loc[2, "data"] == -6.0


def test_without_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        table(Value(1.0)).to_pandas()
