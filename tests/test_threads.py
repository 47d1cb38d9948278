"""Several threads, each with graphs of its own, under the GIL."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from kilograd import Value, no_grad

THREADS = 6


@pytest.fixture(autouse=True)
def frequent_switches() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def together(work: Callable[[int], None]) -> None:
    """Runs work(0), work(1), ... in threads that start at the same moment; what one raises is raised here."""
    barrier = threading.Barrier(THREADS)
    errors: list[BaseException] = []

    def body(i: int) -> None:
        try:
            barrier.wait()
            work(i)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=body, args=(i,)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_separate_graphs():
    def work(i: int) -> None:
        for step in range(200):
            x = Value(float(i + 1), label="x")
            y = x
            for _ in range(20):
                y = y * 1.0 + 0.0
            (y * y).backward()
            assert x.grad == 2.0 * (i + 1)
            assert y.data == i + 1
            if step % 50 == 0:
                gc.collect()

    together(work)


def test_custom_ops():
    def work(i: int) -> None:
        for _ in range(100):
            x = Value(float(i + 1))
            y = x
            for _ in range(5):
                out = Value(y.data, (y,), "identity")

                def rule(y: Value = y, out: Value = out) -> None:
                    sum(range(50))  # long enough for a switch in the middle of backward()
                    y.grad += out.grad

                out._backward = rule
                y = out * 1.0
                y.tag = [out]
            (y * y).backward()
            assert x.grad == 2.0 * (i + 1)

    together(work)


def test_one_parameter_read_by_all():
    w = Value(2.0, label="w")

    def work(i: int) -> None:
        for _ in range(200):
            x = Value(float(i))
            y = (w * x).tanh()
            y.backward()
            assert x.grad == 2.0 * (1.0 - y.data * y.data)

    together(work)
    assert w.label == "w"


def test_no_grad_holds_for_its_own_thread():
    inside = threading.Event()
    done = threading.Event()

    def hold() -> None:
        with no_grad():
            inside.set()
            assert (Value(1.0) * 2)._children == ()
            done.wait()
            assert (Value(1.0) * 2)._children == ()

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait()
    try:
        assert len((Value(1.0) * 2)._children) == 2
        with no_grad():
            assert (Value(1.0) * 2)._children == ()
        assert len((Value(1.0) * 2)._children) == 2
    finally:
        done.set()
        thread.join()
    assert len((Value(1.0) * 2)._children) == 2


def test_no_grad_in_all_threads_in_turns():
    def work(i: int) -> None:
        x = Value(1.0)
        for step in range(300):
            if (step + i) % 2:
                with no_grad():
                    assert (x * 2)._children == ()
            else:
                assert (x * 2)._children[0] is x

    together(work)


def test_values_handed_from_thread_to_thread_and_dropped_there():
    made: list[Value] = []
    lock = threading.Lock()

    def work(i: int) -> None:
        for _ in range(300):
            x = Value(1.0, label="x")
            y = x * 2
            y.note = [x]
            with lock:
                made.append((y + 1).exp())
                taken = made.pop(0) if len(made) > 10 else None
            if taken is not None:
                taken.backward()
                assert taken._children[0]._children[0].note[0].label == "x"

    together(work)


def test_deletion_with_finalizers_in_all_threads():
    deleted = []

    class Tracked(Value):
        def __del__(self) -> None:
            deleted.append(self.data)

    def work(i: int) -> None:
        for _ in range(200):
            x = Tracked(float(i))
            y = x * 2
            del x
            z = y + y
            del y
            del z

    together(work)
    assert len(deleted) == THREADS * 200
