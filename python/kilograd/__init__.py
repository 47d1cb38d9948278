"""Scalar-valued reverse-mode autograd with a compiled core.

A drop-in for the pure-Python ``Value`` class: the same attributes, graph and numbers, at the speed of C++.

>>> from kilograd import Value
>>> a, b = Value(2.0, label="a"), Value(-3.0, label="b")
>>> loss = (a * b + 10.0).tanh()
>>> loss.backward()
>>> a.grad == b.data * (1 - loss.data**2)
True
"""

from __future__ import annotations

from kilograd._core import Value, live_nodes, maximum, minimum, reserved_bytes
from kilograd.modes import no_grad

TYPE_CHECKING = False  # true for type checkers; importing typing would double the time of `import kilograd`

if TYPE_CHECKING:
    from typing import Any

    from kilograd import optim
    from kilograd.arrays import assign, data, grad, values
    from kilograd.checkpoint import load, save
    from kilograd.compiled import compile, hessian, hvp, jacobian, value_and_grad, where
    from kilograd.draw import draw_dot, trace
    from kilograd.losses import binary_cross_entropy, cross_entropy, hinge, huber, l2, mse
    from kilograd.micrograd import install_as_micrograd
    from kilograd.nn import MLP, Layer, Module, Neuron
    from kilograd.program import Program
    from kilograd.reductions import dot, log_softmax, logsumexp, mean, softmax, total
    from kilograd.training import History, fit, plot_boundary, predict

__version__ = "0.1.0"

__all__ = [
    "MLP",
    "History",
    "Layer",
    "Module",
    "Neuron",
    "Program",
    "Value",
    "assign",
    "binary_cross_entropy",
    "compile",
    "cross_entropy",
    "data",
    "dot",
    "draw_dot",
    "fit",
    "grad",
    "hessian",
    "hinge",
    "huber",
    "hvp",
    "install_as_micrograd",
    "jacobian",
    "l2",
    "live_nodes",
    "load",
    "log_softmax",
    "logsumexp",
    "maximum",
    "mean",
    "minimum",
    "mse",
    "no_grad",
    "optim",
    "plot_boundary",
    "predict",
    "reserved_bytes",
    "save",
    "softmax",
    "total",
    "trace",
    "value_and_grad",
    "values",
    "where",
]

# Loaded on first use (PEP 562), so that `import kilograd` costs about as much as `import json`.
_LAZY = {
    "History": "kilograd.training",
    "Layer": "kilograd.nn",
    "MLP": "kilograd.nn",
    "Module": "kilograd.nn",
    "Neuron": "kilograd.nn",
    "Program": "kilograd.program",
    "assign": "kilograd.arrays",
    "binary_cross_entropy": "kilograd.losses",
    "compile": "kilograd.compiled",
    "cross_entropy": "kilograd.losses",
    "data": "kilograd.arrays",
    "dot": "kilograd.reductions",
    "draw_dot": "kilograd.draw",
    "fit": "kilograd.training",
    "grad": "kilograd.arrays",
    "hessian": "kilograd.compiled",
    "hinge": "kilograd.losses",
    "huber": "kilograd.losses",
    "hvp": "kilograd.compiled",
    "install_as_micrograd": "kilograd.micrograd",
    "jacobian": "kilograd.compiled",
    "l2": "kilograd.losses",
    "load": "kilograd.checkpoint",
    "log_softmax": "kilograd.reductions",
    "logsumexp": "kilograd.reductions",
    "mean": "kilograd.reductions",
    "mse": "kilograd.losses",
    "plot_boundary": "kilograd.training",
    "predict": "kilograd.training",
    "save": "kilograd.checkpoint",
    "softmax": "kilograd.reductions",
    "total": "kilograd.reductions",
    "trace": "kilograd.draw",
    "value_and_grad": "kilograd.compiled",
    "values": "kilograd.arrays",
    "where": "kilograd.compiled",
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _LAZY:
        value = getattr(import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    if name == "optim":
        return import_module("kilograd.optim")
    raise AttributeError(f"module 'kilograd' has no attribute {name!r}")


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext kilograd``: serve the ``Value`` classes of the cells that follow."""
    from kilograd.run.notebook import load

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """``%unload_ext kilograd``."""
    from kilograd.run.notebook import unload

    unload(shell)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
