"""Expressions: what each is, and what evaluating it calls."""

from __future__ import annotations

import ast

from kilograd.run.purity.kinds import NUMBERS, ORDINARY, folded, join
from kilograd.run.purity.names import Names
from kilograd.run.purity.words import BINARY, HASHED, ITERATED, ORDERED, SHOWN, TYPED, UNARY


class Expressions(Names):
    """Expressions but calls."""

    def visit_Constant(self, node: ast.Constant) -> str:
        if isinstance(node.value, str | bytes):
            return "text"
        if type(node.value) not in (int, float, complex):
            return "none" if node.value is None else "truth"
        if node.value not in ORDINARY:
            self.odd(f"depends on the number {node.value:g}")
        return "constant"

    def visit_BinOp(self, node: ast.BinOp) -> str:
        left, right = self.value(node.left), self.value(node.right)
        number = folded(node)
        if number is not None and number in ORDINARY:
            return "constant"
        if left not in ("made", "constant") and right in ("any", "made", "some") and not self.is_node(node.left):
            self.calls(["__array_ufunc__"])  # a number of NumPy's asks what stands on its right
        return self.arithmetic(node.op, left, right)

    def is_node(self, node: ast.expr) -> bool:
        """Whether it is the node that the method is called on."""
        raise NotImplementedError

    def visit_UnaryOp(self, node: ast.UnaryOp) -> str:
        kind = self.value(node.operand)
        if kind == "words":
            self.refuse("depends on a text")
        if isinstance(node.op, ast.Not):
            self.test(node.operand)
            return "truth"
        if kind in ("any", "made", "some"):
            self.calls([UNARY[type(node.op)]])
        return "number" if kind in ("bare", "result") else kind

    def visit_BoolOp(self, node: ast.BoolOp) -> str:
        joined: str | None = None
        for part in node.values:
            self.test(part)
            joined = join(joined, self.value(part))
        return joined or "any"

    def visit_IfExp(self, node: ast.IfExp) -> str:
        self.test(node.test)
        return join(self.value(node.body), self.value(node.orelse))

    def visit_Compare(self, node: ast.Compare) -> str:
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
            if pair <= TYPED:
                continue
            bare = {"any", "bare", "made"} | ({"result"} if self.depth > 1 else set())
            self.facts.compares = True
            if pair == {"constant"} or not ("constant" in pair and pair - {"constant"} <= bare):
                self.odd("compares what it computes")
        return "truth"

    def visit_Tuple(self, node: ast.Tuple | ast.List | ast.Set) -> str:
        kinds = [self.value(item) for item in node.elts]
        if isinstance(node, ast.Set):
            self.facts.looks_into |= not NUMBERS.isdisjoint(kinds)
            self.calls(HASHED)
        if isinstance(node, ast.Tuple):
            return "type" if kinds and set(kinds) <= TYPED else self.text_in(kinds)
        return "words" if "words" in kinds else "fresh"

    visit_List = visit_Set = visit_Tuple  # noqa: N815 - the protocol's names

    def visit_Dict(self, node: ast.Dict) -> str:
        self.facts.looks_into = True
        self.calls(HASHED)
        kinds = [self.value(item) for item in (*node.keys, *node.values) if item is not None]
        return "words" if "words" in kinds else "fresh"

    def visit_JoinedStr(self, node: ast.JoinedStr) -> str:
        for part in node.values:
            self.value(part)
        return "words" if any(isinstance(part, ast.FormattedValue) for part in node.values) else "text"

    def visit_FormattedValue(self, node: ast.FormattedValue) -> str:
        self.value(node.value)
        if node.format_spec is not None:
            self.value(node.format_spec)
        self.calls(SHOWN)
        return "words"

    def visit_Subscript(self, node: ast.Subscript) -> str:
        kind = self.value(node.value)
        self.value(node.slice)
        if kind in ("text", "words"):
            self.text_used()
        if kind in ("any", "made", "some"):
            self.calls(["__getitem__"])
        return kind if kind in ("text", "words") else "any" if kind in ("any", "bare") else "some"

    def visit_Slice(self, node: ast.Slice) -> str:
        for bound in (node.lower, node.upper, node.step):
            if bound is not None:
                self.value(bound)
        return "any"

    def visit_Starred(self, node: ast.Starred) -> str:
        self.iterated(node.value)
        return "any"

    def visit_NamedExpr(self, node: ast.NamedExpr) -> str:
        kind = self.value(node.value)
        self.store(node.target, kind, node.value)
        return kind

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> str:
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

    visit_SetComp = visit_GeneratorExp = visit_DictComp = visit_ListComp  # noqa: N815 - the protocol's names

    @staticmethod
    def text_in(kinds: list[str]) -> str:
        return "words" if "words" in kinds else "shared" if "shared" in kinds else "any"

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
        if isinstance(operation, ast.BitOr) and kinds <= TYPED | {"any"}:
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
                    kind = join(kind, self.value(item))
                return kind or "any"
        return "any"
