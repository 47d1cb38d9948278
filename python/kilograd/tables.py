"""What counts as a table of numbers: arrays, and the frames, series and columns of any library.

A table means its rows. It is known by the protocols that libraries share: NumPy's ``__array__``, ``to_numpy``, Arrow's
``__arrow_c_stream__`` and ``__arrow_c_array__``, the data frames' ``__dataframe__``. Whatever has one of them goes
through NumPy before anybody iterates over it, since what a table iterates over may be the names of its columns, or the
columns. What has no order of columns, or is no number, is refused with what to write instead:

- a dict, a set, text, complex numbers, dates, objects are a TypeError;
- a missing value (a masked entry, ``None``, ``pandas.NA``) is a ValueError. Where a library itself gives NumPy a NaN
  for it, as pandas, polars and Arrow do for columns of numbers, it is a NaN: `fit` and `predict` refuse those as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from kilograd import _core

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Rows", "SameOrder", "array", "is_table", "listed", "names_of", "numbers", "refuse_unordered", "sample"]

T = TypeVar("T")

_NUMPY = ("__array__", "__array_interface__", "__array_struct__")
_ARROW = ("__arrow_c_stream__", "__arrow_c_array__", "__dataframe__")

_REMEDIES = {
    "c": "take the real part, .real, or the magnitude, abs()",
    "M": "make them numbers first, (t - t0) / numpy.timedelta64(1, 's') for seconds",
    "m": "make them numbers first, t / numpy.timedelta64(1, 's') for seconds",
    "V": "make one column of each field, numpy.lib.recfunctions.structured_to_unstructured(array)",
    "Value": "kilograd.arrays.data(values) gives the numbers of Values",
}
_DEFAULT_REMEDY = "convert them, as with .astype(float), or leave the column out"
_FILL = "fill them in or leave the rows out"


def array(thing: Any, what: str) -> NDArray[Any] | None:
    """Give the array of something that is an array or a table; None for anything else, as lists and numbers.

    Parameters
    ----------
    thing : object
    what : str
        What the thing is, for messages.

    Returns
    -------
    ndarray or None
        Of real numbers, or of objects: the entries of a column that holds others than numbers, or Values.

    Raises
    ------
    TypeError
        If it is a dict, a set or text, or holds complex numbers, dates, records or text.
    ValueError
        If an entry is masked or missing.
    """
    kind = type(thing)
    if kind is list or kind is tuple:
        return None
    if any(hasattr(kind, name) for name in _NUMPY):
        found = thing
    elif hasattr(kind, "to_numpy"):
        found = thing.to_numpy()
    elif any(hasattr(kind, name) for name in _ARROW):
        found = _through_arrow(thing, what)
    else:
        refuse_unordered(thing, what)
        return None
    import numpy as np

    refuse_masks(found, what)
    result = np.asarray(found)
    if result.dtype.kind not in "biufO":
        raise _not_real(result.dtype, result.dtype.kind, what)
    if result.dtype.kind == "O" and not isinstance(thing, np.ndarray):
        _refuse_missing(result, what)
    return result


def is_table(thing: Any) -> bool:
    """Whether something is an array or a table, whatever its entries are."""
    return any(hasattr(type(thing), name) for name in (*_NUMPY, "to_numpy", *_ARROW))


def numbers(thing: Any, what: str) -> NDArray[Any]:
    """Give an array of real numbers for arrays, tables, nested lists of numbers, and numbers.

    Raises
    ------
    TypeError, ValueError
        As `array`; a TypeError also if an entry is no real number, and a ValueError if rows differ in length.
    """
    import numpy as np

    found = array(thing, what)
    if found is None:
        refuse_masks(thing, what)
        found = np.asarray(thing)
    if found.dtype.kind == "O" and not found.size:
        return found.astype(float)  # no entries, whose lists would have no columns
    if found.dtype.kind == "O":
        try:
            found = np.asarray(found.tolist())  # columns of several types; rows that are lists or arrays of their own
        except ValueError as error:
            raise ValueError(f"{what}: the rows differ in length") from error
    if found.dtype.kind == "O":
        _refuse_missing(found, what)
        for entry in found.flat:
            if not isinstance(entry, (int, float, np.integer, np.floating)) or isinstance(entry, np.timedelta64):
                raise _not_real(type(entry).__name__, type(entry).__name__, what)
        return found.astype(float)  # integers of more than 64 bits
    if found.dtype.kind not in "biuf":
        raise _not_real(found.dtype, found.dtype.kind, what)
    return found


def listed(thing: Any, what: str) -> Any:
    """Give the rows of an array or table as lists of numbers, or whatever something iterates over.

    Returns
    -------
    list, or a number
        A number where an array has no dimensions.

    Raises
    ------
    TypeError, ValueError
        As `array`; a TypeError also if it is nothing that can be iterated over.
    """
    found = array(thing, what)
    if found is not None:
        return found.tolist()
    try:
        entries = iter(thing)
    except TypeError:
        raise TypeError(
            f"{what}: numbers and Values are needed, in lists, arrays or tables, and not {type(thing).__name__}"
        ) from None
    return list(entries)


def sample(x: Any) -> Sequence[Any]:
    """Give what a model is called with as a list of numbers and Values: a number alone is a list of one.

    Raises
    ------
    TypeError, ValueError
        As `array`; a ValueError also for a table of several columns, which is many samples.
    """
    found = array(x, "the inputs")
    if found is None:
        try:
            return list(x)
        except TypeError:  # the unwrapped output of a layer of one neuron
            return [x]
    import numpy as np

    if found.ndim == 0:
        return [found.tolist()]
    if found.ndim == 1:
        return found.tolist()  # type: ignore[no-any-return]
    if not isinstance(x, np.ndarray):
        raise ValueError(
            f"a model takes one sample, a row of numbers, and not a table of the shape {found.shape}: "
            "kilograd.predict(model, table) gives the outputs for all its rows"
        )
    return list(found)  # the rows, as Python iterates over an array


class Rows:
    """The rows of a table, or some of them: each as a list of numbers, or all as an array.

    Parameters
    ----------
    rows : list or ndarray
        A list is taken as it is. Rows of an array become lists when they are asked for, once each.
    which : ndarray of int, optional
        Which rows of an array, in this order. They are not copied before all are asked for.
    through : callable, optional
        From an array of some rows to what takes their place.
    """

    def __init__(
        self,
        rows: list[Any] | NDArray[Any],
        which: NDArray[np.int64] | None = None,
        through: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
    ) -> None:
        self._table = None if isinstance(rows, list) else rows
        self._which = which
        self._through = through
        self._made: Any = rows if self._table is None else {}  # what a model does to a row stays done
        self._count = len(rows if which is None else which)

    @property
    def is_table(self) -> bool:
        """Whether they are those of an array, and so all of one kind."""
        return self._table is not None

    @property
    def is_table_of_floats(self) -> bool:
        """Whether they are those of an array of floats, as it is."""
        return self._table is not None and self._through is None and self._table.dtype.kind == "f"

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, i: int) -> Any:
        if self._table is not None and i not in self._made:
            k = i if self._which is None else int(self._which[i])
            row = self._table[k] if self._through is None else self._through(self._table[k : k + 1])[0]
            self._made[i] = row.tolist()
        return self._made[i]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def take(self, which: NDArray[np.int64]) -> Rows:
        """Some of the rows, in this order."""
        if self._table is not None:
            return Rows(self._table, which if self._which is None else self._which[which], self._through)
        return Rows([self[i] for i in which.tolist()])

    def array(self) -> NDArray[Any]:
        """All of them as NumPy has them."""
        import numpy as np

        if self._table is None:
            return np.asarray(self._made)
        found = self._table if self._which is None else np.take(self._table, self._which, axis=0)
        return found if self._through is None else self._through(found)

    def copy_into(self, matrix: NDArray[np.float64], first: int) -> bool:
        """Write them into columns of a matrix, from `first` on, if they are some of an array of float64 in C order."""
        table, which = self._table, self._which
        if table is None or which is None or table.dtype != "float64":
            return False
        if not (table.flags.c_contiguous and table.flags.aligned):
            return False
        _core.take_rows(table, which.astype("int64", copy=False), matrix, first)  # not all systems count in 64 bits
        return True

    def mapped(self, through: Callable[[NDArray[Any]], NDArray[Any]]) -> Rows:
        """What a function makes of them, as an array: of a table when it is asked for."""
        if self._table is None or self._through is not None:
            return Rows(through(self.array()))
        return Rows(self._table, self._which, through)


def names_of(table: Any) -> list[Any] | None:
    """The names of a table's columns; None for what has none, as arrays."""
    names = getattr(table, "column_names", None)  # Arrow, whose .columns are the columns themselves
    if names is None:
        names = getattr(table, "columns", None)
    return None if names is None else list(names)


class SameOrder:
    """Tables whose rows are taken together, by places: where they have names for their columns, in one order."""

    def __init__(self) -> None:
        self._first: list[Any] | None = None

    def checked(self, table: T) -> T:
        """Give a table back.

        Raises
        ------
        ValueError
            If a column has another place than in the first table that came.
        """
        names = names_of(table)
        if names is not None:
            first = self._first = self._first or names
            moved = [name for name, there in zip(names, first, strict=False) if name != there and name in first]
            if moved:
                raise ValueError(
                    f"the columns are {', '.join(map(str, names))}, and those of the first table "
                    f"{', '.join(map(str, first))}: {moved[0]!r} has another place, and rows are taken by places; put "
                    "all columns in one order, as by table[names]"
                )
        return table


def _through_arrow(thing: Any, what: str) -> Any:
    """The array of a table that NumPy cannot read by itself."""
    name = type(thing).__name__
    try:
        import pyarrow
        import pyarrow.interchange
    except ImportError:
        raise TypeError(
            f"{what}: a {name} is a table that NumPy cannot read without pyarrow; install it, or pass an array"
        ) from None
    if hasattr(thing, "__arrow_c_array__"):
        found = pyarrow.array(thing)
        return pyarrow.RecordBatch.from_struct_array(found) if pyarrow.types.is_struct(found.type) else found
    if hasattr(thing, "__arrow_c_stream__"):
        return pyarrow.table(thing)
    return pyarrow.interchange.from_dataframe(thing)


def refuse_unordered(thing: Any, what: str) -> None:
    """Raise TypeError for a dict, a set, text, and a table that is still to be computed."""
    if isinstance(thing, (str, bytes, bytearray)):
        remedy = "float(text) makes a number of it"
    elif isinstance(thing, Mapping):
        remedy = "its keys are names and no numbers; list(d.values()) has its values, pandas.DataFrame(d) is a table"
    elif isinstance(thing, (set, frozenset)):
        remedy = "it has no order; a list has"
    elif hasattr(type(thing), "collect") and not hasattr(type(thing), "__iter__"):
        remedy = "it is still to be computed; .collect() gives the table"
    else:
        return
    raise TypeError(f"{what}: a list, an array or a table is needed, and not {type(thing).__name__}; {remedy}")


def _refuse_missing(found: NDArray[Any], what: str) -> None:
    import numpy as np

    for place, entry in np.ndenumerate(found):
        if place and (entry is None or type(entry).__name__ in ("NAType", "NaTType")):
            raise ValueError(
                f"{what}: row {place[0]} has a missing value, {entry}; {_FILL}, as with .fillna() or .dropna()"
            )


def refuse_masks(thing: Any, what: str) -> None:
    """NumPy would lose the mask of an array, in nested lists as well."""
    import numpy as np

    if type(thing) in (list, tuple):
        for part in thing:
            if not isinstance(part, (int, float)):
                refuse_masks(part, what)
    elif isinstance(thing, np.ma.MaskedArray) and np.ma.is_masked(thing):
        raise ValueError(f"{what}: entries are masked; {_FILL}, as with .filled(value) or .compressed()")


def _not_real(found: object, kind: str, what: str) -> TypeError:
    return TypeError(f"{what}: real numbers are needed, not {found}; {_REMEDIES.get(kind, _DEFAULT_REMEDY)}")
