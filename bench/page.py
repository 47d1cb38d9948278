"""How fluid the page of `kilograd.view` is: ``python -m bench.page`` drives Chromium over graphs of 5,000 nodes.

Needs ``selenium``, ``chromium`` and ``chromedriver``. A frame is measured from one animation frame to the next, while
something changes in each: 16.7 ms is the screen's own pace. Drawing is the page's own share of it. The browser is
headless and draws without a graphics card, which a reader's screen has.
"""

from __future__ import annotations

import pathlib
import random
import shutil
import statistics
import tempfile
from collections.abc import Callable
from typing import Any

import kilograd
from kilograd import MLP, Value

FRAMES = 120

_RUN = """
const [change, frames, done] = arguments;
const act = Function("k", "return " + change)(kilograd);
const gaps = [];
kilograd.picture.frames.length = 0;
let last = 0;
const tick = (now) => {
  if (last) gaps.push(now - last);
  last = now;
  if (gaps.length === frames) return done([gaps, kilograd.picture.frames.slice(-frames), kilograd.picture.shown]);
  act(kilograd, gaps.length);
  requestAnimationFrame(tick);
};
requestAnimationFrame(tick);
"""

# What changes in each frame: a function of the page's object.
ACTIONS: dict[str, tuple[str, str]] = {
    "pan, readable": ("k.picture.show([k.graph.root])", "(_, n) => k.picture.pan(n % 60 < 30 ? 25 : -25, 0)"),
    "pan, whole graph": ("k.picture.fit()", "(_, n) => k.picture.pan(n % 60 < 30 ? 4 : -4, 0)"),
    "zoom, whole to readable": ("k.picture.fit()", "(_, n) => k.picture.zoom(n % 80 < 40 ? 1.05 : 1 / 1.05)"),
    "step forward and backward": ("k.go(k.last - 200)", "() => k.go(k.position + 1)"),
    "slider, readable": (
        "k.select(k.candidates[0])",
        "(_, n) => k.setLeaf(k.candidates[0], Math.sin(n / 9) / 10 + 0.5)",
    ),
}


def chain() -> Value:
    """2,500 operations, one after the other."""
    v = Value(0.5)
    for k in range(2_500):
        v = v * 1.0001 if k % 2 else v + 0.001
    return v


def network() -> Value:
    """The loss of a network over some samples, all neurons open."""
    random.seed(2)
    model = MLP(8, [16, 8, 1])
    samples = [[random.uniform(-1, 1) for _ in range(8)] for _ in range(6)]
    return kilograd.functional.sum([(model(x) - 1.0) ** 2 for x in samples])


def tangle() -> Value:
    """Operations on operands from anywhere before."""
    rng = random.Random(3)
    nodes = [Value(rng.uniform(-1, 1)) for _ in range(500)]
    free = set(range(500))
    for _ in range(4_200):
        a = free.pop() if rng.random() < 0.6 and free else rng.randrange(len(nodes))
        b = rng.randrange(max(0, len(nodes) - 400), len(nodes))
        free.discard(b)
        nodes.append((nodes[a] * nodes[b]).tanh() if rng.random() < 0.1 else nodes[a] + nodes[b])
        free.add(len(nodes) - 1)
    return kilograd.functional.mean([nodes[k] for k in sorted(free)])


GRAPHS: dict[str, Callable[[], Value]] = {"chain": chain, "network": network, "tangle": tangle}


def browser() -> Any:
    """Chromium, headless, 1280 by 720."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        raise SystemExit("bench.page needs the programs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,720"):
        options.add_argument(argument)
    made = webdriver.Chrome(options=options, service=Service(driver))
    made.set_script_timeout(120)
    return made


def main() -> None:
    """Print one line for each graph and action."""
    chromium = browser()
    heads = f"{'frame ms, median':>17} {'95 %':>6} {'drawing ms':>11} {'boxes':>6}"
    print(f"{'graph':<9} {'nodes':>6}  {'action':<26} {heads}")
    with tempfile.TemporaryDirectory() as folder:
        for name, make in GRAPHS.items():
            path = kilograd.view(make(), limit=None).save(pathlib.Path(folder) / f"{name}.html")
            chromium.get(path.as_uri())
            count = chromium.execute_script(
                "kilograd.scene.fold(false); kilograd.picture.fit(); return kilograd.graph.count"
            )
            loaded = chromium.execute_script(
                "return performance.timing.domComplete - performance.timing.navigationStart"
            )
            arranged = chromium.execute_script(
                "const a = performance.now(); kilograd.scene.arrange(); return performance.now() - a"
            )
            print(f"{name:<9} {count:>6,}  opens in {loaded} ms, of which places for all boxes {arranged:.0f} ms")
            for action, (before, change) in ACTIONS.items():
                chromium.execute_script(f"const k = kilograd; {before}")
                gaps, drawing, shown = chromium.execute_async_script(_RUN, change, FRAMES)
                late = statistics.quantiles(gaps, n=20)[-1]
                print(
                    f"{'':<9} {'':>6}  {action:<26} {statistics.median(gaps):>17.1f} {late:>6.1f} "
                    f"{statistics.median(drawing):>11.1f} {shown:>6,}"
                )
    chromium.quit()


if __name__ == "__main__":
    main()
