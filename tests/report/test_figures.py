"""Plots return axes that a notebook shows, and that nobody has to close."""

import dataclasses
import subprocess
import sys

import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

import recroute as rr
from recroute.evaluation.curves import plot_growth
from recroute.report.figure import new_axes, new_row
from recroute.report.labels import name_points
from recroute.testing import planted_dataset

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def found() -> rr.Evaluation:
    return rr.evaluate(rr.simulate(n_llms=5, n_instances=80), [], n_resamples=20)


def test_axes_show_the_whole_figure() -> None:
    left, right = new_row(4, 2, 2)
    left.set_title("left")
    assert left.figure is right.figure
    assert left._repr_png_() == right._repr_png_() == left.figure._repr_png_()
    assert left._repr_png_().startswith(PNG)
    assert new_axes(3, 2).figure.get_size_inches().tolist() == [3, 2]


def test_plots_take_axes_of_pyplot_too(found: rr.Evaluation) -> None:
    ax = Figure().subplots()
    assert found.plot(ax=ax) is ax


def test_every_plot_returns_axes_that_show_themselves(found: rr.Evaluation) -> None:
    data = rr.simulate(n_llms=6, n_instances=100)
    few = {"n_resamples": 20}
    grown = rr.scale(data, ["knn"], pool_sizes=[3, 6], groups=["nested"], **few)
    for ax in (
        found.plot(),
        grown.plot(),
        plot_growth(grown.rows),
        rr.learning_curve(data, ["knn"], train_fractions=[0.5, 1.0], evaluate=rr.evaluate, **few).plot(),
    ):
        assert ax._repr_png_().startswith(PNG)


def test_pyplot_is_left_alone() -> None:
    code = (
        "import sys, recroute as rr; e = rr.evaluate(rr.simulate(n_llms=5, n_instances=80), [], n_resamples=20); "
        "e.plot()._repr_png_(); e._repr_html_(); print('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


# nbclient and its kernel close their sockets late; that is theirs to mend
@pytest.mark.filterwarnings("ignore")
def test_a_cell_that_ends_with_a_plot_shows_it_once() -> None:
    start = "import recroute as rr\nfound = rr.evaluate(rr.simulate(n_llms=5, n_instances=80), [], n_resamples=20)"
    cells = ["found.plot()", "found.plot().figure", "%matplotlib inline\nfound.plot()", "found.plot().figure"]
    cells.append("import matplotlib.pyplot as plt\nfound.plot(ax=plt.gca());")
    notebook = new_notebook(cells=[new_code_cell(source) for source in (start, *cells)])
    NotebookClient(notebook, timeout=100, kernel_name="python3").execute()
    assert isinstance(notebook, nbformat.NotebookNode)
    for cell in notebook.cells[1:]:
        assert ["image/png" in output.get("data", {}) for output in cell.outputs] == [True], cell.source


def test_names_that_a_font_or_a_terminal_cannot_show_are_drawn() -> None:
    data = dataclasses.replace(planted_dataset(), name="\ud800\x1b[31m 模型 \x00" + "n" * 5000)
    assert data.name.startswith("\\ud800\\x1b[31m 模型")
    assert len(data.name) < 300
    found = rr.scale(data, ["best_single"], pool_sizes=[2], groups=["nested"], n_resamples=10)
    assert found.plot()._repr_png_().startswith(PNG)


def test_names_of_points_cover_neither_points_nor_each_other() -> None:
    ax = new_axes(4, 3)
    points = np.column_stack([np.linspace(0, 1, 12), np.linspace(0, 1, 12) ** 2])
    line = np.column_stack([np.linspace(0, 1, 200), np.linspace(0, 1, 200) ** 2])
    ax.plot(*line.T)
    name_points(ax, [f"a name of llm {i}" for i in range(12)], points, most=6, avoid=np.vstack([line, points]))
    boxes = [text.get_window_extent() for text in ax.texts]
    assert 1 <= len(boxes) <= 6
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert not any(box.count_contains(ax.transData.transform(line)) for box in boxes)
