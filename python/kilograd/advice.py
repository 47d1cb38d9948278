"""What to write instead of names that people look for in `kilograd`, and that are elsewhere or have no counterpart."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec

from kilograd._core import Value

__all__ = ["OF_NETWORKS", "OF_OPTIMIZERS", "instead_in_array", "missing", "refuse_keywords_of_zero_grad"]

_HOMES = ("optim", "functional", "training")
_ONE_OF_EACH = "kilograd.Value is one number, kilograd.arrays.values(array) makes one of each"
_MODULE_OF_LOSS = "a loss is a function of kilograd.functional"
_ELSEWHERE = {
    "CrossEntropyLoss": f"{_MODULE_OF_LOSS}: cross_entropy(logits, target)",
    "KilogradClassifier": "it is kilograd.estimators.KilogradClassifier",  # its module imports scikit-learn: a second
    "KilogradRegressor": "it is kilograd.estimators.KilogradRegressor",
    "Linear": "kilograd.Layer(nin, nout, activation='linear')",
    "MSELoss": f"{_MODULE_OF_LOSS}: mse(prediction, target)",
    "Parameter": "every Value is one: kilograd.Value(number)",
    "ReLU": "v.relu() is a method, and a layer has activation='relu'",
    "Sequential": "kilograd.MLP(nin, [n1, n2]) is layers one after the other",
    "Sigmoid": "v.sigmoid() is a method, and a layer has activation='sigmoid'",
    "Tanh": "v.tanh() is a method, and a layer has activation='tanh'",
    "Tensor": _ONE_OF_EACH,
    "Variable": "every Value is one: kilograd.Value(number)",
    "array": "kilograd.arrays.values(array) makes a Value of each number",
    "autograd": "v.backward() sets gradients, kilograd.grad(f) is a function's derivative",
    "enable_grad": "a graph is built everywhere but under kilograd.no_grad()",
    "graph": "kilograd.draw_dot(root) is a picture of a graph, kilograd.view(root) a page that steps through it",
    "hstack": "numpy.hstack works on arrays of Values",
    "inference_mode": "kilograd.no_grad() computes without a graph",
    "jacrev": "kilograd.jacobian(f)",
    "jit": "kilograd.compile records a function",
    "jvp": "kilograd.Program has jvp(), kilograd.jacobian(f) the whole matrix",
    "lr_scheduler": "an optimizer's lr may be a schedule, as kilograd.optim.StepDecay or Cosine",
    "manual_seed": "random.seed(number): networks draw their weights from Python's random",
    "mse_loss": f"{_MODULE_OF_LOSS}: mse(prediction, target)",
    "ones": "kilograd.arrays.values(numpy.ones(shape))",
    "randn": "kilograd.arrays.values(numpy.random.randn(n))",
    "seed": "random.seed(number): networks draw their weights from Python's random",
    "show": "kilograd.draw_dot(root) is a picture of a graph, kilograd.view(root).open() a page in the browser",
    "stack": "numpy.stack works on arrays of Values",
    "tensor": _ONE_OF_EACH,
    "vjp": "kilograd.Program has vjp(), kilograd.grad(f) the gradient of one result",
    "vmap": "kilograd.compile(f).batch goes over rows",
    "zeros": "kilograd.arrays.values(numpy.zeros(shape))",
}
_IN_MEMORY = "its numbers are in memory; leave the call out"
_SAME_IN_TRAINING = "a model does the same in training and after it; leave the call out"
OF_NETWORKS = {
    "backward": "a loss has it, loss.backward()",
    "bias": "each neuron has its own, model.layers[i].neurons[j].b",
    "children": "model.layers are the layers, layer.neurons the neurons",
    "compile": "kilograd.fit(model, X, y, loss=..., optimizer=...) takes what is needed",
    "cpu": _IN_MEMORY,
    "cuda": _IN_MEMORY,
    "eval": _SAME_IN_TRAINING,
    "fit": "write kilograd.fit(model, X, y)",
    "forward": "call it, as model(x)",
    "load": "write kilograd.load(path, model)",
    "modules": "model.layers are the layers, layer.neurons the neurons",
    "named_parameters": "model.parameters() has the Values, model.state_dict() their numbers by name",
    "num_parameters": "write len(model.parameters())",
    "predict": "write kilograd.predict(model, X)",
    "requires_grad_": "an optimizer changes the Values that it is given: leave out those that stay",
    "save": "write kilograd.save(path, model)",
    "summary": "print(model) shows its layers",
    "to": _IN_MEMORY,
    "train": _SAME_IN_TRAINING,
    "weight": "each neuron has its own, model.layers[i].neurons[j].w",
    "weights": "each neuron has its own, model.layers[i].neurons[j].w",
}
"""What networks of other libraries have."""
OF_OPTIMIZERS = {
    "add_param_group": "make an optimizer for each group of parameters",
    "apply_gradients": "loss.backward() sets the gradients, step() applies them",
    "backward": "a loss has it: loss.backward(), then step()",
    "learning_rate": "lr is its rate",
    "param_groups": "lr is its rate, parameters are its Values",
}
"""What optimizers of other libraries have."""
_OF_ARRAYS = {
    "at": "a copy can be changed: y = x.copy(); y[0] = 1.0",
    "backward": "kilograd.grad(f) is the derivative of a function",
    "clamp": "write numpy.clip(x, low, high)",
    "cpu": _IN_MEMORY,
    "cuda": _IN_MEMORY,
    "detach": "it is an array already; leave the call out",
    "dim": "write x.ndim",
    "grad": "kilograd.grad(f) is the derivative of a function",
    "matmul": "write x @ y",
    "norm": "write numpy.linalg.norm(x)",
    "numel": "write x.size",
    "numpy": "it is an array already; leave the call out",
    "permute": "write numpy.transpose(x, axes)",
    "pow": "write x ** n",
    "relu": "write numpy.maximum(x, 0.0)",
    "requires_grad": "kilograd.grad(f) is the derivative of a function",
    "sigmoid": "write scipy.special.expit(x)",
    "softmax": "write scipy.special.softmax(x)",
    "to": _IN_MEMORY,
    "unsqueeze": "write numpy.expand_dims(x, axis)",
}


def refuse_keywords_of_zero_grad(keywords: Mapping[str, object]) -> None:
    """Raise for the keywords that `zero_grad` has elsewhere, as ``set_to_none``."""
    for name in keywords:
        text = f"zero_grad() got an unexpected keyword {name!r}: gradients are numbers, which become 0.0; leave it out"
        raise TypeError(text)


def missing(module: str, name: str) -> AttributeError:
    """The error for a name that a module of `kilograd` has not: it says what to write, where that is known."""
    text = f"module {module!r} has no attribute {name!r}{_instead_of(name)}"
    return AttributeError(text, name=name, obj=sys.modules[module])


def _instead_of(name: str) -> str:
    """The end of a sentence."""
    if name.startswith("_"):
        return ""
    if name in _ELSEWHERE:
        return f": {_ELSEWHERE[name]}"
    if find_spec(f"kilograd.{name}"):
        return f": it is a module, import kilograd.{name}"
    if callable(getattr(Value, name, None)):
        return f": it is a method, v.{name}()"
    for home in _HOMES:
        if name in import_module(f"kilograd.{home}").__all__:
            return f": it is kilograd.{home}.{name}"
    return ""


def instead_in_array(name: str) -> str:
    """What to write instead of a method that arrays have not, for the end of a sentence, where that is known."""
    if name in _OF_ARRAYS:
        return f": {_OF_ARRAYS[name]}"
    import numpy  # there, as there is an array; names of the package are asked for before

    return f": write numpy.{name}(x)" if callable(getattr(numpy, name, None)) and not name.startswith("_") else ""
