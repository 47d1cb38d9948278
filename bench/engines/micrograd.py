"""micrograd from PyPI, as its demo uses it."""

from __future__ import annotations

from importlib.metadata import version

from micrograd.engine import Value
from micrograd.nn import MLP

from bench.engines.training import run_moons_again
from bench.engines.value_class import run_eager, run_moons
from bench.model import Engine
from bench.workloads import article, chain, rosenbrock
from bench.workloads.backward import BACKWARD
from bench.workloads.memory import MEMORY

ENGINE = Engine(
    "micrograd",
    version=version("micrograd"),
    drive="as its demo notebook writes it",
    otherwise="keeps no program, and lacks functions that this needs",
)
for _workload in (article.ARTICLE, BACKWARD, MEMORY):
    ENGINE.cannot(_workload, "has no tanh")
ENGINE.cannot(rosenbrock.ROSENBROCK, "has first derivatives only")
ENGINE.cannot(chain.CHAIN, "backward() recurses once per node of a chain")

run_eager(ENGINE, Value)
run_moons(ENGINE, MLP, Value)
run_moons_again(ENGINE, MLP, Value)
