"""The whole search: study, trials, choice, and one look at test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from optuna.study import Study, StudyDirection

from recroute.data import Dataset
from recroute.encoders import encode_dataset
from recroute.encoders.registry import check_savable
from recroute.errors import DataError
from recroute.evaluation import Evaluation, prepare_split, router_card, scale
from recroute.evaluation.run import POOL_SIZES
from recroute.metrics import METRICS
from recroute.pools import ROUTEREVAL_GROUPS
from recroute.routers import Router, make_router
from recroute.splits import Split, split_dataset
from recroute.tuning.choose import best_of_each, choose, front
from recroute.tuning.folder import CONFIG, StudyFolder
from recroute.tuning.identity import identity
from recroute.tuning.importance import importances
from recroute.tuning.journal import JOURNAL
from recroute.tuning.parallel import Progress, run_trials
from recroute.tuning.space import read_space
from recroute.tuning.storage import is_in_memory, read_url, reading, shown, storage_at
from recroute.tuning.study import TEST_READS, open_study, trial_table
from recroute.tuning.trials import is_finished
from recroute.tuning.tuned import Tuned
from recroute.tuning.validation import make_validation
from recroute.tuning.worker import Job
from recroute.util.arguments import as_texts, as_whole_number, as_whole_numbers, checked

N_TRIALS = 60
N_FOLDS = 5
TUNED = "tuned"  # how tables call the choice, unless it is the default


@checked
def tune(
    dataset: Dataset,
    out: str | Path,
    *,
    routers: Sequence[str] = (),
    n_trials: int = N_TRIALS,
    metrics: Sequence[str] = ("mean_score",),
    space: str | Path | None = None,
    pool_sizes: Sequence[int] = POOL_SIZES,
    groups: Sequence[str] = ROUTEREVAL_GROUPS,
    n_folds: int = N_FOLDS,
    split: str | None = None,
    encoder: str = "auto",
    prune: bool = True,
    storage: str | None = None,
    study_name: str | None = None,
    n_jobs: int = 1,
    timeout: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Tuned:
    """Search for the best pipeline: router, hyperparameters, encoder, bridge and calibration.

    Every trial is cross-validated on the training and validation instances of a split, on the pools asked for. The
    first trial is the default of the first router (`auto`, unless `routers` says otherwise), then come those of the
    others, then what Optuna's TPE sampler proposes. Calling it again with the same `out` goes on with the study.

    Parameters
    ----------
    dataset : Dataset
    out : str or Path
        The study's folder: see `StudyFolder`.
    routers : list of str, optional
        Names, perhaps with hyperparameters that are to stay as they are. Default: see `read_space`.
    n_trials : int
        Trials that the study is to have in the end, pruned ones among them.
    metrics : list of str
        One or two of `METRICS`, averaged over folds, groups and pool sizes. Of two the Pareto front is searched.
    space : str or Path, optional
        A TOML file that takes the place of search spaces, see `read_space`.
    pool_sizes, groups, split, encoder
        See `scale`.
    n_folds : int
        Each fold is also the moment to stop a trial that will not be the best.
    prune : bool
        Whether to stop such trials; with two metrics none is.
    storage : str, optional
        Any storage of Optuna's, such as "sqlite:///study.db" or "postgresql://...", for several machines. Default: a
        journal file in `out`, for any number of processes on one machine.
    study_name : str, optional
        The study's name in that storage. Default: the folder's name.
    n_jobs : int
        Processes on this machine.
    timeout : float, optional
        Seconds after which no fold is begun.
    seed : int
        Of split, folds, pools, routers and sampler. With one process, the same seed gives the same trials, also if
        the study was stopped in between; several processes see each other's results in the order they finish.
    progress : callable, optional
        Called with the trials done, the trials in all, and a line on the best so far.

    Returns
    -------
    Tuned. After a KeyboardInterrupt or at the timeout it holds the best so far, and test has not been read.

    Raises
    ------
    RecrouteError
        For an unknown name, data that cannot be split, a study that was made for something else, or if no trial could
        be finished.
    """
    dataset.require_scores("tune")
    routers, metrics, groups = as_texts(routers, "routers"), as_texts(metrics, "metrics"), as_texts(groups, "groups")
    pool_sizes = as_whole_numbers(pool_sizes, "pool_sizes")
    _check(metrics, n_trials, n_jobs, n_folds, pool_sizes)
    if storage is not None and is_in_memory(read_url(storage)) and n_jobs > 1:
        raise DataError(
            f"--storage {storage} is in the memory of one process and cannot be shared by {n_jobs}; "
            "use --jobs 1, or a file such as sqlite:///study.db"
        )
    folder = StudyFolder(Path(out))
    parts = split_dataset(dataset, kind=split, seed=seed)
    searched = read_space(routers, space, dataset)
    settings = {
        "metrics": list(metrics),
        "pool_sizes": list(pool_sizes),
        "groups": list(groups),
        "n_folds": n_folds,
        "encoder": encoder,
        "prune": prune,
        "seed": seed,
        "storage": shown(storage) if storage else "journal",
    }
    known = identity(parts, searched, settings)
    folder.check(known)  # before the work of making folds
    if dataset.encoder is not None and encoder in ("auto", "precomputed"):
        check_savable(dataset.encoder)  # the study's router is saved
    dataset = encode_dataset(dataset, encoder)
    validation = make_validation(
        _learned_from(dataset, parts),
        metrics=metrics,
        pool_sizes=pool_sizes,
        groups=groups,
        n_folds=n_folds,
        encoder=encoder,
        seed=seed,
    )
    with storage_at(storage, folder.path / JOURNAL) as kept:
        place = shown(storage) if storage else str(folder.path / JOURNAL)
        with reading(place):
            study = open_study(kept, study_name or folder.path.name, metrics, searched, known, place)
        folder.write_json(CONFIG, {"dataset": dataset.name, "study": study.study_name, "n_trials": n_trials, **known})
        job = Job(searched, validation, n_trials, seed, prune)
        complete = run_trials(study, job, n_jobs, storage, timeout, progress)
        default = make_router(next(iter(searched.parameters))).label
        best, notes = choose(study, default)
        tested = _on_test(dataset, study, best, [default, *best_of_each(study)], settings, split) if complete else None
        fitted_on = prepare_split(dataset, split=split, seed=seed, encoder=encoder)
        router = replace(best, seed=seed).fit(fitted_on.train)
        tuned = Tuned(
            best=best,
            trials=trial_table(study),
            notes=[*notes, *filter(None, [parts.note])],
            front=front(study),
            evaluation=tested,
            router=router,
            complete=complete,
            card=router_card(router, fitted_on, notes=[*notes, *_not_blind(study)], judge=complete),
            importances=importances(study),
            maximize=study.directions[0] == StudyDirection.MAXIMIZE,
        )
        folder.write(tuned, study)
    return tuned


def _check(metrics: Sequence[str], n_trials: int, n_jobs: int, n_folds: int, pool_sizes: Sequence[int]) -> None:
    if not 1 <= len(metrics) <= 2 or len(set(metrics)) < len(metrics):
        raise DataError(f"{len(metrics)} metrics ({', '.join(metrics)}): give one, or two different ones")
    for metric in metrics:
        if metric in METRICS and not METRICS[metric].better:
            known = ", ".join(name for name, known in METRICS.items() if known.better)
            raise DataError(f"{metric} is not better high or low; choose among {known}")
    for name, value, low in (("trials", n_trials, 1), ("jobs", n_jobs, 1), ("folds", n_folds, 2)):
        as_whole_number(value, name, low)
    if not pool_sizes or min(pool_sizes) < 1:
        raise DataError(f"pool sizes {list(pool_sizes)}: give at least one, each at least 1")


def _learned_from(dataset: Dataset, parts: Split) -> Dataset:
    """Training and validation instances, in the order of the data set."""
    ids = [*parts.train.instance_ids, *parts.valid.instance_ids]
    return dataset.take_instances(np.sort(dataset.instance_ids.to_index(ids)))


def _on_test(
    dataset: Dataset, study: Study, best: Router, others: Sequence[str], settings: dict[str, Any], split: str | None
) -> Evaluation:
    """The choice and what it is compared with, on test; how often that was done is kept in the study."""
    n_finished = sum(map(is_finished, study.get_trials(deepcopy=False)))
    reads = dict(study.user_attrs.get(TEST_READS, {})) | {str(n_finished): best.label}
    study.set_user_attr(TEST_READS, reads)
    found = scale(
        dataset,
        [best, *others],
        pool_sizes=settings["pool_sizes"],
        groups=settings["groups"],
        split=split,
        encoder=settings["encoder"],
        baseline=best.label,
        headroom=False,
        seeds=(settings["seed"],),
    )
    notes = [*found.notes, *_not_blind(study)]
    if best.label not in others[:1]:
        notes.append(f"{TUNED} is {best.label}")
        found = found.renamed(best.label, TUNED)
    return found.with_info(notes=notes, tuned=best.label)


def _not_blind(study: Study) -> list[str]:
    """What to say where test was read before the last trials were run."""
    reads = study.user_attrs.get(TEST_READS, {})
    if len(reads) < 2:
        return []
    asked = ", ".join(f"{n} trials ({label})" for n, label in reads.items())
    return [f"test has been read after {asked}: what was chosen after the first was not chosen blind"]
