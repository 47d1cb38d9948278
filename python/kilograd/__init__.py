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

from importlib import import_module
from typing import TYPE_CHECKING

from kilograd._core import Value, live_nodes, maximum, minimum, reserved_bytes
from kilograd.modes import no_grad

if TYPE_CHECKING:
    from kilograd.draw import draw_dot, trace
    from kilograd.micrograd import install_as_micrograd
    from kilograd.nn import MLP, Layer, Module, Neuron
    from kilograd.program import Program

__version__ = "0.1.0"

__all__ = [
    "MLP",
    "Layer",
    "Module",
    "Neuron",
    "Program",
    "Value",
    "draw_dot",
    "install_as_micrograd",
    "live_nodes",
    "maximum",
    "minimum",
    "no_grad",
    "reserved_bytes",
    "trace",
]

# Loaded on first use (PEP 562), so that `import kilograd` costs about as much as `import json`.
_LAZY = {
    "MLP": "kilograd.nn",
    "Layer": "kilograd.nn",
    "Module": "kilograd.nn",
    "Neuron": "kilograd.nn",
    "Program": "kilograd.program",
    "draw_dot": "kilograd.draw",
    "install_as_micrograd": "kilograd.micrograd",
    "trace": "kilograd.draw",
}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        value = getattr(import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'kilograd' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
