"""Functions that ask no protocol, wherever a compiled function has them from: names, closures, containers, objects."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from math import exp as exponential
from typing import Any, ClassVar

import numpy as np
import pytest
import scipy.linalg
from scipy.special import expit as sigmoid
from scipy.special import logsumexp as total

import kilograd

X = np.array([0.5, -1.5, 2.0])
BY_NAME: dict[str, Callable[..., Any]] = {"total": total, "sigmoid": sigmoid, "exp": math.exp}
IN_A_LIST = [total, [exponential]]
IN_A_TUPLE = (np.zeros, (total, 1.0))
IN_PART = functools.partial(total, axis=0)


class Holder:
    total = staticmethod(total)
    log1p = math.log1p
    by_name: ClassVar[dict[str, Any]] = {"solve": scipy.linalg.solve}

    def __init__(self) -> None:
        self.exp = exponential

    def __call__(self, x: Any) -> Any:
        return self.exp(x[0]) + self.log1p(x[0]) + Holder.total(x) + self.by_name["solve"](np.diag(x), x)[0]


HOLDER = Holder()


def closure() -> Callable[[Any], Any]:
    from scipy.special import softmax as shares

    return lambda x: shares(x)[0]


def with_defaults(x: Any, f: Any = total, *, g: Any = exponential) -> Any:
    return f(x) * g(x[1])


def filled(x: Any) -> Any:
    z = IN_A_TUPLE[0](3)  # type: ignore[operator]
    z[1] = x[0]
    return IN_A_TUPLE[1][0](z)  # type: ignore[index]


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "names": lambda x: total(x) + sigmoid(x[0]) + exponential(x[1]),
    "dict": lambda x: BY_NAME["total"](x) + BY_NAME["sigmoid"](x[0]) + BY_NAME["exp"](x[1]),
    "list": lambda x: IN_A_LIST[0](x) * IN_A_LIST[1][0](x[2]),  # type: ignore[operator, index]
    "tuple": filled,
    "partial": lambda x: IN_PART(x),
    "class": lambda x: Holder.total(x),
    "object": HOLDER,
    "method": HOLDER.__call__,
    "closure": closure(),
    "defaults": with_defaults,
    "itself": total,
    "partial-itself": functools.partial(total, b=np.array([1.0, 2.0, 0.5])),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_slopes(name: str):
    function = FUNCTIONS[name]
    before = (*BY_NAME.values(), *IN_A_LIST, *IN_A_TUPLE, IN_PART, vars(Holder)["total"], HOLDER.exp)
    before += (with_defaults.__defaults__, *(with_defaults.__kwdefaults__ or {}).values())
    f = kilograd.compile(function)
    np.testing.assert_allclose(f(X), function(X), rtol=1e-13)
    slopes = [(function(X + 1e-6 * e) - function(X - 1e-6 * e)) / 2e-6 for e in np.eye(3)]
    np.testing.assert_allclose(f.grad(X), slopes, rtol=1e-6, atol=1e-8)
    after = (*BY_NAME.values(), *IN_A_LIST, *IN_A_TUPLE, IN_PART, vars(Holder)["total"], HOLDER.exp)
    after += (with_defaults.__defaults__, *(with_defaults.__kwdefaults__ or {}).values())
    assert all(one is other for one, other in zip(before, after, strict=True))


def test_what_is_put_into_a_container_while_a_function_runs_stays():
    table: dict[str, Any] = {"f": total}

    def other(x: Any) -> Any:
        return x[0]

    def function(x: Any) -> Any:
        y = table["f"](x)
        table["f"] = other
        return y

    f = kilograd.compile(function)
    assert f(X) == pytest.approx(total(X))
    assert table["f"] is other


def test_what_may_not_be_changed_stays():
    class Frozen:
        __slots__ = ("__dict__",)

        def __init__(self) -> None:
            self.__dict__["f"] = sigmoid

        def __setattr__(self, name: str, value: Any) -> None:
            raise AttributeError(name)

    frozen = Frozen()
    f = kilograd.compile(lambda x: frozen.f(x[0]))
    assert f(X) == pytest.approx(sigmoid(X[0]))
    assert frozen.f is sigmoid


def test_after_an_error_all_is_as_it_was():
    table = [total]

    def function(x: Any) -> Any:
        raise RuntimeError(str(table[0](x).data))

    with pytest.raises(RuntimeError):
        kilograd.compile(function)(X)
    assert table[0] is total
    for name in ("__index__", "__and__", "__rlshift__", "__invert__"):
        assert not hasattr(kilograd.Value, name)
