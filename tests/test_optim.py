"""Optimisers: PyTorch's trajectories, settings that are refused, state."""

from __future__ import annotations

import copy
import math
import pickle
import random
import signal
import threading
import time
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest

from kilograd import MLP, Program, Value, optim
from kilograd.micrograd.engine import Value as MicrogradValue

try:
    import torch
except ImportError:
    torch = None

START = [0.5, -1.0, 2.0, 0.1]
CASES = [
    ("SGD", {"lr": 0.05}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    ("Adam", {"lr": 0.05}),
    ("Adam", {"lr": 0.05, "betas": (0.8, 0.99), "eps": 1e-6, "weight_decay": 0.01}),
    ("Adam", {"lr": 0.05, "amsgrad": True}),
    ("AdamW", {"lr": 0.05}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.1, "amsgrad": True}),
    ("RMSprop", {"lr": 0.02}),
    ("RMSprop", {"lr": 0.02, "momentum": 0.5, "centered": True, "weight_decay": 0.01}),
    ("Adagrad", {"lr": 0.5}),
    ("Adagrad", {"lr": 0.5, "lr_decay": 0.01, "weight_decay": 0.01, "initial_accumulator_value": 0.1, "eps": 1e-6}),
]
# The parameters after 200 steps, from PyTorch 2.13.0; Adagrad's from its formula there, in 50 digits.
STORED = {
    ("SGD", "{'lr': 0.05}"): [0.9951957914084404, 1.3669979750019299, 0.6723407328916792, 0.8656807117705693],
    ("SGD", "{'lr': 0.05, 'momentum': 0.9, 'dampening': 0.1, 'weight_decay': 0.01}"): [
        0.990738006319466,
        2.534676464835969,
        0.38175503841664793,
        0.8616118773732081,
    ],
    ("SGD", "{'lr': 0.05, 'momentum': 0.9, 'nesterov': True}"): [
        1.000027721242462,
        4.519543250830946,
        0.2191207322142026,
        1.0240218581369886,
    ],
    ("Adam", "{'lr': 0.05}"): [1.0000489672626036, 1.3333576895763852, 0.6806319587514603, 1.027767660427087],
    ("Adam", "{'lr': 0.05, 'betas': (0.8, 0.99), 'eps': 1e-06, 'weight_decay': 0.01}"): [
        0.9907383460055647,
        1.3611221582494202,
        0.6645047542428387,
        0.8615924438458958,
    ],
    ("Adam", "{'lr': 0.05, 'amsgrad': True}"): [
        1.0000523307987357,
        1.3199549153628691,
        0.6865280216036804,
        1.0285497165500117,
    ],
    ("AdamW", "{'lr': 0.05}"): [0.9995220712871191, 1.2985911519691171, 0.6926876233319544, 0.9745080846229971],
    ("AdamW", "{'lr': 0.05, 'weight_decay': 0.1, 'amsgrad': True}"): [
        0.9925220973293398,
        1.065650020165949,
        0.7702565511197201,
        0.8850333379291051,
    ],
    ("RMSprop", "{'lr': 0.02}"): [0.9999492108441556, 1.1915809774363906, 0.7465418271325566, 0.9706543094842931],
    ("RMSprop", "{'lr': 0.02, 'momentum': 0.5, 'centered': True, 'weight_decay': 0.01}"): [
        0.9907383460498113,
        1.6215670145101493,
        0.572420486663029,
        0.8615924439879237,
    ],
    ("Adagrad", "{'lr': 0.5}"): [0.9999843526509159, 1.619876855423549, 0.5756985850720074, 0.9801692937000436],
    (
        "Adagrad",
        "{'lr': 0.5, 'lr_decay': 0.01, 'weight_decay': 0.01, 'initial_accumulator_value': 0.1, 'eps': 1e-06}",
    ): [0.9907383417948981, 1.3031839817213813, 0.6893316628701033, 0.8615924033182775],
}


def objective(p):
    return (p[0] - 1) ** 2 + (p[1] * p[2] - 1) ** 2 * 0.5 + (p[3] - p[0]) ** 4 + p[2] ** 2 * 0.1


def trajectory(optimizer, parameters, steps=200):
    for _ in range(steps):
        loss = objective(parameters)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield [float(p.data) for p in parameters]


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_trajectories_are_pytorchs(name, settings):
    parameters = [Value(x) for x in START]
    mine = list(trajectory(getattr(optim, name)(parameters, **settings), parameters))
    assert mine[-1] == pytest.approx(STORED[name, str(settings)], rel=1e-12, abs=1e-12)
    if torch is None:
        return
    tensors = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in START]
    theirs = list(trajectory(getattr(torch.optim, name)(tensors, **settings), tensors))
    np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-12)


def test_learning_rates():
    assert optim.Cosine(1.0, 10)(0) == 1.0
    assert optim.Cosine(1.0, 10, final=0.2)(5) == pytest.approx(0.6)
    assert optim.Cosine(1.0, 10, final=0.2)(50) == pytest.approx(0.2)
    assert [optim.LinearDecay(1.0, 4)(k) for k in range(6)] == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    assert [optim.StepDecay(1.0, 2, 0.5)(k) for k in range(5)] == [1.0, 1.0, 0.5, 0.5, 0.25]
    assert [optim.WarmUp(1.0, 4)(k) for k in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert optim.WarmUp(optim.LinearDecay(1.0, 4), 2)(0) == 0.5
    assert pickle.loads(pickle.dumps(optim.WarmUp(optim.Cosine(1.0, 9), 2)))(3) == optim.Cosine(1.0, 9)(3)


@pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
def test_cosine_is_pytorchs():
    sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, 20, eta_min=0.01)
    for step in range(20):
        assert optim.Cosine(0.3, 20, 0.01)(step) == pytest.approx(schedule.get_last_lr()[0], rel=1e-12)
        sgd.step()
        schedule.step()


def test_a_rate_may_be_a_function_of_the_step():
    p = Value(0.0)
    seen = []
    sgd = optim.SGD([p], lr=lambda step: seen.append(step) or 0.5**step)
    for _ in range(3):
        p.grad = 1.0
        sgd.step()
    assert seen == [0, 1, 2]
    assert p.data == -1.75


def with_gradients(*gradients):
    values = [Value(0.0) for _ in gradients]
    for v, g in zip(values, gradients, strict=False):
        v.grad = g
    return values


def test_clipping():
    values = with_gradients(3.0, -4.0)
    assert optim.clip_grad_norm(values, 1.0) == 5.0
    assert [v.grad for v in values] == pytest.approx([0.6, -0.8], rel=1e-6)
    assert optim.clip_grad_norm(values, 10.0) == pytest.approx(1.0, rel=1e-6)
    assert optim.clip_grad_norm(with_gradients(3.0, -4.0), 9.0, order=1.0) == 7.0
    assert optim.clip_grad_norm(with_gradients(3.0, -4.0), 9.0, order=math.inf) == 4.0
    values = with_gradients(3.0, -0.5, -4.0)
    optim.clip_grad_value(values, 1.0)
    assert [v.grad for v in values] == [1.0, -0.5, -1.0]
    optim.clip_grad_norm(with_gradients(0.0), 1.0)


@pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("order", [1.0, 2.0, 3.0, math.inf])
def test_clipping_is_pytorchs(order):
    gradients = [0.3, -2.0, 5.0]
    values = with_gradients(*gradients)
    tensor = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    tensor.grad = torch.tensor(gradients, dtype=torch.float64)
    norm = torch.nn.utils.clip_grad_norm_([tensor], 0.7, norm_type=order)
    assert optim.clip_grad_norm(values, 0.7, order=order) == pytest.approx(norm.item(), rel=1e-12)
    np.testing.assert_allclose([v.grad for v in values], tensor.grad.numpy(), rtol=1e-12)


def test_a_norm_that_is_not_finite_is_refused():
    values = with_gradients(1.0, math.inf)
    with pytest.raises(FloatingPointError, match="inf"):
        optim.clip_grad_norm(values, 1.0)
    with pytest.raises(FloatingPointError):
        optim.SGD(values, lr=0.1, clip_norm=1.0).step()
    assert [v.data for v in values] == [0.0, 0.0]
    assert [v.grad for v in values] == [1.0, math.inf]


def test_the_optimizer_clips_too():
    values = with_gradients(3.0, -4.0)
    optim.SGD(values, lr=1.0, clip_norm=0.5).step()
    assert [v.data for v in values] == pytest.approx([-0.3, 0.4], rel=1e-6)
    values = with_gradients(3.0, -4.0)
    optim.SGD(values, lr=1.0, clip_value=0.5).step()
    assert [v.data for v in values] == [-0.5, 0.5]


BAD = [
    (lambda: optim.SGD([]), ValueError, "at least one"),
    (lambda: optim.SGD([1.0]), TypeError, "float"),
    (lambda: optim.SGD([P, P]), ValueError, "twice"),
    (lambda: optim.SGD([P], lr=-1.0), ValueError, "lr"),
    (lambda: optim.SGD([P], lr=math.nan), ValueError, "lr"),
    (lambda: optim.SGD([P], momentum=-0.1), ValueError, "momentum"),
    (lambda: optim.SGD([P], nesterov=True), ValueError, "Nesterov"),
    (lambda: optim.Adam([P], betas=(1.0, 0.9)), ValueError, "beta1"),
    (lambda: optim.Adam([P], eps=-1.0), ValueError, "eps"),
    (lambda: optim.RMSprop([P], alpha=1.5), ValueError, "alpha"),
    (lambda: optim.SGD([P], weight_decay=-1.0), ValueError, "weight_decay"),
    (lambda: optim.SGD([P], clip_norm=-1.0), ValueError, "clip_norm"),
    (lambda: optim.clip_grad_norm([P], 1.0, order=0.0), ValueError, "order"),
    (lambda: optim.clip_grad_value([1.0], 1.0), TypeError, "no Value"),
]
P = Value(1.0)


@pytest.mark.parametrize(("make", "error", "match"), BAD)
def test_bad_settings(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_a_parameter_that_comes_twice_later_is_refused():
    values = with_gradients(1.0, 2.0)
    for sgd in (optim.SGD(values, lr=0.1), optim.SGD(values, lr=0.1, momentum=0.9)):
        sgd.parameters.append(values[0])
        with pytest.raises(ValueError, match="parameter 2 comes twice"):
            sgd.step()
        sgd.parameters[:] = values[:1] * 2
        with pytest.raises(ValueError, match="parameter 1 comes twice"):
            sgd.step()
        assert [v.data for v in values] == [0.0, 0.0]
        sgd.parameters[:] = values
    sgd.step()
    assert [v.data for v in values] == [-0.1, -0.2]
    (values[0] * values[1]).backward()
    assert values[1].grad == 2.0 + values[0].data  # no mark is left on it


def test_a_model_in_place_of_parameters():
    model = MLP(2, [3, 1])
    adam = optim.Adam(model)
    assert list(map(id, adam.parameters)) == list(map(id, model.parameters()))
    for p in model.parameters():
        p.grad = 1.0
    adam.zero_grad()
    assert all(p.grad == 0.0 for p in model.parameters())
    assert repr(optim.SGD([P], 0.5)).startswith("SGD(1 parameters, lr=0.5, ")


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_state(name, settings):
    one = [Value(x) for x in START]
    first = getattr(optim, name)(one, **settings)
    list(trajectory(first, one, 7))
    state = pickle.loads(pickle.dumps(first.state_dict()))
    two = [Value(p.data) for p in one]
    second = getattr(optim, name)(two, lr=9.0)
    second.load_state_dict(state)
    assert list(trajectory(second, two, 7)) == list(trajectory(first, one, 7))


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_a_pickle_or_copy_goes_on(name, settings):
    one = [Value(x) for x in START]
    first = getattr(optim, name)(one, **settings)
    list(trajectory(first, one, 7))
    for second in (pickle.loads(pickle.dumps(first)), copy.deepcopy(first)):
        assert repr(second) == repr(first)
        kept = copy.deepcopy(first)
        assert list(trajectory(second, second.parameters, 7)) == list(trajectory(kept, kept.parameters, 7))


def test_settings_are_attributes():
    adam = optim.Adam([P], betas=(0.5, 0.75), amsgrad=True)
    assert (adam.beta1, adam.beta2, adam.amsgrad, adam.clip_norm) == (0.5, 0.75, True, None)
    adam.clip_norm, adam.amsgrad, adam.eps = 2, False, 1e-3
    assert (adam.clip_norm, adam.amsgrad, adam.eps) == (2.0, False, 1e-3)
    for name, value in (("beta1", 1.0), ("eps", -1.0), ("clip_norm", math.nan)):
        with pytest.raises(ValueError, match=name):
            setattr(adam, name, value)
    assert (adam.beta1, adam.eps, adam.clip_norm) == (0.5, 1e-3, 2.0)
    state = adam.state_dict()
    with pytest.raises(ValueError, match="beta2"):
        adam.load_state_dict({**state, "eps": 0.5, "beta2": 2.0})
    assert adam.state_dict() == state
    with pytest.raises(KeyError, match="speed"):
        optim.Optimizer([P], 0.1, speed=1.0)


def test_a_step_of_ones_own():
    class SignDescent(optim.Optimizer):
        def step(self):
            for p in self.parameters:
                p.data -= self.lr * math.copysign(1.0, p.grad)

    values = with_gradients(3.0, -4.0)
    SignDescent(values, 0.5).step()
    assert [v.data for v in values] == [-0.5, 0.5]
    with pytest.raises(RuntimeError, match=r"override step\(\)"):
        optim.Optimizer(values, 0.5).step()


def test_a_schedule_of_ones_own_needs_no_python_between_two_steps():
    class Root(optim.Schedule):
        def __call__(self, step):
            asked.append((step, parameters[0].data))
            return 0.1 / (step + 1) ** 0.5

    for lr, ahead in ((Root(), True), (optim.WarmUp(Root(), 3), True), (optim.WarmUp(Root().__call__, 3), False)):
        found = []
        for run in (loop, lambda o, *rest: o.minimize(*rest[:2], steps=rest[2]).tolist()):
            asked = []
            program, parameters, _ = network()
            found.append((run(optim.SGD(parameters, lr=lr), program, ROWS, 5), [step for step, _ in asked]))
        assert found[0] == found[1]
        assert (len({data for _, data in asked}) == 1) == ahead


def test_a_list_of_parameters_that_has_grown_is_refused():
    values = with_gradients(1.0, 2.0)
    adam = optim.Adam(values)
    adam.step()
    adam.parameters.append(Value(5.0))
    with pytest.raises(ValueError, match="3 parameters now"):
        adam.step()
    with pytest.raises(ValueError, match="3 parameters now"):
        adam.minimize(Program(values[0] * 2.0), steps=3)


def test_a_state_of_something_else_changes_nothing():
    p = [Value(1.0)]
    adam = optim.Adam(p, lr=0.5)
    p[0].grad = 1.0
    adam.step()
    before = adam.state_dict()
    for state, match in (
        (optim.SGD(p).state_dict(), "SGD"),
        ({}, "no optimizer"),
        ({"kind": "Adam"}, "steps"),
        ({"kind": "Adam", "steps": 1, "speed": 1}, "speed"),
        ({**before, "mean": np.zeros(2)}, "shape"),
    ):
        with pytest.raises(ValueError, match=match):
            adam.load_state_dict(state)
    assert str(adam.state_dict()) == str(before)


def test_an_integer_parameter_becomes_a_float():
    p = MicrogradValue(0)
    p.grad = 1
    optim.SGD([p], lr=0.5).step()
    assert repr(p) == "Value(data=-0.5, grad=1)"
    optim.SGD([p]).zero_grad()
    assert repr(p) == "Value(data=-0.5, grad=0)"


# minimize

ROWS = np.random.default_rng(2).normal(size=(23, 3))


def network(rows=ROWS):
    """A program with a parameter that nobody trains, and an optimizer's parameter that is not in the program."""
    random.seed(4)
    model, frozen, unused = MLP(2, [4, 1]), Value(0.5), Value(3.0)
    inputs = [Value(0.0) for _ in range(3)]
    loss = (model(inputs[:2]) * frozen - inputs[2]) ** 2
    if rows is None:
        loss = sum(((model(row[:2]) * frozen - row[2]) ** 2 for row in ROWS.tolist()), Value(0.0))
        inputs = []
    return Program(loss, inputs=inputs), [*model.parameters(), unused], frozen


def loop(optimizer, program, rows, steps, reduce="mean"):
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        losses.append(float(program.backward(rows, reduce=reduce)))
        optimizer.step()
    return losses


def outcome(optimizer, frozen):
    return [(p.data, p.grad) for p in optimizer.parameters], frozen.grad, averages(optimizer)


def averages(optimizer):
    """And the number of steps."""
    _, _, steps, found = optimizer._rule.state()
    return steps, {name: values.tolist() for name, values in found.items() if values is not None}


class Doubled(optim.SGD):
    def step(self):
        super().step()
        super().step()


@pytest.mark.parametrize("rows", [ROWS, ROWS[0], None], ids=["rows", "row", "none"])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *CASES,
        ("SGD", {"lr": 0.5, "momentum": 0.9, "dampening": 0.5, "clip_norm": 0.1}),
        ("Adam", {"lr": optim.WarmUp(optim.Cosine(0.1, 9), 4), "clip_value": 0.01}),
        ("SGD", {"lr": lambda k: 0.1 / (k + 1)}),
        ("Doubled", {"lr": 0.1}),
    ],
)
def test_minimize_is_the_loop(name, settings, rows):
    kind = Doubled if name == "Doubled" else getattr(optim, name)
    found = []
    for run in (loop, lambda o, *rest: o.minimize(*rest[:2], steps=rest[2], reduce="sum").tolist()):
        program, parameters, frozen = network(rows)
        optimizer = kind(parameters, **settings)
        args = (optimizer, program, rows, 7)
        losses = [run(*args, "sum") for _ in range(2)]
        found.append((losses, outcome(optimizer, frozen)))
    assert found[0] == found[1]


def test_minimize_takes_the_mean():
    program, parameters, _ = network()
    again, others, _ = network()
    losses = optim.SGD(parameters, lr=0.1).minimize(program, ROWS.tolist(), steps=5)
    assert losses.tolist() == loop(optim.SGD(others, lr=0.1), again, ROWS, 5)


def test_minimize_refuses_before_anything_changes():
    program, parameters, _ = network()
    before = [p.data for p in parameters]
    sgd = optim.SGD(parameters)
    two = Program([parameters[0] * 2, parameters[1] * 2])
    for call, match in (
        (lambda: sgd.minimize(program, ROWS, steps=-1), "steps"),
        (lambda: sgd.minimize(program, ROWS, steps=1.0), "steps"),
        (lambda: sgd.minimize(program, ROWS, steps=1, reduce="max"), "reduce"),
        (lambda: sgd.minimize(two, steps=1), "one output"),
        (lambda: sgd.minimize(program, ROWS[:, :2], steps=1), "shape"),
        (lambda: sgd.minimize(program, ROWS, steps=1, threads=0), "threads"),
    ):
        with pytest.raises(ValueError, match=match):
            call()
    assert [p.data for p in parameters] == before
    assert sgd.minimize(program, ROWS, steps=0).shape == (0,)


@pytest.mark.parametrize("settings", [{"lr": 0.3}, {"lr": 0.3, "momentum": 0.9, "dampening": 0.5}])
@pytest.mark.parametrize("first", [1.0, -1.0])
def test_minimize_stops_where_the_loop_does(settings, first):
    found = []
    for run in (loop, lambda o, program, rows, steps, reduce: o.minimize(program, rows, steps=steps, reduce=reduce)):
        w = Value(1.0)
        program = Program(w.log() + w)
        w.data = first
        sgd = optim.SGD([w], **settings)
        with pytest.raises(ValueError, match="log") as caught:
            run(sgd, program, None, 50, "sum")
        found.append((str(caught.value), w.data, averages(sgd)))
    assert found[0] == found[1]


def test_minimize_and_a_norm_that_is_not_finite():
    found = []
    for run in (loop, lambda o, program, rows, steps, reduce: o.minimize(program, rows, steps=steps, reduce=reduce)):
        w, other = Value(0.25), Value(1.0)
        program = Program(w.sqrt() * other)
        sgd = optim.SGD([w], lr=0.25, momentum=0.1, clip_norm=100.0)
        with pytest.raises(FloatingPointError, match="norm"):
            run(sgd, program, None, 50, "sum")
        found.append((averages(sgd), w.data, w.grad, other.grad))
    assert found[0] == found[1]
    assert found[0][0][0] == 1


def test_minimize_goes_on_with_infinities_where_the_loop_does():
    found = []
    for run in (loop, lambda o, program, rows, steps, reduce: o.minimize(program, rows, steps=steps, reduce=reduce)):
        w = Value(1.5)
        sgd = optim.SGD([w], lr=1.0)
        losses = run(sgd, Program(w * w * w), None, 12, "sum")
        found.append((repr(list(map(float, losses))), repr(w.data), sgd.steps))
    assert found[0] == found[1]


def test_minimize_can_be_interrupted_and_lets_others_run():
    program, parameters, _ = network()
    sgd = optim.SGD(parameters, lr=1e-9)
    first = parameters[0].data

    def press() -> None:
        while parameters[0].data == first:  # no step has been made yet
            time.sleep(0)
        signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        sgd.minimize(program, np.tile(ROWS, (1000, 1)), steps=1_000_000)  # for minutes
    thread.join()
    assert 0 < sgd.steps < 1_000_000
    before = sgd.steps
    sgd.minimize(program, ROWS, steps=3)
    assert sgd.steps == before + 3


class Forgetful(optim.Schedule):
    """A rate that is none after two steps."""

    def __call__(self, step: int) -> float:
        if step < 2:
            return 0.1
        return None  # type: ignore[return-value]


class Failing(optim.Schedule):
    """A rate that cannot be computed after two steps."""

    def __call__(self, step: int) -> float:
        return (0.1, 0.1)[step]


@pytest.mark.parametrize(("rate", "error"), [(Forgetful(), TypeError), (Failing(), IndexError)])
def test_minimize_with_a_rate_that_is_no_number_makes_the_steps_before(rate: optim.Schedule, error: type[Exception]):
    x, w, other = Value(1.0), Value(2.0), Value(2.0)
    program = Program((w * x - 5.0) ** 2, [x])
    descent = optim.SGD([w], lr=rate)
    with pytest.raises(error):
        descent.minimize(program, [1.0], steps=4)
    assert descent.steps == 2
    again = optim.SGD([other], lr=0.1)
    again.minimize(Program((other * x - 5.0) ** 2, [x]), [1.0], steps=2)
    assert w.data == other.data
    with pytest.raises(TypeError, match=r"^lr is a number of at least 0, not None$"):
        descent.lr = None  # type: ignore[assignment]
    assert descent.lr is rate


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf])
def test_a_rate_that_is_out_of_range_moves_nothing(bad: float):
    w = Value(2.0)
    w.grad = 1.0
    descent = optim.SGD([w], lr=0.5)
    with pytest.raises(ValueError, match="lr is a number of at least 0"):
        descent.lr = bad
    with pytest.raises(ValueError, match="lr is a number of at least 0"):
        descent.load_state_dict(descent.state_dict() | {"lr": bad})
    assert descent.lr == 0.5
    descent.lr = lambda step: (0.5, bad)[step]
    descent.step()
    with pytest.raises(ValueError, match=r"the learning rate of step 1 is a number of at least 0, not "):
        descent.step()
    assert (w.data, descent.steps) == (1.5, 1)

    class Ends(optim.Schedule):
        def __call__(self, step: int) -> float:
            return (0.5, bad)[step - 1]

    descent.lr = Ends()
    with pytest.raises(ValueError, match="the learning rate of step 2"):
        descent.minimize(Program(w * 1.0), steps=2)
    assert (w.data, descent.steps) == (1.0, 2)


def test_centered_rmsprop_takes_no_root_of_what_rounding_made_negative():
    w = Value(0.0)
    descent = optim.RMSprop([w], centered=True)
    for _ in range(3000):
        w.grad = 0.1
        descent.step()
        assert math.isfinite(w.data)


def test_numbers_of_steps_may_be_numpy_integers():
    w = Value(2.0)
    assert len(optim.SGD([w], lr=0.1).minimize(Program(w * w), steps=np.int64(3))) == 3  # type: ignore[arg-type]
    for steps in (2.0, -1, "2"):
        with pytest.raises(ValueError, match="steps is a whole number of at least 0"):
            optim.SGD([w]).minimize(Program(w * w), steps=steps)  # type: ignore[arg-type]


def test_a_gradient_from_elsewhere():
    w = [Value(1.0), Value(2.0)]
    descent = optim.SGD(w, lr=0.5)
    descent.step([1.0, -1.0])
    assert [p.data for p in w] == [0.5, 2.5]
    assert [p.grad for p in w] == [1.0, -1.0]
    with pytest.raises(ValueError, match=r"Values of the shape \(2,\) are to be set from an array of the shape \(1,\)"):
        descent.step([1.0])
    assert ([p.data for p in w], descent.steps) == ([0.5, 2.5], 1)


class Counted:
    """Blocks that count how often they are gone through."""

    def __init__(self, *blocks: object) -> None:
        self.blocks = blocks
        self.times = 0

    def __iter__(self) -> Iterator[object]:
        self.times += 1
        return iter(self.blocks)


@pytest.mark.parametrize("reduce", ["mean", "sum"])
def test_minimize_over_blocks_is_minimize_over_all_rows(reduce: Literal["mean", "sum"]):
    rows = np.random.default_rng(0).normal(size=(30, 2))
    x, y = Value(0.0), Value(0.0)

    def made() -> tuple[list[Value], Value, Program, optim.Optimizer]:
        w, fixed = [Value(0.3), Value(-0.2)], Value(1.5)
        program = Program(((w[0] * x + w[1]).tanh() * fixed - y) ** 2, [x, y])
        return w, fixed, program, optim.Adam(w, lr=0.1)

    blocks = Counted(rows[:7], rows[7:7], rows[7:].tolist())
    w, fixed, program, descent = made()
    v, held, whole, other = made()
    found = descent.minimize(program, blocks, steps=4, reduce=reduce)
    assert blocks.times == 4
    assert found == pytest.approx(other.minimize(whole, rows, steps=4, reduce=reduce), rel=1e-12)
    assert [p.data for p in w] == pytest.approx([p.data for p in v], rel=1e-12)
    assert [p.grad for p in (*w, fixed)] == pytest.approx([p.grad for p in (*v, held)], rel=1e-12)
    assert made()[3].minimize(made()[2], [rows[:3], rows[3:]], steps=1).shape == (1,)
    assert made()[3].minimize(made()[2], iter([rows]), steps=1).shape == (1,)


def test_blocks_that_are_refused():
    w, x = Value(2.0), Value(0.0)
    descent, program = optim.SGD([w], lr=0.1), Program(w * x, [x])
    for blocks, message in [
        (iter([np.ones((2, 1))]), "gone through but once, and there are 2 steps"),
        (Counted(np.ones(3)), r"a block is an array of rows, and this one has the shape \(3,\)"),
        (Counted(np.ones((2, 1)), np.ones((2, 2))), "X has shape"),
        (Counted(), "the mean over blocks of no rows"),
    ]:
        with pytest.raises(ValueError, match=message):
            descent.minimize(program, blocks, steps=2)
    assert (w.data, w.grad, descent.steps) == (2.0, 0, 0)
