"""`view`: the page of a graph or a training, as an object that shows itself."""

from __future__ import annotations

import html
import os
import pathlib
import tempfile
import webbrowser
from typing import Any

from kilograd.viewer.document import GRAPH, document
from kilograd.viewer.reading import described

__all__ = ["View", "view"]


class View:
    """A page: shows itself in a notebook, is saved as one file, opens in the browser.

    Attributes
    ----------
    html : str
        The whole page. It needs no other file and no network.
    title : str
    """

    def __init__(self, html: str, title: str, about: str) -> None:
        self.html = html
        self.title = title
        self._about = about

    def __repr__(self) -> str:
        """A line; the page itself may be long."""
        return f"View({self._about}; .open() shows it, .save(path) writes it)"

    def _repr_html_(self) -> str:
        """A frame with the page, for notebooks."""
        return (
            f'<iframe srcdoc="{html.escape(self.html)}" title="{html.escape(self.title)}" sandbox="allow-scripts" '
            'style="width:100%;height:720px;border:1px solid #8888;border-radius:6px"></iframe>'
        )

    def save(self, path: str | os.PathLike[str]) -> pathlib.Path:
        """Write the page to a file; the path is given back.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        written = pathlib.Path(path)
        written.write_text(self.html, encoding="utf-8")
        return written

    def open(self) -> bool:
        """Show the page in the browser, from a temporary file that stays; whether a browser was found."""
        with tempfile.NamedTemporaryFile(
            "w", suffix=".html", prefix="kilograd-", delete=False, encoding="utf-8"
        ) as file:
            file.write(self.html)
        return webbrowser.open(pathlib.Path(file.name).as_uri())


def view(
    root: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    quiz: bool = False,
    title: str | None = None,
    model: Any = None,
    limit: int | None = 20_000,
) -> View:
    """Make a page on which a graph is alive: it steps forward and backward, node by node.

    On the page one goes through the graph by keys or buttons, sees each local rule with its numbers, moves leaves by
    sliders, compares gradients with numerical derivatives, and lets leaves descend. It computes by itself, in the
    browser, and has everything in one file.

    Parameters
    ----------
    root : Value
        The result to start from: a Value, the reference's, or an object of any class with `data`, `grad` and its
        operands in `_children` or `_prev`.
    path : str or path, optional
        Where to write the page.
    quiz : bool, default False
        Exercise mode: gradients are hidden, the learner fills them in and is told right or wrong, with the reason.
    title : str, optional
        By default the root's label and number.
    model : object, optional
        Whose parameters get their names on the page, and move in gradient descent: anything with `parameters()`. By
        default leaves with a label move.
    limit : int or None, default 20,000
        The largest number of nodes; None for no limit.

    Returns
    -------
    View
        Shows itself in a notebook; ``.open()`` in the browser, ``.save(path)``.

    Raises
    ------
    TypeError
        If `root` is no such object, but for instance the list that a layer returns; or if data is no real number.
    ValueError
        If the graph has more than `limit` nodes.
    OSError
        If `path` cannot be written.

    Notes
    -----
    The page has rules for the operations of `Value` and for ``- /`` and negation, by the names that `_op` gives. It
    takes a rule only where that gives the node's number, and the derivatives that the node's own `_backward` adds
    (which is run once for each node; data and gradients are put back). Other operations stay as they were: gradients
    flow through them by those derivatives, and leaves below cannot be moved.

    Examples
    --------
    >>> import kilograd
    >>> a, b = kilograd.Value(2.0, label="a"), kilograd.Value(-3.0, label="b")
    >>> kilograd.view(a * b + a)
    View(graph of 4 nodes; .open() shows it, .save(path) writes it)
    """
    data = described(root, limit, model)
    count = len(data["data"])
    if title is None:
        title = f"{data['labels'][-1] or 'graph'} = {root.data:.4g}"
    data["quiz"] = bool(quiz)
    made = View(
        document(GRAPH, title, data),
        title,
        f"{'exercise on a graph' if quiz else 'graph'} of {count:,} node{'s' if count > 1 else ''}",
    )
    if path is not None:
        made.save(path)
    return made
