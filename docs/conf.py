"""How Sphinx builds the site: `make docs`, offline, every warning an error."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for the generators beside this file
os.environ.setdefault("NUMBA_DISABLE_JIT", "1")  # the site shows the code, it never runs a market

import chengfang  # noqa: E402
import environment_pages  # noqa: E402
import evidence_pages  # noqa: E402
import markdown_docstrings  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402

project = "ChengFang"
author = "The ChengFang authors"
copyright = "The ChengFang authors, Apache-2.0"
version = release = chengfang.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # packs MathJax 3.2.2 beside the pages, so formulas need no network
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]

# Markdown. Links to headings work as they do on GitHub (`page.md#some-heading`).
myst_enable_extensions = ["dollarmath", "amsmath", "deflist", "colon_fence"]
myst_heading_anchors = 4
myst_dmath_double_inline = True
mathjax3_config: dict[str, object] = {}  # the packed MathJax is version 3, Sphinx expects 4

# Docstrings are plain text with `code` in single backticks and Google's sections.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [
    "Description",
    "Action Space",
    "Observation Space",
    "Rewards",
    "Cost",
    "Starting State",
    "Episode End",
]
# Types of other libraries are not looked up: that would need a network.
nitpick_ignore_regex = [("py:.*", r".*")]

highlight_language = "none"  # a block without a language is text
html_theme = "furo"
html_title = "ChengFang"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
copybutton_exclude = ".linenos, .gp, .go"


def setup(app: Sphinx) -> None:
    """Write the generated pages before Sphinx reads anything."""
    app.connect("builder-inited", write_pages)
    app.connect("source-read", relink)
    app.connect("autodoc-process-docstring", read_markdown, priority=100)  # before napoleon


def write_pages(app: Sphinx) -> None:
    """The environments from the code, the evidence from `results/`."""
    environment_pages.write(HERE / "environments")
    evidence_pages.write(HERE)


def relink(app: Sphinx, name: str, source: list[str]) -> None:
    """Point links to committed tables at their pages."""
    source[0] = evidence_pages.relinked(source[0], name.count("/"))


def read_markdown(
    app: Sphinx, what: str, name: str, item: object, options: object, lines: list[str]
) -> None:
    """Docstrings hold Markdown's headings, code and tables."""
    if what in ("attribute", "property") and lines:
        lines[0] = lines[0].replace(": ", " – ", 1)  # napoleon takes what precedes it for a type
    lines[:] = markdown_docstrings.convert(lines)
