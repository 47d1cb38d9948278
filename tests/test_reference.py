"""The numbers and rules that every implementation of `Value` keeps, the reference first of all."""

from __future__ import annotations

import ast
import importlib
import math
import pathlib
import random
from types import ModuleType

import numpy as np
import pytest

from kilograd import reference

XS = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
YS = [1.0, -1.0, -1.0, 1.0]


@pytest.fixture(params=["kilograd.reference", "kilograd"])
def lib(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(request.param)


def test_the_article_expression(lib):
    a, b, c, f = (lib.Value(x) for x in (2.0, -3.0, 10.0, -2.0))
    e = a * b
    d = e + c
    loss = d * f
    assert loss.data == -8.0
    loss.backward()
    assert [v.grad for v in (a, b, c, d, e, f)] == [6.0, -4.0, -2.0, -2.0, -2.0, 4.0]


def test_the_neuron(lib):
    x1, x2, w1, w2, b = (lib.Value(x) for x in (2.0, 0.0, -3.0, 1.0, 6.0))
    o = (x1 * w1 + x2 * w2 + b).tanh()
    assert o.data == 0.0
    o.backward()
    assert [v.grad for v in (x1, w1, x2, w2)] == [-3.0, 2.0, 1.0, 0.0]


def test_the_neuron_by_hand(lib):
    x1, x2, w1, w2, b = (lib.Value(x) for x in (2.0, 0.0, -3.0, 1.0, 6.0))
    x1w1, x2w2 = x1 * w1, x2 * w2
    both = x1w1 + x2w2
    n = both + b
    o = n.tanh()
    o.grad = 1.0
    for node in (o, n, both, x1w1, x2w2, x1):  # x1 is a leaf: its rule does nothing
        node._backward()
    assert [v.grad for v in (x1, w1, x2, w2)] == [-3.0, 2.0, 1.0, 0.0]


def test_the_micrograd_readme_expression(lib):
    a, b = lib.Value(-4.0), lib.Value(2.0)
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    g.backward()
    assert [f"{x:.4f}" for x in (g.data, a.grad, b.grad)] == ["24.7041", "138.8338", "645.5773"]


def test_second_backward_adds_interior_gradients_too(lib):
    x = lib.Value(3.0)
    y = x * x * x
    y.backward()
    assert x.grad == 27.0
    x.grad = 0.0
    y.backward()
    assert x.grad == 45.0


def losses(lib: ModuleType) -> list[float]:
    random.seed(7)
    model = lib.MLP(3, [4, 4, 1])
    found = []
    for _ in range(50):
        loss = sum((model(x) - y) ** 2 for x, y in zip(XS, YS, strict=True))
        for p in model.parameters():
            p.grad = 0.0
        loss.backward()
        for p in model.parameters():
            p.data += -0.1 * p.grad
        found.append(loss.data)
    return found


def test_the_classifier_learns(lib):
    found = losses(lib)
    assert found[0] > 1.0
    assert found[-1] < 0.02
    assert found == pytest.approx(losses(reference), rel=1e-9)


def test_structure_of_the_operators(lib):
    a, b = lib.Value(3.0), lib.Value(2.0)

    def shape(v):
        return (v._op, *map(shape, v._children)) if v._children else v.data

    assert shape(-a) == ("*", 3.0, -1)
    assert shape(a - b) == ("+", 3.0, ("*", 2.0, -1))
    assert shape(a - 2) == ("+", 3.0, -2)
    assert shape(2 - a) == ("+", ("*", 3.0, -1), 2)
    assert shape(a / b) == ("*", 3.0, ("**-1", 2.0))
    assert shape(a / 2) == ("*", 3.0, 0.5)
    assert shape(1 / a) == ("*", ("**-1", 3.0), 1)
    assert shape(1 + a) == ("+", 3.0, 1)
    assert shape(2 * a) == ("*", 3.0, 2)
    assert shape(sum([a, b])) == ("+", ("+", 3.0, 0), 2.0)
    assert shape(a**0.5) == ("**0.5", 3.0)
    assert shape(a**2) == ("**2", 3.0)
    assert shape(abs(-a)) == ("abs", ("*", 3.0, -1))
    assert [getattr(a, name)()._op for name in ("tanh", "exp", "log", "relu")] == ["tanh", "exp", "log", "ReLU"]


def test_operands_as_tuple_and_as_set(lib):
    a = lib.Value(3.0, label="a")
    b = a + a
    assert b._children == (a, a)
    assert b._prev == {a}
    assert b._children[0] is a
    b.backward()
    assert a.grad == 2.0
    assert (a.label, b.label, a._op, a._prev, a._children) == ("a", "", "", set(), ())


def test_constructor_with_children_and_a_rule(lib):
    a = lib.Value(3.0)
    out = lib.Value(a.data * 10, (a,), "ten", label="out")

    def _backward():
        a.grad += 10 * out.grad

    out._backward = _backward
    (out * 2).backward()
    assert (a.grad, out.grad, out._op, out.label, out._prev) == (20.0, 2.0, "ten", "out", {a})


def test_integers_stay_integers_and_gradients_are_floats(lib):
    assert repr(lib.Value(2) * lib.Value(3)) == "Value(data=6)"
    assert repr(lib.Value(2) ** 3 + 1) == "Value(data=9)"
    assert repr(lib.Value(2) / 2) == "Value(data=1.0)"
    assert repr(lib.Value(2.5)) == "Value(data=2.5)"
    a = lib.Value(2)
    assert repr(a.grad) == "0.0"
    b = a * 3
    b.backward()
    assert (repr(a.grad), repr(b.grad)) == ("3.0", "1.0")


@pytest.mark.parametrize(
    ("name", "x", "value", "slope"),
    [
        ("tanh", 0.5, math.tanh(0.5), 1 - math.tanh(0.5) ** 2),
        ("tanh", 1e-9, 1e-9, 1.0),
        ("tanh", 1000.0, 1.0, 0.0),
        ("exp", -1.5, math.exp(-1.5), math.exp(-1.5)),
        ("log", 2.5, math.log(2.5), 0.4),
        ("sqrt", 2.25, 1.5, 1 / 3),
        ("sin", 0.7, math.sin(0.7), math.cos(0.7)),
        ("cos", 0.7, math.cos(0.7), -math.sin(0.7)),
        ("relu", 1.5, 1.5, 1.0),
        ("relu", -1.5, 0.0, 0.0),
        ("relu", 0.0, 0.0, 0.0),
        ("sigmoid", 2.0, 1 / (1 + math.exp(-2)), math.exp(-2) / (1 + math.exp(-2)) ** 2),
        ("sigmoid", -800.0, 0.0, 0.0),
        ("abs", -2.0, 2.0, -1.0),
        ("abs", 2.0, 2.0, 1.0),
        ("abs", 0.0, 0.0, 0.0),
    ],
)
def test_functions(lib, name, x, value, slope):
    v = lib.Value(x)
    out = getattr(v, name)()
    out.backward()
    assert out.data == pytest.approx(value, rel=1e-15)
    assert v.grad == pytest.approx(slope, rel=1e-14)


def test_power_rule(lib):
    for exponent, slope in ((3, 12.0), (0.5, 0.5 * 2**-0.5), (-1, -0.25), (0, 0.0), (1, 1.0)):
        x = lib.Value(2.0)
        (x**exponent).backward()
        assert x.grad == slope
    zero = lib.Value(0.0)
    (zero**0).backward()
    assert zero.grad == 0.0


def test_rules_read_data_at_the_time_of_backward(lib):
    a, b = lib.Value(2.0), lib.Value(3.0)
    c = a * b
    b.data = 100.0
    c.backward()
    assert a.grad == 100.0


def test_nan_and_infinity_flow(lib):
    assert math.isnan(lib.Value(math.nan).relu().data)
    assert (lib.Value(math.inf) * 2).data == math.inf


def test_a_deep_graph(lib):
    x = lib.Value(1.0)
    y = x
    for _ in range(20_000):
        y = y * 1.0 + x
    y.backward()
    assert (y.data, x.grad) == (20_001.0, 20_001.0)


@pytest.mark.parametrize(
    "scalar", [np.float64(2), np.float32(2), np.int64(2), np.int8(2), np.uint16(2), np.bool_(True), -np.int64(1)]
)
def test_numpy_scalars_become_python_numbers(lib, scalar):
    v, number = lib.Value(3.0), scalar.item()
    for operation in (
        lambda x: x * v,
        lambda x: v * x,
        lambda x: v + x,
        lambda x: x + v,
        lambda x: v - x,
        lambda x: x - v,
        lambda x: v / x,
        lambda x: x / v,
        lambda x: v**x,
    ):
        out = operation(scalar)
        assert type(out) is lib.Value
        assert out.data == operation(number).data
        assert out._op == operation(number)._op
        assert all(type(part.data) in (int, float, bool) for part in (out, *out._children))
    assert type(lib.Value(scalar).data) is type(number)


def test_numpy_arrays_multiply_element_by_element(lib):
    v = lib.Value(3.0)
    for out in (np.array([1.0, 2.0]) * v, v * np.array([1.0, 2.0])):
        assert out.dtype == object
        assert [element.data for element in out] == [3.0, 6.0]


@pytest.mark.parametrize("other", ["a", None, [1], 1j])
def test_an_operand_that_is_no_number(lib, other):
    v = lib.Value(2)
    for operation in (lambda: v + other, lambda: other + v, lambda: v * other, lambda: other * v, lambda: v**other):
        with pytest.raises(TypeError):
            operation()
    assert (v.data, v.grad) == (2, 0.0)


@pytest.mark.parametrize("data", ["2", None, [2.0], 2j])
def test_data_that_is_no_number(lib, data):
    with pytest.raises(TypeError, match=type(data).__name__):
        lib.Value(data)


@pytest.mark.parametrize(
    ("error", "operation"),
    [
        (ZeroDivisionError, lambda value: value(0.0) ** -1),
        (ZeroDivisionError, lambda value: value(1.0) / 0),
        (ZeroDivisionError, lambda value: 1 / value(0.0)),
        (ValueError, lambda value: value(0.0).log()),
        (ValueError, lambda value: value(-1.0).log()),
        (ValueError, lambda value: value(-1.0).sqrt()),
        (ValueError, lambda value: value(-8.0) ** (1 / 3)),
        (OverflowError, lambda value: value(1000.0).exp()),
        (OverflowError, lambda value: value(10.0) ** 400.0),
    ],
)
def test_outside_the_domain(lib, error, operation):
    with pytest.raises(error):
        operation(lib.Value)


def test_no_silent_float(lib):
    with pytest.raises(TypeError):
        float(lib.Value(1.0))
    with pytest.raises(TypeError):
        math.exp(lib.Value(1.0))


def test_identity(lib):
    a, b = lib.Value(1.0), lib.Value(1.0)
    assert a != b
    assert len({a, b}) == 2
    assert bool(lib.Value(0.0)) is True


def test_the_class_can_be_extended(lib):
    class Child(lib.Value):
        def cube(self):
            return self**3

    c = Child(2.0)
    assert type(c.cube()) is lib.Value
    c.note = "kept"
    assert c.note == "kept"


def test_powers_with_a_value_are_no_part_of_the_reference():
    a = reference.Value(2.0)
    with pytest.raises(TypeError):
        a ** reference.Value(2.0)
    with pytest.raises(TypeError):
        2**a
    with pytest.raises(TypeError):
        a < a  # noqa: B015


def test_a_wrong_number_of_inputs(lib):
    with pytest.raises(ValueError, match=r"shorter|takes 3 inputs"):
        lib.Neuron(3)([1.0, 2.0])


def test_the_reference_imports_nothing_of_kilograd():
    tree = ast.parse(pathlib.Path(reference.__file__).read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported <= {"__future__", "math", "random", "collections.abc", "typing"}
