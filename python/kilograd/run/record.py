"""Classes that are their attributes, as `dataclasses` makes them, which would take long to load."""

from __future__ import annotations

__all__ = ["field", "record", "replace"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass as record
    from dataclasses import field, replace
else:

    class field:
        """A default that is made anew for each object."""

        def __init__(self, default_factory):
            self.make = default_factory

    def record(cls):
        """Give a class a constructor that sets the attributes which are annotated in it."""
        names = tuple(cls.__annotations__)
        defaults = [(name, vars(cls)[name]) for name in names if name in vars(cls)]

        def __init__(self, *values, **named):  # noqa: N807 - the method of another class
            held = vars(self)
            for name, default in defaults:
                held[name] = default.make() if type(default) is field else default
            held.update(zip(names, values, strict=False), **named)
            if hasattr(self, "__post_init__"):
                self.__post_init__()

        cls.__init__ = __init__
        cls.names = names
        return cls

    def replace(one, **changes):
        """The same record but for `changes`."""
        return type(one)(**{name: getattr(one, name) for name in one.names} | changes)
