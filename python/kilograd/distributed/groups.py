"""`map_fits`: many small fits, one for each group of the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar, overload

from kilograd.compiled.tracing import add_note

__all__ = ["GroupError", "map_fits"]

K = TypeVar("K")
R = TypeVar("R")


class GroupError(RuntimeError):
    """Some groups could not be fitted; the others were.

    Attributes
    ----------
    errors : dict
        What was raised, by the keys of the groups (in a list, their places).
    results : dict
        What the others gave, by theirs.
    """

    def __init__(self, errors: dict[Any, Exception], results: dict[Any, Any]) -> None:
        key, first = next(iter(errors.items()))
        super().__init__(
            f"{len(errors)} of {len(errors) + len(results)} groups failed, first the group {key!r}: "
            f"{type(first).__name__}: {first}. The attribute results has the other groups' results; "
            'errors="return" puts errors in their places'
        )
        self.errors = errors
        self.results = results

    def __reduce__(self) -> tuple[Any, ...]:
        return GroupError, (self.errors, self.results)


@overload
def map_fits(
    function: Callable[[Any], R],
    groups: Mapping[K, Any],
    *,
    engine: Literal["joblib", "dask", "ray"] | None = ...,
    workers: int = ...,
    errors: Literal["raise"] = ...,
) -> dict[K, R]: ...
@overload
def map_fits(
    function: Callable[[Any], R],
    groups: Sequence[Any],
    *,
    engine: Literal["joblib", "dask", "ray"] | None = ...,
    workers: int = ...,
    errors: Literal["raise"] = ...,
) -> list[R]: ...
@overload
def map_fits(
    function: Callable[[Any], Any],
    groups: Any,
    *,
    engine: Literal["joblib", "dask", "ray"] | None = ...,
    workers: int = ...,
    errors: Literal["raise", "return"],
) -> Any: ...
def map_fits(
    function: Callable[[Any], Any],
    groups: Any,
    *,
    engine: Literal["joblib", "dask", "ray"] | None = None,
    workers: int = -1,
    errors: Literal["raise", "return"] = "raise",
) -> Any:
    """Call a function with each group of the data, many at once: thousands of small fits.

    Parameters
    ----------
    function : callable
        From the data of a group to a result: numbers, arrays, whatever can be pickled.
    groups : dict, pandas or polars groupby, or iterable
        The data of each group by its key, or the data of one after the other.
    engine : {"joblib", "dask", "ray"}, optional
        Who calls it: processes of joblib, the cluster of Dask whose client is in force, or that of Ray; by default this
        process, for one after the other.
    workers : int, default -1
        Processes of joblib; -1 takes all processors. The size of a cluster is its own.
    errors : {"raise", "return"}, default "raise"
        What becomes of errors: a `GroupError` when all groups are done, or the error in the place of the result.

    Returns
    -------
    dict, or list
        The results by their keys, in the order of the groups; of an iterable a list.

    Raises
    ------
    GroupError
        If a group failed. It has the results of the others.
    ImportError
        If the engine is not installed; with what to install.
    TypeError
        If `function` cannot be called, or `groups` are none.
    ValueError
        If `engine` or `errors` is none of those above.

    Examples
    --------
    >>> from kilograd.distributed import map_fits
    >>> map_fits(max, {"a": [1, 3], "b": [2]})
    {'a': 3, 'b': 2}
    """
    if errors not in ("raise", "return"):
        raise ValueError(f'errors is "raise" or "return", not {errors!r}')
    if engine not in (None, *_CALLERS):
        raise ValueError(f'engine is "joblib", "dask", "ray" or None, not {engine!r}')
    if not callable(function):
        raise TypeError(f"a function of the data of a group is needed, and not {function!r:.80}")
    keys, data = _groups(groups)
    call = _Attempt(function)
    results = list(map(call, data)) if engine is None else _CALLERS[engine](call, data, workers)
    failed: dict[Any, Exception] = {}
    for k, result in enumerate(results):
        if isinstance(result, _Failed):
            key = k if keys is None else keys[k]
            add_note(result.error, f"in the group {key!r}")
            results[k] = failed[key] = result.error
    named = dict(enumerate(results)) if keys is None else dict(zip(keys, results, strict=True))
    if failed and errors == "raise":
        found = GroupError(failed, {key: result for key, result in named.items() if key not in failed})
        raise found from next(iter(failed.values()))
    return results if keys is None else named


def _groups(groups: Any) -> tuple[list[Any] | None, list[Any]]:
    """The keys, if there are any, and the data."""
    if isinstance(groups, Mapping):
        return list(groups), list(groups.values())
    if hasattr(type(groups), "columns") or hasattr(type(groups), "__array__"):
        raise TypeError(f"groups are needed, and not one table: {type(groups).__name__}; write .groupby(...)")
    if type(groups).__module__.startswith(("pandas.", "polars.")):  # a groupby gives pairs
        pairs = list(groups)
        keys = [key for key, _ in pairs]
        if len(set(keys)) != len(keys):
            raise ValueError("two groups have the same key")
        return keys, [data for _, data in pairs]
    if isinstance(groups, str) or not isinstance(groups, Iterable):
        raise TypeError(f"a dict, a groupby or a list of groups is needed, and not {type(groups).__name__}")
    return None, list(groups)


class _Failed:
    def __init__(self, error: Exception) -> None:
        self.error = error


class _Attempt:
    """A call whose error is a result: no other group shall be lost by it, and no engine try it again."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def __call__(self, data: Any) -> Any:
        from kilograd.distributed.parts import Refusal

        try:
            return self.function(data)
        except Exception as error:
            return _Failed(Refusal(error).error)


def _by_joblib(call: _Attempt, data: list[Any], workers: int) -> list[Any]:
    try:
        from joblib import Parallel, delayed
    except ImportError:
        raise ImportError("the processes are joblib's: pip install joblib") from None
    return list(Parallel(n_jobs=workers)(delayed(call)(group) for group in data))


def _by_dask(call: _Attempt, data: list[Any], workers: int) -> list[Any]:
    try:
        import dask
    except ImportError:
        raise ImportError("the cluster is Dask's: pip install 'kilograd[dask]'") from None
    calls = dask.delayed(call, pure=False)
    return list(dask.compute(*[calls(dask.delayed(group, traverse=False)) for group in data]))


def _by_ray(call: _Attempt, data: list[Any], workers: int) -> list[Any]:
    try:
        import ray
    except ImportError:
        raise ImportError("the cluster is Ray's: pip install 'kilograd[ray]'") from None
    function = ray.put(call)
    called = ray.remote(_called)
    return list(ray.get([called.remote(function, group) for group in data]))


def _called(call: _Attempt, data: Any) -> Any:
    return call(data)


_CALLERS = {"joblib": _by_joblib, "dask": _by_dask, "ray": _by_ray}
