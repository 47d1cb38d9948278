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
        super().__init__(_frame=frame, _leaves=self._numbers())
        self.observe(self._take, names="_leaves")

    def update(self) -> None:
        """Show the leaves' numbers as they are now, after Python changed them; results are computed anew.

        Raises
        ------
        ValueError, OverflowError, ZeroDivisionError
            If an operation is outside its domain at these numbers; the page and all results stay as they were.
        """
        self._compute()
        self._leaves = self._numbers()

    def _compute(self) -> None:
        self.root.forward()
        self.root.zero_grad()
        self.root.backward()

    def _numbers(self) -> list[float | str]:
        return [plain(leaf.data) for leaf in self._values]

    def _take(self, change: Any) -> None:
        """What the page has becomes the Values' numbers; a leaf that did not move keeps its own, an int an int."""
        before = [leaf.data for leaf in self._values]
        try:
            for leaf, number in zip(self._values, map(float, change["new"]), strict=True):
                if leaf.data != number and not (math.isnan(leaf.data) and math.isnan(number)):
                    leaf.data = number
            self._compute()
            self._said = ""
        except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
            for leaf, data in zip(self._values, before, strict=True):
                leaf.data = data
            self._said = f"The Values stay as they were: {error}"
