"""Training without a loop of one's own: `fit`, `predict`, and the picture of what was learned."""

from __future__ import annotations

from kilograd.plot import plot_boundary
from kilograd.training.history import History, Snapshot
from kilograd.training.loop import fit, predict
from kilograd.training.steps import Loss, Model

__all__ = ["History", "Loss", "Model", "Snapshot", "fit", "plot_boundary", "predict"]
