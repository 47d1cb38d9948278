"""Sparse Jacobians and Hessians of compiled functions with stages, and those of batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.test_derivatives import near, tridiagonal

import kilograd
from kilograd.sparse import Stack

# --- functions with stages


def energy(x: Any) -> Any:
    """Rosenbrock's function, summed up by a loop."""

    def step(total: Any, pair: Any) -> Any:
        one, other = pair
        return total + 100.0 * (other - one**2) ** 2 + (1.0 - one) ** 2, None

    return kilograd.scan(step, 0.0, (x[:-1], x[1:]))[0]


@pytest.mark.parametrize("n", [5, 1_500])
def test_sums_in_loops_are_as_sparse_as_their_terms(n: int) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    f, x = kilograd.compile(energy), np.linspace(-1.0, 1.0, n)
    hessian = f.hessian(x, sparse=True)
    assert hessian.nnz == f.sparsity(x, of="hessian").nnz == 3 * n - 2
    near(hessian.toarray(), optimize.rosen_hess(x))
    near(f.hessian(x), optimize.rosen_hess(x))  # as few sweeps, in dense form
    assert f.sparsity(x).nnz == n
    (path,) = next(iter(f._paths.values()))
    assert path.program.sweeps(True, (0, n)).count == 3  # type: ignore[union-attr]


def test_states_of_a_loop_depend_on_what_came_before() -> None:
    @kilograd.compile
    def states(u: Any, start: Any) -> Any:
        def step(s: Any, force: Any) -> Any:
            s = (s[0] + 0.1 * s[1], s[1] + 0.1 * (np.sin(s[0]) + force))
            return s, s[0]

        return kilograd.scan(step, (start, 0.0), u)[1]

    u = np.linspace(-1.0, 1.0, 12)
    found = states.jacobian(u, 0.3, sparse=True)
    assert found.nnz == 12 * 11 // 2
    near(found.toarray(), states.jacobian(u, 0.3))
    assert states.jacobian(u, 0.3, argnums=(0, 1), sparse=True).nnz == 12 * 11 // 2 + 12


def test_one_number_that_all_terms_have_takes_a_sweep_of_its_own() -> None:
    @kilograd.compile
    def f(x: Any, scale: Any) -> Any:
        return kilograd.scan(lambda c, v: (c + np.exp(scale * v), np.sin(v) * scale), 0.0, x)

    def total(x: Any, scale: Any) -> Any:
        c, y = f(x, scale)
        return c + (y**2).sum()

    x = np.linspace(0.1, 0.9, 40)
    g = kilograd.compile(total)
    arrow = g.hessian(x, 0.7, argnums=(0, 1), sparse=True)
    assert arrow.nnz == 40 + 40 + 41
    ((a, b), (c, d)) = g.hessian(x, 0.7, argnums=(0, 1))
    near(arrow.toarray(), np.block([[a, b[:, None]], [c[None], d]]))
    (path,) = next(iter(g._paths.values()))
    assert path.program.sweeps(True, (0, 41)).count == 2  # type: ignore[union-attr]
    # A row and a column that are full: a sweep for each of them in its own direction.
    h = kilograd.compile(lambda x, scale: np.append(f(x, scale)[1], f(x, scale)[0]))
    found = h.jacobian(x, 0.7, argnums=(0, 1), sparse=True)
    assert found.nnz == 40 + 40 + 41
    near(found.toarray(), np.column_stack(h.jacobian(x, 0.7, argnums=(0, 1))))
    (path,) = next(iter(h._paths.values()))
    assert path.program.sweeps(False, (0, 41)).count <= 3  # type: ignore[union-attr]


def test_columns_of_right_sides_and_rules_are_apart() -> None:
    n = 26  # more than are eliminated entry by entry
    matrix = 3.0 * np.eye(n) + np.ones((n, n))

    @kilograd.compile
    def f(a: Any, x: Any) -> Any:
        right = np.zeros((n, 2))
        right[:, 0] = x[0] * np.arange(n)
        right[:, 1] = x[1] ** 2
        found = np.linalg.solve(matrix + a * np.eye(n), right)
        return np.array([found[3, 0], found[4, 1], x[2]])

    x = np.array([0.3, 0.4, 0.5])
    assert f.jacobian(2.0, x, argnums=1, sparse=True).nnz == 3
    found = f.jacobian(2.0, x, argnums=(0, 1), sparse=True)
    assert found.nnz == 5
    near(found.toarray(), np.column_stack(f.jacobian(2.0, x, argnums=(0, 1))))
    g = kilograd.compile(lambda a, x: f(a, x).sum())
    assert g.sparsity(2.0, x, of="hessian", argnums=1).nnz == 1  # x[1] ** 2; linear in the rest
    sign = kilograd.compile(lambda x: np.array(np.linalg.slogdet(matrix + x[0] * np.eye(n))))
    assert sign.sparsity(x).toarray().tolist() == [[False] * 3, [True, False, False]]
    lower = kilograd.compile(lambda x: np.linalg.cholesky(matrix + np.triu(np.full((n, n), x[0]), 1))[5, :4])
    assert lower.sparsity(x).nnz == 0
    near(lower.jacobian(x), np.zeros((4, 3)))


def test_loops_of_any_number_of_turns_have_what_any_number_gives() -> None:
    @kilograd.compile
    def f(x: Any) -> Any:
        a, b, c, _ = kilograd.while_loop(
            lambda v: v[3] < x[3], lambda v: (v[1], v[2], np.sin(v[2]), v[3] + 1.0), (x[0], x[1], x[2], 0.0)
        )
        return np.array([a, b, c])

    for turns in (0.0, 1.0, 2.0, 5.0):
        x = np.array([0.3, 0.4, 0.5, turns])
        found = f.jacobian(x, sparse=True)
        assert (found.indices == [0, 1, 2, 1, 2, 2]).all()
        near(found.toarray(), f.jacobian(x))
    assert kilograd.compile(lambda x: f(x) @ [1.0, 2.0, 3.0]).sparsity(x, of="hessian").nnz == 1


def test_sparse_second_derivatives_of_gradients_are_refused() -> None:
    def inner(y: Any) -> Any:
        return kilograd.scan(lambda c, v: (np.sin(c * v), None), y[0], y)[0]

    f = kilograd.compile(lambda x: kilograd.grad(inner)(x))
    x = np.array([0.3, 0.4, 0.5])
    near(f.jacobian(x, sparse=True).toarray(), kilograd.hessian(inner)(x))
    g = kilograd.compile(lambda x: f(x).sum())
    for call in (lambda: g.hessian(x, sparse=True), lambda: g.hessian(x), lambda: g.sparsity(x, of="hessian")):
        with pytest.raises(TypeError, match="would be third ones"):
            call()


# --- stacks


def test_a_batch_is_a_stack() -> None:
    f = kilograd.compile(lambda x, t: np.sin(x[1:]) * x[:-1] * t)
    x, t = np.random.default_rng(2).normal(size=(4, 5)), np.arange(1.0, 5.0)[:, None] * np.ones(4)
    for argnums in (0, 1, (0, 1), (1, 0)):
        stack = f.batch.jacobian(x, t, argnums=argnums, sparse=True)
        assert isinstance(stack, Stack)
        assert stack.shape == (4, 4, stack[0].shape[1])
        assert stack.data.shape == (4, stack.nnz)
        one = f.sparsity(x[0], t[0], argnums=argnums)
        assert (stack.indices == one.indices).all()
        assert (stack.indptr == one.indptr).all()
        for r, matrix in enumerate(stack):
            near(matrix.toarray(), f.jacobian(x[r], t[r], argnums=argnums, sparse=True).toarray())
        near(stack.toarray(), np.array([matrix.toarray() for matrix in stack]))
        near(stack[1:3].toarray(), stack.toarray()[1:3])
        for reduce, want in (("sum", stack.toarray().sum(axis=0)), ("mean", stack.toarray().mean(axis=0))):
            near(f.batch.jacobian(x, t, argnums=argnums, sparse=True, reduce=reduce).toarray(), want)
            near(f.batch.jacobian(x, t, argnums=argnums, sparse=True, reduce=reduce).toarray(), want)
        for axes in ((None, 0), (0, None)):
            given = (x[0], t) if axes[0] is None else (x, t[0])
            found = f.batch.jacobian(*given, argnums=argnums, in_axes=axes, sparse=True)
            same = [
                f.jacobian(x[r * bool(axes[0] == 0)], t[r * bool(axes[1] == 0)], argnums=argnums, sparse=True)
                for r in range(4)
            ]
            near(found.toarray(), np.array([matrix.toarray() for matrix in same]))
    stack[0].data[:] = 7.0
    assert not (stack.data == 7.0).any()
    with pytest.raises(IndexError):
        stack[4]
    with pytest.raises(ValueError, match="batch of no rows"):
        f.batch.jacobian(x[:0], t[:0], sparse=True, reduce="mean")
    assert f.batch.jacobian(x[:0], t[:0], sparse=True).shape == (0, 4, 5)


def test_a_stack_has_the_entries_of_all_paths() -> None:
    f = kilograd.compile(lambda x: x[0] * x[1] if x[0] > 0 else x[1] ** 2 * x[2] if x[1] > 0 else 3.0)
    x = np.array([[1.0, 2.0, 3.0], [-1.0, 2.0, 3.0], [-1.0, -2.0, 3.0], [2.0, -1.0, 0.0]])
    near(f.batch.hessian(x, sparse=True).toarray(), f.batch.hessian(x))
    assert f.batch.hessian(x, sparse=True).nnz == 5
    assert f.batch.hessian(x[[0, 3]], sparse=True).nnz == 2
    assert f.batch.hessian(x[[2]], sparse=True).nnz == 0
    near(f.batch.hessian(x, sparse=True, reduce="sum").toarray(), f.batch.hessian(x, reduce="sum"))
    gradients = f.batch.jacobian(x, sparse=True)
    near(gradients.toarray()[:, 0], f.batch.grad(x))
    loop = kilograd.compile(lambda x: energy(x) if x[0] > 0 else x[2] ** 3)
    near(loop.batch.hessian(x, sparse=True).toarray(), loop.batch.hessian(x))
    with pytest.raises(TypeError, match="those of one array"):
        kilograd.compile(lambda x: (x, x)).batch.jacobian(x, sparse=True)
    with pytest.raises(ValueError, match="not known before a first row"):
        kilograd.compile(lambda x: x * x).batch.jacobian(x[:0], sparse=True)
    with pytest.raises(ValueError, match="different structure|structure"):
        kilograd.compile(lambda x: x * x if x[0] > 0 else x[0]).batch.jacobian(x, sparse=True)


def test_a_stack_can_be_written_anew() -> None:
    program, x = tridiagonal(6)
    rows = np.array([x, x + 1.0, x - 0.5])
    stack = program.hessian(rows, sparse=True)
    assert isinstance(stack, Stack)
    assert repr(stack) == "<3 sparse matrices of 6 x 6, with 16 entries each>"
    want = stack.toarray()
    assert program.hessian(rows[::-1], sparse=True, out=stack) is stack
    near(stack.toarray(), want[::-1])
    with pytest.raises(ValueError, match="out"):
        program.hessian(rows[:2], sparse=True, out=stack)
    with pytest.raises(ValueError, match="another pattern"):
        program.jacobian(rows, sparse=True, out=stack)
