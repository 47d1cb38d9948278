"""`check`: the gradient of a function, and the rule of each node, against nudging."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np

from kilograd._core import Value
from kilograd.gradcheck.along_inputs import check_along_inputs
from kilograd.gradcheck.differences import Estimate, estimate, steps
from kilograd.gradcheck.graphs import Construction, Leaf, constructor_of, inputs, nudged, number, parameter_names, run
from kilograd.gradcheck.judging import Names, Tolerance, judge, rule_finding
from kilograd.gradcheck.local import LocalRuns
from kilograd.gradcheck.report import Finding, Report
from kilograd.gradcheck.rules import has_rule, run_rule
from kilograd.listing import operands_of, order

__all__ = ["check"]


def check(
    fn: Callable[..., Any],
    x: Any,
    *,
    value_type: Callable[[float], Any] = Value,
    rtol: float = 1e-6,
    atol: float = 1e-9,
    limit: int | None = 20_000,
) -> Report:
    """Check gradients: what `backward()` gives against numerical derivatives, and which rule is wrong.

    The function is run some times with its inputs nudged. Where `backward()` disagrees, the rule of each node is
    checked alone: what it adds to each operand, that it multiplies by the node's own gradient, and that it adds.

    Parameters
    ----------
    fn : callable
        From Values to one Value. It gives the same number whenever it is called with the same ones.
    x : number, Value, array, list, dict, tuple, or an object with a method `parameters`
        What `fn` is called with: numbers in it become leaves of `value_type`, Values are nudged in place and put back,
        and of a model its parameters are. A tuple holds several arguments, ``fn(*x)``.
    value_type : callable, default Value
        What makes a leaf of a number: the learner's own class. Not needed where `x` holds Values.
    rtol, atol : float
        A derivative is right if it differs from the numerical one by no more than
        ``rtol * max(|automatic|, |numerical|) + atol``, plus the estimated error of the numerical one.
    limit : int or None, default 20,000
        The largest number of nodes.

    Returns
    -------
    Report
        True where all was checked and nothing is wrong. Prints, and shows in a notebook, which rule is wrong for which
        operand, what it adds and what it should add.

    Raises
    ------
    TypeError
        If `fn` returns no Value, or `x` holds something else than numbers and leaves.
    ValueError
        If `fn` gives another number for the same `x`, or makes more than `limit` nodes, or there is nothing in `x`.

    Notes
    -----
    The steps are ``h = max(1, |x|) / 2**k`` for k = 7, 10, 13, 16, 19, 22, and relative to ``|x|`` where these leave
    the domain. Each two neighbours give central differences D(h) and D(h/8), and the extrapolation
    ``R = (64 D(h/8) - D(h)) / 63`` with the estimated error
    ``2 max(|R - D(h/8)| / 8, |R - R'|) + 4 eps s / (h/8)``, where R' is that of the next pair and s the largest number
    that is computed with; the R of the smallest error counts (after Ridders 1982, *Advances in Engineering Software*
    4:75).
    Where the derivatives from the left and from the right differ and go on to differ as the step shrinks, there is a
    kink, such as ReLU's at 0, and any number between the two is right. Where the error is larger than a thousandth of
    the derivative, the verdict is "unclear".

    Nodes of a class written in Python are nudged one by one. Those of `kilograd.Value` are seen as they move with the
    inputs: operands that move together are judged together,
    and an operand of a rule of one's own that does not move is "unclear".

    Examples
    --------
    >>> import kilograd
    >>> bool(kilograd.check(lambda a, b: (a * b).tanh(), (0.5, -1.5)))
    True
    >>> def cube(v):
    ...     out = kilograd.Value(v.data**3, (v,), "cube")
    ...     def rule():
    ...         v.grad += 3 * v.data * out.grad
    ...     out._backward = rule
    ...     return out
    >>> print(kilograd.check(lambda v: cube(v) * 2, 2.0).wrong[0])
    the rule of 'cube' (node 2 of 4, data 8.0), operand v: adds 6; 12 is right
    """
    if not callable(fn):
        raise TypeError(f"check(fn, x) takes a function that builds the graph, and was given {fn!r:.80}")
    arguments = x if isinstance(x, tuple) and not hasattr(x, "_fields") else (x,)
    _refuse_other_counts(fn, arguments)
    made, leaves = inputs(arguments, parameter_names(fn, len(arguments)), value_type)
    function = partial(fn, *made)
    kept = [(leaf.node, leaf.node.grad) for leaf in leaves]
    try:
        return _Check(function, leaves, Tolerance(rtol, atol), limit).report()
    finally:
        for node, grad in kept:
            node.grad = grad


def _refuse_other_counts(fn: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Whether the function takes so many arguments is said before it runs."""
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):  # it does not tell
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        given = f"{len(arguments)} arguments" if len(arguments) != 1 else f"one argument, {arguments[0]!r:.60}"
        raise TypeError(
            f"check(fn, x) calls the function with {given}: {error}. A tuple holds several arguments: "
            "check(fn, (a, b)) calls fn(a, b)"
        ) from None


class _Check:
    """One call of `check`: a run without nudges, and what is found with it."""

    def __init__(
        self, function: Callable[[], Any], leaves: Sequence[Leaf], tolerance: Tolerance, limit: int | None
    ) -> None:
        self.leaves, self.tolerance = leaves, tolerance
        self.function = partial(run, function, leaves)
        first = self.function()
        other = order(first)
        if limit is not None and len(other) > limit:
            raise ValueError(
                f"the graph has {len(other):,} nodes, and the limit is {limit:,}: check the result of one sample or of "
                "one neuron, or pass limit=None"
            )
        self.owner = constructor_of(type(first))
        construction = Construction(self.owner) if self.owner is not None else nullcontext()
        with construction:
            self.root = self.function()
        self.construction = construction
        self.nodes = order(self.root)
        self.data = [number(node.data, node) for node in self.nodes]
        before = number(first.data, first)
        if len(other) != len(self.nodes) or not (before == self.data[-1] or math.isnan(before)):
            raise ValueError(
                f"the function gives {before!r} and then {self.data[-1]!r} for the same x: seed what is random"
            )
        self.lasting = {id(node) for node in other} & {id(node) for node in self.nodes}
        self.is_ordered = all(isinstance(getattr(node, "_children", None), (list, tuple)) for node in self.nodes)
        self.names = Names(self.nodes, leaves)

    def report(self) -> Report:
        kept = [node.grad for node in self.nodes]
        try:
            automatic, failure = self._automatic()
            along = [self._along(leaf) for leaf in self.leaves]
            found = [self._input(*each) for each in zip(self.leaves, automatic, along, strict=True)]
            rules, note = self._rules(along)
            wrong = any(each.verdict == "wrong" for each in found)
            if failure:
                note = failure
            elif wrong and rules and all(each.verdict in ("right", "kink") for each in rules):
                note = self._order_note(along) or note
        finally:
            for node, grad in zip(self.nodes, kept, strict=True):
                node.grad = grad
        return Report(found, rules, note)

    def _automatic(self) -> tuple[list[float], str]:
        """The gradients of the leaves by `backward()`; NaN, and what happened, where it fails."""
        self._zero()
        try:
            self.root.backward()
            return [float(leaf.node.grad) for leaf in self.leaves], ""
        except Exception as error:
            return [math.nan] * len(self.leaves), f"backward() raises {type(error).__name__}: {error}"

    def _zero(self) -> None:
        for node in self.nodes:
            node.grad = 0.0

    def _along(self, leaf: Leaf) -> Estimate:
        """The derivatives by an input: of all nodes where their places tell them in every run, else of the root."""
        x = number(leaf.node.data, leaf.node)
        found = self._estimate(leaf, x, steps(x))
        if math.isnan(found.value[-1]) and 0.0 < abs(x) < 1.0:
            found = self._estimate(leaf, x, steps(x, relative=True))
        return found

    def _estimate(self, leaf: Leaf, x: float, taken: list[float]) -> Estimate:
        above = np.array([self._moved(leaf, x + h) for h in taken])
        below = np.array([self._moved(leaf, x - h) for h in taken])
        size = max([1.0, abs(x), *(abs(each) for each in self.data if math.isfinite(each))])
        return estimate(x, taken, np.array(self._kept_of(self.data)), above, below, size)

    def _kept_of(self, data: list[float]) -> list[float]:
        return data if self.is_ordered else data[-1:]

    def _moved(self, leaf: Leaf, x: float) -> list[float]:
        missing = [math.nan] * len(self._kept_of(self.data))
        with nudged([leaf.node], [x]):
            try:
                root = self.function()
                nodes = order(root) if self.is_ordered else [root]
                data = [float(node.data) for node in nodes]
            except Exception:  # outside of a domain, at this step
                return missing
        return data if len(data) == len(missing) else missing

    def _input(self, leaf: Leaf, automatic: float, along: Estimate) -> Finding:
        verdict, note = judge(automatic, along, along.value.size - 1, self.tolerance)
        return Finding(verdict, leaf.name, automatic, float(along.value[-1]), float(along.error[-1]), "", note)

    def _rules(self, along: Sequence[Estimate]) -> tuple[list[Finding], str]:
        inner = [node for node in self.nodes if operands_of(node)]
        if not all(has_rule(node) for node in inner):
            return [], "the rules were not checked one by one: the nodes have no _backward and no _local_grads"
        if isinstance(self.construction, Construction) and self.owner is not None:
            runs = LocalRuns(self.function, self.construction, self.owner, self.nodes, self.lasting)
            if runs.is_complete:
                return self._one_by_one(runs), ""
        if self.is_ordered:
            return list(check_along_inputs(self.nodes, along, self.names, self.tolerance)), ""
        return [], (
            "the rules were not checked one by one: the nodes of two runs cannot be told from each other, since their "
            "class is not written in Python and keeps operands in no order"
        )

    def _one_by_one(self, runs: LocalRuns) -> list[Finding]:
        places = {id(node): place for place, node in enumerate(self.nodes)}
        found = [
            (places[id(node)], rule_finding(node, operand, each, column, self.names, self.tolerance))
            for operand, consumers, each in runs.estimates()
            for column, node in enumerate(consumers)
        ]
        return [finding for _, finding in sorted(found, key=lambda each: each[0])]

    def _order_note(self, along: Sequence[Estimate]) -> str:
        """Whether the rules, applied from the root down, give the right gradient where `backward()` does not."""
        self._zero()
        self.root.grad = 1.0
        for node in reversed(self.nodes):
            if operands_of(node):
                run_rule(node)
        right = all(
            judge(float(leaf.node.grad), each, each.value.size - 1, self.tolerance)[0] in ("right", "kink")
            for leaf, each in zip(self.leaves, along, strict=True)
        )
        return (
            "every rule is right, and from the root down they give the right gradient: it is backward() that begins "
            "with another gradient than 1, leaves nodes out, or applies a rule before the node's gradient is complete"
            if right
            else ""
        )
