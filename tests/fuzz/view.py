"""The page of `kilograd.view`: random graphs of several classes, what the page is told, and what it computes.

Chromium takes part where it is installed, with its driver and selenium.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import json
import math
import pathlib
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import kilograd
from kilograd import Value, reference
from kilograd.viewer.reading import described

LABELS = [
    "",
    "",
    "",
    "a",
    "x y",
    "a*b",
    "</script>",
    "<img src=x onerror=alert(1)>",
    "\u2028",
    "ü",
    "{{data}}",
    "__proto__",
]
PROGRAMS = pathlib.Path(__file__).parents[1] / "programs"

OF_BOTH: list[Callable[[Any, Any], Any]] = [
    lambda a, b: a + b,
    lambda a, b: a * b,
    lambda a, b: a - b,
    lambda a, b: a / (b * b + 1.0),
    lambda a, b: a * 0.5,
    lambda a, b: -a,
    lambda a, b: a**2,
    lambda a, b: a.tanh(),
    lambda a, b: a.sigmoid(),
    lambda a, b: a.relu(),
    lambda a, b: a.abs(),
    lambda a, b: a.sin(),
    lambda a, b: a.cos(),
    lambda a, b: (a * a + 1.0).log(),
    lambda a, b: (a * a + 0.5).sqrt(),
    lambda a, b: a.tanh().exp(),
    lambda a, b: (a * a + 1.0) ** -1.5,
]
OF_KILOGRAD: list[Callable[[Any, Any], Any]] = [
    lambda a, b: a.leaky_relu(0.125),
    lambda a, b: a.softplus(),
    lambda a, b: a.silu(),
    lambda a, b: a.gelu(),
    lambda a, b: a.erf(),
    lambda a, b: a.tanh().asin(),
    lambda a, b: a.atan(),
    lambda a, b: a.tanh().sinh(),
    lambda a, b: (a * a + 1.5).acosh(),
    lambda a, b: a.asinh(),
    lambda a, b: a.erfc(),
    lambda a, b: kilograd.maximum(a, b),
    lambda a, b: kilograd.minimum(a, b),
    lambda a, b: (a * a + 1.0) ** b.tanh(),
    lambda a, b: (a * 0.4).tanh().atanh(),
    lambda a, b: a.tanh().expm1(),
    lambda a, b: (a * a).log1p(),
    lambda a, b: a.tanh().tan(),
    lambda a, b: a.tanh().acos(),
    lambda a, b: a.tanh().cosh(),
]

# What the page does with a graph: all its steps, groups, then other numbers in the leaves.
IN_PAGE = """
const [changes] = arguments;
const k = kilograd;
const found = {
  rules: k.graph.rules.map((each) => each !== null),
  known: [...k.graph.gradKnown],
  free: [...k.graph.fixedBy].map((each) => each < 0),
  before: [...k.graph.gradients()],
};
for (let position = 0; position <= k.last; position += 1) k.go(position, {animate: false});
found.stepped = [...k.state.grad];
const crossed = () => {
  const {x, y, edges, boxes} = k.scene;
  const columns = new Map();
  boxes.forEach((_, box) => columns.set(x[box], [...(columns.get(x[box]) ?? []), y[box]]));
  const sorted = [...columns.values()].map((ys) => ys.sort((a, b) => a - b));
  const near = sorted.some((ys) => ys.some((each, n) => n && each - ys[n - 1] < 64));
  const back = edges.some(([from, to]) => x[from] >= x[to]);
  return near || back || [...x, ...y].some((each) => !Number.isFinite(each));
};
found.crossed = [crossed()];
for (const kind of ["neuron", "layer"]) {
  k.scene.fold(true, (group) => group.kind === kind);
  found.crossed.push(crossed());
}
for (let node = 0; node < k.graph.count; node += 1) k.select(node);
for (const [leaf, value] of changes) if (k.graph.fixedBy[leaf] < 0) k.setLeaf(leaf, value);
found.data = [...k.graph.data];
found.after = [...k.graph.gradients()];
found.scripts = document.querySelectorAll("script, img").length;
return found;
"""


def run(seed: int) -> None:
    rng = random.Random(seed)
    make = rng.choice(
        [
            functools.partial(graph, Value),
            functools.partial(graph, reference.Value),
            network,
            articles,
            graph_with_own_rules,
        ]
    )
    check(*make(rng), rng)


def graph(cls: Any, rng: random.Random) -> tuple[Any, list[Any], bool]:
    """Operations of a class, on operands from anywhere before; its leaves; whether the page has to know all rules."""
    leaves = [
        cls(rng.choice([rng.uniform(-2, 2), float(rng.randint(-3, 3)), rng.randint(1, 3)]))
        for _ in range(rng.randint(1, 5))
    ]
    nodes = list(leaves)
    for _ in range(rng.randint(0, 25)):
        a, b = rng.choice(nodes[-6:]), rng.choice(nodes)
        made = rng.choice(OF_BOTH if cls is reference.Value else OF_BOTH + OF_KILOGRAD)(a, b)
        if abs(made.data) < 50:
            nodes.append(made)
    root = nodes[-1] if rng.random() < 0.5 else sum(nodes[-4:])
    for node in kilograd.order(root):
        node.label = rng.choice(LABELS)
    return root, leaves, True


def network(rng: random.Random) -> tuple[Any, list[Any], bool]:
    """Some samples through a network."""
    random.seed(rng.random())
    width = rng.randint(1, 3)
    activation = rng.choice(["tanh", "relu", "sigmoid", "linear"])
    model = kilograd.MLP(width, [rng.randint(1, 3) for _ in range(rng.randint(1, 3))] + [1], activation=activation)
    inputs = [Value(rng.uniform(-1, 1)) for _ in range(width)]
    samples = [inputs, *([rng.uniform(-1, 1) for _ in range(width)] for _ in range(rng.randint(0, 2)))]
    root = kilograd.functional.sum([(model(x) - 0.5) ** 2 for x in samples])
    return root, inputs, True


def articles(rng: random.Random) -> tuple[Any, list[Any], bool]:
    """A class whose operands are a set."""
    cls = articles_class()
    leaves = [cls(rng.uniform(-1.5, 1.5)) for _ in range(rng.randint(1, 4))]
    nodes = list(leaves)
    for _ in range(rng.randint(1, 15)):
        a, b = rng.choice(nodes), rng.choice(nodes)
        made = rng.choice([lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a.tanh(), lambda a, b: a - b])(a, b)
        if abs(made.data) < 50:
            nodes.append(made)
    return nodes[-1], leaves, True


@functools.cache
def articles_class() -> Any:
    source = (PROGRAMS / "article.py").read_text(encoding="utf-8").partition("\nclass Neuron")[0]
    namespace: dict[str, Any] = {"__name__": "article"}
    exec(source, namespace)
    return namespace["Value"]


def graph_with_own_rules(rng: random.Random) -> tuple[Any, list[Any], bool]:
    """Nodes with rules of their own among the others, some under the name of an operation that they are not."""
    root, leaves, _ = graph(reference.Value, rng)
    for node in rng.sample(kilograd.order(root), 1):
        made = reference.Value(node.data * 3.0 + 1.0, (node,), rng.choice(["own", "tanh", "+", ""]))

        def rule(node: Any = node, made: Any = made) -> None:
            node.grad += 3.0 * made.grad

        made._backward = rule
        root = root * made
    return root, leaves, False


def check(root: Any, leaves: list[Any], all_known: bool, rng: random.Random) -> None:
    nodes = kilograd.order(root)
    for node in nodes:
        node.grad = rng.choice([0.0, 1.5])
    kept = [(node.data, node.grad) for node in nodes]
    told = described(root, None)
    assert [(node.data, node.grad) for node in nodes] == kept, "reading a graph changed it"
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert len(nodes) == len(told["data"]) == len({id(node) for node in nodes})
    assert all(operand < place for place, these in enumerate(told["operands"]) for operand in these)
    members = [member for group in told["groups"] for member in group["members"]]
    assert len(members) == len(set(members)), "a node is in two groups"
    for node in nodes:
        node.grad = 0.0
    root.backward()
    right = [float(node.grad) for node in nodes]
    if browser() is None:
        return
    places = {id(node): place for place, node in enumerate(nodes)}
    used = [leaf for leaf in leaves if id(leaf) in places]
    changes = [[places[id(leaf)], float(leaf.data) * 0.95 + 0.01] for leaf in used]
    found = in_page(root, changes)
    assert found["scripts"] == 2, "a label became markup"
    assert not any(found["crossed"]), "boxes meet, or an edge goes back"
    if all_known:
        assert all(known or not told["operands"][place] for place, known in enumerate(found["rules"])), (
            "a rule is missing"
        )
    assert all(found["known"])
    same(found["before"], right)
    same(found["stepped"], right)
    if type(root) is Value:
        for leaf, (_, number) in zip(used, changes, strict=True):
            leaf.data = number
        for node in nodes:
            node.grad = 0.0
        root.forward()
        root.backward()
        near(found["data"], [float(node.data) for node in nodes])
        near(found["after"], [float(node.grad) for node in nodes])


def same(found: list[float], right: list[float]) -> None:
    """Equal to the last bit."""
    for place, (a, b) in enumerate(zip(found, right, strict=True)):
        assert a == b, f"node {place}: {a!r} on the page, {b!r} here"


def near(found: list[float], right: list[float]) -> None:
    """Equal to rounding, which is measured by the largest number."""
    scale = max(map(abs, right))
    for place, (a, b) in enumerate(zip(found, right, strict=True)):
        assert math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-10 * scale), f"node {place}: {a!r} on the page, {b!r} here"


def in_page(root: Any, changes: list[list[float]]) -> Any:
    chromium = browser()
    chromium.get_log("browser")
    chromium.get(kilograd.view(root).save(page_path()).as_uri())
    found = chromium.execute_script(IN_PAGE, changes)
    complaints = chromium.get_log("browser")
    assert complaints == [], complaints
    return found


@functools.cache
def page_path() -> pathlib.Path:
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return pathlib.Path(folder) / "page.html"


@functools.cache
def browser() -> Any:
    """Chromium, once for a process; None where it is not installed."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if importlib.util.find_spec("selenium") is None or program is None or driver is None:
        return None
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,720"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = webdriver.Chrome(options=options, service=Service(driver))
    atexit.register(made.quit)
    return made


def corpus() -> Iterator[tuple[str, Callable[[], None]]]:
    """What was found once."""
    yield from ()
