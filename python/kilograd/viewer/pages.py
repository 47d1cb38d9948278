"""`view`: the page of a graph or a training, as an object that shows itself."""

from __future__ import annotations

import os
import pathlib
import tempfile
import webbrowser
from typing import TYPE_CHECKING, Any

from kilograd._core import Value
from kilograd.display.page import framed
from kilograd.viewer.document import GRAPH, TRAINING, document
from kilograd.viewer.reading import described
from kilograd.viewer.trainings import training

if TYPE_CHECKING:
    from kilograd.training import History
    from kilograd.viewer.widget import Widget

__all__ = ["View", "view"]


class View:
    """A page: shows itself in a notebook, is saved as one file, opens in the browser.

    Attributes
    ----------
    html : str
        The whole page. It needs no other file and no network.
    title : str
    """

    def __init__(self, html: str, title: str, about: str, moving: Any = None) -> None:
        self.html = html
        self.title = title
        self._about = about
        self._moving = moving

    def __repr__(self) -> str:
        """A line; the page itself may be long."""
        return f"View({self._about}; .open() shows it, .save(path) writes it)"

    def _repr_html_(self) -> str:
        """A frame with the page, for notebooks."""
        return framed(self.html, self.title, 720, "allow-scripts allow-forms")

    def save(self, path: str | os.PathLike[str]) -> pathlib.Path:
        """Write the page to a file; the path is given back.

        Raises
        ------
        OSError
            If the file cannot be written.
        ValueError
            If the name ends as that of another kind of file.
        """
        return written(path, self.html)

    def open(self) -> pathlib.Path:
        """Show the page in the browser, if there is one, from a temporary file that stays; its path is given back."""
        with tempfile.NamedTemporaryFile(
            "w", suffix=".html", prefix="kilograd-", delete=False, encoding="utf-8"
        ) as file:
            file.write(self.html)
        path = pathlib.Path(file.name)
        webbrowser.open(path.as_uri())
        return path

    def widget(self) -> Widget:
        """The page of a graph as a notebook's widget: leaves that move on it move their Values, and back.

        Where a leaf moves on the page, its Value gets the number, and data and gradients are those of ``forward()`` and
        of ``backward()`` from zero. Where that is refused, as the logarithm of a negative number, the Values stay as
        they were, and a line below the page says why.

        Returns
        -------
        Widget
            Shows itself as the last line of a cell. ``.update()`` brings to the page what Python changed; the graph is
            kept until ``.close()``.

        Raises
        ------
        ImportError
            If the package anywidget is not installed: ``pip install 'kilograd[widget]'``.
        TypeError
            If this is a view of a training, an exercise, or a graph of another class than `kilograd.Value`.
        RuntimeError
            If the graph cannot be computed anew: see `Value.forward`.
        """
        if not isinstance(self._moving, Value):
            raise TypeError(
                f"a widget moves the leaves of a kilograd.Value, and this view is of another kind ({self._about}): "
                "without widget() it shows itself in a notebook, too"
            )
        try:
            from kilograd.viewer.widget import Widget
        except ImportError as error:
            raise ImportError(
                "widget() needs the package anywidget: pip install 'kilograd[widget]'", name="anywidget"
            ) from error
        return Widget(self._moving, self._repr_html_())


def written(path: str | os.PathLike[str], page: str) -> pathlib.Path:
    """The path, where the page is now."""
    file = pathlib.Path(path)
    if file.suffix.lower() not in ("", ".html", ".htm"):
        raise ValueError(f"a page is HTML: give the file a name that ends in .html, not {file.name!r}")
    file.write_text(page, encoding="utf-8")
    return file


def view(
    root: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    quiz: bool = False,
    title: str | None = None,
    model: Any = None,
    limit: int | None = 20_000,
    X: Any = None,  # noqa: N803
    y: Any = None,
) -> View:
    """Make a page on which a graph is alive: it steps forward and backward, node by node. Or one of a training.

    On the page one goes through the graph by keys or buttons, sees each local rule with its numbers, moves leaves by
    sliders, compares gradients with numerical derivatives, and lets leaves descend. It computes by itself, in the
    browser, and has everything in one file.

    Parameters
    ----------
    root : Value or History
        The result to start from: a Value, the reference's, or an object of any class with `data`, `grad` and its
        operands in `_children` or `_prev`. Of a `History`, the page shows the losses, with a slider over the epochs,
        and the weights where ``fit(record=...)`` kept them.
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
    X : array_like, shape (n, 2), optional
    y : array_like, shape (n,), optional
        The samples and their classes, of a `History` and with the `model` that was trained: the page shows where the
        model decides for which class, epoch by epoch. Its parameters are put back.

    Returns
    -------
    View
        Shows itself in a notebook; ``.open()`` in the browser, ``.save(path)``.

    Raises
    ------
    TypeError
        If `root` is no such object, but for instance the list that a layer returns; if data is no real number, or
        `model` has no parameters; if `quiz` is asked of a training, or samples are given with a graph.
    ValueError
        If the graph has more than `limit` nodes, or `path` ends as the name of another kind of file; if the boundary is
        asked for and there are no snapshots, or the model is another.
    OSError
        If `path` cannot be written.

    Notes
    -----
    The page has rules for the operations of `Value` and for ``- /`` and negation, by the names that `_op` gives. It
    takes a rule only where that gives the node's number, and the derivatives that the node's own `_backward` adds
    (which is run once for each node; data and gradients are put back). Other operations stay as they were: gradients
    flow through them by those derivatives, and leaves below cannot be moved. Where data was set after a result was
    computed, compute that anew first: the page tells.

    Gradients on the page are those of `backward()` to the last bit, since it adds up in the same order. Of numbers
    that are changed on the page, functions such as ``exp`` are the browser's, whose last bits may differ.

    Examples
    --------
    >>> import kilograd
    >>> a, b = kilograd.Value(2.0, label="a"), kilograd.Value(-3.0, label="b")
    >>> kilograd.view(a * b + a)
    View(graph of 4 nodes; .open() shows it, .save(path) writes it)
    """
    if hasattr(root, "losses") and hasattr(root, "snapshots"):
        if quiz:
            raise TypeError("quiz=True hides the gradients of a graph, and this is a training")
        made = _of_training(root, title, model, X, y)
    else:
        if X is not None or y is not None:
            raise TypeError("X and y are samples of a training: view(history, model=model, X=X, y=y)")
        made = _of_graph(root, title, quiz, model, limit)
    if path is not None:
        made.save(path)
    return made


def _of_training(history: History, title: str | None, model: Any, X: Any, y: Any) -> View:  # noqa: N803
    data = training(history, model, X, y)
    title = title or f"Training: {len(history.losses)} epochs"
    about = f"training of {len(history.losses):,} epochs, {len(data['epochs']):,} snapshots"
    return View(document(TRAINING, title, data), title, about)


def _of_graph(root: Any, title: str | None, quiz: bool, model: Any, limit: int | None) -> View:
    data = described(root, limit, model)
    count = len(data["data"])
    if title is None:
        title = f"{data['labels'][-1] or 'graph'} = {float(root.data):.4g}"
    data["quiz"] = bool(quiz)
    kind = "exercise on a graph" if quiz else "graph"
    about = f"{kind} of {count:,} node{'s' if count > 1 else ''}"
    return View(document(GRAPH, title, data), title, about, None if quiz else root)
