"""A graph as the page takes it: nodes in topological order, with their numbers and their own local derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from kilograd._core import Value, _operations_backward
from kilograd.checks import whole_number
from kilograd.draw import _operands, _walk
from kilograd.listing import operands_of, order, upright
from kilograd.viewer.groups import groups

__all__ = ["described", "places_of", "plain"]

T = TypeVar("T")


def described(root: Any, limit: int | None, model: Any = None) -> dict[str, Any]:
    """Everything that the page knows of a graph, in a form that JSON has.

    Parameters
    ----------
    root : Value
        Of kilograd, of the reference, or of any class with `data`, `grad` and `_children` or `_prev`.
    limit : int or None
        The largest number of nodes.
    model : object, optional
        Whose parameters are named, and chosen for gradient descent.

    Raises
    ------
    TypeError
        If `root` is no such object, or a node's data is no real number.
    ValueError
        If there are more than `limit` nodes, or a node is among its own operands' operands.
    """
    has_parameters = hasattr(model, "parameters") and not isinstance(model, type)
    if model is not None and not has_parameters and not isinstance(model, (list, tuple)):
        raise TypeError(f"model is an object with parameters(), not {type(model).__name__}: {model!r:.80}")
    if limit is not None:
        whole_number("limit", limit, 0)
    try:
        _walk(root, limit)
    except ValueError:
        raise ValueError(
            f"the graph has more than {limit:,} nodes: view the result of one neuron or one sample, or pass limit=None "
            "to view it all the same"
        ) from None
    nodes = order(root)
    data = [_number(node.data, node) for node in nodes]
    places = {id(node): place for place, node in enumerate(nodes)}
    operands = [[places[id(operand)] for operand in operands_of(node)] for node in nodes]
    names = {id(value): name for name, value in places_of(model)} if model is not None else {}
    labels = [_label(node) or names.get(id(node), "") for node in nodes]
    ops = [upright(str(getattr(node, "_op", "") or "")) for node in nodes]
    local, constants = _local_derivatives(nodes, ops)
    return {
        "labels": labels,
        "ops": ops,
        "data": [plain(number) for number in data],
        "operands": operands,
        "backward": _visited_backward(root, nodes, places),
        "ordered": all(isinstance(getattr(node, "_children", None), (list, tuple)) for node in nodes),
        "local": [None if each is None else [plain(number) for number in each] for each in local],
        "constants": constants,
        "groups": groups(nodes, {id(node): _operands(node) for node in nodes}, model),
        "chosen": [places[key] for key in names if key in places] if model is not None else None,
    }


def _visited_backward(root: Any, nodes: Sequence[Any], places: dict[int, int]) -> list[int]:
    """The operations as backward() visits them: the order decides about the last bit of a sum of three terms."""
    visited = _operations_backward(root) if isinstance(root, Value) else reversed(nodes)
    return [places[id(node)] for node in visited if operands_of(node)]


def places_of(model: Any) -> Iterator[tuple[str, Any]]:
    """The parameters of a model with their names: ``layers[0].neurons[1].w[2]``.

    What no attribute leads to is named by its place in ``parameters()``.
    """
    seen: set[int] = set()

    def within(thing: Any, name: str) -> Iterator[tuple[str, Any]]:
        if id(thing) in seen:
            return
        if hasattr(thing, "data") and hasattr(thing, "grad"):
            seen.add(id(thing))
            yield name, thing
        elif isinstance(thing, (list, tuple)):
            for k, each in enumerate(thing):
                yield from within(each, f"{name}[{k}]")
        elif hasattr(thing, "parameters"):
            seen.add(id(thing))
            for key, each in getattr(thing, "__dict__", {}).items():
                yield from within(each, f"{name}.{key}" if name else key)

    yield from within(model, "")
    parameters = getattr(model, "parameters", None)
    for k, value in enumerate(parameters() if callable(parameters) else ()):
        if id(value) not in seen:
            yield f"parameters()[{k}]", value


def plain(number: float) -> float | str:
    """A number as JSON has it: no NaN, no infinities."""
    return float(number) if math.isfinite(number) else str(float(number))


def _label(node: Any) -> str:
    label = getattr(node, "label", "")
    return "" if label is None else upright(str(label)[:200])


def _number(data: Any, node: Any) -> float:
    try:
        if isinstance(data, (str, bytes)) or getattr(data, "shape", ()) != ():
            raise TypeError
        return float(data)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"kilograd.view shows graphs of real numbers, and {node!r:.80} has {data!r:.80}") from None


def _local_derivatives(
    nodes: Sequence[Any], ops: Sequence[str]
) -> tuple[list[list[float] | None], dict[str, float | None]]:
    """What each node's own rule adds to each different operand for a gradient of 1; None where it has none.

    Rules are run on gradients of their own, and all gradients are put back.
    """
    kept = [node.grad for node in nodes]
    constants: dict[str, float | None] = {}
    local: list[list[float] | None] = []
    try:
        for place, node in enumerate(nodes):
            operands = list({id(operand): operand for operand in operands_of(node)}.values())
            local.append(_derivatives(node, operands) if operands else None)
            if ops[place].lower() in ("leaky_relu", "leakyrelu") and local[-1] is not None and len(operands) == 1:
                constants[str(place)] = _slope_below_zero(node, operands, local[-1][0])
    finally:
        for node, grad in zip(nodes, kept, strict=True):
            _try(partial(setattr, node, "grad", grad))
    return local, constants


def _derivatives(node: Any, operands: Sequence[Any]) -> list[float] | None:
    rule = getattr(node, "_backward", None)
    if callable(rule):
        return _try(partial(_run_rule, node, rule, operands))
    given = getattr(node, "_local_grads", None)
    if given is None:
        return None
    return _try(partial(_sums, operands, operands_of(node), given))


def _run_rule(node: Any, rule: Callable[[], Any], operands: Sequence[Any]) -> list[float]:
    for operand in operands:
        operand.grad = 0.0
    node.grad = 1.0
    rule()
    return [float(operand.grad) for operand in operands]


def _sums(operands: Sequence[Any], children: Sequence[Any], local: Sequence[Any]) -> list[float]:
    pairs = list(zip(children, local, strict=True))
    return [sum(float(each) for child, each in pairs if child is operand) for operand in operands]


def _slope_below_zero(node: Any, operands: Sequence[Any], slope: float) -> float | None:
    """The slope of a leaky ReLU, which no attribute tells: its derivative where the operand is negative."""
    (operand,) = operands
    data = operand.data
    if data < 0:
        return slope
    if not isinstance(node, Value):
        return None  # another class's rule may look at the result, which stays
    operand.data = -1.0
    try:
        found = _derivatives(node, operands)
    finally:
        operand.data = data
    return None if found is None else found[0]


def _try(function: Callable[[], T]) -> T | None:
    """What a function of a class that we do not know gives; None where it fails."""
    try:
        return function()
    except Exception:
        return None
