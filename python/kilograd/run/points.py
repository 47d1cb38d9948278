"""The numbers on which a class is tried."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Iterable, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    T = TypeVar("T")


class Chance:
    """Numbers by chance, the same ones for a seed always; importing `random` takes longer than using this."""

    def __init__(self, seed: int) -> None:
        self.state = seed

    def number(self) -> float:
        """One from 0 to 1: Knuth's linear congruential generator, MMIX."""
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 11) / 2**53

    def between(self, low: float, high: float) -> float:
        """One from `low` to `high`."""
        return low + (high - low) * self.number()

    def choice(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[int(self.number() * len(items))]


_source = Chance(20)
ORDINARY = tuple(_source.between(-3.0, 3.0) for _ in range(24))
SPECIAL = (0, 1, -2, 3, True, False, 0.0, -0.0, 1.0, -1.0, 0.5, 1e-300, 1e300, -1e300, math.inf, -math.inf, math.nan)
STRANGE: tuple[Any, ...] = (2**60, -(2**53) - 1, 1 + 2j, None, "text", [1.0])


def loaded() -> list[Any]:
    """Data of kinds that only a program that has loaded their modules can hold."""
    found: list[Any] = []
    numpy = sys.modules.get("numpy")
    if numpy is not None and hasattr(numpy, "float64"):
        found += [numpy.float64(1.25), numpy.float64(-0.7310585786300049), numpy.float64(0.0), numpy.float64(1e308)]
        found += [numpy.int64(3), numpy.float32(0.1), numpy.array([1.5, -2.0])]
    fractions = sys.modules.get("fractions")
    if fractions is not None and hasattr(fractions, "Fraction"):
        found.append(fractions.Fraction(1, 3))
    return found


# Every number that a method may be compared with, and one between each two of them.
BRANCHES = (-2.5, -2.0, -1.5, -1.0, -0.75, -0.5, -0.25, 0.25, 0.5, 0.75, 1.5, 2.0, 2.5)


def around(constants: Iterable[float]) -> list[float]:
    """Points at and next to the numbers written in a method, where it may branch."""
    found: list[float] = []
    for constant in constants:
        if not math.isfinite(constant):
            continue
        for center in (constant, -constant):
            step = 1e-6 * max(1.0, abs(center))
            found += [center, center - step, center + step]
            found += [math.nextafter(center, math.inf), math.nextafter(center, -math.inf)]
    return found


@functools.cache
def hard_squares() -> list[float]:
    """Points x where t**2 and t*t differ in the last bit for t = tanh(x): one in a thousand."""
    found: list[float] = []
    source = Chance(21)
    for _ in range(20000):
        x = source.between(-2.0, 2.0)
        t = math.tanh(x)
        s = (math.exp(2 * x) - 1) / (math.exp(2 * x) + 1)
        if t**2 != t * t or s**2 != s * s:
            found.append(x)
            if len(found) == 4:
                break
    return found


def hard_quotients() -> list[tuple[float, float]]:
    """Pairs where g / x, g * (1 / x) and g * x**-1 are not the same, in the last bit."""
    source = Chance(22)
    pairs = [(source.between(0.1, 4.0), source.between(-2.0, 2.0)) for _ in range(40)]
    quotients = [(x, g) for x, g in pairs if g / x != g * (1 / x)]
    near_one = [(1.0 - n * 2.0**-53, 1.0) for n in range(1, 40)]  # where a power of -1 is rounded worst
    return quotients[:8] + [(x, g) for x, g in near_one if x**-1 != 1 / x][:4]


PAIR = (0, -3, True, -0.0, 0.5, -1.0, 1e-300, 1e300, -1e308, math.inf, math.nan)
EDGES = (0, 3, True, -0.0, 0.0, 1e300, math.inf, math.nan)
EXPONENTS: tuple[Any, ...] = (2, 3, 2.0, 0.5, -1, -1.0, 0, 0.0, 1, 1.5, -2, 1 / 3, True, 400, 1e300, math.nan, math.inf)
