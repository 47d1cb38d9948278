"""Pictures of expression graphs, with Graphviz.

Works on `kilograd.Value`, on the reference's and on any class whose instances have `data`, `grad` and their operands in
`_children` or `_prev`. A node is told from another as the Python object that it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import graphviz

__all__ = ["draw_dot", "trace"]


def trace(root: Any) -> tuple[set[Any], set[tuple[Any, Any]]]:
    """The graph below a value.

    Parameters
    ----------
    root : Value
        The result to start from.

    Returns
    -------
    nodes : set of Value
        `root` and everything that it was computed from.
    edges : set of (Value, Value)
        (operand, result) pairs.
    """
    nodes = _walk(root, None)
    return set(nodes), {(child, node) for node in nodes for child in _operands(node)}


def draw_dot(root: Any, format: str = "svg", rankdir: str = "LR", limit: int | None = 2000) -> graphviz.Digraph:
    """Draw the graph below a value.

    Each value is a box with its label, data and gradient to four places; each operation an oval, with edges from the
    operands to the operation and on to the result.

    Parameters
    ----------
    root : Value
        The result to draw.
    format : str, default "svg"
        What ``render`` and ``pipe`` of the returned object produce: "svg", "png", "pdf", ...
    rankdir : {"LR", "TB", "RL", "BT"}
        The direction from operands to result: left to right, top to bottom, ...
    limit : int or None, default 2000
        The largest number of values to draw; None for no limit.

    Returns
    -------
    graphviz.Digraph
        Shows itself in a notebook; ``.render("name")`` writes a file. Both need the Graphviz program ``dot``, and say
        so where it is missing.

    Raises
    ------
    ImportError
        If the Python package graphviz is not installed.
    TypeError
        If `root` is not a value with operands, but for instance the list that a layer returns.
    ValueError
        If the graph has more than `limit` values, or `format` or `rankdir` is unknown.
    """
    try:
        import graphviz
    except ImportError as error:
        raise ImportError(
            "draw_dot needs the Python package graphviz: pip install graphviz "
            "(and, to write pictures, the Graphviz program `dot`)",
            name="graphviz",
        ) from error
    if rankdir not in ("LR", "TB", "RL", "BT"):
        raise ValueError(f"rankdir is 'LR', 'TB', 'RL' or 'BT', not {rankdir!r}")

    from kilograd._digraph import Digraph

    dot = Digraph(format=format, graph_attr={"rankdir": rankdir})
    for node in _walk(root, limit):
        name = str(id(node))
        fields = [getattr(node, "label", ""), f"data {_places(node.data)}", f"grad {_places(node.grad)}"]
        dot.node(name, label="{ " + " | ".join(_record_text(str(field)) for field in fields) + " }", shape="record")
        operation = getattr(node, "_op", "")
        target = name
        if operation and _operands(node):
            target = f"{name}_op"
            dot.node(target, label=graphviz.escape(str(operation)))
            dot.edge(target, name)
        for operand in _operands(node):
            dot.edge(str(id(operand)), target)
    return dot


def _operands(node: Any) -> list[Any]:
    """The operands, each once, in order where the class keeps an order."""
    children: Iterable[Any] = node._children if hasattr(node, "_children") else node._prev
    return list({id(child): child for child in children}.values())


def _walk(root: Any, limit: int | None) -> list[Any]:
    """Every node below `root`, itself included, each once. Holds the nodes, so that their `id` stays theirs."""
    if not (hasattr(root, "_children") or hasattr(root, "_prev")):
        raise TypeError(f"a graph is traced from one Value, not from {type(root).__name__}: {root!r:.80}")
    found = {id(root): root}
    waiting = [root]
    while waiting:
        for operand in _operands(waiting.pop()):
            if id(operand) not in found:
                found[id(operand)] = operand
                waiting.append(operand)
        if limit is not None and len(found) > limit:
            raise ValueError(
                f"the graph has more than {limit:,} values, too many to read and slow to lay out: draw the result of "
                "one neuron or one sample, or pass limit=None to draw it all the same"
            )
    return list(found.values())


def _places(number: Any) -> str:
    """Four places; in scientific notation where that would be a long row of digits."""
    try:
        return f"{number:.4f}" if abs(number) < 1e10 else f"{number:.4e}"
    except (TypeError, ValueError):  # another class's data: an array, None
        return str(number)


def _record_text(text: str) -> str:
    """`text` with the characters escaped that have a meaning in a record label."""
    return re.sub(r"([\\{}|<>])", r"\\\1", text)
