"""Reading a function before anybody runs it: whether it may be tried on probes, and depends on its input alone.

The judge runs an author's methods on small expressions. That is safe where a method neither prints, draws random
numbers, opens files nor touches anything but the nodes it was given, and it proves something where the method depends
on nothing else. Both are read off the bytecode: the names it loads and the attributes it sets.
"""

from __future__ import annotations

import builtins
import dis
import sys
from collections.abc import Collection, Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

__all__ = [
    "code_objects",
    "constants",
    "hazard",
    "names",
    "nested_names",
    "own_attributes",
    "sought_attributes",
]

SAFE_BUILTINS = frozenset(
    [
        "abs",
        "all",
        "any",
        "bool",
        "complex",
        "dict",
        "divmod",
        "enumerate",
        "filter",
        "float",
        "format",
        "frozenset",
        "getattr",
        "hasattr",
        "id",
        "int",
        "isinstance",
        "issubclass",
        "iter",
        "len",
        "list",
        "map",
        "max",
        "min",
        "next",
        "object",
        "pow",
        "range",
        "repr",
        "reversed",
        "round",
        "set",
        "sorted",
        "str",
        "sum",
        "super",
        "tuple",
        "type",
        "zip",
        "NotImplemented",
        "True",
        "False",
        "None",
        "Ellipsis",
        "property",
        "staticmethod",
        "classmethod",
    ]
)
SAFE_MODULES = frozenset(
    {"math", "cmath", "numpy", "typing", "operator", "numbers", "functools", "itertools", "__future__"}
)
UNSAFE_ATTRIBUTES = frozenset(
    [
        "random",
        "save",
        "savez",
        "savetxt",
        "load",
        "loadtxt",
        "fromfile",
        "tofile",
        "memmap",
        "seterr",
        "set_printoptions",
        "genfromtxt",
        "__dict__",
        "__globals__",
        "__subclasses__",
        "f_back",
    ]
)
# Names that `dataclasses` gives to the cells of the methods that it writes.
DATACLASS_CELLS = ("_dflt_", "_type_", "__dataclass", "_HAS_DEFAULT_FACTORY", "MISSING", "_return_type")


def code_objects(code: CodeType) -> Iterator[CodeType]:
    """`code` and the functions nested in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from code_objects(constant)


def names(code: CodeType) -> set[str]:
    """Every global, attribute and variable name that `code` and its nested functions mention."""
    found: set[str] = set()
    for part in code_objects(code):
        found.update(part.co_names, part.co_varnames, part.co_freevars)
    return found


def nested_names(code: CodeType) -> set[str]:
    """Those that its nested functions mention."""
    return set().union(*(names(part) for part in code.co_consts if isinstance(part, CodeType)))


def sought_attributes(code: CodeType) -> set[str]:
    """What may be the name of an attribute in a call of getattr() or hasattr()."""
    found: set[str] = set()
    for part in code_objects(code):
        if {"getattr", "hasattr"} & set(part.co_names):
            found.update(text for text in part.co_consts if isinstance(text, str) and text.isidentifier())
    return {text for text in found if not text.startswith("__")}


def constants(code: CodeType) -> set[float]:
    """The numbers written in `code`: where a method may branch."""
    found: set[float] = set()
    for part in code_objects(code):
        for constant in part.co_consts:
            if isinstance(constant, int | float) and not isinstance(constant, bool):
                found.add(float(constant))
    return found


def own_attributes(constructor: FunctionType) -> set[str]:
    """The attributes that a constructor sets on ``self``, and on nothing else."""
    code = constructor.__code__
    if code.co_argcount == 0:
        return set()
    this, found, loaded = code.co_varnames[0], set(), None
    for instruction in dis.get_instructions(code):
        if instruction.opname == "STORE_ATTR" and loaded == this:
            found.add(str(instruction.argval))
        if instruction.opname.startswith("LOAD_FAST"):
            value = instruction.argval
            loaded = value[-1] if isinstance(value, tuple) else value
        elif instruction.opname != "CACHE":
            loaded = None
    return found


def _is_safe_value(value: Any) -> bool:
    if isinstance(value, ModuleType):
        return value.__name__.partition(".")[0] in SAFE_MODULES
    if isinstance(value, BuiltinFunctionType):
        return getattr(value, "__module__", None) in ("math", "cmath", "_operator")
    if isinstance(value, type):
        module = value.__module__.partition(".")[0]
        return module in ("builtins", "numpy", "typing", "numbers", "fractions", "decimal", "collections")
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ufunc):
        return True
    return getattr(type(value), "__module__", "") == "typing"


def _global_hazard(name: str, function: FunctionType, own: str) -> str | None:
    if name == own:
        return None
    if name in function.__globals__:
        if _is_safe_value(function.__globals__[name]):
            return None
        return f"uses the global {name!r}"
    if hasattr(builtins, name):
        value = getattr(builtins, name)
        if name in SAFE_BUILTINS or (isinstance(value, type) and issubclass(value, BaseException)):
            return None
        return f"calls {name}()"
    return f"uses the name {name!r}, which is not defined yet"


def hazard(function: FunctionType, own: str, attributes: Collection[str], class_data: Collection[str]) -> str | None:
    """Why `function` may not be tried on probes, or None where it may.

    Parameters
    ----------
    function : function
        A method of the class.
    own : str
        The name of the class, which its methods may use.
    attributes : collection of str
        What they may set: the attributes of the class's instances.
    class_data : collection of str
        Data kept on the class, which they may not even read.
    """
    code = function.__code__
    for name in code.co_freevars:
        if name in (own, "__class__") or name.startswith(DATACLASS_CELLS):
            continue
        return f"uses the variable {name!r} of an enclosing function"
    if code.co_flags & 0x2A0:  # generator, coroutine, async generator
        return "is a generator"
    for part in code_objects(code):
        for instruction in dis.get_instructions(part):
            operation, value = instruction.opname, instruction.argval
            if operation in ("STORE_GLOBAL", "DELETE_GLOBAL", "DELETE_ATTR", "IMPORT_STAR", "STORE_NAME"):
                return f"changes {value!r}"
            if operation == "STORE_ATTR" and value not in attributes:
                return f"sets the attribute {value!r}"
            if operation in ("LOAD_GLOBAL", "LOAD_NAME"):
                reason = _global_hazard(value, function, own)
                if reason is not None:
                    return reason
            elif operation == "IMPORT_NAME":
                if str(value).partition(".")[0] not in ("math", "cmath", "numpy"):
                    return f"imports {value}"
            elif operation in ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR"):
                if value in UNSAFE_ATTRIBUTES:
                    return f"uses {value}"
                if value in class_data:
                    return f"reads {own}.{value}"
    return None
