"""What a release calls itself: ``packaging/addresses.py https://host/owner/repository v1.2.3``, in a fresh checkout.

The package index shows the README and knows none of its neighbours: relative links become addresses of that tag, and
`pyproject.toml` gets its `[project.urls]`. The release workflow, which knows the address, runs this before it builds.
"""

from __future__ import annotations

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).parents[1]


def absolute(readme: str, repository: str, tag: str) -> str:
    """The README with addresses in place of relative links, those of pictures to the files themselves."""

    def address(match: re.Match[str]) -> str:
        mark, text, target = match.groups()
        return f"{mark}[{text}]({repository}/{'raw' if mark else 'blob'}/{tag}/{target})"

    return re.sub(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)\s]+)\)", address, readme)


def with_urls(project: str, repository: str, tag: str) -> str:
    """The text of `pyproject.toml` with `[project.urls]`, before the scripts."""
    pages = {
        "Homepage": repository,
        "Documentation": f"{repository}/blob/{tag}/docs/index.md",
        "Changelog": f"{repository}/blob/{tag}/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }
    table = "[project.urls]\n" + "".join(f'{name} = "{page}"\n' for name, page in pages.items())
    before, scripts, after = project.partition("[project.scripts]\n")
    if not scripts or "[project.urls]" in project:
        raise ValueError("pyproject.toml: needs [project.scripts], and no [project.urls] yet")
    return f"{before}{table}\n{scripts}{after}"


def main(repository: str, tag: str) -> None:
    """Rewrite the two files."""
    readme, project = ROOT / "README.md", ROOT / "pyproject.toml"
    texts = absolute(readme.read_text("utf-8"), repository, tag), with_urls(project.read_text("utf-8"), repository, tag)
    readme.write_text(texts[0], "utf-8")
    project.write_text(texts[1], "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
