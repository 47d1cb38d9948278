"""Texts of numbers while a function is traced: whether the function makes numbers of them again.

A text is that of the number, which a guard then holds, so that what the function shows, or decides by a text, is right.
No derivative goes through text, though: `float(str(x))` would be a constant. So a function that made a text is traced
once more with a veil over the digits of each, which show as "?". No number can be read from such a text; where the
function does all the same without the digits, it has only shown them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kilograd.compiled.conditions import thread

__all__ = ["shown", "veil", "veiled"]

_DIGITS = str.maketrans(dict.fromkeys("0123456789", "?"))


def shown(text: str) -> str:
    """The text of a number that is recorded, as the function gets it."""
    thread.told = True
    return veil(text) if thread.veiled else text


def veil(thing: Any) -> Any:
    """The same with a veil over the digits of each text."""
    if isinstance(thing, str):
        return thing.translate(_DIGITS)
    return type(thing)(map(veil, thing)) if type(thing) in (list, tuple) else thing


@contextmanager
def veiled() -> Iterator[None]:
    """Texts show no digits within."""
    thread.veiled = True
    try:
        yield
    finally:
        thread.veiled = False
