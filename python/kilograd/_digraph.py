"""Graphviz's `Digraph`, which does without the program ``dot``, or says in a line what to install.

A module of its own, imported by `kilograd.draw_dot`, because Graphviz is optional.
"""

from __future__ import annotations

import os
import pathlib
from typing import Any

import graphviz

from kilograd.display.layout import NoLayout, lay_out

__all__ = ["Digraph"]


class Digraph(graphviz.Digraph):  # type: ignore[misc]
    """`graphviz.Digraph`: drawn by Graphviz's program ``dot``, or where it is missing by `kilograd.display.layout`."""

    def pipe(self, format: str | None = None, *args: Any, **options: Any) -> Any:
        """As `graphviz.Digraph.pipe`."""
        try:
            return super().pipe(format, *args, **options)
        except graphviz.ExecutableNotFound:
            pass
        picture = self._without_dot(format or self.format, options)
        return picture if options.get("encoding") is None else picture.decode()

    def render(
        self,
        filename: Any = None,
        directory: Any = None,
        view: bool = False,
        cleanup: bool = False,
        format: str | None = None,
        **options: Any,
    ) -> str:
        """As `graphviz.Digraph.render`."""
        also = {"directory": directory, "view": view, "cleanup": cleanup, "format": format}
        try:
            return super().render(filename, **also, **options)  # type: ignore[no-any-return]
        except graphviz.ExecutableNotFound:
            pass  # the source is written by now
        outfile = options.get("outfile")
        path = pathlib.Path(self.filepath) if outfile is None else pathlib.Path(outfile)
        if outfile is None:
            format = format or self.format
            path = path.with_name(f"{path.name}.{format}")
        elif directory is None:
            path = pathlib.Path(self.directory, path)
        path.write_bytes(self._without_dot(format or path.suffix[1:].lower(), options))
        if cleanup:
            os.remove(self.filepath)
        if view or options.get("quiet_view"):
            graphviz.view(path, quiet=bool(options.get("quiet_view")))
        return os.fspath(path)

    def _repr_mimebundle_(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super()._repr_mimebundle_(*args, **kwargs)
        except graphviz.ExecutableNotFound as error:
            return {"text/plain": str(error)}  # a notebook would show a traceback

    def _without_dot(self, format: str, options: dict[str, Any]) -> bytes:
        if options.get("renderer") or options.get("formatter"):
            raise _missing("renderer= and formatter= are of Graphviz's program dot, which is not on the PATH")
        try:
            return lay_out(self.source, format, options.get("engine") or self.engine)
        except NoLayout as error:
            message = str(error)
        raise _missing(f"Graphviz's program `dot` is not on the PATH, and {message}")


def _missing(message: str) -> graphviz.ExecutableNotFound:
    error = graphviz.ExecutableNotFound(["dot"])
    error.args = (message,)
    return error
