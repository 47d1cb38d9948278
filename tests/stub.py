"""What the module itself knows of its stub, ``python -m tests.stub`` writes into it: docstrings, and the losses."""

from __future__ import annotations

import ast
import inspect
import pathlib
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import kilograd
from kilograd import _core

HEADING, END = "# Losses, written by python -m tests.stub.", "# Other losses and reductions."
PATH = pathlib.Path(__file__).parents[1] / "python" / "kilograd" / "_core.pyi"


def documented(source: str) -> str:
    """The stub with the docstring that each public class, method, attribute and function has in the module."""
    before, _, rest = source.partition(HEADING)
    source = before + "\n".join(losses()) + rest[rest.index(END) :]
    lines = source.splitlines()
    public = {name for name, member in vars(_core).items() if vars(kilograd).get(name) is member}
    members = list(_members(ast.parse(source).body, _core, public))
    for place, indent, doc in reversed(members):  # so that the line numbers of those before stay right
        start = min([place.lineno, *(each.lineno for each in getattr(place, "decorator_list", []))]) - 1
        if isinstance(place, ast.Expr) and isinstance(place.value, ast.Constant):  # "...", or a docstring
            head = lines[start][: place.col_offset].rstrip()
            lines[start : place.end_lineno] = [head] if head else []
            start += bool(head)
        text = f'"""{doc}\n"""' if "\n" in doc else f'"""{doc}"""'
        lines[start:start] = [f"{' ' * indent}{line}".rstrip() for line in text.split("\n")]
    return "\n".join(lines) + "\n"


def losses() -> Iterator[str]:
    """The losses that go element by element, as type checkers read them: by default one Value."""
    yield HEADING
    for name, *_ in _core.losses():
        loss = getattr(_core, name)
        (prediction, target, *settings) = inspect.signature(loss).parameters.values()
        types = [f"{prediction.name}: Values", f"{target.name}: Values", "*"]
        types += [f"{each.name}: float = {each.default}" for each in settings[:-1]]
        start = f"@overload\ndef {name}({', '.join(types)}, reduction: "
        doc = "\n    ".join(f'"""{inspect.getdoc(loss)}\n"""'.splitlines())
        yield f'{start}_Reduced = "mean") -> Value:\n    {doc}\n'.replace("\n    \n", "\n\n")
        yield f"{start}_Reduction) -> Any: ..."
    yield "\n"


def _members(body: list[ast.stmt], owner: Any, names: set[str]) -> Iterator[tuple[ast.stmt, int, str]]:
    """Each docstring, its indent, and the statement before which it stands or which it replaces."""
    seen: set[str] = set()
    for node, following in zip_longest(body, body[1:]):
        attribute = isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        name = node.target.id if attribute else getattr(node, "name", "")
        if name not in names or name in seen or name.startswith("__"):  # protocols, setters, further overloads
            continue
        seen.add(name)
        member = inspect.getattr_static(owner, name)
        doc = inspect.getdoc(member)
        if doc:
            yield (following, node.col_offset, doc) if attribute else (node.body[0], node.col_offset + 4, doc)
        if isinstance(node, ast.ClassDef):
            yield from _members(node.body, member, set(vars(member)))


if __name__ == "__main__":
    PATH.write_text(documented(PATH.read_text()))
