"""State of models as named arrays, and files of it: ``.npz`` without pickle, written whole or not at all."""

from __future__ import annotations

import errno
import math
import os
import secrets
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
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
    _check_names(places, state)
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


def _check_names(places: Collection[str], names: Collection[str]) -> None:
    missing, unknown = sorted(set(places) - set(names)), sorted(set(names) - set(places))
    if missing or unknown:
        raise ValueError(f"the state is of another model: {_some(missing)} missing, {_some(unknown)} too many")


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

    _check_path(path)
    arrays = {f"model/{name}": array for name, array in state_dict(model).items()}
    if optimizer is not None:
        arrays |= {f"optimizer/{name}": np.asarray(value) for name, value in optimizer.state_dict().items()}
    target = os.path.abspath(os.fspath(path))
    temporary = f"{target}.{secrets.token_hex(8)}.part"
    file = open(temporary, "xb")  # noqa: SIM115 - as everyone's files are; those of `tempfile` keep others out
    try:
        with file:
            np.savez(file, **{"format": np.array(_FORMAT), **arrays})  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def _check_path(path: Any) -> None:
    if hasattr(path, "parameters"):
        raise TypeError("the path comes first, then the model: save(path, model), load(path, model)")


def load(path: str | os.PathLike[str], model: Any, optimizer: Optimizer | None = None) -> None:
    """Read a file that `save` wrote into a model, and into an optimizer of the same kind.

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file is damaged or none of kilograd's, or was saved from another model or kind of optimizer, or
        without one where one is given. Nothing is changed.
    """
    _check_path(path)
    with open(path, "rb") as file, _blamed_on(path), zipfile.ZipFile(file) as archive:
        entries = _Entries(archive)
        if str(entries.read("format", (), "U")) != _FORMAT:
            raise ValueError(f"it is no {_FORMAT.rsplit(' ', 1)[0]} that this version reads")
        accept = [_read_model(entries, model)]
        if optimizer is not None:
            accept.append(_read_optimizer(entries, optimizer))
    for each in accept:
        each()


def _read_model(entries: _Entries, model: Any) -> Callable[[], None]:
    shapes = {name: _core.flatten(values, name)[1] for name, values in _places(model)}
    names = entries.below("model")
    _check_names(shapes, names)
    return _read_state(model, {name: entries.read(f"model/{name}", shapes[name], "biuf") for name in names})


def _read_optimizer(entries: _Entries, optimizer: Optimizer) -> Callable[[], None]:
    names = entries.below("optimizer")
    if not names:
        raise ValueError("it was saved without an optimizer")
    known: dict[str, tuple[tuple[int, ...], str]] = {"kind": ((), "U"), "steps": ((), "iu"), "lr": ((), "biuf")}
    _, settings, _, averages = optimizer._rule.state()
    known |= dict.fromkeys(settings, ((), "biuf"))
    known |= dict.fromkeys(averages, ((len(optimizer.parameters),), "biuf"))
    # What is unknown is not read: the optimizer refuses its name.
    state = {
        name: _scalar(entries.read(f"optimizer/{name}", *known[name])) if name in known else None for name in names
    }
    return optimizer._read_state(state)


@contextmanager
def _blamed_on(path: str | os.PathLike[str]) -> Iterator[None]:
    """Whatever goes wrong in reading a file's content is a ValueError with the file's name."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the system's refusal; EINVAL is a seek to where the file has nothing
        raise ValueError(f"{os.fspath(path)} is damaged, or no checkpoint for this: {error}") from error


class _Entries:
    """The arrays of an ``.npz`` file, each read after a look at what it claims to be.

    Nothing is inflated beyond what the reader expects; NumPy itself would read whatever size an entry gives.
    """

    _LONGEST_HEADER = 1000  # characters; those of plain arrays have about 100, and are parsed as Python literals
    _LONGEST_TEXT = 1000  # bytes

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._entries: dict[str, zipfile.ZipInfo] = {}
        end = 0
        for entry in sorted(archive.infolist(), key=lambda entry: entry.header_offset):
            name = entry.filename.removesuffix(".npy")
            if name == entry.filename or name in self._entries or not (name == "format" or _group(name)):
                raise ValueError(f"it has an unexpected entry {entry.filename!r}")
            if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"{name} is encrypted, or compressed in an unusual way")
            if entry.header_offset < end:
                raise ValueError(f"{name} overlaps what is before it")
            end = entry.header_offset + zipfile.sizeFileHeader + entry.compress_size  # type: ignore[attr-defined]
            self._entries[name] = entry

    def below(self, group: str) -> list[str]:
        """The names that begin with ``group/``, without that."""
        return [name.partition("/")[2] for name in self._entries if _group(name) == group]

    def read(self, name: str, shape: tuple[int, ...], kinds: str) -> NDArray[Any]:
        """The array of a name, which must be of a shape and of one of some kinds of NumPy types."""
        from numpy import frombuffer
        from numpy.lib import format as npy

        if name not in self._entries:
            raise ValueError(f"{name} is missing")
        entry = self._entries[name]
        with self._archive.open(entry) as file:
            if npy.read_magic(file) != (1, 0):
                raise ValueError(f"{name} is no plain array")
            try:
                found, by_columns, dtype = npy.read_array_header_1_0(file, max_header_size=self._LONGEST_HEADER)
            except (MemoryError, RecursionError):  # the parser's, for what is nested too deeply
                raise ValueError(f"{name} is no plain array") from None
            if dtype.kind not in kinds or found != shape or (dtype.kind == "U" and dtype.itemsize > self._LONGEST_TEXT):
                raise ValueError(f"{name} is {dtype} of shape {found}, where shape {shape} is needed")
            size = dtype.itemsize * math.prod(shape)
            if entry.file_size != file.tell() + size:
                raise ValueError(f"{name} is not as long as it says")
            data = file.read(size)
            if len(data) != size or file.read(1):  # the latter compares checksums
                raise ValueError(f"{name} is not as long as it says")
        return frombuffer(data, dtype).reshape(shape, order="F" if by_columns else "C")


def _group(name: str) -> str:
    group, slash, rest = name.partition("/")
    return group if group in ("model", "optimizer") and slash and rest else ""


def _scalar(array: Any) -> Any:
    return array.item() if array.ndim == 0 else array
