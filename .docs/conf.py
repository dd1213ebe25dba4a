"""Configuration of the documentation site: `sphinx-build -W --keep-going -c .docs . build/site` in the folder above."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from recroute._version import __version__

project = "recroute"
version = release = __version__
copyright = "the recroute maintainers, Apache-2.0"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "pages",
    "declared",
]
root_doc = "index"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    ".docs/*.md",
    ".docs/**/*.md",
    ".github/*.md",
    "data_cards/*.md",
    "data_cards/layouts/*.md",
    "notebooks/*.ipynb",
    "recroute/**/README.md",
    "tests/benchmarks/README.md",
]
exclude_patterns = [".docs/contents.md", "**/.ipynb_checkpoints"]

# Notebooks are shown as they stand; `-D nb_execution_mode=cache` runs them and shows what they print and plot.
nb_execution_mode = "off"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_ipywidgets_js: dict[str, object] = {}  # the site asks no other server for anything
myst_enable_extensions = ["attrs_block"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

highlight_language = "bash"  # of blocks that name none
default_role = "literal"  # docstrings write `name`
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # types are in the docstrings, with shapes
autodoc_default_options = {"members": True, "inherited-members": "object, Exception, BaseException"}
napoleon_google_docstring = False
napoleon_use_rtype = False
viewcode_line_numbers = True

html_theme = "furo"
html_title = f"recroute {__version__}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
copybutton_exclude = ".linenos, .gp, .go"
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True
pygments_style = "friendly"
pygments_dark_style = "github-dark"
