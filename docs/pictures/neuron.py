"""The picture in the README: the article's neuron with its gradients, as `draw_dot` gives it.

``python docs/pictures/neuron.py`` writes it anew; needs ``pip install 'kilograd[draw]'``.
"""

from __future__ import annotations

import pathlib
import re

from kilograd import Value, draw_dot


def neuron() -> Value:
    """``tanh(x1*w1 + x2*w2 + b)``, every node labelled, gradients complete."""
    x1, x2 = Value(2.0, label="x1"), Value(0.0, label="x2")
    w1, w2 = Value(-3.0, label="w1"), Value(1.0, label="w2")
    b = Value(6.8813735870195432, label="b")
    x1w1, x2w2 = x1 * w1, x2 * w2
    both = x1w1 + x2w2
    n = both + b
    o = n.tanh()
    x1w1.label, x2w2.label, both.label, n.label, o.label = "x1*w1", "x2*w2", "x1*w1 + x2*w2", "n", "o"
    o.backward()
    return o


def dot_source() -> str:
    """The graph in Graphviz's language. Node names are addresses, which differ from run to run: they are numbered."""
    names: dict[str, str] = {}
    return re.sub(r"\d{9,}", lambda name: names.setdefault(name[0], f"n{len(names)}"), draw_dot(neuron()).source)


if __name__ == "__main__":
    from kilograd.display.layout import lay_out

    pathlib.Path(__file__).with_suffix(".svg").write_bytes(lay_out(dot_source()))
