"""What the names and attributes in a method stand for, and what it may bind and set."""

from __future__ import annotations

import ast
import builtins
import math
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable, Mapping
from types import BuiltinFunctionType, FunctionType, ModuleType

from kilograd.harmless import BUILTINS, ON_TEXT
from kilograd.run.clone import functions_of, helper_named
from kilograd.run.purity.facts import Facts, Unclean
from kilograd.run.purity.kinds import ORDINARY, Scope, join
from kilograd.run.purity.switches import holds_switch
from kilograd.run.purity.words import (
    CONTAINER_METHODS,
    NUMBER_ATTRIBUTES,
    NUMPY_FLOATS,
    PARTS_OF_TYPES,
    SAFE_TYPES,
    TEXT_METHODS,
    TYPES,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Names(ast.NodeVisitor):
    """The base of what walks a method: each node is visited as an expression, of a kind, or as a statement."""

    def __init__(
        self, function: FunctionType, cls: type, attributes: Iterable[str], text: bool, tolerant: bool, of_class: bool
    ) -> None:
        self.function, self.cls, self.own, self.text = function, cls, cls.__name__, text
        self.called: ast.expr | None = None  # what is being called
        self.bound = True  # its first parameter is a node
        self.helpers: dict[tuple[FunctionType, bool], Facts | Unclean] = {}  # what is known of functions it calls
        self.of_class = of_class
        self.attributes = frozenset(attributes)
        self.members: Mapping[str, Any] = vars(cls)
        self.facts = Facts()
        self.scopes: dict[int, Scope] = {}
        self.scope: Scope | None = None
        self.depth = 0
        self.sure = False  # the kinds of all variables are known: now it counts
        self.tolerant = tolerant

    def value(self, node: ast.expr) -> str:
        """What an expression is."""
        kind: str = self.visit(node)
        return kind

    def generic_visit(self, node: ast.AST) -> str:
        """Refuse what no visitor knows."""
        if isinstance(node, ast.stmt):
            self.refuse(f"has a statement {type(node).__name__.lower()!r}")
        else:
            self.refuse(f"has an expression {type(node).__name__!r}")
        return "any"

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

    def loop(self) -> None:
        self.facts.loops = True

    def text_used(self) -> None:
        if not self.text:
            self.refuse("depends on a text")

    # --- names

    def mangled(self, name: str) -> str:
        if name.startswith("__") and not name.endswith("__"):
            return f"_{self.own.lstrip('_')}{name}"
        return name

    def visit_Name(self, node: ast.Name) -> str:
        name = node.id
        scope = self.scope.find(name) if self.scope is not None else None
        if scope is not None:
            return scope.kinds[name] or "any"
        if name == self.own or name == "__class__":
            self.looks_up("own", self.own)
            return "class"
        if name in self.function.__code__.co_freevars:
            if helper_named(self.function, name) is not None:
                return self.helper(node, "enclosing")
            self.refuse(f"uses the variable {name!r} of an enclosing function")
            return "any"
        if self.is_switch(name):
            self.facts.globals.add(name)
            if self.depth > 1:
                self.odd(f"reads the global {name!r} when gradients flow")
            return "truth"
        if name in self.function.__globals__:
            if helper_named(self.function, name) is not None:
                return self.helper(node, "global")
            self.looks_up("global", name)
            return self.outside(name, self.function.__globals__[name])
        if hasattr(builtins, name):
            self.looks_up("builtin", name)
            return self.builtin(name)
        if helper_named(self.function, name) is not None:
            return self.helper(node, "global")
        self.refuse(f"uses the name {name!r}, which is not defined yet")
        return "any"

    def is_switch(self, name: str) -> bool:
        """Whether `name` is a variable of the class's module that holds a truth."""
        variables = self.function.__globals__
        return type(variables.get(name)) is bool and variables is self.members["__init__"].__globals__

    def helper(self, node: ast.Name, where: str) -> str:
        """A function of the program's: what it is made of counts where it is called."""
        self.looks_up(where, node.id)
        if node is not self.called:
            self.refuse(f"passes {node.id}() around")
        return f"helper {node.id}"

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
            if known in NUMPY_FLOATS and str(value.__module__) == "numpy":
                return f"builtin {known}"
            if value in (deque, defaultdict, Counter, OrderedDict):
                return "builtin container"
            if str(value.__module__).partition(".")[0] in SAFE_TYPES:
                exact = getattr(builtins, known, None) is value and known in BUILTINS
                return f"builtin {known}" if exact else "type"
        elif getattr(type(value), "__module__", "") in ("typing", "types"):
            return "type"
        elif type(value) in (int, float):
            if value not in ORDINARY:
                self.odd(f"depends on the number {name}")
            return "constant"
        self.refuse(f"uses the global {name!r}")
        return "any"

    # --- attributes

    def is_switch_of_object(self, node: ast.Attribute) -> bool:
        """Whether it is a truth on an object, or a class, that a variable of the class's module holds."""
        if not isinstance(node.value, ast.Name) or (self.scope is not None and self.scope.find(node.value.id)):
            return False
        name, variables = node.value.id, self.function.__globals__
        if name == self.own or name in self.function.__code__.co_freevars or name not in variables:
            return False
        return variables is self.members["__init__"].__globals__ and holds_switch(variables[name], node.attr)

    def visit_Attribute(self, node: ast.Attribute) -> str:
        if self.is_switch_of_object(node):
            switch = ast.unparse(node)
            self.looks_up("global", switch.partition(".")[0])
            self.facts.globals.add(switch)
            if self.depth > 1:
                self.odd(f"reads the global {switch!r} when gradients flow")
            return "truth"
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
            if base == "class" and type(self.members.get(name)) is bool:
                self.facts.switches.add(name)
                if self.depth > 1:
                    self.odd(f"reads {self.own}.{name} when gradients flow")
                return "truth"
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
        if where in ("function", "method", "container", "local", "helper"):
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
        if isinstance(found, type) and module == "numpy" and name in NUMPY_FLOATS:
            return f"builtin {name}"
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

    # --- stores

    def assign(self, name: str, kind: str) -> None:
        scope = self.scope.find(name) if self.scope is not None else None
        if scope is None:
            self.refuse(f"changes {name!r}")
        else:
            scope.kinds[name] = join(scope.kinds[name], kind)

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
