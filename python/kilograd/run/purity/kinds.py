"""What an expression, and so a variable, is known to be."""

from __future__ import annotations

import ast

from kilograd.run.source import Function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# What an expression is known to be.
KINDS = (
    "any",  # an operand, or whatever may be one
    "bare",  # what an attribute of an operand holds
    "result",  # what an attribute of a node holds that the method made
    "made",  # such a node
    "some",  # whatever a helper, or a container, gives
    "none",  # None
    "number",  # computed
    "constant",  # a number written in the method
    "truth",  # of a comparison
    "id",  # of an operand
    "text",  # as it is written in the method, or an attribute of text
    "words",  # text made from data: may be shown, and nothing else
    "type",  # for isinstance()
    "class",  # the author's
    "local",  # a function written in the method
    "fresh",  # a container that the method made
    "shared",  # a default that can change
)  # besides "builtin NAME", "module NAME", "function NAME", "method NAME", "container NAME", "text NAME", "helper NAME"

NUMBERS = frozenset({"bare", "result", "number", "constant", "truth", "some"})

# Numbers that may stand in a method: what it branches at is then among the data of the probes.
ORDINARY = frozenset({0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5})


def join(one: str | None, two: str) -> str:
    """What is known of something that is one or the other."""
    if one is None or one == two:
        return two
    for kind in ("words", "text", "shared", "some", "made"):
        if kind in (one, two):
            return kind
    if {one, two} <= {"bare", "truth"}:
        return "bare"
    if {one, two} <= {"number", "constant", "bare", "result", "truth"}:
        return "number"
    return "any"


class Scope:
    """A function: the kinds of its variables."""

    def __init__(self, node: Function, parent: Scope | None) -> None:
        self.node, self.parent = node, parent
        self.kinds: dict[str, str | None] = {}
        self.outer: set[str] = set()
        arguments = node.args
        listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        for argument in listed:
            if argument is not None:
                self.kinds[argument.arg] = "any"
        body = node.body if isinstance(node.body, list) else [node.body]
        waiting: list[ast.AST] = list(body)
        while waiting:
            part = waiting.pop()
            if isinstance(part, ast.Nonlocal | ast.Global):
                self.outer.update(part.names)
            if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load):
                self.kinds.setdefault(part.id, None)
            if isinstance(part, ast.FunctionDef):
                self.kinds.setdefault(part.name, None)
                continue
            if isinstance(part, ast.ExceptHandler) and part.name:
                self.kinds.setdefault(part.name, "any")
            if isinstance(part, ast.Import | ast.ImportFrom):
                for alias in part.names:
                    self.kinds.setdefault(alias.asname or alias.name.partition(".")[0], None)
            if not isinstance(part, ast.Lambda):
                waiting += ast.iter_child_nodes(part)
        for name in self.outer:
            self.kinds.pop(name, None)

    def find(self, name: str) -> Scope | None:
        """The function, this or an enclosing one, that has the variable."""
        scope: Scope | None = self
        while scope is not None and name not in scope.kinds:
            scope = scope.parent
        return scope


def folded(node: ast.expr) -> float | None:
    """The value of arithmetic on nothing but written numbers."""
    match node:
        case ast.Constant() if type(node.value) in (int, float):
            return float(node.value)  # type: ignore[arg-type]
        case ast.UnaryOp(op=ast.USub()):
            inner = folded(node.operand)
            return None if inner is None else -inner
        case ast.BinOp():
            left, right = folded(node.left), folded(node.right)
            if left is None or right is None:
                return None
            if isinstance(node.op, ast.Div) and right:
                return left / right
            if isinstance(node.op, ast.Mult):
                return left * right
    return None


def is_immutable(value: Any) -> bool:
    """Whether a default is no state."""
    if value is None or type(value) in (bool, int, float, complex, str, bytes) or value in (float, int):
        return True
    return type(value) in (tuple, frozenset) and all(map(is_immutable, value))
