"""Figures of our own: they belong to no session of pyplot, and a notebook shows them nevertheless."""

from __future__ import annotations

from typing import Any


def new_axes(width: float, height: float) -> Any:
    """Axes of a new figure, so large in inches.

    pyplot keeps every figure it makes until somebody closes it, so it is not asked. A notebook shows what a cell ends
    with: the axes show their figure. In a script there is `axes.figure.savefig`, or axes of pyplot's given as `ax=`.
    """
    return new_row(width, height, 1)[0]


def new_row(width: float, height: float, n: int) -> list[Any]:
    """The same for n pictures side by side; each shows the whole figure."""
    from recroute.report.mpl import ShownAxes, ShownFigure

    figure = ShownFigure(figsize=(width, height), layout="constrained")
    found: list[Any] = figure.subplots(1, n, squeeze=False, subplot_kw={"axes_class": ShownAxes})[0].tolist()
    return found
