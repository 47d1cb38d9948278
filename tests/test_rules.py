"""`custom` and `implicit`: functions of numbers with derivatives of their own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kilograd
from kilograd import Value, arrays, compile, custom, implicit, scan

expit = custom(lambda x: 1 / (1 + math.exp(-x)), vjp=lambda w, x: (w * expit(x) * (1 - expit(x)),))


def turned(a: Any, x: Any, name: str) -> Any:
    return np.cos(a) * x, {name: np.sin(a) * x.sum()}


def turned_jvp(tangents: Any, a: Any, x: Any, name: str) -> Any:
    da, dx, none = tangents
    assert none is None
    return -np.sin(a) * da * x + np.cos(a) * dx, {name: np.cos(a) * da * x.sum() + np.sin(a) * dx.sum()}


def turned_vjp(weights: Any, a: Any, x: Any, name: str) -> Any:
    v, w = weights[0], weights[1][name]
    return -np.sin(a) * (v @ x) + np.cos(a) * x.sum() * w, np.cos(a) * v + np.sin(a) * w, None


def used(rule: Callable[..., Any]) -> Callable[..., Any]:
    def f(a: Any, x: Any) -> Any:
        p, q = rule(a * 2, x * x, "k")
        return p @ x + q["k"] * a

    return f


@pytest.mark.parametrize("rules", [{"vjp": turned_vjp}, {"jvp": turned_jvp}, {"vjp": turned_vjp, "jvp": turned_jvp}])
def test_a_rule_is_the_derivative(rules: dict[str, Any]):
    f, g = used(custom(turned, **rules)), used(turned)
    compiled, plain = compile(f), compile(g)
    A, X = np.array([0.3, 0.7]), np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 0.0]])
    for a, x in zip(A.tolist(), X, strict=True):
        assert f(a, x) == pytest.approx(g(a, x))
        for argnums in (0, 1):
            for method in ("value_and_grad", "jacobian", *(["hessian"] if "vjp" in rules else [])):
                one, other = (
                    getattr(compiled, method)(a, x, argnums=argnums),
                    getattr(plain, method)(a, x, argnums=argnums),
                )
                if method == "value_and_grad":
                    assert one[0] == pytest.approx(other[0])
                    one, other = one[1], other[1]
                np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)
        values = arrays.values(x, as_array=True)
        f(a, values).backward()
        np.testing.assert_allclose(arrays.gradients(list(values)), plain.grad(a, x, argnums=1))
    np.testing.assert_allclose(compiled.batch.grad(A, X), plain.batch.grad(A, X))
    assert len(compiled._paths) == 1


def test_pictures_show_the_name_of_the_function():
    a = Value(0.5)
    first, second = custom(lambda x: x, jvp=lambda tangents, x: tangents[0])(a), custom(turned, jvp=turned_jvp)
    node = second(a, np.array([1.0, 2.0]), "k")[0][1]
    assert (first._op, node._op) == ("<lambda>", "turned")
    source = kilograd.draw_dot(first + node).source
    assert "label=turned" in source
    assert "lambda" in source
    assert "turned" in str(kilograd.table(node))
    node.backward()
    assert a.grad == -math.sin(0.5) * 2.0


def test_a_rule_in_a_loop():
    f = compile(lambda x: scan(lambda c, y: (expit(c) * y, None), x, np.arange(1.0, 4.0))[0])
    g = compile(lambda x: scan(lambda c, y: (c.sigmoid() * y, None), x, np.arange(1.0, 4.0))[0])
    for method in ("__call__", "grad", "hessian"):
        assert getattr(f, method)(0.3) == pytest.approx(getattr(g, method)(0.3), rel=1e-13)
    assert f.hvp(0.3, 2.0) == pytest.approx(g.hvp(0.3, 2.0))


def test_second_derivatives_need_a_rule_that_can_be_recorded():
    with pytest.raises(TypeError, match="need vjp="):
        kilograd.hessian(custom(math.sin, jvp=lambda t, x: t[0] * math.cos(x)))(1.0)
    with pytest.raises(TypeError, match="made of what kilograd records"):
        kilograd.hessian(custom(math.sin, vjp=lambda w, x: (w * math.cos(float(x)),)))(1.0)
    assert kilograd.grad(custom(math.sin, vjp=lambda w, x: (w * math.cos(x),)))(1.0) == math.cos(1.0)


def residual(z: Any, a: Any, b: Any) -> Any:
    return np.array([z[0] ** 2 + a * z[1] - 1, z[0] * z[1] * b - a + z[1]])


def newton(a: Any, b: Any) -> Any:
    z = np.ones(2)
    for _ in range(30):
        z = z - np.linalg.solve(recorded.jacobian(z, a, b), recorded(z, a, b))
    return z


recorded = compile(residual)
root = implicit(residual, newton)


@compile
def of_root(v: Any) -> Any:
    return root(v[0], v[1] ** 2).sum() * v[0]


def test_a_root_has_the_derivatives_of_the_theorem():
    v, h = np.array([0.5, 0.8]), 1e-5
    by_steps = [(of_root(v + h * d) - of_root(v - h * d)) / (2 * h) for d in np.eye(2)]
    np.testing.assert_allclose(of_root.grad(v), by_steps, rtol=1e-8)
    by_steps = [(of_root.grad(v + h * d) - of_root.grad(v - h * d)) / (2 * h) for d in np.eye(2)]
    np.testing.assert_allclose(of_root.hessian(v), by_steps, rtol=1e-7)
    np.testing.assert_allclose(of_root.jacobian(v), of_root.grad(v))
    rows = np.array([[0.5, 0.8], [0.4, 0.9]])
    np.testing.assert_allclose(of_root.batch.grad(rows), [of_root.grad(row) for row in rows])
    values = [Value(0.5), Value(0.8)]
    (root(values[0], values[1] ** 2).sum() * values[0]).backward()
    np.testing.assert_allclose([w.grad for w in values], of_root.grad(v))
    assert repr(root) == "<implicit newton>"


def test_a_root_of_numbers_and_its_errors():
    square_root = implicit(lambda z, a: z * z - a, lambda a: a**0.5)
    assert (kilograd.grad(square_root)(4.0), kilograd.hessian(square_root)(4.0)) == (0.25, -0.03125)
    with pytest.raises(ValueError, match="singular"):
        kilograd.grad(square_root)(0.0)
    with pytest.raises(ValueError, match="gives 2 numbers for a root of 1"):
        kilograd.grad(implicit(lambda z, a: [z - a, z + a], lambda a: a))(1.0)
    with pytest.raises(ZeroDivisionError):
        compile(implicit(lambda z, a: z * a - 1, lambda a: 1 / a))(0.0)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: custom(lambda a: a * x, vjp=lambda w, a: (w,))(x),
        lambda x: custom(lambda a: a * x.data, vjp=lambda w, a: (w,))(x),
        lambda x: custom(lambda a: a, vjp=lambda w, a: (w * x.data,))(x),
        lambda x: custom(lambda a: a, jvp=lambda t, a: t[0] * x.data)(x),
        lambda x: implicit(lambda z, a: z - a * x, lambda a: a)(x),
        lambda x: implicit(lambda z, a: z - a, lambda a: a * x)(x),
    ],
)
def test_values_from_outside_are_refused(function: Callable[..., Any]):
    with pytest.raises(TypeError, match="uses a Value from outside"):
        compile(function)(1.0)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: custom(lambda a: a * x, vjp=lambda w, a: (w,))(x),
        lambda x: implicit(lambda z, a: z - a * x, lambda a: a)(x),
        lambda x: implicit(lambda z, a: z - a, lambda a: a * x)(x),
    ],
)
def test_values_from_outside_are_refused_in_a_graph(function: Callable[..., Any]):
    with pytest.raises(TypeError, match="uses a Value from outside"):
        function(Value(1.0)).backward()


def test_refusals():
    with pytest.raises(TypeError, match="a derivative is needed"):
        custom(math.sin)
    for vjp, message in [
        (lambda w, a: (w, w), "an entry for each argument"),
        (lambda w, a: (np.ones(2),), "for argument 0"),
    ]:
        with pytest.raises(TypeError, match=message):
            kilograd.grad(custom(lambda a: a, vjp=vjp))(1.0)
    assert kilograd.grad(custom(lambda a, b: a * b, vjp=lambda w, a, b: (None, w)))(2.0, 3.0) == 0.0
    with pytest.raises(TypeError, match="by position"):
        expit(x=1.0)
