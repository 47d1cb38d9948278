"""A training as its page takes it: losses, weights over the epochs, and what a model of two inputs decides where."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kilograd import tables
from kilograd.viewer.reading import places_of, plain

if TYPE_CHECKING:
    from kilograd.training import History
    from kilograd.training.history import Snapshot

__all__ = ["training"]

_NUMBERS = 200_000  # of weights that a page has
_SNAPSHOTS = 60  # of which the boundary is computed
_RESOLUTION = 48  # points along each side of the boundary
_MARGIN = 0.5  # how far it reaches beyond the samples


def training(history: History, model: Any, X: Any, y: Any) -> dict[str, Any]:  # noqa: N803
    """Everything that the page knows of a training, in a form that JSON has.

    Parameters
    ----------
    history : History
    model : callable or None
        The model that was trained: with `X` and `y`, the boundary between its classes is computed.
    X : array_like, shape (n, 2), or None
    y : array_like, shape (n,), or None

    Raises
    ------
    ValueError
        If the boundary is asked for and cannot be had: no snapshots, another model, other than two inputs.
    """
    boundary = not (model is None and X is None and y is None)
    if boundary and (model is None or X is None or y is None):
        raise ValueError("the boundary takes all three: view(history, model=..., X=..., y=...)")
    if boundary and not history.snapshots:
        raise ValueError("the boundary needs the parameters of the training: fit(..., record=1) keeps them")
    most = max(2, _NUMBERS // max(1, len(history.parameters)))
    kept = _spread(history.snapshots, min(most, _SNAPSHOTS) if boundary else most)
    return {
        "losses": [plain(loss) for loss in history.losses],
        "validation": [plain(loss) for loss in history.validation],
        "interrupted": history.interrupted,
        "epochs": [snapshot.epoch for snapshot in kept],
        "left_out": len(history.snapshots) - len(kept),
        "first_epoch": kept[0].epoch if kept else 0,
        "weights": [[plain(value) for value in snapshot.values] for snapshot in kept],
        "rows": _rows(history.parameters),
        "boundary": _boundary(history, kept, model, X, y) if boundary else None,
    }


def _spread(snapshots: Sequence[Snapshot], most: int) -> list[Snapshot]:
    """The first, the last, and others in equal distances."""
    if len(snapshots) <= most:
        return list(snapshots)
    last = len(snapshots) - 1
    return [snapshots[round(k * last / (most - 1))] for k in range(most)]


def _rows(names: Sequence[str]) -> list[dict[str, Any]]:
    """Parameters that belong together, in their order: those of a neuron; ``places`` are theirs among all."""
    rows: dict[str, dict[str, Any]] = {}
    for place, name in enumerate(names):
        found = re.fullmatch(r"(.+)\.(\w+(?:\[\d+\])*)", name)
        owner, own = (found[1], found[2]) if found else ("", name)
        row = rows.setdefault(owner, {"title": owner, "names": [], "places": []})
        row["names"].append(own)
        row["places"].append(place)
    return list(rows.values())


def _boundary(
    history: History,
    kept: Sequence[Snapshot],
    model: Any,
    X: Any,  # noqa: N803
    y: Any,
) -> dict[str, Any]:
    """What the model gives on a grid around the samples, for each snapshot."""
    import numpy as np

    from kilograd.training import predict

    points, classes = tables.numbers(X, "X").astype(float), np.asarray(y)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(f"a boundary needs points of two coordinates, shape (n, 2), not {points.shape}")
    if classes.shape != points.shape[:1]:
        raise ValueError(f"{len(points)} points need as many classes; y has the shape {classes.shape}")
    parameters = dict(places_of(model))
    missing = [name for name in history.parameters if name not in parameters]
    if missing:
        raise ValueError(f"the model has no {missing[0]}: it is not the one that was trained")
    trained = {entry for name in history.parameters for entry in _entries(name)}
    lists = {entry.rpartition("[")[0] for entry in trained}
    more = [
        name
        for name in parameters.keys() - set(history.parameters)
        if any(entry not in trained and entry.rpartition("[")[0] in lists for entry in _entries(name))
    ]
    if more:
        raise ValueError(f"the training knows no {min(more)}, which the model has: it is not the one that was trained")
    low, high = points.min(axis=0) - _MARGIN, points.max(axis=0) + _MARGIN
    across, up = (np.linspace(low[k], high[k], _RESOLUTION) for k in range(2))
    grid = np.column_stack([each.ravel() for each in np.meshgrid(across, up)])
    scores = []
    with _kept([parameters[name] for name in history.parameters]) as values:
        for snapshot in kept:
            for value, number in zip(values, snapshot.values.tolist(), strict=True):
                value.data = number
            found = predict(model, grid)
            if found.ndim == 2 and found.shape[1] > 1:
                raise ValueError("the boundary is that of a model with one output")
            scores.append([plain(round(score, 4)) for score in found.ravel().tolist()])
    kinds = sorted(set(classes.tolist()))
    return {
        "low": low.tolist(),
        "high": high.tolist(),
        "resolution": _RESOLUTION,
        "scores": scores,
        "threshold": 0.5 if set(kinds) <= {0, 1} else 0.0,
        "points": points.tolist(),
        "classes": [kinds.index(each) for each in classes.tolist()],
        "kinds": [str(kind) for kind in kinds],
    }


def _entries(name: str) -> list[str]:
    """The entries of lists that it is in, those of the outermost aside, of which a training may freeze some."""
    ends = [found.end() for found in re.finditer(r"\[\d+\]", name)]
    return [name[:end] for end in ends if end != ends[0] or end == len(name)]


@contextmanager
def _kept(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Values whose data is put back in the end."""
    data = [value.data for value in values]
    try:
        yield values
    finally:
        for value, number in zip(values, data, strict=True):
            value.data = number
