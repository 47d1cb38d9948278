"""Sums over blocks of rows: of outputs and their gradient, added up in the order of the blocks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from kilograd import tables

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    from kilograd.program import Program, Reduce

__all__ = ["Sums", "added", "of_block", "reduced"]


class Sums(NamedTuple):
    """What the rows of a block, or of several, add up to."""

    value: Any  # a float64, or an array of the shape of the outputs
    gradient: NDArray[float64]  # of that sum by the parameters
    rows: int


def of_block(program: Program, block: Any, *, threads: int, check: bool) -> Sums:
    """The sums over a block of rows, at the present parameters."""
    table = tables.numbers(block, "a block")
    if table.ndim != 2:
        raise ValueError(f"a block is an array of rows, and this one has the shape {table.shape}")
    value, gradient = program.value_and_grad(table, "parameters", reduce="sum", threads=threads, check=check)
    return Sums(value, gradient, len(table))


def added(sums: Iterable[Sums], parameters: int) -> Sums:
    """Add up from the first to the last, whoever computed them: the order decides about the last bit."""
    import numpy as np

    value: Any = np.float64(0.0)
    gradient = np.zeros(parameters)
    rows = 0
    for part in sums:
        value = value + part.value
        gradient += part.gradient
        rows += part.rows
    return Sums(value, gradient, rows)


def reduced(total: Sums, reduce: Reduce) -> tuple[Any, NDArray[float64]]:
    """The sum or the mean over all rows, and its gradient."""
    if reduce == "mean" and not total.rows:
        raise ValueError("the mean over blocks of no rows")
    scale = 1 / total.rows if reduce == "mean" else 1.0
    return total.value * scale, total.gradient * scale
