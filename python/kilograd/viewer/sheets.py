"""Exercises for a class: small graphs by seed and difficulty, with their gradients and a sheet to print."""

from __future__ import annotations

import html
import math
import os
import pathlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, overload

from kilograd._core import Value, maximum
from kilograd.checks import whole_number
from kilograd.display.page import framed
from kilograd.viewer.pages import View, view, written

__all__ = ["Exercise", "Sheet", "exercises"]

_LARGEST = 60.0  # of a number in an exercise: products stay small enough to be made by hand


@dataclass(frozen=True)
class Exercise:
    """One graph whose gradients are to be found.

    Attributes
    ----------
    root : Value
        The result, with the graph below it; gradients are in place.
    code : tuple of str
        The graph as one writes it, a line for each node.
    data, answers : dict of str to float
        The number and the gradient of each node, by its label, in the order of the code.
    """

    root: Value
    code: tuple[str, ...]
    data: dict[str, float]
    answers: dict[str, float]

    def view(self, path: str | os.PathLike[str] | None = None, *, title: str | None = None) -> View:
        """The page on which the gradients are filled in: `kilograd.view` with ``quiz=True``."""
        return view(self.root, path, quiz=True, title=title or f"Exercise: {self.code[-1]}")

    def __repr__(self) -> str:
        """The graph in a line."""
        return f"Exercise({'; '.join(self.code)})"


class Sheet(Sequence[Exercise]):
    """Exercises to print: what is asked, then the answers on a page of their own.

    Attributes
    ----------
    title : str
    """

    def __init__(self, title: str, made: Sequence[Exercise]) -> None:
        self.title = title
        self._made = tuple(made)

    def __len__(self) -> int:
        return len(self._made)

    @overload
    def __getitem__(self, place: int) -> Exercise: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Exercise]: ...
    def __getitem__(self, place: int | slice) -> Exercise | Sequence[Exercise]:
        return self._made[place]

    def __repr__(self) -> str:
        """A line; the sheet is `text` or `html`."""
        return f"Sheet({self.title!r}, {len(self)} exercise{'s' if len(self) != 1 else ''})"

    def text(self, answers: bool = False) -> str:
        """The sheet as text, with blanks, or with the answers in them."""
        parts = [self.title, "=" * len(self.title)]
        for number, each in enumerate(self._made, 1):
            parts += [
                "",
                f"{number}. Fill in the gradients of {each.code[-1].split(' = ')[0]} with respect to each node.",
                "",
            ]
            parts += [f"    {line}" for line in each.code]
            parts.append("")
            for name, number_of in each.data.items():
                blank = _short(each.answers[name]) if answers else "______"
                parts.append(f"    {name:<4} data {_short(number_of):>9}    grad {blank}")
        return "\n".join(parts) + "\n"

    @property
    def html(self) -> str:
        """The sheet as a page to print: blanks first, then the answers on a new page."""
        title = html.escape(self.title)
        asked = "".join(self._block(number, each, False) for number, each in enumerate(self._made, 1))
        solved = "".join(self._block(number, each, True) for number, each in enumerate(self._made, 1))
        return (
            f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
            f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<p>Name: ____________________________</p>\n"
            f"<p>Fill in the gradient of the last line with respect to each node.</p>\n{asked}"
            f'<h1 class="answers">{title}: answers</h1>\n{solved}</body>\n</html>\n'
        )

    def _block(self, number: int, each: Exercise, answers: bool) -> str:
        code = html.escape("\n".join(each.code))
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{_short(value)}</td>"
            f"<td>{_short(each.answers[name]) if answers else ''}</td></tr>"
            for name, value in each.data.items()
        )
        head = "<tr><th>node</th><th>data</th><th>grad</th></tr>"
        return f"<section><h2>{number}.</h2><pre>{code}</pre><table>{head}{rows}</table></section>\n"

    def _repr_html_(self) -> str:
        """The first page in a frame, for notebooks."""
        return framed(self.html, self.title, 480)

    def save(self, path: str | os.PathLike[str]) -> pathlib.Path:
        """Write the sheet: as text, blanks before answers, where the name ends in ``.txt``, else as a page to print.

        Raises
        ------
        OSError
            If the file cannot be written.
        ValueError
            If the name ends as that of another kind of file.
        """
        file = pathlib.Path(path)
        if file.suffix.lower() != ".txt":
            return written(path, self.html)
        file.write_text(f"{self.text()}\n\n{self.text(answers=True)}", encoding="utf-8")
        return file


def exercises(seed: int, difficulty: int = 1, count: int = 6) -> Sheet:
    """Graphs whose gradients are to be found by hand, with answers.

    Parameters
    ----------
    seed : int
        The same seed gives the same exercises.
    difficulty : {1, 2, 3, 4, 5}, default 1
        1: one or two sums and products. 2: four of them, in a chain. 3: nodes that are used twice, and squares.
        4: a neuron, with ``tanh``, ``relu`` or ``sigmoid``. 5: functions, quotients and several uses of a node.
    count : int, default 6
        How many.

    Returns
    -------
    Sheet
        A sequence of `Exercise`. ``sheet[0].view()`` is the page on which the gradients are filled in; ``sheet.html``,
        ``sheet.text()`` and ``sheet.save(path)`` are for printing, with the answers at the end.

    Raises
    ------
    ValueError
        If `difficulty` is not from 1 to 5, or `count` is no whole number of at least 1.

    Examples
    --------
    >>> import kilograd
    >>> sheet = kilograd.exercises(seed=1, difficulty=2, count=3)
    >>> sheet
    Sheet('Gradients, difficulty 2, seed 1', 3 exercises)
    >>> sheet[0].answers[sheet[0].root.label]
    1.0
    """
    difficulty = whole_number("difficulty", difficulty, 1)
    count = whole_number("count", count, 1)
    if difficulty > len(_MAKERS):
        raise ValueError(f"difficulty is from 1 to {len(_MAKERS)}, not {difficulty}")
    rng = random.Random(f"kilograd exercises {seed} {difficulty}")
    return Sheet(f"Gradients, difficulty {difficulty}, seed {seed}", [_made(rng, difficulty) for _ in range(count)])


def _made(rng: random.Random, difficulty: int) -> Exercise:
    """One exercise: drawn anew until its numbers are good to calculate with."""
    while True:
        draft = _Draft(rng)
        try:
            _MAKERS[difficulty - 1](draft)
        except ArithmeticError:  # a quotient by 0
            continue
        exercise = draft.finished()
        if exercise is not None:
            return exercise


class _Draft:
    """A graph while it is drawn, and the code that makes it."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.code: list[str] = []
        self.nodes: list[Value] = []
        self.near_a_kink = False

    def leaf(self, name: str, numbers: Sequence[float] = (-4, -3, -2, -1, 1, 2, 3, 4)) -> Value:
        number = float(self.rng.choice(numbers))
        return self._named(name, Value(number), f"Value({number})")

    def leaves(self, names: str) -> list[Value]:
        return [self.leaf(name) for name in names]

    def node(self, name: str, written: str, *operands: Value) -> Value:
        """An operation as it is written, with {0} and {1} for its operands."""
        value: Value = _WRITTEN[written](*operands)
        self.near_a_kink |= written.endswith(".relu()") and abs(operands[0].data) < 0.1
        self.near_a_kink |= written.startswith("max") and abs(operands[0].data - operands[1].data) < 0.1
        return self._named(name, value, written.format(*(each.label for each in operands)))

    def _named(self, name: str, value: Value, text: str) -> Value:
        value.label = name
        self.nodes.append(value)
        self.code.append(f"{name} = {text}")
        return value

    def finished(self) -> Exercise | None:
        """The exercise; None where its numbers are large, all gradients the same, or a function has a kink there."""
        root = self.nodes[-1]
        root.backward()
        numbers = [number for node in self.nodes for number in (node.data, node.grad)]
        grads = {round(node.grad, 6) for node in self.nodes}
        if self.near_a_kink or max(map(abs, numbers)) > _LARGEST or not all(map(math.isfinite, numbers)):
            return None
        if len(grads) < 3 or min(map(abs, grads)) < 0.001:  # too small for four places
            return None
        data = {node.label: float(node.data) for node in self.nodes}
        return Exercise(root, tuple(self.code), data, {node.label: node.grad for node in self.nodes})


_WRITTEN: dict[str, Callable[..., Any]] = {
    "{0} + {1}": lambda a, b: a + b,
    "{0} * {1}": lambda a, b: a * b,
    "{0}**2": lambda a: a**2,
    "{0}**-1": lambda a: a**-1,
    "{0}.tanh()": lambda a: a.tanh(),
    "{0}.relu()": lambda a: a.relu(),
    "{0}.sigmoid()": lambda a: a.sigmoid(),
    "{0}.exp()": lambda a: a.exp(),
    "maximum({0}, {1})": maximum,
}
_BOTH = ("{0} + {1}", "{0} * {1}")


def _first(draft: _Draft) -> None:
    a, b, c = draft.leaves("abc")
    d = draft.node("d", "{0} * {1}", a, b)
    draft.node("e", draft.rng.choice(_BOTH), d, c)


def _chain(draft: _Draft) -> None:
    last = draft.leaf("a")
    for name, beside in zip("cegi", "bdfh", strict=True):
        other = draft.leaf(beside, (-3, -2, -1, 1, 2, 3))
        last = draft.node(name, draft.rng.choice(_BOTH), last, other)


def _used_twice(draft: _Draft) -> None:
    a, b = draft.leaves("ab")
    c = draft.node("c", "{0} * {1}", a, b)
    d = draft.node("d", draft.rng.choice(_BOTH), c, draft.rng.choice([a, b]))
    e = draft.node("e", "{0}**2", draft.rng.choice([a, b]))
    draft.node("f", draft.rng.choice(_BOTH), d, e)


def _neuron(draft: _Draft) -> None:
    small = (-2, -1, -0.5, 0.5, 1, 2)
    x1, x2, w1, w2 = (draft.leaf(name, small) for name in ("x1", "x2", "w1", "w2"))
    b = draft.leaf("b", small)
    first, second = draft.node("p", "{0} * {1}", x1, w1), draft.node("q", "{0} * {1}", x2, w2)
    n = draft.node("n", "{0} + {1}", draft.node("s", "{0} + {1}", first, second), b)
    o = draft.node("o", draft.rng.choice(["{0}.tanh()", "{0}.relu()", "{0}.sigmoid()"]), n)
    draft.node("L", "{0}**2", o)


def _tangled(draft: _Draft) -> None:
    small = (-2, -1, -0.5, 0.5, 1, 2)
    a, b = draft.leaf("a", small), draft.leaf("b", small)
    c = draft.node("c", "{0} * {1}", a, b)
    d = draft.node("d", draft.rng.choice(["{0}.tanh()", "{0}.exp()", "{0}.sigmoid()"]), c)
    e = draft.node("e", "{0} + {1}", d, draft.rng.choice([a, b]))
    f = draft.node("f", draft.rng.choice(["{0}**-1", "{0}**2"]), e)
    g = draft.node("g", draft.rng.choice([*_BOTH, "maximum({0}, {1})"]), draft.rng.choice([a, b]), d)
    draft.node("h", "{0} * {1}", f, g)


_MAKERS: tuple[Callable[[_Draft], None], ...] = (_first, _chain, _used_twice, _neuron, _tangled)


def _short(number: float) -> str:
    """Four places at most, whole numbers without any."""
    return f"{number:.4f}".rstrip("0").rstrip(".") if number else "0"


_STYLE = """
body { max-width: 19cm; margin: 1cm auto; color: #000; background: #fff; font: 12pt/1.4 system-ui, sans-serif; }
h1 { font-size: 16pt; }
h1.answers { break-before: page; }
section { display: flex; flex-wrap: wrap; gap: 1.2em; align-items: flex-start; margin: 0 0 1.2em; break-inside: avoid; }
h2 { margin: 0; font-size: 12pt; }
pre { flex: 1; margin: 0; font: 11pt/1.5 ui-monospace, monospace; }
table { border-collapse: collapse; }
th, td { min-width: 2.2em; padding: 2px 8px; border: 1px solid #888; text-align: right; }
td:last-child { min-width: 6em; }
"""
