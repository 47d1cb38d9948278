"""One path through a function: the guards of taking it, its program, and the structure of its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np

from kilograd._core import Value
from kilograd.compiled import stages
from kilograd.compiled.agreement import disagreement
from kilograd.compiled.habits import Habits
from kilograd.compiled.structure import NUMBER, Call, Static, copied, holds, plain, take
from kilograd.compiled.tracing import Function, name_of, trace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kilograd.compiled.structure import Array, Indices

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
        "guards",
        "is_number",
        "key",
        "name",
        "outputs",
        "program",
        "recordable",
        "refusal",
        "structure",
    )

    def __init__(self, function: Function, call: Call, habits: Habits) -> None:
        self.name = name_of(function)
        traced = trace(function, call)
        leaves, notes, outputs, self.structure, dead, noted = traced
        # Where the function handled an error of an operation, no comparison says when it would do so again; and where
        # it may handle one of an operation that nothing needs, no program has the operation. NumPy orders NaN as it
        # likes among numbers, as comparisons say among objects.
        raised = any(symbol == "raises" for symbol, *_ in notes)
        guards = [note for note in notes if note[0] != "raises"]
        unordered = any(symbol != "is" and (_is_nan(left) or _is_nan(right)) for symbol, left, right, _ in guards)
        self.recordable = not (raised or unordered or habits.asks or (habits.handles and dead))
        self.refusal: str | None = None
        # A bool among numbers stays one in an array of objects, and is 1.0 in one of numbers; NumPy's roots are real.
        mixed = holds(call.arguments, bool) or holds((self.structure,), complex)
        # A number that NumPy chose by comparing, such as a sign, is Python's in a trace, and its roots may be complex.
        # The numbers of one call tell only where the root takes part in the result: others are looked at too, and
        # those of a call that hide it are never taken for all that come this way.
        rooted = bool(habits.roots and guards)
        mixed = mixed or rooted
        if rooted and not np.isfinite(call.x).all():
            self.recordable = False
        answers = habits.asks or habits.doubtful or rooted
        if (answers or raised or unordered or mixed) and (plain := disagreement(traced, function, call, answers)):
            self.refusal, self.structure = plain
            self.recordable, outputs = False, []
        self.outputs = len(outputs)
        self.is_number, self._constant = self.structure == NUMBER, 0.0
        if isinstance(self.structure, Static):
            constant = self.structure.value
            self.is_number = isinstance(constant, (int, float)) or getattr(constant, "shape", None) == ()
            self._constant = float(constant) if self.is_number else 0.0
        self.key = tuple([(symbol, repr(right) if symbol == "is" else result) for symbol, _, right, result in guards])
        self.guards = stages.guards(guards, leaves, noted) if guards and self.recordable else None
        del traced, notes, guards  # they hold numbers of the trace, which would count as parameters
        self.program = stages.recorded(outputs, leaves, noted) if outputs else None

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

    def jacobian(self, x: Array, check: bool, columns: Indices) -> Array:
        """The derivatives of all numbers that are computed by those in the columns, (..., m, k)."""
        if self.refusal:
            raise TypeError(self.refusal)
        m, n, k = self.outputs, x.shape[-1], len(columns)
        if self.program is None:
            return np.zeros((*x.shape[:-1], 0, k))
        if k == n or x.ndim > 1:
            return self.program.jacobian(x, check=check)[..., columns]
        if k <= m:  # only what is asked for: the other arguments may be a large data set
            return self.program.jvp(np.broadcast_to(x, (k, n)), np.eye(n)[columns], check=check).T
        return self.program.vjp(np.broadcast_to(x, (m, n)), np.eye(m), check=check)[:, columns]

    def hessian(self, x: Array, check: bool, columns: Indices) -> Arrays:
        """By the numbers in the columns, (..., k, k)."""
        if self.refusal or not self.is_number:
            self._refuse()
        n, k = x.shape[-1], len(columns)
        if self.program is None:
            return (np.zeros((*x.shape[:-1], k, k)),)
        if k == n or x.ndim > 1:
            return (self.program.hessian(x, check=check)[..., columns[:, None], columns],)
        return (self.program.hvp(np.broadcast_to(x, (k, n)), np.eye(n)[columns], check=check)[:, columns],)

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
