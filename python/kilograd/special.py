"""Special functions of floats, arrays and Values, with the names and conventions of `scipy.special`, and without SciPy.

Of a float each gives a float, of an array an array, which broadcast; of Values, and arrays of them, Values with exact
derivatives; inside compiled functions, what is recorded. SciPy's own functions are recorded in compiled functions, too,
by the same table.

Relative errors are some ulp over the domain, also in tails and near zeros; of `gammaln`, `gamma`, `digamma`, `betaln`,
`polygamma` of order 1, `ndtri`, `erf`, `erfc`, `erfcx`, `ndtr` and the Bessel functions they are at most 2 ulp. Except:

- `gammaln` and `digamma` near their zeros among the negative numbers, and `betaln` near its own: 2 ulp of the larger of
  1/2 and the result. `logsumexp` and `log_softmax` near 0: an ulp of 1.
- `polygamma` of the orders 2, 4 and so on, near its zeros among the negative numbers: some ulp of `n! / d**(n + 1)`, d
  being the distance from the nearest pole. From order 2 on it is NaN below -10000.
- `beta`: as many ulp as its logarithm is large, at most 1e-13.
- Derivatives in far tails of `erf`, `erfc` and `ndtr`: as many ulp as x * x, at most 2e-13; of `expit`, and second ones
  of `log_expit`, where it is near 1: an ulp of 1; of `i1e` near their zeros: an ulp of 1.

Outside of its domain a function of numbers is NaN (`entr`, `rel_entr`, `kl_div`: infinite), and infinite at a pole; of
Values it is a ValueError where an operation is, as everywhere.

Examples
--------
>>> import numpy as np
>>> from kilograd import Value, special
>>> special.erf(0.5), special.log_ndtr(np.array([-40.0, 0.0]))
(0.5204998778130465, array([-804.60844201,   -0.69314718]))
>>> x = Value(2.0)
>>> special.gammaln(x).backward()
>>> x.grad == special.digamma(2.0)
True
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast, overload

import numpy as np

from kilograd._core import Value
from kilograd.compiled import special as _arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kilograd._types import Number, SupportsArray

    _Array: TypeAlias = SupportsArray | Sequence[Any]

__all__ = [
    "beta",
    "betaln",
    "digamma",
    "entr",
    "erf",
    "erfc",
    "erfcx",
    "expit",
    "gamma",
    "gammaln",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "kl_div",
    "log_expit",
    "log_ndtr",
    "log_softmax",
    "logit",
    "logsumexp",
    "ndtr",
    "ndtri",
    "polygamma",
    "rel_entr",
    "softmax",
    "xlog1py",
    "xlogy",
]


class _OfOne(Protocol):
    @overload
    def __call__(self, x: Value, /) -> Value: ...
    @overload
    def __call__(self, x: Number, /) -> float: ...
    @overload
    def __call__(self, x: _Array, /) -> NDArray[Any]: ...


class _OfTwo(Protocol):
    @overload
    def __call__(self, x: Value, y: Value | Number, /) -> Value: ...
    @overload
    def __call__(self, x: Number, y: Value, /) -> Value: ...
    @overload
    def __call__(self, x: Number, y: Number, /) -> float: ...
    @overload
    def __call__(self, x: _Array, y: _Array | Value | Number, /) -> NDArray[Any]: ...
    @overload
    def __call__(self, x: Value | Number, y: _Array, /) -> NDArray[Any]: ...


def _of_one(name: str, description: str, ufunc: str = "") -> _OfOne:
    def function(x: Any, /) -> Any:
        return _arrays.elementwise(ufunc or name, x)

    return cast("_OfOne", _named(function, name, description, "of numbers, arrays and Values"))


def _of_two(name: str, description: str) -> _OfTwo:
    def function(x: Any, y: Any, /) -> Any:
        return _arrays.elementwise(name, x, y)

    return cast("_OfTwo", _named(function, name, description, "of numbers, arrays and Values, which broadcast"))


def _named(function: Any, name: str, description: str, operands: str) -> Any:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{description}\n\n`scipy.special.{name}`, {operands}.\n"
    return function


erf = _of_one("erf", "Error function.")
erfc = _of_one("erfc", "Complementary error function, ``1 - erf(x)``, accurate in the tail.")
erfcx = _of_one("erfcx", "Scaled complementary error function, ``exp(x**2) * erfc(x)``.")
ndtr = _of_one("ndtr", "Distribution function of the standard normal distribution.")
log_ndtr = _of_one("log_ndtr", "Logarithm of `ndtr`, accurate in both tails.")
ndtri = _of_one("ndtri", "Quantile function of the standard normal distribution, the inverse of `ndtr`.")
expit = _of_one("expit", "Logistic function, ``1 / (1 + exp(-x))``.")
log_expit = _of_one("log_expit", "Logarithm of `expit`.")
logit = _of_one("logit", "``log(x / (1 - x))``, the inverse of `expit`, accurate near 1/2.")
gammaln = _of_one("gammaln", "Logarithm of the absolute value of the gamma function.")
gamma = _of_one("gamma", "Gamma function.")
digamma = _of_one("digamma", "Derivative of `gammaln`.", "psi")
betaln = _of_two("betaln", "Logarithm of the beta function of two positive numbers.")
beta = _of_two("beta", "Beta function of two positive numbers, ``gamma(x) * gamma(y) / gamma(x + y)``.")
xlogy = _of_two("xlogy", "``x * log(y)``, and 0 where x is 0.")
xlog1py = _of_two("xlog1py", "``x * log1p(y)``, and 0 where x is 0.")
entr = _of_one("entr", "``-x * log(x)``, and 0 at 0.")
rel_entr = _of_two("rel_entr", "``x * log(x / y)``, and 0 where x is 0, accurate where the two are near.")
kl_div = _of_two("kl_div", "``x * log(x / y) - x + y``, accurate where the two are near.")
i0 = _of_one("i0", "Modified Bessel function of the first kind of order 0.")
i0e = _of_one("i0e", "``exp(-abs(x)) * i0(x)``.")
i1 = _of_one("i1", "Modified Bessel function of the first kind of order 1.")
i1e = _of_one("i1e", "``exp(-abs(x)) * i1(x)``.")


@overload
def polygamma(n: int, x: Value) -> Value: ...
@overload
def polygamma(n: int, x: Number) -> float: ...
@overload
def polygamma(n: int, x: _Array) -> NDArray[Any]: ...
def polygamma(n: int, x: Any) -> Any:
    """Derivatives of `digamma`.

    Parameters
    ----------
    n : int
        Which one, from 0, which is `digamma` itself, to 100.
    x : number, Value, or array of them

    Returns
    -------
    float, Value or array
        As `x`.

    Raises
    ------
    TypeError
        If `n` is no whole number in that range.
    """
    return _arrays.polygamma(n, x)


def logsumexp(a: Any, axis: int | tuple[int, ...] | None = None, b: Any = None, keepdims: bool = False) -> Any:
    """Logarithm of the sum of exponentials, in a form that does not overflow.

    Parameters
    ----------
    a : array of numbers or Values
    axis : int or tuple of int, optional
        What is summed over, by default everything.
    b : array, optional
        Factors of the exponentials, which broadcast.
    keepdims : bool, optional
        Whether axes that are summed over stay, with length 1.

    Returns
    -------
    float, Value or array
    """
    return _arrays.logsumexp(a, axis, b, keepdims)


def softmax(x: Any, axis: int | tuple[int, ...] | None = None) -> NDArray[Any]:
    """Exponentials over their sum along an axis, by default over everything.

    Parameters
    ----------
    x : array of numbers or Values
    axis : int or tuple of int, optional

    Returns
    -------
    array
        Of the shape of `x`.
    """
    return np.asanyarray(_arrays.softmax(x, axis))


def log_softmax(x: Any, axis: int | tuple[int, ...] | None = None) -> NDArray[Any]:
    """Logarithm of `softmax`.

    Parameters
    ----------
    x : array of numbers or Values
    axis : int or tuple of int, optional

    Returns
    -------
    array
        Of the shape of `x`.
    """
    return np.asanyarray(_arrays.log_softmax(x, axis))
