"""`import kilograd` is light, and everything that it promises is there."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable

import pytest

import kilograd

SUBINTERPRETERS = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"


def test_import_loads_nothing_heavy():
    code = "import sys; before = set(sys.modules); import kilograd; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "kilograd._core" in loaded
    heavy = {"numpy", "typing", "random", "inspect", "importlib.metadata", "argparse", "ast", "tqdm", "graphviz"}
    assert not loaded & heavy


@pytest.mark.parametrize("name", ["modes", "run", "KilogradRegressor", "nothing"])
def test_what_is_asked_of_the_package_imports_no_other_library(run_python: Callable[[str], str], name: str):
    """``from kilograd import modes`` asks the package for an attribute before it imports the module."""
    printed = run_python(f"""
import sys
try:
    from kilograd import {name}
except ImportError:
    pass
print({{"scipy", "sklearn", "pandas", "matplotlib"}} & set(sys.modules))
print("kilograd.training" in sys.modules, "numpy" in sys.modules)
""")
    assert printed == f"set()\n{name == 'nothing'} {name == 'nothing'}\n"


def test_every_public_name_is_there():
    assert {name for name in dir(kilograd) if not name.startswith("__")} == set(kilograd.__all__)
    for name in kilograd.__all__:
        assert getattr(kilograd, name) is not None


@pytest.mark.skipif(importlib.util.find_spec(SUBINTERPRETERS) is None, reason="this Python is without them")
@pytest.mark.parametrize("first", [False, True])
def test_a_subinterpreter_is_refused_at_once(run_python: Callable[[str], str], first: bool):
    printed = run_python(f"""
import faulthandler
import sys
import {SUBINTERPRETERS} as interpreters

faulthandler.dump_traceback_later(100, exit=True)
if {first}:
    import kilograd
for isolated in (True, False):
    if sys.version_info < (3, 13):
        other = interpreters.create(isolated=isolated)
    else:
        other = interpreters.create("isolated" if isolated else "legacy")
    for attempt in range(2):
        interpreters.run_string(other, '''
try:
    import kilograd
except ImportError as error:
    print("process of its own" in str(error), end=" ", flush=True)
''')
    interpreters.destroy(other)
import kilograd
print(kilograd.Value(1.0) + 1)
""")
    assert printed == "True True True True Value(data=2.0)\n"


@pytest.mark.skipif(sys.version_info < (3, 14), reason="concurrent.interpreters is new in Python 3.14")
@pytest.mark.parametrize("first", ["pass", "import kilograd", "import numpy", "import numpy, kilograd"])
def test_every_way_into_a_subinterpreter_is_refused(run_python: Callable[[str], str], first: str):
    printed = run_python(f"""
import faulthandler
import threading
from concurrent import futures, interpreters

faulthandler.dump_traceback_later(100, exit=True)
{first}

def use():
    import kilograd

def look():
    import sys
    return [name for name in sys.modules if name.startswith("kilograd")]

def again(raised):
    raise raised.exc_value

def refused(call, *args):
    try:
        call(*args)
    except (ImportError, interpreters.InterpreterError, interpreters.ExecutionFailed) as error:
        assert "process of its own" in str(error), error
        print("refused", end=" ")

other = interpreters.create()
for attempt in range(2):
    refused(other.exec, "import kilograd")
    refused(other.exec, "from kilograd import Value")
    refused(other.exec, "import kilograd.reference")
    refused(other.call, use)
threading.excepthook = lambda raised: refused(again, raised)
other.call_in_thread(use).join()
assert other.call(look) == []

import kilograd

queue = interpreters.create_queue()
value = kilograd.Value(3.0)
queue.put(value)
assert queue.get().data == 3.0
queue.put(value)
other.prepare_main(queue=queue)
refused(other.exec, "queue.get()")
with futures.InterpreterPoolExecutor(2) as pool:
    for submitted in [pool.submit(use) for _ in range(4)]:
        refused(submitted.result)
    refused(pool.submit(use).result)
    assert pool.submit(abs, -1).result() == 1
left_open = interpreters.create()
refused(left_open.exec, "import kilograd")
other.close()
left_open.close()
print(kilograd.Value(1.0) + 1)
""")
    assert printed == "refused " * 16 + "Value(data=2.0)\n"
