"""The pytest plugin: ``pytest -p kilograd`` serves the classes in test files, and in the modules that they import.

A test file is compiled as pytest compiles it, with its assertions rewritten, and with its candidate classes marked. The
bytecode caches of pytest and of Python stay those of a plain run.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest
from _pytest.assertion.rewrite import AssertionRewritingHook, rewrite_asserts

from kilograd.run import importer, judge, report, source
from kilograd.run.territory import is_own

__all__ = ["pytest_load_initial_conftests", "pytest_terminal_summary", "pytest_unconfigure"]


class RewritingLoader(importer.MarkingLoader):
    """Loads a test file: classes are marked, and assertions outside of them rewritten."""

    def __init__(self, fullname: str, path: str, hook: AssertionRewritingHook) -> None:
        super().__init__(fullname, path)
        self.hook = hook

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        text = self.get_data(path)
        self.hook._rewritten_names[fullname] = Path(path)
        return source.compile_marked(text, path, lambda tree: self._rewrite(tree, text, path))

    def _rewrite(self, tree: ast.Module, text: bytes, path: str) -> None:
        """Rewrite assertions; those in a candidate class stay as the author wrote them, since it is read."""
        classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and source.is_candidate(node)]
        bodies = [(node, node.body) for node in classes]
        for node in classes:
            node.body = []
        try:
            rewrite_asserts(tree, text, path, self.hook.config)
        finally:
            for node, body in bodies:
                node.body = body


class TestFinder:
    """Finds what pytest would rewrite, as pytest does."""

    __test__ = False  # it is no test

    def __init__(self, hook: AssertionRewritingHook) -> None:
        self.hook = hook

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Part of the import protocol: the spec of a test file of the program's own, else None."""
        spec = self.hook.find_spec(fullname, path, target)
        if spec is None or spec.origin is None or not is_own(spec.origin):
            return None
        spec.loader = RewritingLoader(fullname, spec.origin, self.hook)
        importer.looked_at.append(fullname)
        return spec


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Serve the classes of whatever is imported from here on."""
    source.install_hook(judge.serve, judge.reconsider)
    judge.say.append(_leave_to_the_report)
    importer.uninstall()  # where kilograd runs pytest, pytest's own hook came before ours
    importer.install(str(early_config.rootpath))
    hooks = [one for one in sys.meta_path if isinstance(one, AssertionRewritingHook)]
    sys.meta_path[:0] = [TestFinder(hook) for hook in hooks]


def pytest_unconfigure() -> None:
    """Import everything untouched again."""
    sys.meta_path[:] = [one for one in sys.meta_path if not isinstance(one, TestFinder)]
    importer.uninstall()
    if judge.say[-1] is _leave_to_the_report:
        judge.say.pop()


def _leave_to_the_report(line: str) -> None:
    """Say nothing while tests run: they may look at what is written (``capfd``). The report at the end has it."""


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say which classes were served, and which were not."""
    if judge.judgements:
        terminalreporter.write_line("")
        for line in report.text().splitlines():
            terminalreporter.write_line(line)
