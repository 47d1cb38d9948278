"""Dask: the parts are the chunks of an array or the partitions of a data frame, on whatever scheduler is in force."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import dask
import dask.array
import numpy as np

from kilograd.distributed.parts import attempt, done_at, packed, unpacked

if TYPE_CHECKING:
    from kilograd.distributed.tasks import Task

__all__ = ["parts"]


def parts(data: Any, targets: Any) -> _Parts:
    """Take an array or a data frame, and the targets beside it, by their parts."""
    blocks, lengths = _blocks(data, "the data")
    if targets is not None:
        others, _ = _blocks(targets, "y")
        if len(others) != len(blocks):
            raise ValueError(f"X has {len(blocks)} parts, and y has {len(others)}: they need the same chunks of rows")
        blocks = [dask.delayed(_pair)(x, y) for x, y in zip(blocks, others, strict=True)]
    return _Parts(blocks, lengths)


def _blocks(data: Any, what: str) -> tuple[list[Any], list[float]]:
    """The parts of a collection, and their rows, NaN where they are not known."""
    if isinstance(data, dask.array.Array):
        if data.ndim == 0 or any(count != 1 for count in data.numblocks[1:]):
            raise ValueError(f"{what}: the chunks {data.numblocks} cut through rows; write .rechunk({{1: -1}})")
        return list(data.to_delayed().ravel()), list(data.chunks[0])
    if not all(hasattr(type(data), name) for name in ("to_delayed", "npartitions")):
        raise TypeError(f"{what}: a Dask array or data frame is needed, not {type(data).__name__}")
    found = list(data.to_delayed())
    return found, [math.nan] * len(found)


class _Parts:
    def __init__(self, blocks: list[Any], lengths: list[float]) -> None:
        self._blocks = blocks
        self._lengths = lengths
        self._task: Task | None = None

    def _sent(self, task: Task) -> Any:
        """The task as a result on a worker, from which others fetch it, and which is made again if that one dies."""
        if task is not self._task:
            (self._there,) = dask.persist(dask.delayed(_same)(packed(task)))
            self._task = task
        return self._there

    def each(self, task: Task, argument: Any) -> list[Any]:
        sent = self._sent(task)
        same = dask.delayed(argument, traverse=False)
        attempts = dask.delayed(_attempt, pure=False, traverse=False)
        return list(dask.compute(*[attempts(sent, block, k, same) for k, block in enumerate(self._blocks)]))

    def rows(self, task: Task, argument: Any) -> Any:
        sent = dask.delayed(_same)(packed(task))
        same = dask.delayed(argument, traverse=False)
        results = [dask.delayed(_done, traverse=False)(sent, block, k, same) for k, block in enumerate(self._blocks)]
        function = task.function.function  # type: ignore[attr-defined]
        core = getattr(function, "_core", None)
        shape = tuple(core.shape) if core is not None else np.shape(results[0].compute())[1:]
        arrays = [
            dask.array.from_delayed(result, shape=(rows, *shape), dtype=np.float64)
            for result, rows in zip(results, self._lengths, strict=True)
        ]
        return dask.array.concatenate(arrays, axis=0, allow_unknown_chunksizes=True)


def _same(data: bytes) -> bytes:
    return data


def _pair(x: Any, y: Any) -> tuple[Any, Any]:
    return x, y


def _attempt(task: bytes, block: Any, number: int, argument: Any) -> Any:
    return attempt(unpacked(task), block, number, argument)


def _done(task: bytes, block: Any, number: int, argument: Any) -> Any:
    return done_at(unpacked(task), block, number, argument)
