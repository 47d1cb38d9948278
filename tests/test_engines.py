"""`kilograd.distributed` on Dask, MPI, Ray and Spark, where they are installed: the numbers of blocks, bit for bit."""

from __future__ import annotations

import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

import kilograd
from kilograd import MLP, Program, Value, arrays, optim
from kilograd.distributed import fit, map_fits, map_rows, minimize, value_and_grad
from kilograd.distributed.parts import unpacked

ROWS = np.random.default_rng(1).normal(size=(2000, 3))
PARTS = [ROWS[:700], ROWS[700:710], ROWS[710:1500], ROWS[1500:]]
NAMES = ["x", "y", "t"]
START = [0.3, -0.2]


def squares() -> tuple[Program, list[Value]]:
    x, y, t, w, b = [Value(0.0) for _ in range(5)]
    w.data, b.data = START
    return Program(((w * x + b * y).tanh() - t) ** 2, inputs=[x, y, t], parameters=[w, b]), [w, b]


def network() -> MLP:
    random.seed(0)
    return MLP(2, [4, 1], activation=["tanh", None])


def pairs() -> list[tuple[np.ndarray, np.ndarray]]:
    return [(part[:, :2], part[:, 2]) for part in PARTS]


def frame(rows: np.ndarray):
    return pytest.importorskip("pandas").DataFrame(rows, columns=NAMES)


def doubled(data):
    if data is None:
        raise ValueError("no data")
    return [2 * entry for entry in data]


def same(found, right) -> bool:
    return bool(found[0] == right[0]) and np.array_equal(found[1], right[1])


@pytest.fixture(autouse=True)
def forgotten():
    """What arrived in this process, as at a worker, goes before Values are counted."""
    yield
    unpacked.cache_clear()


EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"


def run(name: str, *before: str) -> str:
    """What an example prints, in a process of its own."""
    package = pathlib.Path(kilograd.__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")])}
    environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    environment |= {"PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe", "PYSPARK_PYTHON": sys.executable}
    found = subprocess.run(
        [*before, sys.executable, name], capture_output=True, text=True, env=environment, timeout=120, cwd=EXAMPLES
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def mpiexec() -> str:
    beside = str(pathlib.Path(sys.executable).parent)
    found = shutil.which("mpiexec", path=os.pathsep.join([beside, os.environ["PATH"]]))
    if found is None:
        pytest.skip("there is no mpiexec")
    return found


@pytest.mark.parametrize("name", ["on_dask", "on_ranks", "on_ray", "on_spark"])
def test_the_scripts_of_the_page_run(name: str):
    script = f"{name}.py"
    page = EXAMPLES.parent / "docs" / "howto" / "past-one-machine.md"
    assert f"```py\n{(EXAMPLES / script).read_text()}```" in page.read_text()
    pytest.importorskip({"on_dask": "distributed", "on_ranks": "mpi4py", "on_ray": "ray", "on_spark": "pyspark"}[name])
    if name == "on_spark" and shutil.which("java") is None:
        pytest.skip("there is no Java")
    printed = run(script, *([mpiexec(), "-n", "2"] if name == "on_ranks" else []))
    assert printed.strip().splitlines()[-1] == "y = 3.000 x + 1.000"


# Dask.


@pytest.fixture
def dask_arrays():
    da = pytest.importorskip("dask.array")
    dask = pytest.importorskip("dask")
    with dask.config.set(scheduler="synchronous"):
        yield da.concatenate([da.from_array(part, chunks=part.shape) for part in PARTS])


def test_dask_arrays(dask_arrays):
    p, trained = squares()
    assert same(value_and_grad(p, dask_arrays), value_and_grad(p, PARTS))
    found = map_rows(p, dask_arrays)
    assert found.chunks == ((700, 10, 790, 500),)
    assert np.array_equal(found.compute(), p(ROWS))
    losses = minimize(p, dask_arrays, optim.Adam(trained, lr=0.1), steps=4)
    q, others = squares()
    assert np.array_equal(losses, minimize(q, PARTS, optim.Adam(others, lr=0.1), steps=4))
    right = fit(network(), pairs(), epochs=2, batch_size=100, seed=3).steps
    assert fit(network(), dask_arrays[:, :2], dask_arrays[:, 2], epochs=2, batch_size=100, seed=3).steps == right


def test_a_compiled_function_on_dask(dask_arrays):
    f = kilograd.compile(lambda row, w: np.array([row[0] * w[0], row[1]]))
    found = map_rows(f, dask_arrays, parameters=[2.0])
    assert found.shape == (2000, 2)
    assert found.compute() == pytest.approx(ROWS[:, :2] * [2.0, 1.0])
    dask = pytest.importorskip("dask")
    frames = pytest.importorskip("dask.dataframe").from_map(frame, [PARTS[0][:0], PARTS[1], PARTS[0][:0]])
    with dask.config.set(scheduler="synchronous"):
        assert np.array_equal(map_rows(f, frames, parameters=[2.0]).compute(), PARTS[1][:, :2] * [2.0, 1.0])
        with pytest.raises(ValueError, match="no part of the data has rows"):
            map_rows(f, frames.partitions[:1], parameters=[2.0])


def test_dask_arrays_that_are_refused(dask_arrays):
    p, _ = squares()
    with pytest.raises(ValueError, match=r"cut through rows; write \.rechunk"):
        value_and_grad(p, dask_arrays.rechunk({1: 2}))
    with pytest.raises(ValueError, match="y has 2"):
        fit(network(), dask_arrays[:, :2], dask_arrays[:, 2].rechunk(1000), epochs=1)
    with pytest.raises(ValueError, match=r"X has shape \(700, 2\)"):
        value_and_grad(p, dask_arrays[:, :2])
    broken = dask_arrays.map_blocks(lambda block: np.where(block == ROWS[1600, 0], np.nan, block))
    with pytest.raises(ValueError, match="row 100 of X has an entry that is not finite") as caught:
        fit(network(), broken[:, :2], broken[:, 2], epochs=1)
    assert getattr(caught.value, "__notes__", ["in part 3 of the data"]) == ["in part 3 of the data"]
    with pytest.raises(TypeError, match="a Dask array or data frame is needed, not Delayed"):
        value_and_grad(p, pytest.importorskip("dask").delayed(ROWS))


def test_dask_data_frames():
    dd = pytest.importorskip("dask.dataframe")
    dask = pytest.importorskip("dask")
    p, _ = squares()
    parts = dd.from_map(frame, PARTS)
    with dask.config.set(scheduler="synchronous"):
        assert same(value_and_grad(p, parts), value_and_grad(p, PARTS))
        assert same(value_and_grad(p, parts[["t", "y", "x"]], columns=NAMES), value_and_grad(p, PARTS))
        assert np.array_equal(map_rows(p, parts, columns=NAMES).compute(), p(ROWS))
        right = fit(network(), pairs(), epochs=2, batch_size=100)
        assert fit(network(), parts, "t", epochs=2, batch_size=100).steps == right.steps
        assert fit(network(), parts[["x", "y"]], parts["t"], epochs=2, batch_size=100).steps == right.steps
        with pytest.raises(ValueError, match="no column 'z'"):
            value_and_grad(p, parts, columns=["x", "y", "z"])
        assert map_fits(doubled, {"a": [1], "b": [2]}, engine="dask") == {"a": [2], "b": [4]}


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Dask's own
def test_a_cluster_of_dask_of_which_a_worker_dies():
    da = pytest.importorskip("dask.array")
    cluster = pytest.importorskip("distributed")
    p, trained = squares()
    adam = optim.Adam(trained, lr=0.01)
    q, others = squares()
    right = optim.Adam(others, lr=0.01).minimize(q, PARTS, steps=30)
    with (
        cluster.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as local,
        cluster.Client(local) as client,
    ):
        there = da.concatenate([da.from_array(part, chunks=part.shape) for part in PARTS]).persist()
        cluster.wait(there)
        losses = [*minimize(p, there, adam, steps=3)]
        processes = client.run(os.getpid)
        killed = client.who_has(there).values()
        victim = processes[next(iter(killed))[0]]  # it has a part of the data
        death = threading.Timer(0.1, os.kill, (victim, signal.SIGKILL))
        death.start()
        losses += [*minimize(p, there, adam, steps=27)]
        death.join()
        assert same(value_and_grad(p, there), value_and_grad(q, PARTS))
        with pytest.raises(Exception, match="no data"):
            map_fits(doubled, [[1], None], engine="dask")
    assert np.array_equal(losses, right)
    assert np.array_equal(arrays.data(trained), arrays.data(others))


# MPI.

ON_RANKS = """
import random, sys
import numpy as np
from mpi4py import MPI
from kilograd import MLP, Program, Value, arrays, optim
from kilograd.distributed import Ranks, fit, map_rows, minimize, value_and_grad

rank, size = MPI.COMM_WORLD.rank, MPI.COMM_WORLD.size
rows = np.random.default_rng(1).normal(size=(2000, 3))
parts = [rows[:700], rows[700:710], rows[710:1500], rows[1500:]]
own = [part for k, part in enumerate(parts) if k * size // len(parts) == rank]
x, y, t, w, b = [Value(0.0) for _ in range(5)]
w.data, b.data = 0.3, -0.2
p = Program(((w * x + b * y).tanh() - t) ** 2, inputs=[x, y, t], parameters=[w, b])
random.seed(0)
model = MLP(2, [4, 1], activation=["tanh", None])
history = fit(model, Ranks([(part[:, :2], part[:, 2]) for part in own]), epochs=2, batch_size=100, seed=3)
losses = minimize(p, Ranks(own), optim.Adam([w, b], lr=0.1), steps=4)
assert sum(len(part) for part in map_rows(p, Ranks(own))) == sum(map(len, own))
said = []
for broken in ([part[:, :2] if rank == size - 1 else part for part in own], own):
    w.data = float(rank)
    try:
        value_and_grad(p, Ranks(broken), parameters=[w.data, 0.0] if broken is own else [0.0, 0.0])
    except ValueError as error:
        said.append(str(error).split(";")[0][:50])
if rank == size - 1:
    print([loss.hex() for loss in history.steps + losses.tolist()], *said, sep="\\n")
"""


def test_two_ranks_of_mpi(tmp_path):
    pytest.importorskip("mpi4py")
    (tmp_path / "ranks.py").write_text(ON_RANKS)
    printed = run(str(tmp_path / "ranks.py"), mpiexec(), "-n", "2")
    numbers, width, different = printed.splitlines()
    p, trained = squares()
    steps = fit(network(), pairs(), epochs=2, batch_size=100, seed=3).steps
    losses = minimize(p, PARTS, optim.Adam(trained, lr=0.1), steps=4)
    assert numbers == str([loss.hex() for loss in steps + losses.tolist()])
    assert width.startswith("X has shape")
    assert different.startswith("the ranks call value_and_grad() with diff")


# Ray.


@pytest.fixture(scope="module")
def handlers():
    """Engines install handlers of signals, and leave them behind."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def ray(handlers):
    found = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    package = pathlib.Path(kilograd.__file__).parent.parent
    path = os.pathsep.join([str(package), str(pathlib.Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        environment = {"env_vars": {"PYTHONPATH": path}}
        found.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env=environment)
        yield found
        found.shutdown()


@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_data_set_of_ray(ray):
    p, trained = squares()
    data = ray.data.from_pandas([frame(part) for part in PARTS])
    assert same(value_and_grad(p, data, columns=NAMES), value_and_grad(p, PARTS))
    whole = ray.data.from_numpy(PARTS)
    losses = minimize(p, whole, optim.Adam(trained, lr=0.1), steps=4)
    q, others = squares()
    assert np.array_equal(losses, minimize(q, PARTS, optim.Adam(others, lr=0.1), steps=4))
    right = fit(network(), pairs(), epochs=2, batch_size=100, seed=3).steps
    assert fit(network(), data, "t", epochs=2, batch_size=100, seed=3).steps == right
    found = map_rows(q, data, columns=NAMES, parameters=START)
    table = found.to_pandas()
    assert sorted(table["x"]) == sorted(ROWS[:, 0])
    assert np.array_equal(table["output"], q(table[NAMES], parameters=START))
    assert map_rows(q, whole, parameters=START).to_pandas().shape == (2000, 2)
    with pytest.raises(ValueError, match="a column 'output' already"):
        map_rows(q, found, columns=NAMES, parameters=START)
    beside = data.map_batches(lambda batch: {**batch, "wide": np.ones((len(batch["x"]), 2))})
    assert same(value_and_grad(q, beside, columns=NAMES), value_and_grad(q, PARTS))
    with pytest.raises(ValueError, match="the rows differ in length"):
        value_and_grad(q, beside)
    with pytest.raises(ValueError, match="no column 'z'"):
        value_and_grad(p, data, columns=["x", "z"])
    with pytest.raises(TypeError, match="y is the name of a column"):
        fit(network(), data, data, epochs=1)
    assert map_fits(doubled, {"a": [1], "b": None}, engine="ray", errors="return")["a"] == [2]


# Spark.


@pytest.fixture(scope="module")
def spark(handlers):
    sql = pytest.importorskip("pyspark.sql")
    if shutil.which("java") is None:
        pytest.skip("there is no Java")
    package = pathlib.Path(kilograd.__file__).parent.parent
    path = os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")])
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("PYTHONPATH", path)
        session = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
        session.sparkContext.setLogLevel("OFF")
        yield session
        session.stop()


@pytest.mark.filterwarnings("ignore")  # Spark's own
def test_a_data_frame_of_spark(spark):
    p, trained = squares()
    data = spark.createDataFrame(frame(ROWS)).cache()
    parts = [np.array(rows) for rows in data.rdd.glom().collect()]
    assert np.array_equal(np.concatenate(parts), ROWS)
    assert len(parts) > 1
    assert same(value_and_grad(p, data), value_and_grad(p, parts))
    only = data.filter(data.t == float(ROWS[3, 2]))  # all parts but one are without rows
    assert same(value_and_grad(p, only), value_and_grad(p, ROWS[3:4]))
    losses = minimize(p, data, optim.Adam(trained, lr=0.1), steps=4, columns=NAMES)
    q, others = squares()
    assert np.array_equal(losses, minimize(q, parts, optim.Adam(others, lr=0.1), steps=4))
    right = fit(network(), [(part[:, :2], part[:, 2]) for part in parts], epochs=2, batch_size=100).steps
    assert fit(network(), data, "t", epochs=2, batch_size=100).steps == right
    found = map_rows(q, data, parameters=START)
    table = found.toPandas()
    assert np.array_equal(table[NAMES], ROWS)
    assert np.array_equal(table["output"], q(ROWS, parameters=START))
    with pytest.raises(ValueError, match="a column 'output' already"):
        map_rows(q, found, columns=NAMES, parameters=START)
    f = kilograd.compile(lambda row, w: np.array([row[0] * w[0], row[1]]))
    both = [row.output for row in map_rows(f, data, parameters=[2.0]).limit(3).collect()]
    assert np.allclose(both, ROWS[:3, :2] * [2.0, 1.0])
    with pytest.raises(ValueError, match="no column 'z'"):
        value_and_grad(p, data, columns=["x", "z"])
    with pytest.raises(TypeError, match="y is the name of a column"):
        fit(network(), data, data, epochs=1)
