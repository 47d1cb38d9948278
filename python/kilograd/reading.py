"""Reading a function before anybody runs it: its code, what that mentions, and what the function holds.

Who reads: `compile`, for what a function may ask of a number; `fit`, for all that a loss depends on; `kilograd run`,
for what a method is made of. Each draws its own conclusions, and in doubt refuses.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator
from functools import cache
from types import CodeType, FunctionType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "EMPTY",
    "cells",
    "code_objects",
    "constants",
    "defaults",
    "instructions",
    "names",
    "nested_names",
    "outside_names",
    "own_attributes",
    "stored_attributes",
]

EMPTY: Any = object()
"""In place of a variable of an enclosing function that has no value yet."""


def code_objects(code: CodeType) -> Iterator[CodeType]:
    """`code` and the functions nested in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from code_objects(constant)


def instructions(code: CodeType) -> list[dis.Instruction]:
    """What `code` does, without the instructions that only help the interpreter."""
    return [instruction for instruction in dis.get_instructions(code) if instruction.opname not in ("PRECALL", "CACHE")]


@cache
def names(code: CodeType) -> frozenset[str]:
    """Every global, attribute and variable name that `code` and its nested functions mention."""
    found: set[str] = set()
    for part in code_objects(code):
        found.update(part.co_names, part.co_varnames, part.co_freevars)
    return frozenset(found)


def nested_names(code: CodeType) -> frozenset[str]:
    """Those that its nested functions mention."""
    return frozenset().union(*(names(part) for part in code.co_consts if isinstance(part, CodeType)))


def outside_names(code: CodeType) -> set[str]:
    """The names that `code` and its nested functions look up outside of themselves."""
    return {
        str(instruction.argval)
        for part in code_objects(code)
        for instruction in instructions(part)
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_CLASSDEREF")
    }


def stored_attributes(code: CodeType) -> set[str]:
    """The attributes that `code` and its nested functions set on whatever it is."""
    return {
        str(instruction.argval)
        for part in code_objects(code)
        for instruction in instructions(part)
        if instruction.opname == "STORE_ATTR"
    }


def constants(code: CodeType) -> set[float]:
    """The numbers written in `code`: where it may branch."""
    found: set[float] = set()
    for part in code_objects(code):
        for constant in part.co_consts:
            if isinstance(constant, int | float) and not isinstance(constant, bool):
                found.add(float(constant))
            if isinstance(constant, tuple | frozenset):
                found.update(float(item) for item in constant if type(item) in (int, float))
    return found


def own_attributes(constructor: FunctionType) -> set[str]:
    """The attributes that a constructor sets on ``self``, and on nothing else."""
    code = constructor.__code__
    if code.co_argcount == 0:
        return set()
    this, found, loaded = code.co_varnames[0], set(), None
    for instruction in instructions(code):
        if instruction.opname == "STORE_ATTR" and loaded == this:
            found.add(str(instruction.argval))
        if instruction.opname.startswith("LOAD_FAST"):
            value = instruction.argval
            loaded = value[-1] if isinstance(value, tuple) else value
        else:
            loaded = None
    return found


def cells(function: FunctionType) -> dict[str, Any]:
    """The variables of enclosing functions that a function uses, with what they hold, or `EMPTY`."""
    found: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            found[name] = EMPTY
    return found


def defaults(function: FunctionType) -> list[Any]:
    """What its parameters are where nothing is passed."""
    return [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
