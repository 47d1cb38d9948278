"""Copies of an author's methods that see another class under the class's own name.

While a class is being judged its name is not bound yet, and its methods must run both in a copy of the class and in the
engine's. A copied function shares its code with the author's, has globals of its own, and so can touch nothing of the
program.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CellType, FunctionType
from typing import Any

__all__ = ["functions_of", "map_functions", "rebinder", "retarget_cells"]


def map_functions(attribute: Any, change: Callable[[FunctionType], FunctionType]) -> Any:
    """A class attribute with the functions inside it changed: methods, properties, static and class methods."""
    if isinstance(attribute, FunctionType):
        return change(attribute)
    if isinstance(attribute, staticmethod | classmethod) and isinstance(attribute.__func__, FunctionType):
        return type(attribute)(change(attribute.__func__))
    if type(attribute) is property:
        get, put, delete = (  # the parts of a property have three types, and a copy has that of its original
            change(part) if isinstance(part, FunctionType) else part
            for part in (attribute.fget, attribute.fset, attribute.fdel)
        )
        return property(get, put, delete, attribute.__doc__)  # type: ignore[arg-type]
    return attribute


def functions_of(attribute: Any) -> list[FunctionType]:
    """The functions inside a class attribute."""
    found: list[FunctionType] = []

    def note(function: FunctionType) -> FunctionType:
        found.append(function)
        return function

    map_functions(attribute, note)
    return found


def rebinder(name: str, target: type) -> Callable[[FunctionType], FunctionType]:
    """A function that copies functions so that `name`, global or enclosed, means `target`."""
    copies: dict[int, dict[str, Any]] = {}

    def rebind(function: FunctionType) -> FunctionType:
        variables = copies.get(id(function.__globals__))
        if variables is None:
            variables = copies[id(function.__globals__)] = {**function.__globals__, name: target}
        cells = tuple(
            CellType(target) if free in (name, "__class__") else cell
            for free, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        )
        copy = FunctionType(function.__code__, variables, function.__name__, function.__defaults__, cells)
        copy.__kwdefaults__ = function.__kwdefaults__
        copy.__qualname__ = function.__qualname__
        return copy

    return rebind


def retarget_cells(function: FunctionType, old: type, new: type) -> None:
    """Let zero-argument ``super()`` and ``__class__`` in an author's method mean the class that is served."""
    for free, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if free != "__class__":
            continue
        try:
            if cell.cell_contents is old:
                cell.cell_contents = new
        except ValueError:
            continue
