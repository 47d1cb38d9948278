"""Who computes: one file per engine, in the order of the tables; one whose library is not installed is skipped."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from bench.model import Engine

ENGINES = {
    "kilograd": "bench.engines.kilograd",
    "reference": "bench.engines.reference",
    "floats": "bench.engines.floats",
    "micrograd": "bench.engines.micrograd",
    "xad": "bench.engines.xad",
    "ddx-ad": "bench.engines.ddx_ad",
    "casadi": "bench.engines.casadi",
    "torch": "bench.engines.torch",
    "jax": "bench.engines.jax",
    "numpy": "bench.engines.numpy",
    "C++": "bench.engines.cpp",
}


def load(names: Sequence[str] | None = None) -> tuple[list[Engine], dict[str, str]]:
    """The engines that can be imported, and for the others the reason."""
    engines, missing = [], {}
    for name in names or ENGINES:
        try:
            engines.append(import_module(ENGINES[name]).ENGINE)
        except ImportError as error:
            missing[name] = f"not installed ({error})"
    return engines, missing
