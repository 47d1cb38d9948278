"""Ctrl-C, and what handlers of signals do, in the middle of one long call.

The signals come after so much processor time of this process, and what is looked at is how far the call came: neither
depends on how busy the machine is.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

import kilograd
from kilograd import Program, Value, optim
from kilograd.training import fit

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers of processor time")

ROWS = 2_000_000  # some ten seconds of what is tested here
X = np.broadcast_to([0.5, -0.25], (ROWS, 2))


@contextmanager
def after(seconds: float, handler: Callable[..., object] = signal.default_int_handler) -> Iterator[None]:
    """A signal, once this process has computed for so long."""
    before = signal.signal(signal.SIGVTALRM, handler)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def interrupted(call: Callable[[], object]) -> None:
    """The call ends by Ctrl-C, with little more time spent on it than until then."""
    start = time.process_time()
    with pytest.raises(KeyboardInterrupt), after(0.1):
        call()
    assert time.process_time() - start < 1.0


def chain(length: int) -> tuple[Program, list[Value]]:
    x = [Value(0.5), Value(0.25)]
    w = [Value(0.75), Value(-0.5)]
    y = x[0]
    for _ in range(length):
        y = (w[0] * y + w[1] * x[1]).tanh()
    return Program(y, inputs=x, parameters=w), w


PROGRAM, PARAMETERS = chain(300)
V = np.ones(2)

CALLS: dict[str, Callable[[dict[str, object]], object]] = {
    "forward": lambda o: PROGRAM(X, **o),
    "mean": lambda o: PROGRAM(np.broadcast_to(X[0], (20 * ROWS, 2)), reduce="mean"),
    "value_and_grad": lambda o: PROGRAM.value_and_grad(X, "both", reduce="mean"),
    "backward": lambda o: PROGRAM.backward(X, **o),
    "vjp": lambda o: PROGRAM.vjp(X, 1.0, **o),
    "jvp": lambda o: PROGRAM.jvp(X, V, **o),
    "hvp": lambda o: PROGRAM.hvp(X, V, **o),
    "jacobian": lambda o: PROGRAM.jacobian(X, **o),
    "hessian": lambda o: PROGRAM.hessian(X, **o),
    "hessian by sweeps": lambda o: PROGRAM.hessian(X, weights=1.0, **o),
}
SHAPES = {"vjp": (2,), "hvp": (2,), "jacobian": (2,), "hessian": (2, 2), "hessian by sweeps": (2, 2)}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", CALLS)
def test_a_long_call_is_interrupted(name: str, threads: int) -> None:
    few = PROGRAM.value_and_grad(X[:50], "both")
    for p in PARAMETERS:
        p.grad = 0.125
    options: dict[str, object] = {"threads": threads}
    if name not in ("mean", "value_and_grad"):
        options["out"] = np.zeros((ROWS, *SHAPES.get(name, ())))
    interrupted(lambda: CALLS[name](options))
    if "out" in options:
        assert not options["out"].all()  # type: ignore[attr-defined]
    assert [p.grad for p in PARAMETERS] == [0.125, 0.125]
    for a, b in zip(PROGRAM.value_and_grad(X[:50], "both"), few, strict=True):
        np.testing.assert_array_equal(a, b)


def test_making_second_derivatives_is_interrupted() -> None:
    program, _ = chain(20_000)
    interrupted(lambda: program.hessian(X[:1000], "both"))
    small, _ = chain(20)
    assert small.hessian(X[:3]).shape == (3, 2, 2)


def test_recording_is_interrupted() -> None:
    x = Value(0.5, label="x")
    y = x
    for _ in range(500_000):
        y = (y + x) * 0.5
    x.grad = 3.0
    before = kilograd.live_nodes()
    interrupted(lambda: [Program(y, inputs=[x]) for _ in range(100)])
    assert (x.grad, y.grad, kilograd.live_nodes()) == (3.0, 0.0, before)
    y.backward()
    assert x.grad == pytest.approx(4.0)


def press_after(seconds: float) -> subprocess.Popen[bytes]:
    """Another process, which sends this one what Ctrl-C sends."""
    program = f"import os, signal, time; time.sleep({seconds}); os.kill({os.getpid()}, signal.SIGINT)"
    return subprocess.Popen([sys.executable, "-c", program])


def record_for_ever(y: Value, x: Value) -> None:
    while True:
        Program(y, inputs=[x])


def test_recording_a_long_graph_is_interrupted() -> None:
    """While nodes are numbered no Python may run; Ctrl-C ends it all the same."""
    x = Value(0.5, label="x")
    y = x
    for _ in range(500_000):
        y = (y + x) * 0.5
    x.grad, y.grad = 3.0, 2.0
    before = kilograd.live_nodes()
    for wait in (0.01, 0.03, 0.1):
        child = press_after(wait)
        with pytest.raises(KeyboardInterrupt):
            record_for_ever(y, x)
        child.wait()
        assert (x.grad, y.grad, kilograd.live_nodes()) == (3.0, 2.0, before)
    x.grad = y.grad = 0.0
    y.backward()
    assert x.grad == pytest.approx(1.0)


def test_a_handler_that_raises_nothing_lets_a_recording_go_on() -> None:
    x = Value(0.5)
    y = x
    for _ in range(200_000):
        y = (y + x) * 0.5
    pressed = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        child = press_after(0.03)
        while not pressed:
            program = Program(y, inputs=[x])
        child.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    assert program([0.5]).tolist() == y.data
    assert pressed == [signal.SIGINT]


def test_a_compiled_batch_is_interrupted() -> None:
    @kilograd.compile
    def f(x: float, y: float) -> float:
        for _ in range(300):
            x = x * y + 0.5 * np.tanh(x)
        return x

    f(0.5, 0.25)
    interrupted(lambda: f.batch(X[:, 0].copy(), X[:, 1].copy()))
    assert f.batch(X[:5, 0], X[:5, 1]).shape == (5,)


@pytest.mark.parametrize("threads", [1, 2])
def test_minimize_is_interrupted_within_a_step(threads: int) -> None:
    sgd = optim.SGD(PARAMETERS, lr=1e-9)
    before = [p.data for p in PARAMETERS]
    interrupted(lambda: sgd.minimize(PROGRAM, X, steps=3, threads=threads))
    assert sgd.steps == 0
    assert [p.data for p in PARAMETERS] == before
    sgd.minimize(PROGRAM, X[:10], steps=3)
    assert sgd.steps == 3


def test_fit_ends_within_a_long_step() -> None:
    w = Value(0.75)

    def model(x: float) -> Value:
        for _ in range(1000):
            x = (w * x).tanh()  # type: ignore[attr-defined]
        return x  # type: ignore[return-value]

    rows = np.linspace(-1.0, 1.0, 100_000)
    data = []

    def press(number: int, frame: object) -> None:
        signal.raise_signal(signal.SIGINT)

    def note(history: object) -> None:
        data.append(w.data)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.02)

    with after(1e6, press):
        history = fit(model, rows, rows, epochs=10, callbacks=[note], optimizer=optim.SGD([w]), engine="program")
    assert history.interrupted
    assert (len(history.losses), len(history.steps)) == (1, 1)
    assert [w.data] == data


def test_fit_on_graphs_ends_within_a_step() -> None:
    w = Value(0.75)
    met = 0

    def model(x: float) -> Value:
        nonlocal met
        met += 1
        if met == 1500:
            signal.raise_signal(signal.SIGINT)
        return w * x

    rows = np.linspace(-1.0, 1.0, 1000)
    history = fit(model, rows, rows, epochs=10, optimizer=optim.SGD([w], lr=0.1), engine="graph")
    assert history.interrupted
    assert (met, len(history.losses), len(history.steps)) == (1500, 1, 1)
    again = Value(0.75)
    fit(lambda x: again * x, rows, rows, epochs=1, optimizer=optim.SGD([again], lr=0.1), engine="graph")
    assert w.data == again.data


def test_a_handler_may_use_the_program_meanwhile() -> None:
    few = PROGRAM.value_and_grad(X[:3000], "both")
    calls = 0

    def use(number: int, frame: object) -> None:
        nonlocal calls
        calls += 1
        for a, b in zip(PROGRAM.value_and_grad(X[:3000], "both", threads=2), few, strict=True):
            np.testing.assert_array_equal(a, b)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.02)

    rows = np.linspace(-1.0, 1.0, 600_000).reshape(-1, 2)
    expected = PROGRAM.value_and_grad(rows, "both")
    for threads in (1, 2):
        with after(0.02, use):
            got = PROGRAM.value_and_grad(rows, "both", threads=threads)
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    assert calls > 0


def test_other_threads_do_not_run_handlers() -> None:
    ran_in = []

    def note(number: int, frame: object) -> None:
        ran_in.append(threading.current_thread())

    thread = threading.Thread(target=lambda: PROGRAM.value_and_grad(X[:200_000], "both"))
    with after(0.02, note):
        thread.start()
        thread.join()
    assert set(ran_in) <= {threading.main_thread()}


def test_a_child_of_another_thread_is_interrupted(run_python: Callable[[str], str]) -> None:
    printed = run_python("""
import os, signal, threading
import numpy as np
from kilograd import Program, Value

x = Value(0.5)
y = x
for _ in range(300):
    y = (y * x).tanh()
program, rows = Program(y, [x]), np.broadcast_to([0.5], (5_000_000, 1))
program(rows[:10])

def work():
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGVTALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.1)
        out = np.zeros(len(rows))
        try:
            program(rows, out=out)
        except KeyboardInterrupt:
            os._exit(0 if not out[-1] else 1)
        os._exit(2)
    print(os.waitpid(child, 0)[1])

thread = threading.Thread(target=work)
thread.start()
thread.join()
""")
    assert printed == "0\n"
