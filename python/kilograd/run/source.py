"""The source of a program: compiled with its candidate classes marked, and remembered for whoever judges them.

A class is marked by one more decorator, the outermost, so that the judge sees the class as the program would: after
the author's own decorators (`dataclass`, say). Nothing else in the program's code changes, and line numbers, tracebacks
and `inspect.getsource` are those of the author's file.

What a function does is read off the syntax tree that its code was compiled from, and off nothing else: `node_of` finds
the tree of a code object, and finds none where the code is not, to the last instruction, what the tree compiles to.
"""

from __future__ import annotations

import ast
import builtins
import linecache
import sys
from collections.abc import Callable
from types import CodeType, FunctionType

from kilograd.reading import code_objects

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "HOOK",
    "Function",
    "announce",
    "compile_marked",
    "defined_below",
    "install_hook",
    "is_candidate",
    "mark",
    "node_of",
]

HOOK = "__kilograd_serve__"  # the decorator's name, looked up in builtins
OPERATORS = frozenset({"__add__", "__mul__"})
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

_compiled: dict[str, list[tuple[ast.Module, CodeType]]] = {}  # by file name: whatever was compiled from there
_indexed: dict[str, list[tuple[set[CodeType], dict[tuple[str, int], list[Function]]]]] = {}
_nodes: dict[CodeType, Function | None] = {}
_reader: list[Callable[[str, ast.Module], None]] = []


def install_hook(serve: Any, read: Callable[[str, ast.Module], None]) -> None:
    """Make `serve`, a function from a class to the class to use in its place, the decorator of marked classes.

    `read` is called with the file name and the tree of every module of the program, before it is executed.
    """
    setattr(builtins, HOOK, serve)
    _reader[:] = [read]


def _defined_names(node: ast.ClassDef) -> set[str]:
    names: set[str] = set()
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(statement.name)
        elif isinstance(statement, ast.Assign):
            names.update(target.id for target in statement.targets if isinstance(target, ast.Name))
    return names


def is_candidate(node: ast.ClassDef) -> bool:
    """Whether the class defines ``+`` and ``*``, or may inherit them and mentions gradients."""
    if _defined_names(node) >= OPERATORS:
        return True
    return bool(node.bases) and any(
        isinstance(part, ast.Attribute) and ("grad" in part.attr or "backward" in part.attr) for part in ast.walk(node)
    )


class _Marker(ast.NodeTransformer):
    found = False

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        self.generic_visit(node)
        if is_candidate(node):
            self.found = True
            place = node.decorator_list[0] if node.decorator_list else node
            name = ast.Name(id=HOOK, ctx=ast.Load())
            name.lineno, name.col_offset = place.lineno, place.col_offset
            name.end_lineno, name.end_col_offset = place.lineno, place.col_offset
            node.decorator_list.insert(0, name)
        return node


def mark(tree: ast.AST) -> bool:
    """Mark in place every candidate class of `tree`; whether there was one."""
    marker = _Marker()
    marker.visit(tree)
    return marker.found


def announce(filename: str, tree: ast.Module) -> None:
    """Have a module read that is about to be executed."""
    for read in _reader:
        read(filename, tree)


def compile_marked(source: bytes | str, filename: str, change: Callable[[ast.Module], None] | None = None) -> CodeType:
    """Compile a module with its candidate classes marked, and with what `change` makes of the rest.

    Raises
    ------
    SyntaxError, ValueError
        As `compile` does.
    """
    tree = ast.parse(source, filename)
    announce(filename, tree)
    mark(tree)
    if change is not None:
        change(tree)
    code: CodeType = compile(tree, filename, "exec", dont_inherit=True)
    _compiled.setdefault(filename, []).append((tree, code))
    return code


# --- from code back to the tree ------------------------------------------------------------------------------------


def _first_line(node: Function) -> int:
    decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _trees(filename: str) -> list[tuple[ast.Module, CodeType]]:
    if filename not in _compiled:
        _compiled[filename] = []
        text = "".join(linecache.getlines(filename))  # a cell of a notebook, or a module that is not the program's own
        try:
            tree = ast.parse(text, filename)
            mark(tree)
            # IPython compiles each statement of a cell by itself, which gives other code where one imports a module.
            for part in (tree, *(ast.Module([statement], []) for statement in tree.body)):
                _compiled[filename].append((part, compile(part, filename, "exec", dont_inherit=True)))
        except (SyntaxError, ValueError, RecursionError):
            pass
    return _compiled[filename]


def _parts(filename: str) -> list[tuple[set[CodeType], dict[tuple[str, int], list[Function]]]]:
    """For each tree of a file: the functions that it compiles to, and those of the tree by name and first line."""
    compiled = _trees(filename)
    parts = _indexed.setdefault(filename, [])
    for tree, module in compiled[len(parts) :]:
        found: dict[tuple[str, int], list[Function]] = {}
        for node in ast.walk(tree):
            if isinstance(node, Function):
                name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
                found.setdefault((name, _first_line(node)), []).append(node)
        parts.append((set(code_objects(module)), found))
    return parts


_below: dict[tuple[str, str, int], FunctionType] = {}


def _only_defines(statement: ast.stmt) -> bool:
    """Whether executing a statement runs nothing of the program's."""
    match statement:
        case ast.FunctionDef(decorator_list=[]):
            return not (statement.args.defaults or any(statement.args.kw_defaults))
        case ast.ClassDef(decorator_list=[] | [ast.Name(id="__kilograd_serve__")], keywords=[]):
            return all(map(_only_defines, statement.body))
        case ast.Import():
            return all(alias.name in sys.stdlib_module_names for alias in statement.names)
        case ast.ImportFrom(level=0):
            return str(statement.module) in sys.stdlib_module_names
        case ast.Assign(value=ast.Constant()) | ast.Expr(value=ast.Constant()) | ast.Pass():
            return True
    return False


def defined_below(function: FunctionType, name: str) -> FunctionType | None:
    """The function of the module that `name` will mean by the time `function` can be called; None if that is unknown.

    A class is judged where it stands. Between it and a function that its methods call, the module may do nothing but
    define.
    """
    filename = function.__code__.co_filename
    for tree, module in _trees(filename):
        names = _top_level(filename, tree)
        if name not in names:
            continue
        here = next((i for i, part in enumerate(tree.body) if _holds(part, function.__code__)), len(tree.body))
        for part in tree.body[here + 1 :]:
            if not _only_defines(part):
                break
            if isinstance(part, ast.FunctionDef) and part.name == name:
                found = [code for code in module.co_consts if isinstance(code, CodeType) and code.co_name == name]
                key = filename, name, id(function.__globals__)
                if len(found) != 1:
                    return None
                if key not in _below:
                    _below[key] = FunctionType(found[0], function.__globals__)
                return _below[key]
    return None


_defined: dict[int, set[str]] = {}


def _top_level(filename: str, tree: ast.Module) -> set[str]:
    if id(tree) not in _defined:
        _defined[id(tree)] = {part.name for part in tree.body if isinstance(part, ast.FunctionDef)}
    return _defined[id(tree)]


def _holds(part: ast.stmt, code: CodeType) -> bool:
    first = min([part.lineno, *(one.lineno for one in getattr(part, "decorator_list", ()))])
    return bool(first <= code.co_firstlineno <= (part.end_lineno or part.lineno))


def node_of(code: CodeType) -> Function | None:
    """The tree that `code`, a function's, was compiled from, or None where that is not certain."""
    if code not in _nodes:
        found: list[Function] = []
        for codes, nodes in _parts(code.co_filename):
            if code in codes:
                found += nodes.get((code.co_name, code.co_firstlineno), [])
        # Of several (two lambdas of a line, a module compiled twice) those that read alike are one.
        same = len({ast.dump(node) for node in found}) == 1
        _nodes[code] = found[0] if same else None
    return _nodes[code]
