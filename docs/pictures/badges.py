"""Writes the badges of the README, from what `pyproject.toml` says: ``python docs/pictures/badges.py``."""

from __future__ import annotations

import pathlib
import re

PICTURES = pathlib.Path(__file__).parent
ROOT = PICTURES.parents[1]


def facts() -> dict[str, tuple[str, str]]:
    """What each badge says, by the name of its file."""
    project = (ROOT / "pyproject.toml").read_text()
    versions = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project)
    (licence,) = re.findall(r'^license = "(.*)"$', project, re.MULTILINE)
    facts = {"python": ("Python", f"{versions[0]} to {versions[-1]}"), "licence": ("licence", licence)}
    if '"Typing :: Typed"' in project:
        facts["typed"] = ("types", "mypy --strict" if re.search(r"^strict = true$", project, re.MULTILINE) else "yes")
    return facts


def badge(name: str, value: str) -> str:
    """A badge as SVG: the name on grey, the value on blue."""
    left, right = (round(6.6 * len(text) + 12) for text in (name, value))
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{name}: {value}">
<title>{name}: {value}</title>
<clipPath id="round"><rect width="{left + right}" height="20" rx="4"/></clipPath>
<g clip-path="url(#round)">
<rect width="{left}" height="20" fill="#444"/>
<rect x="{left}" width="{right}" height="20" fill="#0a5ea8"/>
</g>
<g fill="#fff" font-family="DejaVu Sans, Verdana, sans-serif" font-size="11" text-anchor="middle">
<text x="{left / 2}" y="14">{name}</text>
<text x="{left + right / 2}" y="14">{value}</text>
</g>
</svg>
"""


if __name__ == "__main__":
    for name, (left, right) in facts().items():
        (PICTURES / f"badge_{name}.svg").write_text(badge(left, right), encoding="utf-8")
