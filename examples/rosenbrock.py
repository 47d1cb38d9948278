"""Rosenbrock's function in 2 and 1,000 dimensions: SciPy minimises, kilograd differentiates.

Needs SciPy. Compares gradients, Hessians and minima with the ones that SciPy has for this function.
"""

import numpy as np
from scipy import optimize

import kilograd


@kilograd.compile
def rosenbrock(x):
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def main():
    start = np.array([-1.2, 1.0])
    ours = optimize.minimize(rosenbrock.value_and_grad, start, jac=True, hess=rosenbrock.hessian, method="trust-exact")
    scipys = optimize.minimize(
        optimize.rosen, start, jac=optimize.rosen_der, hess=optimize.rosen_hess, method="trust-exact"
    )
    assert ours.success
    assert ours.nit == scipys.nit
    np.testing.assert_allclose(ours.x, scipys.x, rtol=1e-9)
    print(f"2 dimensions: {ours.nit} steps to {ours.x}")

    start = np.full(1000, 0.5)
    np.testing.assert_allclose(rosenbrock.grad(start), optimize.rosen_der(start), rtol=1e-12, atol=1e-12)
    ours = optimize.minimize(
        rosenbrock.value_and_grad, start, jac=True, hessp=rosenbrock.hvp, method="Newton-CG", options={"xtol": 1e-10}
    )
    scipys = optimize.minimize(
        optimize.rosen,
        start,
        jac=optimize.rosen_der,
        hessp=optimize.rosen_hess_prod,
        method="Newton-CG",
        options={"xtol": 1e-10},
    )
    assert ours.success
    np.testing.assert_allclose(ours.x, scipys.x, atol=1e-8)
    print(f"1,000 dimensions: {ours.nit} steps, farthest coordinate {abs(ours.x - 1).max():.1e} from 1")


if __name__ == "__main__":
    main()
