"""Programs over rows in parts, made from a seed: sums, gradients and trainings against those of this process.

The rows are cut anywhere, parts may be empty or of other types, and who computes them differs: blocks, and Dask where
it is installed. With the same parts every bit is the same; cut otherwise, sums agree to rounding.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import kilograd
from kilograd import distributed, optim
from kilograd.distributed.parts import unpacked

COUNT = 3  # numbers of a row
FORMS = ["{a} * {b}", "{a} + {b}", "({a} - {b}).tanh()", "{a} * 0.5 + 1.0", "(0.1 * {a}).exp()", "{a} ** 2"]


def made(dice: random.Random) -> tuple[kilograd.Program, list[kilograd.Value]]:
    """A program of one row, and its parameters."""
    inputs = [kilograd.Value(0.0) for _ in range(COUNT)]
    parameters = [kilograd.Value(dice.uniform(-1, 1)) for _ in range(dice.randint(1, 4))]
    pool = [*inputs, *parameters]
    for _ in range(dice.randint(3, 12)):
        a, b = dice.choice(pool), dice.choice([*pool[-3:], *parameters])
        pool.append(eval(dice.choice(FORMS).format(a="a", b="b"), {"a": a, "b": b}))
    output = pool[-1].tanh() + sum(p * p for p in parameters)
    return kilograd.Program(output, inputs=inputs, parameters=parameters), parameters


def parts_of(dice: random.Random, rows: Any) -> list[Any]:
    """The rows in parts, each of the kind of table that chance gives it."""
    cuts = sorted(dice.randint(0, len(rows)) for _ in range(dice.randint(0, 5)))
    kinds: list[Callable[[Any], Any]] = [np.asarray, np.asfortranarray, lambda part: part.astype(object)]
    return [dice.choice(kinds)(part) for part in np.split(rows, cuts)]


def by_dask(parts: list[Any]) -> Any | None:
    """The same parts as an array of Dask."""
    try:
        import dask.array
    except ImportError:
        return None
    filled = [part.astype(float) for part in parts if len(part)]
    return dask.array.concatenate([dask.array.from_array(part, chunks=part.shape) for part in filled])


def same(what: str, found: Any, wanted: Any) -> None:
    """Every bit."""
    for one, other in zip(found, wanted, strict=True):
        if np.asarray(one).tobytes() != np.asarray(other).tobytes():
            raise AssertionError(f"{what}: {one!r}, and not {other!r}")


def check(dice: random.Random, reduce: Any) -> None:
    """Hold a program over parts to the same in this process."""
    program, parameters = made(dice)
    rows = np.array([[dice.uniform(-1, 1) for _ in range(COUNT)] for _ in range(dice.randint(1, 40))])
    parts = parts_of(dice, rows)
    theta = np.array([dice.uniform(-1, 1) for _ in parameters])
    found = distributed.value_and_grad(program, parts, parameters=theta, reduce=reduce)
    same("again", distributed.value_and_grad(program, parts, parameters=theta, reduce=reduce), found)
    whole = program.value_and_grad(rows, "parameters", reduce=reduce, parameters=theta)
    for one, other in zip(found, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    outputs = list(distributed.map_rows(program, parts, parameters=theta))
    same("rows", outputs, [program(part.astype(float), parameters=theta) for part in parts])
    np.testing.assert_allclose(np.concatenate(outputs), program(rows, parameters=theta), rtol=1e-12)
    there = by_dask(parts)
    if there is not None:
        import dask

        filled = [part for part in parts if len(part)]
        with dask.config.set(scheduler=dice.choice(["synchronous", "threads"])):
            of_dask = distributed.value_and_grad(program, there, parameters=theta, reduce=reduce)
        unpacked.cache_clear()  # the workers of these schedulers are this process
        same("Dask", of_dask, distributed.value_and_grad(program, filled, parameters=theta, reduce=reduce))
    start = [p.data for p in parameters]
    kind = dice.choice([optim.SGD, optim.Adam])
    wanted = kind(parameters, lr=0.01).minimize(program, parts, steps=3, reduce=reduce), [p.data for p in parameters]
    for p, data in zip(parameters, start, strict=True):
        p.data, p.grad = data, 0.0
    losses = distributed.minimize(program, parts, kind(parameters, lr=0.01), steps=3, reduce=reduce)
    same("minimize", [losses, [p.data for p in parameters]], wanted)


def run(seed: int) -> None:
    """Check the program of a seed."""
    dice = random.Random(seed)
    check(dice, dice.choice(["sum", "mean"]))


def the_first_batch_adds_up_as_later_ones_do() -> None:
    """It was added up by another program, whose last bit differed."""
    rows = np.random.default_rng(0).normal(size=(40, COUNT))
    for seed in range(5):
        theta = np.random.default_rng(seed).normal(size=2)
        f = kilograd.compile(lambda x, p: np.tanh(x @ x * p[0]) * p[1] + p[0] / (1 + x[1] ** 2))
        first = distributed.value_and_grad(f, [rows[:7], rows[7:]], parameters=theta)
        same("the second call", distributed.value_and_grad(f, [rows[:7], rows[7:]], parameters=theta), first)


def an_empty_part_of_objects() -> None:
    """It was taken for one without columns."""
    program, parameters = made(random.Random(0))
    part, theta = np.ones((2, COUNT)), np.zeros(len(parameters))
    found = distributed.value_and_grad(program, [part[:0].astype(object), part], parameters=theta)
    same("without it", found, distributed.value_and_grad(program, [part], parameters=theta))


def a_seed_that_each_process_draws() -> None:
    """None, or a Generator: each process had an order of its own."""
    model = kilograd.Neuron(2)
    for seed in (None, np.random.default_rng(0)):
        try:
            distributed.fit(model, [(np.ones((4, 2)), np.ones(4))], epochs=1, batch_size=2, seed=seed)  # type: ignore[arg-type]
        except TypeError:
            continue
        raise AssertionError(f"the seed {seed!r} was taken")


def targets_that_the_loss_has_not() -> None:
    """They were found in the step that takes them, and the steps before had been made."""
    model = kilograd.MLP(2, [3])
    before = [p.data for p in model.parameters()]
    parts = [(np.ones((4, 2)), np.array([0, 1, 2, 0])), (np.ones((4, 2)), np.array([0, 1, 2, 7]))]
    try:
        distributed.fit(model, parts, loss="cross_entropy", epochs=1, batch_size=2, seed=0)
    except ValueError as error:
        if "class" not in str(error) or [p.data for p in model.parameters()] != before:
            raise AssertionError("it was refused too late, or in other words") from error
        return
    raise AssertionError("class 7 of 3 was taken")


class Frame:
    """A table whose columns have names."""

    def __init__(self, columns: str, rows: Any) -> None:
        self.columns, self._rows = list(columns), rows

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self._rows


def columns_in_another_order() -> None:
    """Rows were taken by places, and gave the sum of other numbers."""
    x, y, slope = (kilograd.Value(0.5) for _ in range(3))
    program = kilograd.Program(slope * x - y, inputs=[x, y], parameters=[slope])
    parts = [Frame("xy", np.ones((2, 2))), Frame("yx", np.array([[1.0, 2.0]]))]
    try:
        distributed.value_and_grad(program, parts)
    except ValueError as error:
        if "another place" in str(error):
            return
    raise AssertionError("a column was taken for another")


def corpus() -> Iterator[tuple[str, Callable[[], None]]]:
    """What was wrong once."""
    yield "first-batch", the_first_batch_adds_up_as_later_ones_do
    yield "empty-part-of-objects", an_empty_part_of_objects
    yield "seeds-of-processes", a_seed_that_each_process_draws
    yield "columns-in-another-order", columns_in_another_order
    yield "targets-that-the-loss-has-not", targets_that_the_loss_has_not
