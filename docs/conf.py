"""The site: ``sphinx-build -c docs . build/site``, from the root of the repository.

Sphinx's source folder is the repository, of which the pages below are taken, so that a link between two files leads to
the same place on the site, in a checkout and where the repository is browsed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import kilograd

if TYPE_CHECKING:
    from docutils.nodes import Element, TextElement
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

project = "kilograd"
author = "the kilograd developers"
version = release = kilograd.__version__
html_title = f"kilograd {version}"
root_doc = "docs/index"

include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "bench/README.md",
    "docs/**",
    "examples/notebooks/*.ipynb",
]
exclude_patterns = ["build", ".[a-z]*", "**/.ipynb_checkpoints"]

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "myst_nb"]

# Pages are Markdown as it stands in the repository; headings have the anchors that links to them use there.
myst_heading_anchors = 4
myst_enable_extensions = ["attrs_inline", "colon_fence"]

# Notebooks are kept without outputs and run at each build. A cell that raises ends the build.
nb_execution_mode = "force"
nb_execution_timeout = 120
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_output_stderr = "remove"  # progress bars; the tests of the notebooks see to it that there is nothing else
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # bars that are widgets: their scripts come from elsewhere
nb_code_prompt_show = "Show the answer"
nb_code_prompt_hide = "Hide the answer"

# The reference is made of docstrings. What stands in single backticks in them is a link where it names something.
default_role = "autolink"
nitpicky = True
nitpick_ignore_regex = [("py:class", r"collections\.abc\..*")]  # in the values of aliases of types
autodoc_typehints = "none"  # the docstrings say types and shapes in words
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "inherited-members": False}
autosummary_generate = False
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

# A page is one file with what lies beside it: no fonts, scripts or pictures from elsewhere.
html_theme = "furo"
html_static_path = ["_static"]
templates_path = ["_templates"]
html_css_files = ["site.css"]
html_additional_pages = {"index": "first.html"}
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"


def by_last_name(app: Sphinx, env: BuildEnvironment, node: pending_xref, text: TextElement) -> Element | None:
    """Resolve what a docstring has in single backticks: `fit` is `kilograd.fit`; what has no page is plain text."""
    if node["reftype"] != "obj":
        return None
    python = env.domains["py"]
    names = [name for name, *_ in python.get_objects() if name.endswith(f".{node['reftarget']}")]
    if not names:
        return text
    found = min(names, key=len)
    return python.resolve_xref(env, node["refdoc"], app.builder, "obj", found, node, text)


def plain_signature(*event: str | None) -> tuple[str | None, str | None] | None:
    """Of methods in C: ``backward(grad=1.0)``, not ``backward(/, grad=1.0)``."""
    *_, arguments, returned = event
    return (re.sub(r"^\(/(, )?", "(", arguments), returned) if arguments and arguments.startswith("(/") else None


def rubric_of_a_module(*event: object) -> None:
    """The heading of the examples of a module is no section, to which all of its functions would belong."""
    _, what, _, _, _, lines = event
    if what == "module" and isinstance(lines, list) and "Examples" in lines:
        start = lines.index("Examples")
        lines[start : start + 2] = [".. rubric:: Examples", ""]


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.connect("autodoc-process-docstring", rubric_of_a_module)
    app.connect("autodoc-process-signature", plain_signature, priority=400)  # before numpydoc, which ends the event
    app.connect("missing-reference", by_last_name)
