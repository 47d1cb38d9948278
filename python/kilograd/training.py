"""Training without a loop of one's own: `fit`, `predict`, and the picture of what was learned."""

from __future__ import annotations

import math
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from kilograd import _core, functional, tables
from kilograd._core import Value
from kilograd.functional import LossName, mean
from kilograd.modes import no_grad
from kilograd.optim import Adam, Optimizer
from kilograd.optim.schedules import is_known
from kilograd.recorded import Recorded, Surroundings, UnrecordableError, builds_graphs, without_notes
from kilograd.tables import Rows

if TYPE_CHECKING:
    from numpy import float64, int64
    from numpy.typing import NDArray

__all__ = ["History", "Loss", "Model", "fit", "plot_boundary", "predict"]

Model: TypeAlias = Callable[[Any], Any]
"""Anything that is called with a sample and gives a Value or a list of Values."""

Loss: TypeAlias = LossName | Callable[[Any, Any], Any]
"""The name of a loss, or a function of one sample's prediction and target that gives a Value."""

Engine: TypeAlias = Literal["auto", "program", "graph"]
"""How the steps of a training are computed."""

_WORTH_RECORDING = 200
"""Samples that a model is evaluated for in the time that recording it takes."""

_LOSSES: dict[str, Callable[[Any, Any], Any]] = {name: getattr(functional, name) for name in get_args(LossName)}


@dataclass
class History:
    """What happened in training.

    Attributes
    ----------
    losses : list of float
        Mean loss of the samples of each epoch, as they were met.
    validation : list of float
        Mean loss of the validation samples after each epoch; empty without them.
    times : list of float
        Seconds that each epoch took, validation included.
    steps : list of float
        Loss of each step.
    interrupted : bool
        Whether Ctrl-C ended the training.
    """

    losses: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)
    interrupted: bool = False

    def __repr__(self) -> str:
        """The last losses; there may be thousands."""
        parts = [f"{len(self.losses)} epochs"]
        parts += [f"loss {self.losses[-1]:.4g}"] if self.losses else []
        parts += [f"validation {self.validation[-1]:.4g}"] if self.validation else []
        parts += [f"{sum(self.times):.3g} s"] if self.times else []
        parts += ["interrupted"] if self.interrupted else []
        return f"History({', '.join(parts)})"

    def plot(self, ax: Any = None) -> Any:
        """Draw the losses over the epochs.

        Parameters
        ----------
        ax : matplotlib axes, optional
            Where to draw; new ones by default.

        Returns
        -------
        matplotlib axes

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = _axes(ax)
        epochs = range(1, len(self.losses) + 1)
        ax.plot(epochs, self.losses, label="training")
        if self.validation:
            ax.plot(epochs[: len(self.validation)], self.validation, label="validation")
            ax.legend()
        ax.set_xlabel("epoch")
        ax.set_ylabel("loss")
        return ax


def fit(
    model: Model,
    X: Any,  # noqa: N803
    y: Any,
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
        taken by their position. The model is called with each row as a list of numbers, or a number.
    y : array_like or table, shape (n, ...)
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
        Samples per step; all of them by default.
    seed : int, optional
        Of the order of the samples, which is drawn anew in each epoch where there are several batches: the same seed
        gives the same training. By default the order comes from Python's `random`.
    validation : (X, y) or float, optional
        Samples to compute a loss on after each epoch; or which share of the given ones to set aside for it, drawn
        with `seed`.
    callbacks : iterable of callable
        Each is called with the `History` after each epoch; one that returns True ends the training.
    progress : bool, optional
        Whether to show a progress bar (tqdm); by default where a terminal or a notebook looks on.
    first_epoch : int, default 0
        The number of the epoch to begin with. A training that was saved after k epochs goes on as it would have with
        ``first_epoch=k`` and the same `seed`.
    engine : {"auto", "program", "graph"}, default "auto"
        ``"graph"`` builds the graph of every batch anew. ``"program"`` records the loss of one sample as a `Program`
        and runs that: the same training to rounding, many times faster. ``"auto"`` does so where it is certainly the
        same; see below.

    Returns
    -------
    History

    Raises
    ------
    TypeError
        If `X` or `y` is no table of numbers: a dict, text, complex numbers, dates.
    ValueError
        If there are no samples, lengths differ, rows differ in width or not from what the model takes, an input is
        missing or not finite, a setting is out of range, or a parameter of the model or the optimizer is no leaf; with
        ``engine="program"`` also if the loss cannot be recorded. Nothing is changed.
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
    samples = _samples(X, y)
    function = _loss(loss)
    _check_count("epochs", epochs, 0)
    _check_count("first_epoch", first_epoch, 0)
    if batch_size is not None:
        _check_count("batch_size", batch_size, 1)
    samples, held_out = _hold_out(samples, validation, seed)
    if engine not in ("auto", "program", "graph"):
        raise ValueError(f'engine is "auto", "program" or "graph", not {engine!r}')
    size = min(batch_size or len(samples), len(samples))
    callbacks = list(callbacks)
    if optimizer is None:
        optimizer = Adam(model, lr=0.01)
    _check_leaves(model, optimizer)
    if engine == "graph" or not epochs:
        trainer = _Trainer(model, function, optimizer)
    else:  # however short it is: a training in two parts is to be the same to the last bit
        trainer = _ProgramTrainer(model, function, optimizer, samples, held_out)
        if engine == "program" and trainer.reason:
            raise ValueError(f"the loss of a sample cannot be recorded as a program: {trainer.reason}")

    history = History()
    with _progress(progress, epochs) as tick, _interrupts() as interrupted:
        for epoch in range(first_epoch, first_epoch + epochs):
            began = time.perf_counter()
            order = _order(len(samples), size, seed, epoch)
            total = 0.0
            while len(order):
                steps = trainer.steps(samples, order, size, epoch, len(history.steps), interrupted)
                total += sum(loss * min(size, len(order) - k * size) for k, loss in enumerate(steps))
                history.steps += steps
                order = order[len(steps) * size :]
                if interrupted[0]:
                    history.interrupted = True
                    return history
            history.losses.append(total / len(samples))
            if held_out is not None:
                history.validation.append(trainer.evaluate(held_out))
            history.times.append(time.perf_counter() - began)
            tick(history)
            if any([callback(history) is True for callback in callbacks]):  # noqa: C419 (all are to be called)
                break
            if callbacks:
                _check_leaves(model, optimizer)
                trainer.look_again()
    return history


def predict(model: Model, X: Any) -> NDArray[float64]:  # noqa: N803
    """The model's outputs for many samples; no graph is built.

    Parameters
    ----------
    model : callable
        From a sample to a Value, a number, or a list of these.
    X : array_like or table, shape (n, ...)
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

    rows = _rows("X", X)
    if not len(rows):
        return np.empty(0)
    if len(rows) >= _WORTH_RECORDING:
        try:
            recorded = Recorded(Surroundings(model), model, rows)
            return recorded.program(recorded.rows(rows))
        except (UnrecordableError, ValueError, ArithmeticError):
            pass  # the model itself shall say what is wrong
    with no_grad():
        return data([model(row) for row in rows])


def plot_boundary(
    model: Model,
    X: Any,  # noqa: N803
    y: Any,
    *,
    ax: Any = None,
    resolution: int = 100,
    margin: float = 0.5,
    threshold: float = 0.0,
) -> Any:
    """Draw where a classifier of two inputs decides for which class, and the samples on top.

    Parameters
    ----------
    model : callable
        From a point (x0, x1) to a score, compared with `threshold`, or to a list of scores, of which the largest wins.
    X : array_like, shape (n, 2)
    y : array_like, shape (n,)
        The classes: the samples' colours.
    ax : matplotlib axes, optional
        Where to draw; new ones by default.
    resolution : int, default 100
        Points along each side at which the model is computed.
    margin : float, default 0.5
        How far the picture reaches beyond the samples, in units of the inputs.
    threshold : float, default 0.0
        0.5 for a model that ends in a sigmoid.

    Returns
    -------
    matplotlib axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If `X` is not of shape (n, 2) or `y` not of the same length.
    """
    import numpy as np

    points, classes = tables.numbers(X, "X").astype(float), np.asarray(y)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise ValueError(f"a picture needs points of two coordinates, shape (n, 2), not {points.shape}")
    if classes.shape != points.shape[:1]:
        raise ValueError(f"{len(points)} points need as many classes; y has the shape {classes.shape}")
    _check_count("resolution", resolution, 2)
    ax = _axes(ax)
    (left, low), (right, high) = points.min(axis=0) - margin, points.max(axis=0) + margin
    across, up = np.meshgrid(np.linspace(left, right, resolution), np.linspace(low, high, resolution))
    scores = predict(model, np.column_stack([across.ravel(), up.ravel()]))
    if scores.ndim == 2 and scores.shape[1] == 1:
        scores = scores[:, 0]
    decided = scores > threshold if scores.ndim == 1 else scores.argmax(axis=1)
    ax.contourf(across, up, decided.reshape(across.shape).astype(float), cmap="Spectral", alpha=0.6)
    ax.scatter(points[:, 0], points[:, 1], c=classes, s=25, cmap="Spectral", edgecolors="black", linewidths=0.5)
    ax.set_xlim(left, right)
    ax.set_ylim(low, high)
    return ax


# Steps


class _StoppedError(Exception):
    """The step under way is not wanted any more."""


class _Trainer:
    """A model with what it takes to train it, and the way back to the last good step."""

    def __init__(self, model: Model, loss: Callable[[Any, Any], Any], optimizer: Optimizer) -> None:
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.before: _core._Bookmark | None = None  # the last step

    def mean_loss(self, batch: Iterable[tuple[Any, Any]], stop: bytearray | None = None) -> Value:
        """The mean over samples; _StoppedError where `stop` is set meanwhile."""
        before = stop[:] if stop else None
        losses = []
        for x, target in batch:
            losses.append(self.loss(self.model(x), target))
            if stop != before:
                raise _StoppedError
        return mean(losses)

    def steps(
        self, samples: _Samples, order: NDArray[int64], size: int, epoch: int, number: int, stop: bytearray
    ) -> list[float]:
        """Make the first step of `size` samples of the order, or more of them; the losses, each before its step.

        `stop` is set where no more than the step under way is wanted, and not that one if it is long.
        """
        try:
            return [self.step(map(samples.pair, order[:size].tolist()), epoch, number, stop)]
        except _StoppedError:
            return []

    def step(self, batch: Iterable[tuple[Any, Any]], epoch: int, number: int, stop: bytearray) -> float:
        """Make one step on a graph."""
        try:
            value = self.mean_loss(batch, stop)
        except OverflowError as error:
            raise self.diverged(epoch, number, f"an operation overflowed: {error}") from error
        if not math.isfinite(value.data):
            raise self.diverged(epoch, number, f"the loss is {value.data}")
        self.optimizer.zero_grad()
        value.backward()
        self.update(epoch, number)
        return value.data

    def update(self, epoch: int, number: int) -> None:
        self.before = self.optimizer._bookmark()
        self.optimizer.step()
        if not _core.all_finite(self.optimizer.parameters):
            raise self.diverged(epoch, number, "a parameter is no longer finite")

    def evaluate(self, samples: _Samples) -> float:
        with no_grad():
            return self.mean_loss(map(samples.pair, range(len(samples)))).data

    def diverged(self, epoch: int, number: int, what: str) -> FloatingPointError:
        if self.before is not None:
            self.optimizer._restore(self.before)
        return FloatingPointError(
            f"in epoch {epoch}, step {number}, {what}. The parameters are as of the last step with a finite loss. "
            "A lower learning rate, clip_norm= in the optimizer, or inputs scaled to about 1 help"
        )

    def look_again(self) -> None:
        """Somebody may have changed the model."""


class _ProgramTrainer(_Trainer):
    """The same with the loss of a sample as a program, while and where that is the same.

    A step of which the program makes something irregular (an error, a loss or a parameter that is not finite) is made
    on a graph, which tells what is wrong.
    """

    def __init__(
        self,
        model: Model,
        loss: Callable[[Any, Any], Any],
        optimizer: Optimizer,
        samples: _Samples,
        held_out: _Samples | None,
    ) -> None:
        super().__init__(model, loss, optimizer)
        self.samples = samples
        self.held_out = held_out
        self.reason = ""
        self.record()

    def record(self) -> None:
        self.recorded: Recorded | None = None
        self.lr = self.optimizer.lr
        try:
            if self.optimizer._has_own_step():
                raise UnrecordableError("the optimizer has a step of its own")
            if not builds_graphs():
                raise UnrecordableError("gradients are switched off: no_grad()")
            own_rate = [self.lr] if callable(self.lr) and not is_known(self.lr) else []  # runs between the steps
            surroundings = Surroundings(self.model, self.loss, *own_rate)
            targets, loss = _targets(self.model, self.loss, self.samples)
            self.recorded = Recorded(surroundings, lambda x, t: loss(self.model(x), t), self.samples.x, targets)
            self.rows = self.recorded.rows(self.samples.x, targets)
            if self.held_out is not None:
                targets, _ = _targets(self.model, self.loss, self.held_out)
                self.held_out_rows = self.recorded.rows(self.held_out.x, targets)
        except UnrecordableError as reason:
            self.recorded = None
            self.reason = str(reason)

    def look_again(self) -> None:
        if self.recorded is None:
            return
        if self.optimizer.lr is not self.lr or self.optimizer._has_own_step() or not self.recorded.holds():
            self.record()

    def steps(
        self, samples: _Samples, order: NDArray[int64], size: int, epoch: int, number: int, stop: bytearray
    ) -> list[float]:
        import numpy as np

        if self.recorded is None:
            return super().steps(samples, order, size, epoch, number, stop)
        program, count = self.recorded.program, -(-len(order) // size)
        rates = self.optimizer._rates(count)
        alone = rates is None  # the rate is to be asked for in every step
        rows = self.rows[order[:size] if alone else order] if size < len(samples) else self.rows
        losses = np.empty(1 if alone else count)
        done, before = self.optimizer._descend(program, rows, losses, rates, "mean", batch=size, finite=True, stop=stop)
        if not done:
            if stop[0]:
                return []
            return super().steps(samples, order, size, epoch, number, stop)
        if alone:
            self.update(epoch, number)
        else:
            self.before = before
        made: list[float] = losses[:done].tolist()
        return made

    def evaluate(self, samples: _Samples) -> float:
        if self.recorded is not None:
            try:
                loss = float(self.recorded.program(self.held_out_rows, reduce="mean"))
            except (ValueError, ArithmeticError):
                loss = math.nan
            if math.isfinite(loss):
                return loss
        return super().evaluate(samples)


def _targets(
    model: Model, loss: Callable[[Any, Any], Any], samples: _Samples
) -> tuple[Rows, Callable[[Any, Any], Any]]:
    """Targets and loss such that all of a target is numbers to compute with."""
    import numpy as np

    targets = samples.y
    if loss is functional.cross_entropy:
        with no_grad():
            try:
                _, shape = _core.flatten(model(samples.x[0]), "the logits")
            except Exception as error:
                raise UnrecordableError(f"it raises {type(error).__name__}: {error}") from error
        if np.shape(targets[0]) == shape[:-1] and shape:
            indices = targets.array()
            if indices.dtype.kind not in "biuf" or not np.isin(indices, np.arange(shape[-1])).all():
                raise UnrecordableError("a target is no index of a class")
            return Rows(np.eye(shape[-1])[indices.astype(int)]), loss
        return targets, loss
    for name, predictions, allowed in _core.losses():
        if _LOSSES[name] is not loss or not (predictions or allowed):
            continue
        if allowed and not _are_in(allowed, targets.array()):
            raise UnrecordableError("a target is not one that the loss has")
        return targets, without_notes(partial(_of_sigmoids, loss) if predictions else loss)
    return targets, loss


def _are_in(allowed: tuple[float, float, bool], numbers: NDArray[Any]) -> bool:
    low, high, of_magnitude = allowed
    if numbers.dtype.kind not in "biuf":
        return False
    sizes = abs(numbers) if of_magnitude else numbers
    return bool(((low <= sizes) & (sizes <= high)).all())


def _of_sigmoids(loss: Callable[[Any, Any], Any], prediction: Any, target: Any) -> Any:
    """The loss of what is from 0 to 1 whatever the sample: no check of a graph's first number sees the others."""
    flat, _ = _core.flatten(prediction, "the predictions")
    if builds_graphs() and any(not isinstance(p, Value) or p._op != "sigmoid" for p in flat):
        raise UnrecordableError("only a sigmoid is sure to give probabilities")
    return loss(prediction, target)


def _order(count: int, size: int, seed: int | None, epoch: int) -> NDArray[int64]:
    import numpy as np

    if size == count:
        return np.arange(count)
    order = list(range(count))
    (random if seed is None else random.Random(f"{seed} {epoch}")).shuffle(order)
    return np.array(order)


# Arguments


@dataclass
class _Samples:
    """Samples and their targets."""

    x: Rows
    y: Rows

    def __len__(self) -> int:
        return len(self.x)

    def pair(self, i: int) -> tuple[Any, Any]:
        return self.x[i], self.y[i]

    def take(self, which: NDArray[int64]) -> _Samples:
        return _Samples(self.x.take(which.tolist()), self.y.take(which.tolist()))


def _rows(name: str, table: Any) -> Rows:
    """The samples or targets, after a check that they are of one width and finite."""
    found = tables.array(table, name)
    if found is not None and found.dtype.kind == "O" and not _holds_values(found):
        found = tables.numbers(found, name)
    if found is None or found.dtype.kind == "O":
        return _listed_rows(name, tables.listed(table, name))
    if found.ndim == 0:
        raise TypeError(f"{name} is a table with a row for each sample, and not one number: {found}")
    _check_finite(name, found)
    return Rows(found)


def _listed_rows(name: str, listed: list[Any]) -> Rows:
    plain = [_core.flatten(row, f"the entries of {name}") for row in listed]
    shapes = {shape for _, shape in plain}
    if len(shapes) > 1:
        raise ValueError(f"the rows of {name} differ in shape: {' and '.join(map(str, sorted(shapes)[:2]))}")
    for i, (flat, _) in enumerate(plain):
        for number in flat:
            if not math.isfinite(number.data if isinstance(number, Value) else number):
                raise _not_finite(name, i, number)
    return Rows(listed)


def _check_finite(name: str, table: NDArray[Any]) -> None:
    import numpy as np

    if table.dtype.kind != "f":
        return
    with np.errstate(over="ignore"):
        finite = np.isfinite(table.astype(float, copy=False))
    if not finite.all():
        place = np.unravel_index(int(finite.argmin()), table.shape)
        raise _not_finite(name, int(place[0]), table[place])


def _not_finite(name: str, row: int, number: Any) -> ValueError:
    return ValueError(
        f"row {row} of {name} has an entry that is not finite: {number}; fill in what is missing, or leave the row out"
    )


def _holds_values(array: NDArray[Any]) -> bool:
    return any(isinstance(entry, Value) for entry in array.flat)


def _samples(X: Any, y: Any) -> _Samples:  # noqa: N803
    samples = _Samples(_rows("X", X), _rows("y", y))
    if not len(samples):
        raise ValueError("X has no samples")
    if len(samples) != len(samples.y):
        raise ValueError(f"X has {len(samples)} samples, and y has {len(samples.y)} targets")
    return samples


def _hold_out(
    samples: _Samples, validation: tuple[Any, Any] | float | None, seed: int | None
) -> tuple[_Samples, _Samples | None]:
    """What to train on, and what to validate on."""
    import numpy as np

    if validation is None:
        return samples, None
    if isinstance(validation, tuple):
        return samples, _samples(*validation)
    count = round(validation * len(samples))
    if not (0.0 < validation < 1.0 and 0 < count < len(samples)):
        raise ValueError(f"validation={validation} of {len(samples)} samples leaves none on one side")
    drawn = _order(len(samples), 0, seed, -1)
    return samples.take(np.sort(drawn[count:])), samples.take(np.sort(drawn[:count]))


def _check_leaves(model: Model, optimizer: Optimizer) -> None:
    """Refuse a model of which a parameter was replaced by a result: no graph would lead to it any more."""
    _core.require_leaves(optimizer.parameters)
    parameters = getattr(model, "parameters", None)
    if callable(parameters):
        _core.require_leaves([p for p in parameters() if isinstance(p, Value)])


def _loss(loss: Loss) -> Callable[[Any, Any], Any]:
    if callable(loss):
        return loss
    if loss not in _LOSSES:
        raise ValueError(f"loss is a function or one of {', '.join(_LOSSES)}, not {loss!r}")
    return _LOSSES[loss]


def _check_count(name: str, count: int, least: int) -> None:
    if not isinstance(count, int) or count < least:
        raise ValueError(f"{name} is a whole number of at least {least}, not {count!r}")


# Surroundings


@contextmanager
def _interrupts() -> Iterator[bytearray]:
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


@contextmanager
def _progress(wanted: bool | None, epochs: int) -> Iterator[Callable[[History], None]]:
    """A function to call after each epoch, which moves the bar."""
    if wanted is False or (wanted is None and not _watched()):
        yield lambda history: None
        return
    try:
        if find_spec("ipywidgets") is None:  # which the bar of a notebook is made of
            from tqdm import tqdm
        else:
            from tqdm.auto import tqdm
    except ImportError:
        if wanted:
            raise ImportError("the progress bar is tqdm's: pip install 'kilograd[progress]'") from None
        yield lambda history: None
        return
    with tqdm(total=epochs, unit="epoch") as bar:

        def tick(history: History) -> None:
            shown = {"loss": f"{history.losses[-1]:.4g}"}
            if history.validation:
                shown["validation"] = f"{history.validation[-1]:.4g}"
            bar.set_postfix(shown, refresh=False)
            bar.update()

        yield tick


def _watched() -> bool:
    """Whether a terminal or a notebook looks on."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError("pictures are matplotlib's: pip install 'kilograd[plot]'") from None
    return pyplot.subplots()[1]
