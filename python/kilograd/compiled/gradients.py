"""Gradients taken inside a function that is compiled: a stage that gives a number and its derivatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kilograd import _core
from kilograd._core import Value
from kilograd.compiled.conditions import thread
from kilograd.compiled.stages import built, composed, entries_of, flattened, outside, staged
from kilograd.compiled.structure import size_of

if TYPE_CHECKING:
    from kilograd.compiled.structure import Positions
    from kilograd.compiled.tracing import Function


def value_and_grad_in_trace(
    function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], positions: Positions
) -> tuple[Any, Any]:
    """The number that a function returns, and its gradient by the chosen arguments, as Values of the running trace."""
    assert thread.stages is not None
    chosen = (positions,) if isinstance(positions, int) else positions
    chosen = tuple([i % len(args) if -len(args) <= i < len(args) else i for i in chosen])
    arguments = list(args)
    structures, entries = {}, []
    for i in dict.fromkeys(chosen):
        if i >= len(args):
            raise ValueError(f"argnums names argument {i}, and {name} was given {len(args)} by position")
        parts: list[Any] = []
        structures[i] = flattened(args[i], parts, f"argument {i} of {name}")
        entries.append(entries_of(parts))
    # Other nodes with the same numbers: what the function takes from elsewhere, these or not, is constant to it.
    inner = [[(v if isinstance(v, Value) else Value(v)) * 1.0 for v in part] for part in entries]
    for (i, structure), part in zip(structures.items(), inner, strict=True):
        arguments[i] = built(structure, part)
    since, first = Value(0.0).tanh(), len(thread.stages)
    result = function(*arguments, **kwargs)
    if isinstance(result, np.ndarray) and result.shape == ():
        result = result.view(np.ndarray).item()
    if not isinstance(result, (Value, float, int)) or isinstance(result, bool):
        raise TypeError(f"gradients are those of one number, and {name} returned {type(result).__name__}")
    leaves = [v for part in inner for v in part]
    if isinstance(result, Value):
        within = thread.stages[first:]
        others = outside([result], leaves, within, since)
        core = composed([result], [*leaves, *others], within)
        if core.order < 2:
            raise TypeError(f"the gradient of {name} is that of a gradient, and is not there: use hessian() or hvp()")
        gradient = _core._gradient_stage(core, len(leaves))
        value, *found = staged(gradient, [*(v for part in entries for v in part), *others], name)
    else:
        value, found = float(result), [0.0] * len(leaves)
    gradients = {}
    for i, structure in structures.items():
        size = size_of(structure)
        gradients[i], found = built(structure, found[:size]), found[size:]
    return value, gradients[chosen[0]] if isinstance(positions, int) else tuple([gradients[i] for i in chosen])
