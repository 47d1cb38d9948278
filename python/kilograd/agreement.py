"""Whether a function does with Values what it does with numbers: what is recorded has to be what the function means.

Tracing shows every operation, comparison and read of a number. It cannot show what Python lets a function ask of the
object itself: its type, its attributes, whether a comparison gave the very object True, which error an operation
raises. A function that asks so is run once more with numbers, at each path that is recorded, and the results are
compared. Most functions ask nothing, and run once.
"""

from __future__ import annotations

import dis
import functools
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

__all__ = ["agree", "asks", "flat", "slack"]

_ASKING = frozenset({"type", "isinstance", "issubclass", "hasattr", "getattr", "callable"})
_ASKING_ATTRIBUTES = frozenset(
    {"__class__", "dtype", "itemsize", "nbytes", "isscalar", "issubdtype", "result_type", "isrealobj", "iscomplexobj"}
)
# What shows whether a bool is Python's or NumPy's: one that is tested or passed on does not.
_OF_BOOLS = ("STORE_", "RETURN_VALUE", "YIELD_VALUE", "BINARY_", "INPLACE_", "BUILD_", "LIST_APPEND", "UNARY_INVERT")
_HANDLERS = frozenset({"CHECK_EXC_MATCH", "JUMP_IF_NOT_EXC_MATCH", "POP_EXCEPT", "MATCH_CLASS"})
_ATOMS = (int, float, complex, str, bytes, type(None))
_PARTS = 100  # how much of a container is looked into: functions are kept in short ones
_LIMIT = 10_000  # how many objects are looked at


def asks(function: Callable[..., Any]) -> bool:
    """Whether a function, or one that it can reach, may ask what a number is, and not only compute with it."""
    seen: set[int] = set()
    kept: list[Any] = []
    stack: list[Any] = [function]
    while stack:
        thing = stack.pop()
        if isinstance(thing, _ATOMS) or id(thing) in seen:
            continue
        if len(kept) == _LIMIT:
            return True
        seen.add(id(thing))
        kept.append(thing)  # so that no id comes twice
        if isinstance(thing, types.CodeType) and _code_asks(thing):
            return True
        stack += _parts(thing)
    return False


def _parts(thing: Any) -> Iterator[Any]:
    """What can be reached from an object: code, and what holds code."""
    if isinstance(thing, types.FunctionType):
        if _is_own(thing.__module__):
            return
        names = {name for code in _codes(thing.__code__) for name in code.co_names}
        yield from _codes(thing.__code__)
        yield from (thing.__globals__[name] for name in names if name in thing.__globals__)
        for cell in thing.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:  # it has no value yet
                continue
        yield from (*(thing.__defaults__ or ()), *(thing.__kwdefaults__ or {}).values())
        for module in [thing.__globals__.get(name) for name in names]:
            if isinstance(module, types.ModuleType):
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


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _code_asks(code: types.CodeType) -> bool:
    before, after_none = "", False
    for instruction in dis.get_instructions(code):
        name, argument = instruction.opname, instruction.argval
        if name in _HANDLERS or (name == "IS_OP" and not after_none):
            return True
        if name in ("LOAD_GLOBAL", "LOAD_NAME") and argument in _ASKING:
            return True
        if name in ("LOAD_ATTR", "LOAD_METHOD") and argument in _ASKING_ATTRIBUTES:
            return True
        if name == "UNARY_INVERT" or (before == "COMPARE_OP" and name.startswith(_OF_BOOLS)):
            return True
        before, after_none = name, name == "LOAD_CONST" and argument is None
    return False


def flat(result: Any, numbers: list[NDArray[Any]]) -> Any:
    """The structure of a result, with arrays in place of its numbers, which are appended to a list as vectors."""
    import numpy as np

    if isinstance(result, dict):
        return dict, [(key, flat(part, numbers)) for key, part in result.items()]
    if not isinstance(result, np.ndarray):
        return type(result), [flat(part, numbers) for part in result]
    if result.dtype.kind not in "biuf":
        return result.shape, result.tolist()
    numbers.append(result.astype(np.float64).reshape(-1))
    return result.shape


def agree(x: NDArray[float64], y: NDArray[float64], slack: Any = 0.0) -> bool:
    """Whether numbers are equal but for roundings, and for so much more."""
    import numpy as np

    with np.errstate(all="ignore"):
        bound = 1e-9 * np.maximum(abs(x), abs(y)) + slack
        close = np.isfinite(x) & np.isfinite(y) & (abs(x - y) <= bound)
        return bool(np.all((x == y) | ((x != x) & (y != y)) | close))


def slack(at: NDArray[float64], y: NDArray[float64], run: Callable[[NDArray[float64]], NDArray[float64]]) -> Any:
    """How far the results y = run(at) move with a few roundings of the numbers `at`; at most a millionth of these.

    Numbers that sum in another order give another rest where all cancels.
    """
    import numpy as np

    moved = run(at + 8.0 * np.finfo(np.float64).eps * np.where(at == 0.0, 1.0, at))
    with np.errstate(all="ignore"):
        reach = 1e3 * abs(moved - y) if moved.shape == y.shape else np.zeros(y.shape)
        return np.nan_to_num(np.minimum(reach, 1e-6 * max(1.0, abs(at).max(initial=0.0))), nan=0.0)
