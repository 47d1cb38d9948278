"""Fourier transforms and complex numbers in compiled functions: NumPy's numbers, and derivatives of both orders.

Each transform is taken as butterflies and whole, and its adjoint, which is that of a linear map, from differences.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.fft

import kilograd
from kilograd.compiled import fourier

RNG = np.random.default_rng(3)
X, M = RNG.normal(size=6), RNG.normal(size=(4, 6))
TURNS = np.exp(1j * np.arange(6.0))


def parts(z: Any) -> Any:
    return np.stack([z.real, z.imag])


def differences(f: Callable[[Any], Any], x: Any, h: float = 1e-6) -> Any:
    columns = [(np.asarray(f(x + h * e)) - np.asarray(f(x - h * e))) / (2 * h) for e in steps(x)]
    return np.stack(columns, axis=-1).reshape(*columns[0].shape, *x.shape)


def steps(x: Any) -> Any:
    return np.eye(x.size).reshape(x.size, *x.shape)


def check(function: Callable[[Any], Any], x: Any) -> None:
    f = kilograd.compile(function)
    wanted = function(x.copy())
    found = f(x)
    assert np.shape(found) == np.shape(wanted)
    np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(f.jacobian(x), differences(function, x), rtol=1e-5, atol=1e-6)
    rows = np.stack([x, x[::-1]])
    np.testing.assert_allclose(f.batch(rows), [f(row) for row in rows], rtol=1e-11, atol=1e-12)
    loss = kilograd.compile(lambda x: np.sum(np.sin(function(x))))
    gradient = loss.grad(x)
    hessian = loss.hessian(x).reshape(x.size, x.size)
    np.testing.assert_allclose(hessian, differences(loss.grad, x).reshape(hessian.shape), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(loss.hvp(x, x).reshape(-1), hessian @ x.reshape(-1), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(loss.jacobian(x), gradient, rtol=1e-9, atol=1e-10)


@pytest.fixture(params=["butterflies", "whole"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(fourier, "LARGEST", 10**9 if request.param == "butterflies" else 0)
    return str(request.param)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 15, 16, 20, 22, 31, 32])
def test_transforms_of_any_length(n: int):
    x = RNG.normal(size=n)
    check(lambda x: parts(np.fft.fft(x)), x)
    check(lambda x: parts(np.fft.ifft(x * TURNS[0] + 1j * np.cos(x))), x)
    check(lambda x: parts(np.fft.rfft(x)), x)
    if n > 1:
        weights = np.exp(1j * np.arange(n // 2 + 1))
        check(lambda x: np.fft.irfft(np.fft.rfft(x) * weights, n), x)  # with imaginary parts that NumPy leaves out


TRANSFORMS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "ortho": (lambda x: parts(np.fft.fft(x, norm="ortho")), X),
    "forward": (lambda x: parts(np.fft.fft(x, norm="forward")), X),
    "inverse-ortho": (lambda x: parts(np.fft.ifft(x, norm="ortho")), X),
    "inverse-forward": (lambda x: np.fft.irfft(np.fft.rfft(x, norm="forward"), norm="forward"), X),
    "longer": (lambda x: parts(np.fft.fft(x, n=10)), X),
    "shorter": (lambda x: parts(np.fft.rfft(x, n=4)), X),
    "half-longer": (lambda x: np.fft.irfft(x + 1j * x**2, n=15), X),
    "half-shorter": (lambda x: np.fft.irfft(x, 5), X),
    "axis": (lambda x: parts(np.fft.fft(x, axis=0)), M),
    "axis-of-real": (lambda x: parts(np.fft.rfft(x, axis=-2)), M),
    "two-axes": (lambda x: parts(np.fft.fft2(x)), M),
    "two-axes-back": (lambda x: np.fft.ifft2(np.fft.fft2(x) * TURNS).real, M),
    "two-axes-of-real": (lambda x: np.fft.irfft2(np.fft.rfft2(x, norm="ortho") * TURNS[1], norm="ortho"), M),
    "axes": (lambda x: parts(np.fft.fftn(x, s=(3, 8), axes=(1, 0))), M),
    "axes-back": (lambda x: parts(np.fft.ifftn(x, s=(5,), axes=(0,))), M),
    "axes-of-real": (lambda x: np.fft.irfftn(np.fft.rfftn(x), s=(4, 5), axes=(0, 1)), M),
    "shift": (lambda x: parts(np.fft.ifftshift(np.fft.fftshift(np.fft.fft(x))[1:])), X),
    "frequencies": (lambda x: np.abs(np.fft.fft(x)) * np.fft.fftfreq(6, x[0] ** 2 + 1.0), X),
    "spectrum": (lambda x: np.abs(np.fft.rfft(x)) ** 2 * np.fft.rfftfreq(6), X),
    "phase": (lambda x: np.angle(np.fft.rfft(x)[1:3]), X),
    "convolution": (lambda x: np.fft.ifft(np.fft.fft(x) * np.fft.fft(np.sin(x))).real, X),
    "scipy": (lambda x: scipy.fft.irfft(scipy.fft.rfft(x, workers=1) * TURNS[:4], overwrite_x=True), X),
    "derivative-of-a-periodic-function": (
        lambda x: np.fft.ifft(2j * np.pi * np.fft.fftfreq(6, 1 / 6) * np.fft.fft(x)).real,
        X,
    ),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name: str):
    check(*TRANSFORMS[name])


COMPLEX: dict[str, Callable[[Any], Any]] = {
    "scalars": lambda x: ((x[0] + 1j) * (2 - 1j * x[1]) / (x[2] + 2j) - 1j / x[3]).real + (x[4] / 1j).imag,
    "scalars-of-numpy": lambda x: (np.complex128(2 + 1j) * x[0]).imag + (x[1] - np.complex128(1j)).imag * x[2],
    "sizes": lambda x: np.abs(x * 1j + x[::-1]) + abs(TURNS * x) ** 2,
    "angles": lambda x: np.angle(x + 1j) + np.angle(x + 1j, deg=True),
    "exponentials": lambda x: np.exp(1j * x).real + np.exp((1 + 2j) * x).imag,
    "logarithms": lambda x: parts(np.log(TURNS * (x**2 + 1))),
    "roots": lambda x: parts(np.sqrt(TURNS * x)),
    "powers": lambda x: parts((TURNS * x) ** 2) + parts((TURNS * x) ** -3) + parts((TURNS * x + 3) ** (0.5 + 1j)),
    "angle-functions": lambda x: parts(np.sin(TURNS * x) + np.cos(TURNS * x) * np.sinh(1j * x) + np.cosh(TURNS * x)),
    "quotients": lambda x: parts(2 / (TURNS * x) + x / TURNS + np.reciprocal(TURNS * x + 1)),
    "signs": lambda x: parts(-(TURNS * x) + np.conj(TURNS * x) + (+(TURNS * x)).conjugate()),
    "sums": lambda x: parts(np.sum(TURNS * x) + (TURNS * x).mean() + np.cumsum(TURNS * x) + sum(TURNS * x)),
    "products": lambda x: parts(np.prod(TURNS * x)) + parts(np.prod(np.reshape(TURNS * x, (2, 3)), axis=1)).sum(),
    "matrices": lambda x: parts(np.outer(TURNS * x, x) @ TURNS + np.dot(x, TURNS) + np.vdot(TURNS * x, TURNS)),
    "einsum": lambda x: parts(np.einsum("i,j->ij", TURNS * x, TURNS) + np.kron(TURNS[:1] * x[:1], x)),
    "convolve": lambda x: parts(np.convolve(TURNS * x, x) + np.correlate(x, TURNS * x, "full")),
    "norms": lambda x: np.linalg.norm(TURNS * x) + np.linalg.norm(TURNS * x + 1, 1),
    "pieces": lambda x: parts(np.concatenate([TURNS * x, x])[1:9:2]) + (TURNS * x).reshape(2, 3).T.ravel().imag[:4],
    "where": lambda x: parts(np.where(x > 0, TURNS * x, x)) + parts(np.where([True, False] * 3, x, 1j)),
    "made-inside": lambda x: (lambda z: (z.__setitem__(1, x[0] * 1j), z.imag * x)[1])(np.zeros(6, complex)),
    "made-of-lists": lambda x: parts(np.array([x[0] + 1j * x[1], 2j, x[2]])) + parts(np.full(3, x[0] * 1j)),
    "in-place": lambda x: (lambda z: (z.__imul__(1j), z.__iadd__(x), parts(z))[-1])(x * TURNS),
    "converted": lambda x: parts(np.asarray(x, dtype=complex)) + x.astype(complex).real,
    "equal": lambda x: (TURNS * x == TURNS * x) * x + np.isfinite(TURNS * x) * x,
    "polynomial": lambda x: parts(np.polyval([1.0, 1j, 2.0], x)),
    "shapes": lambda x: len(TURNS * x) * np.size(TURNS * x) * x + (TURNS * x).ndim + np.tile(TURNS * x, 2).imag[6:],
    "truth": lambda x: x * 2.0 if (TURNS * x)[1] else x,
    "complex-zeros": lambda x: (np.zeros_like(TURNS * x) + x).real + np.zeros(6, complex).imag,
}


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_numbers(name: str):
    check(COMPLEX[name], X)


@pytest.mark.parametrize(
    "x", [np.zeros(4), np.ones(4), np.array([1.0, -1.0, 1.0, -1.0]), np.array([1.0, 0.0, 0.0, 0.0])]
)
def test_power_spectra_have_their_hessian_where_they_are_0(x: Any):
    f = kilograd.compile(lambda x: np.sum(np.abs(np.fft.fft(x)) ** 2))
    np.testing.assert_allclose(f.grad(x), 8.0 * x, atol=1e-14)
    np.testing.assert_allclose(f.hessian(x), 8.0 * np.eye(4), atol=1e-14)
    np.testing.assert_allclose(f.hvp(x, np.arange(4.0)), 8.0 * np.arange(4.0), atol=1e-14)


def test_squares_of_sizes_have_second_derivatives_at_0():
    for f in (lambda x, y: abs(x) ** 2 + y * y, lambda x, y: np.hypot(x, y) ** 2, lambda x, y: abs(x) * abs(x) + y**2):
        hessian = kilograd.compile(f, argnums=(0, 1)).hessian(0.0, 0.0)
        np.testing.assert_array_equal(hessian, 2.0 * np.eye(2))


def test_in_loops_and_gradients():
    def step(carry: Any, x: Any) -> tuple[Any, Any]:
        spectrum = np.fft.rfft(carry)
        return np.fft.irfft(spectrum * np.exp(1j * x), 6), np.sum(np.abs(spectrum) ** 2)

    def function(x: Any) -> Any:
        last, energies = kilograd.scan(step, x, 0.1 * x)
        return np.sum(last * np.arange(6.0)) + np.sum(energies * np.arange(6.0))

    def plain(x: Any) -> Any:
        carry, total = x, 0.0
        for k, angle in enumerate(0.1 * x):
            carry, energy = step(carry, angle)
            total += k * energy
        return np.sum(carry * np.arange(6.0)) + total

    f = kilograd.compile(function)
    np.testing.assert_allclose(f(X), plain(X), rtol=1e-11)
    np.testing.assert_allclose(f.grad(X), differences(plain, X), rtol=1e-6)
    inner = kilograd.compile(lambda x: np.sum(kilograd.grad(lambda t: np.sum(np.abs(np.fft.fft(t)) ** 4))(x) * x))
    np.testing.assert_allclose(inner(X), 4.0 * np.sum(np.abs(np.fft.fft(X)) ** 4), rtol=1e-11)


def test_constants_are_numpys():
    f = kilograd.compile(
        lambda x: x + np.fft.fft(np.ones(3)).real + np.fft.irfft(np.fft.rfft(np.array([1.0, 2.0, 3.0])), 3)
    )
    np.testing.assert_allclose(f(np.zeros(3)), [4.0, 2.0, 3.0])
    assert kilograd.compile(lambda x: 1j)(X) == 1j
    np.testing.assert_array_equal(kilograd.compile(lambda x: np.zeros(2, complex) + 1j)(X), [1j, 1j])


def test_integers_that_are_arguments_are_lengths_and_axes():
    f = kilograd.compile(lambda x, n: np.abs(np.fft.fft(x, n=n)) + np.fft.fftfreq(n))
    for n in (4, 7, 4):
        np.testing.assert_allclose(f(X, n), np.abs(np.fft.fft(X, n=n)) + np.fft.fftfreq(n), rtol=1e-11, atol=1e-13)
    g = kilograd.compile(lambda x, axis: np.abs(np.fft.rfft(x, axis=axis)))
    np.testing.assert_allclose(g(M, 0), np.abs(np.fft.rfft(M, axis=0)), rtol=1e-11)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda x: np.fft.fft(x), TypeError, r"return z.real and z.imag, numpy.abs\(z\)"),
        (lambda x: {"z": [x[0] * 1j]}, TypeError, "returns real numbers"),
        (lambda x: x * 1j < x, TypeError, "order of complex numbers"),
        (lambda x: max(x * 1j), TypeError, "order of complex numbers"),
        (lambda x: np.sort(x * 1j), TypeError, "compose it of sums"),
        (lambda x: np.linalg.inv(np.outer(x, TURNS)), TypeError, r"numpy.linalg.inv\(\) of complex"),
        (lambda x: np.tan(x * 1j), TypeError, r"tan\(\) of complex numbers"),
        (lambda x: float((x * 1j)[0]), TypeError, "not 'complex'"),
        (lambda x: complex((x * 1j)[0]), TypeError, r"leave out complex\(z\)"),
        (lambda x: np.array(x * 1j, dtype=float), TypeError, "real: give it z.real"),
        (lambda x: x.__setitem__(0, 1j), TypeError, "real: give it z.real"),
        (lambda x: x.__imul__(1j), TypeError, "real: give it z.real"),
        (lambda x: np.fft.fft(x[0]), ValueError, "of an array"),
        (lambda x: np.fft.fft(x, n=0), ValueError, "Invalid number of FFT data points"),
        (lambda x: np.fft.fft(x, norm="none"), ValueError, "Invalid norm value none"),
        (lambda x: np.fft.rfft(x * 1j), TypeError, "of real numbers"),
        (lambda x: np.fft.fft(x, axis=3), IndexError, "out of range"),
        (lambda x: np.fft.fftn(x, s=(1, 2), axes=(0,)), ValueError, "different lengths"),
        (lambda x: np.fft.fft(x, out=np.zeros(6, complex)), TypeError, "out="),
        (lambda x: kilograd.scan(lambda c, t: (c * 1j, t), x[0], x)[0], TypeError, "real: give it z.real"),
        (lambda x: (x * 1j).fill(2.0), AttributeError, "no attribute 'fill'"),
        (lambda x: (x[0] * 1j) // 2, TypeError, r"floor_divide\(\) of complex"),
    ],
)
def test_what_is_refused(function: Callable[[Any], Any], error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        kilograd.compile(function)(X)


def test_at_0_a_complex_quotient_raises():
    f = kilograd.compile(lambda x: (1.0 / (x[0] + 1j * x[1])).real)
    assert f(np.array([2.0, 0.0])) == 0.5
    with pytest.raises((ZeroDivisionError, ValueError)):
        f(np.zeros(2))


def test_values_outside_of_a_compiled_function_are_as_before():
    v = kilograd.Value(2.0)
    with pytest.raises(TypeError, match="unsupported operand"):
        v * 1j  # type: ignore[operator]
    with pytest.raises(TypeError, match="unsupported operand"):
        1j + v  # type: ignore[operator]


@pytest.mark.parametrize(
    "side",
    [
        lambda x: np.sqrt(-(x + 0j)).imag,
        lambda x: np.sqrt(np.conj(-np.abs(x) + 0j)).imag,
        lambda x: np.sqrt((x + 0j) / -1).imag,
        lambda x: np.sqrt(1 / (x + 0j)).imag,
        lambda x: np.sqrt((x + 0j) * -2).imag,
        lambda x: np.sqrt(np.conj(x + 0j) * 2).imag,
        lambda x: np.log(np.conj(x.astype(complex))).imag,
        lambda x: np.angle(-(np.abs(x) + 0j)),
        lambda x: np.angle(np.mean(-(np.abs(x) + 0j))) * x,
        lambda x: np.angle(np.conj(np.fft.fft(x)))[0] * x,
        lambda x: np.angle(np.fft.rfft(-np.abs(x)))[[0, 3]] * x[:2],
        lambda x: np.sqrt(np.fft.ifft(-np.abs(x))[0]).imag * x,
        lambda x: np.angle(np.fft.fft(-np.abs(x[:5])))[0] * x,
    ],
)
def test_signs_of_zeros_choose_the_side_of_a_branch_cut(side: Callable[[Any], Any]):
    f = kilograd.compile(side)
    for x in (X, -X, np.abs(X), -np.abs(X)):
        np.testing.assert_allclose(f(x), side(x.copy()), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(f.jacobian(x), differences(side, x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "view",
    [
        lambda z: z.ravel(),
        lambda z: np.ravel(z),
        lambda z: z.T,
        lambda z: z.transpose(),
        lambda z: np.transpose(z),
        lambda z: z.squeeze(),
        lambda z: np.reshape(z, (3, 2)),
        lambda z: np.swapaxes(z.reshape(2, 3), 0, 1),
        lambda z: np.moveaxis(z.reshape(2, 3), 0, 1),
        lambda z: np.expand_dims(z, 1),
        lambda z: np.atleast_2d(z).T,
        lambda z: np.split(z, 2)[1],
        lambda z: np.flip(z),
        lambda z: np.rot90(z.reshape(2, 3)),
        lambda z: np.einsum("i->i", z),
        lambda z: z.astype(complex, copy=False),
        lambda z: z.flatten(),
        lambda z: np.copy(z),
        lambda z: np.roll(z, 1),
        lambda z: z.conj(),
        lambda z: z.astype(complex),
    ],
)
def test_what_is_written_into_a_view_is_written_into_the_array(view: Callable[[Any], Any]):
    def function(x: Any) -> Any:
        z = np.fft.fft(x)
        w = view(z)
        w[0] = x[1] * 1j
        w[1:] *= 2
        return np.abs(z) + np.abs(w).sum()

    check(function, X)
