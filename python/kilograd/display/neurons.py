"""The neurons in a graph: what each of them computed for one sample.

A *neuron* is a sum of products with its weights and of its bias, together with the function of one operand that alone
uses it. What the weights are is known of networks that Python holds or that are given. In a graph with none of these,
whatever class built it, each sum is one that has two products or more among its terms, or one and a leaf; and a layer
are all neurons with equally many neurons before them.

A value is known by the `id` of its object; the caller holds the objects.
"""

from __future__ import annotations

import gc
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = ["Application", "Operands", "consumers_of", "depths", "in_order", "neurons", "parameters_of"]

Operands = dict[int, list[Any]]

# Functions that end a neuron of unknown weights, in lower case.
_ACTIVATIONS = frozenset(
    ["tanh", "relu", "leaky_relu", "leakyrelu", "sigmoid", "softplus", "silu", "swish", "gelu", "exp", "sin", "cos"]
)


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
class Application:
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


def neurons(
    order: list[Any], operands: Operands, consumers: Mapping[int, list[Any]], model: Any = None
) -> list[Application]:
    """What neurons computed: those of `model`; without it those of networks that are alive, else sums by their shape.

    Parameters
    ----------
    order : list of Value
        The graph in topological order.
    operands, consumers : dict
        To the `id` of each value the different values that it is computed from, and that use it.
    model : MLP, Layer or Neuron, a list of them, or None
    """
    drawn = set(map(id, order))
    known = [each for each in _neurons(model) if any(id(p) in drawn for p in parameters_of(each))]
    networks = list(dict.fromkeys(each.network for each in known))
    if len(networks) > 1:
        known = [each.named(f"network {networks.index(each.network) + 1}, ") for each in known]
    found = _by_parameters(order, operands, consumers, known)
    return found if found or model is not None else _by_shape(order, operands, consumers)


# --- known weights


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
                    needed = len({*map(id, _weights_and_bias(neuron))})
                    yield _Neuron(neuron, name, where if layer is not neuron else "neuron", layer, needed, network)


def _listed(thing: Any, name: str) -> list[Any]:
    found = getattr(thing, name, None)
    return list(found) if isinstance(found, (list, tuple)) else []


def parameters_of(part: _Neuron) -> list[Any]:
    """The weights and the bias, where they are known."""
    return _weights_and_bias(part.neuron) if hasattr(part.neuron, "w") else []


def _weights_and_bias(neuron: Any) -> list[Any]:
    weights, bias = list(neuron.w), getattr(neuron, "b", None)
    return weights if bias is None else [*weights, bias]


def _by_parameters(
    order: list[Any], operands: Operands, consumers: Mapping[int, list[Any]], known: list[_Neuron]
) -> list[Application]:
    """Products with weights, sums of such products and the bias, and the activations of whole sums."""
    owners: dict[int, list[_Neuron]] = defaultdict(list)
    for each in known:
        for parameter in {id(p): p for p in parameters_of(each)}.values():
            owners[id(parameter)].append(each)
    # A parameter that neurons share does not tell which of them it was.
    weight_of = {id(w): owners[id(w)][0] for each in known for w in each.neuron.w if len(owners[id(w)]) == 1}
    biases = [(id(getattr(each.neuron, "b", None)), each) for each in known]
    bias_of = {bias: each for bias, each in biases if len(owners[bias]) == 1}
    unfinished: dict[int, Application] = {}
    finished: dict[int, Application] = {}
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


def _product(node: Any, below: list[Any], weight_of: dict[int, _Neuron]) -> Application | None:
    weights = [operand for operand in below if id(operand) in weight_of]
    if len(weights) != 1 or len(below) != 2:
        return None
    (weight,) = weights
    return Application(
        weight_of[id(weight)], [node], {id(weight)}, [operand for operand in below if operand is not weight]
    )


def _sum(
    node: Any,
    below: list[Any],
    unfinished: dict[int, Application],
    bias_of: dict[int, _Neuron],
    operands: Operands,
    consumers: Mapping[int, list[Any]],
) -> Application | None:
    """Where all operands are of one neuron's sum, what they are together."""
    united: Application | None = None
    for operand in below:
        part = unfinished.get(id(operand))
        if part is not None and len(consumers[id(operand)]) == 1:
            piece = part
        elif id(operand) in bias_of:
            piece = Application(bias_of[id(operand)], [], {id(operand)}, [])
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


# --- unknown weights


def _by_shape(order: list[Any], operands: Operands, consumers: Mapping[int, list[Any]]) -> list[Application]:
    """Sums of products, with the function that alone uses them."""
    places = {id(node): place for place, node in enumerate(order)}
    found: list[list[Any]] = []
    for top in order:
        users = consumers[id(top)]
        if _op(top) != "+" or not operands[id(top)] or (len(users) == 1 and _op(users[0]) == "+"):
            continue  # a sum inside a sum
        inside, products, leaves = [top], 0, 0
        waiting = list(operands[id(top)])
        while waiting:
            node = waiting.pop()
            if not operands[id(node)]:
                leaves += 1
            elif len(consumers[id(node)]) == 1 and _op(node) in ("+", "*"):
                inside.append(node)
                products += _op(node) == "*"
                waiting += operands[id(node)] if _op(node) == "+" else []
        if len(users) == 1 and _op(users[0]).lower() in _ACTIVATIONS and len(operands[id(users[0])]) == 1:
            inside.append(users[0])
            leaves += 1  # a product and a leaf through a function is a neuron with one input
        if products >= 2 or (products == 1 and leaves >= 2):
            found.append(sorted(inside, key=lambda node: places[id(node)]))
    layer_of = depths(order, operands, found)
    layers = sorted(set(layer_of))
    objects = {depth: object() for depth in layers}
    numbers: Counter[int] = Counter()
    made = []
    for inside, depth in zip(found, layer_of, strict=True):
        numbers[depth] += 1
        number = layers.index(depth) + 1
        name = f"neuron {number}.{numbers[depth]}" if len(found) > 1 else "neuron"
        part = _Neuron(object(), f"layer {number}", name, objects[depth], 0, 0)
        activation = _op(inside[-1])
        made.append(Application(part, inside, set(), [], "linear" if activation == "+" else activation))
    return made


def _op(node: Any) -> str:
    return str(getattr(node, "_op", ""))


# --- graphs


def depths(order: list[Any], operands: Operands, found: Sequence[Sequence[Any]]) -> list[int]:
    """How many neurons, each given by its values, are at most on the way from a leaf to each of them."""
    owner = {id(node): k for k, inside in enumerate(found) for node in inside}
    before: dict[int, int] = {}  # neurons finished on the way to a node
    deepest = [0] * len(found)
    for node in order:
        inside = owner.get(id(node))
        before[id(node)] = 0
        for operand in operands[id(node)]:
            other = owner.get(id(operand))
            passed = before[id(operand)] + (other is not None and other != inside and bool(operands[id(operand)]))
            before[id(node)] = max(before[id(node)], passed)
        if inside is not None:
            deepest[inside] = max(deepest[inside], before[id(node)])
    return deepest


def consumers_of(nodes: list[Any], operands: Operands) -> defaultdict[int, list[Any]]:
    """The values that use each value."""
    found: defaultdict[int, list[Any]] = defaultdict(list)
    for node in nodes:
        for operand in operands[id(node)]:
            found[id(operand)].append(node)
    return found


def in_order(nodes: Iterable[Any], operands: Operands) -> list[Any]:
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
