"""`map_rows`, `value_and_grad`, `minimize`: programs over rows that lie elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kilograd import arrays, tables
from kilograd.checks import whole_number
from kilograd.distributed.on_ranks import by_all_ranks
from kilograd.distributed.parts import Parts, collected, parts_of
from kilograd.distributed.tasks import Function, Outputs, SumsOf, Table
from kilograd.optim.sums import Sums, added, reduced
from kilograd.program import Program
from kilograd.training.steps import check_optimizer

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import ArrayLike, NDArray

    from kilograd.compiled import Compiled
    from kilograd.optim import Optimizer
    from kilograd.program import Reduce
    from kilograd.training import History

__all__ = ["map_rows", "minimize", "value_and_grad"]


def map_rows(
    program: Program | Compiled[..., Any],
    data: Any,
    *,
    parameters: ArrayLike | None = None,
    columns: Sequence[str] | None = None,
    threads: int = 1,
    check: bool = True,
) -> Any:
    """Compute a program for each row, where the row is; the results stay there.

    Parameters
    ----------
    program : Program or compiled function
        A function of `kilograd.compile` is called as ``f(row)``, or ``f(row, parameters)`` where there are parameters,
        and gives a number or an array.
    data : parts of rows (n,)
        A Dask array or data frame, a Ray data set, a Spark data frame, `Ranks`, a table, or an iterable of tables.
    parameters : array_like, (n_parameters,), optional
        In the order of ``program.parameters``; of a program by default their data as it is now.
    columns : sequence of str, optional
        Which columns of tables are the inputs, in this order; all of them by default.
    threads : int, default 1
        Threads for each part, of a program; the engine runs several parts at once as it is.
    check : bool, default True
        As `Program` takes it; of a program.

    Returns
    -------
    dask.array.Array, (rows,) + S
        Of data of Dask, still to be computed, for outputs of shape S.
    ray.data.Dataset or pyspark.sql.DataFrame
        Of theirs, still to be computed: the same data with one more column, ``output``: a number, or an array (in Spark
        a list, in C order).
    list of ndarray
        Of `Ranks`, one for each block of this rank.
    iterator of ndarray
        Of tables in this process, one for each, computed when it is asked for.

    Raises
    ------
    TypeError
        If `program` is neither a program nor a compiled function, cannot be pickled, or rows are no numbers.
    ValueError
        If a part lacks a column, has rows of another width or, without `columns`, its columns in another order, with
        the number of the part; here, or when the results are computed. If there is a column ``output`` already.
    """
    function = Function(program, threads, check)
    numbers = _parameters(program, parameters)
    return parts_of(data).rows(Outputs(function, Table(columns)), numbers)


@by_all_ranks
def value_and_grad(
    program: Program | Compiled[..., Any],
    data: Any,
    *,
    parameters: ArrayLike | None = None,
    reduce: Reduce = "mean",
    columns: Sequence[str] | None = None,
    threads: int = 1,
    check: bool = True,
) -> tuple[Any, NDArray[float64]]:
    """Compute the mean or the sum over all rows, and its gradient by the parameters.

    Each part gives a sum and its gradient, and these are added up in the order of the parts.

    Parameters
    ----------
    program : Program or compiled function
        A function of `kilograd.compile` is called as ``f(row, parameters)`` and gives a number.
    data, parameters, columns, threads, check
        As `map_rows` takes them.
    reduce : {"mean", "sum"}, default "mean"

    Returns
    -------
    value : float, or array of the shape of the outputs
    gradient : ndarray of float, (n_parameters,)
        Of the value, or of the sum of its entries.

    Raises
    ------
    ValueError
        As `map_rows`, and what the program raises for a row, with the number of the part; if `reduce` is none of the
        two, or the mean is that of no rows.
    TypeError
        As `map_rows`; if there are no parameters.
    """
    _check_reduce(reduce)
    task = SumsOf(Function(program, threads, check), Table(columns))
    numbers = _parameters(program, parameters)
    if numbers is None:
        raise TypeError("parameters= is needed: a compiled function has none of its own")
    return reduced(_sums(parts_of(data), task, numbers), reduce)


@by_all_ranks
def minimize(
    program: Program | Compiled[..., Any],
    data: Any,
    optimizer: Optimizer,
    *,
    steps: int,
    reduce: Reduce = "mean",
    columns: Sequence[str] | None = None,
    threads: int = 1,
    check: bool = True,
    history: History | None = None,
    record: int | None = None,
) -> NDArray[float64]:
    """Take steps that make the mean or the sum over all rows smaller.

    The same, to the last bit, as ``optimizer.minimize(program, blocks, steps=...)`` with the parts as blocks.

    Parameters
    ----------
    program : Program or compiled function
        Of one output. What a program shares with the optimizer is trained. A function of `kilograd.compile` is called
        as ``f(row, parameters)`` with the data of the optimizer's parameters, in their order.
    data, columns, threads, check
        As `map_rows` takes them. Each step goes through all of it: data that fit into the memory of the workers are
        best kept there (``.persist()``, ``.materialize()``, ``.cache()``).
    optimizer : Optimizer
        Of this process. On `Ranks`, each rank has its own, and all begin alike.
    steps : int
    reduce : {"mean", "sum"}, default "mean"
    history, record
        As `Optimizer.minimize` takes them.

    Returns
    -------
    ndarray of float, (steps,)
        The loss before each step.

    Raises
    ------
    ValueError, TypeError
        As `value_and_grad` and `Optimizer.minimize`; the steps before have been made.
    """
    steps = whole_number("steps", steps, 0)
    _check_reduce(reduce)
    check_optimizer(optimizer)
    if isinstance(program, Program) and math.prod(program._core.shape) != 1:
        raise ValueError(f"minimize needs a program of one output, and this has the shape {program._core.shape}")
    trained = program.parameters if isinstance(program, Program) else optimizer.parameters
    task = SumsOf(Function(program, threads, check), Table(columns))
    parts = parts_of(data, passes=steps)

    def sums() -> Sums:
        return _sums(parts, task, arrays.data(trained))

    return optimizer._followed(
        lambda count: optimizer._minimize_sums(trained, sums, count, reduce), steps, history, record
    )


def _sums(parts: Parts, task: SumsOf, parameters: NDArray[float64]) -> Sums:
    return added(collected(parts, task, parameters), len(parameters))


def _check_reduce(reduce: object) -> None:
    if reduce not in ("mean", "sum"):
        raise ValueError(f'reduce is "mean" or "sum", not {reduce!r}')


def _parameters(program: Any, parameters: Any) -> NDArray[float64] | None:
    if parameters is None:
        return arrays.data(program.parameters) if isinstance(program, Program) else None
    numbers = tables.numbers(parameters, "parameters").astype(float)
    if numbers.ndim != 1:
        raise ValueError(f"parameters are a list of numbers, and these have the shape {numbers.shape}")
    if isinstance(program, Program) and len(numbers) != len(program.parameters):
        raise ValueError(f"parameters has {len(numbers)} numbers, and the program {len(program.parameters)} parameters")
    return numbers
