"""Jacobians and Hessians as programs of their entries, sparse and reduced, against sweeps, eager gradients and SciPy.

The sweeps are asked for one at a time, as products with unit vectors.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.fuzz.programs import EXPONENTS, ROWS, Step, eager_step

import kilograd
from kilograd import Program, Value, _core
from kilograd.compiled import calls

SETS = _core._instruction_sets()


@pytest.fixture(params=SETS)
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("KILOGRAD_ISA", request.param)
    return str(request.param)


def random_program(seed: int, inputs: int, parameters: int, steps: int, outputs: int) -> tuple[Program, np.ndarray]:
    """Steps between values of moderate size, and a point."""
    dice = random.Random(seed)
    leaves = [Value(dice.uniform(0.5, 2.0)) for _ in range(inputs + parameters)]
    pool: list[Any] = list(leaves)
    while len(pool) < steps + len(leaves):
        name = dice.choice([*ROWS, "add", "mul", "sub", "div", "add", "mul"])
        near = len(pool) - 1 - min(dice.randrange(len(pool)), dice.randrange(40))
        step = Step(name, near, dice.randrange(len(pool)), dice.choice(EXPONENTS))
        try:
            found = eager_step(step, pool)
        except (ArithmeticError, ValueError, AttributeError):
            continue
        if 1e-3 < abs(found.data) < 20.0:
            pool.append(found)
    program = Program([dice.choice(pool[-3 * outputs :]) for _ in range(outputs)], leaves[:inputs], leaves[inputs:])
    return program, np.array([leaf.data for leaf in leaves[:inputs]])


def near(got: Any, want: Any, rtol: float = 1e-9) -> None:
    """Sweeps make NaN of what has an infinite derivative elsewhere, entries fewer."""
    got = np.where(np.isnan(want), np.nan, got)
    known = np.abs(want)[~np.isnan(want)]
    scale = max(1.0, float(known.max())) if known.size else 1.0
    np.testing.assert_allclose(got, want, rtol=rtol, atol=1e-11 * scale)


def jacobian_by_products(program: Program, x: np.ndarray, wrt: Any, outputs: int) -> np.ndarray:
    return np.stack([program.vjp(x, unit, wrt, check=False) for unit in np.eye(outputs)], axis=-2)


def hessian_by_products(program: Program, x: np.ndarray, wrt: Any, size: int, weights: Any = None) -> np.ndarray:
    return np.stack([program.hvp(x, unit, wrt, weights, check=False) for unit in np.eye(size)], axis=-1)


# --- entries


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("inputs", "outputs"), [(3, 40), (40, 3), (20, 20)])
def test_jacobians_by_entries(seed: int, inputs: int, outputs: int, isa: str) -> None:
    program, x = random_program(seed, inputs, 4, 120, outputs)
    rows = x * np.array([[1.0], [1.01], [0.99]])
    for wrt in ("inputs", "parameters", "both"):
        want = jacobian_by_products(program, rows, wrt, outputs)
        near(program.jacobian(rows, wrt, check=False), want)
        near(program.jacobian(x, wrt, check=False), want[0])
        sparse = program.jacobian(x, wrt, sparse=True, check=False)
        near(sparse.toarray(), want[0])
        near(program.jacobian(rows, wrt, reduce="sum", check=False), want.sum(axis=0))


@pytest.mark.parametrize("seed", range(6))
def test_weighted_hessians_by_entries(seed: int, isa: str) -> None:
    program, x = random_program(seed, 12, 3, 60, 4)
    rows = x * np.array([[1.0], [1.01], [0.99]])
    dice = random.Random(seed)
    weights = np.array([[dice.uniform(-1, 1) for _ in range(4)] for _ in range(3)])
    for wrt, size in (("inputs", 12), ("parameters", 3), ("both", 15)):
        for w in (None, weights[0], weights):
            want = hessian_by_products(program, rows, wrt, size, w)
            near(program.hessian(rows, wrt, w, check=False), want, 1e-8)
            near(program.hessian(rows, wrt, w, reduce="mean", check=False), want.mean(axis=0), 1e-8)
        near(
            program.hessian(x, wrt, weights[0], check=False),
            hessian_by_products(program, x, wrt, size, weights[0]),
            1e-8,
        )
        sparse = program.hessian(rows, wrt, weights, sparse=True, check=False)
        near(np.array([h.toarray() for h in sparse]), want, 1e-8)


def test_large_dense_matrices_come_from_sweeps() -> None:
    rng = np.random.default_rng(0)
    leaves = np.array([Value(v) for v in rng.normal(size=24)])
    hidden = leaves
    for _ in range(6):
        hidden = np.tanh(rng.normal(size=(24, 24)) / 5 @ hidden)
    program, x = Program(hidden, leaves), np.array([leaf.data for leaf in leaves])
    near(program.jacobian(x), jacobian_by_products(program, x, "inputs", 24))
    near(program.hessian(x), hessian_by_products(program, x, "inputs", 24))
    weights = rng.normal(size=24)
    near(program.hessian(x, "inputs", weights), hessian_by_products(program, x, "inputs", 24, weights))
    assert program.sparsity("jacobian").nnz == program.sparsity("hessian").nnz == 24 * 24
    near(program.hessian(x, sparse=True).toarray(), program.hessian(x))


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "abs", "maximum", "minimum"])
@pytest.mark.parametrize("outputs", [1, 5])
def test_entries_take_the_derivative_of_the_table_at_a_kink(name: str, outputs: int, isa: str) -> None:
    x, y = Value(0.0), Value(0.0)
    binary = name in ("maximum", "minimum")
    out = getattr(kilograd, name)(x * 3.0, y * 5.0) if binary else getattr(x * 3.0 + y, name)()
    out.backward()
    program = Program([out * (k + 1.0) for k in range(outputs)], [x, y])
    for rows in (np.zeros(2), np.zeros((3, 2))):
        want = np.arange(1.0, outputs + 1.0)[:, None] * np.array([x.grad, y.grad])
        np.testing.assert_array_equal(program.jacobian(rows), np.broadcast_to(want, (*rows.shape[:-1], outputs, 2)))


def test_no_tangent_passes_a_kink_that_is_shut(isa: str) -> None:
    """The square root has an infinite derivative at 0, behind a relu and on the side that is not chosen."""
    x, y = Value(0.0), Value(1.0)
    outputs = [(x.sqrt() - 1.0).relu() + y, kilograd.maximum(x.sqrt(), y), y * 2.0]
    program = Program(outputs, [x, y])
    np.testing.assert_array_equal(program.jacobian(np.array([0.0, 1.0])), [[0, 1], [0, 1], [0, 2]])


def test_jacobians_raise_what_the_function_does(isa: str) -> None:
    x, y = Value(2.0), Value(1.0)
    program = Program([(x - 1.0).log() * 0.0 + y * y, y], [x, y])
    for rows, row in ((np.array([0.5, 2.0]), 0), (np.array([[3.0, 2.0], [0.5, 2.0]]), 1)):
        for method in (program.jacobian, program.hessian):
            with pytest.raises(ValueError, match=rf"'log' at -0.5 \(row {row}\)"):
                method(rows)
            assert np.isfinite(method(rows, check=False)).all()
    # A derivative that is infinite is no error of the function.
    root = Program([x.sqrt()], [x])
    assert root.jacobian(np.array([0.0])).tolist() == [[math.inf]]


def test_an_error_of_constants_is_raised() -> None:
    x, p = Value(1.0), Value(1.0)
    program = Program([x + p.sqrt() * 0.0], [x], [p])
    p.data = -1.0
    with pytest.raises(ValueError, match=r"in every row"):
        program.jacobian(np.array([1.0]))


def test_outputs_that_repeat_and_inputs_without_use() -> None:
    x, y, unused = Value(2.0), Value(3.0), Value(0.0)
    product = x * y
    program = Program([product, product, x, Value(7.0) * 1.0], [x, unused, y], constant=True)
    np.testing.assert_array_equal(
        program.jacobian(np.array([2.0, 0.0, 3.0])), [[3, 0, 2], [3, 0, 2], [1, 0, 0], [0, 0, 0]]
    )
    assert program.sparsity().nnz == 5


# --- sparse arrays


def tridiagonal(n: int) -> tuple[Program, np.ndarray]:
    leaves = np.array([Value(0.1 * k) for k in range(n)])
    total = (100.0 * (leaves[1:] - leaves[:-1] ** 2) ** 2 + (1.0 - leaves[:-1]) ** 2).sum()
    return Program(total, leaves), np.array([leaf.data for leaf in leaves])


def test_sparse_arrays_have_a_fixed_pattern() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    program, x = tridiagonal(30)
    pattern = program.sparsity("hessian")
    assert pattern.dtype == bool
    assert pattern.nnz == 3 * 30 - 2
    for point in (x, np.zeros(30)):  # zeros are entries, too
        hessian = program.hessian(point, sparse=True)
        assert hessian.format == "csr"
        assert (hessian.indices == pattern.indices).all()
        assert (hessian.indptr == pattern.indptr).all()
        near(hessian.toarray(), optimize.rosen_hess(point))
    again = program.hessian(x, sparse=True, out=hessian)
    assert again is hessian
    near(hessian.toarray(), program.hessian(x))
    rows = program.hessian(np.array([x, x + 1.0]), sparse=True)
    near(rows[1].toarray(), program.hessian(x + 1.0))
    near(
        program.hessian(np.array([x, x + 1.0]), sparse=True, reduce="mean").toarray(), (rows[0] + rows[1]).toarray() / 2
    )
    hessian.eliminate_zeros()
    rows[0].data[:] = 0.0
    near(program.hessian(x, sparse=True).toarray(), program.hessian(x))  # nobody else's arrays have changed


def test_sparse_arrays_of_a_large_program() -> None:
    program, x = tridiagonal(20_000)
    hessian = program.hessian(x, sparse=True, check=False)
    assert hessian.nnz == 3 * 20_000 - 2
    v = np.linspace(-1.0, 1.0, len(x))
    near(hessian @ v, program.hvp(x, v, check=False))


def test_what_sparse_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    program, x = tridiagonal(5)
    other = program.hessian(x, sparse=True)
    other.data[1] = 0.0
    other.eliminate_zeros()
    with pytest.raises(ValueError, match="another pattern"):
        program.hessian(x, sparse=True, out=other)
    with pytest.raises(TypeError, match="csr array"):
        program.hessian(x, sparse=True, out=np.zeros((5, 5)))
    with pytest.raises(ValueError, match='"jacobian" or "hessian"'):
        program.sparsity("gradient")  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(ImportError, match="pip install scipy"):
        program.hessian(x, sparse=True)


def test_sparse_jacobian_in_least_squares() -> None:
    optimize = pytest.importorskip("scipy.optimize")

    @kilograd.compile
    def residuals(x: Any) -> Any:
        return np.concatenate([10.0 * (x[1:] - x[:-1] ** 2), 1.0 - x[:-1]])

    x = np.full(12, -0.5)
    pattern = residuals.sparsity(x)
    assert pattern.shape == (22, 12)
    assert pattern.nnz == 33
    found = optimize.least_squares(residuals, x, jac=lambda x: residuals.jacobian(x, sparse=True))
    near(found.x, np.ones(12), 1e-6)
    found = optimize.least_squares(residuals, x, jac_sparsity=pattern)
    near(found.x, np.ones(12), 1e-4)


def test_compiled_functions_in_sparse_form() -> None:
    f = kilograd.compile(lambda x, t: np.sin(x) * t + x[0])
    x, t = np.array([0.3, 0.4, 0.5]), np.array([1.0, 2.0, 3.0])
    for argnums in (0, 1, -1):
        got = f.jacobian(x, t, argnums=argnums, sparse=True)
        near(got.toarray(), f.jacobian(x, t, argnums=argnums))
        assert got.nnz == f.sparsity(x, t, argnums=argnums).nnz == (5 if argnums == 0 else 3)
    both = f.jacobian(x, t, argnums=(1, 0), sparse=True)
    near(both.toarray(), np.hstack(f.jacobian(x, t, argnums=(0, 1))))
    g = kilograd.compile(lambda x: (x[0] * x[1]) ** 2 if x[0] > 0 else 3.0)
    near(g.hessian(x, sparse=True).toarray(), g.hessian(x))
    assert g.hessian(-x, sparse=True).nnz == g.jacobian(-x, sparse=True).nnz == 0
    assert g.jacobian(-x, sparse=True).shape == (1, 3)
    with pytest.raises(TypeError, match="those of one array"):
        kilograd.compile(lambda x: (x, x)).jacobian(x, sparse=True)
    with pytest.raises(TypeError, match="gradients, Hessians"):
        kilograd.compile(lambda x: x).hessian(x, sparse=True)


# --- compiled functions


def test_data_as_an_argument_costs_nothing_more() -> None:
    t = np.linspace(0.0, 1.0, 20_000)
    f = kilograd.compile(lambda p, t, y: p[0] * np.exp(-p[1] * t) - y)
    p = np.array([2.0, 3.0])
    got = f.jacobian(p, t, t)  # whole, it would have 20,000 columns more
    near(got, np.array([np.exp(-3.0 * t), -2.0 * t * np.exp(-3.0 * t)]).T)
    square = kilograd.compile(lambda p, t, y: ((p[0] * np.exp(-p[1] * t) - y) ** 2).sum())
    near(
        square.hessian(p, t[::100], t[::100]),
        hessian_by_differences(lambda p: square.grad(p, t[::100], t[::100]), p),
        1e-5,
    )


def hessian_by_differences(gradient: Callable[[np.ndarray], np.ndarray], p: np.ndarray) -> np.ndarray:
    return np.array([(gradient(p + h) - gradient(p - h)) / 2e-5 for h in 1e-5 * np.eye(len(p))])


def model(w: Any, x: Any, b: Any) -> Any:
    return ((x * w).sum() + b - np.tanh(x[0] * w[1])) ** 2


def branching(w: Any, x: Any, b: Any) -> Any:
    return model(w, x, b) if x[0] > 0 else w[0] * x[1] * b


@pytest.mark.parametrize("function", [model, branching])
@pytest.mark.parametrize("reduce", ["sum", "mean", None])
@pytest.mark.parametrize("argnums", [0, 1, (0, 1, 2), (2, 0)])
def test_batches_with_shared_arguments(function: Any, reduce: Any, argnums: Any) -> None:
    rng = np.random.default_rng(1)
    w, x, b = rng.normal(size=3), rng.normal(size=(20, 3)), rng.normal(size=20)
    f = kilograd.compile(function)
    single = f.value_and_grad, f.jacobian, f.hessian
    values, *rows = ([method(w, x[r], b[r], argnums=argnums) for r in range(20)] for method in single)
    scale = 1 / 20 if reduce == "mean" else 1.0

    def reduced(parts: Any) -> Any:
        return np.array(parts) if reduce is None else scale * np.array(parts).sum(axis=0)

    def compare(got: Any, parts: list[Any]) -> None:
        if isinstance(got, tuple):
            for k, part in enumerate(got):
                compare(part, [row[k] for row in parts])
        else:
            near(got, reduced(parts))

    for _ in range(2):  # the second call takes paths that are there
        value, gradient = f.batch.value_and_grad(w, x, b, argnums=argnums, in_axes=(None, 0, 0), reduce=reduce)
        near(value, reduced([v for v, _ in values]))
        near(f.batch(w, x, b, in_axes=(None, 0, 0), reduce=reduce), reduced([v for v, _ in values]))
        chosen = (argnums,) if isinstance(argnums, int) else argnums
        parts = [(g,) if isinstance(argnums, int) else g for _, g in values]
        for k, i in enumerate(chosen):
            got = gradient if isinstance(argnums, int) else gradient[k]
            want = np.array([row[k] for row in parts])
            near(got, reduced(want) if i == 0 else want * scale)
        compare(f.batch.jacobian(w, x, b, argnums=argnums, in_axes=(None, 0, 0), reduce=reduce), rows[0])
        compare(f.batch.hessian(w, x, b, argnums=argnums, in_axes=(None, 0, 0), reduce=reduce), rows[1])
    v = rng.normal(size=3)
    near(
        f.batch.hvp(w, v, x, b, in_axes=(None, 0, 0), reduce=reduce),
        reduced([f.hvp(w, v, x[r], b[r]) for r in range(20)]),
    )


def test_what_batches_with_shared_arguments_refuse() -> None:
    f = kilograd.compile(model)
    w, x, b = np.ones(3), np.ones((4, 3)), np.ones(4)
    f.batch(w, x, b, in_axes=(None, 0, 0))
    with pytest.raises(ValueError, match="2 entries for 3"):
        f.batch(w, x, b, in_axes=(None, 0))
    with pytest.raises(TypeError, match="sequence of 0 and None"):
        f.batch(w, x, b, in_axes=0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="in_axes holds"):
        f.batch(w, x, b, in_axes=(None, 1, 0))
    with pytest.raises(ValueError, match="no rows at all"):
        f.batch(w, w, 1.0, in_axes=(None, None, None))
    for methods in (f.batch, f.batch.value_and_grad, f.batch.hessian, kilograd.compile(branching).batch.jacobian):
        with pytest.raises(ValueError, match="reduce must be"):
            methods(w, x, b, in_axes=(None, 0, 0), reduce="max")


@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_a_first_call_adds_up_as_later_ones_do(reduce):
    rows = np.random.default_rng(0).normal(size=(211, 2))

    def function(row, w):
        return row[0] * w[0] * 3.0 + row[1]

    f, g, w = kilograd.compile(function), kilograd.compile(function), np.ones(1)
    for call in (f.batch, f.batch.value_and_grad, f.batch.jacobian):
        f._paths.clear()
        first, later = [call(rows, w, in_axes=(0, None), reduce=reduce) for _ in range(2)]
        assert str(first) == str(later)
    first, later = [g.batch.value_and_grad(rows, w, in_axes=(0, None), argnums=1, reduce=reduce) for _ in range(2)]
    assert first[0] == later[0]
    assert np.array_equal(first[1], later[1])


def test_an_error_in_a_row_of_a_reduced_batch() -> None:
    f = kilograd.compile(lambda p, x: p * np.log(x[0]))
    x = np.array([[1.0], [2.0]])
    assert f.batch.grad(3.0, x, in_axes=(None, 0), reduce="sum") == pytest.approx(math.log(2.0))
    with pytest.raises(ValueError, match="log") as error:
        f.batch.grad(3.0, -x, in_axes=(None, 0), reduce="sum")
    assert "in row 0" in str(error.value.__notes__) if hasattr(error.value, "__notes__") else True


def test_calls_of_one_array() -> None:
    f = kilograd.compile(lambda x: np.log(x).sum())
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    for _ in range(2):
        assert f(x) == pytest.approx(math.log(24.0))
        near(f.grad(x), 1 / x)
        near(f.jacobian(x), 1 / x)
        assert f.hessian(x).shape == (2, 2, 2, 2)
        assert isinstance(f(x), float)
        near(f.grad(x.T), 1 / x.T)
        for method in (f, f.grad, f.jacobian, f.hessian):
            with pytest.raises(ValueError, match="log"):
                method(-x)
    g = kilograd.compile(lambda x: np.outer(x, x))
    for _ in range(2):
        near(g(x[0]), np.outer(x[0], x[0]))
        assert g.jacobian(x[0]).shape == (2, 2, 2)
        with pytest.raises(TypeError, match=r"array of shape \(2, 2\)"):
            g.grad(x[0])


# --- rows


def many_ops(seed: int, steps: int) -> tuple[Program, np.ndarray]:
    program, x = random_program(seed, 10, 5, steps, 3)
    return program, x


@pytest.mark.parametrize("steps", [40, 2000])
@pytest.mark.parametrize("rows", [2, 3, 8, 9, 70])
def test_a_few_rows_are_like_each_by_itself(steps: int, rows: int, isa: str) -> None:
    program, x = many_ops(steps + rows, steps)
    X = x * np.linspace(0.999, 1.001, rows)[:, None]
    weights = np.linspace(-1.0, 1.0, 3 * rows).reshape(rows, 3)
    values, dx, dp = program.value_and_grad(X, "both", weights, check=False)
    single = [program.value_and_grad(X[r], "both", weights[r], check=False) for r in range(rows)]
    near(values, np.array([v for v, _, _ in single]), 1e-7)
    near(dx, np.array([d for _, d, _ in single]), 1e-6)
    near(dp, np.array([d for _, _, d in single]).sum(axis=0), 1e-6)
    for reduce, scale in (("sum", 1.0), ("mean", 1.0 / rows)):
        total, dx, dp = program.value_and_grad(X, "both", reduce=reduce, check=False)
        near(total, values.sum(axis=0) * scale, 1e-7)
        ones = [program.value_and_grad(X[r], "both", check=False) for r in range(rows)]
        near(dp, scale * np.array([d for _, _, d in ones]).sum(axis=0), 1e-6)
        near(dx, scale * np.array([d for _, d, _ in ones]), 1e-6)
    again = program.value_and_grad(X, "both", weights, check=False, threads=4)
    for one, other in zip(program.value_and_grad(X, "both", weights, check=False), again, strict=True):
        np.testing.assert_array_equal(one, other)
    near(program.vjp(X, weights, "parameters", check=False), np.array([d for _, _, d in single]), 1e-6)
    near(
        program.vjp(X, weights, "both", reduce="sum", check=False)[10:],
        np.array([d for _, _, d in single]).sum(axis=0),
        1e-6,
    )


def test_rows_that_are_no_numbers_are_alone_with_it(isa: str) -> None:
    x, p = Value(1.0), Value(2.0)
    program = Program([(x * p).sqrt(), p / x], [x], [p])
    for rows in (2, 5, 8):
        X = np.ones((rows, 1))
        X[-1] = 0.0  # the last row, which the lanes beyond it repeat
        values, dx, dp = program.value_and_grad(X, "both", check=False)
        assert np.isfinite(values[:-1]).all()
        assert np.isfinite(dx[:-1]).all()
        values, dp = program.value_and_grad(X[:-1], "parameters", np.array([1.0, 0.0]), check=False)
        assert np.isfinite(dp).all()
        with pytest.raises(ZeroDivisionError, match=rf"row {rows - 1}"):
            program(X)


@pytest.mark.parametrize("name", [name for name, arity in ROWS.items() if arity == "Unary"])
def test_functions_that_stand_alone_in_a_row(name: str, isa: str) -> None:
    """Each waits for the one before, so that no two of them can be computed together."""
    low = 1.1 if name == "acosh" else 0.1
    x, y = Value(low + 0.3), Value(0.5)
    s = x
    for _ in range(5):
        s = getattr(s, name)() * 0.1 * y + low + 0.2
    program = Program(s, [x, y])
    row = np.array([low + 0.3, 0.5])
    value, gradient = program.value_and_grad(row)
    s.backward()
    near(value, s.data, 1e-13)
    near(gradient, [x.grad, y.grad], 1e-12)


# --- products, reduced


def test_products_reduced() -> None:
    program, x = random_program(3, 6, 2, 40, 3)
    rows = x * np.linspace(0.99, 1.01, 300)[:, None]
    w, v = np.array([1.0, -2.0, 0.5]), np.linspace(-1.0, 1.0, 8)
    for reduce in ("sum", "mean"):
        fold = np.sum if reduce == "sum" else np.mean
        near(program.vjp(rows, w, "both", reduce=reduce), fold(program.vjp(rows, w, "both"), axis=0))
        near(program.jvp(rows, v, "both", reduce=reduce), fold(program.jvp(rows, v, "both"), axis=0))
        near(program.hvp(rows, v, "both", w, reduce=reduce), fold(program.hvp(rows, v, "both", w), axis=0))
        near(
            program.hvp(rows, v[6:], "parameters", reduce=reduce), fold(program.hvp(rows, v[6:], "parameters"), axis=0)
        )
        near(program.jacobian(rows, "both", reduce=reduce), fold(program.jacobian(rows, "both"), axis=0))
        near(program.hessian(rows, "both", w, reduce=reduce), fold(program.hessian(rows, "both", w), axis=0))
        weights = np.linspace(-1.0, 1.0, 900).reshape(300, 3)
        near(
            program.hessian(rows, weights=weights, reduce=reduce), fold(program.hessian(rows, weights=weights), axis=0)
        )
    assert program.jacobian(rows[:0], reduce="sum").tolist() == np.zeros((3, 6)).tolist()
    assert program.hvp(rows[:0], v, "both", reduce="sum").tolist() == [0.0] * 8
    for method in (program.jacobian, program.hessian):
        with pytest.raises(ValueError, match="no rows"):
            method(rows[:0], reduce="mean")


# --- columns


@pytest.mark.parametrize("rows", [1, 3, 200])
def test_gradients_by_columns(rows: int, isa: str) -> None:
    x, y, unused, p = Value(1.0), Value(2.0), Value(0.0), Value(3.0)
    program = Program(x * y.exp() * p, [x, unused, y], [p])
    table = np.asfortranarray(np.linspace(0.1, 1.0, 3 * rows).reshape(rows, 3))
    _, want, dp = program.value_and_grad(table, "both")
    _, got, same = program.value_and_grad(table, "both", order="F")
    assert got.flags.f_contiguous
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(same, dp)
    out = np.empty(rows), np.full((rows, 3), np.nan, order="F")
    assert program.value_and_grad(table, out=out, order="F")[1] is out[1]
    np.testing.assert_array_equal(out[1], want)
    np.testing.assert_array_equal(program.value_and_grad(table[0], order="F")[1], want[0])
    if rows > 1:
        with pytest.raises(ValueError, match="F-contiguous"):
            program.value_and_grad(table, out=(out[0], np.empty((rows, 3))), order="F")
    with pytest.raises(ValueError, match="order must be"):
        program.value_and_grad(table, order="K")  # type: ignore[arg-type]


@pytest.mark.parametrize("shared", [(), (0,), (1,), (0, 2)])
def test_rows_of_arrays_of_floats_are_those_of_any_arguments(monkeypatch: pytest.MonkeyPatch, shared: tuple[int, ...]):
    shapes, rng = [(2, 3), (4,), (1, 2)], np.random.default_rng(8)
    given = [rng.normal(size=shape if i in shared else (5, *shape)) for i, shape in enumerate(shapes)]
    for args in (given, [np.asfortranarray(each) for each in given], [given[0][::-1], *given[1:]]):
        short = calls.rows_of(args, {}, (), frozenset(), frozenset(shared))
        with monkeypatch.context() as patch:
            patch.setattr(calls, "_rows_of_floats", lambda *_: None)
            long = calls.rows_of(args, {}, (), frozenset(), frozenset(shared))
        assert short is not None
        assert long is not None
        assert short.call.signature == long.call.signature
        assert (short.call.offsets, short.call.integers, short.columns) == (long.call.offsets, (), long.columns)
        np.testing.assert_array_equal(short.varying, long.varying)
        np.testing.assert_array_equal(short.fixed, long.fixed)
        np.testing.assert_array_equal(short.whole().x, long.whole().x)
