"""Reading a method before anybody runs it: whether it is made of nothing but what is known to be harmless.

The judge runs an author's methods on small expressions. That is safe where a method touches nothing but the nodes it
was given, and it proves something where what it does depends on nothing but their numbers. Both are read off its syntax
tree by a list of what is *allowed*: operands, their attributes, numbers, functions of `math`, the class itself, and
builtins called on those. Whatever else a method does, its author's code does it.

`examine` walks the tree and knows of each expression what `KINDS` says. It raises `Unclean` where a method may not be
tried, and notes in its `Facts` what a method may be tried with and still not be served (`odd`): its outcome may change
where no probe looks, at a threshold of its own making, say.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from kilograd.reading import names
from kilograd.run.clone import functions_of
from kilograd.run.source import Function, node_of

__all__ = [
    "ORDINARY",
    "Facts",
    "Unclean",
    "examine",
    "unclean",
]

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
)  # besides "builtin NAME", "module NAME", "function NAME", "method NAME", "container NAME" and "text NAME"

NUMBERS = frozenset({"bare", "result", "number", "constant", "truth", "some"})

# Numbers that may stand in a method: what it branches at is then among the data of the probes.
ORDINARY = frozenset({0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5})

ON_NUMBERS = frozenset(["abs", "bool", "complex", "divmod", "float", "int", "max", "min", "pow", "round", "sum"])
ON_CONTAINERS = frozenset(
    [
        "all",
        "any",
        "dict",
        "enumerate",
        "filter",
        "frozenset",
        "iter",
        "len",
        "list",
        "map",
        "next",
        "range",
        "reversed",
        "set",
    ]
)
ON_CONTAINERS |= frozenset(["sorted", "tuple", "zip"])
ON_TEXT = frozenset(["ascii", "chr", "format", "ord", "repr", "str"])
ON_OBJECTS = frozenset(["callable", "getattr", "hasattr", "hash", "id", "isinstance", "issubclass", "super", "type"])
BUILTINS = ON_NUMBERS | ON_CONTAINERS | ON_TEXT | ON_OBJECTS
TYPES = frozenset(
    ["bool", "complex", "dict", "float", "frozenset", "int", "list", "object", "range", "set", "str", "tuple", "type"]
)
SMOOTH = frozenset(
    [
        "acos",
        "acosh",
        "asin",
        "asinh",
        "atan",
        "atan2",
        "atanh",
        "cbrt",
        "cos",
        "cosh",
        "degrees",
        "erf",
        "erfc",
        "exp",
        "exp2",
        "expm1",
        "gamma",
        "hypot",
        "lgamma",
        "log",
        "log10",
        "log1p",
        "log2",
        "pow",
        "radians",
        "sin",
        "sinh",
        "sqrt",
        "tan",
        "tanh",
    ]
)
TESTS = frozenset(["isnan", "isinf", "isfinite", "signbit"])
CONTAINER_METHODS = frozenset(
    [
        "add",
        "append",
        "appendleft",
        "clear",
        "copy",
        "count",
        "difference",
        "discard",
        "extend",
        "extendleft",
        "get",
        "index",
        "insert",
        "intersection",
        "isdisjoint",
        "issubset",
        "issuperset",
        "items",
        "keys",
        "pop",
        "popleft",
        "remove",
        "reverse",
        "setdefault",
        "sort",
        "union",
        "update",
        "values",
    ]
)
NUMBER_ATTRIBUTES = frozenset(
    [
        "real",
        "imag",
        "conjugate",
        "is_integer",
        "T",
        "shape",
        "ndim",
        "dtype",
        "size",
        "item",
        "astype",
        "sum",
        "mean",
        "reshape",
        "as_integer_ratio",
        "numerator",
        "denominator",
    ]
)
TEXT_METHODS = frozenset(
    [
        "format",
        "join",
        "lower",
        "upper",
        "strip",
        "startswith",
        "endswith",
        "replace",
        "split",
        "title",
        "ljust",
        "rjust",
    ]
)
PARTS_OF_TYPES = frozenset(
    [
        "int",
        "float",
        "complex",
        "bool",
        "number",
        "generic",
        "ndarray",
        "floating",
        "integer",
        "Number",
        "Real",
        "Integral",
    ]
)
SAFE_TYPES = frozenset(["builtins", "numpy", "typing", "numbers", "fractions", "decimal", "collections"])
STANDARD = ("functools", "reprlib", "dataclasses")  # where Python writes methods for the author

UNARY = {ast.USub: "__neg__", ast.UAdd: "__pos__", ast.Invert: "__invert__"}
BINARY = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "truediv",
    ast.Pow: "pow",
    ast.FloorDiv: "floordiv",
    ast.Mod: "mod",
    ast.MatMult: "matmul",
    ast.BitAnd: "and",
    ast.BitOr: "or",
    ast.BitXor: "xor",
    ast.LShift: "lshift",
    ast.RShift: "rshift",
}
ORDERED = ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__")
HASHED = ("__hash__", "__eq__")
ITERATED = ("__iter__", "__next__", "__getitem__", "__len__")
SHOWN = ("__repr__", "__str__", "__format__")
CALLED_BY = {  # what a builtin calls of an operand's
    "abs": ("__abs__",),
    "bool": ("__bool__", "__len__"),
    "complex": ("__complex__", "__float__", "__index__"),
    "dict": (*HASHED, *ITERATED, "keys"),
    "divmod": ("__divmod__", "__rdivmod__"),
    "float": ("__float__", "__index__"),
    "frozenset": (*HASHED, *ITERATED),
    "hash": ("__hash__",),
    "int": ("__int__", "__index__", "__trunc__"),
    "isinstance": (),
    "id": (),
    "type": (),
    "max": (*ORDERED, *ITERATED),
    "min": (*ORDERED, *ITERATED),
    "pow": ("__pow__", "__rpow__"),
    "round": ("__round__",),
    "set": (*HASHED, *ITERATED),
    "sorted": (*ORDERED, *ITERATED),
    "sum": ("__add__", "__radd__", *ITERATED),
    **dict.fromkeys(ON_TEXT, SHOWN),
}


class Unclean(Exception):  # noqa: N818 - a verdict, not a fault
    """The method may not be tried; the message says what it does, as the end of a sentence."""


@dataclass
class Facts:
    """What a method that may be tried is made of.

    Attributes
    ----------
    odd : str or None
        Why it is not served although it may be tried.
    calls : set of str
        The attributes of the class that it may call, operators included.
    looked_up : set of tuple
        The names whose meaning it depends on: ("own", the class's name), ("global", name), ("builtin", name) or
        (module, attribute).
    steps, late_steps : int
        How much arithmetic there is.
    elementary : bool
        Whether it calls functions of `math`.
    loops : bool
        Whether it repeats anything.
    """

    odd: str | None = None
    calls: set[str] = field(default_factory=set)
    looked_up: set[tuple[str, str]] = field(default_factory=set)
    steps: int = 0
    late_steps: int = 0
    elementary: bool = False
    loops: bool = False
    ids: set[int] = field(default_factory=set)  # lines on which it calls id()
    shares: bool = False  # a default that can change becomes an attribute
    mutates: bool = False  # it may change a container that it did not make
    compares: bool = False  # numbers, with one of ORDINARY or with zero
    tests: bool = False  # whether something is true, a number perhaps
    trusts: bool = False  # what a helper gives to be no number
    looks_into: bool = False  # a dictionary, a set, or what else compares its items

    def merged(self, other: Facts) -> Facts:
        """Those of a property that consists of two functions."""
        return Facts(
            self.odd or other.odd,
            self.calls | other.calls,
            self.looked_up | other.looked_up,
            self.steps + other.steps,
            self.late_steps + other.late_steps,
            self.elementary or other.elementary,
            self.loops or other.loops,
            self.ids | other.ids,
            self.shares or other.shares,
            self.mutates or other.mutates,
            self.compares or other.compares,
            self.tests or other.tests,
            self.trusts or other.trusts,
            self.looks_into or other.looks_into,
        )


# --- the examination -----------------------------------------------------------------------------------------------


def _join(one: str | None, two: str) -> str:
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


class _Scope:
    """A function: the kinds of its variables."""

    def __init__(self, node: Function, parent: _Scope | None) -> None:
        self.parent = parent
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

    def find(self, name: str) -> _Scope | None:
        scope: _Scope | None = self
        while scope is not None and name not in scope.kinds:
            scope = scope.parent
        return scope


class _Examiner:
    def __init__(
        self, function: FunctionType, cls: type, attributes: Iterable[str], text: bool, tolerant: bool, of_class: bool
    ) -> None:
        self.function, self.cls, self.own, self.text = function, cls, cls.__name__, text
        self.of_class = of_class
        self.attributes = frozenset(attributes)
        self.members: Mapping[str, Any] = vars(cls)
        self.facts = Facts()
        self.scopes: dict[int, _Scope] = {}
        self.scope: _Scope | None = None
        self.depth = 0
        self.sure = False  # the kinds of all variables are known: now it counts
        self.tolerant = tolerant

    # --- reports

    def refuse(self, reason: str) -> None:
        if self.sure:
            raise Unclean(reason)

    def odd(self, reason: str) -> None:
        if self.sure and self.facts.odd is None:
            self.facts.odd = reason

    def calls(self, names: Iterable[str]) -> None:
        self.facts.calls.update(names)

    def looks_up(self, where: str, name: str) -> None:
        self.facts.looked_up.add((where, name))

    def step(self) -> None:
        if self.sure:
            if self.depth > 1:
                self.facts.late_steps += 1
            else:
                self.facts.steps += 1

    # --- functions

    def whole(self, node: Function) -> Facts:
        known: list[dict[str, str | None]] = [{}]
        while True:  # a variable's kind joins those of its assignments, and only grows
            self.facts = Facts()
            self.in_function(node, None)
            if self.sure:
                return self.facts
            kinds = [dict(scope.kinds) for scope in self.scopes.values()]
            self.sure = kinds == known
            known = kinds

    def in_function(self, node: Function, parent: _Scope | None) -> None:
        if isinstance(node, ast.AsyncFunctionDef):
            self.refuse("is a coroutine")
        if id(node) not in self.scopes:
            self.scopes[id(node)] = _Scope(node, parent)
        former, self.scope = self.scope, self.scopes[id(node)]
        self.depth += 1
        if self.depth == 1:
            self.defaults()
            first = next(iter(self.scope.kinds), None)
            if self.of_class and first is not None:
                self.scope.kinds[first] = "class"
        if isinstance(node, ast.Lambda):
            self.value(node.body)
        else:
            for statement in node.body:
                self.statement(statement)
        self.depth -= 1
        self.scope = former

    def defaults(self) -> None:
        """A default is shared by all calls: one that can change is state."""
        function, scope = self.function, self.scope
        assert scope is not None
        given = list(function.__defaults__ or ())
        code = function.__code__
        named = dict(zip(code.co_varnames[code.co_argcount - len(given) : code.co_argcount], given, strict=True))
        named.update(function.__kwdefaults__ or {})
        for name, default in named.items():
            if type(default) is str:
                scope.kinds[name] = _join(None if scope.kinds[name] == "any" else scope.kinds[name], "text")
            elif default is float or default is int:
                scope.kinds[name] = "type"
            elif type(default) in (list, set, dict) and not default and function.__name__ == "__init__":
                scope.kinds[name] = "shared"
                self.facts.shares = True
            elif not _is_immutable(default):
                self.refuse(f"has a default that can change, {name}={default!r:.40}")

    # --- statements

    def statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Return(value=value) | ast.Expr(value=value):
                if isinstance(value, ast.Constant) and isinstance(node, ast.Expr):
                    return
                if value is not None:
                    self.value(value)
            case ast.Assign():
                constant = isinstance(node.value, ast.Constant) and not isinstance(node.value.value, str | None)
                plain = constant and all(isinstance(target, ast.Attribute) for target in node.targets)
                kind = "constant" if plain else self.value(node.value)  # what an attribute begins with
                for target in node.targets:
                    self.store(target, kind, node.value)
            case ast.AnnAssign():
                if node.value is not None:
                    self.store(node.target, self.value(node.value), node.value)
            case ast.AugAssign():
                left = self.value(_as_load(node.target))
                if left != "fresh":
                    self.facts.mutates |= isinstance(node.op, ast.Add) and isinstance(node.value, ast.List | ast.Tuple)
                if left == "shared":
                    self.changes(left)
                kind = self.arithmetic(node.op, left, self.value(node.value))
                if left in ("any", "made"):
                    self.calls([f"__i{BINARY[type(node.op)]}__"])
                self.store(node.target, kind, None)
            case ast.FunctionDef():
                if node.decorator_list:
                    self.refuse("decorates a function")
                self.nested(node)
                self.assign(node.name, "local")
            case ast.If():
                self.test(node.test)
                self.statements(node.body, node.orelse)
            case ast.While():
                self.loop()
                self.test(node.test)
                self.statements(node.body, node.orelse)
            case ast.For():
                self.loop()
                self.iterated(node.iter)
                self.store(node.target, self.element(node.iter), None)
                self.statements(node.body, node.orelse)
            case ast.Assert():
                self.test(node.test)
                if node.msg is not None:
                    self.value(node.msg)
            case ast.Raise():
                for part in (node.exc, node.cause):
                    if part is not None:
                        self.value(part)
            case ast.Try():
                if not self.tolerant:
                    self.odd("handles exceptions")
                self.statements(node.body, node.orelse, node.finalbody)
                for handler in node.handlers:
                    if handler.type is not None:
                        self.value(handler.type)
                    self.statements(handler.body)
            case ast.Import():
                for alias in node.names:
                    if alias.name not in ("math", "cmath", "numpy"):
                        self.refuse(f"imports {alias.name}")
                    self.assign(alias.asname or alias.name, f"module {alias.name}")
            case ast.ImportFrom():
                if node.module != "math" or node.level:
                    self.refuse(f"imports from {node.module}")
                for alias in node.names:
                    self.looks_up("math", alias.name)
                    self.assign(alias.asname or alias.name, f"function {alias.name}")
            case ast.Pass() | ast.Break() | ast.Continue():
                pass
            case ast.Nonlocal():
                for name in node.names:
                    if self.scope is None or self.scope.find(name) is None:
                        self.refuse(f"changes the variable {name!r} of an enclosing function")
            case ast.Global():
                self.refuse(f"changes the global {node.names[0]!r}")
            case ast.Delete():
                for target in node.targets:
                    if not isinstance(target, ast.Name):
                        self.refuse("deletes something")
            case _:
                self.refuse(f"has a statement {type(node).__name__.lower()!r}")

    def statements(self, *bodies: list[ast.stmt]) -> None:
        for body in bodies:
            for statement in body:
                self.statement(statement)

    def loop(self) -> None:
        self.facts.loops = True

    def nested(self, node: Function) -> None:
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.value(default)
        self.in_function(node, self.scope)

    def assign(self, name: str, kind: str) -> None:
        scope = self.scope.find(name) if self.scope is not None else None
        if scope is None:
            self.refuse(f"changes {name!r}")
        else:
            scope.kinds[name] = _join(scope.kinds[name], kind)

    def store(self, target: ast.expr, kind: str, value: ast.expr | None) -> None:
        match target:
            case ast.Name():
                self.assign(target.id, kind)
            case ast.Tuple() | ast.List():
                given = value.elts if isinstance(value, ast.Tuple | ast.List) else []
                for index, part in enumerate(target.elts):
                    known = len(given) == len(target.elts) and not isinstance(given[index], ast.Starred)
                    if known:
                        self.store(part, self.value(given[index]), given[index])
                    else:
                        self.store(part, "any" if kind in ("any", "bare") else "some", None)
            case ast.Starred():
                self.store(target.value, "some", None)
            case ast.Attribute():
                base = self.value(target.value)
                if base not in ("any", "made", "some", "bare", "result"):
                    self.refuse(f"sets the attribute {target.attr!r} of something else than a node")
                name = self.mangled(target.attr)
                if name not in self.attributes:
                    self.refuse(f"sets the attribute {name!r}")
                if isinstance(self.members.get(name), property):
                    self.calls([name])
            case ast.Subscript():
                self.changes(self.value(target.value))
                self.value(target.slice)
                self.calls(["__setitem__"])
            case _:
                self.refuse("stores something")

    def changes(self, kind: str) -> None:
        """A container is changed in place."""
        if kind == "shared":
            self.refuse("changes a default")
        if kind != "fresh":
            self.facts.mutates = True

    # --- expressions

    def test(self, node: ast.expr) -> None:
        kind = self.value(node)
        if kind == "words":
            self.refuse("depends on a text")
        if kind in ("number", "constant", "result"):
            self.odd("depends on whether a computed number is zero")
        if kind in ("any", "bare", "some"):
            self.facts.tests = True
        if kind == "some":
            self.facts.trusts = True
        if kind in ("any", "made", "some"):
            self.calls(["__bool__", "__len__"])

    def iterated(self, node: ast.expr) -> None:
        if self.value(node) in ("any", "made", "some"):
            self.calls(ITERATED)

    def element(self, node: ast.expr) -> str:
        match node:
            case ast.Call(func=ast.Name(id="range")):
                return "number"
            case ast.Tuple() | ast.List() | ast.Set() if node.elts:
                kind: str | None = None
                for item in node.elts:
                    kind = _join(kind, self.value(item))
                return kind or "any"
        return "any"

    def value(self, node: ast.expr) -> str:
        match node:
            case ast.Constant():
                if isinstance(node.value, str | bytes):
                    return "text"
                if type(node.value) not in (int, float, complex):
                    return "none" if node.value is None else "truth"
                if node.value not in ORDINARY:
                    self.odd(f"depends on the number {node.value:g}")
                return "constant"
            case ast.Name():
                return self.name(node.id)
            case ast.Attribute():
                return self.attribute(node)
            case ast.Call():
                return self.call(node)
            case ast.BinOp():
                left, right = self.value(node.left), self.value(node.right)
                folded = _folded(node)
                if folded is not None and float(folded) in ORDINARY:
                    return "constant"
                return self.arithmetic(node.op, left, right)
            case ast.UnaryOp():
                kind = self.value(node.operand)
                if kind == "words":
                    self.refuse("depends on a text")
                if isinstance(node.op, ast.Not):
                    self.test(node.operand)
                    return "truth"
                if kind in ("any", "made", "some"):
                    self.calls([UNARY[type(node.op)]])
                return "number" if kind in ("bare", "result") else kind
            case ast.BoolOp():
                joined: str | None = None
                for part in node.values:
                    self.test(part)
                    joined = _join(joined, self.value(part))
                return joined or "any"
            case ast.IfExp():
                self.test(node.test)
                return _join(self.value(node.body), self.value(node.orelse))
            case ast.Compare():
                return self.compare(node)
            case ast.Tuple() | ast.List() | ast.Set():
                kinds = [self.value(item) for item in node.elts]
                if isinstance(node, ast.Set):
                    self.facts.looks_into |= not NUMBERS.isdisjoint(kinds)
                    self.calls(HASHED)
                typed = {"type", "class"} | {f"builtin {one}" for one in TYPES}
                if isinstance(node, ast.Tuple):
                    return "type" if kinds and set(kinds) <= typed else self.text_in(kinds)
                return "words" if "words" in kinds else "fresh"
            case ast.Dict():
                self.facts.looks_into = True
                self.calls(HASHED)
                kinds = [self.value(item) for item in (*node.keys, *node.values) if item is not None]
                return "words" if "words" in kinds else "fresh"
            case ast.JoinedStr():
                for part in node.values:
                    self.value(part)
                return "words" if any(isinstance(part, ast.FormattedValue) for part in node.values) else "text"
            case ast.FormattedValue():
                self.value(node.value)
                if node.format_spec is not None:
                    self.value(node.format_spec)
                self.calls(SHOWN)
                return "words"
            case ast.Subscript():
                kind = self.value(node.value)
                self.value(node.slice)
                if kind in ("text", "words"):
                    self.text_used()
                if kind in ("any", "made", "some"):
                    self.calls(["__getitem__"])
                return kind if kind in ("text", "words") else "any" if kind in ("any", "bare") else "some"
            case ast.Slice():
                for bound in (node.lower, node.upper, node.step):
                    if bound is not None:
                        self.value(bound)
                return "any"
            case ast.Starred():
                self.iterated(node.value)
                return "any"
            case ast.NamedExpr():
                kind = self.value(node.value)
                self.store(node.target, kind, node.value)
                return kind
            case ast.Lambda():
                self.nested(node)
                return "local"
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                for clause in node.generators:
                    self.iterated(clause.iter)
                    self.store(clause.target, self.element(clause.iter), None)
                    for condition in clause.ifs:
                        self.test(condition)
                if isinstance(node, ast.DictComp):
                    kinds = [self.value(node.key), self.value(node.value)]
                else:
                    kinds = [self.value(node.elt)]
                if isinstance(node, ast.SetComp | ast.DictComp):
                    self.calls(HASHED)
                return "words" if "words" in kinds else "fresh"
        self.refuse(f"has an expression {type(node).__name__!r}")
        return "any"

    @staticmethod
    def text_in(kinds: list[str]) -> str:
        return "words" if "words" in kinds else "shared" if "shared" in kinds else "any"

    def text_used(self) -> None:
        if not self.text:
            self.refuse("depends on a text")

    def mangled(self, name: str) -> str:
        if name.startswith("__") and not name.endswith("__"):
            return f"_{self.own.lstrip('_')}{name}"
        return name

    def name(self, name: str) -> str:
        scope = self.scope.find(name) if self.scope is not None else None
        if scope is not None:
            return scope.kinds[name] or "any"
        if name == self.own or name == "__class__":
            self.looks_up("own", self.own)
            return "class"
        if name in self.function.__code__.co_freevars:
            self.refuse(f"uses the variable {name!r} of an enclosing function")
            return "any"
        if name in self.function.__globals__:
            self.looks_up("global", name)
            return self.outside(name, self.function.__globals__[name])
        if hasattr(builtins, name):
            self.looks_up("builtin", name)
            return self.builtin(name)
        self.refuse(f"uses the name {name!r}, which is not defined yet")
        return "any"

    def builtin(self, name: str) -> str:
        value = getattr(builtins, name)
        if name in TYPES and name not in ON_TEXT:
            return f"builtin {name}"
        if name in BUILTINS:
            return f"builtin {name}"
        if isinstance(value, type) and issubclass(value, BaseException):
            return "builtin exception"
        if name in ("NotImplemented", "Ellipsis"):
            return "any"
        if name == "object":
            return "type"
        self.refuse(f"calls {name}()")
        return "any"

    def outside(self, name: str, value: Any) -> str:
        """A global of the author's module."""
        if isinstance(value, ModuleType):
            if value.__name__ in ("math", "cmath", "numpy", "numbers", "typing"):
                return f"module {value.__name__}"
        elif isinstance(value, BuiltinFunctionType):
            known = str(value.__name__)
            if getattr(builtins, known, None) is value and known in BUILTINS:
                return f"builtin {known}"
            if getattr(math, known, None) is value:
                return f"function {known}"
        elif isinstance(value, type):
            known = str(value.__name__)
            if str(value.__module__).partition(".")[0] in SAFE_TYPES:
                exact = getattr(builtins, known, None) is value and known in BUILTINS
                return f"builtin {known}" if exact else "type"
        elif getattr(type(value), "__module__", "") in ("typing", "types") and not isinstance(value, FunctionType):
            return "type"
        self.refuse(f"uses the global {name!r}")
        return "any"

    def attribute(self, node: ast.Attribute) -> str:
        base, name = self.value(node.value), self.mangled(node.attr)
        where, _, what = base.partition(" ")
        if where == "module":
            return self.of_module(what, name)
        if base == "class" or where == "builtin" or base == "type":
            if name == "__name__":
                return "text"
            if base == "class" and functions_of(self.members.get(name)):
                self.calls([name])
                return f"method {name}"
            if where == "builtin" and base != "builtin super":
                self.refuse(f"uses {what}.{name}")
            else:
                self.refuse(f"reads {self.own}.{name}")
            return "any"
        if base in ("text", "words"):
            if name not in TEXT_METHODS:
                self.refuse(f"uses the attribute {name!r} of a text")
            if name != "format":
                self.text_used()
            return f"text {name}"
        if where in ("function", "method", "container", "local"):
            self.refuse(f"uses the attribute {name!r} of a function")
            return "any"
        if isinstance(self.members.get(name), property):
            self.calls([name])
            return "bare"
        if name in self.attributes:
            return "result" if base in ("made", "some") else "bare"
        if name == "__class__":
            return "class"
        if functions_of(self.members.get(name)):
            self.calls([name])
            return f"method {name}"
        if name in self.members:
            self.refuse(f"reads {self.own}.{name}")
        if name in CONTAINER_METHODS:
            self.calls([name])
            if name not in ("copy", "count", "get", "index", "items", "keys", "values"):
                self.changes(base)
            return f"container {name}"
        if name in NUMBER_ATTRIBUTES:
            self.odd(f"uses the attribute {name!r} of a number")
            return "number"
        self.refuse(f"looks for an attribute {name!r}")
        return "any"

    def of_module(self, module: str, name: str) -> str:
        found = vars(sys.modules[module]).get(name) if module in sys.modules else None
        self.looks_up(module, name)
        if module == "typing":
            return "type"
        if isinstance(found, type) and (name in PARTS_OF_TYPES or module in ("numpy", "numbers")):
            return "type"
        if type(found) in (float, int):
            self.odd(f"uses {module}.{name}")
            return "number"
        if module in ("math", "cmath") and isinstance(found, BuiltinFunctionType):
            return f"function {name}"
        if module == "numpy" and type(found).__name__ == "ufunc":
            return f"function {name}"
        self.refuse(f"uses {module}.{name}")
        return "any"

    def arithmetic(self, operation: ast.operator, left: str, right: str) -> str:
        kinds = {left, right}
        if kinds & {"text", "words"}:
            if isinstance(operation, ast.Mod) and left in ("text", "words"):
                self.calls(SHOWN)
                return "words"
            if not isinstance(operation, ast.Add) or not kinds <= {"text", "words", "bare", "any"}:
                self.text_used()
            return "words" if kinds != {"text"} else "text"
        if kinds & {"any", "made", "some"}:
            name = BINARY[type(operation)]
            self.calls([f"__{name}__", f"__r{name}__"])
        if isinstance(operation, ast.BitOr) and kinds <= {"type", "class", "any"} | {f"builtin {one}" for one in TYPES}:
            return "type"
        self.step()
        if kinds == {"constant"}:
            self.odd("computes a number from numbers")
        if not isinstance(operation, ast.Add | ast.Sub | ast.Mult | ast.Div | ast.Pow):
            self.odd(f"uses an operator, {BINARY[type(operation)]}")
        if isinstance(operation, ast.Pow) and left == "constant":
            self.odd("raises a number of its own to a power")
        if kinds & {"id"}:
            self.refuse("computes with an id")
        if kinds & {"made", "some"}:
            return "some"
        return "any" if "any" in kinds else "number"

    def compare(self, node: ast.Compare) -> str:
        kinds = [self.value(item) for item in (node.left, *node.comparators)]
        for operation, left, right in zip(node.ops, kinds[:-1], kinds[1:], strict=True):
            pair = {left, right}
            if "words" in pair:
                self.refuse("depends on a text")
            if isinstance(operation, ast.Is | ast.IsNot):
                if "none" not in pair and pair & {"bare", "result", "number", "constant", "some"}:
                    self.odd("asks whether a number is another")
                continue
            if isinstance(operation, ast.In | ast.NotIn):
                self.calls(["__contains__", *HASHED])
                if "text" in pair and not self.tolerant:
                    self.refuse("depends on a text")
                if left not in ("any", "made", "some", "id", "type", "class", "text"):
                    self.odd("asks whether a number is in a list")
                continue
            if pair & {"any", "made", "some"}:
                self.calls(ORDERED)
            if "text" in pair:
                if not self.tolerant or not pair <= {"text", "bare"}:
                    self.refuse("depends on a text")
                continue
            if "id" in pair:
                if pair != {"id"} or not isinstance(operation, ast.Eq | ast.NotEq):
                    self.refuse("computes with an id")
                continue
            typed = {"type", "class"} | {f"builtin {one}" for one in TYPES}
            if pair <= typed:
                continue
            bare = {"any", "bare", "made"} | ({"result"} if self.depth > 1 else set())
            self.facts.compares = True
            if pair == {"constant"} or not ("constant" in pair and pair - {"constant"} <= bare):
                self.odd("compares what it computes")
        return "truth"

    def call(self, node: ast.Call) -> str:
        function = self.value(node.func)
        where, _, name = function.partition(" ")
        kinds = [self.value(argument) for argument in node.args]
        kinds += [self.value(keyword.value) for keyword in node.keywords]
        texts = set(kinds) & {"text", "words"}
        if function == "class":
            self.calls(["__init__", "__post_init__"])
            return "any" if len(kinds) == 1 and kinds[0] in ("any", "bare", "constant") else "made"
        if "shared" in kinds and where != "builtin":
            self.refuse("passes a default around that can change")
        if function == "local":
            self.loop()
            if "words" in texts:
                self.refuse("depends on a text")
            return "some"
        if where == "method":
            if "words" in texts:
                self.refuse("depends on a text")
            return "some"
        if where == "builtin":
            return self.call_builtin(name, node, kinds)
        if where == "function":
            if texts:
                self.refuse("depends on a text")
            if set(kinds) & {"any", "made", "some"}:
                self.calls(["__float__", "__index__", "__array__", name])
            if name not in SMOOTH and name not in TESTS:
                self.odd(f"calls {name}()")
            self.facts.compares |= name in TESTS
            if name in TESTS and not set(kinds) <= {"bare", "any", "result"}:
                self.odd("tests what it computes")
            if kinds and set(kinds) <= {"constant"}:
                self.odd("computes a number from numbers")
            if name not in TESTS:
                self.step()
            self.facts.elementary = True
            return "truth" if name in TESTS else "number"
        if where == "container":
            self.facts.looks_into = True
            self.calls(HASHED if name in ("add", "discard", "remove", "index", "count", "get", "setdefault") else ())
            if name == "sort":
                self.calls(ORDERED)
            return "some"
        if where == "text":
            self.calls(SHOWN)
            if name != "format":
                self.text_used()
            return "words"
        if function in ("bare", "result"):  # the rule that a node carries
            called = node.func
            if isinstance(called, ast.Attribute) and not kinds:
                return "any"
        self.refuse("calls what it was given")
        return "any"

    def call_builtin(self, name: str, node: ast.Call, kinds: list[str]) -> str:
        texts = set(kinds) & {"text", "words"}
        if set(kinds) & {"any", "made", "some", "local"} or name in (
            "set",
            "frozenset",
            "dict",
            "sorted",
            "min",
            "max",
            "sum",
        ):
            self.calls(CALLED_BY.get(name, ITERATED))
        if name == "exception":
            return "any"
        if name in ON_TEXT:
            self.calls(SHOWN)
            return "words"
        if name in ("getattr", "hasattr"):
            sought = node.args[1] if len(node.args) > 1 else None
            if not isinstance(sought, ast.Constant) or not isinstance(sought.value, str):
                self.refuse(f"calls {name}() with a name that it computes")
            elif sought.value in self.attributes:
                return "bare" if name == "getattr" else "truth"
            elif not functions_of(self.members.get(sought.value)):
                self.refuse(f"looks for an attribute {sought.value!r}")
            elif name == "getattr":
                self.calls([sought.value])
                return f"method {sought.value}"
            return "truth"
        if name in ("isinstance", "issubclass"):
            return "truth"
        if name == "type":
            return "class" if node.args and self.is_self(node.args[0]) else "type"
        if name == "callable":
            return "truth"
        if name == "hash":
            self.odd("calls hash()")
            return "number"
        if name == "id":
            self.facts.ids.add(node.lineno)
            return "id"
        if "words" in texts or ("text" in texts and name in ON_NUMBERS):
            self.refuse("depends on a text")
        if name == "super":
            self.refuse("calls super()")
        if name in ON_NUMBERS:
            if name in ("int", "round", "divmod", "complex"):
                self.odd(f"calls {name}()")
            self.facts.compares |= name in ("min", "max", "abs", "bool")
            given = [kind for kind in kinds if kind != "constant"]
            if name in ("min", "max", "abs") and (len(given) > 1 or not set(given) <= {"bare", "any"}):
                self.odd(f"calls {name}() with what it computes")
            if name == "bool" and not set(kinds) <= {"bare", "any", "truth"}:
                self.odd("depends on whether a computed number is zero")
            if name == "sum":
                self.loop()
                return "some"
            if name == "bool":
                return "truth"
            if name != "float":
                self.step()
            if name in ("min", "max") and set(kinds) & {"any", "made", "some"}:
                return "some"
            return "constant" if kinds and set(kinds) <= {"constant"} else "number"
        if name == "len":
            return "number"
        if name in ("set", "frozenset"):
            self.facts.looks_into |= bool(node.args) and self.element(node.args[0]) in NUMBERS
        else:
            self.facts.looks_into |= name not in ("list", "tuple", "zip", "enumerate", "reversed", "range")
        return "fresh" if name in ("list", "set", "dict", "sorted") else "some"

    def is_self(self, node: ast.expr) -> bool:
        scope = self.scope
        while scope is not None and scope.parent is not None:
            scope = scope.parent
        first = self.function.__code__.co_varnames[0] if self.function.__code__.co_argcount else None
        return isinstance(node, ast.Name) and node.id == first


def _as_load(target: ast.expr) -> ast.expr:
    match target:
        case ast.Name():
            return ast.copy_location(ast.Name(id=target.id, ctx=ast.Load()), target)
        case ast.Attribute():
            return ast.copy_location(ast.Attribute(value=target.value, attr=target.attr, ctx=ast.Load()), target)
        case ast.Subscript():
            return ast.copy_location(ast.Subscript(value=target.value, slice=target.slice, ctx=ast.Load()), target)
    return target


def _folded(node: ast.expr) -> float | None:
    """The value of arithmetic on nothing but written numbers."""
    match node:
        case ast.Constant() if type(node.value) in (int, float):
            return float(node.value)  # type: ignore[arg-type]
        case ast.UnaryOp(op=ast.USub()):
            inner = _folded(node.operand)
            return None if inner is None else -inner
        case ast.BinOp():
            left, right = _folded(node.left), _folded(node.right)
            if left is None or right is None:
                return None
            if isinstance(node.op, ast.Div) and right:
                return left / right
            if isinstance(node.op, ast.Mult):
                return left * right
    return None


def _is_immutable(value: Any) -> bool:
    if value is None or type(value) in (bool, int, float, complex, str, bytes) or value in (float, int):
        return True
    return type(value) in (tuple, frozenset) and all(map(_is_immutable, value))


def _written_by_python(function: FunctionType, cls: type) -> bool:
    """Whether `dataclasses` or `functools` wrote the method, for the author."""
    if function.__code__.co_filename == "<string>":
        return "__dataclass_fields__" in vars(cls)
    return any(function.__code__.co_filename == getattr(sys.modules.get(name), "__file__", None) for name in STANDARD)


def examine(
    function: FunctionType,
    cls: type,
    attributes: Iterable[str],
    text: bool = False,
    tolerant: bool = False,
    of_class: bool = False,
) -> Facts:
    """What a method is made of.

    Parameters
    ----------
    function : function
        A method of the class.
    cls : type
        The class as its author wrote it.
    attributes : collection of str
        What its methods may read and set: the attributes of the class's instances.
    text : bool
        Whether it may work on text: ``__repr__`` and the like.
    tolerant : bool
        Whether it may compare an attribute with a text: ``backward()``, which may ask for the op of a node.
    of_class : bool
        Whether it is a class method.

    Raises
    ------
    Unclean
        If it may not be tried: it does something that is not known to be harmless.
    """
    if _written_by_python(function, cls):
        facts = Facts()
        facts.calls = names(function.__code__) & set(vars(cls))
        for default in vars(cls).get("__dataclass_fields__", {}).values():
            factory = default.default_factory
            if factory not in (dataclasses.MISSING, list, set, dict, tuple, float, int):
                if not isinstance(factory, FunctionType):
                    raise Unclean(f"makes a default with {factory!r:.40}")
                examine(factory, cls, attributes)
        return facts
    node = node_of(function.__code__)
    if node is None:
        raise Unclean("is not in the source of the program")
    if function.__code__.co_flags & 0x2A0:  # generator, coroutine, async generator
        raise Unclean("is a generator")
    return _Examiner(function, cls, attributes, text, tolerant, of_class).whole(node)


def unclean(facts: Mapping[str, Facts], hazards: Mapping[str, str]) -> dict[str, str]:
    """The hazards of those that call, directly or not, what has one."""
    found = dict(hazards)
    changed = True
    while changed:
        changed = False
        for name, one in facts.items():
            if name in found:
                continue
            bad = sorted(one.calls & set(found))
            if bad:
                found[name] = f"calls {bad[0]}, which {found[bad[0]]}"
                changed = True
    return found
