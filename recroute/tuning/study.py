"""A study: made once, found again, and refused if it was made for something else."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
import polars as pl
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from recroute._version import __version__
from recroute.data import Dataset
from recroute.encoders import SentenceEncoder
from recroute.errors import DataError
from recroute.evaluation.provenance import split_digest
from recroute.metrics import LOWER_IS_BETTER
from recroute.splits import Split
from recroute.tuning.space import Space
from recroute.tuning.worker import ERROR, LABEL, SECONDS, is_finished

JOURNAL = "journal.log"
IDENTITY, READY, TEST_READS = "identity", "ready", "test_reads"
READY_SECONDS = 10.0  # that another process may take to fill the study it has just made


def identity(parts: Split, space: Space, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What has to be equal for two trials to be of one study."""
    return {
        "recroute": __version__,
        "data": data_digest(parts.train, parts.valid, parts.test),
        "split_sha256": split_digest(parts),
        **settings,
        "space": space.to_dict(),
    }


def data_digest(*parts: Dataset) -> str:
    """SHA-256 of scores, preferences, texts, tasks and the vectors they came with.

    Those of a sentence encoder follow from the texts, and their last bits from the machine.
    """
    digest = hashlib.sha256()
    for data in parts:
        fought = [] if data.preferences is None else data.preferences.arrays
        vectors = None if isinstance(data.encoder, SentenceEncoder) else data.embeddings
        for array in (*data.interactions.state().values(), vectors, *fought):
            digest.update(b"none" if array is None else np.ascontiguousarray(array).data)
        for text in (*(data.prompts or ()), *data.tasks.tolist()):
            digest.update(text.encode("utf8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def open_study(
    storage: BaseStorage, name: str, metrics: Sequence[str], space: Space, known: Mapping[str, Any]
) -> Study:
    """Make the study, or go on with the one that is there.

    Raises
    ------
    DataError
        If the study was made for other data, another split or another search; the message names all that differs.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    directions = [
        StudyDirection.MINIMIZE if metric in LOWER_IS_BETTER else StudyDirection.MAXIMIZE for metric in metrics
    ]
    try:
        study = optuna.create_study(storage=storage, study_name=name, directions=directions)
    except DuplicatedStudyError:
        study = optuna.load_study(storage=storage, study_name=name)
        waited_until = time.time() + READY_SECONDS
        while READY not in study.user_attrs and time.time() < waited_until:
            time.sleep(0.1)
    if READY not in study.user_attrs:
        study.set_user_attr(IDENTITY, dict(known))
        present = [trial.system_attrs.get("fixed_params") for trial in study.get_trials(deepcopy=False)]
        for params in space.defaults():
            if params not in present:
                study.enqueue_trial(params)
        study.set_user_attr(READY, True)
    check_same(name, study.user_attrs[IDENTITY], known)
    return study


def check_same(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise DataError, with all that differs, if a study was made for something else than what it is asked for now."""
    old, new = _flat(before), _flat(now)
    searched, asked = before.get("space", {}), now.get("space", {})
    here = [label for label in searched if label not in asked]
    there = [label for label in asked if label not in searched]
    differing = [f"it searched {', '.join(here)}, which is not asked for"] * bool(here)
    differing += [f"it did not search {', '.join(there)}"] * bool(there)
    told = tuple(f"space.{label}." for label in (*here, *there))
    shared = [key for key in dict.fromkeys([*old, *new]) if not key.startswith(told)]
    differing += [
        f"{key} was {old.get(key, 'absent')} and is {new.get(key, 'absent')}"
        for key in shared
        if old.get(key) != new.get(key)
    ]
    if differing:
        raise DataError(
            f"the study {name} was made for something else: {'; '.join(differing)}; take another --out, or the same "
            "data and options"
        )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Leaves by their path; digests cut short, as nobody reads all of one."""
    found: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = str(value)[:12] if key in ("data", "split_sha256") else str(value)
    return found


def completed(study: Study) -> list[FrozenTrial]:
    """The trials that were judged on all folds, by number."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state == TrialState.COMPLETE]


def by_label(study: Study, label: str) -> FrozenTrial | None:
    """The first completed trial of a router."""
    return next((trial for trial in completed(study) if trial.user_attrs.get(LABEL) == label), None)


def trial_table(study: Study) -> pl.DataFrame:
    """A row for each trial that the study was asked for, in order, with what it tried and what came of it.

    `place` is its rank by the first metric, trials judged on all folds before all others; `estimate` the value, or for
    a trial that was stopped what it would have been, had it kept its distance to those that were not.
    """
    rows: list[dict[str, Any]] = []
    for trial in study.get_trials(deepcopy=False):
        if not is_finished(trial):
            continue
        values = trial.values or []
        rows.append(
            {
                "number": trial.number,
                "state": trial.state.name.lower(),
                "pipeline": trial.user_attrs.get(LABEL, ""),
                "value": values[0] if values else None,
                **({"value_2": values[1] if len(values) > 1 else None} if len(study.directions) > 1 else {}),
                "n_folds": len(trial.intermediate_values),
                "estimate": values[0] if values else _estimate(trial, completed(study)),
                "seconds": trial.user_attrs.get(SECONDS),
                "router": trial.params.get("router", ""),
                "error": trial.user_attrs.get(ERROR, ""),
            }
        )
    sign = -1 if study.directions[0] == StudyDirection.MAXIMIZE else 1
    order = sorted(range(len(rows)), key=lambda i: (rows[i]["state"] != "complete", sign * (rows[i]["value"] or 0)))
    for place, i in enumerate(order, 1):
        rows[i]["place"] = place
    return pl.DataFrame(rows, infer_schema_length=None)


def _estimate(trial: FrozenTrial, done: list[FrozenTrial]) -> float | None:
    folds = trial.intermediate_values
    if not folds or not done:
        return None
    ahead = [[value - other.intermediate_values[fold] for fold, value in folds.items()] for other in done]
    return float(np.mean(ahead) + np.mean([other.values[0] for other in done]))
