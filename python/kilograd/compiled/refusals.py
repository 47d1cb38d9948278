"""Errors that a function raises with Values and not with numbers: what could not be recorded, and what helps."""

from __future__ import annotations

import sys
from types import FrameType, TracebackType

from kilograd.compiled.calls import Call
from kilograd.compiled.conditions import thread
from kilograd.compiled.tracing import Function, name_of, with_numbers

_LIBRARIES = frozenset({"numpy", "scipy", "pandas", "sklearn"}) | sys.stdlib_module_names
_REMEDIES = {
    "scipy.optimize": "solve outside of the compiled function, or make the solution a function by kilograd.implicit()",
    "scipy.integrate": (
        "write an integral as a sum over nodes, as numpy.polynomial.legendre.leggauss() gives them, and an equation of "
        "motion as a loop of steps, a long one by kilograd.scan()"
    ),
    "scipy.interpolate": "numpy.interp() is recorded; a spline is linear in its values: multiply these by a matrix",
    "scipy.sparse": (
        "multiply by the dense matrix, A.toarray() @ x, or for a coo_array entry by entry, "
        "numpy.add.at(y, A.row, A.data * x[A.col]) with y = numpy.zeros(len(x))"
    ),
    "scipy.spatial": "write a distance as numpy.sqrt(((a[:, None] - b) ** 2).sum(-1))",
    "scipy.stats": "write it with numpy and scipy.special; of distributions, scipy.stats.norm is recorded",
    "statistics": "numpy.mean(), var() and median() are recorded",
}
_REMEDY = (
    "compose it of functions of numpy, scipy.special or math, call it outside of the compiled function and pass what "
    "it gives, or give it a rule of its own by kilograd.custom()"
)


def refuse(error: Exception, function: Function, call: Call) -> None:
    """Raise a TypeError for an error of a trace, unless that says what it means, or is the function's own."""
    frame = _frame_of_library(error.__traceback__)
    if isinstance(error, (IndexError, NameError, AssertionError, OSError)):
        return
    is_ours = isinstance(error, (TypeError, ValueError)) and _is_raised_here(error.__traceback__)
    ours = is_ours or thread.refused or "recorded" in str(error)
    if ours and not isinstance(error, SystemError) and (frame is None or "a plain float" not in str(error)):
        return
    try:
        with_numbers(function, call)
    except Exception:
        return
    if frame is None:
        told = f"{type(error).__name__}: {error}"
        raise TypeError(
            f"{name_of(function)} cannot be recorded, as with Values it raises {told}: {_REMEDY}"
        ) from error
    what, module = _public(frame)
    remedy = next((text for name, text in _REMEDIES.items() if f"{module}.".startswith(f"{name}.")), _REMEDY)
    raise TypeError(f"{what} is not recorded in {name_of(function)}: {remedy}") from error


def _is_raised_here(traceback: TracebackType | None) -> bool:
    """Whether code of this package raised an error, in words of its own."""
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    name: str = "" if traceback is None else traceback.tb_frame.f_globals.get("__name__", "")
    return name.partition(".")[0] == "kilograd" and name != "kilograd.compiled.substitutes"  # which call a library


def _frame_of_library(traceback: TracebackType | None) -> FrameType | None:
    """The function of a library that the traced function has called last, where the error comes from inside."""
    frames = []
    while traceback is not None:
        name = traceback.tb_frame.f_globals.get("__name__", "").partition(".")[0]
        if name in _LIBRARIES:
            frames.append(traceback.tb_frame)
        elif name != "kilograd":
            frames.clear()
        traceback = traceback.tb_next
    named = [frame for frame in frames if frame.f_code.co_name.strip("_") not in ("wrapper", "inner", "wrapped")]
    return next(iter(named), None)


def _public(frame: FrameType) -> tuple[str, str]:
    """How a function of a library is called, and the module where one finds it."""
    name = frame.f_code.co_name
    parts = [part for part in frame.f_globals.get("__name__", "").split(".") if not part.startswith("_")]
    modules = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
    if name.startswith("__"):
        return f"an operation of {modules[-1]}", modules[-1]
    module = next((each for each in modules if hasattr(sys.modules.get(each), name)), modules[-1])
    return f"{module}.{name}()", module
