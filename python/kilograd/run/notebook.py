"""Notebooks: executed as a whole into a copy, or live through ``%load_ext kilograd``."""

from __future__ import annotations

import ast
import os
import sys
from typing import Any

from kilograd.run import importer, judge, source
from kilograd.run.survey import NOTEBOOK

__all__ = ["execute", "load", "unload"]


class _Marking(ast.NodeTransformer):
    """Marks the candidate classes of a cell before it is compiled."""

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Module):
            source.announce(NOTEBOOK, node)
        source.mark(node)
        return node


def load(shell: Any) -> None:
    """Serve the classes of the cells that follow, and of the modules that they import from the notebook's folder.

    Parameters
    ----------
    shell : IPython.core.interactiveshell.InteractiveShell
    """
    source.install_hook(judge.serve, judge.reconsider)
    if not any(isinstance(transformer, _Marking) for transformer in shell.ast_transformers):
        shell.ast_transformers.append(_Marking())
        importer.install(os.getcwd())


def unload(shell: Any) -> None:
    """Leave the classes of the cells that follow as they are."""
    shell.ast_transformers[:] = [one for one in shell.ast_transformers if not isinstance(one, _Marking)]
    importer.uninstall()


def execute(path: str) -> int:
    """Execute a notebook's cells in order on the engine and write the executed copy; the exit status.

    The copy of ``NAME.ipynb`` is ``NAME.executed.ipynb`` beside it. A cell that raises ends the run: the copy has what
    was executed, the exception included, and the status is 1.
    """
    try:
        import nbformat
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError
    except ImportError as error:
        print(
            f"kilograd run: a notebook needs the package {error.name}: pip install 'kilograd[notebook]'",
            file=sys.stderr,
        )
        return 2
    try:
        notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except OSError as error:
        print(f"kilograd run: can't open {path!r}: {error.strerror}", file=sys.stderr)
        return 2
    except Exception as error:  # nbformat has no one exception for what is no notebook
        print(f"kilograd run: {path!r} is no notebook: {error}", file=sys.stderr)
        return 2
    folder = os.path.dirname(os.path.abspath(path))
    client: Any = NotebookClient(
        notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": folder}}
    )
    copy = f"{path.removesuffix('.ipynb')}.executed.ipynb"
    status = 0
    with client.setup_kernel():
        message = client.kc.execute("%load_ext kilograd", silent=True, store_history=False)
        client.wait_for_reply(message)
        try:
            for index, cell in enumerate(notebook.cells):
                client.execute_cell(cell, index)
        except CellExecutionError as error:
            print(error, file=sys.stderr)
            status = 1
        finally:
            nbformat.write(notebook, copy)  # type: ignore[no-untyped-call]
    print(f"kilograd: the executed notebook is {copy}", file=sys.stderr)
    return status
