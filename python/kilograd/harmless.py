"""Reading a function before anybody runs it: its code objects, and names that are known to do no harm.

Harmless are builtins, modules and attributes that neither print, draw random numbers, open files nor change anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType

__all__ = ["SAFE_BUILTINS", "SAFE_MODULES", "UNSAFE_ATTRIBUTES", "code_objects"]

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


def code_objects(code: CodeType) -> Iterator[CodeType]:
    """`code` and the functions nested in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from code_objects(constant)
