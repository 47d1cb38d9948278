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
from collections.abc import Iterable

from kilograd.run import territory
from kilograd.run.reader import Binding, Module, Store, path_of, read
from kilograd.run.record import field, record
from kilograd.run.words import (
    ADDRESSES,
    BINDS,
    BY_NAME,
    DIFFERS,
    DROPS,
    NOTEBOOK,
    RAISES,
    SETS_ERRORS,
    TRACKED,
)

__all__ = ["Survey", "survey"]


@record
class Survey:
    """What is known of the program so far."""

    folder: str | None = None
    modules: dict[str, Module] = field(default_factory=dict)
    mentioned: dict[str, dict[str, int]] = field(
        default_factory=lambda: {"name": {}, "attribute": {}, "import": {}, "text": {}}
    )
    ids: set[tuple[str, int]] = field(default_factory=set)
    stores: list[Store] = field(default_factory=list)
    deleted: dict[str, int] = field(default_factory=dict)
    escaped: set[str] = field(default_factory=set)  # modules that are passed around
    own: set[str] = field(default_factory=set)  # modules of the program itself, by the names that it has for them
    foreign: dict[str, int] = field(default_factory=dict)  # packages that nobody has read
    sets_errors: bool = False  # of NumPy's, in a way that is not written out
    finalizers: int = 0
    collects: bool = False
    turn: int = 0

    # --- reading

    def add(self, filename: str, tree: ast.Module) -> None:
        """Read a module that is about to be executed, and what it imports of the program's own."""
        key = path_of(filename)
        self.turn += 1
        if key not in self.modules or key == NOTEBOOK:
            read(self, key, self.modules.setdefault(key, Module()), tree)

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
        if path_of(path) in self.modules:
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
    def numpy_may_raise(self) -> bool:
        """Whether the program may have NumPy do more than nothing where a number underflows."""
        texts = self.mentioned["text"].keys()
        return self.sets_errors or (any(map(self.mentions, SETS_ERRORS)) and not RAISES.isdisjoint(texts))

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
        if self.ids - {(path_of(filename), line) for filename, line in spared} or self.foreign:
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
        module = self.modules.get(path_of(filename)) or self.modules.get(NOTEBOOK)
        if module is None:
            return None
        cells = path_of(filename) not in self.modules  # of a notebook: lines say nothing of the order

        def past(binding: Binding) -> bool:
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


survey = Survey()
