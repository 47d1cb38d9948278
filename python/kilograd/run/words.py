"""The words that tell what a program may do to the names and objects of a served class, for `survey`."""

from __future__ import annotations

__all__ = [
    "ADDRESSES",
    "BINDS",
    "BY_NAME",
    "DIFFERS",
    "DROPS",
    "HOLDING",
    "NOTEBOOK",
    "PATCHES",
    "RAISES",
    "SETS_ERRORS",
    "TRACKED",
]

# Whoever uses one of these may bind any name anew, or put any code in place of any other.
BINDS = {
    "name": frozenset(["globals", "locals", "exec", "compile", "__import__", "__builtins__"]),
    "attribute": frozenset(
        [
            "__globals__",
            "f_globals",
            "f_locals",
            "f_builtins",
            "f_back",
            "__code__",
            "__defaults__",
            "__kwdefaults__",
            "__closure__",
            "cell_contents",
            "__builtins__",
            "import_module",
            "reload",
            "run_path",
            "run_module",
            "monkeypatch",
        ]
    ),
    "import": frozenset(["builtins", "ctypes", "mock", "runpy", "marshal", "code", "codeop", "imp"]),
}
# What engine objects have differently: lifetimes, sizes, frames, construction.
DIFFERS = {
    "name": frozenset(),
    "attribute": frozenset(
        [
            "settrace",
            "setprofile",
            "_getframe",
            "getrefcount",
            "getsizeof",
            "__sizeof__",
            "get_objects",
            "get_referrers",
            "get_referents",
            "is_tracked",
            "__new__",
            "__func__",
            "__subclasses__",
            "__reduce__",
            "__reduce_ex__",
            "__basicsize__",
            "__dictoffset__",
            "__weakref__",
            "__getattribute__",
            "object.__setattr__",
        ]
    ),
    "import": frozenset(["cProfile", "profile", "bdb", "trace", "dis"]),
}
# How an attribute leaves a __dict__ that the program got hold of.
DROPS = frozenset(["pop", "popitem", "clear"])
# Addresses and lifetimes: every node keeps its object.
ADDRESSES = {
    "name": frozenset(["id", "hash", "eval"]),
    "attribute": frozenset(["__hash__"]),
    "import": frozenset(["weakref", "gc"]),
}
HOLDING = frozenset({"numpy", "kilograd", "micrograd"})  # packages that look at no addresses
TRACKED = frozenset({"math", "cmath", "numpy"})  # modules whose functions authors call
BY_NAME = frozenset(
    ["eval", "getattr", "setattr", "hasattr", "attrgetter", "methodcaller"]
)  # find an attribute by a text
PATCHES = frozenset({"setattr", "delattr", "patch", "object"})  # methods of what tests use to set attributes
# What NumPy may be told to do where a number underflows, and by what.
RAISES = frozenset(["raise", "warn", "call", "log", "print"])
SETS_ERRORS = frozenset(["seterr", "errstate", "seterrobj"])
NOTEBOOK = "<cells>"
