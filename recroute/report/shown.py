"""What can be looked at: one `document()`, shown in a notebook, in a terminal and as an HTML page."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from recroute.report.document import Document
from recroute.util.arguments import checked
from recroute.util.files import write_text

if TYPE_CHECKING:
    from rich.console import Console


class Shown(ABC):
    """Base of results: a subclass says once what it has to say."""

    @abstractmethod
    def document(self) -> Document:
        """What there is to say, for every medium."""

    def _repr_html_(self) -> str:
        from recroute.report.html import notebook

        return notebook(self.document())

    def show(self, console: Console | None = None) -> None:
        """Print it in a terminal."""
        from rich.console import Console as RichConsole

        from recroute.report.terminal import show

        show(self.document(), console or RichConsole())

    def write_html(self, path: str | Path) -> None:
        """Write it as one HTML file that needs no network, whole or not at all."""
        from recroute.report.html import page

        write_text(path, page(self.document()))


@checked
def write_html(shown: Shown, path: str | Path) -> None:
    """Write a result as one HTML file that needs no network, whole or not at all."""
    shown.write_html(path)
