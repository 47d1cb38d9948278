"""What is done at a part of the data, wherever that is. The objects of this module travel to the workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from kilograd import tables
from kilograd.compiled import Compiled
from kilograd.distributed.parts import refuse_answers
from kilograd.optim.sums import Sums
from kilograd.program import Program
from kilograd.recorded import Layout, UnrecordableError
from kilograd.tables import Rows
from kilograd.training.samples import Samples, order_of, read_samples
from kilograd.training.steps import Extent, Reading, extent_of

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[float64]

__all__ = ["Examine", "Found", "Function", "Outputs", "StepSums", "SumsOf", "Table", "Task"]

Task: TypeAlias = Callable[[Any, int, Any], Any]
"""From a block, its number among the parts, and what is the same for all parts."""


@dataclass(frozen=True)
class Table:
    """How rows are read off a block.

    Attributes
    ----------
    columns : sequence of str, optional
        The columns of a table that are taken, in this order.
    targets : str or sequence of str, optional
        Those that are targets; without `columns` the others are the samples.
    """

    columns: Sequence[str] | None = None
    targets: str | Sequence[str] | None = None
    _order: tables.SameOrder = field(default_factory=tables.SameOrder, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.columns, str) or not isinstance(self.columns, (Iterable, NoneType)):
            raise TypeError(f"columns is a list of names, and not {self.columns!r}")
        if self.columns is not None:
            object.__setattr__(self, "columns", tuple(self.columns))
        refuse_answers(self.columns or (), self._targets())

    def _targets(self) -> list[str]:
        return [self.targets] if isinstance(self.targets, str) else list(self.targets or ())

    def rows(self, block: Any) -> NDArray[Any]:
        """The rows of a block, as numbers."""
        found = tables.numbers(self._samples(block), "the rows")
        if found.ndim != 2:
            raise ValueError(f"rows of numbers are needed, and these have the shape {found.shape}")
        return found

    def pair(self, block: Any) -> tuple[Any, Any]:
        """The samples and the targets of a block."""
        if self.targets is None:
            if not isinstance(block, (tuple, list)) or len(block) != 2:
                raise TypeError(
                    f"a block is a pair (X, y) of samples and their targets, not {type(block).__name__}; of a table, "
                    "y= names the column of the targets"
                )
            x, y = block
            return self._samples(x), y
        targets = self._targets()
        samples = block
        if self.columns is None:
            samples = _chosen(block, [name for name in _names(block) if name not in targets])
        y = tables.numbers(_chosen(block, targets), "y")
        return self._samples(samples), y[:, 0] if isinstance(self.targets, str) else y

    def _samples(self, block: Any) -> Any:
        return self._order.checked(block) if self.columns is None else _chosen(block, self.columns)


def _names(block: Any) -> list[Any]:
    names = tables.names_of(block)
    if names is None:
        raise TypeError(
            f"columns are named, and {type(block).__name__} has no names for its columns: pass a data frame, or leave "
            "the names out. Targets that are classes are given by their numbers, 0, 1, ..."
        )
    return names


def _chosen(block: Any, columns: Sequence[str]) -> Any:
    names = _names(block)
    missing = [name for name in columns if name not in names]
    if missing:
        raise ValueError(f"there is no column {missing[0]!r}; the columns are {', '.join(map(str, names))}")
    several = [name for name in columns if names.count(name) > 1]
    if several:
        raise ValueError(f"there are {names.count(several[0])} columns {several[0]!r}: give them different names")
    return block.select(list(columns)) if hasattr(block, "select") else block[list(columns)]


class Function:
    """A program, or a compiled function of a row and the parameters, over rows.

    Parameters
    ----------
    function : Program or Compiled
    threads : int
    check : bool
    """

    def __init__(self, function: Any, threads: int, check: bool) -> None:
        if not isinstance(function, (Program, Compiled)):
            raise TypeError(
                f"a Program or a function of kilograd.compile is needed, and not {function!r:.80}; "
                "kilograd.compile(f) makes one of a function f(row, parameters)"
            )
        self.function = function
        self.threads = threads
        self.check = check

    def __reduce__(self) -> tuple[Any, ...]:
        if not isinstance(self.function, Program):
            return Function, (self.function, self.threads, self.check)
        return _arrived, (self.told(), self.function._core.code_allowed, self.threads, self.check)

    def told(self) -> bytes:
        """What it computes, by which two processes see whether it is the same; of a compiled function, nothing."""
        if not isinstance(self.function, Program):
            return b""
        # Without the parameters' data, which each call brings: so the bytes are the same each time.
        return self.function._core.dump([0.0] * len(self.function.parameters))

    def outputs(self, rows: NDArray[Any], parameters: Array | None) -> Any:
        """The outputs for each row."""
        if isinstance(self.function, Program):
            return self.function(rows, parameters=parameters, threads=self.threads, check=self.check)
        if parameters is None:
            return self.function.batch(rows.astype(float, copy=False))
        return self.function.batch(rows.astype(float, copy=False), parameters, in_axes=(0, None))

    def sums(self, rows: NDArray[Any], parameters: Array) -> Sums:
        """The sum of the outputs over the rows, and its gradient by the parameters."""
        if not len(rows):
            shape = self.function._core.shape if isinstance(self.function, Program) else ()
            return Sums(np.zeros(shape), np.zeros(len(parameters)), 0)
        if isinstance(self.function, Program):
            value, gradient = self.function.value_and_grad(
                rows, "parameters", reduce="sum", parameters=parameters, threads=self.threads, check=self.check
            )
        else:
            value, gradient = self.function.batch.value_and_grad(
                rows.astype(float, copy=False), parameters, argnums=1, in_axes=(0, None), reduce="sum"
            )
        return Sums(value, gradient, len(rows))


def _arrived(data: bytes, code: bool, threads: int, check: bool) -> Function:
    return Function(Program._restore(data, None, code), threads, check)


@dataclass(frozen=True)
class Outputs:
    """The outputs of each row; the argument is the parameters, or None."""

    function: Function
    table: Table
    shape: tuple[int, ...] | None = None  # of a row's, where a compiled function has shown it

    def __call__(self, block: Any, number: int, parameters: Array | None) -> Any:
        """Compute them."""
        rows = self.table.rows(block)
        if not len(rows) and isinstance(self.function.function, Compiled):
            if self.shape is not None:
                return np.empty((0, *self.shape))
            raise ValueError("what a compiled function gives for no rows is not known; leave the empty part out")
        found = self.function.outputs(rows, parameters)
        if not isinstance(found, np.ndarray):
            raise TypeError(f"the function is to give a number or an array for each row, and gives {found!r:.80}")
        return found


@dataclass(frozen=True)
class SumsOf:
    """The sums over the rows of a part; the argument is the parameters."""

    function: Function
    table: Table

    def __call__(self, block: Any, number: int, parameters: Array) -> Sums:
        """Compute them."""
        return self.function.sums(self.table.rows(block), parameters)


@dataclass(frozen=True)
class Found:
    """What a part of samples and targets has."""

    part: int
    rows: int
    shown: tuple[NDArray[Any], NDArray[Any]] | None = None  # the first ones, if there are any
    targets: Extent | None = None  # of all of them


@dataclass(frozen=True)
class Examine:
    """A look at all samples before a training: whether they are numbers, finite, and as many as there are targets."""

    table: Table
    shown: int  # how many samples are given back

    def __call__(self, block: Any, number: int, argument: Any) -> Found:
        """Look."""
        x, y = self.table.pair(block)
        try:
            if not len(x) and not len(y):
                return Found(number, 0)
        except TypeError:
            pass  # read_samples says what is wrong
        samples = read_samples(x, y)
        some = np.arange(min(self.shown, len(samples)))
        shown = samples.x.take(some).array(), samples.y.take(some).array()
        return Found(number, len(samples), shown, extent_of(samples.y.array()))


@dataclass(frozen=True)
class StepSums:
    """The sums over those samples of a part that a step takes; the argument is (parameters, epoch, step)."""

    function: Function
    table: Table
    layout: Layout
    reading: Reading
    batch_size: int | None  # samples of a part for each step
    seed: int

    def __call__(self, block: Any, number: int, argument: tuple[Array, int, int]) -> Sums:
        """Compute them."""
        parameters, epoch, step = argument
        x, y = self.table.pair(block)
        samples = Samples(_as_rows(x), _as_rows(y))
        samples.check()
        count = len(samples)
        size = min(self.batch_size or count, count)
        if step * size >= count:
            return self.function.sums(np.empty((0, self.layout.width)), parameters)
        if size < count:
            order = _order(count, size, self.seed, epoch, number)
            samples = samples.take(order[step * size : (step + 1) * size])
        try:
            rows = self.layout.rows(samples.x, self.reading(samples.y))
        except UnrecordableError as reason:
            raise ValueError(f"the samples are not as those of the first part: {reason}") from None
        return self.function.sums(rows, parameters)


def _as_rows(table: Any) -> Rows:
    """The rows of a table that was looked at before."""
    found = tables.array(table, "the samples")
    return Rows(tables.numbers(table, "the samples") if found is None or found.dtype.kind == "O" else found)


_order = lru_cache(maxsize=64)(order_of)  # all steps of an epoch take from one
