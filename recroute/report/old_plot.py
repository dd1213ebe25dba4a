"""Matplotlib figures of an evaluation: a growth curve, or intervals side by side for one pool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from recroute.data.schema import require_columns
from recroute.evaluation import Evaluation
from recroute.experiment.compare import router_name
from recroute.report.old_curves import Curve, growth_curves
from recroute.report.old_figures import new_axes
from recroute.report.table import TITLES
from recroute.util.arguments import checked
from recroute.util.files import new_file

# Okabe and Ito's palette without yellow, which vanishes on paper; markers and dashes tell the curves apart too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = "osD^vPX*"
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (2, 1)), (0, (6, 1.5, 1.5, 1.5)))
GREYS = {
    "oracle": "-",
    "task_best": (0, (6, 2)),
    "best_single": "--",
    "random": ":",
    "oracle_mix": "-.",
    "reference": (0, (9, 2, 2, 2)),
}
LEADER = {"arrowstyle": "-", "lw": 0.5, "alpha": 0.6, "shrinkA": 0, "relpos": (0, 0.5)}
MOST_BANDS = 6  # more of them on top of each other tell nothing
LINE = 0.165  # inches between two labels


def plot_evaluation(evaluation: Evaluation, metric: str | None = None, **options: Any) -> Any:
    """The picture that fits: `plot_growth` where pools grow, `plot_intervals` for one pool. Returns the axes.

    By default of the evaluation's `main_metric`.
    """
    marked = "SIMULATED DATA: " if evaluation.info["dataset"]["simulated"] else ""
    sizes = evaluation.rows["pool_size"].drop_nulls().n_unique()
    title = f"{marked}{evaluation.info['dataset']['name']}"
    draw = plot_growth if sizes > 1 else plot_intervals
    return draw(evaluation.rows, **{"metric": metric or evaluation.main_metric, "title": title, **options})


def plot_intervals(
    rows: pl.DataFrame,
    *,
    metric: str = "mean_score",
    group: str | None = None,
    ax: Any = None,
    title: str | None = None,
) -> Any:
    """One pool: a metric of every router with its 95% interval, best on top. Parameters as in `plot_growth`."""
    group, curves = growth_curves(rows, metric, group)
    curves.sort(key=lambda curve: curve.points[-1][1])
    if ax is None:
        ax = new_axes(8, 1.1 + 0.27 * len(curves))
    for height, curve in enumerate(curves):
        _, value, low, high = curve.points[-1]
        colour = _colour(None if curve.is_bound else 0)
        ax.plot([low, high], [height, height], color=colour, lw=2)
        ax.plot([value], [height], color=colour, marker="D" if curve.is_bound else "o", ms=6, ls="")
    ax.set_yticks(range(len(curves)), [_plain(curve.router) for curve in curves])
    ax.set_xlabel(TITLES.get(metric, metric.replace("_", " ")))
    ax.set_title(_plain(title or f"Routing quality ({group})"), loc="left")
    ax.grid(axis="x", alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


@checked
def plot_growth(
    rows: pl.DataFrame,
    *,
    metric: str = "mean_score",
    group: str | None = None,
    ax: Any = None,
    title: str | None = None,
    x_label: str = "pool size m (candidate LLMs)",
) -> Any:
    """A metric against the pool size: routers in colour with their 95% band, bounds and baselines in grey.

    Beyond six routers the bands are left out.

    Parameters
    ----------
    rows : polars.DataFrame
        Rows of an Evaluation.
    metric : str
    group : str, optional
        Default: the mean over groups, or the first group.
    ax : matplotlib.axes.Axes, optional
        Default: axes of a new figure.
    title, x_label : str, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DataError
        If there is nothing to draw.
    """
    require_columns(rows, ("router", "group", "pool_size", "seed", "metric", "value", "ci_low", "ci_high"), "rows")
    group, curves = growth_curves(rows, metric, group)
    if ax is None:
        # As high as the names at the right end need.
        ax = new_axes(8.5, max(4.8, LINE * len(curves) + 1))
    routers = [curve.router for curve in curves if not curve.is_bound]
    for curve in curves:
        _draw(ax, curve, None if curve.is_bound else routers.index(curve.router), band=len(routers) <= MOST_BANDS)
    sizes = sorted({size for curve in curves for size, *_ in curve.points})
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
    ax.minorticks_off()
    ax.set_xlabel(x_label)
    ax.set_ylabel(TITLES.get(metric, metric.replace("_", " ")))
    ax.set_title(_plain(title or f"Routing quality as the pool grows ({group})"), loc="left")
    ax.grid(axis="y", alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    _label_ends(ax, curves, routers)
    return ax


def save_png(evaluation: Evaluation, path: Path) -> None:
    """Write `plot_evaluation` as a PNG file of 150 dpi, whole or not at all."""
    save_axes(plot_evaluation(evaluation), path)


def save_growth_png(rows: pl.DataFrame, path: str | Path, **options: Any) -> None:
    """Write `plot_growth` as a PNG file of 150 dpi, whole or not at all."""
    save_axes(plot_growth(rows, **options), Path(path))


def save_axes(ax: Any, path: Path) -> None:
    """Write the figure of these axes as a PNG file of 150 dpi, whole or not at all."""
    with new_file(path) as temporary:
        ax.figure.savefig(temporary, dpi=150, format="png")


def _plain(text: str) -> str:
    """Without Matplotlib's mathematics: a dollar sign in a name is a dollar sign."""
    return text.replace("$", r"\$")


def _colour(position: int | None) -> str:
    return "0.45" if position is None else COLOURS[position % len(COLOURS)]


def _draw(ax: Any, curve: Curve, position: int | None, band: bool) -> None:
    size, value, low, high = zip(*curve.points, strict=True)
    if position is None:
        ax.plot(size, value, color=_colour(None), lw=1.2, ls=GREYS[router_name(curve.router)])
        return
    if band:
        ax.fill_between(size, low, high, color=_colour(position), alpha=0.13, lw=0)
    look = {"marker": MARKERS[position % len(MARKERS)], "ls": DASHES[position // len(COLOURS) % len(DASHES)]}
    ax.plot(size, value, color=_colour(position), lw=2, ms=5, **look)


def _label_ends(ax: Any, curves: list[Curve], routers: list[str]) -> None:
    """Names at the right end of the curves, moved apart where they would overlap."""
    low, high = ax.get_ylim()
    gap = (high - low) * LINE / (ax.figure.get_figheight() - 0.9)
    ends = sorted(((curve.points[-1][1], curve) for curve in curves), key=lambda end: end[0])
    heights = [value for value, _ in ends]
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + gap)
    if heights[-1] > high:  # too many at the top: push the pile down again
        heights[-1] = high
        for i in range(len(heights) - 2, -1, -1):
            heights[i] = min(heights[i], heights[i + 1] - gap)
    for height, (value, curve) in zip(heights, ends, strict=True):
        position = routers.index(curve.router) if curve.router in routers else None
        ax.annotate(
            _plain(curve.router),
            xy=(curve.points[-1][0], value),
            xytext=(1.02, height),
            textcoords=ax.get_yaxis_transform(),
            va="center",
            fontsize=8.5,
            color=_colour(position),
            fontweight="bold" if position is not None else "normal",
            arrowprops={"color": _colour(position), **LEADER},
            annotation_clip=False,
        )
