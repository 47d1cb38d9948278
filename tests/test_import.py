"""`import kilograd` is light, and everything that it promises is there."""

from __future__ import annotations

import subprocess
import sys

import kilograd


def test_import_loads_nothing_heavy():
    code = "import sys; before = set(sys.modules); import kilograd; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "kilograd._core" in loaded
    heavy = {"numpy", "typing", "random", "inspect", "importlib.metadata", "argparse", "ast", "tqdm", "graphviz"}
    assert not loaded & heavy


def test_every_public_name_is_there():
    assert set(kilograd.__all__) <= set(dir(kilograd))
    for name in kilograd.__all__:
        assert getattr(kilograd, name) is not None
