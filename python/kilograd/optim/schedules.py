"""Learning rates that change from step to step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Cosine", "LinearDecay", "Rate", "Schedule", "StepDecay", "WarmUp", "is_known"]

Rate: TypeAlias = float | Callable[[int], float]
"""A learning rate: a number, or a function of the number of steps taken so far."""


class Schedule:
    """A learning rate that depends on the number of steps taken so far, and on nothing else.

    `Optimizer.minimize` and `kilograd.fit` ask it for many steps in advance. One of your own is a subclass with a
    method `__call__`.
    """

    def __call__(self, step: int) -> float:
        """The rate at a step."""
        raise NotImplementedError

    def _is_known(self) -> bool:
        return True


def is_known(lr: Rate) -> bool:
    """Whether the rates of all steps are known before the first: not where another function is asked for them."""
    return lr._is_known() if isinstance(lr, Schedule) else not callable(lr)


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from `lr` at step 0 to `final` at step `steps`, and `final` from there on.

    ``final + (lr - final) * (1 + cos(pi * step / steps)) / 2`` (Loshchilov and Hutter, SGDR, 2017, without restarts).
    """

    lr: float
    steps: int
    final: float = 0.0

    def __call__(self, step: int) -> float:
        """The rate at a step."""
        return self.final + (self.lr - self.final) * (1 + math.cos(math.pi * min(step, self.steps) / self.steps)) / 2


@dataclass(frozen=True)
class LinearDecay(Schedule):
    """A straight line from `lr` at step 0 to `final` at step `steps`, and `final` from there on."""

    lr: float
    steps: int
    final: float = 0.0

    def __call__(self, step: int) -> float:
        """The rate at a step."""
        return self.lr + (self.final - self.lr) * min(step, self.steps) / self.steps


@dataclass(frozen=True)
class StepDecay(Schedule):
    """`lr`, multiplied by `factor` after each `every` steps."""

    lr: float
    every: int
    factor: float = 0.1

    def __call__(self, step: int) -> float:
        """The rate at a step."""
        return self.lr * float(self.factor ** (step // self.every))


@dataclass(frozen=True)
class WarmUp(Schedule):
    """`rate`, scaled by ``(step + 1) / steps`` during the first `steps` steps."""

    rate: Rate
    steps: int

    def __call__(self, step: int) -> float:
        """The rate at a step."""
        rate = self.rate(step) if callable(self.rate) else self.rate
        return rate * min(1.0, (step + 1) / self.steps)

    def _is_known(self) -> bool:
        return is_known(self.rate)
