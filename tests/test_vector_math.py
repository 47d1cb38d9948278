"""Elementary functions of programs against 40 digits: within 2 ulp, whatever the instruction set.

`KILOGRAD_POINTS=1000000 python -m pytest tests/test_vector_math.py` tries a million points each (minutes);
tests/cpp/test_vector_math.cpp does so in C++, against quadruple precision and for every instruction set.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

from kilograd import Program, Value, _core

POINTS = int(os.environ.get("KILOGRAD_POINTS", "3000"))
CONTEXT = mpmath.mp.clone()
CONTEXT.dps = 40

# name: the function, and a stretch over which points are spread evenly, another over which their logarithms are
FUNCTIONS: dict[str, tuple[Callable[[Any], Any], float, tuple[float, float], bool]] = {
    "exp": (CONTEXT.exp, 700.0, (1e-300, 700.0), True),
    "log": (CONTEXT.log, 0.0, (5e-308, 1e308), False),
    "tanh": (CONTEXT.tanh, 20.0, (1e-300, 20.0), True),
    "sigmoid": (lambda x: 1 / (1 + CONTEXT.exp(-x)), 700.0, (1e-300, 700.0), True),
    "sin": (CONTEXT.sin, 100.0, (1e-300, 1e15), True),
    "cos": (CONTEXT.cos, 100.0, (1e-300, 1e15), True),
    "erf": (CONTEXT.erf, 6.0, (1e-300, 6.0), True),
    "erfc": (CONTEXT.erfc, 26.0, (1e-300, 26.0), True),
    "tan": (CONTEXT.tan, 100.0, (1e-300, 1e15), True),
    "atan": (CONTEXT.atan, 10.0, (1e-300, 1e300), True),
    "sinh": (CONTEXT.sinh, 700.0, (1e-300, 700.0), True),
    "cosh": (CONTEXT.cosh, 700.0, (1e-300, 700.0), True),
    "expm1": (CONTEXT.expm1, 700.0, (1e-300, 700.0), True),
    "log1p": (lambda x: CONTEXT.log1p(x), 0.0, (1e-300, 1e300), False),
    "cbrt": (lambda x: CONTEXT.sign(x) * CONTEXT.cbrt(abs(x)), 20.0, (1e-300, 1e300), True),
    "exp2": (lambda x: CONTEXT.mpf(2) ** x, 1000.0, (1e-300, 1000.0), True),
    "log2": (lambda x: CONTEXT.log(x, 2), 0.0, (5e-308, 1e308), False),
    "log10": (CONTEXT.log10, 0.0, (5e-308, 1e308), False),
}


def ulps(found: np.ndarray[Any, Any], exact: list[Any]) -> float:
    """The largest error, in units in the last place of the rounded truth."""
    return max(
        float(abs(CONTEXT.mpf(y) - true)) / float(np.spacing(abs(float(true))))
        for y, true in zip(found.tolist(), exact, strict=True)
    )


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_within_two_ulp(name):
    function, even, (low, high), signed = FUNCTIONS[name]
    rng = np.random.default_rng(7)
    x = np.exp(rng.uniform(np.log(low), np.log(high), POINTS))
    if signed:
        x *= rng.choice([-1.0, 1.0], POINTS)
    if even:
        half = rng.random(POINTS) < 0.5
        x[half] = rng.uniform(-even, even, int(half.sum()))
    leaf = Value(0.5)
    out = getattr(leaf, name)() if hasattr(leaf, name) else getattr(_core, f"_{name}")(leaf)
    found = Program(out, inputs=[leaf])(x[:, None])
    assert ulps(found, [function(CONTEXT.mpf(a)) for a in x.tolist()]) <= 2.0


def test_power_within_two_ulp():
    rng = np.random.default_rng(7)
    x = np.column_stack([np.exp(rng.uniform(-20.0, 20.0, POINTS)), rng.uniform(-30.0, 30.0, POINTS)])
    base, exponent = Value(2.0), Value(0.5)
    found = Program(base**exponent, inputs=[base, exponent])(x)
    assert ulps(found, [CONTEXT.mpf(a) ** CONTEXT.mpf(b) for a, b in x.tolist()]) <= 2.0


@pytest.mark.parametrize("name", ["hypot", "atan2"])
def test_functions_of_two_within_two_ulp(name):
    rng = np.random.default_rng(7)
    x = np.exp(rng.uniform(-300.0, 300.0, (POINTS, 2))) * rng.choice([-1.0, 1.0], (POINTS, 2))
    x[::2] = rng.normal(size=(len(x[::2]), 2))
    a, b = Value(2.0), Value(0.5)
    found = Program(getattr(_core, f"_{name}")(a, b), inputs=[a, b])(x)
    assert ulps(found, [getattr(CONTEXT, name)(*map(CONTEXT.mpf, row)) for row in x.tolist()]) <= 2.0


@pytest.mark.parametrize("rows", [1, 16])
def test_steps_and_remainders_are_those_of_numpy(rows):
    ends = [0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 7.0, -7.25, 2.0**51 + 0.5, -(2.0**52) - 1, 1e300, -1e-320, 1.0 / 3]
    x = np.array([(a, b) for a in ends for b in ends] * rows)[: len(ends) ** 2 // rows * rows]
    a, b = Value(2.0), Value(0.5)
    for name, ufunc in (("floor", np.floor), ("rint", np.rint), ("sign", np.sign)):
        found = Program(getattr(_core, f"_{name}")(a), inputs=[a, b])(x)
        np.testing.assert_array_equal(found, ufunc(x[:, 0]))
    for name, ufunc in (
        ("modulo", np.remainder),
        ("floor_divide", np.floor_divide),
        ("fmax", np.fmax),
        ("fmin", np.fmin),
        ("copysign", np.copysign),
    ):
        with np.errstate(all="ignore"):
            wanted = ufunc(x[:, 0], x[:, 1])
        found = Program(getattr(_core, f"_{name}")(a, b), inputs=[a, b])(x, check=False)
        np.testing.assert_array_equal(found, wanted)
        if ufunc not in (np.fmax, np.fmin):  # of two zeros NumPy's kernels take one or the other
            np.testing.assert_array_equal(np.signbit(found[wanted == 0.0]), np.signbit(wanted[wanted == 0.0]))


@pytest.mark.parametrize("order", [-1, 0, 1, 2])
def test_gamma_and_its_derivatives(order):
    """Within 8 ulp of the larger of 1 and the number: about their zeros libm is no better."""
    rng = np.random.default_rng(7)
    x = np.concatenate([np.exp(rng.uniform(-20.0, 20.0, 300)), rng.uniform(-10.0, 0.0, 100)])
    leaf = Value(2.0)
    out = _core._log_gamma(leaf) if order < 0 else _core._polygamma(leaf, order)
    found = Program(out, inputs=[leaf])(x[:, None]).reshape(-1)
    for at, y in zip(x.tolist(), found.tolist(), strict=True):
        exact = CONTEXT.loggamma(at).real if order < 0 else CONTEXT.polygamma(order, CONTEXT.mpf(at))
        assert abs(CONTEXT.mpf(y) - exact) <= 8 * 2.0**-52 * max(1, abs(exact)), at
