"""Why a class, or a method of it, is left as its author wrote it: what can be read off it before anything is tried."""

from __future__ import annotations

from collections.abc import Iterable
from types import FunctionType

from kilograd import reading
from kilograd.run import purity
from kilograd.run.clone import functions_of, parts_of
from kilograd.run.purity import ORDINARY, Facts
from kilograd.run.recipes import recipes_for
from kilograd.run.served import OPERATORS, Attribute
from kilograd.run.survey import survey

ESSENTIAL = ("__init__", "__add__", "__mul__", "__radd__", "__rmul__", "backward", "_backward")
FORBIDDEN = (
    "__new__",
    "__init_subclass__",
    "__getattr__",
    "__getattribute__",
    "__setattr__",
    "__delattr__",
    "__del__",
    "__class_getitem__",
    "__getstate__",
    "__setstate__",
    "__getnewargs__",
    "__getnewargs_ex__",
)
TEXTS = ("__repr__", "__str__", "__format__")

READ_BY_RULES = ("data", "children", "locals", "pairs")
"""What the engine's rules read of a node when gradients flow: a program may not delete it meanwhile."""


class LeftAlone(Exception):  # noqa: N818 - a verdict, not a fault
    """The class is not served; the message is the reason."""


# --- the class


def functions_named(cls: type, name: str) -> list[FunctionType]:
    """The functions that an attribute of a class consists of: one, or those of a property."""
    return functions_of(vars(cls).get(name))


def methods_of(cls: type) -> set[str]:
    """The names of its functions and properties."""
    return {name for name in vars(cls) if functions_named(cls, name)}


def names_in(function: FunctionType) -> set[str]:
    """The names that a function mentions, and those that the functions mention which it calls."""
    return set().union(*(reading.names(part.__code__) for part in parts_of(function)))


def constants_in(function: FunctionType) -> set[float]:
    """The numbers written in a function, and in those that it calls."""
    return set().union(*(reading.constants(part.__code__) for part in parts_of(function)))


def stored_by(cls: type, name: str) -> set[str]:
    """The attributes that an attribute of the class, if it is a method, sets on whatever it is."""
    return set().union(
        *(
            reading.stored_attributes(part.__code__)
            for function in functions_named(cls, name)
            for part in parts_of(function)
        )
    )


def helpers(cls: type, mentioned: Iterable[str]) -> set[str]:
    """The names that the methods called `mentioned`, and those that they mention in turn, mention."""
    found: set[str] = set()
    waiting = list(mentioned)
    while waiting:
        for function in functions_named(cls, waiting.pop()):
            new = names_in(function) - found
            found |= new
            waiting += new
    return found


def check_shape(cls: type) -> None:
    """Leave a class alone that is made as no plain class is."""
    if type(cls) is not type:
        raise LeftAlone(f"it has the metaclass {type(cls).__name__}")
    if cls.__bases__ != (object,):
        raise LeftAlone(f"it derives from {', '.join(base.__name__ for base in cls.__bases__)}")
    for name in FORBIDDEN:
        if name in vars(cls):
            raise LeftAlone(f"it defines {name}")
    for name in vars(cls):
        for function in functions_named(cls, name):
            if {"__dict__", "vars"} & names_in(function):
                raise LeftAlone(f"{name} looks into __dict__, which has only what the engine does not hold")


def check_hazards(hazards: dict[str, str]) -> None:
    """Leave a class alone of which what every node needs may not be tried."""
    for name in ESSENTIAL:
        if name in hazards:
            raise LeftAlone(f"{name} {hazards[name]}")


def check_constants(cls: type, roles: dict[str, Attribute]) -> None:
    """A number in an essential method may be a limit that no probe reaches."""
    defaults = {float(role.empty) for role in roles.values() if type(role.empty) in (int, float)}
    for name in ESSENTIAL:
        function = vars(cls).get(name)
        if not isinstance(function, FunctionType):
            continue
        found = constants_in(function) | {
            float(value) for value in function.__defaults__ or () if type(value) in (int, float)
        }
        odd = found - ORDINARY - defaults
        if odd:
            raise LeftAlone(f"{name} depends on the number {min(odd):g}")


# --- its methods


def facts_of(cls: type, attributes: Iterable[str]) -> tuple[dict[str, Facts], dict[str, str]]:
    """What each method is made of; and, for each that may not be tried, why."""
    known, found = set(attributes), {}
    facts: dict[str, Facts] = {}
    for name, value in vars(cls).items():
        for function in functions_of(value):
            try:
                tolerant = name in ("backward", "_backward")
                one = purity.examine(function, cls, known, name in TEXTS, tolerant, isinstance(value, classmethod))
            except purity.Unclean as error:
                found[name] = str(error)
                break
            facts[name] = facts[name].merged(one) if name in facts else one
    if "__array_ufunc__" in facts:  # NumPy's error shows the operands
        facts["__array_ufunc__"].calls.update(TEXTS)
    if any(one.shares for one in facts.values()):
        found |= {name: "may change a default" for name, one in facts.items() if one.mutates}
    return facts, purity.unclean(facts, found)


# How much arithmetic a method may consist of that probes prove: a sum is one step, and no rule takes many.
STEPS = {
    "__add__": 1,
    "__sub__": 3,
    "__neg__": 2,
    "__radd__": 2,
    "__mul__": 1,
    "__rmul__": 2,
    "__pow__": 4,
    "__rpow__": 4,
    "backward": 6,
    "": 10,
}
LATE_STEPS = 10


def objections_to(cls: type, facts: dict[str, Facts], turn: int) -> dict[str, str]:
    """For each method that may be tried: why it is not served although it agrees wherever it was tried."""
    found: dict[str, str] = {}
    for name in facts:
        reached = sorted(_reached(facts, name))
        computing = [part for part in reached if part == name or part in ESSENTIAL[:1] or not part.startswith("__")]
        reasons = [(part, facts[part].odd) for part in computing]
        reasons.append((name, _excess(name, [facts[part] for part in computing if part != "__init__"])))
        reasons += [(part, _rebinding(cls, part, facts[part], turn)) for part in reached]
        for part, reason in reasons:
            if reason is not None:
                found[name] = reason if part == name else f"calls {part}, which {reason}"
                break
    return found


def _reached(facts: dict[str, Facts], name: str) -> set[str]:
    """`name` and the methods that it calls, and those that they call."""
    found, waiting = {name}, [name]
    while waiting:
        new = facts[waiting.pop()].calls & set(facts) - found
        found |= new
        waiting += new
    return found


def _excess(name: str, parts: list[Facts]) -> str | None:
    """Probes prove that a short formula is another one, and do not where it is long enough to hide something."""
    steps, late_steps = sum(one.steps for one in parts), sum(one.late_steps for one in parts)
    if steps > STEPS.get(name, STEPS[""]) or late_steps > LATE_STEPS:
        return "computes more than it needs to"
    if name in STEPS and name != "__pow__" and any(one.elementary for one in parts):
        return "calls functions of math"
    if name in STEPS and any(one.compares for one in parts):
        return "compares numbers"
    if name in ("__init__", "backward", "_backward"):
        return None
    if any(one.trusts for one in parts) or (name in STEPS and any(one.tests for one in parts)):
        return "depends on whether something is zero"
    if any(one.looks_into for one in parts):
        return "looks into a container"
    return "has a loop" if any(one.loops for one in parts) else None


def _rebinding(cls: type, name: str, facts: Facts, turn: int) -> str | None:
    looked_up = set(facts.helped)
    for function in functions_named(cls, name):
        code = function.__code__
        looked_up |= {(code.co_filename, code.co_firstlineno, *one) for one in facts.looked_up}
    for filename, line, where, what in sorted(looked_up):
        reason = survey.rebinding(filename, line, where, what, turn)
        if reason is not None:
            return f"looks up {what}, and {reason}"
    return None


# --- attributes that a program may set at any time


def may_be_native(cls: type) -> list[str]:
    """The methods that the engine might serve."""
    served = (*OPERATORS, "backward", "_backward")
    return [name for name in vars(cls) if name in served or any(True for _ in recipes_for(name))]


def watched(cls: type, roles: dict[str, Attribute]) -> set[str]:
    """The attributes that methods read beside numbers: switches, perhaps, such as requires_grad."""
    read = helpers(cls, may_be_native(cls))
    return {name for name, attribute in roles.items() if attribute.role in ("extra", "label", "op") and name in read}


def late_hazards(cls: type, roles: dict[str, Attribute]) -> dict[str, str]:
    """For each method whose rule looks at more than numbers when gradients flow: why it may not be native.

    The engine's rules read data and gradients. What the author's closure would read of an attribute that the program
    sets after the node was made cannot be known beforehand.
    """
    found: dict[str, str] = {}
    for name in may_be_native(cls):
        for function in functions_named(cls, name):
            if name == "backward":
                continue  # it is the author's wherever a node has such an attribute
            parts = parts_of(function)
            read = names_in(function)
            late = read if name == "_backward" else set(reading.nested_names(function.__code__))
            late = late.union(helpers(cls, read), *(reading.names(part.__code__) for part in parts[1:]))
            switches = late & {
                other
                for other, attribute in roles.items()
                # A rule that is a method looks up the op, and is the author's where the program has changed it.
                if attribute.watched and (name != "_backward" or attribute.role != "op")
            }
            if switches:
                found[name] = f"reads {min(switches)!r} when gradients flow"
    return found
