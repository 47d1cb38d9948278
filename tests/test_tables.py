"""Tables: what counts as one, and what is refused. `tests/fuzz/training.py` compares the numbers they give."""

from __future__ import annotations

import sys

import numpy as np
import pandas
import polars
import pytest

import kilograd
from kilograd import MLP, Value, fit, optim, predict, tables
from kilograd.tables import Rows

MATRIX = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


class Columns:
    """Iterates over its columns' names, as most tables do."""

    def __init__(self, array=MATRIX):
        self.array = array

    def __iter__(self):
        return iter(range(self.array.shape[1]))


class WithArray(Columns):
    def __array__(self, dtype=None, copy=None):
        return self.array


class WithToNumpy(Columns):
    def to_numpy(self):
        return self.array


class WithStream(Columns):
    def __arrow_c_stream__(self, requested_schema=None):
        return polars.DataFrame(self.array).__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize(
    "table",
    [
        MATRIX,
        MATRIX.astype(object),
        MATRIX.astype("f4"),
        WithArray(),
        WithToNumpy(),
        pandas.DataFrame(MATRIX, columns=["x", "y"], index=[2, 1, 0]),
        pandas.DataFrame({"x": pandas.array([1, 3, 5], "Int64"), "y": pandas.array([2.0, 4.0, 6.0], "Float64")}),
        pandas.Series(MATRIX.tolist()),
        polars.DataFrame(MATRIX),
        polars.Series(MATRIX.tolist()),
    ],
    ids=lambda table: type(table).__name__,
)
def test_a_table_means_its_rows(table):
    np.testing.assert_array_equal(tables.numbers(table, "X"), MATRIX)
    np.testing.assert_array_equal(kilograd.arrays.data(table), MATRIX)
    assert predict(lambda x: Value(x[0] * 10 + x[1]), table).tolist() == [12.0, 34.0, 56.0]
    seen = []
    fit(lambda x: seen.append(x) or Value(0.0), table, [1.0] * 3, optimizer=optim.SGD([Value(0.0)]), epochs=1)
    assert seen[-3:] == MATRIX.tolist()
    assert all(type(row) is list for row in seen)


def test_arrow_needs_pyarrow(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(TypeError, match="WithStream.*pyarrow"):
        predict(MLP(2, [1]), WithStream())


@pytest.mark.parametrize(
    ("table", "error", "match"),
    [
        ({"x": [1.0]}, TypeError, r"dict.*list\(d\.values\(\)\)"),
        ({1.0, 2.0}, TypeError, "set.*no order"),
        ("1 2", TypeError, "str.*float"),
        (b"12", TypeError, "bytes"),
        (polars.DataFrame(MATRIX).lazy(), TypeError, r"LazyFrame.*collect\(\)"),
        (MATRIX * 1j, TypeError, r"complex128.*\.real"),
        (np.array(["2020-01-01"], "M8[ns]"), TypeError, "datetime64.*numbers first"),
        (pandas.DataFrame({"t": pandas.to_timedelta([1, 2], "s")}), TypeError, "timedelta64.*numbers first"),
        (np.array([(1, 2.0)], "i8,f8"), TypeError, "structured_to_unstructured"),
        (pandas.DataFrame({"x": [1.0], "name": ["a"]}), TypeError, "leave the column out"),
        (polars.Series(["1.5"]).cast(polars.Decimal(10, 2)), TypeError, "Decimal.*astype"),
        (np.ma.array([1.0, 2.0], mask=[False, True]), ValueError, r"masked.*filled"),
        (pandas.DataFrame({"x": [1, None, 2], "y": 0.5}, dtype=object), ValueError, "row 1.*missing.*None.*dropna"),
        (polars.Series([True, None]), ValueError, "row 1.*missing"),
        (Columns, TypeError, "not type"),
        (5.0, TypeError, "not float"),
        (np.array(5.0), TypeError, "a row for each sample"),
        ([[1.0], {"x": 1.0}], TypeError, "dict"),
        ([[1.0], "a"], TypeError, "str"),
        (pandas.Series([[1.0], [1.0, 2.0]]), ValueError, "differ in length"),
    ],
    ids=str,
)
def test_what_is_no_table_of_numbers(table, error, match):
    for call in (
        lambda: predict(MLP(1, [1]), table),
        lambda: fit(MLP(1, [1]), table, [1.0, 2.0], epochs=1),
        lambda: fit(MLP(1, [1]), [1.0, 2.0], table, epochs=1),
    ):
        with pytest.raises(error, match=match):
            call()


def test_values_in_a_table_are_values():
    column = pandas.Series([Value(1.0), Value(2.0)])
    assert kilograd.arrays.data(column).tolist() == [1.0, 2.0]
    assert kilograd.functional.sum(column).data == 3.0
    with pytest.raises(TypeError, match=r"not Value.*kilograd\.arrays\.data"):
        kilograd.arrays.values(column)


def test_values_have_an_order():
    a, b = Value(1.0), Value(2.0)
    for unordered in ({a, b}, {0: a, 1: b}):
        for call in (
            lambda given: kilograd.Program(given),
            lambda given: kilograd.Program(a * b, inputs=given),
            lambda given: kilograd.Program(a * b, parameters=given),
            lambda given: optim.SGD(given),
        ):
            with pytest.raises(TypeError, match="order|names"):
                call(unordered)
    frame = pandas.DataFrame({10: [a], 20: [b]}, dtype=object)
    assert kilograd.Program(frame)().tolist() == [[1.0, 2.0]]
    assert kilograd.Program(a - b, inputs=frame)([5.0, 2.0]) == 3.0


def test_a_model_takes_one_sample():
    model = MLP(2, [3, 1])
    right = model([1.0, 2.0]).data
    frame = pandas.DataFrame(MATRIX, columns=["x", "y"])
    for row in (frame.iloc[0], MATRIX[0], MATRIX[0].astype("f4"), polars.Series([1.0, 2.0]), iter([1.0, 2.0])):
        assert model(row).data == right
    for layer in (model, model.layers[0], model.layers[0].neurons[0]):
        with pytest.raises(ValueError, match=r"one sample.*\(3, 2\).*predict"):
            layer(frame)
    assert MLP(1, [1])(np.float32(0.5)).data == pytest.approx(0.0, abs=1.0)


def test_a_row_is_made_once():
    """What a model does to its row stays done, on graphs and while it is looked at for a program."""
    rows = Rows(MATRIX)
    assert rows[1] is rows[1]
    rows[1].append(7.0)
    assert list(rows) == [[1.0, 2.0], [3.0, 4.0, 7.0], [5.0, 6.0]]
    assert rows.take(np.array([2, 0])).array().tolist() == [[5.0, 6.0], [1.0, 2.0]]
    assert Rows([[1], [2]]).take(np.array([1])).array().tolist() == [[2]]
    runs = []
    for X in (MATRIX, MATRIX.tolist()):
        w = Value(1.0)

        def halving(x, w=w):
            x[0] *= 0.5
            return w * x[0]

        runs.append(fit(halving, X, [1.0] * 3, optimizer=optim.SGD([w], lr=0.01), epochs=3).steps)
    assert runs[0] == runs[1]


def test_integers_beyond_what_a_double_holds():
    large = np.array([2**53 + 1, 2**60 + 1], dtype="i8")
    assert predict(lambda x: x - 2**53, large).tolist() == [1.0, float(2**60 + 1 - 2**53)]
    runs = []
    for y in (large, large.tolist()):
        w = Value(1.0)
        runs.append(fit(lambda x, w=w: w * x, [1.0, 2.0], y, optimizer=optim.SGD([w]), epochs=1).losses)
    assert runs[0] == runs[1]


def to_arrow(frame):
    pyarrow = pytest.importorskip("pyarrow")
    return pyarrow.Table.from_pandas(frame)


@pytest.mark.parametrize("library", [lambda frame: frame, polars.from_pandas, to_arrow])
def test_columns_in_another_order_are_refused_where_rows_are_taken_by_places(library):
    names = ["x", "y", "z"]
    frame = pandas.DataFrame(np.arange(12.0).reshape(4, 3) / 12, columns=names)
    same, moved = (library(frame[order]) for order in (names, ["x", "z", "y"]))
    y = np.arange(4.0)
    leaves = [Value(0.0) for _ in names]
    parameter = Value(0.5)
    program = kilograd.Program((parameter * leaves[0] - leaves[1] * leaves[2]) ** 2, leaves, [parameter])
    distributed, sgd = kilograd.distributed, optim.SGD([parameter], lr=0.1)
    model = MLP(3, [1])
    calls = [
        lambda table: distributed.value_and_grad(program, [same, table]),
        lambda table: list(distributed.map_rows(program, [same, table])),
        lambda table: distributed.minimize(program, [same, table], sgd, steps=2),
        lambda table: sgd.minimize(program, [same, table], steps=2),
        lambda table: distributed.fit(model, [(same, y), (table, y)], epochs=1),
        lambda table: fit(model, [(same, y), (table, y)], epochs=1),
        lambda table: fit(model, same, y, validation=(table, y), epochs=1),
    ]
    for call in calls:
        before = parameter.data
        with pytest.raises(ValueError, match="columns are x, z, y, and those of the first table x, y, z: 'z' has"):
            call(moved)
        assert parameter.data == before
        call(same)
    swapped = distributed.value_and_grad(program, [same, moved], columns=names)
    assert swapped[0] == distributed.value_and_grad(program, [same, same])[0]
    assert sgd.minimize(program, [same, frame[names].to_numpy()], steps=1).shape == (1,)  # an array has no names
    assert sgd.minimize(program, [same, library(frame.set_axis(list("abc"), axis=1))], steps=1).shape == (1,)
