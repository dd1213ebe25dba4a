"""Interactive figures are made from the axes of any plot, and a page with them reaches no server."""

import json
import re

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure as PlainFigure

from recroute.errors import DataError
from recroute.report.curves import Curve, draw_curves, draw_intervals
from recroute.report.document import Document, Figure
from recroute.report.figure import draw_band, new_axes, new_row
from recroute.report.html import page
from recroute.report.interactive import as_json, as_plotly, is_installed
from recroute.routers.llm_map_picture import draw_map
from recroute.tuning.picture import draw_history, draw_importances
from tests.routers.test_llm_map_picture import map_of

CURVES = [
    Curve("svd", [(3, 0.5, 0.4, 0.6), (10, 0.75, 0.7, 0.8)]),
    Curve("oracle", [(3, 0.9, 0.8, 1.0), (10, 0.95, 0.9, 1.0)], soft=True),
]


def traces(ax: object) -> dict[str, dict[str, object]]:
    """Traces of a plot by name, without those of bands."""
    return {one["name"]: one for one in as_plotly(ax.figure)["data"] if "fill" not in one}  # type: ignore[attr-defined]


def test_a_curve_tells_value_and_interval_and_is_hidden_with_its_band() -> None:
    found = as_plotly(draw_curves(CURVES, title="t", x_label="pool size", y_label="mu").figure)
    band, svd, oracle = found["data"]
    assert svd["text"][1] == "<b>svd</b><br>pool size: 10<br>mu: 0.75 [0.7, 0.8]"
    assert band["legendgroup"] == svd["legendgroup"] != oracle["legendgroup"]
    assert (band["showlegend"], svd["showlegend"], oracle["showlegend"]) == (False, True, True)
    assert svd["y"] == [0.5, 0.75]
    axis = found["layout"]["xaxis"]
    assert axis["ticktext"] == ["3", "10"]
    assert axis["tickvals"] == svd["x"]  # a logarithmic axis is drawn in its own coordinates


def test_intervals_of_one_pool_are_error_bars() -> None:
    svd = traces(draw_intervals(CURVES, title="t", x_label="mu"))["svd"]
    assert svd["text"] == ["<b>svd</b><br>mu: 0.75 [0.7, 0.8]"]
    np.testing.assert_allclose([svd["error_x"]["arrayminus"], svd["error_x"]["array"]], [[0.05], [0.05]])  # type: ignore[index]


def test_a_value_without_an_interval_is_told_alone() -> None:
    nan = float("nan")
    bare = [Curve("svd", [(3, 0.5, nan, nan), (10, 0.75, 0.7, 0.8)]), Curve("knn", [(3, nan, nan, nan)])]
    for ax in (
        draw_curves(bare, title="t", x_label="m", y_label="mu"),
        draw_intervals([Curve("svd", bare[0].points[:1])], title="t", x_label="mu"),
    ):
        svd = {one["name"]: one for one in json.loads(as_json(ax.figure), parse_constant=pytest.fail)["data"]}["svd"]
        assert svd["text"][0].endswith("mu: 0.5")


def test_points_have_names_and_bars_their_shares() -> None:
    llms = traces(draw_map(map_of(["a<b>", "b", "c"], ["f", "f", "g"]), (1, 2), "family", 0, None, "t"))
    assert llms["f"]["text"][0].startswith("<b>a&lt;b&gt;</b><br>f<br>factor 1")  # type: ignore[index]
    (means,) = as_plotly(map_of(["a", "b", "c"], None).plot().figure)["data"]
    assert [text[:8] for text in means["text"]] == ["<b>a</b>", "<b>b</b>", "<b>c</b>"]
    (bars,) = as_plotly(draw_importances({"all": {"router": 0.25, "reg": 0.75}}).figure)["data"]
    assert sorted(bars["hovertext"]) == ["all: reg: 75.0%", "all: router: 25.0%"]


def test_crosses_at_the_bottom_of_a_history_are_there() -> None:
    rows = {"number": [0, 1], "value": [0.5, None], "router": ["svd", "svd"], "state": ["complete", "pruned"]}
    found = traces(draw_history(pl.DataFrame({**rows, "pipeline": ["svd(reg=1)", "svd"]}), maximize=True))
    assert found["svd"]["text"][0].startswith("<b>svd(reg=1)</b><br>svd<br>trial: 0")  # type: ignore[index]
    assert found["stopped early"]["x"] == [1]
    assert found["best so far"]["line"]["shape"] == "hv"  # type: ignore[index]


def test_panels_stand_side_by_side_with_one_entry_for_a_name() -> None:
    rows = pl.DataFrame({"k": [1, 2], "value": [0.1, 0.2], "ci_low": [0.0, 0.1], "ci_high": [0.2, 0.3]})
    axes = new_row(8, 3, 2)
    for ax in axes:
        draw_band(ax, rows, "k", 0, label="svd")
        ax.axhline(0.15, label="limit")
    found = as_plotly(axes[0].figure)
    assert found["layout"]["xaxis"]["domain"][1] < found["layout"]["xaxis2"]["domain"][0]
    assert [one["showlegend"] for one in found["data"] if one["name"] == "svd" and "fill" not in one] == [True, False]
    limit = next(one for one in found["data"] if one["name"] == "limit")
    np.testing.assert_allclose(limit["y"], [0.15, 0.15])
    np.testing.assert_allclose(limit["x"], axes[0].get_xlim())


def test_names_cannot_end_the_script_that_holds_them() -> None:
    evil = Curve("</script><script>alert(1)</script>", CURVES[0].points)
    text = as_json(draw_curves([evil], title="$&", x_label="x", y_label="y").figure)
    assert "<" not in text
    assert json.loads(text)["data"][1]["name"] == "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;"
    assert json.loads(text)["layout"]["title"]["text"] == "$&amp;"


def test_axes_of_others_are_read_too() -> None:
    ax = PlainFigure().subplots()
    ax.plot([1, 2], [3, 4], label="a")
    assert traces(ax)["a"]["text"] == ["<b>a</b><br>x: 1<br>y: 3", "<b>a</b><br>x: 2<br>y: 4"]


def test_without_plotly_pages_keep_the_picture_and_a_notebook_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "plotly.graph_objects", None)
    html = page(Document(title="t", blocks=[Figure(name="f", draw=lambda: new_axes(2, 2))]))
    assert "<svg" in html
    assert html.count("<script") == 1
    assert len(html) < 50_000
    with pytest.raises(DataError, match=r"recroute\[interactive\]"):
        new_axes(2, 2).interactive()


@pytest.mark.skipif(not is_installed(), reason="needs the extra: pip install 'recroute[interactive]'")
def test_with_plotly_a_page_has_it_once_and_reaches_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    from plotly.offline import get_plotlyjs

    monkeypatch.setattr("recroute.report.html.is_installed", lambda: True)
    draw = [lambda: draw_curves(CURVES, title="t", x_label="x", y_label="y")] * 2
    figures = [Figure(name=f"f{i}", draw=one) for i, one in enumerate(draw)]
    html = page(Document(title="t", blocks=figures))
    assert html.count(get_plotlyjs()) == 1
    own = html.replace(get_plotlyjs(), "")
    assert not re.search(r"https?:|//\w|@import|url\((?!#)|\ssrc=", own)
    # what plotly.js could load, maps for instance, the page forbids
    assert "default-src 'none'" in own
    assert "connect-src" not in own
    assert own.count('class="plot">') == own.count("<svg") == 2
    assert page(Document(title="t")).count("<script") == 1  # without a figure plotly is left out


@pytest.mark.skipif(not is_installed(), reason="needs the extra: pip install 'recroute[interactive]'")
def test_axes_become_a_figure_of_plotly() -> None:
    figure = draw_curves(CURVES, title="t", x_label="x", y_label="y").interactive()
    assert [trace.name for trace in figure.data] == ["svd", "svd", "oracle"]
