"""Groups of nodes that belong together: neurons, and layers of them.

A *neuron* is a sum with two products or more among its terms (or one and a leaf), together with the function of one
operand that alone uses it. What is inside is used inside only, so that a neuron has one result. A *layer* is all
neurons with equally many neurons before them. This is read from the graph, whatever class built it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["groups"]

# Functions that end a neuron, in lower case.
_ACTIVATIONS = frozenset(
    ["tanh", "relu", "leaky_relu", "leakyrelu", "sigmoid", "softplus", "silu", "swish", "gelu", "exp", "sin", "cos"]
)


def groups(ops: Sequence[str], operands: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
    """The groups of a graph whose nodes are in topological order.

    Returns
    -------
    list of dict
        ``title``, ``about`` (a line more), ``kind`` ("layer" or "neuron"), ``parent`` (its place in the list, or -1),
        ``members``: the nodes of which this is the innermost group. Layers come first.
    """
    consumers: list[list[int]] = [[] for _ in ops]
    for node, these in enumerate(operands):
        for operand in set(these):
            consumers[operand].append(node)
    neurons = _neurons(ops, operands, consumers)
    owner = {node: k for k, members in enumerate(neurons) for node in members}
    depths = _depths(operands, owner, len(neurons))
    layers = sorted(set(depths))
    found: list[dict[str, Any]] = []
    if len(neurons) > 1:
        for number, depth in enumerate(layers, 1):
            count = depths.count(depth)
            about = f"{count} neuron{'s' if count > 1 else ''}"
            shared = _shared_leaves(operands, consumers, owner, depths, depth)
            found.append({"title": f"layer {number}", "about": about, "kind": "layer", "parent": -1, "members": shared})
    numbers = dict.fromkeys(layers, 0)
    for members, depth in zip(neurons, depths, strict=True):
        numbers[depth] += 1
        parent = layers.index(depth) if len(neurons) > 1 else -1
        title = f"neuron {layers.index(depth) + 1}.{numbers[depth]}" if parent >= 0 else "neuron"
        found.append({"title": title, "about": "", "kind": "neuron", "parent": parent, "members": members})
    return found


def _neurons(
    ops: Sequence[str], operands: Sequence[Sequence[int]], consumers: Sequence[Sequence[int]]
) -> list[list[int]]:
    """The members of each neuron, in topological order; the neurons by their results."""
    found = []
    for top, op in enumerate(ops):
        if op != "+" or (len(consumers[top]) == 1 and ops[consumers[top][0]] == "+"):
            continue  # a sum inside a sum
        members, products, leaves = {top}, 0, 0
        waiting = list(operands[top])
        while waiting:
            node = waiting.pop()
            if not operands[node]:
                leaves += 1
                if len(consumers[node]) == 1:
                    members.add(node)
            elif len(consumers[node]) == 1 and ops[node] == "+":
                members.add(node)
                waiting += operands[node]
            elif len(consumers[node]) == 1 and ops[node] == "*":
                products += 1
                members.add(node)
                members.update(each for each in operands[node] if not operands[each] and len(consumers[each]) == 1)
        after = consumers[top]
        if len(after) == 1 and ops[after[0]].lower() in _ACTIVATIONS and len(operands[after[0]]) == 1:
            members.add(after[0])
            leaves += 1  # a product and a leaf through a function is a neuron with one input
        if products >= 2 or (products == 1 and leaves >= 2):
            found.append(sorted(members))
    return found


def _depths(operands: Sequence[Sequence[int]], owner: dict[int, int], count: int) -> list[int]:
    """How many neurons are at most on the way from a leaf to each neuron."""
    before = [0] * len(operands)  # neurons finished on the way to a node
    depths = [0] * count
    for node, these in enumerate(operands):
        inside = owner.get(node)
        for operand in these:
            other = owner.get(operand)
            passed = before[operand] + (other is not None and other != inside and bool(operands[operand]))
            before[node] = max(before[node], passed)
        if inside is not None:
            depths[inside] = max(depths[inside], before[node])
    return depths


def _shared_leaves(
    operands: Sequence[Sequence[int]],
    consumers: Sequence[Sequence[int]],
    owner: dict[int, int],
    depths: Sequence[int],
    depth: int,
) -> list[int]:
    """Leaves that several neurons of one layer use, and nobody else: weights over several samples."""
    return [
        node
        for node, these in enumerate(operands)
        if not these
        and node not in owner
        and consumers[node]
        and all(user in owner and depths[owner[user]] == depth for user in consumers[node])
    ]
