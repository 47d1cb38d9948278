"""Differentiation: the numbers of the reference on random graphs, and what `backward()` promises beside them."""

from __future__ import annotations

import gc
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kilograd
from kilograd import Value, reference
from kilograd.micrograd.engine import Value as MicrogradValue

# --- random graphs ---------------------------------------------------------------------------------------------------

UNARY = {
    "neg": lambda a: -a,
    "tanh": lambda a: a.tanh(),
    "exp": lambda a: a.exp(),
    "log": lambda a: a.log(),
    "sqrt": lambda a: a.sqrt(),
    "sin": lambda a: a.sin(),
    "cos": lambda a: a.cos(),
    "relu": lambda a: a.relu(),
    "sigmoid": lambda a: a.sigmoid(),
    "abs": abs,
}
BINARY = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
}
NUMBER = {
    "a + n": lambda a, n: a + n,
    "n + a": lambda a, n: n + a,
    "a - n": lambda a, n: a - n,
    "n - a": lambda a, n: n - a,
    "a * n": lambda a, n: a * n,
    "n * a": lambda a, n: n * a,
    "a / n": lambda a, n: a / n,
    "n / a": lambda a, n: n / a,
    "a ** n": lambda a, n: a**n,
}
EXACT_UNARY = ("neg", "exp")

floats = st.floats(-4, 4).map(lambda x: round(x, 3))
numbers = st.one_of(floats, st.integers(-3, 3), st.booleans())
places = st.integers(0, 10**6)


def steps(unary: Any) -> Any:
    """One operation: its name, and where its operands come from."""
    return st.one_of(
        st.tuples(st.sampled_from(sorted(unary)), places),
        st.tuples(st.sampled_from(sorted(BINARY)), places, places),
        st.tuples(st.sampled_from(sorted(NUMBER)), places, numbers),
    )


@dataclass
class Graph:
    nodes: list[Any]  # everything that a step made, in order
    root: Any


def run(cls: Any, leaves: list[float], program: list[tuple[Any, ...]], most_uses: int | None = None) -> Graph:
    """Runs the steps; a step that either class refuses is left out, as is one that would use a node too often."""
    nodes = [cls(x) for x in leaves]
    uses: Counter[int] = Counter()
    for name, *operands in program:
        picked = [operands[0] % len(nodes)]
        if name in BINARY:
            picked.append(operands[1] % len(nodes))
        if most_uses is not None and any((uses + Counter(picked))[i] > most_uses for i in picked):
            continue
        arguments = [nodes[i] for i in picked]
        try:
            if name in UNARY:
                out = UNARY[name](*arguments)
            elif name in BINARY:
                out = BINARY[name](*arguments)
            else:
                out = NUMBER[name](arguments[0], operands[1])
        except (ValueError, OverflowError, ZeroDivisionError):
            continue
        if name == "sqrt" and out.data == 0.0:  # its derivative is infinite; the reference divides by zero there
            continue
        if not abs(out.data) < 1e6 or (out.data != 0 and abs(out.data) < 1e-6):
            continue
        uses.update(picked)
        nodes.append(out)
    return Graph(nodes, nodes[-1])


def everything(graph: Graph) -> list[Any]:
    """Each node that the graph's nodes reach, in an order that depends on structure alone."""
    found: dict[int, Any] = {}
    stack = list(reversed(graph.nodes))
    while stack:
        node = stack.pop()
        if id(node) not in found:
            found[id(node)] = node
            stack.extend(reversed(node._children))
    return list(found.values())


def largest_terms(graph: Graph) -> dict[int, float]:
    """For each node the sum of the magnitudes of what flows into its gradient, where `grad` has its signed sum."""
    kept = [(node, node.grad) for node in everything(graph)]
    magnitude = {id(node): 0.0 for node, _ in kept}
    magnitude[id(graph.root)] = 1.0
    order: list[Any] = []
    seen: set[int] = set()
    stack: list[tuple[Any, bool]] = [(graph.root, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((child, False) for child in node._children)
    for node in reversed(order):
        for child in set(node._children):
            child.grad = 0.0
        node.grad = 1.0
        node._backward()
        for child in set(node._children):
            slope = abs(child.grad)
            if len(node._children) == 2 and node._children[0] is node._children[1] and node._op == "+":
                slope = 2.0
            magnitude[id(child)] += slope * magnitude[id(node)]
    for node, grad in kept:
        node.grad = grad
    return magnitude


@settings(max_examples=300)
@given(st.lists(numbers, min_size=1, max_size=4), st.lists(steps(EXACT_UNARY), min_size=1, max_size=25))
def test_bit_for_bit_where_no_node_has_more_than_two_uses(leaves, program):
    """Through + * ** exp: two terms add up to the same sum in either order."""
    mine = run(Value, leaves, program, most_uses=2)
    theirs = run(reference.Value, leaves, program, most_uses=2)
    mine.root.backward()
    theirs.root.backward()
    pairs = list(zip(everything(mine), everything(theirs), strict=True))
    assert [(v._op, repr(v.data), v.grad) for v, _ in pairs] == [(w._op, repr(w.data), w.grad) for _, w in pairs]


@settings(max_examples=300)
@given(st.lists(numbers, min_size=1, max_size=4), st.lists(steps(UNARY), min_size=1, max_size=40))
def test_any_graph_to_twelve_digits_of_the_largest_term(leaves, program):
    mine, theirs = run(Value, leaves, program), run(reference.Value, leaves, program)
    mine.root.backward()
    theirs.root.backward()
    terms = largest_terms(theirs)
    for v, w in zip(everything(mine), everything(theirs), strict=True):
        assert v._op == w._op
        assert v.data == pytest.approx(float(w.data), rel=1e-12)
        assert abs(v.grad - w.grad) <= 1e-12 * max(terms[id(w)], abs(w.grad))


@settings(max_examples=150)
@given(
    st.lists(numbers, min_size=1, max_size=3),
    st.lists(steps(EXACT_UNARY), min_size=1, max_size=20),
    st.lists(st.tuples(places, st.booleans()), min_size=2, max_size=4),
)
def test_several_roots_without_zeroing(leaves, program, roots):
    """Gradients add up, interior ones included, exactly as the closures of the reference add them."""
    mine = run(Value, leaves, program, most_uses=2)
    theirs = run(reference.Value, leaves, program, most_uses=2)
    for place, zeroed in roots:
        for graph in (mine, theirs):
            graph.nodes[place % len(graph.nodes)].backward()
            if zeroed:
                for node in graph.nodes[: len(leaves)]:
                    node.grad = 0.0
    terms = max(1.0, *(abs(w.grad) for w in everything(theirs)))
    for v, w in zip(everything(mine), everything(theirs), strict=True):
        assert abs(v.grad - w.grad) <= 1e-12 * terms


@settings(max_examples=150)
@given(st.lists(numbers, min_size=1, max_size=3), st.lists(steps(UNARY), min_size=1, max_size=30), st.data())
def test_with_custom_rules_in_between(leaves, program, data):
    """The same graph with some rules wrapped in Python, some replaced by the same rule written out."""
    mine, theirs = run(Value, leaves, program), run(Value, leaves, program)
    for node in everything(mine):
        if not node._children or not data.draw(st.booleans()):
            continue

        def wrapped(own: Any = node._backward) -> None:
            own()

        def written(out: Any = node, children: Any = node._children) -> None:
            for child, local in zip(children, out._local_grads, strict=True):
                child.grad += local * out.grad

        node._backward = wrapped if data.draw(st.booleans()) else written
    mine.root.backward()
    theirs.root.backward()
    for v, w in zip(everything(mine), everything(theirs), strict=True):
        assert v.grad == pytest.approx(w.grad, rel=0, abs=0, nan_ok=True)


@settings(max_examples=100)
@given(st.lists(numbers, min_size=1, max_size=3), st.lists(steps(UNARY), min_size=1, max_size=30))
def test_zero_grad_zeroes_all_that_the_root_reaches_and_nothing_else(leaves, program):
    graph = run(Value, leaves, program)
    beside = graph.nodes[0] * 2
    nodes = [*everything(graph), beside]
    for i, node in enumerate(nodes):
        node.grad = i + 1.0
    before = {id(node): node.grad for node in nodes}
    graph.root.zero_grad()
    reached = {id(node) for node in everything(Graph([graph.root], graph.root))}
    for node in nodes:
        assert node.grad == (0.0 if id(node) in reached else before[id(node)])


@settings(max_examples=100)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=3), st.lists(steps(EXACT_UNARY), min_size=1, max_size=15))
def test_integer_gradients_of_the_micrograd_dialect(leaves, program):
    """Against the same closures with gradients that begin as the int 0."""

    class Exact(reference.Value):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.grad = 0

    def in_exact(cls: Any) -> Graph:
        own = reference.Value.__init__
        if cls is Exact:

            def init(self: Any, *args: Any, **kwargs: Any) -> None:
                own(self, *args, **kwargs)
                self.grad = 0

            reference.Value.__init__ = init
            cls = reference.Value
        try:
            return run(cls, leaves, program, most_uses=2)
        finally:
            reference.Value.__init__ = own

    mine, theirs = in_exact(MicrogradValue), in_exact(Exact)
    mine.root.backward()
    theirs.root.grad = 1
    for node in topological(theirs.root):
        node._backward()
    for v, w in zip(everything(mine), everything(theirs), strict=True):
        assert (repr(v.data), repr(v.grad)) == (repr(w.data), repr(w.grad))


def topological(root: Any) -> list[Any]:
    """Results before operands."""
    order: list[Any] = []
    seen: set[int] = set()
    stack: list[tuple[Any, bool]] = [(root, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((child, False) for child in node._children)
    return order[::-1]


def fan_out(x: Any, m: int) -> Any:
    """A node with m uses, each of which is used m times."""
    parts = [x * (0.1 * i + 0.1) for i in range(m)]
    return sum(p * q for p in parts for q in parts)


def test_many_uses_agree_to_the_largest_term():
    x, y = Value(1.5), reference.Value(1.5)
    fan_out(x, 30).backward()
    fan_out(y, 30).backward()
    assert x.grad == pytest.approx(y.grad, rel=1e-12)


# --- calls in a row, seeds -------------------------------------------------------------------------------------------


def test_twice_without_zeroing():
    x = Value(3.0)
    y = x * x * x
    y.backward()
    assert x.grad == 27.0
    x.grad = 0.0
    y.backward()
    assert x.grad == 45.0


@pytest.mark.parametrize(
    ("spelled", "seed"),
    [((), 1.0), ((2.0,), 2.0), ((-3,), -3.0), ((True,), 1.0), ((0.0,), 0.0), ((math.inf,), math.inf)],
)
def test_seeds(spelled, seed):
    x = Value(3.0)
    y = x * 2
    y.grad = 99.0
    y.backward(*spelled)
    assert (y.grad, x.grad) == (seed, 2 * seed)
    assert type(y.grad) is float
    x.grad = 0.0
    y.backward(grad=seed)
    assert x.grad == 2 * seed


@pytest.mark.parametrize("bad", ["1", None, [1.0], Value])
def test_a_bad_seed_changes_nothing(bad):
    x = Value(3.0)
    y = x * 2
    y.grad = 5.0
    with pytest.raises(TypeError, match="grad of backward"):
        y.backward(bad)
    with pytest.raises(TypeError):
        y.backward(1.0, 2.0)
    assert (x.grad, y.grad) == (0.0, 5.0)


def test_of_a_leaf():
    x = Value(3.0)
    x.backward()
    assert x.grad == 1.0
    x.backward(4)
    assert x.grad == 4.0
    x.zero_grad()
    assert x.grad == 0.0


def test_data_changed_after_the_forward_pass_is_what_the_rules_read():
    for cls in (Value, reference.Value):
        a, b = cls(2.0), cls(3.0)
        out = (a * b).exp() + a**2
        a.data, b.data = 5.0, 7.0
        out.backward()
        assert (a.grad, b.grad) == (7.0 * math.exp(6.0) + 10.0, 5.0 * math.exp(6.0))


def test_an_operand_used_twice_in_one_operation():
    for operation, slope in (
        (lambda a: a + a, 2.0),
        (lambda a: a * a, 6.0),
        (lambda a: a - a, 0.0),
        (lambda a: a / a, 0.0),
    ):
        x = Value(3.0)
        operation(x).backward()
        assert x.grad == pytest.approx(slope, abs=1e-16)
    x = Value(2.0)
    (x**x).backward()
    assert x.grad == pytest.approx(4.0 * (1.0 + math.log(2.0)), rel=1e-15)


def test_gradients_that_are_not_numbers_stay_in_their_branch():
    a, b = Value(0.0), Value(1.0)
    (a.sqrt() * 1.0 + b).backward()
    assert a.grad == math.inf
    assert b.grad == 1.0


# --- rules in Python -------------------------------------------------------------------------------------------------


class MistakeError(Exception):
    """What a user's rule raises."""


def test_an_exception_in_a_rule_passes_unchanged_and_leaves_the_engine_usable():
    a, b = Value(2.0), Value(3.0)
    c = a * b
    d = Value(7.0, (c,), "custom")
    mistake = MistakeError("in the rule")

    def rule() -> None:
        raise mistake

    d._backward = rule
    e = d * 2 + a
    with pytest.raises(MistakeError) as caught:
        e.backward()
    assert caught.value is mistake
    assert (e.grad, d.grad, c.grad, a.grad, b.grad) == (1.0, 2.0, 0.0, 1.0, 0.0)
    with pytest.raises(MistakeError):
        d._backward()
    e.zero_grad()
    assert [v.grad for v in (a, b, c, d, e)] == [0.0] * 5
    (c + a).backward()
    assert (a.grad, b.grad) == (4.0, 2.0)
    d._backward = lambda: setattr(c, "grad", c.grad + 10 * d.grad)
    e.zero_grad()
    e.backward()
    assert (c.grad, b.grad) == (20.0, 40.0)


def test_a_rule_may_build_and_differentiate_graphs():
    x = Value(3.0)
    y = x * x
    out = Value(y.data, (y,), "nested")
    inner = []

    def rule() -> None:
        for _ in range(2000):  # enough to open chunks of the tape, and to let them go
            t = Value(2.0)
            (t * t * t).backward()
            inner.append(t.grad)
        (y * 2).backward()  # through the very graph that is being differentiated
        y.grad = y.grad - 2.0 + out.grad

    out._backward = rule
    (out * 7.0).backward()
    assert set(inner) == {12.0}
    # The nested call added 2 * 2x to x; then y's own turn came with the 7 that the rule left.
    assert x.grad == 2 * 6.0 + 7.0 * 6.0


def test_a_rule_may_call_backward_on_its_own_root():
    x = Value(1.0)
    y = Value(2.0, (x,), "f")
    depth = []

    def rule() -> None:
        depth.append(1)
        if len(depth) < 3:
            root.backward()
        x.grad += y.grad

    y._backward = rule
    root = y * 1.0
    root.backward()
    assert len(depth) == 3
    # Each call sets the gradient of the root anew and adds 1 to y: 1, 2, 3. The rules then finish from the inside out,
    # and read the 3 that is in y by then.
    assert (y.grad, x.grad) == (3.0, 9.0)


def test_a_rule_may_drop_the_graph():
    x = Value(3.0)
    holder = [x * x]
    holder.append(Value(1.0, (holder[0],), "f"))

    def rule() -> None:
        holder[0].grad += 1.0
        holder.clear()
        gc.collect()

    holder[1]._backward = rule
    root = holder[1] * 2.0
    root.backward()
    assert x.grad == 6.0


def test_a_rule_may_set_rules():
    x = Value(3.0)
    y = x * 2.0
    z = Value(6.0, (y,), "f")
    calls = []

    def rule() -> None:
        y._backward = lambda: calls.append("y")
        y.grad += z.grad

    z._backward = rule
    z.backward()
    assert calls == ["y"]
    assert x.grad == 0.0


def test_rules_on_leaves_run_after_everything_else():
    order = []
    x, w = Value(3.0), Value(2.0)
    y = Value(6.0, (x, w), "f")
    y._backward = lambda: order.append("y")
    x._backward = lambda: order.append(f"x {x.grad}")
    (y + x).backward()
    assert order == ["y", "x 1.0"]
    order.clear()
    x.backward()
    assert order == ["x 1.0"]
    x._backward()
    assert order == ["x 1.0", "x 1.0"]


def test_each_rule_runs_once_and_after_its_consumers():
    order = []
    x = Value(1.0)
    nodes = [x]
    for i in range(50):
        parents = (nodes[i // 2], nodes[-1])
        node = Value(float(i), parents, str(i))

        def rule(node: Any = node, parents: Any = parents, i: int = i) -> None:
            order.append(i)
            for parent in parents:
                parent.grad += node.grad

        node._backward = rule
        nodes.append(node)
    nodes[-1].backward()
    assert order == list(range(49, -1, -1))


def test_rules_of_any_callable_kind():
    calls = []

    class Rule:
        def __call__(self) -> None:
            calls.append("object")

        def method(self) -> None:
            calls.append("method")

    for rule in (Rule(), Rule().method, lambda: calls.append("lambda"), calls.clear):
        y = Value(1.0, (Value(2.0),), "f")
        y._backward = rule
        y.backward()
    assert calls == []


def test_a_local_gradients_node_takes_a_rule_too():
    x = Value(1.0)
    y = Value(2.0, (x,), (5.0,))
    own = y._backward
    y._backward = lambda: (own(), own())
    y.backward()
    assert x.grad == 10.0


@pytest.mark.parametrize("uses", [1, 3, 500])
def test_fans_of_any_width(uses):
    xs = [Value(float(i)) for i in range(uses)]
    total = Value(sum(x.data for x in xs), xs, [float(i) for i in range(uses)])
    (total * 2).backward()
    assert [x.grad for x in xs] == [2.0 * i for i in range(uses)]
    assert total._prev == set(xs)
    assert kilograd.live_nodes() >= uses


# --- section 7 of the contract ---------------------------------------------------------------------------------------


def test_the_article_expression_node_by_node():
    a, b, c, f = (Value(x, label=n) for n, x in (("a", 2.0), ("b", -3.0), ("c", 10.0), ("f", -2.0)))
    e = a * b
    d = e + c
    loss = d * f
    loss.backward()
    assert loss.data == -8.0
    assert [v.grad for v in (a, b, c, d, e, f, loss)] == [6.0, -4.0, -2.0, -2.0, -2.0, 4.0, 1.0]


@pytest.mark.parametrize("by_hand", [False, True])
def test_the_neuron(by_hand):
    x1, x2, w1, w2, b = (Value(x) for x in (2.0, 0.0, -3.0, 1.0, 6.0))
    x1w1, x2w2 = x1 * w1, x2 * w2
    total = x1w1 + x2w2
    n = total + b
    o = n.tanh()
    assert o.data == 0.0
    if by_hand:
        o.grad = 1.0
        for node in (o, n, total, x1w1, x2w2):
            node._backward()
    else:
        o.backward()
    assert [v.grad for v in (x1, w1, x2, w2)] == [-3.0, 2.0, 1.0, 0.0]


@pytest.mark.parametrize("cls", [Value, MicrogradValue, reference.Value])
def test_the_micrograd_readme(cls):
    a, b = cls(-4.0), cls(2.0)
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    assert f"{g.data:.4f}" == "24.7041"
    g.backward()
    assert (f"{a.grad:.4f}", f"{b.grad:.4f}") == ("138.8338", "645.5773")


@settings(max_examples=200)
@given(
    st.lists(floats, min_size=2, max_size=4),
    st.lists(st.tuples(places, places, places, st.booleans()), min_size=1, max_size=20),
)
def test_multiply_add_pairs(leaves: list[float], pairs: list[tuple[int, int, int, bool]]):
    """A product just below the sum that it goes into is differentiated with it, whoever else uses it."""

    def build(cls: Any) -> list[Any]:
        nodes = [cls(x) for x in leaves]
        for i, j, k, swapped in pairs:
            before, product = nodes[i % len(nodes)], nodes[j % len(nodes)] * nodes[k % len(nodes)]
            nodes += [product, product + before if swapped else before + product]
            if abs(nodes[-1].data) > 1e6:
                nodes[-2:] = []
        nodes[-1].backward()
        return nodes

    ours, theirs = build(Value), build(reference.Value)
    assert [v.data for v in ours] == [v.data for v in theirs]
    for v, w in zip(ours, theirs, strict=True):
        assert v.grad == pytest.approx(w.grad, rel=1e-12, abs=1e-9)
