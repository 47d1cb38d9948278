"""The page of a graph as a widget: what moves on it moves the Values, and the other way round.

The page is that of `view`, in its frame; ``page/widget.js`` passes the leaves' numbers between it and Python, and
``page/host.js`` is the page's end of that.
"""

from __future__ import annotations

import math
from importlib.resources import files
from typing import Any

import anywidget
import traitlets

from kilograd._core import Value
from kilograd.listing import operands_of, order
from kilograd.viewer.reading import plain

__all__ = ["Widget"]


class Widget(anywidget.AnyWidget):
    """A graph's page in a notebook, connected with its Values: made by `View.widget`.

    Where a leaf moves on the page, by a slider, a typed number or gradient descent, its Value gets the number,
    ``root.forward()`` computes all results anew, and gradients are those of ``root.backward()``, from zero. Where a
    result is refused, as the logarithm of a negative number, data and gradients stay as they were, and a line below the
    page says why.

    The widget, and with it the graph, lives until it is closed: ``widget.close()``.

    Attributes
    ----------
    root : Value
    """

    _esm = (files("kilograd.viewer") / "page" / "widget.js").read_text(encoding="utf-8")
    _frame = traitlets.Unicode().tag(sync=True)
    _leaves: Any = traitlets.List().tag(sync=True)  # their numbers
    _said = traitlets.Unicode().tag(sync=True)

    def __init__(self, root: Value, frame: str) -> None:
        self.root = root
        self._values = [node for node in order(root) if not operands_of(node)]
        self._compute()
        self._agreed = self._numbers()  # as the page and the Values last had them both
        super().__init__(_frame=frame, _leaves=self._agreed)
        self.observe(self._take, names="_leaves")

    def update(self) -> None:
        """Show the leaves' numbers as they are now, after Python changed them; results are computed anew.

        Raises
        ------
        ValueError, OverflowError, ZeroDivisionError
            If an operation is outside its domain at these numbers; the page and all results stay as they were.
        """
        self._compute()
        self._tell()

    def _tell(self) -> None:
        self._agreed = self._numbers()
        self._leaves = self._agreed
        self._said = ""

    def _compute(self) -> None:
        self.root.forward()
        self.root.zero_grad()
        self.root.backward()

    def _numbers(self) -> list[float | str]:
        return [plain(leaf.data) for leaf in self._values]

    def _take(self, change: Any) -> None:
        """What moved on the page becomes the Values' numbers; another leaf keeps its own, which the page is told."""
        numbers = change["new"]
        if numbers == self._agreed == self._numbers():
            return
        before = [leaf.data for leaf in self._values]
        try:
            if len(numbers) != len(before):
                raise ValueError(f"the page has {len(numbers)} leaves, and the graph {len(before)}")
            for leaf, number, agreed in zip(self._values, map(float, numbers), map(float, self._agreed), strict=True):
                if number != agreed and not (math.isnan(number) and math.isnan(agreed)):
                    leaf.data = number
            self._compute()
            self._tell()
        except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
            for leaf, data in zip(self._values, before, strict=True):
                leaf.data = data
            self._said = f"The Values stay as they were: {error}"
