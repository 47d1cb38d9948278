"""`kilograd.view`: what the page is told of a graph, and the page itself in headless Chromium."""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
import math
import pathlib
import random
import re
import runpy
import shutil
import sys
import webbrowser

import numpy as np
import pytest

import kilograd
from kilograd import MLP, Value, reference
from kilograd.cli.demo import neuron
from kilograd.listing import order
from kilograd.viewer.reading import described, places_of

HOSTILE = "</script><script>document.title='hacked'</script><img src=x onerror=alert(1)>&amp;{{data}}"


@pytest.fixture(params=["kilograd", "kilograd.reference", "kilograd.micrograd.engine"])
def value(request):
    return importlib.import_module(request.param).Value


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page.html, re.DOTALL)[1])


# --- what the page is told ----------------------------------------------------------------------------------------


def test_nodes_in_topological_order_with_their_own_derivatives(value):
    a, b = value(2.0), value(-3.0)
    c = a * b
    d = c + a
    root = (d * d).relu()
    a.grad, root.grad = 5.0, 7.0
    told = described(root, None)
    assert told["data"] == [2.0, -3.0, -6.0, -4.0, 16.0, 16.0]
    assert told["ops"] == ["", "", "*", "+", "*", "ReLU"]
    assert told["operands"][:4] == [[], [], [0, 1], [2, 0]]
    assert told["local"] == [None, None, [-3.0, 2.0], [1.0, 1.0], [-8.0], [1.0]]
    assert (a.grad, b.grad, c.grad, root.grad) == (5.0, 0.0, 0.0, 7.0)  # as they were


@pytest.mark.parametrize(("cls", "backward"), [(Value, [5, 2, 4]), (reference.Value, [5, 4, 2])])
def test_operations_as_backward_visits_them(cls, backward):
    a = cls(2.0)
    earlier = a + 1.0
    later = a * 3.0
    told = described(later * earlier, None)
    assert told["ops"] == ["", "", "*", "", "+", "*"]
    assert told["backward"] == backward  # along the tape; along the search


def test_a_class_with_a_set_of_operands_and_no_rules():
    class Bare:
        def __init__(self, data, operands=()):
            self.data, self.grad, self._prev = data, 0, set(operands)

    a = Bare(3)
    told = described(Bare(9, [a]), None)
    assert told["local"] == [None, None]
    assert told["ordered"] is False
    assert told["ops"] == told["labels"] == ["", ""]


def test_a_class_with_local_gradients():
    a = Value(2.0)
    assert described(Value(10.0, (a, a), (3.0, 4.0)), None)["local"] == [None, [7.0]]


def test_a_rule_that_raises_is_none():
    a = reference.Value(2.0)
    b = reference.Value(4.0, (a,), "double")

    def broken():
        a.grad += 1
        raise RuntimeError

    b._backward = broken
    a.grad = 0.25
    assert described(b, None)["local"] == [None, None]
    assert (a.grad, b.grad) == (0.25, 0.0)


def test_the_slope_of_a_leaky_relu_is_found_where_it_does_not_show():
    a = Value(2)
    assert described(a.leaky_relu(0.125), None)["constants"] == {"1": 0.125}
    assert repr(a.data) == "2"


def test_numbers_that_json_does_not_have():
    told = described(Value(math.inf) + Value(math.nan) + Value(-math.inf), None)
    assert told["data"] == ["inf", "nan", "nan", "-inf", "nan"]
    json.dumps(told, allow_nan=False)


def test_a_deep_graph_needs_no_recursion(value):
    v = value(1.0)
    for _ in range(5_000):
        v = v * 1.0001
    nodes = order(v)
    assert len(nodes) == 10_001
    assert nodes[-1] is v
    assert kilograd.view(v, limit=None)._about == "graph of 10,001 nodes"


def test_what_cannot_be_viewed():
    for root in (3.0, [Value(1.0)]):
        with pytest.raises(TypeError, match=type(root).__name__):
            kilograd.view(root)
    with pytest.raises(ValueError, match=r"more than 2 nodes.*limit=None"):
        kilograd.view(Value(1.0) + 2.0, limit=2)

    class Node:
        def __init__(self, data):
            self.data, self.grad, self._prev = data, 0, []

    for data in ("one", [1.0], None, 1j):
        with pytest.raises(TypeError, match="real numbers"):
            kilograd.view(Node(data))
    a, b = Node(1.0), Node(2.0)
    a._prev, b._prev = [b], [a]
    with pytest.raises(ValueError, match="depends on itself"):
        kilograd.view(a)


def test_what_would_be_left_unsaid_is_refused(tmp_path):
    root, (_, history) = expression(), trained()
    for call, kind, part in (
        (lambda: kilograd.view(root, model=3), TypeError, "an object with parameters(), not int"),
        (lambda: kilograd.view(root, X=CORNERS, y=CLASSES), TypeError, "samples of a training"),
        (lambda: kilograd.view(history, quiz=True), TypeError, "gradients of a graph"),
        (lambda: kilograd.view(root, limit="a"), ValueError, "limit is a whole number"),
        (lambda: kilograd.view(root, tmp_path / "page.png"), ValueError, "ends in .html, not 'page.png'"),
        (lambda: kilograd.exercises(1).save(tmp_path / "sheet.pdf"), ValueError, "ends in .html, not 'sheet.pdf'"),
    ):
        with pytest.raises(kind, match=re.escape(part)):
            call()
    assert list(tmp_path.iterdir()) == []
    assert kilograd.view(root, tmp_path / "page").title == "L = -3.856"


def test_names_of_parameters():
    model = MLP(2, [2, 1])
    names = dict(places_of(model))
    assert list(names)[:4] == [f"layers[0].neurons[0].{name}" for name in ("w[0]", "w[1]", "b")] + [
        "layers[0].neurons[1].w[0]"
    ]
    assert {id(p) for p in names.values()} == {id(p) for p in model.parameters()}

    class Own:
        def parameters(self):
            return hidden

    hidden = [Value(1.0), Value(2.0)]
    assert list(dict(places_of(Own()))) == ["parameters()[0]", "parameters()[1]"]
    told = described(hidden[0] * 3.0 + hidden[1], None, Own())
    assert told["labels"] == ["parameters()[0]", "", "", "parameters()[1]", ""]
    assert told["chosen"] == [0, 3]


@pytest.mark.parametrize("package", ["kilograd", "kilograd.reference", "kilograd.micrograd.nn"])
def test_neurons_and_layers_are_found(package):
    random.seed(3)
    model = importlib.import_module(package).MLP(3, [4, 4, 1])
    told = described(model([2.0, 3.0, -1.0]), None)
    found = told["groups"]
    layers = [group for group in found if group["kind"] == "layer"]
    assert [group["title"] for group in layers] == ["layer 1", "layer 2", "layer 3"]
    assert [group["about"] for group in layers] == ["4 neurons", "4 neurons", "1 neuron"]
    of_layer = [sum(group["parent"] == k for group in found) for k in range(3)]
    assert of_layer == [4, 4, 1]
    members = [node for group in found for node in group["members"]]
    assert len(members) == len(set(members))
    ours = {id(node): place for place, node in enumerate(in_order_of(model, told))}
    assert all(place in members for place in ours.values())


def in_order_of(model, told):
    """Places of the parameters: here their numbers tell them apart."""
    return [told["data"].index(p.data) for p in model.parameters()]


def test_weights_of_several_samples_belong_to_the_layer():
    model = MLP(2, [3, 1])
    loss = sum((model([x, 1.0 - x]) - 1.0) ** 2 for x in (0.25, 0.5))
    told = described(loss, None, model)
    layers = [group for group in told["groups"] if group["kind"] == "layer"]
    assert [group["about"] for group in layers] == ["6 neurons", "2 neurons"]
    neurons = [group["title"] for group in told["groups"] if group["kind"] == "neuron"]
    assert sorted(neurons) == sorted(["neuron 1.1", "neuron 1.2", "neuron 1.3", "neuron 2.1"] * 2)  # of each sample
    names = [{told["labels"][node] for node in group["members"]} for group in layers]
    assert len(names[0]) == 9
    assert all(name.startswith("layers[0]") for name in names[0])
    assert len(names[1]) == 4


def test_a_sum_that_goes_on_is_told_from_its_neuron_by_the_parameters():
    model = MLP(2, [2, 1], activation="linear")
    loss = (model([1.0, 2.0]) - 3.0) ** 2
    told = described(loss, None)
    inside = {member for group in told["groups"] for member in group["members"]}
    outside = [place for place in range(len(told["data"])) if place not in inside]
    assert [told["ops"][place] for place in outside] == ["", "+", "**2"]  # the target, the difference, its square
    assert told["data"][outside[0]] == -3.0


def test_a_chain_has_no_groups():
    assert described(Value(1.0).tanh().exp(), None)["groups"] == []
    assert described((Value(1.0) * 2.0).exp() + 1.0, None)["groups"] == []


# --- the file ----------------------------------------------------------------------------------------------------


def test_one_file_that_runs_only_its_own_code(tmp_path):
    v = Value(1.0, label=HOSTILE) * 2.0
    v.label = HOSTILE
    page = kilograd.view(v, tmp_path / "page.html", title=HOSTILE)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text == page.html
    scripts = re.findall(r"<script(?: [^>]*)?>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 2
    assert text.count("</script>") == 2
    digest = base64.b64encode(hashlib.sha256(scripts[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    assert data_of(page)["labels"] == [HOSTILE, "", HOSTILE]
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|\bimport\b|@import|url\(", text.replace(HOSTILE, ""))
    assert "{{" not in text.replace("{{data}}", "")


def test_a_view_is_a_line_and_shows_itself(tmp_path, monkeypatch):
    page = kilograd.view(neuron(), quiz=True)
    assert repr(page) == str(page) == "View(exercise on a graph of 10 nodes; .open() shows it, .save(path) writes it)"
    frame = page._repr_html_()
    assert frame.startswith("<iframe srcdoc=")
    assert "<script" not in frame
    assert page.save(tmp_path / "page.html") == tmp_path / "page.html"
    opened = []
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    path = page.open()
    assert opened == [path.as_uri()]
    assert path.parent == tmp_path
    assert path.read_text(encoding="utf-8") == page.html
    with pytest.raises(OSError, match="missing"):
        page.save(tmp_path / "missing" / "page.html")


# --- the page ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium():
    """A browser, driven by what is installed."""
    webdriver = pytest.importorskip("selenium.webdriver")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (program and driver):
        pytest.skip("needs chromium and chromedriver")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,720"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    browser.set_script_timeout(60)
    yield browser
    browser.quit()


class Page:
    """A page in the browser, by the words of these tests."""

    def __init__(self, browser, path):
        self.browser, self.path = browser, path

    def load(self, page, width=1280, height=720):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        page.save(self.path)
        self.browser.get(self.path.as_uri())
        return self

    def run(self, code, *arguments):
        return self.browser.execute_script(code, *arguments)

    def find(self, selector):
        return self.browser.find_element("css selector", selector)

    def click(self, selector):
        self.run("arguments[0].scrollIntoView({block: 'center'})", self.find(selector))
        self.find(selector).click()

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def keys(self, *keys, on="body"):
        from selenium.webdriver import ActionChains, Keys

        if on != "body":
            self.run("document.querySelector(arguments[0]).focus()", on)
        actions = ActionChains(self.browser)
        for key in keys:
            *held, last = key.split("+") if len(key) > 1 else [key]
            for each in held:
                actions = actions.key_down(getattr(Keys, each))
            actions = actions.send_keys(getattr(Keys, last) if len(last) > 1 else last)
            for each in held:
                actions = actions.key_up(getattr(Keys, each))
        actions.perform()

    @property
    def position(self):
        return self.run("return kilograd.position")

    def select(self, label):
        self.run("kilograd.select(kilograd.graph.labels.indexOf(arguments[0]))", label)

    def wait(self, condition):
        from selenium.webdriver.support.wait import WebDriverWait

        return WebDriverWait(self.browser, 60).until(lambda browser: self.run(f"return {condition}"))

    def numbers(self):
        """Data and gradients of all nodes, as the inspector writes them at the end of the time line."""
        return self.run("""
            kilograd.go(kilograd.graph.last, {follow: false});
            return Array.from({length: kilograd.graph.count}, (_, node) => {
                kilograd.select(node);
                return ["node-data", "node-grad"].map((id) => document.getElementById(id).textContent);
            });""")


@pytest.fixture
def page(chromium, tmp_path):
    """A page; the browser has nothing to complain about in the end."""
    chromium.get_log("browser")
    yield Page(chromium, tmp_path / "page.html")
    assert chromium.get_log("browser") == []


def expression():
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    c = a * b
    d = c + a
    e = a.tanh()
    root = d * e
    c.label, d.label, e.label, root.label = "c", "d", "e", "L"
    return root


def close_to(text, number):
    return float(text) == pytest.approx(number, rel=1e-12, abs=1e-15)


def test_numbers_on_the_page_are_the_engines(page):
    root = expression()
    page.load(kilograd.view(root))
    root.backward()
    for (data, grad), node in zip(page.numbers(), order(root), strict=True):
        assert float(data) == node.data
        assert close_to(grad, node.grad)


def every_operation():
    """A graph with each operation that a Value has, and its leaves."""
    x, y = Value(0.7, label="x"), Value(1.3, label="y")
    from kilograd import _core

    methods = [name for name, _, arity, *_ in _core.ops() if arity == "Unary" and hasattr(Value, name)]
    assert len(methods) == 25
    terms = [getattr(y if name == "acosh" else x, name)() for name in methods]
    terms += [x.leaky_relu(0.1), (-x).leaky_relu(0.1), (-x).relu(), x**3, x**-1.5, x**0, x**y, 2.0**x, x - y, x / y, -x]
    terms += [kilograd.maximum(x, y), kilograd.minimum(x, y), kilograd.functional.log_cosh(x, 0.0)]
    terms += [(x * k).erf() + (y * k).erfc() for k in (-4.0, -1.0, 0.01, 2.0, 3.0)]
    return x, y, terms


def test_every_operation_has_a_rule(page):
    x, y, terms = every_operation()
    root = sum(term * (k + 1) for k, term in enumerate(terms))
    page.load(kilograd.view(root))
    assert page.run("return kilograd.graph.operations.filter((node) => !kilograd.graph.rules[node])") == []
    assert page.text("#notice") == ""
    page.run("kilograd.setLeaf(arguments[0], 0.6); kilograd.setLeaf(arguments[1], 1.1)", *places(root, x, y))
    x.data, y.data = 0.6, 1.1
    root.forward()
    root.backward()
    for (data, grad), node in zip(page.numbers(), order(root), strict=True):
        assert float(data) == pytest.approx(node.data, rel=1e-11, abs=1e-12), node._op
        assert float(grad) == pytest.approx(node.grad, rel=1e-10, abs=1e-11), node._op


def places(root, *nodes):
    placed = [id(node) for node in order(root)]
    return [placed.index(id(node)) for node in nodes]


def test_random_graphs(page):
    """Values and gradients of many graphs, before and after leaves change; the picture's boxes do not meet."""
    page.load(kilograd.view(Value(1.0)))
    for seed in range(25):
        root, leaves = random_graph(random.Random(seed))
        told = described(root, None)
        changes = [[place, leaf.data * 0.9 + 0.05] for leaf, place in zip(leaves, places(root, *leaves), strict=True)]
        found = page.run(
            """
            const graph = new kilograd.graph.constructor(arguments[0]);
            const scene = new kilograd.scene.constructor(graph, arguments[0].groups);
            const before = [...graph.gradients()];
            for (const [leaf, value] of arguments[1]) graph.set(leaf, value);
            const meeting = () => {
                let count = 0;
                const {x, y, edges, boxes} = scene;
                for (let a = 0; a < boxes.length; a += 1) for (let b = 0; b < a; b += 1)
                    if (x[a] === x[b] && Math.abs(y[a] - y[b]) < 64) count += 1;
                return count + edges.filter(([from, to]) => x[from] >= x[to]).length;
            };
            const counts = [meeting()];
            for (const kind of ["neuron", "layer"]) {
                scene.fold(true, (group) => group.kind === kind);
                counts.push(meeting());
            }
            return [before, [...graph.data], [...graph.gradients()], counts];
            """,
            told,
            changes,
        )
        before, data, after, counts = found
        assert counts == [0, 0, 0], seed
        nodes = order(root)
        for node in nodes:
            node.grad = 0.0
        root.backward()
        assert before == [node.grad for node in nodes], seed  # to the last bit
        for leaf, (_, number) in zip(leaves, changes, strict=True):
            leaf.data = number
        for node in nodes:
            node.grad = 0.0
        root.forward()
        root.backward()
        assert data == pytest.approx([node.data for node in nodes], rel=1e-9, abs=1e-12), seed
        assert after == pytest.approx([node.grad for node in nodes], rel=1e-9, abs=1e-12), seed


def random_graph(rng):
    leaves = [Value(rng.uniform(-1.5, 1.5)) for _ in range(rng.randint(1, 5))]
    if rng.random() < 0.3:
        random.seed(rng.random())
        out = MLP(len(leaves), [3, 2, 1])(leaves)
        return out * out, leaves
    nodes = list(leaves)
    for _ in range(rng.randint(1, 40)):
        a, b = rng.choice(nodes), rng.choice(nodes)
        make = rng.choice(
            [
                lambda a, b: a + b,
                lambda a, b: a * b,
                lambda a, b: a - b,
                lambda a, b: a / (b * b + 1.0),
                lambda a, b: a.tanh(),
                lambda a, b: a.sigmoid(),
                lambda a, b: (a * a + 1.0) ** 0.5,
                lambda a, b: kilograd.maximum(a, b + 0.1234),
            ]
        )
        nodes.append(make(a, b).tanh() if rng.random() < 0.2 else make(a, b) * 0.9)
    return sum(nodes), leaves


def test_steps_say_what_they_do(page):
    page.load(kilograd.view(expression()))
    last = page.run("return kilograd.last")
    assert last == 2 * 4 + 1
    page.click("#first")
    assert (page.position, page.text("#step-title")) == (0, "Start")
    assert page.text("#count") == f"0 / {last}"
    page.click("#next")
    assert page.text("#rule") == "c = a * b = 2 * (−3) = −6.0000"
    page.click("#turn")
    assert page.position == 4
    page.click("#next")
    assert "L.grad = 1.0" in page.text("#rule")
    page.click("#next")
    assert "d.grad += e.data * L.grad= 0.9640 * 1 = 0.9640" in page.text("#rule")
    page.click("#final")
    page.click("#back")
    rule = page.text("#rule")
    assert "c.grad += 1.0 * d.grad" in rule
    assert "a.grad += 1.0 * d.grad" in rule
    assert "adds up (+=): −0.2826 becomes 0.6814, for a is used 3 times" in rule
    assert page.text("#said").startswith("Backward through d: c.grad += 1.0 * d.grad")
    page.run("const p = document.getElementById('position'); p.value = 2; p.dispatchEvent(new Event('input'))")
    assert page.position == 2
    assert page.find("#position").get_attribute("aria-valuetext") == "Forward: d"


def test_play_and_pause(page):
    page.load(kilograd.view(expression()))
    page.run("document.getElementById('speed').value = '40'")
    page.click("#first")
    page.click("#play")
    assert page.find("#play").get_attribute("aria-label") == "Pause"
    page.wait("kilograd.position === kilograd.last")
    page.wait("document.getElementById('play').getAttribute('aria-label') === 'Play'")
    page.click("#play")  # from the beginning again
    page.wait("kilograd.position < kilograd.last")
    page.wait("kilograd.position === kilograd.last")
    page.run("document.getElementById('speed').value = '1600'")
    page.click("#play")
    page.wait("kilograd.position === 1")
    page.click("#play")
    assert page.find("#play").get_attribute("aria-label") == "Play"


def test_sliders_nudges_and_descent(page):
    root = expression()
    page.load(kilograd.view(root))
    page.select("a")
    assert page.text("#node-title") == "a"
    page.run("const s = document.getElementById('slide'); s.value = 1; s.dispatchEvent(new Event('input'))")
    number = float(page.text("#node-data"))
    assert page.run("return kilograd.graph.data[kilograd.graph.root]") == pytest.approx(
        (number * -3.0 + number) * math.tanh(number), rel=1e-14
    )
    page.click("#reset")
    assert page.text("#node-data") == "2.0"
    typed = page.find("#typed")
    typed.clear()
    typed.send_keys("0.5\n")
    assert page.text("#node-data") == "0.5"
    page.click("#reset")
    page.click("#nudge")
    root.backward()
    a = order(root)[0]
    result = page.run("return {...document.querySelector('#nudged').dataset}")
    assert close_to(result["grad"], a.grad)
    assert float(result["slope"]) == pytest.approx(a.grad, rel=1e-3)
    assert float(result["central"]) == pytest.approx(a.grad, rel=1e-6)
    assert "They agree" in page.text("#nudged")
    page.select("d")
    page.keys("n", on="#picture")
    assert "They agree" in page.text("#nudged")
    page.select("b")
    page.click("#choose")
    assert "1 of 2 leaves" in page.text("#chosen")
    page.click("#descend")
    descended = page.run("return [...kilograd.graph.data]")
    assert descended[0] == pytest.approx(2.0 - 0.1 * a.grad, rel=1e-12)
    assert descended[1] == -3.0
    assert "→" in page.text("#losses")
    page.click("#choose-all")
    page.click("#descend-ten")
    assert page.run("return kilograd.losses.length") == 12
    page.click("#choose-none")
    assert not page.find("#descend").is_enabled()
    assert not page.find("#descend-ten").is_enabled()


def test_outside_the_domain(page):
    a = Value(2.0, label="a")
    page.load(kilograd.view(a.log() * 2.0))
    page.run("kilograd.setLeaf(0, -1)")
    assert "v1 = nan: log (the logarithm needs a number above 0)" in page.text("#notice")
    page.run("kilograd.setLeaf(0, 1)")
    assert page.text("#notice") == ""


def test_an_operation_that_the_page_does_not_know(page):
    a, b = reference.Value(2.0, label="a"), reference.Value(3.0, label="b")
    c = reference.Value(99.0, (a, b), "mystery")
    root = c * b

    def rule():
        a.grad += 7.0 * c.grad
        b.grad += 0.5 * c.grad

    c._backward = rule
    page.load(kilograd.view(root))
    assert "mystery" in page.text("#notice")
    page.select("a")
    assert not page.find("#slide").is_enabled()
    assert not page.find("#nudge").is_enabled()
    assert "no rule for mystery (v2)" in page.text("#fixed")
    root.backward()
    for (data, grad), node in zip(page.numbers(), order(root), strict=True):
        assert float(data) == node.data
        assert close_to(grad, node.grad)


def test_results_of_other_data_are_told(page):
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    root = (a * b + a).tanh()
    page.load(kilograd.view(root))
    assert page.text("#notice") == ""
    a.data = 0.5
    page.load(kilograd.view(root))
    assert "compute it anew" in page.text("#notice")
    root.backward()
    for (data, grad), node in zip(page.numbers(), order(root), strict=True):
        assert float(data) == node.data
        assert close_to(grad, node.grad)
    root.forward()
    page.load(kilograd.view(root))
    assert page.text("#notice") == ""


def test_leaves_that_are_no_numbers(page):
    a, b = Value(math.nan, label="a"), Value(math.inf, label="b")
    page.load(kilograd.view(a * b))
    for name in "ab":
        page.select(name)
        assert page.find("#typed").get_property("value") == ""
    page.run("kilograd.setLeaf(0, 2); kilograd.setLeaf(1, 3)")
    assert page.find("#typed").get_property("value") == "3"
    assert page.numbers()[2][0] == "6.0"


def test_buttons_cover_no_box(page):
    layer = kilograd.Layer(2, 9)
    page.load(kilograd.view(sum(layer([1.0, 2.0]))))
    page.run("kilograd.picture.fit()")
    under = page.run("""
        const { picture, scene } = kilograd;
        const top = (scene.bounds.top - picture.y) * picture.scale + picture.height / 2;
        const stage = document.getElementById("stage").getBoundingClientRect();
        return stage.top + top - document.getElementById("folding").getBoundingClientRect().bottom;""")
    assert under >= 0


def test_a_rule_of_ones_own_is_not_taken_for_the_usual_one(page):
    a = reference.Value(0.5, label="a")
    out = a.tanh()
    out._backward = lambda: setattr(a, "grad", a.grad + out.grad * 0.25)  # wrong on purpose
    page.load(kilograd.view(out))
    assert page.run("return kilograd.graph.rules[1]") is None
    assert [grad for _, grad in page.numbers()] == ["0.25", "1.0"]


def leaky(x):
    """A leaky ReLU of one's own, whose rule looks at the result."""
    out = reference.Value(x.data if x.data > 0 else 0.25 * x.data, (x,), "leaky_relu")

    def rule():
        x.grad += (1.0 if out.data > 0 else 0.25) * out.grad

    out._backward = rule
    return out


def test_a_slope_that_does_not_show_is_not_guessed(page):
    page.load(kilograd.view(leaky(reference.Value(2.0))))
    assert page.run("return kilograd.graph.rules[1]") is None
    page.load(kilograd.view(leaky(reference.Value(-2.0))))
    page.run("kilograd.setLeaf(0, -4)")
    assert [float(number) for pair in page.numbers() for number in pair] == [-4.0, 0.25, -1.0, 1.0]


def test_gradients_that_nobody_knows_are_no_numbers(page):
    class Node:
        def __init__(self, data, operands=(), op=""):
            self.data, self.grad, self._prev, self._op = data, 0, operands, op

    a = Node(2.0)
    page.load(kilograd.view(Node(11.0, [a], "odd")))
    assert [grad for _, grad in page.numbers()] == ["not known: an operation after it has no rule", "1.0"]


def test_sets_of_operands_are_put_in_order(page):
    path = pathlib.Path(__file__).parent / "programs" / "article.py"
    cls = runpy.run_path(str(path))["Value"]
    a, b = cls(3.0), cls(4.0)
    root = (a * a + b) * a
    page.load(kilograd.view(root))
    assert page.run("return kilograd.graph.rules.map((rule) => rule !== null)") == [
        bool(node._prev) for node in order(root)
    ]
    root.backward()
    assert [float(grad) for _, grad in page.numbers()] == [node.grad for node in order(root)]


def test_keys(page):
    page.load(kilograd.view(expression()))
    page.keys("HOME")
    assert page.position == 0
    page.keys("ARROW_RIGHT", "ARROW_RIGHT", "ARROW_LEFT")
    assert page.position == 1
    page.keys("f")
    assert page.position == 4
    page.keys("END")
    assert page.position == 9
    page.keys("SHIFT+ARROW_LEFT", on="#picture")
    assert page.text("#node-title") == "L"
    page.keys("SHIFT+ARROW_LEFT")
    assert page.text("#node-title") == "d"
    assert page.text("#where").startswith("d, + of c and a, data −4.0000, grad 0.9640, used by L")
    page.keys("SHIFT+ARROW_RIGHT")
    assert page.text("#node-title") == "L"
    page.keys("SHIFT+ARROW_LEFT", "SHIFT+ARROW_LEFT")
    column = page.text("#node-title")
    page.keys("SHIFT+ARROW_DOWN")
    below = page.text("#node-title")
    page.keys("SHIFT+ARROW_UP")
    assert {column, below} == {"c", "e"} or column == page.text("#node-title")
    before = page.run("return [kilograd.picture.x, kilograd.picture.y, kilograd.picture.scale]")
    page.keys("w", "a", "+")
    after = page.run("return [kilograd.picture.x, kilograd.picture.y, kilograd.picture.scale]")
    assert after[0] < before[0]
    assert after[1] < before[1]
    assert after[2] == pytest.approx(before[2] * 1.25)
    page.keys("s", "d", "-", "0")
    theme = page.run("return document.documentElement.dataset.theme")
    page.keys("t")
    assert page.run("return document.documentElement.dataset.theme") != theme
    page.keys("?")
    assert page.run("return document.getElementById('keys').open")
    page.keys("ESCAPE")
    assert not page.run("return document.getElementById('keys').open")
    page.keys("/", "t", "a", "n", "h")
    assert page.text("#found") == "1 of 1"
    assert page.text("#node-title") == "e"
    page.keys("ESCAPE", "END")
    assert page.text("#found") == ""
    page.keys("ARROW_DOWN", on="#order")
    selected = page.run("return document.querySelector('#order [aria-selected=true]').textContent")
    assert page.text("#node-title") in selected
    page.keys("SPACE", on="#picture")
    assert page.find("#play").get_attribute("aria-label") == "Pause"
    page.keys("SPACE")


def test_every_control_has_a_name(page):
    page.load(kilograd.view(MLP(2, [2, 1])([1.0, 2.0])))
    page.run("kilograd.select(0)")
    nameless = page.run("""
        return [...document.querySelectorAll("button, input, select, canvas, [role=listbox]")].filter((each) =>
            !(each.getAttribute("aria-label") || each.getAttribute("aria-labelledby") || each.textContent.trim() ||
              each.closest("label") ||
              document.querySelector(`label[for="${each.id}"]`))).map((each) => each.outerHTML);
    """)
    assert nameless == []


def test_zoom_pan_and_pick_with_the_mouse(page):
    from selenium.webdriver import ActionChains

    page.load(kilograd.view(expression()))
    look = "return [kilograd.picture.x, kilograd.picture.y, kilograd.picture.scale]"
    x, y, scale = page.run(look)
    page.click("#nearer")
    assert page.run(look)[2] == pytest.approx(scale * 1.25)
    page.click("#farther")
    page.click("#farther")
    assert page.run(look)[2] == pytest.approx(scale * 0.8)
    page.click("#whole")
    assert page.run(look) == pytest.approx([x, y, scale])
    canvas = page.find("#picture")
    ActionChains(page.browser).drag_and_drop_by_offset(canvas, 80, 40).perform()
    assert page.run(look) == pytest.approx([x - 80 / scale, y - 40 / scale, scale])
    page.run("arguments[0].dispatchEvent(new WheelEvent('wheel', {deltaY: -100, cancelable: true}))", canvas)
    assert page.run(look)[2] > scale
    page.click("#whole")
    at = page.run("""
        const {picture, scene, graph} = kilograd;
        const box = scene.boxOf[graph.labels.indexOf("c")];
        return [(scene.x[box] - picture.x) * picture.scale, (scene.y[box] - picture.y) * picture.scale];""")
    ActionChains(page.browser).move_to_element_with_offset(canvas, *map(round, at)).click().perform()
    assert page.text("#node-title") == "c"
    page.click("#node [data-go]")
    assert page.text("#node-title") == "a"


def test_search_goes_from_match_to_match(page):
    page.load(kilograd.view(expression()))
    page.find("#query").send_keys("*")
    assert page.text("#found") == "1 of 2"
    page.find("#query").send_keys("\n")
    assert page.text("#found") == "2 of 2"
    page.find("#query").send_keys("nothing")
    assert page.text("#found") == "none"


def test_groups_collapse_and_open(page):
    random.seed(5)
    model = MLP(3, [4, 4, 1])
    page.load(kilograd.view(model([1.0, 2.0, 3.0]), model=model))
    count = "return kilograd.scene.boxes.length"
    whole = page.run(count)
    assert whole == page.run("return kilograd.graph.count")
    page.click("#folding [data-kind=neuron]")
    assert page.run(count) == 9
    assert page.text("#folding [data-kind=neuron]") == "Open neurons"
    page.click("#folding [data-kind=layer]")
    assert page.run(count) == 3
    page.click("#folding [data-kind=layer]")
    page.click("#folding [data-kind=neuron]")
    assert page.run(count) == whole
    page.run("kilograd.select(kilograd.graph.root)")
    page.keys("g", on="#picture")
    assert page.run(count) < whole
    page.keys("g")
    assert page.run(count) == whole
    page.keys("SHIFT+G")
    assert page.run(count) == 3
    page.keys("END", "SHIFT+ARROW_LEFT")
    assert page.run("return kilograd.scene.boxOf[kilograd.selected]") == 1
    page.keys("SHIFT+G")
    assert page.run(count) == whole


def test_weights_disappear_into_collapsed_neurons(page):
    random.seed(6)
    model = MLP(2, [3, 1])
    inputs = [Value(0.5, label="x"), Value(-0.25, label="y")]
    loss = (model(inputs) - 1.0) ** 2 + (model([0.1, 0.2]) + 1.0) ** 2
    page.load(kilograd.view(loss, model=model))
    page.click("#folding [data-kind=neuron]")
    drawn = page.run("return kilograd.scene.boxes.map((box) => box.node < 0 ? '' : kilograd.graph.labels[box.node])")
    assert drawn.count("") - (8 + 2 * 3 + 1) == 0  # neurons; of each sample a target, a difference, a square; the sum
    assert sorted(filter(None, drawn)) == ["x", "y"]
    assert page.run("return kilograd.scene.edges.every(([a, b]) => kilograd.scene.x[a] < kilograd.scene.x[b])")
    page.select("layers[0].neurons[0].w[0]")
    assert page.text("#node-title") == "layers[0].neurons[0].w[0]"
    assert page.run("return kilograd.scene.boxes[kilograd.scene.boxOf[kilograd.selected]].group >= 0")


def test_a_hostile_label_is_text(page):
    v = Value(1.0, label=HOSTILE) * 2.0
    v.label = HOSTILE
    v._op = "<b>*</b>"
    page.load(kilograd.view(v, title=HOSTILE))
    assert page.browser.title == HOSTILE
    page.keys("END")
    for node in range(3):
        page.run("kilograd.select(arguments[0])", node)
    assert page.text("#node-title") == HOSTILE
    assert page.text("h1") == HOSTILE
    assert page.run("return document.querySelectorAll('script, img, b').length") == 2
    page.load(kilograd.view(v, quiz=True))
    assert HOSTILE in page.text("#quiz")
    assert page.run("return document.querySelectorAll('script, img, b').length") == 2


def test_a_label_turns_nothing_around(page):
    a, b = Value(2.0, label="\u202eabc"), Value(3.0, label="שלום")
    root = a * b
    root.label = "L\u2067"
    page.load(kilograd.view(root))
    assert page.browser.title == page.text("h1") == "L\\u2067 = 6"
    assert page.text("#rule").startswith("L\\u2067 = (\\u202eabc) * (\u2068שלום\u2069) = 2 * 3")
    page.find("#query").send_keys("שלו")
    assert page.text("#found") == "1 of 1"


def test_dark_where_the_system_is(page):
    for scheme in ("dark", "light"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        page.load(kilograd.view(expression()))
        assert page.run("return document.documentElement.dataset.theme") == scheme
    page.click("#theme")
    assert page.run("return document.documentElement.dataset.theme") == "dark"


def test_colours_can_be_read(page):
    """Contrast of at least 4.5 between text and what it stands on, in both themes."""
    page.load(kilograd.view(expression()))
    for theme in ("light", "dark"):
        page.run("document.documentElement.dataset.theme = arguments[0]", theme)
        colours = page.run("""
            const style = getComputedStyle(document.documentElement);
            const names = ["paper", "panel", "box", "pale", "group", "soft", "text", "forward", "forward-tint",
                           "backward", "backward-tint", "accent"];
            return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));""")
        for text, grounds in {
            "text": ("paper", "panel", "box", "pale", "group", "forward-tint", "backward-tint"),
            "soft": ("paper", "panel", "box", "pale", "forward-tint", "backward-tint"),
            "forward": ("paper", "box", "panel", "forward-tint", "backward-tint"),
            "backward": ("paper", "box", "panel", "forward-tint", "backward-tint"),
            "accent": ("paper", "box"),
        }.items():
            for ground in grounds:
                assert contrast(colours[text], colours[ground]) >= 4.5, (theme, text, ground)


def contrast(a, b):
    def luminance(colour):
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (390, 844), (320, 560)])
def test_everything_is_within_the_window(page, width, height):
    page.load(kilograd.view(expression()), width, height)
    outside = page.run("""
        return [...document.querySelectorAll("header *, footer *, #zoom *, canvas")].filter((each) => {
            const {left, right, top, bottom, width} = each.getBoundingClientRect();
            return width && (left < -1 || right > innerWidth + 1 || top < -1 || bottom > innerHeight + 1);
        }).map((each) => each.id || each.outerHTML);""")
    assert outside == []
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")


def test_how_it_opens_in_a_notebooks_width(page):
    """Boxes that the canvas has in full."""
    inside = """
        const {picture: p, scene} = kilograd;
        const near = (at, middle, size, half) => Math.abs(at - middle) * p.scale + half * p.scale <= size / 2;
        const {x, y} = scene;
        return scene.boxes.map((_, k) => near(x[k], p.x, p.width, 71) && near(y[k], p.y, p.height, 32));
    """
    page.load(kilograd.view(neuron()), 860, 720)
    assert all(page.run(inside))
    v = Value(0.5)
    for _ in range(20):
        v = v.tanh()
    page.load(kilograd.view(v), 860, 720)
    assert page.run(inside) == [False] * 17 + [True] * 4


def test_only_what_is_in_view_is_drawn(page):
    v = Value(0.5)
    for _ in range(2_500):
        v = v * 1.0001
    page.load(kilograd.view(v))
    assert page.run("return kilograd.graph.count") == 5_001
    page.run("kilograd.picture.draw()")
    assert page.run("return kilograd.picture.shown") < 60
    assert page.run("return document.querySelectorAll('#order > div').length") < 60
    page.click("#whole")
    page.run("kilograd.picture.draw()")
    assert page.run("return kilograd.picture.shown") == 5_001


def test_many_boxes_are_shifted_while_they_move_and_drawn_when_they_rest(page):
    v = Value(0.5)
    for _ in range(1_000):
        v = v * 1.0001
    page.load(kilograd.view(v))
    page.run("kilograd.picture.fit(); kilograd.picture.draw()")
    assert page.run("return kilograd.picture.kept.scale === kilograd.picture.scale")
    page.run("kilograd.picture.pan(5, 0)")
    page.wait("kilograd.picture.kept && kilograd.picture.kept.x === kilograd.picture.x")
    same = "return kilograd.picture.canvas.toDataURL()"
    rested = page.run(same)
    page.run("kilograd.picture.request(); kilograd.picture.draw()")
    assert page.run(same) == rested
    assert page.run("kilograd.go(3, {follow: false}); return kilograd.picture.kept") is None


# --- exercise mode ------------------------------------------------------------------------------------------------


def answer(page, text):
    box = page.find("#answer")
    box.clear()
    box.send_keys(text + "\n")
    return page.text("#reason")


def test_the_quiz_tells_right_from_wrong_and_why(page):
    root = expression()
    page.load(kilograd.view(root, quiz=True))
    assert page.run("return kilograd.last") == 4  # the answers are not to be stepped to
    assert page.text("#quiz label") == "L.grad ="
    assert "The root's own gradient" in answer(page, "0")
    assert "not a number" in answer(page, "one")
    assert "not a number" in answer(page, "")
    assert "Right: 1.0000" in answer(page, "1")
    page.click("#next-question")
    assert page.text("#quiz label") == "e.grad ="
    assert "sign is wrong" in answer(page, "4")
    said = answer(page, "7")
    assert "e.grad += d.data * L.grad = (−4) * 1 = …" in said
    assert "Right" in answer(page, "-4 * 1")
    page.select("c")
    assert "Work out d.grad first" in answer(page, "12")
    page.select("d")
    assert "The derivative of a product by d is the other factor" in answer(page, "-4")
    assert "That is L.grad alone" in answer(page, "1")
    assert "Right" in answer(page, "tanh(2)".replace("tanh(2)", "0.964"))
    page.select("c")
    assert "That is the local derivative alone" in answer(page, "1")
    page.click("#reveal")
    assert "It is 0.9640" in page.text("#reason")
    page.select("a")
    root.backward()
    a = order(root)[0]
    assert "used 3 times, and all of them add up (+=)" in answer(page, "0.964")
    assert page.text("#node-grad") == "to be filled in"
    said = answer(page, repr(a.grad))
    assert "Right" in said
    assert "together" in said
    page.select("b")
    assert "Right" in answer(page, "2*0.964")
    assert page.text("#score") == "6 of 6 filled in, 1 at the first try. That is all."
    assert page.run("return kilograd.last") == 9
    shown = page.run("return Array.from({length: kilograd.graph.count}, (_, node) => kilograd.grad(node)[1])")
    for text, node in zip(shown, order(root), strict=True):  # the gradients stay when the last one is filled in
        assert close_to(text, node.grad)
    assert close_to(page.numbers()[0][1], a.grad)


def test_small_gradients_are_not_zero(page):
    a, b = Value(1.0, label="a"), Value(2.0, label="b")
    root = a * 1e-4 + b * 0.0123 + (b * 3.0 - b * 3.0)
    page.load(kilograd.view(root, quiz=True))
    page.select("a")
    assert "Not 0.0000" in answer(page, "0")
    assert "sign is wrong" in answer(page, "-0.0001")
    assert "Right" in answer(page, "0.0001")
    page.select("b")
    assert "Right" in answer(page, "0.012")


def test_a_gradient_that_is_no_number_is_not_asked_for(page):
    a = Value(math.inf, label="a")
    root = a * a
    root.label = "r"
    page.load(kilograd.view(root, quiz=True))
    page.select("a")
    assert not page.find("#answer").is_enabled()
    assert "Nobody asks for this one: it is inf." in page.text("#reason")
    page.select("r")
    assert "Right" in answer(page, "1")
    assert page.text("#score").startswith("1 of 1 filled in")


def test_formulas_as_answers(page):
    a = Value(3.0, label="a")
    root = a * -8.0
    root.label = "r"
    page.load(kilograd.view(root, quiz=True))
    for text, right in {"2**0": True, "-(-1)": True, "1 - 2 * 3 + 12/2": True, "−1 * -1": True, "0,5*2": True}.items():
        page.run("kilograd.quiz.solved.clear(); kilograd.select(kilograd.graph.root)")
        assert ("Right" in answer(page, text)) == right, text
    for text in ("(1", "1)", "1 1", "*", "alert(1)", "1/0", "--", "2**"):
        page.run("kilograd.quiz.solved.clear(); kilograd.select(kilograd.graph.root)")
        assert "not a number" in answer(page, text), text


# --- exercises ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("difficulty", [1, 2, 3, 4, 5])
def test_exercises_by_seed_and_difficulty(difficulty):
    sheet = kilograd.exercises(seed=7, difficulty=difficulty, count=4)
    assert len(sheet) == 4
    assert repr(sheet) == f"Sheet('Gradients, difficulty {difficulty}, seed 7', 4 exercises)"
    assert sheet.text() == kilograd.exercises(7, difficulty, 4).text()
    assert sheet.text() != kilograd.exercises(8, difficulty, 4).text()
    for each in sheet:
        namespace = {"Value": reference.Value, "maximum": lambda a, b: max(a, b, key=lambda v: v.data) + 0.0}
        exec("\n".join(each.code), namespace)
        last = each.code[-1].partition(" = ")[0]
        namespace[last].backward()
        assert list(each.answers) == [line.partition(" = ")[0] for line in each.code]
        for name, answer in each.answers.items():
            assert namespace[name].grad == pytest.approx(answer, rel=1e-12), name
            assert namespace[name].data == pytest.approx(each.data[name], rel=1e-12), name
            assert 1e-3 <= abs(answer) <= 60


def test_difficult_exercises_use_nodes_twice():
    for difficulty in (3, 5):
        for each in kilograd.exercises(1, difficulty, 10):
            told = described(each.root, None)
            uses = [operand for operands in told["operands"] for operand in operands]
            assert max(map(uses.count, uses)) >= 2


def test_a_sheet_to_print(tmp_path):
    sheet = kilograd.exercises(seed=2, difficulty=1, count=2)
    asked, solved = sheet.text(), sheet.text(answers=True)
    assert asked.count("grad ______") == 10
    assert "______" not in solved
    (tmp_path / "sheet.txt").touch()
    assert sheet.save(tmp_path / "sheet.txt").read_text() == f"{asked}\n\n{solved}"
    page = sheet.save(tmp_path / "sheet.html").read_text()
    assert page == sheet.html
    before, _, after = page.partition('<h1 class="answers">')
    assert before.count("<td></td>") == 10
    assert "<td></td>" not in after
    assert "<script" not in page
    assert sheet._repr_html_().startswith("<iframe srcdoc=")
    assert [each.code for each in sheet[:1]] == [sheet[0].code]
    assert repr(sheet[0]).startswith("Exercise(a = Value(")


def test_what_is_no_exercise():
    for difficulty in (0, 6, 1.5):
        with pytest.raises(ValueError, match="difficulty"):
            kilograd.exercises(1, difficulty)
    with pytest.raises(ValueError, match="count"):
        kilograd.exercises(1, 1, 0)


def test_an_exercise_is_filled_in_on_its_page(page):
    (exercise,) = kilograd.exercises(seed=3, difficulty=5, count=1)
    page.load(exercise.view())
    for name, right in reversed(list(exercise.answers.items())):
        page.select(name)
        assert "Right" in answer(page, repr(right)), name
    count = len(exercise.answers)
    assert page.text("#score") == f"{count} of {count} filled in, {count} at the first try. That is all."


# --- trainings ----------------------------------------------------------------------------------------------------

CORNERS = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
CLASSES = [-1.0, 1.0, 1.0, -1.0]


def trained(**kwargs):
    random.seed(4)
    model = MLP(2, [3, 1])
    return model, kilograd.fit(model, CORNERS, CLASSES, epochs=10, seed=0, **kwargs)


@pytest.mark.parametrize("engine", ["program", "graph"])
def test_parameters_are_recorded_while_it_trains(engine):
    model, plain = trained(engine=engine)
    assert (plain.snapshots, plain.parameters) == ([], [])
    again, history = trained(engine=engine, record=4)
    assert history.losses == plain.losses
    assert [p.data for p in again.parameters()] == [p.data for p in model.parameters()]
    assert [snapshot.epoch for snapshot in history.snapshots] == [0, 4, 8, 10]
    assert history.snapshots[-1].values.tolist() == [p.data for p in model.parameters()]
    random.seed(4)
    assert history.snapshots[0].values.tolist() == [p.data for p in MLP(2, [3, 1]).parameters()]
    assert history.parameters[:3] == [
        "layers[0].neurons[0].w[0]",
        "layers[0].neurons[0].w[1]",
        "layers[0].neurons[0].b",
    ]
    random.seed(4)
    model = MLP(2, [3, 1])
    kilograd.fit(model, CORNERS, CLASSES, epochs=4, seed=0, engine=engine)
    assert history.snapshots[1].values.tolist() == [p.data for p in model.parameters()]


def test_recorded_times():
    _, history = trained(record=5, first_epoch=20)
    assert [snapshot.epoch for snapshot in history.snapshots] == [20, 25, 30]
    model = MLP(1, [1])
    assert [s.epoch for s in kilograd.fit(model, [1.0], [1.0], epochs=0, record=1).snapshots] == [0]
    for record in (0, -1, 1.5):
        with pytest.raises(ValueError, match="record"):
            trained(record=record)


def test_a_training_that_fails_or_is_stopped():
    w = Value(1.0)

    def stop(history):
        return len(history.losses) == 3

    history = kilograd.fit(
        lambda x: w * x, [1.0], [3.0], optimizer=kilograd.optim.SGD([w], lr=0.1), record=2, callbacks=[stop]
    )
    assert [snapshot.epoch for snapshot in history.snapshots] == [0, 2, 3]
    assert history.parameters == ["parameter 0"]
    assert history.snapshots[-1].values.tolist() == [w.data]


@pytest.mark.parametrize("blocks", [False, True])
def test_a_minimisation_is_recorded(blocks):
    def minimised(**kwargs):
        w, x = Value(1.0, label="w"), Value(0.0)
        b = Value(0.0)
        program = kilograd.Program((w * x + b - 3.0) ** 2, inputs=[x])
        rows = [np.array([[1.0], [2.0]]), np.array([[0.5]])]
        adam = kilograd.optim.Adam([w, b], lr=0.1)
        return adam.minimize(program, rows if blocks else [[1.0], [2.0], [0.5]], steps=7, **kwargs), [w.data, b.data]

    plain, data = minimised()
    history = kilograd.training.History()
    losses, again = minimised(history=history, record=3)
    assert (losses.tolist(), again) == (plain.tolist(), data)
    assert history.losses == history.steps == plain.tolist()
    assert [snapshot.epoch for snapshot in history.snapshots] == [0, 3, 6, 7]
    assert history.parameters == ["w", "parameter 1"]
    assert history.snapshots[0].values.tolist() == [1.0, 0.0]
    assert history.snapshots[-1].values.tolist() == data
    history = kilograd.training.History()
    minimised(history=history)
    assert history.losses == plain.tolist()
    assert history.snapshots == []
    with pytest.raises(ValueError, match="history="):
        minimised(record=3)
    with pytest.raises(ValueError, match="record"):
        minimised(history=history, record=0)


def test_what_is_no_view_of_a_training():
    model, history = trained()
    with pytest.raises(ValueError, match="all three"):
        kilograd.view(history, model=model)
    with pytest.raises(ValueError, match="record=1"):
        kilograd.view(history, model=model, X=CORNERS, y=CLASSES)
    model, history = trained(record=5)
    with pytest.raises(ValueError, match="not the one that was trained"):
        kilograd.view(history, model=MLP(2, [2, 1]), X=CORNERS, y=CLASSES)
    small = kilograd.fit(MLP(2, [1, 1]), CORNERS, CLASSES, epochs=1, record=1)
    with pytest.raises(ValueError, match=r"the training knows no layers\[0\]\.neurons\[1\]"):
        kilograd.view(small, model=MLP(2, [2, 1]), X=CORNERS, y=CLASSES)
    last = kilograd.optim.SGD(model.layers[-1].parameters(), lr=0.1)  # the other layers are frozen
    kilograd.view(
        kilograd.fit(model, CORNERS, CLASSES, optimizer=last, epochs=1, record=1), model=model, X=CORNERS, y=CLASSES
    )
    with pytest.raises(ValueError, match=r"two coordinates.*\(4, 1\)"):
        kilograd.view(history, model=model, X=[[1.0]] * 4, y=CLASSES)
    with pytest.raises(ValueError, match="4 points need"):
        kilograd.view(history, model=model, X=CORNERS, y=[1.0])


def test_many_snapshots_are_thinned():
    _, history = trained(record=1)
    snapshot = history.snapshots[0]
    history.snapshots[:] = [type(snapshot)(k, snapshot.values) for k in range(50_000)]
    told = data_of(kilograd.view(history))
    assert told["epochs"][0] == 0
    assert told["epochs"][-1] == 49_999
    assert len(told["epochs"]) == 200_000 // 13
    assert told["left_out"] == 50_000 - len(told["epochs"])


def test_the_page_of_a_training(page, tmp_path):
    model, history = trained(record=2, validation=(CORNERS, CLASSES))
    before = [p.data for p in model.parameters()]
    shown = kilograd.view(history, tmp_path / "training.html", title=HOSTILE, model=model, X=CORNERS, y=CLASSES)
    assert repr(shown).startswith("View(training of 10 epochs, 6 snapshots;")
    assert [p.data for p in model.parameters()] == before
    page.load(shown)
    assert page.browser.title == page.text("h1") == HOSTILE
    assert page.text("#now") == f"epoch 10, loss {history.losses[-1]:.5f}, validation {history.validation[-1]:.5f}"
    assert page.run("return kilograd.weights[5]") == before
    titles = page.run("return [...document.querySelectorAll('#weights td')].map((cell) => cell.title)")
    assert titles[0] == f"layers[0].neurons[0].w[0] = {before[0]!r}"
    assert len(titles) == 13
    scores = page.run("return kilograd.boundary.scores[5]")
    low, high = page.run("return [kilograd.boundary.low, kilograd.boundary.high]")
    assert scores[0] == pytest.approx(model(low).data, abs=1e-4)
    assert scores[-1] == pytest.approx(model(high).data, abs=1e-4)
    assert "class -1.0" in page.text("#legend")
    page.click("#first")
    assert page.text("#now") == "epoch 0"
    page.click("#next")
    assert page.text("#now").startswith(f"epoch 2, loss {history.losses[1]:.5f}")
    page.click("#back")
    page.keys("END", "ARROW_LEFT")
    assert page.text("#count") == "epoch 8"
    page.run("const p = document.getElementById('position'); p.value = 1; p.dispatchEvent(new Event('input'))")
    assert page.text("#count") == "epoch 2"
    page.click("#final")
    page.click("#play")
    page.wait("kilograd.position < kilograd.last")
    page.wait("kilograd.position === kilograd.last")
    page.wait("document.getElementById('play').getAttribute('aria-label') === 'Play'")
    page.click("#logarithmic")
    assert "logarithmic" in page.find("#curve svg").get_attribute("aria-label")
    page.click("#theme")


def test_the_page_of_losses_alone(page):
    _, history = trained()
    page.load(kilograd.view(history))
    assert page.text("#now") == f"epoch 10, loss {history.losses[-1]:.5f}"
    page.keys("HOME")
    assert page.text("#now") == f"epoch 1, loss {history.losses[0]:.5f}"
    assert page.run(
        "return document.getElementById('weights-card').hidden && document.getElementById('boundary-card').hidden"
    )
    history.losses[:] = [math.inf, math.nan, -1.0]
    page.load(kilograd.view(history))
    assert page.text("#now").startswith("epoch 3")
    history.losses[:] = []
    page.load(kilograd.view(history))
    assert "No epoch is finished" in page.text("#curve")


def test_in_a_notebooks_frame(page, tmp_path):
    """The frame is shut off from the notebook, and everything in it works."""
    frame = kilograd.view(expression(), quiz=True)._repr_html_()
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><body>{frame}", encoding="utf-8")
    page.browser.get(path.as_uri())
    page.browser.switch_to.frame(page.find("iframe"))
    assert "Right: 1.0000" in answer(page, "1")
    page.keys("?", on="#picture")
    page.click("#close-keys")
    assert not page.run("return document.getElementById('keys').open")
    page.keys("t", on="#picture")
    page.browser.switch_to.default_content()


def test_less_motion_where_that_is_preferred(page):
    features = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    page.load(kilograd.view(expression()))
    page.click("#next")
    assert page.run("return kilograd.picture.moved") == 0
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    page.load(kilograd.view(expression()))
    page.click("#next")
    assert page.run("return kilograd.picture.moved") > 0


def test_two_fingers_zoom(page):
    page.load(kilograd.view(expression()), 390, 844)
    look = "return kilograd.picture.scale"
    before = page.run(look)
    page.browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    try:
        for kind, apart in (("touchStart", 40), ("touchMove", 60), ("touchMove", 80), ("touchEnd", None)):
            points = [] if apart is None else [{"x": 190 + s * apart, "y": 200, "id": s} for s in (-1, 1)]
            page.browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    finally:
        page.browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    assert page.run(look) == pytest.approx(2 * before, rel=0.05)


# --- widgets -------------------------------------------------------------------------------------------------------


@pytest.fixture
def widget():
    """A widget of log(a * b + a), whose a is an int."""
    pytest.importorskip("anywidget")
    a, b = Value(2, label="a"), Value(3.0, label="b")
    made = kilograd.view((a * b + a).log()).widget()
    yield made, a, b
    made.close()


def test_what_moves_on_the_page_moves_the_values(widget):
    made, a, b = widget
    root = made.root
    assert (a.grad, b.grad) == (0.5, 0.25)  # from the beginning
    made.set_state({"_leaves": [2, 4.0]})  # as a notebook does with a message
    assert (repr(a.data), b.data, root.data) == ("2", 4.0, math.log(10.0))
    assert (a.grad, b.grad, root.grad) == (0.5, 0.2, 1.0)
    made.set_state({"_leaves": ["inf", 4]})
    assert (a.data, root.data) == (math.inf, math.inf)
    made.set_state({"_leaves": [1, 4]})
    assert (a.data, a.grad) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("leaves", "said"),
    [
        ([-1, 3], "log(-4.0) is undefined"),
        ([1], "the page has 1 leaves, and the graph 2"),
        ([1, None], "None"),
        ([1, "x"], "x"),
    ],
)
def test_what_is_refused_changes_nothing(widget, leaves, said):
    made, a, b = widget
    made.set_state({"_leaves": leaves})
    assert (repr(a.data), b.data, made.root.data, a.grad) == ("2", 3.0, math.log(8.0), 0.5)
    assert made._said.startswith("The Values stay as they were: ")
    assert said in made._said
    made.set_state({"_leaves": [1, 3]})
    assert (a.data, made._said) == (1.0, "")


def test_what_python_changes_is_shown(widget):
    made, a, _ = widget
    a.data = 5.0
    made.update()
    assert made._leaves == [5.0, 3.0]
    assert (made.root.data, a.grad) == (math.log(20.0), 0.2)
    a.data = -5.0
    with pytest.raises(ValueError, match="undefined"):
        made.update()
    assert made._leaves == [5.0, 3.0]


def test_a_leaf_that_did_not_move_on_the_page_keeps_what_python_gave_it(widget):
    made, a, b = widget
    b.data = 11.0
    made.set_state({"_leaves": [4, 3]})
    assert (a.data, b.data, made.root.data) == (4.0, 11.0, math.log(48.0))
    assert made._leaves == [4.0, 11.0]  # the page is told
    made.set_state({"_leaves": [-4, 11]})  # refused, and shown on the page as it is
    made.set_state({"_leaves": [-4, -11]})
    assert (a.data, b.data, made._said) == (-4.0, -11.0, "")


def test_two_widgets_of_one_graph(widget):
    one, a, b = widget
    other = kilograd.view(one.root).widget()
    one.set_state({"_leaves": [9, 3]})
    other.set_state({"_leaves": [2, 4]})
    assert (a.data, b.data) == (9.0, 4.0)
    assert other._leaves == [9.0, 4.0]
    one.update()
    assert one._leaves == [9.0, 4.0]
    other.close()


def test_what_is_no_widget(monkeypatch):
    _, history = trained()
    for page, what in (
        (kilograd.view(history), "training"),
        (kilograd.view(expression(), quiz=True), "exercise"),
        (kilograd.view(reference.Value(1.0) * 2.0), "graph"),
    ):
        with pytest.raises(TypeError, match=f"of another kind .*{what}"):
            page.widget()
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "kilograd.viewer.widget", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'kilograd\[widget\]'"):
        kilograd.view(expression()).widget()


HOST = """<!doctype html><meta charset="utf-8"><div id="here"></div><script type="module">
{module}
const state = {state}, heard = {{}};
window.saved = [];
window.model = {{
  get: (name) => state[name],
  set: (name, value) => {{ state[name] = value; (heard[`change:${{name}}`] ?? []).forEach((each) => each()); }},
  save_changes: () => saved.push(state._leaves),
  on: (event, act) => (heard[event] ??= []).push(act),
  off: (event, act) => (heard[event] = heard[event].filter((each) => each !== act)),
}};
window.stop = widget.render({{ model, el: document.getElementById("here") }});
</script>"""


def test_the_widget_in_a_notebook(page, tmp_path, widget):
    """A host of a few lines in the place of the notebook: what goes from the page to it, and back."""
    made, a, b = widget
    state = json.dumps({name: getattr(made, name) for name in ("_frame", "_leaves", "_said")}).replace("<", "\\u003c")
    path = tmp_path / "notebook.html"
    path.write_text(HOST.format(module=made._esm.replace("export default", "const widget ="), state=state), "utf-8")
    page.browser.get(path.as_uri())
    frame = page.find("iframe")

    def within(code, *arguments):
        page.browser.switch_to.frame(frame)
        found = page.run(code, *arguments)
        page.browser.switch_to.default_content()
        return found

    page.wait("document.querySelector('iframe') !== null")
    assert page.run("return saved") == []
    within("kilograd.setLeaf(0, 1); kilograd.setLeaf(0, NaN); kilograd.setLeaf(0, 4)")
    page.wait("saved.length === 3")
    assert page.run("return saved") == [[1, 3], ["nan", 3], [4, 3]]
    within("kilograd.descend(1)")
    page.wait("saved.length === 4")
    made.set_state({"_leaves": page.run("return saved[3]")})
    assert (a.data, b.data) == (4 - 0.25, 3 - 0.25)
    page.run("model.set('_leaves', [2, 'inf']); model.set('_said', 'so it is')")
    assert page.text("[role=status]") == "so it is"
    page.browser.switch_to.frame(frame)
    page.wait("kilograd.graph.data[1] === Infinity && kilograd.graph.data[0] === 2")
    page.browser.switch_to.default_content()
    assert page.run("return saved.length") == 4  # what it is told it does not tell
    page.run("stop()")
    within("kilograd.setLeaf(0, 7)")
    page.run("model.set('_leaves', [1, 1])")
    assert within("return kilograd.graph.data[0]") == 7
    assert page.run("return saved.length") == 4


def test_a_page_that_nobody_speaks_to_tells_nothing(page, tmp_path):
    path = tmp_path / "notebook.html"
    frame = kilograd.view(expression())._repr_html_()
    heard = "<script>window.heard = []; addEventListener('message', ({data}) => heard.push(data))</script>"
    path.write_text(f"<!doctype html><body>{heard}{frame}", encoding="utf-8")
    page.browser.get(path.as_uri())
    page.browser.switch_to.frame(page.find("iframe"))
    page.run("kilograd.setLeaf(0, 1)")
    page.browser.switch_to.default_content()
    assert page.run("return heard") == []


def test_a_leaf_before_an_operation_without_a_rule_is_not_moved_from_outside(page):
    a, b = reference.Value(2.0, label="a"), reference.Value(3.0, label="b")
    page.load(kilograd.view(reference.Value(99.0, (a,), "mystery") * b))
    page.run("kilograd.setLeaves([2, 4])")
    assert page.run("return [...kilograd.graph.data]") == [2, 99, 4, 396]
    page.run("kilograd.setLeaves([1, 5])")
    assert page.run("return [...kilograd.graph.data]") == [2, 99, 4, 396]
    assert "a has another number in Python" in page.text("#notice")
