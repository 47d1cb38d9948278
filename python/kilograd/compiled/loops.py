"""Loops that stay loops: `scan`, `fori_loop`, `while_loop`, with turns that are recorded once where compiled."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from kilograd.compiled.blocks import Block
from kilograd.compiled.conditions import thread
from kilograd.compiled.stages import (
    array_of,
    entries_of,
    flattened,
)
from kilograd.compiled.structure import shapes_of
from kilograd.compiled.tracing import name_of
from kilograd.compiled.turns import Loop, pair_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kilograd.compiled.structure import Shape

T = TypeVar("T")


def scan(
    step: Callable[[Any, Any], tuple[Any, Any]],
    init: T,
    xs: Any = None,
    length: int | None = None,
    *,
    reverse: bool = False,
    checkpoint: bool = False,
) -> tuple[T, Any]:
    """Carry something through a sequence: a loop that stays a loop where a function is compiled.

    The same as ``carry = init; ys = []; for x in xs: carry, y = step(carry, x); ys.append(y)``, and that is what runs
    outside of compiled functions. While `compile` records a function, `step` is recorded once, however many turns
    there are, and later calls run it without Python.

    Parameters
    ----------
    step : callable
        ``step(carry, x)`` gives ``(carry, y)``. Values from outside may be used.
    init : numbers, Values, arrays, and lists, tuples and dicts of them
        What the first turn is given. A carry has the same structure and shapes in each turn.
    xs : arrays, and lists, tuples and dicts of arrays, optional
        Each turn is given the entries of one index along the first axis.
    length : int, optional
        The number of turns; needed only without `xs`, where ``x`` is None.
    reverse : bool, default False
        From the last index to the first; ``ys`` stand at their indices.
    checkpoint : bool, default False
        Keep one carry in about ``sqrt(length)`` for a gradient, and compute the others twice: less memory, more time.

    Returns
    -------
    carry
        After the last turn, in the structure of `init`.
    ys
        The ``y`` of all turns in their structure, arrays with one more axis in front.

    Raises
    ------
    TypeError
        If a carry changes its structure; in a compiled function also if `step` decides by a number (``if x > 0:``,
        ``x.data``): choose with `kilograd.where`.
    ValueError
        If sequences differ in length; where an operation is refused, with the turn.

    Notes
    -----
    ``x`` is a number, also where `xs` are integers, and no index: pass what ``table[x]`` would give as one more array
    of `xs`.

    Examples
    --------
    >>> import numpy as np
    >>> import kilograd
    >>> @kilograd.compile
    ... def smoothed(rate, xs):
    ...     def step(level, x):
    ...         level = level + rate * (x - level)
    ...         return level, level
    ...
    ...     return kilograd.scan(step, 0.0, xs)
    >>> smoothed(0.5, np.array([1.0, 1.0, 2.0]))
    (1.375, array([0.5  , 0.75 , 1.375]))
    >>> smoothed.jacobian(0.5, np.array([1.0, 1.0, 2.0]))[0]
    1.75
    """
    parts: list[NDArray[Any] | Block] = []
    structure = flattened(xs, parts, "xs of scan", with_blocks=True)
    shapes = shapes_of(structure)
    turns = _turns(shapes, length)
    sequences = [
        part.rows(turns) if isinstance(part, Block) else part.reshape(turns, math.prod(shape[1:]))
        for part, shape in zip(parts, shapes, strict=True)
    ]
    if thread.stages is None and turns:
        return _plain_scan(step, init, xs, turns, reverse)
    loop = Loop("scan", step, turns, structure, sequences, reverse=reverse, checkpoint=checkpoint)
    carry, ys = loop.run(init)
    return carry, ys


def fori_loop(lower: int, upper: int, body: Callable[[Any, Any], T], init: T) -> T:
    """Do something for each integer: a loop that stays a loop where a function is compiled.

    The same as ``val = init; for i in range(lower, upper): val = body(i, val)``.

    Parameters
    ----------
    lower, upper : int
        The first ``i``, and one past the last.
    body : callable
        ``body(i, val)`` gives the next ``val``. In a compiled function ``i`` is a number and no index: see `scan`.
    init : numbers, Values, arrays, and lists, tuples and dicts of them
        The first ``val``.

    Returns
    -------
    val
        After the last turn, in the structure of `init`.

    Raises
    ------
    TypeError, ValueError
        See `scan`.

    Examples
    --------
    >>> import kilograd
    >>> f = kilograd.compile(lambda x: kilograd.fori_loop(1, 4, lambda i, s: s + x**2 / i, 0.0))
    >>> f.grad(3.0)
    11.0
    """
    try:
        first, last = operator.index(lower), operator.index(upper)
    except TypeError:
        raise TypeError("fori_loop: the bounds are integers; where a number decides how long, use while_loop") from None
    if thread.stages is None:
        value = init
        for i in range(first, last):
            value = body(i, value)
        return value

    def step(value: T, i: Any) -> tuple[T, None]:
        return body(i, value), None

    step.__qualname__ = name_of(body)
    result: T = Loop("fori_loop", step, max(last - first, 0), count_from=float(first)).run(init)[0]
    return result


def while_loop(cond: Callable[[Any], Any], body: Callable[[T], T], init: T) -> T:
    """Do something for as long as a condition holds: a loop that stays a loop where a function is compiled.

    The same as ``val = init; while cond(val): val = body(val)``.

    Parameters
    ----------
    cond : callable
        ``cond(val)`` is a comparison, or several with ``&``, ``|`` and ``~``.
    body : callable
        ``body(val)`` gives the next ``val``.
    init : numbers, Values, arrays, and lists, tuples and dicts of them
        The first ``val``.

    Returns
    -------
    val
        The first for which the condition fails, in the structure of `init`.

    Raises
    ------
    TypeError, ValueError
        See `scan`.

    Notes
    -----
    How many turns are made, the numbers of each call say. Derivatives are those of the turns that were made: what a
    small change of the numbers would do to their count is no part of them. The condition is computed by the program of
    the function: where it compares what is equal but for rounding, the count may be another than Python's.

    Examples
    --------
    >>> import kilograd
    >>> @kilograd.compile
    ... def root(a):  # Newton's steps
    ...     return kilograd.while_loop(lambda x: abs(x * x - a) > 1e-12, lambda x: (x + a / x) / 2, 1.0)
    >>> round(root(2.0), 12), round(root.grad(2.0), 12)
    (1.414213562373, 0.353553390593)
    """
    if thread.stages is None:
        value = init
        while cond(value):
            value = body(value)
        return value

    def step(value: T, _: None) -> tuple[T, None]:
        return body(value), None

    step.__qualname__ = name_of(body)
    result: T = Loop("while_loop", step, 0, condition=cond).run(init)[0]
    return result


def _turns(shapes: list[Shape], length: int | None) -> int:
    if () in shapes:
        raise TypeError("scan: an entry of xs is a number and has no axis to go along: pass arrays, np.array(xs)")
    counts = {shape[0] for shape in shapes}
    if length is not None:
        counts.add(operator.index(length))
    if len(counts) != 1:
        raise ValueError(
            f"scan: xs and length say {sorted(counts)} turns" if counts else "scan: xs or length is needed"
        )
    turns = counts.pop()
    if turns < 0:
        raise ValueError(f"scan: the length is {turns}")
    return turns


# --- as Python


def _plain_scan(
    step: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any, turns: int, reverse: bool
) -> tuple[Any, Any]:
    carry, found = init, [None] * turns
    for t in reversed(range(turns)) if reverse else range(turns):
        carry, found[t] = pair_of("scan", step(carry, _row(xs, t)))
    return carry, _stacked(found)


def _row(xs: Any, t: int) -> Any:
    if xs is None:
        return None
    if isinstance(xs, (list, tuple)):
        parts = [_row(part, t) for part in xs]
        return type(xs)._make(parts) if hasattr(xs, "_make") else type(xs)(parts)
    if isinstance(xs, dict):
        return {key: _row(part, t) for key, part in xs.items()}
    row = np.asarray(xs)[t]
    return row.item() if isinstance(row, np.generic) else row


def _stacked(found: list[Any]) -> Any:
    rows = []
    structures = set()
    for y in found:
        parts: list[NDArray[Any]] = []
        structures.add(flattened(y, parts, "the y of a scan"))
        rows.append(parts)
    if len(structures) != 1:
        raise TypeError("scan: the y of each turn has the same structure and shapes")
    columns = iter([entries_of(column) for column in zip(*rows, strict=True)])
    return structures.pop().build(
        lambda shape: array_of(next(columns), (len(found), *shape)), lambda constant: constant
    )
