"""The examples run, at small size, and say what they should."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest

import kilograd

ROOT = pathlib.Path(__file__).parents[1]


def run(*command: str, cwd: pathlib.Path = ROOT) -> str:
    package = pathlib.Path(kilograd.__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": f"{package}{os.pathsep}{ROOT}", "MPLBACKEND": "Agg"}
    result = subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_article():
    out = run("examples/article.py")
    rows = [list(map(float, line.split())) for line in out.splitlines()[1:]]
    assert [row[0] for row in rows] == [0, 10, 20, 30, 40, 49]
    for _, written, replayed, fitted in rows:
        assert written == replayed
        assert fitted == pytest.approx(written, abs=1e-8)
    assert rows[-1][1] < 0.01


def test_moons(tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "moons.png"
    out = run("examples/moons.py", "--samples", "60", "--epochs", "60", "--output", str(picture))
    accuracy = re.search(r"accuracy ([\d.]+)%", out)
    assert accuracy
    assert float(accuracy[1]) >= 90
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_digits(tmp_path):
    pytest.importorskip("sklearn")
    out = run("examples/digits.py", "--samples", "300", "--epochs", "4", "--save", str(tmp_path / "digits.npz"))
    accuracy = re.search(r"never saw: ([\d.]+)%", out)
    assert accuracy
    assert float(accuracy[1]) >= 70
    assert (tmp_path / "digits.npz").exists()


def test_names():
    out = run("examples/names.py", "--steps", "120")
    losses = [float(x) for x in re.findall(r"loss ([\d.]+)", out)]
    assert losses[-1] < losses[0] - 0.2
    assert "invented: " in out


def test_digits_agree_with_pytorch():
    pytest.importorskip("sklearn")
    pytest.importorskip("torch")
    out = subprocess.run(
        [sys.executable, "-m", "bench.digits", "--samples", "200", "--epochs", "2"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{pathlib.Path(kilograd.__file__).parent.parent}{os.pathsep}{ROOT}"},
        capture_output=True, text=True, timeout=300,
    ).stdout  # fmt: skip
    assert "pass: PyTorch's losses" in out


def test_schools():
    out = run("examples/schools.py", "--draws", "300")
    assert float(re.search(r"accepted (.*)", out)[1]) > 0.8
    assert 0.0 < float(re.search(r"mu +([0-9.]+)", out)[1]) < 9.0
