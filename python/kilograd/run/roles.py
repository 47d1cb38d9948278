"""Roles: what each attribute of the author's objects is, and the plan of serving them that follows."""

from __future__ import annotations

import sys
from types import FunctionType, MemberDescriptorType

from kilograd.run.reasons import LeftAlone
from kilograd.run.served import ABSENT, FRESH, LIVE, ORDERS, Attribute, Plan, Recipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PREFERRED_DATA = ("data", "value", "val", "v", "x", "_data", "_value")


NUMPY_FLOATS = ("float64", "float32")


def type_of_number(value: Any) -> str | None:
    """The name of the type of an int, a float or one of NumPy's floats that the engine holds; None of all else."""
    kind = type(value)
    if kind is float or kind is int:
        return kind.__name__
    numpy = sys.modules.get("numpy")
    return next((name for name in NUMPY_FLOATS if numpy is not None and kind is getattr(numpy, name, None)), None)


def _is_float(value: Any) -> bool:
    return type_of_number(value) not in (None, "int")


def instance_attributes(instance: Any) -> dict[str, Any]:
    """What an object holds, in its dictionary and in slots."""
    found = dict(getattr(instance, "__dict__", {}))
    for name, value in vars(type(instance)).items():
        if isinstance(value, MemberDescriptorType) and name not in ("__dict__", "__weakref__"):
            try:
                found[name] = value.__get__(instance)
            except AttributeError:
                raise LeftAlone(f"its constructor leaves the slot {name!r} empty") from None
    return found


def roles_of(cls: Any) -> dict[str, Attribute]:
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
    leaf, other, made, summed = map(instance_attributes, (x, y, product, total))
    if not set(leaf) == set(other) <= set(made) == set(summed):
        raise LeftAlone("its leaves and its results have different attributes")
    main = _name_of_data(leaf, other)
    roles = {main: Attribute("data")}
    zeros: list[str] = []
    for name, value in leaf.items():
        if name == main:
            continue
        role = _role(name, (value, other[name]), (made[name], summed[name]), (x, y))
        if role is None:
            zeros.append(name)
        else:
            roles[name] = role
    for name in made.keys() - leaf.keys():
        role = _role(name, (ABSENT, ABSENT), (made[name], summed[name]), (x, y))
        if role is None or role.role in ("label", "extra"):
            raise LeftAlone(f"its results have an attribute {name!r}, which its leaves do not have")
        roles[name] = role
    rules = [name for name, attribute in roles.items() if attribute.role == "rule"]
    if len(rules) > 1:
        raise LeftAlone(f"its results carry two functions, {' and '.join(rules)}")
    gradient = _gradient_name(cls, zeros)
    roles[gradient] = Attribute("grad")
    for name in zeros:
        if name != gradient:
            roles[name] = Attribute("extra", empty=leaf[name])
    return roles


def _name_of_data(leaf: dict[str, Any], other: dict[str, Any]) -> str:
    data = [name for name, value in leaf.items() if _is_float(value) and value == 2.375 and other[name] == -1.625]
    if not data and any(type(value).__name__ == "ndarray" for value in leaf.values()):
        raise LeftAlone("its objects keep arrays in place of numbers")
    if not data:
        raise LeftAlone("its objects do not keep the number that they are made of")
    main = next((name for name in PREFERRED_DATA if name in data), data[0])
    if len(data) > 1:
        raise LeftAlone(f"its objects keep their number twice, as {' and '.join(data)}")
    return main


def _role(
    name: str, of_leaves: tuple[Any, Any], of_results: tuple[Any, Any], leaves: tuple[Any, Any]
) -> Attribute | None:
    """The role of an attribute of which two leaves hold this, and their product and sum that; None for a zero."""
    value, other = of_leaves
    result, summed = of_results
    if isinstance(result, tuple | list) and _are_pairs(result, leaves, (-1.625, 2.375)):
        if not _are_pairs(summed, leaves, (1, 1)):
            raise LeftAlone(f"its sums have {name} = {summed!r:.60}")
        return _operands("pairs", name, value, other, result)
    if isinstance(result, tuple | list | set | frozenset) and len(result) == 2:
        items = list(result)
        role = None
        if {id(item) for item in items} == set(map(id, leaves)):
            role = "children"
        elif all(map(_is_float, items)) and items == [-1.625, 2.375]:
            role = "locals"
        if role is not None:
            return _operands(role, name, value, other, result)
    if callable(result) and (callable(value) or value in (None, ABSENT)) and not isinstance(result, type):
        return Attribute("rule", empty=FRESH if callable(value) else value)
    if isinstance(result, str) and (result != value or summed != result):
        if not isinstance(value, str) and value not in (None, ABSENT):
            raise LeftAlone(f"its leaves have {name} = {value!r}")
        return Attribute("op", empty=value)
    if type_of_number(value) is not None and value == 0 and result == value and type(result) is type(value):
        return None
    constant = value is None or isinstance(value, bool | int | float | str)
    if not constant or type(result) is not type(value) or result != value or other != value:
        raise LeftAlone(f"its objects carry {name!r}, which engine nodes do not have")
    return Attribute("label" if name == "label" and isinstance(value, str) else "extra", empty=value)


def _are_pairs(content: Any, leaves: tuple[Any, Any], slopes: tuple[float, float]) -> bool:
    """Whether it holds each leaf with its local gradient, as tuples."""
    return len(content) == 2 and all(
        type(pair) is tuple
        and len(pair) == 2
        and pair[0] is leaf
        and type_of_number(pair[1]) is not None
        and pair[1] == slope
        for pair, leaf, slope in zip(content, leaves, slopes, strict=True)
    )


def _operands(role: str, name: str, value: Any, others: Any, result: Any) -> Attribute:
    """An attribute that holds operands, or their local gradients; a leaf has this, and another one that."""
    kind = type(result).__name__
    if value is None or value is ABSENT:
        return Attribute(role, kind, value)
    if isinstance(value, tuple | list | set | frozenset) and len(value) == 0:
        leaf_kind = type(value).__name__
        if value is others or isinstance(value, tuple | frozenset):  # it may be a default, which all leaves share
            return Attribute(role, kind, value)
        if leaf_kind == kind or kind not in LIVE or leaf_kind not in LIVE:
            return Attribute(role, kind, FRESH, leaf_container=leaf_kind)
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


def conventions(cls: Any, roles: dict[str, Attribute]) -> Plan:
    """How the class goes about gradients, as a plan in which every other method is the author's."""
    plan = Plan(dict(roles))
    kinds = {role.role for role in roles.values()}
    if not kinds & {"children", "pairs"}:
        raise LeftAlone("its results do not keep their operands")
    # Where a node does not know its rule, backward() does, of nodes that the engine knows nothing about.
    knows_rule = bool(kinds & {"rule", "locals", "pairs"}) or "_backward" in vars(cls)
    if not knows_rule and not ("backward" in vars(cls) and "op" in kinds):
        raise LeftAlone("its results carry neither a backward function nor local gradients")
    ordered = plan.ordered
    if "locals" in kinds and not ordered:
        raise LeftAlone("its local gradients belong to operands that have no order")
    grad = plan.grad
    x, y = cls(2.375), cls(-1.625)
    made = type_of_number(getattr(cls(3), plan.data)) or "int"
    plan.makes = "" if made == "int" else made
    plan.zero = plan.one = type_of_number(getattr(x, grad)) or "int"
    plan.order = ORDERS[1] if ordered else ORDERS[0]
    if "backward" in vars(cls):
        root = x * y
        try:
            root.backward()
        except Exception as error:
            raise LeftAlone(f"backward() raises {type(error).__name__}: {error}") from None
        seed = getattr(root, grad)
        plan.one = type_of_number(seed) or ""
        if not plan.one or seed != 1:
            raise LeftAlone(f"backward() leaves {seed!r} as the gradient of the root")
        if isinstance(vars(cls)["backward"], FunctionType) and knows_rule:
            plan.methods["backward"] = Recipe("backward")
    plan.singles = "float32" in (plan.makes, plan.zero, plan.one)
    return plan
