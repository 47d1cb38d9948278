"""Fit a line on two processes of Dask: python examples/on_dask.py."""

import dask.array as da
from distributed import Client, LocalCluster

from kilograd import Program, Value, optim
from kilograd.distributed import minimize


def main():
    x, y, slope, offset = [Value(0.0) for _ in range(4)]
    loss = Program((slope * x + offset - y) ** 2, inputs=[x, y], parameters=[slope, offset])

    with LocalCluster(n_workers=2, threads_per_worker=1) as cluster, Client(cluster):
        xs = da.random.default_rng(0).normal(size=200_000, chunks=50_000)
        rows = da.stack([xs, 3 * xs + 1], axis=1).rechunk({1: -1}).persist()  # made and kept at the workers
        minimize(loss, rows, optim.SGD([slope, offset], lr=0.25), steps=20)

    print(f"y = {slope.data:.3f} x + {offset.data:.3f}")


if __name__ == "__main__":
    main()
