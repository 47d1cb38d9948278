"""Machine code of programs: when it is made, that it cannot be seen in results, and what it says of itself."""

from __future__ import annotations

import copy
import ctypes
import gc
import math
import os
import pathlib
import pickle
import random
import re
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.fuzz.machine import looped

import kilograd
from kilograd import Program, Value, _core


def graph(inputs: list[Value], ops: int, seed: int = 0) -> Value:
    """Sums, products and quotients of neighbours, with a function now and then."""
    dice, pool = random.Random(seed), list(inputs)
    for _ in range(ops):
        a, b = dice.choice(pool[-9:]), dice.choice(pool[-9:])
        kind = dice.randrange(9)
        pool.append(
            (a * b).tanh() if kind == 0 else a / (b * b + 1.0) if kind == 1 else (a - b).relu() if kind == 2
            else a.sin() if kind == 3 else a * 0.5 + b if kind < 6 else (a - b) * 0.7
        )  # fmt: skip
    return kilograd.functional.sum(pool[-5:])


def made(ops: int = 400, **options: bool) -> Program:
    inputs = [Value(0.1 * k) for k in range(5)]
    weights = [Value(0.3), Value(-0.8)]
    return Program(graph([*inputs, *weights], ops), inputs, weights, **options)


has_code = pytest.mark.skipif(
    "no machine code beside" in made().code or "KILOGRAD_CODE" in made().code, reason="none on this machine"
)
ROWS = np.random.default_rng(0).normal(size=(300, 5))


@has_code
def test_code_is_made_once_calls_have_paid_for_it():
    program = made(2000)
    if not program.code.startswith("machine code"):  # KILOGRAD_CODE=always makes it at once
        assert program.code == "interpreted: not called often enough to gain by machine code"
    for _ in range(400):
        program.value_and_grad(ROWS[0])
    assert re.fullmatch(r"machine code: \d+ bytes for one row", program.code)
    before = program.nbytes
    for _ in range(100):
        program.value_and_grad(ROWS[:3], "both")
    assert re.fullmatch(r"machine code: \d+ bytes for one row, \d+ bytes for [248] rows at a time", program.code)
    assert program.nbytes > before


@has_code
@pytest.mark.skipif(os.environ.get("KILOGRAD_CODE") == "always", reason="code is made at the first call")
def test_no_rows_count_as_no_call():
    program = made(2000)
    for _ in range(3):
        assert program(ROWS[:0]).shape == (0,)
        program.value_and_grad(ROWS[:0])
    program(ROWS[:3])
    assert program.code == "interpreted: not called often enough to gain by machine code"


@has_code
def test_code_is_made_for_loops_whose_turns_nobody_knows_beforehand():
    def turn(state: Any) -> Any:
        n, x, y = state
        for _ in range(12):
            x, y = x * 0.5 + y * x, x * 0.3 - y * x
        return n + 1, x, y

    def loop(x: Any) -> Any:
        return kilograd.while_loop(lambda state: state[0] < 500, turn, (0, x, x * 0.5))[1]

    compiled, before = kilograd.compile(loop), _executable()
    want = compiled(0.3)
    for _ in range(10):
        assert compiled(0.3) == want
    if before is not None:
        assert (_executable() or 0) > before


@has_code
def test_code_is_made_for_conditions_of_loops_too():
    def loop(x: Any) -> Any:
        return kilograd.while_loop(
            lambda state: state[0] * state[0] + x < 4.0 + x, lambda state: (state[0] + 1e-4,), (x,)
        )[0]

    compiled, before = kilograd.compile(loop), _executable()
    want = compiled(0.3)
    for _ in range(3):
        assert compiled(0.3) == want
    if before is not None:  # the turn's, and the condition's
        assert (_executable() or 0) >= before + 2 * 4096


@has_code
@pytest.mark.parametrize("rows", [1, 3, 300])
@pytest.mark.parametrize("wrt", ["inputs", "parameters", "both"])
def test_results_are_the_kernels_to_the_last_bit(rows: int, wrt: str):
    program, interpreted = made(2000), made(2000, code=False)
    x = ROWS[0] if rows == 1 else ROWS[:rows]
    want = interpreted.value_and_grad(x, wrt)
    values = interpreted(x)
    for _ in range(400 if rows == 1 else 100):
        for found, right in zip(program.value_and_grad(x, wrt), want, strict=True):
            np.testing.assert_array_equal(found, right)
        np.testing.assert_array_equal(program(x), values)
    assert program.code.startswith("machine code")
    assert interpreted.code == "interpreted: code=False"


@pytest.mark.parametrize("width", [1, 3, 7, 8, 9, 13, 30])
@pytest.mark.parametrize("count", [7, 8, 21, 300])
def test_rows_of_arithmetic_are_rows_one_by_one(width: int, count: int):
    dice = random.Random(width)
    inputs, weights = [Value(1.0) for _ in range(width)], [Value(dice.uniform(-1.0, 1.0)) for _ in range(3)]
    outputs = [dice.choice(inputs) * x * weights[k % 3] + dice.choice(inputs) for k, x in enumerate(inputs)]
    program = Program(outputs, inputs, weights)
    table = np.random.default_rng(width).normal(size=(2 * count, 2 * width))
    first = table[:count, :width]
    for x in (first.copy(), np.asfortranarray(first), table[::-2, ::2], table[:count, ::-2]):
        near = {"rtol": 1e-13, "atol": 1e-13}
        np.testing.assert_allclose(program(x), [program(row) for row in x], **near)
        np.testing.assert_allclose(program.jacobian(x), [program.jacobian(row) for row in x], **near)
        alone = [np.concatenate(program.value_and_grad(row, "parameters")) for row in x]
        together = np.concatenate(program.value_and_grad(x, "parameters", reduce="sum"))
        np.testing.assert_allclose(together, [math.fsum(column) for column in np.transpose(alone)], atol=1e-11)


@has_code
def test_copies_and_derivatives_of_a_program_without_code_have_none():
    program = made(60, code=False)
    for same in (copy.copy(program), copy.deepcopy(program), pickle.loads(pickle.dumps(program))):
        assert same.code == "interpreted: code=False"
    assert copy.deepcopy(made(60)).code != "interpreted: code=False"

    def size_after_calls(program: Program) -> int:
        for _ in range(3000):
            program.jacobian(ROWS[0])
        return program.nbytes

    first = made(60, code=False)
    first.jacobian(ROWS[0])
    assert size_after_calls(program) == first.nbytes < size_after_calls(made(60))


@has_code
def test_what_is_too_long_stays_with_the_kernels():
    points = [[Value(0.1) for _ in range(100)] for _ in range(50)]
    pairs = [(a, b) for k, a in enumerate(points) for b in points[:k]]
    dots = [kilograd.functional.sum([x * y for x, y in zip(a, b, strict=True)]) for a, b in pairs]
    program = Program(kilograd.functional.sum([dot.tanh() for dot in dots]), points)
    x = np.full(5000, 0.1)
    for _ in range(400):
        program(x)
    assert program.code == "interpreted: too long to gain by machine code"
    before = program.nbytes
    program(x)
    assert program.nbytes == before


@has_code
def test_what_is_refused_is_refused_by_code_too():
    x, y = Value(1.0), Value(2.0)
    z = x
    for _ in range(200):
        z = (z + y) * 0.5
    program = Program([z / x, (x - y) ** -2, x.log(), x * x * z, (x * 1e100) ** 2], [x, y])
    for _ in range(400):
        program([1.0, 2.0])
    assert program.code.startswith("machine code")
    with pytest.raises(ZeroDivisionError, match=r"row 0"):
        program([1.0, 1.0])
    with pytest.raises(ValueError, match=r"'log' at -1 "):
        program([-1.0, 2.0])
    with pytest.raises(OverflowError):
        program([1e60, 2.0])
    assert math.isinf(program([1e60, 2.0], check=False)[4])
    assert program([1.0, 2.0])[2] == 0.0


@has_code
def test_code_is_shared_by_threads_and_copies_and_goes_with_the_program():
    program = made(1000)
    want = program.value_and_grad(ROWS)
    wrong: list[int] = []

    def work() -> None:
        for k in range(100):
            got = program.value_and_grad(ROWS, threads=1 + k % 2)
            if not all(map(np.array_equal, got, want)):
                wrong.append(k)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert copy.copy(program).code == program.code
    again = pickle.loads(pickle.dumps(program))
    assert again.code.startswith("interpreted") or "always" in again.code or again.code.startswith("machine code: ")
    np.testing.assert_array_equal(again.value_and_grad(ROWS)[1], want[1])
    mapped = _executable()
    keep = [made(1000) for _ in range(3)]
    for other in keep:
        for _ in range(400):
            other(ROWS[0])
    if mapped is not None:
        assert (_executable() or 0) >= mapped + 3 * 4096
        del keep, other
        gc.collect()
        assert (_executable() or 0) <= mapped


def _executable_pages() -> dict[str, str] | None:
    try:
        lines = pathlib.Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return None
    found = [line.split() for line in lines]
    return {fields[0]: fields[1] for fields in found if "x" in fields[1] and len(fields) == 5}


callback = ctypes.CFUNCTYPE(None)(int)  # some builds of libffi put these where it may write and execute
BEFORE = _executable_pages() or {}


def _executable() -> int | None:
    """Bytes of this process that may be executed and are of no file; none of them may be written."""
    found = _executable_pages()
    if found is None:
        return None
    assert not any("w" in flags for place, flags in found.items() if place not in BEFORE)
    bounds = [[int(bound, 16) for bound in place.split("-")] for place in found]
    return sum(end - begin for begin, end in bounds)


def test_the_environment_turns_it_off(run_python: Callable[[str], str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KILOGRAD_CODE", "0")
    said = run_python(
        """
from kilograd import Program, Value
x = Value(1.0)
y = x
for _ in range(200):
    y = y * x + x
program = Program(y, [x])
for _ in range(500):
    program([1.0])
print(program.code)
""",
    )
    assert said.strip() == "interpreted: KILOGRAD_CODE is 0"


def test_the_environment_is_read_by_the_letter(run_python: Callable[[str], str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KILOGRAD_CODE", "off")
    said = run_python(
        """
from kilograd import Program, Value
x = Value(1.0)
program = Program(x * x, [x])
for ask in (lambda: program([1.0]), lambda: program.code):
    try:
        ask()
    except ValueError as error:
        print(error)
"""
    )
    assert said.splitlines() == ["KILOGRAD_CODE: 'off' is neither 0 (no machine code) nor always"] * 2


def test_code_is_true_or_false():
    x = Value(1.0)
    with pytest.raises(TypeError, match=r"Program: code= is True or False, not 'no'"):
        Program(x * x, [x], code="no")  # type: ignore[arg-type]


def test_a_file_says_nothing_of_code(tmp_path: pathlib.Path):
    path = tmp_path / "program.kgp"
    made(60, code=False).save(path)
    assert Program.load(path).code != "interpreted: code=False"
    assert Program.load(path, code=False).code == "interpreted: code=False"
    with pytest.raises(TypeError, match=r"Program.load: code= is True or False, not 0"):
        Program.load(path, code=0)  # type: ignore[arg-type]


@has_code
@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux where code lies")
def test_perf_finds_names(run_python: Callable[[str], str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KILOGRAD_PERF_MAP", "1")
    said = run_python(
        """
import os, pathlib
from kilograd import Program, Value

def used():
    x = Value(1.0)
    y = x
    for _ in range(200):
        y = y * x + x
    program = Program(y, [x])
    for _ in range(500):
        program.value_and_grad([0.5])
    return program

def lines():
    path = pathlib.Path(f"/tmp/perf-{os.getpid()}.map")
    try:
        return path.read_text().splitlines() if path.exists() else []
    finally:
        path.unlink(missing_ok=True)

first = used()
if os.fork() == 0:
    second = used()
    print("child", *lines(), sep="|", flush=True)
    os._exit(0)
os.wait()
mapped = [line.split()[0].split("-") for line in open("/proc/self/maps") if "x" in line.split()[1]]
print("parent", *lines(), sep="|")
print("mapped", *(f"{begin} {end}" for begin, end in mapped), sep="|")
"""
    )
    found = {name: rest for name, *rest in (line.split("|") for line in said.splitlines())}
    for process in ("child", "parent"):
        names = [line.split(" ", 2) for line in found[process]]
        assert [name for _, _, name in names] == [
            f"kilograd {way} of 200 ops, one row" for way in ("forward", "reverse")
        ]
    bounds = [tuple(int(bound, 16) for bound in line.split()) for line in found["mapped"]]
    for line in found["parent"]:
        begin, size = (int(number, 16) for number in line.split()[:2])
        assert any(first <= begin and begin + size <= last for first, last in bounds)


def test_other_kernels_have_none(monkeypatch: pytest.MonkeyPatch):
    narrow = {"scalar", "sse2"} & set(_core._instruction_sets())
    if made().code.startswith("interpreted: KILOGRAD_CODE"):
        pytest.skip("turned off by the environment")
    for name in narrow:
        monkeypatch.setenv("KILOGRAD_ISA", name)
        assert made().code == f"interpreted: there is no machine code beside the kernels for {name}"


@has_code
def test_code_follows_the_instruction_set_of_the_call(monkeypatch: pytest.MonkeyPatch):
    program = made(1000)
    results = {}
    for name in ("", *_core._instruction_sets()):
        if name:
            monkeypatch.setenv("KILOGRAD_ISA", name)
        for _ in range(400):
            results[name] = program.value_and_grad(ROWS[0])
        interpreted = made(1000, code=False).value_and_grad(ROWS[0])
        assert all(map(np.array_equal, results[name], interpreted))


@has_code
def test_code_for_another_instruction_set_does_not_count(monkeypatch: pytest.MonkeyPatch):
    if not {"avx2", "avx512"} <= set(_core._instruction_sets()):
        pytest.skip("one at most")
    program = made(1000)
    monkeypatch.setenv("KILOGRAD_ISA", "avx512")
    for _ in range(100):
        program(ROWS[:3])
    assert program.code.endswith(" bytes for 8 rows at a time")
    monkeypatch.setenv("KILOGRAD_ISA", "avx2")
    assert program.code == "interpreted: the machine code made before is for avx512"


@pytest.mark.parametrize("turns", range(2, 60, 3))
def test_code_that_comes_between_the_two_sweeps_of_a_loop_changes_nothing(turns: int) -> None:
    """What the kernels left in a frame is not for machine code, which keeps numbers elsewhere."""
    f = kilograd.compile(looped(turns))
    a = np.array([0.4, 0.7])
    first = f.grad(a)
    for _ in range(900 // turns):
        np.testing.assert_array_equal(f.grad(a), first)
