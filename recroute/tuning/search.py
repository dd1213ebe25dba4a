"""`tune`: open the study, run trials, choose a pipeline, and evaluate it once on test instances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from optuna.study import Study, StudyDirection

from recroute.data import Dataset
from recroute.encoders.registry import check_savable
from recroute.evaluation.card import router_card
from recroute.evaluation.evaluation import Evaluation
from recroute.evaluation.run import scale
from recroute.routers import Router, make_router
from recroute.splits import Split, split_dataset
from recroute.tuning.choice import best_of_each, choose, front, importances
from recroute.tuning.folder import StudyFolder, identity_of
from recroute.tuning.parallel import Progress, run_trials
from recroute.tuning.settings import TuneSettings
from recroute.tuning.space import read_space
from recroute.tuning.storage import JOURNAL, damage_named, storage_at, without_password
from recroute.tuning.study import TEST_READS, in_memory, open_study
from recroute.tuning.trials import n_finished, trial_table, unfinished
from recroute.tuning.tuned import Tuned
from recroute.tuning.validation import Validation
from recroute.tuning.worker import Job
from recroute.util.arguments import checked
from recroute.util.settings import takes_settings

TUNED = "tuned"  # name of the chosen pipeline in tables, unless it is the default


@checked
@takes_settings(TuneSettings)
def tune(dataset: Dataset, out: str | Path, *, progress: Progress | None = None, **settings: Any) -> Tuned:
    """Search for the best pipeline: router, hyperparameters, encoder, bridge and calibration.

    Every trial is cross-validated on the training and validation instances of a split, for the given pool sizes and
    groups. The first trials are the routers with their defaults, in order (`auto` first, unless `routers` is given).
    The others are proposed by Optuna's TPE sampler. Calling it again with the same `out` resumes the study.

    Parameters
    ----------
    dataset : Dataset
    out : str or Path
        Study folder, see `StudyFolder`.
    **settings
        See `TuneSettings`.
    progress : callable, optional
        Called with the number of finished trials, the total number, and a status line.

    Returns
    -------
    Tuned
        After a KeyboardInterrupt it holds the best pipeline so far, and test instances have not been read. At the
        timeout the search ends with the trials that it has. With one process the same seed gives the same trials, even
        if the study was interrupted and resumed. Several processes see each other's results in the order in which they
        finish.

    Raises
    ------
    RecrouteError
        For an unknown name, data that cannot be split, a study created with other data or settings, or if no trial
        could be finished.

    Examples
    --------
    ``tuned = rr.tune(dataset, "my_study", n_trials=60)``, then ``tuned.best``, ``tuned.trials``, ``tuned.evaluation``.
    """
    return search(TuneSettings(**settings), dataset, Path(out), progress)


def search(settings: TuneSettings, dataset: Dataset, out: Path, progress: Progress | None = None) -> Tuned:
    """Implementation of `tune`."""
    dataset.require_scores("tune")
    folder = StudyFolder(out)
    parts = split_dataset(dataset, kind=settings.split, seed=settings.seed)
    space = read_space(settings.routers, settings.space, dataset)
    identity = identity_of(parts, space, settings)
    folder.check(identity)  # before the folds are made, which takes time
    if not isinstance(settings.encoder, str):
        check_savable(settings.encoder)  # because the chosen router is saved
    elif dataset.encoder is not None and settings.encoder in ("auto", "precomputed"):
        check_savable(dataset.encoder)
    dataset = settings.encoded(dataset)
    validation = Validation.of(_without_test(dataset, parts), settings)
    journal, name = out / JOURNAL, settings.study_name or out.name
    place = without_password(settings.storage) if settings.storage else str(journal)
    with storage_at(settings.storage, journal) as storage:
        with damage_named(place):
            study = open_study(storage, name, settings.metrics, space, identity, place)
        folder.write_config({"dataset": dataset.name, "study": name, "n_trials": settings.n_trials, **identity})
        complete = run_trials(study, Job(space, validation, settings), progress)
        default = make_router(next(iter(space.parameters))).label
        tuned = _conclude(study, settings, dataset, default, complete)
        folder.write(tuned)
    return tuned


def _without_test(dataset: Dataset, parts: Split) -> Dataset:
    """Data set of the training and validation instances, in their original order."""
    ids = [*parts.train.instance_ids, *parts.valid.instance_ids]
    return dataset.take_instances(np.sort(dataset.instance_ids.to_index(ids)))


def _conclude(study: Study, settings: TuneSettings, dataset: Dataset, default: str, complete: bool) -> Tuned:
    """Choose a pipeline, evaluate it on test instances if the search is `complete`, and fit it on the training data."""
    best, notes = choose(study, default)
    if complete and (n := n_finished(study)) < settings.n_trials:
        notes = [*notes, f"the time limit ended the search after {n} of {settings.n_trials} trials{_stopped(study)}"]
    others = [default, *best_of_each(study)]
    tested = _on_test(study, settings, dataset, best, others) if complete else None
    parts = settings.parts(dataset, settings.seed)
    router = replace(best, seed=settings.seed).fit(parts.train)
    return Tuned(
        name=study.study_name,
        best=best,
        study=in_memory(study),
        trials=trial_table(study),
        notes=[*notes, *filter(None, [parts.note])],
        front=front(study),
        evaluation=tested,
        router=router,
        complete=complete,
        card=router_card(router, parts, notes=[*notes, *_not_blind(study)], judge=complete),
        importances=importances(study),
        maximize=study.directions[0] == StudyDirection.MAXIMIZE,
    )


def _stopped(study: Study) -> str:
    """Words on trials in progress at the end of the search."""
    if not (n := len(unfinished(study))):
        return ""
    return f" and stopped {'one' if n == 1 else n} in progress; the same command with a longer limit resumes the search"


def _on_test(study: Study, settings: TuneSettings, dataset: Dataset, best: Router, others: Sequence[str]) -> Evaluation:
    """Evaluate the choice and the others on test instances; the study records every time test instances are read."""
    reads = dict(study.user_attrs.get(TEST_READS, {})) | {str(n_finished(study)): best.label}
    study.set_user_attr(TEST_READS, reads)
    evaluation = scale(
        dataset,
        [best, *others],
        pool_sizes=settings.pool_sizes,
        groups=settings.groups,
        split=settings.split,
        encoder=settings.encoder,
        baseline=best.label,
        headroom=False,
        seeds=(settings.seed,),
    )
    notes = [*evaluation.notes, *_not_blind(study)]
    if best.label not in others[:1]:
        notes.append(f"{TUNED} is {best.label}")
        evaluation = evaluation.renamed(best.label, TUNED)
    return evaluation.with_info(notes=notes, tuned=best.label)


def _not_blind(study: Study) -> list[str]:
    """Note for the report if test instances were read before the last trials were run."""
    reads = study.user_attrs.get(TEST_READS, {})
    if len(reads) < 2:
        return []
    after = ", ".join(f"{n} trials ({label})" for n, label in reads.items())
    return [f"test instances were read after {after}; choices made after the first of these were not blind"]
