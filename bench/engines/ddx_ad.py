"""ddx-ad: an equation recorded once, interpreted or compiled through LLVM, called through a bound buffer."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import ddx
import numpy as np

from bench.engines.entries import outputs_of
from bench.model import Engine, P, Phases, Run, UnavailableError, Workload
from bench.workloads import black_scholes, chebyshev, dag, derivatives, moons, random_ops, recording, rosenbrock, rows

ENGINE = Engine(
    "ddx-ad",
    version=version("ddx-ad"),
    drive="recorded once, called through buffer(); interpreted, or compiled for the batch size with vector math",
    otherwise="records symbols: there are no values and no gradient while the graph is built",
)

FUNCTIONS: dict[str, Callable[[Any], Any]] = {"tanh": ddx.tanh, "exp": ddx.exp, "log": ddx.log, "sin": ddx.sin}


def ready(equation: Any, compiled: bool, points: int = 1, want: Any = None) -> Any:
    """The equation, compiled if it is to be."""
    if compiled:
        if not ddx.has_jit:
            raise UnavailableError("this build has no LLVM")
        equation.compile(points=points, veclib=ddx.VecLib.AUTO)
        if want is not None:
            equation.wait_for_kernel(want=want)
    return equation


def moons_rows(problem: moons.Moons, compiled: bool) -> Run:
    """One row is a point. Parameters are symbols, the row is not; the derivatives are averaged over the points."""
    n = len(problem.rows)

    def relu(z: Any) -> Any:
        return ddx.select(z < 0.0, 0.0, z)

    def loss() -> Any:
        parameters = [ddx.var(f"p{i}") for i in range(337)]
        x, y = [ddx.param("x0"), ddx.param("x1")], ddx.param("y")
        return relu(1.0 - y * moons.score(parameters, x, relu))

    call = ready(ddx.equation(loss), compiled, points=n).buffer(np.zeros((340, n)))
    call.x[337:339] = np.array(problem.rows).T
    call.x[339] = problem.targets
    parameters = np.array(problem.parameters)[:, None]

    def run() -> Phases:
        call.x[:337] = parameters
        call()
        loss, gradient = call.value.mean(), call.jacobian.mean(axis=1)
        yield "step"
        return {"loss": [loss], "gradient": gradient}

    return run


def moons_vectors(problem: moons.Moons) -> Run:
    """All rows are one point: vector nodes over the rows, which are interpreted only."""
    n = len(problem.rows)

    def relu(z: Any) -> Any:
        return z * (z > 0.0)

    def loss() -> Any:
        parameters = [ddx.var(f"p{i}") for i in range(337)]
        ones = ddx.vec_constant([1.0] * n)
        x = [ddx.vec_constant([row[i] for row in problem.rows]) for i in range(2)]
        score = moons.score([_Bias(p, ones) for p in parameters], x, relu)
        return ddx.sum(relu(1.0 - ddx.vec_constant(list(problem.targets)) * score)) * (1.0 / n)

    call = ddx.equation(loss).buffer(np.array(problem.parameters))
    parameters = np.array(problem.parameters)

    def run() -> Phases:
        call.x[:] = parameters
        call()
        yield "step"
        return {"loss": [call.value], "gradient": call.jacobian}

    return run


class _Bias:
    """A scalar symbol which, where it begins a sum with a vector, is spread over it (ddx-ad multiplies only)."""

    def __init__(self, symbol: Any, ones: Any) -> None:
        self.symbol, self.ones = symbol, ones

    def __mul__(self, vector: Any) -> Any:
        return self.symbol * vector

    def __add__(self, vector: Any) -> Any:
        return self.symbol * self.ones + vector


def one_row(function: Callable[[list[Any]], Any], point: Any, compiled: bool) -> Run:
    """Value and gradient of a scalar function at one point."""
    equation = ddx.equation(lambda: function([ddx.var(f"x{i}") for i in range(len(point))]))
    call = ready(equation, compiled).buffer(np.array(point))
    x = np.array(point)

    def run() -> Phases:
        call.x[:] = x
        call()
        yield "call"
        return {"value": [call.value], "gradient": call.jacobian}

    return run


def random_graph(problem: dag.Dag, compiled: bool) -> Run:
    return one_row(lambda leaves: dag.build(problem, leaves, FUNCTIONS), problem.leaves, compiled)


def sines(problem: rows.Chain, compiled: bool) -> Run:
    return one_row(lambda x: rows.chained(problem, x[0], x[1], ddx.sin), [problem.start, problem.factor], compiled)


def unstructured(problem: rows.Unstructured, compiled: bool) -> Run:
    """Each row is a point."""
    columns = np.array(problem.rows).T
    equation = ddx.equation(lambda: rows.last_sum(problem, [ddx.var(f"x{i}") for i in range(len(columns))]))
    call = ready(equation, compiled, points=columns.shape[1]).buffer(columns)

    def run() -> Phases:
        call()
        yield "call"
        return {"value": call.value, "gradient": call.jacobian.T.ravel()}

    return run


def chains(problem: chebyshev.Chebyshev, compiled: bool) -> Run:
    return one_row(lambda inputs: chebyshev.series(problem, inputs), problem.inputs, compiled)


def hessian(problem: rosenbrock.Rosenbrock, compiled: bool) -> Run:
    n = len(problem.point)
    equation = ddx.equation(lambda: rosenbrock.function([ddx.var(f"x{i}") for i in range(n)]))
    call = ready(equation, compiled, want=ddx.Want.HESSIAN).buffer(np.array(problem.point), want=ddx.Want.HESSIAN)
    x = np.array(problem.point)

    def run() -> Phases:
        call.x[:] = x
        call()
        yield "hessian"
        return {"hessian": call.hessian.ravel()}

    return run


def options(problem: black_scholes.BlackScholes, compiled: bool) -> Run:
    def price() -> Any:
        return black_scholes.price(
            *(ddx.var(name) for name in black_scholes.INPUTS),
            sqrt=ddx.sqrt,
            log=ddx.log,
            exp=ddx.exp,
            cdf=lambda d: 0.5 * (1.0 + ddx.erf(d * 0.5**0.5)),
        )

    call = ready(ddx.equation(price), compiled, points=problem.rows).buffer(np.array(problem.columns))

    def run() -> Phases:
        call()
        yield "call"
        return black_scholes.shown(call.value, call.jacobian)

    return run


def jacobian(problem: derivatives.Function, compiled: bool) -> Run:
    x = np.array(problem.point)
    equation = ddx.equation(lambda: outputs_of(problem.call, [ddx.var(f"x{i}") for i in range(len(x))], ddx))
    call = ready(equation, compiled).buffer(x)

    def run() -> Phases:
        call.x[:] = x
        call()
        yield "jacobian"
        return {"jacobian": call.jacobian.ravel()}

    return run


def bundle(problem: derivatives.Bundle, compiled: bool) -> Run:
    """Each row is a point."""
    columns = np.array(problem.rows).T

    def outputs() -> list[Any]:
        return derivatives.projected([ddx.var(f"x{i}") for i in range(15)], ddx.sqrt, ddx.sin, ddx.cos)

    call = ready(ddx.equation(outputs), compiled, points=columns.shape[1]).buffer(columns)

    def run() -> Phases:
        call()
        yield "jacobian"
        return {"jacobian": call.jacobian.transpose(2, 0, 1).ravel()}

    return run


def both(workload: Workload[P], setup: Callable[[P, bool], Run], slow: str | None = None) -> None:
    """Register `setup` interpreted and compiled; `slow` is about the compiler."""
    ENGINE.runs(workload, "interpreter")(lambda problem: setup(problem, False))
    ENGINE.runs(workload, "compiled", slow=slow)(lambda problem: setup(problem, True))


for _workload in (moons.MOONS_100, moons.MOONS_10000):
    both(_workload, moons_rows)
    ENGINE.runs(_workload, "vector nodes")(moons_vectors)
both(random_ops.RANDOM_OPS, random_graph)
both(chebyshev.CHEBYSHEV, chains, slow="about a minute to compile")
both(rows.SINES, sines, slow="seconds to compile")
both(rows.UNSTRUCTURED, unstructured, slow="seconds to compile")
both(rosenbrock.ROSENBROCK, hessian)
both(black_scholes.BLACK_SCHOLES, options)
for _function in derivatives.FUNCTIONS:
    both(_function, jacobian)
both(derivatives.BUNDLE, bundle)


@ENGINE.runs(recording.RECORDING, "interpreter")
def recording_cost(problem: dag.Dag) -> Run:
    point = np.array(problem.leaves)

    def run() -> Phases:
        equation = ddx.equation(
            lambda: dag.build(problem, [ddx.var(f"x{i}") for i in range(len(problem.leaves))], FUNCTIONS)
        )
        value, gradient = equation.jacobian(point)
        yield "all"
        return {"value": [value], "gradient": gradient}

    return run
