"""The functions of `numpy.linalg` and `scipy.linalg` of traced matrices: by `elimination`, or whole by `matrices`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kilograd import _core
from kilograd.compiled import elimination
from kilograd.compiled.conditions import refusal
from kilograd.compiled.eigenvalues import EIGENVALUES, EIGENVECTORS, Triangle
from kilograd.compiled.elimination import Elimination, SingularError, cholesky_lower, determinant, solved, with_triangle
from kilograd.compiled.matrices import EXPONENTIAL, LEAST_SQUARES, LOG_DETERMINANT, RankError, computed
from kilograd.compiled.protocols import axes_of, constant, implements
from kilograd.compiled.traced import Objects, entries, has_values, index_of, traced


def _of_constants(*arrays: Any) -> bool:
    return not any(has_values(entries(each)) for each in arrays)


def _floats(*arrays: Any) -> list[Any]:
    return [entries(each).astype(np.float64) for each in arrays]


def _square(a: Any, what: str) -> Objects:
    matrix = entries(a)
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2]:
        raise np.linalg.LinAlgError(f"{what} needs square matrices, not an array of shape {matrix.shape}")
    return matrix


def _columns_for(matrix: Objects, b: Any, what: str) -> tuple[Objects, int]:
    """Right sides as a stack for `_each`: one column, or matrices with as many rows as the matrix has."""
    right = entries(b)
    kind = 1 if right.ndim == 1 else 2
    if right.ndim == 0 or right.shape[-kind] != matrix.shape[-1]:
        raise ValueError(f"{what}: a matrix of shape {matrix.shape} takes no right sides of shape {right.shape}")
    return right, kind


def _each(function: Callable[..., Any], *stacks: tuple[Objects, int]) -> list[Any]:
    """Call a function for each matrix of stacks, which broadcast; a stack with the dimensions of its matrices."""
    lead = np.broadcast_shapes(*[stack.shape[: stack.ndim - k] for stack, k in stacks])
    wide = [np.broadcast_to(stack, lead + stack.shape[stack.ndim - k :]) for stack, k in stacks]
    results = [function(*[stack[place] for stack in wide]) for place in np.ndindex(lead)]
    if isinstance(results[0], tuple):
        return [_stacked([result[i] for result in results], lead) for i in range(len(results[0]))]
    return [_stacked(results, lead)]


def _stacked(results: list[Any], lead: tuple[int, ...]) -> Any:
    if not lead:
        return traced(results[0])
    first = results[0]
    shape = first.shape if isinstance(first, np.ndarray) else ()
    out = np.empty((len(results), *shape), dtype=object)
    for k, result in enumerate(results):
        out[k] = result
    return traced(out.reshape(lead + shape))


@implements(np.linalg.det)
def _det(a: Any) -> Any:
    if _of_constants(a):
        return constant(np.linalg.det(*_floats(a)))
    return _each(determinant, (_square(a, "det"), 2))[0]


_SIGN_AND_LOG: Any = type(np.linalg.slogdet(np.eye(1)))  # named tuples, whose home is private
_VALUES_AND_VECTORS: Any = type(np.linalg.eigh(np.eye(1)))


@implements(np.linalg.slogdet)
def _slogdet(a: Any) -> Any:
    if _of_constants(a):
        return constant(np.linalg.slogdet(*_floats(a)))

    def one(matrix: Objects) -> tuple[Any, Any]:
        try:
            made = Elimination(matrix) if len(matrix) <= elimination.LARGEST else None
        except SingularError:
            made = None
        if made is None:  # large, or singular: then the derivative, which is the inverse, is an error
            found = computed(LOG_DETERMINANT, matrix)
            return found[0], found[1]
        return made.sign_and_log_size()

    sign, size = _each(one, (_square(a, "slogdet"), 2))
    return _SIGN_AND_LOG(sign, size)


@implements(np.linalg.inv)
def _inv(a: Any) -> Any:
    if _of_constants(a):
        return constant(np.linalg.inv(*_floats(a)))

    def one(matrix: Objects) -> Objects:
        return solved(matrix, np.eye(len(matrix)).astype(object))

    return _each(one, (_square(a, "inv"), 2))[0]


@implements(np.linalg.solve)
def _solve(a: Any, b: Any) -> Any:
    if _of_constants(a, b):
        return constant(np.linalg.solve(*_floats(a, b)))
    if _of_constants(a):  # of any size: the inverse does what elimination would
        return np.matmul(np.linalg.inv(*_floats(a)), traced(entries(b)))
    matrix = _square(a, "solve")
    return _each(solved, (matrix, 2), _columns_for(matrix, b, "solve()"))[0]


@implements(np.linalg.cholesky)
def _cholesky(a: Any, *, upper: bool = False) -> Any:
    if _of_constants(a):
        lower = np.linalg.cholesky(*(np.swapaxes(each, -1, -2) if upper else each for each in _floats(a)))
        return constant(np.swapaxes(lower, -1, -2) if upper else lower)

    def one(matrix: Objects) -> Objects:
        factor = cholesky_lower(matrix, upper)
        return factor.T.copy() if upper else factor

    return _each(one, (_square(a, "cholesky"), 2))[0]


@implements(np.linalg.norm)
def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    array = traced(entries(x))
    if axis is None and ord is None:
        size = np.sqrt(np.sum(array * array))
        return np.reshape(size, (1,) * np.ndim(array)) if keepdims else size
    axes = axes_of(axis, array.ndim)
    if len(axes) == 1:
        return _vector_norm(array, ord, axes[0], keepdims)
    if len(axes) != 2:
        raise ValueError("norm() is of vectors or matrices")
    if ord in (None, "fro", "f"):
        return np.sqrt(np.sum(array * array, axis=axes, keepdims=keepdims))
    if ord not in (1, -1, np.inf, -np.inf):
        raise refusal(f"the norm {ord!r} of a matrix is not recorded, as singular values are not")
    summed, other = axes if abs(ord) == 1 else axes[::-1]
    sums = np.sum(np.abs(array), axis=summed, keepdims=True)
    result = (np.max if ord > 0 else np.min)(sums, axis=other, keepdims=True)
    return result if keepdims else np.squeeze(result, axes)[()]


def _vector_norm(array: Any, ord: Any, axis: int, keepdims: bool) -> Any:
    if ord in (None, 2):
        return np.sqrt(np.sum(array * array, axis=axis, keepdims=keepdims))
    size = np.abs(array)
    if ord in (np.inf, -np.inf):
        return (np.max if ord > 0 else np.min)(size, axis=axis, keepdims=keepdims)
    if ord == 0:
        return np.sum(array != 0.0, axis=axis, keepdims=keepdims) * 1.0
    if ord == 1:
        return np.sum(size, axis=axis, keepdims=keepdims)
    return np.sum(size**ord, axis=axis, keepdims=keepdims) ** (1.0 / ord)


class _SingularValues:
    """In the result of lstsq(), where they are nobody's business: what uses them is told so."""

    def __array__(self, *args: Any, **options: Any) -> Any:
        raise refusal("the singular values that lstsq() gives are not recorded")

    def __getattr__(self, name: str) -> Any:
        raise refusal("the singular values that lstsq() gives are not recorded")

    __len__ = __iter__ = __getitem__ = __array__


@implements(np.linalg.lstsq)
def _lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    matrix, right = entries(a), entries(b)
    if matrix.ndim != 2 or right.ndim not in (1, 2):
        raise np.linalg.LinAlgError(f"lstsq() takes a matrix and columns, not {matrix.shape} and {right.shape}")
    (m, n), columns = matrix.shape, right.reshape(len(right), -1)
    if len(right) != m:
        raise np.linalg.LinAlgError("Incompatible dimensions")
    if not n or rcond is not None:
        raise refusal("lstsq() with rcond= is not recorded: leave it out, for a matrix of full column rank")
    try:
        x = computed(LEAST_SQUARES, matrix, columns)
    except RankError as error:
        raise refusal(f"lstsq() is recorded of matrices of full column rank: {error}") from None
    rest = traced(columns) - traced(matrix) @ traced(x)
    squares = np.sum(rest * rest, axis=0) if m > n else np.empty(0)
    return traced(x.reshape(n, *right.shape[1:])), squares, n, _SingularValues()


@implements(np.polyfit)
def _polyfit(x: Any, y: Any, deg: Any, rcond: Any = None, full: Any = False, w: Any = None, cov: Any = False) -> Any:
    if rcond is not None or full or cov:
        raise refusal("polyfit() is recorded without rcond=, full= and cov=")
    weights = 1.0 if w is None else traced(entries(w)[:, None])
    powers = np.vander(traced(entries(x)), index_of(deg) + 1) * weights
    scale = np.sqrt((powers * powers).sum(axis=0))
    right = traced(entries(y))
    columns = right.reshape(len(right), -1) * weights
    found = np.linalg.lstsq(powers / scale, columns)[0] / scale[:, None]
    return found.reshape(len(found), *right.shape[1:])


def _triangle(name: str) -> Triangle:
    if name.upper() not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    return "L" if name.upper() == "L" else "U"


@implements(np.linalg.eigvalsh)
def _eigvalsh(a: Any, UPLO: str = "L") -> Any:  # noqa: N803 - NumPy's name
    triangle = _triangle(UPLO)
    if _of_constants(a):
        return constant(np.linalg.eigvalsh(entries(a).astype(np.float64), triangle))

    def one(m: Objects) -> Objects:
        if len(m) == 1:
            return np.array(m[0])
        if len(m) > min(2, elimination.LARGEST):
            return computed(EIGENVALUES[triangle], m)
        off = m[1, 0] if triangle == "L" else m[0, 1]
        middle = 0.5 * (m[0, 0] + m[1, 1])
        reach = _core._hypot(0.5 * (m[0, 0] - m[1, 1]), off)
        out = np.empty(2, dtype=object)
        out[:] = [middle - reach, middle + reach]
        return out

    return _each(one, (_square(a, "eigvalsh"), 2))[0]


@implements(np.linalg.eigh)
def _eigh(a: Any, UPLO: str = "L") -> Any:  # noqa: N803
    triangle = _triangle(UPLO)
    if _of_constants(a):
        values, vectors = map(constant, np.linalg.eigh(entries(a).astype(np.float64), triangle))
    else:
        both = _each(lambda m: computed(EIGENVECTORS[triangle], m), (_square(a, "eigh"), 2))[0]
        values, vectors = both[..., 0, :], both[..., 1:, :]
    return _VALUES_AND_VECTORS(values, vectors)


# --- scipy.linalg


def _scipy_cholesky(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    # SciPy looks at the triangle that it returns.
    def one(matrix: Objects) -> Objects:
        factor = cholesky_lower(matrix, upper=not lower)
        return factor if lower else factor.T.copy()

    return _each(one, (_square(a, "cholesky"), 2))[0]


def _cho_factor(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    return _scipy_cholesky(a, lower), lower


def _cho_solve(c_and_lower: Any, b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Any:
    factor, lower = c_and_lower
    matrix = _square(factor, "cho_solve")

    def one(triangle: Objects, right: Objects) -> Objects:
        y = with_triangle(triangle, right, lower=lower, trans=not lower)
        return with_triangle(triangle, y, lower=lower, trans=bool(lower))

    return _each(one, (matrix, 2), _columns_for(matrix, b, "cho_solve()"))[0]


def _solve_triangular(
    a: Any,
    b: Any,
    trans: Any = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    matrix = _square(a, "solve_triangular")
    turned = trans in (1, 2, "T", "C")

    def one(triangle: Objects, right: Objects) -> Objects:
        return with_triangle(triangle, right, lower=lower, unit=unit_diagonal, trans=turned)

    return _each(one, (matrix, 2), _columns_for(matrix, b, "solve_triangular()"))[0]


def _scipy_solve(
    a: Any,
    b: Any,
    lower: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    assume_a: Any = None,
    transposed: bool = False,
) -> Any:
    matrix = entries(a)
    if assume_a in ("sym", "symmetric", "her", "hermitian", "pos", "positive definite"):  # one triangle counts
        kept = np.tril(np.ones(matrix.shape[-2:], dtype=bool)) if lower else np.triu(np.ones(matrix.shape[-2:], bool))
        matrix = np.where(kept, matrix, np.swapaxes(matrix, -1, -2))
    elif assume_a not in (None, "gen", "general"):
        raise refusal(f"solve() with assume_a={assume_a!r} is not recorded: leave it out")
    return _solve(traced(np.swapaxes(matrix, -1, -2) if transposed else matrix), b)


def _scipy_inv(a: Any, **options: Any) -> Any:
    return _inv(a)


def _scipy_det(a: Any, **options: Any) -> Any:
    return _det(a)


def _expm(a: Any) -> Any:
    return _each(lambda matrix: computed(EXPONENTIAL, matrix), (_square(a, "expm"), 2))[0]


def _scipy_eigvalsh(
    a: Any,
    b: Any = None,
    *,
    lower: bool = True,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    type: int = 1,  # of the problem with b
    check_finite: bool = True,
    **options: Any,
) -> Any:
    if b is not None or any(option is not None for option in options.values()):
        raise refusal("eigvalsh() is recorded of one matrix, without options of the solver or subsets of its result")
    return _eigvalsh(a, "L" if lower else "U")


def _scipy_eigh(a: Any, b: Any = None, *, eigvals_only: bool = False, **options: Any) -> Any:
    if not eigvals_only:
        raise refusal("scipy.linalg.eigh() is recorded with eigvals_only=True: for vectors write numpy.linalg.eigh()")
    return _scipy_eigvalsh(a, b, **options)


SCIPY: dict[str, Callable[..., Any]] = {
    "cholesky": _scipy_cholesky,
    "cho_factor": _cho_factor,
    "cho_solve": _cho_solve,
    "solve_triangular": _solve_triangular,
    "solve": _scipy_solve,
    "inv": _scipy_inv,
    "det": _scipy_det,
    "eigh": _scipy_eigh,
    "eigvalsh": _scipy_eigvalsh,
    "expm": _expm,
}
"""The twins of `scipy.linalg`, by name."""
