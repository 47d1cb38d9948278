"""copy, deepcopy and pickle: sharing, gradients, labels, attributes and classes come along, without recursion."""

from __future__ import annotations

import base64
import copy
import gc
import pickle
import random
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

import kilograd
from kilograd import MLP, Value, _core
from kilograd import micrograd as micrograd_package
from kilograd.micrograd import nn as micrograd_nn
from kilograd.micrograd.engine import Value as MicrogradValue


def pickled(protocol: int) -> Callable[[Any], Any]:
    return lambda x: pickle.loads(pickle.dumps(x, protocol))


COPIERS = {"deepcopy": copy.deepcopy, **{f"pickle {n}": pickled(n) for n in range(2, pickle.HIGHEST_PROTOCOL + 1)}}


@pytest.fixture(params=COPIERS)
def copier(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return COPIERS[request.param]


def described(root: Any) -> list[Any]:
    """Everything about a graph: numbers with their types, names, attributes, and operands by place."""
    order: dict[int, int] = {}
    nodes = []
    stack = [root]
    while stack:
        node = stack.pop()
        if id(node) in order:
            continue
        order[id(node)] = len(order)
        nodes.append(node)
        stack.extend(reversed(node._children))
    return [
        (
            type(n),
            repr(n.data),
            repr(n.grad),
            n._op,
            n.label,
            vars(n),
            n._local_grads,
            [order[id(c)] for c in n._children],
        )
        for n in nodes
    ]


def rich_graph(cls: Any) -> Any:
    a, b = cls(2.0, label="a"), cls(3)
    shared = a * b + 1
    shared.label = "shared"
    shared.note = {"key": [1, 2]}
    out = shared**2 / a - shared.tanh()
    out = out + cls(1.5, (a, shared), (0.5, 2), label="linear") + cls(2.5, (b,), "custom") + b**3 + a.leaky_relu(0.2)
    out = out + kilograd.maximum(a, b) + a**b
    out._op = "renamed"
    out.backward()
    return out


@pytest.mark.parametrize("cls", [Value, MicrogradValue])
def test_a_copy_is_the_same_graph(cls, copier):
    out = rich_graph(cls)
    before = described(out)
    twin = copier(out)
    assert described(out) == before
    assert described(twin) == before
    assert twin is not out
    twin.zero_grad()
    twin.backward()
    out.zero_grad()
    out.backward()
    assert described(twin) == described(out)


def test_a_copy_is_independent(copier):
    a = Value(2.0)
    out = a * a
    twin = copier(out)
    twin._children[0].data = 5.0
    twin.backward()
    assert (a.data, a.grad, out.grad) == (2.0, 0.0, 0.0)
    assert twin._children[0].grad == 10.0


def test_sharing_inside_containers(copier):
    a, b = Value(2.0), Value(3.0)
    c = a * b
    everything = {"leaves": [a, b, a], "c": c, "deeper": (c + a, [c])}
    twin = copier(everything)
    x, y, again = twin["leaves"]
    assert x is again
    assert twin["c"]._children == (x, y)
    assert twin["c"]._children[0] is x
    assert twin["deeper"][0]._children == (twin["c"], x)
    assert twin["deeper"][1][0] is twin["c"]
    twin["deeper"][0].backward()
    assert (x.grad, y.grad) == (4.0, 2.0)
    assert a.grad == 0.0


@pytest.mark.parametrize("model", [MLP, micrograd_nn.MLP])
def test_models(model, copier):
    random.seed(1)
    net = model(3, [4, 4, 1])
    out = net([1.0, -2.0, 0.5])
    out.backward()
    twin, twin_out = copier((net, out))
    assert [(p.data, p.grad) for p in twin.parameters()] == [(p.data, p.grad) for p in net.parameters()]
    assert repr(twin) == repr(net)
    twin_out.zero_grad()
    assert all(p.grad == 0 for p in twin.parameters())
    assert twin([1.0, -2.0, 0.5]).data == net([1.0, -2.0, 0.5]).data


class Named(Value):
    def __init__(self, data: float, name: str, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.name = name


class Slotted(Value):
    __slots__ = ("colour",)


class FromMicrograd(MicrogradValue):
    pass


class Scale:
    """A rule that can be pickled: y = factor * x."""

    def __init__(self, out: Value, x: Value, factor: float) -> None:
        self.out, self.x, self.factor = out, x, factor

    def __call__(self) -> None:
        self.x.grad += self.factor * self.out.grad


def test_subclasses_come_back_as_themselves(copier):
    x = Named(1.0, "x", label="l")
    s = Slotted(2.0)
    s.colour = "red"
    m = FromMicrograd(3)
    inner = Named(6.0, "inner", children=(x, s), local_grads=(1.0, 2.0))
    out = inner * 2
    _ = m + 1
    twin, y, t, k = copier([out, x, s, m])
    first = twin._children[0]
    assert [type(v) for v in (twin, first, y, t, k)] == [Value, Named, Named, Slotted, FromMicrograd]
    assert (first.name, y.name, y.label, t.colour, repr(k)) == ("inner", "x", "l", "red", "Value(data=3, grad=0)")
    assert first._children == (y, t)


def test_rules_that_can_be_pickled_come_along(copier):
    x = Value(2.0)
    out = Value(6.0, (x,), "scale")
    out._backward = Scale(out, x, 3.0)
    root = out * 2
    twin, z = copier([root, x])
    twin.backward()
    assert z.grad == 6.0
    assert x.grad == 0.0


def test_closures_cannot_be_pickled_and_nothing_changes():
    x = Value(2.0)
    out = x * 3
    out._backward = lambda: None
    nodes = kilograd.live_nodes()
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(out)
    gc.collect()
    assert kilograd.live_nodes() == nodes


def test_attributes_that_refer_to_the_graph(copier):
    x = Value(2.0)
    x.users = []
    y = x * 2
    x.users.append(y)
    z = y + x
    y.above = z
    twin = copier(z)
    v, u = twin._children
    assert u.users == [v]
    assert v.above is twin
    del x, y, z


def test_attributes_that_refer_to_nodes_of_a_subclass(copier):
    x = Value(1.0)
    a = Slotted(2.0, (x,), (1.0,))
    b = Slotted(3.0, (a,), (1.0,))
    a.above = b
    a.colour, b.colour = "red", "blue"
    root = b * 2
    twin = copier(root)
    c, _ = twin._children
    (d,) = c._children
    assert (type(c), type(d)) == (Slotted, Slotted)
    assert d.above is c
    assert (c.colour, d.colour) == ("blue", "red")
    del a, b


def test_copies_with_cyclic_attributes_die(copier):
    x = Value(2.0)
    x.users = []
    y = x * 2
    x.users.append(y)
    y.me = [y]
    z = y.tanh() + x
    before = kilograd.live_nodes()
    twin = copier([z, x])
    assert kilograd.live_nodes() > before
    del twin
    gc.collect()
    assert kilograd.live_nodes() == before


def test_shallow_copy():
    a, b = Value(2.0, label="a"), Value(3.0)
    c = a * b
    c.label, c.note, c.grad = "c", [1], 5.0
    twin = copy.copy(c)
    assert twin is not c
    assert twin._children == (a, b)
    assert twin._children[0] is a
    assert (twin.data, twin.grad, twin._op, twin.label, twin.note) == (6.0, 5.0, "*", "c", [1])
    assert twin.note is c.note
    twin.backward()
    assert (a.grad, b.grad, c.grad) == (3.0, 2.0, 5.0)
    leaf = copy.copy(a)
    leaf.data = 9.0
    assert (a.data, leaf.label, leaf._children) == (2.0, "a", ())
    fan = Value(1.0, (a, b), (2.0, 3.0))
    assert copy.copy(fan)._local_grads == (2.0, 3.0)
    assert type(copy.copy(Named(1.0, "n"))) is Named
    assert copy.copy(Named(1.0, "n")).name == "n"


def test_numbers_survive_exactly(copier):
    numbers = [0.1, -0.0, 5e-324, 1.7976931348623157e308, float("inf"), float("-inf"), 3, 2**53, True]
    for number in numbers:
        v = Value(number)
        v.grad = 0.1
        twin = copier(v)
        assert (repr(twin.data), twin.grad) == (repr(number), 0.1)
        assert repr(copier(v * 1).data) == repr((v * 1).data)
    twin = copier(Value(float("nan")) * 1.0)
    assert twin.data != twin.data


def test_every_row_of_the_table_survives(copier):
    a, b = Value(0.5), Value(0.25)
    outs = [a + b, a * b, a**b, a**3, a.leaky_relu(), kilograd.maximum(a, b), kilograd.minimum(a, b)]
    for name, _, arity, _, _ in _core.ops():
        if arity == "Unary":
            outs.append(getattr(a + 1 if name == "acosh" else a, name)())
    root = sum(outs)
    twin = copier(root)
    assert described(twin) == described(root)
    root.backward()
    twin.backward()
    assert described(twin) == described(root)


def chain(length: int) -> list[Value]:
    values = [Value(1.0)]
    for _ in range(length):
        values.append(values[-1] * 1.0)
    return values


@pytest.mark.parametrize("order", ["ascending", "descending", "only the end"])
@pytest.mark.parametrize("copy_with", [copy.deepcopy, pickled(pickle.HIGHEST_PROTOCOL)], ids=["deepcopy", "pickle"])
def test_long_chains_without_recursion(order, copy_with):
    length = 200_000 if order == "only the end" else 50_000
    values = chain(length)
    if order == "descending":
        values.reverse()
    elif order == "only the end":
        values = values[-1:]
    twins = copy_with(values)
    last = twins[0] if order == "descending" else twins[-1]
    last.backward()
    node, depth = last, 0
    while node._children:
        assert node.grad == 1.0
        node, depth = node._children[0], depth + 1
    assert depth == length
    if order == "ascending":
        assert all(t._children[0] is s for s, t in pairwise(twins))


def test_pickling_all_values_of_a_chain_is_linear():
    """Ten times the values cost ten times the processor time, not a hundred times."""

    def seconds(length: int) -> float:
        values = chain(length)
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            pickle.dumps(values)
            best = min(best, time.process_time() - start)
        return best

    assert seconds(40_000) < 30 * seconds(4_000)


def test_results_share_a_leaf_that_nobody_holds(copier):
    x = Value(2.0)
    y, z = x * 3.0, x * 5.0
    del x
    y, z = copier([y, z])
    leaf = y._children[0]
    assert z._children[0] is leaf
    (y + z).backward()
    assert leaf.grad == 8.0


def test_a_random_list_of_a_graphs_values(copier):
    random.seed(2)
    values = [Value(1.0), Value(2.0)]
    for _ in range(300):
        values.append((random.choice(values) * random.choice(values[-20:])).tanh())
    picked = random.sample(values, 100)
    twins = copier([values[-1], picked])
    assert [v.data for v in twins[1]] == [v.data for v in picked]
    assert described(twins[0]) == described(values[-1])


def test_snapshots_do_not_outlive_the_copying(copier):
    values = chain(100)
    before = kilograd.live_nodes()
    for _ in range(3):
        copier(values)
    copier(values[-1])
    gc.collect()
    assert kilograd.live_nodes() == before


def test_damaged_bytes_raise_and_leave_nothing():
    out = rich_graph(Value)
    function, (snapshot, place) = out.__reduce__()
    load, (data, externals, types, classes), states = snapshot.__reduce__()
    assert function(load(data, externals, types, classes), place).data == out.data
    nodes = kilograd.live_nodes()
    random.seed(3)
    refused = 0
    damaged = [data[:n] for n in range(len(data))]
    for _ in range(3000):
        changed = bytearray(data)
        for _ in range(random.randrange(1, 4)):
            changed[random.randrange(len(changed))] = random.randrange(256)
        damaged.append(bytes(changed))
    for attempt in damaged:
        try:
            twin = load(attempt, externals, types, classes)
        except ValueError:
            refused += 1
        else:  # the bytes still describe some graph: it must be whole
            root = function(twin, place)
            root.backward()
            root.zero_grad()
            described(root)
            del root, twin
        assert kilograd.live_nodes() == nodes
    assert refused > len(data)
    for bad in ((data, externals[:-1], types, []), (data, externals, [], []), (data, externals, types, [(0, int)])):
        with pytest.raises(ValueError, match="Snapshot"):
            load(*bad)
    for bad in (
        (data, [1] * len(externals), types, []),
        (data, externals, [1] * len(types), []),
        (1, externals, types, []),
    ):
        with pytest.raises((TypeError, RuntimeError)):
            load(*bad)
    for bad_place in (0, 10**6):
        with pytest.raises(ValueError, match="no such node"):
            function(snapshot, bad_place)
    assert kilograd.live_nodes() == nodes
    del snapshot, states, function, load


# (log1p(x) * exp(x) + log(x)) ** 2 at 0.75, as pickled by the first version that names operations.
NAMED = (
    b"fCQCE0RR910001t4r^&_Z)b90WG-K0Z*panj0InCX=7`Ylay!xj0In8Z((GVlawe!%mV-b009610000000sa600sqYZ)Y)Z0Rv@tZ~+5tb!-Cz"
    b"Y;R`)17T!j0|anycVhwo0MI~iUSH_pKL7v#000000000000000_}pi-o$mlZ00000000000RR910001EEEVyN^zuId00000000020RR910ssI200"
    b"5HPG!bHH(!T%z0000000093000000R8HZ*=)4zKL7v#0000000aX7000C400000p|HKix4-E>00000000001qA>A0000000000K$KmSXaI}_Uu<P"
    b"zW|WhZD2xbeX>4z2a$#hYj0IL<Y;|Rnlaxn4=l}o!0000-0000000000PEK@`Qj}p`lxPcKU6gc`Qj}ekVoL^wlv0!~"
)


def test_pickles_name_their_operations():
    """A new row of the op table moves the numbers of those behind it, and no operation in an old file."""
    x = Value(0.75)
    want = (x.log1p() * x.exp() + x.log()) ** 2.0
    assert described(pickle.loads(base64.b85decode(NAMED))) == described(want)
    function, (snapshot, place) = want.__reduce__()
    load, (data, externals, types, classes), states = snapshot.__reduce__()
    names = [b"log1p", b"exp", b"log", b"mul", b"add", b"powc"]
    table = b"".join(bytes([len(name)]) + name + data[data.index(name) + len(name) :][:1] for name in names)
    assert data[16 : 17 + len(table)].startswith(bytes([len(names)]))

    def ops(changed):
        root = function(load(changed, externals, types, classes), place)
        return [entry[3] for entry in described(root)]

    assert ops(data) == [entry[3] for entry in described(want)]
    exchanged = data.replace(b"\x03exp", b"\x03...").replace(b"\x03log", b"\x03exp").replace(b"\x03...", b"\x03log")
    swap = {"exp": "log", "log": "exp"}
    assert ops(exchanged) == [swap.get(op, op) for op in ops(data)]
    with pytest.raises(ValueError, match="'lgo' is not one of this version"):
        ops(data.replace(b"\x03log", b"\x03lgo"))
    with pytest.raises(ValueError, match="'mul' is not one of this version"):  # of another arity
        ops(data.replace(b"\x03log", b"\x03mul"))
    with pytest.raises(ValueError, match="another version of kilograd"):
        ops(b"\x02\0\0\0" + data[4:])
    del states


def test_the_micrograd_module_is_where_its_class_is_found():
    assert micrograd_package.engine.Value is MicrogradValue
    assert pickle.loads(pickle.dumps(MicrogradValue)) is MicrogradValue
