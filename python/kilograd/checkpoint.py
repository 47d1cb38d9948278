"""State of models as named arrays, and files of it: ``.npz`` without pickle, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kilograd import _core
from kilograd._core import Value

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    from kilograd.optim import Optimizer

__all__ = ["load", "load_state_dict", "save", "state_dict"]

_FORMAT = "kilograd checkpoint 1"


# Named arrays


def state_dict(model: Any) -> dict[str, NDArray[float64]]:
    """The data of all parameters of a model, as float arrays named after where they are.

    Parameters
    ----------
    model : object
        Values are found in its attributes, in lists and tuples, and in objects with a method `parameters` among
        them, to any depth. What ``model.parameters()`` has beyond that comes as ``"parameters"``.

    Returns
    -------
    dict
        ``{"layers.0.neurons.0.w": ..., "layers.0.neurons.0.b": ..., ...}``. A list of Values is one array, a single
        Value an array of shape ().
    """
    from kilograd.arrays import data

    return {name: data(values) for name, values in _places(model)}


def load_state_dict(model: Any, state: Mapping[str, Any]) -> None:
    """Set the data of a model's parameters from what `state_dict` gave.

    Raises
    ------
    ValueError
        If names or shapes are not the model's. Nothing is changed.
    """
    _read_state(model, state)()


def _read_state(model: Any, state: Mapping[str, Any]) -> Callable[[], None]:
    """Check a state; what is returned makes it the model's."""
    import numpy as np

    places = dict(_places(model))
    missing, unknown = sorted(places.keys() - state.keys()), sorted(state.keys() - places.keys())
    if missing or unknown:
        raise ValueError(f"the state is of another model: {_some(missing)} missing, {_some(unknown)} too many")
    pairs = []
    for name, values in places.items():
        flat, shape = _core.flatten(values, name)
        array = np.asarray(state[name])
        if array.shape != shape or array.dtype.kind not in "biuf":
            raise ValueError(
                f"{name} is {array.dtype} of shape {array.shape}, and the model has float of shape {shape}"
            )
        pairs.append((flat, np.ascontiguousarray(array, dtype=float).reshape(-1)))

    def accept() -> None:
        for flat, array in pairs:
            _core.write_data(flat, array)

    return accept


def _some(names: list[str]) -> str:
    if len(names) <= 3:
        return ", ".join(names) or "nothing"
    return f"{', '.join(names[:3])} and {len(names) - 3} more"


def _places(model: Any) -> list[tuple[str, Any]]:
    """Where a model keeps its parameters: names, each with a Value or a nested list of Values."""
    parameters = list(model.parameters())
    wanted = {id(p): p for p in parameters}
    found = []
    for name, values in _walk("", model, set()):
        flat, _ = _core.flatten(values, name)
        mine = [v for v in flat if wanted.pop(id(v), None) is not None]
        if len(mine) == len(flat):
            found.append((name, values))
        else:  # not all of them are parameters, or some are known under another name
            wanted.update({id(v): v for v in mine})
    rest = [p for p in parameters if id(p) in wanted]
    return [*found, ("parameters", rest)] if rest else found


def _walk(name: str, thing: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    if isinstance(thing, Value):
        yield name, thing
    elif isinstance(thing, (list, tuple, dict)) or hasattr(thing, "parameters"):
        if id(thing) in seen:
            return
        seen.add(id(thing))
        if isinstance(thing, (list, tuple)) and _is_tensor(thing):
            yield name, thing
            return
        items = vars(thing).items() if hasattr(thing, "parameters") else _items(thing)
        for key, value in items:
            yield from _walk(f"{name}.{key}" if name else str(key), value, seen)


def _items(thing: Any) -> Any:
    return thing.items() if isinstance(thing, dict) else enumerate(thing)


def _is_tensor(thing: Any) -> bool:
    """Whether this is a rectangular list of Values."""
    try:
        flat, _ = _core.flatten(thing, "")
    except (TypeError, ValueError):
        return False
    return bool(flat) and all(isinstance(v, Value) for v in flat)


# Files


def save(path: str | os.PathLike[str], model: Any, optimizer: Optimizer | None = None) -> None:
    """Write a model's parameters, and an optimizer's state, to a file.

    The file appears under its name when it is complete; what stood there before stays until then. Training that goes
    on from it gives the same numbers to the last bit.

    Parameters
    ----------
    path : path-like
        An ``.npz`` archive of arrays: ``numpy.load`` reads it, and no pickle is in it.
    model : object with a method `parameters`
    optimizer : Optimizer, optional
    """
    import numpy as np

    arrays = {f"model/{name}": array for name, array in state_dict(model).items()}
    if optimizer is not None:
        arrays |= {f"optimizer/{name}": np.asarray(value) for name, value in optimizer.state_dict().items()}
    target = os.path.abspath(os.fspath(path))
    number, temporary = tempfile.mkstemp(dir=os.path.dirname(target), prefix=os.path.basename(target), suffix=".part")
    try:
        with os.fdopen(number, "wb") as file:
            np.savez(file, **{"format": np.array(_FORMAT), **arrays})  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp keeps others out; an ordinary file does not
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def load(path: str | os.PathLike[str], model: Any, optimizer: Optimizer | None = None) -> None:
    """Read a file that `save` wrote into a model, and into an optimizer of the same kind.

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file is damaged or none of kilograd's, or was saved from another model or kind of optimizer, or
        without one where one is given. Nothing is changed.
    """
    arrays = _read(path)
    model_state = {name[6:]: array for name, array in arrays.items() if name.startswith("model/")}
    accept = [_read_state(model, model_state)]
    if optimizer is not None:
        state = {name[10:]: _scalar(array) for name, array in arrays.items() if name.startswith("optimizer/")}
        if not state:
            raise ValueError(f"{os.fspath(path)} was saved without an optimizer")
        accept.append(optimizer._read_state(state))
    for each in accept:
        each()


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    import numpy as np

    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise
    except (OSError, ValueError, EOFError, AttributeError, TypeError, KeyError, zipfile.BadZipFile) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the system's refusal, not the file's content
        raise ValueError(f"{os.fspath(path)} is damaged, or no checkpoint: {error}") from error
    if "format" not in arrays or str(arrays["format"]) != _FORMAT:
        raise ValueError(f"{os.fspath(path)} is no {_FORMAT.rsplit(' ', 1)[0]} that this version reads")
    return arrays


def _scalar(array: Any) -> Any:
    return array.item() if array.ndim == 0 else array


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
