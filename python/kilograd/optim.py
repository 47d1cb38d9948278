"""Optimisers: they change parameters by their gradients, in one call of the engine a step.

The formulas, their order of operations and the defaults are those of ``torch.optim``, so that a training run gives the
same numbers on both. The usual step on a graph that is kept::

    loss.forward()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

On a `Program` it is ``optimizer.zero_grad()``, ``program.backward(X, reduce="mean")``, ``optimizer.step()``, and
``optimizer.minimize(program, X, steps=100)`` makes a hundred such steps in one call.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from kilograd import _core, tables
from kilograd._core import Value

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import ArrayLike, NDArray

    from kilograd.program import Program, Reduce

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Cosine",
    "LinearDecay",
    "Optimizer",
    "RMSprop",
    "Rate",
    "StepDecay",
    "WarmUp",
    "clip_grad_norm",
    "clip_grad_value",
]

Rate: TypeAlias = float | Callable[[int], float]
"""A learning rate: a number, or a function of the number of steps taken so far."""


# Learning rates that change


@dataclass(frozen=True)
class Cosine:
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
class LinearDecay:
    """A straight line from `lr` at step 0 to `final` at step `steps`, and `final` from there on."""

    lr: float
    steps: int
    final: float = 0.0

    def __call__(self, step: int) -> float:
        """The rate at a step."""
        return self.lr + (self.final - self.lr) * min(step, self.steps) / self.steps


@dataclass(frozen=True)
class StepDecay:
    """`lr`, multiplied by `factor` after each `every` steps."""

    lr: float
    every: int
    factor: float = 0.1

    def __call__(self, step: int) -> float:
        """The rate at a step."""
        return self.lr * float(self.factor ** (step // self.every))


@dataclass(frozen=True)
class WarmUp:
    """`rate`, scaled by ``(step + 1) / steps`` during the first `steps` steps."""

    rate: Rate
    steps: int

    def __call__(self, step: int) -> float:
        """The rate at a step."""
        rate = self.rate(step) if callable(self.rate) else self.rate
        return rate * min(1.0, (step + 1) / self.steps)


# Gradient clipping


def clip_grad_norm(parameters: Iterable[Value], max_norm: float, *, order: float = 2.0) -> float:
    """Scale all gradients together so that their norm is at most `max_norm`.

    Parameters
    ----------
    parameters : iterable of Value
    max_norm : float
        The gradients are multiplied by ``max_norm / (norm + 1e-6)`` where that is below 1.
    order : float, default 2.0
        Of the norm; ``math.inf`` takes the largest magnitude.

    Returns
    -------
    float
        The norm before.

    Raises
    ------
    FloatingPointError
        If the norm is infinite or NaN; the gradients are as before.
    ValueError
        If `max_norm` is negative or `order` not positive.
    """
    _at_least("max_norm", max_norm, 0.0)
    if not order > 0:
        raise ValueError(f"the order of a norm is positive, not {order}")
    return _core.clip_norm(list(parameters), max_norm, order)


def clip_grad_value(parameters: Iterable[Value], limit: float) -> None:
    """Limit each gradient to the range from ``-limit`` to ``limit``.

    Raises
    ------
    ValueError
        If `limit` is negative.
    """
    _at_least("limit", limit, 0.0)
    _core.clip_value(list(parameters), limit)


# Optimisers


class Optimizer:
    """What all optimisers share. Subclasses say which arrays they keep, and make the step.

    Parameters
    ----------
    parameters : iterable of Value, or an object with a method `parameters`
        What to train: leaves, whose data a step changes in place. The Values are held: one that is later replaced in
        the model is no longer trained.
    lr : float or callable
        The learning rate, or a function from the number of steps taken so far to it.
    weight_decay : float, default 0.0
    clip_norm, clip_value : float, optional
        Gradients are clipped before each step, as by `clip_grad_norm` and `clip_grad_value`.

    Attributes
    ----------
    parameters : list of Value
    steps : int
        The number of steps taken.
    lr, weight_decay, clip_norm, clip_value
        As given; may be changed between two steps.

    Raises
    ------
    ValueError
        If there are no parameters, one comes twice or is the result of an operation, or a number is out of range.
    TypeError
        If a parameter is no Value, or the parameters have no order, as in a set.
    """

    arrays: ClassVar[tuple[str, ...]] = ()
    numbers: ClassVar[tuple[str, ...]] = ("weight_decay", "clip_norm", "clip_value")

    def __init__(
        self,
        parameters: Any,
        lr: Rate,
        *,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        found = parameters.parameters() if hasattr(parameters, "parameters") else parameters
        tables.refuse_unordered(found, "the parameters")
        self.parameters: list[Value] = list(found)
        for p in self.parameters:
            if not isinstance(p, Value):
                raise TypeError(f"an optimizer trains Values, not {type(p).__name__}: {p!r}")
        if not self.parameters:
            raise ValueError("an optimizer needs at least one parameter")
        if len(set(map(id, self.parameters))) != len(self.parameters):
            raise ValueError("a parameter comes twice, and would be changed twice a step: pass each once")
        _core.require_leaves(self.parameters)
        if not callable(lr):
            _at_least("lr", lr, 0.0)
        _at_least("weight_decay", weight_decay, 0.0)
        for name, limit in (("clip_norm", clip_norm), ("clip_value", clip_value)):
            if limit is not None:
                _at_least(name, limit, 0.0)
        self.lr = lr
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.steps = 0
        self._state: dict[str, array[float]] = {}

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to zero."""
        _core.zero_grad(self.parameters)

    def step(self) -> None:
        """Change every parameter once, by the gradients as they are.

        Raises
        ------
        FloatingPointError
            If `clip_norm` is set and the norm of the gradient is not finite; nothing is changed.
        ValueError
            If a parameter is a leaf no more; no parameter is changed.
        """
        if self.clip_norm is not None:
            _core.clip_norm(self.parameters, self.clip_norm, 2.0)
        if self.clip_value is not None:
            _core.clip_value(self.parameters, self.clip_value)
        lr = self.lr
        self._update(lr(self.steps) if callable(lr) else lr)
        self.steps += 1

    def minimize(
        self,
        program: Program,
        X: ArrayLike | None = None,  # noqa: N803
        *,
        steps: int,
        reduce: Reduce = "mean",
        threads: int = 1,
        check: bool = True,
    ) -> NDArray[float64]:
        """Take steps that make the output of a program smaller, in a loop that stays in C++.

        The same, to the last bit, as::

            for k in range(steps):
                optimizer.zero_grad()
                losses[k] = program.backward(X, reduce=reduce)
                optimizer.step()

        The optimizers of this module with a constant rate, or a schedule of this module, need no Python between two
        steps; for others it is this loop.

        Parameters
        ----------
        program : Program
            Of one output. What it shares with `parameters` is trained.
        X : array_like, (n,) or (batch, n), optional
            The inputs, all of which are used in every step.
        steps : int
        reduce : {"mean", "sum"}, default "mean"
            What is minimised over the rows.
        threads, check
            See `Program`.

        Returns
        -------
        ndarray of float, shape (steps,)
            The loss before each step.

        Raises
        ------
        ValueError
            If the program has several outputs, `steps` is negative, or `reduce` is none of the two.
        FloatingPointError, ArithmeticError, ValueError
            Where a step of that loop would raise it; the steps before have been made.
        """
        import numpy as np

        if not isinstance(steps, int) or steps < 0:
            raise ValueError(f"steps is a whole number of at least 0, not {steps!r}")
        if reduce not in ("mean", "sum"):
            raise ValueError(f'reduce is "mean" or "sum", not {reduce!r}')
        if math.prod(program._core.shape) != 1:
            raise ValueError(f"minimize needs a program of one output, and this has the shape {program._core.shape}")
        inputs = X if X is None or type(X) is np.ndarray else tables.numbers(X, "X")
        losses = np.zeros(steps)
        done = 0
        while done < steps:
            rates = self._rates(steps - done)
            if rates is not None:
                done += _Descent(self, program, inputs, losses[done:], rates, reduce, threads=threads, check=check).done
                if done == steps:
                    break
            self.zero_grad()
            values = program.backward(inputs, reduce=reduce, threads=threads, check=check)
            losses[done] = np.asarray(values).reshape(())
            self.step()
            done += 1
        return losses

    def _rates(self, steps: int) -> NDArray[float64] | None:
        """The rates of the next steps, or None where each step has to be made by `step`."""
        import numpy as np

        if _kernel_of(self) is None:
            return None
        lr = self.lr
        if not callable(lr):
            rates = np.empty(steps)  # np.full would take a microsecond more, as long as a step
            rates.fill(lr)
            return rates
        return np.array([lr(self.steps + k) for k in range(steps)], dtype=float) if _is_schedule(lr) else None

    def _update(self, lr: float) -> None:
        raise NotImplementedError

    def _arguments(self, lr: float) -> tuple[Any, ...]:
        """What the engine's step function is called with."""
        raise NotImplementedError

    def _array(self, name: str) -> array[float]:
        """A number for each parameter, kept from step to step; zero at first."""
        found = self._state.get(name)
        if found is None:
            found = self._state[name] = array("d", bytes(8 * len(self.parameters)))
        return found

    def _bookmark(self) -> Callable[[], None]:
        """Remember the parameters and the running averages; what is returned brings them back."""
        before = array("d", bytes(8 * len(self.parameters)))
        _core.read_data(self.parameters, before)
        steps, state = self.steps, {name: values[:] for name, values in self._state.items()}

        def restore() -> None:
            _core.write_data(self.parameters, before)
            self.steps, self._state = steps, {name: values[:] for name, values in state.items()}

        return restore

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on, besides the parameters and a learning rate that is a function.

        Returns
        -------
        dict
            ``"kind"``, ``"steps"``, the settings, and a float array with an entry for each parameter for each of the
            running averages.
        """
        import numpy as np

        state: dict[str, Any] = {"kind": type(self).__name__, "steps": self.steps}
        if not callable(self.lr):
            state["lr"] = float(self.lr)
        state |= {name: value for name in self.numbers if (value := getattr(self, name)) is not None}
        return state | {name: np.array(values) for name, values in self._state.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken.

        Raises
        ------
        ValueError
            If the state is of another kind of optimizer or another number of parameters. Nothing is changed.
        """
        self._read_state(state)()

    def _read_state(self, state: Mapping[str, Any]) -> Callable[[], None]:
        """Check a state; what is returned makes it this optimizer's."""
        kind = type(self).__name__
        if state.get("kind") != kind:
            raise ValueError(f"this is the state of {state.get('kind', 'no optimizer')}, and the optimizer is {kind}")
        unknown = set(state) - {"kind", "steps", "lr", *self.numbers, *self.arrays}
        if unknown or "steps" not in state:
            raise ValueError(f"a state of {kind} has no {sorted(unknown)}" if unknown else "the state has no 'steps'")
        import numpy as np

        arrays: dict[str, array[float]] = {}
        for name in self.arrays:
            if name in state:
                values = np.asarray(state[name])
                if values.shape != (len(self.parameters),) or values.dtype.kind not in "biuf":
                    raise ValueError(
                        f"{name!r} is {values.dtype} of shape {values.shape}, and there are {len(self.parameters)} "
                        "parameters with a float each"
                    )
                arrays[name] = array("d", values.astype(float).tobytes())
        steps = int(state["steps"])
        if steps < 0:
            raise ValueError(f"'steps' is at least 0, not {steps}")
        numbers = {name: _like(getattr(self, name), state[name]) for name in self.numbers if name in state}
        numbers |= {name: None for name in ("clip_norm", "clip_value") if name not in state}
        lr = float(state["lr"]) if "lr" in state else None

        def accept() -> None:
            self.steps = steps
            self._state = arrays
            if lr is not None and not callable(self.lr):
                self.lr = lr
            for name, value in numbers.items():
                setattr(self, name, value)

        return accept

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={getattr(self, name)!r}" for name in ("lr", *self.numbers))
        return f"{type(self).__name__}({len(self.parameters)} parameters, {settings})"


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

    arrays = ("velocity",)
    numbers = (*Optimizer.numbers, "momentum", "dampening", "nesterov")

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
        super().__init__(parameters, lr, weight_decay=weight_decay, clip_norm=clip_norm, clip_value=clip_value)
        _at_least("momentum", momentum, 0.0)
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError("Nesterov's momentum needs a momentum above 0 and no dampening")
        self.momentum = momentum
        self.dampening = dampening
        self.nesterov = nesterov

    def _update(self, lr: float) -> None:
        _core.sgd_step(*self._arguments(lr))

    def _arguments(self, lr: float) -> tuple[Any, ...]:
        first = "velocity" not in self._state
        velocity = self._array("velocity") if self.momentum else None
        return (self.parameters, lr, self.weight_decay, self.momentum, self.dampening, self.nesterov, first, velocity)


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

    arrays = ("mean", "square", "largest_square")
    numbers = (*Optimizer.numbers, "beta1", "beta2", "eps", "amsgrad")
    _decoupled: ClassVar[bool] = False

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
        super().__init__(parameters, lr, weight_decay=weight_decay, clip_norm=clip_norm, clip_value=clip_value)
        self.beta1, self.beta2 = betas
        for name in ("beta1", "beta2"):
            _fraction(name, getattr(self, name))
        _at_least("eps", eps, 0.0)
        self.eps = eps
        self.amsgrad = amsgrad

    def _update(self, lr: float) -> None:
        _core.adam_step(*self._arguments(lr))

    def _arguments(self, lr: float) -> tuple[Any, ...]:
        return (
            self.parameters,
            lr,
            self.weight_decay,
            self.beta1,
            self.beta2,
            self.eps,
            self.steps + 1,
            self._decoupled,
            self._array("mean"),
            self._array("square"),
            self._array("largest_square") if self.amsgrad else None,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019): before each step ``p *= 1 - lr * weight_decay``.

    Parameters
    ----------
    parameters, lr, betas, eps, amsgrad, clip_norm, clip_value
        See `Adam`.
    weight_decay : float, default 0.01
    """

    _decoupled = True

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

    arrays = ("square", "mean", "velocity")
    numbers = (*Optimizer.numbers, "alpha", "eps", "momentum", "centered")

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
        super().__init__(parameters, lr, weight_decay=weight_decay, clip_norm=clip_norm, clip_value=clip_value)
        _fraction("alpha", alpha)
        _at_least("eps", eps, 0.0)
        _at_least("momentum", momentum, 0.0)
        self.alpha = alpha
        self.eps = eps
        self.momentum = momentum
        self.centered = centered

    def _update(self, lr: float) -> None:
        _core.rmsprop_step(*self._arguments(lr))

    def _arguments(self, lr: float) -> tuple[Any, ...]:
        return (
            self.parameters,
            lr,
            self.weight_decay,
            self.alpha,
            self.eps,
            self.momentum,
            self._array("square"),
            self._array("mean") if self.centered else None,
            self._array("velocity") if self.momentum else None,
        )


# Many steps in one call


class _Descent:
    """Steps of an optimizer along a program that were made in C++, and the way back to each of them.

    Parameters
    ----------
    optimizer : Optimizer
    program : Program
    rows : ndarray or None
    losses : ndarray, shape (steps,)
        Where the losses go.
    rates : ndarray, shape (steps,), or None
        From ``optimizer._rates``. Without them a step ends before the update, which is then the caller's.
    reduce : {"mean", "sum"}
    batch : int, optional
        Rows of a step; step k takes the next ones. By default all of them.
    threads, check
        See `Program`.
    finite : bool, default False
        Whether to end before a step whose loss, or what it makes of the parameters, is not finite.
    stop : buffer, optional
        To end after the step that is under way, or before one that takes long, where its first byte is set by then.

    Attributes
    ----------
    done : int
        How many steps were made: fewer than asked for where the next one raises an error, or a loop was to stop. All
        is as it was after them.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        program: Program,
        rows: NDArray[float64] | None,
        losses: NDArray[float64],
        rates: NDArray[float64] | None,
        reduce: Reduce,
        *,
        batch: int | None = None,
        threads: int = 1,
        check: bool = True,
        finite: bool = False,
        stop: object = None,
    ) -> None:
        import numpy as np

        self._optimizer = optimizer
        self._program = program
        self._kernel = None if rates is None else _KERNELS[type(optimizer)]
        self._losses, self._rates = losses, np.zeros(len(losses)) if rates is None else rates
        count = 1 if rows is None or rows.ndim < 2 else len(rows)
        self._data = rows, reduce, max(1, count if batch is None else batch), threads, check
        self._finite, self._stop = finite, stop
        self._restore = optimizer._bookmark()
        parameters = program.parameters
        self._grads = array("d", bytes(8 * len(parameters)))
        _core.read_grad(parameters, self._grads)
        averages = dict(optimizer._state)
        self.done, begun, error = self._run(len(losses), stop)
        if begun:
            self.back_to(self.done)
        elif not self.done:
            optimizer._state = averages  # without those that a first step would have begun
        if error is not None:
            raise error

    def back_to(self, step: int) -> None:
        """Bring everything back to where it was after so many steps: to the beginning, and once more from there."""
        self._restore()
        for p, grad in zip(self._program.parameters, self._grads, strict=True):
            p.grad = grad
        if step:
            self._run(step, None)

    def _run(self, steps: int, stop: object) -> tuple[int, bool, BaseException | None]:
        optimizer = self._optimizer
        done, begun, error = self._program._core.descend(
            self._program._parameters,
            *self._data,
            optimizer.parameters,
            self._kernel,
            () if self._kernel is None else optimizer._arguments(0.0),
            optimizer.clip_norm,
            optimizer.clip_value,
            self._rates[:steps],
            self._losses[:steps],
            self._finite,
            stop,
        )
        if self._kernel is not None:
            optimizer.steps += done
        return done, begun, error


def _is_schedule(lr: object) -> bool:
    """Whether a rate depends on the step alone, as those of this module do."""
    if type(lr) is WarmUp:
        return not callable(lr.rate) or _is_schedule(lr.rate)
    return type(lr) in (Cosine, LinearDecay, StepDecay)


_KERNELS: dict[type[Optimizer], str] = {SGD: "sgd", Adam: "adam", AdamW: "adam", RMSprop: "rmsprop"}
_STEP = ("step", "zero_grad", "_bookmark", "_update", "_arguments")
_methods = attrgetter(*_STEP)
_NATIVE = {kind: _methods(kind) for kind in _KERNELS}


def _kernel_of(optimizer: Optimizer) -> str | None:
    """The name of the step function that all of a step comes down to, or None where somebody changed the step."""
    kind = type(optimizer)
    native = kind in _NATIVE and _methods(kind) == _NATIVE[kind] and vars(optimizer).keys().isdisjoint(_STEP)
    return _KERNELS[kind] if native else None


# Checks


def _at_least(name: str, value: float, least: float) -> None:
    if not (value >= least and math.isfinite(value)):
        raise ValueError(f"{name} is a number of at least {least:g}, not {value!r}")


def _fraction(name: str, value: float) -> None:
    if not 0.0 <= value < 1.0:
        raise ValueError(f"{name} is at least 0 and below 1, not {value!r}")


def _like(present: Any, value: Any) -> Any:
    """A number that came out of a file, in the type of the setting that it replaces."""
    return bool(value) if isinstance(present, bool) else float(value)
