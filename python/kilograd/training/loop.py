"""Training without a loop of one's own: `fit` and `predict`."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from kilograd import tables
from kilograd.checks import whole_number
from kilograd.modes import no_grad
from kilograd.optim import Adam, Optimizer
from kilograd.recorded import Recorded, Surroundings, UnrecordableError
from kilograd.training.history import History, progress_bar
from kilograd.training.samples import Blocks, Samples, held_out_of_blocks, hold_out, order_of, read_rows, read_samples
from kilograd.training.steps import Inputs, Loss, Model, ProgramTrainer, Trainer, check_leaves, check_roles, loss_named

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

__all__ = ["Made", "fit", "predict", "run_epochs"]

Engine: TypeAlias = Literal["auto", "program", "graph"]
"""How the steps of a training are computed."""

_WORTH_RECORDING = 200
"""Samples that a model is evaluated for in the time that recording it takes."""


def fit(
    model: Model,
    X: Any,  # noqa: N803
    y: Any = None,
    *,
    loss: Loss = "mse",
    optimizer: Optimizer | None = None,
    epochs: int = 100,
    batch_size: int | None = None,
    seed: int | None = None,
    validation: tuple[Any, Any] | float | None = None,
    callbacks: Iterable[Callable[[History], Any]] = (),
    progress: bool | None = None,
    first_epoch: int = 0,
    engine: Engine = "auto",
    threads: int = 1,
    record: int | None = None,
) -> History:
    """Train a model.

    Each step computes the mean loss of a batch and its gradient and lets the optimizer step. Ctrl-C ends the training
    before or after the step that is under way, whichever is sooner; a second one interrupts at once.

    Parameters
    ----------
    model : callable
        From a sample, a row of `X`, to a Value or a list of Values: an `MLP`, or a function of your own.
    X : array_like or table, shape (n, ...)
        The samples: an array, a list of rows, or a data frame, series or column of any library, of which the rows are
        taken by their position. The model is called with each row as a list of numbers, or a number. A table, a
        memory map too, is not copied as a whole, but for steps over all of it. Without `y` it is an iterable of blocks
        ``(X, y)``, which is gone through once in each epoch: for data that do not fit into memory.
    y : array_like or table, shape (n, ...), optional
        The targets, as the loss takes them.
    loss : str or callable, default "mse"
        The name of a loss in `kilograd.functional`: ``"mse"``, ``"huber"``, ``"log_cosh"``, ``"hinge"`` (targets -1
        and 1), ``"cross_entropy"`` (class indices), ``"binary_cross_entropy"``,
        ``"binary_cross_entropy_from_logits"`` (targets 0 and 1); or a function of the prediction and the target of one
        sample.
    optimizer : Optimizer, optional
        By default `Adam` with rate 0.01 over ``model.parameters()``.
    epochs : int, default 100
        How often each sample is used.
    batch_size : int, optional
        Samples per step; all of them by default. Of blocks: at most those of a block.
    seed : int, optional
        Of the order of the samples, which is drawn anew in each epoch where there are several batches: the same seed
        gives the same training. In epoch k it is ``numpy.random.default_rng(r.getrandbits(128)).permutation(n)`` with
        ``r = random.Random(f"{seed} {k}")``; in block j of it, after the first, the text ends in ``f" {j}"``. By
        default r is Python's `random`. Blocks keep their order.
    validation : (X, y) or float, optional
        Samples to compute a loss on after each epoch; or which share of the given ones to set aside for it, drawn
        with `seed` (not of blocks).
    callbacks : iterable of callable
        Each is called with the `History` after each epoch; one that returns True ends the training.
    progress : bool, optional
        Whether to show a progress bar (tqdm), which moves within an epoch too; by default where a terminal or a
        notebook looks on.
    first_epoch : int, default 0
        The number of the epoch to begin with. A training that was saved after k epochs goes on as it would have with
        ``first_epoch=k`` and the same `seed`.
    engine : {"auto", "program", "graph"}, default "auto"
        ``"graph"`` builds the graph of every batch anew. ``"program"`` records the loss of one sample as a `Program`
        and runs that: the same training to rounding, many times faster. ``"auto"`` does so where it is certainly the
        same; see below.
    threads : int, default 1
        On how many threads the rows of a program are computed, the results being the same; -1 takes all processors.
    record : int, optional
        Keep the optimizer's parameters in `History.snapshots`: before the first epoch, after every `record`-th one, and
        at the end. Each time takes 8 bytes for each parameter. By default none are kept.

    Returns
    -------
    History

    Raises
    ------
    TypeError
        If `X` or `y` is no table of numbers: a dict, text, complex numbers, dates.
    ValueError
        If there are no samples, blocks can be gone through but once, lengths differ, rows differ in width or not from
        what the model takes, data frames have their columns in different orders, an input is missing or not finite, a
        setting is out of range, or a parameter of the model or the optimizer is no leaf; with ``engine="program"`` also
        if the loss cannot be recorded. Nothing is changed.
    FloatingPointError
        If the loss becomes NaN or infinite, or the parameters do. They, and the optimizer, are then as they were in
        the last step that had a finite loss.

    Notes
    -----
    A model and a loss are recorded if they only compute: `kilograd.nn` networks, and functions and classes of your own
    over them. Whatever else they do has them run for every batch, as ever: branches on values and reads of ``.data``;
    rules in Python; random numbers; what they count, remember or print; integers used as indices, class indices of
    ``"cross_entropy"`` aside; objects, modules and builtins that may have a state of their own. So does an optimizer
    with a step of its own. Recording runs the model on a few samples before the first step. After callbacks it is
    recorded anew if they changed what it reads; the data of Values is read in every step anyway.

    A program's losses and gradients agree with a graph's to rounding, about 1e-15 of the largest term. Trainings stay
    as close as long as they do not magnify such differences themselves, as thousands of noisy steps can.
    """
    check_roles(model, optimizer)
    function = loss_named(loss)
    epochs = whole_number("epochs", epochs, 0)
    first_epoch = whole_number("first_epoch", first_epoch, 0)
    if batch_size is not None:
        batch_size = whole_number("batch_size", batch_size, 1)
    if record is not None:
        record = whole_number("record", record, 1)
    blocks: Iterable[Samples]
    if y is None:
        blocks = Blocks(X, epochs)
        held_out = held_out_of_blocks(validation)
    else:
        samples, held_out = hold_out(read_samples(X, y), validation, seed)
        order = tables.SameOrder()
        for table in (X, *(validation[:1] if isinstance(validation, tuple) else ())):
            order.checked(table)
        blocks = [samples]
    if engine not in ("auto", "program", "graph"):
        raise ValueError(f'engine is "auto", "program" or "graph", not {engine!r}')
    if optimizer is None:
        optimizer = Adam(model, lr=0.01)
    check_leaves(model, optimizer)
    if engine == "graph" or not epochs:
        trainer = Trainer(model, function, optimizer)
    else:  # however short it is: a training in two parts is to be the same to the last bit
        trainer = ProgramTrainer(model, function, optimizer, held_out, threads)

    def steps(epoch: int, history: History, stop: bytearray) -> Iterator[Made]:
        for block, samples in enumerate(blocks):
            size = min(batch_size or len(samples), len(samples))
            trainer.attend(samples, size)
            if engine == "program" and trainer.reason and not history.steps:
                raise ValueError(f"the loss of a sample cannot be recorded as a program: {trainer.reason}")
            order = order_of(len(samples), size, seed, epoch, block)
            while len(order):
                losses = trainer.steps(samples, order, size, epoch, len(history.steps), stop)
                counts = [min(size, len(order) - k * size) for k in range(len(losses))]
                order = order[len(losses) * size :]
                share = 1 - len(order) / len(samples) if y is not None and len(order) else 0.0
                yield Made(losses, counts, share)

    return run_epochs(
        trainer,
        steps,
        epochs=epochs,
        first_epoch=first_epoch,
        held_out=held_out,
        callbacks=callbacks,
        progress=progress,
        record=record,
    )


class Made(NamedTuple):
    """Steps that were made, one after the other."""

    losses: list[float]
    counts: list[int]  # of the samples of each
    share: float  # of the epoch that is done with them, or 0 where a bar need not move


def run_epochs(
    trainer: Trainer,
    steps: Callable[[int, History, bytearray], Iterator[Made]],
    *,
    epochs: int,
    first_epoch: int,
    held_out: Samples | None,
    callbacks: Iterable[Callable[[History], Any]],
    progress: bool | None,
    record: int | None,
) -> History:
    """Go through the epochs, of which ``steps(epoch, history, stop)`` makes the steps; `stop` is set by Ctrl-C."""
    model, optimizer = trainer.model, trainer.optimizer
    callbacks = list(callbacks)
    history = History()
    keep = _keeper(history, model, optimizer, first_epoch) if record else lambda: None
    keep()
    with progress_bar(progress, epochs) as tick, interrupts() as interrupted, _at_the_end(keep):
        for epoch in range(first_epoch, first_epoch + epochs):
            began = time.perf_counter()
            total, count = 0.0, 0
            for made in steps(epoch, history, interrupted):
                total += sum(loss * samples for loss, samples in zip(made.losses, made.counts, strict=True))
                count += sum(made.counts)
                history.steps += made.losses
                if interrupted[0]:
                    history.interrupted = True
                    return history
                if made.share:
                    tick(history, made.share)
            history.losses.append(total / count)
            if held_out is not None:
                history.validation.append(trainer.evaluate(held_out))
            history.times.append(time.perf_counter() - began)
            if record and len(history.losses) % record == 0:
                keep()
            tick(history, 0.0)
            if any([callback(history) is True for callback in callbacks]):  # noqa: C419 (all are to be called)
                break
            if callbacks:
                check_leaves(model, optimizer)
                trainer.look_again()
    return history


def predict(model: Model, X: Any, *, threads: int = 1) -> NDArray[float64]:  # noqa: N803
    """The model's outputs for many samples; no graph is built.

    Parameters
    ----------
    model : callable
        From a sample to a Value, a number, or a list of these.
    X : array_like or table, shape (n, ...)
        As `fit` takes it.
    threads : int, default 1
        As `fit` takes it.

    Returns
    -------
    ndarray of float, shape (n,) or (n, outputs)

    Raises
    ------
    TypeError
        If `X` is no table of numbers: a dict, text, complex numbers, dates.
    ValueError
        If rows differ in width or not from what the model takes, or an input is missing or not finite.
    """
    import numpy as np

    from kilograd.arrays import data

    rows = read_rows("X", X)
    if not len(rows):
        return np.empty(0)
    if len(rows) >= _WORTH_RECORDING:
        try:
            recorded = Recorded(Surroundings(model), model, rows)
            return np.concatenate([recorded.program(x, threads=threads) for x in Inputs(recorded, [rows]).pieces()])
        except (UnrecordableError, ValueError, ArithmeticError):
            pass  # the model itself shall say what is wrong
    with no_grad():
        return data([model(row) for row in rows])


def _keeper(history: History, model: Model, optimizer: Optimizer, first_epoch: int) -> Callable[[], None]:
    """A function that takes a snapshot."""
    from kilograd.viewer.reading import places_of

    named = {id(value): name for name, value in places_of(model)}
    names = [named.get(id(p), p.label or f"parameter {k}") for k, p in enumerate(optimizer.parameters)]
    return partial(history.keep, names, optimizer.parameters, first_epoch)


@contextmanager
def _at_the_end(keep: Callable[[], None]) -> Iterator[None]:
    """Take a last snapshot, unless the training fails."""
    yield
    keep()


@contextmanager
def interrupts() -> Iterator[bytearray]:
    """A byte that is set once Ctrl-C was pressed: the first time it is only noted, the second time it interrupts.

    Signals reach the main thread alone, and a handler that somebody else installed stays.
    """
    pressed = bytearray(1)

    def note(number: int, frame: Any) -> None:
        if pressed[0]:
            signal.default_int_handler(number, frame)
        pressed[0] = 1

    mine = threading.current_thread() is threading.main_thread() and (
        signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if mine:
        signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        if mine:
            signal.signal(signal.SIGINT, signal.default_int_handler)
