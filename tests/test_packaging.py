"""What a release is made of: its version, its addresses, its tests."""

from __future__ import annotations

import pathlib
import re
import runpy
from typing import Any

import pytest

import kilograd

ROOT = pathlib.Path(__file__).parents[1]
REPOSITORY, TAG = "https://code.example/people/kilograd", "v9.8.7"


@pytest.fixture(scope="module")
def addresses() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "packaging" / "addresses.py"))


def test_the_version_is_the_same_everywhere():
    newest = re.search(r"^## \[(\d\S*)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    recipe = re.search(r'^  version: "(.*)"$', (ROOT / "packaging/conda/recipe.yaml").read_text(), re.MULTILINE)
    assert newest
    assert recipe
    assert newest[1] == recipe[1] == kilograd.__version__


def test_every_file_of_the_core_is_there():
    names = (ROOT / "tests" / "core.txt").read_text().split()
    assert names == sorted(set(names))
    assert all((ROOT / name).exists() for name in names)


def test_the_readme_of_a_release_has_addresses_alone(addresses: dict[str, Any]):
    readme = (ROOT / "README.md").read_text("utf-8")
    made = addresses["absolute"](readme, REPOSITORY, TAG)
    targets = re.findall(r"(!?)\[[^\]]*\]\(([^)\s]+)\)", made)
    assert len(targets) == len(re.findall(r"\]\([^)\s]+\)", readme))
    assert all(target.startswith(("https://", "#")) for _, target in targets)
    assert f"![Licence: MIT]({REPOSITORY}/raw/{TAG}/docs/pictures/badge_licence.svg)" in made
    assert f"({REPOSITORY}/blob/{TAG}/docs/usage.md#seeing-the-graph-alive)" in made
    assert addresses["absolute"](made, REPOSITORY, TAG) == made


def test_the_project_of_a_release_has_urls(addresses: dict[str, Any]):
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    made = addresses["with_urls"](project, REPOSITORY, TAG)
    assert f'[project.urls]\nHomepage = "{REPOSITORY}"\n' in made
    assert made.count("[project.urls]") == made.count("[project.scripts]") == 1
    with pytest.raises(ValueError, match=r"no \[project\.urls\] yet"):
        addresses["with_urls"](made, REPOSITORY, TAG)
