"""`Only`: the program of a path that has no stages, for calls that are known to take it: what loops call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kilograd.compiled.calls import Rows
from kilograd.compiled.structure import Numbers, Structure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kilograd import _core
    from kilograd.compiled.structure import Array, Columns, Shape
    from kilograd.program import Program, Reduce


class Only:
    """The program of such a path, where it gives a number or an array.

    The methods with `x` are of one row, an array of any shape, and give what the caller gets; those with `rows` are of
    a batch, of which some numbers may be the same in all rows: these are parameters of a program of their own.
    """

    __slots__ = ("_core", "_parameters", "_shared", "is_number", "shape")

    def __init__(self, program: Program, structure: Structure) -> None:
        assert isinstance(structure, Numbers)
        self._core = program._core
        self._parameters = program._parameters
        self._shared: dict[Columns, _core._Program] = {(): program._core}
        self.shape: Shape = structure.shape
        self.is_number = self.shape == ()

    def value(self, x: Array) -> Any:
        """The number or the array that the function returns."""
        values = self._core.forward(self._parameters, x.reshape(-1), None, 1, True, None)
        return values.item() if self.is_number else values.reshape(self.shape)

    def value_and_grad(self, x: Array) -> tuple[float, Array]:
        """The number that the function returns, and its gradient."""
        values, gradient = self._core.value_and_grad(
            self._parameters, x.reshape(-1), "inputs", None, None, 1, True, None, "C"
        )
        return values.item(), gradient.reshape(x.shape)

    def jacobian(self, x: Array) -> Array:
        """The Jacobian of the number or the array that the function returns."""
        found = self._core.jacobian(self._parameters, x.reshape(-1), "inputs", None, 1, True, None)
        return found.reshape(self.shape + x.shape)

    def hessian(self, x: Array) -> Array:
        """The Hessian of the number that the function returns."""
        found = self._core.hessian(self._parameters, x.reshape(-1), "inputs", None, None, 1, True, None)
        return found if x.ndim == 1 else found.reshape(x.shape + x.shape)

    def first_column(self, rows: Rows) -> int:
        """Where shared numbers begin in the program that has them as parameters."""
        return int(rows.varying.shape[1]) + len(self._parameters)

    def _of(self, rows: Rows) -> tuple[_core._Program, tuple[Any, ...]]:
        core = self._shared.get(rows.columns)
        if core is None:
            core = self._shared[rows.columns] = self._core.shared(rows.columns)
        return core, (*self._parameters, rows.fixed) if rows.columns else self._parameters

    def values(self, rows: Rows, reduce: Reduce) -> Array:
        """What the function returns, (rows, ...), or reduced."""
        core, parameters = self._of(rows)
        found = core.forward(parameters, rows.varying, reduce, 1, True, None)
        return found.reshape(found.shape[:-1] + self.shape)

    def values_and_grads(self, rows: Rows, wrt: str, reduce: Reduce) -> tuple[float, Array, Array]:
        """The reduced number, and its gradients by what differs, (rows, ...), and by what all rows share."""
        core, parameters = self._of(rows)
        value, *found = core.value_and_grad(parameters, rows.varying, wrt, None, reduce, 1, True, None, "C")
        return value.item(), found[0], found[-1][len(self._parameters) :] if wrt != "inputs" else found[0]

    def jacobians(self, rows: Rows, columns: Columns, reduce: Reduce) -> Array:
        """By the numbers in the columns of the program in which shared numbers are parameters, (rows, m, k)."""
        core, parameters = self._of(rows)
        return core.jacobian(parameters, rows.varying, columns, reduce, 1, True, None)

    def hessians(self, rows: Rows, columns: Columns, reduce: Reduce) -> Array:
        """The same of second derivatives, (rows, k, k)."""
        core, parameters = self._of(rows)
        return core.hessian(parameters, rows.varying, columns, None, reduce, 1, True, None)

    def pattern(self, rows: Rows, second: bool, columns: Columns) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Which entries of these may differ from zero, as in a CSR matrix."""
        return self._of(rows)[0].pattern(second, columns, False)

    def entries(self, rows: Rows, second: bool, columns: Columns, reduce: Reduce) -> Array:
        """These entries, (rows, entries), or reduced."""
        core, parameters = self._of(rows)
        return core.entries(parameters, rows.varying, second, columns, None, reduce, 1, True, None)
