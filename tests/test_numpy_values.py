"""Values beside NumPy's scalars and inside NumPy's arrays."""

from __future__ import annotations

import math
import operator

import numpy as np
import pytest

import kilograd
from kilograd import Value

SCALARS = [
    np.float64(2),
    np.float32(2),
    np.float16(2),
    np.int64(2),
    np.int8(2),
    np.uint64(2),
    np.longdouble(2),
    np.True_,
]


@pytest.mark.parametrize("scalar", SCALARS, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize(
    "operation",
    [lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, lambda x, y: x / y, lambda x, y: x**y],
)
def test_a_scalar_on_either_side_gives_a_value_with_a_python_number(operation, scalar):
    v = Value(3.0)
    number = scalar.item() if not isinstance(scalar, np.longdouble) else 2.0
    for out, expected in (
        (operation(scalar, v), operation(number, 3.0)),
        (operation(v, scalar), operation(3.0, number)),
    ):
        assert type(out) is Value
        assert type(out.data) is float
        assert out.data == pytest.approx(expected, rel=1e-15)
        out.backward()


def test_minus_one_times_a_value():
    v = Value(3.0)
    out = -np.int64(1) * v
    assert repr(out) == "Value(data=-3.0)"
    assert repr(np.float64(2) * Value(3.0)) == "Value(data=6.0)"


def test_in_place_on_a_scalar():
    total = np.float64(0.0)
    v = Value(3.0)
    total += v
    assert type(total) is Value
    v += np.float64(1.0)
    assert type(v) is Value


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(
    "operation",
    [lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, lambda x, y: x / y, lambda x, y: x**y],
)
def test_an_array_on_either_side_gives_an_object_array(operation, side):
    v, array = Value(3.0), np.array([[1.0, 2.0], [4.0, 0.5]])
    pair = (array, v) if side == "left" else (v, array)
    plain = (array, 3.0) if side == "left" else (3.0, array)
    out = operation(*pair)
    assert isinstance(out, np.ndarray)
    assert out.dtype == object
    assert all(type(x) is Value for x in out.flat)
    assert np.array([[x.data for x in row] for row in out]) == pytest.approx(operation(*plain), rel=1e-15)


def test_in_place_on_an_array_makes_it_an_object_array():
    array = np.array([1.0, 2.0])
    array = array * Value(2.0)
    array += 1
    assert [x.data for x in array] == [3.0, 5.0]


def test_arrays_of_values():
    values = [Value(1.0), Value(2.0), Value(3.0)]
    array = np.array(values)
    assert array.dtype == object
    assert all(x is y for x, y in zip(array, values, strict=True))
    ones = np.array([Value(1.0)] * 3)
    weights = np.array([[0.5, 1.0, 1.5]])
    cases = [
        (array @ array, 14.0),
        (np.dot(array, ones), 6.0),
        (np.sum(array), 6.0),
        (array.sum(), 6.0),
        (np.mean(array), 2.0),
        ((weights @ array)[0], 7.0),
        (np.prod(array), 6.0),
        (np.max(array), 3.0),
        (array.min(), 1.0),
    ]
    for out, want in cases:
        assert type(out) is Value
        assert out.data == pytest.approx(want, rel=1e-15)
    (array @ array).backward()
    assert [v.grad for v in values] == [2.0, 4.0, 6.0]


@pytest.mark.parametrize(
    "name",
    [
        "exp",
        "tanh",
        "sqrt",
        "log",
        "sin",
        "cos",
        "tan",
        "expm1",
        "log1p",
        "sinh",
        "cosh",
        "arcsin",
        "arccos",
        "arctan",
        "arcsinh",
        "arccosh",
        "arctanh",
    ],
)
def test_functions_of_numpy_call_the_method_of_the_same_name(name):
    function = getattr(np, name)
    points = (1.25, 1.75) if name == "arccosh" else (0.25, 0.75)
    for x in points:
        v = Value(x)
        out = function(v)
        assert type(out) is Value
        assert out.data == pytest.approx(float(function(x)), rel=4e-16)
        out.backward()
        assert v.grad != 0.0
    array = function(np.array([Value(x) for x in points]))
    assert [type(x) for x in array] == [Value, Value]
    assert array[0]._op == name.replace("arc", "a")


def test_more_functions_of_numpy():
    v = Value(-2.0)
    assert np.abs(v).data == 2.0
    assert np.negative(v).data == 2.0
    assert np.square(v).data == 4.0
    assert np.maximum(v, Value(1.0)).data == 1.0
    assert np.minimum(v, 1.0) is v
    assert np.power(v, 2).data == 4.0
    assert np.add(v, 1.0).data == -1.0
    total = np.add.reduce(np.array([v, v, v]))
    total.backward()
    assert (total.data, v.grad) == (-6.0, 3.0)


def test_comparisons_with_arrays_are_elementwise():
    v, array = Value(2.0), np.array([1.0, 2.0, 3.0])
    assert (v < array).tolist() == [False, False, True]
    assert (v >= array).tolist() == [True, True, False]
    assert (array > v).tolist() == [False, False, True]
    assert np.argmax(np.array([Value(1.0), Value(5.0), Value(2.0)])) == 1
    assert [x.data for x in np.sort(np.array([Value(3.0), Value(1.0)]))] == [1.0, 3.0]


def test_refusals_in_arrays_build_nothing():
    v = Value(0.0)
    array = np.array([1.0, 2.0])
    nodes = kilograd.live_nodes()
    with pytest.raises(ZeroDivisionError):
        array / v
    with pytest.raises(TypeError):
        np.array(["a", "b"]) * v
    with pytest.raises(TypeError):
        np.array([1.0, 2.0], dtype=float)[0] + np.array([None]) * v
    assert kilograd.live_nodes() == nodes


def test_filling_a_float_array_would_drop_the_gradient():
    with pytest.raises((TypeError, ValueError)):
        np.array([Value(1.0)], dtype=float)
    array = np.zeros(2)
    with pytest.raises((TypeError, ValueError)):
        array[0] = Value(1.0)
    assert array.tolist() == [0.0, 0.0]


def test_nan_and_infinity_from_numpy():
    assert math.isnan((Value(1.0) * np.float64("nan")).data)
    assert (Value(1.0) + np.float64("inf")).data == math.inf


@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge])
def test_an_order_is_that_of_floats(compare):
    """Python compares an integer exactly, NumPy rounds its own: 2.0**53 is below 2**53 + 1 in one of them."""
    for x in (2.0**53, -(2.0**53), 1.5):
        for y in (2**53 + 1, np.int64(2**53 + 1), np.uint64(2**63 + 1), np.float32(1.5), np.int8(1)):
            assert compare(Value(x), y) == compare(x, y)
            assert compare(y, Value(x)) == compare(y, x)
