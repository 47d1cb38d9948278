"""Dask: the parts are the chunks of an array or the partitions of a data frame, on whatever scheduler is in force."""

from __future__ import annotations

import math
from dataclasses import replace
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
        same = dask.delayed(argument, traverse=False)
        core = getattr(task.function.function, "_core", None)  # type: ignore[attr-defined]
        shape = self._shape(task, same) if core is None else tuple(core.shape)
        sent = dask.delayed(_same)(packed(replace(task, shape=shape)))  # type: ignore[type-var]
        results = [dask.delayed(_done, traverse=False)(sent, block, k, same) for k, block in enumerate(self._blocks)]
        arrays = [
            dask.array.from_delayed(result, shape=(rows, *shape), dtype=np.float64)
            for result, rows in zip(results, self._lengths, strict=True)
        ]
        return dask.array.concatenate(arrays, axis=0, allow_unknown_chunksizes=True)

    def _shape(self, task: Task, argument: Any) -> tuple[int, ...]:
        """That of what a compiled function gives for a row, from the first part that has rows."""
        sent = dask.delayed(_same)(packed(task))
        for k, block in enumerate(self._blocks):
            shape: tuple[int, ...] | None = dask.delayed(_shape, traverse=False)(sent, block, k, argument).compute()
            if shape is not None:
                return shape
        raise ValueError("no part of the data has rows: what a compiled function gives is not known before a first one")


def _same(data: bytes) -> bytes:
    return data


def _pair(x: Any, y: Any) -> tuple[Any, Any]:
    return x, y


def _attempt(task: bytes, block: Any, number: int, argument: Any) -> Any:
    return attempt(unpacked(task), block, number, argument)


def _shape(task: bytes, block: Any, number: int, argument: Any) -> tuple[int, ...] | None:
    return np.shape(_done(task, block, number, argument))[1:] if len(block) else None


def _done(task: bytes, block: Any, number: int, argument: Any) -> Any:
    return done_at(unpacked(task), block, number, argument)
