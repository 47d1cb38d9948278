"""Which values of a graph are drawn as one box: those of a neuron, of a layer, or all that are made in the same way.

A value is known by the `id` of its object; the caller holds the objects.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from kilograd.display.neurons import Application, Operands, consumers_of, in_order, neurons, parameters_of

__all__ = ["Group", "parts", "repeats"]


@dataclass(slots=True)
class Group:
    """Values that are drawn as one box."""

    title: list[str]
    """The first fields of the box."""
    nodes: list[Any]
    outputs: list[Any]
    """Those whose numbers the box has."""
    operation: str = ""
    parameters: list[Any] = field(default_factory=list)
    """Leaves that are not drawn, as they are those of the network."""

    @property
    def members(self) -> frozenset[int]:
        """The `id` of each."""
        return frozenset(map(id, self.nodes))


# --- values that are made in the same way


def repeats(nodes: list[Any], operands: Operands) -> list[Group]:
    """Values with the same operations below them; leaves by where they are used. Sums of sums are one sum."""
    consumers = consumers_of(nodes, operands)
    inner = {id(node) for node in nodes if _is_inner(node, consumers[id(node)], operands)}
    shapes: dict[Any, int] = {}
    shape_of: dict[int, int] = {}
    uses: defaultdict[int, set[tuple[int, int]]] = defaultdict(set)  # of leaves: by which shapes, at which places
    summed: dict[int, list[Any]] = {}  # to each sum the sums in it
    order = [node for node in in_order(nodes, operands) if id(node) not in inner]
    for node in order:
        if not operands[id(node)]:
            continue
        summed[id(node)], below = _terms(node, operands, inner)
        shapes_below = [shape_of.get(id(operand), -1) for operand in below]
        if summed[id(node)] or isinstance(getattr(node, "_children", getattr(node, "_prev", None)), (set, frozenset)):
            shapes_below.sort()  # neither a sum nor a set has an order
        shape = (str(getattr(node, "_op", "")), tuple(shapes_below))
        shape_of[id(node)] = shapes.setdefault(shape, len(shapes))
        for place, operand in enumerate(below):
            if not operands[id(operand)]:
                uses[id(operand)].add((shape_of[id(node)], place))
    alike: defaultdict[Any, list[Any]] = defaultdict(list)
    for node in order:
        alike[shape_of.get(id(node)) if operands[id(node)] else frozenset(uses[id(node)])].append(node)
    return [group for each in alike.values() if (group := _alike(each, operands, summed))]


def _is_inner(node: Any, consumers: list[Any], operands: Operands) -> bool:
    """Whether it is a sum that is only a part of another."""
    sums = [getattr(each, "_op", None) == "+" for each in (node, *consumers)]
    return len(consumers) == 1 and all(sums) and bool(operands[id(node)]) and not getattr(node, "label", "")


def _terms(node: Any, operands: Operands, inner: set[int]) -> tuple[list[Any], list[Any]]:
    """The sums that a sum is made of, and what they add up, from the left; of any other value its operands."""
    sums, terms, waiting = [], [], operands[id(node)][::-1]
    while waiting:
        operand = waiting.pop()
        if id(operand) in inner:
            sums.append(operand)
            waiting += operands[id(operand)][::-1]
        else:
            terms.append(operand)
    return sums, terms


def _alike(nodes: list[Any], operands: Operands, summed: dict[int, list[Any]]) -> Group | None:
    """The box of values of one shape; None where it is that of one value."""
    inner = [each for node in nodes for each in summed.get(id(node), ())]
    if len(nodes) + len(inner) == 1:
        return None
    labels = {str(getattr(node, "label", "")) for node in nodes}
    title = [label for label in labels if len(labels) == 1 and label]
    if len(nodes) > 1:
        title.append(f"{len(nodes)} values")
    operation = str(getattr(nodes[0], "_op", "")) if operands[id(nodes[0])] else ""
    return Group(title, nodes + inner, nodes, operation)


# --- neurons and layers


def parts(nodes: list[Any], operands: Operands, which: str, model: Any) -> list[Group]:
    """What neurons or layers computed."""
    consumers = consumers_of(nodes, operands)
    applied = neurons(in_order(nodes, operands), operands, consumers, model)
    if not applied:
        raise ValueError(
            f"collapse={which!r}: no neuron is in this graph. A network is found while Python holds it, a class of "
            "one's own if it is given as model=, with `layers`, `neurons`, or `w` and `b`; neurons that share weights "
            "are not told apart"
        )
    together = [[each] for each in applied] if which == "neurons" else _layers(applied, operands)
    found = [_group(each, which) for each in together]
    _absorb(found, together, operands, consumers)
    return found


def _layers(applied: list[Application], operands: Operands) -> list[list[Application]]:
    """The neurons of a layer that were given the same inputs."""
    found: defaultdict[Any, list[Application]] = defaultdict(list)
    times: Counter[Any] = Counter()
    for each in applied:
        # Numbers become leaves anew for each neuron: they are the same inputs if they are equal. Samples may be, too.
        given = tuple([id(value) if operands[id(value)] else value.data for value in each.inputs])
        inputs = (id(each.part.inside), given)
        times[inputs, id(each.part.neuron)] += 1
        found[inputs, times[inputs, id(each.part.neuron)]].append(each)
    return list(found.values())


def _group(applied: list[Application], which: str) -> Group:
    first = applied[0].part
    activations = ", ".join(dict.fromkeys(each.activation for each in applied))
    if which == "neurons":
        title = [first.place, activations]
    else:
        count = len({id(p) for each in applied for p in parameters_of(each.part)})
        these = f"{len(applied)} neuron{'s' if len(applied) > 1 else ''}, {activations}"
        title = [first.layer, these, *([f"{count} parameters"] if count else [])]
    return Group(title, [node for each in applied for node in each.nodes], [each.nodes[-1] for each in applied])


def _absorb(
    found: list[Group], together: list[list[Application]], operands: Operands, consumers: dict[int, list[Any]]
) -> None:
    """Put leaves into groups: parameters that only groups use, and numbers that only one of them does."""
    group_of = {member: number for number, group in enumerate(found) for member in group.members}
    for group, applied in zip(found, together, strict=True):
        parameters = {id(p): p for each in applied for p in parameters_of(each.part)}
        leaves = {id(o): o for node in group.nodes for o in operands[id(node)] if not operands[id(o)]}
        for key, leaf in leaves.items():
            users = {group_of.get(id(node)) for node in consumers[key]}
            if key in parameters and None not in users:
                group.parameters.append(leaf)
            elif key not in parameters and len(users) == 1 and None not in users and not getattr(leaf, "label", ""):
                group.nodes.append(leaf)
