"""`scan`, `fori_loop` and `while_loop`: stages of a compiled function, against the same loops in Python."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kilograd
from kilograd import Value, arrays, fori_loop, scan, where, while_loop
from kilograd.compiled import blocks, stages, tracing
from kilograd.compiled.loops import _plain_scan


def python_scan(
    step: Callable[..., Any], init: Any, xs: Any = None, length: int = 0, *, reverse: bool = False, **_: Any
) -> Any:
    first = next(iter(xs.values())) if isinstance(xs, dict) else xs
    return _plain_scan(step, init, xs, length if xs is None else len(first), reverse)


def python_fori(lower: int, upper: int, body: Callable[..., Any], init: Any) -> Any:
    for i in range(lower, upper):
        init = body(i, init)
    return init


def python_while(cond: Callable[..., Any], body: Callable[..., Any], init: Any) -> Any:
    while cond(init):
        init = body(init)
    return init


IN_PYTHON = (python_scan, python_fori, python_while)
AS_STAGES = (scan, fori_loop, while_loop)


def containers(scan: Any, fori: Any, loop: Any, a: Any, xs: Any) -> Any:
    def step(carry: Any, x: Any) -> Any:
        p, q = carry["p"], carry["q"][0]
        p = p * 0.9 + x["k"] * np.exp(a[0]) + x["c"] * 0.1
        return {"p": p, "q": [np.tanh(q + p * a[2]), carry["q"][1] + 1]}, (p * q, carry["q"][1] * x["v"])

    rows = {"k": xs, "c": np.arange(len(xs)), "v": np.outer(xs, np.array([1.0, 2.0]))}
    last, ys = scan(step, {"p": a[1], "q": [0.1, 0]}, rows)
    return last["p"] * (ys[0] ** 2).sum() + (ys[1] * np.array([0.5, 0.25])).sum() + last["q"][1]


def chosen(scan: Any, fori: Any, loop: Any, a: Any, xs: Any) -> Any:
    return scan(lambda c, x: (where(x > 0, c * a[0] + x, c - a[1] * x * x), c), a[2], xs)[0]


def backwards(scan: Any, fori: Any, loop: Any, a: Any, xs: Any) -> Any:
    c, ys = scan(lambda c, x: (c * a + x, c[0] * x), a, xs, reverse=True)
    return c.sum() + (ys * np.arange(len(xs))).sum()


def checkpointed(scan: Any, fori: Any, loop: Any, a: Any, xs: Any) -> Any:
    return scan(lambda c, x: (np.sin(c * a[0]) + x * a[1], c * x), a[2], xs, checkpoint=True)[1].sum()


def without_sequence(scan: Any, fori: Any, loop: Any, a: Any, xs: Any) -> Any:
    return scan(lambda c, _: (np.cos(c) * a[0] + xs[0], None), a[1], None, 9)[0]


def in_a_row(scan: Any, fori: Any, loop: Any, a: Any, xs: Any) -> Any:
    shared = np.exp(a)
    c, ys = scan(lambda c, x: (c * shared[0] + x, c * c), a[0], xs)
    d = np.sqrt(1 + c * c) * shared[1]
    c, ys = scan(lambda c, y: (c * 0.5 + y * d, c + d), shared[2], ys)
    return ys @ xs + c * d + shared.sum()


def nested(scan: Any, fori: Any, loop: Any, a: Any, xs: Any) -> Any:
    def step(c: Any, x: Any) -> Any:
        inner, _ = scan(lambda d, z: (d * z + a[0] + c, None), x, np.array([0.3, 0.2]))
        grown = loop(lambda v: v < 5, lambda v: v * (1.5 + a[1] * a[1]), abs(inner) + 0.1)
        return c * 0.1 + grown * 0.01, fori(1, 4, lambda i, s: s * c * 0.2 + i * a[2], inner)

    c, ys = scan(step, a[2], xs)
    return c + (ys * ys).sum()


def counted(scan: Any, fori: Any, loop: Any, a: Any, xs: Any) -> Any:
    return fori(2, 7, lambda i, v: v * np.cos(a / i) + i * xs[:3], a).sum()


def newton(scan: Any, fori: Any, loop: Any, a: Any, xs: Any) -> Any:
    b = a[0] ** 2 + xs[0] ** 2 + 2.0
    r, n = loop(
        lambda v: (abs(v[0] * v[0] - b) > 1e-9) & (v[1] < 50), lambda v: ((v[0] + b / v[0]) / 2, v[1] + 1), (b, 0)
    )
    return r * a[1] + n


def guarded(scan: Any, fori: Any, loop: Any, a: Any, xs: Any) -> Any:
    c, _ = scan(lambda c, x: (c * 0.5 + x, None), a[0], xs)
    c = c * a[1] if c > 0.2 else c + a[2]
    c, _ = scan(lambda c, x: (c * x + a[0], None), c, xs)
    return c * c if a[0] > 0 else c


def unused(scan: Any, fori: Any, loop: Any, a: Any, xs: Any) -> Any:
    scan(lambda c, x: (c * x, c), a[0], xs)
    kept, _ = scan(lambda c, x: (c * a[1], c), a[0], xs)
    return kept + 0.0 * xs[0]


def outer_result(scan: Any, fori: Any, loop: Any, a: Any, xs: Any) -> Any:
    w = a[0] * a[1]
    c, ys = scan(lambda c, x: (w, w + c), w, xs)
    return c + ys.sum()


FUNCTIONS = [
    *(containers, chosen, backwards, checkpointed, without_sequence, in_a_row, nested, counted, newton, guarded),
    *(unused, outer_result),
]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_loops_are_the_loops_of_python(function: Callable[..., Any]):
    rng = np.random.default_rng(1)
    f = kilograd.compile(lambda a, xs: function(*AS_STAGES, a, xs))
    g = kilograd.compile(lambda a, xs: function(*IN_PYTHON, a, xs))
    A, X = rng.normal(size=(6, 3)), rng.normal(size=(6, 5))

    def agree(x: Any, y: Any) -> None:
        if isinstance(x, tuple):
            for part, other in zip(x, y, strict=True):
                agree(part, other)
        else:
            np.testing.assert_allclose(x, y, rtol=1e-8, atol=1e-10)

    for a, xs in zip(A, X, strict=True):
        agree(f(a, xs), function(*AS_STAGES, a, xs))
        agree(f(a, xs), g(a, xs))
        for argnums in (0, 1, (1, 0)):
            for method in ("value_and_grad", "jacobian", "hessian"):
                agree(getattr(f, method)(a, xs, argnums=argnums), getattr(g, method)(a, xs, argnums=argnums))
        agree(f.hvp(a, X[0, :3], xs), g.hvp(a, X[0, :3], xs))
        values = arrays.values(a, as_array=True)
        function(*AS_STAGES, values, xs).backward()
        agree(arrays.gradients(list(values)), f.grad(a, xs))
    assert len(f._paths) == 1
    for method in ("__call__", "grad", "jacobian", "hessian"):
        agree(getattr(f.batch, method)(A, X), getattr(g.batch, method)(A, X))
    agree(f.batch.hvp(A, A[::-1].copy(), X), g.batch.hvp(A, A[::-1].copy(), X))


def test_results_of_every_kind():
    @kilograd.compile
    def f(x, xs):
        def step(c, y):
            return (c[0] + y, {"k": c[1]}), [c[0] * y, np.array([c[0], 2.0]), 7]

        carry, ys = scan(lambda c, y: ((c[0] + y, c[1]), [c[0] * y, np.array([c[0], 2.0]), 7]), (x, 3), xs)
        return carry, ys

    carry, (one, two, three) = f(1.0, np.array([1.0, 2.0]))
    assert carry == (4.0, 3.0)
    np.testing.assert_array_equal(one, [1.0, 4.0])
    np.testing.assert_array_equal(two, [[1.0, 2.0], [2.0, 2.0]])
    np.testing.assert_array_equal(three, [7.0, 7.0])


def test_no_turns():
    step = lambda c, x: (np.log(c - 11.0) * x, c * np.array([1.0, 2.0]))  # noqa: E731
    for f in (lambda x: scan(step, x, np.ones(0)), kilograd.compile(lambda x: scan(step, x, np.ones(0)))):
        carry, ys = f(2.0)
        assert carry == 2.0
        assert ys.shape == (0, 2)
    assert kilograd.compile(lambda x: fori_loop(3, 1, lambda i, c: np.log(c - 11.0), x))(2.0) == 2.0
    f = kilograd.compile(lambda x: while_loop(lambda c: c > 12.0, lambda c: np.log(c - 11.0), x))
    assert (f(2.0), f.grad(2.0), f(13.0)) == (2.0, 1.0, np.log(2.0))


def test_numbers_alone_give_numbers():
    f = kilograd.compile(lambda x: x * scan(lambda c, y: (c + y, c), 0, np.arange(4))[0])
    assert f(2.0) == 12.0
    assert scan(lambda c, y: (c + y, c), 0, np.arange(4))[1].tolist() == [0, 0, 1, 3]


def test_parameters_are_read_anew():
    w = Value(2.0)
    f = kilograd.compile(lambda x: scan(lambda c, y: (c * w + y, None), x, np.ones(3))[0] * w)
    assert f(1.0) == 30.0
    w.data = 3.0
    assert (f(1.0), f.grad(1.0)) == (120.0, 81.0)


def test_methods_and_inner_compiled_functions():
    inner = kilograd.compile(lambda c, x: c * x + 1.0)
    f = kilograd.compile(lambda a: scan(lambda c, x: (inner(c, x), None), a, np.array([2.0, 3.0]))[0])
    assert (f(1.0), f.grad(1.0)) == (10.0, 6.0)


def test_what_is_the_same_in_all_turns_may_decide():
    @kilograd.compile
    def f(x, flag, table, k):
        def step(c, y):
            return (c * y if flag * 2 > 1 else c + table[k] * y), None

        return scan(step, x, np.array([2.0, 3.0]))[0]

    table = np.array([0.5, 7.0])
    assert [f(1.0, flag, table, k) for flag, k in [(1.0, 0), (0.0, 0), (0.0, 1), (1.0, 1)]] == [6.0, 3.5, 36.0, 6.0]
    assert f.grad(1.0, 1.0, table, 0) == 6.0
    assert f.grad(1.0, 0.0, table, 1, argnums=2).tolist() == [0.0, 5.0]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: scan(lambda c, y: (c if c > 0 else -c, None), x, np.ones(3)), "comparison of numbers.*where"),
        (lambda x: scan(lambda c, y: (c * y.data, None), x, np.ones(3)), "reads .data"),
        (lambda x: scan(lambda c, y: (c * (1 if (c > 0) is True else 2), None), x, np.ones(3)), "comparison"),
        (lambda x: scan(lambda c, y: ((c, c), None), x, np.ones(3)), "given a number and gives tuple"),
        (lambda x: scan(lambda c, y: c, x, np.ones(3)), "a tuple of two"),
        (lambda x: scan(lambda c, y: (c, "text"), x, np.ones(3)), "the y of a scan is made of numbers"),
        (lambda x: scan(lambda c, y: (c, y), x, [1.0, 2.0]), "no axis"),
        (lambda x: scan(lambda c, y: (c, y), "text", np.ones(3)), "what scan carries is made of numbers"),
        (lambda x: fori_loop(0, x, lambda i, c: c, x), "bounds are integers"),
        (lambda x: fori_loop(0, 3, lambda i, c: c * [1, 2, 3][i], x), "indices must be integers"),
        (lambda x: while_loop(lambda c: c > 0 and c < 9, lambda c: c * 2, x), "comparison of numbers.*where"),
        (lambda x: while_loop(lambda c: c, lambda c: c * 2, x), "comparison"),
    ],
)
def test_refusals(function: Callable[..., Any], message: str):
    with pytest.raises(TypeError, match=message):
        kilograd.compile(function)(1.5)


def test_lengths():
    with pytest.raises(ValueError, match=r"say \[2, 3\] turns"):
        scan(lambda c, x: (c, x), 0.0, (np.ones(2), np.ones(3)))
    with pytest.raises(ValueError, match="needed"):
        scan(lambda c, x: (c, x), 0.0)


def test_errors_name_the_turn():
    def f(x):
        return scan(lambda c, y: ((c - y).log(), None), x, np.ones(3))[0]

    with pytest.raises(ValueError, match=r"outside the domain of 'log' at -0\.59.* in turn 1 of a loop$"):
        kilograd.compile(f)(2.5)
    compiled = kilograd.compile(f)
    assert compiled(1e9) > 0
    with pytest.raises(ValueError, match="in turn 1 of a loop$"):
        compiled(2.5)
    with pytest.raises(ValueError, match="in turn 0 of a loop") as caught:
        compiled.batch(np.array([1e9, 1e8, 0.5]))
    if hasattr(caught.value, "__notes__"):
        assert "in row 2 of the batch" in caught.value.__notes__

    def inner(d, z):
        return d + z / (2.0 - d), None

    with pytest.raises(ZeroDivisionError, match="in turn 0 of a loop in turn 2 of the loop around it"):
        kilograd.compile(
            lambda x: scan(lambda c, y: (c + x, scan(inner, c, np.array([0.0, y]))[0]), 0.0, np.arange(4.0))
        )(1.0)


def test_a_handled_error_is_that_of_python():
    @kilograd.compile
    def f(x):
        try:
            return scan(lambda c, y: ((c - y) ** -1, None), x, np.ones(2))[0]
        except ZeroDivisionError:
            return x * 7.0

    assert [f(1.0), f(3.0), f(2.0), f(1.0)] == [7.0, 2.0 / -1.0, 14.0, 7.0]
    assert f.grad(1.0) == 7.0


def test_memory_of_long_loops():
    data = np.random.default_rng(0).normal(size=100_000)
    f = kilograd.compile(lambda q: scan(lambda c, y: (c * q + y, None), 0.0, data)[0])
    nodes = kilograd.live_nodes()
    value = f(0.5)
    assert kilograd.live_nodes() == nodes
    (paths,) = f._paths.values()
    assert paths[0].program.nbytes < data.nbytes + 10_000
    total = 0.0
    for y in data:
        total = total * 0.5 + y
    assert value == pytest.approx(total, rel=1e-12)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")
def test_ctrl_c_ends_a_loop():
    f = kilograd.compile(lambda x, n: while_loop(lambda c: c[1] < n, lambda c: (c[0] * 0.5, c[1] + 1), (x, 0.0))[0])
    assert f(1.0, 2.0) == 0.25
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            f(1.0, 1e15)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    assert f(1.0, 3.0) == 0.125


def test_threads_share_a_loop():
    f = kilograd.compile(lambda x: scan(lambda c, y: (c * 0.999 + x * y, None), x, np.ones(5000))[0])
    expected = [f.value_and_grad(float(k)) for k in range(4)]
    found: list[Any] = [None] * 4

    def work(k: int) -> None:
        for _ in range(20):
            found[k] = f.value_and_grad(float(k))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


# --- gradients inside


def potential(q: Any, s: Any) -> Any:
    return -(q * q).sum() * s / 2 - (q[0] * q[1]) ** 2 * s - (np.cos(q) * q).sum()


def force(q: Any, s: Any) -> Any:
    g = np.array([-q[0] * s - 2 * q[0] * q[1] ** 2 * s, -q[1] * s - 2 * q[1] * q[0] ** 2 * s])
    return g - (np.cos(q) - np.sin(q) * q)


def leapfrog(force: Callable[..., Any]) -> Callable[..., Any]:
    def f(q: Any, p: Any, eps: Any, s: Any) -> Any:
        def step(state: Any, _: None) -> Any:
            q, p = state
            p = p + eps * force(q, s) * 0.5
            q = q + eps * p
            return (q, p + eps * force(q, s) * 0.5), None

        (q, p), _ = scan(step, (q, p), None, 6)
        return (q * p).sum() + q[0] * s

    return f


def test_gradients_inside_are_differentiated_once_more():
    f = kilograd.compile(leapfrog(kilograd.grad(potential)))
    g = kilograd.compile(leapfrog(force))
    q, p = np.array([0.3, -0.4]), np.array([1.0, 0.5])
    assert f(q, p, 0.1, 0.7) == pytest.approx(leapfrog(kilograd.grad(potential))(q, p, 0.1, 0.7), rel=1e-13)
    for argnums in range(4):
        np.testing.assert_allclose(f.grad(q, p, 0.1, 0.7, argnums=argnums), g.grad(q, p, 0.1, 0.7, argnums=argnums))
        np.testing.assert_allclose(f.jacobian(q, p, 0.1, 0.7, argnums=argnums), g.grad(q, p, 0.1, 0.7, argnums=argnums))
    rows = np.array([q, p]), np.array([q, q]), 0.1, 0.7
    np.testing.assert_allclose(f.batch.grad(*rows), g.batch.grad(*rows))
    np.testing.assert_allclose(f.hessian(q, p, 0.1, 0.7), g.hessian(q, p, 0.1, 0.7), rtol=1e-10)


def test_an_argument_is_not_what_a_function_finds_elsewhere():
    w = Value(2.0)
    f = kilograd.compile(lambda x: kilograd.grad(lambda y: y * y * x * w + (y if y > 0 else -y))(x) + x)
    assert [f(3.0), f.grad(3.0), f(-3.0), f.grad(-3.0)] == [40.0, 25.0, 32.0, -23.0]
    w.data = 1.0
    assert f(3.0) == 22.0

    @kilograd.compile
    def g(x):
        def chain(a, b):
            return scan(lambda c, z: (c * b + a * x, None), a, np.ones(2))[0]

        return kilograd.value_and_grad(chain, argnums=(1, 0))(x, x * 2)

    # a b^2 + a x b + a x
    assert g(1.5) == (1.5 * 9 + 1.5 * 1.5 * 3 + 1.5 * 1.5, (2 * 1.5 * 3 + 1.5 * 1.5, 9 + 1.5 * 3 + 1.5))


def test_gradients_inside_that_are_none():
    cubed = kilograd.grad(lambda z: z**3)
    f = kilograd.compile(lambda x: kilograd.grad(lambda y: cubed(y))(x))
    assert (f(2.0), f.grad(2.0), f.hessian(2.0)) == (12.0, 6.0, 0.0)
    chain = kilograd.grad(lambda z: fori_loop(0, 3, lambda i, c: c * z, z))  # z**4
    f = kilograd.compile(lambda x: chain(x))
    assert (f(2.0), f.grad(2.0)) == (32.0, 48.0)
    with pytest.raises(TypeError, match="would be third ones"):
        f.hessian(1.0)
    with pytest.raises(TypeError, match="is that of a gradient"):
        kilograd.compile(lambda x: kilograd.grad(lambda y: chain(y))(x))(1.0)
    assert kilograd.compile(lambda x: kilograd.grad(lambda y: 3.0)(x) + x)(1.0) == 1.0
    with pytest.raises(TypeError, match="those of one number"):
        kilograd.compile(lambda x: kilograd.grad(lambda y: [y, y])(x))(1.0)
    with pytest.raises(ValueError, match="argnums names argument 1"):
        kilograd.compile(lambda x: kilograd.grad(lambda y: y, argnums=1)(x))(1.0)


def test_a_stage_before_many_guards_is_made_once(monkeypatch):
    made = []
    real = stages.Staged.__init__

    def noted(self: Any, outputs: Any, inputs: Any, parts: Any) -> None:
        made.append(len(parts))
        real(self, outputs, inputs, parts)

    monkeypatch.setattr(stages.Staged, "__init__", noted)

    def signs(x: Any) -> Any:
        s, y = x, 0.0
        for _ in range(6):
            s = scan(lambda c, _: (c * 0.9 - x * x, None), s, length=3)[0]
            if s > 0:
                y = y + np.sqrt(s)
            elif s < -2:
                y = y - s * x
        return y

    f = kilograd.compile(signs)
    for x in (0.1, 0.5, 3.0, -0.2, 0.5):
        assert f(x) == pytest.approx(signs(x), rel=1e-13)
    np.testing.assert_allclose(f.batch(np.array([0.1, 0.5, 3.0])), [signs(0.1), signs(0.5), signs(3.0)])
    paths = sum(map(len, f._paths.values()))
    assert sum(made) <= paths * (6 + 6)  # those of the program, and once more those of its guards


def test_what_stands_between_loops_is_made_once():
    def summed(x: Any, loops: int) -> Any:
        s, total = x, 0.0
        for _ in range(loops):
            s = scan(lambda c, _: (c * 0.9 + x, None), s * 1.01 + total, length=3)[0]
            total = total + np.sin(s)
        return total

    sizes = []
    for loops in (10, 20, 40):
        f = kilograd.compile(summed, static_argnums=1)
        x = Value(0.3)
        eager = summed(x, loops)
        eager.backward()
        assert f(0.3, loops) == pytest.approx(eager.data, rel=1e-12)
        assert f.grad(0.3, loops) == pytest.approx(x.grad, rel=1e-10)
        sizes.append(next(iter(f._paths.values()))[0].program.nbytes)
    assert sizes[2] - sizes[1] < 2.5 * (sizes[1] - sizes[0])


# --- large arguments


def decayed(a: Any, xs: Any) -> Any:
    return scan(lambda c, x: (np.tanh(c * a + x), c), 0.5, xs)[0]


def of_pairs(a: Any, xs: Any, zs: Any) -> Any:
    def step(c: Any, pair: Any) -> Any:
        x, (z, k) = pair
        return c * a + x * z.sum() + 0.1 * k, c * x

    c, ys = scan(step, 0.5, (np.asarray(xs)[1:], (zs[:-1], np.arange(len(xs) - 1))), reverse=True)
    return c + (ys[:3] ** 2).sum()


def two_loops(a: Any, xs: Any) -> Any:
    first = scan(lambda c, x: (c * a + x, None), 0.5, xs)[0]
    if first > 0:
        return scan(lambda c, x: (c * first + x * x, None), a, xs[2:5])[0]
    return -first


def chosen_twice(a: Any, xs: Any) -> Any:
    return scan(lambda c, x: (where(x > a, c + x, c * 0.9), None), 0.0, xs)[0] * (2.0 if a > 0 else 3.0)


LARGE = {
    "one": (decayed, True),
    "pairs": (of_pairs, True),
    "guard": (two_loops, True),
    "choice": (chosen_twice, True),
    "sum": (lambda a, xs: decayed(a, xs) * xs.sum(), False),
    "entry": (lambda a, xs: decayed(a, xs) * xs[0], False),
    "every second": (lambda a, xs: decayed(a, xs[::2]), False),
    "product": (lambda a, xs: decayed(a, 2.0 * xs), False),
    "returned": (lambda a, xs: (decayed(a, xs), xs)[0] + max(xs), False),
    "one of two": (lambda a, xs, zs: decayed(a, xs) * np.sum(zs), True),
    "inside": (lambda a, xs: scan(lambda c, _: (decayed(c, xs), None), a, length=2)[0], False),
    "slope": (lambda a, xs: kilograd.grad(lambda b: decayed(b, xs))(a), False),
    "unused": (lambda a, xs: a * a + len(xs) * (decayed(a, np.ones(3)) if xs.ndim == 1 else 0.0), True),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_arguments(name, monkeypatch):
    function, keeps_a_block = LARGE[name]
    rng = np.random.default_rng(3)
    arguments = [0.3, rng.normal(size=8) * 0.3, rng.normal(size=(8, 2)) * 0.3][: function.__code__.co_argcount]
    traced, has_blocks = tracing._traced, []

    def noted(*given: Any) -> Any:
        found = traced(*given)
        has_blocks.append(any(isinstance(leaf, blocks.Block) for leaf in found.leaves))
        return found

    monkeypatch.setattr(tracing, "_traced", noted)

    def results() -> list[Any]:
        f = kilograd.compile(function)
        found = [f(*arguments), f(-0.3, *arguments[1:])]
        found += [f.jacobian(*arguments, argnums=k) for k in range(len(arguments))]
        if name != "slope":
            found.append(f.hessian(*arguments))
        return [*found, f.batch.grad(*[np.stack([x, x + 0.1]) for x in arguments])]

    monkeypatch.setattr(blocks, "LEAST", 8)
    found = results()
    assert has_blocks[0] == keeps_a_block
    monkeypatch.setattr(blocks, "LEAST", 10**9)
    has_blocks.clear()
    for x, y in zip(found, results(), strict=True):
        np.testing.assert_array_equal(x, y)
    assert not any(has_blocks)


def test_a_large_argument_takes_no_values():
    made = []
    f = kilograd.compile(lambda a, xs: (made.append(kilograd.live_nodes()), decayed(a, xs))[1])
    xs = np.linspace(-1.0, 1.0, 100_000)
    before = kilograd.live_nodes()
    assert f(0.5, xs) == pytest.approx(decayed(0.5, xs), rel=1e-12)
    assert made[0] - before < 10
    assert next(iter(f._paths.values()))[0].program.nbytes < 10_000
    xs = np.ones(100_000)
    xs[70_000] = -1.0
    logs = kilograd.compile(lambda xs: scan(lambda c, x: (c + np.log(x), None), 0.0, xs)[0])
    with pytest.raises(ValueError, match=r"log.*in turn 70000 of a loop"):
        logs(xs)


def test_a_loop_is_seen_before_its_name_was_asked_for():
    text = """
import numpy as np
import kilograd

def function(p, xs):
    return kilograd.scan(lambda c, x: (np.tanh(c * p[0] + x), None), 0.0, xs)[0]

assert "scan" not in vars(kilograd)
from kilograd.compiled.habits import habits
assert habits(function).scans
"""
    subprocess.run([sys.executable, "-c", text], check=True)
