"""How sure is a fit? Many fits of resampled data, all by one recorded program, with its parameters as an argument.

Needs SciPy. A small network is fitted once, then to samples drawn with replacement; where the fits differ it is unsure.
"""

import random

import numpy as np
from scipy import optimize

import kilograd
from kilograd import MLP, Program, Value


def main(fits=20):
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(-3.0, 3.0, 60))
    rows = np.column_stack([x, np.sin(x) + 0.1 * rng.normal(size=x.size)])

    random.seed(0)
    model = MLP(1, [6, 1], activation=["tanh", "linear"])
    inputs = [Value(0.0), Value(0.0)]
    output = model(inputs[:1])
    loss = Program((output - inputs[1]) ** 2, inputs, model.parameters())
    curve = Program(output, inputs[:1], model.parameters())

    def fitted(sample, start):
        def objective(theta):
            return loss.value_and_grad(sample, wrt="parameters", reduce="mean", parameters=theta)

        return optimize.minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 500}).x

    theta = fitted(rows, kilograd.arrays.data(model.parameters()))
    sets = [fitted(rows[rng.integers(len(rows), size=len(rows))], theta) for _ in range(fits)]

    grid = np.linspace(-4.0, 4.0, 9)[:, None]
    spread = curve(grid, parameters=sets).std(axis=0)
    assert loss(rows, reduce="mean", parameters=theta) < 0.02
    assert spread[[0, -1]].mean() > spread[2:-2].mean()
    for point, mean, deviation in zip(grid[:, 0], curve(grid, parameters=theta), spread, strict=True):
        print(f"x = {point:4.1f}: {mean:6.3f} +- {deviation:.3f}")


if __name__ == "__main__":
    main()
