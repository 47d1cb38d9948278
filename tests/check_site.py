"""Whether the built site has what it should: ``python -m tests.check_site build/site``.

Every public name has an entry in the reference; no page loads anything from another host; and where there is a Chromium
to print it, the cheat sheet is one page of A4.
"""

from __future__ import annotations

import pathlib
import pkgutil
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from sphinx.util.inventory import InventoryFile
from tests.test_reference_pages import public_names


def names_left_out(site: pathlib.Path) -> Iterator[str]:
    """Public names without an entry: their own, that of the module which defines the thing, or that of the package."""
    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="").data
    entries = {name for kind, names in inventory.items() if kind.startswith("py:") for name in names}
    for name in public_names():
        home, _, last = name.rpartition(".")
        defined = f"{getattr(pkgutil.resolve_name(name), '__module__', home)}.{last}"
        alias = re.compile(rf"{home}\.[a-z_]+\.{last}")  # of types, which know no module
        if entries.isdisjoint({name, f"kilograd.{last}", defined}) and not any(map(alias.fullmatch, entries)):
            yield f"{name} is not in the reference"


def foreign_parts(site: pathlib.Path) -> Iterator[str]:
    """What a browser would fetch from elsewhere when it shows a page."""
    fetched = re.compile(
        r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"(?:https?:)?//|<link\b[^>]*\bhref=\"(?:https?:)?//"
    )
    for page in sorted(site.rglob("*.html")):
        for found in fetched.findall(page.read_text()):
            yield f"{page.relative_to(site)} needs another host: {found}"
    for style in sorted(site.rglob("*.css")):
        if re.search(r"url\(\s*[\"']?(?:https?:)?//|@import", style.read_text()):
            yield f"{style.relative_to(site)} needs another host"


def long_cheat_sheet(site: pathlib.Path) -> Iterator[str]:
    chromium = shutil.which("chromium")
    if chromium is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        pdf = pathlib.Path(folder) / "sheet.pdf"
        page = (site / "docs" / "cheatsheet.html").resolve().as_uri()
        command = [chromium, "--headless=new", "--no-sandbox", "--no-pdf-header-footer", f"--print-to-pdf={pdf}", page]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        pages = len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf.read_bytes()))
    if pages != 1:
        yield f"the cheat sheet prints on {pages} pages"


def main() -> int:
    site = pathlib.Path(sys.argv[1])
    found = [*names_left_out(site), *foreign_parts(site), *long_cheat_sheet(site)]
    print("\n".join(found) or "the site is whole")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
