"""A study's folder: gone on with if it is whole, refused if it is damaged or a stranger's, and then left as it is."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import recroute as rr
from recroute.data import Dataset, InteractionMatrix
from recroute.errors import DataError
from recroute.splits import split_dataset
from recroute.testing import planted_dataset
from recroute.tuning import read_space
from recroute.tuning.folder import StudyFolder, check_same, identity_of
from recroute.tuning.settings import TuneSettings
from recroute.tuning.storage import open_storage

OLD = Path(__file__).parent / "old_study"  # of 7040c13: six trials, one pipeline proposed twice, two stopped early
KNOWN: dict[str, Any] = {
    key: json.loads((OLD / "config.json").read_text("utf8"))[key] for key in ("split_sha256", "space")
}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    shutil.copytree(OLD, tmp_path / "study")
    return tmp_path / "study"


def test_a_study_of_an_earlier_commit_goes_on(study: Path, noisy: Dataset, small: dict[str, Any]) -> None:
    found = rr.tune(noisy, study, n_trials=9, **small)
    assert found.complete
    assert found.trials["number"].to_list() == list(range(9))
    before = found.trials.head(6)
    assert before["pipeline"].to_list()[:3] == ["knn", "ridge", "knn(n_neighbors=31)"]
    assert before["state"].to_list() == ["complete"] * 4 + ["pruned"] * 2
    assert before["value"].to_list()[:4] == pytest.approx([0.562963, 0.525926, 0.533333, 0.562963], abs=1e-6)
    assert before["value"].to_list()[4:] == [None, None]  # their last fold is not their value
    assert before["optuna_number"].to_list() == [0, 1, 2, 4, 5, 6]


def test_values_that_were_judged_another_way_are_not_mixed(tmp_path: Path) -> None:
    """Of data with gaps; those without are judged as ever."""
    data = planted_dataset(n_instances=60)
    block = data.interactions.dense()
    block[::3, 0] = np.nan
    gaps = Dataset("gaps", InteractionMatrix.from_dense(block), data.instances, data.llms)
    space = read_space(["knn"])
    whole, known = (identity_of(split_dataset(one), space, TuneSettings()) for one in (data, gaps))
    assert "unobserved_choice" not in whole
    before = {key: value for key, value in known.items() if key != "unobserved_choice"}
    check_same("s", known, known)
    with pytest.raises(DataError, match="unobserved_choice was left out and is now judged by the next"):
        check_same("s", before, known)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "config.json is damaged"),
        (b"\xff\xfe", "config.json is damaged"),
        (b"{", "config.json is damaged"),
        (b"[" * 100_000, "config.json is damaged"),
        (b"9" * 5_000, "config.json is damaged"),
        (b"[1]", "is not the configuration of a study"),
        (b'{"model_type": "bert"}', "is not the configuration of a study"),
        (b'{"split_sha256": "x", "space": [1]}', "is not the configuration of a study"),
        (b'{"split_sha256": "x", "space": {}}', "created with other data or options"),
    ],
)
def test_a_configuration_that_is_none_is_refused(study: Path, content: bytes, message: str) -> None:
    (study / "config.json").write_bytes(content)
    with pytest.raises(DataError, match=message):
        StudyFolder(study).check(KNOWN)
    assert (study / "config.json").read_bytes() == content


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused(study: Path, make: Callable[[Path], None]) -> None:
    for name in ("config.json", "journal.log"):
        (study / name).unlink()
        make(study / name)
    with pytest.raises(DataError, match=r"config\.json is not the configuration"):
        StudyFolder(study).check(KNOWN)
    with pytest.raises(DataError, match=r"journal\.log is not the journal"):
        open_storage(None, study / "journal.log")


def _changed(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(journal: bytes) -> bytes:
        assert old in journal
        return journal.replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    "change",
    [
        _changed(b'"state":1', b'"state":17'),
        _changed(b'"state":1', b'"state":null'),
        _changed(b'"op_code":6', b'"op_code":66'),
        _changed(b'"trial_id":', b'"trial":'),
        _changed(b"IntDistribution", b"OtherDistribution"),
        _changed(b'"datetime_start":"2', b'"datetime_start":"x'),
        _changed(b'{"op_code":4', b'\xff"op_code":4'),
        lambda journal: journal + b"[1]\n",
    ],
)
def test_a_damaged_journal_is_refused(study: Path, change: Callable[[bytes], bytes]) -> None:
    path = study / "journal.log"
    damaged = change(path.read_bytes())
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"journal\.log is damaged .*restore it from a backup"):
        open_storage(None, path)
    assert path.read_bytes() == damaged


@pytest.mark.parametrize("content", [b"hello", b"hello\nworld", b'{"event": 1}', b'{"event": 1}\n{"event"', b"\xff\n"])
def test_a_log_of_something_else_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.log"
    path.write_bytes(content)
    with pytest.raises(DataError, match="is not a study"):
        StudyFolder(tmp_path).check(KNOWN)
    with pytest.raises(DataError, match="is not the journal of a study"):
        open_storage(None, path)
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["journal.log"]


@pytest.mark.parametrize("name", ["router", "run"])
def test_a_folder_of_something_else_inside_is_found_before_the_work(study: Path, name: str) -> None:
    (study / name).mkdir()
    (study / name / "mine.txt").write_text("all of it", "utf8")
    with pytest.raises(rr.RecrouteError, match=f"{name} exists and was not written by recroute"):
        StudyFolder(study).check(KNOWN)


def test_a_study_that_was_stopped_in_its_first_moments_is_one(tmp_path: Path) -> None:
    (tmp_path / "journal.log").write_bytes(b'{"op_c')
    StudyFolder(tmp_path).check(KNOWN)
    open_storage(None, tmp_path / "journal.log")
