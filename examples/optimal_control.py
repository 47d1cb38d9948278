"""Optimal control by collocation: a Van der Pol oscillator is steered to rest, with sparse derivatives.

Needs SciPy. The trapezoidal rule makes the equations of motion constraints between neighbouring points, so that their
Jacobian has a few entries in each row, and the Hessian of the Lagrangian too. SciPy's trust-constr takes both sparse.
"""

import numpy as np
from scipy import optimize

import kilograd

STEPS, END = 40, 4.0
START = np.array([0.0, 1.0])


def unpacked(z):
    """The states at all points, shape (2, STEPS + 1), and the control at these."""
    return z[: 2 * (STEPS + 1)].reshape(2, STEPS + 1), z[2 * (STEPS + 1) :]


@kilograd.compile
def cost(z):
    (x, v), u = unpacked(z)
    return (np.sum(x**2) + np.sum(v**2) + np.sum(u**2)) * END / STEPS


@kilograd.compile
def defects(z):
    (x, v), u = unpacked(z)
    dx, dv = v, (1 - x**2) * v - x + u
    half = END / STEPS / 2
    return np.concatenate(
        [
            x[1:] - x[:-1] - half * (dx[1:] + dx[:-1]),
            v[1:] - v[:-1] - half * (dv[1:] + dv[:-1]),
            [x[0] - START[0], v[0] - START[1], x[-1], v[-1]],
        ]
    )


@kilograd.compile
def weighted_defects(z, weights):
    return np.sum(weights * defects(z))


def main():
    z0 = np.zeros(3 * (STEPS + 1))
    found = optimize.minimize(
        cost.value_and_grad,
        z0,
        jac=True,
        hess=lambda z: cost.hessian(z, sparse=True),
        method="trust-constr",
        constraints=optimize.NonlinearConstraint(
            defects,
            0.0,
            0.0,
            jac=lambda z: defects.jacobian(z, sparse=True),
            hess=lambda z, weights: weighted_defects.hessian(z, weights, argnums=0, sparse=True),
        ),
        options={"maxiter": 200, "gtol": 1e-6},
    )
    (x, v), u = unpacked(found.x)
    jacobian = defects.jacobian(found.x, sparse=True)
    assert np.abs(defects(found.x)).max() < 1e-8
    assert jacobian.nnz < 8 * jacobian.shape[0]
    print(f"cost {found.fun:.4f} after {found.nit} iterations; at the end x = {x[-1]:.1e}, v = {v[-1]:.1e}")
    print(
        f"the largest control is {np.abs(u).max():.3f}; {jacobian.nnz} of {np.prod(jacobian.shape)} derivatives remain"
    )


if __name__ == "__main__":
    main()
