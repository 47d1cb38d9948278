"""A graph as a list: its nodes in the order in which they are computed, and a table of them.

Works on `kilograd.Value`, on the reference's and on any class whose instances have `data`, `grad` and their operands in
`_children` or `_prev`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any, NamedTuple

__all__ = ["Row", "Table", "is_node", "operands_of", "order", "require_node", "table", "upright"]

_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")


def order(root: Any) -> list[Any]:
    """The graph below a value in topological order: every operand before the results that it is used in.

    Computing goes along this list, and `backward()` against it: ``for node in reversed(kilograd.order(root))`` steps
    through what it does. The leaves that the first operand needs come first, the root last; nodes that do not depend on
    each other may have been made, and be visited by `backward()`, the other way round. Where a class keeps its operands
    in a set, their order is chance, as the set's is.

    Parameters
    ----------
    root : Value
        The result to start from: a Value, the reference's, or an object of any class with `_children` or `_prev`.

    Returns
    -------
    list of Value
        Each node once. The objects are those of the graph.

    Raises
    ------
    TypeError
        If `root` is no such object, but for instance the list that a layer returns.
    ValueError
        If a node depends on itself.

    See Also
    --------
    table : The same as a table of labels, operations and numbers.
    """
    require_node(root)
    found: list[Any] = []
    finished = {id(root): False}
    stack: list[tuple[Any, Iterator[Any]]] = [(root, iter(operands_of(root)))]
    while stack:
        node, operands = stack[-1]
        for operand in operands:
            if id(operand) not in finished:
                finished[id(operand)] = False
                stack.append((operand, iter(operands_of(operand))))
                break
            if not finished[id(operand)]:
                raise ValueError(f"{operand!r:.80} depends on itself: that is no expression")
        else:
            finished[id(node)] = True
            found.append(node)
            stack.pop()
    return found


def is_node(thing: Any) -> bool:
    """Whether it is a value of a graph, of whatever class."""
    return not isinstance(thing, type) and (hasattr(thing, "_children") or hasattr(thing, "_prev"))


def require_node(root: Any) -> None:
    """Refuse what no graph is below."""
    if is_node(root):
        return
    instead = ""
    if isinstance(root, type):
        instead = "; this is a class: give an object of it"
    elif hasattr(root, "parameters"):
        instead = "; give what it computes, model(x)"
    elif isinstance(root, (list, tuple)):
        instead = "; give one of them, or kilograd.functional.sum(values)"
    elif isinstance(root, (int, float)):
        instead = "; a number knows nothing of its graph: give v, not v.data"
    raise TypeError(f"a graph is read from one Value, not from {type(root).__name__}: {root!r:.80}{instead}")


def operands_of(node: Any) -> list[Any]:
    """The operands, in order where the class keeps one, and as often as it names them."""
    children = getattr(node, "_children", None)
    return list(node._prev if children is None else children)


def upright(text: str) -> str:
    """Text in which controls that turn around what comes after them are written out: U+202E and its kin."""
    return _TURNING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class Row(NamedTuple):
    """A node in a `Table`."""

    order: int
    """Its place in topological order, from 0."""
    label: str
    op: str
    """The operation that made it; '' for a leaf."""
    data: Any
    grad: Any


class Table:
    """The nodes of a graph as rows: made by `table`. Prints as text, shows in notebooks, and is a sequence of `Row`.

    Attributes
    ----------
    rows : list of Row
    limit : int or None
        How many rows are shown; the first and the last ones, where there are more.
    """

    def __init__(self, rows: list[Row], limit: int | None) -> None:
        self.rows = rows
        self.limit = limit

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __getitem__(self, place: int) -> Row:
        return self.rows[place]

    def to_pandas(self) -> Any:
        """The table as a data frame, with the columns `label`, `op`, `data` and `grad`, and `order` as its index.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            raise ImportError("to_pandas() needs pandas: pip install pandas", name="pandas") from error
        return pandas.DataFrame(self.rows, columns=list(Row._fields)).set_index("order")

    def __repr__(self) -> str:
        above, left_out, below = self._shown()
        cells = [Row._fields, *map(_cells, above), *map(_cells, below)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        left = [name in ("label", "op") for name in Row._fields]
        lines = [
            "  ".join(
                text.ljust(width) if to_left else text.rjust(width)
                for text, width, to_left in zip(row, widths, left, strict=True)
            ).rstrip()
            for row in cells
        ]
        if left_out:
            lines.insert(1 + len(above), f"... {self._message(left_out)}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        above, left_out, below = self._shown()
        head = "".join(f"<th>{name}</th>" for name in Row._fields)
        rows = [_html_row(row) for row in above]
        if left_out:
            rows.append(f'<tr><td colspan="{len(Row._fields)}">{html.escape(self._message(left_out))}</td></tr>')
        rows += [_html_row(row) for row in below]
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"

    def _shown(self) -> tuple[list[Row], int, list[Row]]:
        """The first rows, how many are left out, and the last rows."""
        left_out = 0 if self.limit is None else len(self.rows) - self.limit
        if left_out <= 0:
            return self.rows, 0, []
        below = (len(self.rows) - left_out) // 2
        above = len(self.rows) - left_out - below
        return self.rows[:above], left_out, self.rows[len(self.rows) - below :]

    def _message(self, left_out: int) -> str:
        return f"{left_out:,} of {len(self.rows):,} rows are not shown: table(root, limit=None) shows all"


def table(root: Any, limit: int | None = 60) -> Table:
    """The graph below a value as a table: for each node its place in topological order, label, op, data and gradient.

    Parameters
    ----------
    root : Value
        The result to start from: a Value, the reference's, or an object of any class with `data`, `grad`, and
        `_children` or `_prev`.
    limit : int or None, default 60
        How many rows are printed: of a longer table the first and the last. The table itself has all of them.

    Returns
    -------
    Table
        Prints as aligned text, shows in a notebook, can be iterated over; ``.to_pandas()`` makes a data frame of it.
        It has the numbers as they were when it was made.

    Raises
    ------
    TypeError
        If `root` is no such object.
    ValueError
        If `limit` is negative, or a node depends on itself.

    Examples
    --------
    >>> import kilograd
    >>> a, b = kilograd.Value(2.0, label="a"), kilograd.Value(-3.0, label="b")
    >>> e = a * b
    >>> e.backward()
    >>> kilograd.table(e)
    order  label  op  data  grad
        0  a           2.0  -3.0
        1  b          -3.0   2.0
        2         *   -6.0   1.0
    """
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
        raise ValueError(f"limit is a number of rows or None, not {limit!r}")
    rows = [
        Row(place, _text(node, "label"), _text(node, "_op"), node.data, node.grad)
        for place, node in enumerate(order(root))
    ]
    return Table(rows, limit)


def _text(node: Any, name: str) -> str:
    text = getattr(node, name, None)
    return "" if text is None else str(text)


def _cells(row: Row) -> tuple[str, ...]:
    return tuple(_one_line(field) for field in row)


def _html_row(row: Row) -> str:
    return f"<tr>{''.join(f'<td>{html.escape(text)}</td>' for text in _cells(row))}</tr>"


def _one_line(field: Any) -> str:
    """A field as text that stays in its line; no longer than a column can be."""
    text = field if isinstance(field, str) else repr(field)
    if not text.isprintable():
        text = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
    return text if len(text) <= 40 else f"{text[:37]}..."
