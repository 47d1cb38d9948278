"""Errors that a function raises with Values and not with numbers: what could not be recorded, and what helps."""

from __future__ import annotations

import dis
import sys
from types import FrameType, FunctionType, TracebackType

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
    "pandas": (
        "compute with arrays, series.to_numpy(), and functions of numpy: a rolling mean is "
        "numpy.convolve(x, numpy.ones(n) / n, 'valid')"
    ),
    "statistics": "numpy.mean(), var() and median() are recorded",
}
_REMEDY = (
    "compose it of functions of numpy, scipy.special or math, call it outside of the compiled function and pass what "
    "it gives, or give it a rule of its own by kilograd.custom()"
)


def refuse(error: Exception, function: Function, call: Call) -> None:
    """Raise a TypeError for an error of a trace, unless that says what it means, or is the function's own."""
    # A solver in C goes on with an error set; what Python says to that comes from what it calls next.
    goes_on = isinstance(error, SystemError)
    frame = _frame_of_library(error.__traceback__, goes_on)
    if isinstance(error, (IndexError, NameError, AssertionError, OSError)):
        return
    if not goes_on and (frame is None or "a plain float" not in str(error)) and _is_ours(error, frame):
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


def _is_ours(error: Exception, frame: FrameType | None) -> bool:
    """Whether an error says what cannot be recorded, or is one of an operation or of the function's own."""
    if "recorded" in str(error) or (isinstance(error, (TypeError, ValueError)) and _is_raised_here(error)):
        return True
    if not thread.refused:
        return False
    return isinstance(error, (ValueError, ArithmeticError)) or (frame is None and _is_raised(error))


def _last(error: Exception) -> TracebackType | None:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback


def _is_raised(error: Exception) -> bool:
    """Whether a line of Python raised an error, and not what it calls."""
    traceback = _last(error)
    if traceback is None:
        return False
    return dis.opname[traceback.tb_frame.f_code.co_code[traceback.tb_lasti]] in ("RAISE_VARARGS", "RERAISE")


def _is_raised_here(error: Exception) -> bool:
    """Whether code of this package raised an error, in words of its own."""
    traceback = _last(error)
    name: str = "" if traceback is None else traceback.tb_frame.f_globals.get("__name__", "")
    return name.partition(".")[0] == "kilograd" and name != "kilograd.compiled.substitutes"  # which call a library


def _frame_of_library(traceback: TracebackType | None, through_calls_back: bool) -> FrameType | None:
    """The function of a library that the traced function has called last, where the error comes from inside.

    `through_calls_back`, also where that comes from a function of the traced one's that the library calls.
    """
    frames = []
    while traceback is not None:
        name = traceback.tb_frame.f_globals.get("__name__", "").partition(".")[0]
        if name in _LIBRARIES:
            frames.append(traceback.tb_frame)
        elif name != "kilograd" and not through_calls_back:
            frames.clear()
        traceback = traceback.tb_next
    return next((frame for frame in frames if frame.f_code.co_name not in _WRAPPERS or _wrapped(frame)), None)


_WRAPPERS = frozenset({"wrapper", "inner", "wrapped", "_wrapper", "_inner", "_wrapped", "inner_f"})


def _wrapped(frame: FrameType) -> FunctionType | None:
    """The function of a library that the one of a frame wraps, as a decorator does, if that is public."""
    for name in frame.f_code.co_freevars:
        thing = frame.f_locals.get(name)
        if isinstance(thing, FunctionType) and _home(thing.__module__, thing.__name__)[1]:
            return thing
    return None


def _home(module: str, name: str) -> tuple[str, bool]:
    """The module where one finds a name that is defined in a module, and whether it is there."""
    parts = [part for part in module.split(".") if not part.startswith("_")]
    modules = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
    found = next((each for each in modules if hasattr(sys.modules.get(each), name)), None)
    return found or modules[-1], found is not None


def _public(frame: FrameType) -> tuple[str, str]:
    """How a function of a library is called, and the module where one finds it."""
    inner = _wrapped(frame)
    module = frame.f_globals.get("__name__", "") if inner is None else inner.__module__
    name = (frame.f_code.co_name if inner is None else inner.__name__).removeprefix(f"{module}.")  # of Cython's: whole
    owner = type(frame.f_locals["self"]).__name__ if inner is None and "self" in frame.f_locals else None
    if owner is not None and name == "__init__":
        name = owner
    elif name.startswith("__"):
        home = _home(module, "")[0]
        return f"an operation of {home}", home
    elif owner is not None and not _home(module, name)[1]:
        name = f"{owner}.{name}"
    home = _home(module, name.partition(".")[0])[0]
    return f"{home}.{name}()", home
