"""Groups of nodes that belong together, as the page takes them: neurons, and layers of them.

What a neuron is says `kilograd.display.neurons`. A *layer* is here all neurons with equally many neurons before them,
those of all samples. What is inside a group is used inside only.
"""

from __future__ import annotations

from typing import Any

from kilograd.display.neurons import Operands, consumers_of, depths, neurons

__all__ = ["groups"]


def groups(nodes: list[Any], operands: Operands, model: Any = None) -> list[dict[str, Any]]:
    """The groups of a graph whose nodes are in topological order.

    Parameters
    ----------
    nodes : list of Value
    operands : dict
        To the `id` of each node the different nodes that it is computed from.
    model : object, optional
        The network whose neurons they are; else those that are alive, or found by their shape.

    Returns
    -------
    list of dict
        ``title``, ``about`` (a line more), ``kind`` ("layer" or "neuron"), ``parent`` (its place in the list, or -1),
        ``members``: the places of the nodes of which this is the innermost group. Layers come first.
    """
    consumers = consumers_of(nodes, operands)
    found = (model is not None and neurons(nodes, operands, consumers, model)) or neurons(nodes, operands, consumers)
    inside = [each.nodes for each in found]
    depth_of = depths(nodes, operands, inside)
    owner = {id(node): k for k, these in enumerate(inside) for node in these}
    members: list[list[int]] = [[] for _ in inside]
    layers = sorted(set(depth_of))
    shared: list[list[int]] = [[] for _ in layers]  # leaves that several neurons of a layer use: weights of all samples
    for place, node in enumerate(nodes):
        users = [node] if operands[id(node)] else consumers[id(node)]
        if not users or any(id(user) not in owner for user in users):
            continue
        owners = {owner[id(user)] for user in users}
        depths_of_owners = {depth_of[k] for k in owners}
        if len(owners) == 1:
            members[owners.pop()].append(place)
        elif len(depths_of_owners) == 1:
            shared[layers.index(depths_of_owners.pop())].append(place)
    listed: list[dict[str, Any]] = []
    if len(found) > 1:
        for number, (depth, leaves) in enumerate(zip(layers, shared, strict=True), 1):
            count = depth_of.count(depth)
            about = f"{count} neuron{'s' if count > 1 else ''}"
            title = f"layer {number}"
            listed.append({"title": title, "about": about, "kind": "layer", "parent": -1, "members": leaves})
    for each, depth, places in zip(found, depth_of, members, strict=True):
        parent = layers.index(depth) if len(found) > 1 else -1
        listed.append({"title": each.part.place, "about": "", "kind": "neuron", "parent": parent, "members": places})
    return listed
