"""One path through a function: the guards of taking it, its program, and the structure of its result."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np

from kilograd._core import Value
from kilograd.compiled import stages
from kilograd.compiled.agreement import disagreement, through_texts
from kilograd.compiled.calls import Call
from kilograd.compiled.habits import Habits
from kilograd.compiled.only import Only
from kilograd.compiled.structure import NUMBER, Numbers, Static, copied, holds, plain, take, width_of
from kilograd.compiled.tracing import Function, name_of, trace
from kilograd.program import Program

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kilograd.compiled.structure import Array, Columns

    Arrays: TypeAlias = tuple[Array, ...]


class Path:
    """One way through a function: the conditions of taking it, its program, and the structure of its result.

    Where the function does something else with numbers than with Values, the path is that of the numbers alone: it
    holds what the function returned, for this call, and refuses derivatives.

    The methods take one row or many, x of shape (n,) or (rows, n), and give arrays with that lead. With `check`, they
    raise where an operation leaves the numbers.
    """

    __slots__ = (
        "_constant",
        "alone",
        "guards",
        "indexed",
        "is_number",
        "key",
        "name",
        "only",
        "outputs",
        "program",
        "recordable",
        "refusal",
        "structure",
    )

    def __init__(self, function: Function, call: Call, habits: Habits) -> None:
        self.name = name_of(function)
        traced = trace(function, call, habits.scans and not (habits.asks or habits.doubtful))
        leaves, notes, outputs, self.structure, dead, noted, self.indexed, told = traced
        # Where the function handled an error of an operation, no comparison says when it would do so again; and where
        # it may handle one of an operation that nothing needs, no program has the operation. NumPy orders NaN as it
        # likes among numbers, as comparisons say among objects.
        raised = any(symbol == "raises" for symbol, *_ in notes)
        guards = [note for note in notes if note[0] != "raises"]
        unordered = any(symbol != "is" and (_is_nan(left) or _is_nan(right)) for symbol, left, right, _ in guards)
        self.recordable = not (raised or unordered or habits.asks or (habits.handles and dead))
        self.refusal: str | None = None
        # A bool among numbers stays one in a list; roots that NumPy takes are real.
        mixed = holds(call.arguments, (bool, np.bool_)) or holds((self.structure,), complex)
        answers = habits.asks or habits.doubtful
        if (answers or raised or unordered or mixed) and (plain := disagreement(traced, function, call, answers)):
            self.refusal, self.structure = plain
            self.recordable, outputs = False, []
        elif told:
            self.refusal = through_texts(traced, function, call)
        self.outputs = len(outputs)
        self.is_number, self._constant = self.structure == NUMBER, 0.0
        if isinstance(self.structure, Static):
            constant = self.structure.value
            self.is_number = isinstance(constant, (int, float)) or getattr(constant, "shape", None) == ()
            self._constant = float(constant) if self.is_number else 0.0
        # A comparison with another constant is another path: of int(x) there is one for each integer.
        self.key = tuple(
            [(symbol, None if isinstance(right, Value) else repr(right), result) for symbol, _, right, result in guards]
        )
        self.guards = stages.guards(guards, leaves, noted) if guards and self.recordable else None
        is_only = self.recordable and not guards
        del traced, notes, guards  # they hold numbers of the trace, which would count as parameters
        self.program = stages.recorded(outputs, leaves, noted) if outputs else None
        self.alone: Only | None = None
        """Where a program without stages gives a number or an array."""
        is_whole = self.recordable and self.refusal is None
        if isinstance(self.program, Program) and is_whole and isinstance(self.structure, Numbers):
            self.alone = Only(self.program, self.structure)
        self.only = self.alone if is_only else None
        """Where every call of the structure takes this path."""

    def holds(self, rows: Array) -> NDArray[np.int8]:
        """Of each row: 1 where it takes this path, 0 where not, -1 where an operation raises on the way."""
        return np.ones(len(rows), np.int8) if self.guards is None else self.guards.holds(rows)

    def values(self, x: Array, check: bool) -> Array:
        """All numbers that are computed, (..., m)."""
        return np.empty((*x.shape[:-1], 0)) if self.program is None else self.program.forward(x, check=check)

    def result(self, x: Array, check: bool) -> Any:
        """What the function returns for one row, with floats and float arrays in place of Values."""
        values = self.values(x, check)
        return self.structure.build(take(lambda s, shape: plain(values[s].reshape(shape))), copied)

    def value_and_grad(self, x: Array, check: bool) -> Arrays:
        """The number, or constant, that the function returns, (...), and its gradient, (..., n)."""
        if self.refusal or not self.is_number:
            self._refuse()
        if self.program is None:
            return np.full(x.shape[:-1], self._constant), np.zeros(x.shape)
        values, gradient = self.program.value_and_grad(x, check=check)
        return values[..., 0], gradient

    def jacobian(self, x: Array, check: bool, columns: Columns) -> Array:
        """The derivatives of all numbers that are computed by those in the columns, (..., m, k)."""
        if self.refusal:
            raise TypeError(self.refusal)
        if self.program is None:
            return np.zeros((*x.shape[:-1], 0, width_of(columns)))
        program = self.program
        if isinstance(program, stages.Staged):
            return program.jacobian(x, columns, check=check)
        return program._core.jacobian(program._parameters, x, columns, None, 1, check, None)

    def hessian(self, x: Array, check: bool, columns: Columns) -> Arrays:
        """By the numbers in the columns, (..., k, k)."""
        if self.refusal or not self.is_number:
            self._refuse()
        if self.program is None:
            k = width_of(columns)
            return (np.zeros((*x.shape[:-1], k, k)),)
        program = self.program
        if isinstance(program, stages.Staged):
            return (program.hessian(x, columns, check=check),)
        return (program._core.hessian(program._parameters, x, columns, None, None, 1, check, None),)

    def entries(self, x: Array, check: bool, second: bool, columns: Columns) -> Array:
        """The entries of the Jacobian or, if `second`, of the Hessian that the pattern names, (..., entries)."""
        program = self.program
        if program is None:
            return np.empty((*x.shape[:-1], 0))
        if isinstance(program, stages.Staged):
            return program.entries(x, second, columns, check=check)
        return program._core.entries(program._parameters, x, second, columns, None, None, 1, check, None)

    def pattern(self, second: bool, columns: Columns) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Which entries of the Jacobian or the Hessian may differ from zero, as in a CSR matrix."""
        if self.refusal or (second and not self.is_number):
            self._refuse()
        numbers = self.structure.of_numbers()
        if not isinstance(numbers, Numbers):
            raise TypeError(f"sparse Jacobians are those of one array, and {self.name} returned {self.structure}")
        if self.program is None:
            height = width_of(columns) if second else math.prod(numbers.shape)
            return np.zeros(height + 1, np.int32), np.empty(0, np.int32)
        if isinstance(self.program, stages.Staged):
            return self.program.pattern(second, columns)
        return self.program._core.pattern(second, columns, False)

    def hvp(self, x: Array, check: bool, v: Array) -> Arrays:
        """The product of the Hessian with a vector, (..., n)."""
        if self.refusal or not self.is_number:
            self._refuse()
        return (v * 0.0 if self.program is None else self.program.hvp(x, v, check=check),)

    def _refuse(self) -> NoReturn:
        if self.is_number:
            raise TypeError(self.refusal)
        raise TypeError(
            f"gradients, Hessians and their products are those of one number, and {self.name} returned "
            f"{self.structure}: use jacobian(), or return a sum"
        )


def _is_nan(operand: Any) -> bool:
    number = operand.data if isinstance(operand, Value) else operand
    return bool(number != number)
