"""The result of a search: one document in a notebook, a terminal and a page, and its pictures."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console

import recroute as rr
from recroute.data import Dataset
from recroute.tuning.picture import draw_history, draw_importances

TRIALS = pl.DataFrame(
    {"number": [0, 1, 2], "state": ["complete", "pruned", "complete"], "router": ["svd"] * 3, "value": [0.5, None, 0.4]}
).with_columns(pipeline="router")


@pytest.fixture(scope="module")
def tuned(noisy: Dataset, small: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> rr.Tuned:
    return rr.tune(noisy, tmp_path_factory.mktemp("tuned") / "study", n_trials=6, **small)


def in_terminal(tuned: rr.Tuned) -> str:
    console = Console(file=io.StringIO(), width=100)
    tuned.show(console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_it_shows_its_choice_its_trials_and_test(tuned: rr.Tuned) -> None:
    assert repr(tuned) == f"Tuned({tuned.best.label}, chosen in 6 trials)"
    best = tuned.trials.filter(place=1)["pipeline"][0]
    for shown in (tuned._repr_html_(), in_terminal(tuned)):
        assert f"chosen: {tuned.best.label}" in shown
        assert "6 trials: " in shown
        assert shown.index(best) > 0
        assert "best_single" in shown
    assert "Study study" in tuned._repr_html_()
    assert "judged on all 3 folds" in in_terminal(tuned)


def test_an_unfinished_one_says_so_and_shows_no_test(tuned: rr.Tuned, tmp_path: Path) -> None:
    stopped = dataclasses.replace(tuned, evaluation=None, complete=False)
    stopped.write_html(tmp_path / "study.html")
    for shown in (stopped._repr_html_(), in_terminal(stopped), (tmp_path / "study.html").read_text("utf8")):
        assert "NOT FINISHED: there are no test results yet" in shown
        assert "best_single" not in shown
    assert repr(stopped).endswith("6 trials, not finished)")


def test_its_pictures_say_what_was_best_so_far() -> None:
    for maximize, best in ((True, [0.5, 0.5]), (False, [0.5, 0.4])):
        line = draw_history(TRIALS, maximize=maximize).get_lines()[-1]
        assert line.get_label() == "best so far"
        assert line.get_ydata().tolist() == best
    bars = draw_importances({"all routers": {"which router": 0.25, "its hyperparameters": 0.75}})
    assert [text.get_text() for text in bars.texts] == ["75%", "25%"]
    assert bars._repr_png_().startswith(b"\x89PNG")
