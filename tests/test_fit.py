"""`fit`, `predict` and the pictures."""

from __future__ import annotations

import itertools
import math
import random
import signal
import sys
import threading
import tracemalloc
import types
from xml.etree import ElementTree

import numpy as np
import pytest

import kilograd
from kilograd import MLP, Value, fit, optim, predict, recorded
from kilograd.training import History, samples


def make(seed=1, sizes=(8, 1), **kwargs):
    random.seed(seed)
    return MLP(2, list(sizes), **kwargs)


RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 2))
Y = np.sign(X[:, 0] * X[:, 1])


def parameters(model):
    return [p.data for p in model.parameters()]


def test_it_learns_and_tells():
    model = make()
    history = fit(model, X, Y, optimizer=optim.Adam(model, lr=0.05), epochs=30, batch_size=8, seed=1, validation=0.25)
    assert history.losses[-1] < 0.3 * history.losses[0]
    assert len(history.losses) == len(history.validation) == len(history.times) == 30
    assert len(history.steps) == 30 * 4
    assert not history.interrupted


def test_one_step_by_hand():
    by_hand, fitted = make(), make()
    loss = sum((by_hand(x) - t) ** 2 for x, t in zip(X.tolist(), Y.tolist(), strict=False)) * (1 / 40)
    loss.backward()
    for p in by_hand.parameters():
        p.data -= 0.1 * p.grad
    history = fit(fitted, X, Y, optimizer=optim.SGD(fitted, lr=0.1), epochs=1)
    assert history.losses == [pytest.approx(loss.data, rel=1e-12)]
    assert parameters(fitted) == pytest.approx(parameters(by_hand), rel=1e-12)


def test_a_seed_gives_the_same_training():
    runs = []
    for seed in (1, 1, 2):
        model = make()
        runs.append(fit(model, X, Y, epochs=3, batch_size=7, seed=seed, validation=0.2).steps)
    assert runs[0] == runs[1] != runs[2]


def test_the_order_of_samples_is_as_documented():
    seen = []

    def model(x):
        seen.append(x)
        return Value(0.0) + w * x

    w = Value(0.0)
    fit(model, np.arange(5.0), np.zeros(5), optimizer=optim.SGD([w]), epochs=2, batch_size=2, seed=7, engine="graph")
    for k in range(2):
        draw = random.Random(f"7 {k}")
        order = np.random.default_rng(draw.getrandbits(128)).permutation(5)
        assert seen[5 * k : 5 * k + 5] == order.tolist()


BIG_X = np.random.default_rng(1).normal(size=(20_000, 40))
BIG_Y = np.sign(BIG_X[:, 0])


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int16])
def test_many_samples_are_not_copied(loss, kind, tmp_path):
    """Steps of a table, a memory map of it, and a list are the same, and only pieces of a table are made."""
    x = (BIG_X * 10).astype(kind)
    mapped = np.memmap(tmp_path / "x", dtype=kind, mode="w+", shape=x.shape)
    mapped[:] = x
    y = BIG_Y if loss == "mse" else (BIG_Y > 0).astype(int)
    runs = []
    for table in (x, mapped, x.astype(float).tolist()):
        random.seed(1)
        model = MLP(40, [1 if loss == "mse" else 2], activation="linear")
        adam = optim.Adam(model, lr=0.01)
        settings = {"loss": loss, "optimizer": adam, "epochs": 1, "batch_size": 500, "seed": 1, "engine": "program"}
        fit(model, table[:1000], y[:1000], **settings | {"optimizer": optim.SGD(model, lr=0.0)})  # what is made once
        tracemalloc.start()
        history = fit(model, table, y, validation=0.3, **settings)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        runs.append((history.steps, history.validation, parameters(model)))
        if not isinstance(table, list):
            assert peak < BIG_X.nbytes / 2  # indices, and pieces of half a megabyte
    assert runs[0] == runs[1] == runs[2]


class Parts:
    """Blocks that can be gone through again."""

    def __init__(self, *sizes):
        self.ends = np.cumsum([0, *sizes])

    def __iter__(self):
        for a, b in itertools.pairwise(self.ends):
            yield X[a:b], Y[a:b]


@pytest.mark.parametrize("engine", ["program", "graph"])
def test_blocks_are_gone_through_in_each_epoch(engine):
    def trained(samples, y=None, **settings):
        model = make()
        settings = {"optimizer": optim.SGD(model, lr=0.1), "epochs": 3, "engine": engine} | settings
        history = fit(model, samples, y, validation=(X[:5], Y[:5]), **settings)
        return history, parameters(model)

    whole, right = trained(X, Y, seed=1)
    history, found = trained([(X, Y)], seed=1)
    assert (history.steps, history.validation, found) == (whole.steps, whole.validation, right)
    history, found = trained(Parts(10, 0, 30))
    assert len(history.steps) == 2 * 3
    by_hand = make()
    descent = optim.SGD(by_hand, lr=0.1)
    for _ in range(3):
        for part in Parts(10, 30):
            fit(by_hand, *part, optimizer=descent, epochs=1, engine=engine)
    assert found == parameters(by_hand)
    assert history.losses[0] == pytest.approx((10 * history.steps[0] + 30 * history.steps[1]) / 40)
    history, _ = trained(iter(list(Parts(10, 30))), epochs=1, batch_size=10, seed=2)
    assert len(history.steps) == 4


def test_wrong_blocks():
    model = make()
    before = parameters(model)
    for blocks, error, message in [
        (X, TypeError, "y is missing"),
        (3, TypeError, "y is missing"),
        (iter([(X, Y)]), ValueError, "gone through but once, and there are 100 epochs"),
        ([X, Y], TypeError, r"block 0 is a pair \(X, y\)"),
        ([(X, Y[:3])], ValueError, "block 0: X has 40 samples, and y has 3 targets"),
        ([(X * math.nan, Y)], ValueError, "block 0: row 0 of X has an entry that is not finite"),
        ([], ValueError, "the blocks have no samples"),
        ([(X[:0], Y[:0])], ValueError, "the blocks have no samples"),
    ]:
        with pytest.raises(error, match=message):
            fit(model, blocks)
    with pytest.raises(ValueError, match="a share of samples that come in blocks"):
        fit(model, [(X, Y)], validation=0.2)
    assert parameters(model) == before


def test_a_block_that_no_program_can_have_is_trained_on_graphs():
    model, other = make(), make()
    tuples = [tuple(row) for row in X.tolist()]
    history = fit(model, [(X, Y), (tuples, Y)], optimizer=optim.SGD(model, lr=0.1), epochs=2)
    assert len(history.steps) == 4
    fit(other, [(X, Y), (X, Y)], optimizer=optim.SGD(other, lr=0.1), epochs=2)
    assert parameters(model) == pytest.approx(parameters(other), rel=1e-12)


def test_threads():
    runs = []
    for threads in (1, 2, -1):
        model = make()
        fit(model, X, Y, epochs=2, batch_size=20, seed=1, threads=threads)
        runs.append((parameters(model), predict(model, np.tile(X, (10, 1)), threads=threads).tolist()))
    assert runs[0] == runs[1] == runs[2]
    with pytest.raises(ValueError, match="threads is a number of at least 1, or -1 for all processors, not 0"):
        fit(make(), X, Y, threads=0)


@pytest.mark.parametrize(
    ("loss", "targets", "outputs"),
    [
        ("mse", Y, 1),
        ("huber", Y, 1),
        ("log_cosh", Y, 1),
        ("hinge", Y, 1),
        ("cross_entropy", (Y > 0).astype(int), 2),
        ("binary_cross_entropy_from_logits", (Y > 0).astype(float), 1),
        (lambda p, t: (p - t) ** 4, Y, 1),
        ("mse", np.column_stack([Y, -Y]), 2),
    ],
)
def test_losses(loss, targets, outputs):
    model = make(sizes=(8, outputs), activation=["tanh", "linear"])
    history = fit(model, X, targets, loss=loss, optimizer=optim.Adam(model, lr=0.05), epochs=15)
    assert history.losses[-1] < history.losses[0]


def test_lists_and_functions_will_do():
    w = Value(0.0)
    history = fit(lambda x: w * x, [1.0, 2.0], [2.0, 4.0], optimizer=optim.SGD([w], lr=0.1), epochs=60)
    assert w.data == pytest.approx(2.0, abs=1e-6)
    assert history.losses[-1] < 1e-10
    assert predict(lambda x: w * x, [3.0]).tolist() == [pytest.approx(6.0, abs=1e-5)]


BAD = [
    ({"X": [], "y": []}, "no samples"),
    ({"y": Y[:-1]}, "40 samples, and y has 39"),
    ({"X": [[1.0, 2.0], [1.0]], "y": [1.0, 1.0]}, "differ in shape"),
    ({"X": np.ones((40, 3))}, "takes 2 inputs"),
    ({"X": np.where(np.arange(80).reshape(40, 2) == 7, np.nan, X)}, "row 3 of X.*not finite"),
    ({"y": np.where(np.arange(40) == 5, np.inf, Y)}, "row 5 of y"),
    ({"loss": "median"}, "median"),
    ({"epochs": -1}, "epochs"),
    ({"batch_size": 0}, "batch_size"),
    ({"batch_size": 2.5}, "batch_size"),
    ({"validation": 1.5}, "validation"),
    ({"validation": (X, Y[:3])}, "40 samples, and y has 3"),
    ({"y": np.column_stack([Y, Y])}, "shape"),
]


@pytest.mark.parametrize(("change", "match"), BAD)
def test_bad_arguments_change_nothing(change, match):
    model = make()
    before = parameters(model)
    with pytest.raises(ValueError, match=match):
        fit(model, **{"X": X, "y": Y, "epochs": 1, **change})
    assert parameters(model) == before


def test_divergence_is_an_error_with_the_last_good_parameters():
    model = make(activation="linear")
    seen = []
    adam = optim.SGD(model, lr=1e6)

    def watch(history):
        seen.append((history.losses[-1], parameters(model), adam.steps))

    with pytest.raises(FloatingPointError, match=r"epoch \d+, step \d+.*learning rate"):
        fit(model, X, Y, optimizer=adam, epochs=500, callbacks=[watch])
    # Before the last step that had a finite loss: the parameters that gave that loss.
    assert all(math.isfinite(p) for p in parameters(model))
    assert parameters(model) == seen[-2][1]
    assert adam.steps == seen[-2][2]


def test_an_overflow_in_the_model_is_one_too():
    w = Value(1.0)
    with pytest.raises(FloatingPointError, match="overflowed"):
        fit(lambda x: (w * x).exp(), [1000.0], [0.0], optimizer=optim.SGD([w]), epochs=2)
    assert w.data == 1.0


def test_control_c_ends_after_the_step():
    model = make()

    def press(history):
        if len(history.losses) == 3:
            signal.raise_signal(signal.SIGINT)

    history = fit(model, X, Y, epochs=1000, callbacks=[press])
    assert history.interrupted
    assert len(history.losses) == 3
    assert len(history.steps) == 4
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_pressed_twice_it_interrupts_at_once():
    model = make()

    def press(history):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(model, X, Y, epochs=1000, callbacks=[press])


def test_in_a_thread():
    histories = []
    thread = threading.Thread(target=lambda: histories.append(fit(make(), X, Y, epochs=2)))
    thread.start()
    thread.join()
    assert len(histories[0].losses) == 2


def test_a_callback_ends_it():
    calls = []
    fit(make(), X, Y, epochs=50, callbacks=[lambda h: len(h.losses) == 2, calls.append])
    assert len(calls) == 2


def test_progress(capsys):
    pytest.importorskip("tqdm")
    fit(make(), X, Y, epochs=2, progress=True, validation=0.2)
    assert "2/2" in capsys.readouterr().err
    fit(MLP(40, [1]), BIG_X, BIG_Y, epochs=2, batch_size=1000, progress=True)
    assert "2/2" in capsys.readouterr().err
    fit(make(), X, Y, epochs=2)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kernel", [None, "a shell"])
def test_a_notebook_looks_on_where_a_shell_runs(monkeypatch, capsys, kernel):
    pytest.importorskip("tqdm")
    monkeypatch.setattr("kilograd.training.history.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: kernel))
    fit(make(), X, Y, epochs=2)
    assert ("2/2" in capsys.readouterr().err) is (kernel is not None)


def test_progress_in_a_notebook_without_widgets(run_python):
    pytest.importorskip("tqdm")
    program = """
import sys, types, warnings
warnings.simplefilter("error")
kernel = types.SimpleNamespace(config={"IPKernelApp": {}})
sys.modules["IPython"] = types.SimpleNamespace(get_ipython=lambda: kernel)
sys.modules["ipywidgets"] = None
import kilograd
print(kilograd.fit(kilograd.MLP(1, [1]), [[1.0]], [1.0], epochs=3, progress=True))
"""
    assert run_python(program).startswith("History(3 epochs, loss ")


def test_the_history_is_shown_as_a_table_with_its_curve():
    assert History()._repr_html_().count("<td>") == 1
    assert "<svg" not in History([1.0], [], [0.1])._repr_html_()
    assert "<svg" not in History([1.0, math.inf])._repr_html_()
    falling = [10.0 ** (-k / 100) for k in range(1000)]
    text = History(falling, falling[::-1], [0.001] * 1000, interrupted=True)._repr_html_()
    root = ElementTree.fromstring(text)
    assert [row[0].text for row in root[0]] == ["epochs", "loss", "validation", "time", "interrupted"]
    assert root[0][1][1].text == "1 → 1.023e-10"
    assert root[1][0].text == "loss and validation, logarithmic"
    lines = [line.get("points").split() for line in root[1][1:]]
    assert [len(line) for line in lines] == [200, 200]
    assert (lines[0][0], lines[0][-1], lines[1][0]) == ("5.0,5.0", "195.0,55.0", "5.0,55.0")
    assert len(text) < 8000
    assert History([2.0, 2.0])._curve().count("polyline") == 1


def test_the_history_is_drawn():
    plt = pytest.importorskip("matplotlib.pyplot")
    ax = History([100.0, 1.0, 0.1], [90.0, 2.0, 0.2]).plot()
    ax.figure.canvas.draw()
    assert ax.get_yscale() == "log"
    assert all(tick == int(tick) for tick in ax.get_xticks())
    assert History([2.0, 1.0]).plot().get_yscale() == "linear"
    plt.close("all")


def test_the_history_is_shown_in_a_line():
    assert repr(History()) == "History(0 epochs)"
    history = History([2.0, 1.5], [3.0, 2.5], [0.25, 0.5], [1.0] * 1000, interrupted=True)
    assert repr(history) == "History(2 epochs, loss 1.5, validation 2.5, 0.75 s, interrupted)"


def test_predict_gives_floats_and_builds_nothing():
    model = make(sizes=(4, 3))
    before = kilograd.live_nodes()
    out = predict(model, X)
    assert kilograd.live_nodes() == before
    assert out.shape == (40, 3)
    assert out.dtype == np.float64
    assert out[7].tolist() == [v.data for v in model(X[7])]
    assert predict(make(), X).shape == (40,)
    assert predict(model, []).shape == (0,)
    with pytest.raises(ValueError, match="takes 2 inputs"):
        predict(model, [[1.0]])
    with pytest.raises(ValueError, match="not finite"):
        predict(model, [[1.0, math.nan]])


def test_pictures():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    model = make()
    ax = kilograd.training.plot_boundary(model, X, Y, resolution=10)
    assert len(ax.collections) >= 2
    assert kilograd.training.plot_boundary(make(sizes=(4, 3)), X, Y, resolution=5, ax=ax) is ax
    history = History(losses=[2.0, 1.0], validation=[3.0, 2.0])
    assert [line.get_label() for line in history.plot().lines] == ["training", "validation"]
    pyplot.close("all")
    with pytest.raises(ValueError, match="two coordinates"):
        kilograd.training.plot_boundary(model, np.ones((3, 3)), Y)
    with pytest.raises(ValueError, match="as many classes"):
        kilograd.training.plot_boundary(model, X, Y[:2])


def test_missing_extras_are_named(run_python):
    program = """
import sys
sys.modules["matplotlib"] = sys.modules["tqdm"] = sys.modules["tqdm.auto"] = None
import kilograd
for call in (lambda: kilograd.training.History().plot(),
             lambda: kilograd.fit(kilograd.MLP(1, [1]), [[1.0]], [1.0], epochs=1, progress=True)):
    try:
        call()
    except ImportError as error:
        print(error)
"""
    assert "kilograd[plot]" in run_python(program)
    assert "kilograd[progress]" in run_python(program)


def test_lists_are_looked_at_at_once_where_nothing_depends_on_it(monkeypatch):
    dice = random.Random(0)
    entries = [1.0, 2, True, np.float64(3), np.int64(4), math.nan, math.inf, 2**70, "a", None, Value(2.0), 1j]
    rows = [
        lambda: [dice.choice(entries) if dice.random() < 0.3 else 1.5 for _ in range(dice.choice([2, 2, 2, 0, 1, 3]))],
        lambda: (1.5, dice.choice(entries)),
        lambda: dice.choice([np.array([1.0, 2.0]), np.array([1, 2]), np.ma.masked_array([1.0, 2.0], [0, 1])]),
        lambda: dice.choice(entries),
        lambda: [[1.0, 2.0], [3.0, dice.choice([4.0, math.nan])]],
    ]

    def read(listed):
        try:
            samples.read_rows("X", listed)
        except (TypeError, ValueError, OverflowError) as error:
            return type(error), str(error)
        return None

    at_once, quick = samples._are_plain, 0
    for _ in range(3_000):
        first = dice.choice(rows)()
        listed = [first if dice.random() < 0.6 else dice.choice(rows)() for _ in range(dice.randrange(1, 4))]
        kind = recorded._kind(first)
        assert recorded._are_of(listed, kind) == all(recorded._kind(row) == kind for row in listed)
        quick += at_once(listed)
        found = read(listed)
        monkeypatch.setattr(samples, "_are_plain", lambda listed: False)
        assert read(listed) == found, listed
        monkeypatch.setattr(samples, "_are_plain", at_once)
    assert quick > 300
