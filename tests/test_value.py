"""What a Value is made from, what can be read from and written to it, and what arithmetic builds: row by row."""

from __future__ import annotations

import gc
import math
import operator
import random
from typing import Any

import numpy as np
import pytest

import kilograd
from kilograd import Value, no_grad, reference
from kilograd.micrograd.engine import Value as MicrogradValue

# --- construction ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (2, "2"),
        (2.5, "2.5"),
        (True, "True"),
        (-0.0, "-0.0"),
        (np.float64(1.5), "1.5"),
        (np.float32(0.5), "0.5"),
        (np.float16(0.5), "0.5"),
        (np.longdouble(0.25), "0.25"),
        (np.int64(-3), "-3"),
        (np.uint8(200), "200"),
        (np.bool_(True), "True"),
        (2**53, str(2**53)),
        (2**60, "1.152921504606847e+18"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_a_leaf_holds_a_python_number(data, shown):
    v = Value(data)
    assert type(v.data) in (int, float, bool)
    assert repr(v) == str(v) == f"Value(data={shown})"
    assert v.grad == 0.0
    assert type(v.grad) is float
    assert (v.label, v._op, v._prev, v._children, v._local_grads) == ("", "", set(), (), ())


class Strange(float):
    """A subclass of float is a float."""


def test_subclasses_of_numbers_are_numbers():
    assert Value(Strange(1.5)).data == 1.5
    assert (Value(1.0) + Strange(2.0)).data == 3.0


@pytest.mark.parametrize(
    "data", ["1.0", None, 1j, [1.0], (), {}, b"1", object(), np.array([1.0]), np.complex128(1), Value]
)
def test_anything_else_is_a_type_error_that_names_it(data):
    nodes = kilograd.live_nodes()
    with pytest.raises(TypeError, match=rf"real number.*not .*{type(data).__name__}"):
        Value(data)
    assert kilograd.live_nodes() == nodes


def test_a_value_of_a_value_is_a_type_error():
    v = Value(1.0)
    with pytest.raises(TypeError, match=r"not kilograd\.Value"):
        Value(v)


def test_an_int_past_the_floats_is_an_overflow_error():
    v = Value(1.0)
    nodes = kilograd.live_nodes()
    for build in (lambda: Value(10**400), lambda: v + 10**400, lambda: 10**400 * v, lambda: v / 10**400):
        with pytest.raises(OverflowError):
            build()
    assert kilograd.live_nodes() == nodes
    assert v.data == 1.0


@pytest.fixture
def pair():
    return Value(2.0), Value(-3.0)


SPELLINGS = {
    "positional": lambda a, b: Value(-1.0, (a, b), "+", "e"),
    "article": lambda a, b: Value(-1.0, (a, b), "+", label="e"),
    "underscored": lambda a, b: Value(-1.0, _children=(a, b), _op="+", label="e"),
    "plain keywords": lambda a, b: Value(data=-1.0, children=(a, b), op="+", label="e"),
    "_prev": lambda a, b: Value(-1.0, _prev=(a, b), _op="+", label="e"),
    "a list": lambda a, b: Value(-1.0, [a, b], "+", label="e"),
    "a generator": lambda a, b: Value(-1.0, (v for v in (a, b)), "+", label="e"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spellings_of_a_custom_op(spelling, pair):
    a, b = pair
    e = SPELLINGS[spelling](a, b)
    assert (e.data, e._op, e.label, e._children, e._prev) == (-1.0, "+", "e", (a, b), {a, b})
    e.backward()  # no rule yet: the gradient stops here
    assert (e.grad, a.grad, b.grad) == (1.0, 0.0, 0.0)

    def rule() -> None:
        a.grad += 10 * e.grad
        b.grad += 20 * e.grad

    e._backward = rule
    (e * 2).backward()
    assert (e.grad, a.grad, b.grad) == (3.0, 30.0, 60.0)


LOCALS = {
    "positional": lambda a, b: Value(-1.0, (a, b), (0.5, 7)),
    "keywords": lambda a, b: Value(-1.0, children=(a, b), local_grads=(0.5, 7)),
    "underscored": lambda a, b: Value(-1.0, _children=(a, b), _local_grads=(0.5, 7)),
    "lists": lambda a, b: Value(-1.0, [a, b], [0.5, 7]),
    "numpy": lambda a, b: Value(-1.0, (a, b), np.array([0.5, 7.0])),
}


@pytest.mark.parametrize("spelling", LOCALS)
def test_spellings_of_local_gradients(spelling, pair):
    a, b = pair
    e = LOCALS[spelling](a, b)
    assert (e.data, e._op, e._children, e._local_grads) == (-1.0, "", (a, b), (0.5, 7))
    (e * 3).backward()
    assert (e.grad, a.grad, b.grad) == (3.0, 1.5, 21.0)


def test_local_gradients_of_one_child_twice(pair):
    a, _ = pair
    e = Value(4.0, (a, a), (2.0, 2.0))
    e.backward()
    assert a.grad == 4.0
    assert e._prev == {a}


@pytest.mark.parametrize(
    ("build", "error", "match"),
    [
        (lambda a, b: Value(), TypeError, "needs a number"),
        (lambda a, b: Value(1.0, (a, b), (1.0,)), ValueError, "1 local gradients for 2 children"),
        (lambda a, b: Value(1.0, (), (1.0,)), ValueError, "1 local gradients for 0 children"),
        (lambda a, b: Value(1.0, (a, b), (1.0, "x")), TypeError, "local gradient"),
        (lambda a, b: Value(1.0, (a, 2.0), "+"), TypeError, "child 1 .* must be a Value, not float"),
        (lambda a, b: Value(1.0, a), TypeError, "children"),
        (lambda a, b: Value(1.0, 5), TypeError, "children"),
        (lambda a, b: Value(1.0, (a,), 5), TypeError, "op name"),
        (lambda a, b: Value(1.0, (a,), "+", "l", 5), TypeError, "at most 4"),
        (lambda a, b: Value(1.0, colour="red"), TypeError, "colour"),
        (lambda a, b: Value(1.0, data=2.0), TypeError, "several values for data"),
        (lambda a, b: Value(1.0, (a,), children=(b,)), TypeError, "several values for children"),
        (lambda a, b: Value(1.0, (a,), "+", local_grads=(1.0,)), TypeError, "several values for local_grads"),
    ],
)
def test_refused_constructions_build_nothing(build, error, match, pair):
    nodes = kilograd.live_nodes()
    with pytest.raises(error, match=match):
        build(*pair)
    assert kilograd.live_nodes() == nodes
    for v in pair:
        assert v.grad == 0.0


# --- attributes ------------------------------------------------------------------------------------------------------


def test_data_and_grad_are_written_in_place():
    p = Value(2.0)
    p.grad = 4
    assert p.grad == 4.0
    assert type(p.grad) is float
    p.data -= 0.1 * p.grad
    assert p.data == 2.0 - 0.1 * 4.0
    p.data = 3
    assert repr(p) == "Value(data=3)"
    p.grad = np.float32(0.5)
    assert p.grad == 0.5
    p.grad = 0
    assert repr(p.grad) == "0.0"


@pytest.mark.parametrize("name", ["data", "grad"])
@pytest.mark.parametrize("bad", ["1", None, [1.0], 1j])
def test_refused_writes_change_nothing(name, bad):
    v = Value(2.0)
    v.grad = 3.0
    with pytest.raises(TypeError, match=f"the {name} of a Value must be a real number"):
        setattr(v, name, bad)
    assert (v.data, v.grad) == (2.0, 3.0)
    with pytest.raises(AttributeError, match="cannot be deleted"):
        delattr(v, name)


@pytest.mark.parametrize("name", ["_prev", "_children", "_local_grads"])
def test_what_a_node_was_made_from_is_read_only(name):
    with pytest.raises(AttributeError):
        setattr(Value(1.0), name, ())


@pytest.mark.parametrize(
    ("expression", "data"),
    [
        (lambda x, y: x * y, "6"),
        (lambda x, y: x + y, "5"),
        (lambda x, y: x - y, "-1"),
        (lambda x, y: -x, "-2"),
        (lambda x, y: x**2, "4"),
        (lambda x, y: x**y, "8"),
        (lambda x, y: 2**x, "4"),
        (lambda x, y: x + 1, "3"),
        (lambda x, y: x * 1.0, "2.0"),
        (lambda x, y: x / y, repr(2 * 3**-1)),
        (lambda x, y: x**-1, "0.5"),
        (lambda x, y: x**0.5, repr(2**0.5)),
        (lambda x, y: x + True, "3"),
        (lambda x, y: x * 2**52 * 2, "1.8014398509481984e+16"),
        (lambda x, y: x * 2**52, "9007199254740992"),
        (lambda x, y: x**60, "1.152921504606847e+18"),
        (lambda x, y: (x * 0) * -1, "0"),
        (lambda x, y: (x * 0) * -1 * 1.0, "0.0"),
        (lambda x, y: -(x - x) + 0.0 * -1, "0.0"),
        (lambda x, y: sum([x, y]), "5"),
    ],
)
def test_integers_stay_integers_while_they_are_exact(expression, data):
    assert repr(expression(Value(2), Value(3))) == f"Value(data={data})"


@pytest.mark.parametrize("make", [Value, MicrogradValue])
def test_no_integer_is_shown_that_is_not_the_number(make):
    """Past 2**53 numbers are floats; a sum, a product or a number that is rounded to 2**53 is no integer either."""
    limit = 2**53
    for sign in (1, -1):
        for exact in (limit, limit - 1):
            assert type(make(sign * exact).data) is int
        for far in (limit + 1, limit + 2, limit * 4, 10**20 + 1):
            v = make(sign * far)
            assert (type(v.data), v.data) == (float, float(sign * far))
            v = make(1)
            v.data = sign * far
            assert type(v.data) is float
    results = [
        (make(limit) + 1, limit + 1),
        (make(limit) + make(1), limit + 1),
        (make(2**52) + (2**52 + 1), limit + 1),
        (make(2**52) + 2**52, limit),
        (make(limit - 1) + 1, limit),
        (make(-limit) + -1, -limit - 1),
        (make(2) * 2**52, limit),
        (make(3) * 3002399751580331, limit + 1),
        (make(3) ** 33, 3**33),
        (make(3) ** 34, 3**34),
        (make(2) ** 53, limit),
    ]
    for v, true in results:
        assert math.isclose(v.data, true, rel_tol=2.0**-52)
        assert type(v.data) is float or v.data == true
        assert type(v.data) is int or abs(true) > limit


def test_local_gradients_past_the_exact_integers_are_floats():
    assert (Value(3) ** 2)._local_grads == (6,)
    assert (Value(2) ** 1023)._local_grads == (math.inf,)
    assert repr((Value(2) ** 60)._local_grads) == f"({60 * 2.0**59!r},)"


def test_booleans_add_up_as_ints():
    assert repr(Value(True) + Value(True)) == "Value(data=2)"
    assert repr(Value(True) * Value(3)) == "Value(data=3)"


def test_gradients_read_as_floats():
    a = Value(3)
    (a * 2).backward()
    assert repr(a.grad) == "2.0"


def test_labels_live_as_long_as_the_node():
    a = Value(1.0, label="a")
    c = a * 2
    c.label = "größer"
    d = c + 1
    del a, c
    gc.collect()
    (c,) = (v for v in d._children if v._op)
    assert c.label == "größer"
    assert [v.label for v in c._children] == ["a", ""]


def test_op_names():
    a, b = Value(0.5), Value(2.0)
    names = [
        ((a + b)._op, "+"),
        ((a * b)._op, "*"),
        ((a**2)._op, "**2"),
        ((a**-1)._op, "**-1"),
        ((a**0.5)._op, "**0.5"),
        ((a**2.0)._op, "**2.0"),
        ((a**True)._op, "**True"),
        ((a**b)._op, "**"),
        ((a - b)._op, "+"),
        ((a / b)._op, "*"),
        (a.tanh()._op, "tanh"),
        (a.exp()._op, "exp"),
        (a.log()._op, "log"),
        (a.relu()._op, "ReLU"),
        (a._op, ""),
    ]
    assert [got for got, _ in names] == [want for _, want in names]
    c = a + b
    c._op = "plus"
    d = c * 2
    del c
    assert {v._op for v in d._children} == {"plus", ""}


def test_children_are_the_same_objects_every_time():
    a = Value(2.0)
    c = (a * 3.0) + (a + a)
    product, total = c._children
    assert total._children == (a, a)
    assert total._children[0] is a
    assert total._prev == {a}
    assert type(c._prev) is set
    assert c._prev == {product, total}
    assert product in c._prev
    for _ in range(3):
        gc.collect()
        assert {id(v) for v in c._prev} == {id(product), id(total)}
    three = next(v for v in product._prev if v is not a)
    names = {three: "three", a: "a"}
    del three
    assert sorted(names[v] for v in product._prev) == ["a", "three"]


def test_hash_and_equality_are_by_identity():
    a, b = Value(1.0), Value(1.0)
    assert a == a
    assert a != b
    assert len({a, b, a}) == 2
    assert bool(Value(0.0)) is True
    assert hash(a) == hash(a)
    assert a not in [b]


@pytest.mark.parametrize("make", [lambda a: a, lambda a: a * 2, lambda a: Value(1.0, (a,), "f")])
def test_every_node_has_a_callable_backward(make):
    a = Value(2.0)
    v = make(a)
    v.grad = 5.0
    assert v._backward() is None
    assert a.grad == (10.0 if v._op == "*" else 5.0 if v is a else 0.0)


def test_backward_rule_can_be_taken_off_and_put_on():
    a = Value(2.0)
    c = a * 3
    own = c._backward
    calls = []
    c._backward = lambda: (calls.append(1), own())
    c.backward()
    assert (calls, a.grad) == ([1], 3.0)
    del c._backward
    a.grad = 0.0
    c.backward()
    assert a.grad == 3.0
    with pytest.raises(TypeError, match="callable"):
        c._backward = 5


def test_a_rule_that_wraps_the_ops_own_rule_sees_the_wrapper():
    """`own = c._backward` is the op's rule, bound to the node: calling it from the new rule must not recurse."""
    a = Value(2.0)
    c = a * 3
    own = c._backward
    c._backward = lambda: own()
    c.backward()
    assert a.grad == 3.0


def test_any_attribute_lives_as_long_as_the_node():
    a = Value(1.0)
    a.position = (3, 4)
    c = a * 2
    c.note = ["x"]
    d = c + 1
    del a, c
    gc.collect()
    c = next(v for v in d._children if v._op)
    assert c.note == ["x"]
    a = next(v for v in c._children if hasattr(v, "position"))
    assert a.position == (3, 4)
    assert vars(a) == {"position": (3, 4)}
    del a.position
    with pytest.raises(AttributeError):
        a.position  # noqa: B018


def test_attributes_given_after_the_consumers_exist_live_too():
    a = Value(1.0)
    c = a * 2
    a.position = (3, 4)
    a.label = "late"
    del a
    gc.collect()
    a = c._children[0]
    assert (a.position, a.label) == ((3, 4), "late")


# --- the class -------------------------------------------------------------------------------------------------------


def test_methods_can_be_added_to_the_class():
    def cube(self: Any) -> Any:
        out = Value(self.data**3, (self,), "cube")

        def _backward() -> None:
            self.grad += 3 * self.data**2 * out.grad

        out._backward = _backward
        return out

    Value.cube = cube
    try:
        x = Value(2.0)
        y = x.cube()
        y.backward()
        assert (y.data, x.grad, y._op) == (8.0, 12.0, "cube")
        assert MicrogradValue(2.0).cube().data == 8.0
    finally:
        del Value.cube
    assert not hasattr(Value(1.0), "cube")


@pytest.mark.parametrize("cls", [Value, MicrogradValue])
def test_methods_of_the_class_can_be_replaced(cls):
    own = {name: vars(Value)[name] for name in ("backward", "tanh", "__add__", "__repr__")}
    seen = []
    try:
        Value.backward = lambda self: seen.append("backward")
        Value.tanh = lambda self: "tanh"
        Value.__add__ = lambda self, other: "sum"
        Value.__repr__ = lambda self: "a value"
        v = cls(1.0)
        v.backward()
        assert (v.tanh(), v + 1, repr(v), seen) == ("tanh", "sum", "a value", ["backward"])
    finally:
        for name, method in own.items():
            setattr(Value, name, method)
    assert repr(Value(1.0) + 1) == "Value(data=2.0)"


@pytest.mark.parametrize("cls", [Value, MicrogradValue])
def test_data_and_grad_of_the_class_can_be_replaced(cls):
    """Writes to them are served without a look-up, as long as the class has them as they are."""

    class Mine(cls):
        pass

    v, mine, written = cls(1.0), Mine(1.0), []
    for own in (v, mine):
        own.grad = own.data = 2.0
    original = vars(cls).get("grad")
    found = cls.grad
    cls.grad = property(lambda self: 7.0, lambda self, value: written.append(value))
    try:
        v.grad = 3.0
        mine.grad = 4.0
        assert (v.grad, mine.grad, written) == (7.0, 7.0, [3.0, 4.0])
    finally:
        if original is None:
            del cls.grad
        else:
            cls.grad = original
    assert cls.grad is found
    assert (v.grad, mine.grad) == (2.0, 2.0)
    Mine.data = property(lambda self: 8.0)
    with pytest.raises(AttributeError):
        mine.data = 5.0
    v.data = v.grad = 5.0
    assert (v.data, v.grad, mine.data) == (5.0, 5.0, 8.0)


@pytest.mark.parametrize("cls", [Value, MicrogradValue])
def test_the_constructor_can_be_replaced(cls):
    own = Value.__init__

    def init(self: Any, data: Any, *args: Any, **kwargs: Any) -> None:
        own(self, data, *args, **kwargs)
        self.velocity = 0.0

    Value.__init__ = init
    try:
        v = cls(2.0, label="v")
        assert (v.data, v.label, v.velocity) == (2.0, "v", 0.0)
        w = cls(4.0, (v, v), "+")
        assert (w._children, w._op, w.velocity) == ((v, v), "+", 0.0)
    finally:
        Value.__init__ = own
    assert not hasattr(cls(1.0), "velocity")
    assert cls(1.0, label="x").label == "x"


class Named(Value):
    """A subclass as people write one."""

    def __init__(self, data: float, name: str = "?", **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.name = name

    def double(self) -> Value:
        return self * 2


def test_subclasses():
    v = Named(2.0, name="n", label="l")
    assert isinstance(v, Value)
    assert (v.data, v.name, v.label) == (2.0, "n", "l")
    out = v.double()
    assert type(out) is Value  # as in the reference
    out.backward()
    assert v.grad == 2.0
    assert repr(v) == "Value(data=2.0)"
    w = Named(4.0, children=(v, v), local_grads=(1.0, 1.0))
    w.backward()
    assert v.grad == 4.0


class Tracked(MicrogradValue):
    pass


def test_a_subclass_gives_the_plain_type_of_its_family():
    assert type(Tracked(1.0) + 1) is MicrogradValue
    assert type(MicrogradValue(1.0) * Tracked(2.0)) is MicrogradValue
    assert repr(Tracked(1.0)) == "Value(data=1.0, grad=0)"


class Uninitialised(Value):
    def __init__(self) -> None:
        pass


def test_a_subclass_that_never_calls_the_constructor_is_zero():
    v = Uninitialised()
    assert (v.data, v.grad, v._children) == (0.0, 0.0, ())
    assert (v + 1).data == 1.0


def test_calling_the_constructor_again_starts_anew():
    a = Value(1.0)
    c = a * 2
    c.__init__(5.0, label="again")
    assert (c.data, c._children, c.label) == (5.0, (), "again")
    c.backward()
    assert a.grad == 0.0


# --- arithmetic ------------------------------------------------------------------------------------------------------

EXPRESSIONS = {
    "a + b": lambda a, b: a + b,
    "a - b": lambda a, b: a - b,
    "a * b": lambda a, b: a * b,
    "a / b": lambda a, b: a / b,
    "-a": lambda a, b: -a,
    "+a + 0": lambda a, b: a + 0,
    "a + 2": lambda a, b: a + 2,
    "2 + a": lambda a, b: 2 + a,
    "a - 2.5": lambda a, b: a - 2.5,
    "2.5 - a": lambda a, b: 2.5 - a,
    "a * 2": lambda a, b: a * 2,
    "2 * a": lambda a, b: 2 * a,
    "a / 4": lambda a, b: a / 4,
    "4 / a": lambda a, b: 4 / a,
    "a + True": lambda a, b: a + True,
    "a - True": lambda a, b: a - True,
    "a - 0": lambda a, b: a - 0,
    "a - 0.0": lambda a, b: a - 0.0,
    "a**2": lambda a, b: a**2,
    "a**-1": lambda a, b: a**-1,
    "a**0": lambda a, b: a**0,
    "a**0.5": lambda a, b: a**0.5,
    "sum": lambda a, b: sum([a, b, a]),
    "tanh": lambda a, b: a.tanh(),
    "exp": lambda a, b: a.exp(),
    "log": lambda a, b: a.log(),
    "sqrt": lambda a, b: a.sqrt(),
    "sin": lambda a, b: a.sin(),
    "cos": lambda a, b: a.cos(),
    "relu": lambda a, b: b.relu(),
    "sigmoid": lambda a, b: a.sigmoid(),
    "abs": lambda a, b: abs(b),
    "np.float64(2) * a": lambda a, b: np.float64(2) * a,
    "a * np.float64(2)": lambda a, b: a * np.float64(2),
    "-np.int64(1) * a": lambda a, b: -np.int64(1) * a,
    "np.int64(3) - a": lambda a, b: np.int64(3) - a,
    "a - np.int64(3)": lambda a, b: a - np.int64(3),
    "a - np.uint8(3)": lambda a, b: a - np.uint8(3),
    "np.float32(0.5) / a": lambda a, b: np.float32(0.5) / a,
    "a / np.float32(0.5)": lambda a, b: a / np.float32(0.5),
    "a ** np.int64(2)": lambda a, b: a ** np.int64(2),
    "a + np.True_": lambda a, b: a + np.True_,
    "((a+b)*(a-b))/b": lambda a, b: ((a + b) * (a - b)) / b,
}


def structure(v: Any) -> tuple[Any, ...]:
    """A graph as nested tuples: class of number, number, op, operands in order."""
    return (type(v.data).__name__, repr(v.data), v._op, *map(structure, v._children))


@pytest.mark.parametrize("operands", [(2.5, -1.5), (3, 2), (0.5, 4)], ids=str)
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_arithmetic_builds_what_the_reference_builds(name, operands):
    mine, theirs = ([cls(x) for x in operands] for cls in (Value, reference.Value))
    out, expected = EXPRESSIONS[name](*mine), EXPRESSIONS[name](*theirs)
    if name in ("relu", "abs"):  # of an int they are an int in the reference
        expected.data = float(expected.data)
    assert structure(out) == structure(expected)
    out.backward()
    expected.backward()
    for v, w in zip(mine, theirs, strict=True):
        assert v.grad == pytest.approx(w.grad, rel=4e-16, abs=0)


def test_in_place_forms_build_new_nodes():
    a = b = Value(3.0)
    a += 1
    a -= 2
    a *= 4
    a /= 8
    a **= 2
    assert (a.data, b.data) == (1.0, 3.0)
    assert a is not b
    a.backward()
    assert b.grad == 1.0


def test_powers_with_a_value_for_exponent_differentiate_in_both():
    a, b = Value(3.0), Value(2.0)
    c = a**b
    c.backward()
    assert (c.data, a.grad, b.grad) == (9.0, 6.0, 9.0 * math.log(3.0))
    x = Value(3.0)
    y = 2**x
    y.backward()
    assert (y.data, x.grad) == (8.0, 8.0 * math.log(2.0))
    assert pow(Value(3.0), 2).data == 9.0
    with pytest.raises(TypeError, match="modulus"):
        pow(Value(3.0), 2, 5)


@pytest.mark.parametrize("convert", [float, int, complex, math.exp, math.sqrt, round, range])
def test_a_value_does_not_turn_into_a_number(convert):
    with pytest.raises(TypeError):
        convert(Value(1.0))


def test_the_refusal_says_what_to_write():
    for convert in (float, math.exp):
        with pytest.raises(TypeError, match=r"v\.data"):
            convert(Value(1.0))


def test_rounding_would_drop_the_gradient():
    for digits in ((), (2,), (None,)):
        with pytest.raises(TypeError, match=r"round\(v\.data, 2\)"):
            round(Value(1.25), *digits)


@pytest.mark.parametrize("name", ["item", "detach", "numpy"])
def test_what_tensors_have_says_what_a_value_has(name):
    v = Value(1.0)
    with pytest.raises(AttributeError, match=r"v\.data"):
        getattr(v, name)
    assert not hasattr(v, name)
    assert not hasattr(Value, name)
    assert name not in dir(v)
    setattr(v, name, 3)  # an attribute like any other
    assert getattr(v, name) == 3
    assert name in dir(v)
    delattr(v, name)
    assert not hasattr(v, name)

    class Tensor(Value):
        pass

    setattr(Tensor, name, lambda self: self.data)
    assert getattr(Tensor(2.0), name)() == 2.0


@pytest.mark.parametrize("number", [2.0**53, -(2.0**53), 1e300, math.inf, -math.inf, math.nan, 2**53 - 1, True])
@pytest.mark.parametrize("other", [2**53 + 1, -(2**53) - 1, 2**53, 2**60, 10**300, 10**400, -(10**400)])
def test_ordering_with_integers_that_no_float_holds_is_that_of_the_number(number: float, other: int):
    value = Value(number)
    for compare in (operator.lt, operator.le, operator.gt, operator.ge):
        assert compare(value, other) is compare(number, other)
        assert compare(other, value) is compare(other, number)


def test_a_format_is_a_text():
    with pytest.raises(TypeError, match="takes a str, not list"):
        Value(1.0).__format__([])  # type: ignore[arg-type]


def test_ordering_is_by_data():
    small, large = Value(1.0), Value(2)
    assert small < large
    assert small <= 1
    assert large > 1.5
    assert large >= small
    assert large > 1.5
    assert not large > 3
    assert np.float64(1.5) < large
    assert max([small, large]) is large
    assert sorted([large, small]) == [small, large]
    assert not Value(math.nan) < small
    for other in ("a", None, [1]):
        with pytest.raises(TypeError):
            small < other  # noqa: B015


def test_formatting_is_of_the_data():
    v = Value(math.pi)
    assert f"{v:.4f}" == "3.1416"
    assert f"{v}" == "Value(data=3.141592653589793)"
    assert f"{Value(3):04d}" == "0003"
    with pytest.raises(ValueError, match="format"):
        f"{v:d}"


@pytest.mark.parametrize("other", ["a", None, [1], {}, object(), 1j], ids=lambda other: type(other).__name__)
@pytest.mark.parametrize(
    "operation",
    [
        lambda x, y: x + y,
        lambda x, y: x - y,
        lambda x, y: x * y,
        lambda x, y: x / y,
        lambda x, y: x**y,
    ],
)
def test_operands_that_are_no_numbers(operation, other):
    v = Value(1.0)
    nodes = kilograd.live_nodes()
    for pair in ((v, other), (other, v)):
        with pytest.raises(TypeError):
            operation(*pair)
    assert kilograd.live_nodes() == nodes
    assert (v.data, v.grad) == (1.0, 0.0)


@pytest.mark.parametrize("divide", [lambda v, w: v / w, lambda v, w: 1 / w, lambda v, w: v / 0, lambda v, w: v / 0.0])
def test_division_by_zero_builds_nothing(divide):
    v, w = Value(1.0), Value(0.0)
    nodes = kilograd.live_nodes()
    with pytest.raises(ZeroDivisionError, match="divides by zero"):
        divide(v, w)
    assert kilograd.live_nodes() == nodes


def test_reflected_operators_of_other_classes_get_their_turn():
    class Other:
        def __radd__(self, other: object) -> str:
            return "mine"

        def __gt__(self, other: object) -> str:
            return "greater"

    v = Value(1.0)
    assert v + Other() == "mine"
    assert (v < Other()) == "greater"


# --- no_grad ---------------------------------------------------------------------------------------------------------


def test_no_grad_gives_leaves():
    a = Value(2.0)
    with no_grad():
        outs = [a * 3, a + 1, a.tanh(), a**2, -a, a - 1, 1 / a, Value(7.0, (a,), "f"), Value(7.0, (a,), (1.0,))]
        with no_grad():
            outs.append(a * a)
        outs.append(a - a)
    assert all(v._children == () for v in outs)
    assert outs[0].data == 6.0
    assert (a * 3)._children[0] is a
    outs[0].backward()
    assert a.grad == 0.0


def test_no_grad_is_a_decorator_and_ends_with_an_exception():
    @no_grad()
    def infer(v: Value) -> Value:
        return v * 2

    a = Value(2.0)
    assert infer(a)._children == ()
    with pytest.raises(RuntimeError, match="inside"), no_grad():
        raise RuntimeError("inside")
    assert (a * 2)._children != ()


def test_random_programs_of_attribute_writes_leave_the_numbers_alone():
    random.seed(5)
    values = [Value(random.uniform(0.5, 2.0)) for _ in range(5)]
    plain = [v.data for v in values]
    for step in range(400):
        i, j = random.randrange(len(values)), random.randrange(len(values))
        v = values[i]
        what = random.randrange(6)
        if what == 0:
            v.label = f"v{step}"
        elif what == 1:
            v.note = [step]
        elif what == 2:
            v._op = "renamed"
        elif what == 3 and len(values) > 40:
            del values[i], plain[i]
        else:
            values.append((values[i] * values[j]).tanh())
            plain.append(math.tanh(plain[i] * plain[j]))
        if step % 50 == 0:
            gc.collect()
    assert [v.data for v in values] == plain
