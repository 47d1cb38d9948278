"""``kilograd demo``: the article's classifier, trained by the pure-Python reference and by kilograd.

One function, `train`, is run with the classes of either. The losses of all steps must agree; then the predictions and
the ratio of the times are printed.
"""

from __future__ import annotations

import argparse
import gc
import math
import pathlib
import random
import sys
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kilograd import Value
    from kilograd.viewer import View

XS = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
YS = [1.0, -1.0, -1.0, 1.0]
UNSEEN = [4.0, 5.0, -3.0]
SEED = 1337
TOLERANCE = 1e-9  # relative; sums of the two engines may be rounded in another order
TIMING_SECONDS = 2.0


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command to the command line."""
    parser = commands.add_parser(
        "demo",
        help="train a small classifier on pure Python and on kilograd, compare results and time",
        description="Trains the article's classifier on the pure-Python reference and on kilograd, and compares.",
        epilog="Exit status: 0 if all losses agree, 1 if they do not, 2 if FILE cannot be drawn.",
    )
    parser.add_argument(
        "--draw", metavar="FILE", type=pathlib.Path, help="write the graph of a neuron; .svg, .png, .pdf, .dot, ..."
    )
    parser.add_argument(
        "--open", action="store_true", help="show the classifier's graph in the browser, before it is trained"
    )
    parser.set_defaults(run=run)


def train(nn: ModuleType, steps: int = 50) -> tuple[Any, list[float]]:
    """Train the article's classifier, in the article's words.

    Parameters
    ----------
    nn : module
        Where `MLP` comes from: `kilograd` or `kilograd.reference`.
    steps : int
        Number of gradient steps.

    Returns
    -------
    model : MLP
    losses : list of float
        The loss before each step.
    """
    random.seed(SEED)
    n = nn.MLP(3, [4, 4, 1])
    losses = []
    for _ in range(steps):
        ypred = [n(x) for x in XS]
        loss = sum((yout - ygt) ** 2 for ygt, yout in zip(YS, ypred, strict=True))
        for p in n.parameters():
            p.grad = 0.0
        loss.backward()
        for p in n.parameters():
            p.data += -0.1 * p.grad
        losses.append(loss.data)
    return n, losses


def neuron() -> Value:
    """The article's neuron, o = tanh(x1*w1 + x2*w2 + b), with every node labelled and all gradients in place."""
    from kilograd import Value

    x1, x2 = Value(2.0, label="x1"), Value(0.0, label="x2")
    w1, w2 = Value(-3.0, label="w1"), Value(1.0, label="w2")
    b = Value(6.0, label="b")
    x1w1 = x1 * w1
    x1w1.label = "x1*w1"
    x2w2 = x2 * w2
    x2w2.label = "x2*w2"
    both = x1w1 + x2w2
    both.label = "x1*w1 + x2*w2"
    n = both + b
    n.label = "n"
    o = n.tanh()
    o.label = "o"
    o.backward()
    return o


def classifier() -> View:
    """The page of the article's classifier with the loss of all samples, before the first step."""
    from kilograd import MLP, view

    random.seed(SEED)
    n = MLP(3, [4, 4, 1])
    loss: Any = sum((n(x) - y) ** 2 for x, y in zip(XS, YS, strict=True))
    loss.label = "loss"
    return view(loss, title="The article's classifier: 4 samples, MLP(3, [4, 4, 1])", model=n)


def draw(path: pathlib.Path) -> None:
    """Write the neuron's graph to `path`, in the format that its suffix names.

    Raises
    ------
    ImportError
        If the Python package graphviz is missing.
    ValueError
        If the suffix names no format.
    RuntimeError
        If neither Graphviz's program ``dot`` nor what does without it is here, or ``dot`` fails.
    OSError
        If the file cannot be written.
    """
    from kilograd import draw_dot

    graph = draw_dot(neuron())  # first, for its word on a missing package
    import graphviz

    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in graphviz.FORMATS:
        raise ValueError(f"{path.name!r} does not end in the name of a picture format; try .svg, .png, .pdf or .dot")
    if suffix in ("dot", "gv"):
        picture = graph.source.encode()
    else:
        try:
            picture = graph.pipe(format=suffix)
        except graphviz.ExecutableNotFound as error:
            raise RuntimeError(f"{error}. A .dot file needs no program") from None
        except graphviz.CalledProcessError as error:
            raise RuntimeError(f"Graphviz's program `dot` failed: {error}") from None
    path.write_bytes(picture)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    if arguments.draw is not None:
        try:
            draw(arguments.draw)
        except (ImportError, ValueError, RuntimeError, OSError) as error:
            print(f"kilograd demo: cannot draw {arguments.draw}: {error}", file=sys.stderr)
            return 2

    if arguments.open:
        print(f"The classifier's graph is on the page {classifier().open()}\n")

    import statistics

    import kilograd
    from kilograd import reference

    (_, slow_losses), (model, fast_losses) = train(reference), train(kilograd)
    print("The article's classifier: 4 samples, MLP(3, [4, 4, 1]), squared error, rate 0.1, 50 steps.\n")
    print(f"{'step':>4}  {'loss, pure Python':<24}loss, kilograd")
    for step, (slow, fast) in enumerate(zip(slow_losses, fast_losses, strict=True), 1):
        if step == 1 or step % 10 == 0:
            print(f"{step:>4}  {slow!r:<24}{fast!r}")

    differing = disagreements(slow_losses, fast_losses)
    if differing:
        step = differing[0]
        print(
            f"\n{len(differing)} of {len(slow_losses)} losses DIFFER by more than {TOLERANCE:g}, "
            f"first at step {step + 1}: {slow_losses[step]!r} and {fast_losses[step]!r}"
        )
    else:
        print(f"\nAll {len(slow_losses)} losses agree to a relative {TOLERANCE:g}.")

    print(f"\n{'sample':<20}{'target':>8}{'prediction':>14}")
    for x, y in zip([*XS, UNSEEN], [*YS, None], strict=True):
        print(f"{tuple(x)!s:<20}{'' if y is None else f'{y:g}':>8}{model(x).data:>14.6f}")

    slow_times, fast_times = interleaved(lambda: train(reference), lambda: train(kilograd))
    ratios = [slow / fast for slow, fast in zip(slow_times, fast_times, strict=True)]
    print(
        f"\nSpeed: kilograd is {statistics.median(ratios):.1f} times as fast "
        f"(from {min(ratios):.1f} to {max(ratios):.1f} over {len(ratios)} interleaved trainings; "
        f"medians {1e3 * statistics.median(slow_times):.2f} and {1e3 * statistics.median(fast_times):.2f} ms)."
    )
    if arguments.draw is not None:
        print(f"The graph of a neuron is in {arguments.draw}.")
    return 1 if differing else 0


def disagreements(expected: Sequence[float], found: Sequence[float]) -> list[int]:
    """The indices at which two lists of losses differ by more than the tolerance; NaN differs from everything."""
    return [i for i, pair in enumerate(zip(expected, found, strict=True)) if not math.isclose(*pair, rel_tol=TOLERANCE)]


def interleaved(first: Callable[[], object], second: Callable[[], object]) -> tuple[list[float], list[float]]:
    """Time two functions in turns, at least five times each; the times in seconds.

    Garbage is collected before each turn, so that neither pays for what the other left.
    """
    times: tuple[list[float], list[float]] = ([], [])
    end = time.perf_counter() + TIMING_SECONDS
    while time.perf_counter() < end or len(times[0]) < 5:
        for function, measured in zip((first, second), times, strict=True):
            gc.collect()
            start = time.perf_counter()
            function()
            measured.append(time.perf_counter() - start)
    return times
