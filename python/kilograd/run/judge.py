"""Judging a class: whether it is a scalar autograd class, and what of it the engine serves with equal results.

The author's class is copied and so is the engine's type, dressed with copies of the author's methods. First all
operators run in the author's code on engine nodes: if that differs from the author's class in anything that can be
observed, the class is left alone. Then one method after the other is tried natively, and what agrees on every probe is
served. Nothing here trusts a name: ``tanh`` is what behaves as a hyperbolic tangent, in value, gradient, type,
structure and text.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import FunctionType, MemberDescriptorType
from typing import Any

from kilograd import _core, reading
from kilograd.run import probes, purity
from kilograd.run.clone import functions_of, map_functions, rebinder, retarget_cells
from kilograd.run.purity import ORDINARY, Facts
from kilograd.run.served import (
    AUTHORS,
    CAPTURED,
    FLOAT_UNIT,
    NODES,
    NUMBERS,
    OPERATORS,
    ORDERS,
    SWAPPED,
    WATCHERS,
    Attribute,
    Plan,
    Recipe,
    ServedMeta,
    dress,
)
from kilograd.run.survey import survey

__all__ = ["Judgement", "judgements", "reconsider", "serve"]

ESSENTIAL = ("__init__", "__add__", "__mul__", "__radd__", "__rmul__", "backward", "_backward")
FORBIDDEN = (
    "__new__",
    "__init_subclass__",
    "__getattr__",
    "__getattribute__",
    "__setattr__",
    "__delattr__",
    "__del__",
    "__array_ufunc__",
    "__array_function__",
    "__class_getitem__",
    "__getstate__",
    "__setstate__",
    "__getnewargs__",
    "__getnewargs_ex__",
)


READ_BY_RULES = ("data", "children", "locals")
"""What the engine's rules read of a node when gradients flow: a program may not delete it meanwhile."""


class LeftAlone(Exception):  # noqa: N818 - a verdict, not a fault
    """The class is not served; the message is the reason."""


@dataclass
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


def serve(cls: Any) -> Any:
    """The class to use in place of `cls`: one that runs on the engine, or `cls` itself.

    A class that has nothing to do with gradients is returned silently. One that looks like an autograd class and
    cannot be served faithfully is returned too, with the reason in one line on standard error.
    """
    if not isinstance(cls, type) or not _looks_like_autograd(cls):
        return cls
    for known, (author, _) in CLASSES.items():
        if _homes(author) & _homes(cls):
            _retire(known, f"the name {cls.__name__} is bound to another class")
    judgement = Judgement(cls.__name__, cls.__module__)
    judgements.append(judgement)
    try:
        with _trial_type(cls) as served:
            plan = _judge(cls, served)
            _spare.remove(served)
    except LeftAlone as error:
        judgement.reason = str(error)
        _say(judgement)
        return cls
    _finish(cls, served, plan, judgement)
    CLASSES[served] = (cls, judgement)
    AUTHORS[served] = cls
    WATCHERS[served] = lambda name, value: _patched(cls, served, judgement, name, value)
    return served


# For each served class, the one that it stands for, and what was found.
CLASSES: dict[type, tuple[type, Judgement]] = {}


def _homes(cls: type) -> set[tuple[str, int]]:
    """Where the methods of a class find the class itself: a variable of a function, or one of the module."""
    name, found = cls.__name__, set()
    for value in vars(cls).values():
        for function in functions_of(value):
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


def _unserved(plan: Plan) -> Plan:
    """Objects of the class exist, and stay on the engine; every method runs as the author wrote it from here on."""
    return replace(plan, modes={}, methods={}, plain_init=False, bare=True)


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
        reason = survey.objection(kept - _methods(cls))
        if reason is None:
            facts, _ = _facts(cls, set(plan.attributes) | {"_backward"})
            objections = _objections(cls, facts, judgement.turn)
            reason = next((objections[name] for name in (*plan.modes, *plan.methods) if name in objections), None)
        if reason is not None:
            _retire(served, reason)
        _keep_objects(cls, served)


def _keep_objects(cls: type, served: type) -> None:
    """Every node keeps its object where the program may compare addresses."""
    facts = _facts(cls, set(PLANS[served].attributes) | {"_backward"})[0] if survey.ids else {}
    spared = {
        (function.__code__.co_filename, line)
        for name in ("backward", "__hash__")
        if name in facts
        for function in _functions(cls, name)
        for line in facts[name].ids
    }
    _core.keep_objects(served, survey.keeps(spared, "__repr__" in vars(cls)))


def _say(judgement: Judgement) -> None:
    where = "" if judgement.module == "__main__" else f"{judgement.module}."
    print(f"kilograd: class {where}{judgement.name} runs as it is: {judgement.reason}", file=sys.stderr)


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
    if value is ...:
        type.__delattr__(cls, name)
    else:
        type.__setattr__(cls, name, value)
    if not functions_of(value) and not functions_of(former) and not _mentioned(cls, name):
        type.__delattr__(served, name) if value is ... else type.__setattr__(served, name, value)
        return
    try:
        with _trial_type(cls) as trial:
            plan = _judge(cls, trial)
        judgement.reason = None
    except LeftAlone as error:
        judgement.reason = f"after {cls.__name__}.{name} was changed, {error}"
        _say(judgement)
        plan = _unserved(PLANS[served])
    PLANS[served] = plan
    _finish(cls, served, plan, judgement)


PLANS: dict[type, Plan] = {}


def _mentioned(cls: type, name: str) -> bool:
    return any(
        name in reading.names(function.__code__) for value in vars(cls).values() for function in functions_of(value)
    )


# --- whether to look at a class at all -----------------------------------------------------------------------------


def _looks_like_autograd(cls: type) -> bool:
    members = vars(cls)
    if not all(isinstance(members.get(name), FunctionType) for name in ("__add__", "__mul__", "__init__")):
        return False
    mentioned = set(members)
    for value in members.values():
        for function in functions_of(value):
            mentioned |= reading.names(function.__code__)
    return any("grad" in name.lower() or "backward" in name.lower() for name in mentioned)


def _check_shape(cls: type) -> None:
    if type(cls) is not type:
        raise LeftAlone(f"it has the metaclass {type(cls).__name__}")
    if cls.__bases__ != (object,):
        raise LeftAlone(f"it derives from {', '.join(base.__name__ for base in cls.__bases__)}")
    for name in FORBIDDEN:
        if name in vars(cls):
            raise LeftAlone(f"it defines {name}")
    for name in vars(cls):
        for function in _functions(cls, name):
            if {"__dict__", "vars"} & reading.names(function.__code__):
                raise LeftAlone(f"{name} looks into __dict__, which has only what the engine does not hold")


def _check_hazards(hazards: dict[str, str]) -> None:
    for name in ESSENTIAL:
        if name in hazards:
            raise LeftAlone(f"{name} {hazards[name]}")


def _methods(cls: type) -> set[str]:
    return {name for name in vars(cls) if _functions(cls, name)}


TEXTS = ("__repr__", "__str__", "__format__")


def _facts(cls: type, attributes: Iterable[str]) -> tuple[dict[str, Facts], dict[str, str]]:
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
    if any(one.shares for one in facts.values()):
        found |= {name: "may change a default" for name, one in facts.items() if one.mutates}
    return facts, purity.unclean(facts, found)


# How much arithmetic a method may consist of that probes prove: a sum is one step, and no rule takes many.
STEPS = {"__add__": 1, "__radd__": 2, "__mul__": 1, "__rmul__": 2, "__pow__": 4, "__rpow__": 4, "backward": 6, "": 10}
LATE_STEPS = 10


def _objections(cls: type, facts: dict[str, Facts], turn: int) -> dict[str, str]:
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
    for function in _functions(cls, name):
        code = function.__code__
        for where, what in sorted(facts.looked_up):
            reason = survey.rebinding(code.co_filename, code.co_firstlineno, where, what, turn)
            if reason is not None:
                return f"looks up {what}, and {reason}"
    return None


# --- attributes that a program may set at any time --------------------------------------------------------------------


def _functions(cls: type, name: str) -> list[FunctionType]:
    return functions_of(vars(cls).get(name))


def _helpers(cls: type, mentioned: Iterable[str]) -> set[str]:
    """The names that the methods called `mentioned`, and those that they mention in turn, mention."""
    found: set[str] = set()
    waiting = list(mentioned)
    while waiting:
        for function in _functions(cls, waiting.pop()):
            new = reading.names(function.__code__) - found
            found |= new
            waiting += new
    return found


def _may_be_native(cls: type) -> list[str]:
    """The methods that the engine might serve."""
    served = (*OPERATORS, "backward", "_backward")
    return [name for name in vars(cls) if name in served or any(True for _ in _recipes(name))]


def _watched(cls: type, roles: dict[str, Attribute]) -> set[str]:
    """The attributes that methods read beside numbers: switches, perhaps, such as requires_grad."""
    read = _helpers(cls, _may_be_native(cls))
    return {name for name, attribute in roles.items() if attribute.role in ("extra", "label", "op") and name in read}


def _late_hazards(cls: type, roles: dict[str, Attribute]) -> dict[str, str]:
    """For each method whose rule looks at more than numbers when gradients flow: why it may not be native.

    The engine's rules read data and gradients. What the author's closure would read of an attribute that the program
    sets after the node was made cannot be known beforehand.
    """
    found: dict[str, str] = {}
    for name in _may_be_native(cls):
        for function in _functions(cls, name):
            if name == "backward":
                continue  # it is the author's wherever a node has such an attribute
            read = reading.names(function.__code__)
            late = read if name == "_backward" else reading.nested_names(function.__code__)
            late = late | _helpers(cls, read)
            switches = late & {
                other
                for other, attribute in roles.items()
                # A rule that is a method looks up the op, and is the author's where the program has changed it.
                if attribute.watched and (name != "_backward" or attribute.role != "op")
            }
            if switches:
                found[name] = f"reads {min(switches)!r} when gradients flow"
    return found


# --- roles: what each attribute of the author's objects is ----------------------------------------------------------

PREFERRED_DATA = ("data", "value", "val", "v", "x", "_data", "_value")


def _instance_attributes(instance: Any) -> dict[str, Any]:
    found = dict(getattr(instance, "__dict__", {}))
    for name, value in vars(type(instance)).items():
        if isinstance(value, MemberDescriptorType) and name not in ("__dict__", "__weakref__"):
            try:
                found[name] = value.__get__(instance)
            except AttributeError:
                raise LeftAlone(f"its constructor leaves the slot {name!r} empty") from None
    return found


def _roles(cls: Any) -> dict[str, Attribute]:
    """Assign a role to each attribute, from two leaves, their product and their sum."""
    try:
        x, y = cls(2.375), cls(-1.625)
        product, total = x * y, x + y
    except Exception as error:
        raise LeftAlone(
            f"{cls.__name__}(2.375) * {cls.__name__}(-1.625) raises {type(error).__name__}: {error}"
        ) from None
    if type(product) is not cls or type(total) is not cls:
        raise LeftAlone(f"its product is a {type(product).__name__}")
    leaf, other, made, summed = map(_instance_attributes, (x, y, product, total))
    if not set(leaf) == set(made) == set(other):
        raise LeftAlone("its leaves and its results have different attributes")
    roles: dict[str, Attribute] = {}
    data = [name for name, value in leaf.items() if type(value) is float and value == 2.375 and other[name] == -1.625]
    if not data:
        raise LeftAlone("its objects do not keep the number that they are made of")
    main = next((name for name in PREFERRED_DATA if name in data), data[0])
    if len(data) > 1:
        raise LeftAlone(f"its objects keep their number twice, as {' and '.join(data)}")
    roles[main] = Attribute("data")
    zeros: list[str] = []
    for name, value in leaf.items():
        if name in roles:
            continue
        result = made[name]
        if isinstance(result, tuple | list | set | frozenset) and len(result) == 2:
            items = list(result)
            if {id(item) for item in items} == {id(x), id(y)}:
                roles[name] = Attribute(
                    "children", type(result).__name__, _leaf_container(name, value, other[name], result)
                )
                continue
            if all(type(item) is float for item in items) and items == [-1.625, 2.375]:
                roles[name] = Attribute(
                    "locals", type(result).__name__, _leaf_container(name, value, other[name], result)
                )
                continue
        if callable(result) and (callable(value) or value is None) and not isinstance(result, type):
            roles[name] = Attribute("rule", "none" if value is None else "tuple", None)
            continue
        if isinstance(result, str) and (result != value or summed[name] != result):
            if not isinstance(value, str) and value is not None:
                raise LeftAlone(f"its leaves have {name} = {value!r}")
            roles[name] = Attribute("op", empty=value)
            continue
        if type(value) in (int, float) and value == 0 and result == value and type(result) is type(value):
            zeros.append(name)
            continue
        constant = value is None or isinstance(value, bool | int | float | str)
        if not constant or type(result) is not type(value) or result != value or other[name] != value:
            raise LeftAlone(f"its objects carry {name!r}, which engine nodes do not have")
        roles[name] = Attribute("label" if name == "label" and isinstance(value, str) else "extra", empty=value)
    gradient = _gradient_name(cls, zeros)
    roles[gradient] = Attribute("grad")
    for name in zeros:
        if name != gradient:
            roles[name] = Attribute("extra", empty=leaf[name])
    return roles


def _leaf_container(name: str, value: Any, others: Any, result: Any) -> Any:
    """What a leaf shows in place of its operands, where that is not an empty container of the same kind."""
    if value is None:
        return None
    if type(value) is type(result) and len(value) == 0:
        if value is others:  # the default of a parameter, which all leaves share
            return value
        return ...
    if isinstance(value, tuple | frozenset) and len(value) == 0:
        return value
    raise LeftAlone(f"its leaves have {name} = {value!r}")


def _gradient_name(cls: Any, zeros: list[str]) -> str:
    if len(zeros) == 1:
        return zeros[0]
    if "grad" in zeros:
        return "grad"
    if hasattr(cls, "backward"):
        x, y = cls(2.375), cls(-1.625)
        try:
            (x * y).backward()
        except Exception as error:
            raise LeftAlone(f"backward() raises {type(error).__name__}: {error}") from None
        changed = [name for name in zeros if getattr(x, name) == -1.625]
        if len(changed) == 1:
            return changed[0]
    raise LeftAlone("its objects have no attribute that starts at zero and receives the gradient")


def _check_constants(cls: type, roles: dict[str, Attribute]) -> None:
    """A number in an essential method may be a limit that no probe reaches."""
    defaults = {float(role.empty) for role in roles.values() if type(role.empty) in (int, float)}
    for name in ESSENTIAL:
        function = vars(cls).get(name)
        if not isinstance(function, FunctionType):
            continue
        found = reading.constants(function.__code__) | {
            float(value) for value in function.__defaults__ or () if type(value) in (int, float)
        }
        odd = found - ORDINARY - defaults
        if odd:
            raise LeftAlone(f"{name} depends on the number {min(odd):g}")


SUMS = 1e-12  # how far apart sums of the same terms in another order may be

# --- the trial ------------------------------------------------------------------------------------------------------


class _Trial:
    """The author's class and the engine's, side by side, both copies."""

    def __init__(
        self, author: type, copy: Any, served: Any, plan: Plan, hazards: dict[str, str], objections: dict[str, str]
    ) -> None:
        self.author, self.copy, self.served, self.plan = author, copy, served, plan
        self.hazards, self.objections = hazards, objections
        self.change = rebinder(author.__name__, served)
        self.expected: dict[probes.Probe, Any] = {}  # what the author's class gives, observed once
        self.trials: dict[str, list[probes.Probe]] = {}

    def dress(self, plan: Plan) -> None:
        dress(self.served, self.author, plan, self.change)
        self.plan = plan

    def first_difference(self, trials: Iterable[probes.Probe], tolerance: float = 0.0) -> probes.Probe | None:
        for probe in trials:
            if probe not in self.expected:
                self.expected[probe] = probes.observe(probe, self.copy, self.plan)
            if not probes.same(self.expected[probe], probes.observe(probe, self.served, self.plan), tolerance):
                return probe
        return None

    def of_operator(self, name: str) -> list[probes.Probe]:
        if name not in self.trials:
            self.trials[name] = probes.binary(name, light=name not in OPERATORS or name == "__rpow__")
        return self.trials[name]

    def of_method(self, name: str) -> list[probes.Probe]:
        if name not in self.trials:
            constants = reading.constants(vars(self.author)[name].__code__)
            light = not any(True for _ in _recipes(name))
            self.trials[name] = probes.unary(name, lambda node: getattr(node, name)(), constants, light)
        return self.trials[name]

    def accepts(self, plan: Plan, trials: Iterable[probes.Probe], tolerance: float = 0.0) -> bool:
        former = self.plan
        self.dress(plan)
        if self.first_difference(trials, tolerance) is None:
            return True
        self.dress(former)
        return False


def _judge(cls: type, served: type) -> Plan:
    """As `_examine`, with every unforeseen exception turned into a reason: in doubt, the class is left alone."""
    try:
        return _examine(cls, served)
    except LeftAlone:
        raise
    except Exception as error:
        raise LeftAlone(f"trying it failed with {type(error).__name__}: {error}") from None


def _examine(cls: type, served: type) -> Plan:
    """How to serve `cls`; `served` is left in the state of the last trial.

    Raises
    ------
    LeftAlone
        If it cannot be served faithfully.
    """
    _check_shape(cls)
    constructor = vars(cls)["__init__"]
    if not isinstance(constructor, FunctionType):
        raise LeftAlone("its constructor is no function")
    slots = {name for name, value in vars(cls).items() if isinstance(value, MemberDescriptorType)}
    attributes = reading.own_attributes(constructor) | slots | {"_backward"}
    closed = "__slots__" in vars(cls) and "__dict__" not in vars(cls)
    reason = survey.objection(attributes - _methods(cls) if closed else ())
    if reason is not None:
        raise LeftAlone(reason)
    facts, hazards = _facts(cls, attributes)
    _check_hazards(hazards)
    objections = _objections(cls, facts, survey.turn)
    for name in ("__init__", "__add__", "__mul__", "_backward"):
        if name in objections:
            raise LeftAlone(f"{name} {objections[name]}")
    with probes.quiet():
        copy = _copy(cls)
        roles = _roles(copy)
        read = {name for name, attribute in roles.items() if attribute.role in READ_BY_RULES}
        if (reason := survey.objection(read - _methods(cls))) is not None:
            raise LeftAlone(reason)
        for name in _watched(cls, roles):
            role = roles[name].role
            roles[name] = replace(roles[name], role="op" if role == "op" else "extra", watched=True)
        hazards |= _late_hazards(cls, roles)
        _check_hazards(hazards)
        _check_constants(cls, roles)
        plan = _conventions(copy, roles)
        if "backward" in objections:
            plan.methods.pop("backward", None)
        plan.written = list(_instance_attributes(copy(2.375)))
        plan.texts = not set(TEXTS) & set(hazards)
        trial = _Trial(cls, copy, served, plan, hazards, objections)
        _try_kept(trial)
        _try_operators(trial)
        _try_methods(trial)
        _try_whole(trial)
    PLANS[served] = trial.plan
    return trial.plan


def _copy(cls: type) -> Any:
    """A copy of the class whose methods see the copy under the class's name."""
    namespace = {
        name: value
        for name, value in vars(cls).items()
        if name not in ("__dict__", "__weakref__") and not isinstance(value, MemberDescriptorType)
    }
    copy = type(cls.__name__, (object,), namespace)
    copy.__qualname__ = cls.__qualname__
    rebind = rebinder(cls.__name__, copy)
    for name, value in namespace.items():
        changed = map_functions(value, rebind)
        if changed is not value:
            setattr(copy, name, changed)
    return copy


def _conventions(cls: Any, roles: dict[str, Attribute]) -> Plan:
    plan = Plan({name: replace(role, empty=None if role.empty is ... else role.empty) for name, role in roles.items()})
    for name, role in roles.items():
        if role.role in ("children", "locals") and role.empty is None:
            plan.attributes[name] = replace(role, container=role.container)
    kinds = {role.role for role in roles.values()}
    if "children" not in kinds:
        raise LeftAlone("its results do not keep their operands")
    if not kinds & {"rule", "locals"} and "_backward" not in vars(cls):
        raise LeftAlone("its results carry neither a backward function nor local gradients")
    containers = [role.container for role in roles.values() if role.role == "children"]
    ordered = all(container in ("tuple", "list") for container in containers)
    if "locals" in kinds and not ordered:
        raise LeftAlone("its local gradients belong to operands that have no order")
    grad = plan.grad
    x, y = cls(2.375), cls(-1.625)
    plan.int_zero = type(getattr(x, grad)) is int
    plan.int_one = plan.int_zero
    plan.order = ORDERS[1] if ordered else ORDERS[0]
    if "backward" in vars(cls):
        root = x * y
        try:
            root.backward()
        except Exception as error:
            raise LeftAlone(f"backward() raises {type(error).__name__}: {error}") from None
        seed = getattr(root, grad)
        if type(seed) not in (int, float) or seed != 1:
            raise LeftAlone(f"backward() leaves {seed!r} as the gradient of the root")
        plan.int_one = type(seed) is int
        if isinstance(vars(cls)["backward"], FunctionType):
            plan.methods["backward"] = Recipe("backward")
    return plan


def _required_parameters(function: FunctionType) -> int:
    given = len(function.__defaults__ or ()) + len(function.__kwdefaults__ or {})
    return function.__code__.co_argcount + function.__code__.co_kwonlyargcount - given


def _takes_only_itself(function: FunctionType) -> bool:
    code = function.__code__
    return code.co_argcount == 1 and not code.co_kwonlyargcount and not code.co_flags & 0x0C  # *args, **kwargs


def _one_operand(trial: _Trial) -> list[str]:
    """The author's methods that take nothing but the node."""
    return [
        name
        for name, value in vars(trial.author).items()
        if isinstance(value, FunctionType)
        and name not in trial.hazards
        and name not in ("__init__", "backward", "_backward", "__hash__")
        and _required_parameters(value) == 1
    ]


def _try_kept(trial: _Trial) -> None:
    """The author's code on engine nodes must be indistinguishable from the author's code on the author's nodes."""
    members = vars(trial.author)
    trials = probes.composite(uses=2)
    for name in probes.SYMBOLS:
        if name in members and name not in trial.hazards:
            trials += trial.of_operator(name)
    for name in _one_operand(trial):
        trials += trial.of_method(name)
    shared = probes.composite()
    first: probes.Probe | None = None
    for plan, tolerance in _orders(trial):
        trial.dress(plan)
        difference = trial.first_difference(trials) or trial.first_difference(shared, tolerance)
        if difference is None:
            return
        first = first or difference
    raise LeftAlone(f"on engine nodes the outcome would differ for {first!r}")


def _orders(trial: _Trial) -> Iterable[tuple[Plan, float]]:
    """The ways to visit nodes in backward(), and how close the sums of gradients have to be.

    A set of operands leaves the order of a sum to chance, in plain Python too. Where no native way agrees, backward()
    is the author's.
    """
    plan = trial.plan
    authors = replace(plan, methods={name: recipe for name, recipe in plan.methods.items() if name != "backward"})
    if plan.order != ORDERS[0]:
        for order in ORDERS[1:]:
            yield replace(plan, order=order), 0.0
        yield authors, 0.0
    else:
        if "sorted" not in _helpers(trial.author, ["backward"]):
            yield plan, SUMS
        yield authors, SUMS


def _try_operators(trial: _Trial) -> None:
    members = vars(trial.author)
    flavours = [0, CAPTURED, CAPTURED | FLOAT_UNIT]
    for name in OPERATORS:
        if name not in members or not isinstance(members[name], FunctionType):
            continue
        if name in trial.hazards or name in trial.objections:
            continue
        if reading.constants(members[name].__code__) - ORDINARY:
            continue
        label = _operator_label(trial, name)
        trials = trial.of_operator(name)
        if name == "__pow__":
            bits = [NUMBERS]
        elif OPERATORS[name][1]:
            bits = [NUMBERS | SWAPPED, NUMBERS]
        else:
            bits = [NODES | NUMBERS, NODES]
        if name == "__rpow__":
            continue
        for mode in [flavour | bit for flavour in flavours for bit in bits]:
            plan = replace(
                trial.plan,
                modes={**trial.plan.modes, name: mode},
                labels={**trial.plan.labels, name: label},
            )
            if trial.accepts(plan, trials):
                break
        else:
            if name in ("__add__", "__mul__"):
                raise LeftAlone(f"its {name} differs from the engine's")


def _operator_label(trial: _Trial, name: str) -> str | None:
    """What the op attribute of a result shows, with "{}" for the exponent of a power."""
    op = trial.plan.named("op")
    if op is None:
        return None
    symbol = probes.SYMBOLS[name]
    try:
        if "pow" not in name:
            node = trial.copy(1.5)
            return str(getattr(symbol(node, trial.copy(2.5)), op))
        texts = [str(getattr(trial.copy(1.5) ** exponent, op)) for exponent in (3, 0.25)]
    except Exception:
        return None
    plain = texts[0].replace("{", "{{").replace("}", "}}")
    return plain.replace("3", "{}", 1) if texts[0] != texts[1] else plain


# Which of the engine's ways to compute a function are tried, by what the author's method is called.
RECIPES: dict[str, tuple[Recipe, ...]] = {
    "tanh": tuple(
        Recipe(name, fixed=True)
        for name in ("tanh_by_exp, 1 - t**2", "tanh_by_exp, 1 - t*t", "math.tanh, 1 - t**2", "math.tanh, 1 - t*t")
    ),
    "sigmoid": (Recipe("logistic_by_exp, s * (1 - s)", fixed=True),),
    "relu": tuple(
        Recipe(name, fixed=fixed, local=local)
        for name in ("relu: 0 if x < 0", "relu: x if x > 0 else 0", "relu: 0.0 if x < 0", "relu: x if x > 0 else 0.0")
        for fixed, local in ((False, "bool"), (True, "float"), (True, "bool"), (True, "int"))
    ),
}
SYNONYMS = {"logistic": "sigmoid", "ln": "log", "sigm": "sigmoid", "arctan": "atan", "arcsin": "asin", "arccos": "acos"}
ROWS = frozenset(name for name, _, arity, _, _ in _core.ops() if arity == "Unary")


def _recipes(name: str) -> Iterable[Recipe]:
    wanted = name.strip("_").lower()
    wanted = SYNONYMS.get(wanted, wanted)
    for recipe in RECIPES.get(wanted, ()):
        yield replace(recipe, numpy=True)
        yield recipe
    if wanted in ROWS and wanted != "relu":
        for fixed in (False, True):
            yield Recipe(wanted, fixed=fixed, numpy=True)
            yield Recipe(wanted, fixed=fixed)


def _try_methods(trial: _Trial) -> None:
    op = trial.plan.named("op")
    for name in _one_operand(trial):
        if name.startswith("__") or name in trial.objections or not _takes_only_itself(vars(trial.author)[name]):
            continue
        if reading.constants(vars(trial.author)[name].__code__) - ORDINARY:
            continue
        label = None
        if op is not None:
            try:
                label = getattr(getattr(trial.copy(0.75), name)(), op)
            except Exception:
                continue
        trials = trial.of_method(name)
        has_numpy = "numpy" in sys.modules
        for recipe in _recipes(name):
            if recipe.numpy and not has_numpy:
                continue
            plan = replace(
                trial.plan,
                methods={**trial.plan.methods, name: recipe},
                labels={**trial.plan.labels, name: label},
            )
            if trial.accepts(plan, trials):
                break


def _try_whole(trial: _Trial) -> None:
    """Everything that was accepted, together."""
    plan = trial.plan
    if trial.accepts(replace(plan, plain_init=True), probes.unary("the constructor", lambda node: node)):
        plan = trial.plan
    difference = trial.first_difference(probes.composite(uses=2)) or trial.first_difference(
        probes.composite(), 0.0 if plan.order != ORDERS[0] else SUMS
    )
    if difference is not None:
        raise LeftAlone(f"the outcome would differ for {difference!r}")
