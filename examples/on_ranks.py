"""Fit a line on the ranks of MPI: mpiexec -n 2 python examples/on_ranks.py."""

import numpy as np
from mpi4py import MPI

from kilograd import Program, Value, optim
from kilograd.distributed import Ranks, minimize

x, y, slope, offset = [Value(0.0) for _ in range(4)]
loss = Program((slope * x + offset - y) ** 2, inputs=[x, y], parameters=[slope, offset])

xs = np.random.default_rng(MPI.COMM_WORLD.rank).normal(size=100_000)  # or what this rank reads
rows = np.column_stack([xs, 3 * xs + 1])
minimize(loss, Ranks([rows]), optim.SGD([slope, offset], lr=0.25), steps=20)

if MPI.COMM_WORLD.rank == 0:
    print(f"y = {slope.data:.3f} x + {offset.data:.3f}")
