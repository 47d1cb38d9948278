"""The import hook: the program's own modules, wherever they lie, are compiled with their candidate classes marked.

What is installed, Python's own library included, is imported untouched. The one exception is the package ``micrograd``:
where it is installed its class is a candidate like the program's own, and where it is not, `kilograd.micrograd` stands
in.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

from kilograd.run.source import compile_marked
from kilograd.run.survey import survey
from kilograd.run.territory import is_own

TYPE_CHECKING = False

__all__ = ["Finder", "MicrogradFinder", "install", "looked_at", "uninstall"]

looked_at: list[str] = []  # the modules that were imported as the program's own

PACKAGE = "micrograd"


class MarkingLoader(SourceFileLoader):
    """Loads a source file with its candidate classes marked; the bytecode cache stays the plain program's."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return compile_marked(self.get_data(path), path)


class Finder:
    """Finds the program's own modules, and those of an installed micrograd."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Part of the import protocol: the spec of a module of the program's own, else None."""
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None or type(spec.loader) is not SourceFileLoader:
            return None
        if is_own(spec.origin) or fullname.partition(".")[0] == PACKAGE:
            spec.loader = MarkingLoader(fullname, spec.origin)
            looked_at.append(fullname)
            survey.foreign.pop(fullname.partition(".")[0], None)  # where it lies the survey could not know
            return spec
        return None


class MicrogradFinder:
    """Comes last: a program that imports micrograd, where nobody has installed it, gets `kilograd.micrograd`."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Part of the import protocol: the spec of the stand-in, else None."""
        if fullname != PACKAGE:
            return None
        import kilograd

        kilograd.install_as_micrograd()
        return ModuleSpec(PACKAGE, _Present())


if TYPE_CHECKING:
    from importlib.abc import Loader
else:  # importlib.abc takes as long to load as this package
    Loader = object


class _Present(Loader):
    """Loads a module that is in `sys.modules` already."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        pass


def install(folder: str) -> None:
    """Serve the modules of the program that lives in `folder` from here on, in this process."""
    survey.folder = os.path.realpath(folder)
    sys.meta_path.insert(0, Finder)
    sys.meta_path.append(MicrogradFinder)


def uninstall() -> None:
    """Import everything untouched again; what is imported already stays."""
    sys.meta_path[:] = [one for one in sys.meta_path if one not in (Finder, MicrogradFinder)]
