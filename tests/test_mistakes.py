"""What newcomers write by mistake or by habit: an error says what to write, or they get what they expect.

Each row is an expression and either the type of the error and parts of its message, or the text of the result.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kilograd
from kilograd import MLP, Layer, Neuron, Program, Value, functional, optim
from kilograd.micrograd.engine import Value as MicrogradValue

ROWS = [[1.0, 2.0, 3.0]]
LIBRARY = {"json": json, "math": math, "np": np, "statistics": statistics, "kilograd": kilograd}
OURS = {
    "MLP": MLP,
    "Layer": Layer,
    "Neuron": Neuron,
    "Program": Program,
    "Value": Value,
    "optim": optim,
    "F": functional,
}


def names() -> dict[str, Any]:
    random.seed(1)
    v, n, x = Value(3.0, label="v"), MLP(3, [2, 1]), Value(1.0)
    return {
        **LIBRARY,
        **OURS,
        "ROWS": ROWS,
        "v": v,
        "n": n,
        "layer": Layer(3, 2),
        "s": optim.SGD(n, lr=0.1),
        "p": Program(x * v, inputs=[x]),
        "loss": v * 2,
    }


ATTRIBUTES = {
    "item": "v.data",
    "detach": "v.data",
    "numpy": "v.data",
    "value": "v.data",
    "val": "v.data",
    "gradient": "v.grad",
    "name": "v.label",
    "parents": "v._prev",
    "requires_grad": "no_grad()",
    "requires_grad_": "no_grad()",
    "retain_grad": "v.grad",
    "grad_fn": "v._op",
    "is_leaf": "not v._prev",
    "clone": "copy.copy(v)",
    "cpu": "leave the call out",
    "cuda": "leave the call out",
    "to": "leave the call out",
    "add": "v + w",
    "sub": "v - w",
    "mul": "v * w",
    "div": "v / w",
    "pow": "v ** w",
    "square": "v ** 2",
    "clamp": "v.maximum(low).minimum(high)",
    "softmax": "kilograd.functional.softmax",
    "tolist": "v.data",
    "device": "in memory",
    "float": "leave the call out",
    "double": "leave the call out",
    "dtype": "v.data",
    "shape": "without axes",
    "ndim": "without axes",
    "dim": "without axes",
    "size": "without axes",
    "numel": "without axes",
    "T": "without axes",
    "view": "without axes",
    "reshape": "without axes",
    "squeeze": "without axes",
    "flatten": "without axes",
    "sum": "kilograd.functional.sum(values)",
    "mean": "kilograd.functional.mean(values)",
    "max": "v.maximum(w)",
    "min": "v.minimum(w)",
    "norm": "v.abs()",
    "dot": "v * w",
    "matmul": "v * w",
    "neg": "-v",
    "clip": "v.maximum(low).minimum(high)",
}

ERRORS: list[tuple[str, Any, str]] = [
    # Values as numbers
    ("round(v, 2)", TypeError, "round(v.data, 2)"),
    ("round(v)", TypeError, "round(v.data, 2)"),
    ("float(v)", TypeError, "use v.data"),
    ("int(v)", TypeError, "use v.data"),
    ("complex(v)", TypeError, "use v.data"),
    ("math.sqrt(v)", TypeError, "v.exp() and the like"),
    ("math.floor(v)", TypeError, "use v.data"),
    ("math.isnan(v)", TypeError, "use v.data"),
    ("np.float64(v)", TypeError, "use v.data"),
    ("np.asarray(v, float)", TypeError, "kilograd.arrays.data(array)"),
    ("np.array([v, v], dtype=float)", TypeError, "kilograd.arrays.data(array)"),
    ("'%.2f' % v", TypeError, "use v.data"),
    ("json.dumps({'loss': v})", TypeError, "not JSON serializable"),
    ("statistics.mean([v, v])", TypeError, "can't convert type 'Value'"),
    ("range(v)", TypeError, "cannot be interpreted as an integer"),
    ("[1, 2][v]", TypeError, "list indices must be integers"),
    ("len(v)", TypeError, "has no len()"),
    ("list(v)", TypeError, "not iterable"),
    ("v[0]", TypeError, "not subscriptable"),
    ("v()", TypeError, "not callable"),
    # what becomes a Value
    ("Value()", TypeError, "Value(data)"),
    ("Value('3')", TypeError, "not str; float(text) makes a number of it"),
    ("Value(None)", TypeError, "not NoneType"),
    ("Value([1, 2])", TypeError, "kilograd.arrays.values(numbers) makes a Value of each"),
    ("Value(np.ones(2))", TypeError, "kilograd.arrays.values(numbers)"),
    ("Value(np.array(2.0))", TypeError, "array.item() is its number"),
    ("Value(v)", TypeError, "v.data is its number"),
    ("Value(1j)", TypeError, "not complex"),
    ("Value(1, 2)", TypeError, "must be a tuple, list or set of Values"),
    ("Value(1, (2,))", TypeError, "wrap numbers as Value(x)"),
    ("Value(1, requires_grad=True)", TypeError, "unexpected keyword 'requires_grad': it takes data"),
    ("setattr(v, 'data', '3')", TypeError, "float(text) makes a number of it"),
    ("setattr(v, 'data', loss)", TypeError, "v.data is its number"),
    ("setattr(v, 'grad', None)", TypeError, "the grad of a Value must be a real number"),
    ("setattr(v, '_prev', ())", AttributeError, "not writable"),
    ("setattr(v, '_backward', 3)", TypeError, "must be callable"),
    # operators
    ("v + 'a'", TypeError, "'kilograd.Value' and 'str'"),
    ("v + None", TypeError, "'kilograd.Value' and 'NoneType'"),
    ("v + [1]", TypeError, "'kilograd.Value' and 'list'"),
    ("v + n", TypeError, "'kilograd.Value' and 'MLP'"),
    ("v // 2", TypeError, "for //"),
    ("v @ v", TypeError, "for @"),
    ("v < 'a'", TypeError, "'<' not supported"),
    ("sum([[v], [v]])", TypeError, "'int' and 'list'"),
    ("v / 0", ZeroDivisionError, "divides by zero"),
    ("(v - 5).log()", ValueError, "log(-2.0) is undefined"),
    ("Value(1000).exp()", OverflowError, "too large for a float"),
    ("v.relu(0)", TypeError, "takes no arguments"),
    ("v.leaky_relu('a')", TypeError, "float(text)"),
    # backward
    ("v.backward(retain_graph=True)", TypeError, "unexpected keyword 'retain_graph': it takes grad"),
    ("v.backward(gradient=1.0)", TypeError, "unexpected keyword 'gradient': it takes grad"),
    ("v.backward(grad=1.0, create_graph=True)", TypeError, "unexpected keyword 'create_graph'"),
    ("v.backward(np.ones(3))", TypeError, "the grad of backward() must be a real number"),
    ("v.backward(None)", TypeError, "the grad of backward() must be a real number"),
    ("v.zero_grad(set_to_none=True)", TypeError, "unexpected keyword 'set_to_none': gradients are numbers"),
    ("[loss].backward()", AttributeError, "'list' object has no attribute 'backward'"),
    ("layer(ROWS[0]).backward()", AttributeError, "'list' object has no attribute 'backward'"),
    ("n.backward()", AttributeError, "loss.backward()"),
    # networks
    ("n(['a'])", TypeError, "input 0 of TanhNeuron(3) is 'a', and a number or a Value is needed"),
    ("n([1.0, 2.0, None])", TypeError, "input 2 of TanhNeuron(3) is None"),
    ("n([1.0, 2.0, 3j])", TypeError, "input 2 of TanhNeuron(3) is 3j"),
    ("n(None)", TypeError, "is None, and a number or a Value is needed"),
    ("n('abc')", TypeError, "float(text) makes a number of it"),
    ("n({1.0, 2.0, 3.0})", TypeError, "it has no order"),
    ("n({'a': 1})", TypeError, "list(d.values())"),
    ("n(np.ones((2, 3)))", ValueError, "kilograd.predict(model, X)"),
    ("n([[1, 2, 3], [4, 5, 6]])", ValueError, "kilograd.predict(model, X)"),
    ("n([1.0, 2.0])", ValueError, "takes 3 inputs"),
    ("MLP(3, 4)", TypeError, "for one layer of 4 write [4]"),
    ("MLP(3, [4, '1'])", TypeError, "nout is a whole number, not '1'"),
    ("MLP('3', [4])", TypeError, "nin is a whole number, not '3'"),
    ("MLP(3.0, [4])", TypeError, "nin is a whole number, not 3.0"),
    ("MLP(3, [4.0])", TypeError, "nout is a whole number, not 4.0"),
    ("MLP(-1, [4])", ValueError, "cannot be -1"),
    ("Layer(3, '2')", TypeError, "nout is a whole number"),
    ("Neuron(3.0)", TypeError, "nin is a whole number"),
    ("MLP(3, [4, 1], activation='ReLU')", ValueError, "did you mean 'relu'?"),
    ("MLP(3, [4, 1], activation='sigmod')", ValueError, "did you mean 'sigmoid'?"),
    ("MLP(3, [4, 1], activation='xyz')", ValueError, "nor 'linear'"),
    ("MLP(3, [4, 1], activation=['tanh'])", ValueError, "1 activations were given for 2 layers"),
    ("MLP(3, [1], activation=math.tanh)(ROWS[0])", TypeError, "v.exp() and the like for functions"),
    ("n.load_state_dict({})", ValueError, "of another model"),
    # optimisers
    ("optim.SGD(n.parameters, lr=0.1)", TypeError, "call it, as model.parameters()"),
    ("optim.SGD(v, lr=0.1)", TypeError, "takes a list of Values, not one: write [v]"),
    ("optim.SGD([v, 2.0], lr=0.1)", TypeError, "trains Values, not float"),
    ("optim.SGD([v * 2], lr=0.1)", ValueError, "no leaf"),
    ("optim.SGD([v, v], lr=0.1)", ValueError, "comes twice"),
    ("optim.SGD([], lr=0.1)", ValueError, "at least one parameter"),
    ("optim.SGD(n, lr='0.1')", ValueError, "lr is a number"),
    ("optim.SGD(n, lr=-1)", ValueError, "lr is a number of at least 0"),
    ("optim.SGD(n, learning_rate=0.1)", TypeError, "unexpected keyword argument 'learning_rate'"),
    ("optim.Adam(n, betas=0.9)", TypeError, "betas is a pair of numbers, not 0.9"),
    ("s.zero_grad(set_to_none=True)", TypeError, "unexpected keyword 'set_to_none': gradients are numbers"),
    ("n.zero_grad(set_to_none=True)", TypeError, "unexpected keyword 'set_to_none': gradients are numbers"),
    ("s.step(lambda: loss)", TypeError, "call loss.backward() first, then step()"),
    ("s.step(loss)", TypeError, "call loss.backward() first, then step()"),
    # losses
    ("F.mse([v], [1.0, 2.0])", ValueError, "the shape (1,) and the targets (2,)"),
    ("F.mse([], [])", ValueError, "empty"),
    ("F.cross_entropy([v, v], 2)", ValueError, "0 to 1"),
    ("F.cross_entropy([v, v], 'a')", TypeError, "not str"),
    ("F.softmax(v)", ValueError, "where a list is needed"),
    ("F.dot([v], [v, v])", ValueError, "differ in length"),
    # names that are elsewhere
    ("kilograd.SGD", AttributeError, "it is kilograd.optim.SGD"),
    ("kilograd.mse", AttributeError, "it is kilograd.functional.mse"),
    ("kilograd.plot_boundary", AttributeError, "it is kilograd.training.plot_boundary"),
    ("kilograd.exp(v)", AttributeError, "it is a method, v.exp()"),
    ("kilograd.tensor(3)", AttributeError, "kilograd.arrays.values(array)"),
    ("kilograd.jit", AttributeError, "kilograd.compile"),
    ("kilograd.vmap", AttributeError, "batch goes over rows"),
    ("kilograd.nothing_of_the_kind", AttributeError, "no attribute 'nothing_of_the_kind'"),
    ("kilograd.zeros(3)", AttributeError, "kilograd.arrays.values(numpy.zeros(shape))"),
    ("kilograd.manual_seed(0)", AttributeError, "random.seed(number)"),
    ("kilograd.run", AttributeError, "import kilograd.run"),
    ("kilograd.nn.Linear(2, 3)", AttributeError, "kilograd.Layer(nin, nout, activation='linear')"),
    ("kilograd.nn.functional", AttributeError, "import kilograd.functional"),
    ("F.relu(v)", AttributeError, "it is a method, v.relu()"),
    ("F.mse_loss(v, v)", AttributeError, "mse(prediction, target)"),
    ("optim.lr_scheduler", AttributeError, "kilograd.optim.StepDecay"),
    ("optim.nothing_of_the_kind", AttributeError, "'kilograd.optim' has no attribute 'nothing_of_the_kind'"),
    # what networks and optimizers of other libraries have
    ("n.train()", AttributeError, "'MLP' object has no attribute 'train': a model does the same in training"),
    ("n.eval()", AttributeError, "leave the call out"),
    ("n.forward(ROWS[0])", AttributeError, "model(x)"),
    ("n.named_parameters()", AttributeError, "model.state_dict()"),
    ("n.to('cpu')", AttributeError, "leave the call out"),
    ("n.fit(ROWS, [1.0])", AttributeError, "kilograd.fit(model, X, y)"),
    ("layer.weight", AttributeError, "'Layer' object has no attribute 'weight': each neuron has its own"),
    ("s.param_groups", AttributeError, "'SGD' object has no attribute 'param_groups': lr is its rate"),
    # arrays inside a compiled function
    ("kilograd.compile(lambda x: x.exp())(np.ones(2))", AttributeError, "write numpy.exp(x)"),
    ("kilograd.compile(lambda x: x.detach())(np.ones(2))", AttributeError, "leave the call out"),
    ("kilograd.compile(lambda x: x.unsqueeze(0))(np.ones(2))", AttributeError, "numpy.expand_dims(x, axis)"),
    ("kilograd.compile(lambda x: x.nothing)(np.ones(2))", AttributeError, "no attribute 'nothing'"),
    ("kilograd.compile(lambda x: (x * 1j).std())(np.ones(2))", AttributeError, "take .real and .imag"),
    ("kilograd.compile(lambda x: (x * 1j).exp())(np.ones(2))", AttributeError, "write numpy.exp(x)"),
    # training
    ("kilograd.fit(n, ROWS, [1], optimizer='adam')", TypeError, "as optim.Adam(model, lr=0.01), and is not 'adam'"),
    ("kilograd.fit(n, ROWS, [1], optimizer=optim.SGD)", TypeError, "as optim.Adam(model, lr=0.01)"),
    ("kilograd.fit(MLP, ROWS, [1])", TypeError, "a model, not a class: make one of MLP"),
    ("kilograd.fit(n, ROWS, [1], loss='rmse')", ValueError, "loss is a function or one of mse"),
    ("kilograd.fit(n, ROWS, [1, 2])", ValueError, "1 samples, and y has 2 targets"),
    ("kilograd.fit(n, [['a', 'b', 'c']], [1])", TypeError, "not str"),
    ("kilograd.fit(n, ROWS, [1], epochs=1.5)", ValueError, "epochs is a whole number"),
    ("kilograd.fit(n, [], [])", ValueError, "no samples"),
    ("kilograd.save(n, 'model.npz')", TypeError, "the path comes first"),
    ("kilograd.load(n, 'model.npz')", TypeError, "the path comes first"),
    ("kilograd.load('/nowhere/model.npz', n)", FileNotFoundError, "/nowhere/model.npz"),
    # graphs, programs, functions
    ("kilograd.draw_dot([v])", TypeError, "from one Value, not from list"),
    ("kilograd.table([v])", TypeError, "from one Value, not from list"),
    ("kilograd.view(Value)", TypeError, "this is a class"),
    ("kilograd.draw_dot(Value)", TypeError, "this is a class"),
    ("kilograd.view(v, model=kilograd.MLP)", TypeError, "an object with parameters"),
    ("kilograd.order(3)", TypeError, "from one Value, not from int"),
    ("kilograd.view(n)", TypeError, "give what it computes, model(x)"),
    ("kilograd.draw_dot([v, v])", TypeError, "give one of them, or kilograd.functional.sum(values)"),
    ("kilograd.table(v.data)", TypeError, "give v, not v.data"),
    ("kilograd.check(v, 1.0)", TypeError, "takes a function"),
    ("Program(v, inputs=[3])", TypeError, "inputs must be Values, not int"),
    ("setattr(p, 'threads', None)", AttributeError, "an argument of its calls: p(X, threads=...)"),
    ("setattr(p, 'reduce', 'sum')", AttributeError, "an argument of its calls: p(X, reduce=...)"),
    ("p([1, 2, 3])", ValueError, "(1,) or (batch, 1) is needed"),
    ("p('a')", TypeError, "not str"),
    ("p()", TypeError, "X is missing"),
    ("p([1.0], threads=None)", (TypeError, ValueError), "threads"),
    ("kilograd.compile(3)", TypeError, "takes a function, not int"),
    ("kilograd.grad(v)", TypeError, "takes a function"),
    ("kilograd.grad(lambda x: [x, x])(1.0)", TypeError, "use jacobian(), or return a sum"),
    ("kilograd.no_grad().__enter__(1)", TypeError, "positional argument"),
]

RESULTS = {
    "np.array(v)": "array(Value(data=3.0), dtype=object)",
    "np.array([v, v]).sum()": "Value(data=6.0)",
    "np.mean([v, v])": "Value(data=3.0)",
    "abs(-v)": "Value(data=3.0)",
    "f'{v:.2f}'": "'3.00'",
    "str(v)": "'Value(data=3.0)'",
    "bool(Value(0.0))": "True",
    "v == 3": "False",
    "sum(n.parameters()).data == sum(p.data for p in n.parameters())": "True",
    "max(v, 5)": "5",
    "Neuron(1, activation=None)(v).data != 0": "True",
    "n(ROWS[0]).backward()": "None",
    "n(np.array(ROWS[0])).data == n(ROWS[0]).data": "True",
    "n(tuple(ROWS[0])).data == n(ROWS[0]).data": "True",
    "F.mse(v, 1.0)": "Value(data=4.0)",
    "kilograd.predict(n, ROWS).shape": "(1,)",
    "kilograd.grad(lambda x: math.sin(x))(0.0)": "1.0",
    "len(n.parameters())": "11",
}


@pytest.mark.parametrize("mistake", ERRORS, ids=[row[0] for row in ERRORS])
def test_errors_say_what_to_write(mistake, monkeypatch):
    text, kind, part = mistake
    monkeypatch.delattr(kilograd, "run", raising=False)  # which another test may have imported
    with pytest.raises(kind) as caught:
        eval(text, names())
    assert part in str(caught.value)


@pytest.mark.parametrize("text", RESULTS)
def test_habits_give_what_is_expected(text):
    assert repr(eval(text, names())) == RESULTS[text]


@pytest.mark.parametrize("kind", [Value, MicrogradValue, type("Mine", (Value,), {})])
@pytest.mark.parametrize("name", ATTRIBUTES)
def test_attributes_of_other_libraries(kind, name):
    v = kind(2.0)
    with pytest.raises(AttributeError) as caught:
        getattr(v, name)
    assert str(caught.value).startswith(f"'{kind.__module__}.{kind.__name__}' object has no attribute '{name}': ") or (
        kind.__name__ == "Mine" and str(caught.value).startswith(f"'Mine' object has no attribute '{name}': ")
    )
    assert ATTRIBUTES[name] in str(caught.value)
    assert not hasattr(v, name)
    assert getattr(v, name, "absent") == "absent"
    assert name not in dir(v)
    assert name not in dir(kind)
    assert name not in vars(kind)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_attributes_of_ones_own_may_have_these_names(name):
    v = Value(2.0)
    setattr(v, name, "mine")
    assert getattr(v, name) == "mine"
    assert name in dir(v)
    delattr(v, name)
    assert not hasattr(v, name)
    assert getattr(type("Mine", (Value,), {name: 7})(1.0), name) == 7


class Named:
    """A class to derive from, beside one of ours."""

    name = "of Named"

    def item(self):
        return "item of Named"

    @classmethod
    def train(cls):
        return cls


def test_what_another_base_has_is_found():
    class Mine(Value, Named):
        pass

    class Model(MLP, Named):
        pass

    assert (Mine(1.0).item(), Mine(1.0).name, Mine.name) == ("item of Named", "of Named", "of Named")
    assert Model(1, [1]).train() is Model
    with pytest.raises(AttributeError, match="'Model' object has no attribute 'eval': "):
        Model(1, [1]).eval()
    with pytest.raises(AttributeError, match=r"'Mine' object has no attribute 'detach': v\.data"):
        Mine(1.0).detach()


@pytest.mark.parametrize("text", ["n", "s"])
def test_networks_and_optimizers_have_none_of_these_names(text):
    from kilograd.advice import OF_NETWORKS, OF_OPTIMIZERS

    thing = names()[text]
    for name in OF_NETWORKS if text == "n" else OF_OPTIMIZERS:
        assert not hasattr(thing, name)
        assert name not in dir(thing)
        setattr(thing, name, "mine")
        assert getattr(thing, name) == "mine"


def test_classes_of_ones_own_find_them_with_getattr():
    class Lenient(Value):
        def __getattr__(self, name):
            return f"no {name}"

    assert Lenient(1.0).item == "no item"


def test_completion_has_what_is_public():
    public = {name for name in dir(Value) if not name.startswith("_")}
    assert public == {name for name in dir(Value(1.0)) if not name.startswith("_")}
    methods = {label for label, *_ in kilograd._core.ops() if label.isidentifier()}
    assert {"data", "grad", "label", "backward", "zero_grad", "forward"} <= public
    assert public - methods - {"data", "grad", "label", "backward", "zero_grad", "forward"} <= {
        *("arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh"),
    }
    assert {name for name in dir(kilograd) if not name.startswith("_")} == set(kilograd.__all__)


def test_probing_the_package_is_harmless():
    assert not hasattr(kilograd, "SGD")
    assert not hasattr(kilograd, "__wrapped__")
    with pytest.raises(ImportError, match="cannot import name 'Tensor'"):
        exec("from kilograd import Tensor", {})


KEPT = """
import warnings
import kilograd
from kilograd import Value

def losses(count, keep=True, backward=True):
    kept = []
    for k in range(count):
        loss = w
        for _ in range(10_000):
            loss = loss.tanh()
        if backward:
            loss.backward()
        kept.append(loss if keep else loss.data)
    return kept

w = Value(0.5)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    {body}
print([(each.category is kilograd.KeptGraphsWarning, "keep loss.data" in str(each.message)) for each in caught])
"""


@pytest.mark.parametrize(
    ("body", "hints"),
    [
        ("kept = losses(300)", "[(True, True)]"),
        ("kept = losses(300); del kept; more = losses(600)", "[(True, True)]"),  # once in a process
        ("kept = losses(300, keep=False)", "[]"),
        ("kept = losses(90)", "[]"),
        ("kept = losses(300, backward=False); kept[0].backward()", "[]"),  # built once, to be replayed
        (
            "kept = losses(300, backward=False)\n    for each in 2 * kept: each.forward(); each.backward()",
            "[]",
        ),
        ("values = kilograd.arrays.values([0.0] * 2_000_000); sum(values[:10]).backward()", "[]"),
        ("warnings.simplefilter('ignore', kilograd.KeptGraphsWarning); kept = losses(300)", "[]"),
    ],
)
def test_collected_losses_are_hinted_at_once(run_python, body, hints):
    assert run_python(KEPT.replace("{body}", body)) == f"{hints}\n"


def test_the_hint_may_be_an_error(run_python):
    body = """warnings.simplefilter("error", kilograd.KeptGraphsWarning)
    try:
        losses(300)
    except UserWarning as warning:
        print(warning)"""
    printed = run_python(KEPT.replace("{body}", body))
    assert "results of backward() are kept, and with their graphs" in printed


def test_without_a_compiler_the_build_says_what_to_install(tmp_path):
    cmake, ninja = shutil.which("cmake"), shutil.which("ninja")
    if cmake is None or ninja is None:
        pytest.skip("CMake is not installed")
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "ninja").symlink_to(ninja)
    root = Path(__file__).parent.parent
    command = [cmake, "-S", str(root), "-B", str(tmp_path / "build"), "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"]
    environment = {"PATH": str(tools), "HOME": str(tmp_path)}
    if subprocess.run([cmake, "--version"], env=environment, capture_output=True).returncode:
        pytest.skip("this cmake is a script that calls others")
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    assert "no C++ compiler" in done.stderr
    assert "sudo apt install g++" in done.stderr
    assert sys.platform != "darwin" or "xcode-select --install" in done.stderr
