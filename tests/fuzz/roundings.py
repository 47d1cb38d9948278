"""What else a function may give where another rounding is as good: the oracle of `compiled` for jumps at their border.

A program regroups sums, adds products to them without rounding these, and computes elementary functions within 2 ulp,
so what a jump makes of them may differ by the jump: `trunc(exp(log(3)))` is 2 or 3, `fmod(1.8e308, exp(1))` anything.
Here the plain function is run with those results alone moved by so much: sums where they were rounded at all, zeros
that a sum gives with either sign, and the largest number in place of an infinity that was none in its operands. What
NumPy makes of a bool may be a number of 16 bits; beside a recorded number, which has 64, it makes none of 16. What a
program gives has to be what one of these runs gives.
"""

from __future__ import annotations

import ast
import operator
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

RUNS = 300
_ELEMENTARY = frozenset(
    ("exp", "exp2", "log", "log2", "log10", "sin", "tanh", "cbrt", "hypot", "arctan2", "logaddexp", "deg2rad")
)
_ELEMENTARY |= {"expit", "ndtr", "xlogy", "logsumexp", "interp"}
_SUMS = frozenset(("sum", "mean", "var", "std", "cumsum", "median", "percentile", "einsum", "norm", "solve", "det"))
_SUMS |= {"prod", "cholesky"}
_EITHER_ZERO = frozenset(("fmax", "fmin"))  # NumPy's kernels do not agree on which of two zeros
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.MatMult: operator.matmul,
}


class _Marked(ast.NodeTransformer):
    """Hands calls and operations of two operands to an `_Arithmetic`."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        return ast.Call(ast.Name("_called", ast.Load()), [ast.Constant(name), node.func, *node.args], node.keywords)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if type(node.op) not in _OPERATORS:
            return node
        name = ast.Constant(type(node.op).__name__)
        return ast.Call(ast.Name("_computed", ast.Load()), [name, node.left, node.right], [])


def others(text: str) -> Iterator[Callable[..., Any]]:
    """The function of a text, with other roundings each time."""
    tree = ast.fix_missing_locations(_Marked().visit(ast.parse(text)))
    code = compile(tree, "<fuzz>", "exec")
    for seed in range(RUNS):
        arithmetic = _Arithmetic(random.Random(seed))
        namespace: dict[str, Any] = {"_called": arithmetic.called, "_computed": arithmetic.computed}
        exec(code, namespace)
        yield namespace["function"]


class _Arithmetic:
    """Computes what a function computes, with other roundings where these are as good."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.rate = dice.choice([0.1, 0.3, 0.7])  # how many of the results are moved

    def called(self, name: str, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        result = function(*_of_64_bits(args), **options)
        ulps = 2 if name in _ELEMENTARY or name in _SUMS else 0
        return self.moved(result, ulps, either_zero=name in _SUMS or name in _EITHER_ZERO)

    def computed(self, name: str, a: Any, b: Any) -> Any:
        kind = getattr(ast, name)
        a, b = _of_64_bits((a, b))
        result = _OPERATORS[kind](a, b)
        if kind in (ast.Add, ast.Sub, ast.Mult) and self.dice.random() < self.rate:
            result = _without_overflow(result, a, b)
        if kind in (ast.Add, ast.Sub):
            return self.moved(result, np.where(_is_exact(a, b if kind is ast.Add else np.negative(b)), 0, 2), True)
        return self.moved(result, 2, True) if kind in (ast.MatMult, ast.Pow) else result

    def moved(self, result: Any, ulps: Any, either_zero: bool) -> Any:
        """A result moved by up to so many ulp; a zero, where that is said, with a sign by chance."""
        if not isinstance(result, (float, np.ndarray)) or np.asarray(result).dtype != np.float64:
            return result
        if isinstance(result, np.ndarray):
            each = np.broadcast_to(ulps, result.shape).flat
            parts = [self.moved(float(x), int(u), either_zero) for x, u in zip(result.flat, each, strict=True)]
            return np.array(parts).reshape(result.shape)
        if result == 0.0:
            return type(result)(self.dice.choice([0.0, -0.0])) if either_zero else result
        if not ulps or not np.isfinite(result) or self.dice.random() > self.rate:
            return result
        steps = self.dice.choice([k for k in range(-int(ulps), int(ulps) + 1) if k])
        return type(result)(result + steps * np.spacing(abs(result)))


def _of_64_bits(operands: Any) -> Any:
    """Operands, a number of 16 bits among them as one of 64 where it meets a float."""
    if not any(type(each) is float for each in operands):
        return operands
    return tuple([np.float64(each) if isinstance(each, np.float16) else each for each in operands])


def _without_overflow(result: Any, a: Any, b: Any) -> Any:
    """A sum or a product as it is inside of a longer sum, where its own overflow is not seen."""
    if not isinstance(result, (float, np.ndarray)) or np.asarray(result).dtype != np.float64:
        return result
    overflows = np.isinf(result) & np.isfinite(a) & np.isfinite(b)
    if isinstance(result, np.ndarray):
        return np.where(overflows, np.copysign(np.finfo(float).max, result), result)
    return type(result)(np.copysign(np.finfo(float).max, result)) if overflows else result


def _is_exact(a: Any, b: Any) -> Any:
    """Whether a sum is not rounded (Knuth's two-sum)."""
    if not isinstance(a, (float, np.ndarray)) and not isinstance(b, (float, np.ndarray)):
        return True
    result = a + b
    part = result - a
    return ((a - (result - part)) + (b - part)) == 0.0
