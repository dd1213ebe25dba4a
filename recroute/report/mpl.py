"""Matplotlib's figure and axes with a picture for notebooks; imported when something is drawn."""

from __future__ import annotations

import io
import warnings
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

DPI = 100


class ShownFigure(Figure):
    """A figure that a notebook shows where a cell ends with it."""

    def savefig(self, *args: Any, **options: Any) -> None:
        """As Matplotlib's, but silent about names: what a font lacks is a box, and what is too long is cut."""
        with warnings.catch_warnings():
            for message in (r"Glyph \d+", "constrained_layout not applied"):
                warnings.filterwarnings("ignore", message=message, category=UserWarning)
            super().savefig(*args, **options)

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
