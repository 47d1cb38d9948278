"""Stages of compiled functions against the same functions in Python, on functions made from a seed.

A function is written with `scan`, `fori`, `loop`, `rule`, `root` and `slope`. Compiled with kilograd's own it is held
to what it gives with loops of Python and formulas: values, gradients, Jacobians, Hessians, their products, in batches,
and the gradients of an eager graph.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import kilograd
from kilograd import Value, arrays
from kilograd.compiled import blocks

HEADER = "import numpy as np\nfrom kilograd import where\ndef function(scan, fori, loop, rule, root, slope, a, xs):\n"


def python_scan(
    step: Callable[..., Any], init: Any, xs: Any, length: int = 0, *, reverse: bool = False, checkpoint: bool = False
) -> tuple[Any, Any]:
    rows = [None] * length if xs is None else list(zip(*xs, strict=True)) if isinstance(xs, tuple) else list(xs)
    ys: list[Any] = [None] * len(rows)
    for t in reversed(range(len(rows))) if reverse else range(len(rows)):
        init, ys[t] = step(init, rows[t])
    return init, np.array(ys)


def python_fori(lower: int, upper: int, body: Callable[..., Any], init: Any) -> Any:
    for i in range(lower, upper):
        init = body(i, init)
    return init


def python_while(cond: Callable[..., Any], body: Callable[..., Any], init: Any) -> Any:
    while cond(init):
        init = body(init)
    return init


def python_root(x: Any) -> Any:
    z = 0.5 * x
    for _ in range(12):
        z = z - (z**3 + z - x) / (3 * z**2 + 1)
    return z


IN_PYTHON = (python_scan, python_fori, python_while, np.sin, python_root, lambda x, w: np.cos(x) * w + 3 * x * x)
AS_STAGES = (
    kilograd.scan,
    kilograd.fori_loop,
    kilograd.while_loop,
    kilograd.custom(lambda x: float(np.sin(x)), vjp=lambda w, x: (w * np.cos(x),)),
    kilograd.implicit(lambda z, x: z**3 + z - x, python_root),
    lambda x, w: kilograd.grad(lambda y: np.sin(y) * w + y**3)(x),
)


class Writer:
    """Writes a function of an array of three numbers and one of any length."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.count = 0
        self.lines: list[str] = []

    def text(self) -> str:
        names, sequences = ["a[0]", "a[1]", "a[2]"], ["xs"]
        for _ in range(self.dice.randint(1, 4)):
            self.statement("    ", names, sequences, 0)
        self.line("    ", f"return {self.number(names)} + {names[-1]}")
        return HEADER + "".join(self.lines)

    def line(self, indent: str, text: str) -> None:
        self.lines.append(f"{indent}{text}\n")

    def new(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def statement(self, indent: str, names: list[str], sequences: list[str], depth: int) -> None:
        kind = self.dice.randrange(8 if depth == 0 else 7 if depth < 3 else 1)
        if kind <= 1:
            name = self.new("v")
            self.line(indent, f"{name} = {self.number(names)}")
            names.append(name)
        elif kind <= 4:
            self.scan(indent, names, sequences, depth)
        elif kind == 5:
            name, step, low = self.new("f"), self.new("body"), self.dice.randint(-1, 2)
            self.line(indent, f"def {step}(i_{step}, c_{step}):")
            inner = self.body(indent + "    ", [*names, f"c_{step}", f"i_{step} * 0.1"], sequences, depth)
            self.line(indent + "    ", f"return np.tanh({self.number(inner)})")
            self.line(indent, f"{name} = fori({low}, {low + self.dice.randint(0, 4)}, {step}, {self.number(names)})")
            names.append(name)
        elif kind == 6:
            name, step = self.new("w"), self.new("body")
            self.line(indent, f"def {step}(c_{step}):")
            inner = self.body(indent + "    ", [*names, f"c_{step}"], sequences, depth)
            self.line(indent + "    ", f"return c_{step} * 1.5 + 0.1 + 0.05 * np.tanh({self.number(inner)})")
            bound = f"{self.dice.uniform(0.2, 3):.3f} + 0.1 * np.tanh({self.number(names)})"
            self.line(indent, f"bound_{step} = {bound}")
            condition = self.dice.choice([f"c < bound_{step}", f"(c < bound_{step}) & (c < 2.0)"])
            self.line(indent, f"{name} = loop(lambda c: {condition}, {step}, abs({self.number(names)}) + 0.1)")
            names.append(name)
        else:
            name = self.new("g")
            self.line(indent, f"if {self.number(names)} > {self.number(names)}:")
            self.line(indent + "    ", f"{name} = {self.number(names)}")
            self.line(indent, "else:")
            self.line(indent + "    ", f"{name} = {self.number(names)}")
            names.append(name)

    def body(self, indent: str, names: list[str], sequences: list[str], depth: int) -> list[str]:
        sequences = list(sequences)
        for _ in range(self.dice.choice([0, 0, 0, 1, 1, 2])):
            self.statement(indent, names, sequences, depth + 1)
        return names

    def scan(self, indent: str, names: list[str], sequences: list[str], depth: int) -> None:
        dice, step = self.dice, self.new("step")
        first, second, ys = self.new("p"), self.new("q"), self.new("ys")
        rows = dice.choice([*sequences, *sequences, "np.arange(4)", "np.array([0.3, -0.7])", "None", "np.zeros(0)"])
        own = [] if rows == "None" else [f"x_{step}"]
        self.line(indent, f"def {step}(c, x_{step}):")
        p, q = f"p_{step}", f"q_{step}"
        self.line(indent + "    ", f"{p}, {q} = c")
        inner = self.body(indent + "    ", [*names, p, q, *own, *own], sequences, depth)
        carry = f"(np.tanh({self.number(inner)}), 0.5 * np.sin({self.number(inner)}) + 0.1 * {dice.choice([p, q])})"
        self.line(indent + "    ", f"return {carry}, {self.number(inner)}")
        length = f", {dice.randint(1, 5)}" if rows == "None" else ""
        options = "".join([f", {word}=True" for word in ("reverse", "checkpoint") if dice.random() < 0.3])
        init = f"({self.number(names)}, {self.number(names)})"
        self.line(indent, f"({first}, {second}), {ys} = scan({step}, {init}, {rows}{length}{options})")
        names += [first, second, f"{ys}.sum()"]
        if rows != "np.zeros(0)":
            sequences.append(ys)

    def number(self, names: list[str], depth: int = 0) -> str:
        dice = self.dice
        if depth > 2 or dice.random() < 0.3:
            return dice.choice([*names, *names, "0.5", "-1.25", "2"])
        a, b, c, d = (self.number(names, depth + 1) for _ in range(4))
        forms = [
            "({a} + {b})",
            "({a} - {b})",
            "({a} * np.tanh({b}))",
            "np.sin({a})",
            "np.tanh({a})",
            "({a} / (2 + {b} ** 2))",
        ]
        forms += ["np.exp(-({a}) ** 2)", "np.sqrt(1 + ({a}) ** 2)", "np.cos({a})", "rule({a})", "abs({a})"]
        forms += ["where({a} > {b}, {c}, {d})", "root(2 * np.tanh({a}))", "slope(np.tanh({a}), {b})"]
        return dice.choice(forms).format(a=a, b=b, c=c, d=d)


def written(text: str) -> Callable[..., Any]:
    names: dict[str, Any] = {}
    exec(compile(text, "<function>", "exec"), names)
    return names["function"]  # type: ignore[no-any-return]


def agree(what: str, text: str, found: Any, wanted: Any) -> None:
    x, y = np.asarray(found, dtype=float), np.asarray(wanted, dtype=float)
    scale = max(1.0, float(np.max(np.abs(y), initial=0.0)))
    if x.shape != y.shape or not np.allclose(x, y, rtol=1e-7, atol=1e-9 * scale, equal_nan=True):
        raise AssertionError(f"{what}: {x.tolist()} and not {y.tolist()} of\n{text}")


def check(text: str, dice: random.Random) -> None:
    """Hold the function to the same in Python."""
    function = written(text)
    f = kilograd.compile(lambda a, xs: function(*AS_STAGES, a, xs))
    g = kilograd.compile(lambda a, xs: function(*IN_PYTHON, a, xs))
    length = dice.randint(1, 5)
    rows = np.array([[dice.uniform(-2, 2) for _ in range(3)] for _ in range(3)])
    tables = np.array([[dice.uniform(-2, 2) for _ in range(length)] for _ in range(3)])
    for a, xs in zip(rows, tables, strict=True):
        agree("value", text, f(a, xs), function(*IN_PYTHON, a, xs))
        for argnums in (0, 1):
            for method in ("grad", "jacobian", "hessian"):
                found, wanted = (getattr(h, method)(a, xs, argnums=argnums) for h in (f, g))
                agree(f"{method} by {argnums}", text, found, wanted)
        agree("hvp", text, f.hvp(a, rows[0], xs), g.hvp(a, rows[0], xs))
        values = arrays.values(a, as_array=True)
        root = function(*IN_PYTHON, values, xs)
        if isinstance(root, Value):
            root.backward()
            agree("eager graph", text, f.grad(a, xs), arrays.gradients(list(values)))
    for method in ("__call__", "grad", "hessian"):
        agree(f"batch {method}", text, getattr(f.batch, method)(rows, tables), getattr(g.batch, method)(rows, tables))


@contextmanager
def blocks_of(least: int) -> Iterator[None]:
    """Have arrays of so many numbers recorded as blocks."""
    before, blocks.LEAST = blocks.LEAST, least
    try:
        yield
    finally:
        blocks.LEAST = before


def run(seed: int) -> None:
    """Check the function of a seed: with a block for `xs`, where that is longer than `a`."""
    dice = random.Random(seed)
    with blocks_of(4):
        check(Writer(dice).text(), dice)


def corpus() -> Iterator[tuple[str, Callable[[], None]]]:
    """What was found, and what is easily got wrong."""
    bodies = {
        "step-that-returns-what-is-outside": "w = a[0] * a[1]\n"
        "    c, y = scan(lambda c, x: (w, w * x), w, xs)\n    return c + y.sum()",
        "stage-nothing-needs": "scan(lambda c, x: (c * x, c), a[0], xs)\n    return a[1] * a[2]",
        "one-number-twice": "c, y = scan(lambda c, x: ((c[1], c[0] * x), c[0]), (a[0], a[0]), xs)\n"
        "    return c[0] * c[1] + y.sum()",
    }
    for name, body in bodies.items():
        text = HEADER + f"    {body}\n"
        yield name, lambda text=text: check(text, random.Random(0))  # type: ignore[misc]
