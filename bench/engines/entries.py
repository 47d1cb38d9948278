"""Entries of NumPy's arrays, for engines whose symbols cannot be such: operators, and what functions call."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


class Entry:
    """A symbol whose functions are those of `module`."""

    __slots__ = ("module", "symbol")

    def __init__(self, symbol: Any, module: Any) -> None:
        self.symbol, self.module = symbol, module

    def __neg__(self) -> Entry:
        return Entry(-self.symbol, self.module)

    def __pow__(self, exponent: int) -> Entry:
        return Entry(self.symbol**exponent, self.module)

    def __add__(self, other: Any) -> Any:
        return self._with(other, operator.add)

    def __sub__(self, other: Any) -> Any:
        return self._with(other, operator.sub)

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b - a)

    def __mul__(self, other: Any) -> Any:
        return self._with(other, operator.mul)

    __radd__, __rmul__ = __add__, __mul__

    def _with(self, other: Any, operation: Callable[[Any, Any], Any]) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented  # it comes back with each of its entries
        return Entry(operation(self.symbol, symbol_of(other)), self.module)

    def sin(self) -> Entry:
        return Entry(self.module.sin(self.symbol), self.module)

    def cos(self) -> Entry:
        return Entry(self.module.cos(self.symbol), self.module)

    def exp(self) -> Entry:
        return Entry(self.module.exp(self.symbol), self.module)


def symbol_of(value: Any) -> Any:
    """The symbol of an entry, and a number as a plain one."""
    return value.symbol if isinstance(value, Entry) else float(value)


def outputs_of(call: Callable[[Any], Any], symbols: Sequence[Any], module: Any) -> list[Any]:
    """What a function of an array makes of these symbols."""
    entries = np.empty(len(symbols), dtype=object)
    entries[:] = [Entry(symbol, module) for symbol in symbols]
    return [symbol_of(entry) for entry in call(entries)]
