"""Statements, and functions: the whole of a method."""

from __future__ import annotations

import ast
from types import FunctionType

from kilograd import reading
from kilograd.run.purity.calls import Calls
from kilograd.run.purity.facts import Facts, Unclean
from kilograd.run.purity.kinds import Scope, is_immutable, join
from kilograd.run.purity.switches import place_of
from kilograd.run.purity.words import BINARY
from kilograd.run.source import Function, node_of


def tree_of(function: FunctionType) -> Function:
    """The tree of a function that may be tried.

    Raises
    ------
    Unclean
        If it has none, or does not run to its end when it is called.
    """
    node = node_of(function.__code__)
    if node is None:
        raise Unclean("is not in the source of the program")
    if function.__code__.co_flags & 0x2A0:  # generator, coroutine, async generator
        raise Unclean("is a generator")
    return node


class Examiner(Calls):
    """Walks a method until the kinds of its variables are known, and once more to judge it."""

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

    def examined(self, helper: FunctionType, bound: bool) -> Facts:
        node = tree_of(helper)
        if helper.__globals__ is not self.function.__globals__ and self.own in reading.names(helper.__code__):
            raise Unclean(f"mentions {self.own} in another module")
        part = Examiner(helper, self.cls, self.attributes, False, self.tolerant, False)
        part.helpers, part.bound = self.helpers, bound
        return part.whole(node)

    def in_function(self, node: Function, parent: Scope | None) -> None:
        if isinstance(node, ast.AsyncFunctionDef):
            self.refuse("is a coroutine")
        if id(node) not in self.scopes:
            self.scopes[id(node)] = Scope(node, parent)
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
                self.visit(statement)
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
                scope.kinds[name] = join(None if scope.kinds[name] == "any" else scope.kinds[name], "text")
            elif default is float or default is int:
                scope.kinds[name] = "type"
            elif type(default) in (list, set, dict) and not default and function.__name__ == "__init__":
                scope.kinds[name] = "shared"
                self.facts.shares = True
            elif not is_immutable(default):
                self.refuse(f"has a default that can change, {name}={default!r:.40}")

    def nested(self, node: Function) -> None:
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.value(default)
        self.in_function(node, self.scope)

    def visit_Lambda(self, node: ast.Lambda) -> str:
        self.nested(node)
        return "local"

    # --- statements

    def statements(self, *bodies: list[ast.stmt]) -> None:
        for body in bodies:
            for statement in body:
                self.visit(statement)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None:
            self.value(node.value)

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.value(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        constant = isinstance(node.value, ast.Constant) and not isinstance(node.value.value, str | None)
        plain = constant and all(isinstance(target, ast.Attribute) for target in node.targets)
        kind = "constant" if plain else self.value(node.value)  # what an attribute begins with
        for target in node.targets:
            self.store(target, kind, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.store(node.target, self.value(node.value), node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        left = self.value(_as_load(node.target))
        if left != "fresh":
            self.facts.mutates |= isinstance(node.op, ast.Add) and isinstance(node.value, ast.List | ast.Tuple)
        if left == "shared":
            self.changes(left)
        kind = self.arithmetic(node.op, left, self.value(node.value))
        if left in ("any", "made"):
            self.calls([f"__i{BINARY[type(node.op)]}__"])
        self.store(node.target, kind, None)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.decorator_list:
            self.refuse("decorates a function")
        self.nested(node)
        self.assign(node.name, "local")

    def visit_If(self, node: ast.If) -> None:
        self.test(node.test)
        usual = self.usually(node.test)
        for body, taken in ((node.body, True), (node.orelse, False)):
            steps = self.facts.steps, self.facts.late_steps
            self.statements(body)
            if usual is not None and usual is not taken:  # what only the author's code does
                self.facts.steps, self.facts.late_steps = steps

    def usually(self, test: ast.expr) -> bool | None:
        """What a test gives that asks a switch alone, while that is as it was when the class was judged."""
        match test:
            case ast.UnaryOp(op=ast.Not()):
                usual = self.usually(test.operand)
                return None if usual is None else not usual
            case ast.Attribute() if test.attr in self.facts.switches and self.value(test.value) == "class":
                return bool(self.members[test.attr])
            case ast.Name() if self.value(test) == "truth" and test.id in self.facts.globals:
                return bool(self.function.__globals__[test.id])
            case ast.Attribute() if self.is_switch_of_object(test):
                place, attribute = place_of(self.function.__globals__, ast.unparse(test))
                return bool(getattr(place, attribute) if isinstance(place, type) else place[attribute])
        return None

    def visit_While(self, node: ast.While) -> None:
        self.loop()
        self.test(node.test)
        self.statements(node.body, node.orelse)

    def visit_For(self, node: ast.For) -> None:
        self.loop()
        self.iterated(node.iter)
        self.store(node.target, self.element(node.iter), None)
        self.statements(node.body, node.orelse)

    def visit_Assert(self, node: ast.Assert) -> None:
        self.test(node.test)
        if node.msg is not None:
            self.value(node.msg)

    def visit_Raise(self, node: ast.Raise) -> None:
        for part in (node.exc, node.cause):
            if part is not None:
                self.value(part)

    def visit_Try(self, node: ast.Try) -> None:
        if not self.tolerant:
            self.odd("handles exceptions")
        self.statements(node.body, node.orelse, node.finalbody)
        for handler in node.handlers:
            if handler.type is not None:
                self.value(handler.type)
            self.statements(handler.body)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name not in ("math", "cmath", "numpy"):
                self.refuse(f"imports {alias.name}")
            self.assign(alias.asname or alias.name, f"module {alias.name}")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.module != "math" or node.level:
            self.refuse(f"imports from {node.module}")
        for alias in node.names:
            self.looks_up("math", alias.name)
            self.assign(alias.asname or alias.name, f"function {alias.name}")

    def visit_Pass(self, node: ast.Pass | ast.Break | ast.Continue) -> None:
        pass

    visit_Break = visit_Continue = visit_Pass  # noqa: N815 - the protocol's names

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        for name in node.names:
            if self.scope is None or self.scope.find(name) is None:
                self.refuse(f"changes the variable {name!r} of an enclosing function")

    def visit_Global(self, node: ast.Global) -> None:
        self.refuse(f"changes the global {node.names[0]!r}")

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if not isinstance(target, ast.Name):
                self.refuse("deletes something")


def _as_load(target: ast.expr) -> ast.expr:
    match target:
        case ast.Name():
            return ast.copy_location(ast.Name(id=target.id, ctx=ast.Load()), target)
        case ast.Attribute():
            return ast.copy_location(ast.Attribute(value=target.value, attr=target.attr, ctx=ast.Load()), target)
        case ast.Subscript():
            return ast.copy_location(ast.Subscript(value=target.value, slice=target.slice, ctx=ast.Load()), target)
    return target
