"""Structures: what nested containers of numbers look like without the numbers.

A structure can be a key of a dict. It builds its container anew from leaves (`build`), and tells what it looks like in
each row of a batch (`of_row`), with constants counted as numbers (`of_numbers`), and in a message (`str`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

from kilograd import tables
from kilograd._core import Value
from kilograd.compiled import complexes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]
    Indices: TypeAlias = NDArray[np.intp]

Shape: TypeAlias = tuple[int, ...]
Positions: TypeAlias = "int | tuple[int, ...]"
Columns: TypeAlias = tuple[int, ...]
"""Stretches of the numbers of a call: (first, one past the last, first, ...)."""
T = TypeVar("T")
Leaf: TypeAlias = Callable[[Shape], Any]
"""Gives the number, or the array, of a shape that comes next."""
Keep: TypeAlias = Callable[[Any], Any]
"""Gives what stands for a constant."""

_REAL = (float, int, np.floating, np.integer)


class ArrayShape(tuple[int, ...]):
    """The shape of an argument that is an array of its own kind: of no dimension, or of integers of fewer than 64 bits.

    To the function ``[1.0] * np.array(3)`` is a product, where 3 repeats the list; and ``np.uint8(200) * 2`` is 144.
    """

    kind: np.dtype[Any] | None

    def __new__(cls, shape: Shape, kind: np.dtype[Any] | None) -> ArrayShape:
        made = super().__new__(cls, shape)
        made.kind = kind
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ArrayShape) and tuple(self) == tuple(other) and self.kind == other.kind

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((tuple(self), self.kind))


def _kind_of(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    return dtype if dtype.kind in "iu" and dtype.itemsize < 8 else None


class Numbers(NamedTuple):
    """A number, of shape (), or an array of numbers."""

    shape: Shape

    def build(self, leaf: Leaf, static: Keep) -> Any:
        return leaf(self.shape)

    def of_row(self) -> Structure:
        rest = self.shape[1:]
        if isinstance(self.shape, ArrayShape):
            return Numbers(ArrayShape(rest, self.shape.kind)) if self.shape else self
        return Numbers(rest)

    def of_numbers(self) -> Structure:
        return Numbers(tuple(self.shape))

    def __str__(self) -> str:
        return f"an array of shape {self.shape}" if self.shape else "a number"


class Static(NamedTuple):
    """An object that is no number: passed on, or returned, as it is."""

    kind: type
    value: Any
    text: str = ""
    """What tells apart what is equal: 0.0 and -0.0, (1,) and (1.0,), Decimal("0.1") and Decimal("0.10")."""

    @classmethod
    def of(cls, argument: Any) -> Static:
        kind: Any = type(argument)
        is_itself = kind.__hash__ is object.__hash__ or kind.__repr__ is object.__repr__
        return cls(kind, argument, "" if is_itself else repr(argument))

    def build(self, leaf: Leaf, static: Keep) -> Any:
        return static(self.value)

    def of_row(self) -> Structure:
        return self

    def of_numbers(self) -> Structure:
        return Numbers(np.shape(self.value))

    def __str__(self) -> str:
        return f"the constant {self.value!r}"


class Mask(NamedTuple):
    """An array of bools in the arguments."""

    shape: Shape
    content: bytes

    def build(self, leaf: Leaf, static: Keep) -> Any:
        return static(np.frombuffer(self.content, dtype=bool).reshape(self.shape).copy())

    def of_row(self) -> Structure:
        if self.shape:  # what is in an array of bools is a matter of the path, and rows may differ in it
            raise TypeError(
                f"an array of bools, of shape {self.shape}, is not taken apart into the rows of a batch: pass numbers, "
                "mask.astype(float), and write mask > 0 in the function; what all rows share is None in in_axes, or no "
                "argument at all"
            )
        return self

    def of_numbers(self) -> Structure:
        return self


class Listed(NamedTuple):
    """A list or a tuple, named ones included."""

    kind: type
    parts: tuple[Structure, ...]

    def build(self, leaf: Leaf, static: Keep) -> Any:
        parts = [part.build(leaf, static) for part in self.parts]
        if hasattr(self.kind, "_make"):
            return self.kind._make(parts)
        return parts if issubclass(self.kind, list) else tuple(parts)

    def of_row(self) -> Structure:
        return Listed(self.kind, tuple([part.of_row() for part in self.parts]))

    def of_numbers(self) -> Structure:
        return Listed(self.kind, tuple([part.of_numbers() for part in self.parts]))

    def __str__(self) -> str:
        return f"a {self.kind.__name__} of {len(self.parts)}"


class Named(NamedTuple):
    """A dict."""

    keys: tuple[Any, ...]
    parts: tuple[Structure, ...]
    told: tuple[Static, ...] = ()
    """The keys that are no strings, of which 1, 1.0 and True are equal."""

    def build(self, leaf: Leaf, static: Keep) -> Any:
        return dict(zip(self.keys, [part.build(leaf, static) for part in self.parts], strict=True))

    def of_row(self) -> Structure:
        return self._replace(parts=tuple([part.of_row() for part in self.parts]))

    def of_numbers(self) -> Structure:
        return self._replace(parts=tuple([part.of_numbers() for part in self.parts]))

    def __str__(self) -> str:
        return f"a dict of {len(self.parts)}"


Structure: TypeAlias = Numbers | Static | Mask | Listed | Named
NUMBER = Numbers(())


class Collected(list[Any]):
    """The numbers of arguments, as floats and flat float64 arrays, and which of them were integers."""

    def __init__(self) -> None:
        super().__init__()
        self.integers: set[int] = set()

    def add_integers(self, number: Any) -> None:
        self.integers.add(len(self))
        self.append(number)

    def places_of_integers(self) -> tuple[int, ...]:
        found: list[int] = []
        position = 0
        for k, part in enumerate(self):
            size = 1 if isinstance(part, float) else part.size
            if k in self.integers:
                found.extend(range(position, position + size))
            position += size
        return tuple(found)


class HoldsValues(Exception):  # noqa: N818 - a signal, no error
    """The arguments hold Values: the function runs as it is."""


# --- from arguments and results


def _refuse_inexact(integer: Any) -> None:
    """Beyond 2**53 an integer may be no float: rounded, it would be another number without a word."""
    if float(integer) != int(integer):
        raise ValueError(
            f"a compiled function takes floats, and {integer!r} is none: pass float(x) if the nearest will do, or name "
            "the argument in static_argnums"
        )


def _refuse_inexact_entries(array: NDArray[Any]) -> None:
    if array.dtype == object:
        large = [entry for entry in array.flat if isinstance(entry, int)]
    elif array.dtype.itemsize < 8:
        return
    else:
        large = array[(array > 2**53) | (array < (0 if array.dtype.kind == "u" else -(2**53)))].tolist()
    for entry in large:
        _refuse_inexact(entry)


def of_argument(argument: Any, numbers: Collected) -> Structure:
    """The structure of an argument; its numbers are collected."""
    if isinstance(argument, (bool, np.bool_)):
        return Static(type(argument), argument)
    if isinstance(argument, _REAL):
        if not isinstance(argument, float) and isinstance(argument, (int, np.integer)):
            _refuse_inexact(argument)
            numbers.add_integers(float(argument))
            if isinstance(argument, np.integer) and (kind := _kind_of(argument.dtype)) is not None:
                return Numbers(ArrayShape((), kind))
        else:
            numbers.append(float(argument))
        return NUMBER
    if isinstance(argument, Value):
        raise HoldsValues
    if isinstance(argument, (list, tuple)):
        return Listed(type(argument), tuple([of_argument(part, numbers) for part in argument]))
    if isinstance(argument, dict):
        told = tuple([Static.of(key) for key in argument if type(key) is not str])
        return Named(tuple(argument), tuple([of_argument(part, numbers) for part in argument.values()]), told)
    if isinstance(argument, np.ndarray) or (hasattr(argument, "__array__") and not isinstance(argument, type)):
        return _of_array(argument, numbers)
    if isinstance(argument, complex):
        raise TypeError(f"a compiled function takes real numbers, not {argument!r}")
    try:
        hash(argument)
    except TypeError:
        raise TypeError(
            "a compiled function takes numbers, arrays, lists, tuples and dicts of them, and hashable objects that are "
            f"passed on as they are; not {type(argument).__name__}"
        ) from None
    return Static.of(argument)


def is_foreign(thing: Any) -> bool:
    """Whether something that gives an array is none of NumPy's kind itself, as a data frame or a matrix."""
    if isinstance(thing, (np.ndarray, complexes.Complex)):
        return isinstance(thing, np.matrix)
    return hasattr(thing, "__array__") and not isinstance(thing, type) and not hasattr(thing, "__array_namespace__")


def _of_array(argument: Any, numbers: Collected) -> Structure:
    if is_foreign(argument):
        raise TypeError(
            f"a compiled function computes with arrays of NumPy, and {type(argument).__name__} has other rules (what * "
            "and std() are, which entries belong together): pass numpy.asarray(x)"
        )
    array = np.asarray(argument)
    if array.dtype == object and any(isinstance(entry, Value) for entry in array.flat):
        raise HoldsValues
    if array.dtype.kind == "b":
        return Mask(array.shape, array.tobytes())
    are_real = array.dtype != object or all(isinstance(entry, _REAL) for entry in array.flat)
    if array.dtype.kind not in "fiuO" or not are_real:
        raise TypeError(f"a compiled function takes arrays of real numbers, not of {array.dtype}")
    if array.dtype.kind in "iuO":
        _refuse_inexact_entries(array)
    if type(argument) is not np.ndarray:
        tables.refuse_masks(argument, "an argument of a compiled function")
    add = numbers.add_integers if array.dtype.kind in "iu" else numbers.append
    kind = _kind_of(array.dtype)
    array = array.astype(np.float64, copy=False)
    add(array.reshape(-1) if array.ndim else float(array))
    is_plain = array.ndim and kind is None
    return Numbers(array.shape if is_plain else ArrayShape(array.shape, kind))


def static_of(argument: Any) -> Structure:
    """The structure of an argument that is named static, which has to be a key."""
    try:
        hash(argument)
    except TypeError:
        raise TypeError(f"a static argument has to be hashable, and {type(argument).__name__} is not") from None
    return Static.of(argument)


def of_result(result: Any, outputs: list[Any]) -> Structure:
    """The structure of what a traced function returned; its Values are appended to a list, all else is constant."""
    if isinstance(result, Value):
        outputs.append(result)
        return NUMBER
    if isinstance(result, (list, tuple)):
        return Listed(type(result), tuple([of_result(part, outputs) for part in result]))
    if isinstance(result, dict):
        return Named(tuple(result), tuple([of_result(part, outputs) for part in result.values()]))
    if isinstance(result, complexes.Complex):
        if (constant := complexes.plain(result)) is None:
            raise TypeError(
                "a compiled function returns real numbers, and this one returned complex ones: return z.real and "
                "z.imag, numpy.abs(z) or numpy.angle(z)"
            )
        return of_result(constant if constant.ndim else complex(constant), outputs)
    if isinstance(result, np.ndarray):
        entries = result.view(np.ndarray)
        if entries.dtype == object and any(isinstance(entry, Value) for entry in entries.flat):
            outputs.extend(entries.flat)
            return Numbers(result.shape)
        return Static(np.ndarray, entries.astype(result.dtype))
    if result is None or isinstance(result, (float, int, complex, str, bytes, np.generic)):
        return Static(type(result), result)
    raise TypeError(
        f"a compiled function returns numbers, arrays, and lists, tuples and dicts of them, not {type(result).__name__}"
    )


# --- leaves and constants to build from


def take(block: Callable[[slice, Shape], T], start: int = 0) -> Callable[[Shape], T]:
    """A leaf function that gives `block` consecutive slices."""
    position = start

    def leaf(shape: Shape) -> T:
        nonlocal position
        begin, position = position, position + math.prod(shape)
        return block(slice(begin, position), shape)

    return leaf


def plain(array: Any) -> Any:
    """A float in place of an array without dimensions."""
    return array if array.ndim else float(array)


def copied(constant: Any) -> Any:
    """A constant as a caller may have it: an array, in a copy."""
    return constant.copy() if type(constant).__module__ == "numpy" and hasattr(constant, "flags") else constant


def nothing(_: Any) -> None:
    """None, in place of whatever it is."""
    return


# --- questions


def width_of(columns: Columns) -> int:
    """How many they are."""
    return sum(columns[1::2]) - sum(columns[::2])


def shapes_of(structure: Structure) -> list[Shape]:
    """The shapes of the numbers and arrays of a structure."""
    shapes: list[Shape] = []
    structure.build(lambda shape: shapes.append(tuple(shape)), nothing)
    return shapes


def size_of(structure: Structure) -> int:
    """How many numbers it has."""
    return sum(map(math.prod, shapes_of(structure)))


def holds(structures: Sequence[Structure], kind: type | tuple[type, ...]) -> bool:
    """Whether a constant of that type, or one of several, is in one of them."""
    parts: list[Any] = []
    for structure in structures:
        structure.build(nothing, parts.append)
    return any(isinstance(part, kind) for part in parts)


def common(structures: Sequence[Structure]) -> Structure:
    """The structure of numbers that the results of the rows of a batch have in common."""
    first = structures[0].of_numbers()
    for structure in structures[1:]:
        if structure.of_numbers() != first:
            raise ValueError(
                f"rows of a batch return one structure, and here some return {structures[0]}, others {structure}"
            )
    return first


def places(structure: Structure) -> Indices:
    """The places of what a path computes, among all numbers of its result, constants included."""
    found: list[Indices] = []
    position = 0

    def leaf(shape: Shape, computed: bool = True) -> None:
        nonlocal position
        begin, position = position, position + math.prod(shape)
        if computed:
            found.append(np.arange(begin, position))

    structure.build(leaf, lambda constant: leaf(np.shape(constant), False))
    return np.concatenate(found) if found else np.arange(0)
