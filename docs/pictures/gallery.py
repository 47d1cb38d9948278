"""The gallery: its pictures, and the page ``docs/gallery.md`` with the code that makes each.

``python docs/pictures/gallery.py`` writes both anew; it needs ``pip install 'kilograd[draw,plot]'``. A function below
is a picture: its docstring stands above it on the page, its code below. What it returns is drawn.
"""

from __future__ import annotations

import inspect
import io
import pathlib
import re
import textwrap
from collections.abc import Callable
from typing import Any

FOLDER = pathlib.Path(__file__).parent
PAGE = FOLDER.parent / "gallery.md"


def highlight() -> Any:
    """A path: where a value goes

    All paths from a value to the result are in colour. Along each, the chain rule multiplies local derivatives; where
    two meet, the gradient is their sum.
    """
    from kilograd import Value, draw_dot

    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    c = (a * b + a).tanh()
    c.label = "c"
    c.backward()
    return draw_dot(c, highlight=a)


def depth() -> Any:
    """The last operations of a graph that is too large to draw

    An ellipsis stands for what a value was computed from.
    """
    import random

    from kilograd import MLP, draw_dot

    random.seed(2)
    model = MLP(3, [16, 16, 1])
    loss = (model([2.0, 3.0, -1.0]) - 1.0) ** 2
    loss.backward()
    return draw_dot(loss, depth=3)


def layers() -> Any:
    """A network, a box for each layer

    For one sample this is a graph of some 150 values. A box has the smallest and the largest output of the layer, and
    of their gradients.
    """
    import random

    from kilograd import MLP, Value, draw_dot

    random.seed(2)
    model = MLP(3, [4, 4, 1])
    x = [Value(2.0, label="x0"), Value(3.0, label="x1"), Value(-1.0, label="x2")]
    loss = (model(x) - 1.0) ** 2
    loss.label = "loss"
    loss.backward()
    return draw_dot(loss, collapse="layers")


def neurons() -> Any:
    """The same network, a box for each neuron"""
    import random

    from kilograd import MLP, Value, draw_dot

    random.seed(2)
    model = MLP(3, [4, 4, 1])
    x = [Value(2.0, label="x0"), Value(3.0, label="x1"), Value(-1.0, label="x2")]
    loss = (model(x) - 1.0) ** 2
    loss.label = "loss"
    loss.backward()
    return draw_dot(loss, collapse="neurons")


def repeats() -> Any:
    """What is made in the same way, once

    A batch of samples through a network has the same operations many times over.
    """
    import random

    from kilograd import MLP, draw_dot

    random.seed(2)
    model = MLP(3, [4, 1])
    xs = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
    loss = sum((model(x) - y) ** 2 for x, y in zip(xs, [1.0, -1.0, -1.0, 1.0]))
    loss.backward()
    return draw_dot(loss, collapse="repeats", gradients=False)


def network() -> Any:
    """A network as a notebook shows it

    Orange weights are negative, blue ones positive; the mouse on a line or a circle shows its number and its gradient.
    """
    import random

    from kilograd import MLP

    random.seed(2)
    return MLP(3, [4, 4, 1])


def losses() -> Any:
    """Losses of two rates"""
    import random

    from kilograd import MLP, fit, optim, plot

    xs, ys = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]], [1.0, -1.0, -1.0, 1.0]
    axes = None
    for rate in (0.01, 0.1):
        random.seed(2)
        model = MLP(3, [4, 4, 1])
        history = fit(model, xs, ys, epochs=100, seed=0, optimizer=optim.SGD(model, lr=rate), progress=False)
        axes = plot.losses(history, axes, label=f"rate {rate}")
    return axes


def boundary() -> Any:
    """What a classifier says of each point

    The line is where the score changes its sign.
    """
    import random

    import numpy as np

    from kilograd import MLP, fit, optim, plot

    random.seed(2)
    points = np.random.default_rng(0).normal(size=(150, 2))
    classes = np.where(points[:, 0] * points[:, 1] > 0, 1.0, -1.0)
    model = MLP(2, [8, 8, 1])
    fit(model, points, classes, epochs=60, batch_size=10, seed=0, optimizer=optim.Adam(model, lr=0.02), progress=False)
    return plot.boundary(model, points, classes, resolution=60)


def activations() -> Any:
    """Activations: is a layer saturated?

    Weights that are three times as large leave tanh next to no slope: the gradients of what lies before vanish.
    """
    import random

    import numpy as np

    from kilograd import MLP, plot

    random.seed(2)
    model = MLP(4, [20, 20, 20])
    for p in model.layers[1].parameters():
        p.data *= 3.0
    return plot.activations(model, np.random.default_rng(0).normal(size=(200, 4)))


def gradients() -> Any:
    """Gradients by layer"""
    import random

    import numpy as np

    from kilograd import MLP, plot

    random.seed(2)
    model = MLP(4, [20, 20, 1])
    points = np.random.default_rng(0).normal(size=(50, 4))
    loss = sum((model(x) - x[0] * x[1]) ** 2 for x in points.tolist()) / len(points)
    loss.backward()
    return plot.gradients(model, bins=30)


def ratios() -> Any:
    """How large steps are, compared with the weights

    The dashed line is a rule of thumb: one part in a thousand for each step.
    """
    import random

    import numpy as np

    from kilograd import MLP, plot

    random.seed(2)
    model = MLP(2, [8, 8, 1])
    points = np.random.default_rng(0).normal(size=(60, 2)).tolist()
    steps = []
    for _ in range(60):
        loss = sum((model(x) - x[0] * x[1]) ** 2 for x in points) / len(points)
        model.zero_grad()
        loss.backward()
        steps.append(plot.ratio(model, lr=0.05))
        for p in model.parameters():
            p.data -= 0.05 * p.grad
    return plot.ratios(steps)


PICTURES = (highlight, depth, layers, neurons, repeats, network, losses, boundary, activations, gradients, ratios)

BEGINNING = """# Gallery

Pictures of graphs, networks and training, each with the code that makes it. `pip install 'kilograd[draw,plot]'` brings
what they need; [Pictures](usage.md#pictures) says more of each function. `python docs/pictures/gallery.py` writes this
page and its pictures.
"""


def page() -> str:
    """The text of ``docs/gallery.md``."""
    parts = [BEGINNING]
    for picture in PICTURES:
        title, _, text = inspect.getdoc(picture).partition("\n\n")  # type: ignore[union-attr]
        name = picture.__name__
        parts.append(f"## {title}\n\n{text}\n" if text else f"## {title}\n")
        parts.append(f"![{title}](pictures/gallery_{name}.svg)\n")
        parts.append(f"```python\n{code(picture)}```\n")
    return "\n".join(parts)


def code(picture: Callable[[], Any]) -> str:
    """The body of the function, with its result as the last expression, as in the cell of a notebook."""
    source = textwrap.dedent(inspect.getsource(picture).split('"""')[2])
    return re.sub(r"^return ", "", source.strip(), flags=re.MULTILINE) + "\n"


def svg(picture: Callable[[], Any]) -> str:
    """The picture of what the function returns, the same in each run."""
    shown = picture()
    if hasattr(shown, "source"):
        from kilograd.display.layout import lay_out

        names: dict[str, str] = {}  # addresses, which differ from run to run, are numbered
        source = re.sub(r"\d{9,}", lambda name: names.setdefault(name[0], f"n{len(names)}"), shown.source)
        return lay_out(source).decode()
    if hasattr(shown, "figure"):
        import matplotlib

        with matplotlib.rc_context({"svg.hashsalt": "kilograd", "svg.fonttype": "none", "font.family": "sans-serif"}):
            file = io.StringIO()
            shown.figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight")
        matplotlib.pyplot.close(shown.figure)
        return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())
    html = shown._repr_html_()
    return (
        re.sub("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', html[html.index("<svg") : html.index("</svg>") + 6])
        + "\n"
    )


if __name__ == "__main__":
    import matplotlib.pyplot

    matplotlib.pyplot.switch_backend("svg")
    matplotlib.pyplot.rcParams["figure.figsize"] = (6.4, 4.0)
    PAGE.write_text(page())
    for each in PICTURES:
        (FOLDER / f"gallery_{each.__name__}.svg").write_text(svg(each))
