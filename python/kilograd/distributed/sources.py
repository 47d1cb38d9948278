"""`blocks`: what does not fit into memory, a block of rows at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from kilograd import tables
from kilograd.checks import whole_number
from kilograd.distributed.parts import refuse_answers

__all__ = ["blocks"]


def blocks(
    source: Any, rows: int = 65536, *, columns: Sequence[str] | None = None, targets: str | None = None
) -> _Blocks:
    """Give the rows of a file or an array in blocks, read when their turn comes.

    Parameters
    ----------
    source : path, ndarray or memory map, pyarrow.Table, pyarrow.parquet.ParquetFile, or pyarrow.dataset.Dataset
        A path is of a ``.npy`` file, which is mapped, or a ``.parquet`` file, which pyarrow reads.
    rows : int, default 65536
        Rows of a block; those of a Parquet file may have fewer, where a row group ends.
    columns : sequence of str, optional
        Which columns of Arrow's tables are read, in this order; all of them by default.
    targets : str, optional
        The column of the targets: blocks are then pairs ``(X, y)``, as `kilograd.fit` takes them.

    Returns
    -------
    iterable of blocks
        Which begins anew each time: for `kilograd.fit`, ``optimizer.minimize`` and all of `kilograd.distributed`. It
        has a length, the number of blocks.

    Raises
    ------
    TypeError
        If the source is none of these, or columns are named of an array.
    ValueError
        If there is no column of such a name.
    ImportError
        If it is a Parquet file, and pyarrow is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from kilograd.distributed import blocks
    >>> [block.shape for block in blocks(np.zeros((5, 2)), rows=2)]
    [(2, 2), (2, 2), (1, 2)]
    """
    rows = whole_number("rows", rows, 1)
    if isinstance(columns, str):
        raise TypeError(f"columns is a list of names, and not {columns!r}")
    if targets is not None and not isinstance(targets, str):
        raise TypeError(f"targets is the name of one column, and not {targets!r}")
    if isinstance(source, (str, os.PathLike)):
        source = _opened(os.fspath(source))
    return _Blocks(source, rows, None if columns is None else list(columns), targets)


def _opened(path: str) -> Any:
    if path.endswith(".npy"):
        import numpy as np

        return np.load(path, mmap_mode="r")
    if path.endswith(".parquet"):
        try:
            from pyarrow.parquet import ParquetFile
        except ImportError:
            raise ImportError(f"{path} is read by pyarrow: pip install pyarrow") from None
        return ParquetFile(path)
    raise TypeError(f"{path} ends in neither .npy nor .parquet: open it, and pass what you get")


def _check_names(source: Any, columns: list[str] | None, targets: str | None) -> None:
    schema = getattr(source, "schema_arrow", None)  # of a Parquet file, whose .schema is another thing
    there = (source.schema if schema is None else schema).names
    for name in [*(columns or []), *([] if targets is None else [targets])]:
        if name not in there:
            raise ValueError(f"there is no column {name!r}; the columns are {', '.join(there)}")
    refuse_answers(columns or (), () if targets is None else (targets,))


class _Blocks:
    """Blocks of rows, read anew each time they are gone through."""

    def __init__(self, source: Any, rows: int, columns: list[str] | None, targets: str | None) -> None:
        if hasattr(source, "to_batches") and hasattr(source, "slice"):  # a table of Arrow, which has other arguments
            from pyarrow.dataset import dataset

            source = dataset(source)
        in_batches = hasattr(source, "iter_batches") or hasattr(source, "to_batches")
        found = None if in_batches else tables.array(source, "rows")
        if found is not None and (columns is not None or targets is not None):
            raise TypeError("columns and targets name columns of Arrow's tables, and an array has none")
        if found is None and not in_batches:
            raise TypeError(f"a file or an array of rows is needed, and not {type(source).__name__}")
        if in_batches:
            _check_names(source, columns, targets)
        self._array = found
        self._source = source
        self._rows = rows
        self._columns = columns
        self._targets = targets

    def __len__(self) -> int:
        if self._array is not None:
            return -(-len(self._array) // self._rows)
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[Any]:
        if self._array is not None:
            return (self._array[k : k + self._rows] for k in range(0, len(self._array), self._rows))
        return map(self._block, self._batches())

    def _batches(self) -> Iterator[Any]:
        columns = self._columns
        if columns is not None and self._targets is not None and self._targets not in columns:
            columns = [*columns, self._targets]
        read = self._source.iter_batches if hasattr(self._source, "iter_batches") else self._source.to_batches
        return (batch for batch in read(batch_size=self._rows, columns=columns) if batch.num_rows)

    def _block(self, batch: Any) -> Any:
        if self._targets is None:
            return batch if self._columns is None else batch.select(self._columns)
        names = self._columns or [name for name in batch.schema.names if name != self._targets]
        return batch.select(names), batch.column(self._targets)
