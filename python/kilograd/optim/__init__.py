"""Optimisers: they change parameters by their gradients, in one call of the engine a step.

The formulas, their order of operations and the defaults are those of ``torch.optim``, so that a training run gives the
same numbers on both. The usual step on a graph that is kept::

    loss.forward()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

On a `Program` it is ``optimizer.zero_grad()``, ``program.backward(X, reduce="mean")``, ``optimizer.step()``, and
``optimizer.minimize(program, X, steps=100)`` makes a hundred such steps in one call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kilograd.optim.clipping import clip_grad_norm, clip_grad_value
from kilograd.optim.optimizer import Optimizer
from kilograd.optim.rules import SGD, Adagrad, Adam, AdamW, RMSprop
from kilograd.optim.schedules import Cosine, LinearDecay, Rate, Schedule, StepDecay, WarmUp

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Cosine",
    "LinearDecay",
    "Optimizer",
    "RMSprop",
    "Rate",
    "Schedule",
    "StepDecay",
    "WarmUp",
    "clip_grad_norm",
    "clip_grad_value",
]

if not TYPE_CHECKING:  # a checker sees that a name is not there

    def __getattr__(name: str) -> object:
        from kilograd.advice import missing

        raise missing(__name__, name)
