"""Native networks, reductions, losses and arrays: the same graphs as in Python, and PyTorch's numbers."""

from __future__ import annotations

import inspect
import math
import pickle
import random
import types
from typing import get_args

import numpy as np
import pytest

import kilograd
from kilograd import Value, functional, nn, no_grad
from kilograd.micrograd import nn as micrograd_nn
from kilograd.micrograd.engine import Value as MicrogradValue

try:
    import torch
except ImportError:
    torch = None


def written_out(cls):
    """A dialect's network whose methods are Python's alone, copied so that none is the declared one."""

    def copy(function):
        return types.FunctionType(
            function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
        )

    neuron = cls.layer_type.neuron_type

    class PythonNeuron(neuron):
        weighted_sum = copy(neuron.weighted_sum)

    class PythonLayer(cls.layer_type):
        neuron_type = PythonNeuron

        def __call__(self, x):
            outs = [n(x) for n in self.neurons]
            return outs[0] if len(outs) == 1 else outs

    class PythonMLP(cls):
        layer_type = PythonLayer

        def __call__(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

    return PythonMLP


DIALECTS = {"kilograd": (nn.MLP, Value), "micrograd": (micrograd_nn.MLP, MicrogradValue)}


def both(dialect, *args, seed=3, **kwargs):
    cls = DIALECTS[dialect][0]
    models = []
    for each in (cls, written_out(cls)):
        random.seed(seed)
        models.append(each(*args, **kwargs))
    return models


def structure(root):
    """Every node in the order of a walk: op, data as printed, type, and which nodes its operands are, in order."""
    numbers, rows, waiting, kept = {root: 0}, [], [root], []
    while waiting:
        node = waiting.pop()
        kept.append(node)
        children = node._children
        for child in children:
            if child not in numbers:
                numbers[child] = len(numbers)
                waiting.append(child)
        rows.append((numbers[node], node._op, repr(node.data), type(node), [numbers[c] for c in children]))
    return rows


def assert_same_graph(one, other):
    assert structure(one) == structure(other)


INPUTS = {
    "floats": lambda value: [0.5, -1.5, 2.0],
    "ints": lambda value: [1, 0, -2],
    "bools": lambda value: [True, False, True],
    "values": lambda value: [value(0.5), value(-1.5), value(2)],
    "mixed": lambda value: [value(0.5), 3, np.float64(2.0)],
    "tuple": lambda value: (1.0, 2.0, 3.0),
    "array": lambda value: np.array([1.0, -2.0, 0.25]),
}


@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("activation", [None, "tanh", "relu", "leaky_relu", "sigmoid", ["tanh", "linear", "relu"]])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_graph_is_that_of_the_python_form(dialect, activation, inputs):
    native, python = both(dialect, 3, [4, 2, 1], activation=activation)
    x = INPUTS[inputs](DIALECTS[dialect][1])
    one, other = native(x), python(x)
    assert_same_graph(one, other)
    one.backward()
    mine = [p.grad for p in native.parameters()]
    other.backward()
    assert mine == [p.grad for p in python.parameters()]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_several_outputs_one_input_and_iterators(dialect):
    native, python = both(dialect, 1, [1, 3])
    for x in (2.0, Value(2.0) if dialect == "kilograd" else MicrogradValue(2.0), [2.0]):
        outs, wanted = native(x), python([x] if not isinstance(x, list) else x)
        assert isinstance(outs, list)
        for one, other in zip(outs, wanted, strict=True):
            assert_same_graph(one, other)
    assert len(native(iter([2.0]))) == 3
    assert len(native.layers[0].neurons[0](iter([2.0]))._children) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
def test_native_calls_make_no_handles_but_the_outputs(dialect):
    native, _ = both(dialect, 3, [4, 4, 1])
    before = kilograd.live_nodes()
    out = native([1.0, 2.0, 3.0])
    assert kilograd.live_nodes() > before + 50
    del out
    assert kilograd.live_nodes() == before


def test_no_grad_builds_one_leaf():
    native, python = both("kilograd", 3, [4, 1])
    before = kilograd.live_nodes()
    with no_grad():
        out = native([1.0, 2.0, 3.0])
        assert kilograd.live_nodes() == before + 1
    assert out._prev == set()
    assert out.data == python([1.0, 2.0, 3.0]).data


class TestWhatAnAuthorReplaced:
    """Each change takes effect, and leaves the graph that Python would have built."""

    def check(self, change, x=(0.5, -1.0, 2.0), dialect="kilograd"):
        native, python = both(dialect, 3, [4, 1])
        out = [native(x)]
        for model in (native, python):
            change(model)
        out = native(x)
        assert_same_graph(out, python(x))
        return native, out

    def test_a_weight(self):
        def change(model):
            model.layers[0].neurons[1].w[2] = Value(7.0)

        native, out = self.check(change)
        out.backward()
        assert native.layers[0].neurons[1].w[2].grad != 0

    def test_a_number_as_weight_or_bias(self):
        def change(model):
            model.layers[0].neurons[1].w[0] = 2.0
            model.layers[1].neurons[0].b = 0.5

        self.check(change)

    def test_a_data(self):
        def change(model):
            model.layers[0].neurons[0].b.data = 3

        self.check(change)

    def test_the_whole_list_of_weights(self):
        self.check(lambda model: setattr(model.layers[0].neurons[0], "w", [Value(1.0), Value(2.0), Value(3.0)]))

    def test_an_activation(self):
        self.check(lambda model: setattr(model.layers[0].neurons[0], "activation", "relu"))
        self.check(lambda model: setattr(model.layers[0].neurons[0], "activation", lambda z: z * z))
        self.check(lambda model: setattr(model.layers[0].neurons[0], "activation", None))

    def test_an_activation_that_gives_a_number(self):
        self.check(lambda model: setattr(model.layers[0].neurons[0], "activation", lambda z: 2.0))

    def test_nonlin(self):
        self.check(lambda model: setattr(model.layers[0].neurons[0], "nonlin", False), dialect="micrograd")

    def test_a_layer_appended_or_removed(self):
        native, _ = both("kilograd", 3, [4, 2])
        native.layers.pop()
        assert len(native([1.0, 2.0, 3.0])) == 4
        native.layers.append(lambda x: x[0])
        assert isinstance(native([1.0, 2.0, 3.0]), Value)

    def test_a_neuron_of_another_class(self):
        class Product:
            def __call__(self, x):
                return x[0] * x[1]

            def parameters(self):
                return []

        self.check(lambda model: model.layers[0].neurons.__setitem__(1, Product()))

    def test_a_method_on_an_instance(self):
        self.check(lambda model: setattr(model.layers[0].neurons[1], "weighted_sum", lambda x: x[0] * Value(2.0)))
        self.check(lambda model: setattr(model.layers[0].neurons[1], "activate", lambda z: z + 1.0))

    @pytest.mark.parametrize("method", ["__call__", "weighted_sum", "activate"])
    def test_a_method_of_a_subclass(self, method):
        calls = []

        def replaced(self, x):
            calls.append(x)
            return getattr(nn.Neuron, method)(self, x)

        neuron = type("Own", (nn.Neuron,), {method: replaced})
        native, _ = both("kilograd", 3, [4, 1])
        before = structure(native([1.0, 2.0, 3.0]))
        for n in native.layers[0].neurons:
            n.__class__ = neuron
        assert structure(native([1.0, 2.0, 3.0])) == before
        assert len(calls) == 4

    def test_a_patched_class(self, monkeypatch):
        native, _ = both("kilograd", 3, [4, 1])
        calls = []
        original = nn.Neuron.weighted_sum
        monkeypatch.setattr(nn.Neuron, "weighted_sum", lambda self, x: calls.append(1) or original(self, x))
        native([1.0, 2.0, 3.0])
        assert len(calls) == 5

    def test_a_patched_value(self, monkeypatch):
        native, _ = both("kilograd", 3, [4, 1])
        calls = []
        tanh, mul = Value.tanh, Value.__mul__
        monkeypatch.setattr(Value, "tanh", lambda self: calls.append("tanh") or tanh(self))
        native([1.0, 2.0, 3.0])
        assert calls == ["tanh"] * 5
        monkeypatch.setattr(Value, "__mul__", lambda self, other: calls.append("mul") or mul(self, other))
        native([1.0, 2.0, 3.0])
        assert calls.count("mul") == 16

    def test_a_property_in_place_of_the_weights(self):
        class Shared(nn.Neuron):
            w = property(lambda self: weights)

        weights = [Value(1.0), Value(2.0), Value(3.0)]
        native, _ = both("kilograd", 3, [1])
        native.layers[0].neurons[0].__class__ = Shared
        out = native([1.0, 1.0, 1.0])
        out.backward()
        assert all(w.grad != 0 for w in weights)

    def test_custom_operations_in_between(self):
        """Their closures are cycles that the collector has to see through what is built natively."""

        def sine(z):
            out = Value(math.sin(z.data), (z,), "sin")

            def _backward():
                z.grad += math.cos(z.data) * out.grad

            out._backward = _backward
            return out

        native, out = self.check(lambda model: setattr(model.layers[0].neurons[0], "activation", sine))
        out.backward()
        assert native.layers[0].neurons[0].w[0].grad != 0

    def test_subclass_values_as_inputs(self):
        class Own(Value):
            def __rmul__(self, other):
                return Value(100.0)

        native, python = both("kilograd", 3, [2, 1])
        x = [Own(1.0), Own(2.0), Own(3.0)]
        assert_same_graph(native(x), python(x))

    def test_labels_stay(self):
        native, _ = both("kilograd", 3, [2, 1])
        for i, p in enumerate(native.parameters()):
            p.label = f"p{i}"
        out = native([1.0, 2.0, 3.0])
        labels = {n.label for n in kilograd.draw.trace(out)[0] if n.label}
        assert labels == {f"p{i}" for i in range(len(native.parameters()))}


def test_a_wrong_length_is_refused_and_nothing_is_built():
    native, _ = both("kilograd", 3, [4, 1])
    before = kilograd.live_nodes()
    with pytest.raises(ValueError, match=r"takes 3 inputs.*was given 2"):
        native([1.0, 2.0])
    assert kilograd.live_nodes() == before


def test_a_refused_activation_builds_nothing():
    native, _ = both("kilograd", 3, [4, 1], activation="log")
    before = kilograd.live_nodes()
    with pytest.raises(ValueError, match="log"):
        native([0.0, 0.0, -100.0])
    assert kilograd.live_nodes() == before


def test_parameters_are_the_objects_in_order():
    native, python = both("micrograd", 3, [4, 1])
    expected = [p for layer in native.layers for n in layer.neurons for p in [*n.w, n.b]]
    assert list(map(id, native.parameters())) == list(map(id, expected))
    native.layers[0].neurons[0].parameters = list
    assert len(native.parameters()) == len(expected) - 4
    assert len(python.parameters()) == len(expected)


# Reductions and losses


def test_total_and_dot_build_what_sum_builds():
    v, w = [Value(1.5), 2, Value(3)], [0.5, Value(2.0), Value(-1)]
    assert_same_graph(kilograd.functional.sum(v), sum(v))
    assert_same_graph(kilograd.functional.sum(v, v[0]), sum(v, v[0]))
    assert_same_graph(kilograd.functional.dot(w, v), sum(a * b for a, b in zip(w, v, strict=False)))
    assert_same_graph(kilograd.functional.dot(w, v, v[0]), sum((a * b for a, b in zip(w, v, strict=False)), v[0]))
    assert kilograd.functional.sum([[v[0], 2.0], [3.0, 4.0]]).data == 10.5
    assert repr(kilograd.functional.sum([1, 2])) == "Value(data=3)"
    assert_same_graph(kilograd.functional.l2(v[::2], 0.1), 0.1 * sum(p * p for p in v[::2]))


def gradients(values, fn):
    leaves = kilograd.arrays.values(values)
    out = fn(leaves)
    out.backward()
    return out.data, kilograd.arrays.gradients(leaves)


# f(x, targets) on both, with inputs that are easy, large and equal.
LOGITS = [[1.0, -2.0, 0.5], [800.0, -800.0, 799.0], [3.0, 3.0, 3.0], [-1e4, 0.0, 1e4]]
CASES = {
    "mse": (LOGITS, [[0.0, 1.0, 2.0]] * 4, {}, lambda f, p, t: f.mse_loss(p, t)),
    "mse sum": (LOGITS, [[0.0, 1.0, 2.0]] * 4, {"reduction": "sum"}, lambda f, p, t: f.mse_loss(p, t, reduction="sum")),
    "huber": (LOGITS, [[0.0, 1.0, 2.0]] * 4, {"delta": 1.5}, lambda f, p, t: f.huber_loss(p, t, delta=1.5)),
    "cross_entropy": (LOGITS, [0, 1, 2, 0], {}, lambda f, p, t: f.cross_entropy(p, t.long())),
    "cross_entropy probabilities": (
        LOGITS, [[0.2, 0.3, 0.5]] * 4, {}, lambda f, p, t: f.cross_entropy(p, t)
    ),
    "hinge": ([2.0, -0.5, 0.25, -3.0], [1, 1, -1, -1], {}, lambda f, p, t: (1 - t * p).clamp(min=0).mean()),
    "binary_cross_entropy": (
        [0.1, 0.9, 1e-6, 0.5], [0.0, 1.0, 0.25, 1.0], {}, lambda f, p, t: f.binary_cross_entropy(p, t)
    ),
    "binary_cross_entropy logits": (
        [0.5, -3.0, 900.0, -900.0], [0.0, 1.0, 0.25, 1.0], {"from_logits": True},
        lambda f, p, t: f.binary_cross_entropy_with_logits(p, t),
    ),
}  # fmt: skip


@pytest.mark.skipif(torch is None, reason="PyTorch is not installed; stored values are checked below")
@pytest.mark.parametrize("case", CASES)
def test_losses_are_pytorchs(case):
    x, t, options, theirs = CASES[case]
    loss, grad = gradients(x, lambda v: getattr(kilograd, case.split()[0])(v, t, **options))
    tensor = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    expected = theirs(torch.nn.functional, tensor, torch.tensor(t, dtype=torch.float64))
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(grad, tensor.grad.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_softmax_is_pytorchs(name):
    weights = np.array([0.3, -1.0, 2.0, 0.7])
    leaves = kilograd.arrays.values(LOGITS)
    out = getattr(kilograd, name)(leaves)
    tensor = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)
    expected = getattr(torch, name)(tensor, dim=-1)
    np.testing.assert_allclose(kilograd.arrays.data(out), expected.detach().numpy(), rtol=1e-12, atol=1e-12)
    flat = out if name == "logsumexp" else [row[1] for row in out]
    kilograd.functional.dot(list(weights), flat).backward()
    (torch.tensor(weights) * (expected if name == "logsumexp" else expected[:, 1])).sum().backward()
    np.testing.assert_allclose(kilograd.arrays.gradients(leaves), tensor.grad.numpy(), rtol=1e-12, atol=1e-12)


def mp_losses():
    """Losses by 50-digit arithmetic, for where PyTorch is not installed."""
    import mpmath

    mpmath.mp.dps = 50
    m = mpmath.mpf

    def lse(row):
        return mpmath.log(sum(mpmath.exp(m(z)) for z in row))

    yield (
        kilograd.functional.cross_entropy(LOGITS, [0, 1, 2, 0]),
        sum(lse(r) - r[t] for r, t in zip(LOGITS, [0, 1, 2, 0], strict=False)) / 4,
    )
    yield kilograd.functional.logsumexp([1000.0, 1000.5]), lse([1000.0, 1000.5])
    yield (
        kilograd.functional.binary_cross_entropy([3.0, -40.0], [0.0, 0.25], from_logits=True),
        (mpmath.log(1 + mpmath.exp(m(3))) + mpmath.log(1 + mpmath.exp(m(-40))) + 40 * m("0.25")) / 2,
    )
    yield kilograd.functional.log_softmax([0.0, 750.0])[0], -lse([0.0, 750.0])
    yield kilograd.functional.huber([3.0, 0.5], [0.0, 0.0]), (m("2.5") + m("0.125")) / 2
    errors = [0.5, -1.25, 30.0, -700.0]
    yield (
        kilograd.functional.log_cosh(errors, [0.0] * 4, reduction="sum"),
        sum(mpmath.log(mpmath.cosh(m(e))) for e in errors),
    )
    for error in (1e-3, -1e-6, 1e-9, 0.999, 1.001):
        yield kilograd.functional.log_cosh(error, 0.0), mpmath.log(mpmath.cosh(m(error)))


def test_losses_against_fifty_digits():
    for found, expected in mp_losses():
        assert found.data == pytest.approx(float(expected), rel=1e-13)


def test_the_gradient_of_log_cosh_is_tanh():
    for error in (0.0, 1e-8, 1e-3, -0.75, 2.0, -40.0, 1000.0):
        p, t = Value(error), Value(0.0)
        kilograd.functional.log_cosh(p, t).backward()
        assert p.grad == pytest.approx(math.tanh(error), rel=1e-15)
        assert t.grad == -p.grad
    assert kilograd.functional.log_cosh(1.0, 1.0).data == 0.0
    assert kilograd.hessian(lambda x: kilograd.functional.log_cosh(x[0], 2.0))([2.0]) == [[1.0]]


def test_every_loss_of_the_table_is_a_function_with_its_name():
    names = [name for name, *_ in kilograd._core.losses()]
    assert {*names, "cross_entropy"} == set(get_args(functional.LossName))
    assert set(names) < set(functional.__all__)
    for name in names:
        loss = getattr(functional, name)
        assert pickle.loads(pickle.dumps(loss)) is loss
        assert all(f"\n{parameter} : " in inspect.getdoc(loss) for parameter in ("target", "reduction"))
        if name != "binary_cross_entropy":
            assert loss is getattr(kilograd._core, name)
    assert str(inspect.signature(functional.huber)) == "(prediction, target, *, delta=1.0, reduction='mean')"


def test_from_logits_is_the_other_loss():
    z, t = [0.5, -3.0], [0.0, 0.25]
    one = functional.binary_cross_entropy(z, t, from_logits=True)
    assert_same_graph(one, functional.binary_cross_entropy_from_logits(z, t))


def test_reduction_none_keeps_the_shape():
    losses = kilograd.functional.mse([[1.0, 2.0]], [[0.0, 0.0]], reduction="none")
    assert kilograd.arrays.data(losses).tolist() == [[1.0, 4.0]]
    assert len(kilograd.functional.cross_entropy(LOGITS, [0, 1, 2, 0], reduction="none")) == 4


def test_targets_may_be_values_and_are_differentiated():
    t = Value(0.25)
    kilograd.functional.binary_cross_entropy([0.5], [t]).backward()
    assert t.grad == pytest.approx(0.0, abs=1e-15)
    kilograd.functional.mse([1.0], [t]).backward()
    assert t.grad == pytest.approx(-1.5)


BAD = [
    (lambda: kilograd.functional.mse([Value(1.0), 2.0], [1.0]), ValueError, r"\(2,\) and the targets \(1,\)"),
    (lambda: kilograd.functional.mse([], []), ValueError, "empty"),
    (lambda: kilograd.functional.mse("ab", [1.0]), TypeError, "not str"),
    (lambda: kilograd.functional.mse([None], [1.0]), TypeError, "NoneType"),
    (lambda: kilograd.functional.mse([[1.0], [1.0, 2.0]], [1.0]), ValueError, "ragged"),
    (lambda: kilograd.functional.mse([1.0, [2.0]], [1.0]), ValueError, "ragged"),
    (lambda: kilograd.functional.mse([1.0], [1.0], reduction="max"), ValueError, "'max'"),
    (lambda: kilograd.functional.cross_entropy([1.0, 2.0], 2), ValueError, "2 classes, 0 to 1"),
    (lambda: kilograd.functional.cross_entropy([1.0, 2.0], 0.5), ValueError, "index"),
    (lambda: kilograd.functional.cross_entropy([[1.0, 2.0]], [0, 1]), ValueError, "class indices"),
    (lambda: kilograd.functional.cross_entropy(1.0, 0), ValueError, "one number"),
    (lambda: kilograd.functional.hinge([Value(1.0)], [0]), ValueError, "-1 or 1"),
    (lambda: kilograd.functional.huber([1.0], [1.0], delta=0.0), ValueError, "delta"),
    (lambda: kilograd.functional.binary_cross_entropy([1.5], [1.0]), ValueError, "from_logits"),
    (lambda: kilograd.functional.binary_cross_entropy([0.5], [2.0]), ValueError, "from 0 to 1"),
    (lambda: kilograd.functional.mean([]), ValueError, "empty"),
    (lambda: kilograd.functional.dot([1.0], [1.0, 2.0]), ValueError, "differ in length"),
    (lambda: kilograd.functional.dot([[1.0]], [[1.0]]), ValueError, "two lists"),
]


@pytest.mark.parametrize(("call", "error", "match"), BAD)
def test_bad_arguments(call, error, match):
    before = kilograd.live_nodes()
    with pytest.raises(error, match=match):
        call()
    assert kilograd.live_nodes() == before


def test_losses_respect_no_grad_and_the_dialect():
    v = MicrogradValue(2.0)
    assert type(kilograd.functional.mse([v], [1.0])) is MicrogradValue
    with no_grad():
        assert kilograd.functional.mse([v], [1.0])._prev == set()


def test_losses_over_custom_operations_can_be_collected():
    a = Value(0.5)
    out = Value(1.0, (a,), "own")
    out._backward = lambda: setattr(a, "grad", a.grad + out.grad)
    loss = kilograd.functional.cross_entropy([out, a, 2.0], 0)
    loss.backward()
    assert a.grad != 0


# Arrays


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 0), (2, 3, 4)])
@pytest.mark.parametrize("as_array", [False, True])
def test_values_and_back(shape, as_array):
    array = np.arange(math.prod(shape), dtype=float).reshape(shape)
    leaves = kilograd.arrays.values(array, as_array=as_array)
    if as_array:
        assert leaves.shape == shape
        assert leaves.dtype == object
    np.testing.assert_array_equal(kilograd.arrays.data(leaves).ravel(), array.ravel())
    if array.size:
        assert kilograd.arrays.data(leaves).shape == shape
        kilograd.functional.sum(leaves).backward()
        np.testing.assert_array_equal(kilograd.arrays.gradients(leaves), np.ones(shape))
        kilograd.arrays.assign(leaves, array * 2)
        np.testing.assert_array_equal(kilograd.arrays.data(leaves), array * 2)


def test_values_of_a_dialect_or_subclass():
    class Own(Value):
        pass

    assert all(type(v) is MicrogradValue for v in kilograd.arrays.values([1.0, 2.0], value_type=MicrogradValue))
    assert all(type(v) is Own for v in kilograd.arrays.values([1.0, 2.0], value_type=Own))


def test_arrays_are_refused_whole():
    leaves = kilograd.arrays.values([1.0, 2.0])
    for array, error in (([1.0], ValueError), ([[1.0, 2.0]], ValueError), (["a", "b"], TypeError)):
        with pytest.raises(error):
            kilograd.arrays.assign(leaves, array)
    with pytest.raises(TypeError):
        kilograd.arrays.assign([leaves[0], 1.0], [5.0, 6.0])
    assert kilograd.arrays.data(leaves).tolist() == [1.0, 2.0]
    with pytest.raises(TypeError):
        kilograd.arrays.gradients([1.0])
    with pytest.raises(TypeError):
        kilograd.arrays.values([1j])
    assert kilograd.arrays.data([leaves[0], 7]).tolist() == [1.0, 7.0]
