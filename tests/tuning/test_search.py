"""The whole search: what it leaves on disk, how it chooses, and what it refuses."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import recroute as rr
from recroute.cli.app import run
from recroute.data import Dataset, InteractionMatrix, write_dataset
from recroute.errors import DataError, RecrouteError
from recroute.metrics import METRICS
from recroute.routers import make_router
from recroute.testing import planted_dataset
from recroute.tuning.folder import write_toml
from recroute.tuning.settings import TuneSettings
from recroute.tuning.validation import Validation

SMALL: dict[str, Any] = {"routers": ["knn", "ridge"], "pool_sizes": [3], "groups": ["nested"], "n_folds": 3}


def test_a_study_leaves_all_that_is_promised(tmp_path: Path, noisy: Dataset) -> None:
    told: list[tuple[int, int, str]] = []
    found = rr.tune(noisy, tmp_path / "study", n_trials=12, progress=lambda *line: told.append(line), **SMALL)
    assert found.complete
    assert told[-1][:2] == (12, 12)
    assert told[-1][2].startswith("best ")
    study = tmp_path / "study"
    table = pl.read_csv(study / "trials.csv")
    assert table.height == found.trials.height == 12
    assert table["pipeline"][0] == "knn"  # the default is the first trial
    best = table.filter(place=1).row(0, named=True)
    assert best["value"] == pytest.approx(max(table.filter(state="complete")["value"]))
    assert make_router(str(study / "best.toml")).label == found.best.label
    config = json.loads((study / "config.json").read_text("utf8"))
    assert config["space"]["knn"]["n_neighbors"] == {"low": 5, "high": 300, "log": True}
    assert found.evaluation is not None
    saved = rr.read_run(study / "run")
    assert saved.rows.equals(found.evaluation.rows)
    labels = set(saved.rows["router"])
    assert found.best.label != "knn"  # else nothing below would be called tuned
    assert {"tuned", "knn", "best_single", "task_best", "oracle", "random"} <= labels
    assert set(saved.comparisons["baseline"]) == {"tuned"}
    assert saved.choices is not None
    assert "tuned" in set(saved.choices["router"].cast(str))
    assert make_router(str(study / "best.toml")).name == saved.info["routers"]["tuned"]["name"]
    stopped = table.filter(state="pruned")
    assert stopped.height > 0
    assert stopped["value"].null_count() == stopped.height  # its last fold is not its value
    assert set(stopped["outcome"]) == {"stopped after 1 of 3 folds"}
    assert min(stopped["place"]) > max(table.filter(state="complete")["place"])
    assert table["number"].to_list() == list(range(12))
    html = (study / "report.html").read_text("utf8")
    rows = html.partition("All trials")[2]
    assert rows.index(f">{found.best.label}<") < rows.index(">stopped after 1 of 3 folds<")
    assert html.count("<svg") >= 3
    assert found.best.label in html
    assert "NOT FINISHED" not in html
    assert found.best.label in found._repr_html_()
    line = found.plot().get_lines()[-1]
    assert len(line.get_xdata()) == (found.trials["state"] == "complete").sum()
    assert max(line.get_xdata()) <= 12  # the trial's place, whatever its number
    if not found.importances:
        with pytest.raises(DataError, match="run more trials"):
            found.plot_importances()
    router = rr.load_router(study / "router")
    prompts = ["multiply the integers 3 and 4"]
    np.testing.assert_array_equal(router.score(prompts), found.router.score(prompts))


def test_test_instances_have_no_part_in_the_search(tmp_path: Path, noisy: Dataset) -> None:
    """Other scores on test change nothing but the report."""
    parts = rr.split_dataset(noisy, seed=0)
    rows = noisy.instance_ids.to_index(list(parts.test.instance_ids))
    block = noisy.interactions.dense()
    block[rows] = 1 - block[rows]
    other = Dataset(noisy.name, InteractionMatrix.from_dense(block), noisy.instances, noisy.llms)
    one, two = (rr.tune(data, tmp_path / name, n_trials=8, **SMALL) for name, data in (("a", noisy), ("b", other)))
    columns = ["number", "state", "pipeline", "value"]
    assert one.trials.select(columns).equals(two.trials.select(columns))
    assert one.best.label == two.best.label
    assert one.evaluation is not None
    assert two.evaluation is not None
    assert one.evaluation.value("knn", "mean_score", pool_size=3) != two.evaluation.value(
        "knn", "mean_score", pool_size=3
    )


def test_going_on_needs_the_same_data_and_options(tmp_path: Path, noisy: Dataset) -> None:
    rr.tune(noisy, tmp_path / "study", n_trials=3, **SMALL)
    again = rr.tune(noisy, tmp_path / "study", n_trials=5, **SMALL)
    assert again.trials.height == 5
    assert again.evaluation is not None
    assert any("test instances were read after 3 trials" in note for note in again.evaluation.notes)
    for other, message in (
        ({"seed": 1}, "seed was 0 and is now 1"),
        ({"pool_sizes": [4]}, r"pool_sizes was \[3\] and is now \[4\]"),
        ({"routers": ["knn"]}, "it searched ridge, which this run does not; name another"),
        ({"routers": ["knn", "ridge", "svd"]}, "it did not search svd; name another"),
        ({"routers": ["knn(views=all)", "ridge"]}, r"it searched knn, .* it did not search knn\(views=all\)"),
        ({"metrics": ["regret"]}, "metrics was"),
    ):
        with pytest.raises(DataError, match=message):
            rr.tune(noisy, tmp_path / "study", n_trials=5, **{**SMALL, **other})
    with pytest.raises(DataError, match="data was"):
        rr.tune(planted_dataset(n_instances=150, noise=0.2), tmp_path / "study", n_trials=5, **SMALL)


def test_processes_share_a_study(tmp_path: Path, noisy: Dataset) -> None:
    found = rr.tune(noisy, tmp_path / "study", n_trials=9, n_jobs=2, **SMALL)
    assert found.complete
    assert found.trials.height == 9
    assert found.trials["pipeline"].to_list()[:2] == ["knn", "ridge"]


def test_two_metrics_give_a_front(tmp_path: Path, noisy: Dataset) -> None:
    write_toml(make_router("knn"), tmp_path / "study" / "front" / "40.toml")  # of an earlier, longer front
    (tmp_path / "study" / "journal.log").touch()
    found = rr.tune(noisy, tmp_path / "study", n_trials=10, metrics=["mean_score", "brier"], **SMALL)
    done = found.trials.filter(state="complete")
    assert done.height == 10  # none is stopped early
    points = {row["pipeline"]: (row["value"], -row["value_2"]) for row in done.iter_rows(named=True)}
    for router in found.front:
        own = points[router.label]
        assert not any(p[0] >= own[0] and p[1] >= own[1] and p != own for p in points.values())
    assert len(list((tmp_path / "study" / "front").glob("*.toml"))) == len(found.front)
    assert found.front[0].label == found.best.label


def test_the_timeout_is_a_planned_end(tmp_path: Path, noisy: Dataset) -> None:
    write_dataset(noisy, tmp_path / "data")
    command = ["tune", str(tmp_path / "data"), "--out", str(tmp_path / "study"), "--quiet"]
    command += ["--router", "knn", "--router", "ridge", "--pool-sizes", "3", "--groups", "nested", "--folds", "3"]
    assert run([*command, "--trials", "500", "--timeout", "0"]) == 2  # there is nothing to choose from
    assert run([*command, "--trials", "2"]) == 0
    shutil.rmtree(tmp_path / "study" / "run")
    assert run([*command, "--trials", "500", "--timeout", "0"]) == 0
    assert rr.read_run(tmp_path / "study" / "run").rows.height
    report = (tmp_path / "study" / "report.html").read_text("utf8")
    assert "the time limit ended the search after 2 of 500 trials" in report
    assert "NOT FINISHED" not in report
    assert "test instances were read after" not in report  # both times after the same trials


def test_an_interrupt_leaves_test_unread(tmp_path: Path, noisy: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    rr.tune(noisy, tmp_path / "study", n_trials=2, **SMALL)
    monkeypatch.setattr("recroute.tuning.parallel.work", interrupted)
    found = rr.tune(noisy, tmp_path / "study", n_trials=500, timeout=0, **SMALL)
    assert not found.complete
    assert found.evaluation is None
    assert "NOT FINISHED" in (tmp_path / "study" / "report.html").read_text("utf8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ["oracle"]}, "oracle has no better direction"),
        ({"metrics": ["score"]}, "unknown metric 'score'"),
        ({"metrics": ["brier", "brier"]}, "two different ones"),
        ({"metrics": ["mean_cost"]}, "mean_cost is undefined"),
        ({"groups": ["strong"]}, "unknown group 'strong'"),
        ({"pool_sizes": []}, "give at least one"),
        ({"n_folds": 1}, "folds=1 must be at least 2"),
        ({"routers": ["oracle"]}, "oracle has no search space"),
        ({"storage": "sqlite:////nowhere/at/all.db"}, "cannot be opened"),
        ({"storage": "postgresql://me:secret@127.0.0.1:1/x"}, r"storage='postgresql://me@127\.0\.0\.1:1/x'"),
        ({"storage": "nonsense"}, "storage='nonsense' is not the URL"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_one_line(
    tmp_path: Path, noisy: Dataset, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecrouteError, match=message) as refusal:
        rr.tune(noisy, tmp_path / "study", n_trials=2, **{**SMALL, **options})
    assert "\n" not in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, noisy: Dataset) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "thesis.tex").write_text("all of it", "utf8")
    with pytest.raises(DataError, match="is not a study"):
        rr.tune(noisy, tmp_path / "study", n_trials=2, **SMALL)
    assert [file.name for file in (tmp_path / "study").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interrupt_keeps_what_was_finished(tmp_path: Path, noisy: Dataset, jobs: str) -> None:
    write_dataset(noisy, tmp_path / "data")
    command = [sys.executable, "-c", "from recroute.cli import main; main()", "tune", str(tmp_path / "data")]
    command += ["--out", str(tmp_path / "study"), "--router", "knn", "--router", "ridge", "--pool-sizes", "3"]
    command += ["--groups", "nested", "--folds", "3", "--trials", "4000", "--jobs", jobs]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    timer = threading.Timer(600, child.kill)
    timer.start()
    journal = tmp_path / "study" / "journal.log"
    while child.poll() is None and not (journal.exists() and journal.read_bytes().count(b'"state":1') >= 3):
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGINT)  # as a terminal does
    out, err = child.communicate()
    timer.cancel()
    assert child.returncode == 130, err
    assert "Traceback" not in err
    assert "NOT FINISHED: there are no test results yet. Run the same command again to resume." in " ".join(out.split())
    assert pl.read_csv(tmp_path / "study" / "trials.csv").height >= 3
    assert (tmp_path / "study" / "best.toml").is_file()
    assert not (tmp_path / "study" / "run").exists()
    assert "was not evaluated on test instances" in (tmp_path / "study" / "router" / "CARD.md").read_text("utf8")


@pytest.mark.parametrize(
    "label", ["svd(n_factors=3,bridge=kernel)", "guarded(router=knn(views=all,n_neighbors=9))", "auto(caution=0.5)"]
)
def test_a_written_pipeline_is_the_one_that_is_read(tmp_path: Path, label: str) -> None:
    router = make_router(label)
    write_toml(router, tmp_path / "best.toml")
    assert make_router(str(tmp_path / "best.toml")).label == router.label


def test_a_ratio_to_nothing_is_no_value(noisy: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    validation = Validation.of(noisy, TuneSettings(pool_sizes=[3], groups=["nested"], n_folds=2))
    monkeypatch.setitem(METRICS, "mean_score", lambda *_: np.array([np.inf]))
    with pytest.raises(DataError, match="mean_score is undefined for knn; choose other metrics"):
        validation.values(make_router("knn"), 0)
