"""The tree of a module, read for `survey`: what it binds, sets, deletes, mentions and imports."""

from __future__ import annotations

import ast
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator

from kilograd.run.record import field, record
from kilograd.run.source import is_candidate
from kilograd.run.words import ADDRESSES, BINDS, DIFFERS, HOLDING, PATCHES, SETS_ERRORS, TRACKED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kilograd.run.survey import Survey

__all__ = ["Binding", "Module", "Store", "path_of", "read"]


@record
class Binding:
    """What gives a name its meaning."""

    kind: str  # "class", "import NAME", "star" or "other"
    line: int
    once: bool  # at the level of the module, and in no loop
    turn: int  # how many modules had been read


@record
class Store:
    """``base.name = ...``, or ``setattr(base, "name", ...)``."""

    base: str | None
    name: str
    line: int
    own: bool  # base is the first parameter of a method
    module: bool  # base is a module


@record
class Module:
    """A module of the program, or all cells of a notebook."""

    scope: dict[str, list[Binding]] = field(default_factory=lambda: defaultdict(list))
    functions: list[tuple[int, int, dict[str, list[Binding]]]] = field(default_factory=list)  # from line, to line


def read(survey: Survey, filename: str, module: Module, tree: ast.Module) -> None:
    """Note in `survey` and `module` what the tree of a module holds."""
    _Reader(survey, filename, module).visit(tree)


class _Reader(ast.NodeVisitor):
    def __init__(self, survey: Survey, filename: str, module: Module) -> None:
        self.survey, self.filename, self.module = survey, filename, module
        self.scopes: list[dict[str, list[Binding]] | None] = [module.scope]  # None: the body of a class
        self.outer: list[dict[str, str]] = [{}]
        self.modules: dict[str, str] = {}  # variables that are modules
        self.selves: list[str | None] = []
        self.loops = 0

    # --- names

    def mention(self, kind: str, name: str, node: ast.AST) -> None:
        self.survey.mentioned[kind].setdefault(name, getattr(node, "lineno", 0))

    def bind(self, name: str, kind: str, line: int) -> None:
        how = self.outer[-1].get(name)
        binding = Binding(kind, line, self.loops == 0 and len(self.scopes) == 1, self.survey.turn)
        if how == "global":
            self.module.scope[name].append(binding)
        elif how == "nonlocal":
            for scope in self.scopes[1:-1]:
                if scope is not None:
                    scope[name].append(binding)
        elif self.scopes[-1] is not None:
            self.scopes[-1][name].append(binding)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.mention("name", node.id, node)
            if node.id == "id":
                self.survey.ids.add((self.filename, node.lineno))
            if node.id in self.modules:
                self.survey.escaped.add(self.modules[node.id])
        else:
            self.bind(node.id, "other", node.lineno)

    def root(self, node: ast.expr) -> str | None:
        """The module that the expression may be."""
        if isinstance(node, ast.Name):
            return self.modules.get(node.id)
        if isinstance(node, ast.Attribute) and node.attr in TRACKED:
            return node.attr
        return None

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.mention("attribute", node.attr, node)
        base = self.root(node.value)
        if isinstance(node.value, ast.Name):
            self.mention("name", node.value.id, node)
        name = node.value.id if isinstance(node.value, ast.Name) else None
        if isinstance(node.ctx, ast.Store):
            own = name is not None and bool(self.selves) and name == self.selves[-1]
            self.survey.stores.append(Store(base or name, node.attr, node.lineno, own, base is not None))
        elif isinstance(node.ctx, ast.Del):
            self.survey.deleted.setdefault(node.attr, node.lineno)
        through_super = isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "super"
        if node.attr in ("__setattr__", "__delattr__") and not through_super:
            self.mention("attribute", "object.__setattr__", node)  # which refuses objects of an extension's type
        if node.attr == "collect" and name == "gc":
            self.survey.collects = True
        if node.attr == "modules" and base == "sys":
            self.mention("attribute", "reload", node)
        if base is not None and node.attr == "__dict__":
            self.mention("attribute", "__globals__", node)
        if node.attr in TRACKED and isinstance(node.ctx, ast.Load):
            self.survey.escaped.add(node.attr)
        if base is None or not isinstance(node.value, ast.Name):
            self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func.id if isinstance(node.func, ast.Name) else None
        if function in ("setattr", "getattr", "hasattr") and len(node.args) > 1:
            name = node.args[1]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                self.mention("attribute", name.value, node)
                if function == "setattr":
                    module, base = self.root(node.args[0]), node.args[0]
                    text = base.id if isinstance(base, ast.Name) else None
                    own = bool(self.selves) and text is not None and text == self.selves[-1]
                    store = Store(module or text, name.value, node.lineno, own, module is not None)
                    self.survey.stores.append(store)
        if (node.func.attr if isinstance(node.func, ast.Attribute) else function) in SETS_ERRORS:
            written = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg is not None)]
            self.survey.sets_errors |= not all(isinstance(part, ast.Constant) for part in written)
        if function == "vars" and (not node.args or self.root(node.args[0]) is not None):
            self.mention("attribute", "__globals__", node)
        if isinstance(node.func, ast.Attribute) and node.func.attr in PATCHES:
            self.patches(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("__setattr__", "__delattr__"):
            if isinstance(node.func.value, ast.Name) and node.func.value.id == "type":
                self.mention("attribute", "__globals__", node)
            holders = [self.root(part) for part in (node.func.value, *node.args)]
            module = next((holder for holder in holders if holder is not None), None)
            for argument in node.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    self.mention("attribute", argument.value, node)
                    self.survey.stores.append(Store(module, argument.value, node.lineno, False, module is not None))
        self.generic_visit(node)

    def patches(self, node: ast.Call) -> None:
        """``monkeypatch.setattr(math, "tanh", f)``, ``mocker.patch("math.tanh")`` and their like."""
        texts = [part.value for part in node.args if isinstance(part, ast.Constant) and isinstance(part.value, str)]
        if not texts:
            self.mention("attribute", "__globals__", node)
            return
        holder, _, name = texts[0].rpartition(".")
        base = holder.rpartition(".")[2] or next(filter(None, map(self.root, node.args)), None)
        self.mention("attribute", name, node)
        self.survey.stores.append(Store(base, name, node.lineno, False, True))

    def visit_Constant(self, node: ast.Constant) -> None:
        if not isinstance(node.value, str):
            return
        if node.value.isidentifier():
            self.mention("text", node.value, node)
        else:
            for word in _words(node.value):
                self.mention("text", word, node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            self.visit(node.value)

    # --- bindings

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            top = alias.name.partition(".")[0]
            name = alias.asname or top
            target = alias.name if alias.asname else top
            self.modules[name] = target
            self.bind(name, f"import {target}", node.lineno)
            if self.imported(alias.name, 0, (), node):
                self.survey.own.add(target)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            if alias.name == "*":
                self.bind("*", "star", node.lineno)
                continue
            name = alias.asname or alias.name
            if alias.name in TRACKED:
                self.modules[name] = alias.name
            elif self.survey.follow(self.filename, ".".join(filter(None, (node.module, alias.name))), node.level, ()):
                self.modules[name] = alias.name
                self.survey.own.add(alias.name)
            self.mention("attribute", alias.name, node)
            if (node.module, alias.name) == ("sys", "modules"):
                self.mention("attribute", "reload", node)
            if alias.name == "collect":
                self.survey.collects = True
            if node.module == "weakref":
                self.mention("name", "weakref", node)
            if alias.name in ADDRESSES["name"] | BINDS["name"] | DIFFERS["name"]:
                self.mention("name", alias.name, node)
            self.bind(name, f"import {node.module}.{alias.name}", node.lineno)
        self.imported(node.module, node.level, [alias.name for alias in node.names], node)

    def imported(self, module: str | None, level: int, names: Iterable[str], node: ast.AST) -> bool:
        own = self.survey.follow(self.filename, module, level, names)
        for part in (module or "").split("."):
            self.mention("import", part, node)
        top = (module or "").partition(".")[0]
        if top in sys.stdlib_module_names:
            for part in names:
                self.mention("import", part, node)
        if not own and not level and top not in sys.stdlib_module_names and top not in HOLDING:
            self.survey.foreign.setdefault(top, getattr(node, "lineno", 0))
        return own

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        again = bool(node.bases) and any(one.kind == "class" for one in (self.scopes[-1] or {}).get(node.name, ()))
        marked = is_candidate(node) and not node.keywords and not again  # it may derive from the other one of its name
        self.bind(node.name, "class" if marked else "other", node.lineno)
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(part)
        self.scopes.append(None)
        self.outer.append({})
        for statement in node.body:
            self.visit(statement)
        self.outer.pop()
        self.scopes.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.bind(node.name, "other", node.lineno)
        if node.name == "__del__":
            self.survey.finalizers += 1
        for part in node.decorator_list:
            self.visit(part)
        self.function(node, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - the protocol's name

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.function(node, [node.body])

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, body: Iterable[ast.AST]) -> None:
        arguments = node.args
        for default in (*arguments.defaults, *arguments.kw_defaults):
            if default is not None:
                self.visit(default)
        positional = [*arguments.posonlyargs, *arguments.args]
        method = self.scopes[-1] is None and bool(positional)
        scope: dict[str, list[Binding]] = defaultdict(list)
        self.module.functions.append((node.lineno, node.end_lineno or node.lineno, scope))
        outer = {
            name: "global" if isinstance(part, ast.Global) else "nonlocal"
            for part in ast.walk(node)
            if isinstance(part, ast.Global | ast.Nonlocal)
            for name in part.names
        }
        self.scopes.append(scope)
        self.outer.append(outer)
        nested = self.selves[-1] if self.selves else None
        self.selves.append(positional[0].arg if method else nested)
        for argument in (*positional, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
            if argument is not None:
                scope[argument.arg].append(Binding("other", node.lineno, False, self.survey.turn))
        for part in body:
            self.visit(part)
        self.selves.pop()
        self.outer.pop()
        self.scopes.pop()

    def visit_For(self, node: ast.For | ast.AsyncFor | ast.While) -> None:
        self.loops += 1
        self.generic_visit(node)
        self.loops -= 1

    visit_AsyncFor = visit_While = visit_For  # noqa: N815 - the protocol's names

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self.bind(node.name, "other", node.lineno)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        if node.name:
            self.bind(node.name, "other", node.lineno)
        self.generic_visit(node)


def path_of(filename: str) -> str:
    """One name for a file, however it was called."""
    return os.path.realpath(filename) if os.path.exists(filename) else filename


def _words(text: str) -> Iterator[str]:
    """The names in a text that may be a piece of a program: for eval()."""
    try:
        tree = ast.parse(text.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
