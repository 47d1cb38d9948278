"""`fit`: a training each of whose steps is computed at all parts at once."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kilograd import arrays
from kilograd.checks import whole_number
from kilograd.compiled.tracing import add_note
from kilograd.distributed.on_ranks import by_all_ranks
from kilograd.distributed.parts import Parts, collected, parts_of
from kilograd.distributed.tasks import Examine, Found, Function, StepSums, Table
from kilograd.optim import Adam, Optimizer
from kilograd.optim.sums import added, reduced
from kilograd.recorded import UnrecordableError
from kilograd.tables import Rows
from kilograd.training.history import History
from kilograd.training.loop import Made, run_epochs
from kilograd.training.samples import Samples, held_out_of_blocks
from kilograd.training.steps import Loss, Model, ProgramTrainer, check_leaves, check_roles, loss_named, reading_of

if TYPE_CHECKING:
    from kilograd.training.steps import Extent, Reading

__all__ = ["fit"]

_SHOWN = 16
"""Samples that the recorded loss is tried with, here."""


@by_all_ranks
def fit(
    model: Model,
    X: Any,  # noqa: N803
    y: Any = None,
    *,
    loss: Loss = "mse",
    optimizer: Optimizer | None = None,
    epochs: int = 100,
    batch_size: int | None = None,
    seed: int = 0,
    validation: tuple[Any, Any] | None = None,
    callbacks: Iterable[Callable[[History], Any]] = (),
    progress: bool | None = None,
    first_epoch: int = 0,
    columns: Sequence[str] | None = None,
    threads: int = 1,
    record: int | None = None,
) -> History:
    """Train a model on samples in parts; each step is computed at all parts at once.

    The loss of a sample is recorded here, as a program, which goes to the workers; the model stays here. Each step
    sends the parameters, adds up the gradients in the order of the parts, and lets the optimizer step. The data are
    looked at once before the first step.

    Parameters
    ----------
    model : callable
        As `kilograd.fit` takes it.
    X : parts of samples (n,)
        A Dask array or data frame, a Ray data set, a Spark data frame, a table; or `Ranks` or an iterable of blocks,
        each a pair ``(X, y)``.
    y : parts of targets, or str or sequence of str, optional
        The targets, of the same kind and in the same parts as `X`; or the name of their column in it, or of several.
    loss, optimizer, epochs, callbacks, progress, first_epoch, record
        As `kilograd.fit` takes them.
    batch_size : int, optional
        Samples of each part for a step; all of them by default. A part that has no more is left out of the last steps
        of an epoch.
    seed : int, default 0
        Of the order of the samples, which is drawn anew in each epoch where a part makes several batches, as
        `kilograd.fit` draws that of a block: for part j as for block j.
    validation : (X, y), optional
        Samples in this process to compute a loss on after each epoch.
    columns : sequence of str, optional
        Which columns of tables are the samples; by default all that `y` does not name.
    threads : int, default 1
        Threads for each part; the engine runs several parts at once as it is.

    Returns
    -------
    History

    Raises
    ------
    TypeError
        If the samples or targets are no tables of numbers, or `seed` is no whole number.
    ValueError
        If the loss cannot be recorded (what `kilograd.fit` says to that), there are no samples, parts differ in the
        width of their rows or lack a column, an entry is missing or not finite, or a setting is out of range; with the
        number of the part; if a target is one that the loss has not, as a class that the model has not, or the name of
        one is among `columns`. Nothing is changed.
    FloatingPointError
        If the loss becomes NaN or infinite, or the parameters do. They, and the optimizer, are then as they were in
        the last step that had a finite loss.
    """
    check_roles(model, optimizer)
    function = loss_named(loss)
    epochs = whole_number("epochs", epochs, 0)
    first_epoch = whole_number("first_epoch", first_epoch, 0)
    if batch_size is not None:
        batch_size = whole_number("batch_size", batch_size, 1)
    if record is not None:
        record = whole_number("record", record, 1)
    held_out = held_out_of_blocks(validation)
    if optimizer is None:
        optimizer = Adam(model, lr=0.01)
    check_leaves(model, optimizer)
    try:
        seed = operator.index(seed)
    except TypeError:
        raise TypeError(f"seed is a whole number, which all parts draw by, and not {seed!r}") from None
    names = [y] if isinstance(y, str) else y if isinstance(y, (list, tuple)) else []
    named = bool(names) and all(isinstance(name, str) for name in names)
    table = Table(columns, y if named else None)
    parts = parts_of(X, None if named else y, passes=1 + epochs)
    trainer = _PartsTrainer(model, function, optimizer, held_out, threads, parts, table, batch_size, seed)
    return run_epochs(
        trainer,
        trainer.epoch,
        epochs=epochs,
        first_epoch=first_epoch,
        held_out=held_out,
        callbacks=callbacks,
        progress=progress,
        record=record,
    )


class _PartsTrainer(ProgramTrainer):
    """Trains along a program whose rows are at the parts."""

    def __init__(
        self,
        model: Model,
        loss: Callable[[Any, Any], Any],
        optimizer: Optimizer,
        held_out: Samples | None,
        threads: int,
        parts: Parts,
        table: Table,
        batch_size: int | None,
        seed: int,
    ) -> None:
        super().__init__(model, loss, optimizer, held_out, threads)
        self.parts = parts
        self.table = table
        self.batch_size = batch_size
        self.seed = seed
        self.counts, self.targets, self.first = self._examined()
        self.task: StepSums | None = None
        self._prepare()

    def _examined(self) -> tuple[list[int], dict[int, Extent | None], Samples]:
        """How many samples the parts have, the targets of those that have some, and the first samples."""
        found: list[Found] = collected(self.parts, Examine(self.table, _SHOWN), None)
        filled = [part.shown for part in found if part.shown is not None]
        if not filled:
            raise ValueError("the parts have no samples")
        x, y = filled[0]
        shapes = x.shape[1:], y.shape[1:]
        for part in found:
            if part.shown is not None and (part.shown[0].shape[1:], part.shown[1].shape[1:]) != shapes:
                raise ValueError(
                    f"samples and targets of part {part.part} have the shapes {part.shown[0].shape[1:]} and "
                    f"{part.shown[1].shape[1:]}, and those of the first part {shapes[0]} and {shapes[1]}"
                )
        targets = {part.part: part.targets for part in found if part.shown is not None}
        return [part.rows for part in found], targets, Samples(Rows(x), Rows(y))

    def _prepare(self) -> None:
        """Record the loss, and say what is done at the parts."""
        try:
            self.recorded = self.record(self.first)
            reading: Reading = reading_of(self.model, self.loss, self.first)[0]
        except UnrecordableError as reason:
            raise ValueError(
                f"the loss of a sample cannot be recorded as a program, which could go to the workers: {reason}"
            ) from None
        for part, targets in self.targets.items():
            try:
                reading.check(targets)
            except UnrecordableError as reason:
                error = ValueError(str(reason))
                add_note(error, f"in part {part} of the data")
                raise error from None
        function = Function(self.recorded.program, self.threads, check=True)
        self.task = StepSums(function, self.table, self.recorded.layout, reading, self.batch_size, self.seed)

    def look_again(self) -> None:
        """Record it anew if what it depends on has changed."""
        super().look_again()
        if self.recorded is None:
            self._prepare()

    def epoch(self, epoch: int, history: History, stop: bytearray) -> Iterator[Made]:
        """Make the steps of an epoch."""
        steps = max(-(-count // min(self.batch_size or count, count)) for count in self.counts if count)
        for step in range(steps):
            if stop[0]:
                yield Made([], [], 0.0)
                return
            loss, rows = self._step(epoch, step, len(history.steps))
            yield Made([loss], [rows], (step + 1) / steps if step + 1 < steps else 0.0)

    def _step(self, epoch: int, step: int, number: int) -> tuple[float, int]:
        assert self.recorded is not None
        assert self.task is not None
        trained = self.recorded.program.parameters
        try:
            sums = collected(self.parts, self.task, (arrays.data(trained), epoch, step))
        except ArithmeticError as error:
            diverged = self.diverged(epoch, number, f"an operation overflowed: {error}")
            for note in getattr(error, "__notes__", ()):
                add_note(diverged, note)
            raise diverged from error
        total = added(sums, len(trained))
        value, gradient = reduced(total, "mean")
        loss = float(np.asarray(value).reshape(()))
        if not np.isfinite(loss):
            raise self.diverged(epoch, number, f"the loss is {loss}")
        self.optimizer.zero_grad()
        arrays.assign_gradients(trained, gradient)
        self.update(epoch, number)
        return loss, total.rows
