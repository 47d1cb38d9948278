"""`compile` against the plain function, on functions made from a seed: branches, handlers, types, NumPy, NaN.

Each function is called with several sets of numbers, in an order in which later ones meet the paths of earlier ones,
alone and in a batch. What the plain function returns for the numbers (integers as the floats that a compiled function
makes of them) is what has to come, or a TypeError that says what cannot be recorded; where an operation leaves the
numbers, the error of eager code. Derivatives are those of differences where the function is smooth, or refused.
"""

from __future__ import annotations

import math
import random
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from tests.fuzz import roundings

import kilograd
from kilograd.compiled import elimination, fourier

REFUSALS = (ValueError, OverflowError, ZeroDivisionError)
# What `math` says of a number outside of a domain, from Python 3.14 on in other words, and NumPy of integers.
DOMAIN = re.compile("math domain error|expected (a|argument) |Integers to negative integer powers are not allowed")
SCALARS = [0.0, -0.0, 1.0, 2.0, -1.0, 0.5, 3, -2, 0, 1e160, -1e300, 709.0, math.nan, math.inf, -math.inf, 2**53 + 2]
SCALARS += [np.float64(0.25), np.float32(1.5), np.int64(4), np.float64("nan"), 1e-310, True]
OF_ARRAYS = ["v[0]", "v[-1]", "v.sum()", "np.max(v)", "v.min()", "np.sort(v)[0]", "v[np.argmax(v)]", "v[v > 0].sum()"]
OF_ARRAYS += ["np.clip(v, -1, 1).sum()", "(v * v).sum()", "np.prod(v)", "np.cumsum(v)[-1]", "np.median(v)", "v @ v"]
OF_ARRAYS += ["np.sort(v)[1]", "np.var(v)", "v.std()", "np.diff(v)[0]", "np.percentile(v, 30)", "np.ptp(v)", "v.mean()"]
OF_ARRAYS += [
    "np.where(v > 0, v, -2.0 * v).sum()",
    "((v > 0.5) * v).sum()",
    "np.linalg.norm(v)",
    "np.interp(0.3, [0, 1, 2], v)",
]
OF_ARRAYS += [
    "np.linalg.solve(np.outer(v, v) + 3 * np.eye(3), v)[0]",
    "np.linalg.det(np.outer(np.tanh(v), np.tanh(v)) + np.eye(3))",
]
OF_ARRAYS += [
    "np.floor(v).sum()",
    "np.maximum.accumulate(v)[-1]",
    "scipy.special.logsumexp(v)",
    "np.nan_to_num(v).sum()",
]
OF_ARRAYS += ["np.einsum('i,i', v, v)", "np.linalg.cholesky(np.outer(v, v) + np.eye(3))[2, 1]", "np.argsort(v)[0]"]
OF_ARRAYS += [
    "np.linalg.inv(np.outer(v, v) + 3 * np.eye(3))[0, 1]",
    "np.linalg.slogdet(np.outer(np.tanh(v), np.tanh(v)) + np.eye(3))[1]",
    "np.linalg.lstsq(np.vander([0.0, 1.0, 2.0, 3.0], 3) + np.cos(np.nan_to_num(v)), [0.1, 0.7, -1.3, 0.4])[0][2]",
    "scipy.linalg.expm(np.outer(np.tanh(v), np.cos(v)))[0, 1]",
    "np.linalg.eigvalsh(np.outer(np.tanh(v), np.cos(v)) + np.diag([0.0, 1.0, 3.0]))[1]",
    "np.linalg.eigvalsh(np.outer(np.tanh(v), np.tanh(v)) + np.eye(3), 'U') @ [1.0, 2.0, -0.5]",
    "(np.linalg.eigvalsh(np.outer(np.tanh(v), np.tanh(v)) + np.eye(3)) ** 2).sum()",
    "abs(np.linalg.eigh(np.outer(np.tanh(v), np.tanh(v)) + np.diag([0.0, 1.0, 3.0]))[1][0, 2])",
]
OF_ARRAYS += ["np.linalg.det(np.outer(v, v) + np.diag(v))", "total(v, b=[0.0, 1.0, 0.5])", "TABLE['total'](v)"]
OF_ARRAYS += [
    "np.abs(np.fft.fft(v))[1]",
    "np.fft.irfft(np.fft.rfft(v, n=4) * (0.5 + 1j))[2]",
    "(np.abs(v + 1j) ** 2).sum()",
]
OF_ARRAYS += ["np.exp(1j * np.tanh(v)).imag[0]", "((v + 2j) * (1j - v[::-1])).real.sum()", "np.angle(v[0] * 1j + 0.5)"]
OF_ARRAYS += ["np.fft.ifft(np.fft.fft(v) / (2.0 + 1j * v)).real[0]", "abs(np.fft.fft(np.outer(v, v), axis=0)[1, 2])"]
OF_ARRAYS += ["np.divide(1.0, v, where=v > 0.1, out=np.zeros(3)).sum()"]
OF_INTEGERS = [
    "v[{k}]",
    "v[({k} + 1) % 3]",
    "sum(v[i] * i for i in range({k}))",
    "[2.0, 0.5, -1.0][{k}]",
    "v[:{k}].sum()",
]
OF_INTEGERS += ["np.zeros({k} + 1).size * 0.5", "np.take(v, 2 - {k})", "{k} * 1.5"]
OF_INTEGERS += ["v[{k} & 1]", "v[0] * ({k} >> 1)", "np.diff(v, n={k}).sum()", "(1 << {k}) * v[1]", "float({k} | 1)"]
OF_INTEGERS += ["np.sum(np.outer(v, v), axis={k} % 2)[0]", "sum([v[0]] * {k})", "np.gcd({k}, 4) * v[2]"]
OF_LISTS = ["np.hypot.reduce({0})", "np.fmax.reduce({0})", "np.median({0})", "np.nanmean({0})", "np.power({0}, 2.0)[0]"]
OF_LISTS += ["np.maximum({0}, 0.5)[1]", "np.exp({0})[0]", "np.sign({0})[1]", "np.add.accumulate({0})[-1]"]
OF_LISTS += ["max({0})", "min({0})", "sorted({0})[0]", "np.max({0})", "np.min({0})", "sum({0})", "np.sum({0})"]
HEADER = (
    "import io\nimport math\nimport numpy as np\n"
    "import scipy.linalg\nimport scipy.special\nimport scipy.stats\nimport kilograd\n"
    "from scipy.special import logsumexp as total\n"
    "TABLE = dict(total=total, exp=math.exp)\n"
    "def function({}):\n"
)


class Index(int):
    """An argument that is an integer, and stays one."""


NARROW = (np.uint8, np.int8, np.int32)


class Writer:
    """Writes a function of numbers, or of numbers and an array."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.arguments = dice.choice([["x"], ["x", "y"], ["v"], ["x", "v"], ["v", "k"]])
        self.names = [name for name in self.arguments if name not in "vk"]
        self.lines: list[str] = []

    def text(self) -> str:
        for _ in range(self.dice.randint(0, 4)):
            self.statement("    ", 0)
        self.line("    ", "return " + self.result())
        return HEADER.format(", ".join(self.arguments)) + "".join(self.lines)

    def line(self, indent: str, text: str) -> None:
        self.lines.append(f"{indent}{text}\n")

    def statement(self, indent: str, depth: int) -> None:
        name = self.dice.choice("abc")
        kind = self.dice.randrange(8 if depth < 2 else 1)
        inner = indent + "    "
        if kind <= 1:
            self.line(indent, f"{name} = {self.number()}")
        elif kind == 2:
            self.line(indent, f"if {self.condition()}:")
            self.line(inner, f"{name} = {self.number()}")
            self.line(indent, "else:")
            self.line(inner, f"{name} = {self.number()}")
        elif kind == 3:
            error = self.dice.choice(["ZeroDivisionError", "ValueError", "(ArithmeticError, ValueError)", "Exception"])
            self.line(indent, "try:")
            self.line(inner, f"{name} = {self.number()}")
            self.line(indent, f"except {error}:")
            self.line(inner, f"{name} = {self.dice.choice(['7.0', '1', self.number()])}")
        elif kind == 4:
            self.line(indent, f"{name} = {self.number()}")
            self.line(indent, f"for i in range({self.dice.randint(0, 3)}):")
            self.line(inner, f"if {self.condition()}:")
            self.line(inner + "    ", self.dice.choice(["break", "continue", f"{name} = {name} * 2.0"]))
            self.line(inner, f"{name} = {name} * {self.number(2)} + i")
        elif kind == 7:
            made = self.dice.choice(["zeros(2)", "ones(2)", "empty(2)", "full(2, 0.5)", "eye(2)[0]"])
            self.line(indent, f"{name} = np.{made}")
            self.line(indent, f"{name}[0] = {self.number(1)}")
            self.line(indent, f"{name}[1] = {name}[0] * {self.number(2)}")
            self.line(indent, f"{name}[{name} > {self.number(2)}] -= {self.number(2)}")
            self.line(indent, f"{name} = {name}[{self.dice.randrange(2)}]")
        elif kind == 5:
            self.line(indent, f"{name} = {self.condition()}")
            self.line(indent, f"{name} = {name} * {self.number(1)}")
        else:
            self.line(indent, f"{name} = [{self.number(1)}, {self.number(1)}]")
            self.line(indent, f"{name} = {self.dice.choice(OF_LISTS).format(name)}")
        if name not in self.names:
            self.names.append(name)

    def result(self) -> str:
        if self.dice.random() < 0.15:
            forms = ["({0}, {1})", "[{0}, 7]", "{{'k': {0}, 'c': {2}}}", "{2}", "5.0", "({2}, None)"]
            if "v" in self.arguments:
                forms += ["v * {0}", "np.maximum(v, {0})", "np.sort(v)", "np.where(v > {0}, v, {1})", "v % 0.75 + {0}"]
                forms += ["np.floor(v / 0.3) * {0}", "np.interp(v, [-1, 0, 1], [{0}, 0.5, {1}])", "np.median(v) * v"]
                forms += ["np.percentile(v, [10, 90])", "np.heaviside(v, {0})", "np.arctan2(v, {0})", "v // {0}"]
                forms += ["np.clip(v, {0}, {1})", "np.logaddexp(v, {0})", "np.where(np.isnan(v), {0}, v)", "np.sign(v)"]
                forms += ["np.select([v < 0, v < 1], [v, {0}], {1})", "np.outer(v, [{0}, 1.0])", "np.round(v * {0})"]
                forms += ["np.maximum.reduce([v, 0 * v, {0} + v])", "np.stack([v, np.full(3, {0})])", "v[::-1] - {0}"]
                forms += ["np.divide({0}, v, where=v > {1}, out=np.zeros(3))", "v[np.argmax(v[None], axis=1)] * {0}"]
                forms += [
                    "np.log(v, where=v > 0.0, out=np.full(3, 0.5)) + {0}",
                    "np.percentile([{0}, {1}, 1.0], [25, 50])",
                ]
                forms += ["np.nan_to_num(v) + {0}", "np.fmax(v, {0}) - np.fmin(v, {1})", "((v > {0}) & (v < 1)) * v"]
            return self.dice.choice(forms).format(self.number(), self.number(), self.condition())
        return self.number()

    def number(self, depth: int = 0) -> str:
        dice = self.dice
        if depth > 3 or dice.random() < 0.2 + 0.1 * depth:
            if "k" in self.arguments and dice.random() < 0.5:
                return dice.choice(OF_INTEGERS).format(k="k")
            if "v" in self.arguments and (not self.names or dice.random() < 0.5):
                return dice.choice(OF_ARRAYS)
            if self.names and dice.random() < 0.8:
                return dice.choice(self.names)
            return dice.choice(["2.0", "0.5", "1", "-1.0", "0.0", "3"])
        a, b = self.number(depth + 1), self.number(depth + 1)
        forms = ["({a} + {b})", "({a} * {b})", "({a} - {b})", "({a} / {b})", "({a} + {b})", "({a} * {b})"]
        forms += ["abs({a})", "(-{a})", "{a} ** 2", "({a}) ** -1", "min({a}, {b})", "max({a}, {b})"]
        forms += ["abs(np.sign({a}) ** 0.5)"]
        forms += ["np.exp({a})", "np.sin({a})", "np.tanh({a})", "np.sqrt({a})", "np.log({a})", "np.absolute({a})"]
        forms += ["np.maximum({a}, {b})", "np.minimum({a}, {b})", "np.fmax({a}, {b})", "np.fmin({a}, {b})"]
        forms += ["np.floor({a})", "np.ceil({a})", "np.rint({a})", "np.trunc({a})", "({a} % {b})", "({a} // {b})"]
        forms += ["float(str({a}))", "({a} if repr({b})[0] == '-' else {b})"]
        forms += ["np.hypot({a}, {b})", "np.arctan2({a}, {b})", "np.logaddexp({a}, {b})", "np.heaviside({a}, {b})"]
        forms += [
            "np.exp2({a})",
            "np.log2({a})",
            "np.log10({a})",
            "np.cbrt({a})",
            "np.deg2rad({a})",
            "np.copysign({a}, np.nan_to_num({b}))",
        ]
        forms += ["np.fmod({a}, {b})", "np.interp({a}, [-1.0, 0.0, 1.0], [2.0, 0.0, 0.5])", "np.float64({a}) * 1.0"]
        forms += [
            "scipy.special.expit({a})",
            "scipy.special.ndtr({a})",
            "scipy.special.xlogy({a}, {b})",
            "scipy.special.log_ndtr({a})",
            "scipy.special.ndtri(scipy.special.expit({a}))",
            "scipy.special.i0e({a})",
            "scipy.special.i1e({a})",
            "kilograd.special.betaln(abs({a}) + 0.5, abs({b}) + 0.5)",
            "scipy.stats.norm.logpdf({a}, {b}, 1.5)",
            "scipy.stats.norm.cdf({a}, scale=2.0)",
            "math.tanh({a})",
            "TABLE['exp']({a})",
        ]
        forms += [
            "math.exp({a})",
            "math.hypot({a}, {b})",
            "np.array([{a}, {b}]).max()",
            "np.square({a})",
            "math.sqrt({a})",
        ]
        forms += ["np.clip({a}, -1.0, 1.0)", "np.max([{a}, {b}])", "np.min([{a}, {b}])", "np.sign({a})"]
        if depth < 2:
            c, d = self.condition(depth + 2), self.condition(depth + 2)
            forms += ["({a} if {c} else {b})"] * 3
            forms += [
                "kilograd.where({c}, {a}, {b})",
                "np.where({c}, {a}, {b})",
                "({c}) * {a}",
                "(({c}) + ({d})) * {a}",
            ]
            forms += ["(({c}) + ({d})) * {a}"]
            return "(" + dice.choice(forms).format(a=a, b=b, c=c, d=d) + ")"
        return "(" + dice.choice(forms).format(a=a, b=b) + ")"

    def condition(self, depth: int = 1) -> str:
        a, b = self.number(depth + 1), self.number(depth + 1)
        forms = ["{a} > {b}", "{a} <= {b}", "{a} == {b}", "{a} != {b}", "0 < {a} < 2", "{a} > 0", "{a} != {a}"] * 2
        forms += ["isinstance({a}, float)", "isinstance({a}, np.floating)", "type({a}) is float", "({a} > {b}) is True"]
        forms += ["~np.isnan({a})", "np.any({a})", "np.logical_or({a}, {b})", "np.isfinite({a})"]
        forms += ["hasattr({a}, 'dtype')", "not {a} < {b}", "{a} in (1.0, 2.0)", "bool({a})", "np.isscalar({a})"]
        forms += ["{a} > 0 and {b} < 1", "{a} > 0 or {b} == 0", "isinstance({a}, (int, float)) and {b} > 0"]
        if "v" in self.arguments:
            forms += ["(v > {a}).all()", "np.any(v == {a})", "v.dtype == float", "isinstance(v, np.ndarray)"]
        return "(" + self.dice.choice(forms).format(a=a, b=b) + ")"


def converted(argument: Any) -> Any:
    """What a compiled function makes of an argument."""
    return argument if isinstance(argument, (bool, Index, np.ndarray, *NARROW)) else float(argument)


def outcome(call: Callable[[], Any]) -> tuple[str, Any]:
    """("value", result) or ("error", exception); warnings of NumPy are none here."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return "value", call()
    except Exception as error:
        return "error", error


def numbers_of(result: Any) -> list[float]:
    if isinstance(result, dict):
        return [x for part in result.values() for x in numbers_of(part)]
    if isinstance(result, (list, tuple)):
        return [x for part in result for x in numbers_of(part)]
    if isinstance(result, np.ndarray):
        return [x for part in result.reshape(-1).tolist() for x in numbers_of(part)]
    if isinstance(result, complex):
        return [result.real if result.imag == 0.0 else math.nan]
    return [] if result is None else [float(result)]


def shape_of(result: Any) -> Any:
    if isinstance(result, dict):
        return {key: shape_of(part) for key, part in result.items()}
    if isinstance(result, (list, tuple)):
        return type(result), [shape_of(part) for part in result]
    return None if result is None else np.shape(result)


def same(a: Any, b: Any, slack: list[float]) -> bool:
    if shape_of(a) != shape_of(b):
        return False
    pairs = zip(numbers_of(a), numbers_of(b), slack, strict=True)
    return all(
        x == y or (x != x and y != y) or abs(x - y) <= 1e-9 * max(abs(x), abs(y)) + 1e-12 + s for x, y, s in pairs
    )


def slack_of(function: Callable[..., Any], arguments: list[Any], result: Any) -> list[float]:
    """How far the numbers of a result move with a few roundings of the arguments."""
    numbers = numbers_of(result)
    slack = [0.0] * len(numbers)
    wild = [0] * len(numbers)
    for sign in (-1, 1):
        near = [a if isinstance(a, (int, np.integer)) else a * (1 + sign * 4e-16) + sign * 1e-300 for a in arguments]
        kind, moved = outcome(lambda near=near: function(*near))
        if kind == "value" and shape_of(moved) == shape_of(result):
            gaps = [abs(x - y) for x, y in zip(numbers, numbers_of(moved), strict=True)]
            for i, (gap, x) in enumerate(zip(gaps, numbers, strict=True)):
                if math.isfinite(gap) and gap < 1e-6 * (1 + abs(x)):
                    slack[i] = max(slack[i], 1e3 * gap)
                else:
                    wild[i] += 1
    # Another branch is taken on one side alone; where both are far off, as in the sine of 1e12, roundings decide.
    return [math.inf if w == 2 else s for s, w in zip(slack, wild, strict=True)]


def run(seed: int) -> None:
    dice = random.Random(seed)
    writer = Writer(dice)
    text = writer.text()
    kind = dice.choice([Index, Index, *NARROW])  # of the integers, which a batch has in one array
    sets = [[argument(dice, name, kind) for name in writer.arguments] for _ in range(5)]
    largest = elimination.LARGEST, fourier.LARGEST
    elimination.LARGEST = dice.choice([largest[0], 0])  # of matrices that are computed entry by entry
    fourier.LARGEST = dice.choice([largest[1], 0])  # of transforms, alike
    try:
        check(text, sets, dice)
    finally:
        elimination.LARGEST, fourier.LARGEST = largest


def argument(dice: random.Random, name: str, kind: Any) -> Any:
    if name == "v":
        v = np.array([dice.choice([dice.uniform(-2, 2), dice.uniform(-2, 2), 0.0, 1.0]) for _ in range(3)])
        if dice.random() < 0.2:
            v[dice.randrange(3)] = dice.choice([math.nan, math.inf, -0.0, 1e200])
        return v
    if name == "k":
        return kind(dice.choice([0, 1, 2, 2, 200 if kind is np.uint8 else 1]))
    return dice.choice(SCALARS) if dice.random() < 0.4 else dice.uniform(-2.0, 2.0)


def check(text: str, sets: list[list[Any]], dice: random.Random) -> None:
    """Raise if a function of this text and its compiled form differ."""
    namespace: dict[str, Any] = {}
    exec(compile(text, "<fuzz>", "exec"), namespace)
    function = namespace["function"]
    compiled = kilograd.compile(function)
    order = [*range(len(sets)), *dice.sample(range(len(sets)), len(sets))]
    for k in order:
        arguments = [converted(a) for a in sets[k]]
        plain = outcome(lambda arguments=arguments: function(*copies(arguments)))
        found = outcome(lambda k=k: compiled(*copies(sets[k])))
        judge(text, f"{sets[k]}", function, arguments, plain, found)
        if (
            plain[0] == found[0] == "value"
            and isinstance(plain[1], float)
            and is_near(function, arguments, found[1], plain[1])
        ):
            slopes(text, function, compiled, arguments)
    rows = [[converted(a) for a in row] for row in sets if not any(isinstance(a, bool) for a in row)]
    if rows:
        batches(text, function, compiled, rows)


def copies(arguments: list[Any]) -> list[Any]:
    return [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]


def judge(
    text: str, where: str, function: Any, arguments: list[Any], plain: tuple[str, Any], found: tuple[str, Any]
) -> None:
    told = f"{text}at {where}: {found[1]!r}, not {plain[1]!r}"
    if found[0] == "error":
        if isinstance(found[1], TypeError):
            return  # what cannot be recorded
        # NumPy goes on with infinities, NaN and complex numbers where eager code refuses.
        assert isinstance(found[1], REFUSALS) or plain[0] == "error", told
        return
    if plain[0] == "error":
        if DOMAIN.match(str(plain[1])):
            return  # infinities flow, as in NumPy; and an integer that NumPy makes of a bool is a number
        # An operation whose result nothing needs is not run again; without a handler nothing can tell.
        again = outcome(lambda: kilograd.compile(function)(*copies(arguments)))
        assert not isinstance(plain[1], REFUSALS) or ("try" not in text and again[0] == "error"), told
        return
    assert agrees(text, function, arguments, found[1], plain[1]), told


def is_near(function: Any, arguments: list[Any], found: Any, plain: Any) -> bool:
    """Whether a result is the plain one but for what a rounding of the arguments changes."""
    return same(found, plain, slack_of(function, arguments, plain))


def agrees(text: str, function: Any, arguments: list[Any], found: Any, plain: Any) -> bool:
    """Whether a result is near the plain one, or what the function gives where it is rounded otherwise inside."""
    if is_near(function, arguments, found, plain):
        return True
    runs = (outcome(lambda other=other: other(*copies(arguments))) for other in roundings.others(text))
    return any(kind == "value" and same(found, result, [0.0] * len(numbers_of(result))) for kind, result in runs)


def slopes(text: str, function: Any, compiled: Any, arguments: list[Any]) -> None:
    """The derivative by the first argument against differences of two widths, where these agree."""
    first = arguments[0]
    if any((4.0 * float(x)).is_integer() for a in arguments for x in np.ravel(a)):
        return  # a tie, where a derivative is that of one side
    if any(0.0 < abs(float(x)) < 1e-100 for a in arguments for x in np.ravel(a)):
        return  # a remainder of which is a saw with as many teeth
    flat = np.array(first, dtype=float).reshape(-1)
    if isinstance(first, bool) or not np.isfinite(flat).all() or abs(flat).max() > 1e3 or abs(flat).min() < 1e-3:
        return
    kind, gradient = outcome(lambda: compiled.grad(*copies(arguments)))
    if kind == "error":
        return
    kind, here = outcome(lambda: function(*copies(arguments)))
    for i in range(flat.size):
        estimates = []
        for width in (1e-4, 1.1e-4, 2e-4):
            ends = []
            for sign in (-1, 1):
                moved = flat.copy()
                moved[i] += sign * width
                near = [moved.reshape(np.shape(first)) if np.ndim(first) else float(moved[0]), *arguments[1:]]
                ends.append(outcome(lambda near=near: function(*near)))
            if any(kind == "error" or not isinstance(y, (float, int)) or not math.isfinite(y) for kind, y in ends):
                return
            estimates.append((ends[1][1] - ends[0][1]) / (2 * width))
            estimates.append((ends[1][1] - here) / width)
        spread = max(estimates) - min(estimates)
        size = max(map(abs, estimates))
        if spread <= 1e-2 * size and size < 1e6:
            found = float(np.reshape(gradient, -1)[i])
            told = f"{text}at {arguments}: slope {found}, not {estimates[0]}"
            blur = 1e-11 * max(abs(y) for _, y in ends)  # roundings of the values, over the width
            assert found != found or abs(found - estimates[0]) <= 0.05 * size + blur + 1e-9, told


def batches(text: str, function: Any, compiled: Any, rows: list[list[Any]]) -> None:
    """A batch gives what its rows give, or an error where a row gives one."""
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    kind, found = outcome(lambda: compiled.batch(*columns))
    single = [outcome(lambda row=row: compiled(*copies(row))) for row in rows]
    if kind == "error":
        several = len({repr(shape_of(y)) for _, y in single}) > 1
        one = any(k == "error" for k, _ in single)
        assert one or (several and isinstance(found, ValueError)), f"{text}batch of {rows}: {found!r}"
        return
    # A row alone may be refused for an operation whose result nothing needs.
    refused = all(k == "value" or isinstance(y, REFUSALS) for k, y in single)
    assert refused, f"{text}batch of {rows}: {found!r}, and rows {single}"
    for r, right in [(r, y) for r, (k, y) in enumerate(single) if k == "value"]:
        got = row_of(found, right, r)
        assert agrees(text, function, rows[r], got, right), f"{text}batch, row {r} of {rows}: {got!r}, not {right!r}"


def row_of(result: Any, like: Any, r: int) -> Any:
    if isinstance(like, dict):
        return {key: row_of(result[key], part, r) for key, part in like.items()}
    if isinstance(like, (list, tuple)):
        return type(like)(row_of(a, b, r) for a, b in zip(result, like, strict=True))
    return result[r]


def mask_in_a_batch() -> None:
    """All rows had all of it."""
    f, x, mask = kilograd.compile(lambda x, m: np.where(m, x, 0.0).sum()), np.eye(2), np.array([True, False])
    try:
        found = f.batch(x, mask)
    except TypeError as error:
        if "astype(float)" in str(error):
            return
        raise
    raise AssertionError(f"rows that are 1 and 0 by their bools gave {found}")


def order_in_memory() -> None:
    """An argument that lies by columns gave rows one after the other."""
    x = np.asfortranarray(np.arange(6.0).reshape(2, 3))

    def weighted(x: Any) -> Any:
        return (x.ravel(order="K") * np.arange(6.0)).sum()

    try:
        found = kilograd.compile(weighted)(x)
    except TypeError as error:
        if "order='K'" in str(error):
            return
        raise
    if found != weighted(x):
        raise AssertionError(f"{found} for {weighted(x)}")


def equal_and_not_the_same() -> None:
    """The second took the path of the first."""
    of_static = kilograd.compile(lambda x, c: x * len(repr(c)), static_argnums=1)
    of_keys = kilograd.compile(lambda d: sum(value * len(repr(key)) for key, value in d.items()))
    for thing in (0.0, -0.0, 1, True, (1,), (1.0,), 0.0, 1):
        found, right = (of_static(2.0, thing), of_keys({thing: 2.0})), 2.0 * len(repr(thing))
        if found != (right, right):
            raise AssertionError(f"{found} for {right} by {thing!r}")


def corpus() -> Iterator[tuple[str, Callable[[], None]]]:
    """Functions of which compile once made another number, or another branch, or no batch."""
    nan = math.nan
    bodies: dict[str, tuple[str, str, list[list[Any]]]] = {
        "root-that-a-nan-hides": (
            "x, y",
            "return np.maximum(abs(np.sign(y) ** 0.5), np.clip(2.0, -1.0, 1.0)) / x",
            [[nan, -0.25], [0.5, -1.0], [0.5, 1.0]],
        ),
        "error-that-moves-little": (
            "v",
            "a = np.sum(v)\n    try:\n        a = a / np.log(v[-1])\n    except ZeroDivisionError:\n        a = 7.0\n"
            "    return np.tanh(a)",
            [[np.array([-0.16931567, 0.49515695, 1.0])]],
        ),
        "refusal-that-is-handled": (
            "x, y",
            "try:\n        b = np.float64(y)\n    except Exception:\n        b = np.trunc(x)\n    return min(b, x) + y",
            [[1.546909096682242, 1.0], [-3.5, 1.0]],
        ),
        "array-in-an-element-of-its-own": ("x", "c = np.zeros(2)\n    c[0] = c\n    return c[0] * x", [[1.0]]),
        "sum-of-a-call-and-a-chain": (
            "v",
            "return (np.isscalar(-v[0]) + (0 < v.sum() < 2)) * v[1]",
            [[np.array([0.75, 0.5])], [np.array([-1.0, 0.5])]],
        ),
        "sum-of-masks": (
            "v",
            "return np.where((v > 0) + (v > 1), v, -v).sum() + ((v > 0) + (v < 1)).sum() * v[0]",
            [[np.array([0.5, -0.5])], [np.array([1.5, 0.5])]],
        ),
        "bools-that-stay-bools": (
            "v",
            "m = v > 0\n    n = [np.array([v[0] > 0, v[1] > 0]), np.asarray(m), np.array(v[0] > 0)]\n"
            "    n += [np.full(2, v[0] > 0), np.atleast_1d(v[0] > 0), np.maximum.accumulate(m)]\n"
            "    n += [np.max([m, m], axis=0), np.apply_along_axis(lambda r: r > 0, 0, v)]\n"
            "    n += [np.concatenate([m, m])[:2]]\n"
            "    n = [(a + a) * 1.0 for a in n]\n"
            "    return *n, np.add.outer(m, m)[0] * 1.0, (m @ m) * 1.0, np.dot(m, m) * 1.0, np.vdot(m, m) * 1.0, "
            "np.where(m, v, 0.0)",
            [[np.array([-0.5, -0.25])], [np.array([1.5, 0.5])], [np.array([-1.0, 0.5])]],
        ),
        "bits-of-integers": (
            "v",
            "m, n = v > 0, v < 1\n    return (m * 2 | n * 1) * 1.0, (m * 2 & n * 3) * 1.0, np.where(m, v, 0.0)",
            [[np.array([-0.5, -0.25])], [np.array([1.5, 0.5])], [np.array([0.25, 0.5])]],
        ),
        "piece-that-is-of-several-numbers": (
            "v",
            "return np.piecewise(v, [v > 0, v <= 0], [lambda a: a - a.mean(), lambda a: a * a.size])",
            [[np.array([1.5, 0.5, 2.0])], [np.array([-1.5, 0.5, 2.0])], [np.array([-1.5, -0.5, 2.0])]],
        ),
        "results-that-go-elsewhere": (
            "v",
            "a, b, c = np.zeros(1), np.zeros(1), np.zeros(1)\n    np.median(v[None], axis=1, out=a)\n"
            "    np.quantile(v[None], 0.25, axis=1, out=b)\n    v[None].dot(v, out=c)\n"
            "    d = v / np.where(v > 1, 0.5, 1.0)\n"
            "    d[0] = np.inf\n    np.nan_to_num(d, copy=False, posinf=3.0)\n    return a, b, c, d",
            [[np.array([1.5, 0.5])], [np.array([-1.5, 0.25])]],
        ),
        "copies-and-views": (
            "v",
            "a, b = v.astype(float, 'K', 'unsafe', True, False), np.ascontiguousarray(v[::2])\n"
            "    a[0] = 5.0\n    b[0] = 7.0\n"
            "    c = np.asarray(v, dtype=object)\n    c[0] = 9.0\n"
            "    return v.sum(), np.full(2, v[1], dtype=int) * 1.0",
            [[np.array([1.5, 0.5])], [np.array([-1.5, 2.5])]],
        ),
        "logarithm-that-zero-shuts-off": (
            "x, y",
            "return scipy.special.xlogy(0.0 * x, y) + scipy.special.xlogy(x, 2.0) + scipy.special.entr(x * x)",
            [[1.0, -math.inf], [1.0, 0.0], [0.0, math.inf], [2.0, nan], [0.5, 3.0]],
        ),
        "interpolation-between-infinities": (
            "v",
            "return np.interp(0.3, [0, 1, 2], v)",
            [[np.array([math.inf, 1.0, 2.0])], [np.array([1.0, math.inf, 2.0])], [np.array([3.0, 3.0, nan])]],
        ),
        "interpolation-at-a-knot-beside-nan": (
            "v",
            "return np.interp([-1.0, 0.0, 0.5, 1.0, 2.0, np.nan], [-1, 0, 1], v)",
            [[np.array([nan, 1.0, nan])], [np.array([1.0, math.inf, 2.0])], [np.array([math.inf, 3.0, 3.0])]],
        ),
        "angles-and-remainders": (
            "x, y",
            "a = np.arctan2(x, y), np.copysign(x, y), np.heaviside(x, y)\n"
            "    return (*a, np.hypot(x, y), np.logaddexp(x, y), x % 3.0)",
            [[0.0, -1.0], [-0.0, -1.0], [math.inf, math.inf], [math.inf, nan], [-math.inf, -math.inf], [nan, 2.0]],
        ),
        "sign-of-a-zero": (
            "x, y",
            "return np.arctan2(np.trunc(y), x), np.arctan2(np.fmod(y, 2.0), x), np.arctan2(np.ceil(y), x)",
            [[-1.5, -0.0], [-1.5, -0.25], [-1.5, 0.0], [-1.5, -2.0]],
        ),
        "signs-of-zeros-that-are-chosen": (
            "x, y",
            "return np.copysign(1.0, [np.fmin(x, y), np.sort([x, y])[0], np.clip(x, 0, y), np.median([x, y, y])])",
            [[0.0, -0.0], [-0.0, 0.0], [-0.0, -0.0], [-0.25, -0.0]],
        ),
        "memory-of-an-array": ("v", "return np.ndarray((3,), float, v).sum() * v[0]", [[np.array([0.5, 1.5, 2.0])]]),
        "bytes-of-an-array": ("v", "return np.frombuffer(bytes(v)).sum() * v[0]", [[np.array([0.5, 1.5, 2.0])]]),
        "memory-that-is-written": (
            "v",
            "a = np.zeros(3)\n    np.frombuffer(a.data)[:] = 5.0\n    return a.sum() * v[0]",
            [[np.array([0.5, 1.5, 2.0])]],
        ),
        "random-numbers-into-an-array": (
            "v",
            "a = np.zeros(3)\n    np.random.default_rng(0).standard_normal(out=a)\n    return a @ v",
            [[np.array([0.5, 1.5, 2.0])]],
        ),
        # Where one rounding decides, either is good: see `roundings`.
        "jump-at-a-logarithm-undone": ("x", "return x * np.trunc(np.exp(np.log(x)))", [[3.0], [5.0], [7.0], [2.5]]),
        "remainder-of-the-largest-number": (
            "v",
            "return np.fmod(np.nan_to_num(v).sum(), np.exp(scipy.special.ndtr(v.sum())))",
            [[np.array([0.43241295, 1.63513004, math.inf])], [np.array([0.5, 1.0, 2.0])]],
        ),
        "sum-that-absorbs": (
            "v",
            "return (v * v).sum() - (np.where(v > 0, v, -2.0 * v).sum() + np.diff(v)[0]) ** -1",
            [[np.array([1e200, -1.28570756, 0.0])], [np.array([1.0, -1.28570756, 0.0])]],
        ),
        "product-whose-overflow-a-sum-does-not-see": (
            "v",
            "a = v[0] * v[0]\n    return np.trunc(a - np.var(v))",
            [[np.array([1e200, 1.0, 1.0])], [np.array([2.0, 1.0, 1.0])]],
        ),
        "sum-of-a-bool-and-one-of-numpy-that-does-not-show": (
            "v",
            "return np.where(v[0] <= np.cumsum(v)[-1], 5.0, (bool(np.prod(v)) + np.any(np.diff(v)[0])) * v[0])",
            [[np.array([0.25, 1.0, 3.0])], [np.array([0.25, 1.0, -1.5])]],
        ),
        "number-of-16-bits": ("x", "return x / np.logaddexp(np.cbrt(x != x), 1)", [[0.7714905607491449], [-0.5]]),
        "numbers-in-lists": (
            "x, y",
            "return np.power([x, -1.0], 0.5), np.maximum([x, 1.0], y), np.fmin.reduce([x, y, 1.0])",
            [[0.5, nan], [nan, 2.0], [1.5, -0.0]],
        ),
        "negation-of-a-bool": ("v", "return v[0] if ~np.isnan(v[1]) else v[2]", [[np.array([1.0, nan, 2.0])]]),
        "operand-where-nothing-is-computed": (
            "v",
            "return np.divide(1.0, v, where=v != 0, out=np.zeros(3)) + np.sqrt(v, where=v > 0, out=np.zeros(3))",
            [[np.array([0.0, -4.0, 2.0])], [np.array([nan, 1.0, -0.0])]],
        ),
        "text-of-a-number": ("x", 'return -x if str(x)[0] == "-" else 2 * x', [[-3.0], [3.0], [0.5]]),
        "float-on-the-path-of-an-index": (
            "x",
            "return np.array([1.0, 4.0, 9.0])[x]",
            [[Index(1)], [1.5], [Index(2)], [2.25]],
        ),
        "number-through-text": ("x, y", "return float(str(x)) * y", [[0.3, 1.5], [-0.7, 1.5], [0.3, 1.5]]),
        "number-through-text-of-an-array": (
            "v",
            "print(v, file=(out := io.StringIO()))\n    return np.loadtxt([out.getvalue()[1:-2]]).sum()",
            [[np.array([0.3, 1.7])], [np.array([0.6, -1.7])]],
        ),
        "length-of-a-text": ("x", 'return x * len(str(x)) + len(f"{x}") - len(repr(x))', [[1.0], [0.125], [-2.5]]),
        "error-handled-with-a-constant": (
            "x",
            "try:\n        return 1.0 / x\n    except ZeroDivisionError:\n        return 99.0",
            [[2.0], [0.0], [4.0]],
        ),
        "error-of-a-result-that-nothing-needs": (
            "x",
            "try:\n        1.0 / x\n    except ZeroDivisionError:\n        return 99.0\n    return x",
            [[2.0], [0.0], [4.0]],
        ),
        "maximum-of-nan": ("x", "return np.max([x, 1.0]) + np.maximum(x, 2.0)", [[0.5], [nan], [3.0]]),
        "minimum-of-nan": ("x", "return np.min([x, 1.0]) + np.minimum(x, 2.0)", [[0.5], [nan], [3.0]]),
        "fmin-of-nan": ("x", "return np.fmin(1.0, x)", [[0.5], [nan], [3.0]]),
        "clip-of-nan": ("x", "return np.clip(x, -1.0, 1.0)", [[0.5], [nan], [3.0], [-3.0]]),
        "sorted-nan": ("v", "return np.sort(v)", [[np.array([1.0, nan, 0.0])], [np.array([1.0, 2.0, 0.0])]]),
        "isinstance": ("x", "return 2 * x if isinstance(x, float) else 3 * x", [[1.5], [2]]),
        "type": ("x", "return 2 * x if type(x) == float else 3 * x", [[1.5]]),
        "is-true": ("v", "return 2 * v[0] if (v[0] > 0) is True else 3 * v[0]", [[np.array([1.5, 1.0])]]),
        "sum-of-a-bool-and-a-call": (
            "v",
            "return np.where(v[0] > 0, ((v[0] > 1) + bool(v[1])) * v[0], 0.0)",
            [[np.array([1.5, 1.0])], [np.array([0.5, 0.0])]],
        ),
        "sum-with-a-bool-that-does-not-show": (
            "v",
            "return np.minimum(0.5, ((v[0] != v[1]) + bool(2.0)) * v[0])",
            [[np.array([1.5, 1.0])], [np.array([-1.5, 0.0])]],
        ),
        "complex-root": ("v", "return np.maximum(np.sign(v[0]) ** 0.5, 0.5)", [[np.array([-1.5])]]),
        "root-of-a-sign": ("v", "return abs(np.sign(v[0]) ** 0.5) * v[1]", [[np.array([-1.5, 2.0])]]),
        "root-of-a-number-that-was-chosen": (
            "x",
            "return abs(pow(np.clip(x, -1.0, 1.0), 0.3))",
            [[-1.5], [1.5], [0.5]],
        ),
        "quotient-that-is-one": (
            "x",
            "return 2 * x if x / x in (1.0, 2.0) else 3 * x",
            [[-0.5910072276489937], [49.0]],
        ),
        "quotient-by-a-constant": ("x", "return 2 * x if x / 49.0 == 1.0 else 3 * x", [[3.0], [49.0]]),
        "quotient-of-a-constant": (
            "x",
            "return x if 1.0 / x * 49.0 == 1.0 / (x / 49.0) else -x",
            [[3.0], [49.0], [41.0]],
        ),
        "quotient-in-a-choice": (
            "v",
            "return kilograd.where(v / 49.0 < 1.0, 2 * v, 3 * v).sum() + kilograd.where(v[0] / v[1] == 3.0, v[2], 7.0)",
            [[np.array([49.0, 1.0, 50.0])], [np.array([5.4, 1.8, 49.0])]],
        ),
        "slope-beside-a-large-number": ("x", "return min(abs(x), 9.0) + np.exp(81.0)", [[0.24272508003080961]]),
        "sum-of-bools": ("v", "return ((v[0] > 0) + (0 < v[1] < 2)) * v[0]", [[np.array([1.5, 1.0])]]),
        # Where the answer makes no difference at the numbers that were recorded, it may at others.
        "answer-that-does-not-show": (
            "x, y",
            "a = (type(y) is float) * x\n    return np.max([y, a])",
            [[-1.0, 2.0], [1.9, 0.2]],
        ),
        "dtype-that-does-not-show": (
            "v",
            "return np.sin(hasattr(np.prod(v), 'dtype') * np.tanh(v[0]))",
            [[np.array([0.0, 1.0])], [np.array([-0.5, 1.0])]],
        ),
    }
    yield "mask-in-a-batch", mask_in_a_batch
    yield "order-in-memory", order_in_memory
    yield "equal-and-not-the-same", equal_and_not_the_same
    for name, (arguments, body, sets) in bodies.items():
        text = HEADER.format(arguments) + f"    {body}\n"
        yield name, lambda text=text, sets=sets: check(text, sets, random.Random(0))  # type: ignore[misc]
