"""Copies of an author's methods that see another class under the class's own name.

While a class is being judged its name is not bound yet, and its methods must run both in a copy of the class and in the
engine's. A copied function shares its code with the author's, has globals of its own, and so can touch nothing of the
program.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from types import CellType, FunctionType

from kilograd import reading
from kilograd.run.source import defined_below

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["cell_of", "functions_of", "helper_named", "map_functions", "parts_of", "rebinder", "retarget_cells"]


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


def cell_of(function: FunctionType, name: str) -> Any:
    """What a variable of an enclosing function holds that `function` uses; None where it has no value yet."""
    try:
        return (function.__closure__ or ())[function.__code__.co_freevars.index(name)].cell_contents
    except ValueError:
        return None


def helper_named(function: FunctionType, name: str) -> FunctionType | None:
    """The function that `name` means in `function`, where it is one of an enclosing function or of the module."""
    variables = function.__globals__
    if name in function.__code__.co_freevars:
        found = cell_of(function, name)
    elif name in variables or hasattr(builtins, name):
        found = variables.get(name)
    else:
        found = defined_below(function, name)
    return found if isinstance(found, FunctionType) else None


def parts_of(function: FunctionType) -> list[FunctionType]:
    """A function, and the functions outside of it that it may call by their names, and those that they call."""
    found, waiting = [function], [function]
    while waiting:
        part = waiting.pop()
        helpers = {name: helper_named(part, name) for name in reading.names(part.__code__)}
        if not any(helpers.values()):
            continue
        for name in reading.outside_names(part.__code__) & set(helpers):
            helper = helpers[name]
            if helper is not None and helper not in found:
                found.append(helper)
                waiting.append(helper)
    return found


def rebinder(name: str, target: type) -> Callable[[FunctionType], FunctionType]:
    """A function that copies functions, and those that they call, so that `name`, global or enclosed, is `target`."""
    modules: dict[int, dict[str, Any]] = {}
    copies: dict[FunctionType, FunctionType] = {}

    def rebind(function: FunctionType) -> FunctionType:
        if function in copies:
            return copies[function]
        variables = modules.get(id(function.__globals__))
        if variables is None:
            variables = modules[id(function.__globals__)] = {**function.__globals__, name: target}
        cells = tuple(
            CellType(target) if free in (name, "__class__") else CellType() if helper_named(function, free) else cell
            for free, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        )
        copy = FunctionType(function.__code__, variables, function.__name__, function.__defaults__, cells)
        copies[function] = copy
        copy.__kwdefaults__ = function.__kwdefaults__
        copy.__qualname__ = function.__qualname__
        for free, cell in zip(function.__code__.co_freevars, cells, strict=True):
            helper = helper_named(function, free)
            if helper is not None and free not in (name, "__class__"):
                cell.cell_contents = rebind(helper)
        for other in reading.names(function.__code__).difference(function.__code__.co_freevars):
            helper = helper_named(function, other)
            if helper is not None and variables.get(other) is function.__globals__.get(other):
                variables[other] = rebind(helper)
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
