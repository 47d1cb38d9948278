"""Functions of whole matrices, which are stages: what NumPy and SciPy give, and derivatives of both orders.

Each is compared with NumPy's number, its gradient with differences, its Hessian with differences of the gradient, and
where matrices are small enough to be computed entry by entry, with what that gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg

import kilograd
from kilograd.compiled import elimination

N = elimination.LARGEST + 4
RNG = np.random.default_rng(5)
BASE, TALL = RNG.normal(size=(N, N)), RNG.normal(size=(40, 3))
DIRECTIONS, RIGHT, WEIGHTS = RNG.normal(size=(3, N, N)), RNG.normal(size=N), RNG.normal(size=(N, N))
SYMMETRIC = BASE @ BASE.T / N + np.eye(N)
X = np.array([0.3, -0.2, 0.5])


def general(x: Any) -> Any:
    return BASE + 4 * np.eye(N) + np.tensordot(np.sin(x), DIRECTIONS, 1)


def positive(x: Any) -> Any:
    root = np.tensordot(x, DIRECTIONS, 1)
    return SYMMETRIC + root @ root.T / N


def tall(x: Any) -> Any:
    return TALL * x + np.cos(np.outer(np.arange(40.0), x))


def matrix_function(a: Any, f: Callable[[Any], Any]) -> Any:
    values, vectors = np.linalg.eigh(a)
    return (vectors * f(values)) @ vectors.T


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "solve": lambda x: RIGHT @ np.linalg.solve(general(x), RIGHT * x[0]),
    "solve-columns": lambda x: np.sum(WEIGHTS[:, :2] * np.linalg.solve(general(x), DIRECTIONS[0][:, :2] * x[1])),
    "solve-stack": lambda x: np.sum(
        np.linalg.solve(np.stack([general(x), positive(x)]), WEIGHTS[:, :1])[:, 3] * [[1.0], [2.0]]
    ),
    "solve-method": lambda x: np.exp(-(np.linalg.solve(positive(x), RIGHT) ** 2)).sum(),
    "inv": lambda x: np.sum(WEIGHTS * np.linalg.inv(general(x))),
    "det": lambda x: np.linalg.det(general(x) / 5),
    "slogdet": lambda x: np.prod(np.linalg.slogdet(general(x))),
    "cholesky": lambda x: np.sum(WEIGHTS * np.linalg.cholesky(positive(x))),
    "cholesky-upper": lambda x: np.sum(WEIGHTS * np.linalg.cholesky(general(x) + 60 * np.eye(N), upper=True)),
    "lstsq": lambda x: np.sum(np.linalg.lstsq(tall(x), np.sin(np.arange(40.0) * x[0]))[0] * [1.0, 2.0, -1.0]),
    "lstsq-residuals": lambda x: np.linalg.lstsq(tall(x), np.outer(np.arange(40.0), x[:2]))[1] @ [1.0, 0.5],
    "scipy-solve": lambda x: RIGHT @ scipy.linalg.solve(positive(x), RIGHT, assume_a="pos"),
    "scipy-solve-transposed": lambda x: RIGHT @ scipy.linalg.solve(general(x), RIGHT, transposed=True),
    "scipy-inv-det": lambda x: scipy.linalg.inv(general(x))[2, 3] + scipy.linalg.det(general(x) / 5),
    "scipy-cholesky": lambda x: np.sum(WEIGHTS * scipy.linalg.cholesky(positive(x))),
    "cho-solve": lambda x: RIGHT @ scipy.linalg.cho_solve(scipy.linalg.cho_factor(positive(x), lower=True), RIGHT),
    "triangular": lambda x: RIGHT @ scipy.linalg.solve_triangular(general(x), RIGHT, lower=True),
    "triangular-unit": lambda x: (
        RIGHT @ scipy.linalg.solve_triangular(general(x) / 9, RIGHT, trans=1, unit_diagonal=True)
    ),
    "eigvalsh": lambda x: np.sum(WEIGHTS[0] * np.linalg.eigvalsh(positive(x))),
    "eigvalsh-upper": lambda x: np.linalg.eigvalsh(general(x)[:5, :5], UPLO="U")[[0, -1]] @ x[:2],
    "eigvalsh-stack": lambda x: np.sum(
        np.log(np.linalg.eigvalsh(np.stack([positive(x), positive(-x)]))) * [[1.0], [2.0]]
    ),
    "eigh": lambda x: (
        np.sum(WEIGHTS[0, :4] * np.linalg.eigh(general(x)[:4, :4])[0])
        + np.sum(WEIGHTS[:4, :4] * np.linalg.eigh(general(x)[:4, :4])[1])
    ),
    "eigh-upper": lambda x: np.sum(WEIGHTS[:3, :3] * np.linalg.eigh(general(x)[:3, :3], "U").eigenvectors),
    "eigh-function": lambda x: np.sum(WEIGHTS * matrix_function(positive(x), np.sqrt)),
    "scipy-eigvalsh": lambda x: scipy.linalg.eigvalsh(positive(x), lower=False)[-1],
    "scipy-eigh": lambda x: scipy.linalg.eigh(positive(x), eigvals_only=True)[1],
    "expm": lambda x: np.sum(WEIGHTS[:3, :3] * scipy.linalg.expm(np.outer(x, np.sin(x)) + np.diag(x))),
    "expm-stack": lambda x: np.sum(scipy.linalg.expm(np.stack([np.outer(x, x), np.outer(x, x[::-1])]))[:, 0, 1]),
}


def slopes(f: Callable[[Any], Any], x: Any, h: float = 1e-5) -> Any:
    ends = [[np.asarray(f(x + sign * h * e)) for e in np.eye(len(x))] for sign in (1, -1)]
    return (np.array(ends[0]) - np.array(ends[1])).T / (2 * h)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_derivatives(name: str):
    function = FUNCTIONS[name]
    f = kilograd.compile(function)
    value, gradient = f.value_and_grad(X)
    size = abs(value) + abs(gradient).max()
    np.testing.assert_allclose(value, function(X), rtol=1e-11)
    np.testing.assert_allclose(gradient, slopes(function, X), rtol=1e-6, atol=1e-7 * size)
    np.testing.assert_allclose(f.jacobian(X), gradient, rtol=1e-11, atol=1e-12 * size)
    hessian = f.hessian(X)
    np.testing.assert_allclose(hessian, slopes(f.grad, X), rtol=1e-5, atol=1e-6 * size)
    np.testing.assert_allclose(f.hvp(X, X), hessian @ X, rtol=1e-9, atol=1e-11 * size)
    rows = np.array([X, -X, 0.5 * X])
    np.testing.assert_allclose(f.batch(rows), [function(x) for x in rows], rtol=1e-11)
    _, gradients = f.batch.value_and_grad(rows)
    np.testing.assert_allclose(gradients, [f.grad(x) for x in rows], rtol=1e-9, atol=1e-11 * size)
    assert len(f._paths) == 1


@pytest.mark.parametrize(
    "name", ["solve", "inv", "det", "slogdet", "cholesky", "cholesky-upper", "cho-solve", "triangular"]
)
def test_as_entry_by_entry(monkeypatch: pytest.MonkeyPatch, name: str):
    function = FUNCTIONS[name]
    whole = kilograd.compile(function)
    with monkeypatch.context() as patch:
        patch.setattr(elimination, "LARGEST", N)
        entries = kilograd.compile(lambda x: function(x))
        for method in ("value_and_grad", "hessian"):
            for one, other in zip(getattr(whole, method)(X), getattr(entries, method)(X), strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-9)


def test_by_the_entries_of_a_matrix():
    f = kilograd.compile(lambda a, b: np.linalg.solve(a, b) @ np.arange(float(N)), argnums=(0, 1))
    A, b = general(X), RIGHT
    by_a, by_b = f.grad(A, b)
    u = np.linalg.solve(A.T, np.arange(float(N)))
    np.testing.assert_allclose(by_b, u, rtol=1e-12)
    np.testing.assert_allclose(by_a, -np.outer(u, np.linalg.solve(A, b)), rtol=1e-10, atol=1e-14)
    lower = kilograd.grad(lambda a: np.linalg.cholesky(a).sum())(positive(X))
    assert (np.triu(lower, 1) == 0.0).all()  # NumPy does not look there


def test_inside_of_loops_and_gradients():
    def f(x):
        def step(carry, y):
            return carry + 0.1 * np.linalg.solve(general(x), carry * y), None

        total, _ = kilograd.scan(step, np.ones(N) * x[2], np.array([1.0, 2.0]))
        inner = kilograd.grad(lambda z: np.linalg.slogdet(positive(z))[1])(x)
        return total.sum() + inner @ inner

    compiled = kilograd.compile(f)
    np.testing.assert_allclose(compiled.grad(X), slopes(compiled, X), rtol=1e-5)


def test_errors_are_those_of_numpy():
    solve = kilograd.compile(lambda x: np.linalg.solve(np.eye(N) * x[0], np.ones(N)).sum())
    assert solve(X) == pytest.approx(N / X[0])
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        solve(0 * X)
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        kilograd.grad(lambda x: np.linalg.inv(np.eye(N) * x[0]).sum())(0 * X)
    root = kilograd.compile(lambda x: np.linalg.cholesky(np.eye(N) * x[0]).sum())
    assert root(X) == pytest.approx(N * X[0] ** 0.5)
    with pytest.raises(np.linalg.LinAlgError, match="positive definite"):
        root(-X)
    det = kilograd.compile(lambda x: np.linalg.det(np.eye(N) * x[0]))
    assert det(0 * X) == 0.0
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        det.grad(0 * X)
    with pytest.raises(np.linalg.LinAlgError, match="square"):
        kilograd.grad(lambda x: np.linalg.inv(np.ones((N, 2)) * x[0]).sum())(X)


def test_an_error_that_the_function_handles():
    def f(x):
        try:
            return np.linalg.cholesky(np.eye(N) * x[0]).sum()
        except np.linalg.LinAlgError:
            return 7.0 * x[0]

    compiled = kilograd.compile(f)
    for x in (X, -X, 2 * X):
        assert compiled(x) == pytest.approx(f(x))


def test_least_squares_of_full_rank_alone():
    f = kilograd.compile(lambda x: np.linalg.lstsq(np.outer(np.arange(5.0), [1.0, x[0]]) + x[1], np.ones(5))[0].sum())
    with pytest.raises(TypeError, match="full column rank"):
        f(np.array([1.0, 0.5, 0.0]))
    with pytest.raises(TypeError, match="full column rank"):
        kilograd.compile(lambda x: np.linalg.lstsq(np.ones((2, 3)) * x, x[:2])[0])(X)
    with pytest.raises(TypeError, match="rcond"):
        kilograd.compile(lambda x: np.linalg.lstsq(tall(x), np.ones(40), rcond=0.1)[0])(X)
    for use in (lambda s: s[0], lambda s: np.sum(s), lambda s: s.max()):
        with pytest.raises(TypeError, match="singular values"):
            kilograd.compile(lambda x, use=use: use(np.linalg.lstsq(tall(x), np.ones(40))[3]) * x[0])(X)


def test_a_path_that_meets_a_matrix_without_full_rank_later():
    f = kilograd.compile(
        lambda x: np.linalg.lstsq(np.stack([x, [0.0, 0.0, 1.0], [1.0, 1.0, 0.0], x]), np.ones(4))[0].sum()
    )
    assert np.isfinite(f(X))
    with pytest.raises(TypeError, match="full column rank"):
        f(np.array([1.0, 1.0, 2.0]))


SMALL = BASE[:3, :3] + 4 * np.eye(3)
STACK = np.stack([SMALL, SMALL.T])
SOLUTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "triangular": lambda a, b: scipy.linalg.solve_triangular(a, b),
    "triangular-turned": lambda a, b: scipy.linalg.solve_triangular(a, b, trans=1, lower=True, unit_diagonal=True),
    "cho-solve": lambda a, b: scipy.linalg.cho_solve((a, False), b),
    "cho-solve-lower": lambda a, b: scipy.linalg.cho_solve((a, True), b),
}


@pytest.mark.parametrize("name", SOLUTIONS)
def test_stacks_of_right_sides_and_of_triangles(name: str):
    # Each matrix by itself, for older releases of SciPy take no stacks.
    solve = SOLUTIONS[name]
    right = BASE[:12, 5].reshape(2, 3, 2)
    want = np.stack([solve(SMALL, right[0]), solve(SMALL, right[1])])
    np.testing.assert_allclose(kilograd.compile(lambda a, b: solve(a, b))(SMALL, right), want, rtol=1e-12)
    want = np.stack([solve(STACK[0], right[0]), solve(STACK[1], right[1])])
    np.testing.assert_allclose(kilograd.compile(lambda a, b: solve(a, b))(STACK, right), want, rtol=1e-12)
    want = np.stack([solve(STACK[0], right[0, :, 0]), solve(STACK[1], right[0, :, 0])])
    np.testing.assert_allclose(kilograd.compile(lambda a, b: solve(a, b))(STACK, right[0, :, 0]), want, rtol=1e-12)


@pytest.mark.parametrize("rows", [3, N])
@pytest.mark.parametrize("name", ["solve", "scipy-solve", *SOLUTIONS])
def test_right_sides_of_another_length_are_refused(name: str, rows: int):
    more: dict[str, Callable[[Any, Any], Any]] = {
        "solve": lambda a, b: np.linalg.solve(a, b),
        "scipy-solve": lambda a, b: scipy.linalg.solve(a, b),
    }
    solve, a = (SOLUTIONS | more)[name], np.eye(rows)
    for shape in ((rows + 1,), (2 * rows,), (2 * rows, 2), (1, rows), (0,), (rows - 1, 2), ()):
        with pytest.raises(ValueError, match="right sides"):
            kilograd.compile(lambda a, b, solve=solve: solve(a, b))(a, np.ones(shape))


def test_determinants_of_singular_matrices_have_both_derivatives():
    det = kilograd.compile(lambda a: np.linalg.det(a))
    rng = np.random.default_rng(2)
    for n in (4, 6):
        cases = [np.diag([1.0, 2.0, 3.0, 4.0, 5.0, 6.0][:rank] + [0.0] * (n - rank)) for rank in range(n)]
        for rank in range(1, n):  # of small integers, whose pivots are often exactly 0
            first, second = rng.integers(-2, 3, size=(n, rank)), rng.integers(-2, 3, size=(rank, n))
            cases += [(first @ second).astype(float), np.eye(n)[:, ::-1] * (np.arange(n) < rank)]
        for a in cases:
            assert det(a) == pytest.approx(0.0, abs=1e-9)
            minors = np.array(
                [
                    [(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(a, i, 0), j, 1)) for j in range(n)]
                    for i in range(n)
                ]
            )
            np.testing.assert_allclose(det.grad(a), minors, rtol=1e-9, atol=1e-9)
            v = rng.normal(size=(n, n))
            found = (det.grad(a + 1e-5 * v) - det.grad(a - 1e-5 * v)) / 2e-5
            scale = 1.0 + abs(found).max()
            np.testing.assert_allclose(det.hvp(a, v), found, atol=1e-4 * scale)


LARGE = np.array([[1.0, 0.2, 0.3], [0.4, 5.0, 6.0], [7.0, 8.0, 1.0]])


@pytest.mark.parametrize(
    "matrix",
    [
        1e200 * LARGE,
        -1e200 * LARGE,
        1e200 * LARGE[:2, :2],
        1e200 * np.array([[1.0, 7.0], [4.0, 5.0]]),
        np.diag([1e-300, 1e200, 1e200]) @ LARGE,
        np.diag([1e200, 1e200, 1e-250, 1e-200]) + np.eye(4, k=1),
        np.diag([1e200, 1e200, 1e200, 1e-200]),
        1e30 * BASE,
        np.array([[np.inf, 1.0], [2.0, 3.0]]),
        np.array([[np.nan, 1.0], [2.0, 3.0]]),
    ],
)
def test_determinants_of_large_entries_are_those_of_numpy(matrix: Any):
    f = kilograd.compile(np.linalg.det)
    g = kilograd.compile(lambda a: np.linalg.det(a) * 2.0)
    g(np.eye(len(matrix)) + 0.1)  # another path
    with np.errstate(all="ignore"):
        wanted = np.linalg.det(matrix)
    for found in (f(matrix), f(matrix), 0.5 * g(matrix), f.batch(matrix[None])[0]):
        np.testing.assert_allclose(found, wanted, rtol=1e-12 * (1 + abs(np.log10(abs(matrix[0, 0])))))


@pytest.mark.parametrize("n", [1, 3, 30])
def test_slogdet_of_a_singular_matrix_has_no_derivative(n: int):
    singular = np.diag(np.arange(float(n)))
    sign, size = kilograd.compile(lambda a: np.linalg.slogdet(a))(singular)
    assert (sign, size) == (0.0, -np.inf)
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
        kilograd.compile(lambda a: np.linalg.slogdet(a)[1]).grad(singular)


def degenerate(*values: float) -> Any:
    """A symmetric matrix with these eigenvalues, up to rounding."""
    q, _ = np.linalg.qr(BASE[: len(values), : len(values)])
    return (q * values) @ q.T


@pytest.mark.parametrize("triangle", ["L", "U"])
def test_derivatives_of_eigenvalues_go_where_the_triangle_is(triangle: str):
    a = general(X)[:4, :4]
    f = kilograd.compile(lambda a: np.linalg.eigvalsh(a, triangle) @ np.arange(4.0))
    found = f.grad(a)
    _, v = np.linalg.eigh(a, triangle)
    whole = (v * np.arange(4.0)) @ v.T
    kept = np.tril(np.ones((4, 4)), -1) if triangle == "L" else np.triu(np.ones((4, 4)), 1)
    np.testing.assert_allclose(found, whole * (2 * kept + np.eye(4)), rtol=1e-10, atol=1e-13)
    np.testing.assert_array_equal(
        kilograd.compile(lambda a: np.linalg.eigvalsh(a, triangle))(a), np.linalg.eigvalsh(a, triangle)
    )
    values, vectors = kilograd.compile(lambda a: np.linalg.eigh(a, triangle))(a)
    np.testing.assert_array_equal(values, np.linalg.eigh(a, triangle)[0])
    np.testing.assert_array_equal(vectors, v)


def test_derivatives_of_eigenvalues_with_50_digits():
    mpmath = pytest.importorskip("mpmath")
    a, d = degenerate(0.5, 1.0, 1.25, 3.0), BASE[5:9, 5:9] + BASE[5:9, 5:9].T
    f = kilograd.compile(lambda t: np.linalg.eigvalsh(a + t * d))
    with mpmath.workdps(50):

        def eigenvalue(t: Any, k: int) -> Any:
            whole = mpmath.matrix(np.tril(a).tolist()) + mpmath.matrix(np.tril(a, -1).T.tolist())
            moved = mpmath.matrix(np.tril(d).tolist()) + mpmath.matrix(np.tril(d, -1).T.tolist())
            return sorted(mpmath.eigsy(whole + t * moved, eigvals_only=True))[k]

        for k in range(4):
            first = mpmath.diff(lambda t, k=k: eigenvalue(t, k), 0, 1, h=mpmath.mpf("1e-12"))
            second = mpmath.diff(lambda t, k=k: eigenvalue(t, k), 0, 2, h=mpmath.mpf("1e-12"))
            assert f(0.0)[k] == pytest.approx(float(eigenvalue(0, k)), rel=1e-14)
            assert f.jacobian(0.0)[k] == pytest.approx(float(first), rel=1e-12)
            of_one = kilograd.compile(lambda t, k=k: np.linalg.eigvalsh(a + t * d)[k])
            assert of_one.hessian(0.0) == pytest.approx(float(second), rel=1e-11)


@pytest.mark.parametrize(
    "matrix",
    [np.eye(3), np.diag([2.0, 2.0, 1.0]), np.ones((4, 4)), np.zeros((3, 3)), degenerate(1.0, 1.0, 1.0, 2.0, 2.0)],
)
def test_equal_eigenvalues(matrix: Any):
    n = len(matrix)
    squares = kilograd.compile(lambda a: np.sum(np.linalg.eigvalsh(a) ** 2))
    np.testing.assert_allclose(squares.grad(matrix), 2 * matrix * (2 * np.tri(n, k=-1) + np.eye(n)), atol=1e-14)
    largest = kilograd.compile(lambda a: np.linalg.eigvalsh(a) @ np.arange(float(n)))
    vectors = kilograd.compile(lambda a: np.sum(np.linalg.eigh(a)[1]))
    values = kilograd.compile(np.linalg.eigvalsh)

    def along(direction: Any) -> Any:
        return kilograd.compile(lambda t: np.linalg.eigvalsh(matrix + t * direction))

    for derivative in (
        lambda: largest.grad(matrix),
        lambda: largest.batch.value_and_grad(np.stack([np.diag(np.arange(float(n))), matrix])),
        lambda: values.jacobian(matrix),
        lambda: along(BASE[:n, :n]).jacobian(0.0),
        lambda: squares.hvp(matrix, BASE[:n, :n]),
        lambda: vectors.grad(matrix),
        lambda: vectors.hvp(matrix, np.eye(n)),
    ):
        with pytest.raises(np.linalg.LinAlgError, match="Equal eigenvalues, where this derivative does not exist"):
            derivative()
    np.testing.assert_allclose(along(np.eye(n)).jacobian(0.0), np.ones(n), rtol=1e-13)  # keeps them equal


def test_one_eigenvalue_beside_equal_ones():
    matrix = degenerate(1.0, 1.0, 1.0, 4.0)
    f = kilograd.compile(lambda a: np.linalg.eigvalsh(a)[-1])
    v = np.linalg.eigh(matrix)[1][:, -1]
    np.testing.assert_allclose(f.grad(matrix), np.outer(v, v) * (2 * np.tri(4, k=-1) + np.eye(4)), atol=1e-14)
    vector = kilograd.compile(lambda a: np.linalg.eigh(a)[1][0, -1] ** 2)  # whichever sign it has
    apart = matrix + np.diag([0.0, 0.0, 1e-9, 2e-9])
    np.testing.assert_allclose(vector.grad(matrix), vector.grad(apart), atol=1e-7)


def test_eigenvalues_of_what_numpy_refuses():
    with pytest.raises(ValueError, match="UPLO"):
        kilograd.compile(lambda a: np.linalg.eigvalsh(a, "X"))(np.eye(3))
    with pytest.raises(np.linalg.LinAlgError, match="square"):
        kilograd.compile(lambda a: np.linalg.eigvalsh(a))(np.ones((3, 2)))
    with pytest.raises(TypeError, match="one matrix, without options"):
        kilograd.compile(lambda a: scipy.linalg.eigvalsh(a, driver="ev"))(np.eye(3))
    with pytest.raises(TypeError, match="one matrix, without options"):
        kilograd.compile(lambda a: scipy.linalg.eigvalsh(a, a))(np.eye(3))


def test_a_few_eigenvalues():
    for n in (0, 1, 2):
        a = general(X)[:n, :n]
        f = kilograd.compile(lambda a: np.linalg.eigvalsh(a))
        np.testing.assert_allclose(f(a), np.linalg.eigvalsh(a), rtol=1e-14)
        values, vectors = kilograd.compile(lambda a: np.linalg.eigh(a))(a)
        np.testing.assert_array_equal(values, np.linalg.eigh(a)[0])
        np.testing.assert_array_equal(vectors, np.linalg.eigh(a)[1])
