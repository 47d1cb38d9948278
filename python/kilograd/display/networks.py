"""What a notebook shows of a network: its layers, and its weights as colours where they are few."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from kilograd.display.page import beside, escaped, or_nothing, table

__all__ = ["colour", "html"]

NEGATIVE, ZERO, POSITIVE = (0xB3, 0x58, 0x06), (0xC8, 0xC8, 0xC8), (0x21, 0x66, 0xAC)
"""Orange, grey, blue: told apart by the colour-blind, and seen on white and on black."""
WIDTH, HEIGHT, RADIUS = 130, 34, 10
"""Of a layer, of a neuron."""
DRAWN_NEURONS, DRAWN_WEIGHTS = 24, 600
"""In one layer, in all of them: up to how many are drawn."""
READ = 200_000
"""Up to how many parameters are read."""


class _Layer(NamedTuple):
    title: str
    neurons: list[Any]

    @property
    def width(self) -> int:
        """The number of inputs."""
        return max((len(neuron.w) for neuron in self.neurons), default=0)

    @property
    def parameters(self) -> int:
        return sum(len(neuron.w) + 1 for neuron in self.neurons)


@or_nothing
def html(model: Any) -> str | None:
    """A Neuron, a Layer or an MLP as HTML.

    Parameters
    ----------
    model : Module

    Returns
    -------
    str or None
        None for a module of another kind.
    """
    layers = _layers(model)
    if not layers:
        return None
    total = sum(layer.parameters for layer in layers)
    rows = [_row(layer, total <= READ) for layer in layers]
    names = f"{type(model).__name__}: {total:,} parameter{'s' if total != 1 else ''}"
    text = f"<p>{escaped(names)}</p>" + table(rows, ("", "inputs", "neurons", "activation", "weights", "bias"))
    few = all(len(layer.neurons) <= DRAWN_NEURONS and layer.width <= DRAWN_NEURONS for layer in layers)
    return beside(text, _drawn(layers) if few and total <= DRAWN_WEIGHTS else "")


def _layers(model: Any) -> list[_Layer]:
    if hasattr(model, "layers"):
        return [_Layer(f"layer {k}", list(layer.neurons)) for k, layer in enumerate(model.layers, 1)]
    if hasattr(model, "neurons"):
        return [_Layer("layer", list(model.neurons))]
    return [_Layer("neuron", [model])] if hasattr(model, "w") else []


def _row(layer: _Layer, read: bool) -> tuple[str, ...]:
    activations = dict.fromkeys(_activation(neuron) for neuron in layer.neurons)
    weights = [w.data for neuron in layer.neurons for w in neuron.w] if read else []
    biases = [neuron.b.data for neuron in layer.neurons] if read else []
    return (
        layer.title,
        f"{layer.width:,}",
        f"{len(layer.neurons):,}",
        ", ".join(activations),
        _range(weights),
        _range(biases),
    )


def _activation(neuron: Any) -> str:
    from kilograd.nn import _activation_name

    if getattr(neuron, "nonlin", True) is False:
        return "Linear"
    return _activation_name(getattr(neuron, "activation", None))


def _range(numbers: list[float]) -> str:
    if not numbers:
        return ""
    low, high = min(numbers), max(numbers)
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"


def colour(number: float, largest: float) -> str:
    """Of a number between -`largest` and `largest`; black for what is no number."""
    if not math.isfinite(number):
        return "#000000"
    share = min(1.0, abs(number) / largest) if largest > 0 else 0.0
    end = POSITIVE if number > 0 else NEGATIVE
    mixed = [round(grey + math.sqrt(share) * (full - grey)) for grey, full in zip(ZERO, end, strict=True)]
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def _drawn(layers: list[_Layer]) -> str:
    """Columns of circles, the inputs and the layers, and a line for each weight."""
    numbers = [w.data for layer in layers for neuron in layer.neurons for w in (*neuron.w, neuron.b)]
    largest = max([abs(number) for number in numbers if math.isfinite(number)], default=0.0)
    counts = [layers[0].width, *(len(layer.neurons) for layer in layers)]
    height = HEIGHT * max(*counts, 2)

    def centre(column: int, place: int) -> tuple[float, float]:
        return 30 + WIDTH * column, height / 2 + HEIGHT * (place - (counts[column] - 1) / 2)

    lines, circles = [], []
    for place in range(counts[0]):
        circles.append(_circle(*centre(0, place), "#ffffff", f"input {place + 1}"))
    for column, layer in enumerate(layers, 1):
        for place, neuron in enumerate(layer.neurons):
            x, y = centre(column, place)
            for source, weight in enumerate(neuron.w[: counts[column - 1]]):
                name = f"{layer.title}, neuron {place + 1}, weight {source + 1}: "
                lines.append(_line(*centre(column - 1, source), x, y, weight, largest, name))
            name = f"{layer.title}, neuron {place + 1}, {_activation(neuron)}, bias: "
            circles.append(_circle(x, y, colour(neuron.b.data, largest), name + _numbers(neuron.b)))
    width = 60 + WIDTH * len(layers)
    return (
        f'<svg role="img" width="{width}" height="{height + 30}" viewBox="0 0 {width} {height + 30}">'
        f"<title>weights of {len(layers)} layer{'s' if len(layers) > 1 else ''}</title>"
        f"{''.join(lines)}{''.join(circles)}{_legend(largest, height)}</svg>"
    )


def _numbers(value: Any) -> str:
    return f"{value.data:.4g}, grad {value.grad:.4g}"


def _line(x1: float, y1: float, x2: float, y2: float, weight: Any, largest: float, name: str) -> str:
    share = abs(weight.data) / largest if largest > 0 and math.isfinite(weight.data) else 0.0
    return (
        f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{colour(weight.data, largest)}" '
        f'stroke-width="{1 + 3 * share:.2f}"><title>{escaped(name + _numbers(weight))}</title></line>'
    )


def _circle(x: float, y: float, fill: str, name: str) -> str:
    return (
        f'<circle cx="{x:g}" cy="{y:g}" r="{RADIUS}" fill="{fill}" stroke="#555555">'
        f"<title>{escaped(name)}</title></circle>"
    )


def _legend(largest: float, height: float) -> str:
    """From the most negative colour to the most positive one."""
    steps = [k / 8 * largest for k in range(-8, 9)]
    squares = [
        f'<rect x="{60 + 6 * k}" y="{height + 12}" width="6" height="8" fill="{colour(step, largest)}"/>'
        for k, step in enumerate(steps)
    ]
    style = f'y="{height + 20}" font-size="11" font-family="sans-serif" fill="currentColor"'
    low = f'<text x="56" {style} text-anchor="end">{-largest:.2g}</text>'
    return f'{low}{"".join(squares)}<text x="166" {style}>{largest:.2g}</text>'
