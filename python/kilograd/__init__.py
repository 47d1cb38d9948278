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
from kilograd.modes import KeptGraphsWarning, no_grad

TYPE_CHECKING = False  # true for type checkers; importing typing would double the time of `import kilograd`

if TYPE_CHECKING:
    from typing import Any

    from kilograd import arrays, distributed, draw, functional, micrograd, nn, optim, plot, reference, special, training
    from kilograd.checkpoint import load, save
    from kilograd.compiled import (
        compile,
        custom,
        fori_loop,
        grad,
        hessian,
        hvp,
        implicit,
        jacobian,
        scan,
        value_and_grad,
        where,
        while_loop,
    )
    from kilograd.draw import draw_dot
    from kilograd.gradcheck import check
    from kilograd.listing import order, table
    from kilograd.micrograd import install_as_micrograd
    from kilograd.nn import MLP, Layer, Module, Neuron
    from kilograd.program import Program
    from kilograd.training import fit, predict
    from kilograd.viewer import exercises, view

__version__ = "0.2.0"

__all__ = [
    "MLP",
    "KeptGraphsWarning",
    "Layer",
    "Module",
    "Neuron",
    "Program",
    "Value",
    "arrays",
    "check",
    "compile",
    "custom",
    "distributed",
    "draw",
    "draw_dot",
    "exercises",
    "fit",
    "fori_loop",
    "functional",
    "grad",
    "hessian",
    "hvp",
    "implicit",
    "install_as_micrograd",
    "jacobian",
    "live_nodes",
    "load",
    "maximum",
    "micrograd",
    "minimum",
    "nn",
    "no_grad",
    "optim",
    "order",
    "plot",
    "predict",
    "reference",
    "reserved_bytes",
    "save",
    "scan",
    "special",
    "table",
    "training",
    "value_and_grad",
    "view",
    "where",
    "while_loop",
]

# Loaded on first use (PEP 562), so that `import kilograd` costs about as much as `import json`.
_SUBMODULES = {"arrays", "distributed", "draw", "functional", "micrograd", "nn", "optim", "plot", "reference"}
_SUBMODULES |= {"special", "training"}
pytest_plugins = ["kilograd.run.testing"]  # of `pytest -p kilograd`
_HOMES = {
    "checkpoint": ("load", "save"),
    "compiled": (
        *("compile", "grad", "hessian", "hvp", "jacobian", "value_and_grad", "where"),
        *("custom", "fori_loop", "implicit", "scan", "while_loop"),
    ),
    "draw": ("draw_dot",),
    "gradcheck": ("check",),
    "listing": ("order", "table"),
    "micrograd": ("install_as_micrograd",),
    "nn": ("MLP", "Layer", "Module", "Neuron"),
    "program": ("Program",),
    "training": ("fit", "predict"),
    "viewer": ("exercises", "view"),
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _SUBMODULES:
        return import_module(f"kilograd.{name}")
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"kilograd.{home}"), name)
            globals()[name] = value
            return value
    from kilograd.advice import missing

    raise missing("kilograd", name)


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
