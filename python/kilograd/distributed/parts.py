"""`Parts`: all that an engine has to do, and which engine does it for which data."""

from __future__ import annotations

import os
import pickle
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from kilograd import tables
from kilograd.checks import repeatable
from kilograd.compiled.tracing import add_note

if TYPE_CHECKING:
    from kilograd.distributed.tasks import Task

__all__ = [
    *("OUTPUT", "Local", "Parts", "Refusal", "attempt", "collected", "done_at", "packed", "parts_of"),
    *("refuse_answers", "refuse_output", "unpacked"),
]

OUTPUT = "output"
"""What the column of results is called beside the rows."""

_ENGINES = {"dask": "on_dask", "ray": "on_ray", "pyspark": "on_spark"}
"""For the package that the type of the data is from, the module that knows it."""


def refuse_output(columns: Iterable[str]) -> None:
    """Refuse data that have a column of that name.

    Raises
    ------
    ValueError
        If they have.
    """
    if OUTPUT in columns:
        raise ValueError(f"the data have a column {OUTPUT!r} already, and that is what results are to be called")


def refuse_answers(columns: Collection[str], targets: Iterable[str]) -> None:
    """Refuse columns of samples that have targets among them.

    Raises
    ------
    ValueError
        If they have.
    """
    if both := [name for name in targets if name in columns]:
        raise ValueError(
            f"the column {both[0]!r} is a target, and columns= has it among the samples, where a model would read "
            "the answer: leave it out there"
        )


class Parts(Protocol):
    """Data in parts, and who computes at each of them.

    What an engine hands to a task is a block: an array of rows, a data frame, a table of Arrow, or a pair of samples
    and targets. Its number is its place among all parts.
    """

    def each(self, task: Task, argument: Any) -> list[Any]:
        """What ``attempt(task, block, number, argument)`` gives at each part, in the order of the parts.

        A part without rows may be left out.
        """

    def rows(self, task: Task, argument: Any) -> Any:
        """What ``done_at(task, block, number, argument)`` gives, an array with a row for each row; it stays there."""


class Refusal:
    """An error at a part. It comes back as a result: no engine shall try again what fails every time."""

    def __init__(self, error: Exception) -> None:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            error = RuntimeError(f"{type(error).__name__}: {error}")
        self.error = error


def done_at(task: Task, block: Any, number: int | None, argument: Any) -> Any:
    """Do a task at a part, or at one whose number nobody knows."""
    try:
        return task(block, number or 0, argument)
    except Exception as error:
        if number is not None:
            add_note(error, f"in part {number} of the data")
        raise


def attempt(task: Task, block: Any, number: int, argument: Any) -> Any:
    """Do a task at a part; give a Refusal for an error."""
    try:
        return done_at(task, block, number, argument)
    except Exception as error:
        return Refusal(error)


def collected(parts: Parts, task: Task, argument: Any) -> list[Any]:
    """The results of all parts.

    Raises
    ------
    Exception
        What was raised at the first part that has an error.
    """
    results = parts.each(task, argument)
    for result in results:
        if isinstance(result, Refusal):
            raise result.error
    return results


def packed(task: Task) -> bytes:
    """Give a task as it travels.

    Raises
    ------
    TypeError
        If a function of it cannot be pickled.
    """
    try:
        from cloudpickle import dumps
    except ImportError:
        from pickle import dumps
    try:
        data: bytes = dumps(task)
    except Exception as error:
        raise TypeError(
            f"this cannot be sent to the workers: {type(error).__name__}: {error}. They need all that the function "
            "refers to; define it at the top of a module that they have, or pass what it needs as an argument"
        ) from error
    return data


@lru_cache(maxsize=16)
def unpacked(data: bytes) -> Task:
    """Give back a task, the same each time: a program is made, and its machine code, once in a process."""
    task: Task = pickle.loads(data)
    return task


class Local:
    """Blocks in this process, one after the other: for trying, and for data larger than memory.

    Parameters
    ----------
    blocks : iterable
    passes : int
        How often they are gone through.
    """

    def __init__(self, blocks: Iterable[Any], passes: int) -> None:
        self._blocks = repeatable(blocks, passes, "passes over them")

    def each(self, task: Task, argument: Any) -> list[Any]:
        """Do a task at each block, up to the first error."""
        results = []
        for number, block in enumerate(self._blocks):
            results.append(attempt(task, block, number, argument))
            if isinstance(results[-1], Refusal):
                break
        return results

    def rows(self, task: Task, argument: Any) -> Iterator[Any]:
        """Do a task at each block when its turn comes."""
        return (done_at(task, block, number, argument) for number, block in enumerate(self._blocks))


def parts_of(data: Any, targets: Any = None, *, passes: int = 1) -> Parts:
    """Find who computes over data.

    Parameters
    ----------
    data : object
    targets : object, optional
        Of the same kind, with the same rows in its parts: blocks are then pairs.
    passes : int, default 1
        How often the data are gone through.
    """
    for kind in type(data).__mro__:
        engine = _ENGINES.get(kind.__module__.partition(".")[0])
        if engine is not None:
            parts: Parts = import_module(f"kilograd.distributed.{engine}").parts(data, targets)
            return parts
    from kilograd.distributed.on_ranks import Ranks

    if isinstance(data, Ranks):
        if targets is not None:
            raise TypeError("of Ranks, the blocks are pairs (X, y), and y is left out")
        return data
    if _is_table(data):
        return Local([data if targets is None else (data, targets)], passes)
    if targets is not None:
        raise TypeError("of blocks, each is a pair (X, y), and y is left out")
    return Local(data, passes)


def _is_table(data: Any) -> bool:
    """Whether data are one table, and not blocks. Its entries are not looked at: a task may leave columns out."""
    if isinstance(data, (str, os.PathLike)):
        raise TypeError(f"the data: a path is no data; kilograd.distributed.blocks({os.fspath(data)!r}) reads a file")
    if isinstance(data, (list, tuple)):
        return bool(data) and _dimensions(data[0]) < 2
    tables.refuse_unordered(data, "the data")
    if tables.is_table(data):
        return True
    if not isinstance(data, Iterable):
        raise TypeError(
            "the data: a table, an iterable of blocks, Ranks, or an array, data frame or data set of Dask, Ray or "
            f"Spark is needed, and not {type(data).__name__}"
        )
    return False


def _dimensions(thing: Any) -> int:
    """Those of an array or table, or of nested lists: 1 for a row, 2 for a block of rows, and for a pair of them."""
    if isinstance(thing, (list, tuple)):
        return 1 + (_dimensions(thing[0]) if thing else 0)
    tables.refuse_unordered(thing, "the data")
    if not tables.is_table(thing):
        return 0
    return len(thing.shape) if hasattr(thing, "shape") else 2 if hasattr(thing, "columns") else 1
