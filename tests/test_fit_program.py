"""`fit` and `predict` through a program: the same training as on graphs, and graphs wherever it might not be."""

from __future__ import annotations

import itertools
import math
import os
import random
import signal
import threading
from functools import partial

import numpy as np
import pytest

import kilograd
from kilograd import MLP, Module, Value, fit, optim, predict
from kilograd.micrograd import nn as micrograd_nn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(37, 2))
SIGN = np.sign(X[:, 0] * X[:, 1])
CLASS = (SIGN > 0).astype(int)
DEFAULTS = {"epochs": 8, "batch_size": 8, "seed": 3}

LOSSES = {
    "mse": (SIGN, 1),
    "huber": (SIGN, 1),
    "log_cosh": (SIGN, 1),
    "hinge": (SIGN.astype(int), 1),
    "binary_cross_entropy": (CLASS, 1),
    "binary_cross_entropy_from_logits": (CLASS.astype(bool), 1),
    "cross_entropy": (CLASS, 3),
}

OPTIMIZERS = {
    "sgd": lambda m: optim.SGD(m, lr=0.05),
    "momentum": lambda m: optim.SGD(m, lr=0.05, momentum=0.9, dampening=0.1, weight_decay=1e-3),
    "nesterov": lambda m: optim.SGD(m, lr=optim.StepDecay(0.05, 4), momentum=0.9, nesterov=True),
    "adam": lambda m: optim.Adam(m, lr=optim.WarmUp(optim.Cosine(0.02, 20), 3), weight_decay=1e-3),
    "amsgrad": lambda m: optim.Adam(m, lr=0.02, amsgrad=True, clip_norm=0.5),
    "adamw": lambda m: optim.AdamW(m, lr=optim.LinearDecay(0.02, 30), clip_value=0.1),
    "rmsprop": lambda m: optim.RMSprop(m, lr=0.01, momentum=0.5, centered=True),
    "adagrad": lambda m: optim.Adagrad(m, lr=0.1, lr_decay=0.01, weight_decay=1e-3),
    "lambda": lambda m: optim.SGD(m, lr=lambda k: 0.05 * 0.9**k),
}


def make(outputs=1, kind=MLP, last="linear"):
    random.seed(1)
    return kind(2, [5, outputs], activation=["tanh", last])


def data(model):
    return [p.data for p in model.parameters()]


def trained(engine, optimizer=OPTIMIZERS["adam"], model=None, y=SIGN, **settings):
    model = model or make()
    chosen = optimizer(model)
    history = fit(model, X, y, optimizer=chosen, engine=engine, **{**DEFAULTS, **settings})
    return history, data(model), chosen.state_dict()


def same(one, other, tolerance=1e-12):
    for name in ("losses", "validation", "steps"):
        assert getattr(one[0], name) == pytest.approx(getattr(other[0], name), rel=tolerance, abs=tolerance)
    assert one[1] == pytest.approx(other[1], rel=tolerance, abs=tolerance)
    assert one[2].keys() == other[2].keys()
    for name in one[2].keys() - {"kind"}:
        assert one[2][name] == pytest.approx(other[2][name], rel=tolerance, abs=tolerance)


# The same training


@pytest.mark.parametrize("batch_size", [None, 1, 8, 37, 100])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss(loss, batch_size):
    y, outputs = LOSSES[loss]
    last = "sigmoid" if loss == "binary_cross_entropy" else "linear"
    settings = {"loss": loss, "y": y, "batch_size": batch_size, "validation": 0.2}
    runs = [trained(engine, model=make(outputs, last=last), **settings) for engine in ("graph", "program", "auto")]
    same(runs[0], runs[1])
    assert runs[1][0].steps == runs[2][0].steps  # auto takes the program


@pytest.mark.parametrize("kind", [MLP, micrograd_nn.MLP])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_and_dialect(optimizer, kind):
    runs = [trained(e, OPTIMIZERS[optimizer], make(kind=kind, last="relu")) for e in ("graph", "program")]
    same(*runs)


def test_several_outputs_and_probabilities():
    for loss, y in (("mse", np.column_stack([SIGN, -SIGN])), ("cross_entropy", np.column_stack([CLASS, 1 - CLASS]))):
        same(*[trained(e, model=make(2), y=y, loss=loss) for e in ("graph", "program")])


def test_functions_of_math_and_numpy():
    class Scaled(Module):
        def __init__(self):
            self.inner = make()

        def __call__(self, x):
            return self.inner([math.tanh(v) for v in np.asarray(x, dtype=float) * 0.5])

        def parameters(self):
            return self.inner.parameters()

    same(*[trained(e, model=Scaled()) for e in ("graph", "program")])


def test_a_model_and_a_loss_of_ones_own():
    class Residual(Module):
        def __init__(self):
            self.inner = make()
            self.scale = Value(0.5)
            self.frozen = Value(2.0)

        def __call__(self, x):
            skip = sum(self._weighted(v) for v in x)
            return self.inner(x) + skip * self.frozen

        def _weighted(self, v):
            return v * self.scale

        def parameters(self):
            return [*self.inner.parameters(), self.scale]

        def report(self):  # nothing calls it
            print(random.random())

    def loss(prediction, target, power=4):
        error = prediction - target
        return error**power + abs(error).tanh()

    runs, frozen = [], []
    for engine in ("graph", "program"):
        model = Residual()
        runs.append(trained(engine, model=model, loss=loss))
        frozen.append(model.frozen.grad)
    same(*runs)
    assert frozen[0] == pytest.approx(frozen[1], rel=1e-12)  # gradients add up where nobody sets them to zero
    assert frozen[0] != 0


class Neuron:
    """The article's."""

    def __init__(self, nin):
        self.w = [Value(random.uniform(-1, 1)) for _ in range(nin)]
        self.b = Value(random.uniform(-1, 1))

    def __call__(self, x):
        return sum((wi * xi for wi, xi in zip(self.w, x, strict=True)), self.b).tanh()


class Gated(Neuron):
    def __init__(self, nin):
        super().__init__(nin)
        self.gate = Value(1.0)

    def __call__(self, x):
        return super().__call__(x) * self.gate


def test_classes_and_arrays_of_ones_own():
    def neurons():
        random.seed(2)
        parts = [Gated(2), Neuron(2)]
        values = [v for n in parts for v in (*n.w, n.b)]
        return parts, [*values, parts[0].gate]

    def matrix():
        w = kilograd.arrays.values(np.linspace(-1, 1, 6).reshape(3, 2), as_array=True)
        return w, list(w.flat)

    for make_parts, model in (
        (neurons, lambda parts: lambda x: sum(n(x) for n in parts)),
        (matrix, lambda w: lambda x: np.sum(np.tanh(w @ np.array(x)))),
    ):
        runs = []
        for engine in ("graph", "program"):
            parts, parameters = make_parts()
            adam = optim.Adam(parameters, lr=0.05)
            runs.append(fit(model(parts), X, SIGN, optimizer=adam, engine=engine, **DEFAULTS).steps)
        assert runs[0] == pytest.approx(runs[1], rel=1e-12)


def test_messages_of_errors_are_no_reason():
    def run(engine):
        model = make()

        def checked(x):
            if len(x) != 2:
                raise ValueError(f"{len(x)} features, and 2 are needed")
            return model(x)

        return fit(checked, X, SIGN, optimizer=optim.SGD(model, lr=0.1), engine=engine, **DEFAULTS).steps

    assert run("graph") == pytest.approx(run("program"), rel=1e-12)


def test_validation_given_as_samples():
    held = (X[:9] + 0.1, SIGN[:9])
    same(*[trained(e, validation=held) for e in ("graph", "program")])


def test_bad_rows_are_errors_of_the_graph():
    y = SIGN.copy()
    y[30] = 0.5
    messages = []
    for engine in ("graph", "auto"):
        with pytest.raises(ValueError, match="-1 or 1") as caught:
            trained(engine, loss="hinge", y=y)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    with pytest.raises(ValueError, match="a target is not one that the loss has"):
        trained("program", loss="hinge", y=y)
    with pytest.raises(ValueError, match="no index of a class"):
        trained("program", model=make(3), loss="cross_entropy", y=CLASS * 3)
    with pytest.raises(ValueError, match="has to be the index"):
        trained("auto", model=make(3), loss="cross_entropy", y=CLASS * 3)
    with pytest.raises(ValueError, match="takes 2 inputs"):
        fit(make(), np.ones((300, 3)), np.ones(300))
    with pytest.raises(ValueError, match='engine is "auto"'):
        trained("replay")


def test_callbacks_that_change_the_model():
    class Scaled:
        def __init__(self):
            self.inner = make()
            self.factor = 1.0

        def __call__(self, x):
            return self.inner(x) * self.factor

        def parameters(self):
            return self.inner.parameters()

    def run(engine):
        model = Scaled()

        def change(history):
            model.factor *= 0.9
            if len(history.losses) == 2:
                model.inner.layers[0].neurons[0].activation = "relu"
            if len(history.losses) == 3:
                model.inner.layers[1].neurons[0].w[0].data = 0.0

        return trained(engine, optimizer=lambda m: optim.SGD(m, lr=0.1), model=model, callbacks=[change])

    same(run("graph"), run("program"))


def test_callbacks_that_change_the_optimizer():
    def run(engine):
        model = make()
        sgd = optim.SGD(model, lr=0.1)
        steps = itertools.count(1)

        def change(history):
            if len(history.losses) == 2:
                sgd.lr, sgd.momentum = 0.01, 0.9
            if len(history.losses) == 3:
                sgd.lr = lambda k: 0.1 / (k + 1)
            if len(history.losses) == 5:
                sgd.lr = lambda k: 0.1 / next(steps)
            if len(history.losses) == 6:
                sgd.step = lambda: None

        return trained(engine, optimizer=lambda m: sgd, model=model, callbacks=[change])

    runs = run("graph"), run("program")
    same(*runs)
    assert runs[1][0].losses[6] == pytest.approx(runs[1][0].losses[7], rel=1e-12)  # nothing was learned any more


def test_a_training_goes_on_as_it_would_have():
    whole, parts = make(), make()
    fit(whole, X, SIGN, optimizer=(one := optim.Adam(whole)), **{**DEFAULTS, "epochs": 6})
    two = optim.Adam(parts)
    for first, epochs in ((0, 1), (1, 2), (3, 3)):
        fit(parts, X, SIGN, optimizer=two, **{**DEFAULTS, "epochs": epochs}, first_epoch=first)
    assert data(whole) == data(parts)
    assert one.steps == two.steps


# Where it cannot be a program: exactly what a hand-written loop does


def by_hand(model, loss, optimizer, epochs=6, y=SIGN):
    """Full batches."""
    losses = []
    for _ in range(epochs):
        value = kilograd.functional.mean([loss(model(x), t) for x, t in zip(X.tolist(), y.tolist(), strict=True)])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.data)
    return losses


def noisy(inner):
    rng = np.random.default_rng(5)
    return lambda x: inner(x) * (1 + 0.1 * rng.normal())


def drawing(inner):
    return lambda x: inner([v for v in x if random.random() < 2]) * random.uniform(0.9, 1.1)


def counting(inner):
    calls = 0

    def model(x):
        nonlocal calls
        calls += 1
        return inner(x) * (1 + calls % 5)

    return model


def logging(inner):
    log = []

    def model(x):
        log.append(len(log))
        return inner(x)

    return model


def remembering(inner):
    class Remembers:
        def __call__(self, x):
            self.last = inner(x)
            return self.last

    return Remembers()


def branching(inner):
    def model(x):
        out = inner(x)
        return out if out > 0 else 0.5 * out

    return model


def branching_on_inputs(inner):
    return lambda x: inner(x) if x[0] > 0 else inner([0, x[1]])


def reading_data(inner):
    return lambda x: inner(x) * (1 + abs(inner.parameters()[0].data))


def catching(inner):
    def model(x):
        try:
            return inner(x) + (x[0] * inner.parameters()[0]).log()
        except ValueError:
            return inner(x)

    return model


def as_floats(inner):
    return lambda x: inner([math.tanh(float(v)) for v in x])


def typed(inner):
    return lambda x: inner(x) if type(x[0]) is float else inner(x) * 2


def ruled(inner):
    def model(x):
        z = inner(x)
        out = Value(z.data**2, (z,), "squared")

        def _backward():
            z.grad += 2 * z.data * out.grad

        out._backward = _backward
        return out

    return model


def local_gradients(inner):
    def model(x):
        z = inner(x)
        return Value(2 * z.data, (z,), (2.0,))

    return model


def printing(inner):
    def model(x):
        print(end="")
        return inner(x)

    return model


def iterating(inner):
    factors = itertools.cycle([1.0, 2.0])
    return lambda x: inner(x) * next(factors)


def patched(inner):
    calls = []

    def sometimes(self):
        calls.append(1)
        return self.tanh() if len(calls) % 3 else self.relu()

    for neuron in inner.layers[0].neurons:
        neuron.activation = sometimes
    return inner


def writing(inner):
    return lambda x: inner(x) * (2 if "9" in f"{x[0]}" else 1)


def representing(inner):
    return lambda x: inner(x) * (2 if "9" in repr(x[0]) else 1)


def percent(inner):
    return lambda x: inner(x) * (2 if "9" in "%s" % x[0] else 1)  # noqa: UP031


STATEFUL = [
    (writing, "makes a text"),
    (representing, "uses repr"),
    (percent, "text with %"),
    (noisy, "Generator"),
    (drawing, "uses random|module random"),
    (counting, "changes calls"),
    (logging, "changes when it runs"),
    (remembering, "changes last"),
    (branching, "branches on a value"),
    (branching_on_inputs, "branches on a value"),
    (reading_data, "reads .data"),
    (catching, "catches an error|raises"),
    (as_floats, "TypeError"),
    (typed, "something else with Values"),
    (ruled, "changes _backward|changes grad"),
    (local_gradients, "reads .data"),
    (printing, "print"),
    (iterating, "cycle"),
    (patched, "changes when it runs"),
]


def test_a_question_for_the_type_that_a_float_answers():
    losses = []
    for engine in ("program", "graph"):
        inner = make()

        def model(x, inner=inner):
            return inner(x) if isinstance(x[0], float) else inner(x) * 2

        losses.append(fit(model, X, SIGN, optimizer=optim.SGD(inner, lr=0.1), epochs=6, engine=engine).losses)
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)


@pytest.mark.parametrize(("wrap", "reason"), STATEFUL, ids=[wrap.__name__ for wrap, _ in STATEFUL])
def test_reasons_for_graphs(wrap, reason):
    inner = make()
    with pytest.raises(ValueError, match=reason):
        fit(wrap(inner), X, SIGN, optimizer=optim.SGD(inner, lr=0.1), epochs=6, engine="program")
    assert data(inner) == data(make())
    if wrap in (logging, patched):
        return  # trying them has had an effect, of which only the lists tell
    one, two = make(), make()
    random.seed(7)
    right = by_hand(wrap(one), kilograd.functional.mse, optim.SGD(one, lr=0.1))
    random.seed(7)
    history = fit(wrap(two), X, SIGN, optimizer=optim.SGD(two, lr=0.1), epochs=6)
    assert history.steps == right
    assert data(one) == data(two)


def test_losses_that_stay_on_graphs():
    def indexed(logits, target):
        return -kilograd.functional.log_softmax(logits)[int(target > 0)]

    one, two = make(2), make(2)
    right = by_hand(one, indexed, optim.SGD(one, lr=0.1))
    assert fit(two, X, SIGN, loss=indexed, optimizer=optim.SGD(two, lr=0.1), epochs=6).steps == right
    for own, match in (
        (lambda p, t: kilograd.functional.hinge(p, t), "uses hinge"),
        (partial(kilograd.functional.binary_cross_entropy_from_logits, reduction="sum"), "uses binary_cross_entropy"),
        (lambda p, t: p * (t if t > 0 else 2), "branches"),
    ):
        with pytest.raises(ValueError, match=match):
            trained("program", loss=own)
    with pytest.raises(ValueError, match="only a sigmoid"):
        trained("program", loss="binary_cross_entropy", y=CLASS, model=make(last=lambda z: z.tanh() ** 2))
    with pytest.raises(ValueError, match="has to be|probability"):
        trained("auto", loss="binary_cross_entropy", y=CLASS)


def test_other_things_that_stay_on_graphs():
    with kilograd.no_grad(), pytest.raises(ValueError, match="no_grad"):
        trained("program")

    class Halved(optim.SGD):
        def step(self):
            for p in self.parameters:
                p.grad /= 2
            super().step()

    with pytest.raises(ValueError, match="step of its own"):
        trained("program", optimizer=lambda m: Halved(m, lr=0.1))
    halved = trained("auto", optimizer=lambda m: Halved(m, lr=0.1))
    plain = trained("graph", lambda m: optim.SGD(m, lr=0.05))
    assert (halved[0].steps, halved[1]) == (plain[0].steps, plain[1])
    rates = iter([0.1] * 100)
    with pytest.raises(ValueError, match="list_iterator"):
        trained("program", optimizer=lambda m: optim.SGD(m, lr=lambda k: next(rates)))
    model = make()
    half = model.parameters()[0] * 0.5
    with pytest.raises(ValueError, match="computed before"):
        fit(lambda x: model(x) * half, X, SIGN, optimizer=optim.SGD(model), engine="program")
    rows = [[1.0, 2.0], (1.0, 2.0)] * 120
    with pytest.raises(ValueError, match="differ in kind"):
        fit(make(), rows, [1.0] * 240, engine="program")
    with pytest.raises(ValueError, match="a row holds Value"):
        fit(make(), [[Value(1.0), 2.0]] * 3, [1.0] * 3, engine="program")


# Errors, Ctrl-C, nodes


@pytest.mark.parametrize("lr", [1e6, lambda k: 1e6])
def test_divergence(lr):
    found = []
    for engine in ("graph", "program"):
        model = make()
        sgd = optim.SGD(model, lr=lr, momentum=0.9)
        with pytest.raises(FloatingPointError, match=r"epoch \d+, step \d+") as caught:
            fit(model, X, SIGN, loss=lambda p, t: (p - t) ** 4, optimizer=sgd, engine=engine, **DEFAULTS)
        where = str(caught.value).partition(",")[0], str(caught.value).partition(",")[2].partition(",")[0]
        found.append((where, data(model), sgd.steps, sgd.state_dict()["velocity"].tolist()))
    assert found[0][0] == found[1][0]
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-9)
    assert all(map(math.isfinite, found[1][1]))
    assert found[0][2] == found[1][2]
    assert found[0][3] == pytest.approx(found[1][3], rel=1e-9)


def test_a_step_that_leaves_the_finite_numbers():
    found = []
    for engine in ("graph", "program"):
        w = Value(1.0)
        sgd = optim.SGD([w], lr=1e308)
        with pytest.raises(FloatingPointError, match="a parameter is no longer finite"):
            fit(lambda x, w=w: w * x, [3.0, 3.0], [0.0, 0.0], optimizer=sgd, epochs=3, batch_size=1, engine=engine)
        found.append((w.data, sgd.steps))
    assert found == [(1.0, 0)] * 2


def test_an_overflow_has_the_graphs_message():
    messages = []
    for engine in ("graph", "program"):
        w = Value(1.0)
        with pytest.raises(FloatingPointError, match="overflowed") as caught:
            fit(
                lambda x, w=w: (w * x).exp(),
                [1.0, 2.0, 1.5, 0.5, 1000.0],
                [0.0] * 5,
                optimizer=optim.SGD([w], lr=1e-3),
                batch_size=1,
                seed=4,
                epochs=2,
                engine=engine,
            )
        messages.append((str(caught.value), w.data))
    assert messages[0] == messages[1]


def test_clipping_what_is_not_finite_is_the_optimizers_error():
    found = []
    for engine in ("graph", "program"):
        w = Value(1e-3)
        sgd = optim.SGD([w], lr=0.1, clip_norm=1.0)
        with pytest.raises(FloatingPointError, match="norm") as caught:
            fit(lambda x, w=w: (w * x).sqrt(), [1.0, 0.0], [0.0, 0.0], optimizer=sgd, epochs=2, engine=engine)
        found.append((str(caught.value), w.data, sgd.steps))
    assert found[0] == found[1]


def test_control_c():
    model = make()

    def press(history):
        if len(history.losses) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    history = fit(model, X, SIGN, callbacks=[press], engine="program", **{**DEFAULTS, "epochs": 1000})
    assert history.interrupted
    assert (len(history.losses), len(history.steps)) == (3, 3 * 5 + 1)

    def twice(history):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(model, X, SIGN, callbacks=[twice], engine="program", **DEFAULTS)


def test_control_c_from_elsewhere_during_an_epoch():
    model = make()
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))

    def start(history):
        if len(history.losses) == 1:
            timer.start()

    rows, y = np.tile(X, (100, 1)), np.tile(SIGN, 100)
    history = fit(model, rows, y, batch_size=1, epochs=100_000, seed=0, callbacks=[start], engine="program")
    timer.join()
    assert history.interrupted
    assert 0 < len(history.losses) < 100_000
    assert all(map(math.isfinite, history.steps))


def test_no_nodes_are_left():
    model = make()
    before = kilograd.live_nodes()
    fit(model, X, SIGN, optimizer=optim.SGD(model, lr=0.1), engine="program", validation=0.2, **DEFAULTS)
    predict(model, np.tile(X, (10, 1)))
    assert kilograd.live_nodes() == before


# predict


def test_predict_many():
    rows = np.tile(X, (10, 1))
    for model in (make(), make(3), make(kind=micrograd_nn.MLP)):
        few = np.concatenate([predict(model, X)] * 10)
        assert predict(model, rows) == pytest.approx(few, rel=1e-12, abs=1e-15)
    calls = []
    inner = make()

    def model(x):
        calls.append(x)
        return inner(x)

    assert predict(model, rows) == pytest.approx(np.concatenate([predict(inner, X)] * 10))
    assert len(calls) >= len(rows)
    w = Value(2.0)
    with pytest.raises(ValueError, match="log"):
        predict(lambda x: (w * x).log(), [1.0] * 299 + [-1.0])
