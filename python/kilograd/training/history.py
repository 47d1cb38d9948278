"""What happened in training: the record, its picture, and the bar while it happens."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from kilograd.plot import spans_decades

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    from kilograd._core import Value

__all__ = ["History", "Snapshot", "progress_bar"]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The parameters at one time of a training.

    Attributes
    ----------
    epoch : int
        How many epochs were done; 0 is before the first one, unless the training began with a later one.
    values : ndarray of float, shape (parameters,)
        In the order of `History.parameters`.
    """

    epoch: int
    values: NDArray[float64]


@dataclass
class History:
    """What happened in training.

    Attributes
    ----------
    losses : list of float
        Mean loss of the samples of each epoch, as they were met.
    validation : list of float
        Mean loss of the validation samples after each epoch; empty without them.
    times : list of float
        Seconds that each epoch took, validation included.
    steps : list of float
        Loss of each step.
    interrupted : bool
        Whether Ctrl-C ended the training.
    parameters : list of str
        Names of the parameters, where they were recorded.
    snapshots : list of Snapshot
        The parameters over the training, where they were recorded: ``fit(record=...)``. `kilograd.view` shows them.
    """

    losses: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)
    interrupted: bool = False
    parameters: list[str] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list, compare=False)

    def keep(self, names: Sequence[str], parameters: Sequence[Value], epochs_before: int = 0) -> None:
        """Take a snapshot, unless the last one is the same.

        Parameters
        ----------
        names : sequence of str
        parameters : sequence of Value
        epochs_before : int, default 0
            How many epochs there were before those of this history.
        """
        import numpy as np

        from kilograd.arrays import data

        epoch, values = epochs_before + len(self.losses), data(parameters)
        if not self.snapshots:
            self.parameters = list(names)
        elif self.snapshots[-1].epoch == epoch and np.array_equal(self.snapshots[-1].values, values):
            return  # an interrupted epoch may have changed them
        self.snapshots.append(Snapshot(epoch, values))

    def __repr__(self) -> str:
        """The last losses; there may be thousands."""
        parts = [f"{len(self.losses)} epochs"]
        parts += [f"loss {self.losses[-1]:.4g}"] if self.losses else []
        parts += [f"validation {self.validation[-1]:.4g}"] if self.validation else []
        parts += [f"{sum(self.times):.3g} s"] if self.times else []
        parts += ["interrupted"] if self.interrupted else []
        return f"History({', '.join(parts)})"

    def _repr_html_(self) -> str:
        """A small table, and the curve."""
        shown = {"epochs": str(len(self.losses))}
        for name, losses in (("loss", self.losses), ("validation", self.validation)):
            if losses:
                shown[name] = f"{losses[0]:.4g} → {losses[-1]:.4g}"
        if self.times:
            shown["time"] = f"{sum(self.times):.3g} s"
        if self.interrupted:
            shown["interrupted"] = "by Ctrl-C"
        rows = "".join(f"<tr><th>{name}</th><td>{text}</td></tr>" for name, text in shown.items())
        return f'<div style="display:flex;gap:1em;align-items:center"><table>{rows}</table>{self._curve()}</div>'

    def _curve(self) -> str:
        """The losses as an SVG picture, of at most some hundred points."""
        logarithmic = spans_decades(self.losses + self.validation)
        lines = [
            [math.log10(loss) if logarithmic else loss for loss in _thinned(losses, 200)]
            for losses in (self.losses, self.validation)
            if len(losses) > 1
        ]
        every = [loss for line in lines for loss in line]
        if not every or not all(map(math.isfinite, every)):
            return ""
        low, height = min(every), max(every) - min(every) or 1.0
        drawn = ""
        for line, colour in zip(lines, ("#1f77b4", "#ff7f0e"), strict=False):
            xs = [5 + 190 * k / (len(line) - 1) for k in range(len(line))]
            ys = [55 - 50 * (loss - low) / height for loss in line]
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
            drawn += f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        title = "loss" + (" and validation" if len(lines) > 1 else "") + (", logarithmic" if logarithmic else "")
        return f'<svg width="200" height="60" role="img"><title>{title}</title>{drawn}</svg>'

    def plot(self, ax: Any = None) -> Any:
        """Draw the losses over the epochs, on a logarithmic scale where they fall by more than a hundred times.

        Parameters
        ----------
        ax : matplotlib axes, optional
            Where to draw; new ones by default.

        Returns
        -------
        matplotlib axes

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        from kilograd.plot import losses

        return losses(self, ax)


def _thinned(losses: list[float], most: int) -> list[float]:
    """The first, the last, and others in equal distances."""
    last, count = len(losses) - 1, min(len(losses), most)
    return [losses[k * last // (count - 1)] for k in range(count)]


@contextmanager
def progress_bar(wanted: bool | None, epochs: int) -> Iterator[Callable[[History, float], None]]:
    """A function to call with the share of the epoch that is under way, which moves the bar."""
    if wanted is False or (wanted is None and not _watched()):
        yield lambda history, share: None
        return
    try:
        if find_spec("ipywidgets") is None:  # which the bar of a notebook is made of
            from tqdm import tqdm
        else:
            from tqdm.auto import tqdm
    except ImportError:
        if wanted:
            raise ImportError("the progress bar is tqdm's: pip install 'kilograd[progress]'") from None
        yield lambda history, share: None
        return
    with tqdm(total=epochs, unit="epoch") as bar:

        def tick(history: History, share: float) -> None:
            shown = {"loss": f"{(history.losses if share == 0 else history.steps)[-1]:.4g}"}
            if history.validation:
                shown["validation"] = f"{history.validation[-1]:.4g}"
            bar.set_postfix(shown, refresh=False)
            bar.n = len(history.losses) + round(share, 2) if share else len(history.losses)
            bar.update(0)  # draws, now and then

        yield tick


def _watched() -> bool:
    """Whether a terminal or a notebook looks on; other libraries import a notebook's modules where there is none."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return sys.stderr.isatty() or (shell is not None and shell() is not None)
