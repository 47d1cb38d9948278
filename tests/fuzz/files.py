"""Files and bytes from elsewhere: checkpoints, program files, and what the pickles of programs and graphs hold.

Each seed writes something valid, damages it (bytes and fields; checksums and directories made right again, so that the
damage reaches the code behind them) and reads it. The outcome is a ValueError, with the file's name where there is
one, and nothing changed; or something that works, within a bounded amount of memory.
"""

from __future__ import annotations

import copy
import io
import math
import pathlib
import random
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

import kilograd
from kilograd import MLP, Program, Value, _core, optim

MEMORY = 1 << 30
UNARY = ["tanh", "exp", "relu", "sigmoid", "abs", "sin", "softplus", "gelu", "log", "sqrt"]


def run(seed: int) -> None:
    """Damage something and read it."""
    dice = random.Random(seed)
    dice.choice([checkpoint, program_file, program_pickle, snapshot])(dice)


@contextmanager
def bounded_memory() -> Iterator[None]:
    """At most so much memory more than there is now; beyond it a MemoryError, which is a finding."""
    try:
        import resource

        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@contextmanager
def path_of(data: bytes) -> Iterator[pathlib.Path]:
    """A file of these bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "damaged.file"
        path.write_bytes(data)
        yield path


def names_the_file(error: ValueError) -> None:
    if "damaged.file" not in str(error):
        raise AssertionError(f"no name of a file: {error}")


def damage(dice: random.Random, data: bytes, start: int = 0, end: int = 0) -> bytes:
    """Change a few bytes or fields between `start` and `end` bytes before the last."""
    body = bytearray(data[start : len(data) - end])
    for _ in range(dice.choice([1, 1, 1, 2, 3, 8])):
        if not body:
            break
        at = dice.randrange(len(body))
        kind = dice.randrange(8)
        if kind == 0:
            body[at] = dice.randrange(256)
        elif kind == 1:
            body[at] ^= 1 << dice.randrange(8)
        elif kind == 2:
            body[at] = dice.randrange(8)
        elif kind == 3:
            size = dice.choice([1, 2, 4, 8])
            top = 1 << 8 * size - 1
            value = dice.choice([0, 1, -1, 2, top, top - 1, len(data), dice.randrange(64)])
            body[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, "little")
        elif kind == 4:
            del body[at : at + dice.choice([1, 4, 8, 17, 25])]
        elif kind == 5:
            body[at:at] = body[at : at + dice.choice([1, 4, 8, 17, 25, 100])]
        elif kind == 6:
            other, size = dice.randrange(len(body)), dice.choice([1, 4, 8, 25])
            body[at : at + size] = body[other : other + size]
        else:
            del body[at:]
    return data[:start] + bytes(body) + data[len(data) - end :]


def graph(dice: random.Random, inputs: int, parameters: int) -> tuple[Value, list[Value], list[Value]]:
    """A random graph over its inputs and parameters."""
    x = [Value(dice.uniform(0.1, 2.0), label=f"x{k}") for k in range(inputs)]
    w = [Value(dice.uniform(-1.0, 1.0)) for _ in range(parameters)]
    nodes: list[Value] = [*x, *w]
    for _ in range(dice.randrange(1, 30)):
        a, b = dice.choice(nodes), dice.choice(nodes)
        kind = dice.randrange(6)
        try:
            if kind == 0:
                made = getattr(a, dice.choice(UNARY))()
            elif kind == 1:
                made = a ** dice.choice([2, 3, -1, 0.5])
            elif kind == 2:
                made = kilograd.functional.dot([a, b, dice.choice(nodes)], [dice.choice(nodes) for _ in range(3)])
            elif kind == 3:
                made = kilograd.maximum(a, b)
            else:
                made = dice.choice([a + b, a * b, a - b, a * 0.5 + 1.0])
        except (ValueError, ArithmeticError):
            continue
        nodes.append(made)
    return nodes[-1] + sum(x, Value(0.0)) * 0.1, x, w


# Programs


def checksum(data: bytes) -> bytes:
    h = 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return h.to_bytes(8, "little")


def program_bytes(dice: random.Random) -> bytes:
    y, x, w = graph(dice, dice.randrange(1, 4), dice.randrange(3))
    outputs = y if dice.randrange(2) else [[y, x[0]], [w[0] if w else 1.0, y]]
    return Program(outputs, x, w)._core.dump([p.data for p in w])


def damaged_program(dice: random.Random) -> bytes:
    data = program_bytes(dice)
    if dice.randrange(10) == 0:
        return damage(dice, data)
    data = damage(dice, data, start=6, end=8)[:-8]
    return data + checksum(data)


def program_file(dice: random.Random) -> None:
    data = damaged_program(dice)
    with path_of(data) as path, bounded_memory():
        try:
            program = Program.load(path)
        except ValueError as error:
            names_the_file(error)
            return
        use_program(program, dice)


def program_pickle(dice: random.Random) -> None:
    data = damaged_program(dice)
    parameters = tuple(Value(1.0) for _ in range(dice.randrange(3)))
    with bounded_memory():
        try:
            program = Program._restore(data, parameters)
        except ValueError:
            return
        use_program(program, dice)


def use_program(program: Program, dice: random.Random) -> None:
    """Every method, where the shapes are small enough."""
    n = program._core.n_inputs
    repr(program)
    assert Program._restore(program.__reduce__()[1][0], None).ops == program.ops
    if n > 20 or len(program.parameters) > 50 or np.prod(program._core.shape) > 50:
        return
    for rows in (None, dice.choice([1, 3, 9, 40])):
        x = np.random.default_rng(0).normal(size=n if rows is None else (rows, n))
        for name in dice.sample(list(CALLS), 3):
            for check in (True, False):
                try:
                    CALLS[name](program, x, check)
                except (ValueError, ArithmeticError):
                    assert check, name


CALLS: dict[str, Callable[[Program, np.ndarray, bool], object]] = {
    "value_and_grad": lambda p, x, check: p.value_and_grad(x, "both", check=check),
    "threads": lambda p, x, check: p.value_and_grad(x, "both", check=check, threads=2),
    "backward": lambda p, x, check: p.backward(x, reduce="sum", check=check),
    "jacobian": lambda p, x, check: p.jacobian(x, "both", check=check),
    "hessian": lambda p, x, check: p.hessian(x, "both", check=check),
    "hessian by sweeps": lambda p, x, check: p.hessian(x, weights=np.ones(p._core.shape), check=check),
}


# Graphs


def snapshot(dice: random.Random) -> None:
    y, _, _ = graph(dice, 3, 2)
    y.backward()
    owner = y.__reduce__()[1][0]
    _, (data, externals, types, classes) = owner.__reduce__()[:2]
    externals = [Value(v.data) for v in externals]
    with bounded_memory():
        try:
            loaded = _core._load(damage(dice, data), externals, types, classes)
        except ValueError:
            return
        for place in range(80):
            try:
                value = _core._pick(loaded, place)
            except ValueError:
                continue
            try:
                value.backward()
                value.forward()
            except (ValueError, ArithmeticError, RuntimeError):  # what is no op has no value to compute
                pass
            repr(value), value._op, value._prev, value._local_grads
            copy.deepcopy(value)


# Checkpoints


def model_and_optimizer(seed: int) -> tuple[MLP, optim.Optimizer]:
    random.seed(seed)
    model = MLP(2, [3, 1])
    optimizer = optim.Adam(model, lr=0.05)
    model([0.5, 0.25]).backward()
    optimizer.step()
    return model, optimizer


def changed_entries(dice: random.Random, path: pathlib.Path) -> bytes:
    """The archive with one entry damaged or replaced, and sizes, checksums and directory that fit."""
    with zipfile.ZipFile(path) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    name = dice.choice(list(entries))
    kind = dice.randrange(4)
    if kind == 0:
        entries[name] = damage(dice, entries[name])
    elif kind == 1:  # within the header
        entries[name] = damage(dice, entries[name][:128]) + entries[name][128:]
    elif kind == 2:
        dtype = dice.choice(["<f8", ">f8", "<f4", "<i8", "?", "<c16", "S3", "<U4", "V4", "M8[s]", "<f2"])
        array = np.zeros(dice.choice([(), (2,), (3,), (13,), (3, 2), (1, 3), (1000,)]), dtype)
        np.save(content := io.BytesIO(), array, allow_pickle=False)
        entries[name] = content.getvalue()
    else:
        entries[dice.choice([name + "x", name[:-4], "x/" + name, "../" + name, "optimizer/x.npy"])] = entries.pop(name)
    with zipfile.ZipFile(made := io.BytesIO(), "w", dice.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as file:
        for name, data in entries.items():
            file.writestr(name, data)
    return made.getvalue()


def checkpoint(dice: random.Random) -> None:
    state = random.getstate()
    try:
        model, optimizer = model_and_optimizer(1)
        other, other_optimizer = model_and_optimizer(2)
    finally:
        random.setstate(state)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "damaged.file"
        kilograd.save(path, other, other_optimizer)
        data = changed_entries(dice, path) if dice.randrange(2) else path.read_bytes()
        if dice.randrange(3) == 0:  # the directory is at the end
            start = data.find(b"PK\x01\x02")
            data = damage(dice, data, start=max(0, start))
        elif dice.randrange(2):
            data = damage(dice, data)
        path.write_bytes(data)
        check_checkpoint(path, model, optimizer if dice.randrange(3) else None)


def check_checkpoint(path: pathlib.Path, model: MLP, optimizer: optim.Optimizer | None) -> bool:
    """Load a file; whether it was accepted."""

    def now() -> tuple[object, ...]:
        return [p.data for p in model.parameters()], repr(optimizer and optimizer.state_dict())

    before = now()
    with bounded_memory():
        try:
            kilograd.load(path, model, optimizer)
        except ValueError as error:
            names_the_file(error)
            assert repr(now()) == repr(before)
            return False
        model([0.5, 0.25]).backward()
        if optimizer is not None:
            optimizer.step()
    return True


# What was found


def shared_terms() -> None:
    """A sum whose terms are another sum's too: so many that the schedule would be longer than any memory."""
    x = [Value(1.0 + k) for k in range(6)]
    y = kilograd.functional.dot(x, x) * (x[0] * x[1] + x[2] * x[3] + x[4])
    data = Program(y, x)._core.dump([])[:-8]
    first = data.index(b"\x03dot") + 4
    second = data.index(b"\x03dot", first) + 4
    changed = data[:second] + data[first : first + 8] + data[second + 8 :]
    refused(changed + checksum(changed))


def refused(data: bytes) -> None:
    try:
        Program._restore(data, None)
    except ValueError:
        return
    raise AssertionError("the program was accepted")


def bad_checkpoint(entries: Callable[[dict[str, bytes]], object]) -> Callable[[], None]:
    """A check that a checkpoint with other entries is refused."""

    def check() -> None:
        state = random.getstate()
        try:
            model, optimizer = model_and_optimizer(1)
        finally:
            random.setstate(state)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "damaged.file"
            kilograd.save(path, model, optimizer)
            with zipfile.ZipFile(path) as file:
                found = {name: file.read(name) for name in file.namelist()}
            entries(found)
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
                for name, data in found.items():
                    file.writestr(name, data)
            assert not check_checkpoint(path, model, optimizer)

    return check


def npy(array: object) -> bytes:
    np.save(content := io.BytesIO(), np.asarray(array), allow_pickle=False)
    return content.getvalue()


BIAS = "model/layers.0.neurons.0.b.npy"


def gradients_of_a_kind() -> None:
    """A graph of plain Values whose gradients are said to be ints: backward() left fractions in them."""
    y = Value(2.0) * 0.5
    _, (data, externals, types, classes) = y.__reduce__()[1][0].__reduce__()[:2]
    accepted = 0
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] | 4]) + data[at + 1 :]
        try:
            loaded = _core._load(changed, externals, types, classes)
        except ValueError:
            continue
        accepted += 1
        for place in range(len(data)):
            try:
                value = _core._pick(loaded, place)
            except ValueError:
                continue
            value.zero_grad()
            value.backward()
            for child, slope in zip(value._children, value._local_grads):
                assert math.isclose(child.grad, slope) or math.isnan(slope), f"{child.grad} instead of {slope}"
    assert accepted


def corpus() -> Iterator[tuple[str, Callable[[], None]]]:
    """What was once accepted, or ended in another error than ValueError."""
    yield "sums share terms", shared_terms
    yield "gradients of a kind", gradients_of_a_kind
    yield "an entry too many", bad_checkpoint(lambda e: e.update({"junk.npy": npy(np.zeros(3_000_000))}))
    yield "no array", bad_checkpoint(lambda e: e.update({BIAS: b"hello"}))
    yield "a header that no tokenizer reads", bad_checkpoint(lambda e: e.update({BIAS: e[BIAS].replace(b"}", b"(")}))
    yield "complex averages", bad_checkpoint(lambda e: e.update({"optimizer/mean.npy": npy(np.zeros(13, complex))}))
    yield "a matrix for a bias", bad_checkpoint(lambda e: e.update({BIAS: npy(np.zeros((3, 3)))}))
