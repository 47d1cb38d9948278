"""The trial of a class: the author's and the engine's, side by side, until no probe tells them apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import FunctionType, MemberDescriptorType

from kilograd import reading
from kilograd.run import probes
from kilograd.run.clone import map_functions, rebinder
from kilograd.run.composed import calls_of, steps_of
from kilograd.run.orders import SUMS, orders
from kilograd.run.purity import ORDINARY, Facts
from kilograd.run.purity.switches import place_of, set_switch
from kilograd.run.quotients import rule_of
from kilograd.run.reasons import (
    READ_BY_RULES,
    TEXTS,
    LeftAlone,
    check_constants,
    check_hazards,
    check_shape,
    constants_in,
    facts_of,
    late_hazards,
    methods_of,
    names_in,
    objections_to,
    stored_by,
    watched,
)
from kilograd.run.recipes import recipes_for
from kilograd.run.record import replace
from kilograd.run.roles import NUMPY_FLOATS, conventions, instance_attributes, roles_of
from kilograd.run.served import (
    CAPTURED,
    COMPOSED,
    COMPOSITES,
    DIFFERENCES,
    FLOAT_UNIT,
    NEGATED,
    NODES,
    NUMBERS,
    OPERATORS,
    ORDERS,
    SUBTRACTED,
    SWAPPED,
    Plan,
    Recipe,
    dress,
)
from kilograd.run.spelling import gradients_in_words
from kilograd.run.survey import survey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Trial:
    """The author's class and the engine's, side by side, both copies."""

    def __init__(
        self, author: type, copy: Any, served: Any, plan: Plan, hazards: dict[str, str], objections: dict[str, str]
    ) -> None:
        self.author, self.copy, self.served, self.plan = author, copy, served, plan
        self.hazards, self.objections = hazards, objections
        self.change = rebinder(author.__name__, served)
        self.expected: dict[probes.Probe, Any] = {}  # what the author's class gives, observed once
        self.trials: dict[str, list[probes.Probe]] = {}
        self.own_rules = [name for name in DIFFERENCES if self._has_own_rule(name)]
        self.divides = self._has_own_rule("__truediv__") and self._divides_by_formulas()
        self.graphs, self.shared_graphs = probes.composite(uses=2), probes.composite()

    def _has_own_rule(self, name: str) -> bool:
        """Whether an operator that often consists of others does not, and may be tried as an operation of its own."""
        function = vars(self.author).get(name)
        if not isinstance(function, FunctionType) or name in self.hazards or name in self.objections:
            return False
        return steps_of(function, self.author) is None and not constants_in(function) - ORDINARY

    def _divides_by_formulas(self) -> bool:
        """Whether the rule of its division is arithmetic that the engine can do."""
        return rule_of(vars(self.author)["__truediv__"], self.author, self.plan.data, self.plan.grad) is not None

    def dress(self, plan: Plan) -> None:
        """Make the engine's class what the plan says."""
        dress(self.served, self.author, plan, self.change)
        self.plan = plan

    def first_difference(self, trials: Iterable[probes.Probe], tolerance: float = 0.0) -> probes.Probe | None:
        """The first probe that tells the two classes apart."""
        for probe in trials:
            if probe not in self.expected:
                self.expected[probe] = probes.observe(probe, self.copy, self.plan)
            if not probes.same(self.expected[probe], probes.observe(probe, self.served, self.plan), tolerance):
                return probe
        return None

    def of_operator(self, name: str) -> list[probes.Probe]:
        """The probes of an operator."""
        if name not in self.trials:
            own = name in self.own_rules or (name == "__truediv__" and self.divides)
            light = (name not in OPERATORS and not own) or name == "__rpow__"
            self.trials[name] = probes.binary(name, light, "__array_ufunc__" not in self.hazards)
        return self.trials[name]

    def of_method(self, name: str) -> list[probes.Probe]:
        """The probes of a method that takes nothing but the node."""
        if name not in self.trials:
            constants = constants_in(vars(self.author)[name])
            light = name not in self.own_rules and not any(True for _ in recipes_for(name))
            self.trials[name] = probes.unary(name, lambda node: getattr(node, name)(), constants, light)
        return self.trials[name]

    def accepts(self, plan: Plan, trials: Iterable[probes.Probe], tolerance: float = 0.0) -> bool:
        """Dress the class by a plan, and as before where a probe then tells it from the author's."""
        former = self.plan
        self.dress(plan)
        if self.first_difference(trials, tolerance) is None:
            return True
        self.dress(former)
        return False


def judged(cls: type, served: type) -> Plan:
    """As `_examine`, with every unforeseen exception turned into a reason: in doubt, the class is left alone."""
    try:
        return _examined(cls, served)
    except LeftAlone:
        raise
    except Exception as error:
        raise LeftAlone(f"trying it failed with {type(error).__name__}: {error}") from None


def _examined(cls: type, served: type) -> Plan:
    """How to serve `cls`; `served` is left in the state of the last trial.

    Raises
    ------
    LeftAlone
        If it cannot be served faithfully.
    """
    check_shape(cls)
    constructor = vars(cls)["__init__"]
    if not isinstance(constructor, FunctionType):
        raise LeftAlone("its constructor is no function")
    slots = {name for name, value in vars(cls).items() if isinstance(value, MemberDescriptorType)}
    own = reading.own_attributes(constructor) | slots | {"_backward"}
    attributes = own.union(*(stored_by(cls, name) for name in vars(cls)))  # some may be set on results alone
    closed = "__slots__" in vars(cls) and "__dict__" not in vars(cls)
    reason = survey.objection(own - methods_of(cls) if closed else ())
    if reason is not None:
        raise LeftAlone(reason)
    facts, hazards, objections = _read(cls, attributes)
    with probes.quiet():
        copy = _copy(cls)
        roles = roles_of(copy)
        if not attributes <= own | set(roles):
            facts, hazards, objections = _read(cls, own | set(roles))
        read = {name for name, attribute in roles.items() if attribute.role in READ_BY_RULES}
        if (reason := survey.objection(read - methods_of(cls))) is not None:
            raise LeftAlone(reason)
        for name in watched(cls, roles):
            role = roles[name].role
            roles[name] = replace(roles[name], role="op" if role == "op" else "extra", watched=True)
        hazards |= late_hazards(cls, roles)
        check_hazards(hazards)
        check_constants(cls, roles)
        plan = conventions(copy, roles)
        if "backward" in objections:
            plan.methods.pop("backward", None)
        plan.written = list(instance_attributes(copy(2.375) * copy(-1.625)))
        plan.numpy = not survey.numpy_may_raise
        if not plan.numpy and {plan.makes, plan.zero, plan.one} & set(NUMPY_FLOATS):
            raise LeftAlone("the program may make NumPy raise where it would warn")
        plan.numpy_left = not survey.mentions("__array_priority__")
        plan.texts = not set(TEXTS) & set(hazards)
        plan.switches = {name: vars(cls)[name] for one in facts.values() for name in one.switches}
        for name in sorted(set().union(*(one.globals for one in facts.values()))):
            place, attribute = place_of(constructor.__globals__, name)
            plan.globals[name] = (vars(place) if isinstance(place, type) else place)[attribute]
        trial = Trial(cls, copy, served, plan, hazards, objections)
        try:
            _try_switched(trial)
            _try_kept(trial)
            _try_operators(trial)
            _try_differences(trial)
            _try_quotients(trial)
            _try_methods(trial)
            _try_composed(trial)
            _try_whole(trial)
        finally:
            trial.expected.clear()  # before the collector would look through it
    return trial.plan


def _read(cls: type, attributes: set[str]) -> tuple[dict[str, Facts], dict[str, str], dict[str, str]]:
    """What the methods are made of, which may not be tried, and which may be tried and not served.

    Raises
    ------
    LeftAlone
        If that is so of one that every node needs.
    """
    facts, hazards = facts_of(cls, attributes)
    check_hazards(hazards)
    objections = objections_to(cls, facts, survey.turn)
    for name in ("__init__", "__add__", "__mul__", "_backward"):
        if name in objections:
            raise LeftAlone(f"{name} {objections[name]}")
    return facts, hazards, objections


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


def _required_parameters(function: FunctionType) -> int:
    given = len(function.__defaults__ or ()) + len(function.__kwdefaults__ or {})
    return function.__code__.co_argcount + function.__code__.co_kwonlyargcount - given


def _takes_only_itself(function: FunctionType) -> bool:
    code = function.__code__
    return code.co_argcount == 1 and not code.co_kwonlyargcount and not code.co_flags & 0x0C  # *args, **kwargs


def _one_operand(trial: Trial) -> list[str]:
    """The author's methods that take nothing but the node."""
    return [
        name
        for name, value in vars(trial.author).items()
        if isinstance(value, FunctionType)
        and name not in trial.hazards
        and name not in ("__init__", "backward", "_backward", "__hash__")
        and _required_parameters(value) == 1
    ]


def _everything(trial: Trial) -> list[probes.Probe]:
    """Probes of all that may be tried, without nodes whose gradient is a sum of three terms.

    What is the engine's in the end is tried on twice as many.
    """
    members = vars(trial.author)
    trials = list(trial.graphs)
    for name in probes.SYMBOLS:
        if name in members and name not in trial.hazards:
            trials += probes.half(trial.of_operator(name))
    for name in _one_operand(trial):
        trials += probes.half(trial.of_method(name))
    return trials


def _try_switched(trial: Trial) -> None:
    """While a switch is not as it was when the class was judged, all of its code is the author's."""
    plan = trial.plan
    constructor = vars(trial.author)["__init__"]
    modules = vars(trial.copy)["__init__"].__globals__, trial.change(constructor).__globals__  # those of the copies

    def switch(name: str, value: bool) -> None:
        if name in plan.switches:
            setattr(trial.copy, name, value)
            type.__setattr__(trial.served, name, value)
        else:
            for variables in modules:
                set_switch(variables, name, value)

    for name, usual in (plan.switches | plan.globals).items():
        trial.dress(replace(plan, methods={}))
        switch(name, not usual)
        try:
            difference = trial.first_difference([*_everything(trial), *trial.shared_graphs], SUMS)
        finally:
            switch(name, usual)
        trial.expected.clear()
        trial.plan = plan
        if difference is not None:
            raise LeftAlone(f"with {name} = {not usual} the outcome would differ for {difference!r}")


def _try_kept(trial: Trial) -> None:
    """The author's code on engine nodes must be indistinguishable from the author's code on the author's nodes."""
    trials = _everything(trial)
    first: probes.Probe | None = None
    for plan, tolerance in orders(trial):
        trial.dress(plan)
        difference = trial.first_difference(trials) or trial.first_difference(trial.shared_graphs, tolerance)
        if difference is None:
            return
        first = first or difference
    raise LeftAlone(f"on engine nodes the outcome would differ for {first!r}")


def _try_operators(trial: Trial) -> None:
    members = vars(trial.author)
    flavours = [0, CAPTURED, CAPTURED | FLOAT_UNIT]
    for name in OPERATORS:
        if name not in members or not isinstance(members[name], FunctionType):
            continue
        if name in trial.hazards or name in trial.objections:
            continue
        if constants_in(members[name]) - ORDINARY:
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


def _try_differences(trial: Trial) -> None:
    """Subtraction and unary minus with rules of their own."""
    for name in trial.own_rules:
        label = _operator_label(trial, name)
        trials = trial.of_method(name) if name == "__neg__" else trial.of_operator(name)
        trials = [*trials, *gradients_in_words(name)]
        flavours = (SUBTRACTED, NEGATED, 0, FLOAT_UNIT, CAPTURED, CAPTURED | FLOAT_UNIT)
        for mode in [flavour | bits for flavour in flavours for bits in (NODES | NUMBERS, NODES)]:
            modes, labels = {**trial.plan.modes, name: mode}, {**trial.plan.labels, name: label}
            if trial.accepts(replace(trial.plan, modes=modes, labels=labels), trials):
                break


def _try_quotients(trial: Trial) -> None:
    """Division with a rule of its own."""
    name = "__truediv__"
    if not trial.divides:
        return
    for mode in (NODES | NUMBERS, NODES):
        modes, labels = trial.plan.modes | {name: mode}, trial.plan.labels | {name: _operator_label(trial, name)}
        if trial.accepts(replace(trial.plan, modes=modes, labels=labels), trial.of_operator(name)):
            break


def _operator_label(trial: Trial, name: str) -> str | None:
    """What the op attribute of a result shows, with "{}" for the exponent of a power."""
    op = trial.plan.named("op")
    if op is None:
        return None
    try:
        if name == "__neg__":
            return str(getattr(-trial.copy(1.5), op))
        symbol = probes.SYMBOLS[name]
        if "pow" not in name:
            node = trial.copy(1.5)
            return str(getattr(symbol(node, trial.copy(2.5)), op))
        texts = [str(getattr(trial.copy(1.5) ** exponent, op)) for exponent in (3, 0.25)]
    except Exception:
        return None
    plain = texts[0].replace("{", "{{").replace("}", "}}")
    return plain.replace("3", "{}", 1) if texts[0] != texts[1] else plain


def _try_methods(trial: Trial) -> None:
    op = trial.plan.named("op")
    for name in _one_operand(trial):
        if name.startswith("__") or name in trial.objections or not _takes_only_itself(vars(trial.author)[name]):
            continue
        if constants_in(vars(trial.author)[name]) - ORDINARY:
            continue
        label = None
        if op is not None:
            try:
                label = getattr(getattr(trial.copy(0.75), name)(), op)
            except Exception:
                continue
        trials = trial.of_method(name)
        for recipe in recipes_for(name, _mentions_numpy(vars(trial.author)[name])):
            plan = replace(
                trial.plan,
                methods={**trial.plan.methods, name: recipe},
                labels={**trial.plan.labels, name: label},
            )
            if trial.accepts(plan, trials):
                break


def _mentions_numpy(function: FunctionType) -> bool:
    """Whether it may call a function of NumPy's."""
    named = names_in(function)
    found = [function.__globals__.get(name) for name in named]
    return "numpy" in named or any(
        getattr(one, "__name__", None) == "numpy" or type(one).__name__ == "ufunc" for one in found
    )


def _try_composed(trial: Trial) -> None:
    """What consists of operators alone needs no proof by probes; they are run all the same."""
    members, plan = vars(trial.author), trial.plan
    native = {name for name, mode in plan.modes.items() if mode} | set(plan.methods)
    waiting: dict[str, set[str]] = {}  # what each of them calls
    for name, value in members.items():
        if name in trial.hazards or name in trial.objections or name in native or not isinstance(value, FunctionType):
            continue
        operands = 2 if name in COMPOSITES and name != "__neg__" else 1
        if (name in COMPOSITES or not name.startswith("__")) and value.__code__.co_argcount == operands:
            steps = steps_of(value, trial.author)
            if steps is not None:
                waiting[name] = calls_of(steps) & set(members)
    composed: set[str] = set()
    while ready := {name for name, calls in waiting.items() if name not in composed and calls <= native | composed}:
        composed |= ready
    found = [name for name in members if name in composed]
    trials: list[probes.Probe] = []
    for name in found:
        trials += trial.of_operator(name) if name in probes.SYMBOLS else trial.of_method(name)
    plan = replace(
        plan,
        modes=plan.modes | {name: COMPOSED for name in found if name in COMPOSITES},
        methods=plan.methods | {name: Recipe("composed") for name in found if name not in COMPOSITES},
    )
    trial.accepts(plan, trials)


def _try_whole(trial: Trial) -> None:
    """Everything that was accepted, together."""
    plan = trial.plan
    if trial.accepts(replace(plan, plain_init=True), probes.constructor()):
        plan = trial.plan
    computed = [name for name, mode in plan.modes.items() if mode and not mode & COMPOSED and "__r" not in name]
    operators = [name for name in computed if name in probes.SYMBOLS]
    methods = {*plan.methods, *computed}.difference(operators)
    plans: list[tuple[str, Callable[[Plan], Plan]]] = [("int64", lambda plan: replace(plan, numpy_ints=True))]
    if survey.mentions("float32") and not plan.singles:
        plans.append(("float32", lambda plan: replace(plan, singles=True)))
    for kind, change in plans:
        numbers = probes.numpy_numbers(kind, operators, methods, trial.hazards)
        if numbers and trial.accepts(change(plan), numbers):
            plan = trial.plan
    difference = trial.first_difference(trial.graphs) or trial.first_difference(
        trial.shared_graphs, 0.0 if plan.order != ORDERS[0] else SUMS
    )
    if difference is not None:
        raise LeftAlone(f"the outcome would differ for {difference!r}")
