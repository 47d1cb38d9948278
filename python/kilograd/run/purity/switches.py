"""Switches: truths that methods read, in variables of their module or on objects that these hold.

Outside of the class, one is called by the name of its variable, or "variable.attribute".
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["hiding", "holds_switch", "place_of", "set_switch"]

_HEAP = 1 << 9  # of a type's flags: a program made it


def holds_switch(holder: Any, attribute: str) -> bool:
    """Whether an attribute of an object is a truth that is read, and set, as that of any plain object or class."""
    cls = type(holder)
    if cls is type and holder.__flags__ & _HEAP:
        return type(vars(holder).get(attribute)) is bool
    if cls is not SimpleNamespace:
        plain = type(cls) is type and cls.__flags__ & _HEAP and cls.__mro__ == (cls, object)
        if not plain or {"__slots__", "__getattribute__", "__setattr__", attribute} & set(vars(cls)):
            return False
    return type(getattr(holder, "__dict__", {}).get(attribute)) is bool


def place_of(variables: Mapping[str, Any], name: str) -> tuple[Any, str]:
    """Where a switch is: a dictionary or a class, and its name there."""
    variable, _, attribute = name.rpartition(".")
    if not variable:
        return variables, attribute
    holder = variables[variable]
    return holder if isinstance(holder, type) else vars(holder), attribute


def hiding(variables: Mapping[str, Any], name: str) -> type | None:
    """The class on which a descriptor would hide a switch of an object, or None where it is on no object."""
    variable = name.rpartition(".")[0]
    holder = variables[variable] if variable else None
    return None if holder is None or isinstance(holder, type) else type(holder)


def set_switch(variables: Mapping[str, Any], name: str, value: bool) -> None:
    """Set a switch, for a trial."""
    place, attribute = place_of(variables, name)
    if isinstance(place, type):
        type.__setattr__(place, attribute, value)
    else:
        place[attribute] = value
