"""Functions recorded at their first call: ordinary Python over numbers becomes programs, one for each path through it.

A call looks for a recorded path whose guards, the comparisons that the function made on its way, hold for its numbers.
Where there is one, its program runs; where there is none, the function runs once more, with Values, and is recorded.
"""

from __future__ import annotations

import inspect
import math
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, update_wrapper
from types import MethodType
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    NamedTuple,
    ParamSpec,
    Protocol,
    TypeAlias,
    TypeVar,
    overload,
)

from kilograd import _core, agreement, conditions, tables
from kilograd._core import Value
from kilograd.program import Program

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]
    Indices: TypeAlias = NDArray[np.intp]

__all__ = ["Compiled", "compile", "grad", "hessian", "hvp", "jacobian", "value_and_grad", "where"]

PATH_LIMIT = 64
"""How many paths of a function are kept for arguments of one structure."""

Function: TypeAlias = Callable[..., Any]
Argnums: TypeAlias = "int | Sequence[int]"
Shape: TypeAlias = tuple[int, ...]
Spec: TypeAlias = tuple[Any, ...]
T = TypeVar("T")
P = ParamSpec("P")  # the arguments of a function that is compiled
R = TypeVar("R")  # its result
Q = ParamSpec("Q")  # its arguments but for the first
X = TypeVar("X")  # the first
Y = TypeVar("Y")


# Structures: a spec describes nested containers without the numbers in them, and can be a key of a dict.

_NUMBER: Spec = ("number",)


class _HoldsValues(Exception):  # noqa: N818 - a signal, no error
    """The arguments hold Values: the function runs as it is."""


def _sequence(kind: type, parts: list[Any]) -> Any:
    if hasattr(kind, "_make"):
        return kind._make(parts)  # a named tuple
    return parts if issubclass(kind, list) else tuple(parts)


def _refuse_inexact(integer: Any) -> None:
    """Beyond 2**53 an integer may be no float: rounded, it would be another number without a word."""
    if float(integer) != int(integer):
        raise ValueError(
            f"a compiled function takes floats, and {integer!r} is none: pass float(x) if the nearest will do, or name "
            "the argument in static_argnums"
        )


def _refuse_inexact_entries(array: NDArray[Any]) -> None:
    if array.dtype == object:
        large = [entry for entry in array.flat if isinstance(entry, int)]
    elif array.dtype.itemsize < 8:
        return
    else:
        large = array[(array > 2**53) | (array < (0 if array.dtype.kind == "u" else -(2**53)))].tolist()
    for entry in large:
        _refuse_inexact(entry)


def _spec_of_argument(argument: Any, numbers: list[Any]) -> Spec:
    """The structure of an argument; its numbers are appended to a list as floats and flat float64 arrays."""
    import numpy as np

    if isinstance(argument, (bool, np.bool_)):
        return ("static", bool, bool(argument))
    if isinstance(argument, (float, int, np.floating, np.integer)):
        if not isinstance(argument, float) and isinstance(argument, (int, np.integer)):
            _refuse_inexact(argument)
        numbers.append(float(argument))
        return _NUMBER
    if isinstance(argument, Value):
        raise _HoldsValues
    if isinstance(argument, (list, tuple)):
        return ("sequence", type(argument), tuple(_spec_of_argument(part, numbers) for part in argument))
    if isinstance(argument, dict):
        return ("dict", tuple(argument), tuple(_spec_of_argument(part, numbers) for part in argument.values()))
    if isinstance(argument, np.ndarray) or (hasattr(argument, "__array__") and not isinstance(argument, type)):
        array = np.asarray(argument)
        if array.dtype == object and any(isinstance(entry, Value) for entry in array.flat):
            raise _HoldsValues
        if array.dtype.kind == "b":
            return ("mask", array.shape, array.tobytes())
        real = (float, int, np.floating, np.integer)
        if array.dtype.kind not in "fiu" and not all(isinstance(entry, real) for entry in array.flat):
            raise TypeError(f"a compiled function takes arrays of real numbers, not of {array.dtype}")
        if array.dtype.kind in "iuO":
            _refuse_inexact_entries(array)
        if type(argument) is not np.ndarray:
            tables.refuse_masks(argument, "an argument of a compiled function")
        array = array.astype(np.float64, copy=False)
        numbers.append(array.reshape(-1) if array.ndim else float(array))
        return ("array", array.shape) if array.ndim else _NUMBER
    if isinstance(argument, complex):
        raise TypeError(f"a compiled function takes real numbers, not {argument!r}")
    try:
        hash(argument)
    except TypeError:
        raise TypeError(
            "a compiled function takes numbers, arrays, lists, tuples and dicts of them, and hashable objects that are "
            f"passed on as they are; not {type(argument).__name__}"
        ) from None
    return ("static", type(argument), argument)


def _spec_of_result(result: Any, outputs: list[Any]) -> Spec:
    """The structure of what a traced function returned; its Values are appended to a list, all else is constant."""
    import numpy as np

    if isinstance(result, Value):
        outputs.append(result)
        return _NUMBER
    if isinstance(result, (list, tuple)):
        return ("sequence", type(result), tuple(_spec_of_result(part, outputs) for part in result))
    if isinstance(result, dict):
        return ("dict", tuple(result), tuple(_spec_of_result(part, outputs) for part in result.values()))
    if isinstance(result, np.ndarray):
        if result.dtype == object and any(isinstance(entry, Value) for entry in result.flat):
            outputs.extend(result.flat)
            return ("array", result.shape) if result.ndim else _NUMBER
        return ("static", np.ndarray, result.copy())
    if result is None or isinstance(result, (float, int, complex, str, bytes, np.generic)):
        return ("static", type(result), result)
    raise TypeError(
        f"a compiled function returns numbers, arrays, and lists, tuples and dicts of them, not {type(result).__name__}"
    )


def _unflatten(spec: Spec, leaf: Callable[[Shape], Any], static: Callable[[Any], Any]) -> Any:
    """Build the structure of a spec, with `leaf(shape)` for its numbers and arrays, `static(object)` for the rest."""
    match spec[0]:
        case "number":
            return leaf(())
        case "array":
            return leaf(spec[1])
        case "static":
            return static(spec[2])
        case "mask":
            import numpy as np

            return static(np.frombuffer(spec[2], dtype=bool).reshape(spec[1]).copy())
        case "dict":
            return dict(zip(spec[1], [_unflatten(part, leaf, static) for part in spec[2]], strict=True))
    return _sequence(spec[1], [_unflatten(part, leaf, static) for part in spec[2]])


def _take(block: Callable[[slice, Shape], T], start: int = 0) -> Callable[[Shape], T]:
    """A leaf function that gives `block` consecutive slices."""
    position = start

    def leaf(shape: Shape) -> T:
        nonlocal position
        begin, position = position, position + math.prod(shape)
        return block(slice(begin, position), shape)

    return leaf


def _plain(array: Any) -> Any:
    return array if array.ndim else float(array)


def _copied(constant: Any) -> Any:
    return constant.copy() if type(constant).__module__ == "numpy" and hasattr(constant, "flags") else constant


def _nothing(_: Any) -> None:
    return None


class _Call(NamedTuple):
    """The arguments of a call: their structure, and their numbers in one vector (or one row of it for each row)."""

    arguments: tuple[Spec, ...]
    keywords: tuple[tuple[str, Spec], ...]
    offsets: tuple[int, ...]
    x: Array

    @property
    def signature(self) -> Spec:
        return (self.arguments, self.keywords)

    def row(self, r: int) -> _Call:
        return self._replace(x=self.x[r])


class _Path:
    """One way through a function: the conditions of taking it, its program, and the structure of its result.

    Where the function does something else with numbers than with Values, the path is that of the numbers alone: it
    holds what the function returned, for this call, and refuses derivatives.
    """

    __slots__ = ("guards", "key", "outputs", "program", "recordable", "refusal", "spec")

    def __init__(self, function: Function, call: _Call, habits: agreement.Habits) -> None:
        trace = _trace(function, call)
        leaves, notes, outputs, self.spec, dead = trace
        # Where the function handled an error of an operation, no comparison says when it would do so again; and where
        # it may handle one of an operation that nothing needs, no program has the operation. NumPy orders NaN as it
        # likes among numbers, as comparisons say among objects.
        raised = any(symbol == "raises" for symbol, *_ in notes)
        guards = [note for note in notes if note[0] != "raises"]
        unordered = any(symbol != "is" and (_is_nan(left) or _is_nan(right)) for symbol, left, right, _ in guards)
        self.recordable = not (raised or unordered or habits.asks or (habits.handles and dead))
        self.refusal: str | None = None
        # A bool among numbers stays one in an array of objects, and is 1.0 in one of numbers; NumPy's roots are real.
        mixed = _holds(call.arguments, bool) or _holds((self.spec,), complex)
        answers = habits.asks or habits.doubtful
        if (answers or raised or unordered or mixed) and (plain := _disagreement(trace, function, call, answers)):
            self.refusal, self.spec = plain
            self.recordable, outputs = False, []
        self.outputs = len(outputs)
        self.key = tuple((symbol, repr(right) if symbol == "is" else result) for symbol, _, right, result in guards)
        self.guards = _core._guards(guards, leaves) if guards and self.recordable else None
        del trace, notes, guards  # they hold numbers of the trace, which would count as parameters
        self.program = Program(outputs, inputs=leaves) if outputs else None

    def holds(self, rows: Array) -> NDArray[np.int8]:
        """Of each row: 1 where it takes this path, 0 where not, -1 where an operation raises on the way."""
        import numpy as np

        return np.ones(len(rows), np.int8) if self.guards is None else self.guards.holds(rows)

    @property
    def is_scalar(self) -> bool:
        if self.spec[0] == "static":
            return isinstance(self.spec[2], (int, float)) or (getattr(self.spec[2], "shape", None) == ())
        return self.spec == _NUMBER

    def refuse_derivatives(self) -> None:
        if self.refusal:
            raise TypeError(self.refusal)

    # Arrays of x.shape[:-1] + ...; m outputs, n inputs. Values and zeros where the function gave constants.

    def values(self, x: Array, check: bool) -> Array:
        import numpy as np

        return np.empty((*x.shape[:-1], 0)) if self.program is None else self.program.forward(x, check=check)

    def value_and_grad(self, x: Array, check: bool) -> tuple[Array, Array]:
        import numpy as np

        self.refuse_derivatives()
        if self.program is None:
            return np.full(x.shape[:-1], float(self.spec[2])), np.zeros(x.shape)
        values, gradient = self.program.value_and_grad(x, check=check)
        return values[..., 0], gradient

    def jacobian(self, x: Array, columns: Indices, check: bool) -> Array:
        import numpy as np

        self.refuse_derivatives()
        m, n, k = self.outputs, x.shape[-1], len(columns)
        if self.program is None:
            return np.zeros((*x.shape[:-1], 0, k))
        if k == n or x.ndim > 1:
            return self.program.jacobian(x, check=check)[..., columns]
        if k <= m:  # only what is asked for: the other arguments may be a large data set
            return self.program.jvp(np.broadcast_to(x, (k, n)), np.eye(n)[columns], check=check).T
        return self.program.vjp(np.broadcast_to(x, (m, n)), np.eye(m), check=check)[:, columns]

    def hessian(self, x: Array, columns: Indices, check: bool) -> Array:
        import numpy as np

        self.refuse_derivatives()
        n, k = x.shape[-1], len(columns)
        if self.program is None:
            return np.zeros((*x.shape[:-1], k, k))
        if k == n or x.ndim > 1:
            return self.program.hessian(x, check=check)[..., columns[:, None], columns]
        return self.program.hvp(np.broadcast_to(x, (k, n)), np.eye(n)[columns], check=check)[:, columns]

    def hvp(self, x: Array, v: Array, check: bool) -> Array:
        self.refuse_derivatives()
        return v * 0.0 if self.program is None else self.program.hvp(x, v, check=check)


_thread = threading.local()


def _arguments(call: _Call, leaf: Callable[[Shape], Any]) -> tuple[list[Any], dict[str, Any]]:
    arguments = [_unflatten(spec, leaf, _copied) for spec in call.arguments]
    return arguments, {name: _unflatten(spec, leaf, _copied) for name, spec in call.keywords}


def _traced(function: Function, call: _Call, leaves: list[Value], notes: list[Any]) -> Any:
    """Run a function with Values for its numbers, and note what the path through it depends on."""
    import numpy as np

    def block(where: slice, shape: Shape) -> Any:
        if not shape:
            return leaves[where.start]
        array = np.empty(where.stop - where.start, dtype=object)
        array[:] = leaves[where]
        array = array.reshape(shape)
        return conditions.numbers(array) if isinstance(notes, conditions.Notes) else array

    arguments, keywords = _arguments(call, _take(block))
    before = _core._trace_into(notes)
    _thread.depth = getattr(_thread, "depth", 0) + 1
    try:
        with np.errstate(invalid="ignore"):  # comparing NaN is no fault of the function's
            return function(*arguments, **keywords)
    except TypeError as error:
        _add_note(
            error,
            f"kilograd.compile ran {_name(function)} with Values in place of its numbers, to record it. A number that "
            "has to stay one (a count, an index) belongs in static_argnums.",
        )
        raise
    finally:
        _thread.depth -= 1
        _core._trace_into(before)


class _Trace(NamedTuple):
    """What a function was given, what its path depends on, and what it returned: Values, in a structure."""

    leaves: list[Value]
    notes: list[Any]
    outputs: list[Any]
    spec: Spec
    dead: int = 0  # how many operations nothing needs


def _trace(function: Function, call: _Call) -> _Trace:
    """Trace a function; a function that calls `where` once more, for fewer guards and so fewer paths.

    The second trace, with conditions in place of bools, counts only where it went as the first did.
    """
    _thread.chose = False
    first = _traced_into([], function, call)
    if not _thread.chose:
        return first
    notes = conditions.Notes()
    try:
        second = _traced_into(notes, function, call)
    except Exception:  # whatever cannot be done with a condition could be done with the bool
        return first
    sound = notes.is_sound
    notes.made.clear()  # they hold numbers of the trace, which would count as parameters
    if sound and len(notes) < len(first.notes) and _look_alike(first, second):
        return second._replace(notes=list(notes))
    return first


def _traced_into(notes: list[Any], function: Function, call: _Call) -> _Trace:
    leaves = [Value(number) for number in call.x.tolist()]
    outputs: list[Any] = []
    dead = _core._dead_interior()
    spec = _spec_of_result(_traced(function, call, leaves, notes), outputs)
    return _Trace(leaves, notes, outputs, spec, _core._dead_interior() - dead)


def _flat(trace: _Trace) -> tuple[Any, Array]:
    """What a trace returned, computed or constant: the structure, and all its numbers."""
    import numpy as np

    values = [v.data if isinstance(v, Value) else v for v in trace.outputs]
    numbers: list[Array] = []
    shown = _unflatten(trace.spec, _take(lambda s, shape: np.reshape(values[s], shape)), np.asarray)
    return agreement.flat(shown, numbers), np.concatenate([*numbers, np.empty(0)])


def _look_alike(first: _Trace, second: _Trace) -> bool:
    """Whether two traces returned the same numbers, computed or constant, in the same structure."""
    import numpy as np

    (one, x), (other, y) = _flat(first), _flat(second)
    return one == other and np.array_equal(x, y, equal_nan=True)


def _with_numbers(function: Function, call: _Call) -> _Trace:
    """Run a function with its numbers."""
    import numpy as np

    outputs: list[Any] = []
    arguments, keywords = _arguments(call, _take(lambda s, shape: _plain(call.x[s].reshape(shape).copy())))
    _thread.depth = getattr(_thread, "depth", 0) + 1  # compiled functions are plain functions here too
    try:
        with np.errstate(all="ignore"):
            result = function(*arguments, **keywords)
    finally:
        _thread.depth -= 1
    return _Trace([], [], outputs, _spec_of_result(result, outputs))


def _holds(specs: Sequence[Spec], kind: type) -> bool:
    parts: list[Any] = []
    for spec in specs:
        _unflatten(spec, _nothing, parts.append)
    return any(isinstance(part, kind) for part in parts)


def _agree(trace: _Trace, plain: _Trace, function: Function, call: _Call) -> bool:
    (structure, x), (wanted, y) = _flat(trace), _flat(plain)
    if structure != wanted or agreement.agree(x, y):
        return bool(structure == wanted)
    moved = agreement.slack(call.x, y, lambda at: _flat(_with_numbers(function, call._replace(x=at)))[1])
    return agreement.agree(x, y, moved)


def _disagreement(trace: _Trace, function: Function, call: _Call, answers: bool) -> tuple[str, Spec] | None:
    """Run a function with numbers: None if they give what Values gave, else why not, and the structure of the result.

    None too where numbers do not do, because the function calls methods of Values. With `answers`, at others too.
    """
    import numpy as np

    try:
        plain = other = _with_numbers(function, call)
    except (TypeError, AttributeError, NotImplementedError):
        return None
    where = call
    if _agree(trace, plain, function, call):
        if not answers:
            return None
        where = call._replace(x=agreement.elsewhere(call.x))
        try:
            trace, other = _trace(function, where), _with_numbers(function, where)
        except Exception:  # there it refuses these numbers
            return None
        if _agree(trace, other, function, where):
            return None
    text = (
        f"{_name(function)} returns {_told(other)} for the numbers {_short(where.x)}, and {_told(trace)} for the "
        "Values that are recorded in their place: it may ask for a type, see whether a bool is Python's or NumPy's, "
        "handle an error that NumPy does not raise, or order NaN. A call returns what it returns for numbers; "
        "derivatives of that cannot be taken"
    )
    values = [v.data if isinstance(v, Value) else v for v in plain.outputs]
    leaf = _take(lambda s, shape: np.reshape(values[s], shape) if shape else values[s.start])

    def static(part: Any) -> Any:
        return float(part) if isinstance(part, np.floating) else _copied(part)

    return text, _spec_of_result(_unflatten(plain.spec, leaf, static), [])


def _told(trace: _Trace) -> str:
    shown = _take(lambda s, shape: [v.data if isinstance(v, Value) else v for v in trace.outputs[s]])
    return _short(_unflatten(trace.spec, lambda shape: shown(shape) if shape else shown(shape)[0], _copied))


def _short(thing: Any) -> str:
    text = " ".join(str(thing).split())
    return text if len(text) <= 100 else text[:97] + "..."


def _is_nan(operand: Any) -> bool:
    number = operand.data if isinstance(operand, Value) else operand
    return bool(number != number)


def _is_tracing() -> bool:
    return getattr(_thread, "depth", 0) > 0


def _add_note(error: BaseException, text: str) -> None:
    if sys.version_info >= (3, 11):
        error.add_note(text)


def _name(function: Function) -> str:
    return getattr(function, "__qualname__", None) or repr(function)


_standing: weakref.WeakKeyDictionary[Function, weakref.ref[Compiled[..., Any]]] = weakref.WeakKeyDictionary()
"""What stands under the names of functions that pickles refer to."""


def _same(function: Function) -> Function:
    return function


def _method(function: Function, instance: Any) -> Function:
    return MethodType(function, instance)


def _unpickled(sign: Function | None) -> Compiled[..., Any]:
    standing = None if sign is None else _standing.get(sign)
    return (standing and standing()) or Compiled.__new__(Compiled)


class Compiled(Generic[P, R]):
    """A function that is recorded at its first call; made by `compile`, which describes it.

    Attributes
    ----------
    batch : Batch
        The same function over rows.
    """

    def __init__(self, function: Callable[P, R], argnums: Argnums = 0, static_argnums: Argnums = ()) -> None:
        if not callable(function):
            raise TypeError(f"compile() takes a function, not {type(function).__name__}")
        self._function: Function = function._function if isinstance(function, Compiled) else function
        self._argnums = _checked_argnums(argnums, "argnums")
        static = _checked_argnums(static_argnums, "static_argnums")
        self._static_argnums = (static,) if isinstance(static, int) else static
        self._static_names = _names_of(self._function, self._static_argnums)
        self._paths: dict[Spec, tuple[_Path, ...]] = {}
        self._lock = threading.Lock()
        self._warned = False
        self._habits: agreement.Habits | None = None
        self._attribute: str | None = None
        update_wrapper(self, function)

    def __set_name__(self, owner: type, name: str) -> None:
        self._attribute = name

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Compiled[P, R]: ...
    @overload
    def __get__(self: Compiled[Concatenate[X, Q], R], instance: X, owner: type | None = None) -> Compiled[Q, R]: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """As a method: a compiled function of the remaining arguments, kept in the instance."""
        if instance is None:
            return self
        shifted = tuple(i - 1 for i in self._static_argnums if i > 0)
        bound: Compiled[..., Any] = Compiled(self._function.__get__(instance, owner), self._argnums, shifted)
        bound._attribute = self._attribute
        if self._attribute is None or not hasattr(instance, "__dict__"):
            return bound
        found: Compiled[..., Any] = instance.__dict__.setdefault(self._attribute, bound)
        return found

    def __repr__(self) -> str:
        paths = sum(map(len, self._paths.values()))
        return f"<compiled {_name(self._function)}: {paths} path{'' if paths == 1 else 's'} recorded>"

    def __reduce_ex__(self, protocol: Any) -> str | tuple[Any, ...]:
        """As functions are pickled: by name where that leads here, and by value where the pickler takes functions so.

        What a pickler does with functions (`cloudpickle` takes those of ``__main__`` by value) it does not say. So it
        is given functions, which stand under the name of this object: as themselves, they lead back to it; as copies,
        they bring the function along. The function is state, and no argument, because it may refer to this object.
        """
        found: Any = sys.modules.get(getattr(self._function, "__module__", ""))
        path = getattr(self._function, "__qualname__", "")
        for part in path.split("."):
            found = getattr(found, part, None)
        options = (self._argnums, self._static_argnums)
        if found is self:
            return str(path) if protocol < 4 else (_unpickled, (self._itself,), (self._content, (), *options))
        if not isinstance(self._function, MethodType):
            return _unpickled, (None,), (_same, (self._function,), *options)
        instance = self._function.__self__
        if self._attribute is not None:
            return getattr, (instance, self._attribute)
        # Not as pickle takes a method, by its name: the instance may have this object under the same.
        return _unpickled, (None,), (_method, (self._function.__func__, instance), *options)

    @cached_property
    def _itself(self) -> Function:
        sign = self._named(lambda: None, "_itself")
        _standing[sign] = weakref.ref(self)
        return sign

    @cached_property
    def _content(self) -> Function:
        function = self._function
        return self._named(lambda: function, "_content")

    def _named(self, sign: Function, attribute: str) -> Function:
        sign.__module__, sign.__name__ = self._function.__module__, attribute
        sign.__qualname__ = f"{self._function.__qualname__}.{attribute}"
        return sign

    def __setstate__(self, state: tuple[Function, tuple[Any, ...], Argnums, tuple[int, ...]]) -> None:
        make, parts, argnums, static_argnums = state
        if not hasattr(self, "_function"):  # a copy, and not what stands under the name
            Compiled.__init__(self, make(*parts), argnums, static_argnums)

    # --- the function and its derivatives. To mypy an overload with `argnums` beside the function's own arguments is
    # unsafe, as one of them may have that name: it is then the method's.

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function: what it would return, with floats and float arrays in place of Values."""
        call = None if _is_tracing() else self._call(args, kwargs)
        if call is None:
            return self._function(*args, **kwargs)  # type: ignore[no-any-return]

        def compute(path: _Path, check: bool) -> Any:
            values = path.values(call.x, check)
            return _unflatten(path.spec, _take(lambda s, shape: _plain(values[s].reshape(shape))), _copied)

        return self._run(call, compute)  # type: ignore[no-any-return]

    @overload
    def value_and_grad(self, *args: P.args, **kwargs: P.kwargs) -> tuple[float, Any]: ...
    @overload
    def value_and_grad(self, *args: Any, argnums: Argnums | None, **kwargs: Any) -> tuple[float, Any]: ...
    def value_and_grad(self, *args: Any, argnums: Argnums | None = None, **kwargs: Any) -> tuple[float, Any]:  # type: ignore[misc]
        """Compute the value, a float, and the gradient by the chosen arguments: see `value_and_grad`."""
        call = self._numeric_call(args, kwargs)
        positions = self._positions(call, argnums)

        def compute(path: _Path, check: bool) -> tuple[float, Any]:
            self._need_scalar(path)
            value, gradient = path.value_and_grad(call.x, check)
            return float(value), _by_argument(call, positions, lambda s, shape: _plain(gradient[s].reshape(shape)))

        return self._run(call, compute)

    @overload
    def grad(self, *args: P.args, **kwargs: P.kwargs) -> Any: ...
    @overload
    def grad(self, *args: Any, argnums: Argnums | None, **kwargs: Any) -> Any: ...
    def grad(self, *args: Any, argnums: Argnums | None = None, **kwargs: Any) -> Any:  # type: ignore[misc]
        """Compute the gradient by the chosen arguments, each of the structure and shape of its argument."""
        return self.value_and_grad(*args, argnums=argnums, **kwargs)[1]

    @overload
    def jacobian(self, *args: P.args, **kwargs: P.kwargs) -> Any: ...
    @overload
    def jacobian(self, *args: Any, argnums: Argnums | None, **kwargs: Any) -> Any: ...
    def jacobian(self, *args: Any, argnums: Argnums | None = None, **kwargs: Any) -> Any:  # type: ignore[misc]
        """Compute the Jacobian: see `jacobian`."""
        call = self._numeric_call(args, kwargs)
        positions = self._positions(call, argnums)
        columns, compact = _columns(call, positions)

        def compute(path: _Path, check: bool) -> Any:
            return _jacobian_blocks(path.spec, compact, positions, path.jacobian(call.x, columns, check))

        return self._run(call, compute)

    @overload
    def hessian(self, *args: P.args, **kwargs: P.kwargs) -> Any: ...
    @overload
    def hessian(self, *args: Any, argnums: Argnums | None, **kwargs: Any) -> Any: ...
    def hessian(self, *args: Any, argnums: Argnums | None = None, **kwargs: Any) -> Any:  # type: ignore[misc]
        """Compute the Hessian: see `hessian`."""
        call = self._numeric_call(args, kwargs)
        positions = self._positions(call, argnums)
        columns, compact = _columns(call, positions)

        def compute(path: _Path, check: bool) -> Any:
            self._need_scalar(path)
            return _hessian_blocks(compact, positions, path.hessian(call.x, columns, check))

        return self._run(call, compute)

    @overload
    def hvp(self: Compiled[Concatenate[X, Q], R], x: X, v: Any, /, *args: Q.args, **kwargs: Q.kwargs) -> Any: ...
    @overload
    def hvp(self, x: Any, v: Any, /, *args: Any, argnums: Argnums | None, **kwargs: Any) -> Any: ...
    def hvp(self, x: Any, v: Any, *args: Any, argnums: Argnums | None = None, **kwargs: Any) -> Any:  # type: ignore[misc]
        """Compute the product of the Hessian with a vector: see `hvp`."""
        call = self._numeric_call((x, *args), kwargs)
        positions = self._positions(call, argnums)
        vector = self._vector(call, positions, v)

        def compute(path: _Path, check: bool) -> Any:
            self._need_scalar(path)
            product = path.hvp(call.x, vector, check)
            return _by_argument(call, positions, lambda s, shape: _plain(product[s].reshape(shape)))

        return self._run(call, compute)

    @property
    def batch(self) -> Batch:
        """The same function over rows."""
        return Batch(self)

    # --- calls and paths

    def _call(self, args: Sequence[Any], kwargs: dict[str, Any], *, static: bool = True) -> _Call | None:
        """The structure and the numbers of arguments, or None where they hold Values."""
        import numpy as np

        if len(args) == 1 and not kwargs and not self._static_argnums:  # the common call, without the bookkeeping
            x = args[0]
            if type(x) is np.ndarray and x.dtype == np.float64 and x.ndim:
                return _Call((("array", x.shape),), (), (0,), x.reshape(-1))
        numbers: list[Any] = []
        specs: list[Spec] = []
        offsets: list[int] = []
        size = counted = 0
        try:
            for i, argument in enumerate(args):
                offsets.append(size)
                if static and i in self._static_argnums:
                    specs.append(_static(argument))
                    continue
                specs.append(_spec_of_argument(argument, numbers))
                for part in numbers[counted:]:
                    size += 1 if isinstance(part, float) else part.size
                counted = len(numbers)
            keywords = tuple(
                (
                    name,
                    _static(kwargs[name]) if name in self._static_names else _spec_of_argument(kwargs[name], numbers),
                )
                for name in sorted(kwargs)
            )
        except _HoldsValues:
            return None
        if len(numbers) == 1 and not isinstance(numbers[0], float):
            x = numbers[0]
        elif all(isinstance(part, float) for part in numbers):
            x = np.array(numbers, dtype=np.float64)
        else:
            x = np.concatenate([np.atleast_1d(part) for part in numbers])
        return _Call(tuple(specs), keywords, tuple(offsets), x)

    def _numeric_call(self, args: Sequence[Any], kwargs: dict[str, Any]) -> _Call:
        call = None if _is_tracing() else self._call(args, kwargs)
        if call is None:
            raise TypeError(
                f"derivatives of {_name(self._function)} are numbers: they are not taken with respect to Values, nor "
                "inside a compiled function. For second derivatives use hessian() or hvp() of the outer function"
            )
        return call

    def _positions(self, call: _Call, argnums: Argnums | None) -> int | tuple[int, ...]:
        chosen = self._argnums if argnums is None else _checked_argnums(argnums, "argnums")
        count = len(call.arguments)

        def position(i: int) -> int:
            if not -count <= i < count:
                raise ValueError(
                    f"argnums names argument {i}, and {_name(self._function)} was given {count} by position"
                )
            if not _shapes(call.arguments[i]):
                raise TypeError(f"argument {i} of {_name(self._function)} holds no numbers to differentiate by")
            return i % count

        return position(chosen) if isinstance(chosen, int) else tuple(position(i) for i in chosen)

    def _vector(self, call: _Call, positions: int | tuple[int, ...], v: Any) -> Array:
        """The numbers of a vector by which `hvp` multiplies, zeros for other arguments; in a batch for each row."""
        import numpy as np

        vector = np.zeros(call.x.shape)
        rows = call.x.shape[:-1]
        parts = (v,) if isinstance(positions, int) else tuple(v)
        chosen = (positions,) if isinstance(positions, int) else positions
        if len(parts) != len(chosen):
            raise ValueError(f"hvp: {len(chosen)} arguments were chosen, and {len(parts)} vectors given")
        for part, position in zip(parts, chosen, strict=True):
            given = self._call((part,), {}, static=False)
            if given is None:
                raise TypeError("hvp: the vector is made of numbers, not of Values")
            found, wanted = _shapes(given.arguments[0]), _shapes(call.arguments[position])
            lead = rows if found == [rows + shape for shape in wanted] else ()
            if found != [lead + shape for shape in wanted]:
                by_row = f" in each row, {[rows + shape for shape in wanted]} in all" if rows else ""
                raise ValueError(f"hvp: the vector has the shapes {found}, the argument {wanted}{by_row}")
            start = call.offsets[position]
            block = _take(lambda s, _: given.x[s])  # noqa: B023  (used within this turn of the loop)
            for shape in wanted:
                size = math.prod(shape)
                vector[..., start : start + size] = block(lead + shape).reshape((*lead, size))
                start += size
        return vector

    def _need_scalar(self, path: _Path) -> None:
        if not path.is_scalar:
            raise TypeError(
                f"gradients, Hessians and their products are those of one number, and {_name(self._function)} returned "
                f"{_describe(path.spec)}: use jacobian(), or return a sum"
            )

    def _find(self, call: _Call) -> _Path | None:
        for path in self._paths.get(call.signature, ()):
            held = path.holds(call.x[None])[0] if path.guards is not None else 1
            if held:
                return path if held == 1 else None  # an operation raises: the function itself shall say how
        return None

    def _path(self, call: _Call) -> _Path:
        if self._habits is None:
            self._habits = agreement.habits(self._function)
        return _Path(self._function, call, self._habits)

    def _record(self, call: _Call) -> _Path:
        """Trace the function at the numbers of a call, and keep the path if it is new."""
        path = self._path(call)
        if not path.recordable:
            return path
        with self._lock:
            paths = self._paths.get(call.signature, ())
            if all(path.key != known.key for known in paths):
                if len(paths) < PATH_LIMIT:
                    self._paths[call.signature] = (*paths, path)
                    return path
                warn, self._warned = not self._warned, True
            else:
                warn = False
        if warn:
            warnings.warn(
                f"{_name(self._function)} has taken {PATH_LIMIT} paths, each with a program; calls that take any other "
                "path run the Python function eagerly. Fewer comparisons make fewer paths: maximum(), minimum(), abs() "
                "and relu() need none",
                RuntimeWarning,
                stacklevel=4,
            )
        return path

    def _run(self, call: _Call, compute: Callable[[_Path, bool], T]) -> T:
        path = self._find(call) or self._record(call)
        try:
            return compute(path, True)
        except (ValueError, ArithmeticError):
            pass
        # An operation was refused. The function itself says what that means: it raises, or handles the error.
        return compute(self._path(call), False)


class Batch:
    """A compiled function over rows: each row takes its own path, and rows of one path run together.

    Arrays have one more axis in front, the rows; in containers so does each of them. Numbers, and arguments that are no
    numbers, are the same for all rows. Results have the axis of the rows in front.

    Raises
    ------
    ValueError
        If arrays differ in their number of rows; if rows return results of different structure; if there are no rows
        and no call has yet shown what the function returns.
    """

    def __init__(self, function: Compiled[..., Any]) -> None:
        self._compiled = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function with each row."""
        import numpy as np

        call = self._rows(args, kwargs)
        computed = list(self._computed(call, lambda path, r, check: path.values(call.x[r], check)))
        spec = self._result(call, [path for path, *_ in computed])
        rows = len(call.x)
        parts = [(where, iter(_leaves_of(path.spec, values))) for path, where, values in computed]

        def column(shape: Shape) -> Any:
            pieces = [(where, next(leaves)) for where, leaves in parts]
            kind = np.result_type(*[piece for _, piece in pieces]) if pieces else np.float64
            out = np.empty((rows, *shape), dtype=kind)
            for where, piece in pieces:
                out[where] = piece
            return out

        return _unflatten(spec, column, _nothing)

    def value_and_grad(self, *args: Any, argnums: Argnums | None = None, **kwargs: Any) -> tuple[Array, Any]:
        """Compute values, of shape (rows,), and the gradient of each row by its own numbers."""
        import numpy as np

        call = self._rows(args, kwargs)
        positions = self._compiled._positions(call, argnums)
        values, gradient = np.empty(len(call.x)), np.empty(call.x.shape)

        def compute(path: _Path, r: Indices, check: bool) -> tuple[Array, Array]:
            self._compiled._need_scalar(path)
            return path.value_and_grad(call.x[r], check)

        for _, where, results in self._computed(call, compute):
            values[where], gradient[where] = results
        lead = values.shape
        return values, _by_argument(call, positions, lambda s, shape: gradient[:, s].reshape(lead + shape))

    def grad(self, *args: Any, argnums: Argnums | None = None, **kwargs: Any) -> Any:
        """Compute the gradient of each row."""
        return self.value_and_grad(*args, argnums=argnums, **kwargs)[1]

    def jacobian(self, *args: Any, argnums: Argnums | None = None, **kwargs: Any) -> Any:
        """Compute the Jacobian of each row.

        Parameters
        ----------
        *args, **kwargs
            The arguments, with the rows in front.
        argnums : int or sequence of int, optional
            The positional arguments to differentiate by, by default those of `compile`.

        Returns
        -------
        array, (rows,) + S + A
            For a result of shape ``S`` in each row and an argument of shape ``A`` in each row. Where the function
            returns a container, one of these for each of its entries; with a sequence of argnums tuples of these.
            Zeros where the row's path gives a constant.
        """
        import numpy as np

        call = self._rows(args, kwargs)
        positions = self._compiled._positions(call, argnums)
        columns, compact = _columns(call, positions)

        def compute(path: _Path, r: Indices, check: bool) -> Array:
            part = np.zeros((len(r), sum(map(math.prod, _shapes(_shape_spec(path.spec)))), len(columns)))
            part[:, _places(path.spec)] = path.jacobian(call.x[r], columns, check)
            return part

        computed = list(self._computed(call, compute))
        spec = self._result(call, [path for path, *_ in computed])
        jacobian = np.empty((len(call.x), sum(map(math.prod, _shapes(spec))), len(columns)))
        for _, where, part in computed:
            jacobian[where] = part
        return _jacobian_blocks(spec, compact, positions, jacobian)

    def hessian(self, *args: Any, argnums: Argnums | None = None, **kwargs: Any) -> Any:
        """Compute the Hessian of each row."""
        import numpy as np

        call = self._rows(args, kwargs)
        positions = self._compiled._positions(call, argnums)
        columns, compact = _columns(call, positions)
        hessian = np.empty((len(call.x), len(columns), len(columns)))

        def compute(path: _Path, r: Indices, check: bool) -> Array:
            self._compiled._need_scalar(path)
            return path.hessian(call.x[r], columns, check)

        for _, where, results in self._computed(call, compute):
            hessian[where] = results
        return _hessian_blocks(compact, positions, hessian)

    def hvp(self, x: Any, v: Any, *args: Any, argnums: Argnums | None = None, **kwargs: Any) -> Any:
        """Compute the product of the Hessian of each row with a vector, without the Hessians.

        Parameters
        ----------
        x, *args, **kwargs
            The arguments, with the rows in front.
        v : array_like, (rows,) + A or A
            The vectors, row by row or one for all rows, for an argument of shape ``A`` in each row; for a container
            one of that structure, with a sequence of argnums a sequence of them.
        argnums : int or sequence of int, optional
            The positional arguments to differentiate by, by default those of `compile`.

        Returns
        -------
        array, (rows,) + A
            In the structure of the argument; with a sequence of argnums a tuple of these.
        """
        import numpy as np

        call = self._rows((x, *args), kwargs)
        positions = self._compiled._positions(call, argnums)
        vectors = self._compiled._vector(call, positions, v)
        product = np.empty(call.x.shape)

        def compute(path: _Path, r: Indices, check: bool) -> Array:
            self._compiled._need_scalar(path)
            return path.hvp(call.x[r], vectors[r], check)

        for _, where, results in self._computed(call, compute):
            product[where] = results
        lead = product.shape[:1]
        return _by_argument(call, positions, lambda s, shape: product[:, s].reshape(lead + shape))

    def _rows(self, args: Sequence[Any], kwargs: dict[str, Any]) -> _Call:
        """The call of one row, with the numbers of all rows."""
        import numpy as np

        compiled = self._compiled
        whole = None if _is_tracing() else compiled._call(args, kwargs)
        if whole is None:
            raise TypeError("a batch is made of numbers: call the function itself with Values")
        specs = [*whole.arguments, *(spec for _, spec in whole.keywords)]
        shapes = [shape for spec in specs for shape in _shapes(spec)]
        counts = {shape[0] for shape in shapes if shape}
        if len(counts) != 1:
            raise ValueError(f"the arrays of a batch have one number of rows, not {sorted(counts) or 'no rows at all'}")
        rows, position, blocks = counts.pop(), 0, []
        for shape in shapes:
            size = math.prod(shape)
            part = whole.x[position : position + size]
            blocks.append(
                part.reshape(rows, -1 if rows else math.prod(shape[1:])) if shape else np.full((rows, 1), part)
            )
            position += size
        arguments = tuple(map(_row_spec, whole.arguments))
        keywords = tuple((name, _row_spec(spec)) for name, spec in whole.keywords)
        sizes = [sum(map(math.prod, _shapes(spec))) for spec in arguments]
        offsets = tuple(sum(sizes[:i]) for i in range(len(sizes)))
        return _Call(arguments, keywords, offsets, np.concatenate(blocks, axis=1))

    def _groups(self, call: _Call) -> list[tuple[_Path, Indices]]:
        """Every row with the path that it takes."""
        import numpy as np

        compiled = self._compiled
        groups: list[tuple[_Path, Indices]] = []
        raising: list[Indices] = []
        pending = np.arange(len(call.x))

        def assign(path: _Path) -> None:
            nonlocal pending
            held = path.holds(call.x[pending])
            if (held == 1).any():
                groups.append((path, pending[held == 1]))
            raising.append(pending[held == -1])
            pending = pending[held == 0]

        for path in compiled._paths.get(call.signature, ()):
            if not len(pending):
                break
            assign(path)
        while len(pending):
            first, pending = pending[:1], pending[1:]
            path = self._record_row(call, int(first[0]))
            groups.append((path, first))
            if path.recordable:
                assign(path)
        for r in np.sort(np.concatenate(raising)) if raising else ():
            groups.append((self._record_row(call, int(r)), np.array([r])))
        return groups

    def _result(self, call: _Call, paths: list[_Path]) -> Spec:
        """The structure of the result of every row."""
        shown = paths or self._compiled._paths.get(call.signature, ())[:1]
        if not shown:
            raise ValueError("the structure of the result is not known before a first row: call with one")
        return _common_spec([path.spec for path in shown])

    def _record_row(self, call: _Call, r: int) -> _Path:
        with _row_noted(r):
            return self._compiled._record(call.row(r))

    def _computed(
        self, call: _Call, compute: Callable[[_Path, Indices, bool], T]
    ) -> Iterator[tuple[_Path, Indices, T]]:
        """The results of all rows, by path."""
        import numpy as np

        for path, where in self._groups(call):
            try:
                results = compute(path, where, True)
            except (ValueError, ArithmeticError):
                pass
            except TypeError as error:
                if path.refusal:  # the path of one row
                    _add_note(error, f"in row {where[0]} of the batch")
                raise
            else:
                yield path, where, results
                continue
            # An operation was refused in some row. The function itself says what that means, row by row.
            for r in where:
                with _row_noted(int(r)):
                    again, row = self._compiled._path(call.row(int(r))), np.array([r])
                    results = compute(again, row, False)
                yield again, row, results


@contextmanager
def _row_noted(r: int) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        _add_note(error, f"in row {r} of the batch")
        raise


# --- structures of derivatives


def _static(argument: Any) -> Spec:
    try:
        hash(argument)
    except TypeError:
        raise TypeError(f"a static argument has to be hashable, and {type(argument).__name__} is not") from None
    return ("static", type(argument), argument)


def _shapes(spec: Spec) -> list[Shape]:
    """The shapes of the numbers and arrays of a structure."""
    shapes: list[Shape] = []
    _unflatten(spec, shapes.append, _nothing)
    return shapes


def _row_spec(spec: Spec) -> Spec:
    match spec[0]:
        case "array":
            return ("array", spec[1][1:]) if len(spec[1]) > 1 else _NUMBER
        case "sequence" | "dict":
            return (spec[0], spec[1], tuple(map(_row_spec, spec[2])))
    return spec


def _shape_spec(spec: Spec) -> Spec:
    """A structure of results with constants and computed numbers alike."""
    import numpy as np

    match spec[0]:
        case "static":
            shape = np.shape(spec[2])
            return ("array", shape) if shape else _NUMBER
        case "sequence" | "dict":
            return (spec[0], spec[1], tuple(map(_shape_spec, spec[2])))
    return spec


def _common_spec(specs: list[Spec]) -> Spec:
    first = _shape_spec(specs[0])
    for spec in specs[1:]:
        if _shape_spec(spec) != first:
            raise ValueError(
                f"rows of a batch return one structure, and here some return {_describe(specs[0])}, others "
                f"{_describe(spec)}"
            )
    return first


def _leaves_of(spec: Spec, values: Array) -> Iterator[Any]:
    """The numbers and arrays of a result, constants included, each with the rows in front or as it is for all rows."""
    import numpy as np

    found: list[Any] = []

    def computed(where: slice, shape: Shape) -> None:
        found.append(values[:, where].reshape(values.shape[:1] + shape))

    _unflatten(spec, _take(computed), lambda constant: found.append(np.asarray(constant)))
    return iter(found)


def _describe(spec: Spec) -> str:
    match spec[0]:
        case "number":
            return "a number"
        case "array":
            return f"an array of shape {spec[1]}"
        case "static":
            return f"the constant {spec[2]!r}"
    return f"a {'dict' if spec[0] == 'dict' else spec[1].__name__} of {len(spec[2])}"


def _by_argument(call: _Call, positions: int | tuple[int, ...], block: Callable[[slice, Shape], Any]) -> Any:
    """`block(columns, shape)` for the numbers of the chosen arguments, in the structure of the arguments."""

    def one(i: int) -> Any:
        return _unflatten(call.arguments[i], _take(block, call.offsets[i]), _nothing)

    return one(positions) if isinstance(positions, int) else tuple(one(i) for i in positions)


def _columns(call: _Call, positions: int | tuple[int, ...]) -> tuple[Indices, _Call]:
    """The numbers of the chosen arguments, and the call with offsets that count these alone."""
    import numpy as np

    chosen = (positions,) if isinstance(positions, int) else positions
    offsets, columns, size = list(call.offsets), [], 0
    for i in dict.fromkeys(chosen):
        width = sum(map(math.prod, _shapes(call.arguments[i])))
        columns.append(np.arange(call.offsets[i], call.offsets[i] + width))
        offsets[i] = size
        size += width
    return np.concatenate(columns), call._replace(offsets=tuple(offsets))


def _places(spec: Spec) -> Indices:
    """The places of what a path computes, among all numbers of its result, constants included."""
    import numpy as np

    places: list[Indices] = []
    position = 0

    def leaf(shape: Shape, computed: bool = True) -> None:
        nonlocal position
        begin, position = position, position + math.prod(shape)
        if computed:
            places.append(np.arange(begin, position))

    _unflatten(spec, leaf, lambda constant: leaf(np.shape(constant), False))
    return np.concatenate(places) if places else np.arange(0)


def _jacobian_blocks(spec: Spec, call: _Call, positions: int | tuple[int, ...], jacobian: Array) -> Any:
    import numpy as np

    lead = jacobian.shape[:-2]

    def block(r: slice, shape: Shape) -> Any:
        def one(c: slice, s: Shape) -> Any:
            part = jacobian[..., r, c].reshape(lead + shape + s)
            return part if lead else _plain(part)

        return _by_argument(call, positions, one)

    def constant(result: Any) -> Any:
        if not isinstance(result, (int, float, np.number, np.ndarray)):
            return None
        return _by_argument(call, positions, lambda _, s: _plain(np.zeros(np.shape(result) + s)))

    return _unflatten(spec, _take(block), constant)


def _hessian_blocks(call: _Call, positions: int | tuple[int, ...], hessian: Array) -> Any:
    lead = hessian.shape[:-2]

    def rows(r: slice, shape: Shape) -> Any:
        def block(c: slice, s: Shape) -> Any:
            part = hessian[..., r, c].reshape(lead + shape + s)
            return part if lead else _plain(part)

        return _by_argument(call, positions, block)

    return _by_argument(call, positions, rows)


def _checked_argnums(argnums: Argnums, what: str) -> int | tuple[int, ...]:
    if isinstance(argnums, int) and not isinstance(argnums, bool):
        return argnums
    try:
        numbers = tuple(argnums)  # type: ignore[arg-type]
    except TypeError:
        numbers = (None,)  # type: ignore[assignment]
    if (what == "argnums" and not numbers) or not all(isinstance(i, int) for i in numbers):
        raise TypeError(f"{what} is the number of an argument or a sequence of them, not {argnums!r}")
    return numbers


def _names_of(function: Function, positions: tuple[int, ...]) -> frozenset[str]:
    """The names by which arguments at positions can be passed."""
    if any(i < 0 for i in positions):
        raise ValueError(f"static_argnums counts from 0: {positions}")
    if not positions:
        return frozenset()
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return frozenset()
    return frozenset(parameters[i].name for i in positions if i < len(parameters))


# --- the public functions


class _Decorator(Protocol):
    def __call__(self, function: Callable[P, R], /) -> Compiled[P, R]: ...


@overload
def compile(fn: Callable[P, R], *, argnums: Argnums = 0, static_argnums: Argnums = ()) -> Compiled[P, R]: ...
@overload
def compile(*, argnums: Argnums = 0, static_argnums: Argnums = ()) -> _Decorator: ...
def compile(fn: Function | None = None, *, argnums: Argnums = 0, static_argnums: Argnums = ()) -> Any:
    """Record a function at its first call, and run the record from then on. Also a decorator.

    `fn` is ordinary Python over numbers and arrays. It is run once with Values in place of the numbers (arrays arrive
    as object arrays, so that NumPy's arithmetic and functions work) and recorded as a `Program`, which later calls run
    without Python.

    Parameters
    ----------
    fn : callable
        Its arguments are numbers, arrays of real numbers of any shape, and lists, tuples and dicts of them. Everything
        else (bools, strings, objects) is passed on as it is, must be hashable, and is recorded for each anew.
    argnums : int or sequence of int, default 0
        Which positional arguments derivatives are taken by; each method takes ``argnums=`` too. With a sequence,
        results are tuples with one entry for each.
    static_argnums : int or sequence of int, default ()
        Arguments that `fn` needs as Python numbers: counts, indices.

    Returns
    -------
    Compiled
        ``f(*args)``, ``f.value_and_grad``, ``f.grad``, ``f.jacobian``, ``f.hessian`` with the arguments of `fn`;
        ``f.hvp(x, v, *args)``; and ``f.batch(X)``, ``f.batch.value_and_grad``, ``f.batch.grad``, ``f.batch.hessian``
        over rows.

    Raises
    ------
    TypeError
        At a call: for arguments or results of another kind; if `fn` does what cannot be recorded (``float(x)``, an
        assignment to ``.data``, ``backward()``, an operation whose rule is Python's); for derivatives, if it does
        something else with numbers than with Values.

    Warns
    -----
    RuntimeWarning
        Once, when a function has taken 64 paths for arguments of one structure. Calls on other paths then run `fn`.

    Notes
    -----
    **Branches.** Comparisons, also ``==`` and ``if x:``, are guards: a call whose numbers decide one differently
    records its own path. Guards are evaluated op by op as eager code would, so that the branch is always the one that
    Python takes, NaN included. Reading ``x.data`` ties a path to that very number. `kilograd.maximum`,
    `kilograd.minimum`, ``abs`` and ``relu`` choose without a guard, and so does `kilograd.where`. Where a function
    handles an error of an operation (``try: log(x)``), it runs eagerly.

    **What is read when.** The function is recorded for each structure and shape of its arguments. Values from outside
    (the parameters of a model) are read anew at each call, down to the leaves. All else that is not an argument is
    constant after the first call: global numbers, random numbers, the clock; and so are side effects, which happen then
    and not again. The function works on copies of its arrays.

    **Numbers are what counts.** A function that may treat a Value otherwise than a number (it handles an error, tests
    ``is True``) is run once more with the numbers where a path is recorded; one that asks what a number is (``type``,
    ``hasattr``, ``.dtype``), or compares NaN, at each call. Where the results differ, calls return what the numbers
    give and derivatives raise a `TypeError`. ``isinstance(x, float)`` holds for a Value, too, and asks nothing.

    An error in an operation is the one that eager code raises; an operation whose result nothing needs is not run again
    and raises none, except in functions that handle errors. Called with Values, or inside another compiled function,
    a compiled function is `fn` itself. Any number of threads may call it.

    Examples
    --------
    >>> import numpy as np
    >>> import kilograd
    >>> @kilograd.compile
    ... def f(x):
    ...     return (x**2).sum() if x[0] > 0 else x.sum()
    >>> f(np.array([3.0, 4.0])), f(np.array([-3.0, 4.0]))
    (25.0, 1.0)
    >>> print(f.grad(np.array([3.0, 4.0])))
    [6. 8.]
    >>> print(f.batch(np.array([[3.0, 4.0], [-3.0, 4.0]])))
    [25.  1.]
    """
    if fn is None:
        return lambda function: Compiled(function, argnums, static_argnums)
    return Compiled(fn, argnums, static_argnums)


def _compiled(fn: Function) -> Compiled[..., Any]:
    return fn if isinstance(fn, Compiled) else Compiled(fn)


def grad(fn: Callable[P, Any], argnums: Argnums = 0) -> Callable[P, Any]:
    """Give the function that computes the gradient of `fn`.

    Parameters
    ----------
    fn : callable
        What `compile` takes, or a compiled function; it returns one number.
    argnums : int or sequence of int, default 0
        The positional arguments to differentiate by.

    Returns
    -------
    callable
        With the arguments of `fn`: the gradient, in the structure and shapes of the argument; with a sequence of
        argnums a tuple of gradients. (`kilograd.arrays.gradients` reads the gradients that Values hold.)

    Examples
    --------
    >>> import kilograd
    >>> kilograd.grad(lambda x: x**2)(3.0)
    6.0
    """
    return _with_argnums(_compiled(fn).grad, argnums)


def value_and_grad(fn: Callable[P, Any], argnums: Argnums = 0) -> Callable[P, tuple[float, Any]]:
    """Give the function that computes the value of `fn` and its gradient.

    Parameters
    ----------
    fn : callable
        What `compile` takes, or a compiled function; it returns one number.
    argnums : int or sequence of int, default 0
        The positional arguments to differentiate by.

    Returns
    -------
    callable
        With the arguments of `fn`: ``(value, gradient)``, a float and a gradient of the structure and shapes of the
        argument; with a sequence of argnums a tuple of those.

    Examples
    --------
    >>> import kilograd
    >>> kilograd.value_and_grad(lambda x, y: x * y**2, argnums=(0, 1))(3.0, 2.0)
    (12.0, (4.0, 12.0))
    """
    return _with_argnums(_compiled(fn).value_and_grad, argnums)


def jacobian(fn: Callable[P, Any], argnums: Argnums = 0) -> Callable[P, Any]:
    """Give the function that computes the Jacobian of `fn`.

    Parameters
    ----------
    fn : callable
        What `compile` takes, or a compiled function.
    argnums : int or sequence of int, default 0
        The positional arguments to differentiate by.

    Returns
    -------
    callable
        With the arguments of `fn`. For a result of shape ``S`` and an argument of shape ``A`` an array of shape
        ``S + A``; where `fn` returns a container, one of these for each of its entries.

    Examples
    --------
    >>> import numpy as np
    >>> import kilograd
    >>> print(kilograd.jacobian(lambda x: x * x[0])(np.array([2.0, 3.0])))
    [[4. 0.]
     [3. 2.]]
    """
    return _with_argnums(_compiled(fn).jacobian, argnums)


def hessian(fn: Callable[P, Any], argnums: Argnums = 0) -> Callable[P, Any]:
    """Give the function that computes the Hessian of `fn`.

    Parameters
    ----------
    fn : callable
        What `compile` takes, or a compiled function; it returns one number.
    argnums : int or sequence of int, default 0
        The positional arguments to differentiate by.

    Returns
    -------
    callable
        With the arguments of `fn`: an array of shape ``A + A`` for an argument of shape ``A``; with a sequence of
        argnums a tuple of tuples of blocks.

    Examples
    --------
    >>> import kilograd
    >>> kilograd.hessian(lambda x: x**3)(2.0)
    12.0
    """
    return _with_argnums(_compiled(fn).hessian, argnums)


def hvp(fn: Callable[Concatenate[X, Q], Any], argnums: Argnums = 0) -> Callable[Concatenate[X, Any, Q], Any]:
    """Give the function that computes the product of the Hessian of `fn` with a vector, without the Hessian.

    Parameters
    ----------
    fn : callable
        What `compile` takes, or a compiled function; it returns one number.
    argnums : int or sequence of int, default 0
        The positional arguments to differentiate by.

    Returns
    -------
    callable
        ``(x, v, *args)``: the arguments of `fn` with the vector after the first, as in SciPy's ``hessp``. The vector
        and the product have the structure and shapes of the argument; with a sequence of argnums they are tuples.

    Examples
    --------
    >>> import numpy as np
    >>> import kilograd
    >>> print(kilograd.hvp(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]), np.array([1.0, 0.0])))
    [4. 2.]
    """
    return _with_argnums(_compiled(fn).hvp, argnums)


def _with_argnums(method: Function, argnums: Argnums) -> Function:
    chosen = _checked_argnums(argnums, "argnums")

    def function(*args: Any, **kwargs: Any) -> Any:
        return method(*args, argnums=chosen, **kwargs)

    owner: Compiled[..., Any] = method.__self__  # type: ignore[attr-defined]
    name = getattr(owner, "__name__", "fn")
    function.__name__ = function.__qualname__ = f"{method.__name__}({name})"
    function.__doc__ = f"{method.__name__} of {name} by argument {chosen}."
    return function


@overload
def where(condition: bool | np.bool_, a: float, b: float) -> float: ...
@overload
def where(condition: bool | np.bool_, a: Value, b: Value) -> Value: ...
@overload
def where(condition: bool | np.bool_, a: Value | float, b: Value | float) -> Value | float: ...
@overload
def where(condition: bool | np.bool_ | NDArray[Any] | list[Any] | tuple[Any, ...], a: Any, b: Any) -> NDArray[Any]: ...
def where(condition: Any, a: Any, b: Any) -> Any:
    """Choose `a` where a condition holds, `b` elsewhere; elementwise, as `numpy.where`, also for Values.

    Parameters
    ----------
    condition : bool or array of bool
        Such as ``x > 0``, or several such with ``&``, ``|`` and, in arrays, ``~``.
    a, b : numbers, Values, or arrays of them
        Both are computed, errors included. They broadcast.

    Returns
    -------
    number, Value or array

    Raises
    ------
    TypeError
        If the condition is made of anything but bools.

    Notes
    -----
    Inside a compiled function the choice is an operation, and no guard: all rows of a batch share one path. Derivatives
    are those of the side that is chosen. For this, a function that calls `where` is run twice when it is recorded, the
    second time with objects in place of the bools that comparisons give. Comparisons are guards as everywhere where the
    second run differs from the first (it may test ``is True``, index with the condition, or use random numbers), and
    where both sides are plain integers.

    Examples
    --------
    >>> import numpy as np
    >>> import kilograd
    >>> x = np.array([kilograd.Value(1.0), kilograd.Value(-2.0)])
    >>> kilograd.where(x > 0, x, 0.1 * x)
    array([Value(data=1.0), Value(data=-0.2)], dtype=object)
    """
    import numpy as np

    mask = np.asarray(condition)
    if _is_tracing():
        _thread.chose = True
        if any(isinstance(entry, conditions.Condition) for entry in mask.flat):
            return _chosen(mask, a, b)
    if mask.dtype == object and all(isinstance(entry, (bool, np.bool_)) for entry in mask.flat):
        mask = mask.astype(bool)
    if mask.dtype != bool:
        raise TypeError("where: the condition is a bool or an array of bools, such as x > 0")
    result = np.where(mask, a, b)
    return result if result.ndim else result.item()


def _chosen(mask: NDArray[Any], a: Any, b: Any) -> Any:
    """As `where`, for an array of conditions."""
    import numpy as np

    parts = np.broadcast_arrays(mask, *(np.asarray(part, dtype=object) for part in (a, b)))
    result = np.empty(parts[0].shape, dtype=object)
    for place in np.ndindex(result.shape):
        result[place] = conditions.choose(*(part[place] for part in parts))
    return conditions.numbers(result) if result.ndim else result.item()
