"""Finding the classes of a program that may be scalar autograd classes, and marking them for the judge.

A class is marked by one more decorator, the outermost, so that the judge sees the class as the program would: after
the author's own decorators (`dataclass`, say). Nothing else in the program's code changes, and line numbers, tracebacks
and `inspect.getsource` are those of the author's file.
"""

from __future__ import annotations

import ast
import builtins
from types import CodeType
from typing import Any

__all__ = ["HOOK", "compile_marked", "install_hook", "mark"]

HOOK = "__kilograd_serve__"  # the decorator's name, looked up in builtins
OPERATORS = frozenset({"__add__", "__mul__"})


def install_hook(serve: Any) -> None:
    """Make `serve`, a function from a class to the class to use in its place, the decorator of marked classes."""
    setattr(builtins, HOOK, serve)


def _defined_names(node: ast.ClassDef) -> set[str]:
    names: set[str] = set()
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(statement.name)
        elif isinstance(statement, ast.Assign):
            names.update(target.id for target in statement.targets if isinstance(target, ast.Name))
    return names


class _Marker(ast.NodeTransformer):
    found = False

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        self.generic_visit(node)
        if _defined_names(node) >= OPERATORS:
            self.found = True
            place = node.decorator_list[0] if node.decorator_list else node
            name = ast.Name(id=HOOK, ctx=ast.Load())
            name.lineno, name.col_offset = place.lineno, place.col_offset
            name.end_lineno, name.end_col_offset = place.lineno, place.col_offset
            node.decorator_list.insert(0, name)
        return node


def mark(tree: ast.AST) -> bool:
    """Mark in place every class of `tree` that defines ``+`` and ``*``; whether there was one."""
    marker = _Marker()
    marker.visit(tree)
    return marker.found


def compile_marked(source: bytes | str, filename: str) -> CodeType:
    """Compile a module with its candidate classes marked.

    Raises
    ------
    SyntaxError, ValueError
        As `compile` does.
    """
    tree = ast.parse(source, filename)
    mark(tree)
    code: CodeType = compile(tree, filename, "exec", dont_inherit=True)
    return code
