"""Checks of numbers that a user sets."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator
from typing import TypeVar

__all__ = ["not_negative", "repeatable", "whole_number"]

T = TypeVar("T")


def not_negative(name: str, value: float) -> None:
    """Refuse a number below 0, and one that is not finite."""
    try:
        number = math.nan if isinstance(value, (str, bytes)) else float(value)
    except TypeError:
        raise TypeError(f"{name} is a number of at least 0, not {value!r}") from None
    if not 0.0 <= number < math.inf:
        raise ValueError(f"{name} is a number of at least 0, not {value!r}")


def repeatable(blocks: Iterable[T], times: int, what: str) -> Iterable[T]:
    """Refuse an iterator for what is to be gone through several times."""
    if times > 1 and isinstance(blocks, Iterator):
        raise ValueError(
            f"the blocks can be gone through but once, and there are {times} {what}: pass a list of blocks, or an "
            "object whose __iter__ begins anew"
        )
    return blocks


def whole_number(name: str, value: int, least: int) -> int:
    """Give an integer of any kind as Python's; refuse what is no whole number, or too small a one."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise ValueError(f"{name} is a whole number of at least {least}, not {value!r}")
    return number
