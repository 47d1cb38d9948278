"""Ray: the parts are the blocks of a data set, in the order that it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ray
from ray.data.block import BlockAccessor

from kilograd.distributed.parts import OUTPUT, attempt, done_at, packed, refuse_output, unpacked

if TYPE_CHECKING:
    from kilograd.distributed.tasks import Task

__all__ = ["parts"]


def parts(data: Any, targets: Any) -> _Parts:
    """Take a data set by its blocks."""
    if targets is not None:
        raise TypeError("of a data set of Ray, y is the name of a column, or a list of names")
    if not isinstance(data, ray.data.Dataset):
        raise TypeError(f"a data set of Ray is needed, not {type(data).__name__}")
    return _Parts(data)


class _Parts:
    def __init__(self, data: Any) -> None:
        self._data = data
        self._refs: list[Any] | None = None
        self._task: Task | None = None

    def _blocks(self) -> list[Any]:
        """References to the blocks: they are computed once, and kept where they are."""
        if self._refs is None:
            options = self._data.context.execution_options
            as_it_was, options.preserve_order = options.preserve_order, True
            try:
                self._there = self._data.materialize()
            finally:
                options.preserve_order = as_it_was
            self._refs = [ref for bundle in self._there.iter_internal_ref_bundles() for ref in bundle.block_refs]
        return self._refs

    def each(self, task: Task, argument: Any) -> list[Any]:
        if task is not self._task:
            self._task, self._sent = task, ray.put(packed(task))
        same = ray.put(argument)
        attempts = ray.remote(_attempt)
        results = ray.get([attempts.remote(self._sent, ref, k, same) for k, ref in enumerate(self._blocks())])
        return [result for result in results if result is not None]

    def rows(self, task: Task, argument: Any) -> Any:
        data = packed(task)

        refuse_output(self._data.columns() or [])

        def outputs(batch: dict[str, Any]) -> dict[str, Any]:  # with the rows: blocks need not come in order
            return {**batch, OUTPUT: done_at(unpacked(data), _table(batch), None, argument)}

        return self._data.map_batches(outputs, batch_format="numpy", batch_size=None)


def _attempt(task: bytes, block: Any, number: int, argument: Any) -> Any:
    accessor = BlockAccessor.for_block(block)
    if not accessor.num_rows():
        return None
    return attempt(unpacked(task), _table(accessor.to_batch_format("numpy")), number, argument)


def _table(columns: dict[str, Any]) -> Any:
    """The only column where it has whole rows, and else a data frame."""
    import pandas as pd

    only = next(iter(columns.values())) if len(columns) == 1 else None
    if only is not None and only.ndim > 1:
        return only
    return pd.DataFrame({name: column if column.ndim == 1 else list(column) for name, column in columns.items()})
