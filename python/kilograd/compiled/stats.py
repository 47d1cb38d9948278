"""`scipy.stats.norm` while a function is traced: its methods would strip arrays of their class."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kilograd.compiled.conditions import refusal, thread
from kilograd.compiled.functions import holds
from kilograd.compiled.special import elementwise
from kilograd.compiled.traced import array_of, traced

__all__ = ["Normal"]


def _log_density(z: Any) -> Any:
    return -0.5 * (z * z) - 0.5 * math.log(2.0 * math.pi)


_OF_NUMBERS: dict[str, Callable[[Any, Any], Any]] = {
    "pdf": lambda z, scale: np.exp(_log_density(z)) / scale,
    "logpdf": lambda z, scale: _log_density(z) - np.log(scale),
    "cdf": lambda z, scale: elementwise("ndtr", z),
    "sf": lambda z, scale: elementwise("ndtr", -z),
    "logcdf": lambda z, scale: elementwise("log_ndtr", z),
    "logsf": lambda z, scale: elementwise("log_ndtr", -z),
}
"""Of z = (x - loc) / scale."""
_QUANTILES = {"ppf": 1.0, "isf": -1.0}


class Normal:
    """In place of `scipy.stats.norm`; with a `loc` and a `scale` it gives a `_Frozen` one."""

    def __init__(self, original: Any) -> None:
        self._original = original

    def __call__(self, loc: Any = 0.0, scale: Any = 1.0) -> Any:
        """The distribution with these parameters."""
        return self._original(loc, scale) if thread.notes is None else _Frozen(self, loc, scale)

    def __getattr__(self, name: str) -> Any:
        original = getattr(self._original, name)
        if name not in _OF_NUMBERS and name not in _QUANTILES:
            return original

        def method(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
            return _method(name, x, loc, scale) if _are_recorded(x, loc, scale) else original(x, loc, scale)

        return method


class _Frozen:
    def __init__(self, of: Normal, loc: Any, scale: Any) -> None:
        self._of = of
        self._at = loc, scale

    def __getattr__(self, name: str) -> Any:
        if name in _OF_NUMBERS or name in _QUANTILES:
            return lambda x: getattr(self._of, name)(x, *self._at)
        if _are_recorded(*self._at):
            raise refusal(f"scipy.stats.norm.{name}() is not recorded: {', '.join([*_OF_NUMBERS, *_QUANTILES])} are")
        return getattr(self._of._original(*self._at), name)


def _are_recorded(*things: Any) -> bool:
    return thread.notes is not None and holds(things)


def _method(name: str, x: Any, loc: Any, scale: Any) -> Any:
    x, loc, scale = map(array_of, (x, loc, scale))
    if not bool(np.all(scale > 0.0)):
        raise ValueError(f"scipy.stats.norm.{name}() takes a scale above 0")
    if name in _QUANTILES:
        found = loc + scale * (_QUANTILES[name] * elementwise("ndtri", x))
    else:
        found = _OF_NUMBERS[name]((x - loc) / scale, scale)
    return traced(found.view(np.ndarray).item()) if isinstance(found, np.ndarray) and not found.ndim else found
