"""Plots: what they draw, and that they return the axes."""

from __future__ import annotations

import math
import random
import sys

import numpy as np
import pytest

import kilograd
from kilograd import MLP, Value, plot
from kilograd.micrograd import nn
from kilograd.training import History

pyplot = pytest.importorskip("matplotlib.pyplot")

X = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0], [-1.0, 0.5]])
Y = np.array([1, -1, 1, -1])


@pytest.fixture(autouse=True)
def closed():
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")


def line(ax, index=0):
    return [list(each) for each in ax.lines[index].get_data()]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_losses():
    ax = plot.losses([3.0, 2.0, 1.0])
    assert line(ax) == [[1, 2, 3], [3.0, 2.0, 1.0]]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale(), ax.get_legend()) == ("step", "loss", "linear", None)
    assert plot.losses([Value(1.0), Value(0.001)], ax, label="other") is ax
    assert line(ax, 1) == [[1, 2], [1.0, 0.001]]
    assert ax.get_yscale() == "log"
    assert legend(ax) == ["other"]
    ax = plot.losses(History([3.0, 1.0], [4.0, 2.0]))
    assert legend(ax) == ["training", "validation"]
    assert ax.get_xlabel() == "epoch"
    assert line(plot.losses([])) == [[], []]


def test_the_boundary_with_values():
    model = lambda x: x[0] - 0.5 * x[1]  # noqa: E731
    ax = plot.boundary(model, X, Y, resolution=12)
    picture, bar = ax.figure.axes
    assert picture is ax
    assert bar.get_ylabel() == "score"
    low, high = ax.collections[0].get_clim()
    assert low == -high  # pale at the threshold
    assert len(ax.collections) == 3  # the scores, the line at the threshold, the samples
    ax = plot.boundary(lambda x: x[0] * 0.0 + 1.0, X, Y, resolution=5)
    assert len(ax.collections) == 2  # there is no boundary
    given = pyplot.subplots()[1]
    assert plot.boundary(MLP(2, [3]), X, Y, given, resolution=5) is given
    assert len(given.figure.axes) == 1  # of several scores there is no bar


def test_classes_with_names():
    model = MLP(2, [1])
    ax = plot.boundary(model, X, ["b", "a", "b", "a"], resolution=5)
    other = plot.boundary(model, X, [1, 0, 1, 0], resolution=5)
    colours = [each.collections[-1].get_facecolors().tolist() for each in (ax, other)]
    assert colours[0] == colours[1]


def test_what_is_no_losses():
    for thing in (3, None, MLP(1, [1])):
        with pytest.raises(TypeError, match="a History or a list of numbers"):
            plot.losses(thing)


def test_the_old_name():
    ax = kilograd.training.plot_boundary(MLP(2, [1]), X, Y, resolution=5)
    assert len(ax.figure.axes) == 1


def test_activations():
    model = MLP(2, [3, 1])
    for neuron in model.layers[0].neurons:
        neuron.b.data = 100.0  # saturated
    before = kilograd.live_nodes()
    ax = plot.activations(model, X, bins=10)
    assert kilograd.live_nodes() == before
    assert len(ax.patches) == 2
    outputs = [model(x).data for x in X.tolist()]
    first, second = legend(ax)
    assert first == "layer 1 (tanh), saturated 100%: mean 1, std 0"
    assert second.startswith("layer 2 (tanh), saturated")
    assert second.endswith(f": mean {np.mean(outputs):.2g}, std {np.std(outputs):.2g}")
    for steps in ax.patches:
        heights, edges, _ = steps.get_data()
        assert (heights * np.diff(edges)).sum() == pytest.approx(1.0)


def test_activations_that_are_zero():
    model = nn.MLP(2, [2, 1])
    for neuron in model.layers[0].neurons:
        neuron.b.data = -100.0
    first, second = legend(plot.activations(model, X))
    assert first == "layer 1 (relu), at 0 100%: mean 0, std 0"
    assert second.startswith("layer 2 (linear): ")


def test_what_has_no_activations():
    for model in (kilograd.Neuron(2), lambda x: x, MLP(2, [])):
        with pytest.raises(TypeError, match="`layers`"):
            plot.activations(model, X)
    for rows in (np.ones(2), np.ones((0, 2))):
        with pytest.raises(ValueError, match="shape"):
            plot.activations(MLP(2, [1]), rows)
    model = MLP(2, [1], activation=None)
    model.layers[0].neurons[0].b.data = math.nan
    with pytest.raises(ValueError, match="4 of 4 numbers are infinite or NaN"):
        plot.activations(model, X)


def test_gradients():
    random.seed(1)
    model = MLP(2, [3, 1])
    with pytest.raises(ValueError, match=r"backward\(\)"):
        plot.gradients(model)
    model([1.0, 2.0]).backward()
    ax = plot.gradients(model, bins=7)
    grads = [p.grad for p in model.layers[0].parameters()]
    assert legend(ax)[0] == (
        f"layer 1 (tanh), ratio {plot.ratio(model)[0]:.1e}: mean {np.mean(grads):.2g}, std {np.std(grads):.2g}"
    )
    assert [len(steps.get_data().values) for steps in ax.patches] == [7, 7]


def test_ratio():
    model = MLP(1, [1, 1])
    for p, data, grad in zip(model.parameters(), (3.0, 4.0, 0.0, 0.0), (0.6, 0.8, 1.0, 1.0)):
        p.data, p.grad = data, grad
    first, second = plot.ratio(model)
    assert first == pytest.approx(1.0 / 5.0)
    assert math.isnan(second)
    assert plot.ratio(model, lr=0.1)[0] == pytest.approx(0.1 / 5.0)


def test_ratios():
    ax = plot.ratios([[1e-2, 1e-3], [2e-2, 0.0], [3e-2, 1e-4]])
    assert legend(ax) == ["layer 1", "layer 2"]
    assert line(ax) == [[1, 2, 3], [1e-2, 2e-2, 3e-2]]
    assert math.isnan(line(ax, 1)[1][1])  # a logarithm has no place for 0
    assert ax.get_yscale() == "log"
    for rows in ([], [[1.0], [1.0, 2.0]], [1.0, 2.0]):
        with pytest.raises(ValueError, match="as there are layers"):
            plot.ratios(rows)


def test_axes_are_those_given():
    model = MLP(2, [2, 1])
    model([1.0, 2.0]).backward()
    for draw in (
        lambda ax: plot.losses([1.0], ax=ax),
        lambda ax: plot.boundary(model, X, Y, ax=ax, resolution=3),
        lambda ax: plot.activations(model, X, ax=ax),
        lambda ax: plot.gradients(model, ax=ax),
        lambda ax: plot.ratios([[1.0]], ax=ax),
    ):
        given = pyplot.subplots()[1]
        assert draw(given) is given


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'kilograd\[plot\]'"):
        plot.losses([1.0])


def test_matplotlib_is_imported_when_it_draws(run_python):
    program = "import sys, kilograd; kilograd.plot.losses; print('matplotlib' in sys.modules, 'numpy' in sys.modules)"
    assert run_python(program).split()[0] == "False"
