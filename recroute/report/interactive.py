"""Interactive versions of Matplotlib plots, by plotly: values under the pointer, curves that a click hides.

Every labelled line, bar and coloured point of the axes becomes a trace, so whatever `plot()` returns has an interactive
version. plotly is an optional dependency, the extra `interactive`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from html import escape
from importlib.util import find_spec
from typing import Any

import numpy as np

from recroute.report.reading import Reading
from recroute.util.numeric import Array

PIXELS = 96  # height of an inch
ENTRY = 22  # height of an entry of the legend
GAP = 0.06  # beside the place of a panel
SIGNS = {
    "o": "circle",
    ".": "circle",
    "s": "square",
    "D": "diamond",
    "^": "triangle-up",
    "v": "triangle-down",
    "P": "cross",
    "X": "x",
    "*": "star",
    "x": "x-thin-open",
}
DASHES = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}
GRID = "rgba(127, 127, 127, 0.2)"
LOOK = {
    "paper_bgcolor": "rgba(0, 0, 0, 0)",
    "plot_bgcolor": "rgba(0, 0, 0, 0)",
    "hovermode": "closest",
    "font": {"color": "#1a1a1a", "size": 14, "family": 'system-ui, "Helvetica Neue", Arial, sans-serif'},
    "legend": {"tracegroupgap": 0},
    "modebar": {"bgcolor": "rgba(0, 0, 0, 0)", "color": "#8c8c8c", "activecolor": "#1a1a1a"},
    "margin": {"t": 52, "l": 20, "r": 20, "b": 20},
}
# without the logo and the button that lead to a server of plotly's maker
CONFIG = {
    "displaylogo": False,
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
    "responsive": True,
}


def is_installed() -> bool:
    """Whether plotly is installed."""
    return find_spec("plotly") is not None


@cache
def library() -> str:
    """Source of plotly.js, to embed in a page."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def as_json(figure: Any) -> str:
    """A Matplotlib figure as JSON of `data`, `layout` and `config` for plotly.js, safe inside a <script> element."""
    return json.dumps({**as_plotly(figure), "config": CONFIG}).replace("<", "\\u003c")


def as_plotly(figure: Any) -> dict[str, Any]:
    """`data` and `layout` of a Matplotlib figure, for plotly."""
    all_axes = [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]
    data: list[dict[str, Any]] = []
    layout: dict[str, Any] = {**LOOK, "annotations": []}
    seen: set[str] = set()
    for i, ax in enumerate(all_axes):
        left, right = (i / len(all_axes) + GAP * (i > 0), (i + 1) / len(all_axes) - GAP * (i + 1 < len(all_axes)))
        number = "" if i == 0 else str(i + 1)
        for trace in _traces(ax):
            name = trace.get("legendgroup", "")
            shown = trace.pop("showlegend", True) and name not in seen
            seen |= {name} if shown else set()
            data.append({**trace, "xaxis": f"x{number}", "yaxis": f"y{number}", "showlegend": shown})
        layout[f"xaxis{number}"] = {**_axis(ax, "x"), "domain": [left, right], "anchor": f"y{number}"}
        layout[f"yaxis{number}"] = {**_axis(ax, "y"), "anchor": f"x{number}"}
        if len(all_axes) > 1:
            where = {"x": left, "y": 1.0, "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom"}
            layout["annotations"].append({**where, "text": _text(ax.get_title(loc="left")), "showarrow": False})
    title = figure.get_suptitle() or (all_axes[0].get_title(loc="left") if len(all_axes) == 1 else "")
    layout["title"] = {"text": _text(title), "x": 0, "y": 1, "yanchor": "top", "pad": {"t": 8}, "font": {"size": 17}}
    layout["height"] = round(max(PIXELS * figure.get_figheight(), 140 + ENTRY * len(seen)))
    return {"data": data, "layout": layout}


def _traces(ax: Any) -> Iterator[dict[str, Any]]:
    for line in ax.lines:
        if not line.get_label().startswith("_"):
            yield from _of_line(ax, line)
    for points in ax.collections:
        if points.get_array() is not None:
            yield _coloured(ax, points)
    for bars in ax.containers:
        yield _bars(ax, bars)


def _of_line(ax: Any, line: Any) -> Iterator[dict[str, Any]]:
    """Trace of a line, after that of its band."""
    from matplotlib.colors import to_hex

    reading = getattr(line, "reading", Reading())
    xy = np.column_stack(line.get_data(orig=False)).astype(float)
    if line.get_transform() != ax.transData:  # given in another system of coordinates, such as that of the axes
        xy = ax.transData.inverted().transform(line.get_transform().transform(xy))
    name, of = _text(line.get_label()), to_hex(line.get_color())
    x, y = (_placed(ax, axis, xy[:, i]) for i, axis in enumerate("xy"))
    trace: dict[str, Any] = {"type": "scatter", "name": name, "legendgroup": name, "x": x, "y": y, **_style(line, of)}
    trace |= {"text": _hover(ax, name, xy, reading), "hoverinfo": "text"}
    if reading.ends is not None and reading.band:
        low, high = (_placed(ax, "y", end) for end in reading.ends)
        look = {"mode": "lines", "fill": "toself", "fillcolor": of, "opacity": 0.15, "line": {"width": 0}}
        edges = {"x": [*x, *x[::-1]], "y": [*high, *low[::-1]], "hoverinfo": "skip", "showlegend": False}
        yield {"type": "scatter", "name": name, "legendgroup": name, **edges, **look}
    if reading.ends is not None and reading.across:
        low, high = (_numbers(np.abs(np.asarray(end, float) - xy[:, 0])) for end in reading.ends)
        bars = {"type": "data", "symmetric": False, "array": high, "arrayminus": low, "color": of, "width": 0}
        trace |= {"error_x": bars, "showlegend": False}
    yield trace


def _style(line: Any, of: str) -> dict[str, Any]:
    """Mode, line and marker of a trace."""
    has_line, sign = line.get_linestyle() != "None", SIGNS.get(line.get_marker())
    marker = {"symbol": sign, "size": 4 + 0.8 * line.get_markersize(), "color": of, "line": {"width": 0}}
    if sign == "x-thin-open":
        marker["line"] = {"width": 1.5, "color": of}
    shape = "hv" if line.get_drawstyle() == "steps-post" else "linear"
    dash = DASHES.get(line.get_linestyle(), "solid")
    return {
        "mode": "+".join(["lines"] * has_line + ["markers"] * (sign is not None)),
        "line": {"color": of, "width": 1.3 * line.get_linewidth(), "shape": shape, "dash": dash},
        "marker": marker,
    }


def _coloured(ax: Any, points: Any) -> dict[str, Any]:
    xy, reading = np.asarray(points.get_offsets(), float), points.reading
    (title,) = (bar.get_ylabel() for bar in ax.figure.axes if bar.get_label() == "<colorbar>")
    marker = {"color": _numbers(points.get_array()), "colorscale": "Viridis", "size": 9, "showscale": True}
    marker["colorbar"] = {"title": {"text": _text(title), "side": "right"}}
    x, y = map(_numbers, xy.T)
    trace = {"type": "scatter", "mode": "markers", "x": x, "y": y, "marker": marker, "showlegend": False}
    return {**trace, "text": _hover(ax, "", xy, reading), "hoverinfo": "text"}


def _bars(ax: Any, bars: Any) -> dict[str, Any]:
    from matplotlib.colors import to_hex

    values, heights = [bar.get_width() for bar in bars], [bar.get_y() + bar.get_height() / 2 for bar in bars]
    labels = [_text(label.get_text()) for label in ax.get_yticklabels()]
    words = [f"{label}: {value:.1%}" for label, value in zip(labels, values, strict=True)]
    look = {"color": [to_hex(bar.get_facecolor()) for bar in bars]}
    trace = {"type": "bar", "orientation": "h", "x": values, "y": heights, "marker": look, "showlegend": False}
    return {**trace, "hovertext": words, "hoverinfo": "text"}


def _hover(ax: Any, name: str, xy: Array, reading: Reading) -> list[str]:
    """Text for each point: its name, that of its line, the coordinates, the interval."""
    read = {axis: _reader(getattr(ax, f"{axis}axis")) for axis in "xy"}
    label = {axis: _text(getattr(ax, f"get_{axis}label")().partition("\n")[0]) for axis in "xy"}
    label |= {"x": label["x"] or "x", "y": label["y"] or _text(ax.get_title(loc="left")) or "y"}
    value = "x" if reading.across else "y"
    ends = np.isfinite(np.array(reading.ends, float).T) if reading.ends is not None else np.zeros((len(xy), 1))
    shown: list[str] = []
    for i, at in enumerate(dict(zip("xy", point, strict=True)) for point in xy.tolist()):
        own = [f"<b>{_text(reading.names[i])}</b>"] if reading.names is not None else []
        lines = [*own, *([f"<b>{name}</b>" if not own else name] if name else [])]
        for axis in "x" if reading.across else "xy":
            line = f"{label[axis]}: {read[axis](at[axis])}"
            if axis == value and ends[i].all():
                line += f" [{', '.join(read[axis](end[i]) for end in reading.ends or ())}]"
            lines.append(line)
        shown.append("<br>".join(lines))
    return shown


def _reader(axis: Any) -> Callable[[float], str]:
    from matplotlib.ticker import PercentFormatter

    if isinstance(axis.get_major_formatter(), PercentFormatter):
        return lambda value: f"{value:.1%}"
    return lambda value: f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"


def _axis(ax: Any, which: str) -> dict[str, Any]:
    """Label, range and ticks of an axis; one that is not linear is drawn in its own transformed coordinates."""
    from matplotlib.ticker import ScalarFormatter

    axis, ends = getattr(ax, f"{which}axis"), getattr(ax, f"get_{which}lim")()
    label = _text(axis.get_label().get_text()).replace("\n", "<br>")
    shown = any(line.get_visible() for line in axis.get_gridlines()[:1])
    title = {"text": label, "standoff": 12, "font": {"size": 14}}
    found: dict[str, Any] = {"title": title, "zeroline": False, "automargin": True}
    found |= {"range": _placed(ax, which, ends), "gridcolor": GRID, "showgrid": shown, "linecolor": "#1a1a1a"}
    found |= {"showline": True, "ticks": "outside"}
    formatter = axis.get_major_formatter()
    if axis.get_scale() == "linear" and isinstance(formatter, ScalarFormatter):
        return found
    ticks = [tick for tick in axis.get_majorticklocs() if min(ends) <= tick <= max(ends)]
    labels = formatter.format_ticks(ticks)
    return found | {"tickvals": _placed(ax, which, ticks), "ticktext": [_text(label) for label in labels]}


def _placed(ax: Any, which: str, values: Sequence[float] | Array) -> list[float | None]:
    """Values on the scale of the axis, None where there is none."""
    return _numbers(getattr(ax, f"{which}axis").get_transform().transform(np.asarray(values, float)))


def _numbers(values: Any) -> list[float | None]:
    """Numbers for JSON, which has no NaN."""
    return [float(value) if np.isfinite(value) else None for value in values]


def _text(text: str) -> str:
    """A label without Matplotlib's escapes, and with plotly's."""
    return escape(text.replace(r"\$", "$"), quote=False)
