"""Recorded programs against eager kilograd and against 50 digits: values and all derivatives, with explained bounds.

A program made from a seed is computed three times: by `Program`, by eager Values, and by numbers of 50 digits that
carry derivatives of first and second order and, beside each, how far roundings may move it. The bound is a running
error analysis: the error of every operand through the operation, an error of a few units in the last place of every
elementary function, the terms of every formula of a derivative (1 - y * y loses what its terms round), and the sum of
the magnitudes over all paths from an input, since programs sum in another order. Where an error reaches a kink, a pole
or the ends of the numbers, the point is left out. Every fourth seed is one operation at such ends, against eager.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import mpmath
import numpy as np
from mpmath import mp, mpf

import kilograd
from kilograd import Program, Value, _core

REFUSALS = (ValueError, OverflowError, ZeroDivisionError)
UNIT = 2.0**-53
ULPS = 16.0 * UNIT  # of an elementary function, or of the terms of a derivative's formula
TINY = 1e-321  # of denormal results

LITERALS = [-1.0, 2.0, 0.5, 3.0, 1.0, -0.3]
EXPONENTS = [2.0, -1.0, 0.5, 3.0, -2.0, 0.0, 1.0, 1.7, -8.0, 4.0, -0.5, 9.0, 2.5]
EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e-8, -1e-8, 1e8, 20.0, -20.0, 40.0, -40.0, 1e-160, 1e160, math.pi, 700.0]
ENDS = [*EDGES, 5e-324, 1e-310, 2.2250738585072014e-308, 1.7976931348623157e308, -1e308, 1e154, 1.5e154, 1e107, 708.0]
ENDS += [709.79, 710.0, -745.2, -746.0, 1.0 - 2.0**-53, 1.0 + 2.0**-52, -1.0 + 2.0**-53, math.inf, -math.inf, math.nan]
ENDS += [2.0**53, 2.0**62, 1e15 + 0.5, 6.3e18, 27.3, -27.3, 5.9, 1e-5, 2.0**-28, 1e300]
ROWS = {name: arity for name, _, arity, *_ in _core.ops()}
NAMES = [*ROWS, "sub", "div", "literal", "add", "mul", "add", "mul", "add", "mul"]


class Step(NamedTuple):
    """An operation, the places of its operands, and a constant."""

    name: str
    a: int
    b: int
    c: float


class UndecidedError(Exception):
    """Rounding may decide a branch or an error, or a number is near the ends of what there is."""


class RefusedError(Exception):
    """Eager code has to raise."""


# --- one operation, for Values and for 50 digits


def eager_step(step: Step, pool: list[Any]) -> Any:
    a, b = pool[step.a], pool[step.b % len(pool)]
    match step.name:
        case "add":
            return a + b
        case "sub":
            return a - b
        case "mul":
            return a * b
        case "div":
            return a / b
        case "literal":
            return a * step.c if step.b % 2 else step.c + a
        case "pow":
            return a**b
        case "powc":
            return a**step.c
        case "leaky_relu":
            return a.leaky_relu(step.c)
        case "maximum" | "minimum":
            return getattr(kilograd, step.name)(a, b)
    return getattr(a, step.name)()


class Rule(NamedTuple):
    """Value and derivatives of a function of one number, and the terms that the formulas of the table add up."""

    f: Callable[[Any], Any]
    f1: Callable[[Any], Any]
    f2: Callable[[Any], Any]
    terms: Callable[[Any], tuple[Any, Any, Any]] = lambda a: (0, 0, 0)  # beside the magnitudes of the three
    kinks: tuple[float, ...] = ()
    low: float = -math.inf  # the domain, open
    high: float = math.inf
    closed: bool = True


def logistic(a: Any) -> Any:
    return 1 / (1 + mpmath.exp(-a))


def phi(a: Any) -> Any:
    return mpmath.exp(-a * a / 2) / mpmath.sqrt(2 * mp.pi)


def silu2(a: Any) -> Any:
    s = logistic(a)
    return s * (1 - s) * (2 + a * (1 - 2 * s))


def two_over_root_pi(a: Any) -> Any:
    return 2 / mpmath.sqrt(mp.pi) * mpmath.exp(-a * a)


def root(a: Any) -> Any:
    return mpmath.sqrt((1 - a) * (1 + a))


def sech2(a: Any) -> Any:
    return 1 / mpmath.cosh(a) ** 2


RULES: dict[str, Rule] = {
    "tanh": Rule(mpmath.tanh, sech2, lambda a: -2 * mpmath.tanh(a) * sech2(a), lambda a: (0, 1, 4)),
    "relu": Rule(lambda a: max(a, mpf(0)), lambda a: mpf(a > 0), lambda a: mpf(0), kinks=(0.0,)),
    "sigmoid": Rule(
        logistic,
        lambda a: logistic(a) * logistic(-a),
        lambda a: logistic(a) * logistic(-a) * (logistic(-a) - logistic(a)),
        lambda a: (0, logistic(a), 4 * logistic(a)),
    ),
    "softplus": Rule(
        lambda a: max(a, 0) + mpmath.log1p(mpmath.exp(-abs(a))),
        logistic,
        lambda a: logistic(a) * logistic(-a),
        lambda a: (0, 0, logistic(a)),
    ),
    "silu": Rule(
        lambda a: a * logistic(a),
        lambda a: logistic(a) * (1 + a * logistic(-a)),
        silu2,
        lambda a: (0, logistic(a) * (1 + abs(a)), 4 * logistic(a) * (1 + abs(a))),
    ),
    "gelu": Rule(
        lambda a: a * mpmath.erfc(-a / mpmath.sqrt(2)) / 2,
        lambda a: mpmath.erfc(-a / mpmath.sqrt(2)) / 2 + a * phi(a),
        lambda a: phi(a) * (2 - a * a),
        lambda a: (
            abs(a) * mpmath.erfc(-a / mpmath.sqrt(2)) * a * a,
            (mpmath.erfc(-a / mpmath.sqrt(2)) + abs(a) * phi(a)) * (1 + a * a),
            phi(a) * (2 + a * a) * (1 + a * a),
        ),
    ),
    "exp": Rule(mpmath.exp, mpmath.exp, mpmath.exp),
    "expm1": Rule(mpmath.expm1, mpmath.exp, mpmath.exp, lambda a: (0, 2 + mpmath.exp(a), 2 + mpmath.exp(a))),
    "log": Rule(mpmath.log, lambda a: 1 / a, lambda a: -1 / a**2, low=0.0, closed=False),
    "log1p": Rule(
        mpmath.log1p,
        lambda a: 1 / (1 + a),
        lambda a: -1 / (1 + a) ** 2,
        lambda a: (0, (1 + abs(a)) / (1 + a) ** 2, (1 + abs(a)) / (1 + a) ** 3),
        low=-1.0,
        closed=False,
    ),
    "sqrt": Rule(mpmath.sqrt, lambda a: 1 / (2 * mpmath.sqrt(a)), lambda a: -1 / (4 * a * mpmath.sqrt(a)), low=0.0),
    "abs": Rule(abs, lambda a: mpf(1 if a > 0 else -1), lambda a: mpf(0), kinks=(0.0,)),
    "sin": Rule(mpmath.sin, mpmath.cos, lambda a: -mpmath.sin(a)),
    "cos": Rule(mpmath.cos, lambda a: -mpmath.sin(a), lambda a: -mpmath.cos(a)),
    "tan": Rule(mpmath.tan, lambda a: 1 + mpmath.tan(a) ** 2, lambda a: 2 * mpmath.tan(a) * (1 + mpmath.tan(a) ** 2)),
    "asin": Rule(
        mpmath.asin,
        lambda a: 1 / root(a),
        lambda a: a / root(a) ** 3,
        lambda a: (0, 0, 1 / root(a) ** 3),
        low=-1,
        high=1,
    ),
    "acos": Rule(
        mpmath.acos,
        lambda a: -1 / root(a),
        lambda a: -a / root(a) ** 3,
        lambda a: (0, 0, 1 / root(a) ** 3),
        low=-1,
        high=1,
    ),
    "atan": Rule(mpmath.atan, lambda a: 1 / (1 + a * a), lambda a: -2 * a / (1 + a * a) ** 2),
    "sinh": Rule(mpmath.sinh, mpmath.cosh, mpmath.sinh),
    "cosh": Rule(mpmath.cosh, mpmath.sinh, mpmath.cosh),
    "asinh": Rule(mpmath.asinh, lambda a: 1 / mpmath.sqrt(1 + a * a), lambda a: -a / mpmath.sqrt(1 + a * a) ** 3),
    "acosh": Rule(
        mpmath.acosh,
        lambda a: 1 / mpmath.sqrt((a - 1) * (a + 1)),
        lambda a: -a / mpmath.sqrt((a - 1) * (a + 1)) ** 3,
        low=1.0,
    ),
    "atanh": Rule(
        mpmath.atanh,
        lambda a: 1 / root(a) ** 2,
        lambda a: 2 * a / root(a) ** 4,
        lambda a: (0, 0, 2 / root(a) ** 4),
        low=-1.0,
        high=1.0,
        closed=False,
    ),
    "erf": Rule(
        mpmath.erf,
        two_over_root_pi,
        lambda a: -2 * a * two_over_root_pi(a),
        lambda a: (0, a * a * two_over_root_pi(a), 2 * abs(a) ** 3 * two_over_root_pi(a)),
    ),
    "erfc": Rule(
        mpmath.erfc,
        lambda a: -two_over_root_pi(a),
        lambda a: 2 * a * two_over_root_pi(a),
        lambda a: (0, a * a * two_over_root_pi(a), 2 * abs(a) ** 3 * two_over_root_pi(a)),
    ),
}


def power_rule(c: float) -> Rule:
    whole = c == math.floor(c)
    return Rule(
        lambda a: a**c if c else mpf(1),
        lambda a: c * a ** (c - 1) if c else mpf(0),
        lambda a: c * (c - 1) * a ** (c - 2) if c not in (0, 1) else mpf(0),
        low=-math.inf if whole else 0.0,
        kinks=() if whole and c >= 0 else (0.0,),
    )


class Number:
    """A number of 50 digits with derivatives, and how far roundings may move each."""

    def __init__(self, v: Any, m: int) -> None:
        self.v = mpf(v)
        self.error = 0.0  # of the value
        self.terms = abs(float(v))  # of the sum that it is
        self.g = np.full(m, mpf(0), dtype=object)
        self.h = np.full((m, m), mpf(0), dtype=object)
        self.paths, self.g_error = np.zeros(m), np.zeros(m)  # magnitudes over all paths from an input, and errors
        self.h_paths, self.h_error = np.zeros((m, m)), np.zeros((m, m))

    @classmethod
    def variable(cls, v: float, m: int, i: int) -> Number:
        x = cls(v, m)
        x.g[i], x.paths[i] = mpf(1), 1.0
        return x


def small(x: Any) -> float:
    found = abs(float(x))
    if not (found < 1e150):
        raise UndecidedError
    if 0 < found < 1e-150:
        raise UndecidedError
    return found


Function = Callable[..., Any]


def through(
    operands: list[Number], value: Function, first: list[Function], second: list[list[Function]], terms: Function
) -> Number:
    """A function of numbers, with the errors of its operands, of itself, and of its derivatives."""
    m = len(operands[0].g)
    at = [x.v for x in operands]
    corners = [
        [x.v + sign * x.error for x, sign in zip(operands, signs, strict=True)]
        for signs in itertools.product((-1, 1), repeat=len(operands))
        if any(x.error for x in operands)
    ]

    def with_error(f: Function, noise: Any) -> tuple[Any, float, float]:
        y = f(*at)
        moved = max((abs(f(*corner) - y) for corner in corners), default=mpf(0))
        size = small(y)
        return y, size, 1.5 * float(moved) + ULPS * (size + float(noise)) + TINY

    noise = terms(*at)
    out = Number(0, m)
    out.v, out.terms, out.error = with_error(value, noise[0])
    n = range(len(operands))
    d1 = [with_error(f, noise[1]) for f in first]
    for i in n:
        x, (f, size, error) = operands[i], d1[i]
        out.g = out.g + f * x.g
        out.h = out.h + f * x.h
        out.paths += size * x.paths
        out.g_error += (size + error) * x.g_error + error * x.paths
        out.h_paths += size * x.h_paths
        out.h_error += (size + error) * x.h_error + error * x.h_paths
        for j in n:
            z = operands[j]
            ff, size2, error2 = with_error(second[i][j], noise[2])
            out.h = out.h + ff * np.outer(x.g, z.g)
            both = np.outer(x.paths, z.paths)
            out.h_paths += size2 * both
            out.h_error += error2 * both + (size2 + error2) * (
                np.outer(x.g_error, z.paths + z.g_error) + np.outer(x.paths, z.g_error)
            )
    return out


def constant(c: float) -> Function:
    return lambda *_: mpf(c)


def nothing(*_: Any) -> tuple[int, int, int]:
    return 0, 0, 0


def exact_step(step: Step, pool: list[Number], size: int) -> Number:
    a, b = pool[step.a], pool[step.b % len(pool)]
    m = len(a.g)
    zero = constant(0)
    # The corners of an error bound what a function does within it only where it is small.
    periodic = step.name in ("sin", "cos", "tan")
    if any(x.error > 1e-4 * (1.0 if periodic else max(1.0, abs(float(x.v)))) for x in (a, b)):
        raise UndecidedError
    match step.name:
        case "literal":
            other = Number(step.c, m)
            return exact_step(Step("mul" if step.b % 2 else "add", 0, 1, 0.0), [a, other], size)
        case "sub":
            minus = exact_step(Step("mul", 0, 1, 0.0), [b, Number(-1.0, m)], size)
            return exact_step(Step("add", 0, 1, 0.0), [a, minus], size)
        case "div":
            inverse = exact_step(Step("powc", 0, 0, -1.0), [b], size)
            return exact_step(Step("mul", 0, 1, 0.0), [a, inverse], size)
        case "add":
            out = through([a, b], lambda x, y: x + y, [constant(1)] * 2, [[zero] * 2] * 2, nothing)
            out.terms = a.terms + b.terms
            out.error = a.error + b.error + 4.0 * UNIT * size * out.terms
            return out
        case "mul":
            out = through(
                [a, b],
                lambda x, y: x * y,
                [lambda x, y: y, lambda x, y: x],
                [[zero, constant(1)], [constant(1), zero]],
                nothing,
            )
            for x, z in ((a, b), (b, a)):
                if not z.paths.any() and z.error == 0.0:  # a constant factor of a sum
                    out.terms = max(out.terms, abs(float(z.v)) * x.terms)
            return out
        case "pow":
            if a.v - a.error <= 1e-6:
                raise UndecidedError
            return through(
                [a, b],
                lambda x, y: x**y,
                [lambda x, y: y * x ** (y - 1), lambda x, y: x**y * mpmath.log(x)],
                [
                    [lambda x, y: y * (y - 1) * x ** (y - 2), lambda x, y: x ** (y - 1) * (1 + y * mpmath.log(x))],
                    [lambda x, y: x ** (y - 1) * (1 + y * mpmath.log(x)), lambda x, y: x**y * mpmath.log(x) ** 2],
                ],
                lambda x, y: (0, 0, abs(x ** (y - 1)) * (1 + abs(y * mpmath.log(x)))),
            )
        case "maximum" | "minimum":
            if abs(a.v - b.v) <= a.error + b.error:
                raise UndecidedError
            return a if (a.v > b.v) == (step.name == "maximum") else b
        case "leaky_relu":
            rule = Rule(lambda x: x if x > 0 else step.c * x, lambda x: mpf(1 if x > 0 else step.c), zero, kinks=(0.0,))
        case "powc":
            rule = power_rule(step.c)
        case _:
            rule = RULES[step.name]
    if any(abs(a.v - kink) <= 2 * a.error for kink in rule.kinks):
        raise UndecidedError
    low, high = a.v - 2 * a.error, a.v + 2 * a.error
    if high < rule.low or low > rule.high:
        raise RefusedError
    if not (low > rule.low and high < rule.high):
        raise UndecidedError
    return through([a], rule.f, [rule.f1], [[rule.f2]], rule.terms)


# --- programs


class Recipe(NamedTuple):
    n_inputs: int
    n_parameters: int
    steps: list[Step]
    outputs: list[int]

    def eager(self, numbers: list[float]) -> tuple[list[Value], list[Value]]:
        leaves = [Value(x) for x in numbers]
        pool: list[Any] = [*leaves]
        for step in self.steps:
            pool.append(eager_step(step, pool))
        return leaves, [pool[k] for k in self.outputs]

    def exact(self, numbers: list[float]) -> list[Number]:
        m = len(numbers)
        pool = [Number.variable(x, m, i) for i, x in enumerate(numbers)]
        for step in self.steps:
            try:
                pool.append(exact_step(step, pool, len(self.steps)))
            except (ZeroDivisionError, OverflowError):
                raise UndecidedError from None
        outputs = [pool[k] for k in self.outputs]
        if any(y.error > 1e-4 * max(1.0, abs(float(y.v))) for y in outputs):
            raise UndecidedError
        return outputs


def made(dice: random.Random) -> tuple[Recipe, list[float]]:
    """A recipe of which every step counts, and numbers at which it can be recorded."""
    n_inputs, n_parameters = dice.randint(1, 4), dice.choice([0, 0, 1, 2])
    leaves = n_inputs + n_parameters
    point = [number(dice) for _ in range(leaves)]
    steps: list[Step] = []
    pool: list[Any] = [Value(x) for x in point]
    for _ in range(dice.randint(1, dice.choice([3, 8, 25]))):
        size = len(pool)
        near = max(0, size - 4) if dice.random() < 0.5 else 0
        step = Step(
            dice.choice(NAMES), dice.randrange(near, size), dice.randrange(size), dice.choice(EXPONENTS + LITERALS)
        )
        try:
            y = eager_step(step, pool)
        except REFUSALS:
            continue
        if math.isfinite(y.data):
            steps.append(step)
            pool.append(y)
    outputs = sorted({*dice.sample(range(len(pool)), min(len(pool), dice.randint(1, 3)) - 1), len(pool) - 1})
    live = set(outputs)
    for place in range(len(pool) - 1, leaves - 1, -1):
        if place in live:
            step = steps[place - leaves]
            live |= {step.a, step.b} if is_binary(step) else {step.a}
    kept = [*range(leaves), *(k for k in range(leaves, len(pool)) if k in live)]
    place_of = {k: i for i, k in enumerate(kept)}
    moved = []
    for k in kept[leaves:]:
        step = steps[k - leaves]
        b = place_of[step.b] if is_binary(step) else step.b % 2 if step.name == "literal" else 0
        moved.append(step._replace(a=place_of[step.a], b=b))
    return Recipe(n_inputs, n_parameters, moved, [place_of[k] for k in outputs]), point


def is_binary(step: Step) -> bool:
    return ROWS.get(step.name) == "Binary" or step.name in ("sub", "div")


def number(dice: random.Random) -> float:
    kind = dice.random()
    if kind < 0.1:
        return dice.choice(EDGES)
    if kind < 0.2:
        return dice.choice([-1, 1]) * 10.0 ** dice.uniform(-6, 3)
    return dice.uniform(-2.0, 2.0)


def moved(dice: random.Random, v: float) -> float:
    return v * dice.uniform(0.9, 1.1) if dice.random() < 0.7 else number(dice)


def laid_out(dice: random.Random, x: Any) -> Any:
    """The same numbers in another layout."""
    n, k = x.shape
    match dice.randrange(6):
        case 0:
            return np.asfortranarray(x)
        case 1:
            wide = np.full((n, 2 * k + 1), np.nan)
            wide[:, 1::2] = x
            return wide[:, 1::2]
        case 2:
            return x[::-1].copy()[::-1]
        case 3:
            return x.astype(">f8")
        case 4:
            return x.tolist()
    return x


def expect(what: str, found: Any, right: Any, bound: Any) -> None:
    """Raise if numbers are further from the right ones than the bound."""
    found, bound = np.asarray(found, dtype=float).reshape(-1), np.asarray(bound, dtype=float).reshape(-1)
    right = list(np.asarray(right, dtype=object).reshape(-1))
    assert len(found) == len(right) == len(bound), (what, found, right)
    for i, (y, exact, most) in enumerate(zip(found, right, bound, strict=True)):
        off = abs(mpf(y) - exact) if math.isfinite(y) else math.inf
        told = f"{what}[{i}]: {y!r}, not {mpmath.nstr(exact, 20)}: off by {mpmath.nstr(off, 3)}, and not {most:.3g}"
        assert off <= most, told


def run(seed: int) -> None:
    dice = random.Random(seed)
    with mp.workdps(50):
        (one_operation if seed % 4 == 0 else whole)(dice)


def whole(dice: random.Random) -> None:
    recipe, point = made(dice)
    leaves, outputs = recipe.eager(point)
    n = recipe.n_inputs
    program = Program(outputs, inputs=leaves[:n], parameters=leaves[n:])
    rows = dice.choice([1, 1, 2, 7, 8, 9, 17, 64])
    x = np.array([[moved(dice, v) for v in point[:n]] for _ in range(rows)])
    x[0] = point[:n]
    results: dict[int, list[Number] | None] = {}
    for r in {0, dice.randrange(rows), rows - 1}:
        try:
            results[r] = recipe.exact([*x[r], *point[n:]])
        except RefusedError:
            results[r] = None
        except UndecidedError:
            continue
    weights = np.array([dice.choice([1.0, -0.5, 2.0, 0.0]) for _ in outputs])
    vector = np.array([dice.choice([1.0, -1.0, 0.0, 0.3]) for _ in range(n)])
    given = laid_out(dice, x)
    threads = dice.choice([1, 2])
    for r, exact in results.items():
        numbers = [*x[r], *point[n:]]
        try:
            eager_leaves, eager_outputs = recipe.eager(numbers)
        except REFUSALS:
            assert exact is None, f"eager code refuses {numbers}"
            if any(step.name == "powc" and step.c == 0.0 for step in recipe.steps):
                continue  # which is 1.0, and needs no operand
            for argument in (x, x[r]):
                assert_raises(lambda argument=argument: program(argument))
            continue
        assert exact is not None, f"eager code does not refuse {numbers}"
        close(recipe, program, exact, eager_leaves, eager_outputs, x, r, given, weights, vector, threads, dice)


def assert_raises(call: Callable[[], Any]) -> None:
    try:
        call()
    except REFUSALS:
        return
    raise AssertionError("the program does not raise where eager code does")


def close(
    recipe: Recipe,
    program: Program,
    exact: list[Number],
    leaves: list[Value],
    outputs: list[Value],
    x: Any,
    r: int,
    given: Any,
    weights: Any,
    vector: Any,
    threads: int,
    dice: random.Random,
) -> None:
    """Everything at one row that eager code does not refuse."""
    n, size = recipe.n_inputs, 3 * len(recipe.steps) + 8
    values = [y.v for y in exact]
    errors = [y.error + ULPS * abs(float(y.v)) + TINY for y in exact]
    expect("eager value", [o.data for o in outputs], values, errors)
    expect("value of one row", np.reshape(program(x[r]), -1), values, errors)
    jacobian = np.array([y.g for y in exact])
    j_error = np.array([y.g_error + ULPS * size * y.paths for y in exact]) + TINY
    w_error = abs(weights) @ j_error + ULPS * size * abs(weights) @ np.array([y.paths for y in exact]) + TINY
    gradient = weights @ jacobian
    total = sum((o * float(w) for o, w in zip(outputs, weights, strict=True)), Value(0.0))
    total.backward()
    expect("eager gradient", [leaf.grad for leaf in leaves], gradient, w_error)
    hessian = sum(w * y.h for w, y in zip(weights, exact, strict=True))
    h_error = sum(abs(w) * (y.h_error + ULPS * size * y.h_paths) for w, y in zip(weights, exact, strict=True)) + TINY
    check = dice.random() < 0.5
    one = dice.random() < 0.3
    rows = x[r : r + 1] if one or check else given  # other rows may be refused
    at = 0 if one or check else r
    options: dict[str, Any] = {"check": check, "threads": threads}
    many = len(rows)
    with np.errstate(all="ignore"):
        expect("values", np.reshape(program.forward(rows, **options), (many, -1))[at], values, errors)
        dx = program.value_and_grad(rows, weights=weights, **options)[1]
        expect("gradient", dx[at], gradient[:n], w_error[:n])
        every = np.reshape(program.jacobian(rows, **options), (many, -1, n))
        expect("jacobian", every[at], jacobian[:, :n], j_error[:, :n])
        both = np.reshape(program.jacobian(x[r], "both", check=check), (-1, n + recipe.n_parameters))
        expect("jacobian of one row by all", both, jacobian, j_error)
        expect("its entries", program.jacobian(x[r], "both", sparse=True, check=check).toarray(), jacobian, j_error)
        total_of_rows = np.reshape(program.jacobian(rows, reduce="sum", **options), (-1, n))
        finite = np.isfinite(every).all(axis=0) & (abs(every).max(axis=0, initial=0.0) < 1e150)
        gap = abs(total_of_rows - every.sum(axis=0))
        assert (gap <= 1e-9 * abs(every).sum(axis=0) + TINY)[finite].all(), f"jacobians reduced: off by {gap}"
        pushed = np.reshape(program.jvp(rows, np.tile(vector, (many, 1)), **options), (many, -1))[at]
        expect("jvp", pushed, jacobian[:, :n] @ vector, j_error[:, :n] @ abs(vector) * 1.01 + TINY)
        pulled = program.vjp(rows, np.tile(weights, (many, 1)), **options)
        expect("vjp", pulled[at], gradient[:n], w_error[:n])
        hess = program.hessian(rows, weights=weights, **options)
        expect("hessian", hess[at], hessian[:n, :n], h_error[:n, :n])
        entries = program.hessian(x[r], "both", weights, sparse=True, check=check)
        expect("hessian's entries by all", entries.toarray(), hessian, h_error)
        product = program.hvp(rows, np.tile(vector, (many, 1)), weights=weights, **options)
        expect("hvp", product[at], hessian[:n, :n] @ vector, h_error[:n, :n] @ abs(vector) * 1.01 + TINY)
        if recipe.n_parameters:
            dp = program.value_and_grad(x[r], "parameters", weights=weights, check=check)[1]
            expect("gradient by parameters", dp, gradient[n:], w_error[n:])


def one_operation(dice: random.Random) -> None:
    """One operation at the ends of the numbers: the error, the value and the gradient of eager code."""
    name = dice.choice([*ROWS, "div", "powc", "powc"])
    exponent = dice.choice([*EXPONENTS, math.inf, -math.inf, math.nan, -3.0, 8.0, -7.0])
    step = Step(name, 0, 1, exponent)
    rows = dice.choice([1, 5, 16])
    at_the_ends(step, [[dice.choice(ENDS) for _ in range(1 + is_binary(step))] for _ in range(rows)])


def at_the_ends(step: Step, x: list[list[float]]) -> None:
    """Raise if a program of one operation differs from eager code at a row."""
    name = step.name
    recipe = Recipe(2, 0, [step], [2]) if is_binary(step) else Recipe(1, 0, [step._replace(b=0)], [1])
    program = recorded(recipe)
    if program is None:
        return
    for row in np.array(x):
        try:
            leaves, (output,) = recipe.eager(list(row))
        except REFUSALS as error:
            try:
                program(row)
            except type(error):
                continue
            raise AssertionError(f"{step} at {row}: no {type(error).__name__}") from error
        output.backward()
        wanted = [output.data, *(v.grad for v in leaves)]
        if name == "div":  # eager code squares the reciprocal, which may be denormal
            with np.errstate(all="ignore"):
                a, b = row
                wanted = [a / b, 1 / b, -(a / b) / b]
        for rows in (row, np.array([row] * 9)):
            for check in (True, False):
                y, d = program.value_and_grad(rows, check=check)
                forward = np.ravel(program.jvp(rows, np.ones(recipe.n_inputs), check=check))[0]
                total = float(np.sum(np.ravel(d)[: recipe.n_inputs]))
                if math.isfinite(total):  # one direction, by the other kind of sweep
                    most = 64 * UNIT * (sum(abs(part) for part in wanted[1:]) + 1.0)
                    assert abs(forward - total) <= most, f"{step} at {row}: jvp {forward!r}, not {total!r}"
                for found, right in zip([np.ravel(y)[0], *np.ravel(d)], wanted, strict=False):
                    off = abs(found - right) if math.isfinite(found) else math.inf
                    same = found == right or (math.isnan(found) and math.isnan(right))
                    limit = 64 * UNIT * (abs(right) + (name in ("tanh", "sigmoid"))) + TINY
                    assert same or off <= limit, f"{step} at {row}: {found!r}, not {right!r}"


def recorded(recipe: Recipe) -> Program | None:
    for point in ([0.5, 0.25], [1.5, 0.25], [2.0, 1.0]):
        try:
            leaves, outputs = recipe.eager(point[: recipe.n_inputs])
        except REFUSALS:
            continue
        return Program(outputs[0], inputs=leaves)
    return None


# --- what was found


def corpus() -> Iterator[tuple[str, Callable[[], None]]]:
    """Single operations of which a program once made an error or another number than eager code."""
    for exponent in (math.inf, -math.inf, math.nan):
        yield f"power-{exponent}", lambda c=exponent: at_the_ends(Step("powc", 0, 0, c), [[1e308], [0.5], [-2.0]])
    for exponent in (-2.0, -3.0, -8.0):  # the result is denormal, or its reciprocal overflows
        at = [[10.0 ** min(k / -exponent, 300.0)] for k in (307, 309, 320, 323, 900)]
        yield f"power-{exponent}", lambda c=exponent, at=at: at_the_ends(Step("powc", 0, 0, c), at)
        ends = [
            [1e107],
            [1e160],
            [1.5e154],
            [-1e300],
            [math.inf],
            [-math.inf],
            [0.25],
        ]  # a forward sweep's squarings overflow
        yield f"power-{exponent}-of-large", lambda c=exponent, at=ends: at_the_ends(Step("powc", 0, 0, c), at)
    large = [[2.0**62, 1e160], [-1e308, 1e300], [math.inf, 1e308]]
    yield "quotient", lambda: at_the_ends(Step("div", 0, 1, 0.0), large)
    for name in ("softplus", "relu", "leaky_relu", "abs"):  # a forward sweep took the side of a choice
        yield f"{name}-at-0", lambda name=name: at_the_ends(Step(name, 0, 0, 0.25), [[0.0], [-0.0]])
    for name in ("maximum", "minimum"):
        yield f"{name}-of-equals", lambda name=name: at_the_ends(Step(name, 0, 1, 0.0), [[0.5, 0.5], [0.0, -0.0]])
