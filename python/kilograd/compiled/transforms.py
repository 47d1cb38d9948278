"""The public functions: a function compiled, and the functions that compute its derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from kilograd.compiled.derivatives import Argnums, checked_argnums
from kilograd.compiled.function import Compiled
from kilograd.compiled.tracing import Function

P = ParamSpec("P")  # the arguments of a function
R = TypeVar("R")  # its result
Q = ParamSpec("Q")  # its arguments but for the first
X = TypeVar("X")  # the first


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
    Python takes, NaN included; what decides by ``x / y`` sees the quotient that floats give. Reading ``x.data`` ties a
    path to that very number. `kilograd.maximum`, `kilograd.minimum`, ``abs`` and ``relu`` choose without a guard, and
    so does `kilograd.where`. Where a function handles an error of an operation (``try: log(x)``), it runs eagerly.

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
    chosen = checked_argnums(argnums, "argnums")

    def function(*args: Any, **kwargs: Any) -> Any:
        return method(*args, argnums=chosen, **kwargs)

    owner: Compiled[..., Any] = method.__self__  # type: ignore[attr-defined]
    name = getattr(owner, "__name__", "fn")
    function.__name__ = function.__qualname__ = f"{method.__name__}({name})"
    function.__doc__ = f"{method.__name__} of {name} by argument {chosen}."
    return function
