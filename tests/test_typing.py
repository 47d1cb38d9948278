"""What editors and type checkers read: signatures, the stub's docstrings, and users' programs (see `check_typing`)."""

from __future__ import annotations

import ast
import inspect
import runpy

import pytest
from tests import stub
from tests.check_typing import PROGRAMS

import kilograd
from kilograd import Value

METHODS = [name for name, member in vars(Value).items() if inspect.isroutine(member) and hasattr(Value, name)]


def test_the_stub_has_the_docstrings_of_the_module():
    assert stub.documented(stub.PATH.read_text()) == stub.PATH.read_text(), "write them: python -m tests.stub"


def test_the_signature_of_value():
    class Weight(Value):
        pass

    expected = "(data, _children=(), _op='', label='', **aliases)"
    assert str(inspect.signature(Value)) == str(inspect.signature(Weight)) == expected
    arguments = inspect.signature(Value).bind(1.0, children=(), op="f", label="a")
    assert Value(*arguments.args, **arguments.kwargs).label == "a"


@pytest.mark.parametrize("name", METHODS)
def test_the_signature_of_a_method(name):
    assert inspect.signature(getattr(Value, name))
    assert not (getattr(Value, name).__doc__ or "").startswith(f"{name}(")


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        ("leaky_relu", "(self, /, slope=0.01)"),
        ("arctan", "(self, /)"),
        ("maximum", "(self, other, /)"),
        ("backward", "(self, /, grad=1.0)"),
    ],
)
def test_signatures_are_those_of_the_calls(name, signature):
    assert str(inspect.signature(getattr(Value, name))) == signature


def test_the_signatures_of_functions():
    for function in (kilograd.live_nodes, kilograd.reserved_bytes):
        assert str(inspect.signature(function)) == "()"
    for function in (kilograd.maximum, kilograd.minimum):
        assert str(inspect.signature(function)) == "(a, b, /)"
    for public in (getattr(kilograd, name) for name in kilograd.__all__):
        is_error = isinstance(public, type) and issubclass(public, Exception)  # has none of its own
        assert not callable(public) or is_error or inspect.signature(public)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_what_type_checkers_pass_runs_and_what_they_refuse_raises(program, capsys):
    names = runpy.run_path(str(program))
    names["main"]()
    lines = program.read_text().splitlines()
    mistakes = next(node for node in ast.parse(program.read_text()).body if getattr(node, "name", "") == "mistakes")
    refused = 0
    for statement in mistakes.body:
        code = compile(ast.Module([statement], []), str(program), "exec")
        if lines[statement.lineno - 1].endswith("# refused"):
            with pytest.raises(Exception):  # noqa: B017, PT011 - of its own kind each
                exec(code, names)
            refused += 1
        else:
            exec(code, names)
    assert refused == program.read_text().count("# refused\n")
    names.clear()
