"""Samples and targets: read, checked, put in order."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kilograd import _core, tables
from kilograd._core import Value
from kilograd.tables import Rows

if TYPE_CHECKING:
    from numpy import int64
    from numpy.typing import NDArray

__all__ = ["Samples", "check_count", "hold_out", "order_of", "read_rows", "read_samples"]


@dataclass
class Samples:
    """Samples and their targets."""

    x: Rows
    y: Rows

    def __len__(self) -> int:
        return len(self.x)

    def pair(self, i: int) -> tuple[Any, Any]:
        """A sample and its target."""
        return self.x[i], self.y[i]

    def take(self, which: NDArray[int64]) -> Samples:
        """Some of the samples, in this order."""
        return Samples(self.x.take(which.tolist()), self.y.take(which.tolist()))


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


def read_samples(X: Any, y: Any) -> Samples:  # noqa: N803
    """Samples and targets, after a check that they belong together."""
    samples = Samples(read_rows("X", X), read_rows("y", y))
    if not len(samples):
        raise ValueError("X has no samples")
    if len(samples) != len(samples.y):
        raise ValueError(f"X has {len(samples)} samples, and y has {len(samples.y)} targets")
    return samples


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


def order_of(count: int, size: int, seed: int | None, epoch: int) -> NDArray[int64]:
    """In which order so many samples are used in an epoch."""
    import numpy as np

    if size == count:
        return np.arange(count)
    order = list(range(count))
    (random if seed is None else random.Random(f"{seed} {epoch}")).shuffle(order)
    return np.array(order)


def check_count(name: str, count: int, least: int) -> None:
    """Refuse what is no whole number, or too small a one."""
    if not isinstance(count, int) or count < least:
        raise ValueError(f"{name} is a whole number of at least {least}, not {count!r}")
