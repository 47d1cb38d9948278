"""Allocations that fail: a MemoryError and nothing else, everything as it was, and the next result right.

A seed chooses an operation and which requests for memory fail in it: those of Python's allocators
(``_testcapi.set_nomemory``, where CPython has it) or those of C++ (``operator new`` and ``mmap``, through a library
that is compiled here and loaded before all others; without a compiler, or elsewhere than on Linux, Python's alone).
Operations that need many megabytes run under a limit of the whole process (``RLIMIT_AS``) instead. All of it happens in
a process of its own, since such a library can only be loaded when a process starts.
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import functools
import gc
import importlib
import os
import pathlib
import pickle
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from itertools import product
from random import Random
from typing import Any

SHIM = r"""
#include <cstdlib>
#include <new>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static thread_local long left = -1;   // requests granted until some fail; negative: all
static thread_local long failing = 0; // how many fail then
static thread_local long asked = 0;

static bool fails() {
    ++asked;
    if (left < 0) return false;
    if (left > 0) return --left, false;
    if (--failing == 0) left = -1;
    return true;
}
extern "C" void shim_arm(long n, long count) { left = n, failing = count, asked = 0; }
extern "C" long shim_asked() { left = -1; return asked; }

void* operator new(std::size_t size) {
    void* memory = fails() ? nullptr : std::malloc(size ? size : 1);
    if (!memory) throw std::bad_alloc();
    return memory;
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return fails() ? nullptr : std::malloc(size ? size : 1);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
extern "C" void* mmap(void* start, size_t size, int protection, int flags, int file, off_t offset) noexcept {
    if (fails()) return MAP_FAILED;
    return reinterpret_cast<void*>(syscall(SYS_mmap, start, size, protection, flags, file, offset));
}
"""
ROOT = pathlib.Path(__file__).parents[2]


@functools.cache
def library() -> str | None:
    """The library that makes C++ fail, or None where it cannot be made."""
    if sys.platform != "linux":
        return None
    folder = tempfile.mkdtemp(prefix="kilograd-fuzz-")
    path = pathlib.Path(folder, "shim.so")
    for compiler in ("c++", "g++", "clang++"):
        command = [compiler, "-x", "c++", "-", "-O1", "-shared", "-fPIC", "-o", str(path)]
        with contextlib.suppress(OSError):
            if subprocess.run(command, input=SHIM, text=True, capture_output=True).returncode == 0:
                return str(path)
    print("memory: no C++ compiler, so that only Python's allocators fail", flush=True)
    return None


# --- in the process where memory fails -------------------------------------------------------------------------------


class Python:
    """Requests to Python's allocators."""

    def __init__(self) -> None:
        self.testcapi = importlib.import_module("_testcapi")

    def arm(self, n: int, count: int) -> None:
        self.testcapi.set_nomemory(n + 1, n + 1 + count)

    def disarm(self) -> None:
        self.testcapi.remove_mem_hooks()


class Native:
    """Requests of C++."""

    def __init__(self) -> None:
        self.shim = ctypes.CDLL(None)
        self.shim.shim_arm.argtypes = [ctypes.c_long, ctypes.c_long]

    def arm(self, n: int, count: int) -> None:
        self.shim.shim_arm(n, count)

    def disarm(self) -> None:
        self.shim.shim_asked()


class Limit:
    """What the operating system grants the process beyond what it has: `n` megabytes."""

    def __init__(self) -> None:
        self.resource = importlib.import_module("resource")
        self.before = self.resource.getrlimit(self.resource.RLIMIT_AS)
        if not pathlib.Path("/proc/self/statm").exists():
            raise ImportError("nobody says how much this process has")

    def arm(self, n: int, count: int) -> None:
        has = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * self.resource.getpagesize()
        self.resource.setrlimit(self.resource.RLIMIT_AS, (has + (n << 20), self.before[1]))

    def disarm(self) -> None:
        self.resource.setrlimit(self.resource.RLIMIT_AS, self.before)


def injectors() -> list[Any]:
    made: list[Any] = []
    for kind in (Python, Native, Limit):
        with contextlib.suppress(ImportError, AttributeError):
            made.append(kind())
    return made


Operation = tuple[Callable[[], Any], Callable[[], Any]]


@functools.cache
def subclass() -> Any:
    """A class that pickle finds, although there is none before kilograd is imported."""
    from kilograd import Value

    kind = type("Sub", (Value,), {"__module__": __name__})
    globals()["Sub"] = kind
    return kind


def operations() -> dict[str, Callable[[Random], Operation]]:
    """By name: makes (what is done where memory fails, what is then compared)."""
    import numpy as np

    import kilograd
    from kilograd import Value, _core
    from kilograd.micrograd.engine import Value as MicrogradValue

    Sub = subclass()
    made: dict[str, Callable[[Random], Operation]] = {}

    def operation(function: Callable[[Random], Operation]) -> Callable[[Random], Operation]:
        made[function.__name__] = function
        return function

    def leaves() -> list[Any]:
        return [Value(0.5), Value(2), Value(-1.5, label="b"), Sub(0.25)]

    def graph(random: Random, values: list[Any], size: int) -> Any:
        node = values[0]
        for k in range(size):
            other = random.choice(values)
            node = node * other if k % 3 == 0 else node + other if k % 3 == 1 else node.tanh()
        return node

    def with_rule(x: Any) -> Any:
        out = Value(x.data * 2.0, (x,), "twice")

        def _backward() -> None:
            x.grad += 2.0 * out.grad

        out._backward = _backward
        return out

    @operation
    def building(random: Random) -> Operation:
        values, size, seed = leaves(), random.choice([3, 50, 4000]), random.random()
        return lambda: graph(Random(seed), values, size).data, lambda: [v.data for v in values]

    @operation
    def building_on_state(random: Random) -> Operation:
        values = leaves()
        values.append(with_rule(values[0]))
        values[1].tag = [values[1]]
        seed = random.random()
        return lambda: graph(Random(seed), values, 40).data, lambda: [v.data for v in values]

    @operation
    def late_state(random: Random) -> Operation:
        values = leaves()
        middle = graph(random, values, 10)
        root = graph(random, [middle, *values], 20)

        def do() -> Any:
            middle.tag = [values]
            gc.collect()
            return root.data

        return do, lambda: root.data

    @operation
    def constructor(random: Random) -> Operation:
        a, b, *_ = leaves()
        choice = random.randrange(3)

        def do() -> Any:
            if choice == 0:
                return Value(1.5, (a, b), "op", label="named").data
            if choice == 1:
                return Value(1.5, [a, b, a], (1.0, 2.0, 3)).data
            return Sub(1.5, (a, b), "op").data

        return do, lambda: a.data

    @operation
    def init_again(random: Random) -> Operation:
        a, b, c, d = leaves()
        value = random.choice([c, d])
        children = random.choice([(), (a, b)])
        keep = a * 2.0 if children else value * 2.0

        def do() -> Any:
            value.__init__(3.0, children, (1.0, 2.0)[: len(children)], label="again")
            return value.data

        return do, lambda: keep.data

    def differentiate(root: Any, values: list[Any]) -> Callable[[], Any]:
        def check() -> Any:
            root.zero_grad()
            root.backward()
            return [v.grad for v in values]

        return check

    @operation
    def backward(random: Random) -> Operation:
        values = leaves()
        root = graph(random, values, random.choice([5, 500]))
        if random.random() < 0.7:
            root = root + with_rule(root) * with_rule(values[0])
        return root.backward, differentiate(root, values)

    @operation
    def forward(random: Random) -> Operation:
        values = leaves()
        root = graph(random, values, random.choice([5, 500]))
        if random.random() < 0.5:
            root = root.exp() + values[0]
        return root.forward, differentiate(root, values)

    @operation
    def walking(random: Random) -> Operation:
        values = leaves()
        root = graph(random, values, 60)

        def do() -> Any:
            seen, stack = 0, [root]
            while stack:
                node = stack.pop()
                seen += 1
                stack += node._children[:1]
                assert len(node._prev) <= len(node._local_grads) + (node._op == "twice")
            return seen

        return do, differentiate(root, values)

    @operation
    def copying(random: Random) -> Operation:
        values = leaves()
        root = graph(random, values, random.choice([5, 300]))
        middle = root * 2.0
        middle.label = "middle"
        middle.tag = "x"
        root = middle + values[3]
        data = pickle.dumps(root)
        choice = random.randrange(4)

        def do() -> Any:
            if choice == 0:
                return copy.deepcopy(root).data
            if choice == 1:
                return copy.copy(root).data
            if choice == 2:
                return len(pickle.dumps(root)) > 0
            return pickle.loads(data).data

        return do, differentiate(root, values)

    @operation
    def networks(random: Random) -> Operation:
        model = kilograd.MLP(3, [4, 2])
        x = random.choice([[0.5, 1, -2.0], [Value(0.5), Value(1), Value(-1)]])
        if random.random() < 0.3:
            model.parameters()[0].tag = [model]  # type: ignore[attr-defined]
        return lambda: [v.data for v in model(x)], lambda: len(model.parameters())

    @operation
    def losses(random: Random) -> Operation:
        values = leaves()
        target = [1.0, 0, 1, 0.5]
        calls = [
            lambda: kilograd.functional.mse(values, target).data,
            lambda: kilograd.functional.cross_entropy(values, 2).data,
            lambda: [v.data for v in kilograd.functional.softmax(values)],
            lambda: kilograd.functional.sum(values).data,
            lambda: kilograd.functional.dot(values, target, 1.0).data,
            lambda: kilograd.functional.binary_cross_entropy(values, target, from_logits=True).data,
            lambda: kilograd.arrays.data(values).tolist(),
            lambda: kilograd.arrays.gradients(values).tolist(),
        ]
        return random.choice(calls), lambda: [v.data for v in values]

    @operation
    def programs(random: Random) -> Operation:
        x, y, w = Value(0.5), Value(1.5), Value(2.0)
        root = (x * w + y).tanh() * x + (y * w).exp()
        rows = np.linspace(-1.0, 1.0, 40).reshape(20, 2)
        program = kilograd.Program(root, [x, y])
        threads = random.choice([1, 3])
        calls = [
            lambda: kilograd.Program(root, [x, y])(rows).tolist(),
            lambda: program(rows, threads=threads).tolist(),
            lambda: program([0.5, 1.0]),
            lambda: program.hessian(rows).tolist(),
            lambda: program.jacobian(rows, wrt="both").tolist(),
            lambda: program.hvp(rows, [1.0, 2.0]).tolist(),
            lambda: pickle.loads(pickle.dumps(program))(rows).tolist(),
            lambda: [part.tolist() for part in program.value_and_grad(rows, wrt="both", threads=threads)],
        ]
        return random.choice(calls), lambda: (program(rows).tolist(), program.nbytes > 0)

    @operation
    def optimisers(random: Random) -> Operation:
        model = kilograd.MLP(2, [3, 1])
        make = random.choice([kilograd.optim.SGD, kilograd.optim.Adam, kilograd.optim.RMSprop])
        loss = model([0.5, -0.5]) ** 2
        loss.backward()

        def do() -> Any:
            optimiser = make(model.parameters(), lr=0.0)
            optimiser.step()
            optimiser.zero_grad()

        return do, lambda: [p.data for p in model.parameters()]

    @operation
    def compiled(random: Random) -> Operation:
        @kilograd.compile
        def f(a: Any, b: Any) -> Any:
            return a * b + (a if a > b else b * b)

        rows = [(0.5, 1.0), (2.0, 1.0), (0.0, 0.0)]
        return lambda: [f(*row) for row in rows], lambda: [f(*row) for row in rows]

    @operation
    def integers(random: Random) -> Operation:
        x = MicrogradValue(3)
        y = x
        for _ in range(random.choice([3, 60])):
            y = y * x + 2
        return y.backward, differentiate(y, [x])

    @operation
    def large_building(random: Random) -> Operation:
        values, seed = leaves(), random.random()
        return lambda: graph(Random(seed), values, 200_000).data, lambda: [v.data for v in values]

    @operation
    def large_backward(random: Random) -> Operation:
        values = leaves()
        root = graph(random, values, 100_000)
        root = root + with_rule(root)
        return root.backward, differentiate(root, values)

    @operation
    def large_program(random: Random) -> Operation:
        x, w = Value(0.5), Value(2.0)
        y = graph(random, [x, w, Value(0.25)], random.choice([5, 60]))
        program = kilograd.Program(y * x, [x])
        rows = np.linspace(-1.0, 1.0, 400_000)[:, None]
        few, threads = rows[::100_000], random.choice([1, 2])
        calls = [
            lambda: program(rows, threads=threads)[::100_000].tolist(),
            lambda: program.hessian(rows, threads=threads)[::100_000].tolist(),
            lambda: program.value_and_grad(rows, threads=threads)[1][::100_000].tolist(),
            lambda: program.jvp(rows, [1.0], threads=threads)[::100_000].tolist(),
        ]
        return random.choice(calls[:3] if y is x else calls), lambda: program(few).tolist()

    @operation
    def large_recording(random: Random) -> Operation:
        x = Value(0.5)
        y = graph(random, [x, Value(0.25)], 200_000)
        choice = random.randrange(3)

        def do() -> Any:
            if choice == 0:
                return kilograd.Program(y, [x]).nbytes > 0
            if choice == 1:
                return len(pickle.dumps(y)) > 0
            return copy.copy(y).data

        return do, differentiate(y, [x])

    @operation
    def large_arrays(random: Random) -> Operation:
        numbers = np.linspace(-1.0, 1.0, 300_000)

        def do() -> Any:
            values = kilograd.arrays.values(numbers)
            total = kilograd.functional.sum(values)
            total.backward()
            return total.data, kilograd.arrays.gradients(values).tolist()[::50_000]

        return do, lambda: numbers[::50_000].tolist()

    @operation
    def recorded_core(random: Random) -> Operation:
        x = Value(1.0)
        roots = [graph(random, [x, Value(0.5)], 30) for _ in range(3)]
        return lambda: _core._record(roots, [3], [x], None)[0].n_inputs, lambda: x.grad

    return made


def attempt(names: dict[str, Callable[[Random], Operation]], kinds: list[Any], seed: int) -> None:
    """One operation, with a dozen of its requests failing, one after the other."""
    random = Random(seed)
    name = random.choice(sorted(names))
    kinds = fitting(name, kinds)
    if kinds:
        fail_some(names, name, random.choice(kinds), random, random.randrange(4), 12)


def fitting(name: str, kinds: list[Any]) -> list[Any]:
    """A large operation makes too many requests for one to be chosen, and a small one too small ones for a limit."""
    return [kind for kind in kinds if isinstance(kind, Limit) == name.startswith("large")]


def fail_some(
    names: dict[str, Callable[[Random], Operation]], name: str, injector: Any, random: Random, n: int, tries: int
) -> None:
    """The operation of this name, with requests from the n-th on failing."""
    from kilograd import Value, live_nodes

    large = isinstance(injector, Limit)
    if large:
        tries = min(tries, 5)

    do, check = names[name](random)
    want, state = do(), check()
    do(), check()
    x = Value(3.0)
    witness = x * x + x.sin()
    gc.collect()
    before = live_nodes()
    step = 12 if large else 1 if tries > 12 else random.choice([1, 2, 7, 31])
    for _ in range(tries):
        got, error = None, None
        count = random.choice([1, 1, 1, 3])
        injector.arm(n, count)
        try:
            got = do()
            finished = True
        except MemoryError:
            finished = False
        except (TypeError, RuntimeError, ImportError, SystemError, pickle.PickleError) as caught:
            error, finished = caught, False
        finally:
            injector.disarm()
        where = f"{name}, {type(injector).__name__} request {n}"
        if error is not None and not is_shortage(error):
            raise AssertionError(f"{where}: {error!r}") from error
        del error
        if finished and got != want:
            raise AssertionError(f"{where}: {got} and not {want}")
        del got
        gc.collect()
        witness.zero_grad()
        witness.backward()
        if abs(x.grad - (6.0 + -0.9899924966004454)) > 1e-15:
            raise AssertionError(f"{where}: the gradient of another graph is {x.grad}")
        now = check()
        if now != state:
            raise AssertionError(f"{where}: afterwards {now} and not {state}")
        gc.collect()
        if name == "copying" and isinstance(injector, Python):
            before = live_nodes()  # CPython's own deepcopy() loses its memo and all in it, whatever the objects are
        if live_nodes() != before:
            raise AssertionError(f"{where}: {live_nodes()} nodes and not {before}")
        n += random.randint(1, step)


def is_shortage(error: BaseException) -> bool:
    """Whether an error that is no MemoryError is one in disguise: pybind11's, or CPython's."""
    text = str(error)
    return (
        "incompatible function arguments" in text  # a converter had no memory and said no
        or "Unable to convert" in text
        or ("import of module" in text and "failed" in text)  # pickle's
        or isinstance(error.__cause__ or error.__context__, MemoryError)
    )


def child() -> None:
    """Reads seeds and names of operations, and answers each with a line: empty, or what was found."""
    sys.path.insert(0, str(ROOT))
    names, kinds = operations(), injectors()
    sys.unraisablehook = lambda _: None
    for line in sys.stdin:
        answer = ""
        if kinds:
            try:
                if line.strip().isdigit():
                    attempt(names, kinds, int(line))
                else:
                    for kind, seed in product(fitting(line.strip(), kinds), range(2)):
                        fail_some(names, line.strip(), kind, Random(seed), 0, 40)
            except Exception:
                answer = traceback.format_exc()
        print(repr(answer), flush=True)


# --- in the process that looks on ------------------------------------------------------------------------------------


class Child:
    """The process where memory fails, made anew when it ends."""

    process: subprocess.Popen[str] | None = None

    def ask(self, what: int | str) -> str:
        if self.process is None:
            environment = dict(os.environ)
            if (path := library()) is not None:
                environment["LD_PRELOAD"] = " ".join(filter(None, [os.environ.get("LD_PRELOAD"), path]))
            command = [sys.executable, "-X", "faulthandler", "-c", "from tests.fuzz.memory import child; child()"]
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if answer:
            return str(eval(answer))
        status = self.process.wait()
        self.process = None
        return f"the process ended with {status}"


CHILD = Child()


def run(seed: int) -> None:
    """An operation whose requests for memory fail."""
    if answer := CHILD.ask(seed):
        raise AssertionError(answer)


def first_requests(name: str) -> None:
    """The same, for the first requests of one operation."""
    if answer := CHILD.ask(name):
        raise AssertionError(answer)


def corpus() -> Iterator[tuple[str, Callable[[], None]]]:
    """The operations that ended the process, or left marks and nodes behind."""
    for name in (
        "forward",
        "backward",
        "copying",
        "building_on_state",
        "late_state",
        "networks",
        "programs",
        "large_arrays",
    ):
        yield name.replace("_", "-"), functools.partial(first_requests, name)
