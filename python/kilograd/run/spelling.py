"""How a rule is written: gradients that say what was done to them.

``self.grad -= g`` and ``self.grad += -1 * g`` are the same for floats, and differ for what a program may use in their
place: NumPy's unsigned integers, say.
"""

from __future__ import annotations

from kilograd.run.points import ORDINARY
from kilograd.run.probes import SYMBOLS, Probe

__all__ = ["gradients_in_words"]


class _Word:
    """In place of a number: it says what was done to it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def __neg__(self) -> _Word:
        return _Word(f"(-{self})")

    def __add__(self, other: object) -> _Word:
        return _Word(f"({self} + {other})")

    def __radd__(self, other: object) -> _Word:
        return _Word(f"({other} + {self})")

    def __sub__(self, other: object) -> _Word:
        return _Word(f"({self} - {other})")

    def __rsub__(self, other: object) -> _Word:
        return _Word(f"({other} - {self})")

    def __mul__(self, other: object) -> _Word:
        return _Word(f"({self} * {other})")

    def __rmul__(self, other: object) -> _Word:
        return _Word(f"({other} * {self})")


def gradients_in_words(name: str) -> list[Probe]:
    """Probes of how the rule of ``-`` or unary minus is written."""
    if name == "__neg__":
        return [Probe(f"{name}, scaled", [x, _Word("g")], lambda a, b: -a * b) for x in (ORDINARY[3], 3)]
    function = SYMBOLS[name]
    return [
        Probe(f"{name}, scaled", [x, y, _Word("g")], lambda a, b, c: function(a, b) * c)
        for x, y in ((0.25, 3), (3, 0.5))
    ]
