"""What is found out about a method: whether it may be tried, and what it is made of."""

from __future__ import annotations

from collections.abc import Mapping

from kilograd.run.record import field, record


class Unclean(Exception):  # noqa: N818 - a verdict, not a fault
    """The method may not be tried; the message says what it does, as the end of a sentence."""


@record
class Facts:
    """What a method that may be tried is made of.

    Attributes
    ----------
    odd : str or None
        Why it is not served although it may be tried.
    calls : set of str
        The attributes of the class that it may call, operators included.
    looked_up : set of tuple
        The names whose meaning it depends on: ("own", the class's name), ("global", name), ("builtin", name) or
        (module, attribute).
    steps, late_steps : int
        How much arithmetic there is.
    elementary : bool
        Whether it calls functions of `math`.
    loops : bool
        Whether it repeats anything.
    switches, globals : set of str
        The attributes of the class itself, and the variables of its module, that it reads and that are truths: a
        program may set them at any time.
    helped : set of tuple
        What the functions look up that it calls and that are no methods: file, line, and as in `looked_up`.
    """

    odd: str | None = None
    calls: set[str] = field(default_factory=set)
    looked_up: set[tuple[str, str]] = field(default_factory=set)
    steps: int = 0
    late_steps: int = 0
    elementary: bool = False
    loops: bool = False
    ids: set[int] = field(default_factory=set)  # lines on which it calls id()
    shares: bool = False  # a default that can change becomes an attribute
    mutates: bool = False  # it may change a container that it did not make
    compares: bool = False  # numbers, with one of ORDINARY or with zero
    tests: bool = False  # whether something is true, a number perhaps
    trusts: bool = False  # what a helper gives to be no number
    looks_into: bool = False  # a dictionary, a set, or what else compares its items
    switches: set[str] = field(default_factory=set)
    globals: set[str] = field(default_factory=set)
    helped: set[tuple[str, int, str, str]] = field(default_factory=set)

    def merged(self, other: Facts) -> Facts:
        """Those of a property that consists of two functions."""
        return Facts(
            self.odd or other.odd,
            self.calls | other.calls,
            self.looked_up | other.looked_up,
            self.steps + other.steps,
            self.late_steps + other.late_steps,
            self.elementary or other.elementary,
            self.loops or other.loops,
            self.ids | other.ids,
            self.shares or other.shares,
            self.mutates or other.mutates,
            self.compares or other.compares,
            self.tests or other.tests,
            self.trusts or other.trusts,
            self.looks_into or other.looks_into,
            self.switches | other.switches,
            self.globals | other.globals,
            self.helped | other.helped,
        )


def unclean(facts: Mapping[str, Facts], hazards: Mapping[str, str]) -> dict[str, str]:
    """The hazards of those that call, directly or not, what has one."""
    found = dict(hazards)
    changed = True
    while changed:
        changed = False
        for name, one in facts.items():
            if name in found:
                continue
            bad = sorted(one.calls & set(found))
            if bad:
                found[name] = f"calls {bad[0]}, which {found[bad[0]]}"
                changed = True
    return found
