"""`Ranks`: the parts are what the ranks of MPI have, one after the other; every rank runs the same program."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kilograd.distributed.parts import attempt, done_at

if TYPE_CHECKING:
    from kilograd.distributed.tasks import Task

__all__ = ["Ranks"]


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
    has the program. A `ValueError` says so where they are not (of a compiled function, nobody looks whether it is the
    same). An error at one rank is raised on all.

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

    def each(self, task: Task, argument: Any) -> list[Any]:
        """Do a task at all blocks of all ranks."""
        if task is not self._task:
            function = getattr(task, "function", None)
            self._task, self._told = task, b"" if function is None else function.told()
        same = hashlib.sha256(pickle.dumps((argument, self._told))).digest()
        own = [attempt(task, block, self._first + k, argument) for k, block in enumerate(self._blocks)]
        gathered = self._comm.allgather((same, own))
        if any(other != same for other, _ in gathered):
            raise ValueError(
                "the ranks have different parameters, or different programs: make the model with the same seed on all "
                "of them, or send those of one rank to the others, and give the programs the same constants"
            )
        return [result for _, results in gathered for result in results]

    def rows(self, task: Task, argument: Any) -> list[Any]:
        """Do a task at the blocks of this rank."""
        return [done_at(task, block, self._first + k, argument) for k, block in enumerate(self._blocks)]
