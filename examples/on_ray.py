"""Fit a line on Ray: python examples/on_ray.py."""

import numpy as np
import ray

from kilograd import Program, Value, optim
from kilograd.distributed import minimize

x, y, slope, offset = [Value(0.0) for _ in range(4)]
loss = Program((slope * x + offset - y) ** 2, inputs=[x, y], parameters=[slope, offset])

ray.init(num_cpus=2, include_dashboard=False)
xs = np.random.default_rng(0).normal(size=200_000)
rows = ray.data.from_numpy(np.split(np.column_stack([xs, 3 * xs + 1]), 4))
minimize(loss, rows, optim.SGD([slope, offset], lr=0.25), steps=20)

print(f"y = {slope.data:.3f} x + {offset.data:.3f}")
