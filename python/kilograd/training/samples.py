"""Samples and targets: read, checked, put in order."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from kilograd import _core, tables
from kilograd._core import Value
from kilograd.checks import repeatable
from kilograd.tables import Rows

if TYPE_CHECKING:
    from numpy import int64
    from numpy.typing import NDArray

__all__ = ["Blocks", "Samples", "held_out_of_blocks", "hold_out", "order_of", "read_rows", "read_samples"]


_CHECKED_AT_ONCE = 1 << 16  # numbers: what is made for a check is small, however large the table


@dataclass
class Samples:
    """Samples and their targets."""

    x: Rows
    y: Rows

    def __len__(self) -> int:
        return len(self.x)

    def check(self) -> None:
        """Raise ValueError where there are more of the ones than of the others."""
        if len(self.x) != len(self.y):
            raise ValueError(f"X has {len(self.x)} samples, and y has {len(self.y)} targets")

    def pair(self, i: int) -> tuple[Any, Any]:
        """A sample and its target."""
        return self.x[i], self.y[i]

    def take(self, which: NDArray[int64]) -> Samples:
        """Some of the samples, in this order."""
        return Samples(self.x.take(which), self.y.take(which))


def read_rows(name: str, table: Any) -> Rows:
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
    if _are_plain(listed):
        return Rows(listed)
    plain = [_core.flatten(row, f"the entries of {name}") for row in listed]
    shapes = {shape for _, shape in plain}
    if len(shapes) > 1:
        raise ValueError(f"the rows of {name} differ in shape: {' and '.join(map(str, sorted(shapes)[:2]))}")
    for i, (flat, _) in enumerate(plain):
        for number in flat:
            if not math.isfinite(number.data if isinstance(number, Value) else number):
                raise _not_finite(name, i, number)
    return Rows(listed)


def _are_plain(listed: list[Any]) -> bool:
    """Whether rows are numbers, or lists or arrays of as many numbers, all finite: what NumPy sees at once."""
    import numpy as np

    kinds = set(map(type, listed))
    if kinds == {np.ndarray}:
        if {(row.dtype, row.ndim) for row in listed} != {(np.dtype(np.float64), 1)}:
            return False
    else:
        entries = chain.from_iterable(listed) if kinds <= {list, tuple} else listed
        if not set(map(type, entries)) <= {float, int}:
            return False
    try:
        table = np.array(listed)
    except ValueError:  # of different lengths
        return False
    return table.dtype.kind in "fi" and bool(np.isfinite(table).all())


def _check_finite(name: str, table: NDArray[Any]) -> None:
    import numpy as np

    if table.dtype.kind != "f":
        return
    rows = max(1, _CHECKED_AT_ONCE * len(table) // max(1, table.size))
    for start in range(0, len(table), rows):
        some = table[start : start + rows]
        with np.errstate(over="ignore"):
            finite = np.isfinite(some.astype(float, copy=False))
        if not finite.all():
            place = np.unravel_index(int(finite.argmin()), some.shape)
            raise _not_finite(name, start + int(place[0]), some[place])


def _not_finite(name: str, row: int, number: Any) -> ValueError:
    return ValueError(
        f"row {row} of {name} has an entry that is not finite: {number}; fill in what is missing, or leave the row out"
    )


def _holds_values(array: NDArray[Any]) -> bool:
    return any(isinstance(entry, Value) for entry in array.flat)


def read_samples(X: Any, y: Any) -> Samples:  # noqa: N803
    """Samples and targets, after a check that they belong together."""
    samples = Samples(read_rows("X", X), read_rows("y", y))
    if not len(samples):
        raise ValueError("X has no samples")
    samples.check()
    return samples


class Blocks:
    """Blocks of samples, gone through anew for each epoch.

    Parameters
    ----------
    blocks : iterable of (X, y)
    epochs : int

    Raises
    ------
    TypeError
        If it is no iterable of pairs, but a table.
    ValueError
        If it can be gone through but once and there are several epochs, or there is no sample.
    """

    def __init__(self, blocks: Any, epochs: int) -> None:
        if tables.array(blocks, "X") is not None or not isinstance(blocks, Iterable):
            raise TypeError("y is missing: the targets of X. Without y, X is an iterable of blocks (X, y)")
        self._blocks: Iterable[Any] = repeatable(blocks, epochs, "epochs")

    def __iter__(self) -> Iterator[Samples]:
        found, order = False, tables.SameOrder()
        for k, block in enumerate(self._blocks):
            if not isinstance(block, (tuple, list)) or len(block) != 2:
                raise TypeError(f"block {k} is a pair (X, y) of samples and their targets, not {type(block).__name__}")
            try:
                samples = Samples(read_rows("X", order.checked(block[0])), read_rows("y", block[1]))
                samples.check()
            except (TypeError, ValueError) as error:
                raise type(error)(f"block {k}: {error}") from None
            if len(samples):
                found = True
                yield samples
        if not found:
            raise ValueError("the blocks have no samples")


def held_out_of_blocks(validation: tuple[Any, Any] | float | None) -> Samples | None:
    """What to validate on where the samples come in blocks."""
    if validation is None or isinstance(validation, tuple):
        return None if validation is None else read_samples(*validation)
    raise ValueError(f"validation={validation} is a share of samples that come in blocks: pass (X, y)")


def hold_out(
    samples: Samples, validation: tuple[Any, Any] | float | None, seed: int | None
) -> tuple[Samples, Samples | None]:
    """What to train on, and what to validate on."""
    import numpy as np

    if validation is None:
        return samples, None
    if isinstance(validation, tuple):
        return samples, read_samples(*validation)
    count = round(validation * len(samples))
    if not (0.0 < validation < 1.0 and 0 < count < len(samples)):
        raise ValueError(f"validation={validation} of {len(samples)} samples leaves none on one side")
    drawn = order_of(len(samples), 0, seed, -1)
    return samples.take(np.sort(drawn[count:])), samples.take(np.sort(drawn[:count]))


def order_of(count: int, size: int, seed: int | None, epoch: int, block: int = 0) -> NDArray[int64]:
    """In which order so many samples are used in an epoch: a permutation, where they make several batches."""
    import numpy as np

    if size == count:
        return np.arange(count)
    source = random if seed is None else random.Random(f"{seed} {epoch} {block}" if block else f"{seed} {epoch}")
    return np.random.default_rng(source.getrandbits(128)).permutation(count)
