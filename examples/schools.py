"""Hamiltonian Monte Carlo for the eight schools: a whole trajectory is one compiled function, its steps a scan.

    python examples/schools.py --draws 2000

Eight schools coached their pupils for a test; the effects were measured with errors of known size (Rubin, 1981). The
model is hierarchical, written without centre: effect = mu + tau * eta. The sampler moves by leapfrog steps along the
gradient of the log density, which `kilograd.grad` takes inside of the compiled function.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

import kilograd

EFFECTS = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERRORS = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
STEPS, SIZE = 32, 0.2


def log_density(q: Any) -> Any:
    """Of mu, log(tau) and the eight eta; up to a constant."""
    mu, log_tau, eta = q[0], q[1], q[2:]
    residual = (EFFECTS - mu - np.exp(log_tau) * eta) / ERRORS
    prior = (mu / 5.0) ** 2 / 2 + (eta * eta).sum() / 2 + np.log(1.0 + (np.exp(log_tau) / 5.0) ** 2) - log_tau
    return -prior - (residual * residual).sum() / 2


slope = kilograd.grad(log_density)


@kilograd.compile
def trajectory(q: Any, p: Any) -> Any:
    """Where a trajectory ends, and by how much its energy has changed."""

    def leapfrog(state: Any, _: None) -> Any:
        q, p = state
        p = p + SIZE / 2 * slope(q)
        q = q + SIZE * p
        return (q, p + SIZE / 2 * slope(q)), None

    before = (p * p).sum() / 2 - log_density(q)
    (q, p), _ = kilograd.scan(leapfrog, (q, p), length=STEPS)
    return q, (p * p).sum() / 2 - log_density(q) - before


def sample(draws: int, seed: int = 0) -> tuple[Any, float]:
    """Draws of mu, log(tau) and eta, and how many of them were accepted."""
    rng = np.random.default_rng(seed)
    q, accepted, found = np.zeros(10), 0, np.empty((draws, 10))
    for k in range(draws):
        moved, change = trajectory(q, rng.normal(size=10))
        if np.log(rng.uniform()) < -change:
            q, accepted = moved, accepted + 1
        found[k] = q
    return found, accepted / draws


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=2000)
    found, accepted = sample(parser.parse_args().draws)
    found = found[len(found) // 5 :]
    print(f"accepted {accepted:.2f}")
    print(f"mu  {found[:, 0].mean():6.2f} +- {found[:, 0].std():.2f}")
    print(f"tau {np.exp(found[:, 1]).mean():6.2f} +- {np.exp(found[:, 1]).std():.2f}")


if __name__ == "__main__":
    main()
