"""Steps of a training, on graphs or along a program, and the way back to the last good one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, get_args

from kilograd import _core, functional
from kilograd._core import Value
from kilograd.functional import LossName, mean
from kilograd.modes import no_grad
from kilograd.optim import Optimizer
from kilograd.optim.schedules import is_known
from kilograd.recorded import Recorded, Surroundings, UnrecordableError, builds_graphs, without_notes
from kilograd.tables import Rows
from kilograd.training.samples import Samples

if TYPE_CHECKING:
    from numpy import float64, int64
    from numpy.typing import NDArray

__all__ = [
    "Inputs",
    "Loss",
    "Model",
    "ProgramTrainer",
    "Reading",
    "Trainer",
    "check_leaves",
    "check_optimizer",
    "check_roles",
    "loss_named",
    "reading_of",
]


Model: TypeAlias = Callable[[Any], Any]
"""Anything that is called with a sample and gives a Value or a list of Values."""

Loss: TypeAlias = LossName | Callable[[Any, Any], Any]
"""The name of a loss, or a function of one sample's prediction and target that gives a Value."""

_LOSSES: dict[str, Callable[[Any, Any], Any]] = {name: getattr(functional, name) for name in get_args(LossName)}


_NUMBERS_AT_ONCE = 1 << 16  # inputs that are made at once: they stay in a cache


class _StoppedError(Exception):
    """The step under way is not wanted any more."""


class Trainer:
    """A model with what it takes to train it, and the way back to the last good step."""

    def __init__(self, model: Model, loss: Callable[[Any, Any], Any], optimizer: Optimizer) -> None:
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.before: _core._Bookmark | None = None  # the last step
        self.reason = ""  # why there is no program

    def attend(self, samples: Samples, size: int) -> None:
        """Go over to these samples, of which a step takes `size`."""

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
        self, samples: Samples, order: NDArray[int64], size: int, epoch: int, number: int, stop: bytearray
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
        """Let the optimizer step, on gradients that are there."""
        self.before = self.optimizer._bookmark()
        self.optimizer.step()
        if not _core.all_finite(self.optimizer.parameters):
            raise self.diverged(epoch, number, "a parameter is no longer finite")

    def evaluate(self, samples: Samples) -> float:
        """The mean loss of samples."""
        with no_grad():
            return self.mean_loss(map(samples.pair, range(len(samples)))).data

    def diverged(self, epoch: int, number: int, what: str) -> FloatingPointError:
        """The error for a step that left the finite numbers; goes back to before the last good one."""
        if self.before is not None:
            self.optimizer._restore(self.before)
        return FloatingPointError(
            f"in epoch {epoch}, step {number}, {what}. The parameters are as of the last step with a finite loss. "
            "A lower learning rate, clip_norm= in the optimizer, or inputs scaled to about 1 help"
        )

    def look_again(self) -> None:
        """Somebody may have changed the model."""


class Inputs:
    """The inputs of a recorded function for rows: of all, or of some at a time where that spares a copy of a table.

    Parameters
    ----------
    recorded : Recorded
    columns : sequence of Rows
        The samples, and the targets.
    size : int, default 1
        Rows of a step: only whole steps are made at once.

    Raises
    ------
    UnrecordableError
        If a row is of another kind than the one that was recorded.
    """

    def __init__(self, recorded: Recorded, columns: Sequence[Rows], size: int = 1) -> None:
        self._recorded = recorded
        self._columns = columns
        self._count = len(columns[0])
        self._in_order = size >= self._count
        self._at_once = max(1, _NUMBERS_AT_ONCE // (size * max(1, recorded.width))) * size
        in_pieces = self._at_once < self._count and all(column.is_table for column in columns)
        self._all = None if in_pieces else recorded.rows(*columns)
        if in_pieces and not all(column.is_table_of_floats for column in columns):
            for _ in self.pieces():  # all are looked at before the first step
                pass

    def _of(self, which: NDArray[int64]) -> NDArray[float64]:
        return self._recorded.rows(*[column.take(which) for column in self._columns])

    def pieces(self) -> Iterator[NDArray[float64]]:
        """All of them, in order."""
        import numpy as np

        for start in range(0, self._count, self._at_once):
            end = min(start + self._at_once, self._count)
            yield self._of(np.arange(start, end)) if self._all is None else self._all[start:end]

    def first(self, order: NDArray[int64]) -> NDArray[float64]:
        """Those with which an order begins, as many as are made at once."""
        if self._all is None:
            return self._of(order[: self._at_once])
        return self._all if self._in_order else self._all[order]


class ProgramTrainer(Trainer):
    """The same with the loss of a sample as a program, while and where that is the same.

    A step of which the program makes something irregular (an error, a loss or a parameter that is not finite) is made
    on a graph, which tells what is wrong.
    """

    def __init__(
        self,
        model: Model,
        loss: Callable[[Any, Any], Any],
        optimizer: Optimizer,
        held_out: Samples | None,
        threads: int,
    ) -> None:
        super().__init__(model, loss, optimizer)
        self.held_out = held_out
        self.threads = threads
        self.recorded: Recorded | None = None
        self.samples: Samples | None = None
        self.inputs: Inputs | None = None

    def attend(self, samples: Samples, size: int) -> None:
        """Go over to these samples; record their loss if that has not been tried yet."""
        if samples is self.samples:
            return
        self.samples, self.inputs = samples, None
        try:
            if self.recorded is None and not self.reason:
                self.recorded = self.record(samples)
            if self.recorded is not None:
                targets, _ = _targets(self.model, self.loss, samples)
                self.inputs = Inputs(self.recorded, (samples.x, targets), size)
        except UnrecordableError as reason:
            self.reason = str(reason)

    def record(self, samples: Samples) -> Recorded:
        """Record the loss of a sample."""
        self.lr = self.optimizer.lr
        if self.optimizer._has_own_step():
            raise UnrecordableError("the optimizer has a step of its own")
        if not builds_graphs():
            raise UnrecordableError("gradients are switched off: no_grad()")
        own_rate = [self.lr] if callable(self.lr) and not is_known(self.lr) else []  # runs between the steps
        surroundings = Surroundings(self.model, self.loss, *own_rate)
        targets, loss = _targets(self.model, self.loss, samples)
        recorded = Recorded(surroundings, lambda x, t: loss(self.model(x), t), samples.x, targets)
        if self.held_out is not None:
            targets, _ = _targets(self.model, self.loss, self.held_out)
            self.held_out_inputs = Inputs(recorded, (self.held_out.x, targets))
        return recorded

    def look_again(self) -> None:
        """Record it anew if what it depends on has changed."""
        if self.recorded is None:
            return
        if self.optimizer.lr is not self.lr or self.optimizer._has_own_step() or not self.recorded.holds():
            self.recorded = self.samples = self.inputs = None
            self.reason = ""

    def steps(
        self, samples: Samples, order: NDArray[int64], size: int, epoch: int, number: int, stop: bytearray
    ) -> list[float]:
        """Make steps from the beginning of the order, where they can be made without Python in between."""
        import numpy as np

        if self.recorded is None or self.inputs is None:
            return super().steps(samples, order, size, epoch, number, stop)
        rows = self.inputs.first(order)
        count = -(-len(rows) // size)
        rates = self.optimizer._rates(count)
        if rates is None:  # the rate is to be asked for in every step
            rows, count = rows[:size], 1
        losses = np.empty(count)
        done, before = self.optimizer._descend(
            self.recorded.program,
            rows,
            losses,
            rates,
            "mean",
            batch=size,
            threads=self.threads,
            finite=True,
            stop=stop,
        )
        if not done:
            if stop[0]:
                return []
            return super().steps(samples, order, size, epoch, number, stop)
        if rates is None:
            self.update(epoch, number)
        else:
            self.before = before
        made: list[float] = losses[:done].tolist()
        return made

    def evaluate(self, samples: Samples) -> float:
        """The mean loss of samples, those that were held out."""
        if self.recorded is not None:
            program = self.recorded.program
            try:
                losses = [float(program(x, reduce="sum", threads=self.threads)) for x in self.held_out_inputs.pieces()]
            except (ValueError, ArithmeticError):
                losses = [math.nan]
            loss = math.fsum(losses) / len(samples)
            if math.isfinite(loss):
                return loss
        return super().evaluate(samples)


def _targets(model: Model, loss: Callable[[Any, Any], Any], samples: Samples) -> tuple[Rows, Callable[[Any, Any], Any]]:
    """Targets and loss such that all of a target is numbers to compute with."""
    reading, loss = reading_of(model, loss, samples)
    return reading(samples.y), loss


class Extent(NamedTuple):
    """What of some targets says whether a loss has them all."""

    low: float
    high: float
    least: float  # of the magnitudes
    whole: bool  # whether all are whole numbers


def extent_of(targets: NDArray[Any]) -> Extent | None:
    """The extent of targets that are real numbers; None for all others."""
    import numpy as np

    if targets.dtype.kind not in "biuf":
        return None
    numbers = targets.astype(float)
    low, high = numbers.min(initial=np.inf), numbers.max(initial=-np.inf)
    return Extent(low, high, abs(numbers).min(initial=np.inf), bool((numbers % 1.0 == 0.0).all()))


class Reading(NamedTuple):
    """What is made of targets before they are computed with."""

    classes: int | None = None  # targets are indices of so many
    allowed: tuple[float, float, bool] | None = None  # from where to where they are, or their magnitudes

    def check(self, targets: Extent | None) -> None:
        """Raise UnrecordableError where there is one among targets that the loss has not."""
        if self.classes is not None and not (
            targets and targets.whole and targets.low >= 0 and targets.high < self.classes
        ):
            raise UnrecordableError(f"a target is no index of a class, of which there are {self.classes}")
        if self.allowed is not None:
            low, high, of_magnitude = self.allowed
            least, most = targets[:2] if targets else (-math.inf, math.inf)
            if targets and of_magnitude:
                least, most = targets.least, max(-least, most)
            if not (low <= least and most <= high):
                kind = "of a magnitude" if of_magnitude else "a number"
                raise UnrecordableError(f"a target is not one that the loss has, {kind} from {low:g} to {high:g}")

    def __call__(self, targets: Rows) -> Rows:
        """Read targets; UnrecordableError where there is one that the loss has not."""
        if self.classes is not None:
            return targets.mapped(self._one_hot)
        if self.allowed is not None:
            self.check(extent_of(targets.array()))
        return targets

    def _one_hot(self, indices: NDArray[Any]) -> NDArray[float64]:
        import numpy as np

        self.check(extent_of(indices))
        assert self.classes is not None
        hot: NDArray[float64] = np.eye(self.classes)[indices.astype(int)]
        return hot


def reading_of(
    model: Model, loss: Callable[[Any, Any], Any], samples: Samples
) -> tuple[Reading, Callable[[Any, Any], Any]]:
    """How to read targets, and the loss of what is read, as a first sample shows."""
    import numpy as np

    if loss is functional.cross_entropy:
        with no_grad():
            try:
                _, shape = _core.flatten(model(samples.x[0]), "the logits")
            except Exception as error:
                raise UnrecordableError(f"it raises {type(error).__name__}: {error}") from error
        of_indices = np.shape(samples.y[0]) == shape[:-1] and shape
        return Reading(classes=shape[-1] if of_indices else None), loss
    for name, predictions, allowed in _core.losses():
        if _LOSSES[name] is loss and (predictions or allowed):
            return Reading(allowed=allowed), without_notes(partial(_of_sigmoids, loss) if predictions else loss)
    return Reading(), loss


def _of_sigmoids(loss: Callable[[Any, Any], Any], prediction: Any, target: Any) -> Any:
    """The loss of what is from 0 to 1 whatever the sample: no check of a graph's first number sees the others."""
    flat, _ = _core.flatten(prediction, "the predictions")
    if builds_graphs() and any(not isinstance(p, Value) or p._op != "sigmoid" for p in flat):
        raise UnrecordableError("only a sigmoid is sure to give probabilities")
    return loss(prediction, target)


def check_roles(model: Model, optimizer: Optimizer | None) -> None:
    """Refuse classes and names in place of a model and of an optimizer."""
    if isinstance(model, type):
        raise TypeError(f"fit trains a model, not a class: make one of {model.__name__} first")
    if optimizer is not None:
        check_optimizer(optimizer)


def check_optimizer(optimizer: Any) -> None:
    """Refuse what is no optimizer: a class, a number."""
    if isinstance(optimizer, type) or not hasattr(optimizer, "parameters"):
        raise TypeError(
            f"an optimizer is made from the parameters, as optim.Adam(model, lr=0.01), and is not {optimizer!r}"
        )


def check_leaves(model: Model, optimizer: Optimizer) -> None:
    """Refuse a model of which a parameter was replaced by a result: no graph would lead to it any more."""
    _core.require_leaves(optimizer.parameters)
    parameters = getattr(model, "parameters", None)
    if callable(parameters):
        _core.require_leaves(list({id(p): p for p in parameters() if isinstance(p, Value)}.values()))


def loss_named(loss: Loss) -> Callable[[Any, Any], Any]:
    """The function that a loss means."""
    if callable(loss):
        return loss
    if loss not in _LOSSES:
        raise ValueError(f"loss is a function or one of {', '.join(_LOSSES)}, not {loss!r}")
    return _LOSSES[loss]
