"""What a compiled function says of calls that cannot be recorded: the name that one wrote, and what helps."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest
import scipy.integrate
import scipy.interpolate
import scipy.optimize
import scipy.signal
import scipy.stats

import kilograd

X = np.array([0.5, 3.0, 1.25, 0.75])


def cube(x):
    return lambda t: t**3 - x[0]


CALLS = {
    # Solvers in C go on where a function that they call has raised
    "scipy.optimize.brentq()": (lambda x: scipy.optimize.brentq(cube(x), 0, 5), r"kilograd.implicit()"),
    "scipy.optimize.ridder()": (lambda x: scipy.optimize.ridder(cube(x), 0, 5), r"kilograd.implicit()"),
    "scipy.optimize.bisect()": (lambda x: scipy.optimize.bisect(cube([1.0]), 0, x[1]), r"kilograd.implicit()"),
    "scipy.optimize.root_scalar()": (
        lambda x: scipy.optimize.root_scalar(cube(x), bracket=(0, 5)).root,
        "kilograd.implicit()",
    ),
    "scipy.integrate.quad()": (lambda x: scipy.integrate.quad(lambda t: t * x[0], 0, 1)[0], "kilograd.scan()"),
    # Names of classes, of methods, of what a decorator wraps, of Cython's functions
    "scipy.interpolate.CubicSpline()": (lambda x: scipy.interpolate.CubicSpline(range(4), x)(1.5), "numpy.interp()"),
    "scipy.stats.gamma_gen.logpdf()": (lambda x: scipy.stats.gamma.logpdf(x[0], 2.0), "scipy.stats.norm"),
    "scipy.stats.gmean()": (lambda x: scipy.stats.gmean(x), "numpy and scipy.special"),
    "scipy.stats.kstest()": (lambda x: scipy.stats.kstest(x, "norm").statistic, "numpy and scipy.special"),
    "scipy.signal.lfilter()": (lambda x: scipy.signal.lfilter([1.0], [1.0, -0.5], x)[-1], "kilograd.custom()"),
    "numpy.random.Generator.normal()": (lambda x: np.random.default_rng(0).normal(x[0], 1.0), "kilograd.custom()"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_of_a_library_is_named_as_one_writes_it(name):
    function, remedy = CALLS[name]
    with pytest.raises(TypeError, match=re.escape(f"{name} is not recorded in <lambda>: ")) as caught:
        kilograd.compile(function).grad(X)
    assert remedy in str(caught.value)


@pytest.mark.parametrize(
    ("nodes", "told"), [([0.0, 1.0, 2.0], "x has 3 nodes, and y has 4 samples"), ([[0.0, 1.0]], "x has 1 dimension or")]
)
def test_simpson_at_nodes_of_another_shape(nodes, told):
    def integral(x):
        return scipy.integrate.simpson(x, x=nodes)

    with pytest.raises(ValueError, match="x must be|length of x"):
        integral(X)
    with pytest.raises(ValueError, match=re.escape(f"simpson(): {told}")):
        kilograd.compile(integral)(X)


def test_windows_of_pandas():
    pd = pytest.importorskip("pandas")
    for function in (
        lambda x: pd.Series(x).rolling(2).mean().sum(),
        lambda x: pd.Series(x).ewm(alpha=0.5).mean().sum(),
        lambda x: pd.Series(x).groupby([0, 0, 1, 1]).sum().sum(),
        lambda x: pd.DataFrame({"a": x}).mean()["a"],
    ):
        with pytest.raises(TypeError, match=r"^pandas\..* is not recorded in .*: .*series.to_numpy\(\)"):
            kilograd.grad(function)(X)
    assert kilograd.grad(lambda x: pd.Series(x).mean())(X).tolist() == [0.25] * 4


def test_positional_arguments_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    with pytest.raises(TypeError, match=r"^sklearn.metrics.mean_squared_error\(\) is not recorded"):
        kilograd.grad(lambda x: metrics.mean_squared_error([1.0, 2.0, 3.0, 4.0], x))(X)


def test_an_error_of_its_own_is_raised_as_it_is():
    class OwnError(Exception):
        pass

    def own(x):
        try:
            return float(x[0])
        except TypeError:
            raise OwnError("no number") from None

    with pytest.raises(OwnError):
        kilograd.grad(own)(X)

    def of_operation(x):
        try:
            return np.log(-x[0])
        except ValueError:
            raise OwnError("negative") from None

    with pytest.raises(OwnError):
        kilograd.grad(of_operation)(X)
    with pytest.raises(ValueError, match="outside the domain"):
        kilograd.grad(lambda x: np.log(-x[0]))(X)
    with pytest.raises(TypeError, match="cannot be recorded, as with Values it raises error: required argument"):
        kilograd.grad(lambda x: struct.unpack("d", struct.pack("d", x[0]))[0])(X)
