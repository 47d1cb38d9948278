"""Functions with derivatives of their own: `custom` rules, and `implicit`, roots whose derivatives are a theorem's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

import numpy as np

from kilograd import _core
from kilograd._core import Value
from kilograd.arrays import data
from kilograd.compiled.calls import call_of
from kilograd.compiled.conditions import thread
from kilograd.compiled.function import Compiled
from kilograd.compiled.stages import built, entries_of, flattened, paused, staged
from kilograd.compiled.structure import Listed, Numbers, Static, Structure, places, shapes_of, size_of, take
from kilograd.compiled.tracing import Function, name_of

if TYPE_CHECKING:
    from kilograd.compiled.path import Path
    from kilograd.compiled.structure import Array

P = ParamSpec("P")
R = TypeVar("R")


def custom(f: Callable[P, R], *, vjp: Function | None = None, jvp: Function | None = None) -> Callable[P, R]:
    """Give a function of numbers a derivative of its own, also where it is made of what cannot be recorded.

    Parameters
    ----------
    f : callable
        From numbers, arrays, and lists, tuples and dicts of them, to such; it is called with numbers alone. What
        derivatives shall flow to is an argument: a Value from outside is refused.
    vjp : callable, optional
        ``vjp(weights, *args)``: the gradient of the sum of the weighted results, a tuple with an entry for each
        argument, in its structure, or None for zeros. Made of what kilograd records, it gives second derivatives.
    jvp : callable, optional
        ``jvp(tangents, *args)``: the derivative of the results along a tuple of tangents. One of the two is needed; the
        other then takes as many calls as there are results, or numbers in the arguments.

    Returns
    -------
    callable
        `f` for numbers; with Values, and inside of compiled functions, `f` with this derivative.

    Raises
    ------
    TypeError
        If neither is given; if what they return does not fit; for second derivatives, without a `vjp` that can be
        recorded.

    Examples
    --------
    >>> import math
    >>> import kilograd
    >>> expit = kilograd.custom(lambda x: 1 / (1 + math.exp(-x)), vjp=lambda w, x: (w * expit(x) * (1 - expit(x)),))
    >>> kilograd.grad(expit)(0.0), kilograd.hessian(lambda x: expit(x) ** 2)(0.0)
    (0.25, 0.125)
    """
    if vjp is None and jvp is None:
        raise TypeError("custom: a derivative is needed: vjp(weights, *args) or jvp(tangents, *args)")
    return _Custom(f, vjp, jvp)


def implicit(residual: Callable[..., Any], solve: Callable[P, R]) -> Callable[P, R]:
    """Make of a solver a function with derivatives, by the implicit function theorem.

    Parameters
    ----------
    residual : callable
        ``residual(z, *args)`` is zero at the root: as many numbers as `z` has. Made of what kilograd records.
    solve : callable
        ``solve(*args)`` gives the root `z`: a number, an array, or lists, tuples and dicts of them. Called with numbers
        alone, it is any code, such as `scipy.optimize.root`. What derivatives shall flow to is an argument.

    Returns
    -------
    callable
        `solve` for numbers; with Values, and inside of compiled functions, `solve` with exact first derivatives, in
        compiled functions also second ones, whatever `solve` does.

    Raises
    ------
    TypeError
        If `residual` cannot be recorded, or either uses a Value from outside.
    ValueError
        If `residual` gives more or fewer numbers than `z` has, or its Jacobian by `z` is singular.

    Notes
    -----
    Derivatives are those of an exact root: they are as exact as the root that is found.

    Examples
    --------
    >>> import kilograd
    >>> root = kilograd.implicit(lambda z, a: z * z - a, lambda a: a**0.5)
    >>> kilograd.grad(root)(4.0), kilograd.hessian(root)(4.0)
    (0.25, -0.03125)
    """
    return _Implicit(residual, solve)


class ClosesOverValueError(TypeError):
    """A function of numbers uses a Value that is none of its arguments."""


class _Function(ABC, Generic[P, R]):
    """A function of numbers that with Values is a stage."""

    what: str

    def __init__(self, function: Callable[P, R]) -> None:
        update_wrapper(self, function)
        self.run = function
        self.name = name_of(function)

    def __repr__(self) -> str:
        return f"<{self.what} {self.name}>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if kwargs:
            raise TypeError(f"{self.what}: {self.name} takes its arguments by position")
        parts: list[Any] = []
        structures = tuple([flattened(part, parts, f"an argument of {self.name}", others=True) for part in args])
        inputs = entries_of(parts)
        if not any(isinstance(entry, Value) for entry in inputs):
            return self.run(*args, **kwargs)
        eager = thread.stages is None
        with paused() as notes:
            x = data(inputs)
            try:
                y, result = self.value(structures, x)
            except (ValueError, ArithmeticError):
                if notes is not None:
                    notes.append(("raises", None, None, True))
                raise
            call = self.at(structures, result, x, y)
            if eager:
                return built(result, _eager(call, inputs, x, y, self.name))  # type: ignore[no-any-return]
        if not len(y):
            return built(result, [])  # type: ignore[no-any-return]
        found = staged(_core._python_stage(call, len(x), len(y)), inputs, self.name)
        return built(result, found)  # type: ignore[no-any-return]

    def value(self, structures: Sequence[Structure], x: Array) -> tuple[Array, Structure]:
        """The numbers of the result, and its structure."""
        with self.alone():
            found = self.run(*arguments(structures, x))  # type: ignore[call-arg]
        return self.numbers(found)

    def numbers(self, found: Any) -> tuple[Array, Structure]:
        """What was returned, as numbers and a structure."""
        parts: list[Any] = []
        structure = flattened(found, parts, f"the result of {self.name}", others=True)
        if any(part.dtype == object for part in parts):
            raise self.closes_over_a_value()
        return np.concatenate([*parts, np.empty(0)]), structure

    def closes_over_a_value(self) -> ClosesOverValueError:
        return ClosesOverValueError(
            f"{self.what}: {self.name} uses a Value from outside, to which no derivative would flow: pass it as an "
            "argument"
        )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Run what is Python's alone: as outside of a trace, but for the reads of a Value, which are refused."""
        if not thread.depth:
            yield
            return
        notes: list[Any] = []
        traced = _core._trace_into(notes)
        before = thread.depth, thread.notes, thread.stages, thread.chose, thread.integers
        thread.depth, thread.notes, thread.stages = 0, None, None
        try:
            yield
        finally:
            thread.depth, thread.notes, thread.stages, thread.chose, thread.integers = before
            _core._trace_into(traced)
        if notes:
            raise self.closes_over_a_value()

    @abstractmethod
    def at(self, structures: tuple[Structure, ...], result: Structure, x: Array, y: Array) -> _Call:
        """The function for arguments of these structures."""


class _Call(ABC):
    """A function for arguments of one structure, over rows: what a stage of Python needs."""

    def __init__(self, owner: _Function[..., Any], structures: tuple[Structure, ...], result: Structure) -> None:
        self.owner = owner
        self.structures = structures
        self.result = result

    def forward(self, rows: Array) -> Array:
        """Values."""
        return np.array([self.value_of(x) for x in rows])

    def jvp(self, rows: Array, tangents: Array) -> Array:
        """Jacobian-vector products."""
        return np.array([self.jvp_of(x, v) for x, v in zip(rows, tangents, strict=True)])

    def vjp(self, rows: Array, weights: Array) -> Array:
        """Vector-Jacobian products."""
        return np.array([self.vjp_of(x, w) for x, w in zip(rows, weights, strict=True)])

    def second(self, rows: Array, tangents: Array, weights: Array, changes: Array) -> tuple[Array, Array]:
        """Vector-Jacobian products, and how they change with the rows along tangents and the weights by changes."""
        found = [self.second_of(*row) for row in zip(rows, tangents, weights, changes, strict=True)]
        return np.array([one for one, _ in found]), np.array([other for _, other in found])

    def value_of(self, x: Array) -> Array:
        y, structure = self.owner.value(self.structures, x)
        if structure != self.result:
            raise TypeError(
                f"{self.owner.what}: {self.owner.name} returns {structure}, and returned {self.result} before"
            )
        return y

    @abstractmethod
    def jvp_of(self, x: Array, v: Array) -> Array: ...
    @abstractmethod
    def vjp_of(self, x: Array, w: Array) -> Array: ...
    @abstractmethod
    def second_of(self, x: Array, v: Array, w: Array, dw: Array) -> tuple[Array, Array]: ...


def arguments(structures: Sequence[Structure], x: Array) -> list[Any]:
    """The arguments with these numbers."""
    found, first = [], 0
    for structure in structures:
        size = size_of(structure)
        found.append(built(structure, x[first : first + size].tolist()))
        first += size
    return found


def _eager(call: _Call, inputs: Sequence[Value | float], x: Array, y: Array, name: str) -> list[Any]:
    """Nodes of an eager graph: rows of the Jacobian as local gradients, the function's name as operation."""
    m, n = len(y), len(x)
    if m <= n:
        jacobian = np.array([call.vjp_of(x, w) for w in np.eye(m)])
    else:
        jacobian = np.array([call.jvp_of(x, v) for v in np.eye(n)]).T
    where = [k for k, entry in enumerate(inputs) if isinstance(entry, Value)]
    children = [inputs[k] for k in where]
    nodes = [Value(value, children, row[where].tolist()) for value, row in zip(y.tolist(), jacobian, strict=True)]  # type: ignore[arg-type]
    for node in nodes:
        node._op = name.rpartition(".")[2]
    return nodes


# --- rules


class _Custom(_Function[P, R]):
    what = "custom"

    def __init__(self, function: Callable[P, R], vjp: Function | None, jvp: Function | None) -> None:
        super().__init__(function)
        self.vjp = vjp
        self.jvp = jvp
        self.recorded = None if vjp is None else Compiled(vjp)

    def at(self, structures: tuple[Structure, ...], result: Structure, x: Array, y: Array) -> _Call:
        call = _CustomCall(self, structures, result)
        if thread.depth:  # what a rule reads of Values shows while these are traced, and not later
            try:
                if self.vjp is not None:
                    call.vjp_of(x, np.ones(len(y)))
                if self.jvp is not None:
                    call.jvp_of(x, np.ones(len(x)))
            except ClosesOverValueError:
                raise
            except Exception:
                pass
        return call


class _CustomCall(_Call):
    owner: _Custom[..., Any]

    def vjp_of(self, x: Array, w: Array) -> Array:
        rule = self.owner.vjp
        if rule is None:
            return np.array([self.jvp_of(x, v) @ w for v in np.eye(len(x))])
        with self.owner.alone():
            return self.gradient(rule(built(self.result, w.tolist()), *arguments(self.structures, x)))

    def jvp_of(self, x: Array, v: Array) -> Array:
        rule = self.owner.jvp
        if rule is None:
            m = size_of(self.result)
            return np.array([self.vjp_of(x, w) @ v for w in np.eye(m)])
        tangents = tuple(arguments([_numbers_of(part) for part in self.structures], v))
        with self.owner.alone():
            found, structure = self.owner.numbers(rule(tangents, *arguments(self.structures, x)))
        if shapes_of(structure) != shapes_of(self.result):
            raise TypeError(f"custom: jvp of {self.owner.name} gives {structure}, and the result is {self.result}")
        return found

    def second_of(self, x: Array, v: Array, w: Array, dw: Array) -> tuple[Array, Array]:
        recorded = self.owner.recorded
        if recorded is None:
            raise TypeError(f"custom: second derivatives of {self.owner.name} need vjp= as well")
        call = call_of((built(self.result, w.tolist()), *arguments(self.structures, x)), {})
        assert call is not None
        try:
            path = recorded._find(call) or recorded._record(call)
        except TypeError as error:
            raise TypeError(
                f"custom: second derivatives of {self.owner.name} need a vjp made of what kilograd records, and this "
                f"one is not: {error}"
            ) from error
        if path.refusal:
            raise TypeError(path.refusal)
        if _parameters(path):
            raise self.owner.closes_over_a_value()
        change = np.empty(0) if path.program is None else path.program.jvp(call.x, np.concatenate([dw, v]))
        tree = path.structure.build(take(lambda s, shape: change[s].reshape(shape)), _no_change)
        return self.vjp_of(x, w), self.gradient(tree)

    def gradient(self, found: Any) -> Array:
        """The numbers of what a vjp returned."""
        count = len(self.structures)
        if count == 1 and not isinstance(found, tuple):
            found = (found,)
        if not isinstance(found, tuple) or len(found) != count:
            raise TypeError(f"custom: vjp of {self.owner.name} gives a tuple with an entry for each argument ({count})")
        gradients = []
        for k, (part, structure) in enumerate(zip(found, self.structures, strict=True)):
            if part is None:
                gradients.append(np.zeros(size_of(structure)))
                continue
            numbers, given = self.owner.numbers(part)
            if shapes_of(given) != shapes_of(structure):
                raise TypeError(
                    f"custom: vjp of {self.owner.name} gives {given} for argument {k}, which is {structure}"
                )
            gradients.append(numbers)
        return np.concatenate(gradients)


def _no_change(constant: Any) -> Any:
    return None if constant is None else np.zeros(np.shape(constant))


def _numbers_of(structure: Structure) -> Structure:
    """A structure with None in place of what is no number."""
    if isinstance(structure, Listed):
        return Listed(structure.kind, tuple([_numbers_of(part) for part in structure.parts]))
    return structure if isinstance(structure, Numbers) or shapes_of(structure) else Static(type(None), None)


def _parameters(path: Path) -> Sequence[Value]:
    return () if path.program is None else path.program._parameters


# --- roots


class _Implicit(_Function[P, R]):
    what = "implicit"

    def __init__(self, residual: Function, solve: Callable[P, R]) -> None:
        super().__init__(solve)
        self.residual = Compiled(residual)

    def at(self, structures: tuple[Structure, ...], result: Structure, x: Array, y: Array) -> _Call:
        call = _ImplicitCall(self, structures, result)
        with self.alone():
            call.linearised(x, y)  # which says now what it would say later
        return call


class _ImplicitCall(_Call):
    owner: _Implicit[..., Any]

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.roots: dict[bytes, Array] = {}  # of the rows that were there last

    def forward(self, rows: Array) -> Array:
        found = super().forward(rows)
        self.roots = dict(zip([x.tobytes() for x in rows], found, strict=True))
        return found

    def root(self, x: Array) -> Array:
        found = self.roots.get(x.tobytes())
        return self.value_of(x) if found is None else found

    def linearised(self, x: Array, z: Array) -> tuple[Path, Array, Array]:
        """The path of the residual, its inputs z and x, and its Jacobian by them."""
        name = self.owner.residual._name
        call = call_of((built(self.result, z.tolist()), *arguments(self.structures, x)), {})
        assert call is not None
        path = self.owner.residual._find(call) or self.owner.residual._record(call)
        if path.refusal:
            raise TypeError(path.refusal)
        if _parameters(path):
            raise self.owner.closes_over_a_value()
        size = size_of(path.structure.of_numbers())
        if size != len(z):
            raise ValueError(f"implicit: {name} gives {size} numbers for a root of {len(z)}")
        jacobian = np.zeros((size, len(call.x)))
        if path.program is not None:
            jacobian[places(path.structure)] = path.jacobian(call.x, True, (0, len(call.x)))
        return path, call.x, jacobian

    def solved(self, matrix: Array, right: Array) -> Array:
        try:
            return np.asarray(np.linalg.solve(matrix, right), dtype=np.float64)
        except np.linalg.LinAlgError:
            raise ValueError(
                f"implicit: the Jacobian of {self.owner.residual._name} by the root is singular: the root is no "
                "differentiable function of the arguments"
            ) from None

    def jvp_of(self, x: Array, v: Array) -> Array:
        z = self.root(x)
        _, _, jacobian = self.linearised(x, z)
        n = len(z)
        change: Array = -self.solved(jacobian[:, :n], jacobian[:, n:] @ v)
        return change

    def vjp_of(self, x: Array, w: Array) -> Array:
        z = self.root(x)
        _, _, jacobian = self.linearised(x, z)
        n = len(z)
        product: Array = -self.solved(jacobian[:, :n].T, w) @ jacobian[:, n:]
        return product

    def second_of(self, x: Array, v: Array, w: Array, dw: Array) -> tuple[Array, Array]:
        # With u = -F_z^-T w the gradient is F_x^T u. Along a direction F changes by the Hessian of u @ F.
        z = self.root(x)
        path, at, jacobian = self.linearised(x, z)
        n = len(z)
        by_root, by_x = jacobian[:, :n], jacobian[:, n:]
        dz = -self.solved(by_root, by_x @ v)
        u = -self.solved(by_root.T, w)
        change = np.zeros(len(at))
        if path.program is not None:
            weights = u[places(path.structure)]
            change = path.program.hvp(at, np.concatenate([dz, v]), weights=weights)
        du = -self.solved(by_root.T, dw + change[:n])
        gradient: Array = u @ by_x
        moved: Array = change[n:] + du @ by_x
        return gradient, moved
