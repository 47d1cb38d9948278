"""The loss of a sample as a `Program`, where running that is the same as running the Python that it was recorded from.

A record is the truth about a function as long as the function does nothing but compute: no branch on values, no random
numbers, no counting, printing or remembering. Two things are looked at. Running it with Values for the numbers of a
sample shows what it does with these (`kilograd.compile` does the same). Reading it, with all that it can reach, shows
what else it depends on (`Surroundings`). In doubt nothing is recorded.
"""

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
from typing import TYPE_CHECKING, Any

from kilograd import _core
from kilograd._core import Value
from kilograd.harmless import SAFE_BUILTINS, SAFE_MODULES, UNSAFE_ATTRIBUTES, code_objects
from kilograd.modes import no_grad
from kilograd.program import Program
from kilograd.tables import Rows

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

__all__ = ["Recorded", "Surroundings", "UnrecordableError", "builds_graphs", "without_notes"]

Function = Callable[..., Any]

_CHECKED_ROWS = 16
_TOLERANCE = 1e-9


class UnrecordableError(Exception):
    """Why something is not recorded."""


def without_notes(function: Function) -> Function:
    """Wrap a function whose checks of its arguments are known to pass: a trace does not note them."""

    def run(*arguments: Any) -> Any:
        notes = _core._trace_into(None)
        if notes is None:
            return function(*arguments)
        _core._trace_into([])
        try:
            return function(*arguments)
        finally:
            _core._trace_into(notes)

    return run


class Recorded:
    """A function of the rows of a data set, as a program.

    Parameters
    ----------
    surroundings : Surroundings
        Of all that runs when `function` does.
    function : callable
        From a sample and a target, or from a sample alone, to a Value or a list of Values.
    columns : Rows
        The samples, and the targets.

    Raises
    ------
    UnrecordableError
        If the program might not be the same as the function.
    """

    def __init__(self, surroundings: Surroundings, function: Function, *columns: Rows) -> None:
        import numpy as np

        self._surroundings = surroundings
        self._kinds = [_Rows(column[0]) for column in columns]
        first = [column[0] for column in columns]
        self.program = self._record(function, first)
        right, where = self._computed(function, columns)
        tried = [Rows([column[i] for i in where]) for column in columns]  # as the function has left them
        found = self.program(self.rows(*tried), check=False)
        if not surroundings.last():
            raise UnrecordableError("something that it reads changes when it runs")
        if not np.allclose(found, right, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True):
            raise UnrecordableError("it computes something else with Values than with numbers")

    def _computed(self, function: Function, columns: tuple[Rows, ...]) -> tuple[NDArray[float64], list[int]]:
        """What the function gives for some rows, and which: none of those that it refuses, as a program does."""
        results, where = [], []
        refused: Exception | None = None
        for i in range(0, len(columns[0]), -(-len(columns[0]) // _CHECKED_ROWS)):
            try:
                with no_grad():
                    results.append(_data([function(*(column[i] for column in columns))]))
                where.append(i)
            except (ValueError, ArithmeticError) as error:
                refused = error
            except Exception as error:
                raise UnrecordableError(f"it raises {type(error).__name__}: {error}") from error
        if not results:
            raise UnrecordableError(f"it raises {type(refused).__name__}: {refused}")
        return _concatenated(results), where

    def _record(self, function: Function, row: list[Any]) -> Program:
        leaves: list[Value] = []
        notes: list[Any] = []
        arguments = [_with_leaves(part, leaves) for part in row]
        before = _core._trace_into(notes)
        try:
            output = function(*arguments)
        except Exception as error:
            raise UnrecordableError(f"with Values for numbers it raises {type(error).__name__}: {error}") from error
        finally:
            _core._trace_into(before)
        if notes:
            raise UnrecordableError("it branches on a value, reads .data or catches an error")
        try:
            return Program(output, inputs=leaves)
        except (TypeError, ValueError) as error:
            raise UnrecordableError(str(error)) from error

    def holds(self) -> bool:
        """Whether all that the function reads, the data of Values aside, is as it was when it was recorded."""
        return self._surroundings.last()

    def rows(self, *columns: Rows) -> NDArray[float64]:
        """The inputs of the program for samples (and targets).

        Raises
        ------
        UnrecordableError
            If a row is of another kind than the one that was recorded.
        """
        import numpy as np

        return np.hstack([kind.matrix(column) for kind, column in zip(self._kinds, columns, strict=True)])


def _concatenated(results: list[NDArray[float64]]) -> NDArray[float64]:
    import numpy as np

    try:
        return np.concatenate(results)
    except ValueError as error:
        raise UnrecordableError(f"its results differ in shape: {error}") from error


def builds_graphs() -> bool:
    """Whether an operation makes a node: not in no_grad()."""
    return bool((Value(1.0) * 1.0)._children)


class _Rows:
    """The kind of the rows of a column: a number, or lists, tuples and arrays of them."""

    def __init__(self, row: Any) -> None:
        self._kind = _kind(row)

    def matrix(self, column: Rows) -> NDArray[float64]:
        import numpy as np

        one_kind = [column[0]] if column.table is not None else column
        if any(_kind(row) != self._kind for row in one_kind):
            raise UnrecordableError("rows differ in kind")
        try:
            found = column.array()
        except (TypeError, ValueError) as error:
            raise UnrecordableError(f"the rows are no matrix: {error}") from error
        if found.dtype.kind not in "biuf" or (found.dtype.kind in "iu" and np.abs(found).max(initial=0) > 2**53):
            raise UnrecordableError("the rows are not made of floats and small integers")
        return found.astype(float).reshape(len(column), -1)


def _kind(row: Any) -> Any:
    import numpy as np

    if type(row) in (list, tuple):
        return type(row), len(row), isinstance(row[0], (list, tuple, np.ndarray)) if row else False
    return (np.ndarray, row.shape) if isinstance(row, np.ndarray) else float


def _with_leaves(row: Any, leaves: list[Value]) -> Any:
    """The same with a Value for each number."""
    import numpy as np

    if isinstance(row, (int, float, np.number, np.bool_)):
        leaves.append(Value(float(row)))
        return leaves[-1]
    if type(row) in (list, tuple):
        return type(row)(_with_leaves(part, leaves) for part in row)
    if isinstance(row, np.ndarray) and row.ndim:
        array = np.empty(row.size, dtype=object)
        array[:] = [_with_leaves(part, leaves) for part in row.flat]
        return array.reshape(row.shape)
    raise UnrecordableError(f"a row holds {type(row).__name__}")


def _data(results: list[Any]) -> NDArray[float64]:
    from kilograd.arrays import data

    return data(results)


# What a function can reach

_ATOMS = frozenset({int, float, bool, complex, str, bytes, type(None), type(...), range, slice})
# Losses that refuse some numbers, of which a trace sees the first alone.
_RANGED = frozenset(name for name, *ranges in _core.losses() if any(ranges))
# Of a Value these see a number, or the object, without a trace that notes it.
_TEXTS = frozenset({"str", "repr", "format", "id"})
_REFUSED_ATTRIBUTES = (
    UNSAFE_ATTRIBUTES | _RANGED | {"live_nodes", "reserved_bytes", "format", "__repr__", "__str__", "__format__"}
)
_ALLOWED_BUILTINS = (SAFE_BUILTINS | {"list", "dict", "set", "bytes", "slice"}) - _TEXTS
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

    def __init__(self, *functions: Function) -> None:
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
        import numpy as np

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
            if base is object or id(base) in self._seen:
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
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                found = cell.cell_contents
            except ValueError:
                raise UnrecordableError("it uses a variable that has no value yet") from None
            if name == "__class__":  # of super()
                self._class(found)
            else:
                self._push(found)
        self._push(*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values(), *vars(function).values())
        for part in code_objects(code):
            texts = [constant for constant in part.co_consts if isinstance(constant, str)]
            self._names.update(texts)  # getattr()
            if any("%" in text for text in texts):
                raise UnrecordableError("it may make a text with %")
            instructions = list(dis.get_instructions(part))
            for i, instruction in enumerate(instructions):
                name, argument = instruction.opname, instruction.argval
                if name in _FORMATS and not _is_raised(instructions[i:]):
                    raise UnrecordableError("it makes a text")
                if name in _ACTS or (name in ("STORE_DEREF", "DELETE_DEREF") and argument in code.co_freevars):
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


def _is_safe_module(name: str) -> bool:
    return name.partition(".")[0] in SAFE_MODULES | {"builtins", "_operator", "kilograd"} and "random" not in name


def _is_native(name: str, part: object) -> bool:
    """Whether an attribute of a class is C's, or a slot: the class is not an ordinary one of Python's."""
    if isinstance(part, GetSetDescriptorType):
        return name not in ("__dict__", "__weakref__")
    return isinstance(part, (MemberDescriptorType, MethodDescriptorType, WrapperDescriptorType, BuiltinFunctionType))
