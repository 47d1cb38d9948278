"""Types of arguments and results that several modules share. Imported by type checkers alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np

from kilograd._core import Value

__all__ = ["Number", "Numbers", "Outputs", "Row", "Rows", "Scalar", "SupportsArray", "Values"]

Number: TypeAlias = "float | np.floating[Any] | np.integer[Any] | np.bool_"
Scalar: TypeAlias = "Value | Number"
Row: TypeAlias = Sequence[Scalar]
Rows: TypeAlias = Sequence[Row]


class SupportsArray(Protocol):
    """An array, or a table or column of another library."""

    def __array__(self) -> Any: ...


Numbers: TypeAlias = (
    "Number | Sequence[Number] | Sequence[Sequence[Number]] | Sequence[Sequence[Sequence[Number]]] | SupportsArray"
)
Values: TypeAlias = "Scalar | Row | Rows | Sequence[Rows] | SupportsArray"


class Outputs(Value, Sequence[Value]):
    """What a layer or a model gives: a Value where it ends in one neuron, else a list of Values.

    The number of neurons is no part of the type, which has what both have: programs of either kind pass, and a method
    that neither has does not.
    """
