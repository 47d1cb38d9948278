"""Plots with matplotlib: losses, boundaries, and the diagnostics of training, a line each.

Every function that draws takes ``ax``, the matplotlib axes to draw into, makes new ones by default, and returns them.
Without matplotlib it raises ImportError: ``pip install 'kilograd[plot]'``.

>>> import kilograd
>>> ax = kilograd.plot.losses([2.5, 0.9, 0.2, 0.01])
>>> ax.get_yscale()
'log'
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kilograd import tables
from kilograd.checks import whole_number

if TYPE_CHECKING:
    from kilograd.training import Model

__all__ = ["activations", "boundary", "gradients", "losses", "plot_boundary", "ratio", "ratios"]

SATURATED = 0.97
"""Beyond which the slope of tanh is below 6 percent."""


def losses(history: Any, ax: Any = None, *, label: str | None = None) -> Any:
    """Draw losses over time, on a logarithmic scale where they span more than a factor of a hundred.

    Parameters
    ----------
    history : History, or an iterable of numbers or Values
        What `fit` returns, drawn over the epochs with the validation losses; or the losses of steps.
    ax : matplotlib axes, optional
    label : str, optional
        The name of the line, for comparisons in one picture.
    """
    trained = hasattr(history, "losses")
    if not trained and not isinstance(history, Iterable):
        raise TypeError(f"losses are a History or a list of numbers, not {type(history).__name__}: {history!r:.80}")
    line = list(history.losses) if trained else [float(getattr(each, "data", each)) for each in history]
    validation = list(history.validation) if trained else []
    ax = _axes(ax)
    ax.plot(range(1, len(line) + 1), line, label=label or ("training" if validation else None))
    if validation:
        ax.plot(
            range(1, len(validation) + 1), validation, label="validation" if label is None else f"{label}, validation"
        )
    if label or validation:
        ax.legend()
    if spans_decades(line + validation):
        ax.set_yscale("log")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_xlabel("epoch" if trained else "step")
    ax.set_ylabel("loss")
    return ax


def spans_decades(numbers: Sequence[float]) -> bool:
    """Whether a logarithmic scale shows more."""
    return bool(numbers) and min(numbers) > 0 and max(numbers) / min(numbers) > 100


def boundary(
    model: Model,
    X: Any,  # noqa: N803
    y: Any,
    ax: Any = None,
    *,
    values: bool = True,
    resolution: int = 100,
    margin: float = 0.5,
    threshold: float = 0.0,
) -> Any:
    """Draw what a classifier of two inputs says of each point, where it decides otherwise, and the samples on top.

    Parameters
    ----------
    model : callable
        From a point (x0, x1) to a score, compared with `threshold`, or to a list of scores, of which the largest wins.
    X : array_like, shape (n, 2)
    y : array_like, shape (n,)
        The classes, numbers or names: the samples' colours.
    ax : matplotlib axes, optional
    values : bool, default True
        Whether colours stand for the score, with a bar that tells which, or for the class alone. Of several scores it
        is the class.
    resolution : int, default 100
        Points along each side at which the model is computed.
    margin : float, default 0.5
        How far the picture reaches beyond the samples, in units of the inputs.
    threshold : float, default 0.0
        0.5 for a model that ends in a sigmoid.

    Raises
    ------
    ValueError
        If `X` is not of shape (n, 2) or `y` not of the same length.
    """
    import numpy as np

    from kilograd.training.loop import predict

    points, classes = tables.numbers(X, "X").astype(float), np.asarray(y)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise ValueError(f"a picture needs points of two coordinates, shape (n, 2), not {points.shape}")
    if classes.shape != points.shape[:1]:
        raise ValueError(f"{len(points)} points need as many classes; y has the shape {classes.shape}")
    if classes.dtype.kind not in "biuf":  # names: colours by their order
        classes = np.unique(classes, return_inverse=True)[1]
    resolution = whole_number("resolution", resolution, 2)
    ax = _axes(ax)
    (left, low), (right, high) = points.min(axis=0) - margin, points.max(axis=0) + margin
    across, up = np.meshgrid(np.linspace(left, right, resolution), np.linspace(low, high, resolution))
    scores = predict(model, np.column_stack([across.ravel(), up.ravel()]))
    if scores.ndim == 2 and scores.shape[1] == 1:
        scores = scores[:, 0]
    colours = "RdYlBu" if values else "Spectral"
    if values and scores.ndim == 1:
        _scores(ax, across, up, scores.reshape(across.shape), threshold, colours)
    else:
        decided = scores > threshold if scores.ndim == 1 else scores.argmax(axis=1)
        ax.contourf(across, up, decided.reshape(across.shape).astype(float), cmap=colours, alpha=0.6)
    ax.scatter(points[:, 0], points[:, 1], c=classes, s=25, cmap=colours, edgecolors="black", linewidths=0.5)
    ax.set_xlim(left, right)
    ax.set_ylim(low, high)
    return ax


def _scores(ax: Any, across: Any, up: Any, scores: Any, threshold: float, colours: str) -> None:
    """Scores as colours that are pale at the threshold, with a bar, and a line at the threshold."""
    import numpy as np

    finite = np.abs(scores[np.isfinite(scores)] - threshold)
    reach = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    levels = np.linspace(threshold - reach, threshold + reach, 21)
    filled = ax.contourf(across, up, scores, levels=levels, cmap=colours, alpha=0.6)
    if scores.min() < threshold < scores.max():
        ax.contour(across, up, scores, levels=[threshold], colors="black", linewidths=1.5)
    ax.figure.colorbar(filled, ax=ax, label="score")


def plot_boundary(
    model: Model,
    X: Any,  # noqa: N803
    y: Any,
    *,
    ax: Any = None,
    resolution: int = 100,
    margin: float = 0.5,
    threshold: float = 0.0,
) -> Any:
    """Draw where a classifier of two inputs decides for which class: `boundary` without the values."""
    return boundary(model, X, y, ax, values=False, resolution=resolution, margin=margin, threshold=threshold)


def activations(model: Any, X: Any, ax: Any = None, *, bins: int = 50) -> Any:  # noqa: N803
    """Draw how the outputs of the neurons of each layer are distributed over samples.

    The legend has mean and standard deviation; of tanh the share that is saturated, beyond 0.97 on either side; of
    relu the share that is 0.

    Parameters
    ----------
    model : MLP
        Or anything with `layers` that are called one after the other.
    X : array_like, shape (n, inputs)
        The samples; some hundreds show enough.
    ax : matplotlib axes, optional
    bins : int, default 50

    Raises
    ------
    TypeError
        If `model` has no layers.
    ValueError
        If there are no samples, or an output is no number.
    """
    layers = _layers(model)
    rows = tables.numbers(X, "X")
    if rows.ndim != 2 or len(rows) == 0:
        raise ValueError(f"activations are those of samples, an array of shape (n, inputs), not {rows.shape}")
    found: list[list[float]] = [[] for _ in layers]
    from kilograd import no_grad

    with no_grad():
        for row in rows.tolist():
            outputs = row
            for layer, numbers in zip(layers, found, strict=True):
                outputs = layer(outputs)
                outputs = outputs if isinstance(outputs, list) else [outputs]
                numbers += [each.data for each in outputs]
    titles = [
        f"{_title(k, layer)}{_ends(layer, numbers)}"
        for k, (layer, numbers) in enumerate(zip(layers, found, strict=True), 1)
    ]
    return _histograms(found, titles, "activation", ax, bins)


def gradients(model: Any, ax: Any = None, *, bins: int = 50) -> Any:
    """Draw how the gradients of the parameters of each layer are distributed.

    The legend has mean and standard deviation, and the ratio of the norms of gradients and data: `ratio`.

    Parameters
    ----------
    model : MLP
        Or anything with `layers` that have `parameters()`. Its gradients are taken as they are: after `backward()`.
    ax : matplotlib axes, optional
    bins : int, default 50

    Raises
    ------
    TypeError
        If `model` has no layers.
    ValueError
        If all gradients are 0, as before `backward()`, or one is no number.
    """
    layers = _layers(model)
    found = [[p.grad for p in layer.parameters()] for layer in layers]
    if not any(grad for grads in found for grad in grads):
        raise ValueError("all gradients are 0: call backward() before")
    titles = [
        f"{_title(k, layer)}, ratio {each:.1e}"
        for k, (layer, each) in enumerate(zip(layers, ratio(model), strict=True), 1)
    ]
    return _histograms(found, titles, "gradient", ax, bins)


def ratio(model: Any, lr: float = 1.0) -> list[float]:
    """How large a step of gradient descent is, compared with what it changes, in each layer.

    That is ``lr * norm(grad) / norm(data)`` over the parameters of the layer. A rule of thumb wants about 1e-3: with
    much more a network is restless, with much less it is slow.

    Parameters
    ----------
    model : MLP
        Or anything with `layers` that have `parameters()`; after `backward()`.
    lr : float, default 1.0
        The learning rate; by default it is the ratio of gradient to data.

    Returns
    -------
    list of float
        One for each layer: NaN where all data is 0.
    """
    found = []
    for layer in _layers(model):
        parameters = layer.parameters()
        grad, data = (math.hypot(*(getattr(p, name) for p in parameters)) for name in ("grad", "data"))
        found.append(abs(lr) * grad / data if data else math.nan)
    return found


def ratios(rows: Iterable[Sequence[float]], ax: Any = None) -> Any:
    """Draw over the steps what `ratio` said after each, on a logarithmic scale, with a line at 1e-3.

    Parameters
    ----------
    rows : iterable of sequences of float
        For each step the ratios of the layers, as in ``rows.append(kilograd.plot.ratio(model, lr))``.
    ax : matplotlib axes, optional

    Raises
    ------
    ValueError
        If there are no steps, or not the same number of layers in each.
    """
    steps = [list(row) if isinstance(row, Iterable) else [] for row in rows]
    if not steps or not all(steps) or len({len(row) for row in steps}) != 1:
        raise ValueError("ratios() draws one row for each step, each with as many numbers as there are layers")
    ax = _axes(ax)
    for k, line in enumerate(zip(*steps, strict=True), 1):
        ax.plot(
            range(1, len(line) + 1), [each if each > 0 else math.nan for each in line], label=f"layer {k}", alpha=0.8
        )
    ax.axhline(1e-3, color="black", linewidth=1, linestyle="--")
    ax.set_yscale("log")
    ax.set_xlabel("step")
    ax.set_ylabel("step / data")
    ax.legend()
    return ax


def _axes(ax: Any) -> Any:
    """The axes, or new ones where none are given."""
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError("pictures are matplotlib's: pip install 'kilograd[plot]'") from None
    return pyplot.subplots()[1]


def _layers(model: Any) -> list[Any]:
    layers = getattr(model, "layers", None)
    if not isinstance(layers, (list, tuple)) or not layers:
        raise TypeError(f"a network has `layers`, and {type(model).__name__} has none: {model!r:.80}")
    return list(layers)


def _title(number: int, layer: Any) -> str:
    names = dict.fromkeys(_activations(layer))
    return f"layer {number}" + (f" ({', '.join(names)})" if names else "")


def _activations(layer: Any) -> Iterator[str]:
    for neuron in getattr(layer, "neurons", ()):
        name = getattr(neuron, "activation", None)
        yield name if isinstance(name, str) and getattr(neuron, "nonlin", True) else "linear"


def _ends(layer: Any, numbers: list[float]) -> str:
    """The share of outputs where the activation has next to no slope."""
    names = set(_activations(layer))
    if names == {"tanh"}:
        return f", saturated {sum(abs(each) > SATURATED for each in numbers) / len(numbers):.0%}"
    if names == {"relu"}:
        return f", at 0 {sum(each == 0 for each in numbers) / len(numbers):.0%}"
    return ""


def _histograms(found: list[list[float]], titles: list[str], what: str, ax: Any, bins: int) -> Any:
    """Densities as lines over common bins: bars would hide each other."""
    import numpy as np

    bins = whole_number("bins", bins, 1)
    arrays = [np.array(numbers, float) for numbers in found]
    together = np.concatenate(arrays)
    if not np.isfinite(together).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(together))} of {together.size} numbers are infinite or NaN")
    ax = _axes(ax)
    edges = np.histogram_bin_edges(together, bins)
    for array, title in zip(arrays, titles, strict=True):
        density, _ = np.histogram(array, edges, density=True)
        ax.stairs(density, edges, label=f"{title}: mean {array.mean():.2g}, std {array.std():.2g}", linewidth=1.5)
    ax.set_xlabel(what)
    ax.set_ylabel("density")
    ax.legend(fontsize="small")
    return ax
