"""Judging a class: whether it is a scalar autograd class, and what of it the engine serves with equal results.

The author's class is copied and so is the engine's type, dressed with copies of the author's methods. First all
operators run in the author's code on engine nodes: if that differs from the author's class in anything that can be
observed, the class is left alone. Then one method after the other is tried natively, and what agrees on every probe is
served. Nothing here trusts a name: ``tanh`` is what behaves as a hyperbolic tangent, in value, gradient, type,
structure and text. (`reasons` reads, `roles` understands the attributes, `trial` tries.)
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FunctionType

from kilograd import _core, reading
from kilograd.run.bases import check_bases, flattened, inherited
from kilograd.run.clone import functions_of, parts_of, retarget_cells
from kilograd.run.reasons import (
    READ_BY_RULES,
    LeftAlone,
    facts_of,
    functions_named,
    methods_of,
    names_in,
    objections_to,
)
from kilograd.run.record import field, record, replace
from kilograd.run.served import AUTHORS, TOLD_BY_NUMPY, WATCHERS, Plan, ServedMeta, dress
from kilograd.run.survey import survey
from kilograd.run.trial import judged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Judgement", "judgements", "reconsider", "serve", "to_standard_error"]


@record
class Judgement:
    """What became of a class.

    Attributes
    ----------
    name, module : str
        The class's.
    reason : str or None
        Why it was left alone, or None where it is served.
    native, kept : list of str
        The methods that the engine serves and those that run as the author wrote them.
    turn : int
        How many modules of the program had been read.
    """

    name: str
    module: str
    reason: str | None = None
    native: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    turn: int = field(default_factory=lambda: survey.turn)  # how much of the program had been read then


judgements: list[Judgement] = []
_spare: list[type] = []  # types of classes that were left alone, for the next: there are 256 at most

# For each served class, the one that it stands for and what was found; and how it is served.
CLASSES: dict[type, tuple[type, Judgement]] = {}
PLANS: dict[type, Plan] = {}


def serve(cls: Any) -> Any:
    """The class to use in place of `cls`: one that runs on the engine, or `cls` itself.

    A class that has nothing to do with gradients is returned silently. One that looks like an autograd class and
    cannot be served faithfully is returned too, with the reason in one line on standard error.
    """
    if not isinstance(cls, type) or isinstance(cls, ServedMeta) or not _looks_like_autograd(cls):
        return cls
    for known, (author, _) in CLASSES.items():
        if _homes(author) & _homes(cls):
            _retire(known, f"the name {cls.__name__} is bound to another class")
    judgement = Judgement(cls.__name__, cls.__module__)
    judgements.append(judgement)
    try:
        if not getattr(sys, "_is_gil_enabled", lambda: True)():
            raise LeftAlone("threads run in parallel in this Python, and classes are served where they take turns")
        flat = flattened(cls)
        names = inherited(cls)
        check_bases(names)
        with _trial_type(cls) as served:
            plan = replace(judged(flat, served), inherited=names)
            _spare.remove(served)
    except LeftAlone as error:
        judgement.reason = str(error)
        _say(judgement)
        return cls
    PLANS[served] = plan
    _finish(flat, served, plan, judgement)
    if flat is not cls:
        _core.served_bases(served, (_core.Served, *cls.__bases__))
    CLASSES[served] = (flat, judgement)
    AUTHORS[served] = cls
    WATCHERS[served] = lambda name, value: _patched(flat, served, judgement, name, value)
    return served


def _looks_like_autograd(cls: type) -> bool:
    if not all(isinstance(getattr(cls, name, None), FunctionType) for name in ("__add__", "__mul__", "__init__")):
        return False
    members = [member for one in cls.__mro__[:-1] for member in vars(one).items()]
    mentioned = {name for name, _ in members}
    for _, value in members:
        for function in functions_of(value):
            mentioned |= names_in(function)
    return any("grad" in name.lower() or "backward" in name.lower() for name in mentioned)


def _homes(cls: type) -> set[tuple[str, int]]:
    """Where the methods of a class find the class itself: a variable of a function, or one of the module."""
    name, found = cls.__name__, set()
    for value in vars(cls).values():
        for function in (part for one in functions_of(value) for part in parts_of(one)):
            code = function.__code__
            if name in code.co_freevars and function.__closure__:
                found.add((name, id(function.__closure__[code.co_freevars.index(name)])))
            elif name in reading.names(code):
                found.add((name, id(function.__globals__)))
    return found


@contextmanager
def _trial_type(cls: type) -> Iterator[type]:
    """A type of the engine's to try things on; one that nobody needs afterwards serves the next trial."""
    if not _spare:
        try:
            _spare.append(_core.new_served(cls.__name__, cls.__module__, ServedMeta))
        except RuntimeError:
            raise LeftAlone("the engine has as many classes already as a process can have") from None
    yield _spare[-1]


def _as_judged(cls: type, plan: Plan) -> bool:
    """Whether the switches of the class are as they were when it was judged."""
    return all(vars(cls).get(name) is usual for name, usual in plan.switches.items())


def _paused(plan: Plan) -> Plan:
    """Every method runs as the author wrote it, for the time being."""
    return replace(plan, modes={}, methods={}, plain_init=False, paused=True)


def _unserved(plan: Plan) -> Plan:
    """Objects of the class exist, and stay on the engine; every method runs as the author wrote it from here on."""
    return replace(_paused(plan), paused=False, bare=True, globals={})


def _retire(served: type, reason: str) -> None:
    cls, judgement = CLASSES[served]
    plan = PLANS[served]
    if plan.modes or plan.methods:
        judgement.reason = reason
        _say(judgement)
        PLANS[served] = _unserved(plan)
        _finish(cls, served, PLANS[served], judgement)


def reconsider(filename: str, tree: ast.Module) -> None:
    """A module is about to be executed: what it may do to the classes that are served already."""
    survey.add(filename, tree)
    for served, (cls, judgement) in CLASSES.items():
        plan = PLANS[served]
        closed = "__slots__" in vars(cls) and "__dict__" not in vars(cls)
        kept = {name for name, attribute in plan.attributes.items() if closed or attribute.role in READ_BY_RULES}
        reason = survey.objection(kept - methods_of(cls)) or survey.changes(plan.inherited)
        if reason is None:
            facts, _ = facts_of(cls, set(plan.attributes) | {"_backward"})
            objections = objections_to(cls, facts, judgement.turn)
            reason = next((objections[name] for name in (*plan.modes, *plan.methods) if name in objections), None)
        if reason is not None:
            _retire(served, reason)
        elif plan.numpy_left and survey.mentions("__array_priority__"):
            PLANS[served] = replace(plan, numpy_left=False)
            _finish(cls, served, PLANS[served], judgement)
        _keep_objects(cls, served)


def _keep_objects(cls: type, served: type) -> None:
    """Every node keeps its object where the program may compare addresses."""
    facts = facts_of(cls, set(PLANS[served].attributes) | {"_backward"})[0] if survey.ids else {}
    spared = {
        (function.__code__.co_filename, line)
        for name in ("backward", "__hash__")
        if name in facts
        for function in functions_named(cls, name)
        for line in facts[name].ids
    }
    _core.keep_objects(served, survey.keeps(spared, "__repr__" in vars(cls)))


def to_standard_error(text: str) -> None:
    """Say a text on the standard error of the process, if it has one: what a program puts in its place is its own."""
    if sys.__stderr__ is not None:  # else `print` would take standard output
        with suppress(OSError, ValueError):  # it is closed
            print(text, file=sys.__stderr__, flush=True)


say: list[Callable[[str], None]] = [to_standard_error]  # how a line is said


def _say(judgement: Judgement) -> None:
    where = "" if judgement.module == "__main__" else f"{judgement.module}."
    say[-1](f"kilograd: class {where}{judgement.name} runs as it is: {judgement.reason}")


def _finish(cls: type, served: type, plan: Plan, judgement: Judgement) -> None:
    dress(served, cls, plan, lambda function: function)
    _keep_objects(cls, served)
    for value in vars(cls).values():
        for function in functions_of(value):
            retarget_cells(function, cls, served)
    native = [name for name, mode in plan.modes.items() if mode] + list(plan.methods)
    judgement.native = native
    judgement.kept = [
        name
        for name, value in vars(cls).items()
        if isinstance(value, FunctionType) and name not in (*native, *plan.attributes, "__init__", "__repr__")
    ]


def _patched(cls: type, served: type, judgement: Judgement, name: str, value: Any) -> None:
    """The program sets an attribute of a served class, or deletes it: that is judged as a part of the whole."""
    if isinstance(value, _core.ServedMethod):  # read off the class, and put back
        value = value.__wrapped__
    former = vars(cls).get(name)
    author = AUTHORS[served]
    if value is ...:
        type.__delattr__(author, name)
    else:
        type.__setattr__(author, name, value)
    if author is not cls:  # what it inherits is seen again where its own is gone
        value = next((vars(one)[name] for one in author.__mro__ if name in vars(one)), ...)
        type.__delattr__(cls, name) if value is ... else type.__setattr__(cls, name, value)
    plan = PLANS[served]
    if name in plan.switches and type(value) is bool and not plan.bare:
        dress(served, cls, plan if _as_judged(cls, plan) else _paused(plan), lambda function: function)
        return
    plain = not functions_of(value) and not functions_of(former) and name not in TOLD_BY_NUMPY
    if plain and not _mentioned(cls, name):
        type.__delattr__(served, name) if value is ... else type.__setattr__(served, name, value)
        return
    try:
        with _trial_type(cls) as trial:
            plan = replace(judged(cls, trial), inherited=plan.inherited)
        judgement.reason = None
    except LeftAlone as error:
        judgement.reason = f"after {cls.__name__}.{name} was changed, {error}"
        _say(judgement)
        plan = _unserved(PLANS[served])
    PLANS[served] = plan
    _finish(cls, served, plan, judgement)


def _mentioned(cls: type, name: str) -> bool:
    return any(name in names_in(function) for value in vars(cls).values() for function in functions_of(value))
