"""Names that stand for something else while a function is traced.

They are replaced in the modules of `substitutes`, and wherever else the traced function can reach them, for as long as
a trace runs: in globals, closures, defaults, containers, objects and classes.
"""

from __future__ import annotations

import functools
import operator
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.abc import Loader
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from itertools import chain
from types import ModuleType
from typing import Any

from kilograd._core import Value
from kilograd.compiled.conditions import thread
from kilograd.compiled.habits import places_of
from kilograd.compiled.integers import COUNTS, OPERATORS
from kilograd.compiled.substitutes import TABLE, replacement_of

Function = Callable[..., Any]
_Name = tuple[Any, Any, Any, Any]  # a container, a key there, what stands there, and what stands for that


class _Names:
    """The names that are replaced now, and by how many traces."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.replacements: dict[int, tuple[Function, Function]] = {}  # by the id of the function: it, and the other
        self.modules: dict[str, list[_Name]] = {}
        self.extensions: list[_Name] = []
        self.looked_at = 0  # how many modules there were when these were found
        self.traces: set[object] = set()
        self.active: list[_Name] = []  # in modules, whose names are entries of dicts
        self.elsewhere: list[_Name] = []
        self.methods: dict[str, Any] = {}  # those that Values have now, and what they had before

    def load(self) -> None:
        """Look for modules that are imported by now."""
        for module, replacements in TABLE.items():
            if module in self.modules or module not in sys.modules:
                continue
            space = vars(sys.modules[module])
            found: list[_Name] = []
            for name, original in space.items():
                made = replacement_of(module, name, original, replacements.get(name))
                if made is not None:
                    made = self.replacements.setdefault(id(original), (original, made))[1]
                    found.append((space, name, original, made))
            self.modules[module] = found
        if not self.traces and len(sys.modules) != self.looked_at:
            modules = list(sys.modules.values())
            self.extensions = [name for module in modules for name in self.in_extension(module)]
            self.looked_at = len(modules)

    def in_extension(self, module: Any) -> Iterator[_Name]:
        """The modules that an extension module calls functions of, and these modules as they are.

        A call from there has no frame that would tell it from one of the traced function, and writes into memory.
        """
        if not isinstance(getattr(getattr(module, "__spec__", None), "loader", None), ExtensionFileLoader):
            return
        space = vars(module)
        for key, thing in list(space.items()):
            if isinstance(thing, ModuleType) and (names := self.modules.get(thing.__name__)) is not None:
                plain = ModuleType(thing.__name__)
                vars(plain).update(vars(thing))
                vars(plain).update({name: original for _, name, original, _ in names})
                yield space, key, thing, plain

    def put(self, entry: _Name) -> None:
        """Replace a name in a module."""
        space, name, original, replacement = entry
        if space.get(name) is original:
            self.active.append(entry)  # first: an interrupt may come between
            space[name] = replacement

    def enter(self, trace: object, places: list[tuple[Any, Any]], methods: Mapping[str, Function]) -> None:
        """Replace names in modules by the first of several traces at a time, and what a function can reach."""
        with self.lock:
            is_first = not self.traces
            self.traces.add(trace)
            if is_first:
                sys.meta_path.insert(0, _Importer)
                for entry in chain(*self.modules.values(), self.extensions):  # hundreds, at each trace
                    self.put(entry)
            for method in methods.keys() - self.methods.keys():
                self.methods[method] = vars(Value).get(method)
                setattr(Value, method, methods[method])
            for container, key in places:
                original = _content(container, key)
                replacement = self.substitute(original)
                if isinstance(container, type) and not hasattr(type(original), "__get__"):
                    replacement = original if replacement is original else staticmethod(replacement)  # no method
                if replacement is not original:
                    self.elsewhere.append((container, key, original, replacement))
                    _put(container, key, replacement)

    def substitute(self, thing: Any) -> Any:
        """What stands for a function, or for what holds one and cannot be changed; all else as it is."""
        if (pair := self.replacements.get(id(thing))) is not None:
            return pair[1]
        if type(thing) is tuple:
            parts = tuple([self.substitute(part) for part in thing])
            return parts if any(map(operator.is_not, parts, thing)) else thing
        if type(thing) is staticmethod:
            function = self.substitute(thing.__func__)
            return thing if function is thing.__func__ else staticmethod(function)
        if type(thing) is functools.partial:
            function = self.substitute(thing.func)
            return thing if function is thing.func else functools.partial(function, *thing.args, **thing.keywords)
        return thing

    def leave(self, trace: object) -> None:
        """Put back what was replaced, behind the last of several traces at a time; once more where that was ended."""
        with self.lock:
            self.traces.discard(trace)
            if self.traces:
                return
            while _Importer in sys.meta_path:
                sys.meta_path.remove(_Importer)
            for method, original in self.methods.items():
                if original is not None:
                    setattr(Value, method, original)
                elif method in vars(Value):
                    delattr(Value, method)
            for space, name, original, replacement in self.active:
                if space.get(name) is replacement:
                    space[name] = original
            for container, key, original, replacement in self.elsewhere:
                if _content(container, key) is replacement:
                    _put(container, key, original)
            self.methods.clear()
            self.active.clear()
            self.elsewhere.clear()


class _Importer:
    """What a traced function imports first is imported as ever, and sees no replacement."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """As finders do."""
        if thread.notes is None:
            return None
        found = (finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not _Importer)
        spec = next(filter(None, found), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    """Another loader, for the time that this thread does not trace."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        with _not_tracing():
            made: ModuleType | None = self._loader.create_module(spec)
            return made

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        before = set(sys.modules)
        with _not_tracing():
            self._loader.exec_module(module)
        with _names.lock:
            for name in {module.__name__} | (sys.modules.keys() - before):
                for entry in _names.in_extension(sys.modules.get(name)):
                    _names.put(entry)


@contextmanager
def _not_tracing() -> Iterator[None]:
    notes, thread.notes = thread.notes, None
    try:
        yield
    finally:
        thread.notes = notes


def _content(container: Any, key: Any) -> Any:
    """What stands at a place: an entry of a dict or a list, an attribute of anything else."""
    try:
        if isinstance(container, (dict, list)):
            return container[key]
        return vars(container)[key] if isinstance(container, type) else getattr(container, key)
    except (LookupError, AttributeError, ValueError):  # it is there no more; a cell is empty
        return None


def _put(container: Any, key: Any, thing: Any) -> bool:
    try:
        if isinstance(container, (dict, list)):
            container[key] = thing
        else:
            setattr(container, key, thing)
    except Exception:  # what may not be changed stays
        return False
    return True


_names = _Names()


def run_with_others(function: Function, arguments: Any, keywords: Any, with_integers: bool) -> Any:
    """Run a function that is traced, with names replaced as long; `with_integers`, Values have the operators of these.

    Ctrl-C may come at any place: what is replaced is noted before, and put back twice, if the first time was ended.
    """
    with _names.lock:
        _names.load()
    places = [(container, key) for container, key, thing in places_of(function) if _may_hold(thing)]
    trace = object()
    try:
        try:
            _names.enter(trace, places, OPERATORS | COUNTS if with_integers else COUNTS)
            return _names.substitute(function)(*arguments, **keywords)
        finally:
            _names.leave(trace)
    finally:
        _names.leave(trace)


def _may_hold(thing: Any) -> bool:
    return id(thing) in _names.replacements or type(thing) in (tuple, staticmethod, functools.partial)
