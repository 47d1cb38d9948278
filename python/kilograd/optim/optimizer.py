"""What all optimisers share: parameters, settings, state, and steps along a program."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, Protocol, TypeVar, cast, overload

from kilograd import _core, arrays, tables
from kilograd._core import Value
from kilograd.advice import OF_OPTIMIZERS, refuse_keywords_of_zero_grad
from kilograd.checks import not_negative, repeatable, whole_number
from kilograd.optim.schedules import Rate, is_known
from kilograd.optim.sums import Sums, added, of_block, reduced

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self

    from kilograd._types import Numbers
    from kilograd.program import Program, Reduce

__all__ = ["Optimizer", "Setting"]

T = TypeVar("T")  # of a setting


class Record(Protocol):
    """Where losses and parameters go: a `kilograd.training.History`."""

    losses: list[float]
    steps: list[float]

    def keep(self, names: Sequence[str], parameters: Sequence[Value]) -> None:
        """Take a snapshot of the parameters."""


class Setting(Generic[T]):
    """A setting of an optimizer's rule, as an attribute of the optimizer."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, optimizer: None, kind: type) -> Self: ...
    @overload
    def __get__(self, optimizer: Optimizer, kind: type) -> T: ...
    def __get__(self, optimizer: Optimizer | None, kind: type) -> Any:
        return self if optimizer is None else optimizer._rule[self._name]

    def __set__(self, optimizer: Optimizer, value: T) -> None:
        optimizer._rule[self._name] = value  # type: ignore[assignment]


class Optimizer:
    """What all optimisers share. A subclass of your own has its own `step`.

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

    _rule_kind: ClassVar[str] = "Optimizer"
    weight_decay = Setting[float]()
    clip_norm = Setting[float | None]()
    clip_value = Setting[float | None]()

    def __init__(self, parameters: Any, lr: Rate, **settings: float | None) -> None:
        found = parameters.parameters() if hasattr(parameters, "parameters") else parameters
        if isinstance(found, Value):
            raise TypeError(f"an optimizer takes a list of Values, not one: write [v] for {found!r}")
        if callable(found) and not hasattr(found, "__iter__"):
            raise TypeError(f"an optimizer takes Values, and not {found!r:.80}: call it, as model.parameters()")
        tables.refuse_unordered(found, "the parameters")
        self.parameters: list[Value] = list(found)
        for p in self.parameters:
            if not isinstance(p, Value):
                raise TypeError(f"an optimizer trains Values, not {type(p).__name__}: {p!r}")
        if not self.parameters:
            raise ValueError("an optimizer needs at least one parameter")
        _core.require_leaves(self.parameters)
        self.lr = lr
        self._rule = _core.update_rule(self._rule_kind, settings, 0, {})

    @property
    def lr(self) -> Rate:
        """The learning rate, or the function that gives it."""
        return self._lr

    @lr.setter
    def lr(self, lr: Rate) -> None:
        if not callable(lr):
            not_negative("lr", lr)
        self._lr = lr

    @property
    def steps(self) -> int:
        """The number of steps taken."""
        return self._rule.steps

    @steps.setter
    def steps(self, steps: int) -> None:
        self._rule.steps = steps

    def zero_grad(self, **others: NoReturn) -> None:
        """Set the gradient of every parameter to zero."""
        refuse_keywords_of_zero_grad(others)
        _core.zero_grad(self.parameters)

    def step(self, gradient: Numbers | None = None) -> None:
        """Change every parameter once, by the gradients as they are.

        Parameters
        ----------
        gradient : array_like, shape (n_parameters,), optional
            What the gradients become first: one that was computed elsewhere.

        Raises
        ------
        FloatingPointError
            If `clip_norm` is set and the norm of the gradient is not finite; nothing is changed.
        ValueError
            If `gradient` is of another shape, a parameter is a leaf no more or comes twice, or the function `lr` gives
            a rate that is no number of at least 0; no parameter is changed.
        """
        if callable(gradient):
            raise TypeError("step() takes no function: call loss.backward() first, then step()")
        if isinstance(gradient, Value):
            raise TypeError("step() takes no loss: call loss.backward() first, then step()")
        if gradient is not None:
            arrays.assign_gradients(self.parameters, gradient)
        lr = self.lr
        _core.update(self._rule, self.parameters, lr(self.steps) if callable(lr) else lr)

    def minimize(
        self,
        program: Program,
        X: ArrayLike | Iterable[ArrayLike] | None = None,  # noqa: N803
        *,
        steps: int,
        reduce: Reduce = "mean",
        threads: int = 1,
        check: bool = True,
        history: Record | None = None,
        record: int | None = None,
    ) -> NDArray[float64]:
        """Take steps that make the output of a program smaller, in a loop that stays in C++.

        The same, to the last bit, as::

            for k in range(steps):
                optimizer.zero_grad()
                losses[k] = program.backward(X, reduce=reduce)
                optimizer.step()

        The optimizers of `kilograd.optim` with a constant rate, or a `Schedule`, need no Python between two steps; for
        others it is this loop.

        Parameters
        ----------
        program : Program
            Of one output. What it shares with `parameters` is trained.
        X : array_like, (n,) or (batch, n), or an iterable of arrays (batch, n), optional
            The inputs, all of which are used in every step. Blocks of rows, one array after the other, are gone through
            anew for each step, and their gradients added up in that order: for data that do not fit into memory.
        steps : int
        reduce : {"mean", "sum"}, default "mean"
            What is minimised over the rows.
        threads, check
            See `Program`.
        history : History, optional
            Where the losses go as well, each step an epoch, and the parameters: for `kilograd.view`.
        record : int, optional
            Keep the parameters in ``history.snapshots``, before the first step, after every `record`-th one, and at the
            end. Each time takes 8 bytes for each parameter. By default none are kept.

        Returns
        -------
        ndarray of float, shape (steps,)
            The loss before each step.

        Raises
        ------
        ValueError
            If the program has several outputs, `steps` is negative, `reduce` is none of the two, or `record` is given
            without `history`.
        FloatingPointError, ArithmeticError, ValueError
            Where a step of that loop would raise it; the steps before have been made.
        """
        import numpy as np

        steps = whole_number("steps", steps, 0)
        if reduce not in ("mean", "sum"):
            raise ValueError(f'reduce is "mean" or "sum", not {reduce!r}')
        if math.prod(program._core.shape) != 1:
            raise ValueError(f"minimize needs a program of one output, and this has the shape {program._core.shape}")
        inputs: Any = X
        make = partial(self._minimize_rows, program, reduce=reduce, threads=threads, check=check)
        if X is not None and type(X) is not np.ndarray:
            inputs = tables.array(X, "X")
            if inputs is None and _comes_in_blocks(X):
                inputs = repeatable(cast("Iterable[Any]", X), steps, "steps")
                make = partial(self._minimize_blocks, program, reduce=reduce, threads=threads, check=check)
            else:
                inputs = tables.numbers(X if inputs is None else inputs, "X")
        return self._followed(partial(make, inputs), steps, history, record)

    def _followed(
        self, make: Callable[[int], NDArray[float64]], steps: int, history: Record | None, record: int | None
    ) -> NDArray[float64]:
        """Make steps, as many at a time as a history wants to see."""
        import numpy as np

        if record is not None and history is None:
            raise ValueError("record= keeps parameters in a History: pass history=kilograd.training.History()")
        if history is None:
            return make(steps)
        at_once = steps if record is None else whole_number("record", record, 1)
        names = [p.label or f"parameter {k}" for k, p in enumerate(self.parameters)]
        losses = np.zeros(steps)
        for done in range(0, steps, max(1, at_once)):
            if record is not None:
                history.keep(names, self.parameters)
            part = losses[done : done + at_once]
            part[:] = make(len(part))
            history.losses += part.tolist()
            history.steps += part.tolist()
        if record is not None:
            history.keep(names, self.parameters)
        return losses

    def _minimize_rows(
        self, program: Program, inputs: Any, steps: int, *, reduce: Reduce, threads: int, check: bool
    ) -> NDArray[float64]:
        import numpy as np

        losses = np.zeros(steps)
        done = 0
        while done < steps:
            rates = self._rates(steps - done)
            if rates is not None:
                made, _ = self._descend(program, inputs, losses[done:], rates, reduce, threads=threads, check=check)
                done += made
                if done == steps:
                    break
            self.zero_grad()
            values = program.backward(inputs, reduce=reduce, threads=threads, check=check)
            losses[done] = np.asarray(values).reshape(())
            self.step()
            done += 1
        return losses

    def _minimize_blocks(
        self, program: Program, blocks: Any, steps: int, *, reduce: Reduce, threads: int, check: bool
    ) -> NDArray[float64]:
        def over_blocks() -> Sums:
            order = tables.SameOrder()
            found = (of_block(program, order.checked(block), threads=threads, check=check) for block in blocks)
            return added(found, len(program.parameters))

        return self._minimize_sums(program.parameters, over_blocks, steps, reduce)

    def _minimize_sums(
        self, parameters: list[Value], sums: Callable[[], Sums], steps: int, reduce: Reduce
    ) -> NDArray[float64]:
        """Make steps along what is computed elsewhere: the sums over all rows, at the present parameters."""
        import numpy as np

        losses = np.zeros(steps)
        for k in range(steps):
            value, gradient = reduced(sums(), reduce)
            self.zero_grad()
            arrays.assign_gradients(parameters, arrays.gradients(parameters) + gradient)
            losses[k] = np.asarray(value).reshape(())
            self.step()
        return losses

    def _has_own_step(self) -> bool:
        """Whether somebody changed what a step is; else all of it is the rule's."""
        kind = type(self)
        ours = kind.__module__ == _HOME and (kind.step, kind.zero_grad) == _STEP
        return not ours or not vars(self).keys().isdisjoint(("step", "zero_grad"))

    def _rates(self, steps: int) -> NDArray[float64] | None:
        """The rates of the next steps, or None where each step has to be made by `step`."""
        import numpy as np

        lr = self.lr
        if self._has_own_step() or not is_known(lr):
            return None
        if not callable(lr):
            return np.full(steps, lr, dtype=np.float64)
        rates = np.empty(steps)
        try:
            given = [lr(self.steps + k) for k in range(steps)]
        except Exception:
            return None  # the step that it is about raises it
        if not all(isinstance(rate, (int, float, np.floating, np.integer)) for rate in given):
            return None
        rates[:] = given
        return rates if np.all((rates >= 0) & np.isfinite(rates)) else None  # the step raises

    def _descend(
        self,
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
    ) -> tuple[int, _core._Bookmark | None]:
        """Make steps along a program in C++.

        Parameters
        ----------
        program : Program
        rows : ndarray or None
        losses : ndarray, shape (steps,)
            Where the losses go.
        rates : ndarray, shape (steps,), or None
            From `_rates`. Without them a step ends before the update, which is then the caller's.
        reduce : {"mean", "sum"}
        batch : int, optional
            Rows of a step; step k takes the next ones. By default all of them.
        threads, check
            See `Program`.
        finite : bool, default False
            Whether to end before a step whose loss, or what it makes of the parameters, is not finite.
        stop : buffer, optional
            To end after the step that is under way, or before one that takes long, where its first byte is set by
            then.

        Returns
        -------
        steps : int
            How many were made: fewer than asked for where the next one raises an error, or a loop was to stop. All
            is as it was after them.
        bookmark
            Of before the last of them, where `finite` is set; None if there is no such update.
        """
        count = 1 if rows is None or rows.ndim < 2 else len(rows)
        done, bookmark, error = program._core.descend(
            program._parameters,
            rows,
            reduce,
            max(1, count if batch is None else batch),
            threads,
            check,
            self.parameters,
            self._rule,
            rates,
            losses,
            finite,
            stop,
        )
        if error is not None:
            raise error
        return done, bookmark

    def _bookmark(self) -> _core._Bookmark:
        """The parameters and the rule as they are now."""
        return _core.bookmark(self._rule, self.parameters)

    def _restore(self, bookmark: _core._Bookmark) -> None:
        _core.restore(self._rule, self.parameters, bookmark)

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on, besides the parameters and a learning rate that is a function.

        Returns
        -------
        dict
            ``"kind"``, ``"steps"``, the settings, and a float array with an entry for each parameter for each of the
            running averages.
        """
        _, settings, steps, averages = self._rule.state()
        state: dict[str, Any] = {"kind": type(self).__name__, "steps": steps}
        if not callable(self.lr):
            state["lr"] = float(self.lr)
        return state | {name: value for name, value in {**settings, **averages}.items() if value is not None}

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
        rule, settings, _, averages = self._rule.state()
        unknown = set(state) - {"kind", "steps", "lr", *settings, *averages}
        if unknown or "steps" not in state:
            raise ValueError(f"a state of {kind} has no {sorted(unknown)}" if unknown else "the state has no 'steps'")
        import numpy as np

        arrays: dict[str, array[float]] = {}
        for name in averages:
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
        settings |= {"clip_norm": None, "clip_value": None} | {name: state[name] for name in settings if name in state}
        loaded = _core.update_rule(rule, settings, steps, arrays)
        lr = float(state["lr"]) if "lr" in state else None
        if lr is not None:
            not_negative("lr", lr)

        def accept() -> None:
            self._rule = loaded
            if lr is not None and not callable(self.lr):
                self.lr = lr

        return accept

    def __repr__(self) -> str:
        _, settings, _, _ = self._rule.state()
        shown = ", ".join(f"{name}={value!r}" for name, value in {"lr": self.lr, **settings}.items())
        return f"{type(self).__name__}({len(self.parameters)} parameters, {shown})"


def _comes_in_blocks(X: Any) -> bool:  # noqa: N803
    """Whether what is no table has tables of rows for entries."""
    if isinstance(X, (list, tuple)):
        first = tables.array(X[0], "X") if X else None
        return first is not None and first.ndim == 2
    return isinstance(X, Iterable)


_HOME = "kilograd.optim.rules"
_core.declare_absent(Optimizer, OF_OPTIMIZERS)
_STEP = (Optimizer.step, Optimizer.zero_grad)
