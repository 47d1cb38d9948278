"""Calls: of builtins, functions of math, methods, containers, and the class itself."""

from __future__ import annotations

import ast
from types import FunctionType

from kilograd.harmless import ON_NUMBERS, ON_TEXT
from kilograd.run.clone import functions_of, helper_named
from kilograd.run.purity.expressions import Expressions
from kilograd.run.purity.facts import Facts, Unclean
from kilograd.run.purity.kinds import NUMBERS
from kilograd.run.purity.words import (
    BY_NUMPY,
    CALLED_BY,
    HASHED,
    ITERATED,
    NUMPY_FLOATS,
    ORDERED,
    SHOWN,
    SMOOTH,
    TESTS,
)
from kilograd.run.record import replace


class Calls(Expressions):
    """Expressions, calls among them."""

    def visit_Call(self, node: ast.Call) -> str:
        self.called = node.func
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
        if where == "helper":
            return self.call_helper(name, node, kinds)
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
                self.calls([*BY_NUMPY, "__array_ufunc__", name])
            if name == "maximum":
                self.chooses(name, kinds)
            elif name not in SMOOTH and name not in TESTS:
                self.odd(f"calls {name}()")
            self.facts.compares |= name in TESTS or name == "maximum"
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

    def call_helper(self, name: str, node: ast.Call, kinds: list[str]) -> str:
        """A call of a function of the program's: it is a part of the method, and judged with it."""
        if set(kinds) & {"text", "words"}:
            self.refuse("depends on a text")
        try:
            found = self.facts_of_helper(name, bool(node.args) and self.is_self(node.args[0]))
        except Unclean as error:
            self.refuse(f"calls {name}(), which {error}")
            return "some"
        steps, late = (found.steps, found.late_steps) if self.depth < 2 else (0, found.steps + found.late_steps)
        if self.sure:
            self.facts = self.facts.merged(replace(found, steps=steps, late_steps=late))
        if found.switches and self.depth > 1:
            self.odd(f"reads {self.own}.{min(found.switches)} when gradients flow")
        if found.globals and self.depth > 1:
            self.odd(f"reads the global {min(found.globals)!r} when gradients flow")
        if (found.compares or found.tests) and not set(kinds).isdisjoint({"number", "constant", "result", "some"}):
            self.odd("compares what it computes")
        return "some"

    def facts_of_helper(self, name: str, bound: bool) -> Facts:
        helper = helper_named(self.function, name)
        assert helper is not None
        key = helper, bound
        if key not in self.helpers:
            self.helpers[key] = Facts(loops=True)  # should it call itself
            try:
                self.helpers[key] = self.as_part(name, helper, self.examined(helper, bound))
            except Unclean as error:
                self.helpers[key] = error
        found = self.helpers[key]
        if isinstance(found, Unclean):
            raise found
        return found

    def as_part(self, name: str, helper: FunctionType, facts: Facts) -> Facts:
        """What a helper is made of, as a part of this function."""
        code = helper.__code__
        looked_up = {(code.co_filename, code.co_firstlineno, *one) for one in facts.looked_up}
        return replace(
            facts,
            odd=None if facts.odd is None else f"calls {name}(), which {facts.odd}",
            helped=facts.helped | looked_up,
            looked_up=set(),
            ids=facts.ids if code.co_filename == self.function.__code__.co_filename else set(),
        )

    def examined(self, helper: FunctionType, bound: bool) -> Facts:
        """What a function outside of the method is made of."""
        raise NotImplementedError

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
        if name == "container":  # of collections
            self.facts.looks_into = True
            self.calls((*ITERATED, *HASHED))
            if "shared" in kinds or texts:
                self.refuse("passes a default or a text to a container")
            return "fresh"
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
        if "words" in texts or ("text" in texts and name in ON_NUMBERS | NUMPY_FLOATS):
            self.refuse("depends on a text")
        if name == "super":
            self.refuse("calls super()")
        if name in ON_NUMBERS | NUMPY_FLOATS:
            if name in ("int", "round", "divmod", "complex"):
                self.odd(f"calls {name}()")
            self.facts.compares |= name in ("min", "max", "abs", "bool")
            if name in ("min", "max", "abs"):
                self.chooses(name, kinds)
            if name == "bool" and not set(kinds) <= {"bare", "any", "truth"}:
                self.odd("depends on whether a computed number is zero")
            if name == "sum":
                self.loop()
                return "some"
            if name == "bool":
                return "truth"
            if name != "float" and name not in NUMPY_FLOATS:
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

    def chooses(self, name: str, kinds: list[str]) -> None:
        """A call that takes one number or another of these."""
        given = [kind for kind in kinds if kind != "constant"]
        if len(given) > 1 or not set(given) <= {"bare", "any"}:
            self.odd(f"calls {name}() with what it computes")

    def is_node(self, node: ast.expr) -> bool:
        return self.is_self(node) and not any(
            isinstance(part, ast.Name) and part.id == node.id and not isinstance(part.ctx, ast.Load)  # type: ignore[attr-defined]
            for scope in self.scopes.values()
            for part in ast.walk(scope.node)
        )

    def is_self(self, node: ast.expr) -> bool:
        if not self.bound:
            return False
        scope = self.scope
        while scope is not None and scope.parent is not None:
            scope = scope.parent
        first = self.function.__code__.co_varnames[0] if self.function.__code__.co_argcount else None
        return isinstance(node, ast.Name) and node.id == first
