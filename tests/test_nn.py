"""Neurons, layers and perceptrons of the kilograd dialect."""

from __future__ import annotations

import copy
import importlib
import pickle
import random

import numpy as np
import pytest

import kilograd
from kilograd import nn, reference


class ReferenceNeuron(nn.Neuron):
    value_type = reference.Value


class ReferenceLayer(nn.Layer):
    neuron_type = ReferenceNeuron


class ReferenceMLP(nn.MLP):
    layer_type = ReferenceLayer


@pytest.fixture(params=["kilograd", "reference"])
def mlp(request):
    """The shared implementation over either class of values."""
    return {"kilograd": nn.MLP, "reference": ReferenceMLP}[request.param]


def shape(v):
    """A graph as nested tuples: operation, data, operands in order."""
    return (v._op, v.data, *map(shape, v._children))


def test_same_seed_same_parameters_and_same_graph_as_the_reference(mlp):
    random.seed(3)
    expected = reference.MLP(3, [4, 2])
    after = random.random()
    random.seed(3)
    found = mlp(3, [4, 2])
    assert random.random() == after
    assert [p.data for p in found.parameters()] == [p.data for p in expected.parameters()]
    x = [1.0, 2, -0.5]
    assert list(map(shape, found(x))) == list(map(shape, expected(x)))


def test_a_neuron_draws_its_weights_then_its_bias():
    random.seed(0)
    draws = [random.uniform(-1, 1) for _ in range(3)]
    random.seed(0)
    neuron = nn.Neuron(2)
    assert [w.data for w in neuron.w] == draws[:2]
    assert neuron.b.data == draws[2]


def test_parameters_are_the_objects_themselves_in_order():
    model = nn.MLP(2, [2, 1])
    parts = [model.layers[0].neurons[0], model.layers[0].neurons[1], model.layers[1].neurons[0]]
    expected = [v for n in parts for v in (*n.w, n.b)]
    assert len(model.parameters()) == 9
    assert all(p is q for p, q in zip(model.parameters(), expected, strict=True))


def test_outputs_are_lists_except_for_a_single_one():
    assert isinstance(nn.MLP(2, [1])([1.0, 2.0]), kilograd.Value)
    assert len(nn.MLP(2, [3])([1.0, 2.0])) == 3
    assert nn.MLP(2, [])([1.0, 2.0]) == [1.0, 2.0]


def test_a_hidden_layer_may_have_one_neuron():
    out = nn.MLP(2, [1, 1, 2])([1.0, 2.0])
    assert len(out) == 2
    neuron = nn.Neuron(1)
    assert neuron(0.5).data == neuron([0.5]).data


def test_inputs_of_any_kind():
    model = nn.MLP(2, [2, 1])
    expected = model([1.0, 2.0]).data
    for x in ((1.0, 2.0), np.array([1.0, 2.0]), [kilograd.Value(1.0), 2], (v for v in (1.0, 2.0))):
        assert model(x).data == expected


@pytest.mark.parametrize("x", [[1.0, 2.0], [1.0, 2.0, 3.0, 4.0], []])
def test_a_wrong_number_of_inputs_names_both(x):
    model = nn.MLP(3, [4, 1])
    with pytest.raises(ValueError, match=rf"TanhNeuron\(3\) takes 3 inputs.* given {len(x)}"):
        model(x)


def test_changes_take_effect():
    neuron = nn.Neuron(2)
    new = kilograd.Value(0.25)
    neuron.w[0] = new
    out = neuron([1.0, 0.0])
    assert out.data == pytest.approx(np.tanh(0.25 + neuron.b.data), rel=1e-15)
    out.backward()
    assert new.grad != 0.0
    assert neuron.parameters()[0] is new

    neuron.activation = "linear"
    assert neuron([1.0, 0.0]).data == 0.25 + neuron.b.data

    layer = nn.Layer(2, 1)
    layer.neurons.append(neuron)
    assert [type(v) for v in layer([1.0, 2.0])] == [kilograd.Value] * 2

    model = nn.MLP(2, [2])
    model.layers.append(nn.Layer(2, 1))
    assert isinstance(model([1.0, 2.0]), kilograd.Value)
    assert len(model.parameters()) == 9


def test_zero_grad():
    model = nn.MLP(2, [2, 1])
    model([1.0, 2.0]).backward()
    assert any(p.grad for p in model.parameters())
    model.zero_grad()
    assert [p.grad for p in model.parameters()] == [0.0] * 9


@pytest.mark.parametrize(
    ("activation", "spelling"),
    [
        ("tanh", "Tanh"),
        ("relu", "ReLU"),
        ("sigmoid", "Sigmoid"),
        ("linear", "Linear"),
        (None, "Linear"),
    ],
)
def test_activation_by_name(activation, spelling, mlp):
    model = mlp(2, [2, 1], activation=activation)
    assert repr(model) == (
        f"MLP of [Layer of [{spelling}Neuron(2), {spelling}Neuron(2)], Layer of [{spelling}Neuron(2)]]"
    )
    z = model.layers[0].neurons[0]
    expected = z.weighted_sum([1.0, 2.0])
    if activation not in ("linear", None):
        expected = getattr(expected, activation)()
    assert shape(z([1.0, 2.0])) == shape(expected)


def test_activation_by_function_and_by_layer():
    def square(z):
        return z**2

    model = nn.MLP(2, [2, 1], activation=[square, "linear"])
    assert repr(model) == "MLP of [Layer of [SquareNeuron(2), SquareNeuron(2)], Layer of [LinearNeuron(2)]]"
    assert model.layers[0]([1.0, 2.0])[0]._op == "**2"
    assert model([1.0, 2.0])._op == "+"
    with pytest.raises(ValueError, match="1 activations were given for 2 layers"):
        nn.MLP(2, [2, 1], activation=["tanh"])


def test_an_activation_that_does_not_exist():
    with pytest.raises(ValueError, match="'tahn'"):
        nn.Neuron(2, activation="tahn")
    with pytest.raises(TypeError, match="int"):
        nn.Neuron(2, activation=3)


def test_sizes_that_make_no_sense():
    with pytest.raises(ValueError, match="-1"):
        nn.Neuron(-1)
    with pytest.raises(ValueError, match="-2"):
        nn.Layer(1, -2)
    with pytest.raises(TypeError, match=r"\[4\]"):
        nn.MLP(3, 4)


def test_a_subclass_wins():
    class Doubled(nn.Neuron):
        def __call__(self, x):
            return super().__call__(x) * 2

    class Unbiased(nn.Neuron):
        def weighted_sum(self, x):
            return sum(w * v for w, v in zip(self.w, x, strict=True))

    class Wide(nn.Layer):
        neuron_type = Doubled

    layer = Wide(2, 1)
    assert layer([1.0, 2.0])._op == "*"
    layer.neurons[0] = Unbiased(2, activation=None)
    assert layer([1.0, 2.0]).data == 0 + layer.neurons[0].w[0].data * 1.0 + layer.neurons[0].w[1].data * 2.0


def test_a_module_of_the_users_own():
    class Two(nn.Module):
        def __init__(self):
            self.left, self.right = nn.Neuron(2), nn.MLP(2, [2, 1])

        def __call__(self, x):
            return self.left(x) - self.right(x)

        def parameters(self):
            return self.left.parameters() + self.right.parameters()

    two = Two()
    two([1.0, 2.0]).backward()
    assert any(p.grad for p in two.parameters())
    two.zero_grad()
    assert not any(p.grad for p in two.parameters())
    assert nn.Module().parameters() == []


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_of_a_model(copied):
    model = nn.MLP(2, [2, 1], activation=["relu", None])
    twin = copied(model)
    assert repr(twin) == repr(model)
    assert twin([1.0, 2.0]).data == model([1.0, 2.0]).data
    assert not {id(p) for p in twin.parameters()} & {id(p) for p in model.parameters()}


def test_the_top_level_names():
    for name in ("Module", "Neuron", "Layer", "MLP"):
        assert getattr(kilograd, name) is getattr(importlib.import_module("kilograd.nn"), name)


@pytest.mark.parametrize("dialect", ["kilograd.nn", "kilograd.micrograd.nn"])
def test_many_samples_are_not_one(dialect):
    module = importlib.import_module(dialect)
    for samples in (np.ones((3, 3)), np.ones((4, 3)), [[1.0, 2.0, 3.0]] * 3):
        for model in (module.Neuron(3), module.Layer(3, 2), module.MLP(3, [2, 1])):
            with pytest.raises(ValueError, match=r"takes one sample, 3 numbers or Values.*kilograd\.predict"):
                model(samples)
