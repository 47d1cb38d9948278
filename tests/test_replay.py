"""`forward()`: a graph recomputed in place is the graph built anew."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kilograd
from kilograd import MLP, Value
from kilograd.micrograd.engine import Value as MicrogradValue

UNARY = ["tanh", "relu", "sigmoid", "exp", "sin", "softplus", "abs", "neg", "cube", "double", "inverse"]
PAIRS = ["pair", "pair, the product first"]  # a link of a weighted sum


def apply(name: str, v: Any) -> Any:
    own = {"neg": lambda: -v, "cube": lambda: v**3, "double": lambda: v + v, "inverse": lambda: 1 / (v * v + 1)}
    return own[name]() if name in own else getattr(v, name)()


steps = st.lists(
    st.tuples(
        st.sampled_from(["+", "*", *PAIRS * 4, *UNARY]),
        st.integers(0, 10**6),
        st.integers(0, 10**6),
    ),
    min_size=1,
    max_size=25,
)
numbers = st.one_of(st.integers(-3, 3), st.floats(-2.0, 2.0))


def build(value: type, leaves: list[Any], program: list[Any]) -> list[Any]:
    nodes = list(leaves)
    for op, i, j in program:
        a, b = nodes[i % len(nodes)], nodes[j % len(nodes)]
        if op in PAIRS:
            before, product = nodes[-1], a * b
            nodes += [product, before + product if op == "pair" else product + before]
            continue
        nodes.append(a + b if op == "+" else a * b if op == "*" else apply(op, a))
    return nodes


def state(nodes: list[Any]) -> list[str]:
    return [f"{v.data!r} {v.grad!r}" for v in nodes]


@pytest.mark.parametrize("value", [Value, MicrogradValue])
@settings(max_examples=150)
@given(st.lists(numbers, min_size=3, max_size=3), st.lists(numbers, min_size=3, max_size=3), steps)
def test_replay_is_the_graph_built_anew(value, old, new, program):
    try:
        nodes = build(value, [value(x) for x in old], program)
        fresh = build(value, [value(x) for x in new], program)
        nodes[-1].backward()
        fresh[-1].backward()
    except (OverflowError, ZeroDivisionError):
        return
    for leaf, x in zip(nodes, new, strict=False):
        leaf.data = x
        leaf.grad = 0
    reached = set(kilograd.draw.trace(nodes[-1])[0])
    assert repr(nodes[-1].forward()) == repr(fresh[-1].data)
    for node, other in zip(nodes[3:], fresh[3:], strict=False):
        if node in reached:
            assert repr(node.data) == repr(other.data)
            assert node.grad == 0
    nodes[-1].backward()
    for node, other in zip(nodes, fresh, strict=False):
        if node in reached:
            assert repr(node.grad) == repr(other.grad)


def test_leaves_keep_their_gradient_and_interior_ones_lose_it():
    a = Value(2.0)
    b = a * a
    c = b + 1.0
    c.backward()
    assert c.forward() == 5.0
    assert (a.grad, b.grad, c.grad) == (4.0, 0.0, 0.0)
    c.backward()
    assert a.grad == 8.0


def test_a_leaf_and_an_assigned_interior_node():
    a = Value(2)
    assert repr(a.forward()) == "2"
    b = a * 3
    b.data = 100.0
    assert repr(b.forward()) == "6"


def test_training_by_replay_is_training_anew():
    def train(replay):
        random.seed(1)
        model = MLP(3, [4, 4, 1])
        xs, ys = [[2.0, 3.0, -1.0], [0.5, 1.0, 1.0]], [1.0, -1.0]
        optimizer = kilograd.optim.SGD(model, lr=0.1)
        losses, loss = [], None
        for _ in range(20):
            if loss is None or not replay:
                loss = sum((model(x) - y) ** 2 for x, y in zip(xs, ys, strict=False))
            else:
                loss.forward()
            losses.append(loss.data)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return losses

    assert train(True) == train(False)


@pytest.mark.parametrize(
    ("build", "bad", "error"),
    [
        (lambda a: a.log(), -1.0, ValueError),
        (lambda a: a.log(), 0.0, ValueError),
        (lambda a: a.exp(), 1000.0, OverflowError),
        (lambda a: 1.0 / a, 0.0, ZeroDivisionError),
        (lambda a: a**0.5, -1.0, ValueError),
        (lambda a: a.sqrt(), -1.0, ValueError),
    ],
)
def test_a_domain_error_changes_nothing(build, bad, error):
    a, other = Value(2.0), Value(3)
    before_it = other * 2 + a
    root = build(a) * before_it + 1.0
    after = root * 2
    after.backward()
    nodes = kilograd.draw.trace(after)[0]
    a.data, other.data = bad, 5
    kept = state(list(nodes))
    with pytest.raises(error):
        after.forward()
    assert state(list(nodes)) == kept
    a.data = 1.5
    assert after.forward() == (build(Value(1.5)) * (other.data * 2 + 1.5) + 1.0).data * 2


def custom(a: Value, forward: Any = None) -> Value:
    out = Value(math.sin(a.data), (a,), "sine")

    def _backward() -> None:
        a.grad += math.cos(a.data) * out.grad

    out._backward = _backward
    if forward:
        out._forward = lambda: forward(a, out)
    return out


class TestRulesInPython:
    @pytest.mark.parametrize(
        "forward", [lambda a, out: math.sin(a.data), lambda a, out: setattr(out, "data", math.sin(a.data))]
    )
    def test_they_take_part(self, forward):
        a = Value(1.0)
        root = custom(a * 2, forward) * 3
        a.data = 2.0
        assert root.forward() == math.sin(4.0) * 3
        root.backward()
        assert a.grad == pytest.approx(6 * math.cos(4.0))

    def test_without_one_the_node_is_named(self):
        a = Value(1.0)
        root = custom(a * 2) * 3
        a.data = 2.0
        nodes = list(kilograd.draw.trace(root)[0])
        kept = state(nodes)
        with pytest.raises(RuntimeError, match=r"Value\(data=0\.909.*'sine'.*_forward"):
            root.forward()
        assert state(nodes) == kept

    def test_a_native_operation_with_a_rule_of_its_own_needs_one_too(self):
        a = Value(1.0)
        b = a * 2
        b._backward = lambda: None
        with pytest.raises(RuntimeError, match="_forward"):
            (b + 1).forward()

    def test_what_they_raise_changes_nothing(self):
        def fail(a, out):
            raise KeyError("mine")

        a = Value(1.0)
        below = a * 2
        root = custom(below, fail) * 3
        root.backward()
        a.data = 2.0
        kept = state([a, below, root])
        with pytest.raises(KeyError, match="mine"):
            root.forward()
        assert state([a, below, root]) == kept

    def test_what_they_return_has_to_be_a_number(self):
        root = custom(Value(1.0), lambda a, out: "x") * 3
        with pytest.raises(TypeError, match="_forward"):
            root.forward()

    def test_they_may_replay_other_graphs(self):
        x = Value(1.0)
        inner = [(x * i).tanh() for i in range(8)]

        def forward(a, out):
            x.data = a.data
            return sum(v.forward() for v in inner)

        a = Value(0.5)
        root = custom(a, forward) + 1.0
        assert root.forward() == pytest.approx(1.0 + sum(math.tanh(0.5 * i) for i in range(8)))

    def test_a_later_fault_undoes_them(self):
        a = Value(1.0)
        out = custom(a, lambda a, out: math.sin(a.data))
        root = out.log()
        a.data = 4.0
        with pytest.raises(ValueError, match="log"):
            root.forward()
        assert out.data == math.sin(1.0)


def test_fixed_local_gradients_are_refused():
    a = Value(1.0)
    root = Value(6.0, (a,), (6.0,)) + 1.0
    with pytest.raises(RuntimeError, match="local gradients"):
        root.forward()


def test_many_roots_that_come_and_go():
    """Kept orders belong to living roots: a new root at an old address has its own."""
    x = Value(0.5)
    for i in range(200):
        depth = i % 7 + 1
        root = x
        for _ in range(depth):
            root = root * 2
        x.data = float(i)
        assert root.forward() == i * 2.0**depth
        x.grad = 0.0
        root.backward()
        assert x.grad == 2.0**depth


def test_roots_in_turn():
    x = Value(1.0)
    roots = [x * i + x for i in range(10)]
    for k in range(3):
        x.data = float(k)
        for i, root in enumerate(roots):
            assert root.forward() == k * i + k


def test_a_rule_that_comes_later_is_respected_by_backward():
    a = Value(2.0)
    b = a * 3
    root = b + 1
    root.forward()
    b._backward = lambda: setattr(a, "grad", a.grad + 100.0)
    root.backward()
    assert a.grad == 100.0


def test_a_deep_chain():
    x = Value(1.0)
    root = x
    for _ in range(200_000):
        root = root + 1.0
    x.data = 2.0
    assert root.forward() == 200_002.0
    root.backward()
    assert x.grad == 1.0
