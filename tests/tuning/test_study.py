"""A study that was there before is taken if it and all its trials fit, and refused before a trial runs otherwise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import TrialState, create_trial

import recroute as rr
from recroute.data import Dataset
from recroute.errors import DataError
from recroute.routers import make_router
from recroute.tuning.settings import TuneSettings
from recroute.tuning.space import Space
from recroute.tuning.storage import open_storage
from recroute.tuning.study import IDENTITY, TEST_READS, open_study, parameters_of
from recroute.tuning.trials import FOLDS, LABEL, WORKER
from recroute.tuning.validation import Validation
from recroute.tuning.worker import Job, work

KNOWN = {"data": "x"}


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'study.db'}"


def stored(folder: Path) -> BaseStorage:
    return open_storage(url(folder), folder / "none.log")


@pytest.mark.parametrize(
    ("directions", "metrics", "message"),
    [
        (["minimize"], ["mean_score"], "created to minimize, but mean_score needs maximize"),
        (["maximize"], ["brier"], "created to maximize, but brier needs minimize"),
        (["maximize", "minimize"], ["mean_score"], "has 2 objectives, but mean_score needs 1"),
        (["maximize"], ["mean_score", "brier"], "has 1 objective, but mean_score and brier need 2"),
        (["minimize", "maximize"], ["mean_score", "brier"], "need maximize, minimize"),
    ],
)
def test_a_prepared_study_of_other_objectives_is_refused(
    tmp_path: Path, noisy: Dataset, small: dict[str, Any], directions: list[str], metrics: list[str], message: str
) -> None:
    prepared = optuna.create_study(storage=stored(tmp_path), study_name="theirs", directions=directions)
    options = {**small, "metrics": metrics, "storage": url(tmp_path), "study_name": "theirs"}
    with pytest.raises(DataError, match=message) as refusal:
        rr.tune(noisy, tmp_path / "study", n_trials=2, **options)
    for named in ("theirs", url(tmp_path), "study_name"):
        assert named in str(refusal.value)
    assert prepared.trials == []
    assert prepared.user_attrs == {}
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("directions", "metrics", "signs"),
    [(["minimize"], ["brier"], [-1]), (["maximize", "minimize"], ["mean_score", "brier"], [1, -1])],
)
def test_a_prepared_study_that_fits_is_taken_and_its_best_is_written(
    tmp_path: Path,
    noisy: Dataset,
    small: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    directions: list[str],
    metrics: list[str],
    signs: list[int],
) -> None:
    monkeypatch.setattr("recroute.tuning.study.IDENTITY_SECONDS", 0.0)
    optuna.create_study(storage=stored(tmp_path), study_name="theirs", directions=directions)
    options = {**small, "metrics": metrics, "storage": url(tmp_path), "study_name": "theirs"}
    found = rr.tune(noisy, tmp_path / "study", n_trials=5, **options)
    done = found.trials.filter(state="complete")
    columns = ["value", "value_2"][: len(signs)]
    ranked = sorted(
        done.iter_rows(named=True),
        key=lambda row: tuple(-sign * row[name] for sign, name in zip(signs, columns, strict=True)),
    )
    assert ranked[0]["value"] != ranked[-1]["value"]
    assert done.filter(place=1)["value"].item() == ranked[0]["value"]
    written = make_router(str(tmp_path / "study" / "best.toml")).label
    assert written == found.best.label
    kept = ranked[0]["pipeline"] if len(signs) > 1 or "stays" not in found.notes[0] else "knn"
    assert written == kept


@pytest.fixture(scope="module")
def ours(space: Space, validation: Validation) -> Study:
    """Four trials of a search of ours, in memory."""
    study = open_study(optuna.storages.InMemoryStorage(), "s", ["mean_score"], space, KNOWN)
    work(study, Job(space, validation, TuneSettings(n_trials=4)))
    return study


def add(reported: dict[int, float] | None = None, **attributes: Any) -> Callable[[Study], None]:
    """Adds a second trial with the parameters of the first, and other attributes; "-" leaves one out."""

    def change(study: Study) -> None:
        first = study.trials[0]
        study.add_trial(
            create_trial(
                value=first.value,
                params=first.params,
                distributions=first.distributions,
                user_attrs={key: value for key, value in {**first.user_attrs, **attributes}.items() if value != "-"},
                intermediate_values=reported or first.intermediate_values,
            )
        )

    return change


def add_other(**given: Any) -> Callable[[Study], None]:
    return lambda study: study.add_trial(create_trial(**given))


X = {"params": {"x": 0.5}, "distributions": {"x": FloatDistribution(0, 1)}}
RANGE = {"params": {"knn.n_neighbors": 7}, "distributions": {"knn.n_neighbors": IntDistribution(5, 400, log=True)}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (add_other(value=0.9), "its pipeline is recorded as None"),
        (add_other(value=0.9, **X), "its parameter 'x'"),
        (add_other(state=TrialState.FAIL, **X), "its parameter 'x'"),
        (add_other(state=TrialState.RUNNING, **X), "its parameter 'x'"),
        (add_other(value=0.9, **RANGE), "parameter 'knn.n_neighbors' .* is outside the search space"),
        (lambda study: study.enqueue_trial({"router": "oracle"}), "parameter 'router' .'oracle'."),
        (lambda study: study.ask().set_user_attr(WORKER, "me"), "not run by a worker of recroute"),
        (add(**{LABEL: "-"}), "its pipeline is recorded as None, but its parameters give 'knn'"),
        (add(**{LABEL: "ridge"}), "its pipeline is recorded as 'ridge', but its parameters give 'knn'"),
        (add(**{FOLDS: "-"}), "not the mean of its values by fold"),
        (add(**{FOLDS: [[0.5], [0.5]]}), "not the mean of its values by fold"),
        (add(**{FOLDS: [["a"]] * 3}), "not the mean of its values by fold"),
        (add(reported={0: 0.1, 1: 0.2, 2: 0.3}), "reported differ from its values by fold"),
        (add(seconds="long"), "its seconds are not a number"),
        (lambda study: study.set_user_attr(IDENTITY, "mine"), "not created by recroute tune"),
        (lambda study: study.set_user_attr(IDENTITY, {"space": [1]}), "not created by recroute tune"),
        (lambda study: study.set_user_attr(TEST_READS, 3), "not created by recroute tune"),
    ],
)
def test_a_trial_of_somebody_else_is_refused(
    ours: Study, space: Space, change: Callable[[Study], None], message: str
) -> None:
    storage = _copied(ours)
    change(optuna.load_study(study_name="s", storage=storage))
    with pytest.raises(DataError, match=message) as refusal:
        open_study(storage, "s", ["mean_score"], space, KNOWN, "that.db")
    assert "that.db" in str(refusal.value)


def _copied(study: Study) -> optuna.storages.InMemoryStorage:
    storage = optuna.storages.InMemoryStorage()
    other = optuna.create_study(storage=storage, study_name="s", directions=study.directions)
    other.add_trials(study.trials)
    for key, value in study.user_attrs.items():
        other.set_user_attr(key, value)
    return storage


def test_what_a_person_enqueues_is_taken(ours: Study, space: Space) -> None:
    storage = _copied(ours)
    optuna.load_study(study_name="s", storage=storage).enqueue_trial({"router": "knn", "knn.n_neighbors": 7})
    assert len(open_study(storage, "s", ["mean_score"], space, KNOWN).trials) == 5


def test_trials_of_somebody_else_in_a_study_without_a_name_on_it(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recroute.tuning.study.IDENTITY_SECONDS", 0.0)
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name="s", direction="maximize")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    with pytest.raises(DataError, match=r"the study s in that\.db contains trials that recroute did not run"):
        open_study(storage, "s", ["mean_score"], space, KNOWN, "that.db")
    assert study.user_attrs == {}


def test_what_a_space_asks_for_is_known_by_name(space: Space) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    known, seen = parameters_of(space), set[str]()
    for _ in range(40):
        trial = study.ask()
        space.suggest(trial)
        assert all(known[name] == one for name, one in trial.distributions.items())
        seen |= set(trial.distributions)
    assert seen == set(known)
