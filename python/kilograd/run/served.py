"""The class that takes the place of an author's: the engine's type, dressed with the author's methods.

A `Plan` says how; `dress` carries it out. The metaclass watches what the program does to the class afterwards: a method
that is patched onto it is judged like the first ones.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType, MethodType

from kilograd import _core
from kilograd.harmless import words
from kilograd.run.clone import map_functions
from kilograd.run.composed import steps_of
from kilograd.run.purity.switches import hiding, place_of
from kilograd.run.quotients import rule_of
from kilograd.run.record import field, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "ABSENT",
    "CAPTURED",
    "COMPOSED",
    "COMPOSITES",
    "DIFFERENCES",
    "FLOAT_UNIT",
    "FRESH",
    "NEGATED",
    "NODES",
    "NUMBERS",
    "OPERATORS",
    "ORDERS",
    "SUBTRACTED",
    "SWAPPED",
    "TOLD_BY_NUMPY",
    "WATCHERS",
    "Attribute",
    "Plan",
    "Recipe",
    "ServedMeta",
    "dress",
]

# Bits of an operator's mode, as in cpp/bindings/served/served.cpp.
NODES, NUMBERS, SWAPPED, CAPTURED, FLOAT_UNIT, COMPOSED, NEGATED, SUBTRACTED = 1, 2, 4, 8, 16, 32, 64, 128

# The orders in which backward() can visit nodes; the first is for operands in a set, whose order is chance.
ORDERS = ("tape", "first operand", "last operand")

# The operators that have a native path: their name in the core, and whether the form is the reflected one.
OPERATORS = {
    "__add__": ("add", False),
    "__radd__": ("add", True),
    "__mul__": ("mul", False),
    "__rmul__": ("mul", True),
    "__pow__": ("pow", False),
    "__rpow__": ("pow", True),
}
# Those that are native where they consist of others.
COMPOSITES = {
    "__sub__": ("sub", False),
    "__rsub__": ("sub", True),
    "__truediv__": ("truediv", False),
    "__rtruediv__": ("truediv", True),
    "__neg__": ("neg", False),
}
DIFFERENCES = ("__sub__", "__neg__")  # and those of them that may be operations of their own
HOLDERS = frozenset(
    {"data", "grad", "children", "locals", "pairs", "rule"}
)  # roles that may hold what the engine cannot
# By these, NumPy's scalars meet an object otherwise than a plain one, or it them.
TOLD_BY_NUMPY = words("""
    __array__ __array_interface__ __array_struct__ __array_priority__ __array_ufunc__ __array_function__
    __array_wrap__ __array_prepare__ __buffer__
    __len__ __getitem__ __lt__ __le__ __eq__ __ne__ __gt__ __ge__ __floordiv__ __rfloordiv__ __mod__ __rmod__
    __divmod__ __rdivmod__ __matmul__ __rmatmul__ __lshift__ __rlshift__ __rshift__ __rrshift__ __and__ __rand__
    __xor__ __rxor__ __or__ __ror__
""")
UNCOPIED = frozenset({"__dict__", "__weakref__", "__slots__", "__init__", "__module__", "__qualname__", "__doc__"})


def _live(base: type, changing: str) -> type:
    """A class of lists or sets that a node shows: one that is changed in place becomes the node's own from then on."""

    def watched(name: str) -> Callable[..., Any]:
        method = getattr(base, name)

        def change(self: Any, *arguments: Any, **keywords: Any) -> Any:
            if self.owner is not None:
                _core.served_keep(self.owner, self.name, self)
                self.owner = None
            return method(self, *arguments, **keywords)

        return change

    members: dict[str, Any] = {name: watched(name) for name in changing.split()}
    members |= {
        "__module__": "builtins",  # as its text shows
        "owner": None,
        "name": None,
        "__repr__": lambda self: repr(base(self)),
        "__reduce__": lambda self: (base, (list(self),)),
    }
    return type(base.__name__, (base,), members)


LIVE = {
    "list": _live(
        list,
        "append extend insert remove pop clear sort reverse __setitem__ __delitem__ __iadd__ __imul__",
    ),
    "set": _live(
        set,
        "add discard remove pop clear update difference_update intersection_update symmetric_difference_update "
        "__ior__ __iand__ __ixor__ __isub__",
    ),
}


@record
class Recipe:
    """How the engine serves a method of one operand."""

    name: str
    fixed: bool = False  # the local gradient is computed with the value, not at backward()
    numpy: bool = False  # as the author has it for numpy.float64 too
    local: str = "float"  # the type of a fixed local gradient; "data" where it follows what it is computed of


# In place of what a leaf shows: it has no such attribute; it has an empty container, or a rule, of its own.
ABSENT: Any = ...
FRESH: Any = NotImplemented


@record
class Attribute:
    """An attribute of the author's instances: what it is to the engine, and what a leaf shows.

    Results show operands in a `container`. A leaf shows `empty`; an empty `leaf_container` of its own where that is
    `FRESH`, and nothing where it is `ABSENT`. One is `watched` where methods that the
    engine may serve read it: a node on which it is not `empty` is left to them.
    """

    role: str
    container: str = "tuple"
    empty: Any = FRESH
    watched: bool = False
    leaf_container: str = ""

    def __post_init__(self) -> None:
        self.leaf_container = self.leaf_container or self.container


@record
class Plan:
    """How a class is served."""

    attributes: dict[str, Attribute]
    zero: str = "int"  # the type of the gradient of a new node
    one: str = "int"  # and of the root's
    order: str = "tape"  # in which backward() visits nodes
    plain_init: bool = False
    makes: str = ""  # the type that the constructor makes of every number, if it does
    numpy: bool = True  # no arithmetic of NumPy's on numbers that stay finite may raise
    numpy_ints: bool = False  # the engine does with numpy.int64 what the author's methods do
    singles: bool = False  # the same with numpy.float32
    numpy_left: bool = False  # no other part of the program has to do with how NumPy meets objects
    bare: bool = False  # it is served no longer: what is made from here on is the author's altogether
    written: list[str] = field(default_factory=list)  # the attributes as the constructor sets them
    texts: bool = True  # whether probes may ask for the text of a node
    modes: dict[str, int] = field(default_factory=dict)  # of the operators; absent or 0: the author's code
    labels: dict[str, str | None] = field(default_factory=dict)  # what the op attribute shows
    methods: dict[str, Recipe] = field(default_factory=dict)
    paused: bool = False  # a switch of the class is not as it was: all code is the author's
    inherited: frozenset[str] = frozenset()  # what the class has from its bases
    switches: dict[str, bool] = field(default_factory=dict)  # attributes of the class, and what they were when judged
    globals: dict[str, bool] = field(default_factory=dict)  # the same of variables, and of "variable.attribute"

    @cached_property
    def data(self) -> str:
        """The author's name for the number."""
        return self.named("data") or ""

    @cached_property
    def grad(self) -> str:
        """The author's name for the gradient."""
        return self.named("grad") or ""

    @cached_property
    def rule(self) -> str | None:
        """The author's name for the function that a node carries."""
        return self.named("rule")

    @cached_property
    def children(self) -> list[str]:
        """The author's names for the operands, alone or in pairs with their local gradients."""
        return [name for name, attribute in self.attributes.items() if attribute.role in ("children", "pairs")]

    @cached_property
    def shown(self) -> list[str]:
        """The attributes that can be compared: all but the rule."""
        return [name for name, attribute in self.attributes.items() if attribute.role != "rule"]

    @cached_property
    def ordered(self) -> bool:
        """Whether nodes show their operands in an order, which is not left to chance."""
        return all(self.attributes[name].container in ("tuple", "list") for name in self.children)

    def named(self, role: str) -> str | None:
        """The author's name for the first attribute of a role."""
        return next((name for name, attribute in self.attributes.items() if attribute.role == role), None)


class ServedMeta(type):
    """The metaclass of served classes: an attribute set on one is judged anew."""

    __slots__ = ()

    @property  # type: ignore[misc]
    def __dict__(cls) -> Any:  # type: ignore[override]
        """The namespace that the author wrote."""
        author = AUTHORS.get(cls)
        return vars(author) if author is not None else _namespace(cls)

    @property
    def __bases__(cls) -> Any:  # type: ignore[override]
        """The bases that the author wrote."""
        author = AUTHORS.get(cls)
        return author.__bases__ if author is not None else _bases(cls)

    @property
    def __base__(cls) -> Any:
        """The first base that the author wrote."""
        return cls.__bases__[0]

    @property
    def __mro__(cls) -> Any:
        """The bases in order, without the engine's."""
        return tuple(one for one in _mro(cls) if one is not _core.Served)

    @property
    def __signature__(cls) -> Any:
        """That of the author's `__init__`, past which `inspect` looks from Python 3.13 on."""
        init = cls.__init__  # type: ignore[misc]
        if not isinstance(init, FunctionType):
            raise AttributeError("__signature__")
        import inspect

        return inspect.signature(MethodType(init, cls))

    def __init__(cls, *arguments: Any, **keywords: Any) -> None:
        type.__init__(cls, *arguments, **keywords)
        _core.served_subclass(cls)  # only subclasses are made by calling the metaclass

    def __setattr__(cls, name: str, value: Any) -> None:
        patched = WATCHERS.get(cls)
        if patched is None:
            type.__setattr__(cls, name, value)
            if name in OPERATORS or name in COMPOSITES:
                _core.served_subclass(cls)
        else:
            patched(name, value)

    def __delattr__(cls, name: str) -> None:
        patched = WATCHERS.get(cls)
        if patched is None:
            type.__delattr__(cls, name)
        else:
            patched(name, ...)


_namespace: Any = type.__dict__["__dict__"].__get__
_bases: Any = type.__dict__["__bases__"].__get__
_mro: Any = type.__dict__["__mro__"].__get__

# For each served class, the one that it stands for.
AUTHORS: dict[type, type] = {}
# For each served class, what to do when the program sets an attribute of it, or deletes it (...).
WATCHERS: dict[type, Callable[[str, Any], None]] = {}


def dress(served: Any, author: type, plan: Plan, change: Callable[[FunctionType], FunctionType]) -> None:
    """Give a served type everything that the author's class has.

    Parameters
    ----------
    served : type
        Made by ``_core.new_served``. What it had from an earlier dressing is replaced.
    author : type
        The class as the author wrote it.
    plan : Plan
        What the engine serves.
    change : callable
        Maps each of the author's functions to the one to use: itself, or a copy for probing.
    """
    members = vars(author)
    constructor = change(members["__init__"])
    for name in [name for name in _namespace(served) if name not in UNCOPIED and name not in members]:
        type.__delattr__(served, name)
    _core.served_conventions(
        served,
        zero=plan.zero,
        one=plan.one,
        order=plan.order,
        closed="__slots__" in members and "__dict__" not in members,
        closures=plan.rule is not None,
        makes=plan.makes,
        paused=plan.paused,
        numpy=plan.numpy,
        numpy_ints=plan.numpy_ints,
        singles=plan.singles,
        numpy_left=plan.numpy_left and TOLD_BY_NUMPY.isdisjoint(members),
        data=plan.named("data"),
        grad=plan.named("grad"),
        bare=plan.bare,
        switches=[
            (*place_of(constructor.__globals__, name), usual, hiding(constructor.__globals__, name))
            for name, usual in plan.globals.items()
        ],
        names=plan.written or list(plan.attributes),
        foreign=[name for name, attribute in plan.attributes.items() if attribute.role in HOLDERS or attribute.watched],
    )
    plain = {name for name, value in members.items() if isinstance(value, FunctionType)}
    operators = OPERATORS | {name: row for name, row in COMPOSITES.items() if name in plain or name not in members}
    for name, (core_name, reflected) in operators.items():
        function = members.get(name)
        changed = change(function) if function is not None else None
        mode, label = plan.modes.get(name, 0), plan.labels.get(name)
        steps = steps_of(function, author) if function is not None and mode & COMPOSED else None
        own_rule = name == "__truediv__" and mode & NODES and isinstance(function, FunctionType)
        rule = rule_of(function, author, plan.data, plan.grad) if own_rule else None  # type: ignore[arg-type]
        _core.served_operator(served, core_name, reflected, changed, mode, label, steps, rule)
        if changed is not None:
            method = _core.new_method(served, name, core_name, changed, reflected, False, "float", None, None)
            _core.served_attribute(served, name, method)
    _core.served_init(served, constructor, plan.plain_init)
    _core.served_attribute(served, "__init__", constructor)
    for name, value in members.items():
        if name in UNCOPIED or name in operators or isinstance(value, MemberDescriptorType | GetSetDescriptorType):
            continue
        if name in plan.methods and isinstance(value, FunctionType):
            recipe, label = plan.methods[name], plan.labels.get(name)
            changed = change(value)
            steps = steps_of(value, author) if recipe.name == "composed" else None
            value = _core.new_method(
                served, name, recipe.name, changed, recipe.fixed, recipe.numpy, recipe.local, label, steps
            )
        else:
            value = map_functions(value, change)
        if name not in plan.attributes:
            type.__setattr__(served, name, value)
    for name, attribute in plan.attributes.items():
        on_class = members.get(name, ...)
        member = _core.new_member(
            name,
            attribute.role,
            container=attribute.container,
            leaf_container=attribute.leaf_container,
            empty=attribute.empty,
            on_class=on_class,
            live=LIVE.get(attribute.container) or LIVE.get(attribute.leaf_container),
            watched=attribute.watched,
        )
        type.__setattr__(served, name, member)
    rule = members.get("_backward") if plan.rule is None else None
    _core.served_rule(served, change(rule) if isinstance(rule, FunctionType) else None)
    type.__setattr__(served, "__module__", author.__module__)
    type.__setattr__(served, "__name__", author.__name__)
    type.__setattr__(served, "__qualname__", author.__qualname__)
    type.__setattr__(served, "__doc__", author.__doc__)
