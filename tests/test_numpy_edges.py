"""What NumPy, SciPy and `math` give at the edges: zeros, infinities, NaN, denormals, empty arrays, lists of numbers.

A compiled function gives the same, to rounding, or refuses with an error where the plain result is no finite number.
"""

from __future__ import annotations

import math
import pickle
import warnings

import mpmath
import numpy as np
import pytest
import scipy.special

import kilograd
from kilograd.compiled.protocols import of_ufunc

INF, NAN = math.inf, math.nan
EDGES = [0.0, -0.0, INF, -INF, NAN, 5e-324, -1e-310, 1e-200, 1e-8, 0.5, -0.5, 1.0, -1.0, 1.5, -2.5, 3.0, 20.0, -40.0]
EDGES += [700.0, 710.0, -745.0, 1e5, 1e16, 2.0**53 + 2, 1e200, -1e308]
NUMPY = """
    exp exp2 expm1 log log2 log10 log1p sqrt cbrt sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh
    arctanh deg2rad rad2deg floor ceil trunc rint fix sign abs fabs square reciprocal negative sinc nan_to_num
    isnan isfinite isinf signbit std var mean median any all nanmean
"""
SCIPY = "erf erfc log_expit logit ndtr entr exprel gamma digamma exp10"
MATH = """
    exp expm1 exp2 log log2 log10 log1p sqrt cbrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf erfc
    fabs degrees radians isnan isfinite isinf
"""
OF_ONE = {f"np.{name}(x)" for name in NUMPY.split()} | {f"math.{name}(x)" for name in MATH.split()}
OF_ONE |= {f"scipy.special.{name}(x)" for name in SCIPY.split()}
OF_ONE |= {
    f"np.{name}" for name in ("maximum(x, 0)", "fmin(x, -0.0)", "fmax(0.0, x)", "clip(x, 0, 1)", "clip(x, -1, 0)")
}
OF_ONE |= {f"np.{name}" for name in ("hypot(x, 3)", "arctan2(x, -0.0)", "copysign(2.0, x)", "logaddexp(x, x)")}
OF_ONE |= {f"np.{name}" for name in ("fmod(x, 2)", "remainder(x, 3)", "floor_divide(x, 3)", "heaviside(x, 0.5)")}
OF_ONE |= {
    f"np.{name}" for name in ("power(x, 0.5)", "power(x, 2)", "power(2, x)", "isclose(x, 1.0)", "sort([x, 1.0])")
}
OF_ONE |= {
    f"scipy.special.{name}" for name in ("huber(x, 2.0)", "huber(1.0, x)", "rel_entr(x, 0.5)", "rel_entr(0.0, x)")
}
OF_ONE |= {
    f"scipy.special.{name}" for name in ("rel_entr(0.5, x)", "kl_div(x, 0.5)", "kl_div(0.5, x)", "kl_div(0.0, x)")
}
OF_ONE |= {f"scipy.special.{name}" for name in ("polygamma(1, x)", "polygamma(2, x)", "log_softmax([x, 1.0])")}
OF_ONE |= {"scipy.special.pseudo_huber(1.0, x)", "math.isclose(x, 1.0)", "1.0 if ~np.isnan(x) else 2.0"}
SPACE = {"np": np, "math": math, "scipy": scipy}

ANY_ZERO = (
    "np.mean",
    "np.median",
    "np.nanmean",
    "scipy.special.entr",
    "scipy.special.rel_entr",
    "scipy.special.kl_div",
)
ANY_ZERO += ("scipy.special.polygamma",)  # zeros that are sums have any sign
BETTER = {("scipy.special.kl_div(0.5, x)", 5e-324)}  # where a quotient overflows in SciPy


def made(text, names):
    return eval(f"lambda {names}: {text}", SPACE)


def outcome(function, *arguments):
    try:
        with np.errstate(all="ignore"):
            return function(*arguments)
    except (ArithmeticError, ValueError) as error:
        return error


def assert_same(found, wanted, zeros=True):
    found, wanted = (np.asarray(each, dtype=float) for each in (found, wanted))
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=0.0)
    if zeros:
        at = wanted == 0.0
        np.testing.assert_array_equal(np.signbit(found[at]), np.signbit(wanted[at]))


@pytest.mark.parametrize("text", sorted(OF_ONE))
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore:numpy.fix is deprecated:DeprecationWarning")
def test_functions_of_one_number_at_the_edges(text):
    function = made(text, "x")
    compiled = kilograd.compile(function)
    rows, results = [], []
    for x in EDGES:
        wanted, found = outcome(function, x), outcome(compiled, x)
        if (text, x) in BETTER:
            assert math.isfinite(found)
        elif isinstance(found, Exception):
            assert isinstance(wanted, Exception) or not np.isfinite(wanted).all(), (x, wanted, found)
        elif not isinstance(wanted, Exception):
            assert_same(found, wanted, zeros=not text.startswith(ANY_ZERO))
            rows.append(x)
            results.append(found)
    np.testing.assert_allclose(compiled.batch(np.array(rows)), results, rtol=1e-12, atol=0.0)


def test_a_name_that_numpy_deprecates_is_recorded_with_its_warning():
    """`numpy.fix`, from NumPy 2.5 on."""
    told = []
    for function in (lambda x: np.fix(x), kilograd.compile(lambda x: np.fix(x))):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert function(-1.5) == -1.0
        told.append({(each.category, str(each.message)) for each in caught})
    assert told[1] == told[0]


V = np.array([0.3, -1.2, 2.0])
M = np.array([[0.3, -1.2, 2.0], [1.5, 0.25, -0.7]])
N = np.array([[NAN, 1.0, INF], [0.5, NAN, -INF]])
ZEROS = np.array([0.0, -0.0, 1.0])
ENDS = np.array([INF, 1.0, -2.0])
OF_ARRAYS = [
    ("v", "np.power([v[0], -1.0], 0.5)", [V]),
    ("v", "np.power([v[0], -1.0], 2)", [V]),
    ("v", "np.sqrt([v[2], 1.0])", [V]),
    ("v", "np.exp([[v[0], 1.0], [0.5, v[1]]])", [V]),
    ("v", "np.maximum([v[0], 1.0], 0.5)", [V, np.array([NAN, 1.0, 1.0])]),
    ("v", "np.sign([v[0], -1.0, v[1]])", [V, ZEROS]),
    ("v", "np.floor([v[0], 1.5])", [V]),
    ("v", "np.isnan([v[0], 1.0]) * 1.0", [V, np.array([NAN, 1.0, 1.0])]),
    ("v", "np.maximum.reduce([v[0], 0.5])", [V, np.array([NAN, 1.0, 1.0])]),
    ("v", "np.subtract.outer([v[0], 0.5], [v[1], 1.0])", [V]),
    ("v", "np.add.accumulate([v[0], 0.5, v[2]])", [V]),
    ("v", "np.interp([0.5, 1.5], [0, 1, 2], list(v))", [V]),
    ("v", "np.einsum('i,i', list(v), [v[0], 2.0, 1.0])", [V]),
    ("v", "np.concatenate([[v[0], 1.0], [v[1]]])", [V]),
    ("v", "np.stack([[v[0], 1.0], [2.0, v[1]]], axis=1)", [V]),
    ("v", "np.block([[v[0], 1.0], [2.0, v[1]]])", [V]),
    ("v", "np.select([v > 0, v < -1], [list(v), [v[0]] * 3], 7.0)", [V]),
    ("v", "np.column_stack([[v[0], 1.0], [2.0, v[1]]])", [V]),
    ("v", "np.linalg.norm([v[0], 2.0], 3)", [V]),
    ("v", "np.linalg.solve([[v[0] + 3, 1.0], [0.5, 2.0]], [1.0, v[1]])", [V]),
    ("v", "np.cov([v[0], 1.0, v[2]])", [V]),
    ("v", "np.tile([v[0], 1.0], 2)", [V]),
    ("v", "np.broadcast_to([v[0], 1.0], (2, 2))", [V]),
    ("v", "np.polyval([v[0], 1.0, v[1]], 0.5)", [V]),
    ("v", "np.trapezoid([v[0], 1.0, v[1]])", [V]),
    ("v", "scipy.special.expit([v[0], 1.0])", [V]),
    ("v", "scipy.special.xlogy([v[0], 1.0], 2.0)", [V]),
    ("v", "np.array([1.0, 2.0, 3.0]) * list(v)", [V]),
    ("v", "np.maximum(np.array([1.0, 2.0, 3.0]) * list(v), 0.5)", [V, np.array([NAN, 1.0, -1.0])]),
    ("v", "np.sort(v)", [V, ZEROS, ZEROS[::-1].copy(), ENDS]),
    ("v", "np.clip(v, 0, 1)", [ZEROS, V]),
    ("v", "v.clip(-1, 0)", [ZEROS, V]),
    ("v", "np.array([np.fmin(v[0], v[1]), np.fmax(v[0], v[1]), np.fmin(v[1], v[0])])", [ZEROS, ZEROS[[1, 0, 2]]]),
    ("v", "v ** 0.5", [ZEROS, np.array([-INF, 1.0, 4.0])]),
    ("v", "np.percentile(v, [0, 25, 50, 100])", [ENDS, -ENDS, V]),
    ("v", "np.percentile(v[:1], 50)", [ENDS, V]),
    ("v", "np.any(v[:1]) * 1.0 + np.all(v[:2])", [V, ZEROS, np.array([NAN, 1.0, 1.0])]),
    ("v", "np.divide(1.0, v, where=v != 0, out=np.zeros(3))", [V, ZEROS]),
    ("v", "np.log(v, where=v > 0, out=np.full(3, -np.inf))", [V, ENDS]),
    ("v", "np.sqrt(v, where=[True, False, True], out=np.ones(3))", [V]),
    ("v", "np.arccosh(v, where=v >= 1, out=np.zeros(3))", [V]),
    ("v", "np.greater(v, 0, where=v > 0, out=np.zeros(3, bool)) * 1.0", [V]),
    ("v", "v[np.argmax(v[None], axis=1)]", [V]),
    ("v", "np.nanargmax(v) + v.argmin()", [V, ENDS]),
    ("v", "np.nanpercentile(v, [30, 50])", [V, np.array([NAN, 1.0, 2.0])]),
    ("v", "scipy.special.log_softmax(v)", [V, ENDS]),
    ("v", "scipy.special.logsumexp(v)", [V, np.full(3, -np.inf), ENDS]),
    ("v", "scipy.special.logsumexp(v, b=np.zeros(3))", [V]),
    ("v", "scipy.special.logsumexp(v, b=v * 0.0)", [V]),
    ("M", "scipy.special.logsumexp(M, axis=1, b=[[0.0, 0.0, 0.0], [1.0, 0.0, 2.0]])", [M]),
    ("v", "v ** v[1]", [np.array([-np.inf, 0.5, np.inf]), np.array([4.0, 0.5, 0.0])]),
    ("v", "np.power(v[:1], v[1])", [np.array([-np.inf, 0.5, 1.0]), np.array([2.0, 0.5, 1.0])]),
    ("v", "np.power(v, v[::-1])[[0, 2]]", [np.array([-np.inf, 0.5, 2.0])]),
    ("v", "(lambda a: (np.add(v, 1, out=(a,)), a)[1])(np.zeros(3))", [V]),
    ("v", "(lambda a: (np.add(v, 1, a), a * 2.0)[1])(np.array([1.0, 2.0, 3.0]) * list(v))", [V]),
    ("v", "(lambda a: (np.copyto(a, 0.5, where=v > 0), a * 2.0)[1])(np.array([1.0, 2.0, 3.0]) * list(v))", [V]),
    ("v", "(lambda a: (np.maximum(a, 0.5, out=a), a * 2.0)[1])(np.array([1, 2, 3]) * list(v))", [V]),
    ("v", "np.divide(v[0], v[1], where=v[1] != 0, out=np.zeros(()))", [V, ZEROS]),
    ("M", "M[np.arange(2), np.argmax(M, axis=1)]", [M]),
    ("M", "np.argmin(M, axis=0, keepdims=True)", [M]),
    ("M", "np.nanmedian(M, axis=0)", [M, N]),
    ("M", "np.nanquantile(M, [0.25, 0.5], axis=1)", [M, np.abs(N[:, :2])]),
    ("M", "np.nanvar(M, axis=1, keepdims=True)", [M]),
    ("M", "np.sum(M[:0], axis=1)", [M]),
    ("M", "np.max(M[:0], axis=1)", [M]),
    ("M", "np.median(M[:0], axis=0)", [M]),
    ("M", "np.any(M[:0], axis=1)", [M]),
    ("M", "np.nanquantile(M[:, :0], 0.5, axis=1)", [M]),
]


@pytest.mark.parametrize(("name", "text", "points"), OF_ARRAYS, ids=[text for _, text, _ in OF_ARRAYS])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_functions_of_arrays_and_lists_at_the_edges(name, text, points):
    function = made(text, name)
    compiled = kilograd.compile(function)
    for point in points:
        with np.errstate(all="ignore"):
            wanted = function(point.copy())
        assert_same(compiled(point), wanted)
    np.testing.assert_allclose(compiled.batch(points[0][None])[0], compiled(points[0]), rtol=1e-13)


@pytest.mark.parametrize(
    "text",
    [
        "np.divide(1.0, v, where=v > 0, out=np.zeros(3)) * v",
        "np.sqrt(v, where=v > 0, out=np.zeros(3))",
        "scipy.special.rel_entr(v * v, 0.5) + scipy.special.kl_div(1.5, v * v)",
        "scipy.special.entr(v * v) + scipy.special.huber(v * v, v) + scipy.special.pseudo_huber(v * v, 2.0)",
        "np.percentile(v, [30, 50])",
        "np.power([v[0], v[2], 2.0], 1.5) + np.maximum([v[0], 1.0, v[1]], 0.5)",
        "np.nanmedian([v[0], v[1], v[2], np.nan]) * v",
    ],
)
def test_derivatives(text):
    function = made(text, "v")
    columns = [(function(V + 1e-6 * e) - function(V - 1e-6 * e)) / 2e-6 for e in np.eye(3)]
    np.testing.assert_allclose(kilograd.jacobian(function)(V), np.stack(columns, axis=-1), rtol=1e-7, atol=1e-8)


def test_outside_of_the_domain_is_what_scipy_says():
    points = [-1.0, 0.0, 1.0, INF, -INF, NAN]
    for name in ("rel_entr", "kl_div", "huber"):
        function = getattr(scipy.special, name)
        compiled = kilograd.compile(lambda x, y, function=function: function(x, y))
        for x in points:
            for y in points:
                assert_same(compiled(x, y), function(x, y), zeros=False)
    for r in (0.0, 2.0, NAN):
        assert kilograd.compile(scipy.special.pseudo_huber)(-1.0, r) == INF
    assert kilograd.compile(scipy.special.pseudo_huber)(0.0, 2.0) == 0.0
    assert kilograd.compile(scipy.special.gammaln)(-INF) == scipy.special.gammaln(-INF)
    assert kilograd.compile(lambda x: math.lgamma(x))(-INF) == math.lgamma(-INF)
    f = kilograd.compile(lambda a: scipy.special.multigammaln(a, 2))
    assert f(2.0) == pytest.approx(scipy.special.multigammaln(2.0, 2))
    with pytest.raises(ValueError, match="undefined for numbers up to"):
        f(0.5)


def test_an_entropy_of_near_numbers_keeps_its_digits():
    f = kilograd.compile(scipy.special.rel_entr)
    with mpmath.workdps(50):
        x, y = mpmath.mpf(3.0000001), mpmath.mpf(3.0)
        assert f(3.0000001, 3.0) == pytest.approx(float(x * mpmath.log(x / y)), rel=1e-13)
        assert f.grad(3.0000001, 3.0, argnums=1) == pytest.approx(float(-x / y), rel=1e-14)


def test_integers_that_are_arguments_are_bounds_and_bins():
    f = kilograd.compile(lambda v, i, bins: v[:i].sum() * v[i:] + np.bincount(bins)[1])
    assert f(V, 1, np.array([0, 1, 1])).tolist() == (V[0] * V[1:] + 2).tolist()
    assert f(V, 2, np.array([0, 1])).tolist() == ((V[0] + V[1]) * V[2:] + 1).tolist()
    with pytest.raises(IndexError, match="only integers are indices"):
        f(V, 1.0, np.array([0, 1]))


def test_reductions_that_numpy_does_by_vectors_are_refused():
    numbers = np.array([kilograd.Value(1.0), kilograd.Value(2.0)])
    for ufunc in (np.power, np.arctan2):
        for method, others in (("reduce", ()), ("reduceat", ([0, 1],))):
            with pytest.raises(TypeError, match=r"depends on the processor. Write functools.reduce\(numpy"):
                of_ufunc(ufunc, method, (numbers, *others), {})  # not by NumPy, which leaks where a reduction raises
    np.testing.assert_allclose(kilograd.compile(np.power.accumulate)(np.array([2.0, 3.0, 0.5])), [2.0, 8.0, 8.0**0.5])


def test_the_logarithm_of_a_sum_that_is_0_has_no_derivative():
    f = kilograd.compile(lambda v, b: scipy.special.logsumexp(v, b=b), argnums=(0, 1))
    value, (_, by_b) = f.value_and_grad(V, np.zeros(3))
    assert value == -np.inf
    assert not np.isfinite(by_b).any()
    assert np.isnan(kilograd.compile(lambda v: scipy.special.logsumexp(v)).grad(np.full(3, -np.inf))).all()
    assert kilograd.compile(lambda v: scipy.special.logsumexp(v, b=[0.0, 0.0, 0.0])).grad(V).tolist() == [0.0] * 3


def test_an_exponent_that_is_a_half_has_its_derivative():
    f = kilograd.compile(lambda v, e: np.sum(v**e), argnums=1)
    at = np.array([2.0, 3.0])
    for e in (0.5, 0.75, 0.5):
        np.testing.assert_allclose(f.grad(at, e), np.sum(at**e * np.log(at)), rtol=1e-13)


def test_arrays_of_no_dimension():
    f = kilograd.compile(lambda x: [np.array(x).mean(), np.array(x).std(), np.array(x).var(), np.array(x).sum()])
    assert f(0.5) == [0.5, 0.0, 0.0, 0.5]


def test_comparisons_are_not_reduced():
    numbers = np.array([kilograd.Value(1.0), kilograd.Value(2.0)])
    with pytest.raises(TypeError, match=r"less.reduce\(\) cannot be recorded"):
        of_ufunc(np.less, "reduce", (numbers,), {})  # not by NumPy, which leaks where a reduction raises


def test_names_that_are_replaced_look_like_ufuncs():
    seen, original = [], np.power

    def function(x):
        assert {original: "cube"}[np.power] == "cube"
        assert np.power == original
        seen.extend([isinstance(np.power, np.ufunc), np.power.nin, repr(np.power), pickle.dumps(np.power)])
        return np.power(x, 2.0)

    assert kilograd.compile(function)(3.0) == 9.0
    assert seen[:3] == [True, 2, repr(np.power)]
    assert pickle.loads(seen[3]) is np.power


@pytest.mark.parametrize(
    ("call", "order"),
    [
        *[(call, order) for call in ("x.ravel({})", "np.ravel(x, {})", "x.flatten({})") for order in "AK"],
        *[(call, "A") for call in ("x.reshape(3, 2, {})", "np.reshape(x, (3, 2), {})")],
    ],
)
def test_an_order_in_memory_is_not_recorded(call, order):
    """Where an argument lies by columns, NumPy gives its columns one after the other, and a path has rows alone."""
    function = eval(f"lambda x: {call.format(f'order={order!r}')} * x[0, 1]", {"np": np})
    by_rows = np.arange(6.0).reshape(2, 3)
    with pytest.raises(TypeError, match="lies in memory.*write order='C'"):
        kilograd.compile(function)(np.asfortranarray(by_rows))
    for named in ("C", "F"):
        function = eval(f"lambda x: {call.format(f'order={named!r}')} * x[0, 1]", {"np": np})
        for x in (by_rows, np.asfortranarray(by_rows)):
            assert kilograd.compile(function)(x).tolist() == function(x).tolist()
    assert kilograd.compile(lambda x: x[0].ravel("K"))(by_rows).tolist() == [0.0, 1.0, 2.0]
