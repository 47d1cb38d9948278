"""Spark: the parts are the partitions of a data frame."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.sql.types import ArrayType, DoubleType, StructField, StructType

from kilograd.distributed.parts import OUTPUT, attempt, done_at, packed, refuse_output, unpacked

if TYPE_CHECKING:
    from kilograd.distributed.tasks import Task

__all__ = ["parts"]


def parts(data: Any, targets: Any) -> _Parts:
    """Take a data frame by its partitions."""
    if targets is not None:
        raise TypeError("of a data frame of Spark, y is the name of a column, or a list of names")
    if not hasattr(type(data), "mapInPandas"):
        raise TypeError(f"a data frame of Spark is needed, not {type(data).__name__}")
    return _Parts(data)


class _Parts:
    def __init__(self, data: Any) -> None:
        self._data = data

    def each(self, task: Task, argument: Any) -> list[Any]:
        data = packed(task)

        def results(batches: Iterator[Any]) -> Iterator[Any]:
            import pandas as pd
            from pyspark import TaskContext

            number = TaskContext.get().partitionId()
            rows = [batch for batch in batches if len(batch)]
            if rows:  # one block: how Arrow cuts a partition does not show in a result
                result = attempt(unpacked(data), pd.concat(rows, ignore_index=True), number, argument)
                yield pd.DataFrame({"number": [number], "result": [pickle.dumps(result)]})

        found = self._data.mapInPandas(results, "number long, result binary").collect()
        return [pickle.loads(row.result) for row in sorted(found, key=lambda row: row.number)]

    def rows(self, task: Task, argument: Any) -> Any:
        data = packed(task)
        core = getattr(task.function.function, "_core", None)  # type: ignore[attr-defined]
        shape = core.shape if core is not None else np.shape(task(self._data.limit(1).toPandas(), 0, argument))[1:]

        refuse_output(self._data.columns)

        def outputs(batches: Iterator[Any]) -> Iterator[Any]:
            from pyspark import TaskContext

            number = TaskContext.get().partitionId()
            for batch in batches:
                if len(batch):
                    found = done_at(unpacked(data), batch, number, argument)
                    yield batch.assign(**{OUTPUT: list(found.reshape(len(found), -1)) if shape else found})

        schema = StructType(
            [*self._data.schema, StructField(OUTPUT, ArrayType(DoubleType()) if shape else DoubleType())]
        )
        return self._data.mapInPandas(outputs, schema)
