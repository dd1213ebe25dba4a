"""Base class of objects with a `document()`, which a notebook, a terminal and an HTML page can show."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recroute.errors import DataError
from recroute.report.document import Document
from recroute.util.arguments import checked
from recroute.util.files import write_text

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console


class Shown(ABC):
    """Base class of results; a subclass implements `document`."""

    @abstractmethod
    def document(self) -> Document:
        """The content of the result, for every medium."""

    def _repr_html_(self) -> str:
        from recroute.report.html import notebook

        return notebook(self.document())

    def show(self, console: Console | None = None) -> None:
        """Print the result in a terminal."""
        from rich.console import Console as RichConsole

        from recroute.report.terminal import show

        show(self.document(), console or RichConsole())

    def write_html(self, path: str | Path) -> None:
        """Write the result atomically as one HTML file that needs no network."""
        from recroute.report.html import page

        write_text(path, page(self.document()))


class Tabular(Shown):
    """Base class of what is a table too; a subclass implements `to_polars`."""

    @abstractmethod
    def to_polars(self) -> pl.DataFrame:
        """The table."""

    def to_pandas(self) -> Any:
        """The table of `to_polars` as a pandas.DataFrame; DataError if pandas is not installed."""
        try:
            return self.to_polars().to_pandas()
        except ModuleNotFoundError as missing:
            raise DataError(f"to_pandas needs {missing.name}; install it, or use to_polars") from None


@checked
def write_html(shown: Shown, path: str | Path) -> None:
    """Write a result atomically as one HTML file that needs no network; RecrouteError if it cannot be written."""
    shown.write_html(path)
