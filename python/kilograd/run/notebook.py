"""Notebooks: executed as a whole into a copy, or live through ``%load_ext kilograd``."""

from __future__ import annotations

import ast
import copy
import os
import sys
import time
from typing import Any, NamedTuple

from kilograd.run import importer, judge, source
from kilograd.run.compare import speed
from kilograd.run.words import NOTEBOOK

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
    judge.say.append(_aside)
    if not any(isinstance(transformer, _Marking) for transformer in shell.ast_transformers):
        shell.ast_transformers.append(_Marking())
        importer.install(os.getcwd())


def unload(shell: Any) -> None:
    """Leave the classes of the cells that follow as they are."""
    shell.ast_transformers[:] = [one for one in shell.ast_transformers if not isinstance(one, _Marking)]
    importer.uninstall()


def _aside(line: str) -> None:
    """Say a line on the standard error that the kernel was started with, and not in the output of a cell."""
    descriptor = getattr(sys.stderr, "_original_stdstream_copy", None)
    if isinstance(descriptor, int):  # of ipykernel, which has put a pipe in its place
        os.write(descriptor, f"{line}\n".encode())
    else:
        judge.to_standard_error(line)


def execute(path: str, with_report: bool = False, compared: bool = False) -> int:
    """Execute a notebook's cells in order on the engine and write the executed copy; the exit status.

    The copy of ``NAME.ipynb`` is ``NAME.executed.ipynb`` beside it. A cell that raises ends the run: the copy has what
    was executed, the exception included, and the status is 1.

    Parameters
    ----------
    path : str
        The notebook.
    with_report : bool
        Say on standard error what was served, and what was not.
    compared : bool
        Execute it plainly too, before, and say whether all cells show the same; the status is 1 where they do not.
    """
    try:
        import nbclient  # noqa: F401 - asked for before anything is executed
        import nbformat
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
    plain = _executed(copy.deepcopy(notebook), path, served=False, with_report=False) if compared else None
    done = _executed(notebook, path, served=True, with_report=with_report)
    place = f"{path.removesuffix('.ipynb')}.executed.ipynb"
    nbformat.write(notebook, place)  # type: ignore[no-untyped-call]
    print(f"kilograd: the executed notebook is {place}", file=sys.stderr)
    if plain is None:
        return 1 if done.failed else 0
    differing = [i for i, (one, two) in enumerate(zip(plain.outputs, done.outputs, strict=True), 1) if one != two]
    verdict = f"the outputs differ, first those of cell {differing[0]}" if differing else "the same outputs"
    print(f"kilograd: {verdict}\nkilograd: {speed(plain.seconds, done.seconds)}", file=sys.stderr)
    return 1 if differing else 0


class _Executed(NamedTuple):
    outputs: list[str]  # what each cell shows, but for standard error
    seconds: float
    failed: bool


def _executed(notebook: Any, path: str, served: bool, with_report: bool) -> _Executed:
    """Execute the cells of `notebook`, which gets their outputs."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    folder = os.path.dirname(os.path.abspath(path))
    client: Any = NotebookClient(
        notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": folder}}
    )
    failed = False
    with client.setup_kernel():
        if served:
            client.wait_for_reply(client.kc.execute("%load_ext kilograd", silent=True, store_history=False))
        start = time.perf_counter()
        try:
            for index, cell in enumerate(notebook.cells):
                client.execute_cell(cell, index)
        except CellExecutionError as error:
            print(error, file=sys.stderr)
            failed = True
        seconds = time.perf_counter() - start
        if with_report:
            asked = {
                "report": "__import__('kilograd.run.report', fromlist=['text']).text()"
            }  # no cell: it is evaluated
            reply = client.wait_for_reply(client.kc.execute("", silent=True, user_expressions=asked))
            print(
                ast.literal_eval(reply["content"]["user_expressions"]["report"]["data"]["text/plain"]), file=sys.stderr
            )
    return _Executed([_shown(cell) for cell in notebook.cells], seconds, failed)


def _shown(cell: Any) -> str:
    """What a cell shows, as text."""
    outputs = [output for output in cell.get("outputs", ()) if output.get("name") != "stderr"]
    printed = "".join(output.get("text", "") for output in outputs)  # it comes in pieces, by chance
    others = [output.get("evalue") or sorted(output["data"].items()) for output in outputs if "text" not in output]
    return repr((printed, others))
