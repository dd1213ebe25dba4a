import io
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from recroute.data.sources import simulate
from recroute.errors import RecrouteError
from recroute.evaluation.curves import growth_text, plot_growth
from recroute.evaluation.evaluation import Evaluation
from recroute.evaluation.run import evaluate, scale


@pytest.fixture(scope="module")
def grown() -> Evaluation:
    return scale(
        simulate(n_llms=30, n_instances=200), ["svd"], pool_sizes=[3, 10, 30], groups=["nested"], n_resamples=20
    )


def printed(found: Evaluation) -> str:
    console = Console(width=100, record=True, file=io.StringIO())
    found.show(console)
    return console.export_text()


def test_tables_name_every_router_fit_and_say_simulated(grown: Evaluation) -> None:
    text = printed(grown)
    for router in grown.rows["router"].unique():
        assert router in text
    assert "SIMULATED DATA" in text
    assert "n = 20 test instances x 1 seed," in text
    assert max(map(len, text.splitlines())) <= 100
    for line in (grown.passing(), *grown.sentences()):
        assert " ".join(line.split()[-3:]) in " ".join(text.split())
    single = printed(evaluate(simulate(n_llms=5, n_instances=80), [], n_resamples=20))
    assert "SIMULATED DATA" in single
    assert "V_B" in single


def test_the_terminal_plot_fits_and_marks_every_router(grown: Evaluation) -> None:
    text = growth_text(grown.rows, "mean_score").plain
    assert max(map(len, text.splitlines())) <= 100
    legend = text[text.index("log scale") :]
    for router in grown.rows["router"].unique():
        assert router in legend


def test_the_best_curve_is_at_the_top(grown: Evaluation) -> None:
    lines = growth_text(grown.rows, "mean_score").plain.splitlines()[1:]
    mark = {entry.split()[1]: entry.split()[0] for entry in ["A svd", "B oracle", "C random"]}
    routers = grown.rows["router"].unique(maintain_order=True).to_list()
    assert routers[:3] == ["svd", "oracle", "random"]
    rows = {
        name: [i for i, line in enumerate(lines[:18]) if sign in line.split("│")[-1]] for name, sign in mark.items()
    }
    assert min(rows["oracle"]) == 0
    assert max(rows["random"]) > max(rows["oracle"])


def test_one_pool_size_is_drawn_too(grown: Evaluation) -> None:
    assert "10" in growth_text(grown.rows.filter(pool_size=10), "mean_score").plain


def test_the_picture_has_labels_and_ticks(grown: Evaluation) -> None:
    axes = plot_growth(grown.rows, metric="best_single_ratio")
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["3", "10", "30"]
    assert "pool size" in axes.get_xlabel()
    assert "V_B" in axes.get_ylabel()
    assert {text.get_text() for text in axes.texts} == set(grown.rows["router"])


def test_a_png_is_written(grown: Evaluation, tmp_path: Path) -> None:
    grown.write_png(tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_to_draw_is_said(grown: Evaluation) -> None:
    with pytest.raises(RecrouteError, match="no value of 'costs'"):
        growth_text(grown.rows, "costs")
    with pytest.raises(RecrouteError, match="no curve"):
        plot_growth(grown.rows.filter(pl.col("pool_size").is_null()))
