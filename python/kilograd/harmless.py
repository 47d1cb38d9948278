"""Names of builtins, modules and attributes that neither print, draw random numbers, open files nor change anything."""

from __future__ import annotations

__all__ = ["SAFE_BUILTINS", "SAFE_MODULES", "UNSAFE_ATTRIBUTES"]

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
