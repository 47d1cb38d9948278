"""Reading a program before it runs: what it may do that would tell the engine's objects from its author's.

A method that is served natively stands for what its names meant when it was judged, the class's own objects among them.
Whether the program may bind such a name again (``math.tanh = f``, a ``max`` defined further down, ``globals()``), look
at addresses and lifetimes, or reach for what an engine object does not have, is read off all of its source: the script
or module, and the program's own modules that it imports, as they are found. What it imports on the sly comes later,
and is read before it is executed.

In doubt the answer is yes: a word that stands anywhere in the program counts as used.
"""

from __future__ import annotations

import ast
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator

from kilograd.run import territory
from kilograd.run.record import field, record
from kilograd.run.source import is_candidate
from kilograd.run.words import ADDRESSES, BINDS, BY_NAME, DIFFERS, DROPS, HOLDING, NOTEBOOK, PATCHES, TRACKED

__all__ = ["Survey", "survey"]


@record
class _Binding:
    kind: str  # "class", "import NAME", "star" or "other"
    line: int
    once: bool  # at the level of the module, and in no loop
    turn: int  # how many modules had been read


@record
class _Store:
    """``base.name = ...``, or ``setattr(base, "name", ...)``."""

    base: str | None
    name: str
    line: int
    own: bool  # base is the first parameter of a method
    module: bool  # base is a module


@record
class _Module:
    """A module of the program, or all cells of a notebook."""

    scope: dict[str, list[_Binding]] = field(default_factory=lambda: defaultdict(list))
    functions: list[tuple[int, int, dict[str, list[_Binding]]]] = field(default_factory=list)  # from line, to line


@record
class Survey:
    """What is known of the program so far."""

    folder: str | None = None
    modules: dict[str, _Module] = field(default_factory=dict)
    mentioned: dict[str, dict[str, int]] = field(
        default_factory=lambda: {"name": {}, "attribute": {}, "import": {}, "text": {}}
    )
    ids: set[tuple[str, int]] = field(default_factory=set)
    stores: list[_Store] = field(default_factory=list)
    deleted: dict[str, int] = field(default_factory=dict)
    escaped: set[str] = field(default_factory=set)  # modules that are passed around
    own: set[str] = field(default_factory=set)  # modules of the program itself, by the names that it has for them
    foreign: dict[str, int] = field(default_factory=dict)  # packages that nobody has read
    finalizers: int = 0
    collects: bool = False
    turn: int = 0

    # --- reading

    def add(self, filename: str, tree: ast.Module) -> None:
        """Read a module that is about to be executed, and what it imports of the program's own."""
        key = _path(filename)
        self.turn += 1
        if key not in self.modules or key == NOTEBOOK:
            _Reader(self, key, self.modules.setdefault(key, _Module())).visit(tree)

    def follow(self, filename: str, module: str | None, level: int, names: Iterable[str]) -> bool:
        """Read the program's own module of that name, and those of `names` that are modules; whether it is one."""
        if self.folder is None:
            return False
        start = self.folder
        if level:
            start = os.path.dirname(os.path.abspath(filename))
            for _ in range(level - 1):
                start = os.path.dirname(start)
        parts = module.split(".") if module else []
        found = bool(level) and not parts
        if parts and not level:
            start = self._top(parts.pop(0))
            found = self._read_module(start)
        for part in parts:
            start = os.path.join(start, part)
            found = self._read_module(start)
        if found:
            for name in names:
                self._read_module(os.path.join(start, name))
        return found

    def _top(self, name: str) -> str:
        """Where the top-level module of that name is: in the program's folder, or where an import finds it now."""
        assert self.folder is not None
        place = os.path.join(self.folder, name)
        beside = os.path.isdir(place) or os.path.isfile(f"{place}.py")
        return place if beside else territory.find(name) or place

    def _read_module(self, path: str) -> bool:
        for file in (f"{path}.py", os.path.join(path, "__init__.py")):
            if os.path.isfile(file):
                self._read(file)
                return True
        return os.path.isdir(path)

    def _read(self, path: str) -> None:
        if _path(path) in self.modules:
            return
        try:
            with open(path, "rb") as file:
                tree = ast.parse(file.read(), path)
        except (OSError, SyntaxError, ValueError):
            return  # it says so itself when it is imported
        self.add(path, tree)

    # --- questions

    def _any(self, table: dict[str, frozenset[str]]) -> str | None:
        by_text = {
            "name": "eval" in self.mentioned["name"],
            "attribute": not BY_NAME.isdisjoint(self.mentioned["name"]),
            "import": False,
        }
        for kind, words in table.items():
            for word in sorted(words):
                if word in self.mentioned[kind] or (by_text[kind] and word in self.mentioned["text"]):
                    return word
        return None

    def objection(self, attributes: Iterable[str]) -> str | None:
        """Why no class of the program may be served, or None."""
        word = self._any(BINDS)
        if word is not None:
            return f"the program uses {word}, which may give names another meaning"
        word = self._any(DIFFERS)
        if word is not None:
            return f"the program uses {word}, which tells engine objects from others"
        for name in sorted(attributes):
            if name in self.deleted or "delattr" in self.mentioned["name"]:
                return f"the program deletes an attribute {name!r}"
        if attributes and self.looks_into_dicts and not DROPS.isdisjoint(self.mentioned["attribute"]):
            return "the program may take attributes out of a __dict__"
        for store in self.stores:
            if store.name in ("__class__", "__dict__"):
                return f"the program sets {store.name}"
        if self.finalizers:
            return "the program has a __del__, which shows when objects die"
        if "weakref" in self.mentioned["name"] and not self.collects:
            return "the program uses weakref, which shows when objects die"
        return None

    def changes(self, inherited: frozenset[str]) -> str | None:
        """Why a class may not be served that has these names from its bases, or None."""
        if not inherited:
            return None
        if "setattr" in self.mentioned["name"]:
            return "the program sets attributes by name, of a base class perhaps"
        for store in self.stores:
            special = store.name[:2] == store.name[-2:] == "__"
            if store.name in inherited or (special and not store.own):
                return f"line {store.line} may set {store.name} of a base class"
        return None

    def mentions(self, name: str) -> bool:
        """Whether the name stands anywhere, in a text even."""
        return any(name in mentioned for mentioned in self.mentioned.values())

    @property
    def looks_into_dicts(self) -> bool:
        """Whether the program uses ``vars()`` or ``__dict__``."""
        return "vars" in self.mentioned["name"] or "__dict__" in self.mentioned["attribute"]

    def keeps(self, spared: set[tuple[str, int]], has_text: bool) -> bool:
        """Whether the program may compare addresses, or see when an object dies.

        Parameters
        ----------
        spared : set of (str, int)
            Where ``id()`` is called on nothing but nodes that a graph holds.
        has_text : bool
            Whether the class has a ``__repr__`` of its own: that of `object` shows the address.
        """
        if self.ids - {(_path(filename), line) for filename, line in spared} or self.foreign:
            return True
        others = {kind: words - {"id"} for kind, words in ADDRESSES.items()}
        if self._any(others) is not None:
            return True
        return not has_text and bool({"repr", "str", "format"} & set(self.mentioned["name"]))

    def rebinding(self, filename: str, line: int, where: str, name: str, turn: int) -> str | None:
        """How the program may give another meaning to a name that the function at `line` of `filename` looks up.

        Parameters
        ----------
        where : str
            "own" for the name of the class, "enclosing" for the variable of an enclosing function, "global",
            "builtin", or the module whose attribute it is.
        turn : int
            How many modules had been read when the function was judged first.
        """
        if where in TRACKED or where in ("typing", "numbers"):
            for store in self.stores:
                if store.name == name and (store.base == where or (where in self.escaped and not store.own)):
                    return f"line {store.line} may set {where}.{name}"
            if where in self.escaped and (
                not {"setattr", "vars"}.isdisjoint(self.mentioned["name"]) or "__dict__" in self.mentioned["attribute"]
            ):
                return f"the program passes {where} around, and sets attributes by name"
            return None
        loose = bool(self.own & self.escaped)
        for store in self.stores:
            if store.name == name and (store.module or (loose and not store.own)):
                return f"line {store.line} may set {name}"
        module = self.modules.get(_path(filename)) or self.modules.get(NOTEBOOK)
        if module is None:
            return None
        cells = _path(filename) not in self.modules  # of a notebook: lines say nothing of the order

        def past(binding: _Binding) -> bool:
            """Whether it happened before, and never again."""
            return binding.once and (binding.turn < turn if cells else binding.line < line)

        enclosing = [scope for start, end, scope in module.functions if name in scope and start <= line <= end]
        if where == "enclosing":
            again = [scope[name][-1].line for scope in enclosing if len(scope[name]) > 1]
            return f"line {again[0]} may bind {name} again" if again else None
        bindings = [
            binding
            for binding in (*module.scope.get(name, []), *module.scope.get("*", []))
            if not past(binding) or (binding.kind != "star" and where == "global")
        ]
        if where == "own":
            for scope in enclosing:
                if any(binding.kind == "class" for binding in scope[name]):
                    bindings = scope[name]
        kinds = {binding.kind for binding in bindings}
        allowed = {"class"} if where == "own" else set() if where == "builtin" else {min(kinds, default="")}
        if kinds <= allowed and not (where == "global" and kinds == {"other"} and len(bindings) > 1):
            return None
        at = max(bindings, key=lambda binding: (binding.kind not in allowed, binding.line)).line
        return f"line {at} may bind {name} again"


class _Reader(ast.NodeVisitor):
    def __init__(self, survey: Survey, filename: str, module: _Module) -> None:
        self.survey, self.filename, self.module = survey, filename, module
        self.scopes: list[dict[str, list[_Binding]] | None] = [module.scope]  # None: the body of a class
        self.outer: list[dict[str, str]] = [{}]
        self.modules: dict[str, str] = {}  # variables that are modules
        self.selves: list[str | None] = []
        self.loops = 0

    # --- names

    def mention(self, kind: str, name: str, node: ast.AST) -> None:
        self.survey.mentioned[kind].setdefault(name, getattr(node, "lineno", 0))

    def bind(self, name: str, kind: str, line: int) -> None:
        how = self.outer[-1].get(name)
        binding = _Binding(kind, line, self.loops == 0 and len(self.scopes) == 1, self.survey.turn)
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
            self.survey.stores.append(_Store(base or name, node.attr, node.lineno, own, base is not None))
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
                    store = _Store(module or text, name.value, node.lineno, own, module is not None)
                    self.survey.stores.append(store)
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
                    self.survey.stores.append(_Store(module, argument.value, node.lineno, False, module is not None))
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
        self.survey.stores.append(_Store(base, name, node.lineno, False, True))

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
        scope: dict[str, list[_Binding]] = defaultdict(list)
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
                scope[argument.arg].append(_Binding("other", node.lineno, False, self.survey.turn))
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


def _path(filename: str) -> str:
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


survey = Survey()
