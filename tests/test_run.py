"""`kilograd run`: each program of tests/programs runs both ways in fresh processes and must say the same."""

from __future__ import annotations

import json
import os
import pathlib
import pty
import signal
import subprocess
import sys
import textwrap

import pytest
from tests.fuzz.adversaries import CLASS

PROGRAMS = pathlib.Path(__file__).parent / "programs"
COMPOSED = "__neg__ __sub__ __rsub__ __truediv__ __rtruediv__"
OPERATORS = "__add__ __radd__ __mul__ __rmul__ __pow__ __neg__ __sub__ __truediv__ backward"
SERVED = {
    "article.py": ("Value", "__add__ __radd__ __mul__ __rmul__ __pow__ __truediv__ __neg__ __sub__ backward tanh exp"),
    "micrograd_ints.py": (
        "Scalar",
        f"__add__ __radd__ __mul__ __rmul__ __pow__ {COMPOSED} backward relu",
    ),
    "microgpt_slots.py": (
        "Value",
        f"__add__ __radd__ __mul__ __rmul__ __pow__ {COMPOSED} backward log exp relu",
    ),
    "subclass.py": ("Value", "__add__ __radd__ __mul__ __rmul__ backward"),
    "dataclass_value.py": ("Var", "__add__ __radd__ __mul__ __rmul__ backward"),
    "rule_as_method.py": ("Node", "__add__ __radd__ __mul__ __rmul__ __neg__ backward sigmoid"),
    "rule_replaced.py": ("Value", "__add__ __mul__ backward"),
    "numpy_data.py": ("Tensor", "__add__ __radd__ __mul__ __rmul__ __pow__ backward tanh relu"),
    "fractions_and_complex.py": ("Value", "__add__ __mul__ __rmul__ backward"),
    "in_function.py": ("Pair", "__add__ __mul__ backward"),
    "imports_package.py": (
        "package.engine.Value",
        f"__add__ __radd__ __mul__ __rmul__ __pow__ {COMPOSED} backward relu",
    ),
    "wrong_on_purpose.py": ("Sloppy", "__add__ __mul__ backward"),
    "big_integers.py": ("Value", "__add__ __radd__ __mul__ __rmul__ __pow__ backward relu"),
    "big_integers_local.py": ("Value", "__add__ __radd__ __mul__ __rmul__ __pow__ backward relu"),
    "copies.py": ("Value", "__add__ __radd__ __mul__ __rmul__ backward relu"),
    "copies_of_closures.py": ("Value", "__add__ __mul__ backward"),
    "data_changed_late.py": ("Value", "__add__ __mul__ __pow__ backward exp relu"),
    "dataclass_stack_order.py": ("Scalar", "__add__ __radd__ __mul__ __rmul__ __neg__ __sub__ backward sigmoid"),
    "errors_and_threads.py": (
        "Value",
        f"__add__ __radd__ __mul__ __rmul__ __pow__ {COMPOSED} backward log sqrt",
    ),
    "frozen_nodes.py": ("Value", "__add__ __radd__ __mul__ __rmul__ backward"),
    "graph_walks.py": ("Node", "__add__ __mul__"),
    "integers_meet_floats.py": (
        "Value",
        f"__add__ __radd__ __mul__ __rmul__ __pow__ {COMPOSED} backward relu",
    ),
    "in_place_operators.py": (
        "Value",
        "__add__ __radd__ __mul__ __rmul__ __pow__ __neg__ __sub__ __rsub__ __truediv__ backward",
    ),
    "numpy_types.py": (
        "Value",
        "__add__ __radd__ __mul__ __rmul__ __pow__ __neg__ __sub__ __truediv__ backward relu exp tanh",
    ),
    "numpy_made.py": ("Value", f"{OPERATORS} exp log tanh sigmoid relu"),
    "numpy_made_singles.py": ("Value", f"{OPERATORS} exp log tanh sigmoid relu"),
    "numpy_functions.py": ("Value", f"{OPERATORS} exp log tanh sigmoid relu"),
    "numpy_warnings.py": ("Value", f"{OPERATORS} tanh"),
    "numpy_raises.py": ("Value", f"{OPERATORS} tanh"),
    "numpy_left.py": ("Value", "__add__ __radd__ __mul__ __rmul__ __neg__ __rsub__ backward"),
    "numpy_priority.py": (
        "package.engine.Value",
        f"__add__ __radd__ __mul__ __rmul__ __pow__ {COMPOSED} backward relu",
    ),
    "numpy_copies.py": ("Value", "__add__ __radd__ __mul__ __rmul__ __pow__ __sub__ backward tanh"),
    "order_cached.py": ("Node", "__add__ __radd__ __mul__ __rmul__"),
    "total_ordering.py": ("Scalar", "__add__ __radd__ __mul__ __rmul__"),
    "two_classes.py": ("Node", "__add__ __mul__ backward"),
    "bases_and_metaclasses.py": ("Four", "__add__ __mul__ backward"),
    "switches_by_name.py": ("B", "__add__ __mul__ backward"),
    "containers_changed.py": ("Value", "__add__ __mul__"),
    "custom_functions.py": ("Value", "__add__ __radd__ __mul__ __rmul__ __neg__ __rsub__"),
    "defaults_and_constants.py": ("Value", "__add__ __mul__ backward"),
    "equal_by_data.py": ("Value", "__add__ __radd__ __mul__ __rmul__ backward"),
    "gradients_and_edges.py": (
        "Value",
        f"__add__ __radd__ __mul__ __rmul__ __pow__ {COMPOSED} backward relu tanh exp log sigmoid",
    ),
    "microgpt_lists.py": ("V", "__add__ __radd__ __mul__ __rmul__ __pow__ __neg__ backward exp log"),
    "op_decides_rule.py": ("Op", "__add__ __mul__ __neg__ backward exp"),
    "composed.py": (
        "Value",
        "__add__ __radd__ __mul__ __rmul__ __pow__ __truediv__ __rtruediv__ backward square cube sigmoid",
    ),
    "gradient_pairs.py": ("Var", "__add__ __radd__ __mul__ __rmul__ __pow__ __neg__ __sub__ backward exp log"),
    "switches_on_objects.py": ("OfNamespace", "__add__ __mul__ backward"),
    "quotients.py": ("Fixed", "__add__ __mul__ __truediv__ __rtruediv__ backward"),
    "differences.py": ("Value", "__add__ __radd__ __mul__ __rmul__ __sub__ __neg__ __rsub__ backward"),
    "global_switches.py": ("Value", "__add__ __mul__ __neg__ __sub__ backward exp"),
    "locals_written_late.py": ("Value", "__add__ __radd__ __mul__ __rmul__ backward"),
}
LEFT_ALONE = {
    "counters_and_no_grad.py": "Tensor runs as it is: __init__ changes the global 'count'",
    "requires_grad.py": "Var runs as it is: __add__ depends on whether a computed number is zero",
    "requires_grad_late.py": "Value runs as it is: __add__ depends on whether something is zero",
    "switches_by_name.py": "A runs as it is: backward looks for an attribute 'frozen'",
    "numpy_raises_made.py": "Value runs as it is: the program may make NumPy raise where it would warn",
    "counting.py": "Value runs as it is: __init__ reads Value.made",
    "wrong_on_purpose.py": "class Forgetful runs as it is",
}


def execute(*command: str, cwd: pathlib.Path = PROGRAMS, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, input=text, capture_output=True, text=True, timeout=600, check=False
    )


def run(*command: str, cwd: pathlib.Path = PROGRAMS, text: str = "") -> subprocess.CompletedProcess[str]:
    return execute("-m", "kilograd", "run", *command, cwd=cwd, text=text)


def write(folder: pathlib.Path, name: str, text: str) -> pathlib.Path:
    path = folder / name
    path.write_text(textwrap.dedent(text))
    return path


@pytest.mark.parametrize("name", sorted(path.name for path in PROGRAMS.glob("*.py")))
def test_program_says_the_same_both_ways(name: str) -> None:
    plain, served = execute(name), run(name)
    assert plain.returncode == 0, plain.stderr
    assert served.stdout == plain.stdout
    assert served.returncode == 0, served.stderr
    assert plain.stdout.strip()


@pytest.mark.parametrize("name", sorted(SERVED))
def test_program_is_served(name: str) -> None:
    cls, methods = SERVED[name]
    report = run("--report", name).stderr
    assert f"kilograd: {cls}: served\n  natively: {', '.join(methods.split())}\n" in report


@pytest.mark.parametrize("name", sorted(LEFT_ALONE))
def test_reason_for_leaving_a_class_alone(name: str) -> None:
    assert LEFT_ALONE[name] in run(name).stderr


def test_what_is_no_autograd_class_is_left_alone_in_silence() -> None:
    assert run("not_autograd.py").stderr == ""


def test_arguments_input_and_exit_status() -> None:
    for argument in ("0", "3"):
        plain = execute("imports_package.py", argument, "--flag", "-m", "x", text="over stdin")
        served = run("imports_package.py", argument, "--flag", "-m", "x", text="over stdin")
        assert (served.stdout, served.returncode) == (plain.stdout, plain.returncode)
        assert served.returncode == int(argument)
        assert "over stdin" in served.stdout


def test_module(tmp_path: pathlib.Path) -> None:
    package = tmp_path / "app"
    package.mkdir()
    write(package, "__init__.py", "")
    write(package, "engine.py", (PROGRAMS / "package" / "engine.py").read_text())
    write(
        package,
        "__main__.py",
        """
        import sys
        from .engine import Value
        x = Value(3.0)
        (x * x + x).backward()
        print(__name__, __package__, __spec__.name, sys.argv[1:], sys.path[0] == sys.argv[1], x, sys.argv[0][-15:])
        """,
    )
    plain, served = (
        execute("-m", "app", str(tmp_path), cwd=tmp_path),
        run("-m", "app", str(tmp_path), cwd=tmp_path),
    )
    assert plain.returncode == 0, plain.stderr
    assert served.stdout == plain.stdout, served.stderr
    assert "app.engine.Value: served" in run("--report", "-m", "app", cwd=tmp_path).stderr
    missing = run("-m", "no_such_module_here", cwd=tmp_path)
    assert missing.returncode == 1
    assert "No module named no_such_module_here" in missing.stderr


def test_folder_with_main(tmp_path: pathlib.Path) -> None:
    write(tmp_path, "__main__.py", "import sys, helper; print(__file__, sys.argv, sys.path[0], helper.x, __name__)")
    write(tmp_path, "helper.py", "x = 5")
    plain, served = execute(str(tmp_path)), run(str(tmp_path))
    assert plain.returncode == 0, plain.stderr
    assert served.stdout == plain.stdout


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n    raise KeyError('k')\ntry:\n    f()\nexcept KeyError as e:\n    raise ValueError('x') from e\n",
        "x = 1\nif x\n    pass\n",
        "import sys\nsys.exit('a message')\n",
        "import sys\nsys.exit(7)\n",
        "raise SystemExit\n",
        "import nowhere_to_be_found\n",
        "print(1/0)\n",
        "import broken\n",
    ],
)
def test_traceback_and_status(tmp_path: pathlib.Path, text: str) -> None:
    write(tmp_path, "broken.py", "x = = 1\n")
    script = str(write(tmp_path, "script.py", text))
    plain, served = execute(script), run(script)
    assert served.stderr == plain.stderr
    assert (served.stdout, served.returncode) == (plain.stdout, plain.returncode)


def test_recursion_is_as_deep(tmp_path: pathlib.Path) -> None:
    text = "def f(n):\n    try:\n        return f(n + 1)\n    except RecursionError:\n        return n\nprint(f(0))\n"
    script = str(write(tmp_path, "script.py", text))
    assert int(run(script).stdout) >= int(execute(script).stdout)


def test_error_in_a_served_operation_comes_from_the_authors_line(tmp_path: pathlib.Path) -> None:
    source = (PROGRAMS / "article.py").read_text().partition("class Neuron")[0]
    script = str(write(tmp_path, "script.py", source + "\nprint(Value(3.0) * 2)\nValue(1000.0).exp()\n"))
    plain, served = execute(script), run(script)
    assert served.stderr == plain.stderr
    assert "OverflowError" in served.stderr
    assert served.stdout == plain.stdout


def test_missing_script() -> None:
    plain, served = execute("no_such_script.py"), run("no_such_script.py")
    assert (served.stderr, served.returncode) == (plain.stderr, plain.returncode)
    assert run().returncode == 2


def test_interrupt(tmp_path: pathlib.Path) -> None:
    script = str(write(tmp_path, "script.py", "import time\nprint('ready', flush=True)\ntime.sleep(60)\n"))
    for command in ([script], ["-m", "kilograd", "run", script]):
        process = subprocess.Popen(
            [sys.executable, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=300)
        assert process.returncode == -signal.SIGINT
        assert errors.count("File ") == 1
        assert errors.rstrip().endswith("KeyboardInterrupt")


def test_terminal_input(tmp_path: pathlib.Path) -> None:
    script = str(write(tmp_path, "script.py", "import sys\nprint(sys.stdin.isatty(), input('name? '))\n"))
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "kilograd", "run", script], stdin=slave, stdout=subprocess.PIPE, text=True
    )
    os.close(slave)
    os.write(master, b"Ada\n")
    output, _ = process.communicate(timeout=300)
    os.close(master)
    assert "True Ada" in output


def test_interpreter_options(tmp_path: pathlib.Path) -> None:
    script = str(
        write(tmp_path, "script.py", "import sys\nassert False\nprint(sys.flags.optimize, sys.flags.dev_mode)\n")
    )
    assert execute("-O", "-X", "dev", "-m", "kilograd", "run", script).stdout == "1 True\n"


@pytest.mark.parametrize("numpy_too", [False, True])
def test_probes_leave_no_trace(tmp_path: pathlib.Path, numpy_too: bool) -> None:
    source = (PROGRAMS / "article.py").read_text().partition("class Neuron")[0]
    check = "import numpy\nnumpy.random.seed(3)\n" if numpy_too else ""
    end = "print(random.getstate() == before)\n" + ("print(numpy.random.random())\n" if numpy_too else "")
    script = str(write(tmp_path, "script.py", f"import random\n{check}before = random.getstate()\n{source}\n{end}"))
    plain, served = execute(script), run(script)
    assert served.stdout == plain.stdout
    assert served.stdout.startswith("True")
    assert served.stderr == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["script.py"]


def test_compiled_files_stay_the_plain_programs(tmp_path: pathlib.Path) -> None:
    write(tmp_path, "engine.py", (PROGRAMS / "package" / "engine.py").read_text())
    script = str(write(tmp_path, "main.py", "from engine import Value\nprint(type(Value).__name__)\n"))
    assert run(script).stdout == "ServedMeta\n"
    assert execute(script).stdout == "type\n"


@pytest.mark.parametrize("way", ["sys.path", "PYTHONPATH", "installed"])
def test_modules_outside_the_scripts_folder(tmp_path: pathlib.Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package beside the folder of its examples is the program's own; one in site-packages is nobody's business."""
    root = tmp_path / "site-packages" if way == "installed" else tmp_path
    (root / "package").mkdir(parents=True)
    (tmp_path / "examples").mkdir()
    engine = (PROGRAMS / "package" / "engine.py").read_text()
    write(root / "package", "__init__.py", "from package.engine import Value\n")
    (root / "package" / "engine.py").write_text(engine)
    head = f"import sys\nsys.path.append({str(root)!r})\n" if way == "sys.path" else ""
    if not head:
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]))
    script = write(
        tmp_path / "examples",
        "script.py",
        head + "from package import Value\na = Value(2.0)\nb = a * 3 + a\nb.backward()\nprint(b, a.grad)\n",
    )
    plain, served = execute(str(script)), run("--report", str(script))
    assert plain.returncode == 0, plain.stderr
    assert served.stdout == plain.stdout
    if way == "installed":
        assert "no class of the program looks like" in served.stderr
        assert "kilograd: looked at the program itself\n" in served.stderr
    else:
        assert "package.engine.Value: served" in served.stderr
        assert "kilograd: looked at the program itself, package, package.engine\n" in served.stderr


def test_modules_outside_that_change_what_was_judged(tmp_path: pathlib.Path) -> None:
    (tmp_path / "beside").mkdir()
    (tmp_path / "examples").mkdir()
    (tmp_path / "beside" / "engine.py").write_text((PROGRAMS / "package" / "engine.py").read_text())
    write(
        tmp_path / "beside",
        "patch.py",
        """
        import engine

        def add(self, other, old=engine.Value.__add__):
            print("+", end=" ")
            return old(self, other)

        engine.Value.__add__ = add
        """,
    )
    script = write(
        tmp_path / "examples",
        "script.py",
        f"""
        import sys
        sys.path.insert(0, {str(tmp_path / "beside")!r})
        from engine import Value
        print(Value(1.0) + 2)
        import patch
        x = Value(2.0)
        y = x + x * 3
        y.backward()
        print(y, x.grad)
        """,
    )
    plain, served = execute(str(script)), run(str(script))
    assert plain.returncode == 0, plain.stderr
    assert served.stdout == plain.stdout
    assert plain.stdout.count("+") >= 1


def test_micrograd_installed_or_not(tmp_path: pathlib.Path) -> None:
    script = write(
        tmp_path,
        "script.py",
        """
        import random, sys
        from micrograd.engine import Value
        from micrograd.nn import MLP
        random.seed(1)
        model = MLP(2, [4, 1])
        loss = sum((model([float(i), -1.0]) - i) ** 2 for i in range(3))
        model.zero_grad()
        loss.backward()
        print(f"{loss.data:.12g}", [f"{p.grad:.12g}" for p in model.parameters()], model)
        """,
    )
    installed = pytest.importorskip("micrograd.engine").__file__
    plain, served = execute(str(script)), run(str(script))
    assert plain.returncode == 0, plain.stderr
    assert served.stdout == plain.stdout
    assert "micrograd.engine.Value: served" in run("--report", str(script)).stderr
    blocker = "import sys\nclass Block:\n    def find_spec(self, name, path=None, target=None):\n"
    blocker += "        return None\n"
    site = pathlib.Path(installed).parent.parent
    hidden = f"import sys; sys.path[:] = [p for p in sys.path if p != {str(site)!r}]\n"
    script.write_text(hidden + script.read_text())
    if not any((site / name).exists() for name in ("kilograd", "kilograd.pth")):
        assert run(str(script)).stdout == plain.stdout


def test_a_reflected_operator_that_may_not_be_tried_is_not(tmp_path: pathlib.Path) -> None:
    source = (PROGRAMS / "differences.py").read_text().partition("class Named")[0]
    head = "    def __rsub__(self, other):\n"
    counting = source.replace(
        head, "    def __rsub__(self, other, made=[]):\n        made.append(1)\n        print(made)\n"
    )
    script = str(write(tmp_path, "script.py", "import numpy\n" + counting + "\nprint((1 - Value(2.0)).data)\n"))
    assert run(script).stdout == execute(script).stdout == "[1]\n-1.0\n"


def test_custom_operations_do_not_grow(tmp_path: pathlib.Path) -> None:
    source = (PROGRAMS / "numpy_data.py").read_text().partition("def show")[0]
    loop = """
    import gc
    def resident():
        gc.collect()
        return int(open("/proc/self/statm").read().split()[1]) * 4
    w, sizes = Tensor(0.3), []
    for step in range(60001):
        y = (w * 0.5 + w).tanh()
        y.backward()
        w.data, w.grad = 0.3, 0
        if step % 20000 == 0:
            sizes.append(resident())
    print(sizes[-1] - sizes[1] < 1000, sizes)
    """
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("resident memory is read from /proc")
    script = str(write(tmp_path, "script.py", source + textwrap.dedent(loop)))
    done = run("--report", script)
    assert "Tensor: served" in done.stderr
    assert done.stdout.startswith("True"), done.stdout


@pytest.mark.parametrize("program", ["copies.py", "article.py"])
def test_pickle_of_plain_python_is_read(tmp_path: pathlib.Path, program: str) -> None:
    cls = "class " + (PROGRAMS / program).read_text().partition("\nclass Value")[2]
    cls = cls.partition("\ndef ")[0].partition("\nclass ")[0].replace("class ", "class Value", 1)
    write(
        tmp_path,
        "engine.py",
        "import math\n\n\ndef nothing():\n    pass\n\n\n" + cls.replace("lambda: None", "nothing"),
    )
    script = str(
        write(
            tmp_path,
            "script.py",
            """
            import pickle, sys
            from engine import Value
            if sys.argv[1] == "write":
                with open("w.pickle", "wb") as file:
                    pickle.dump([Value(2.5), Value(-3)], file)
            else:
                with open("w.pickle", "rb") as file:
                    a, b = pickle.load(file)
                c = a * b + a
                c.backward()
                print(type(a) is Value, a.data, b.data, c.data, a.grad, b.grad)
            """,
        )
    )
    assert execute(script, "write", cwd=tmp_path).returncode == 0
    plain, served = execute(script, "read", cwd=tmp_path), run(script, "read", cwd=tmp_path)
    assert plain.stdout.startswith("True 2.5 -3 -5.0"), plain.stderr
    assert served.stdout == plain.stdout, served.stderr
    assert execute("-m", "kilograd", "run", script, "write", cwd=tmp_path).returncode == 0
    assert run(script, "read", cwd=tmp_path).stdout == plain.stdout


def test_class_that_looks_into_its_dict_is_left_alone(tmp_path: pathlib.Path) -> None:
    source = (PROGRAMS / "article.py").read_text().partition("class Neuron")[0]
    method = (
        "    def copy(self):\n        new = Value(0)\n        new.__dict__.update(self.__dict__)\n        return new\n"
    )
    source = source.replace("    def __repr__", method + "\n    def __repr__", 1)
    script = str(write(tmp_path, "script.py", source + "\nprint(Value(3.0).copy())\n"))
    plain, served = execute(script), run(script)
    assert served.stdout == plain.stdout
    assert "runs as it is: copy looks into __dict__" in served.stderr


@pytest.mark.parametrize(
    "use",
    [
        "eval('a + b')",
        "import argparse\nprint(vars(argparse.Namespace(rate=0.1)))",
        "print([name for name in vars(Value)], hasattr(Value, 'grad'))",
        "print(getattr(a, 'data'), sorted(vars(b)))",
        "Value.cube = lambda self: self * self * self\nprint(a.cube())",
        "class Trainer:\n    def __init__(self): self.tanh = self.max = 3\nprint(vars(Trainer()))",
        "import random, sys, os, json\nprint(random.Random(3).random(), len(sys.argv))",
        "print(len({id(a), id(b)}), hash(a) == hash(a))",
    ],
)
def test_innocent_programs_are_served(tmp_path: pathlib.Path, use: str) -> None:
    script = str(write(tmp_path, "script.py", f"{CLASS}\na, b = Value(2.0), Value(3.0)\n{use}\nprint(a * b)\n"))
    plain, served = execute(script), run("--report", script)
    assert served.stdout == plain.stdout, served.stderr
    assert "Value: served\n  natively: __add__, __radd__, __mul__, __rmul__, backward, tanh, relu" in served.stderr


def test_modules_are_read_before_a_class_is_judged(tmp_path: pathlib.Path) -> None:
    write(tmp_path, "engine.py", CLASS)
    write(tmp_path, "patches.py", "import math\n\ndef apply():\n    math.tanh = lambda x: 0.25\n")
    late = "import engine\nprint(engine.Value(0.5).tanh())\nimport patches\npatches.apply()\n"
    script = str(write(tmp_path, "script.py", late + "print(engine.Value(0.5).tanh())\n"))
    plain, served = execute(script), run("--report", script)
    assert served.stdout == plain.stdout
    assert "data=0.25" in served.stdout
    report = served.stderr.partition("natively: ")[2].splitlines()[0].split(", ")
    assert "relu" in report
    assert "tanh" not in report


def test_module_that_is_found_at_the_last_moment(tmp_path: pathlib.Path) -> None:
    write(tmp_path, "engine.py", CLASS)
    (tmp_path / "late").mkdir()
    write(tmp_path / "late", "patches.py", "import math\nmath.tanh = lambda x: 0.25\n")
    text = """
    import sys
    import engine
    a = engine.Value(0.5)
    b = a.tanh()
    sys.path.append("late")
    import patches
    c = b * a.tanh()
    c.backward()
    print(a, b, c)
    """
    script = str(write(tmp_path, "script.py", text))
    plain, served = execute(script, cwd=tmp_path), run(script, cwd=tmp_path)
    assert served.stdout == plain.stdout, served.stderr
    assert "looks up tanh, and line 2 may set math.tanh" in served.stderr


def test_more_classes_than_the_engine_has_room_for(tmp_path: pathlib.Path) -> None:
    text = """
    from kilograd import _core
    from kilograd.run import judge
    from kilograd.run.served import ServedMeta
    try:
        while True:
            _core.new_served("Value", "m", ServedMeta)
    except RuntimeError:
        pass
    import engine
    served = judge.serve(engine.Value)
    print(served is engine.Value, judge.judgements[-1].reason)
    """
    write(tmp_path, "engine.py", CLASS)
    done = execute(str(write(tmp_path, "script.py", text)))
    assert done.stdout == "True the engine has as many classes already as a process can have\n", done.stderr


def test_compare() -> None:
    done = run("--compare", "fractions_and_complex.py")
    assert done.returncode == 0
    assert done.stdout == execute("fractions_and_complex.py").stdout
    assert "the same output and exit status" in done.stderr
    assert "times as fast" in done.stderr


def test_compare_finds_a_difference(tmp_path: pathlib.Path) -> None:
    script = str(write(tmp_path, "script.py", "import sys\nprint('same')\nprint('kilograd' in sys.modules)\n"))
    done = run("--compare", script)
    assert done.returncode == 1
    assert "first in line 2:\n  plain Python: False\n  kilograd:     True" in done.stderr
    status = str(write(tmp_path, "status.py", "import sys\nsys.exit('kilograd' in sys.modules)\n"))
    done = run("--compare", status)
    assert done.returncode == 1
    assert "the exit status differs: 0 in plain Python, 1 here" in done.stderr


# --- notebooks -----------------------------------------------------------------------------------------------------


def cells_of(program: str) -> list[str]:
    head, _, rest = (PROGRAMS / program).read_text().partition("\nclass ")
    cls, _, tail = ("class " + rest).partition("\n\n\ndef tanh")
    return [head, cls, "def tanh" + tail]


def notebook(*cells: str) -> str:
    return json.dumps(
        {
            "cells": [
                {
                    "cell_type": "code",
                    "execution_count": None,
                    "id": f"c{i}",
                    "metadata": {},
                    "outputs": [],
                    "source": text,
                }
                for i, text in enumerate(cells)
            ],
            "metadata": {},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )


def test_notebook(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    path = tmp_path / "lecture.ipynb"
    first = "class Value:\n    def __init__(self, data):\n        self.data = data\nprint(Value(2).data)"
    path.write_text(notebook(first, *cells_of("patched.py"), "type(Value).__name__, _exit_code if False else 1"))
    done = run(str(path))
    assert done.returncode == 0, done.stderr
    executed = json.loads((tmp_path / "lecture.executed.ipynb").read_text())["cells"]
    text = [
        "".join("".join(o.get("text", "")) for o in cell["outputs"] if o.get("name") == "stdout") for cell in executed
    ]
    assert "".join(text) == "2\n" + execute("patched.py").stdout
    assert executed[-1]["outputs"][0]["data"]["text/plain"] == ["('ServedMeta', 1)"]
    assert [cell["execution_count"] for cell in executed] == [1, 2, 3, 4, 5]


def test_notebook_that_raises(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    path = tmp_path / "wrong.ipynb"
    path.write_text(notebook("print('one')", "1/0", "print('never')"))
    done = run(str(path))
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    executed = json.loads((tmp_path / "wrong.executed.ipynb").read_text())["cells"]
    assert [len(cell["outputs"]) for cell in executed] == [1, 1, 0]


def test_load_ext(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("IPython")
    cls = cells_of("patched.py")[1]
    script = write(
        tmp_path,
        "script.py",
        f"""
        from IPython.testing.globalipapp import start_ipython
        shell = start_ipython()
        for cell in ({cls!r}, "a = type(Value)", "%load_ext kilograd", {cls!r}, "b = type(Value)",
                     "%unload_ext kilograd", {cls!r}, "c = type(Value)"):
            shell.run_cell(cell)
        print([shell.user_ns[name].__name__ for name in "abc"])
        """,
    )
    assert execute(str(script)).stdout.splitlines()[-1] == "['type', 'ServedMeta', 'type']"


def test_what_is_no_notebook(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("nbclient")
    write(tmp_path, "x.ipynb", "not json")
    assert run("x.ipynb", cwd=tmp_path).returncode == 2
    assert run("y.ipynb", cwd=tmp_path).returncode == 2


def test_report_and_comparison_of_a_notebook(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    path = tmp_path / "lecture.ipynb"
    sloppy = "class Sloppy:\n def __init__(self, grad): print(grad)\n def __add__(self, o): 0\n def __mul__(self, o): 0"
    cls = (PROGRAMS / "article.py").read_text().partition("\n\nclass Neuron")[0]
    path.write_text(notebook(sloppy, cls, "a = Value(2.0)\n(a * a).tanh().backward()\nprint(a.grad)"))
    done = run("--report", "--compare", str(path))
    assert done.returncode == 0, done.stderr
    assert "kilograd: class Sloppy runs as it is: __init__ calls print()" in done.stderr
    assert "kilograd: Value: served" in done.stderr
    assert "backward, tanh, exp\n" in done.stderr
    assert "kilograd: the same outputs\nkilograd: plain Python" in done.stderr
    assert "kilograd:" not in (tmp_path / "lecture.executed.ipynb").read_text()
    path.write_text(notebook("import sys", "print('kilograd' in sys.modules)"))
    done = run("--compare", str(path))
    assert done.returncode == 1
    assert "the outputs differ, first those of cell 2" in done.stderr


# --- test suites ---------------------------------------------------------------------------------------------------


def test_pytest_plugin(tmp_path: pathlib.Path) -> None:
    (tmp_path / "tests").mkdir()
    cls = "class Value:" + (PROGRAMS / "package" / "engine.py").read_text().partition("class Value:")[2]
    write(tmp_path, "engine.py", (PROGRAMS / "package" / "engine.py").read_text())
    write(
        tmp_path / "tests",
        "conftest.py",
        "import sys, pathlib\nsys.path.insert(0, str(pathlib.Path(__file__).parents[1]))",
    )
    tests = """
        import engine
        import pytest


        @pytest.mark.parametrize("kind", [Value, engine.Value])
        def test_gradient(kind):
            a = kind(2.0)
            (a * a + a).backward()
            assert a.grad == 5.0


        def test_wrong():
            a = Value(2.0)
            assert a.data == 3
        """
    (tmp_path / "tests" / "test_both.py").write_text(cls + textwrap.dedent(tests))
    common = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist")
    plain = execute("-m", "pytest", *common, cwd=tmp_path)
    served = execute("-m", "pytest", *common, "-p", "kilograd", cwd=tmp_path)
    assert "1 failed, 2 passed" in plain.stdout, plain.stdout
    assert "1 failed, 2 passed" in served.stdout, served.stdout
    assert plain.stdout.partition(" short test")[0].rstrip("=") in served.stdout  # the explanation of the failure too
    assert "kilograd: test_both.Value: served" in served.stdout
    assert "kilograd: engine.Value: served" in served.stdout
    again = execute("-m", "pytest", *common, cwd=tmp_path)
    assert "1 failed, 2 passed" in again.stdout
    imported = run("--report", "-m", "pytest", *common, cwd=tmp_path)
    assert "1 failed, 2 passed" in imported.stdout
    assert "kilograd: engine.Value: served" in imported.stderr


def test_what_tests_patch_is_not_served(tmp_path: pathlib.Path) -> None:
    cls = (PROGRAMS / "article.py").read_text().partition("\n\nclass Neuron")[0]
    test = """
        def test_patched(monkeypatch):
            monkeypatch.setattr(math, "tanh", lambda x: 0.25)
            monkeypatch.setattr("math.exp", lambda x: 2.0)
            assert Value(1.0).tanh().data == 1 / 3
        """
    (tmp_path / "test_patch.py").write_text(cls + textwrap.dedent(test))
    done = execute("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "kilograd", cwd=tmp_path)
    assert "1 passed" in done.stdout, done.stdout
    assert "as the author wrote them: tanh, exp\n" in done.stdout


def test_what_is_said_beside_is_no_output_of_a_test(tmp_path: pathlib.Path) -> None:
    cls = (PROGRAMS / "article.py").read_text().partition("\n\nclass Neuron")[0]
    tests = """
        def test_sys(monkeypatch, capsys):
            monkeypatch.setattr(Value, "__add__", lambda self, other: 5)
            assert Value(1.0) + 1 == 5
            assert capsys.readouterr() == ("", "")


        def test_descriptors(monkeypatch, capfd):
            monkeypatch.setattr(Value, "__mul__", lambda self, other: 5)
            assert Value(1.0) * 1 == 5
            assert capfd.readouterr() == ("", "")
        """
    (tmp_path / "test_quiet.py").write_text(cls + textwrap.dedent(tests))
    done = execute("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "kilograd", cwd=tmp_path)
    assert "2 passed" in done.stdout, done.stdout
    assert "kilograd: test_quiet.Value: served" in done.stdout


def test_what_is_said_beside_goes_to_the_standard_error_of_the_process(tmp_path: pathlib.Path) -> None:
    source = (PROGRAMS / "article.py").read_text().partition("\n\nclass Neuron")[0]
    source = source.replace("self.data = data", "print('made')\n        self.data = data")
    head = "import contextlib, io, sys\nsaid = io.StringIO()\nwith contextlib.redirect_stderr(said):\n"
    text = head + textwrap.indent(source, "    ") + "\nprint(Value(1.0).data, repr(said.getvalue()))\n"
    script = str(write(tmp_path, "script.py", text))
    done = run(script)
    assert done.stdout == "made\n1.0 ''\n"
    assert done.stderr == "kilograd: class Value runs as it is: __init__ calls print()\n"
    start = f"import os, runpy, sys; sys.argv[:] = {['kilograd', 'run', '--report', script]!r}; "
    for how in ("os.close(2); sys.stderr = sys.__stderr__ = None", "sys.stderr.close()"):
        done = execute("-c", f"{start}{how}; runpy.run_module('kilograd', run_name='__main__')")
        assert done.stdout == "made\n1.0 ''\n"


def test_the_report_says_what_would_be_served(tmp_path: pathlib.Path) -> None:
    source = (PROGRAMS / "article.py").read_text().partition("\n\nclass Neuron")[0]
    switch = source.replace("class Value", "GRAD = [True]\n\n\nclass Value").replace(
        "self.data = data", "self.data = data if GRAD[0] else 0"
    )
    script = str(write(tmp_path, "script.py", switch + "\nprint(Value(1.0) + 2)\nGRAD[0] = False\n"))
    report = run("--report", script).stderr
    assert "left as it is: __init__ uses the global 'GRAD'\n" in report
    assert "  to be served: let GRAD be True or False if it is a switch" in report
