"""What is known to do no harm: builtins, modules and attributes that code may use which is to be tried, or recorded.

They neither print, draw random numbers, open files nor change anything.
"""

from __future__ import annotations

__all__ = [
    "BUILTINS",
    "ON_CONTAINERS",
    "ON_NUMBERS",
    "ON_OBJECTS",
    "ON_TEXT",
    "SAFE_MODULES",
    "UNSAFE_ATTRIBUTES",
    "words",
]


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


# Builtins, by what they are called with.
ON_NUMBERS = words("abs bool complex divmod float int max min pow round sum")
ON_CONTAINERS = words("""
    all any dict enumerate filter frozenset iter len list map next range reversed set sorted tuple zip
""")
ON_TEXT = words("ascii chr format ord repr str")
ON_OBJECTS = words("callable getattr hasattr hash id isinstance issubclass super type")
BUILTINS = ON_NUMBERS | ON_CONTAINERS | ON_TEXT | ON_OBJECTS

SAFE_MODULES = words("math cmath numpy typing operator numbers functools itertools __future__")
UNSAFE_ATTRIBUTES = words("""
    random save savez savetxt load loadtxt fromfile tofile memmap seterr set_printoptions genfromtxt
    __dict__ __globals__ __subclasses__ f_back
""")
