"""The picture of what was learned."""

from __future__ import annotations

from typing import Any

from kilograd import tables
from kilograd.checks import whole_number
from kilograd.training.history import axes_or_new
from kilograd.training.loop import predict
from kilograd.training.steps import Model

__all__ = ["plot_boundary"]


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
    """Draw where a classifier of two inputs decides for which class, and the samples on top.

    Parameters
    ----------
    model : callable
        From a point (x0, x1) to a score, compared with `threshold`, or to a list of scores, of which the largest wins.
    X : array_like, shape (n, 2)
    y : array_like, shape (n,)
        The classes: the samples' colours.
    ax : matplotlib axes, optional
        Where to draw; new ones by default.
    resolution : int, default 100
        Points along each side at which the model is computed.
    margin : float, default 0.5
        How far the picture reaches beyond the samples, in units of the inputs.
    threshold : float, default 0.0
        0.5 for a model that ends in a sigmoid.

    Returns
    -------
    matplotlib axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If `X` is not of shape (n, 2) or `y` not of the same length.
    """
    import numpy as np

    points, classes = tables.numbers(X, "X").astype(float), np.asarray(y)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise ValueError(f"a picture needs points of two coordinates, shape (n, 2), not {points.shape}")
    if classes.shape != points.shape[:1]:
        raise ValueError(f"{len(points)} points need as many classes; y has the shape {classes.shape}")
    resolution = whole_number("resolution", resolution, 2)
    ax = axes_or_new(ax)
    (left, low), (right, high) = points.min(axis=0) - margin, points.max(axis=0) + margin
    across, up = np.meshgrid(np.linspace(left, right, resolution), np.linspace(low, high, resolution))
    scores = predict(model, np.column_stack([across.ravel(), up.ravel()]))
    if scores.ndim == 2 and scores.shape[1] == 1:
        scores = scores[:, 0]
    decided = scores > threshold if scores.ndim == 1 else scores.argmax(axis=1)
    ax.contourf(across, up, decided.reshape(across.shape).astype(float), cmap="Spectral", alpha=0.6)
    ax.scatter(points[:, 0], points[:, 1], c=classes, s=25, cmap="Spectral", edgecolors="black", linewidths=0.5)
    ax.set_xlim(left, right)
    ax.set_ylim(low, high)
    return ax
