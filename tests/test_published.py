"""Programs as people publish them: equal output both ways, and the table of docs/run.md."""

from __future__ import annotations

import pytest
from tests import published


@pytest.mark.parametrize("name", published.names())
def test_published_program(name: str) -> None:
    plain, served = published.execute(name), published.execute("-m", "kilograd", "run", "--report", name)
    assert plain.returncode == 0, plain.stderr
    assert served.stdout == plain.stdout, served.stderr
    assert served.returncode == 0, served.stderr
    assert plain.stdout.strip()
    assert published.row(name, published.outcome(name, served.stderr)) in published.PAGE.read_text()


def test_table_has_them_all() -> None:
    text = published.PAGE.read_text()
    assert f"Of {len(published.names())} programs:" in text
    assert text.count("](../tests/published/") == len(published.names())
