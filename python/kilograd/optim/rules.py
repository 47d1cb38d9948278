"""The optimisers. Each is the signature and the documentation of a rule of ``cpp/nn/optimizers.cpp``."""

from __future__ import annotations

from typing import Any

from kilograd.optim.optimizer import Optimizer, Setting
from kilograd.optim.schedules import Rate

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "RMSprop"]


class SGD(Optimizer):
    """Gradient descent, with momentum where wanted.

    ``v = momentum * v + (1 - dampening) * g`` with the gradient g, in the first step ``v = g``; then
    ``p -= lr * v``, or with Nesterov's momentum ``p -= lr * (g + momentum * v)`` (Sutskever et al. 2013).

    Parameters
    ----------
    parameters : iterable of Value, or an object with a method `parameters`
    lr : float or callable, default 0.001
    momentum, dampening : float, default 0.0
    nesterov : bool, default False
        Needs a momentum and no dampening.
    weight_decay : float, default 0.0
        Adds ``weight_decay * p`` to the gradient.
    clip_norm, clip_value : float, optional
        See `Optimizer`.
    """

    _rule_kind = "SGD"
    momentum = Setting[float]()
    dampening = Setting[float]()
    nesterov = Setting[bool]()

    def __init__(
        self,
        parameters: Any,
        lr: Rate = 1e-3,
        *,
        momentum: float = 0.0,
        dampening: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(
            parameters,
            lr,
            momentum=momentum,
            dampening=dampening,
            nesterov=nesterov,
            weight_decay=weight_decay,
            clip_norm=clip_norm,
            clip_value=clip_value,
        )
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError("Nesterov's momentum needs a momentum above 0 and no dampening")


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015): steps scaled by running averages of the gradient and of its square.

    ``m += (1 - beta1) * (g - m)``, ``s = beta2 * s + (1 - beta2) * g**2``, and at step t
    ``p -= lr / (1 - beta1**t) * m / (sqrt(s) / sqrt(1 - beta2**t) + eps)``.

    Parameters
    ----------
    parameters : iterable of Value, or an object with a method `parameters`
    lr : float or callable, default 0.001
    betas : (float, float), default (0.9, 0.999)
    eps : float, default 1e-8
    weight_decay : float, default 0.0
        Adds ``weight_decay * p`` to the gradient.
    amsgrad : bool, default False
        Use the largest s so far (Reddi et al. 2018).
    clip_norm, clip_value : float, optional
        See `Optimizer`.
    """

    _rule_kind = "Adam"
    beta1 = Setting[float]()
    beta2 = Setting[float]()
    eps = Setting[float]()
    amsgrad = Setting[bool]()

    def __init__(
        self,
        parameters: Any,
        lr: Rate = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        try:
            beta1, beta2 = betas
        except (TypeError, ValueError):
            raise TypeError(f"betas is a pair of numbers, not {betas!r}") from None
        super().__init__(
            parameters,
            lr,
            beta1=beta1,
            beta2=beta2,
            eps=eps,
            amsgrad=amsgrad,
            weight_decay=weight_decay,
            clip_norm=clip_norm,
            clip_value=clip_value,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019): before each step ``p *= 1 - lr * weight_decay``.

    Parameters
    ----------
    parameters, lr, betas, eps, amsgrad, clip_norm, clip_value
        See `Adam`.
    weight_decay : float, default 0.01
    """

    _rule_kind = "AdamW"

    def __init__(self, parameters: Any, lr: Rate = 1e-3, *, weight_decay: float = 1e-2, **settings: Any) -> None:
        super().__init__(parameters, lr, weight_decay=weight_decay, **settings)


class RMSprop(Optimizer):
    """Gradient descent scaled by a running average of the squared gradient (Hinton, lecture 6e, 2012).

    ``s = alpha * s + (1 - alpha) * g**2``, ``d = g / (sqrt(s) + eps)``, ``p -= lr * d``. With a momentum
    ``v = momentum * v + d`` takes the place of d; `centered` subtracts the square of the average gradient from s.

    Parameters
    ----------
    parameters : iterable of Value, or an object with a method `parameters`
    lr : float or callable, default 0.01
    alpha : float, default 0.99
    eps : float, default 1e-8
    momentum : float, default 0.0
    centered : bool, default False
    weight_decay : float, default 0.0
        Adds ``weight_decay * p`` to the gradient.
    clip_norm, clip_value : float, optional
        See `Optimizer`.
    """

    _rule_kind = "RMSprop"
    alpha = Setting[float]()
    eps = Setting[float]()
    momentum = Setting[float]()
    centered = Setting[bool]()

    def __init__(
        self,
        parameters: Any,
        lr: Rate = 1e-2,
        *,
        alpha: float = 0.99,
        eps: float = 1e-8,
        momentum: float = 0.0,
        centered: bool = False,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(
            parameters,
            lr,
            alpha=alpha,
            eps=eps,
            momentum=momentum,
            centered=centered,
            weight_decay=weight_decay,
            clip_norm=clip_norm,
            clip_value=clip_value,
        )


class Adagrad(Optimizer):
    """Gradient descent scaled by the sum of all squared gradients so far (Duchi, Hazan and Singer 2011).

    ``s += g**2``, and at step t ``p -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)``.

    Parameters
    ----------
    parameters : iterable of Value, or an object with a method `parameters`
    lr : float or callable, default 0.01
    lr_decay : float, default 0.0
        By how much of its first size the denominator of the rate grows in each step.
    weight_decay : float, default 0.0
        Adds ``weight_decay * p`` to the gradient.
    initial_accumulator_value : float, default 0.0
        What s begins with.
    eps : float, default 1e-10
    clip_norm, clip_value : float, optional
        See `Optimizer`.
    """

    _rule_kind = "Adagrad"
    lr_decay = Setting[float]()
    initial_accumulator_value = Setting[float]()
    eps = Setting[float]()

    def __init__(
        self,
        parameters: Any,
        lr: Rate = 1e-2,
        *,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(
            parameters,
            lr,
            lr_decay=lr_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
            weight_decay=weight_decay,
            clip_norm=clip_norm,
            clip_value=clip_value,
        )
