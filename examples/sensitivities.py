"""How the solution of a differential equation, and of an algebraic one, depends on parameters.

Needs SciPy. Predators and their prey (Lotka and Volterra): the sensitivities S = dy/dp obey the linear equation
S' = J_y S + J_p, where both Jacobians are exact, and are solved for along with y. The equilibrium comes from a root
finder, with the same Jacobian.
"""

import numpy as np
from scipy import integrate, optimize

import kilograd


@kilograd.compile
def rates(y, p):
    prey, predators = y
    births, eaten, deaths, fed = p
    return np.array([births * prey - eaten * prey * predators, fed * prey * predators - deaths * predators])


def solved(p, y0, end):
    """y and dy/dp at the end."""

    def augmented(t, state):
        y, s = state[:2], state[2:].reshape(2, 4)
        by_y, by_p = rates.jacobian(y, p, argnums=(0, 1))
        return np.concatenate([rates(y, p), (by_y @ s + by_p).ravel()])

    start = np.concatenate([y0, np.zeros(8)])
    state = integrate.solve_ivp(augmented, (0.0, end), start, rtol=1e-10, atol=1e-12).y[:, -1]
    return state[:2], state[2:].reshape(2, 4)


def main():
    p, y0, end = np.array([1.1, 0.4, 0.4, 0.1]), np.array([10.0, 5.0]), 8.0
    y, sensitivities = solved(p, y0, end)
    h = 1e-5
    for k in range(4):
        up, down = p + h * (np.arange(4) == k), p - h * (np.arange(4) == k)
        differences = (solved(up, y0, end)[0] - solved(down, y0, end)[0]) / (2 * h)
        np.testing.assert_allclose(sensitivities[:, k], differences, rtol=1e-4, atol=1e-6)
    print(f"at t = {end:g} there are {y.round(3)}; by the birth rate that changes by {sensitivities[:, 0].round(3)}")

    rest = optimize.root(rates, [5.0, 2.0], args=(p,), jac=rates.jacobian)
    births, eaten, deaths, fed = p
    np.testing.assert_allclose(rest.x, [deaths / fed, births / eaten], rtol=1e-9)
    print(f"they rest at {rest.x.round(4)}, found with {rest.nfev} evaluations and {rest.njev} Jacobians")


if __name__ == "__main__":
    main()
