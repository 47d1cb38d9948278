"""Pickling: compiled functions as functions are: by name where that leads back, by value where the pickler does so.

What a pickler does with functions (`cloudpickle` takes those of ``__main__`` by value) it does not say. So it is given
functions, which stand under the name of the compiled function: as themselves, they lead back to it; as copies, they
bring the function along. The function is state, and no argument, because it may refer to the compiled one.
"""

from __future__ import annotations

import sys
import weakref
from functools import cached_property
from types import MethodType
from typing import Any

from kilograd.compiled.tracing import Function

_standing: weakref.WeakKeyDictionary[Function, weakref.ref[PickledAsFunction]] = weakref.WeakKeyDictionary()
"""What stands under the names of functions that pickles refer to."""


class PickledAsFunction:
    """What is made of a function, and stands under its name where functions are pickled."""

    def __init__(self, function: Function, argnums: Any, static_argnums: Any) -> None:
        self._function = function
        self._argnums = argnums
        self._static_argnums = static_argnums
        self._attribute: str | None = None  # its name in a class

    def __reduce_ex__(self, protocol: Any) -> str | tuple[Any, ...]:
        options = (self._argnums, self._static_argnums)
        found: Any = sys.modules.get(getattr(self._function, "__module__", ""))
        path = getattr(self._function, "__qualname__", "")
        for part in path.split("."):
            found = getattr(found, part, None)
        if found is self:
            if protocol < 4:
                return str(path)
            return _unpickled, (type(self), self._itself), (self._content, (), *options)
        if not isinstance(self._function, MethodType):
            return _unpickled, (type(self), None), (_same, (self._function,), *options)
        instance = self._function.__self__
        if self._attribute is not None:
            return getattr, (instance, self._attribute)
        # Not as pickle takes a method, by its name: the instance may have this object under the same.
        return _unpickled, (type(self), None), (_method, (self._function.__func__, instance), *options)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        make, parts, *options = state
        if not hasattr(self, "_function"):  # a copy, and not what stands under the name
            type(self).__init__(self, make(*parts), *options)

    @cached_property
    def _itself(self) -> Function:
        sign = self._named(lambda: None, "_itself")
        _standing[sign] = weakref.ref(self)
        return sign

    @cached_property
    def _content(self) -> Function:
        function = self._function
        return self._named(lambda: function, "_content")

    def _named(self, sign: Function, attribute: str) -> Function:
        sign.__module__, sign.__name__ = self._function.__module__, attribute
        sign.__qualname__ = f"{self._function.__qualname__}.{attribute}"
        return sign


def _same(function: Function) -> Function:
    return function


def _method(function: Function, instance: Any) -> Function:
    return MethodType(function, instance)


def _unpickled(kind: type[PickledAsFunction], sign: Function | None) -> PickledAsFunction:
    standing = None if sign is None else _standing.get(sign)
    return (standing and standing()) or kind.__new__(kind)
