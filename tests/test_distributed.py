"""`kilograd.distributed` without an engine: blocks in this process, files, groups, errors."""

from __future__ import annotations

import math
import pickle
import random
import re
import threading
import types

import numpy as np
import pytest

import kilograd
from kilograd import MLP, Program, Value, arrays, optim
from kilograd.distributed import GroupError, Ranks, blocks, fit, map_fits, map_rows, minimize, value_and_grad
from kilograd.distributed.on_ranks import _told as told
from kilograd.distributed.parts import packed, unpacked
from kilograd.distributed.tasks import Function, SumsOf, Table
from kilograd.training.samples import order_of

ROWS = np.random.default_rng(0).normal(size=(1000, 3))
PARTS = [ROWS[:300], ROWS[300:310], ROWS[310:310], ROWS[310:]]
START = [0.3, -0.2]


def squares() -> tuple[Program, list[Value]]:
    x, y, t, w, b = [Value(0.0) for _ in range(5)]
    w.data, b.data = START
    return Program(((w * x + b * y).tanh() - t) ** 2, inputs=[x, y, t], parameters=[w, b]), [w, b]


@kilograd.compile
def compiled(row, parameters):
    return (np.tanh(parameters[0] * row[0] + parameters[1] * row[1]) - row[2]) ** 2


@pytest.mark.parametrize("reduce", ["mean", "sum"])
def test_value_and_gradient_are_those_of_all_rows(reduce):
    p, _ = squares()
    value, gradient = value_and_grad(p, PARTS, reduce=reduce)
    right = p.value_and_grad(ROWS, "parameters", reduce=reduce)
    assert value == pytest.approx(right[0], rel=1e-14)
    assert gradient == pytest.approx(right[1], rel=1e-13)
    assert value_and_grad(p, ROWS, reduce=reduce)[0] == pytest.approx(right[0], rel=1e-14)


def test_sums_are_added_in_the_order_of_the_parts():
    p, _ = squares()
    value, gradient = 0.0, np.zeros(2)
    for part in PARTS:
        v, g = p.value_and_grad(part, "parameters", reduce="sum")
        value, gradient = value + v, gradient + g
    found = value_and_grad(p, PARTS, reduce="sum")
    assert found[0] == value
    assert np.array_equal(found[1], gradient)


def test_a_compiled_function_is_the_same():
    p, _ = squares()
    value, gradient = value_and_grad(p, PARTS)
    other, by_parameters = value_and_grad(compiled, PARTS, parameters=START)
    assert other == pytest.approx(value, rel=1e-14)
    assert by_parameters == pytest.approx(gradient, rel=1e-13)
    with pytest.raises(TypeError, match="parameters= is needed"):
        value_and_grad(compiled, PARTS)


def test_several_outputs():
    x, w = Value(0.0), Value(2.0)
    p = Program([w * x, w + x], inputs=[x], parameters=[w])
    rows = np.arange(6.0)[:, None]
    value, gradient = value_and_grad(p, [rows[:2], rows[2:]], reduce="sum")
    assert value.tolist() == [30.0, 27.0]
    assert gradient.tolist() == [21.0]


def test_parameters_in_place_of_the_data():
    p, _ = squares()
    right = p.value_and_grad(ROWS, "parameters", reduce="mean", parameters=[1.0, 2.0])
    assert value_and_grad(p, PARTS, parameters=[1.0, 2.0])[0] == pytest.approx(right[0], rel=1e-14)
    with pytest.raises(ValueError, match="parameters has 3 numbers"):
        value_and_grad(p, PARTS, parameters=[1.0, 2.0, 3.0])


def test_results_of_rows():
    p, _ = squares()
    found = map_rows(p, PARTS)
    assert [part.shape for part in found] == [(300,), (10,), (0,), (690,)]
    assert np.array_equal(np.concatenate(list(map_rows(p, PARTS))), p(ROWS))
    parts = map_rows(compiled, [PARTS[0], PARTS[3]], parameters=START)
    assert np.concatenate(list(parts)) == pytest.approx(p(ROWS)[np.r_[:300, 310:1000]], rel=1e-13, abs=1e-300)


def test_minimize_is_that_of_the_optimizer():
    p, trained = squares()
    right = optim.Adam(trained, lr=0.1).minimize(p, PARTS, steps=7)
    after = arrays.data(trained)
    q, others = squares()
    history = kilograd.training.History()
    losses = minimize(q, PARTS, optim.Adam(others, lr=0.1), steps=7, history=history, record=3)
    assert np.array_equal(losses, right)
    assert np.array_equal(arrays.data(others), after)
    assert history.losses == losses.tolist()
    assert len(history.snapshots) == 4
    arrays.assign(others, START)
    by_function = minimize(compiled, PARTS, optim.Adam(others, lr=0.1), steps=7)
    assert by_function == pytest.approx(right, rel=1e-12)


def test_a_program_travels_without_its_parameters():
    p, trained = squares()
    task = SumsOf(Function(p, 1, True), Table())
    data = packed(task)
    arrays.assign(trained, [5.0, 6.0])
    assert packed(SumsOf(Function(p, 1, True), Table())) == data
    there = unpacked(data)
    assert there is unpacked(bytes(bytearray(data)))
    one, other = there(ROWS, 0, np.array(START)), task(ROWS, 0, np.array(START))
    assert one.value == other.value
    assert np.array_equal(one.gradient, other.gradient)
    unpacked.cache_clear()


def test_columns_by_name():
    pd = pytest.importorskip("pandas")
    p, _ = squares()
    right = value_and_grad(p, PARTS)
    frames = [pd.DataFrame({"t": part[:, 2], "other": "text", "x": part[:, 0], "y": part[:, 1]}) for part in PARTS]
    found = value_and_grad(p, frames, columns=["x", "y", "t"])
    assert found[0] == right[0]
    assert np.array_equal(found[1], right[1])
    with pytest.raises(ValueError, match="no column 'z'; the columns are t, other, x, y") as caught:
        value_and_grad(p, frames, columns=["x", "y", "z"])
    assert notes(caught) == ["in part 0 of the data"]
    frames[1] = frames[1].drop(columns="y")
    with pytest.raises(ValueError, match="no column 'y'") as caught:
        value_and_grad(p, frames, columns=["x", "y", "t"])
    assert notes(caught) == ["in part 1 of the data"]
    with pytest.raises(TypeError, match="columns is a list of names"):
        value_and_grad(p, frames, columns="x")
    with pytest.raises(TypeError, match="ndarray has no names"):
        value_and_grad(p, PARTS, columns=["x"])


def notes(caught: pytest.ExceptionInfo[BaseException]) -> list[str]:
    return getattr(caught.value, "__notes__", ["in part 0 of the data"])  # Python 3.10 has none


@pytest.mark.parametrize(
    ("data", "error", "said"),
    [
        ([ROWS, ROWS[:, :2]], ValueError, r"X has shape \(1000, 2\)"),
        ([ROWS, np.array([["a", "b", "c"]])], TypeError, "real numbers are needed"),
        ([ROWS[:, 0]], ValueError, r"X has shape \(1, 1000\)"),
        (5, TypeError, "an iterable of blocks"),
        ("rows.npy", TypeError, r"blocks\('rows.npy'\) reads a file"),
        ({"x": 1}, TypeError, "a list, an array or a table is needed"),
        ([ROWS[:0]], ValueError, "the mean over blocks of no rows"),
        ([], ValueError, "the mean over blocks of no rows"),
        (["rows.npy"], TypeError, "a list, an array or a table is needed, and not str"),
    ],
)
def test_data_that_are_refused(data, error, said):
    p, _ = squares()
    with pytest.raises(error, match=said):
        value_and_grad(p, data)


def test_lists_are_rows_or_blocks_of_rows():
    p, _ = squares()
    right = value_and_grad(p, [ROWS[:2], ROWS[2:5]])
    for data in ([ROWS[:2].tolist(), ROWS[2:5].tolist()], [list(map(tuple, ROWS[:2].tolist())), ROWS[2:5]]):
        assert value_and_grad(p, data)[0] == right[0]
    assert value_and_grad(p, list(map(tuple, ROWS.tolist())))[0] == value_and_grad(p, ROWS)[0]


def test_no_rows_have_the_shape_of_the_outputs():
    x, w = Value(0.0), Value(2.0)
    p = Program([w * x, w + x], inputs=[x], parameters=[w])
    value, gradient = value_and_grad(p, [np.empty((0, 1))], reduce="sum")
    assert value.tolist() == [0.0, 0.0]
    assert gradient.tolist() == [0.0]


def test_what_is_left_out_may_be_missing():
    pa = pytest.importorskip("pyarrow")
    p, _ = squares()
    table = pa.table({"x": ROWS[:2, 0], "name": ["a", None], "y": ROWS[:2, 1], "t": ROWS[:2, 2]})
    for data in (table, [table]):
        assert value_and_grad(p, data, columns=["x", "y", "t"])[0] == value_and_grad(p, ROWS[:2])[0]


def test_a_name_of_several_columns_is_refused():
    pd = pytest.importorskip("pandas")
    p, _ = squares()
    with pytest.raises(ValueError, match="there are 2 columns 't'"):
        value_and_grad(p, pd.DataFrame(np.ones((2, 4)), columns=["x", "y", "t", "t"]), columns=["x", "t"])


@pytest.mark.parametrize("optimizer", [None, optim.SGD, 0.1])
def test_what_is_no_optimizer_is_refused(optimizer):
    p, _ = squares()
    with pytest.raises(TypeError, match="an optimizer is made from the parameters"):
        minimize(p, PARTS, optimizer, steps=1)


def test_an_error_names_its_part_and_changes_nothing():
    x, w = Value(0.0), Value(2.0)
    x.data = 1.0
    p = Program((w * x).log(), inputs=[x], parameters=[w])
    data = [np.ones((3, 1)), np.array([[1.0], [-1.0]])]
    with pytest.raises(ValueError, match="log") as caught:
        minimize(p, data, optim.SGD([w], lr=0.1), steps=2)
    assert notes(caught)[-1] in ("in part 1 of the data", "in part 0 of the data")
    assert w.data == 2.0
    value, _ = value_and_grad(p, data, check=False)
    assert math.isnan(value)


def test_what_is_no_program_is_refused():
    with pytest.raises(TypeError, match=r"kilograd\.compile"):
        value_and_grad(lambda row: row[0], PARTS)
    p, _ = squares()
    with pytest.raises(ValueError, match="reduce"):
        value_and_grad(p, PARTS, reduce=None)
    with pytest.raises(ValueError, match="gone through but once"):
        minimize(p, iter(PARTS), optim.SGD(p.parameters, lr=0.1), steps=2)
    two = Program([p.parameters[0], p.parameters[1]], parameters=p.parameters)
    with pytest.raises(ValueError, match="one output"):
        minimize(two, PARTS, optim.SGD(p.parameters, lr=0.1), steps=2)


def test_a_function_that_cannot_be_pickled_is_named():
    lock = random.Random()
    generator = (k for k in range(3))

    @kilograd.compile
    def f(row, parameters):
        return row[0] * parameters[0] + len([lock, generator])

    with pytest.raises(TypeError, match="cannot be sent to the workers: .*generator"):
        packed(SumsOf(Function(f, 1, True), Table()))


# Training.


def network(seed: int = 0) -> MLP:
    random.seed(seed)
    return MLP(2, [4, 1], activation=["tanh", None])


def pairs(parts=PARTS) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(part[:, :2], part[:, 2]) for part in parts]


@pytest.mark.parametrize("batch_size", [None, 64])
def test_fit_of_one_part_is_that_of_kilograd(batch_size):
    one, other = network(), network()
    right = kilograd.fit(one, ROWS[:, :2], ROWS[:, 2], epochs=3, batch_size=batch_size, seed=5)
    found = fit(other, pairs([ROWS]), epochs=3, batch_size=batch_size, seed=5)
    assert found.losses == pytest.approx(right.losses, rel=1e-12)
    assert found.steps == pytest.approx(right.steps, rel=1e-12)
    assert arrays.data(other.parameters()) == pytest.approx(arrays.data(one.parameters()), rel=1e-9)


def test_a_step_takes_samples_of_every_part():
    model, rate = network(), 0.1
    written = network()
    steps = []
    for step in range(-(-690 // 100)):
        batch = []
        for k, part in enumerate(PARTS):
            size = min(100, len(part))
            order = order_of(len(part), size, 3, 0, k) if size else []
            batch += [part[i] for i in order[step * size : (step + 1) * size]]
        loss = sum(((written(row[:2].tolist()) - row[2]) ** 2 for row in batch), Value(0.0)) / len(batch)
        for p in written.parameters():
            p.grad = 0.0
        loss.backward()
        for p in written.parameters():
            p.data -= rate * p.grad
        steps.append(loss.data)
    history = fit(model, pairs(), optimizer=optim.SGD(model, lr=rate), epochs=1, batch_size=100, seed=3)
    assert history.steps == pytest.approx(steps, rel=1e-12)
    assert arrays.data(model.parameters()) == pytest.approx(arrays.data(written.parameters()), rel=1e-9)


def test_losses_with_classes_and_validation():
    classes = (ROWS[:, 0] > ROWS[:, 1]).astype(int)
    random.seed(0)
    model = MLP(2, [4, 2], activation=["tanh", None])
    parts = [(ROWS[:500, :2], classes[:500]), (ROWS[500:, :2], classes[500:])]
    seen = []
    history = fit(
        model,
        parts,
        loss="cross_entropy",
        epochs=30,
        batch_size=100,
        validation=(ROWS[:100, :2], classes[:100]),
        callbacks=[seen.append],
        record=10,
    )
    assert history.losses[-1] < 0.3
    assert len(history.validation) == len(seen) == 30
    assert [snapshot.epoch for snapshot in history.snapshots] == [0, 10, 20, 30]


@pytest.mark.parametrize(
    ("loss", "allowed", "wrong", "said"),
    [
        ("cross_entropy", [0, 1], 2, "no index of a class, of which there are 2"),
        ("cross_entropy", [0, 1], -1, "no index of a class"),
        ("cross_entropy", [0, 1], 0.5, "no index of a class"),
        ("hinge", [-1.0, 1.0], 0.5, "of a magnitude from 1 to 1"),
        ("hinge", [-1.0, 1.0], -2.0, "of a magnitude from 1 to 1"),
        ("binary_cross_entropy", [0.0, 1.0, 0.25], 1.5, "a number from 0 to 1"),
        ("binary_cross_entropy_from_logits", [0.0, 1.0], -0.5, "a number from 0 to 1"),
    ],
)
def test_a_target_that_the_loss_has_not_is_found_before_the_first_step(loss, allowed, wrong, said):
    random.seed(0)
    last = "sigmoid" if loss == "binary_cross_entropy" else None
    model = MLP(2, [4, 2 if loss == "cross_entropy" else 1], activation=["tanh", last])
    targets = np.resize(np.array(allowed), 1000)
    parts = [(ROWS[:300, :2], targets[:300]), (ROWS[300:300, :2], targets[:0]), (ROWS[300:, :2], targets[300:].copy())]
    assert fit(model, parts, loss=loss, epochs=1, batch_size=10).losses[0] < 2.0
    parts[2] = parts[2][0], np.append(targets[300:-1], wrong)
    optimizer = optim.Adam(model, lr=0.1)
    before = arrays.data(model.parameters())
    with pytest.raises(ValueError, match=said) as caught:
        fit(model, parts, loss=loss, epochs=1, batch_size=10, optimizer=optimizer)
    assert notes(caught)[-1] == "in part 2 of the data"
    assert np.array_equal(arrays.data(model.parameters()), before)
    assert optimizer.steps == 0


def test_a_target_is_not_among_the_samples():
    pd = pytest.importorskip("pandas")
    pa = pytest.importorskip("pyarrow")
    frame = pd.DataFrame(ROWS, columns=["x", "y", "t"])
    model = network()
    for targets in ("t", ["t"]):
        with pytest.raises(ValueError, match="the column 't' is a target, and columns= has it"):
            fit(model, [frame], targets, columns=["x", "t"], epochs=1)
    with pytest.raises(ValueError, match="the column 't' is a target, and columns= has it"):
        blocks(pa.Table.from_pandas(frame), 10, columns=["x", "t"], targets="t")


def test_targets_by_name():
    pd = pytest.importorskip("pandas")
    frames = [pd.DataFrame(part, columns=["x", "y", "t"]) for part in PARTS]
    right = fit(network(), pairs(), epochs=2)
    assert fit(network(), frames, "t", epochs=2).steps == right.steps
    assert fit(network(), [f[["t", "y", "x"]] for f in frames], "t", columns=["x", "y"], epochs=2).steps == right.steps


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([(ROWS[:, :2], ROWS[:, 2]), (ROWS[:, :1], ROWS[:, 2])], r"samples and targets of part 1 have the shapes"),
        ([(ROWS[:, :2], ROWS[:5, 2])], "1000 samples, and y has 5 targets"),
        ([(np.full((2, 2), np.nan), np.zeros(2))], "row 0 of X has an entry that is not finite"),
        ([(ROWS[:0, :2], ROWS[:0, 2])], "the parts have no samples"),
        ([ROWS], "a pair"),
    ],
)
def test_samples_that_are_refused(parts, said):
    model = network()
    before = arrays.data(model.parameters())
    with pytest.raises((ValueError, TypeError), match=said):
        fit(model, parts, epochs=1)
    assert np.array_equal(arrays.data(model.parameters()), before)


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"seed": None}, TypeError, "which all parts draw by"),
        ({"seed": np.random.default_rng(0)}, TypeError, "which all parts draw by"),
        ({"columns": "xy"}, TypeError, "columns is a list of names, and not 'xy'"),
        ({"loss": "hinge"}, ValueError, "of a magnitude from 1 to 1"),
    ],
)
def test_settings_that_are_refused(settings, error, said):
    with pytest.raises(error, match=said):
        fit(network(), pairs(), epochs=1, **settings)


def test_texts_are_no_targets():
    with pytest.raises(TypeError, match="classes are given by their numbers"):
        fit(network(), ROWS[:, :2], ["a"] * len(ROWS), epochs=1)


def test_a_loss_that_cannot_be_recorded_is_refused():
    def branching(prediction, target):
        return (prediction - target) ** 2 if prediction > target else prediction * 0.5

    with pytest.raises(ValueError, match="cannot be recorded as a program, which could go to the workers: it branches"):
        fit(network(), pairs(), loss=branching, epochs=1)


def test_divergence_goes_back():
    model = network()
    with pytest.raises(FloatingPointError, match=r"in epoch 0, step 1|in epoch 1, step 1"):
        fit(model, pairs(), optimizer=optim.SGD(model, lr=1e300), epochs=3)
    assert np.isfinite(arrays.data(model.parameters())).all()


# Larger than memory.


def test_blocks_of_an_array_begin_anew(tmp_path):
    np.save(tmp_path / "rows.npy", ROWS)
    p, _ = squares()
    source = blocks(tmp_path / "rows.npy", 300)
    assert len(source) == 4
    assert [len(block) for block in source] == [300, 300, 300, 100]
    found = minimize(p, source, optim.SGD(p.parameters, lr=0.1), steps=3)
    q, _ = squares()
    in_memory = [ROWS[k : k + 300] for k in range(0, 1000, 300)]
    assert np.array_equal(found, minimize(q, in_memory, optim.SGD(q.parameters, lr=0.1), steps=3))
    with pytest.raises(TypeError, match=r"neither \.npy nor \.parquet"):
        blocks("rows.csv")
    with pytest.raises(TypeError, match="an array has none"):
        blocks(ROWS, columns=["x"])
    with pytest.raises(TypeError, match="a file or an array of rows"):
        blocks(5)


def test_blocks_of_parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    dataset = pytest.importorskip("pyarrow.dataset")
    table = pa.table({"t": ROWS[:, 2], "x": ROWS[:, 0], "name": ["a"] * 1000, "y": ROWS[:, 1]})
    parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=400)
    p, _ = squares()
    right, gradient = value_and_grad(p, ROWS)
    for names, error, said in (
        ({"columns": "xy"}, TypeError, "a list of names"),
        ({"targets": ["t"]}, TypeError, "the name of one column"),
        ({"columns": ["x", "z"]}, ValueError, "no column 'z'; the columns are t, x, name, y"),
        ({"targets": "z"}, ValueError, "no column 'z'"),
    ):
        with pytest.raises(error, match=said):
            blocks(tmp_path / "rows.parquet", **names)
    for source in (tmp_path / "rows.parquet", dataset.dataset(tmp_path / "rows.parquet"), table):
        found = value_and_grad(p, blocks(source, 250, columns=["x", "y", "t"]))
        assert found[0] == pytest.approx(right, rel=1e-14)
        assert found[1] == pytest.approx(gradient, rel=1e-13)
        trained = blocks(source, 250, columns=["x", "y"], targets="t")
        assert sum(len(y) for _, y in trained) == 1000
        one, other = network(), network()
        history = fit(one, trained, epochs=2)
        again = kilograd.fit(other, trained, epochs=1, batch_size=250, seed=0)
        assert history.losses[0] == pytest.approx(fit(network(), pairs([ROWS]), epochs=1).losses[0], rel=1e-12)
        assert math.isfinite(again.losses[0])


def test_memory_does_not_grow_with_the_rows(run_python, tmp_path):
    program = f"""
import re
import numpy as np
from kilograd import Program, Value, optim
from kilograd.distributed import blocks, minimize

def own():  # pages of a mapped file are the system's
    return int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

path = {str(tmp_path / "rows.npy")!r}
data = np.lib.format.open_memmap(path, mode="w+", dtype=float, shape=(10_000_000, 2))
for k in range(0, len(data), 1_000_000):
    data[k : k + 1_000_000, 0] = np.arange(1_000_000) / 1_000_000
    data[k : k + 1_000_000, 1] = 2 * data[k : k + 1_000_000, 0]
del data
x, y, w = Value(0.0), Value(0.0), Value(0.0)
p = Program((w * x - y) ** 2, inputs=[x, y], parameters=[w])
minimize(p, np.zeros((65536, 2)), optim.SGD([w], lr=0.5), steps=1)
before = own()
minimize(p, blocks(path), optim.SGD([w], lr=1.0), steps=4)
print(own() - before, w.data)
"""
    grown, slope = map(float, run_python(program).split())
    assert grown < 20  # MB, of 160 in the file
    assert slope == pytest.approx(2.0, abs=0.05)


# Many small fits.


def doubled(data):
    if data is None:
        raise ValueError("no data")
    return [2 * entry for entry in data]


def test_groups():
    assert map_fits(doubled, {"a": [1], "b": [2, 3]}) == {"a": [2], "b": [4, 6]}
    assert map_fits(doubled, [[1], [2]]) == [[2], [4]]
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"kind": ["b", "a", "b"], "x": [1.0, 2.0, 3.0]})
    assert map_fits(lambda group: group["x"].sum(), frame.groupby("kind")) == {"a": 2.0, "b": 4.0}
    with pytest.raises(TypeError, match=r"write \.groupby"):
        map_fits(doubled, frame)
    with pytest.raises(TypeError, match="a function of the data of a group is needed, and not None"):
        map_fits(None, [[1]])
    for groups in (5, "ab"):
        with pytest.raises(TypeError, match="a list of groups is needed"):
            map_fits(doubled, groups)


@pytest.mark.parametrize("engine", [None, "joblib"])
def test_the_error_of_a_group_loses_no_other(engine):
    if engine:
        pytest.importorskip("joblib")
    groups = {"a": [1], "b": None, "c": [3]}
    with pytest.raises(GroupError, match="1 of 3 groups failed, first the group 'b': ValueError: no data") as caught:
        map_fits(doubled, groups, engine=engine, workers=2)
    assert caught.value.results == {"a": [2], "c": [6]}
    assert list(caught.value.errors) == ["b"]
    assert isinstance(caught.value.__cause__, ValueError)
    assert pickle.loads(pickle.dumps(caught.value)).results == caught.value.results
    found = map_fits(doubled, groups, engine=engine, workers=2, errors="return")
    assert list(found) == ["a", "b", "c"]
    assert isinstance(found["b"], ValueError)
    with pytest.raises(ValueError, match="errors is"):
        map_fits(doubled, groups, errors="ignore")
    with pytest.raises(ValueError, match="engine is"):
        map_fits(doubled, groups, engine="threads")


@pytest.mark.parametrize(
    ("missing", "call", "extra"),
    [
        ("dask", lambda: map_fits(doubled, [], engine="dask"), r"kilograd\[dask\]"),
        ("ray", lambda: map_fits(doubled, [], engine="ray"), r"kilograd\[ray\]"),
        ("joblib", lambda: map_fits(doubled, [], engine="joblib"), "joblib"),
        ("mpi4py", lambda: Ranks([ROWS]), r"kilograd\[mpi\]"),
    ],
)
def test_an_engine_that_is_not_installed_is_named(monkeypatch, missing, call, extra):
    monkeypatch.setitem(__import__("sys").modules, missing, None)
    with pytest.raises(ImportError, match=extra):
        call()


class OneRank:
    """A communicator of MPI with one rank."""

    rank = 0

    def allgather(self, thing):
        return [pickle.loads(pickle.dumps(thing))]


class TwoRanks(OneRank):
    """A communicator of two ranks, of which the other one makes another program."""

    def allgather(self, thing):
        other = (bytes(32), thing[1]) if isinstance(thing, tuple) and len(thing[0]) == 32 else thing
        return [thing, other]


class Threads:
    """Ranks of MPI as threads; one that is alone where others are not is an error, and no hang."""

    def __init__(self, size):
        self.barrier = threading.Barrier(size, timeout=20)
        self.given = [None] * size

    def rank(self, rank):
        def allgather(thing):
            self.given[rank] = pickle.dumps(thing)
            self.barrier.wait()
            found = [pickle.loads(each) for each in self.given]
            self.barrier.wait()
            return found

        return types.SimpleNamespace(rank=rank, allgather=allgather)

    def errors(self, program):
        """What is raised at each rank by a program, which is given the rank's number and communicator."""
        found = [None] * len(self.given)

        def run(rank):
            try:
                program(rank, self.rank(rank))
            except Exception as error:
                found[rank] = error

        threads = [threading.Thread(target=run, args=[rank]) for rank in range(len(found))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found


def fitted(rank, comm, **settings):
    with LOCK:
        model = network()
    fit(model, Ranks([pairs()[rank]], comm), epochs=2, **settings)


def minimized(rank, comm, steps=3, lr=0.1, factor=1.0, columns=None, **settings):
    p, trained = squares()
    if factor != 1.0:
        x, y, t = [Value(0.0) for _ in range(3)]
        p = Program((factor * trained[0] * x + trained[1] * y - t) ** 2, inputs=[x, y, t], parameters=trained)
    minimize(p, Ranks([PARTS[rank]], comm), optim.Adam(trained, lr=lr), steps=steps, **settings)


def moved(rank):
    p, trained = squares()
    trained[0].data += rank
    return p


def stopped(rank):
    def callback(history):
        if rank:
            raise LookupError("enough")

    return [callback]


LOCK = threading.Lock()
AT_RANKS = {
    "nothing": (lambda r, c: fitted(r, c, batch_size=5), None),
    "batch size": (lambda r, c: fitted(r, c, batch_size=5 + r), r"call fit\(\) with different batch_size:"),
    "seed": (lambda r, c: fitted(r, c, batch_size=5, seed=r), "with different seed:"),
    "loss": (lambda r, c: fitted(r, c, loss=["mse", "hinge"][r]), "with different loss:"),
    "setting out of range": (lambda r, c: fitted(r, c, batch_size=[4, 0][r]), "with different batch_size:"),
    "one left out": (lambda r, c: fitted(r, c, **[{}, {"batch_size": 3}][r]), "with different batch_size:"),
    "steps": (lambda r, c: minimized(r, c, steps=3 + r), "with different steps:"),
    "no steps": (lambda r, c: minimized(r, c, steps=3 * r), "with different steps:"),
    "learning rate": (lambda r, c: minimized(r, c, lr=0.1 + r), "with different optimizer:"),
    "reduce": (lambda r, c: minimized(r, c, reduce=["sum", "mean"][r]), "with different reduce:"),
    "program": (lambda r, c: minimized(r, c, factor=1.0 + r), "with different program:"),
    "function": (lambda r, c: [fitted, minimized][r](r, c), "call different functions:"),
    "error of one": (lambda r, c: fitted(r, c, validation=[None, 7][r]), "validation"),
    "parameters": (
        lambda r, c: value_and_grad(squares()[0], Ranks([PARTS[r]], c), parameters=[float(r), 0.0]),
        "with different parameters:",
    ),
    "data of a model": (lambda r, c: value_and_grad(moved(r), Ranks([PARTS[r]], c)), "have different parameters"),
    "rows of one": (lambda r, c: value_and_grad(squares()[0], Ranks([PARTS[r][:, r:]], c)), "X has shape"),
    "callback of one": (lambda r, c: fitted(r, c, callbacks=stopped(r)), "enough"),
}


@pytest.mark.parametrize("name", AT_RANKS)
def test_what_differs_at_two_ranks_is_raised_at_both(name):
    program, said = AT_RANKS[name]
    errors = Threads(2).errors(program)
    if said is None:
        assert errors == [None, None]
    else:
        assert all(isinstance(error, (ValueError, TypeError, LookupError)) for error in errors), errors
        assert all(re.search(said, str(error)) for error in errors), errors


def test_a_rank_that_stops_early_stops_the_others():
    def program(rank, comm):
        p, trained = squares()
        ranks = Ranks([PARTS[rank]], comm)
        value_and_grad(p, ranks)
        if rank:
            minimize(p, ranks, optim.SGD(trained, lr=0.1), steps=2)
        else:
            ranks.together("minimize", same, lambda: None)

    p, trained = squares()
    settings = {"program": p, "optimizer": optim.SGD(trained, lr=0.1), "steps": 2}
    same = {name: repr(told(thing)) for name, thing in settings.items()}
    for error in Threads(2).errors(program):
        assert isinstance(error, ValueError)
        assert "at different places" in str(error)


def test_ranks_compare_what_they_compute():
    x, w = Value(0.0), Value(2.0)
    two, three = [Function(Program(w * x * c, inputs=[x], parameters=[w]), 1, True).told() for c in (2.0, 3.0)]
    again = Function(Program(w * x * 2.0, inputs=[x], parameters=[w]), 1, True).told()
    assert two == again != three
    assert Function(compiled, 1, True).told() == b""
    p, _ = squares()
    with pytest.raises(ValueError, match="different parameters, or different programs"):
        value_and_grad(p, Ranks(PARTS, TwoRanks()))


def test_one_rank_is_like_blocks():
    p, _ = squares()
    assert value_and_grad(p, Ranks(PARTS, OneRank()))[0] == value_and_grad(p, PARTS)[0]
    assert [len(part) for part in map_rows(p, Ranks(PARTS, OneRank()))] == [300, 10, 0, 690]
    assert fit(network(), Ranks(pairs(), OneRank()), epochs=2).steps == fit(network(), pairs(), epochs=2).steps
    with pytest.raises(TypeError, match=r"write \[block\]"):
        Ranks(ROWS, OneRank())
