"""Methods that do nothing but apply operators to their operands: ``return self + (-other)``.

The engine applies the same operators to the same operands in the same order, so what comes out is what the author's
method gives, whatever they are: it is the way from one to the next that has no Python in it. `steps_of` reads the
method; where that is anything else than one expression of operators, it gives None. `calls_of` says whose methods the
operators are: a method is composed of native ones and of others that are composed, and so never of itself.
"""

from __future__ import annotations

import ast
from types import FunctionType

from kilograd.run.source import node_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["BINARY", "Steps", "calls_of", "number_of", "steps_of"]

Steps = tuple[tuple[str, "Any"], ...]  # for a machine with a stack: what to do, and with what number or name

LONGEST = 15  # so that eight operands wait at most
BINARY = {ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide", ast.Pow: "power"}
METHODS = {"add": "add", "subtract": "sub", "multiply": "mul", "divide": "truediv", "power": "pow"}


def steps_of(function: FunctionType, cls: type) -> Steps | None:
    """The steps of a method of one operand or two, or None where it is not made of operators alone."""
    node = node_of(function.__code__)
    code = function.__code__
    if not isinstance(node, ast.FunctionDef) or node.decorator_list or code.co_flags & 0x0C:  # *args, **kwargs
        return None
    if code.co_argcount not in (1, 2) or code.co_kwonlyargcount or function.__defaults__:
        return None
    operands = code.co_varnames[: code.co_argcount]
    steps: list[tuple[str, Any]] = []
    body = list(node.body)
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):  # a docstring
        body = body[1:]
    if len(body) == 2 and len(operands) == 2 and _lifts(body[0], operands[1], cls.__name__):
        steps.append(("lift", None))
        body = body[1:]
    if len(body) != 1 or not isinstance(body[0], ast.Return) or body[0].value is None:
        return None
    if not _append(body[0].value, cls.__name__, operands, steps) or isinstance(body[0].value, ast.Name | ast.Constant):
        return None
    return tuple(steps) if len(steps) <= LONGEST else None


def calls_of(steps: Steps) -> set[str]:
    """The methods of a node that the steps may call."""
    found: set[str] = set()
    kinds: list[str] = []  # of what waits: a node, a number, or either
    other = "either"
    for step, what in steps:
        if step == "lift":
            other = "node"
        elif step == "operand":
            kinds.append(other if what else "node")
        elif step == "lifted":
            kinds.append("node")
        elif step == "number":
            kinds.append("number")
        elif step == "negative":
            found |= {"__neg__"} if kinds[-1] != "number" else set()
        elif step == "call":
            found.add(what)
            kinds[-1] = "either"
        else:
            right, left = kinds.pop(), kinds.pop()
            if left != "number":
                found.add(f"__{METHODS[step]}__")
            if left != "node" and right != "number":
                found.add(f"__r{METHODS[step]}__")
            kinds.append("node" if "node" in (left, right) else "number" if left == right == "number" else "either")
    return found


def _lifts(statement: ast.stmt, other: str, name: str) -> bool:
    """Whether it is ``other = other if isinstance(other, Value) else Value(other)``."""
    text = f"{other} = {other} if isinstance({other}, {name}) else {name}({other})"
    return ast.dump(statement) == ast.dump(ast.parse(text).body[0])


def _append(node: ast.expr, own: str, operands: tuple[str, ...], steps: list[tuple[str, Any]]) -> bool:
    """Append the steps that compute an expression; False where it is made of something else."""
    number = number_of(node)
    match node:
        case _ if number is not None:
            steps.append(("number", number))
            return True
        case ast.Name(id=name) if name in operands:
            steps.append(("operand", operands.index(name)))
            return True
        case ast.Call(func=ast.Name(id=name), args=[ast.Name(id=operand)], keywords=[]) if (
            name == own and operand in operands
        ):
            steps.append(("lifted", operands.index(operand)))
            return True
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            if not _append(operand, own, operands, steps):
                return False
            steps.append(("negative", None))
            return True
        case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
            if not (_append(left, own, operands, steps) and _append(right, own, operands, steps)):
                return False
            steps.append((BINARY[type(op)], None))
            return True
        case ast.Call(func=ast.Attribute(value=owner, attr=name), args=[], keywords=[]):
            if not _append(owner, own, operands, steps):
                return False
            steps.append(("call", name))
            return True
    return False


def number_of(node: ast.expr) -> int | float | None:
    """A number as it is written, with a sign or without."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = number_of(node.operand)
        return None if number is None else -number
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value  # type: ignore[return-value]
    return None
