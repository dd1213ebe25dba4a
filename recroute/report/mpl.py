"""Matplotlib's figure and axes with a display for notebooks; imported when something is drawn."""

from __future__ import annotations

import io
import warnings
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recroute.errors import DataError

DPI = 100


class ShownFigure(Figure):
    """A figure that a notebook displays if a cell ends with it."""

    def savefig(self, *args: Any, **options: Any) -> None:
        """As in Matplotlib, but without its warnings about missing glyphs and long names."""
        with warnings.catch_warnings():
            for message in (r"Glyph \d+", "constrained_layout not applied"):
                warnings.filterwarnings("ignore", message=message, category=UserWarning)
            super().savefig(*args, **options)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=DPI)
        return buffer.getvalue()


class ShownAxes(Axes):
    """Axes that a notebook displays as their figure."""

    def _repr_png_(self) -> bytes:
        figure = self.get_figure()
        assert isinstance(figure, ShownFigure)
        return figure._repr_png_()

    def interactive(self) -> Any:
        """The figure as a plotly.graph_objects.Figure, which a notebook shows with values under the pointer.

        DataError if plotly is not installed.
        """
        try:
            from plotly.graph_objects import Figure as PlotlyFigure
        except ModuleNotFoundError:
            raise DataError("interactive() needs plotly: pip install 'recroute[interactive]'") from None
        from recroute.report.interactive import as_plotly

        return PlotlyFigure(as_plotly(self.get_figure()))
