"""Matplotlib's figure and axes with a picture for notebooks; imported when something is drawn."""

from __future__ import annotations

import io

from matplotlib.axes import Axes
from matplotlib.figure import Figure

DPI = 100


class ShownFigure(Figure):
    """A figure that a notebook shows where a cell ends with it."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=DPI)
        return buffer.getvalue()


class ShownAxes(Axes):
    """Axes that show their figure, as what is drawn on them is."""

    def _repr_png_(self) -> bytes:
        figure = self.get_figure()
        assert isinstance(figure, ShownFigure)
        return figure._repr_png_()
