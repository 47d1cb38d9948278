"""``python -m kilograd demo``, as a user runs it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import types

import pytest

from kilograd import cli, reference
from kilograd.cli import demo


def kilograd(*arguments):
    return subprocess.run([sys.executable, "-m", "kilograd", *arguments], capture_output=True, text=True)


def test_demo(tmp_path):
    picture = tmp_path / "neuron.dot"
    done = kilograd("demo", "--draw", str(picture))
    assert (done.returncode, done.stderr) == (0, "")
    table = re.findall(r"^ *(\d+)  (\S+) +(\S+)$", done.stdout, re.MULTILINE)
    assert [int(step) for step, _, _ in table] == [1, 10, 20, 30, 40, 50]
    for _, slow, fast in table:
        assert float(fast) == pytest.approx(float(slow), rel=1e-9)
    assert float(table[-1][2]) < 0.02 < float(table[0][2])
    assert "All 50 losses agree" in done.stdout
    predictions = dict(re.findall(r"^\((.*?)\).* (-?[\d.]+)$", done.stdout, re.MULTILINE))
    assert [round(float(p)) for p in predictions.values()] == [1, -1, -1, 1, 1]
    assert list(predictions)[-1] == "4.0, 5.0, -3.0"
    middle, low, high = map(float, re.search(r"is ([\d.]+) times.*from ([\d.]+) to ([\d.]+)", done.stdout).groups())
    assert 0 < low <= middle <= high
    for text in ("digraph", "x1*w1", "tanh", "data 6.0000", "grad -3.0000"):
        assert text in picture.read_text()
    assert str(picture) in done.stdout


def test_losses_that_differ_are_an_error(monkeypatch, capsys):
    class Off(reference.MLP):
        def __call__(self, x):
            return super().__call__(x) * (1 + 1e-8)

    off, honest = types.SimpleNamespace(MLP=Off), demo.train
    monkeypatch.setattr(demo, "TIMING_SECONDS", 0.0)
    monkeypatch.setattr(demo, "train", lambda nn: honest(nn if nn is reference else off))
    assert cli.main(["demo"]) == 1
    assert re.search(r"\d+ of 50 losses DIFFER by more than 1e-09, first at step \d+", capsys.readouterr().out)


def test_disagreements():
    assert demo.disagreements([1.0, 2.0], [1.0 + 1e-12, 2.0]) == []
    assert demo.disagreements([1.0, 2.0, 3.0], [1.0 + 1e-8, 2.0, float("nan")]) == [0, 2]
    assert demo.disagreements([float("nan")], [float("nan")]) == [0]


def test_the_suffix_names_the_format(tmp_path, monkeypatch):
    """With a stand-in for Graphviz's program that prints its options and its input."""
    program = tmp_path / "bin" / "dot"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$@"\ncat\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    demo.draw(tmp_path / "neuron.PDF")
    options, drawing = (tmp_path / "neuron.PDF").read_text().split("\n", 1)
    assert "-Tpdf" in options
    assert drawing.startswith("digraph")
    program.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(RuntimeError, match="failed"):
        demo.draw(tmp_path / "neuron.svg")
    assert not (tmp_path / "neuron.svg").exists()


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz's program dot")
def test_a_picture(tmp_path):
    demo.draw(tmp_path / "neuron.png")
    assert (tmp_path / "neuron.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["neuron", "neuron.nonsense", "missing/neuron.svg"])
def test_what_cannot_be_drawn(name, tmp_path):
    done = kilograd("demo", "--draw", str(tmp_path / name))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"cannot draw {tmp_path / name}" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_picture_without_the_program_dot(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    demo.draw(tmp_path / "neuron.pdf")
    assert (tmp_path / "neuron.pdf").read_bytes().startswith(b"%PDF")


def test_without_a_program_that_draws(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("kilograd.display.layout.layout_program", lambda: None)
    assert cli.main(["demo", "--draw", str(tmp_path / "neuron.svg")]) == 2
    assert "install Graphviz" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_the_package_graphviz(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    assert cli.main(["demo", "--draw", str(tmp_path / "neuron.svg")]) == 2
    assert "pip install graphviz" in capsys.readouterr().err


def test_the_classifier_in_the_browser(monkeypatch, capsys, tmp_path):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(demo, "TIMING_SECONDS", 0.0)
    assert cli.main(["demo", "--open"]) == 0
    (path,) = tmp_path.glob("*.html")
    assert opened == [path.as_uri()]
    assert str(path) in capsys.readouterr().out
    assert "layers[2].neurons[0].w[3]" in path.read_text()


def test_the_command_line_explains_itself(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--help"])
    assert stopped.value.code == 0
    assert "demo" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        cli.main([])
    assert stopped.value.code == 2
