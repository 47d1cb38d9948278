"""Pictures of expression graphs, with Graphviz.

Works on `kilograd.Value`, on the reference's and on any class whose instances have `data`, `grad` and their operands in
`_children` or `_prev`. A node is told from another as the Python object that it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from kilograd.checks import whole_number
from kilograd.listing import is_node, operands_of, require_node, upright

if TYPE_CHECKING:
    import graphviz

__all__ = ["draw_dot", "trace"]

HIGHLIGHT = {"color": "#d55e00", "penwidth": "2.5"}
"""Of the highlighted path: vermilion, which stands out for the colour-blind too, and by its width without colours."""
WALKED = 50
"""How many times as many values as are drawn a graph may have whose parts are drawn as one box."""


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

    See Also
    --------
    kilograd.order : The nodes in the order in which they are computed.
    """
    nodes = _walk(root, None)
    return set(nodes), {(child, node) for node in nodes for child in _operands(node)}


def draw_dot(
    root: Any,
    format: str = "svg",
    rankdir: str = "LR",
    limit: int | None = 2000,
    *,
    gradients: bool = True,
    highlight: Any = None,
    collapse: Literal["layers", "neurons", "repeats"] | None = None,
    model: Any = None,
    depth: int | None = None,
) -> graphviz.Digraph:
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
        The largest number of values to draw; None for no limit. With `collapse`, of boxes.
    gradients : bool, default True
        Whether the boxes have the gradients.
    highlight : Value, or an iterable of them, optional
        Values in the graph: all paths from them to the root are drawn thick and in colour.
    collapse : {"layers", "neurons", "repeats"}, optional
        What becomes one box. "layers" and "neurons": what each layer or neuron of `model` computes for a sample, its
        parameters and the numbers that only it is given. A value belongs to a neuron if it is a product with one of
        its weights, a sum of such products and its bias, or the activation of the whole sum. Where no network is known,
        a neuron is any sum of products with the function that alone uses it. "repeats": values that
        are made of the same operations in the same way; leaves are the same if the same operations use them at the
        same places. A box of several values has their smallest and their largest number.
    model : MLP, Layer or Neuron, or a list of them, optional
        The network whose parts become boxes; by default those of kilograd that Python holds. One's own classes will do
        if they have `layers`, `neurons`, or `w` and `b`.
    depth : int, optional
        Draw only values that are at most so many operations away from the root. An ellipsis stands for what one is
        computed from that is left out.

    Returns
    -------
    graphviz.Digraph
        Shows itself in a notebook; ``.render("name")`` writes a file. Both use the Graphviz program ``dot`` where it is
        installed, otherwise the Python packages graphviz-pure (SVG, PNG) and fpdf2 (PDF), and say what to install where
        there is none of them.

    Raises
    ------
    ImportError
        If the Python package graphviz is not installed.
    TypeError
        If `root` is not a value with operands, but for instance the list that a layer returns.
    ValueError
        If the graph has more than `limit` values, `format`, `rankdir` or `collapse` is unknown, a value to highlight is
        not drawn, or no part of a network is in the graph.
    """
    try:
        import graphviz  # noqa: F401 - asked for before anything is walked
    except ImportError as error:
        raise ImportError(
            "draw_dot needs the Python package graphviz: pip install graphviz graphviz-pure (that is what the extra "
            "'kilograd[draw]' brings, with fpdf2 for PDF)",
            name="graphviz",
        ) from error
    if rankdir not in ("LR", "TB", "RL", "BT"):
        raise ValueError(f"rankdir is 'LR', 'TB', 'RL' or 'BT', not {rankdir!r}")
    if collapse not in (None, "layers", "neurons", "repeats"):
        raise ValueError(f"collapse is 'layers', 'neurons', 'repeats' or None, not {collapse!r}")

    from kilograd._digraph import Digraph

    dot = Digraph(format=format, graph_attr={"rankdir": rankdir})
    if collapse == "neurons":
        dot.graph_attr["ordering"] = "in"  # those of a layer in their order
    walked = limit if collapse is None or limit is None else WALKED * limit
    nodes = _walk(root, walked) if depth is None else _walk_near(root, walked, depth)
    marked = frozenset() if highlight is None else _on_paths(nodes, highlight)
    boxes = (
        [_box(node, gradients) for node in nodes] if collapse is None else _grouped(nodes, collapse, model, gradients)
    )
    if limit is not None and len(boxes) > limit:
        raise ValueError(_too_many(limit))
    _draw(dot, boxes, marked)
    return dot


@dataclass(slots=True)
class _Box:
    """What is drawn as one: a value, or several."""

    name: str
    fields: list[str]
    operation: str
    edges: list[tuple[str, int, int]]
    """From which box, and the `id` of the two values that are connected."""
    members: frozenset[int]
    whole: bool = True
    """Whether it is one value; several have a bold frame, and their fields stand one below the other."""


def _box(node: Any, gradients: bool) -> _Box:
    name, operands = str(id(node)), _operands(node)
    fields = [str(getattr(node, "label", "")), f"data {_places(node.data)}"]
    if gradients:
        fields.append(f"grad {_places(node.grad)}")
    operation = str(getattr(node, "_op", "")) if operands else ""
    edges = [(str(id(operand)), id(operand), id(node)) for operand in operands]
    return _Box(name, fields, operation, edges, frozenset([id(node)]))


def _grouped(nodes: list[Any], collapse: str, model: Any, gradients: bool) -> list[_Box]:
    """Boxes of which some stand for several values."""
    from kilograd.display import groups
    from kilograd.display.neurons import in_order

    walked = {id(node) for node in nodes}
    operands = {id(node): [operand for operand in _operands(node) if id(operand) in walked] for node in nodes}
    found = groups.repeats(nodes, operands) if collapse == "repeats" else groups.parts(nodes, operands, collapse, model)
    place = {id(node): k for k, node in enumerate(in_order(nodes, operands))}
    name_of = {member: f"group{number}" for number, group in enumerate(found) for member in group.members}
    hidden = {id(leaf) for group in found for leaf in group.parameters}
    boxes = [_box(node, gradients) for node in nodes if id(node) not in name_of and id(node) not in hidden]
    for number, group in enumerate(found):
        fields = [*group.title, f"data {_range([node.data for node in group.outputs])}"]
        if gradients:
            fields.append(f"grad {_range([node.grad for node in group.outputs])}")
        edges = [("", id(operand), id(node)) for node in group.nodes for operand in _operands(node)]
        edges.sort(key=lambda edge: place.get(edge[1], -1))
        boxes.append(_Box(f"group{number}", fields, group.operation, edges, group.members, whole=False))
    for box in boxes:
        named = [(name_of.get(there, str(there)), there, here) for _, there, here in box.edges if there not in hidden]
        box.edges = [edge for edge in named if edge[0] != box.name]
    return boxes


def _draw(dot: graphviz.Digraph, boxes: list[_Box], marked: frozenset[int]) -> None:
    import graphviz

    names = {box.name for box in boxes}
    for box in boxes:
        lit = HIGHLIGHT if box.members & marked else {}
        label = " | ".join(map(_record_text, box.fields))
        if box.whole:
            dot.node(box.name, label=f"{{ {label} }}", shape="record", **lit)
        else:
            dot.node(box.name, label=label, shape="record", **{"penwidth": "1.8", **lit})
        target = box.name
        if box.operation:
            target = f"{box.name}_op"
            dot.node(target, label=graphviz.escape(upright(box.operation)), **lit)
            dot.edge(target, box.name, **lit)
        sources: dict[str, bool] = {}  # to whether the edge is on a path
        for source, there, here in box.edges:
            sources[source] = sources.get(source, False) or (there in marked and here in marked)
        for source, on_path in sources.items():
            if source in names:
                dot.edge(source, target, **(HIGHLIGHT if on_path else {}))
        if sources.keys() - names:
            dot.node(f"{box.name}_more", label="...", shape="plaintext")
            dot.edge(f"{box.name}_more", target, style="dashed")


def _operands(node: Any) -> list[Any]:
    """The operands, each once, in order where the class keeps an order."""
    return list({id(child): child for child in operands_of(node)}.values())


def _check(root: Any, limit: int | None) -> None:
    require_node(root)
    if limit is not None:
        whole_number("limit", limit, 0)


def _walk(root: Any, limit: int | None) -> list[Any]:
    """Every node below `root`, itself included, each once. Holds the nodes, so that their `id` stays theirs."""
    _check(root, limit)
    found = {id(root): root}
    waiting = [root]
    while waiting:
        for operand in _operands(waiting.pop()):
            if id(operand) not in found:
                found[id(operand)] = operand
                waiting.append(operand)
        if limit is not None and len(found) > limit:
            raise ValueError(_too_many(limit))
    return list(found.values())


def _walk_near(root: Any, limit: int | None, depth: int) -> list[Any]:
    """The nodes at most `depth` operations below `root`."""
    _check(root, limit)
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 0:
        raise ValueError(f"depth is a number of operations, 0 or more, not {depth!r}")
    found = {id(root): root}
    level = [root]
    for _ in range(depth):
        below = {id(operand): operand for node in level for operand in _operands(node)}
        level = [operand for key, operand in below.items() if key not in found]
        found.update((id(node), node) for node in level)
        if limit is not None and len(found) > limit:
            raise ValueError(_too_many(limit))
        if not level:
            break
    return list(found.values())


def _on_paths(nodes: list[Any], highlight: Any) -> frozenset[int]:
    """The `id` of what lies between values and the root: the values, their consumers, and so on."""
    if not is_node(highlight) and not isinstance(highlight, Iterable):
        raise TypeError(f"highlight is a Value or a list of them, not {type(highlight).__name__}: {highlight!r:.80}")
    chosen = [highlight] if is_node(highlight) else list(highlight)
    consumers: dict[int, list[Any]] = {id(node): [] for node in nodes}
    for node in nodes:
        for operand in _operands(node):
            consumers.setdefault(id(operand), []).append(node)
    drawn = {id(node) for node in nodes}
    for value in chosen:
        if id(value) not in drawn:
            raise ValueError(f"what is highlighted is not among the values that are drawn: {value!r:.80}")
    found, waiting = {id(value) for value in chosen}, chosen
    while waiting:
        for node in consumers[id(waiting.pop())]:
            if id(node) not in found:
                found.add(id(node))
                waiting.append(node)
    return frozenset(found)


def _too_many(limit: int) -> str:
    return (
        f"the graph has more than {limit:,} values, too many to read and slow to lay out. Draw a part: the last "
        "operations with depth=3, or the result of one neuron or one sample by a draw_dot of its own. Or draw parts as "
        "one box, with collapse='layers' or collapse='repeats'. limit=None draws it all the same"
    )


def _places(number: Any) -> str:
    """Four places; in scientific notation where that would be a long row of digits."""
    try:
        return f"{number:.4f}" if abs(number) < 1e10 else f"{number:.4e}"
    except (TypeError, ValueError):  # another class's data: an array, None
        return str(number)


def _range(numbers: list[Any]) -> str:
    """The smallest and the largest."""
    try:
        low, high = min(numbers), max(numbers)
    except (TypeError, ValueError):  # another class's data
        return f"of {len(numbers)} values"
    return _places(low) if low == high else f"{_places(low)} to {_places(high)}"


def _record_text(text: str) -> str:
    """`text` with the characters escaped that have a meaning in a record label."""
    return re.sub(r"([\\{}|<>])", r"\\\1", upright(text))
