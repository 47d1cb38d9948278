"""Small expressions, and everything that can be observed of them: the evidence on which a class is judged.

An expression is built once over the author's class and once over the engine's. `observe` describes what came out (data,
gradients, operands, names, text, exceptions) as nested tuples of plain data; two classes agree on an expression where
the descriptions are equal, floats to the last bit and types included.
"""

from __future__ import annotations

import gc
import io
import itertools
import math
import operator
import re
import sys
import warnings
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout

from kilograd.run.points import (
    BRANCHES,
    EDGES,
    EXPONENTS,
    ORDINARY,
    PAIR,
    SPECIAL,
    STRANGE,
    Chance,
    around,
    hard_quotients,
    hard_squares,
    loaded,
)
from kilograd.run.served import Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Probe", "binary", "composite", "constructor", "half", "numpy_numbers", "observe", "quiet", "same", "unary"]

SEED = 0.6180339887498949
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # in the text of an object that has none of its own


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing that a probe does is seen: no output, no warnings, no random numbers drawn."""
    random = sys.modules.get("random")
    state = random.getstate() if random is not None else None
    numpy = sys.modules.get("numpy")
    numpy_state = numpy.random.get_state() if numpy is not None and "numpy.random" in sys.modules else None
    collecting = gc.isenabled()  # what the probes make dies by itself, or at the first collection after them
    gc.disable()
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(io.StringIO()))
        stack.enter_context(redirect_stderr(io.StringIO()))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            if collecting:
                gc.enable()
            if random is not None:
                random.setstate(state)
            if numpy is not None and numpy_state is not None:
                numpy.random.set_state(numpy_state)


class Probe:
    """An expression over leaves of given data.

    Parameters
    ----------
    text : str
        What it is, for the report.
    data : sequence
        The data of the leaves.
    build : callable
        From the leaves to the result.
    disturb : callable, optional
        Called with the leaves and the result between building and differentiating: rules may read data late.
    passes : int
        How often ``backward()`` runs. With two passes over a node that is used twice, four terms are added, in an order
        that a class with sets of operands leaves to chance.
    """

    __slots__ = ("build", "data", "disturb", "passes", "text")

    def __init__(
        self,
        text: str,
        data: Iterable[Any],
        build: Callable[..., Any],
        disturb: Callable[[list[Any], Any, str], None] | None = None,
        passes: int = 2,
    ) -> None:
        self.text, self.data, self.build, self.disturb, self.passes = text, tuple(data), build, disturb, passes

    def __repr__(self) -> str:
        return f"{self.text} at {', '.join(map(repr, self.data))}"


NUMPY_FLOATS = {"float64": 0.0, "float32": 1e-6}  # and what more may be between sums of the same terms
SETS = (set, frozenset)
CONTAINERS = (tuple, list, *SETS)


def _plain(value: Any) -> Any:
    """A description of an object that is no node: a float itself where `==` tells it from others, or type and text."""
    kind = type(value)
    if kind is float:
        return value if value and value == value else ("float", repr(value))
    if kind is str:
        return ("str", value)
    if kind is int:
        return ("int", value)
    if kind.__name__ in NUMPY_FLOATS and kind.__module__ == "numpy" and value and value == value:
        return (kind.__name__, float(value))
    if kind.__name__ == "ndarray" and kind.__module__ == "numpy" and value.dtype.kind in "biuf":
        return (kind.__name__, value.dtype.str, value.shape, repr(value.tolist()))  # its own text takes long
    try:
        return (kind.__name__, _without_address(repr(value)))
    except Exception as error:
        return (kind.__name__, type(error).__name__)


def _without_address(text: str) -> str:
    return ADDRESS.sub("", text) if " at 0x" in text else text


def _content(value: Any, cls: type, data: str) -> Any:
    """The same of a result; an array that may hold nodes is not asked for its text, which would ask them for theirs."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.ndarray) or value.dtype.kind != "O":
        return _plain(value)
    held = [("node", _plain(getattr(item, data))) if isinstance(item, cls) else _plain(item) for item in value.flat]
    return (type(value).__name__, value.shape, tuple(held))


def _key(value: Any, cls: type, data: str, leaves: dict[int, int]) -> Any:
    """What identifies an operand in the description of a node."""
    if id(value) in leaves:
        return ("leaf", leaves[id(value)])
    if type(value) is tuple:  # an operand and its local gradient
        return tuple(_key(part, cls, data, leaves) for part in value)
    return ("node", _plain(getattr(value, data))) if isinstance(value, cls) else _plain(value)


def _nodes(root: Any, cls: type, plan: Plan) -> list[Any]:
    """Every node that the root reaches."""
    found, seen = [root], {id(root)}
    for node in found:
        for name in plan.children:
            for child in getattr(node, name, None) or ():
                child = child[0] if type(child) is tuple else child
                if id(child) not in seen and isinstance(child, cls):
                    seen.add(id(child))
                    found.append(child)
    return found


def _describe(node: Any, cls: type, plan: Plan, leaves: dict[int, int]) -> Any:
    """The attributes of a node."""
    described: list[Any] = []
    for name in plan.shown:
        try:
            content = getattr(node, name)
        except Exception as error:
            described.append(type(error).__name__)
            continue
        kind = type(content)
        if kind is float or kind is str:
            described.append(_plain(content))
        elif isinstance(content, CONTAINERS):
            keys = [_key(item, cls, plan.data, leaves) for item in content]
            if len(keys) > 1 and isinstance(content, SETS):
                keys.sort(key=repr)
            described.append((kind.__name__, tuple(keys)))
        else:
            described.append(_key(content, cls, plan.data, leaves))
    described.append(type(node).__name__)
    return tuple(described)


def _arranged(nodes: list[Any], plan: Plan) -> tuple[list[Any], bool]:
    """Nodes in an order that is the same over both classes, and whether it is.

    That is the order in which they are met. Sets of operands have none: there it is that of the data, where no two
    nodes have the same.
    """
    if plan.ordered or len(nodes) == 1:
        return nodes, True
    data = [_plain(getattr(node, plan.data)) for node in nodes]
    if len(set(data)) < len(nodes):
        return nodes, False
    ranked = [
        (0, one, node) if type(one) is float else (1, repr(one), node) for one, node in zip(data, nodes, strict=True)
    ]
    return [node for *_, node in sorted(ranked, key=operator.itemgetter(0, 1))], True


def _numbers(nodes: list[Any], both: Callable[[Any], Any], arranged: bool) -> Any:
    """Data and gradients of nodes."""
    described = [
        (
            data if type(data) is float and data and data == data else _plain(data),
            grad if type(grad) is float and grad and grad == grad else _plain(grad),
        )
        for data, grad in map(both, nodes)
    ]
    return _listed(described, arranged)


def _listed(described: list[Any], arranged: bool) -> Any:
    """Descriptions of nodes, sorted where the nodes are in no order."""
    return tuple(described if arranged else sorted(described, key=repr))


def _texts(value: Any, plan: Plan) -> Any:
    kind: Any = type(value)
    own_str = kind.__str__ is not object.__str__
    if not plan.texts or (kind.__repr__ is object.__repr__ and not own_str):
        return None
    texts = [_attempt(lambda: _without_address(repr(value)))]
    if own_str:
        texts.append(_attempt(lambda: _without_address(str(value))))
    if not plan.ordered:  # of a set, which may be a part of it
        texts = ["".join(sorted(text)) if isinstance(text, str) and "{" in text else text for text in texts]
    return ("texts", *texts)


def _attempt(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except RecursionError:
        return "RecursionError"
    except Exception as error:
        return ("raises", type(error).__name__, _without_address(str(error)))


def observe(probe: Probe, cls: Any, plan: Plan) -> Any:
    """Everything that can be seen of `probe` built over `cls`, as nested tuples."""
    try:
        leaves = [cls(data) for data in probe.data]
        result = probe.build(*leaves)
    except RecursionError:
        return "RecursionError"
    except Exception as error:
        return ("raises", type(error).__name__, _without_address(str(error)))
    if not isinstance(result, cls):
        return _content(result, cls, plan.data)
    data, grad, rule = plan.data, plan.grad, plan.rule
    reached, arranged = _arranged(_nodes(result, cls, plan), plan)
    both = operator.attrgetter(data, grad)
    numbered = {id(leaf): index for index, leaf in enumerate(leaves)}
    seen: list[Any] = [_listed([_describe(node, cls, plan, numbered) for node in reached], arranged)]
    seen.append(_texts(result, plan))
    if probe.disturb is not None:
        probe.disturb(leaves, result, data)
    fresh = [(node, getattr(node, grad)) for node in reached]
    if hasattr(cls, "backward"):
        for _ in range(probe.passes):  # the second adds to what the first left
            seen.append(_attempt(result.backward))
            seen.append([_plain(getattr(leaf, grad)) for leaf in leaves])
            seen.append(_numbers(reached, both, arranged))
        seen.append(_texts(result, plan))
    if rule is not None or hasattr(cls, "_backward"):
        for node, gradient in fresh:  # with its type: the first gradient that arrives decides what the sum is
            setattr(node, grad, gradient)
        setattr(result, grad, SEED)
        seen.append(_attempt(lambda: getattr(result, rule or "_backward")()))
        seen.append([_plain(getattr(leaf, grad)) for leaf in leaves])
    if rule is not None:  # a closure and its node refer to each other: nothing is left to the collector
        for node in reached:
            setattr(node, rule, None)
    return tuple(seen)


def _close(left: Any, right: Any, tolerance: float) -> bool:
    """Whether two descriptions are equal but for rounding, which texts show too."""
    if left == right:
        return True
    if isinstance(left, tuple | list) and isinstance(right, tuple | list) and len(left) == len(right):
        if len(left) and left[0] == right[0] == "texts":
            return True
        if len(left) == 2 and isinstance(left[0], str) and left[0] == right[0] and left[0] in NUMPY_FLOATS:
            tolerance = max(tolerance, NUMPY_FLOATS[left[0]])
        return all(_close(one, two, tolerance) for one, two in zip(left, right, strict=True))
    if type(left) is float and type(right) is float:
        return math.isclose(left, right, rel_tol=tolerance)
    return False


def same(one: Any, two: Any, tolerance: float = 0.0) -> bool:
    """Whether two observations are equal, to the last bit unless a tolerance is given."""
    return bool(one == two) or (tolerance > 0.0 and _close(one, two, tolerance))


def unary(name: str, call: Callable[[Any], Any], constants: Iterable[float] = (), light: bool = False) -> list[Probe]:
    """Probes of a method of one operand; fewer of one that the engine has no native way for."""
    if light:
        return [Probe(name, [x], call) for x in (*ORDINARY[:3], 3, True, -0.0, math.inf, 2**60, *loaded())]
    far = (710.0, -710.0, 355.0, -355.0, 20.0, -20.0, 40.0, 1e-8)
    data = [*ORDINARY[:12], *BRANCHES, *hard_squares(), *SPECIAL, *far, *STRANGE, *loaded(), *around(constants)]
    probes = [Probe(name, [x], call) for x in data]
    for x, factor in itertools.product(ORDINARY[:3], (1000.0, -1000.0)):  # a gradient may be clipped
        probes.append(Probe(f"{name}, scaled", [x, factor], lambda a, b: call(a) * b))
    for x, factor in itertools.product(
        (ORDINARY[1], -ORDINARY[1]), (0.0, 1.0, *BRANCHES, math.inf, -math.inf, math.nan)
    ):
        probes.append(Probe(f"{name}, scaled", [x, factor], lambda a, b: call(a) * b, passes=1))
    for x in ORDINARY[:2]:
        probes.append(Probe(f"{name}, shared", [x, 0.75], lambda a, b: (lambda y: y * b + y)(call(a)), passes=1))
        for disturb in (_disturb_leaf, _disturb_result):
            probes.append(Probe(f"{name}, data changed before backward()", [x], call, disturb))
    if name.strip("_").lower() in ("log", "ln"):
        for x, factor in hard_quotients():
            probes.append(Probe(f"{name}, scaled", [x, factor], lambda a, b: call(a) * b, passes=1))
    if "relu" in name.lower():  # which half the number is in may change, and be asked of the operand or of the result
        for x, disturb in itertools.product(
            (*ORDINARY[:2], -ORDINARY[0], -ORDINARY[1]), (_negate_leaf, _negate_result)
        ):
            probes.append(Probe(f"{name}, sign changed before backward()", [x], call, disturb))
    return _mostly_once(probes)


def _mostly_once(probes: list[Probe]) -> list[Probe]:
    """Three of four run ``backward()`` once: what a second pass adds to does not depend on how the first came about."""
    for index, probe in enumerate(probes):
        if index % 4:
            probe.passes = 1
    return probes


def _disturb_leaf(leaves: list[Any], result: Any, data: str) -> None:
    setattr(leaves[0], data, 0.8414709848078965)


def _negate_leaf(leaves: list[Any], result: Any, data: str) -> None:
    setattr(leaves[0], data, -getattr(leaves[0], data))


def _negate_result(leaves: list[Any], result: Any, data: str) -> None:
    setattr(result, data, -0.4546487134128409 if getattr(result, data) > 0 else 0.4546487134128409)


def _disturb_result(leaves: list[Any], result: Any, data: str) -> None:
    setattr(result, data, 0.4546487134128409)


SYMBOLS = {
    "__add__": operator.add,
    "__radd__": operator.add,
    "__mul__": operator.mul,
    "__rmul__": operator.mul,
    "__pow__": operator.pow,
    "__rpow__": operator.pow,
    "__sub__": operator.sub,
    "__rsub__": operator.sub,
    "__truediv__": operator.truediv,
    "__rtruediv__": operator.truediv,
}


def binary(name: str, light: bool = False, numpy_left: bool = True) -> list[Probe]:
    """Probes of an operator, or of its reflected form.

    There are fewer of one that the engine has no native way for, and none with NumPy's numbers on the left where these
    call a method that may not be tried.
    """
    function = SYMBOLS[name]
    reflected = name.startswith("__r")
    power = "pow" in name
    # No big integers as exponents: one to the power of another does not end.
    strange = [item for item in STRANGE if type(item) is not int] if power else list(STRANGE)
    held = loaded() if numpy_left or not reflected else []
    others = [*(EXPONENTS if power else PAIR), *ORDINARY[:2], *strange, *held]
    pairs = [(x, other) for x in (ORDINARY[3], 3) for other in (others[::3] if light else others)]
    if not light:
        odd = [1 + 2j] if name == "__rpow__" else [2**60, 1 + 2j]
        pairs += itertools.product([*EDGES, *odd, *loaded()], EXPONENTS[:6] if power else (3, -0.0, 1e300))
    probes: list[Probe] = []
    for x, other in pairs:
        if reflected:
            probes.append(Probe(f"{other!r} {name} node", [x], lambda a, other=other: function(other, a)))
        else:
            probes.append(Probe(f"node {name} {other!r}", [x], lambda a, other=other: function(a, other)))
    if reflected:
        return _mostly_once(probes)
    nodes = [ORDINARY[8], 3]
    if not light:
        nodes += [True, -0.0, 1e300, math.nan, *([] if power else [2**60])]
    others = [] if light else loaded()
    operands: list[tuple[Any, ...]] = [*itertools.product(nodes, repeat=2), *itertools.product(nodes[:3], others)]
    operands += itertools.product(others, nodes[:3])
    operands += itertools.islice(itertools.product(others, repeat=2), 0, None, 3)
    probes += [Probe(f"node {name} node", pair, function) for pair in operands]
    for x in (ORDINARY[0], 3):
        probes.append(Probe(f"node {name} itself", [x], lambda a: function(a, a)))
        probes.append(Probe(f"node {name} an equal one", [x, x], function))
    for disturb in (_disturb_leaf, _disturb_result):
        text = f"{name}, data changed before backward()"
        probes.append(Probe(text, ORDINARY[3:5], function, disturb))
        probes.append(Probe(text, [ORDINARY[5]], lambda a: function(a, 1.75), disturb))
    return _mostly_once(probes)


def constructor() -> list[Probe]:
    """Probes of the constructor."""
    data = [*ORDINARY[:3], *BRANCHES, *SPECIAL, *STRANGE, *loaded()]
    return [Probe("the constructor", [x], lambda node: node) for x in data]


def half(probes: list[Probe]) -> list[Probe]:
    """Every second one of many, by chance, but the same ones always."""
    if len(probes) < 40:
        return probes
    source = Chance(len(probes))
    return [probe for probe in probes if source.number() < 0.5]


def numpy_numbers(kind: str, operators: Iterable[str], methods: Iterable[str], untried: Container[str]) -> list[Probe]:
    """Probes with numpy.int64 or numpy.float32 among the numbers.

    There are none while NumPy is not loaded, and none of what may not be tried.
    """
    numpy = sys.modules.get("numpy")
    if numpy is None or not hasattr(numpy, kind):
        return []
    data = (3, 0, -2, 1, 2**52, -(2**40) - 1) if kind == "int64" else (0.1, 0, -2.7, 1, 3, 7.3e-3)
    numbers = [getattr(numpy, kind)(number) for number in data]
    others = (*numbers, *ORDINARY[4:6], 2, True, -0.0, numpy.float64(1.25), numpy.float64(-0.5), 2**52)
    others += (numpy.int64(3), 2**30 + 1) if kind == "float32" else ()
    probes = [Probe("the constructor", [x], lambda node: node) for x in numbers]
    for name in operators:
        function = SYMBOLS[name]
        for x, other in itertools.chain(
            itertools.product(numbers, others), itertools.product(others[len(numbers) :], numbers)
        ):
            passes = 1 if "pow" in name else 2
            if "pow" not in name or abs(int(other)) < 9:
                probes.append(Probe(f"node {name} {other!r}", [x], lambda a, y=other, f=function: f(a, y)))
                if f"__r{name[2:]}" not in untried and "__array_ufunc__" not in untried:
                    probes.append(Probe(f"{other!r} {name} node", [x], lambda a, y=other, f=function: f(y, a)))
            probes.append(Probe(f"node {name} node", [x, other], function, passes=passes))
            probes.append(
                Probe(f"node {name} node, scaled", [x, other, 0.75], lambda a, b, c, f=function: f(a, b) * c, passes=1)
            )
        for disturb in (_disturb_leaf, _disturb_result):
            text = f"{name}, data changed before backward()"
            probes.append(Probe(text, [numbers[0], ORDINARY[3]], function, disturb))
            probes.append(Probe(text, [ORDINARY[3], numbers[2]], function, disturb))
    for name in methods:
        call = operator.methodcaller(name)
        for x in numbers:
            probes.append(Probe(name, [x], call))
            for factor in (0.75, 2, numbers[0]):
                probes.append(Probe(f"{name}, scaled", [x, factor], lambda a, b, f=call: f(a) * b, passes=1))
            probes.append(Probe(f"{name} of a product", [x, 0.5, 1], lambda a, b, c, f=call: f(a * b) + f(a * c)))
    for seed in range(6):
        leaves = [numbers[0], ORDINARY[seed] + 3.5, numbers[2 + seed % 2]]
        probes.append(Probe(f"a graph over {kind}", leaves, _Graph(seed, 2), passes=1))
        probes.append(Probe(f"a graph of {kind}", numbers[:3], _Graph(seed, 2), passes=1))
    return probes


def composite(count: int = 8, uses: int | None = None) -> list[Probe]:
    """Random graphs of sums and products with shared nodes.

    Parameters
    ----------
    count : int
        How many.
    uses : int, optional
        At most so many uses of a node: two, and the order in which a gradient's terms are added cannot show.
    """
    passes = 2 if uses is None else 1
    data = [("a graph", [x + 3.5 for x in ORDINARY[seed : seed + 3]], seed) for seed in range(count)]
    data += [("a graph of ints", [2, 2, 3], seed) for seed in range(3)]
    data += [("a graph over equal leaves", [1.5, 1.5, 1.5], seed) for seed in range(3)]
    return [Probe(text, leaves, _Graph(seed, uses), passes=passes) for text, leaves, seed in data]


class _Graph:
    def __init__(self, seed: int, uses: int | None) -> None:
        self.seed, self.uses = seed, uses

    def __call__(self, *leaves: Any) -> Any:
        source = Chance(self.seed)
        nodes = [[leaf, 0] for leaf in leaves]
        for _ in range(7):
            open_nodes = [node for node in nodes if self.uses is None or node[1] < self.uses]
            one = source.choice(open_nodes)
            one[1] += 1
            open_nodes = [node for node in nodes if self.uses is None or node[1] < self.uses]
            two = source.choice(open_nodes[-4:])
            two[1] += 1
            nodes.append([one[0] + two[0] if source.number() < 0.5 else one[0] * two[0], 0])
        result = nodes[-1][0]
        for node, used in nodes[:-1]:
            if not used:
                result = result + node
        return result
