"""Sparse Jacobians and Hessians with a fixed pattern: SciPy's arrays, and stacks of them.

SciPy is imported where one of its arrays is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Stack", "csr", "entries_of"]


class Stack:
    """Sparse matrices of one pattern: of each row of a batch its Jacobian or Hessian.

    The pattern stands there once, and the entries are one array, as solvers take them that are given a pattern
    beforehand. ``stack[r]`` is the matrix of row r as a ``scipy.sparse.csr_array`` of its own.

    Attributes
    ----------
    data : array of float, (rows, entries)
        The entries, in the order of the pattern.
    indptr, indices : array of int32
        The pattern, with the names and the meaning that SciPy's CSR arrays give them: the entries of row i of a matrix
        are number ``indptr[i]`` to ``indptr[i + 1] - 1``, and `indices` has their columns.
    shape : tuple of int
        The rows of the batch, and the rows and columns of each matrix.

    Examples
    --------
    >>> import numpy as np
    >>> import kilograd
    >>> f = kilograd.compile(lambda x: x[1:] * x[:-1])
    >>> stack = f.batch.jacobian(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), sparse=True)
    >>> stack
    <2 sparse matrices of 2 x 3, with 4 entries each>
    >>> stack.data
    array([[2., 1., 3., 2.],
           [5., 4., 6., 5.]])
    >>> stack[1].toarray()
    array([[5., 4., 0.],
           [0., 6., 5.]])
    """

    __slots__ = ("data", "indices", "indptr", "shape")

    def __init__(
        self, data: NDArray[np.float64], indptr: NDArray[np.int32], indices: NDArray[np.int32], width: int
    ) -> None:
        self.data = data
        self.indptr = indptr
        self.indices = indices
        self.shape = (len(data), len(indptr) - 1, width)

    @property
    def nnz(self) -> int:
        """The number of entries in each matrix."""
        return len(self.indices)

    def __len__(self) -> int:
        return len(self.data)

    @overload
    def __getitem__(self, key: SupportsIndex) -> Any: ...
    @overload
    def __getitem__(self, key: slice) -> Stack: ...
    def __getitem__(self, key: SupportsIndex | slice) -> Any:
        """Give one matrix, a copy, or the stack of some."""
        if isinstance(key, slice):
            return Stack(self.data[key], self.indptr, self.indices, self.shape[2])
        row = range(len(self.data))[key.__index__()]
        return csr(self.data[row].copy(), self.indptr.copy(), self.indices.copy(), self.shape[2])

    def __iter__(self) -> Iterator[Any]:
        return (self[row] for row in range(len(self.data)))

    def toarray(self) -> NDArray[np.float64]:
        """Give the whole matrices, an array of shape `shape`."""
        import numpy as np

        count, height, width = self.shape
        whole = np.zeros((count, height * width))
        row = np.repeat(np.arange(height), np.diff(self.indptr))
        whole[:, row * width + self.indices] = self.data
        return whole.reshape(self.shape)

    def __repr__(self) -> str:
        count, height, width = self.shape
        return f"<{count} sparse matrices of {height} x {width}, with {self.nnz} entries each>"


def csr(entries: ArrayLike, starts: NDArray[np.int32], columns: NDArray[np.int32], width: int) -> Any:
    """The array with these entries: those of row r are number ``starts[r]`` to ``starts[r + 1] - 1``."""
    try:
        from scipy.sparse import csr_array
    except ImportError:
        raise ImportError("sparse arrays are SciPy's, which is not installed: pip install scipy") from None
    return csr_array((entries, columns, starts), shape=(len(starts) - 1, width))


def entries_of(array: Any, starts: NDArray[np.int32], columns: NDArray[np.int32], width: int) -> NDArray[np.float64]:
    """The entries of such an array or stack, to be written; one of another pattern is refused."""
    is_stack = isinstance(array, Stack)
    if not is_stack and getattr(array, "format", None) != "csr":
        raise TypeError(
            f"out must be what a call with sparse=True gave, a csr array or a Stack, not {type(array).__name__}"
        )
    same = array.shape[-2:] == (len(starts) - 1, width) and len(array.indices) == len(columns)
    if not (same and (array.indptr == starts).all() and (array.indices == columns).all()):
        raise ValueError("out is a sparse array of another pattern: give one that a call with sparse=True gave")
    return array.data  # type: ignore[no-any-return]
