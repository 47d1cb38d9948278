"""The loss of a sample as a `Program`, where running that is the same as running the Python that it was recorded from.

A record is the truth about a function as long as the function does nothing but compute: no branch on values, no random
numbers, no counting, printing or remembering. Two things are looked at. Running it with Values for the numbers of a
sample shows what it does with these (`kilograd.compile` does the same). Reading it, with all that it can reach, shows
what else it depends on (`Surroundings`). In doubt nothing is recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from kilograd._core import Value
from kilograd.arrays import data
from kilograd.compiled.calls import Call
from kilograd.compiled.structure import NUMBER, Listed, Numbers, Structure
from kilograd.compiled.tracing import run_traced, without_notes
from kilograd.modes import no_grad
from kilograd.program import Program
from kilograd.surroundings import Surroundings, UnrecordableError
from kilograd.tables import Rows

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

__all__ = ["Layout", "Recorded", "Surroundings", "UnrecordableError", "builds_graphs", "without_notes"]

Function = Callable[..., Any]

_CHECKED_ROWS = 16
_TOLERANCE = 1e-9


class Recorded:
    """A function of the rows of a data set, as a program.

    Parameters
    ----------
    surroundings : Surroundings
        Of all that runs when `function` does.
    function : callable
        From a sample and a target, or from a sample alone, to a Value or a list of Values.
    columns : Rows
        The samples, and the targets.

    Raises
    ------
    UnrecordableError
        If the program might not be the same as the function.
    """

    def __init__(self, surroundings: Surroundings, function: Function, *columns: Rows) -> None:
        self._surroundings = surroundings
        self.layout = Layout([_Rows(column[0]) for column in columns])
        self.program = self._record(function, [Rows([column[0]]) for column in columns])
        right, where = self._computed(function, columns)
        tried = [Rows([column[i] for i in where]) for column in columns]  # as the function has left them
        found = self.program(self.rows(*tried), check=False)
        if not surroundings.last():
            raise UnrecordableError("something that it reads changes when it runs")
        if not np.allclose(found, right, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True):
            raise UnrecordableError("it computes something else with Values than with numbers")

    def _computed(self, function: Function, columns: tuple[Rows, ...]) -> tuple[NDArray[float64], list[int]]:
        """What the function gives for some rows, and which: none of those that it refuses, as a program does."""
        results, where = [], []
        refused: Exception | None = None
        for i in range(0, len(columns[0]), -(-len(columns[0]) // _CHECKED_ROWS)):
            try:
                with no_grad():
                    results.append(data([function(*(column[i] for column in columns))]))
                where.append(i)
            except (ValueError, ArithmeticError) as error:
                refused = error
            except Exception as error:
                raise UnrecordableError(f"it raises {type(error).__name__}: {error}") from error
        if not results:
            raise UnrecordableError(f"it raises {type(refused).__name__}: {refused}")
        return _concatenated(results), where

    def _record(self, function: Function, first: list[Rows]) -> Program:
        structures = tuple([_structure(column[0]) for column in first])
        call = Call(structures, (), (), self.rows(*first)[0])
        leaves: list[Value] = []
        notes: list[Any] = []
        try:
            output = run_traced(function, call, leaves, notes)
        except Exception as error:
            raise UnrecordableError(f"with Values for numbers it raises {type(error).__name__}: {error}") from error
        if notes:
            raise UnrecordableError("it branches on a value, reads .data or catches an error")
        try:
            return Program(output, inputs=leaves)
        except (TypeError, ValueError) as error:
            raise UnrecordableError(str(error)) from error

    @property
    def width(self) -> int:
        """The numbers of a row."""
        return self.layout.width

    def holds(self) -> bool:
        """Whether all that the function reads, the data of Values aside, is as it was when it was recorded."""
        return self._surroundings.last()

    def rows(self, *columns: Rows) -> NDArray[float64]:
        """The inputs of the program for samples (and targets), as their layout has them."""
        return self.layout.rows(*columns)


class Layout:
    """How samples (and targets) become the inputs of a program: the kinds of their rows, one beside the other."""

    def __init__(self, kinds: list[_Rows]) -> None:
        self._kinds = kinds
        self.width = sum(kind.width for kind in kinds)

    def rows(self, *columns: Rows) -> NDArray[float64]:
        """The inputs of the program for samples (and targets).

        Raises
        ------
        UnrecordableError
            If a row is of another kind than the one that was recorded.
        """
        found = np.empty((len(columns[0]), self.width))
        first = 0
        for kind, column in zip(self._kinds, columns, strict=True):
            kind.fill(found, first, column)
            first += kind.width
        return found


def _concatenated(results: list[NDArray[float64]]) -> NDArray[float64]:
    try:
        return np.concatenate(results)
    except ValueError as error:
        raise UnrecordableError(f"its results differ in shape: {error}") from error


def builds_graphs() -> bool:
    """Whether an operation makes a node: not in no_grad()."""
    return bool((Value(1.0) * 1.0)._children)


class _Rows:
    """The kind of the rows of a column: a number, or lists, tuples and arrays of them."""

    def __init__(self, row: Any) -> None:
        self._kind = _kind(row)
        self.width = int(np.size(row))

    def fill(self, matrix: NDArray[float64], first: int, column: Rows) -> None:
        """Write the rows into columns of a matrix."""
        if column.is_table_of_floats and column.copy_into(matrix, first):
            return
        if not _are_of([column[0]] if column.is_table else list(column), self._kind):
            raise UnrecordableError("rows differ in kind")
        try:
            found = column.array()
        except (TypeError, ValueError) as error:
            raise UnrecordableError(f"the rows are no matrix: {error}") from error
        if found.dtype.kind not in "biuf" or (found.dtype.kind in "iu" and _exceeds(found, 2**53)):
            raise UnrecordableError("the rows are not made of floats and small integers")
        if found.size != len(column) * self.width:
            raise UnrecordableError("rows differ in width")
        matrix[:, first : first + self.width] = found.reshape(len(column), self.width)


def _exceeds(numbers: NDArray[Any], limit: int) -> bool:
    return bool(numbers.max(initial=0) > limit or numbers.min(initial=0) < -limit)


def _kind(row: Any) -> Any:
    if type(row) in (list, tuple):
        return type(row), len(row), isinstance(row[0], (list, tuple, np.ndarray)) if row else False
    return (np.ndarray, row.shape) if isinstance(row, np.ndarray) else float


def _are_of(rows: list[Any], kind: Any) -> bool:
    """Whether all rows are of a kind; numbers and lists of numbers are looked at without a call for each row."""
    types = set(map(type, rows))
    if kind is float:
        return not any(only in (list, tuple) or issubclass(only, np.ndarray) for only in types)
    if kind[0] is np.ndarray or kind[2] or not kind[1]:
        return all(_kind(row) == kind for row in rows)
    if not (types <= {kind[0]} and set(map(len, rows)) <= {kind[1]}):
        return False
    return not any(issubclass(first, (list, tuple, np.ndarray)) for first in set(map(type, map(itemgetter(0), rows))))


def _structure(row: Any) -> Structure:
    """The structure of a row, of which every entry is a number, bools too."""
    if isinstance(row, (int, float, np.number, np.bool_)):
        return NUMBER
    if type(row) in (list, tuple):
        return Listed(type(row), tuple([_structure(part) for part in row]))
    if isinstance(row, np.ndarray) and row.ndim:
        return Numbers(row.shape)
    raise UnrecordableError(f"a row holds {type(row).__name__}")
