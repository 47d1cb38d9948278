"""SciPy's sparse arrays with a fixed pattern. SciPy is imported where one is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["csr", "entries_of"]


def csr(entries: ArrayLike, starts: NDArray[np.int32], columns: NDArray[np.int32], width: int) -> Any:
    """The array with these entries: those of row r are number ``starts[r]`` to ``starts[r + 1] - 1``."""
    try:
        from scipy.sparse import csr_array
    except ImportError:
        raise ImportError("sparse arrays are SciPy's, which is not installed: pip install scipy") from None
    return csr_array((entries, columns, starts), shape=(len(starts) - 1, width))


def entries_of(array: Any, starts: NDArray[np.int32], columns: NDArray[np.int32], width: int) -> NDArray[np.float64]:
    """The entries of such an array, to be written; one of another pattern is refused."""
    if getattr(array, "format", None) != "csr":
        raise TypeError(f"out must be a csr array that a call with sparse=True gave, not {type(array).__name__}")
    same = array.shape == (len(starts) - 1, width) and len(array.indices) == len(columns)
    if not (same and (array.indptr == starts).all() and (array.indices == columns).all()):
        raise ValueError("out is a sparse array of another pattern: give one that a call with sparse=True gave")
    return array.data  # type: ignore[no-any-return]
