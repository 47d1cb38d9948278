"""Division with a rule of its own: the formulas of its two local gradients, as its author wrote them.

``self.grad += out.grad / other.data`` and ``self.grad += 1 / other.data * out.grad`` are rounded differently, and the
second operand's rule has more forms still. So they are read: each is arithmetic on the operands' data, the result's
data and its gradient, and the engine does the same arithmetic in the same order.
"""

from __future__ import annotations

import ast
from types import FunctionType

from kilograd.run.composed import BINARY, Steps, number_of
from kilograd.run.source import node_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Rule", "rule_of"]

# Whether it is computed with the node, as local gradients; and for each operand, whether the term is subtracted, and
# its steps for a machine with a stack.
Rule = tuple[bool, tuple[tuple[bool, Steps], tuple[bool, Steps]]]
DEEPEST = 8  # numbers that wait
BRANCHES = (ast.If, ast.IfExp, ast.For, ast.While, ast.Try, ast.With, ast.BoolOp, ast.Compare, ast.Lambda)


def rule_of(function: FunctionType, cls: type, data: str, grad: str) -> Rule | None:
    """The rule of a method of two nodes, or None where it is made of anything else.

    Parameters
    ----------
    function : function
        The method, which makes one node and returns it.
    cls : type
        Its class.
    data, grad : str
        What the class calls the number of a node and its gradient.
    """
    node, code = node_of(function.__code__), function.__code__
    if not isinstance(node, ast.FunctionDef) or node.decorator_list or code.co_argcount != 2:
        return None
    if code.co_kwonlyargcount or code.co_flags & 0x0C or function.__defaults__:  # *args, **kwargs
        return None
    left, right = code.co_varnames[:2]
    body = node.body[1:] if _binds(node.body[0], right) else node.body
    if any(isinstance(part, BRANCHES) for statement in body for part in ast.walk(statement)):
        return None
    calls = [
        part
        for statement in body
        for part in ast.walk(statement)
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == cls.__name__
    ]
    rules = [part for statement in body for part in ast.walk(statement) if isinstance(part, ast.FunctionDef)]
    if len(calls) != 1 or len(rules) > 1:
        return None
    results = {
        target.id
        for statement in body
        if isinstance(statement, ast.Assign) and statement.value is calls[0]
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    reader = _Reader(left, right, next(iter(results), ""), data, grad)
    if rules:
        return reader.late(rules[0]) if len(results) == 1 else None
    return reader.fixed([*calls[0].args, *(keyword.value for keyword in calls[0].keywords)])


def _binds(statement: ast.stmt, name: str) -> bool:
    """Whether a statement does nothing but give `name` its meaning: it lifts an operand."""
    if isinstance(statement, ast.If) and len(statement.body) == 1 and not statement.orelse:
        statement = statement.body[0]
    return (
        isinstance(statement, ast.Assign)
        and len(statement.targets) == 1
        and isinstance(statement.targets[0], ast.Name)
        and statement.targets[0].id == name
    )


class _Reader:
    def __init__(self, left: str, right: str, result: str, data: str, grad: str) -> None:
        self.grads = {left: 0, right: 1}
        self.data, self.grad = data, grad
        self.read = {(left, data): "left", (right, data): "right"}
        if result:
            self.read |= {(result, data): "result", (result, grad): "gradient"}

    def late(self, node: ast.FunctionDef) -> Rule | None:
        """``self.grad += ...`` and ``other.grad += ...``, in that order."""
        arguments = node.args
        if arguments.args or arguments.vararg or arguments.kwonlyargs or arguments.kwarg or len(node.body) != 2:
            return None
        terms: list[tuple[bool, Steps]] = []
        for index, statement in enumerate(node.body):
            match statement:
                case ast.AugAssign(
                    target=ast.Attribute(value=ast.Name(id=name), attr=attribute), op=ast.Add() | ast.Sub() as op
                ) if attribute == self.grad and self.grads.get(name) == index:
                    steps = self.steps(statement.value)
                    if steps is None:
                        return None
                    terms.append((isinstance(op, ast.Sub), steps))
                case _:
                    return None
        return False, (terms[0], terms[1])

    def fixed(self, given: list[ast.expr]) -> Rule | None:
        """A tuple of two local gradients, or of two pairs of an operand and its local gradient."""
        for part in given:
            if not isinstance(part, ast.Tuple) or len(part.elts) != 2:
                continue
            locals_ = [one.elts[1] if isinstance(one, ast.Tuple) and len(one.elts) == 2 else one for one in part.elts]
            if all(isinstance(one, ast.Name) for one in locals_):
                continue  # the operands
            steps = [self.steps(one) for one in locals_]
            if steps[0] is None or steps[1] is None:
                return None
            return True, ((False, steps[0]), (False, steps[1]))
        return None

    def steps(self, node: ast.expr) -> Steps | None:
        steps: list[tuple[str, Any]] = []
        return tuple(steps) if self.append(node, steps, 1) else None

    def append(self, node: ast.expr, steps: list[tuple[str, Any]], depth: int) -> bool:
        number = number_of(node)
        match node:
            case _ if depth > DEEPEST:
                return False
            case _ if number is not None:
                steps.append(("number", number))
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if (name, attribute) in self.read:
                steps.append((self.read[name, attribute], None))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                if not self.append(operand, steps, depth):
                    return False
                steps.append(("negative", None))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
                if not (self.append(left, steps, depth) and self.append(right, steps, depth + 1)):
                    return False
                steps.append((BINARY[type(op)], None))
            case _:
                return False
        return True
