"""Graphviz's `Digraph`, which says in a line what to install where the program ``dot`` is missing.

A module of its own, imported by `kilograd.draw_dot`, because Graphviz is optional.
"""

from __future__ import annotations

from typing import Any

import graphviz

__all__ = ["Digraph"]


class Digraph(graphviz.Digraph):  # type: ignore[misc]
    """`graphviz.Digraph`, with a short error in place of a traceback through Graphviz and subprocess."""

    def pipe(self, *args: Any, **kwargs: Any) -> Any:
        """As `graphviz.Digraph.pipe`."""
        try:
            return super().pipe(*args, **kwargs)
        except graphviz.ExecutableNotFound:
            raise _missing() from None

    def render(self, *args: Any, **kwargs: Any) -> Any:
        """As `graphviz.Digraph.render`."""
        try:
            return super().render(*args, **kwargs)
        except graphviz.ExecutableNotFound:
            raise _missing() from None

    def _repr_mimebundle_(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super()._repr_mimebundle_(*args, **kwargs)
        except graphviz.ExecutableNotFound as error:
            return {"text/plain": str(error)}  # a notebook would show a traceback


def _missing() -> graphviz.ExecutableNotFound:
    error = graphviz.ExecutableNotFound(["dot"])
    error.args = (
        "Graphviz's program `dot` is not on the PATH: install Graphviz from your system's packages (for instance apt "
        "install graphviz, or brew install graphviz). The graph as text, .source, needs no program",
    )
    return error
