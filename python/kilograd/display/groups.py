"""Which values of a graph are drawn as one box: those of a neuron, of a layer, or all that are made in the same way.

A value is known by the `id` of its object; the caller holds the objects.
"""

from __future__ import annotations

import gc
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["Group", "parts", "repeats"]

Operands = dict[int, list[Any]]


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
    consumers = _consumers(nodes, operands)
    inner = {id(node) for node in nodes if _is_inner(node, consumers[id(node)], operands)}
    shapes: dict[Any, int] = {}
    shape_of: dict[int, int] = {}
    uses: defaultdict[int, set[tuple[int, int]]] = defaultdict(set)  # of leaves: by which shapes, at which places
    summed: dict[int, list[Any]] = {}  # to each sum the sums in it
    order = [node for node in ordered(nodes, operands) if id(node) not in inner]
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


class _Neuron(NamedTuple):
    neuron: Any
    layer: str
    place: str
    inside: Any  # the object that it is a part of
    needed: int  # of how many parameters its sum is
    network: int

    def named(self, prefix: str) -> _Neuron:
        """With the name of its network."""
        return self._replace(layer=prefix + self.layer, place=prefix + self.place)

    def goes_through(self, operation: str) -> bool:
        """Whether an operation on the whole sum is the activation."""
        activation = getattr(self.neuron, "activation", None)
        if getattr(self.neuron, "nonlin", True) is False:
            return False
        if hasattr(self.neuron, "activation"):
            return isinstance(activation, str) and activation.lower() == operation.lower()
        return not operation.startswith("**")  # a class that does not tell has it in its call


@dataclass(eq=False, slots=True)
class _Application:
    """What one neuron computed for one sample, as far as it is found."""

    part: _Neuron
    nodes: list[Any]
    covered: set[int]
    """Which parameters are in it."""
    inputs: list[Any]
    activation: str = "linear"

    @property
    def complete(self) -> bool:
        """Whether all parameters are."""
        return len(self.covered) == self.part.needed


def parts(nodes: list[Any], operands: Operands, which: str, model: Any) -> list[Group]:
    """What neurons or layers computed."""
    drawn = {id(node) for node in nodes}
    neurons = [each for each in _neurons(model) if any(id(p) in drawn for p in _parameters(each.neuron))]
    networks = list(dict.fromkeys(each.network for each in neurons))
    if len(networks) > 1:
        neurons = [each.named(f"network {networks.index(each.network) + 1}, ") for each in neurons]
    consumers = _consumers(nodes, operands)
    applied = _applications(ordered(nodes, operands), operands, consumers, neurons)
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


def _neurons(model: Any) -> Iterator[_Neuron]:
    """The neurons of networks, or all that are alive, with their places."""
    if model is None:
        module = sys.modules.get("kilograd.nn")
        if module is None:
            return
        alive = [each for each in gc.get_objects() if issubclass(type(each), module.Module)]
        kinds: tuple[Any, ...] = module.MLP, module.Layer, module.Neuron
        models = [each for kind in kinds for each in alive if issubclass(type(each), kind)]
    else:
        models = list(model) if isinstance(model, (list, tuple, set)) else [model]
    seen: set[int] = set()
    for network, each in enumerate(models):
        layers = _listed(each, "layers")
        for number, layer in enumerate(layers or [each], 1):
            members = _listed(layer, "neurons") or ([layer] if hasattr(layer, "w") else [])
            name = f"layer {number}" if layers else "layer"
            for place, neuron in enumerate(members, 1):
                if id(neuron) not in seen and hasattr(neuron, "w"):
                    seen.add(id(neuron))
                    where = f"neuron {number}.{place}" if layers else f"neuron {place}"
                    needed = len({*map(id, _parameters(neuron))})
                    yield _Neuron(neuron, name, where if layer is not neuron else "neuron", layer, needed, network)


def _listed(thing: Any, name: str) -> list[Any]:
    found = getattr(thing, name, None)
    return list(found) if isinstance(found, (list, tuple)) else []


def _parameters(neuron: Any) -> list[Any]:
    """The weights and the bias."""
    weights, bias = list(neuron.w), getattr(neuron, "b", None)
    return weights if bias is None else [*weights, bias]


def _applications(
    order: list[Any], operands: Operands, consumers: dict[int, list[Any]], neurons: list[_Neuron]
) -> list[_Application]:
    """Products with weights, sums of such products and the bias, and the activations of whole sums."""
    owners: dict[int, list[_Neuron]] = defaultdict(list)
    for each in neurons:
        for parameter in {id(p): p for p in _parameters(each.neuron)}.values():
            owners[id(parameter)].append(each)
    # A parameter that neurons share does not tell which of them it was.
    weight_of = {id(w): owners[id(w)][0] for each in neurons for w in each.neuron.w if len(owners[id(w)]) == 1}
    biases = [(id(getattr(each.neuron, "b", None)), each) for each in neurons]
    bias_of = {bias: each for bias, each in biases if len(owners[bias]) == 1}
    unfinished: dict[int, _Application] = {}
    finished: dict[int, _Application] = {}
    for node in order:
        below, label = operands[id(node)], str(getattr(node, "_op", ""))
        found = None
        if label == "*":
            found = _product(node, below, weight_of)
        elif label == "+":
            found = _sum(node, below, unfinished, bias_of, operands, consumers)
        elif len(below) == 1 and len(consumers[id(below[0])]) == 1:
            done = finished.get(id(below[0]))
            if done is not None and done.part.goes_through(label):
                done.nodes.append(node)
                done.activation = label
        if found is not None:
            (finished if found.complete else unfinished)[id(node)] = found
    return list({id(each): each for each in finished.values()}.values())


def _product(node: Any, below: list[Any], weight_of: dict[int, _Neuron]) -> _Application | None:
    weights = [operand for operand in below if id(operand) in weight_of]
    if len(weights) != 1 or len(below) != 2:
        return None
    (weight,) = weights
    return _Application(
        weight_of[id(weight)], [node], {id(weight)}, [operand for operand in below if operand is not weight]
    )


def _sum(
    node: Any,
    below: list[Any],
    unfinished: dict[int, _Application],
    bias_of: dict[int, _Neuron],
    operands: Operands,
    consumers: dict[int, list[Any]],
) -> _Application | None:
    """Where all operands are of one neuron's sum, what they are together."""
    united: _Application | None = None
    for operand in below:
        part = unfinished.get(id(operand))
        if part is not None and len(consumers[id(operand)]) == 1:
            piece = part
        elif id(operand) in bias_of:
            piece = _Application(bias_of[id(operand)], [], {id(operand)}, [])
        elif not operands[id(operand)] and operand.data == 0 and len(consumers[id(operand)]) == 1:
            continue  # what sum() begins with
        else:
            return None
        if united is None:
            united = piece
        elif united.part.neuron is not piece.part.neuron or united.covered & piece.covered:
            return None
        else:
            small, large = sorted((united, piece), key=lambda each: len(each.nodes))
            large.inputs += small.inputs
            large.nodes += small.nodes
            large.covered |= small.covered
            united = large
    if united is not None:
        united.nodes.append(node)
    return united


def _layers(applied: list[_Application], operands: Operands) -> list[list[_Application]]:
    """The neurons of a layer that were given the same inputs."""
    found: defaultdict[Any, list[_Application]] = defaultdict(list)
    times: Counter[Any] = Counter()
    for each in applied:
        # Numbers become leaves anew for each neuron: they are the same inputs if they are equal. Samples may be, too.
        given = tuple([id(value) if operands[id(value)] else value.data for value in each.inputs])
        inputs = (id(each.part.inside), given)
        times[inputs, id(each.part.neuron)] += 1
        found[inputs, times[inputs, id(each.part.neuron)]].append(each)
    return list(found.values())


def _group(applied: list[_Application], which: str) -> Group:
    first = applied[0].part
    activations = ", ".join(dict.fromkeys(each.activation for each in applied))
    if which == "neurons":
        title = [first.place, activations]
    else:
        count = len({id(p) for each in applied for p in _parameters(each.part.neuron)})
        neurons = f"{len(applied)} neuron{'s' if len(applied) > 1 else ''}, {activations}"
        title = [first.layer, neurons, f"{count} parameters"]
    return Group(title, [node for each in applied for node in each.nodes], [each.nodes[-1] for each in applied])


def _absorb(
    found: list[Group], together: list[list[_Application]], operands: Operands, consumers: dict[int, list[Any]]
) -> None:
    """Put leaves into groups: parameters that only groups use, and numbers that only one of them does."""
    group_of = {member: number for number, group in enumerate(found) for member in group.members}
    for group, applied in zip(found, together, strict=True):
        parameters = {id(p): p for each in applied for p in _parameters(each.part.neuron)}
        leaves = {id(o): o for node in group.nodes for o in operands[id(node)] if not operands[id(o)]}
        for key, leaf in leaves.items():
            users = {group_of.get(id(node)) for node in consumers[key]}
            if key in parameters and None not in users:
                group.parameters.append(leaf)
            elif key not in parameters and len(users) == 1 and None not in users and not getattr(leaf, "label", ""):
                group.nodes.append(leaf)


def _consumers(nodes: list[Any], operands: Operands) -> defaultdict[int, list[Any]]:
    found: defaultdict[int, list[Any]] = defaultdict(list)
    for node in nodes:
        for operand in operands[id(node)]:
            found[id(operand)].append(node)
    return found


def ordered(nodes: Iterable[Any], operands: Operands) -> list[Any]:
    """The nodes, operands before what is computed from them; the first node is the root."""
    found: dict[int, Any] = {}
    waiting: list[tuple[Any, bool]] = [(next(iter(nodes)), False)]
    while waiting:
        node, seen = waiting.pop()
        if seen:
            found[id(node)] = node
        elif id(node) not in found:
            waiting.append((node, True))
            waiting.extend((operand, False) for operand in reversed(operands[id(node)]) if id(operand) not in found)
    return list(found.values())
