"""Every fuzzer's corpus, and its first seeds: the long runs are ``python -m tests.fuzz``."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.fuzz.runner import module, names

CASES = [pytest.param(check, id=f"{name}-{case}") for name in names() for case, check in module(name).corpus()]


@pytest.mark.parametrize("check", CASES)
def test_corpus(check: Callable[[], None]):
    check()


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("seed", range(5))
def test_first_seeds(name: str, seed: int):
    module(name).run(seed)
