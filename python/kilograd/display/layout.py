"""Pictures of graphs where Graphviz's program ``dot`` is not installed.

The program of the package graphviz-pure lays out and draws, and fpdf2 makes PDF of SVG. Both come from wheels, with
``pip install 'kilograd[draw]'``.
"""

from __future__ import annotations

import html
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig

__all__ = ["NoLayout", "lay_out", "layout_program"]

PROGRAM = "graphviz-pure"
FORMATS = ("svg", "png", "jpg", "jpeg", "json", "plain", "dot", "gv", "xdot", "canon", "pdf")
FONT, FONTS = b'font-family="Times,serif"', b'font-family="Times,Times New Roman,Liberation Serif,Tinos,serif"'
"""The program's font, whose widths it knows, and others that are as wide, for systems without it."""


class NoLayout(RuntimeError):  # noqa: N818 - a state of things
    """Nothing here can make the picture; the message says what to install."""


def layout_program() -> str | None:
    """Where graphviz-pure is: beside this Python, among the user's scripts, or on the PATH."""
    folders = [os.path.dirname(sys.executable or ""), sysconfig.get_path("scripts")]
    user = f"{os.name}_user"
    if user in sysconfig.get_scheme_names():
        folders.append(sysconfig.get_path("scripts", user))
    beside = os.pathsep.join(folder for folder in folders if folder)
    return shutil.which(PROGRAM, path=beside) or shutil.which(PROGRAM)


def lay_out(source: str, format: str = "svg", engine: str = "dot") -> bytes:
    """Make a picture of a graph in Graphviz's language.

    Parameters
    ----------
    source : str
        The graph.
    format : str, default "svg"
        "svg", "png", "jpg", "json", "plain", "dot" or "pdf".
    engine : str, default "dot"
        Graphviz's name of the way of laying out.

    Raises
    ------
    NoLayout
        If what makes the picture is not installed.
    ValueError
        If the format is none of these, or the graph cannot be laid out.
    """
    program = layout_program()
    if program is None:
        raise NoLayout(
            "there is nothing else here that lays out graphs: pip install graphviz-pure, or install Graphviz from your "
            "system's packages (for instance apt install graphviz, or brew install graphviz). The graph as text, "
            ".source, needs neither"
        )
    if format not in FORMATS:
        raise NoLayout(
            f"graphviz-pure makes no {format}, but {', '.join(FORMATS)}: install Graphviz from your system's packages"
        )
    if format == "pdf":
        return _pdf(_run(program, source, "svg", engine))
    picture = _run(program, source, format, engine)
    return picture.replace(FONT, FONTS) if format == "svg" else picture


def _run(program: str, source: str, format: str, engine: str) -> bytes:
    """What the program writes. What it says of letters whose width it guesses is not passed on."""
    done = subprocess.run(
        [program, f"-T{format}", f"-K{engine}"], input=source.encode(), capture_output=True, check=False
    )
    if done.returncode or not done.stdout:
        raise ValueError(f"{PROGRAM} makes no {format} of this graph: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _pdf(svg: bytes) -> bytes:
    """The picture as a PDF page of its size."""
    try:
        from fpdf import FPDF
        from fpdf.svg import SVGObject
    except ImportError:
        raise NoLayout(
            "PDF without Graphviz's program dot needs the package fpdf2: pip install fpdf2. SVG and PNG do without it"
        ) from None
    # Without what appears on hovering and names nodes: fpdf2 would say of each that it is left out.
    text = re.sub(r"<title>.*?</title>|</?a\b[^>]*>", "", svg.decode(), flags=re.DOTALL)
    page = FPDF(unit="pt")
    page.set_margin(0)
    page.set_auto_page_break(False)
    font = _embedded_font(text)
    if font is not None:
        page.add_font("embedded", fname=font)
        text = text.replace(FONT.decode(), 'font-family="embedded"')
    picture = SVGObject(text.encode())
    page.add_page(format=(float(picture.width or 1), float(picture.height or 1)))
    picture.draw_to_page(page, 0, 0)
    return bytes(page.output())


def _embedded_font(svg: str) -> str | None:
    """Matplotlib's font, if letters are not those of the fonts that every PDF reader has; None where all are.

    Raises
    ------
    NoLayout
        If it is not here or has not all letters: a PDF would have gaps in place of them.
    """
    texts = "".join(re.findall(r"<text\b[^>]*>(.*?)</text>", svg, re.DOTALL))
    others = {letter for letter in html.unescape(texts) if ord(letter) > 0xFF}
    if not others:
        return None
    found = importlib.util.find_spec("matplotlib")
    for folder in (found and found.submodule_search_locations) or ():
        path = os.path.join(folder, "mpl-data", "fonts", "ttf", "STIXGeneral.ttf")
        if os.path.isfile(path):
            from fontTools.ttLib import TTFont

            with TTFont(path, lazy=True) as font:
                others -= {chr(code) for code in font.getBestCmap()}
            if not others:
                return path
            break
    raise NoLayout(
        f"no font is here for a PDF with the letters {' '.join(sorted(others))}: matplotlib's has Greek, Cyrillic and "
        "symbols (pip install matplotlib), Graphviz's program dot takes those of the system. SVG needs none"
    )
