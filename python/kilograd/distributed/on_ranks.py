"""`Ranks`: the parts are what the ranks of MPI have, one after the other; every rank runs the same program."""

from __future__ import annotations

import hashlib
import inspect
import pickle
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from kilograd.distributed.parts import Refusal, attempt, done_at
from kilograd.distributed.tasks import Function
from kilograd.optim import Optimizer, Schedule
from kilograd.program import Program

if TYPE_CHECKING:
    from kilograd.distributed.tasks import Task

__all__ = ["Ranks", "by_all_ranks"]

P = ParamSpec("P")
R = TypeVar("R")

_OF_ONE_RANK = frozenset({"X", "data", "callbacks", "history", "progress", "record", "threads", "validation"})
"""Arguments that may differ from rank to rank."""
_ELSEWHERE = "the ranks are at different places of the program: all call the same functions, and stop at the same step"


class Ranks:
    """The blocks of all ranks of MPI as one data set: first those of rank 0, then those of rank 1, and so on.

    Every rank makes one, at the same place of the program, and calls the same functions with it. Each computes its own
    blocks; sums and gradients go to all. So every rank makes the same steps, and has the same result, which does not
    depend on how the blocks are spread over ranks, as long as they are the same blocks in the same order.

    Parameters
    ----------
    blocks : sequence of blocks
        Those of this rank: arrays or tables of rows, or pairs ``(X, y)`` for `fit`; a list, or what `blocks` gives. May
        be empty.
    comm : mpi4py.MPI.Comm, optional
        By default ``MPI.COMM_WORLD``.

    Raises
    ------
    ImportError
        If there is no mpi4py, and `comm` is not given.

    Notes
    -----
    The parameters have to be the same on all ranks, as they are if each rank makes the model with the same seed, and so
    have the program and all settings. A `ValueError` says so on all ranks where they are not, before the first step (of
    a compiled function, nobody looks whether it is the same). An error at one rank is raised on all.

    Examples
    --------
    Run by ``mpiexec -n 2 python script.py``::

        from mpi4py import MPI

        part = np.load(f"part{MPI.COMM_WORLD.rank}.npy")
        losses = minimize(program, Ranks([part]), optimizer, steps=100)
    """

    def __init__(self, blocks: Sequence[Any], comm: Any = None) -> None:
        if not hasattr(type(blocks), "__len__") or hasattr(type(blocks), "__array__"):
            raise TypeError(f"Ranks takes a list of blocks, and not {type(blocks).__name__}: write [block]")
        if comm is None:
            try:
                from mpi4py import MPI
            except ImportError:
                raise ImportError("the ranks are mpi4py's: pip install 'kilograd[mpi]'") from None
            comm = MPI.COMM_WORLD
        self._blocks = blocks
        self._comm = comm
        self._task: Task | None = None
        self._first = sum(comm.allgather(len(blocks))[: comm.rank])
        self._is_together = True  # whether the other ranks do what this one does

    def each(self, task: Task, argument: Any) -> list[Any]:
        """Do a task at all blocks of all ranks."""
        if task is not self._task:
            function = getattr(task, "function", None)
            self._task, self._told = task, b"" if function is None else function.told()
        same = hashlib.sha256(pickle.dumps((argument, self._told))).digest()
        own = [attempt(task, block, self._first + k, argument) for k, block in enumerate(self._blocks)]
        different = (
            "the ranks have different parameters, or different programs: make the model with the same seed on all of "
            "them, or send those of one rank to the others, and give the programs the same constants"
        )
        return [result for results in self._gathered(same, own, different) for result in results]

    def together(self, name: str, settings: Mapping[str, Any], run: Callable[[], R]) -> R:
        """Call what all ranks call at once; where one of them cannot go on, none does."""
        self._is_together = True
        try:
            called = self._gathered(b"begins", {"": name, **settings}, _ELSEWHERE)
            keys = dict.fromkeys(key for each in called for key in each)
            different = [key for key in keys if any(each.get(key) != called[0].get(key) for each in called)]
            if different:
                self._is_together = False
                what = f"{name}() with different {', '.join(different)}" if different[0] else "different functions"
                raise ValueError(f"the ranks call {what}: every rank runs the same program, with the same settings")
            result = run()
            self._gathered(b"ends", None, _ELSEWHERE)
        except Exception as error:
            if self._is_together:
                self._comm.allgather((b"", Refusal(error)))
            raise
        return result

    def _gathered(self, same: bytes, own: Any, different: str) -> list[Any]:
        """What all ranks have; an error of a rank is raised on all."""
        gathered = self._comm.allgather((same, own))
        refused = [each for _, each in gathered if isinstance(each, Refusal)]
        if refused or any(other != same for other, _ in gathered):
            self._is_together = False
            same_places = not {b"begins", b"ends"} & {other for other, _ in gathered}
            raise refused[0].error if refused else ValueError(different if same_places else _ELSEWHERE)
        return [each for _, each in gathered]

    def rows(self, task: Task, argument: Any) -> list[Any]:
        """Do a task at the blocks of this rank."""
        return [done_at(task, block, self._first + k, argument) for k, block in enumerate(self._blocks)]


def by_all_ranks(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function one that, of `Ranks`, all ranks call at once with the same arguments, or else raises on all."""
    signature = inspect.signature(function)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        ranks = next((each for each in (*args, *kwargs.values()) if isinstance(each, Ranks)), None)
        if ranks is None:
            return function(*args, **kwargs)
        given = signature.bind(*args, **kwargs).arguments
        settings = {name: repr(_told(thing)) for name, thing in given.items() if name not in _OF_ONE_RANK}
        return ranks.together(function.__name__, settings, lambda: function(*args, **kwargs))

    return call


def _told(thing: Any) -> Any:
    """What two processes see of an argument, to compare it; of a function, its name."""
    if isinstance(thing, np.generic):
        return thing.item()
    if thing is None or isinstance(thing, (bool, int, float, str, bytes)):
        return thing
    if isinstance(thing, np.ndarray):
        return thing.shape, hashlib.sha256(thing.tobytes()).hexdigest()
    if isinstance(thing, Mapping):
        return [(name, _told(part)) for name, part in thing.items()]
    if isinstance(thing, (list, tuple)):
        return list(map(_told, thing))
    if isinstance(thing, Program):
        return hashlib.sha256(Function(thing, 1, True).told()).hexdigest()
    if isinstance(thing, Optimizer):
        return type(thing).__name__, _told(thing.state_dict()), _told(thing.lr)
    if isinstance(thing, Schedule):
        return repr(thing)
    return getattr(thing, "__qualname__", type(thing).__qualname__)
