"""A curve fit by least squares, with the exact Jacobian.

Needs SciPy. A damped oscillation is fitted to noisy samples; the result is that of SciPy with its own derivatives.
"""

import numpy as np
from scipy import optimize

import kilograd


def model(p, t):
    amplitude, decay, frequency, phase = p
    return amplitude * np.exp(-decay * t) * np.cos(frequency * t + phase)


@kilograd.compile
def residuals(p, t, y):
    return model(p, t) - y


def main():
    rng = np.random.default_rng(0)
    truth = np.array([2.5, 0.4, 3.0, 0.7])
    t = np.linspace(0.0, 5.0, 60)
    y = model(truth, t) + 0.05 * rng.normal(size=t.size)

    start = np.array([1.0, 0.1, 2.7, 0.0])
    ours = optimize.least_squares(residuals, start, jac=residuals.jacobian, args=(t, y))
    scipys = optimize.least_squares(lambda p, t, y: model(p, t) - y, start, jac="3-point", args=(t, y))
    assert ours.success
    np.testing.assert_allclose(ours.x, scipys.x, rtol=1e-6)
    np.testing.assert_allclose(ours.cost, scipys.cost, rtol=1e-9)
    np.testing.assert_allclose(ours.x, truth, atol=0.1)
    print(f"fitted {ours.x.round(4)}, the truth was {truth}; {ours.nfev} evaluations")


if __name__ == "__main__":
    main()
