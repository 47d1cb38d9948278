"""Python code that runs while the engine reads its arguments: no crash, and the engine works afterwards.

Hostile objects (numbers, sequences, modules, instances of subclasses) whose special methods clear the lists they are
in, give their operands other nodes, collect garbage or raise, are given to every function of ``kilograd._core``, to
every method of its types and to the public ones; so are objects of wrong types, and types are asked for instances that
nobody initialised. Any exception will do but SystemError, which is CPython's word for a broken extension.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import pickle
import sys
import types
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import numpy as np

import kilograd
from kilograd import Value, _core, arrays, functional
from kilograd.micrograd.engine import Value as MicrogradValue

# What these do outlives the call, on purpose: the classes that networks are made of, families (of which there are
# 256), modes.
LASTING = {"declare_neuron", "declare_layer", "new_family", "new_served", "_enter_no_grad", "_trace_into"}
FUNCTIONS = sorted(
    name for name, item in vars(_core).items() if isinstance(item, types.BuiltinFunctionType) and name not in LASTING
)
PUBLIC: list[Any] = [getattr(module, name) for module in (functional, arrays) for name in module.__all__] + [
    kilograd.maximum,
    kilograd.minimum,
    kilograd.where,
    kilograd.Program,
    kilograd.grad,
    kilograd.value_and_grad,
    kilograd.jacobian,
    kilograd.hessian,
    kilograd.compile,
]


class Author:
    """A scalar class as people write it."""

    def __init__(self, data: Any, _children: Any = (), _op: str = "") -> None:
        self.data = data
        self.grad = 0
        self._backward: Callable[[], None] = lambda: None
        self._prev = set(_children)
        self._op = _op

    def __add__(self, other: Any) -> Author:
        other = other if isinstance(other, Author) else Author(other)
        out = Author(self.data + other.data, (self, other), "+")

        def _backward() -> None:
            self.grad += out.grad
            other.grad += out.grad

        out._backward = _backward
        return out

    def __mul__(self, other: Any) -> Author:
        other = other if isinstance(other, Author) else Author(other)
        out = Author(self.data * other.data, (self, other), "*")

        def _backward() -> None:
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out._backward = _backward
        return out

    def backward(self) -> None:
        topo: list[Author] = []
        visited = set()

        def build_topo(v: Author) -> None:
            if v not in visited:
                visited.add(v)
                for child in v._prev:
                    build_topo(child)
                topo.append(v)

        build_topo(self)
        self.grad = 1
        for v in reversed(topo):
            v._backward()


def _served() -> Any:
    from kilograd.run.judge import serve

    return serve(Author)


class Sub(Value):
    """A subclass with attributes of its own, and finalisers."""

    def __del__(self) -> None:
        gc.get_count()


class World:
    """What hostile objects can lay their hands on, and what they do to it."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.left = 40  # actions: an object that makes objects would never end
        self.leaves: list[Any] = [Value(0.5), Value(2), Sub(1.5), Value(-1.0, label="w")]
        x, y, z, w = self.leaves
        self.graph: list[Any] = [x * y + w, (z * x).tanh(), x + y]
        out = Value(1.0, (self.graph[0],), "own")
        out._backward = lambda: setattr(x, "grad", out.grad)
        self.graph += [out, out * 2.0, MicrogradValue(3) * 2]
        self.lists: list[list[Any]] = [list(self.leaves), list(self.graph), [1.0, x, 2]]
        self.dicts: list[dict[Any, Any]] = []
        self.model = kilograd.MLP(2, [2, 1])
        self.modules: list[Any] = [self.model, *self.model.layers, *self.model.layers[0].neurons]
        self.arrays = [np.arange(4.0), np.arange(6.0).reshape(2, 3), np.zeros(0), np.arange(8.0)[::2], np.arange(3)]
        program = kilograd.Program(x * x + w, [x])
        self.kinds = hostile_kinds(self)
        self.cores = [program._core, x.__reduce__(), self.graph[1].__reduce__()[1][0], program]

    def value(self) -> Any:
        return self.random.choice(self.leaves + self.graph)

    def act(self) -> None:
        """One hostile act."""
        if self.left == 0:
            return
        self.left -= 1
        acts = "clear replace renew renew strip collect differentiate fail build shift rename forget"
        getattr(self, self.random.choice(acts.split()))()

    def clear(self) -> None:
        self.random.choice(self.lists).clear()

    def replace(self) -> None:
        items = self.random.choice(self.lists)
        items[:] = [object() for _ in range(self.random.randrange(6))]

    def renew(self) -> None:
        value = self.value()
        if self.random.random() < 0.5:
            value.__init__(self.random.random())
        else:
            value.__init__(1.0, (self.value(), self.value()), self.random.choice(["", "op", (1.0, 2.0)]))

    def strip(self) -> None:
        target = self.random.choice([self.value(), *self.modules])
        for name in list(getattr(target, "__dict__", ())):
            with contextlib.suppress(AttributeError):
                delattr(target, name)

    def collect(self) -> None:
        gc.collect(self.random.randrange(3))

    def differentiate(self) -> None:
        root = self.value()
        self.random.choice([root.backward, root.zero_grad, root.forward])()

    def fail(self) -> None:
        raise ValueError("hostile")

    def build(self) -> None:
        value = self.value()
        for _ in range(100):
            value = value * 0.5
        self.graph.append(value)

    def shift(self) -> None:
        value = self.value()
        value._backward = self.random.choice([self.act, lambda: None])
        value.label = self.random.choice(["a", self.lists, value])

    def rename(self) -> None:
        self.value().__class__ = self.random.choice([Value, Sub, MicrogradValue])

    def forget(self) -> None:
        self.random.choice([self.leaves, self.graph])[1:] = [Value(1.0)]
        for module in self.modules:
            if isinstance(module, kilograd.Neuron):
                module.w.clear()


def hostile(world: World) -> Any:
    """An object whose special methods act."""
    make, arguments = world.random.choice(world.kinds)
    return make(*arguments)


def hostile_kinds(world: World) -> list[tuple[Any, tuple[Any, ...]]]:
    """The types of such objects, and what to make one from."""
    act, random = world.act, world.random

    def number() -> float:
        act()
        return random.choice([0.5, -2.0, 3.0])

    class Float(np.float32):
        def __float__(self) -> float:
            return number()

    class Integer(np.int64):
        def __index__(self) -> int:
            return int(number())

    class Index:
        def __index__(self) -> int:
            act()
            return random.randrange(3)

        def __bool__(self) -> bool:
            act()
            return True

        def __float__(self) -> float:
            return number()

    class Sequence:
        def __len__(self) -> int:
            act()
            return random.randrange(4)

        def __getitem__(self, index: Any) -> Any:
            act()
            if random.random() < 0.3:
                raise IndexError(index)
            return random.choice([1.0, world.value()])

    class Iterable(list):  # type: ignore[type-arg]
        def __iter__(self) -> Iterator[Any]:
            act()
            yield world.value()
            self.clear()
            act()
            yield number()

    class Attributes:
        def __getattr__(self, name: str) -> Any:
            act()
            return random.choice([1.0, world.value(), world.lists[0]])

        def __setattr__(self, name: str, value: Any) -> None:
            act()

    class Weird(Value):
        __slots__ = ("extra",)

        def __setattr__(self, name: str, value: Any) -> None:
            act()
            super().__setattr__(name, value)

        @property
        def _forward(self) -> Any:
            act()
            return number

    class Network(kilograd.Module):
        def parameters(self) -> Any:
            act()
            return random.choice(world.lists)

        def __call__(self, x: Any) -> Any:
            act()
            return x

    class Array:
        def __array__(self, *arguments: Any, **keywords: Any) -> Any:
            act()
            return np.arange(2.0)

    class Keyed(dict):  # type: ignore[type-arg]
        def __getitem__(self, key: Any) -> Any:
            act()
            return super().__getitem__(key)

    class Equal:
        def __eq__(self, other: object) -> bool:
            act()
            return True

        def __hash__(self) -> int:
            act()
            return 1

        def __call__(self, *arguments: Any, **keywords: Any) -> Any:
            act()
            return random.choice([1.0, world.value(), None])

    plain = [Index, Sequence, Iterable, Attributes, Network, Array, Keyed, Equal]
    return [(Float, (1.0,)), (Integer, (1,)), (Weird, (1.0,)), *((kind, ()) for kind in plain)]


def fitting(world: World) -> Callable[[], Any]:
    """A call with the right arguments but for one or two of them."""
    random = world.random

    def hostile_number() -> Any:
        make, arguments = random.choice([kind for kind in world.kinds if issubclass(kind[0], np.number)])
        return make(*arguments)

    def element() -> Any:
        if random.random() < 0.03:
            return hostile(world)
        return hostile_number() if random.random() < 0.3 else random.choice([world.value(), 0.5, 1])

    def items(count: int) -> list[Any]:
        made = [element() for _ in range(count)]
        world.lists.append(made)
        return made

    def number() -> Any:
        return hostile(world) if random.random() < 0.05 else random.choice([hostile_number(), 0.5])

    def array(count: int) -> Any:
        return hostile(world) if random.random() < 0.1 else np.zeros(count)

    n = random.randrange(1, 5)
    values = [world.value() if random.random() < 0.9 else hostile(world) for _ in range(n)]
    world.lists.append(values)
    rule = _core.update_rule("Adam", {"beta1": 0.5, "eps": 1e-8, "clip_norm": 10.0}, 0, {})
    program = world.cores[3]
    core = program._core
    parameters = tuple(program.parameters)
    reduction = random.choice(["mean", "sum", "none"])
    wrt = random.choice(["inputs", "parameters", "both"])
    return random.choice(
        [
            lambda: Value(number(), values, [number() for _ in range(n)]),
            lambda: Value(number(), values, "op", hostile(world)),
            lambda: world.value().__init__(number(), values, [number() for _ in range(n)]),
            lambda: world.value().backward(number()),
            lambda: world.value().leaky_relu(number()),
            lambda: setattr(world.value(), random.choice(["data", "grad"]), number()),
            lambda: functional.sum(items(n), number()),
            lambda: functional.dot(items(n), items(n), number()),
            lambda: functional.mse(items(n), items(n), reduction=reduction),
            lambda: functional.cross_entropy([items(3), items(3)], [0, 1], reduction=reduction),
            lambda: functional.huber(items(n), items(n), delta=number()),
            lambda: functional.softmax([items(n), items(n)]),
            lambda: arrays.data([items(n), items(n)]),
            lambda: arrays.gradients(values),
            lambda: arrays.assign(values, items(n)),
            lambda: random.choice(world.modules)(items(2)),
            lambda: _core.update(rule, values, number()),
            lambda: _core.restore(rule, values, _core.bookmark(rule, values)),
            lambda: rule.__setitem__(random.choice(["eps", "clip_norm", "amsgrad"]), number()),
            lambda: _core.update_rule("Adam", {"eps": number(), "amsgrad": number()}, 0, {"mean": array(n)}),
            lambda: _core.clip_norm(values, number(), number()),
            lambda: _core.clip_value(values, number()),
            lambda: _core.read_data(values, array(n)),
            lambda: _core.write_data(values, array(n)),
            lambda: _core.leaves(array(n), random.choice([Value, Sub, world.kinds[2][0]])),
            lambda: _core.zero_grad(values),
            lambda: _core.parameters_of([hostile(world), *world.modules]),
            lambda: _core._record(items(n), [n], values[:1], random.choice([None, values[1:]])),
            lambda: kilograd.Program(items(n), values[:1]),
            lambda: _core._guards([("<", element(), element(), True) for _ in range(n)], values),
            lambda: core.forward(parameters, items(1), None, 1, True, None),
            lambda: core.jacobian(parameters, items(1), wrt, 1, True, None),
            lambda: core.hessian(parameters, items(1), wrt, None, 1, True, None),
            lambda: program.hvp(items(1), items(1)),
            lambda: kilograd.compile(lambda a, b: a * b if a > b else a + b)(element(), element()),
            lambda: copy.deepcopy(world.lists),
            lambda: pickle.loads(pickle.dumps([world.value() for _ in range(3)])),
            lambda: sorted(items(n)),
            lambda: np.array(items(n)) @ np.array(items(n)),
            lambda: served_class()(number()) * element() + element(),
        ]
    )


SERVED: list[Any] = []


def served_class() -> Any:
    if not SERVED:
        SERVED.append(_served())
    return SERVED[0]


def argument(world: World, depth: int = 0) -> Any:
    """Anything."""
    random = world.random
    kind = random.randrange(14)
    if kind < 4:
        return hostile(world)
    if kind < 6:
        return world.value()
    if kind == 6 and depth < 3:
        items = [argument(world, depth + 1) for _ in range(random.randrange(4))]
        if random.random() < 0.3:
            return tuple(items)
        world.lists.append(items)
        return items
    if kind == 7:
        return random.choice(world.lists)
    if kind == 8:
        return random.choice([0, 1, -1, 2, 2**70, 0.5, -0.0, float("nan"), float("inf"), True, None, 1j, ...])
    if kind == 9:
        return random.choice(["", "sum", "mean", "none", "tanh", "inputs", "sgd", "add", "data", b"", b"KGP", "é"])
    if kind == 10:
        return random.choice(world.arrays)
    if kind == 11:
        return random.choice(world.cores + world.modules)
    if kind == 12:
        return random.choice([int, Value, Sub, MicrogradValue, _core.Served, served_class(), type, object, len])
    return random.choice([{}, {"a": world.value()}, set(), memoryview(b"12345678"), world.act, lambda *_: 1.0])


def calls(world: World) -> Iterator[Callable[[], Any]]:
    """Calls without end."""
    random = world.random
    kinds = [Value, Sub, MicrogradValue, _core.Served, served_class(), *{type(core) for core in world.cores}]
    kinds += [type(vars(served_class()).get("data")), _core.ServedMethod]
    while True:
        arguments = [argument(world) for _ in range(random.choice([0, 1, 1, 2, 2, 3, 3, 4, 5, 8, 9, 11]))]
        which = random.randrange(12)
        if which > 6:
            function, arguments = fitting(world), []
        elif which <= 1:
            function: Any = getattr(_core, random.choice(FUNCTIONS))
        elif which == 2:
            function = random.choice(PUBLIC)
        elif which == 3:  # a method, of an object of its type or of another one
            kind = random.choice(kinds)
            function = vars(kind)[random.choice(sorted(vars(kind)))]
            if random.random() < 0.7:
                arguments.insert(0, random.choice([world.value(), *world.cores, served_class()(1.0)]))
            with contextlib.suppress(Exception):  # a hostile act, in an attribute that was put on the class
                function = getattr(function, random.choice(["__call__", "__get__", "__set__"]), function)
        elif which == 4:  # an object that nobody initialised
            kind = random.choice(kinds)
            make = random.choice([kind.__new__, object.__new__, kind.__call__, kind.__init__])
            function, arguments = make, [kind, *arguments[:2]] if random.random() < 0.7 else arguments
        elif which == 5:  # attributes and operators
            value = random.choice([world.value(), hostile(world), served_class()(2.0) * 3])
            name = random.choice(["data", "grad", "label", "_op", "_prev", "_backward", "__dict__", "__class__", "a"])
            other = argument(world)
            function = random.choice(
                [
                    lambda v=value, n=name, o=other: setattr(v, n, o),
                    lambda v=value, n=name: getattr(v, n),
                    lambda v=value, n=name: delattr(v, n),
                    lambda v=value, o=other: (v + o, o * v, v - o, v / o, v**o, o**v),
                    lambda v=value, o=other: (v < o, v == o, hash(v), repr(v), abs(-v)),
                    lambda v=value: v.backward(),
                    lambda v=value: copy.deepcopy(v),
                    lambda v=value: copy.copy(v),
                    lambda v=value: pickle.loads(pickle.dumps(v)),
                ]
            )
            arguments = []
        else:
            function = random.choice(
                [*world.modules, lambda *a: kilograd.MLP(2, [2, 1])(*a), *[m.parameters for m in world.modules]]
            )
        yield lambda f=function, a=tuple(arguments): f(*a)


def check_engine() -> None:
    """The engine as it should be."""
    while True:
        try:
            _core._exit_no_grad()
        except RuntimeError:
            break
    x = Value(2.0)
    y = x * x + x.tanh()
    y.backward()
    got, want = x.grad, 5.0 - np.tanh(2.0) ** 2
    if abs(got - want) > 1e-12:
        raise AssertionError(f"the gradient of the graph that comes next is {got} and not {want}")


def run(seed: int) -> None:
    """Some twenty hostile calls."""
    world = World(Random(seed))
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        for _, call in zip(range(20), calls(world)):
            world.left = 40
            try:
                with np.errstate(all="ignore"):
                    call()
            except SystemError:
                raise
            except Exception as error:
                if str(error).startswith("module 'kilograd"):  # the name of a function that was renamed
                    raise
        del world, call
        gc.collect()
        check_engine()
    finally:
        sys.unraisablehook = hook


# --- what was once found ---------------------------------------------------------------------------------------------


class Trigger(np.float32):
    """A number whose conversion does something first."""

    act: Callable[[], object]

    def __float__(self) -> float:
        type(self).act()
        return 1.0


def trigger(act: Callable[[], object]) -> Any:
    return type("Trigger", (Trigger,), {"act": staticmethod(act)})(1.0)


def _list_cleared(read: Callable[[list[Any]], object]) -> None:
    values: list[Any] = []
    values[:] = [Value(1.0), trigger(values.clear), *(Value(float(i)) for i in range(50))]
    with contextlib.suppress(TypeError, ValueError):
        read(values)
    check_engine()


def _children_cleared() -> None:
    children = [Value(1.0), Value(2.0), Value(3.0)]
    out = Value(1.0, children, [1.0, trigger(children.clear), 2.0])
    assert [v.data for v in out._children] == [1.0, 2.0, 3.0]
    locals_: list[Any] = []
    locals_[:] = [trigger(locals_.clear), 1.0, 2.0]
    out = Value(1.0, (Value(1.0), Value(2.0), Value(3.0)), locals_)
    assert out._local_grads == (1.0, 1.0, 2.0)


def _root_renewed() -> None:
    x = Value(2.0)
    root = x * x
    root.backward(trigger(lambda: root.__init__(1.0)))  # type: ignore[misc]
    assert x.grad == 0.0
    assert root.grad == 1.0


def _setter_clears() -> None:
    class Setting(Value):
        @property
        def grad(self) -> float:
            return 0.0

        @grad.setter
        def grad(self, value: float) -> None:
            parameters.clear()

    parameters: list[Any] = [Setting(1.0), *(Value(float(i)) for i in range(50))]
    _core.zero_grad(parameters)
    assert not parameters


def _truth_clears() -> None:
    from kilograd.micrograd.nn import Neuron

    class Truth:
        def __bool__(self) -> bool:
            neuron.w.clear()
            return True

    neuron = Neuron(3)
    neuron.nonlin = Truth()
    with contextlib.suppress(TypeError, ValueError):
        neuron([1.0, 2.0, 3.0])


def _uninitialised() -> None:
    program = kilograd.Program(Value(1.0) * 2.0, [])
    value = Value(1.0) * 2.0
    objects = [program._core, value.__reduce__()[1][0], _core._guards([], [])]
    for kind in [type(item) for item in objects] + [_core.ServedMethod, _core.Served]:
        for make in (kind, kind.__new__, object.__new__):
            try:
                made = make() if make is kind else make(kind)
            except TypeError:
                continue
            raise AssertionError(f"{make} made {made!r}")
        try:
            type("Derived", (kind,), {})()
        except TypeError:
            continue
        raise AssertionError(f"{kind} has an instance of a subclass")


def _module_in_itself() -> None:
    layer = kilograd.Layer(1, 1)
    layer.neurons = [layer]  # type: ignore[list-item]
    try:
        layer.parameters()
    except RecursionError:
        return
    raise AssertionError("an endless recursion ended")


def _wrong_shape() -> None:
    x = Value(1.0)
    try:
        _core._record([x, x * 2.0, x * 3.0], [1], [x], None)
    except ValueError:
        return
    raise AssertionError("three outputs had the shape (1,)")


def _outputs_cleared() -> None:
    x = Value(1.0)
    outputs: list[Any] = []
    outputs[:] = [x * 2.0, trigger(outputs.clear), x * 3.0]
    core, _ = _core._record(outputs, [3], [x], None)
    assert core.n_inputs == 1


def _states_cleared() -> None:
    value = Value(1.0, label="a") * 2.0
    value.label = "b"
    value.attribute = 1  # type: ignore[attr-defined]
    snapshot = value.__reduce__()[1][0]
    states: list[Any] = []

    class Place:
        def __index__(self) -> int:
            states.clear()
            return 0

    states[:] = [(Place(), None, None, None) for _ in range(50)]
    snapshot.__setstate__(states)


def _foreign_descriptor() -> None:
    cls = served_class()
    for item in vars(cls).values():
        for wrong in (5, Value(1.0), object()):
            for name in ("__get__", "__set__"):
                with contextlib.suppress(TypeError, AttributeError):
                    getattr(item, name)(wrong, 1)


def corpus() -> Iterator[tuple[str, Callable[[], None]]]:
    """What crashed."""
    yield "list-cleared-by-total", lambda: _list_cleared(kilograd.functional.sum)
    yield "list-cleared-by-data", lambda: _list_cleared(kilograd.arrays.data)
    yield "list-cleared-by-mse", lambda: _list_cleared(lambda v: kilograd.functional.mse(v, v))
    yield "list-cleared-by-dot", lambda: _list_cleared(lambda v: kilograd.functional.dot(v, v))
    yield "list-cleared-by-network", lambda: _list_cleared(lambda v: kilograd.MLP(52, [2, 1])(v))
    yield "children-cleared", _children_cleared
    yield "root-renewed-by-its-seed", _root_renewed
    yield "setter-clears-parameters", _setter_clears
    yield "truth-clears-weights", _truth_clears
    yield "uninitialised-objects", _uninitialised
    yield "module-in-itself", _module_in_itself
    yield "recorded-with-a-wrong-shape", _wrong_shape
    yield "outputs-cleared-while-recorded", _outputs_cleared
    yield "states-cleared-while-set", _states_cleared
    yield "descriptors-of-other-objects", _foreign_descriptor
