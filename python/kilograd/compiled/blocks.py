"""`Block`: a large array of the arguments in a trace of a function that only hands it to `scan`.

A Value for each of a million numbers would cost seconds and hundreds of megabytes, and a loop needs none of them. So a
function that calls `scan` is traced with blocks first. Whatever else it does with one than ask for the shape or take a
slice along the first axis raises `Touched`, and it is traced with Values in that array.
"""

# ruff: noqa: D102 - attributes of arrays are NumPy's

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from kilograd.compiled.traced import FLOAT, Traced

if TYPE_CHECKING:
    from kilograd.compiled.structure import Array, Shape

LEAST = 1_000
"""How many numbers an array has that is worth it."""


class Touched(BaseException):
    """A function does with a block what takes Values: no Exception, which the function might handle."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.argument = block.argument


class Block:
    """An array of consecutive numbers of a call.

    Parameters
    ----------
    first : int
        The place of the first among all numbers of the call.
    numbers : array
        In the shape that the function sees.
    stages : list
        Those of the trace that it belongs to.
    argument : int, optional
        Where the array begins that it is a part of.
    """

    __slots__ = ("argument", "first", "numbers", "stages")

    def __init__(self, first: int, numbers: Array, stages: list[Any], argument: int | None = None) -> None:
        self.first = first
        self.numbers = numbers
        self.stages = stages
        self.argument = first if argument is None else argument

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return Traced

    @property
    def shape(self) -> Shape:
        return self.numbers.shape

    @property
    def size(self) -> int:
        return self.numbers.size

    @property
    def ndim(self) -> int:
        return self.numbers.ndim

    @property
    def dtype(self) -> Any:
        return FLOAT

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, key: Any) -> Block:
        if type(key) is not slice or not all(part is None or type(part) is int for part in (key.start, key.stop)):
            raise Touched(self)
        if key.step not in (None, 1):
            raise Touched(self)
        first = self.first + key.indices(len(self))[0] * (self.size // max(len(self), 1))
        return Block(first, self.numbers[key], self.stages, self.argument)

    def __getattr__(self, name: str) -> NoReturn:
        raise Touched(self)

    def holds(self, part: Block) -> bool:
        """Whether something is a part of it."""
        return self.first <= part.first and part.first + part.size <= self.first + self.size

    def rows(self, count: int) -> Block:
        """The same with one row for each turn of a loop."""
        table = self.numbers.reshape(count, self.size // max(count, 1))
        return Block(self.first, table, self.stages, self.argument)


def is_large(shape: Shape) -> bool:
    """Whether an array of that shape is worth a block."""
    return math.prod(shape) >= LEAST


def _touched(block: Block, *_: Any, **__: Any) -> NoReturn:
    raise Touched(block)


_PYTHONS_OWN = {
    "__new__",
    "__init__",
    "__del__",
    "__init_subclass__",
    "__subclasshook__",
    "__class_getitem__",
    "__doc__",
}
_PYTHONS_OWN |= {"__getattribute__", "__setattr__", "__delattr__", "__dir__", "__sizeof__"}
for _name in dir(np.ndarray):
    if _name.startswith("__") and _name not in _PYTHONS_OWN and (_name not in vars(Block) or _name == "__hash__"):
        setattr(Block, _name, _touched)
