"""CasADi: an expression differentiated symbolically, run by its virtual machine through a bound buffer."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import casadi as ca
import numpy as np

from bench.engines.entries import outputs_of
from bench.model import Engine, Phases, Run
from bench.workloads import black_scholes, chebyshev, dag, derivatives, moons, random_ops, recording, rosenbrock, rows

ENGINE = Engine(
    "casadi",
    version=version("casadi"),
    drive="SX (moons: MX matrices, the fastest of its forms here) through Function.buffer(); set-up not timed",
    otherwise="builds symbols: there are no values and no gradient while the graph is built",
)

FUNCTIONS: dict[str, Callable[[Any], Any]] = {"tanh": ca.tanh, "exp": ca.exp, "log": ca.log, "sin": ca.sin}


class Call:
    """A function bound to flat arrays: write `inputs`, call, read `outputs` (matrices column by column)."""

    def __init__(self, function: Any, *inputs: Any) -> None:
        self.buffer, self.call = function.buffer()
        self.inputs = [np.array(value, dtype=float).ravel(order="F") for value in inputs]
        self.outputs = [np.zeros(function.numel_out(i)) for i in range(function.n_out())]
        for i, array in enumerate(self.inputs):
            self.buffer.set_arg(i, array.data)
        for i, array in enumerate(self.outputs):
            self.buffer.set_res(i, array.data)


def moons_run(problem: moons.Moons) -> Run:
    n = len(problem.rows)
    p = ca.MX.sym("p", 337)
    h: Any = ca.DM(np.array(problem.rows).T)
    offset = 0
    for nin, nout in pairwise(moons.SIZES):
        block = ca.reshape(p[offset : offset + nout * (nin + 1)], nin + 1, nout).T
        offset += nout * (nin + 1)
        h = block[:, :nin] @ h + ca.repmat(block[:, nin], 1, n)
        h = h if nout == 1 else ca.fmax(h, 0.0)
    loss = ca.sum2(ca.fmax(1.0 - ca.DM(problem.targets).T * h, 0.0)) / n
    step = Call(ca.Function("step", [p], [loss, ca.gradient(loss, p)]), problem.parameters)

    def run() -> Phases:
        step.call()
        yield "step"
        return {"loss": step.outputs[0], "gradient": step.outputs[1]}

    return run


ENGINE.runs(moons.MOONS_100)(moons_run)
ENGINE.runs(moons.MOONS_10000)(moons_run)


def gradient_function(root: Any, x: Any) -> Any:
    return ca.Function("f", [x], [root, ca.gradient(root, x)])


def one_row(root: Any, x: Any, point: Any) -> Run:
    step = Call(gradient_function(root, x), point)

    def run() -> Phases:
        step.call()
        yield "call"
        return {"value": step.outputs[0], "gradient": step.outputs[1]}

    return run


@ENGINE.runs(random_ops.RANDOM_OPS)
def random_graph(problem: dag.Dag) -> Run:
    x = ca.SX.sym("x", len(problem.leaves))
    return one_row(dag.build(problem, ca.vertsplit(x), FUNCTIONS), x, problem.leaves)


@ENGINE.runs(chebyshev.CHEBYSHEV)
def chains(problem: chebyshev.Chebyshev) -> Run:
    x = ca.SX.sym("x", len(problem.inputs))
    return one_row(chebyshev.series(problem, ca.vertsplit(x)), x, problem.inputs)


@ENGINE.runs(rows.SINES)
def sines(problem: rows.Chain) -> Run:
    x = ca.SX.sym("x", 2)
    return one_row(rows.chained(problem, x[0], x[1], ca.sin), x, [problem.start, problem.factor])


@ENGINE.runs(recording.RECORDING)
def recording_cost(problem: dag.Dag) -> Run:
    def run() -> Phases:
        x = ca.SX.sym("x", len(problem.leaves))
        root = dag.build(problem, ca.vertsplit(x), FUNCTIONS)
        yield "build"
        function = gradient_function(root, x)
        yield "record"
        value, gradient = function(np.array(problem.leaves))
        yield "first call"
        return {"value": [value], "gradient": np.asarray(gradient).ravel()}

    return run


@ENGINE.runs(rosenbrock.ROSENBROCK)
def hessian(problem: rosenbrock.Rosenbrock) -> Run:
    n = len(problem.point)
    x = ca.SX.sym("x", n)
    matrix, _ = ca.hessian(rosenbrock.function(ca.vertsplit(x)), x)
    step = Call(ca.Function("h", [x], [ca.densify(matrix)]), problem.point)

    def run() -> Phases:
        step.call()
        yield "hessian"
        return {"hessian": step.outputs[0]}

    return run


@ENGINE.runs(black_scholes.BLACK_SCHOLES)
def options(problem: black_scholes.BlackScholes) -> Run:
    x = ca.SX.sym("x", 5)
    price = black_scholes.price(
        *ca.vertsplit(x), sqrt=ca.sqrt, log=ca.log, exp=ca.exp, cdf=lambda d: 0.5 * (1.0 + ca.erf(d * 0.5**0.5))
    )
    step = Call(gradient_function(price, x).map(problem.rows), np.array(problem.columns))

    def run() -> Phases:
        step.call()
        yield "call"
        return black_scholes.shown(step.outputs[0], step.outputs[1].reshape(5, -1, order="F"))

    return run


def jacobian(problem: derivatives.Function) -> Run:
    x = ca.SX.sym("x", len(problem.point))
    outputs = ca.vertcat(*outputs_of(problem.call, ca.vertsplit(x), ca))
    step = Call(ca.Function("j", [x], [ca.densify(ca.jacobian(outputs, x))]), problem.point)
    shape = outputs.numel(), x.numel()

    def run() -> Phases:
        step.call()
        yield "jacobian"
        return {"jacobian": step.outputs[0].reshape(shape, order="F").ravel()}

    return run


for _function in derivatives.FUNCTIONS:
    ENGINE.runs(_function)(jacobian)


@ENGINE.runs(derivatives.BUNDLE)
def bundle(problem: derivatives.Bundle) -> Run:
    x = ca.SX.sym("x", 15)
    outputs = ca.vertcat(*derivatives.projected(ca.vertsplit(x), ca.sqrt, ca.sin, ca.cos))
    each = ca.Function("j", [x], [ca.densify(ca.jacobian(outputs, x))])
    step = Call(each.map(len(problem.rows)), np.array(problem.rows).T)

    def run() -> Phases:
        step.call()
        yield "jacobian"
        return {"jacobian": step.outputs[0].reshape(-1, 15, 2).transpose(0, 2, 1).ravel()}

    return run
