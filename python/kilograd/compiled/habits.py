"""Whether a function does with Values what it does with numbers: what is recorded has to be what the function means.

Tracing shows every operation, comparison and read of a number. It cannot show what Python lets a function ask of the
object itself: its type, its attributes, whether a comparison gave the very object True, which error an operation
raises. So the function is read. One that asks what a number is runs with Values and with numbers at each call, and the
results are compared: what an answer changes need not show at the numbers of one call. One that does what seldom makes a
difference is compared where a path is recorded. Most functions do neither, and run once for each path.
"""

from __future__ import annotations

import dis
import functools
import types
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from kilograd import reading

__all__ = ["Habits", "habits", "places_of"]

_ASKING = frozenset({"type", "issubclass", "hasattr"})
_ASKING_ATTRIBUTES = frozenset({"__class__", "tobytes", "tostring", "dumps", "view", "ctypes"})
# The text of a Value in a trace is its number's; NumPy lays out the text of an array of objects in another way.
_DOUBTFUL = frozenset({"getattr", "callable", "str", "repr", "ascii", "format"})
_TEXTS = frozenset({"FORMAT_VALUE", "FORMAT_SIMPLE", "FORMAT_WITH_SPEC", "CONVERT_VALUE"})
# Of these a Value in a trace is what a number is, unless NumPy made a Python number of it; an array is always one.
_NUMBERS = frozenset({"float", "int", "bool", "complex", "Real", "Number"})
_CONTAINERS = frozenset({"ndarray", "list", "tuple", "dict", "str", "set"})
# What shows whether a bool is Python's or NumPy's, or keeps it until something may: a test or a call does not. The
# jumps are those of chained comparisons, and of `and` and `or`, whose value is used.
_OF_BOOLS = (
    *("STORE_", "RETURN_VALUE", "YIELD_VALUE", "BINARY_", "INPLACE_", "BUILD_", "LIST_APPEND", "COPY", "DUP_TOP"),
    *("JUMP_FORWARD", "JUMP_IF_FALSE_OR_POP", "JUMP_IF_TRUE_OR_POP"),
)
_HANDLERS = frozenset({"CHECK_EXC_MATCH", "JUMP_IF_NOT_EXC_MATCH", "POP_EXCEPT"})
_ATOMS = (int, float, complex, str, bytes, type(None))
_PARTS = 100  # how much of a container is looked into: functions are kept in short ones
_LIMIT = 10_000  # how many objects are looked at


class Habits(NamedTuple):
    """What a function, or one that it can reach, may do besides computing."""

    asks: bool
    """It asks what a number is."""
    doubtful: bool
    """It may see a difference between Values and numbers in another way, such as ``(x > 0) is True``."""
    handles: bool
    """It handles errors."""
    scans: bool = False
    """It calls `kilograd.scan`."""


def habits(function: Callable[..., Any]) -> Habits:
    """Read a function and all that it can reach."""
    found = Habits(False, False, False)
    for thing in _reached(function):
        if thing is None:
            return Habits(found.asks, True, True)
        if isinstance(thing, types.CodeType):
            found = Habits(*map(max, found, _read(thing)))
        elif getattr(thing, "__module__", None) == "kilograd.compiled.loops" and thing.__name__ == "scan":
            found = found._replace(scans=True)
    return found


def places_of(function: Callable[..., Any]) -> Iterator[tuple[Any, Any, Any]]:
    """Where a function finds what it can reach: a container, a key or the name of an attribute there, and the thing."""
    for thing in _reached(function):
        if isinstance(thing, types.FunctionType):
            if _is_own(thing.__module__):
                continue
            space = thing.__globals__
            names = _names_of(thing.__code__)
            yield from ((space, name, space[name]) for name in names if name in space)
            for module in [space.get(name) for name in names]:
                if isinstance(module, types.ModuleType) and not _is_own(module.__name__):
                    yield from ((vars(module), name, vars(module)[name]) for name in names if name in vars(module))
            cells = zip(thing.__code__.co_freevars, thing.__closure__ or (), strict=True)
            yield from ((cell, "cell_contents", reading.cells(thing).get(name)) for name, cell in cells)
            yield thing, "__defaults__", thing.__defaults__
            yield from ((thing.__kwdefaults__, *item) for item in (thing.__kwdefaults__ or {}).items())
        elif isinstance(thing, (list, dict)):
            items = thing.items() if isinstance(thing, dict) else enumerate(thing)
            yield from ((thing, *item) for item in list(islice(items, _PARTS)))
        elif isinstance(thing, type):
            if not _is_own(thing.__module__):
                yield from ((thing, *item) for item in list(vars(thing).items()))
        elif not isinstance(thing, types.ModuleType) and not _is_own(type(thing).__module__):
            space = getattr(thing, "__dict__", {})
            yield from ((space, *item) for item in list(islice(space.items(), _PARTS)))


def _reached(function: Callable[..., Any]) -> Iterator[Any]:
    """Whatever a function can reach; None at the end where that is too much."""
    seen: set[int] = set()
    kept: list[Any] = []
    stack: list[Any] = [function]
    while stack:
        thing = stack.pop()
        if isinstance(thing, _ATOMS) or id(thing) in seen:
            continue
        if len(kept) == _LIMIT:
            yield None
            return
        seen.add(id(thing))
        kept.append(thing)  # so that no id comes twice
        yield thing
        stack += _parts(thing)


@functools.lru_cache(maxsize=1024)
def _names_of(code: types.CodeType) -> frozenset[str]:
    """The names of globals and attributes in code, and in that of functions inside."""
    return frozenset([name for part in reading.code_objects(code) for name in part.co_names])


def _parts(thing: Any) -> Iterator[Any]:
    """What can be reached from an object: code, and what holds code."""
    if isinstance(thing, types.FunctionType):
        if _is_own(thing.__module__):
            return
        names = _names_of(thing.__code__)
        yield from reading.code_objects(thing.__code__)
        yield from (thing.__globals__[name] for name in names if name in thing.__globals__)
        yield from (*reading.cells(thing).values(), *reading.defaults(thing))
        for module in [thing.__globals__.get(name) for name in names]:
            if isinstance(module, types.ModuleType):
                if module.__name__ == "kilograd":  # whose names are imported when they are asked for
                    yield from (getattr(module, name) for name in names if name in module.__all__)
                yield from (vars(module)[name] for name in names if name in vars(module))
    elif isinstance(thing, types.MethodType):
        yield from (thing.__func__, thing.__self__)
    elif isinstance(thing, (staticmethod, classmethod)):
        yield thing.__func__
    elif isinstance(thing, property):
        yield thing.fget
    elif isinstance(thing, functools.partial):
        yield from (thing.func, *thing.args, *thing.keywords.values())
    elif isinstance(thing, (list, tuple, set, frozenset)):
        yield from list(thing)[:_PARTS]
    elif isinstance(thing, dict):
        yield from list(thing.values())[:_PARTS]
    elif isinstance(thing, type):
        if not _is_own(thing.__module__):
            yield from vars(thing).values()
    elif not isinstance(thing, (types.ModuleType, types.CodeType)) and not _is_own(type(thing).__module__):
        yield from type(thing).__mro__
        yield from list(getattr(thing, "__dict__", {}).values())[:_PARTS]
    elif hasattr(thing, "_function"):  # a compiled function
        yield thing._function


def _is_own(module: Any) -> bool:
    """Whether code is kilograd's, or that of libraries which compute with objects as they do with numbers."""
    return isinstance(module, str) and module.partition(".")[0] in ("kilograd", "builtins", "numpy", "scipy")


def _read(code: types.CodeType) -> Habits:
    asks = doubtful = handles = False
    instructions = reading.instructions(code)
    for i, instruction in enumerate(instructions):
        name, argument = instruction.opname, instruction.argval
        before = instructions[i - 1] if i else instruction
        if name in ("LOAD_GLOBAL", "LOAD_NAME"):
            asks |= argument in _ASKING
            doubtful |= argument in _DOUBTFUL
            if argument == "isinstance":
                classes = _classes(instructions[i + 1 :])
                asks |= not classes or not classes <= _NUMBERS | _CONTAINERS
                doubtful |= not classes <= _CONTAINERS
        elif name in ("LOAD_ATTR", "LOAD_METHOD"):
            asks |= argument in _ASKING_ATTRIBUTES
        elif name in _TEXTS:
            doubtful = True
        elif name == "IS_OP":
            constant = before.opname == "LOAD_CONST"
            asks |= constant and isinstance(before.argval, bool)
            doubtful |= not (constant and before.argval is None)
        asks |= name == "MATCH_CLASS"
        doubtful |= name == "UNARY_INVERT" or (before.opname == "COMPARE_OP" and name.startswith(_OF_BOOLS))
        asks |= name == "COMPARE_OP" and _is_added(code, instruction.offset)
        handles |= name in _HANDLERS
    return Habits(asks, doubtful or handles, handles)


def _is_added(code: types.CodeType, offset: int) -> bool:
    """Whether the result of the comparison at an offset is a term of a sum: of Python's bools that is an integer."""
    height = 0  # of the stack above the result
    for instruction in dis.get_instructions(code):
        if instruction.offset <= offset:
            continue
        if instruction.opname == "JUMP_FORWARD":  # behind the first of two alternatives
            offset = instruction.argval - 1
            continue
        if instruction.opname.startswith(("BINARY_", "INPLACE_")) and height <= 1:
            operator = instruction.opname + instruction.argrepr  # until 3.10 in the name
            return any(sign in operator for sign in ("+", "-", "ADD", "SUBTRACT"))
        height += dis.stack_effect(instruction.opcode, instruction.arg, jump=False)
        if height < 0 and not instruction.opname.endswith(("OR_POP", "POP_TOP")):  # these go on to another operand
            return False
    return False


def _classes(rest: list[dis.Instruction]) -> set[str]:
    """The names of the classes for which the call of isinstance() that begins here asks; empty where it is unclear."""
    for k, instruction in enumerate(rest):
        if instruction.opname in ("CALL", "CALL_FUNCTION") and k > 0:
            last = rest[k - 1]
            if last.opname == "BUILD_TUPLE":
                found = [i for i in rest[: k - 1] if i.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_ATTR")]
                return {i.argval for i in found[-last.argval :]} if last.argval else set()
            return {last.argval} if last.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_ATTR") else set()
    return set()
