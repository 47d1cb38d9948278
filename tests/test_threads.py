"""Several threads, with graphs of their own and with shared ones."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

import kilograd
from kilograd import Value, no_grad

pytestmark = pytest.mark.skipif(sys.platform == "emscripten", reason="there is one thread")

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


def test_each_addition_to_a_shared_gradient_is_whole():
    w = Value(3.0)

    def work(i: int) -> None:
        for _ in range(500):
            (w * float(i + 1)).backward()

    together(work)
    assert w.grad == 500.0 * sum(range(1, THREADS + 1))


def test_graphs_of_several_threads_become_one():
    ends: list[Value] = [Value(0.0)] * THREADS

    def work(i: int) -> None:
        x = Value(float(i), label=f"x{i}")
        y = x
        for _ in range(3000):  # more than a chunk of the tape
            y = y + 1.0
        ends[i] = y * y

    together(work)
    root = sum(ends[1:], ends[0])
    root.backward()
    assert root.data == sum((i + 3000.0) ** 2 for i in range(THREADS))
    for i, end in enumerate(ends):
        node = end
        while node._children:
            node = node._children[0]
        assert (node.label, node.grad) == (f"x{i}", 2.0 * (i + 3000.0))


def test_a_graph_is_replayed_in_another_thread():
    x = Value(2.0)
    y = (x * x).exp()
    y.forward()
    found = []

    def work(i: int) -> None:
        if i == 0:
            found.append(y.forward())

    together(work)
    x.data = 0.5
    assert found == [y.data] or found[0] != y.forward()
    assert y.forward() == Value(0.25).exp().data


def test_copies_of_one_graph_in_all_threads():
    x = Value(2.0, label="x")
    y = (x * 3.0 + 1.0).tanh()

    def work(i: int) -> None:
        for _ in range(30):
            twin = copy.deepcopy(y)
            assert twin.data == y.data
            twin = pickle.loads(pickle.dumps(y))
            twin.backward()
            assert twin is not y

    together(work)
    assert x.grad == 0.0


def test_optimizers_of_several_threads():
    def work(i: int) -> None:
        parameters = [Value(float(k)) for k in range(10)]
        optimizer = kilograd.optim.SGD(parameters, lr=0.1)
        for _ in range(50):
            loss = sum((p - 1.0) ** 2 for p in parameters)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert all(abs(p.data - 1.0) < 1e-3 for p in parameters)

    together(work)


def test_networks_of_several_threads_and_a_shared_one():
    shared = kilograd.MLP(3, [4, 1])
    wanted = shared([1.0, 2.0, 3.0]).data

    def work(i: int) -> None:
        own = kilograd.MLP(3, [4, 1])
        first = own([1.0, 2.0, 3.0]).data
        for _ in range(50):
            assert own([1.0, 2.0, 3.0]).data == first
            assert shared([1.0, 2.0, 3.0]).data == wanted

    together(work)


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


# What other threads do meanwhile


def test_collections_while_another_thread_makes_garbage():
    class Circle(Value):
        __slots__ = ("me",)

    def work(i: int) -> None:
        if i == 0:
            for _ in range(100):
                gc.collect()
        else:
            for _ in range(2000):
                x = Circle(1.0)
                x.me = x
                assert (x * 2.0 + x).data == 3.0

    together(work)


class AsksAThread:
    """Something that, when it dies or is copied, waits for a thread that asks for a Value."""

    def __init__(self, name: str, asked: Value, in_vain: list[str]) -> None:
        self.name, self.asked, self.in_vain = name, asked, in_vain

    def __del__(self) -> None:
        thread = threading.Thread(target=getattr, args=(self.asked, "data"), daemon=True)
        thread.start()
        thread.join(20.0)
        if thread.is_alive():
            self.in_vain.append(self.name)

    def __deepcopy__(self, memo: object) -> str:
        self.__del__()
        return "a copy"


def test_what_is_let_go_may_wait_for_another_thread():
    x = Value(1.0)
    in_vain: list[str] = []

    def asks(name: str) -> AsksAThread:
        return AsksAThread(name, x, in_vain)

    class Hashed(Value):
        def __hash__(self) -> int:
            self.ask.__del__()
            return 1

    y = x * 2.0
    y.label = asks("label")
    y.label = ""
    y.note = asks("attribute")
    y.note = asks("deleted attribute")
    del y.note
    y.__dict__["note"] = asks("dict")
    y.__dict__ = {}
    y._backward = (lambda held: lambda: held)(asks("rule"))
    y._backward = lambda: None
    y.note = asks("copied")
    copy.deepcopy(y)
    hashed = Hashed(1.0)
    hashed.ask = asks("hash")
    assert len((hashed * x)._prev) == 2
    leaf = Value(1.0, label=asks("label of what begins anew"))
    leaf.__init__(2.0)
    leaf.note = [leaf, asks("in a cycle")]
    del y, leaf, hashed
    gc.collect()
    assert not in_vain


def test_a_list_that_another_thread_changes():
    values: list[Value] = []

    class Model(kilograd.Module):
        def parameters(self) -> list[Value]:
            return values

    def work(i: int) -> None:
        for _ in range(2000):
            if i % 2:
                values.extend([Value(float(k)) for k in range(40)])
                values.clear()
            else:
                Model().zero_grad()
                assert len(kilograd.arrays.data(values)) <= 40 * THREADS

    together(work)


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="this system does not tell how much memory is used")
@pytest.mark.skipif("san.so" in os.environ.get("LD_PRELOAD", ""), reason="sanitizers keep memory that was freed")
def test_a_thread_that_ends_leaves_no_memory(run_python: Callable[[str], str]):
    printed = run_python("""
import threading
from kilograd import Value

def work():
    x = Value(1.0)
    [Value(1.0, (x, x), (1.0, 2.0)) for _ in range(2000)]

def pages_after(count):
    for _ in range(count):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    return int(open("/proc/self/statm").read().split()[1])

print(-pages_after(20) + pages_after(200))
""")
    assert int(printed) < 2000


@pytest.mark.parametrize(
    "work", ["x * 2.0", "over_a_rule().backward()", "program(rows)", "adam.minimize(program, rows, steps=10**6)"]
)
def test_a_process_ends_while_threads_are_at_work(run_python: Callable[[str], str], work: str):
    for _ in range(2):
        printed = run_python(f"""
import threading, time
import numpy as np
from kilograd import Program, Value, optim

x, w = Value(1.0), Value(0.5)
kept = [x * 1.0 for _ in range(100)]
program = Program((x * w).tanh(), inputs=[x])
adam = optim.Adam([w])
rows = np.ones((100_000, 1))
program(rows)

def over_a_rule():
    y = Value(1.0, (x,), "rule")
    y._backward = lambda: sum(range(100))
    return y * 1.0

def forever():
    while True:
        {work}

for _ in range(4):
    threading.Thread(target=forever, daemon=True).start()
time.sleep(0.1)
print("end")
""")
        assert printed == "end\n"


# Forks


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.skipif(
    "libasan" in os.environ.get("LD_PRELOAD", ""),
    reason="AddressSanitizer's allocator does not unlock in a child what another thread of the parent had locked",
)
@pytest.mark.parametrize("threads", [1, 2])
def test_a_child_forked_while_another_thread_is_in_a_first_call(run_python: Callable[[str], str], threads: int):
    printed = run_python(f"""
import os, signal, threading
import numpy as np
from kilograd import Program, Value

x, w = Value(0.5), Value(0.75)
y = x
for _ in range(3000):
    y = (w * y + x).tanh()
row, rows = np.array([0.5]), np.linspace(-1.0, 1.0, 600)[:, None]
expected = Program(y, [x], [w]).value_and_grad(row, "both")

for number in range(12):
    program, busy = Program(y, [x], [w]), threading.Event()

    def work():
        busy.set()
        if number % 2:
            program.hessian(rows, "both", threads={threads})
        else:
            program.value_and_grad(rows, "both", threads={threads})

    thread = threading.Thread(target=work)
    thread.start()
    busy.wait()
    for _ in range(number):  # at one moment or another
        os.stat("/")
    child = os.fork()
    if child == 0:
        signal.alarm(200)  # a child that waits for what nobody will ever do dies of it
        got = program.value_and_grad(row, "both")
        program.value_and_grad(rows, "both", threads={threads})
        program.hessian(rows[:2], "both", threads={threads})
        os._exit(0 if all(map(np.array_equal, got, expected)) else 1)
    thread.join()
    print(os.waitpid(child, 0)[1], end=" ")
""")
    assert printed.split() == ["0"] * 12


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_handler_may_fork_within_a_call(run_python: Callable[[str], str]):
    printed = run_python("""
import os, signal, time
import numpy as np
from kilograd import Program, Value

x, w = Value(0.5), Value(0.75)
y = x
for _ in range(300):
    y = (w * y + x).tanh()
program, rows = Program(y, [x], [w]), np.linspace(-1.0, 1.0, 200_000)[:, None]
few = program.value_and_grad(rows[:100], "both")
begun = time.process_time()
program.value_and_grad(rows[:2_000], "both")
seconds = time.process_time() - begun  # of a hundredth of the rows: many times more under a sanitizer
rows = rows[: int(2_000 * min(100.0, max(1.0, 0.5 / seconds)))]
parent, children = os.getpid(), []

def fork(number, frame):
    children.append(os.fork())
    if children[-1] == 0:
        signal.alarm(200)

signal.signal(signal.SIGVTALRM, fork)
for threads in (1, 2):
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.05)
    values, dx, dw = program.value_and_grad(rows, "both", threads=threads)
    if os.getpid() != parent:
        break
expected = program.value_and_grad(rows, "both")
right = all(map(np.array_equal, (values, dx, dw), expected))
if os.getpid() != parent:
    os._exit(0 if right else 1)
print(right, *(os.waitpid(child, 0)[1] for child in children))
""")
    assert printed.split() == ["True", "0", "0"]
