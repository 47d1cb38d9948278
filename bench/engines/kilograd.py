"""kilograd: eagerly as a Value class, and recorded as a Program."""

from __future__ import annotations

from typing import Any

import kilograd
from bench.engines.programs import run_programs, run_transformer
from bench.engines.training import run_kilograd
from bench.engines.value_class import FUNCTIONS, run_article, run_backward, run_chain, run_eager, run_moons
from bench.model import Engine, Phases, Run, UnavailableError
from bench.workloads import (
    black_scholes,
    chebyshev,
    counts,
    dag,
    derivatives,
    loops,
    moons,
    random_ops,
    recording,
    rosenbrock,
    rows,
    solve,
    spectrum,
)
from bench.workloads.memory import MEMORY, built_and_walked
from kilograd import MLP, Value
from kilograd.micrograd import nn as micrograd_nn
from kilograd.micrograd.engine import Value as MicrogradValue

ENGINE = Engine(
    "kilograd",
    version=kilograd.__version__,
    drive="the same statements as the reference; recorded workloads through Program, 'eager' builds anew each time",
    otherwise="no entry",
)


def _served(cls: Any) -> Any:
    """The class that `kilograd run` puts in the place of a program's own."""
    from kilograd.run.judge import judgements, serve

    served = serve(cls)
    if served is cls:
        raise UnavailableError(f"{cls.__name__} is left alone: {judgements[-1].reason}")
    return served


run_eager(ENGINE, Value)
run_backward(ENGINE, Value)
run_chain(ENGINE, Value)
run_programs(ENGINE, "-m", "kilograd", "run")
run_transformer(ENGINE, lambda cls: Value)
run_transformer(ENGINE, _served, "run")
run_article(ENGINE, MLP)
run_moons(ENGINE, micrograd_nn.MLP, MicrogradValue)
run_kilograd(ENGINE)


@ENGINE.runs(MEMORY)
def memory(problem: dag.Dag) -> Run:
    return built_and_walked(problem, Value, FUNCTIONS)


def record(output: Value, inputs: list[Value], parameters: list[Value] | None = None) -> Any:
    """A Program, where this version has programs."""
    program: Any = getattr(kilograd, "Program", None)
    if program is None:
        raise UnavailableError("this version has no Program")
    return program(output, inputs=inputs, parameters=parameters)


def moons_run(problem: moons.Moons, threads: int) -> Run:
    import numpy as np

    parameters = [Value(p) for p in problem.parameters]
    inputs = [Value(0.0), Value(0.0), Value(1.0)]
    *x, target = inputs
    loss = (1.0 - target * moons.score(parameters, x, lambda v: v.relu())).relu()
    program = record(loss, inputs, parameters)
    rows = np.column_stack([np.array(problem.rows), np.array(problem.targets)])

    def run() -> Phases:
        value, gradient = program.value_and_grad(rows, wrt="parameters", reduce="mean", threads=threads)
        yield "step"
        return {"loss": [value], "gradient": gradient}

    return run


@ENGINE.runs(moons.MOONS_100)
def moons_100(problem: moons.Moons) -> Run:
    return moons_run(problem, threads=1)


@ENGINE.runs(moons.MOONS_10000)
def moons_10000(problem: moons.Moons) -> Run:
    return moons_run(problem, threads=1)


@ENGINE.runs(moons.MOONS_10000, "2 threads")
def moons_10000_threads(problem: moons.Moons) -> Run:
    from bench.cores import all_cores

    inner = moons_run(problem, threads=2)

    def run() -> Phases:
        with all_cores():
            yield None
            return (yield from inner())

    return run


def one_row(root: Value, inputs: list[Value], point: Any) -> Run:
    """Value and gradient of a recorded scalar at `point`."""
    import numpy as np

    program = record(root, inputs)
    x = np.array(point)

    def run() -> Phases:
        value, gradient = program.value_and_grad(x)
        yield "call"
        return {"value": [value], "gradient": gradient}

    return run


@ENGINE.runs(random_ops.RANDOM_OPS)
def random_graph(problem: dag.Dag) -> Run:
    leaves = [Value(x) for x in problem.leaves]
    return one_row(dag.build(problem, leaves, FUNCTIONS), leaves, problem.leaves)


@ENGINE.runs(random_ops.RANDOM_OPS, "eager")
def random_graph_eager(problem: dag.Dag) -> Run:
    def run() -> Phases:
        leaves = [Value(x) for x in problem.leaves]
        root = dag.build(problem, leaves, FUNCTIONS)
        root.backward()
        yield "call"
        return {"value": [root.data], "gradient": [leaf.grad for leaf in leaves]}

    return run


@ENGINE.runs(chebyshev.CHEBYSHEV)
def chains(problem: chebyshev.Chebyshev) -> Run:
    inputs = [Value(x) for x in problem.inputs]
    return one_row(chebyshev.series(problem, inputs), inputs, problem.inputs)


@ENGINE.runs(chebyshev.CHEBYSHEV, "eager")
def chains_eager(problem: chebyshev.Chebyshev) -> Run:
    def run() -> Phases:
        inputs = [Value(x) for x in problem.inputs]
        root = chebyshev.series(problem, inputs)
        root.backward()
        yield "call"
        return {"value": [root.data], "gradient": [x.grad for x in inputs]}

    return run


@ENGINE.runs(recording.RECORDING)
def recording_cost(problem: dag.Dag) -> Run:
    import numpy as np

    point = np.array(problem.leaves)
    record(Value(1.0) * 2.0, [])

    def run() -> Phases:
        leaves = [Value(x) for x in problem.leaves]
        root = dag.build(problem, leaves, FUNCTIONS)
        yield "build"
        program = record(root, leaves)
        yield "record"
        value, gradient = program.value_and_grad(point)
        yield "first call"
        return {"value": [value], "gradient": gradient}

    return run


@ENGINE.runs(rosenbrock.ROSENBROCK)
def hessian(problem: rosenbrock.Rosenbrock) -> Run:
    import numpy as np

    inputs = [Value(x) for x in problem.point]
    program = record(rosenbrock.function(inputs), inputs)
    point = np.array(problem.point)

    def run() -> Phases:
        matrix = program.hessian(point)
        yield "hessian"
        return {"hessian": matrix.ravel()}

    return run


@ENGINE.runs(solve.SOLVE)
def system(problem: solve.System) -> Run:
    import numpy as np

    matrix, right, weights = (np.array(part) for part in (problem.matrix, problem.right, problem.weights))
    function = kilograd.compile(lambda a, b: np.linalg.solve(a, b) @ weights, argnums=(0, 1))
    function(matrix, right)

    def run() -> Phases:
        value, gradients = function.value_and_grad(matrix, right)
        yield "call"
        return {"value": [value], "gradient": [*gradients[0].ravel(), *gradients[1]]}

    return run


@ENGINE.runs(spectrum.SPECTRUM)
def misfit_of_spectrum(problem: spectrum.Signal) -> Run:
    import numpy as np

    numbers, target = np.array(problem.numbers), np.array(problem.target)
    function = kilograd.compile(lambda x: np.sum((np.log1p(np.abs(np.fft.rfft(x)) ** 2) - target) ** 2))
    function(numbers)

    def run() -> Phases:
        value, gradient = function.value_and_grad(numbers)
        yield "call"
        return {"value": [value], "gradient": gradient}

    return run


def options(problem: black_scholes.BlackScholes, reuse: bool) -> Run:
    import numpy as np

    inputs = [Value(column[0]) for column in problem.columns]
    price = black_scholes.price(
        *inputs,
        sqrt=lambda v: v.sqrt(),
        log=lambda v: v.log(),
        exp=lambda v: v.exp(),
        cdf=lambda v: 0.5 * (1.0 + (v * 0.5**0.5).erf()),
    )
    program = record(price, inputs)
    rows = np.array(problem.columns).T
    out = (np.empty(problem.rows), np.empty((problem.rows, 5))) if reuse else None

    def run() -> Phases:
        prices, gradient = program.value_and_grad(rows, out=out)
        yield "call"
        return black_scholes.shown(prices, gradient.T)

    return run


@ENGINE.runs(counts.COUNTS)
def likelihood_of_counts(problem: counts.Counts) -> Run:
    import numpy as np

    from kilograd import special

    parameters, inputs = [Value(p) for p in problem.parameters], [Value(column[0]) for column in problem.columns]
    *x, count = inputs
    density = counts.log_density(
        parameters, x, count, exp=lambda v: v.exp(), log1p=lambda v: v.log1p(), log_gamma=special.gammaln
    )
    program = record(density, inputs, parameters)
    rows = np.array(problem.columns).T

    def run() -> Phases:
        value, gradient = program.value_and_grad(rows, wrt="parameters", reduce="sum")
        yield "call"
        return {"value": [value], "gradient": gradient}

    return run


@ENGINE.runs(black_scholes.BLACK_SCHOLES)
def options_reused(problem: black_scholes.BlackScholes) -> Run:
    return options(problem, reuse=True)


@ENGINE.runs(black_scholes.BLACK_SCHOLES, "new arrays each call")
def options_fresh(problem: black_scholes.BlackScholes) -> Run:
    return options(problem, reuse=False)


def jacobian_of(problem: derivatives.Function) -> Run:
    import numpy as np

    f, point = kilograd.compile(problem.call), np.array(problem.point)

    def run() -> Phases:
        matrix = f.jacobian(point)
        yield "jacobian"
        return {"jacobian": matrix.ravel()}

    return run


def recorded_jacobian_of(problem: derivatives.Function) -> Run:
    import numpy as np

    inputs = [Value(x) for x in problem.point]
    outputs = problem.call(np.array(inputs))
    program, point = kilograd.Program(list(outputs), inputs), np.array(problem.point)
    out = np.empty((len(outputs), len(point)))

    def run() -> Phases:
        program.jacobian(point, out=out)
        yield "jacobian"
        return {"jacobian": out.ravel()}

    return run


for workload in derivatives.FUNCTIONS:
    ENGINE.runs(workload)(jacobian_of)
    ENGINE.runs(workload, "program")(recorded_jacobian_of)


def hessian_of(problem: derivatives.Function) -> Run:
    import numpy as np

    f, point = kilograd.compile(problem.call), np.array(problem.point)

    def run() -> Phases:
        matrix = f.hessian(point)
        yield "hessian"
        return {"hessian": matrix.ravel()}

    return run


ENGINE.runs(derivatives.LOGISTIC)(hessian_of)
ENGINE.runs(derivatives.COMPILED_HESSIAN)(hessian_of)


@ENGINE.runs(derivatives.SPARSE_HESSIAN)
def sparse_hessian(problem: derivatives.Function) -> Run:
    import numpy as np

    f, point = kilograd.compile(problem.call), np.array(problem.point)

    def run() -> Phases:
        matrix = f.hessian(point, sparse=True)
        yield "hessian"
        return {"hessian": matrix.toarray().ravel()}

    return run


@ENGINE.runs(derivatives.BRANCHES_CALL)
@ENGINE.runs(derivatives.COMPILED_CALL)
def compiled_call(problem: derivatives.Function) -> Run:
    import numpy as np

    f, point = kilograd.compile(problem.call), np.array(problem.point)

    def run() -> Phases:
        _, gradient = f.value_and_grad(point)
        yield "gradient"
        return {"gradient": gradient}

    return run


@ENGINE.runs(derivatives.BUNDLE)
def bundle(problem: derivatives.Bundle) -> Run:
    import numpy as np

    inputs = [Value(x) for x in problem.rows[0]]
    outputs = derivatives.projected(inputs, lambda v: v.sqrt(), lambda v: v.sin(), lambda v: v.cos())
    program, x = kilograd.Program(outputs, inputs), np.array(problem.rows)
    out = np.empty((len(x), 2, 15))

    def run() -> Phases:
        program.jacobian(x, out=out)
        yield "jacobian"
        return {"jacobian": out.ravel()}

    return run


@ENGINE.runs(rows.UNSTRUCTURED)
def unstructured(problem: rows.Unstructured) -> Run:
    import numpy as np

    inputs = [Value(x) for x in problem.rows[0]]
    program, x = record(rows.last_sum(problem, inputs), inputs), np.array(problem.rows)

    def run() -> Phases:
        values, gradient = program.value_and_grad(x)
        yield "call"
        return {"value": values, "gradient": gradient.ravel()}

    return run


@ENGINE.runs(rows.FEW_ROWS)
def few_rows(problem: rows.Unstructured) -> Run:
    import numpy as np

    inputs = [Value(x) for x in problem.rows[0]]
    program, x = record(rows.last_sum(problem, inputs), inputs), np.array(problem.rows)

    def run() -> Phases:
        program.value_and_grad(x[0])
        yield "one row"
        values, gradient = program.value_and_grad(x)
        yield "two rows"
        return {"value": values, "gradient": gradient.ravel()}

    return run


@ENGINE.runs(rows.SINES)
def sines(problem: rows.Chain) -> Run:
    start, factor = inputs = [Value(problem.start), Value(problem.factor)]
    return one_row(rows.chained(problem, start, factor, lambda v: v.sin()), inputs, [problem.start, problem.factor])


@ENGINE.runs(loops.KALMAN)
def kalman(problem: loops.Filter) -> Run:
    import numpy as np

    observed = np.array(problem.observed)

    @kilograd.compile
    def likelihood(q: Any) -> Any:
        def step(carry: Any, y: Any) -> Any:
            return loops.turn(carry, y, q, np.log), None

        return kilograd.scan(step, (0.0, 1.0, 0.0), observed)[0][2]

    def run() -> Phases:
        value, gradient = likelihood.value_and_grad(problem.variance)
        yield "call"
        return {"value": [value], "gradient": [gradient]}

    return run


@ENGINE.runs(loops.KALMAN_ARGUMENT)
def kalman_of_an_argument(problem: loops.Filter) -> Run:
    import numpy as np

    observed = np.array(problem.observed)

    def likelihood(q: Any, observed: Any) -> Any:
        return kilograd.scan(lambda c, y: (loops.turn(c, y, q, np.log), None), (0.0, 1.0, 0.0), observed)[0][2]

    def run() -> Phases:
        compiled = kilograd.compile(likelihood)
        value = compiled(problem.variance, observed)
        yield "first call"
        compiled(problem.variance, observed)
        yield "next call"
        return {"value": [value]}

    return run


@ENGINE.runs(loops.SPARSE_LOOP)
def sparse_loop(problem: derivatives.Function) -> Run:
    import numpy as np

    def energy(x: Any) -> Any:
        return kilograd.scan(lambda c, pair: (c + loops.energies(*pair), None), 0.0, (x[:-1], x[1:]))[0]

    f, point = kilograd.compile(energy), np.array(problem.point)

    def run() -> Phases:
        f.grad(point)
        yield "gradient"
        matrix = f.hessian(point, sparse=True)
        yield "hessian"
        return {"hessian": matrix.toarray().ravel()}

    return run


@ENGINE.runs(loops.SCHOOLS)
def schools(problem: loops.Schools) -> Run:
    import numpy as np

    effects, errors = np.array(loops.EFFECTS), np.array(loops.ERRORS)
    size, steps = problem.size, problem.steps
    slope = kilograd.grad(lambda q: loops.log_density(q, np.exp, np.log, effects, errors))

    @kilograd.compile
    def trajectory(q: Any, p: Any) -> Any:
        def leapfrog(state: Any, _: None) -> Any:
            q, p = state
            p = p + size / 2 * slope(q)
            q = q + size * p
            return (q, p + size / 2 * slope(q)), None

        return kilograd.scan(leapfrog, (q, p), length=steps)[0]

    q, p = np.array(problem.position), np.array(problem.momentum)

    def run() -> Phases:
        position, momentum = trajectory(q, p)
        yield "trajectory"
        return {"position": position, "momentum": momentum}

    return run
