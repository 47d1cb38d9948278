"""All that a function depends on besides its arguments: what a record of it takes for granted."""

from __future__ import annotations

import builtins
import dis
from collections.abc import Callable
from functools import partial
from types import (
    BuiltinFunctionType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

import numpy as np

from kilograd import _core, reading
from kilograd._core import Value
from kilograd.harmless import ON_CONTAINERS, ON_NUMBERS, ON_OBJECTS, SAFE_MODULES, UNSAFE_ATTRIBUTES

__all__ = ["Surroundings", "UnrecordableError"]


class UnrecordableError(Exception):
    """Why something is not recorded."""


_ATOMS = frozenset({int, float, bool, complex, str, bytes, type(None), type(...), range, slice})
# Losses that refuse some numbers, of which a trace sees the first alone.
_RANGED = frozenset(name for name, *ranges in _core.losses() if any(ranges))
_REFUSED_ATTRIBUTES = (
    UNSAFE_ATTRIBUTES | _RANGED | {"live_nodes", "reserved_bytes", "format", "__repr__", "__str__", "__format__"}
)
# No texts, hashes and addresses: of a Value these see a number, or the object, without a trace that notes it.
_ALLOWED_BUILTINS = (
    (ON_NUMBERS | ON_CONTAINERS | ON_OBJECTS) - {"callable", "hash", "id"}
    | {"bytes", "slice", "object", "property", "staticmethod", "classmethod"}
    | {"None", "True", "False", "Ellipsis", "NotImplemented"}
)
_FORMATS = frozenset({"FORMAT_VALUE", "FORMAT_SIMPLE", "FORMAT_WITH_SPEC", "CONVERT_VALUE"})
_ACTS = frozenset(
    {"STORE_GLOBAL", "DELETE_GLOBAL", "STORE_NAME", "STORE_ATTR", "DELETE_ATTR", "IMPORT_STAR", "LOAD_BUILD_CLASS"}
)
_UNUSED_METHODS = frozenset({"__init__", "__new__", "__repr__", "__str__", "__init_subclass__", "__class_getitem__"})
_BY_ENGINE = frozenset({"activate", "weighted_sum", "activation"})  # what the layers of kilograd.nn call
_LARGE = 1 << 20


class Surroundings:
    """All that functions can read besides their arguments.

    Functions are read as bytecode, with the globals, cells, defaults and attributes that they mention; containers and
    instances of ordinary classes entry by entry. The data of Values is left out: a program reads it anew.

    Raises
    ------
    UnrecordableError
        If there is something that may have a state or an effect: an iterator, a generator of random numbers, a file, a
        module other than of mathematics, an assignment to an attribute.
    """

    def __init__(self, *functions: Callable[..., Any]) -> None:
        from kilograd.micrograd.engine import Value as MicrogradValue

        self._functions = functions
        self._values = (Value, MicrogradValue)
        self._seen: dict[int, Any] = {}
        self._kept: list[Any] = []  # with what was seen: everything whose id is noted, so that no id comes twice
        self._print: list[Any] = []
        self._names: set[str] = set(_BY_ENGINE)
        self._methods: list[tuple[str, Any]] = []  # of classes, looked at once something mentions them
        self._stack: list[Any] = [*functions]
        for kind in self._values:
            self._class(kind)  # for methods that somebody has patched onto it
        while self._stack or self._mentioned():
            self._visit(self._stack.pop())

    def last(self) -> bool:
        """Whether nothing of it has changed since."""
        try:
            return Surroundings(*self._functions)._print == self._print
        except UnrecordableError:
            return False

    def _mentioned(self) -> bool:
        found = [method for name, method in self._methods if name in self._names]
        self._methods = [(name, method) for name, method in self._methods if name not in self._names]
        self._stack += found
        return bool(found)

    def _push(self, *parts: Any) -> None:
        """Note what is held now, and look into it later."""
        self._print.append(tuple(map(id, parts)))
        self._stack += parts

    def _visit(self, thing: Any) -> None:
        kind = type(thing)
        if kind in self._values:
            if id(thing) not in self._seen and thing._children:
                raise UnrecordableError("it uses a Value that was computed before, which would not follow its operands")
            self._seen[id(thing)] = thing
            return
        if id(thing) in self._seen:
            return
        self._seen[id(thing)] = thing
        if kind in _ATOMS or isinstance(thing, (np.number, np.bool_, np.ufunc)):
            return
        if kind in (list, tuple, set, frozenset):
            self._push(*thing)
        elif kind is dict:
            self._push(*thing.keys(), *thing.values())
        elif kind is np.ndarray:
            self._array(thing)
        elif kind is FunctionType:
            self._function(thing)
        elif kind is MethodType:
            self._push(thing.__self__, thing.__func__)
        elif kind in (staticmethod, classmethod):
            self._push(thing.__func__)
        elif kind is property:
            self._push(thing.fget)
        elif kind is partial:
            self._push(thing.func, *thing.args, *thing.keywords.values())
        elif kind is ModuleType:
            if not _is_safe_module(thing.__name__):
                raise UnrecordableError(f"it uses the module {thing.__name__}")
        elif kind is BuiltinFunctionType:
            owner = thing.__self__
            if owner is _core:
                self._refuse_ranged(thing)
            if not (isinstance(owner, ModuleType) and _is_safe_module(owner.__name__)) or (
                owner is builtins and thing.__name__ not in _ALLOWED_BUILTINS
            ):
                raise UnrecordableError(f"it calls {thing.__name__}()")
        elif isinstance(thing, type):
            if thing is str or not (_is_safe_module(thing.__module__) or issubclass(thing, BaseException)):
                raise UnrecordableError(f"it uses the class {thing.__name__}")
        elif kind not in (MethodDescriptorType, WrapperDescriptorType):
            self._instance(thing)

    def _array(self, array: Any) -> None:
        if array.dtype == object:
            self._push(*array.flat)
        elif array.nbytes <= _LARGE:
            self._print.append(array.tobytes())
        else:
            raise UnrecordableError("it reads a large array, which may change")

    def _instance(self, thing: Any) -> None:
        kind = type(thing)
        if not hasattr(thing, "__dict__"):
            raise UnrecordableError(f"it uses an object of type {kind.__name__}")
        for base in kind.__mro__:
            if base is object or id(base) in self._seen or (base.__module__, base.__name__) == _ABSENT:
                continue
            if any(_is_native(name, part) for name, part in vars(base).items()):
                raise UnrecordableError(f"it uses an object of type {kind.__name__}")
            if base.__module__.startswith("kilograd.") and base.__module__ not in _NETWORKS:
                raise UnrecordableError(f"it uses an object of type {kind.__name__}")
            self._class(base)
        self._push(*vars(thing).keys(), *vars(thing).values())

    def _class(self, kind: type) -> None:
        if id(kind) in self._seen:
            return
        self._seen[id(kind)] = kind
        for name, part in vars(kind).items():
            special = name.startswith("__") and name.endswith("__")
            if callable(part) or isinstance(part, (staticmethod, classmethod, property)):
                self._print.append((name, id(part)))
                self._kept.append(part)
                if kind in self._values and not isinstance(part, FunctionType):
                    continue
                if special and name not in _UNUSED_METHODS and isinstance(part, FunctionType):
                    self._stack.append(part)
                else:
                    self._methods.append((name, part))
            elif not special and kind not in self._values:
                self._push(part)

    def _function(self, function: FunctionType) -> None:
        own = function.__globals__.get("__name__")
        if isinstance(own, str) and own.startswith("kilograd."):
            self._refuse_ranged(function)
            return
        code = function.__code__
        self._print.append(id(code))
        self._kept.append(code)
        for name, found in reading.cells(function).items():
            if found is reading.EMPTY:
                raise UnrecordableError("it uses a variable that has no value yet")
            if name == "__class__":  # of super()
                self._class(found)
            else:
                self._push(found)
        self._push(*reading.defaults(function), *vars(function).values())
        for part in reading.code_objects(code):
            texts = [constant for constant in part.co_consts if isinstance(constant, str)]
            self._names.update(texts)  # getattr()
            if any("%" in text for text in texts):
                raise UnrecordableError("it may make a text with %")
            instructions = reading.instructions(part)
            for i, instruction in enumerate(instructions):
                if instruction.opname in _FORMATS and not _is_raised(instructions[i:]):
                    raise UnrecordableError("it makes a text")
                self._instruction(instruction, function)

    def _instruction(self, instruction: dis.Instruction, function: FunctionType) -> None:
        name, argument = instruction.opname, instruction.argval
        is_outer = argument in function.__code__.co_freevars
        if name in _ACTS or (name in ("STORE_DEREF", "DELETE_DEREF") and is_outer):
            raise UnrecordableError(f"it changes {argument}")
        if name in ("LOAD_GLOBAL", "LOAD_NAME"):
            self._global(argument, function.__globals__)
        elif name == "IMPORT_NAME":
            if not _is_safe_module(argument):
                raise UnrecordableError(f"it imports {argument}")
        elif name in ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "IMPORT_FROM"):
            if argument in _REFUSED_ATTRIBUTES:
                raise UnrecordableError(f"it uses {argument}")
            self._names.add(argument)

    def _refuse_ranged(self, function: Any) -> None:
        if function.__name__ in _RANGED and all(function is not root for root in self._functions):
            raise UnrecordableError(f"it uses {function.__name__}")

    def _global(self, name: str, namespace: dict[str, Any]) -> None:
        if name in namespace:
            self._push(namespace[name])
            return
        found = getattr(builtins, name, None)
        is_error = isinstance(found, type) and issubclass(found, BaseException)
        if name not in _ALLOWED_BUILTINS and not is_error:
            raise UnrecordableError(f"it uses {name}")


def _is_raised(instructions: list[dis.Instruction]) -> bool:
    """Whether what is made here is the message of an exception."""
    for instruction in instructions:
        if instruction.opname == "RAISE_VARARGS":
            return True
        if instruction.opname.startswith(("STORE", "RETURN", "POP", "JUMP", "COMPARE", "CONTAINS", "FOR_ITER", "IS_")):
            return False
    return False


_NETWORKS = frozenset({"kilograd.nn", "kilograd.micrograd.nn"})
_ABSENT = "kilograd._core", "Absent"  # what says in errors what to write, and computes nothing


def _is_safe_module(name: str) -> bool:
    return name.partition(".")[0] in SAFE_MODULES | {"builtins", "_operator", "kilograd"} and "random" not in name


def _is_native(name: str, part: object) -> bool:
    """Whether an attribute of a class is C's, or a slot: the class is not an ordinary one of Python's."""
    if isinstance(part, GetSetDescriptorType):
        return name not in ("__dict__", "__weakref__")
    return isinstance(part, (MemberDescriptorType, MethodDescriptorType, WrapperDescriptorType, BuiltinFunctionType))
