"""Pages lie beside the parts that they are about; the site names them for what they are about.

Links between pages are those of the repository, so that they lead somewhere there and on the site alike.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.project import Project

HERE = Path(__file__).parent
CONTENTS = HERE / "contents.md"
FRONT = "index"
BELOW = {"data_cards/index": "layouts/index\n*", "data_cards/layouts/index": "*"}
NAMES = (  # of a file without its suffix, and of its page
    (r"README", FRONT),
    (r"\.docs/(.+)", r"\1"),
    (r"recroute/(.+)/README", r"parts/\1"),
    (r"tests/benchmarks/README", r"benchmarks"),
    (r"(.+)/README", r"\1/index"),
    (r"\.github/(.+)", r"\1"),
)


class Pages(Project):
    """Files of the repository by the names that their pages have on the site."""

    def path2doc(self, filename):
        """Name of a file's page; None if it has none."""
        name = super().path2doc(filename)
        return name and page_name(name)


def page_name(name: str) -> str:
    """Name of a page on the site.

    >>> page_name("recroute/serve/README"), page_name("README"), page_name("data_cards/mmlupro")
    ('parts/serve', 'index', 'data_cards/mmlupro')
    """
    for file, page in NAMES:
        if match := re.fullmatch(file, name):
            return match.expand(page).lower()
    return name.lower()


def use_names(app: Sphinx) -> None:
    """Before any file is read."""
    app.project = app.env.project = Pages(app.srcdir, app.config.source_suffix)


def add_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """Pages of the repository that lead to others list them in tables; the site needs them as a table of contents."""
    if page == FRONT:
        source[0] += CONTENTS.read_text(encoding="utf8")
        app.env.note_dependency(str(CONTENTS))
    if page in BELOW:
        source[0] += f"\n```{{toctree}}\n:hidden:\n:glob:\n\n{BELOW[page]}\n```\n"


def hold_intervals(app: Sphinx, page: str, source: list[str]) -> None:
    """In the cells of a table an interval is not broken."""
    held = re.compile(r"\[([+-]?[\d.]+), ([+-]?[\d.]+)\]")
    lines = source[0].split("\n")
    source[0] = "\n".join(
        held.sub("[\\1,\N{NO-BREAK SPACE}\\2]", line) if line.startswith("|") else line for line in lines
    )


def colour_commands(app: Sphinx, page: str, source: list[str]) -> None:
    """Cells of notebooks may be commands (`!ls`), which the lexer for IPython knows."""
    if page.startswith("notebooks/"):
        notebook = json.loads(source[0])
        notebook["metadata"]["language_info"]["pygments_lexer"] = "ipython3"
        source[0] = json.dumps(notebook)


def setup(app: Sphinx) -> dict[str, object]:
    app.connect("builder-inited", use_names)
    app.connect("source-read", add_contents)
    app.connect("source-read", hold_intervals)
    app.connect("source-read", colour_commands)
    return {"parallel_read_safe": True}
