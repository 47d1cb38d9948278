"""Training: tables in every container against their plain list of rows, `out` in any memory against a run on copies,
optimisers against their formulas in Python. All of it to the last bit.

pyarrow's containers take part where it is installed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import pathlib
import random
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import kilograd
from kilograd import MLP, Module, Program, Value, fit, optim, predict
from kilograd.micrograd import nn as micrograd_nn

HAS_ARROW = importlib.util.find_spec("pyarrow") is not None


def run(seed: int) -> None:
    rng = random.Random(seed)
    rng.choice([tables, tables, aliasing, aliasing, formulas, descents, hostile_settings])(rng)


def expect(error: type[BaseException], call: Callable[[], Any], part: str = "") -> None:
    message, found = None, None
    try:
        found = call()
    except error as raised:
        message = str(raised)
    assert message is not None, f"no {error.__name__} but {found!r}"
    assert part in message, f"the message says {message}, and not {part!r}"


def same(found: Any, right: Any) -> None:
    """Bit for bit; all NaNs are one."""
    found, right = np.asarray(found, dtype=float), np.asarray(right, dtype=float)
    assert found.shape == right.shape, (found.shape, right.shape)
    np.testing.assert_array_equal(found, right)
    numbers = ~np.isnan(right)
    assert (np.signbit(found) == np.signbit(right))[numbers].all(), "a zero has the other sign"


# Tables


class Wrapped:
    """A table of somebody's own, that iterates over its columns' names."""

    def __init__(self, array: Any) -> None:
        self.wrapped = array

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.wrapped.shape[-1]))

    def __len__(self) -> int:
        return len(self.wrapped)


class WithArray(Wrapped):
    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.wrapped if dtype is None else self.wrapped.astype(dtype)


class WithToNumpy(Wrapped):
    def to_numpy(self) -> Any:
        return self.wrapped


class WithStream(Wrapped):
    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return arrow_table(self.wrapped).__arrow_c_stream__(requested_schema)


class WithBatch(Wrapped):
    def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
        return arrow_table(self.wrapped).to_batches()[0].__arrow_c_array__(requested_schema)


class WithDataframe(Wrapped):
    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> Any:
        return arrow_table(self.wrapped).__dataframe__(nan_as_null, allow_copy)


def columns(array: Any) -> dict[str, Any]:
    matrix = array.reshape(len(array), -1)
    return {f"c{k}": matrix[:, k].copy() for k in range(matrix.shape[1])}


def arrow_table(array: Any) -> Any:
    import pyarrow

    return pyarrow.table(columns(array))


def strided(array: Any, rng: random.Random) -> Any:
    spaced = np.zeros([2 * extent for extent in array.shape], array.dtype)
    view = spaced[tuple(slice(rng.randrange(2), None, 2) for _ in array.shape)]
    view[...] = array
    return view


def unaligned(array: Any, rng: random.Random) -> Any:
    memory = np.zeros(array.nbytes + 1, np.uint8)
    view = memory[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def in_file(array: Any, rng: random.Random) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "table")
        path.write_bytes(array.tobytes())
        return np.memmap(path, array.dtype, "r", shape=array.shape)


def read_only(array: Any, rng: random.Random) -> Any:
    array = array.copy()
    array.flags.writeable = False
    return array


def rows_of_tuples(array: Any, rng: random.Random) -> Any:
    return list(map(tuple, array.tolist())) if array.ndim > 1 else array.tolist()


def pandas_labels(array: Any, rng: random.Random) -> dict[str, Any]:
    index = list(range(len(array)))
    rng.shuffle(index)
    return {"index": index} if rng.random() < 0.5 else {}


def pandas_frame(array: Any, rng: random.Random) -> Any:
    import pandas

    names = rng.choice([None, [10 * k for k in range(array.shape[1])], [f"c{k}" for k in range(array.shape[1])]])
    return pandas.DataFrame(array, columns=names, **pandas_labels(array, rng))


def pandas_nullable(array: Any, rng: random.Random) -> Any:
    name = {"bool": "boolean"}.get(array.dtype.name, array.dtype.name.capitalize().replace("Ui", "UI"))
    return pandas_frame(array, rng).astype(name)


def pandas_mixed(array: Any, rng: random.Random) -> Any:
    """Columns of several types, where their numbers allow it."""
    frame = pandas_frame(array, rng)
    for name in list(frame.columns):
        column = frame[name].to_numpy().astype(float)
        kinds = [frame[name].dtype]
        if not np.signbit(column).any() and (column == np.floor(column)).all() and (column < 2**53).all():
            kinds += ["int64", "Int64", "Float64", *(["bool", "boolean"] if (column <= 1).all() else [])]
        frame[name] = frame[name].astype(rng.choice(kinds))
    return frame


def pandas_rows(array: Any, rng: random.Random) -> Any:
    frame = pandas_frame(array, rng)
    return [frame.iloc[i] for i in range(len(frame))]


def pandas_series(array: Any, rng: random.Random) -> Any:
    import pandas

    return pandas.Series(array if array.ndim == 1 else array.tolist(), **pandas_labels(array, rng))


def polars_frame(array: Any, rng: random.Random) -> Any:
    import polars

    return polars.DataFrame(columns(array))


def polars_series(array: Any, rng: random.Random) -> Any:
    import polars

    return polars.Series(array if array.ndim == 1 else array.tolist())


def arrow_array(array: Any, rng: random.Random) -> Any:
    import pyarrow

    if array.ndim > 1:
        return pyarrow.array(array.tolist())
    return rng.choice([pyarrow.array(array), pyarrow.chunked_array(np.array_split(array, rng.randint(1, 3)))])


Container = Callable[[Any, random.Random], Any]
NUMPY: list[Container] = [
    lambda a, rng: a,
    lambda a, rng: a.tolist(),
    lambda a, rng: tuple(a.tolist()),
    lambda a, rng: list(a),
    lambda a, rng: a.astype(object),
    lambda a, rng: np.asfortranarray(a),
    lambda a, rng: np.ma.array(a),
    lambda a, rng: a[::-1].copy()[::-1],
    lambda a, rng: a.astype(a.dtype.newbyteorder(">")),
    lambda a, rng: WithArray(a),
    lambda a, rng: WithToNumpy(a),
    rows_of_tuples,
    strided,
    unaligned,
    in_file,
    read_only,
]
SERIES: list[Container] = [pandas_series, polars_series]
FRAMES: list[Container] = [pandas_frame, pandas_nullable, pandas_mixed, pandas_rows, polars_frame]
if HAS_ARROW:
    SERIES.append(arrow_array)
    FRAMES += [
        lambda a, rng: arrow_table(a),
        lambda a, rng: arrow_table(a).to_batches()[0],
        lambda a, rng: WithStream(a),
        lambda a, rng: WithBatch(a),
        lambda a, rng: WithDataframe(a),
    ]

DTYPES = ["f8", "f8", "f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?", "g"]


def numbers(rng: random.Random, shape: tuple[int, ...]) -> Any:
    dtype = rng.choice(DTYPES)
    found = np.random.default_rng(rng.getrandbits(32)).normal(size=shape) * rng.choice([1, 1, 30])
    if rng.random() < 0.3:
        found[..., :1] = np.abs(np.round(found[..., :1]))
    return (np.abs(found) if dtype[0] == "u" else found).astype(dtype)


def container_of(rng: random.Random, array: Any) -> Container:
    if array.dtype.char in ("e", "g"):  # half and long double are NumPy's own
        return rng.choice(NUMPY)
    return rng.choice([*NUMPY, *SERIES] if array.ndim == 1 else [*NUMPY, *SERIES, *FRAMES, *FRAMES])


def table(rng: random.Random, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """An array as NumPy has it, and the same in some container."""
    array = numbers(rng, shape)
    return array, container_of(rng, array)(array, rng)


def model_of(rng: random.Random, width: int | None) -> tuple[Any, list[Value]]:
    """A model of rows of a width, or of numbers, with its parameters; the same for the same state of `rng`."""
    random.seed(rng.getrandbits(32))
    kind = rng.choice([MLP, micrograd_nn.MLP])
    hidden = rng.choice(["tanh", "relu", "sigmoid"])
    if rng.random() < 0.7:
        model = kind(width or 1, [rng.randint(1, 3), 1], activation=[hidden, "linear"])
        return model, model.parameters()
    w = [Value(random.uniform(-1, 1)) for _ in range(width or 1)]
    if width is None:
        return lambda x: (w[0] * x).tanh(), w
    return lambda x: sum(wi * xi for wi, xi in zip(w, x)), w


def tables(rng: random.Random) -> None:
    count = rng.choice([1, 2, 3, 7, 40, 230])
    width = rng.choice([None, 1, 2, 2, 3])
    shape = (count,) if width is None else (count, width)
    array, given = table(rng, shape)
    plain = array.tolist()
    state = rng.getstate()
    models = []
    for _ in range(2):
        rng.setstate(state)
        models.append(model_of(rng, width))
    (model, parameters), (other, others) = models
    foreign = isinstance(given, list) and not isinstance(given[0], (list, tuple, int, float, np.ndarray, np.generic))
    if foreign:  # rows that a program cannot have: only graphs of them are the same to the last bit
        given = given[:199]
        same([model(row).data for row in given], [other(row).data for row in plain[:199]])
        count, array, plain = len(given), array[:199], plain[:199]
        shape = array.shape
    same(predict(model, given), predict(other, plain))
    same(kilograd.arrays.data(given), plain)
    leaves = kilograd.arrays.values(given, as_array=True)
    assert leaves.shape == shape
    same(kilograd.arrays.data(leaves), plain)
    kilograd.arrays.assign(leaves, given)
    same(kilograd.arrays.data(leaves), plain)
    same(kilograd.functional.sum(given).data, kilograd.functional.sum(plain).data)

    i = rng.randrange(count)
    if width is not None and isinstance(model, Module):
        row = container_of(rng, array[i])(array[i], rng)
        same(kilograd.arrays.data(model(row)), kilograd.arrays.data(other(plain[i])))

    inputs = [Value(0.0) for _ in range(width or 1)]
    program = Program(model(inputs if width else inputs[0]), inputs=inputs)
    matrix = given if width else array.reshape(-1, 1)
    same(program(matrix), program(array.reshape(count, -1).tolist()))
    weights, weights_given = table(rng, (count,))
    for got, right in zip(
        program.value_and_grad(matrix, weights=weights_given),
        program.value_and_grad(array.reshape(count, -1).astype(float), weights=weights.astype(float)),
    ):
        same(got, right)

    targets, targets_given = table(rng, (count,))
    settings: dict[str, Any] = {
        "loss": rng.choice(["mse", "huber", "log_cosh"]),
        "epochs": rng.choice([1, 2]),
        "batch_size": rng.choice([None, 1, 2, 16]),
        "seed": rng.choice([0, 1]),
        "engine": "graph" if foreign else rng.choice(["auto", "graph"]),
        "validation": rng.choice([None, None, 0.3]),
    }
    if settings["validation"] and not 0 < round(0.3 * count) < count:
        settings["validation"] = None
    histories = []
    for one, held, X, y in ((model, parameters, given, targets_given), (other, others, plain, targets.tolist())):
        optimizer = optim.Adam(held, lr=1e-3)
        histories.append(fit(one, X, y, optimizer=optimizer, **settings))
    same(histories[0].steps, histories[1].steps)
    same(histories[0].validation, histories[1].validation)
    same(kilograd.arrays.data(parameters), kilograd.arrays.data(others))

    if array.dtype.kind == "f" and rng.random() < 0.5:
        broken = array.astype(float)
        place = tuple(rng.randrange(extent) for extent in shape)
        broken[place] = rng.choice([math.nan, math.inf])
        given = container_of(rng, broken)(broken, rng)
        expect(ValueError, lambda: predict(model, given), "")
        expect(ValueError, lambda: fit(model, given, targets, epochs=1), "")


# Where results go


def view(rng: random.Random, pool: Any, shape: tuple[int, ...], plain: bool) -> Any:
    """Some of the pool's memory in a shape; C-contiguous where that is asked for."""
    size = math.prod(shape)
    if plain or rng.random() < 0.5:
        start = rng.randint(0, min(len(pool) - size, rng.choice([4, 40, len(pool)])))
        return pool[start : start + size].reshape(shape)
    step = rng.choice([1, 2])
    start = rng.randint(0, min(10, len(pool) - step * size))
    found = pool[start : start + step * size : step].reshape(shape)
    return found[::-1] if shape and rng.random() < 0.5 else found


def aliasing(rng: random.Random) -> None:
    width, count = rng.randint(1, 3), rng.choice([None, 1, 2, 7, 9, 40])
    batch = () if count is None else (count,)
    random.seed(rng.getrandbits(32))
    x, w = [Value(0.0) for _ in range(width)], [Value(random.uniform(-1, 1)) for _ in range(rng.randint(1, 3))]
    terms = [(w[k % len(w)] * x[k % width] + w[(k + 1) % len(w)]).tanh() * x[-1] for k in range(rng.randint(1, 3))]
    single = rng.random() < 0.5
    program = Program(sum(terms) if single else terms, inputs=x, parameters=w)
    out_shape = () if single else (len(terms),)

    pool = np.random.default_rng(rng.getrandbits(32)).normal(size=4000)
    wrt = rng.choice(["inputs", "parameters", "both"])
    m = (width if wrt != "parameters" else 0) + (len(w) if wrt != "inputs" else 0)
    name = rng.choice(["forward", "value_and_grad", "backward", "vjp", "jvp", "hvp", "jacobian", "hessian"])
    reduce = rng.choice([None, None, "sum", "mean"]) if name in ("forward", "value_and_grad", "backward") else None
    X = view(rng, pool, (*batch, width), False)
    values = out_shape if reduce else (*batch, *out_shape)
    of_outputs = [out_shape] if reduce else [out_shape, (*batch, *out_shape)]
    of_columns = rng.choice([(m,), (*batch, m)])
    weights = view(rng, pool, rng.choice(of_outputs), False) if rng.random() < 0.8 else None
    arguments: dict[str, Any] = {}
    if name in ("forward", "value_and_grad", "backward"):
        arguments["reduce"] = reduce
    if name in ("value_and_grad", "backward", "hessian", "hvp"):
        arguments["weights"] = weights
    if name == "vjp":
        arguments["v"] = view(rng, pool, rng.choice([out_shape, (*batch, *out_shape)]), False)
    if name in ("jvp", "hvp"):
        arguments["v"] = view(rng, pool, of_columns, False)
    if name not in ("forward", "backward"):
        arguments["wrt"] = wrt
    shapes = {
        "forward": [values],
        "backward": [values],
        "value_and_grad": [
            values,
            *([(*batch, width)] if wrt != "parameters" else []),
            *([(len(w),)] if wrt != "inputs" else []),
        ],
        "vjp": [(*batch, m)],
        "jvp": [(*batch, *out_shape)],
        "hvp": [(*batch, m)],
        "jacobian": [(*batch, *out_shape, m)],
        "hessian": [(*batch, m, m)],
    }[name]
    outs = [view(rng, pool, shape, True) for shape in shapes]
    copies = {key: part.copy() if isinstance(part, np.ndarray) else part for key, part in arguments.items()}
    method = getattr(program, name)
    for p in w:
        p.grad = 0.0
    right = method(X.copy(), **copies, threads=rng.randint(1, 3))
    right_grads = [p.grad for p in w]
    for p in w:
        p.grad = 0.0
    before = pool.copy()

    def call() -> Any:
        out = tuple(outs) if name == "value_and_grad" else outs[0]
        return method(X, **arguments, threads=rng.randint(1, 3), out=out)

    if any(np.shares_memory(a, b) for k, a in enumerate(outs) for b in outs[:k]):
        expect(ValueError, call, "shares memory")
        np.testing.assert_array_equal(pool, before)
        assert all(p.grad == 0.0 for p in w)
        return
    found = call()
    if name != "value_and_grad":
        found, right = (found,), (right,)
    for got, wanted, out in zip(found, right, outs):
        assert got is out
        same(got, wanted)
    same([p.grad for p in w], right_grads)


# Optimisers


def formula(kind: str, s: dict[str, Any], n: int) -> Callable[[list[float], list[float], int, float], list[float]]:
    """A step of torch's formulas: from data, gradients, the number of the step and the rate to the new data."""
    v, square, mean, largest = [0.0] * n, [0.0] * n, [0.0] * n, [0.0] * n

    def step(data: list[float], grads: list[float], t: int, lr: float) -> list[float]:
        out = []
        for i, (p, g) in enumerate(zip(data, grads)):
            decay = s["weight_decay"]
            if kind == "SGD":
                d = g if decay == 0.0 else g + decay * p
                if s["momentum"]:
                    v[i] = d if t == 1 else s["momentum"] * v[i] + (1.0 - s["dampening"]) * d
                    d = d + s["momentum"] * v[i] if s["nesterov"] else v[i]
                out.append(p - lr * d)
            elif kind in ("Adam", "AdamW"):
                b1, b2 = s["betas"]
                if kind == "AdamW":
                    p = p * (1.0 - lr * decay)
                elif decay != 0.0:
                    g = g + decay * p
                mean[i] += (g - mean[i]) * (1.0 - b1)
                square[i] = b2 * square[i] + (1.0 - b2) * g * g
                size = square[i]
                if s["amsgrad"]:
                    size = largest[i] = max(largest[i], size)
                root = math.sqrt(1.0 - b2**t)
                out.append(p - lr / (1.0 - b1**t) * (mean[i] / (math.sqrt(size) / root + s["eps"])))
            elif kind == "Adagrad":
                d = g if decay == 0.0 else g + decay * p
                square[i] = (s["initial_accumulator_value"] if t == 1 else square[i]) + d * d
                out.append(p - lr / (1.0 + (t - 1) * s["lr_decay"]) * (d / (math.sqrt(square[i]) + s["eps"])))
            else:
                d = g if decay == 0.0 else g + decay * p
                square[i] = s["alpha"] * square[i] + (1.0 - s["alpha"]) * d * d
                variance = square[i]
                if s["centered"]:
                    mean[i] += (d - mean[i]) * (1.0 - s["alpha"])
                    variance -= mean[i] * mean[i]
                d = d / (math.sqrt(variance) + s["eps"])
                if s["momentum"]:
                    d = v[i] = s["momentum"] * v[i] + d
                out.append(p - lr * d)
        return out

    return step


def clipped(grads: list[float], norm: float | None, value: float | None) -> list[float]:
    if norm is not None:
        total = 0.0
        for g in grads:
            total += g * g
        factor = norm / (math.sqrt(total) + 1e-6)
        if factor < 1.0:
            grads = [g * factor for g in grads]
    if value is not None:
        grads = [math.copysign(value, g) if abs(g) > value else g for g in grads]
    return grads


def settings_of(rng: random.Random) -> tuple[str, dict[str, Any]]:
    kind = rng.choice(["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
    momentum = rng.choice([0.0, 0.9])
    s: dict[str, Any] = {"weight_decay": rng.choice([0.0, 0.01])}
    if kind == "SGD":
        nesterov = bool(momentum) and rng.random() < 0.4
        s |= {"momentum": momentum, "nesterov": nesterov, "dampening": 0.0 if nesterov else rng.choice([0.0, 0.3])}
    elif kind == "Adagrad":
        s |= {"lr_decay": rng.choice([0.0, 0.1]), "initial_accumulator_value": rng.choice([0.0, 2.0]), "eps": 1e-10}
    elif kind == "RMSprop":
        s |= {"momentum": momentum, "alpha": rng.choice([0.99, 0.5]), "centered": rng.random() < 0.5, "eps": 1e-8}
    else:
        s |= {"betas": rng.choice([(0.9, 0.999), (0.5, 0.9)]), "eps": 1e-8, "amsgrad": rng.random() < 0.5}
    return kind, s


def rate_of(rng: random.Random) -> optim.Rate:
    return rng.choice(
        [
            0.05,
            optim.Cosine(0.1, 9),
            optim.WarmUp(optim.LinearDecay(0.1, 30), 3),
            optim.StepDecay(0.1, 2),
            lambda step: 0.1 / (1 + step),
        ]
    )


def formulas(rng: random.Random) -> None:
    kind, s = settings_of(rng)
    limits: dict[str, Any] = {name: rng.choice([None, None, 0.5]) for name in ("clip_norm", "clip_value")}
    lr = rate_of(rng)
    parameters = [Value(rng.uniform(-2, 2)) for _ in range(rng.randint(1, 6))]
    optimizer = getattr(optim, kind)(parameters, lr, **s, **limits)
    step = formula(kind, s, len(parameters))
    data = [p.data for p in parameters]
    for t in range(rng.randint(1, 12)):
        grads = [rng.choice([0.0, rng.gauss(0, 1), rng.gauss(0, 1e3)]) for _ in parameters]
        for p, g in zip(parameters, grads):
            p.grad = g
        optimizer.step()
        data = step(data, clipped(grads, *limits.values()), t + 1, lr(t) if callable(lr) else lr)
        same([p.data for p in parameters], data)
        if rng.random() < 0.2:  # a step that is refused in the middle of a training changes nothing
            refuses_results(rng, optimizer)
            same([p.data for p in parameters], data)


def refuses_results(rng: random.Random, optimizer: optim.Optimizer) -> None:
    leaves, where = list(optimizer.parameters), rng.randrange(len(optimizer.parameters))
    optimizer.parameters[where] = leaves[where] - 0.1 * leaves[where].grad
    state = optimizer.state_dict()
    expect(ValueError, optimizer.step, f"parameter {where} is the result of '+'")
    expect(ValueError, lambda: type(optimizer)(optimizer.parameters), "p.data -= lr * p.grad")
    optimizer.parameters[:] = leaves
    for name, value in optimizer.state_dict().items():
        np.testing.assert_array_equal(value, state.get(name, np.zeros_like(value)))


def descents(rng: random.Random) -> None:
    """`minimize` against a loop with the formulas."""
    kind, s = settings_of(rng)
    limits: dict[str, Any] = {name: rng.choice([None, None, 0.5]) for name in ("clip_norm", "clip_value")}
    lr = rate_of(rng)
    x, w = [Value(0.0), Value(0.0)], [Value(rng.uniform(-1, 1)) for _ in range(3)]
    error = (w[0] * x[0] + w[1]).tanh() * w[2] - x[1]
    program = Program(rng.choice([error, error * error]), inputs=x, parameters=w)
    rows = np.random.default_rng(rng.getrandbits(32)).normal(size=(rng.choice([1, 5, 30]), 2))
    reduce = rng.choice(["mean", "sum"])
    held = [*w, Value(1.5)] if rng.random() < 0.5 else w
    start = [p.data for p in held]
    optimizer = getattr(optim, kind)(held, lr, **s, **limits)
    step, losses = formula(kind, s, len(held)), []
    for t in range(rng.randint(1, 9)):
        for p in held:
            p.grad = 0.0
        losses.append(float(program.backward(rows, reduce=reduce)))
        grads = clipped([p.grad for p in held], *limits.values())
        data = step([p.data for p in held], grads, t + 1, lr(t) if callable(lr) else lr)
        for p, value in zip(held, data):
            p.data = value
    for p, value in zip(held, start):
        p.data = value
    given = container_of(rng, rows)(rows, rng)
    same(optimizer.minimize(program, given, steps=len(losses), reduce=reduce, threads=rng.randint(1, 2)), losses)
    same([p.data for p in held], data)


class Setting:
    """A number that runs code when it is read."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act

    def __float__(self) -> float:
        self.act()
        return 0.5

    def __bool__(self) -> bool:
        self.act()
        return True


def hostile_settings(rng: random.Random) -> None:
    """Whatever a setting does when it is read: nobody else's Values are touched."""
    kind, s = settings_of(rng)
    own, others, strangers = [Value(1.0) for _ in range(3)], [Value(50.0) for _ in range(rng.randint(1, 5))], []
    for p in own + others:
        p.grad = 1.0
    optimizer = getattr(optim, kind)(own, 0.1, **s)

    def renew() -> None:
        for p in own:
            p.__init__(0.25)  # type: ignore[misc]
            strangers.append(Value(100.0))

    acts = [
        lambda: kilograd.arrays.data(others),
        lambda: optim.SGD(others, lr=0.0).step(),
        lambda: optimizer.parameters.clear(),
        lambda: optimizer.parameters.append(Value(7.0)),
        lambda: optimizer.parameters.__setitem__(0, own[0] * 2.0),
        renew,
    ]
    hostile = Setting(rng.choice(acts))
    name = rng.choice(["lr", *(each for each, value in optimizer._rule.state()[1].items() if value is not None)])
    setattr(optimizer, name, hostile)
    if name == "lr" and rng.random() < 0.5:
        optimizer.lr = lambda step: hostile
    x = Value(0.0)
    program = Program((own[0] * x + own[1]) ** 2, inputs=[x], parameters=own)
    with contextlib.suppress(ValueError, TypeError, IndexError):
        if rng.random() < 0.5:
            optimizer.step()
        else:
            optimizer.minimize(program, [[1.0], [2.0]], steps=3)
    assert all(p.data == 50.0 and p.grad == 1.0 for p in others)
    assert all(p.data == 100.0 and p.grad == 0.0 for p in strangers)


# What was once found


def square_table() -> Any:
    return np.array([[1.0, 10.0], [2.0, 20.0]])


def network(width: int = 2) -> Any:
    random.seed(3)
    return MLP(width, [4, 1])


def labels_of_a_frame() -> None:
    import pandas

    one = pandas.DataFrame([[5.0], [6.0], [7.0]])
    same(predict(network(1), one), predict(network(1), [[5.0], [6.0], [7.0]]))
    expect(ValueError, lambda: network()(pandas.DataFrame(square_table())), "predict(model, table)")
    named = pandas.DataFrame(square_table(), columns=["x", "y"])
    same(kilograd.arrays.data(named), square_table())
    same(network()(named.iloc[1]).data, network()([2.0, 20.0]).data)
    found = fit(network(), named[["x", "y"]], named["x"], epochs=2)
    same(found.losses, fit(network(), square_table().tolist(), [1.0, 2.0], epochs=2).losses)


def columns_of_a_frame() -> None:
    import polars

    frame = polars.DataFrame(square_table(), schema=["x", "y"])
    same(predict(network(), frame), predict(network(), square_table().tolist()))
    found = fit(network(), frame, frame["x"], epochs=2)
    same(found.losses, fit(network(), square_table().tolist(), [1.0, 2.0], epochs=2).losses)


def what_is_no_number() -> None:
    dates = np.array([1, 2], "M8[ns]")
    for given in ({0: 1.0, 1: 2.0}, {1.0, 2.0}, "12", b"12", bytearray(b"12"), dates, dates - dates, np.array([1j, 2])):
        for call in (
            network(),
            kilograd.arrays.data,
            kilograd.arrays.values,
            kilograd.functional.sum,
            lambda g: predict(network(), g),
        ):
            expect(TypeError, lambda: call(given))  # noqa: B023
        for row in ([given, given], (given, given)):
            expect(TypeError, lambda: fit(network(), row, [0.0, 1.0], epochs=1))  # noqa: B023
            expect(TypeError, lambda: kilograd.functional.mse(row, row))  # noqa: B023


def masks() -> None:
    masked = np.ma.array([[1.0, 2.0], [3.0, 4.0]], mask=[[False, True], [False, False]])
    x, w = [Value(0.0), Value(0.0)], Value(1.0)
    p = Program((w * x[0] + x[1]).tanh(), inputs=x)
    for call in (
        lambda g: predict(network(), g),
        lambda g: fit(network(), g, [0.0, 1.0], epochs=1),
        p,
        lambda g: optim.SGD([w]).minimize(p, g, steps=1),
        kilograd.arrays.data,
        kilograd.arrays.values,
        kilograd.functional.mean,
        lambda g: kilograd.functional.mse(g, [[1.0, 2.0], [3.0, 4.0]]),
    ):
        expect(ValueError, lambda: call(masked), "masked")  # noqa: B023
        expect(ValueError, lambda: call([masked[0], masked[1]]), "masked")  # noqa: B023
    expect(ValueError, lambda: network()(masked[0]), "masked")
    expect(TypeError, lambda: p(masked.data, out=np.ma.array([0.0, 0.0])), "mask")


def missing_entries() -> None:
    import pandas

    frame = pandas.DataFrame({"a": pandas.array([1, None], "Int64"), "b": pandas.array([2.0, 4.0], "Float64")})
    for call in (lambda g: predict(network(), g), kilograd.arrays.data, kilograd.arrays.values):
        expect(ValueError, lambda: call(frame), "row 1 has a missing value")  # noqa: B023
    expect(ValueError, lambda: predict(network(1), frame[["a"]]), "row 1")


def out_over_weights() -> None:
    x, w = [Value(0.0), Value(0.0)], Value(0.7)
    p = Program((w * x[0]).tanh() * x[1], inputs=x)
    X = np.random.default_rng(0).normal(size=(40, 2))
    W = np.linspace(1.0, 2.0, 40)
    right = [part.copy() for part in p.value_and_grad(X, "both", W)]
    for found in (
        p.value_and_grad(X, "both", V := W.copy(), out=(V, np.empty((40, 2)), np.empty(1))),
        p.value_and_grad(X, "both", (V := np.column_stack([W, W]))[:, 0], out=(np.empty(40), V, np.empty(1))),
    ):
        for got, wanted in zip(found, right):
            same(got, wanted)
    V = W.copy()
    p.backward(X, V, out=V)
    same(w.grad, right[2][0])


def one_array_for_two_results() -> None:
    x, w = Value(0.0), Value(0.7)
    p = Program((w * x).tanh(), inputs=[x])
    a = np.zeros(5)
    expect(ValueError, lambda: p.value_and_grad(np.ones((5, 1)), out=(a, a.reshape(5, 1))), "shares memory")
    b = np.zeros(6)
    expect(ValueError, lambda: p.value_and_grad(np.ones((5, 1)), "parameters", out=(b[:5], b[4:5])), "out[-1]")
    same(a, np.zeros(5))


def a_rate_that_reads_others() -> None:
    own, other = Value(10.0), Value(50.0)
    own.grad = other.grad = 1.0
    optim.SGD([own], lr=lambda step: Setting(lambda: kilograd.arrays.data([other]))).step()  # type: ignore[arg-type,return-value]
    assert (own.data, other.data) == (9.5, 50.0)


def a_new_leaf_while_minimize_runs() -> None:
    """In a signal handler, until it has run between two steps in C++."""
    w, strangers, inside = Value(1.0), [], []

    def renew(number: int, frame: Any) -> None:
        inside.append(frame.f_code.co_name == "_descend")
        w.__init__(0.25)  # type: ignore[misc]
        strangers.append(Value(100.0))

    program, sgd = Program(w * 1.0), optim.SGD([w], lr=1e-9)
    before = signal.signal(signal.SIGALRM, renew)
    try:
        for _ in range(1000):
            inside.clear()
            signal.setitimer(signal.ITIMER_REAL, 0.002)
            sgd.minimize(program, steps=100_000)
            if any(inside) and w.data != 0.25:  # and not behind the last of them
                break
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    assert any(inside)
    assert 0.2 < w.data < 0.25
    assert {(v.data, v.grad) for v in strangers} == {(100.0, 0.0)}


def a_new_leaf_in_another_thread() -> None:
    w, x, strangers, done = Value(1.0), Value(0.0), [], threading.Event()
    program, sgd = Program((w * x).tanh(), inputs=[x]), optim.SGD([w], lr=1e-3)
    rows = np.ones((100_000, 1))

    def renew() -> None:
        while not done.is_set():
            w.__init__(0.25)  # type: ignore[misc]
            strangers.append(Value(100.0))
            time.sleep(0)  # lets the other one go on

    thread = threading.Thread(target=renew)
    thread.start()
    sgd.minimize(program, rows, steps=40)
    done.set()
    thread.join()
    assert {(v.data, v.grad) for v in strangers} == {(100.0, 0.0)}


def results_as_parameters() -> None:
    w = Value(1.0)
    w.grad = 0.5
    expect(ValueError, lambda: optim.SGD([w - 0.1 * w.grad]), "p.data -= lr * p.grad")

    class Line:
        def __init__(self) -> None:
            self.w = [Value(0.5)]

        def __call__(self, x: Any) -> Value:
            return self.w[0] * x

        def parameters(self) -> list[Value]:
            return self.w

    line = Line()

    def replace(history: Any) -> None:
        line.w[0] = line.w[0] - 0.1 * line.w[0].grad

    expect(ValueError, lambda: fit(line, [1.0, 2.0], [2.0, 4.0], epochs=5, callbacks=[replace]), "is the result of")
    expect(ValueError, lambda: fit(line, [1.0, 2.0], [2.0, 4.0], epochs=5), "is the result of")


def a_setter_that_clears_the_list() -> None:
    class Foreign:
        def __init__(self, everything: list[Any]) -> None:
            self.everything = everything

        @property
        def grad(self) -> float:
            return 0.0

        @grad.setter
        def grad(self, value: float) -> None:
            self.everything.clear()
            seen.append([self.everything is each for each in kept])  # `self` is still there

    seen: list[Any] = []
    kept = [[] for _ in range(20)]
    for each in kept:
        each += [Foreign(each), Value(1.0)]
        kilograd._core.zero_grad(each)
    assert [flags.index(True) for flags in seen] == list(range(20))


def a_truth_that_changes_the_weights() -> None:
    neuron = micrograd_nn.Neuron(2)
    right = neuron([1.0, 1.0]).data

    def renew() -> None:
        for p in neuron.w:
            p.__init__(2.0)  # type: ignore[misc]

    neuron.nonlin = Setting(renew)  # type: ignore[assignment]
    assert neuron([1.0, 1.0]).data == right  # the weights come first


def a_number_that_frees_an_output() -> None:
    class Renewing(np.float32):
        def __float__(self) -> float:
            for p in outputs[:-1]:
                p.__init__(2.0)
            return 3.0

    outputs: list[Any] = [*(Value(1.0) for _ in range(5)), Renewing(3.0)]
    assert Program(outputs)().tolist() == [2.0] * 5 + [3.0]


def complex_state() -> None:
    p = Value(1.0)
    adam = optim.Adam([p])
    p.grad = 1.0
    adam.step()
    state = adam.state_dict()
    expect(ValueError, lambda: adam.load_state_dict({**state, "mean": state["mean"] * 1j}), "complex")


FOUND = [
    labels_of_a_frame,
    columns_of_a_frame,
    what_is_no_number,
    masks,
    missing_entries,
    out_over_weights,
    one_array_for_two_results,
    a_rate_that_reads_others,
    a_new_leaf_while_minimize_runs,
    a_new_leaf_in_another_thread,
    results_as_parameters,
    a_setter_that_clears_the_list,
    a_truth_that_changes_the_weights,
    a_number_that_frees_an_output,
    complex_state,
]


def corpus() -> Iterator[tuple[str, Callable[[], None]]]:
    for check in FOUND:
        yield check.__name__, check
