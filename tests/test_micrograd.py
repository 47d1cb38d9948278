"""The micrograd dialect against the micrograd package from PyPI."""

from __future__ import annotations

import random
import subprocess
import sys

import micrograd.engine
import micrograd.nn
import numpy as np
import pytest

import kilograd
from kilograd.micrograd import engine, nn


def same_node(one, other):
    """Whether two nodes print the same, gradients up to rounding.

    micrograd adds gradients up in the order of its sets, which is that of memory addresses: the last digit of a sum of
    three or more changes from run to run.
    """
    return (
        repr(one.data) == repr(other.data)
        and type(one.grad) is type(other.grad)
        and one.grad == pytest.approx(other.grad, rel=1e-12, abs=1e-12)
    )


def same_graph(found, expected):
    """Whether two graphs are one: the same nodes and operations, and edges between corresponding nodes.

    Operands come as sets, so they are paired by operation, data and size of the graph below them; then a node must
    always meet the same partner.
    """
    partner = {}
    waiting = [(found, expected)]
    while waiting:
        one, other = waiting.pop()
        if one in partner:
            assert partner[one] is other
            continue
        partner[one] = other
        assert one._op == other._op
        assert same_node(one, other), f"{one} and {other}"
        assert len(one._prev) == len(other._prev)
        waiting += zip(sorted(one._prev, key=sort_key), sorted(other._prev, key=sort_key), strict=True)
    assert len({id(other) for other in partner.values()}) == len(partner)
    return True


def sort_key(v):
    return v._op, v.data, size(v)


def size(v):
    seen, waiting = {v}, [v]
    while waiting:
        for child in waiting.pop()._prev - seen:
            seen.add(child)
            waiting.append(child)
    return len(seen)


def both(build, seed=0):
    """What `build` makes of kilograd's dialect and of micrograd, under one seed."""
    out = []
    for eng, net in ((engine, nn), (micrograd.engine, micrograd.nn)):
        random.seed(seed)
        out.append(build(eng.Value, net))
    return out


def test_the_readme_expression():
    def build(value, _):
        a, b = value(-4.0), value(2.0)
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
        return a, b, c, d, e, f, g

    found, expected = both(build)
    assert all(map(same_node, found, expected))
    assert f"{found[-1].data:.4f} {found[0].grad:.4f} {found[1].grad:.4f}" == "24.7041 138.8338 645.5773"


@pytest.mark.parametrize(
    "build",
    [
        lambda value: value(1),
        lambda value: value(2.5),
        lambda value: value(-4) + 1,
        lambda value: value(2) * value(3),
        lambda value: value(-2).relu(),
        lambda value: value(-2.0).relu() * 3.0,
        lambda value: value(2) ** 3,
        lambda value: value(2) ** -1,
        lambda value: value(2.0) ** 0.5,
        lambda value: -value(3),
        lambda value: value(3) - 1,
        lambda value: 1 - value(3),
        lambda value: value(3) / 2,
        lambda value: 2 / value(4),
        lambda value: sum([value(1), value(2.0)]),
        lambda value: value(True) + value(2),
        lambda value: (value(3) * 2 + 1).relu() ** 2,
    ],
)
def test_printed_strings_before_and_after_backward(build):
    found, expected = both(lambda cls, _: build(cls))
    assert same_graph(found, expected)
    found.backward()
    expected.backward()
    assert same_graph(found, expected)
    assert repr(found) == repr(expected)
    assert sorted(map(repr, found._prev)) == sorted(map(repr, expected._prev))


@pytest.mark.parametrize(
    "build",
    [
        lambda nn: nn.Neuron(3),
        lambda nn: nn.Neuron(3, nonlin=False),
        lambda nn: nn.Neuron(3, False),
        lambda nn: nn.Layer(3, 2),
        lambda nn: nn.Layer(3, 1, nonlin=False),
        lambda nn: nn.MLP(3, [4, 4, 1]),
        lambda nn: nn.MLP(3, [2]),
        lambda nn: nn.MLP(3, []),
    ],
)
def test_networks(build):
    found, expected = both(lambda _, net: build(net))
    assert repr(found) == repr(expected)
    assert list(map(repr, found.parameters())) == list(map(repr, expected.parameters()))
    x = [1.0, -2.0, 3]
    for out, wanted in zip(np.atleast_1d(found(x)), np.atleast_1d(expected(x)), strict=True):
        if hasattr(out, "backward"):
            assert same_graph(out, wanted)
            out.backward()
            wanted.backward()
            assert same_graph(out, wanted)
    assert all(map(same_node, found.parameters(), expected.parameters()))
    found.zero_grad()
    expected.zero_grad()
    assert list(map(repr, found.parameters())) == list(map(repr, expected.parameters()))


def moons(rows, rng):
    """Two interleaved half circles with noise, and the labels -1 and 1."""
    angle = rng.uniform(0, np.pi, rows)
    label = np.arange(rows) % 2
    x = np.where(label, 1 - np.cos(angle), np.cos(angle))
    y = np.where(label, 0.5 - np.sin(angle), np.sin(angle))
    return np.stack([x, y], axis=1) + rng.normal(0, 0.1, (rows, 2)), label * 2 - 1


def test_one_hundred_steps_of_training_on_moons():
    points, y = moons(12, np.random.default_rng(1))

    def build(value, net):
        model = net.MLP(2, [8, 8, 1])
        losses = []
        for k in range(100):
            inputs = [list(map(value, row)) for row in points.tolist()]
            scores = list(map(model, inputs))
            data_loss = sum((1 + -yi * s).relu() for yi, s in zip(y.tolist(), scores, strict=True)) * (1.0 / len(y))
            loss = data_loss + 1e-4 * sum(p * p for p in model.parameters())
            model.zero_grad()
            loss.backward()
            for p in model.parameters():
                p.data -= (1.0 - 0.9 * k / 100) * p.grad
            losses.append(loss.data)
        return losses, [p.grad for p in model.parameters()]

    (losses, grads), (expected, expected_grads) = both(build, seed=1337)
    assert losses == pytest.approx(expected, rel=1e-12)
    assert losses[-1] < losses[0] / 2
    assert grads == pytest.approx(expected_grads, rel=1e-9, abs=1e-12)


def test_where_the_dialect_is_better():
    with pytest.raises(ValueError, match=r"ReLUNeuron\(3\) takes 3 inputs.* given 2"):
        nn.Neuron(3)([1.0, 2.0])
    assert repr(nn.MLP(2, [2, 1], activation="relu")) == repr(nn.MLP(2, [2, 1]))
    assert repr(nn.MLP(1, (1, 1))) == "MLP of [Layer of [ReLUNeuron(1)], Layer of [LinearNeuron(1)]]"


def test_activation():
    model = nn.MLP(2, [2, 1], activation="tanh")
    assert repr(model) == "MLP of [Layer of [TanhNeuron(2), TanhNeuron(2)], Layer of [LinearNeuron(2)]]"
    assert model.layers[0]([1.0, 2.0])[0]._op == "tanh"
    assert model([1.0, 2.0])._op == "+"
    model = nn.MLP(2, [2, 1], activation=["relu", "sigmoid"])
    assert repr(model) == "MLP of [Layer of [ReLUNeuron(2), ReLUNeuron(2)], Layer of [SigmoidNeuron(2)]]"


def test_nonlin_can_be_changed():
    neuron = nn.Neuron(2)
    neuron.nonlin = False
    assert (neuron([1.0, 2.0])._op, repr(neuron)) == ("+", "LinearNeuron(2)")


def test_a_subclass_that_sets_up_everything_itself():
    class Own(nn.Neuron):
        def __init__(self):
            self.w = [engine.Value(1.0), engine.Value(2.0)]
            self.b = engine.Value(0)
            self.nonlin = True

    assert repr(Own()([1.0, 1.0])) == "Value(data=3.0, grad=0)"


def test_the_class_says_where_it_lives():
    assert (engine.Value.__name__, engine.Value.__module__) == ("Value", "kilograd.micrograd.engine")


def in_a_new_process(code, *flags):
    return subprocess.run([sys.executable, *flags, "-c", code], capture_output=True, text=True, check=True)


def test_install_as_micrograd():
    done = in_a_new_process(
        "import kilograd; kilograd.install_as_micrograd(); kilograd.install_as_micrograd()\n"
        "import micrograd, micrograd.engine, micrograd.nn as n\n"
        "from micrograd.engine import Value\n"
        "import kilograd.micrograd.engine as e, kilograd.micrograd.nn as m\n"
        "print(Value is e.Value, n is m, micrograd.engine is e, micrograd.nn is m)",
        "-Werror",
    )
    assert done.stdout == "True True True True\n"


def test_install_as_micrograd_says_when_it_comes_late():
    done = in_a_new_process(
        "import micrograd.engine as old\n"
        "import kilograd; kilograd.install_as_micrograd()\n"
        "import micrograd.engine as new\n"
        "print(old is new, new.__name__)"
    )
    assert done.stdout == "False kilograd.micrograd.engine\n"
    assert "RuntimeWarning: micrograd was imported before" in done.stderr


@pytest.mark.parametrize("first", [kilograd.Value, engine.Value])
def test_dialects_that_meet(first):
    second = engine.Value if first is kilograd.Value else kilograd.Value
    x, y = first(0.5), second(2.0)
    z = x * y + 1
    z.backward()
    assert type(z) is first
    assert (x.grad, y.grad) == (2.0, 0.5)


def test_dialects_that_meet_in_an_operation_of_ones_own():
    x = engine.Value(2.0)
    kilograd.Value(1.0, (x,), (0.5,)).backward()
    assert x.grad == 0.5


def test_dialects_that_meet_in_a_neuron():
    x = engine.Value(2.0)
    neuron = kilograd.Neuron(1)
    neuron([x]).backward()
    assert x.grad == neuron.w[0].data * neuron.b.grad


def test_a_class_that_changes_leaves_gradients_readable():
    x = kilograd.Value(2.0)
    y = x * 0.5
    x.__class__ = engine.Value
    x.zero_grad()
    y.backward()
    assert x.grad == 0.5
