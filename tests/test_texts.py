"""Texts of numbers in a compiled function: shown they are right, and no number is made of one without a word."""

from __future__ import annotations

import io
import json
import logging
import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import kilograd


def handled(text):
    try:
        return float(text)
    except ValueError:
        return 0.0


THROUGH_TEXT = {
    "str": lambda x: float(str(x[0])) * x[1],
    "repr": lambda x: float(repr(x[0].item())) * x[1],
    "formatted string": lambda x: float(f" {x[0]} ") * x[1],
    "some digits": lambda x: float(f"{x[0]:.3f}") * x[1],
    "percent": lambda x: float("%s" % x[0]) * x[1],  # noqa: UP031
    "format method": lambda x: np.float64(f"{x[0]:+.17e}") * x[1],
    "decimal": lambda x: float(Decimal(str(x[0]))) * x[1],
    "fraction": lambda x: float(Fraction(str(x[0]))) * x[1],
    "json": lambda x: json.loads(f'{{"a": {x[0]}}}')["a"] * x[1],
    "loadtxt": lambda x: np.loadtxt(io.StringIO(str(x[0]))) * x[1],
    "genfromtxt": lambda x: np.genfromtxt(io.StringIO(str(x[0]))) * x[1],
    "array of texts": lambda x: np.array([str(x[0])]).astype(float)[0] * x[1],
    "text of an array": lambda x: float(str(x)[1:4]) * x[1],
    "expression": lambda x: eval(repr(x[0])) * x[1],
    "found in a text": lambda x: float(re.findall(r"[\d.]+", f"x = {x[0]}")[0]) * x[1],
    "digits": lambda x: sum(10.0**-k * "0123456789".index(c) for k, c in enumerate(f"{x[0]:.5f}"[2:], 1)) * x[1],
    "file": lambda x: (out := io.StringIO(), print(x[0], file=out), float(out.getvalue()))[-1] * x[1],
    "handled": lambda x: handled(str(x[0])) * x[1],
    "branch": lambda x: x[0] if str(x[1]) == "3.25" else -x[1],
}


@pytest.mark.parametrize("name", THROUGH_TEXT)
@pytest.mark.parametrize("first", ["value", "gradient"])
def test_what_is_computed_of_a_text_has_a_value_and_no_derivative(name, first):
    function = THROUGH_TEXT[name]
    f = kilograd.compile(function)
    x = np.array([0.5, 3.25])
    if first == "value":
        assert f(x) == function(x)
    for derivative in (f.grad, f.jacobian, f.hessian, lambda x: f.hvp(x, x), f.sparsity):
        with pytest.raises(TypeError, match="text"):
            derivative(x)
    with pytest.raises(TypeError, match="text"):
        f.batch.grad(np.stack([x, x]))
    for point in (x, x[::-1] / 3.0, x):
        assert f(point) == function(point)


def test_an_error_that_is_handled_hides_no_text_of_zero():
    f = kilograd.compile(THROUGH_TEXT["handled"])
    with pytest.raises(TypeError, match="text"):
        f.grad(np.array([0.0, 3.0]))


def message(text):
    return RuntimeError(text)


SHOWN = {
    "print": lambda x: print(x, x[0], f"{x[1]:8.3f}"),
    "log": lambda x: logging.getLogger(__name__).warning("at " + str(x[0])),
    "message": lambda x: message(f"{x}") if x[0] > 9.0 else message(repr(x)),
    "list": lambda x: [f"{each:g}" for each in x],
    "sign": lambda x: str(x[0]).startswith("-"),
    "constant": lambda x: float(str(2.5)),
    "integer": lambda x: {"3": 1.0}[str(int(x[0] * 6.0))],
}


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_shown_or_decided_by_a_sign_has_derivatives(name, capsys):
    def function(x):
        SHOWN[name](x)
        return x[0] * x[1]

    f = kilograd.compile(function)
    for x in (np.array([0.5, 3.25]), np.array([0.55, 3.0]), np.array([0.5, 3.25])):
        assert f.grad(x).tolist() == [x[1], x[0]]
        assert f(x) == function(x)
    assert ("[0.5  3.25] 0.5    3.250" in capsys.readouterr().out) == (name == "print")


def test_errors_show_numbers():
    def function(x):
        if x[0] > 1.0:
            raise RuntimeError(f"{x[0]:.2f} is too large")
        return x[0]

    f = kilograd.compile(function)
    assert f.grad(np.array([0.5])) == [1.0]
    with pytest.raises(RuntimeError, match=r"^1\.50 is too large"):
        f.grad(np.array([1.5]))


def test_an_integer_names_what_it_names():
    weights = {"w1": 2.0, "w2": 5.0}
    f = kilograd.compile(lambda x, k: x * weights[f"w{k}"])
    assert [f.grad(3.0, 1), f.grad(3.0, 2)] == [2.0, 5.0]


def test_texts_in_a_result_leave_derivatives():
    f = kilograd.compile(lambda x: [x**2, f"{x:.1f}"])
    assert f(3.0) == [9.0, "3.0"]
    assert kilograd.compile(lambda x: (x**2, f"{x:.1f}")[0]).grad(3.0) == 6.0
