"""`Compiled`: a function with its paths. A call takes one of them, and is recorded where there is none."""

from __future__ import annotations

import inspect
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import update_wrapper
from itertools import count
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, ParamSpec, TypeAlias, TypeVar, overload

import numpy as np

from kilograd.compiled.batch import Batch
from kilograd.compiled.calls import Call, Rows, call_of, rows_of
from kilograd.compiled.conditions import afterwards_as_before, thread
from kilograd.compiled.derivatives import Argnums, Derivatives, checked_argnums
from kilograd.compiled.gradients import value_and_grad_in_trace
from kilograd.compiled.habits import Habits, habits
from kilograd.compiled.only import Only
from kilograd.compiled.path import Path
from kilograd.compiled.pickling import PickledAsFunction
from kilograd.compiled.refusals import refuse
from kilograd.compiled.stages import Guards
from kilograd.compiled.structure import Numbers, Shape, Structure, width_of
from kilograd.compiled.tracing import Function, name_of
from kilograd.sparse import csr

if TYPE_CHECKING:
    from kilograd import _core
    from kilograd.compiled.structure import Array, Columns

    ShortWay: TypeAlias = tuple[_core._Guards | None, Only]

FLOAT64 = np.dtype(np.float64)
PATH_LIMIT = 64
"""How many paths of a function are kept for arguments of one structure."""

P = ParamSpec("P")  # the arguments of the function
R = TypeVar("R")  # its result
Q = ParamSpec("Q")  # its arguments but for the first
X = TypeVar("X")  # the first
T = TypeVar("T")


class Compiled(PickledAsFunction, Derivatives[P, float], Generic[P, R]):
    """A function that is recorded at its first call; made by `compile`, which describes it.

    Attributes
    ----------
    batch : Batch
        The same function over rows.
    """

    def __init__(self, function: Callable[P, R], argnums: Argnums = 0, static_argnums: Argnums = ()) -> None:
        if not callable(function):
            raise TypeError(f"compile() takes a function, not {type(function).__name__}")
        plain_function: Function = function._function if isinstance(function, Compiled) else function
        update_wrapper(self, plain_function)
        static = checked_argnums(static_argnums, "static_argnums")
        static = (static,) if isinstance(static, int) else static
        super().__init__(plain_function, checked_argnums(argnums, "argnums"), static)
        self._name = name_of(plain_function)
        self._static_names = _names_of(plain_function, static)
        self._paths: dict[tuple[Any, ...], tuple[Path, ...]] = {}  # by the signatures of calls
        self._short_ways: dict[Shape, tuple[ShortWay, ...]] = {}  # of calls with one array, by its shape
        self._lock = threading.Lock()
        self._warned = False
        self._habits: Habits | None = None

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
        shifted = tuple([i - 1 for i in self._static_argnums if i > 0])
        bound: Compiled[..., Any] = Compiled(self._function.__get__(instance, owner), self._argnums, shifted)
        bound._attribute = self._attribute
        if self._attribute is None or not hasattr(instance, "__dict__"):
            return bound
        found: Compiled[..., Any] = instance.__dict__.setdefault(self._attribute, bound)
        return found

    def __repr__(self) -> str:
        paths = sum(map(len, self._paths.values()))
        return f"<compiled {self._name}: {paths} path{'' if paths == 1 else 's'} recorded>"

    def _repr_html_(self) -> str | None:
        """In a notebook: the paths."""
        from kilograd.display.programs import compiled_html

        return compiled_html(self)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function: what it would return, with floats and float arrays in place of Values."""
        if not kwargs and (only := self._only(args)) is not None:
            try:
                return only.value(args[0])  # type: ignore[no-any-return, arg-type]
            except (ValueError, ArithmeticError):
                pass
        call = self._call_of(args, kwargs)
        if call is None:
            return self._function(*args, **kwargs)  # type: ignore[no-any-return]
        return self._computed(call, Path.result, ())  # type: ignore[no-any-return]

    @property
    def batch(self) -> Batch:
        """The same function over rows."""
        return Batch(self)

    def sparsity(
        self,
        *args: Any,
        of: Literal["jacobian", "hessian"] = "jacobian",
        argnums: Argnums | None = None,
        **kwargs: Any,
    ) -> Any:
        """Tell which entries of the Jacobian or the Hessian may differ from zero, for calls on the path of this one.

        What solvers ask for beforehand, as ``jac_sparsity`` of ``scipy.optimize.least_squares``. The sparse arrays that
        `jacobian` and `hessian` give hold these entries, zeros included. A matrix of which few entries are known to be
        zero counts as full.

        Parameters
        ----------
        *args, **kwargs
            The arguments.
        of : {"jacobian", "hessian"}
            Which of the two.
        argnums : int or sequence of int, optional
            The positional arguments to differentiate by, by default those of `compile`.

        Returns
        -------
        scipy.sparse.csr_array of bool
        """
        if of not in ("jacobian", "hessian"):
            raise ValueError(f'of must be "jacobian" or "hessian", not {of!r}')
        call = self._numbers(args, kwargs)
        columns, _ = call.columns(self._positions(call, argnums))
        path = self._find(call) or self._record(call)
        starts, places = path.pattern(of == "hessian", columns)
        return csr(np.ones(len(places), dtype=bool), starts, places, width_of(columns))

    # --- calls and paths

    def _call_of(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Call | None:
        """The numbers of a call, or None where it is one of the function itself: with Values, or while tracing."""
        return None if thread.depth else call_of(args, kwargs, self._static_argnums, self._static_names)

    def _rows_of(self, args: Sequence[Any], kwargs: dict[str, Any], shared: frozenset[int]) -> Rows | None:
        """The same of a batch, of which all rows share some arguments."""
        return None if thread.depth else rows_of(args, kwargs, self._static_argnums, self._static_names, shared)

    def _only(self, args: Sequence[Any]) -> Only | None:
        if len(args) != 1 or type(x := args[0]) is not np.ndarray or x.dtype is not FLOAT64 or thread.depth:
            return None
        for guards, only in self._short_ways.get(x.shape, ()) if self._argnums == 0 else ():
            held = 1 if guards is None else guards.hold_at(x)
            if held:
                return only if held == 1 else None  # an operation raises: the function itself shall say how
        return None

    def _paths_of(self, call: Call) -> tuple[Path, ...]:
        """Those recorded for calls of the structure of this one."""
        return self._paths.get(call.signature, ())

    def _path(self, call: Call) -> Path:
        """Trace the function at the numbers of a call."""
        if self._habits is None:
            self._habits = habits(self._function)
        read = self._habits

        def record() -> Path:
            thread.refused = False
            try:
                return Path(self._function, call, read)
            except Exception as error:
                refuse(error, self._function, call)
                raise

        return afterwards_as_before(record)

    def _record(self, call: Call) -> Path:
        """Trace the function at the numbers of a call, and keep the path if it is new."""
        path = self._path(call)
        if not path.recordable:
            return path
        with self._lock:
            paths = self._paths_of(call)
            if any(path.key == known.key for known in paths):
                return path
            if len(paths) < PATH_LIMIT:
                self._paths[call.signature] = (*paths, path)
                match call.signature:
                    case ((Numbers(shape),), ()) if shape:
                        self._short_ways[shape] = tuple(_short_ways((*paths, path)))
                return path
            warn, self._warned = not self._warned, True
        if warn:
            remedy = _named(call, path.indexed) or (
                "Fewer comparisons make fewer paths: maximum(), minimum(), abs() and relu() need none"
            )
            warnings.warn(
                f"{self._name} has taken {PATH_LIMIT} paths, each with a program; calls that take any other "
                f"path run the Python function eagerly. {remedy}",
                RuntimeWarning,
                stacklevel=_level_of_caller(),
            )
        return path

    def _find(self, call: Call) -> Path | None:
        for path in self._paths.get((call.arguments, call.keywords), ()):
            held = path.holds(call.x[None])[0] if path.guards is not None else 1
            if held:
                return path if held == 1 else None  # an operation raises: the function itself shall say how
        return None

    def _numbers(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Call:
        call = self._call_of(args, kwargs)
        if call is None:
            raise TypeError(
                f"derivatives of {self._name} are numbers, and are not taken with respect to Values; inside a compiled "
                "function, grad() and value_and_grad() alone are. For second derivatives use hessian() or hvp() of the "
                "outer function"
            )
        return call

    def _value_and_grad_in_trace(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], argnums: Argnums
    ) -> tuple[Any, Any]:
        positions = checked_argnums(argnums, "argnums")
        return value_and_grad_in_trace(self._function, self._name, args, kwargs, positions)

    def _computed(self, call: Call, compute: Callable[..., T], shapes: Sequence[Shape], *others: Array) -> T:
        path = self._find(call) or self._record(call)
        try:
            return compute(path, call.x, True, *others)
        except (ValueError, ArithmeticError):
            pass
        # An operation was refused. The function itself says what that means: it raises, or handles the error.
        return compute(self._path(call), call.x, False, *others)

    def _jacobian(self, call: Call, columns: Columns) -> tuple[Structure, Array]:
        return self._computed(call, lambda path, x, check: (path.structure, path.jacobian(x, check, columns)), ())

    def _sparse(self, args: Sequence[Any], kwargs: dict[str, Any], argnums: Argnums | None, second: bool) -> Any:
        call = self._numbers(args, kwargs)
        columns = call.columns(self._positions(call, argnums))[0]

        def compute(path: Path, x: Array, check: bool) -> Any:
            pattern = path.pattern(second, columns)
            return csr(path.entries(x, check, second, columns), *pattern, width_of(columns))

        return self._computed(call, compute, ())


def _short_ways(paths: Sequence[Path]) -> Iterator[ShortWay]:
    """The guards and programs of the first paths, as far as they have no stages."""
    for path in paths:
        if path.alone is None or isinstance(path.guards, Guards):
            return
        yield path.guards, path.alone


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
    return frozenset([parameters[i].name for i in positions if i < len(parameters)])


def _named(call: Call, places: Sequence[int]) -> str:
    """What to do about arguments that are indices or counts; nothing where there are none."""
    if not places:
        return ""
    what = call.names_of(places[:1])
    return (
        f"{what} is an integer that the function uses as an index or a count, and each of its values is a path of its "
        "own: pass what it selects instead, count with kilograd.while_loop, or, where its values are few, name it in "
        "static_argnums"
    )


def _level_of_caller() -> int:
    """Where a warning points to: the first line outside this package."""
    for level in count(1):
        if sys._getframe(level).f_globals.get("__package__") != __package__:
            return level
    raise AssertionError
