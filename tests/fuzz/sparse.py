"""Sparse Jacobians and Hessians of functions with stages against dense ones, on functions of arrays made from a seed.

A function of an array gives an array, by slices, loops over them, rules, roots, gradients and matrices: a number of the
result depends on a few of the argument. The entries that kilograd gives by few sweeps are held to the whole matrices of
the same function with loops of Python, from programs without stages: what is missing in the pattern is a finding.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from tests.fuzz.loops import AS_STAGES, IN_PYTHON, agree, blocks_of, written

import kilograd
from kilograd.compiled import elimination

HEADER = "import numpy as np\nfrom kilograd import where\ndef function(scan, fori, loop, rule, root, slope, x):\n"
ONE = ["np.sin({a})", "({a} * {b})", "({a} + {b})", "{a} / (2 + {b} ** 2)", "({a} - 0.5 * {b})", "3 * {a}", "{a} ** 2"]
ONE += [
    "where({a} > {b}, {a} * {b}, {b})",
    "np.floor({a}) * {b}",
    "np.maximum({a}, {b})",
    "abs({a})",
    "np.exp(-({a} ** 2))",
]
OF_NUMBERS = ["rule({a})", "root(np.tanh({a}))", "slope(np.tanh({a}), {b})"]


class Writer:
    """Writes a function of an array."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.size = dice.randint(3, 9)
        self.count = 0
        self.lines: list[str] = []
        self.arrays = {"x": self.size}

    def text(self) -> str:
        for _ in range(self.dice.randint(1, 4)):
            getattr(self, self.dice.choice(["slices", "scan", "scan", "scan", "turns", "matrix", "entries"]))()
        chosen = [*self.dice.sample(sorted(self.arrays), min(2, len(self.arrays))), list(self.arrays)[-1]]
        self.line(f"return np.concatenate([{', '.join(chosen)}])")
        return HEADER + "".join(self.lines)

    def line(self, text: str, indent: str = "    ") -> None:
        self.lines.append(f"{indent}{text}\n")

    def made(self, expression: str, size: int) -> None:
        self.count += 1
        self.line(f"v{self.count} = {expression}")
        self.arrays[f"v{self.count}"] = size

    def array(self, size: int | None = None) -> tuple[str, int]:
        """A part of an array, and its size."""
        name = self.dice.choice([name for name, own in self.arrays.items() if size is None or own >= size])
        own = self.arrays[name]
        size = self.dice.randint(1, own) if size is None else size
        first = self.dice.randint(0, own - size)
        part = name if size == own else f"{name}[{first}:{first + size}]"
        return (f"{part}[::-1]" if self.dice.random() < 0.2 else part), size

    def number(self) -> str:
        name = self.dice.choice(list(self.arrays))
        return f"{name}[{self.dice.randrange(self.arrays[name])}]"

    def form(self, names: list[str], more: bool = True) -> str:
        a, b = self.dice.choice(names), self.dice.choice([*names, *names, "0.7"])
        text = self.dice.choice(ONE if not more else [*ONE, *OF_NUMBERS]).format(a=a, b=b)
        return self.form([*names, text], more) if self.dice.random() < 0.3 else text

    def slices(self) -> None:
        first, size = self.array()
        second, _ = self.array(size)
        self.made(self.form([first, second], more=False), size)

    def entries(self) -> None:
        names = [self.number() for _ in range(3)]
        self.made(f"np.array([{', '.join(self.form(names) for _ in range(3))}])", 3)

    def scan(self) -> None:
        dice = self.dice
        first, size = self.array()
        second, _ = self.array(size)
        step, outside = f"step{self.count}", self.number()
        names = ["c[0]", "c[1]", "s[0]", "s[1]", "s[0]", "s[1]", outside]
        carry = dice.choice(
            ["(c[0] + {one}, 0.1 * c[1])", "({one}, c[0])", "({one}, {other})", "(c[0], s[1])", "(s[0], c[0])"]
        )
        carry = carry.format(one=f"np.tanh({self.form(names)})", other=f"0.3 * np.sin({self.form(names)})")
        self.line(f"def {step}(c, s):")
        if dice.random() < 0.25:
            inner = f"scan(lambda k, z: (np.tanh(k * s[0] + z), k), c[0], {self.array()[0]})[{dice.choice('01')}]"
            self.line(f"    inner = {inner}")
            names.append("inner" if inner.endswith("[0]") else "inner[0]")
        self.line(f"    return {carry}, {self.form(names)}")
        options = "".join([f", {word}=True" for word in ("reverse", "checkpoint") if dice.random() < 0.3])
        init = dice.choice([f"({self.number()}, {self.number()})", "(0.5, -0.2)", f"(0.0, {self.number()})"])
        name = f"r{self.count}"
        self.line(f"{name} = scan({step}, {init}, ({first}, {second}){options})")
        self.made(f"{name}[1]", size)
        if dice.random() < 0.7:
            self.made(f"np.array([{name}[0][0], {name}[0][1]])", 2)

    def turns(self) -> None:
        a, b, c = self.number(), self.number(), self.number()
        body = f"(np.tanh({self.form(['v[0]', c])}), v[0] * {self.dice.choice(['v[1]', '0.5', b])}, v[2] + 0.4)"
        step = f"turn{self.count}"
        if self.dice.random() < 0.5:
            self.line(f"def {step}(i, v): return {body}")
            self.line(f"w{self.count} = fori(0, {self.dice.randint(0, 3)}, {step}, ({a}, {b}, 0.0))")
        else:
            self.line(f"def {step}(v): return {body}")
            self.line(f"w{self.count} = loop(lambda v: v[2] < 0.1 + abs(np.sin({a})), {step}, ({a}, {b}, 0.0))")
        self.made(f"np.array([w{self.count}[0], w{self.count}[1]])", 2)

    def matrix(self) -> None:
        a, b = (self.array(2) for _ in range(2)) if self.dice.random() < 0.7 else (("x[:2]", 2), ("x[1:3]", 2))
        matrix = f"(np.outer(np.tanh({a[0]}), np.tanh({a[0]})) + 2 * np.eye(2))"
        form = self.dice.choice(
            [
                f"np.linalg.solve({matrix}, np.array([{b[0]}, {self.array(2)[0]}]).T)[:, {self.dice.randrange(2)}]",
                f"np.linalg.cholesky({matrix})[1]",
                f"np.linalg.inv({matrix})[0]",
                f"np.linalg.eigvalsh({matrix})",
                f"np.array([np.linalg.slogdet({matrix})[1], np.linalg.det({matrix})])",
                f"np.linalg.lstsq(np.vstack([{matrix}, np.ones(2)]), np.append({b[0]}, 0.5))[0]",
            ]
        )
        self.made(form, 2)


@contextmanager
def matrices_of(least: int) -> Iterator[None]:
    """Have matrices of so many rows computed as a whole."""
    before, elimination.LARGEST = elimination.LARGEST, least - 1
    try:
        yield
    finally:
        elimination.LARGEST = before


def check(text: str, dice: random.Random, size: int) -> None:
    """Hold the sparse derivatives of a function to dense ones of the same in Python."""
    function = written(text)
    f = kilograd.compile(lambda x, w: function(*AS_STAGES, x))
    g = kilograd.compile(lambda x, w: function(*IN_PYTHON, x))
    f_sum = kilograd.compile(lambda x, w: w @ function(*AS_STAGES, x))
    g_sum = kilograd.compile(lambda x, w: w @ function(*IN_PYTHON, x))
    rows = np.array([[dice.uniform(-1.5, 1.5) for _ in range(size)] for _ in range(3)])
    w = np.array([dice.uniform(-1, 1) for _ in range(len(function(*IN_PYTHON, rows[0])))])
    for x in rows:
        with matrices_of(2):
            found = f.jacobian(x, w, sparse=True)
            dense = f.jacobian(x, w)
            second = [f_sum.hessian(x, w, argnums=argnums, sparse=True) for argnums in (0, (0, 1))]
            whole = f_sum.hessian(x, w)
        wanted = g.jacobian(x, w)
        agree("entries of the Jacobian", text, found.toarray(), wanted)
        agree("the Jacobian", text, dense, wanted)
        wanted = g_sum.hessian(x, w)
        agree("entries of the Hessian", text, second[0].toarray(), wanted)
        agree("the Hessian", text, whole, wanted)
        ((a, b), (c, d)) = g_sum.hessian(x, w, argnums=(0, 1))
        agree("entries of both", text, second[1].toarray(), np.block([[a, b], [c, d]]))
    with matrices_of(2):
        tables = np.tile(w, (3, 1))
        for name, one, other in (("jacobian", f, g), ("hessian", f_sum, g_sum)):
            batch = getattr(one.batch, name)(rows, tables, sparse=True)
            with matrices_of(25):
                agree(f"batch {name}", text, batch.toarray(), getattr(other.batch, name)(rows, tables))


def run(seed: int) -> None:
    """Check the function of a seed."""
    dice = random.Random(seed)
    writer = Writer(dice)
    text = writer.text()
    with blocks_of(4 if dice.random() < 0.3 else 1000):
        check(text, dice, writer.size)


def corpus() -> Iterator[tuple[str, Callable[[], None]]]:
    """What is easily got wrong."""
    bodies = {
        "carried-on-and-crossed-later": "c, y = scan(lambda c, s: ((s, c[0]), c[1] * s), (0.0, 0.0), x)\n    return y",
        "nothing-wants-it": "c, y = scan(lambda c, s: (c + s, s ** 2), 0.0, x)\n    return np.array([c, y[1]])",
        "no-turns": "a = fori(0, 0, lambda i, v: v * x[1], x[0])\n"
        "    return np.array([a, loop(lambda v: v > 9, lambda v: v * x[2], x[1])])",
    }
    for name, body in bodies.items():
        text = HEADER + f"    {body}\n"
        yield name, lambda text=text: check(text, random.Random(0), 5)  # type: ignore[misc]
