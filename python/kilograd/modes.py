"""Contexts that change what operations record."""

from __future__ import annotations

from contextlib import ContextDecorator

from kilograd import _core

TYPE_CHECKING = False  # see kilograd/__init__.py
if TYPE_CHECKING:
    from types import TracebackType


class KeptGraphsWarning(UserWarning):
    """Hundreds of losses are kept with their graphs, a million nodes: `backward()` says so, once in a process.

    A list of losses for a curve is the usual reason, and ``losses.append(loss.data)`` the remedy. Silence it with
    ``warnings.simplefilter("ignore", kilograd.KeptGraphsWarning)`` where they are kept on purpose.
    """


class no_grad(ContextDecorator):
    """Context, or decorator, in which operations give leaves: the data alone, no graph.

    Inference inside it costs no memory and builds nothing to differentiate. It nests, and holds for the calling
    thread only.

    Examples
    --------
    >>> from kilograd import Value, no_grad
    >>> w = Value(3.0)
    >>> with no_grad():
    ...     y = w * 2
    >>> y, y._prev
    (Value(data=6.0), set())
    """

    def __enter__(self) -> no_grad:
        _core._enter_no_grad()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _core._exit_no_grad()
