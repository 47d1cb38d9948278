"""`kilograd.check`: numerical derivatives against automatic ones, and which rule is wrong."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

import kilograd
from kilograd import MLP, Value, check, reference
from kilograd.gradcheck.differences import estimate, steps


class Mine:
    """A learner's class, with sets of operands, whose rules tests replace."""

    def __init__(self, data, _prev=(), _op=""):
        self.data, self.grad, self._op = data, 0.0, _op
        self._prev, self._backward = set(_prev), lambda: None

    def _made(self, data, operands, op, rule):
        out = type(self)(data, operands, op)
        out._backward = lambda: rule(out)
        return out

    def __add__(self, other):
        other = other if isinstance(other, Mine) else type(self)(other)

        def rule(out):
            self.grad += out.grad
            other.grad += out.grad

        return self._made(self.data + other.data, (self, other), "+", rule)

    def __mul__(self, other):
        other = other if isinstance(other, Mine) else type(self)(other)

        def rule(out):
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        return self._made(self.data * other.data, (self, other), "*", rule)

    def tanh(self):
        t = math.tanh(self.data)

        def rule(out):
            self.grad += (1 - t * t) * out.grad

        return self._made(t, (self,), "tanh", rule)

    def relu(self):
        def rule(out):
            self.grad += (out.data > 0) * out.grad

        return self._made(max(0.0, self.data), (self,), "relu", rule)

    def log(self):
        def rule(out):
            self.grad += out.grad / self.data

        return self._made(math.log(self.data), (self,), "log", rule)

    def backward(self):
        self.grad = 1.0
        for node in reversed(kilograd.order(self)):
            node._backward()


def operation(rule, kind=Value):
    """A product whose rule is `rule(a, b, out)`."""

    def apply(a, b):
        out = kind(a.data * b.data, (a, b), "mine")
        out._backward = lambda: rule(a, b, out)
        return out

    return apply


def no_seed(a, b, out):
    a.grad += b.data
    b.grad += a.data * out.grad


def overwrites(a, b, out):
    a.grad = b.data * out.grad
    b.grad += a.data * out.grad


def other_sign(a, b, out):
    a.grad -= b.data * out.grad
    b.grad += a.data * out.grad


def nothing(a, b, out):
    b.grad += a.data * out.grad


def twice(a, b, out):
    a.grad += 2 * b.data * out.grad
    b.grad += a.data * out.grad


def swapped(a, b, out):
    a.grad += a.data * out.grad
    b.grad += a.data * out.grad


def raises(a, b, out):
    a.grad += b.data / 0.0


def zeroes(a, b, out):
    a.grad = 0.0
    b.grad += a.data * out.grad


WRONG = [
    (no_seed, "does not multiply by the node's own gradient"),
    (overwrites, "= in place of +="),
    (other_sign, "the sign is the other one"),
    (nothing, "it adds nothing"),
    (twice, "twice as much"),
    (swapped, "adds 2; 3 is right"),
    (zeroes, "sets the gradient to 0"),
]


@pytest.mark.parametrize("kind", [Value, reference.Value, Mine])
@pytest.mark.parametrize(("rule", "text"), WRONG)
def test_the_wrong_rule_is_found_and_described(kind, rule, text):
    product = operation(rule, kind)
    report = check(lambda a, b: (product(a, b) + a) * 0.5, (2.0, 3.0), value_type=kind)
    assert not report
    assert "gradient check: wrong" in str(report)
    (found,) = (each for each in report.rules if each.verdict == "wrong")
    assert found.node.startswith("'mine' (node ")
    assert (found.name, text in str(found)) == ("a", True), str(found)


@pytest.mark.parametrize("kind", [Value, reference.Value, Mine])
def test_a_rule_that_raises_is_named(kind):
    product = operation(raises, kind)
    report = check(product, (2.0, 3.0), value_type=kind)
    assert "it raises ZeroDivisionError" in str(report)
    assert "backward() raises ZeroDivisionError" in report.note


@pytest.mark.parametrize("kind", [Value, reference.Value, Mine])
def test_right_rules_are_right(kind):
    def right(a, b, out):
        a.grad += b.data * out.grad
        b.grad += a.data * out.grad

    product = operation(right, kind)
    report = check(lambda a, b: (product(a, b) * a + product(a, a)).tanh(), (0.5, -0.25), value_type=kind)
    assert report, str(report)
    assert [each.verdict for each in report.inputs] == ["right"] * 2
    assert len(report.rules) == 8
    assert report.inputs[0].automatic == pytest.approx(report.inputs[0].numerical, rel=1e-9)


def test_gradients_are_those_that_backward_gives():
    report = check(lambda a, b: a * b.tanh(), (2.0, 0.5))
    a, b = Value(2.0), Value(0.5)
    (a * b.tanh()).backward()
    assert [each.automatic for each in report.inputs] == [a.grad, b.grad]
    assert [each.name for each in report.inputs] == ["a", "b"]


def test_values_are_put_back():
    a, b = Value(2.0, label="weight"), Value(3)
    a.grad = 7.0
    assert check(lambda a, b: a * b, (a, b)).inputs[0].name == "weight"
    assert (a.data, a.grad, b.data, type(b.data)) == (2.0, 7.0, 3, int)
    with pytest.raises(ZeroDivisionError):
        check(lambda a: a / 0, a)
    assert (a.data, a.grad) == (2.0, 7.0)


def test_what_a_function_closes_over_keeps_its_gradient():
    w = Value(2.0)
    inner = w * 3.0
    w.grad, inner.grad = 5.0, 6.0
    assert check(lambda x: inner * x, 1.5)
    assert (w.grad, inner.grad) == (5.0, 6.0)


@pytest.mark.parametrize("kind", [kilograd, reference])
def test_a_model_by_its_parameters(kind):
    random.seed(3)
    model = kind.MLP(2, [3, 1])
    report = check(lambda n: (n([0.5, -1.0]) - 1.0) ** 2, model)
    assert report, str(report)
    assert len(report.inputs) == len(model.parameters()) == 13
    assert report.inputs[3].name.endswith(".parameters()[3]")
    assert [p.grad for p in model.parameters()] == [0.0] * 13


def test_lists_arrays_and_dicts():
    x = {"w": np.array([[1.0, 2.0], [3.0, 4.0]]), "b": [0.5, 1]}
    report = check(lambda p: (p["w"] @ np.array(p["b"])).sum().tanh(), x)
    assert [each.name for each in report.inputs] == [
        *(f"p['w'][{i}, {j}]" for i in (0, 1) for j in (0, 1)),
        "p['b'][0]",
        "p['b'][1]",
    ]
    assert report


@pytest.mark.parametrize("kind", [Value, reference.Value, Mine])
@pytest.mark.parametrize("x", [0.0, 1e-9, -1e-9])
def test_kinks_are_no_errors(kind, x):
    report = check(lambda v: v.relu() * 2, x, value_type=kind)
    assert report
    assert report.inputs[0].verdict == "kink"
    assert "one of the derivatives at this kink" in str(report)


def test_a_wrong_derivative_at_a_kink_is_wrong():
    def positive(v):
        out = Value(abs(v.data), (v,), "abs")

        def rule():
            v.grad += 1.5 * out.grad

        out._backward = rule
        return out

    report = check(positive, 0.0)
    assert [each.verdict for each in [*report.rules, *report.inputs]] == ["wrong", "wrong"]
    assert "at this kink the derivative is from -1 to 1" in str(report)


def test_close_to_a_kink_smaller_steps_tell():
    assert [each.verdict for each in check(lambda v: v.relu(), 1e-4).inputs] == ["right"]


@pytest.mark.parametrize("kind", [Value, Mine])
def test_close_to_the_end_of_a_domain(kind):
    report = check(lambda v: v.log(), 1e-9, value_type=kind)
    assert report
    assert report.inputs[0].numerical == pytest.approx(1e9, rel=1e-6)


def test_what_cannot_be_told_is_unclear():
    report = check(lambda v: v.sqrt(), 0.0)
    assert not report
    assert not report.wrong
    assert "gradient check: unclear" in str(report)
    jump = check(lambda v: Value(math.floor(v.data), (v,), (0.0,)), 2.0)
    assert (bool(jump), [each.verdict for each in jump.inputs]) == (False, ["unclear"])


def test_operands_that_move_together_are_judged_together():
    product = operation(swapped)
    report = check(lambda v: product(v, v.exp()), 2.0)
    (found,) = (each for each in report.rules if each.verdict == "wrong")
    assert found.name.startswith("v and node 2 ")
    assert "cannot be told" in found.note
    product = operation(swapped, Mine)
    told = check(lambda v: product(v, v.tanh()), 2.0, value_type=Mine)
    assert [each.name for each in told.wrong if each.node] == ["v"]


def test_backward_in_the_wrong_order_is_told_from_wrong_rules():
    class Careless(Mine):
        def backward(self):
            self.grad = 1.0
            waiting = [self]
            while waiting:
                node = waiting.pop(0)
                node._backward()
                waiting += node._prev

    class Unseeded(Mine):
        def backward(self):
            for node in reversed(kilograd.order(self)):
                node._backward()

    def diamond(a):
        b = a * 3.0
        return b * b.tanh() + a

    for kind in (Careless, Unseeded):
        report = check(diamond, 0.3, value_type=kind)
        assert not report
        assert all(each.verdict == "right" for each in report.rules)
        assert "it is backward() that" in report.note
    assert check(diamond, 0.3, value_type=Mine).note == ""


def test_rules_that_are_one_function_of_the_class():
    class Micro:
        def __init__(self, data, children=(), local_grads=()):
            self.data, self.grad = data, 0.0
            self._children, self._local_grads = children, local_grads

        def __mul__(self, other):
            return Micro(self.data * other.data, (self, other), (other.data, other.data))

        def backward(self):
            self.grad = 1.0
            for node in reversed(kilograd.order(self)):
                for child, local in zip(node._children, node._local_grads, strict=True):
                    child.grad += local * node.grad

    report = check(lambda a, b: a * b, (2.0, 3.0), value_type=Micro)
    assert [(each.name, each.automatic, each.numerical) for each in report.wrong if each.node] == [
        ("b", 3.0, pytest.approx(2.0))
    ]


def test_an_operand_that_does_not_move_is_unclear():
    product = operation(nothing)
    report = check(lambda b: product(Value(2.0, label="fixed"), b) * 3.0, 1.5)
    assert not report
    assert not report.wrong
    assert [(each.verdict, each.name) for each in report.rules] == [
        ("unclear", "fixed"),
        ("right", "b"),
        ("right", "node 3 (data 3.0)"),
    ]
    assert check(lambda b: b * 3.0 + b**2 - 1 / b, 1.5)


def test_local_gradients_of_values():
    report = check(lambda a, b: Value(a.data * b.data, (a, b), (b.data, b.data)), (2.0, 3.0))
    assert [each.name for each in report.wrong] == ["b", "b"]
    assert check(lambda a, b: Value(a.data * b.data, (a, b), (b.data, a.data)), (2.0, 3.0))


def test_an_operation_without_a_rule():
    report = check(lambda a: Value(a.data**2, (a,), "square"), 3.0)
    assert "it adds nothing" in str(report)


def test_classes_without_rules_have_their_gradient_checked():
    class Opaque:
        def __init__(self, data, _prev=()):
            self.data, self.grad, self._prev = data, 0.0, _prev

        def __mul__(self, other):
            return Opaque(self.data * other.data, (self, other))

        def backward(self):
            for each in self._prev:
                each.grad = 1.0

    report = check(lambda a, b: a * b, (2.0, 1.0), value_type=Opaque)
    assert [each.verdict for each in report.inputs] == ["right", "wrong"]
    assert "no _backward and no _local_grads" in report.note


def test_the_class_is_as_it_was():
    before = Mine.__init__
    check(lambda a: a.tanh(), 0.5, value_type=Mine)
    assert Mine.__init__ is before
    with pytest.raises(ValueError, match="math domain|expected a positive input"):
        check(lambda a: a.log(), -1.0, value_type=Mine)
    assert Mine.__init__ is before


def test_refusals():
    with pytest.raises(TypeError, match="takes a function"):
        check(Value(1.0), 1.0)
    with pytest.raises(TypeError, match="returns one Value, not list"):
        check(lambda x: [x], 1.0)
    with pytest.raises(TypeError, match="returns one Value, not float"):
        check(lambda x: x.data, 1.0)
    with pytest.raises(TypeError, match="holds numbers, Values"):
        check(lambda x: x, "1.0")
    with pytest.raises(TypeError, match="holds numbers, Values"):
        check(lambda x: x, [None])
    with pytest.raises(TypeError, match="result of an operation"):
        check(lambda x: x, Value(1.0) * 2)
    with pytest.raises(ValueError, match="holds no numbers"):
        check(lambda x: x, [])
    with pytest.raises(ValueError, match="seed what is random"):
        check(lambda x: x * random.random(), 1.0)
    with pytest.raises(ValueError, match="has 3 nodes, and the limit is 2"):
        check(lambda x: x * 2, 1.0, limit=2)


def test_the_report_shows():
    report = check(operation(swapped), (2.0, 3.0))
    shown = report._repr_html_()
    assert "<table>" in shown
    assert "&#x27;mine&#x27;" in shown
    hostile = check(lambda v: operation(swapped)(v, v), Value(2.0, label="<script>"))
    assert "<script>" not in hostile._repr_html_()
    assert check(lambda v: v * 2, 1.0)._repr_html_() == "<p>gradient check: right (1 input, 1 operand of rules)</p>"
    many = check(lambda v: sum(operation(swapped)(v[0], each) for each in v[1:]), list(np.arange(2.0, 30.0)))
    assert "more that are wrong" in str(many)


@pytest.mark.parametrize(
    ("f", "derivative"),
    [
        (math.exp, math.exp),
        (math.sin, math.cos),
        (lambda x: x**5, lambda x: 5 * x**4),
        (lambda x: math.tanh(20 * x), lambda x: 20 / math.cosh(min(20 * x, 300.0)) ** 2),
        (lambda x: 1e8 + x, lambda x: 1.0),
        (lambda x: math.sin(1000 * x), lambda x: 1000 * math.cos(1000 * x)),
    ],
)
@pytest.mark.parametrize("x", [0.1, -1.7, 30.0])
def test_errors_are_bounded(f, derivative, x):
    taken = steps(x)
    above, below = (np.array([[f(x + sign * h)] for h in taken]) for sign in (1, -1))
    found = estimate(x, taken, np.array([f(x)]), above, below, 1.0)
    assert abs(found.value[0] - derivative(x)) <= found.error[0] + 1e-12 * abs(derivative(x))
    assert not found.kink[0]


def test_a_random_expression_of_every_operation():
    random.seed(11)
    model = MLP(3, [4, 4], activation=["silu", "gelu"])
    report = check(
        lambda x, y, z: sum(model([x, y, z])) * x.exp() / (y * y + 1.0) + z.maximum(x) ** 3, (0.3, -1.2, 2.0)
    )
    assert report, str(report)


def test_two_arguments_are_a_tuple():
    with pytest.raises(
        TypeError, match=r"one argument, \[1.0, 2.0\]: missing a required argument: 'b'.* check\(fn, \(a, b\)\)"
    ):
        kilograd.check(lambda a, b: a * b, [1.0, 2.0])
    with pytest.raises(TypeError, match="with 2 arguments: too many positional arguments"):
        kilograd.check(lambda a: a * a, (1.0, 2.0))
    assert kilograd.check(lambda *several: several[0] * several[1], (1.0, 2.0))
