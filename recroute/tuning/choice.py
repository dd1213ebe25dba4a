"""Choice of a pipeline from the finished trials of a study, and importances of what was searched."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from recroute.errors import RouterError, argument
from recroute.routers import Router, make_router
from recroute.tuning.trials import ERROR, FOLDS, LABEL, LIMIT, completed, is_finished, n_judged, rank, unfinished

MIN_TRIALS = 8  # completed trials required to compute importances


def choose(study: Study, default: str) -> tuple[Router, list[str]]:
    """Choose the best pipeline of a study by its first metric.

    The best of many trials is ahead partly by chance, so it replaces the default only if it is ahead by more than one
    standard error of the difference over folds.
    Source: Breiman et al., Classification and Regression Trees, 1984 (the one-standard-error rule).

    Parameters
    ----------
    study : Study
    default : str
        Label of the pipeline that is kept unless another is clearly better.

    Returns
    -------
    router : Router
        The chosen pipeline, not fitted.
    notes : list of str
        How it was chosen.

    Raises
    ------
    RouterError
        If no trial was completed; the message is the error of the first failed trial.
    """
    trials = completed(study)
    if not trials:
        raise RouterError(_why_none(study))
    best = min(trials, key=partial(rank, study))
    first = next((trial for trial in trials if trial.user_attrs.get(LABEL) == default), None)
    label = str(best.user_attrs[LABEL])
    value = f"{label} is the best of {len(trials)} trials judged on all folds ({best.values[0]:.4f})"
    if first is None or first.number == best.number:
        return make_router(label), [value]
    gain, error = _lead(study, best, first)
    against = f"ahead of the default {default} ({first.values[0]:.4f}) by {gain:.4f}, standard error {error:.4f}"
    if gain > error or len(study.directions) > 1:
        return make_router(label), [f"{value}, {against}"]
    return make_router(default), [
        f"the default {default} is kept: {value}, but {against}, which is within one standard error over folds"
    ]


def _why_none(study: Study) -> str:
    """Why no trial of a study is judged on all folds, and what to do."""
    trials = study.get_trials(deepcopy=False)
    if failed := [trial.user_attrs[ERROR] for trial in trials if ERROR in trial.user_attrs]:
        return str(failed[0])
    if over := [trial.user_attrs[LIMIT] for trial in trials if is_finished(trial) and LIMIT in trial.user_attrs]:
        return (
            f"no trial was finished within its time limit of {over[0]:,.1f} s; begin another study with a longer "
            f"{argument('trial_timeout')}"
        )
    longest = max(unfinished(study), key=n_judged, default=None)
    if longest is None:
        return f"no trial was finished; run it again to resume, with a longer {argument('timeout')} if there is one"
    folds = "fold" if (n := n_judged(longest)) == 1 else "folds"
    return (
        f"no trial was finished: {longest.user_attrs[LABEL]} was stopped after {n} {folds}; the same command with a "
        f"longer {argument('timeout')} resumes it"
    )


def _lead(study: Study, one: FrozenTrial, other: FrozenTrial) -> tuple[float, float]:
    """Mean lead of one trial over another in the first metric, and its standard error over folds."""
    sign = 1 if study.directions[0] == StudyDirection.MAXIMIZE else -1
    pairs = zip(one.user_attrs[FOLDS], other.user_attrs[FOLDS], strict=True)
    ahead = [sign * (mine[0] - theirs[0]) for mine, theirs in pairs]
    error = np.std(ahead, ddof=1) / np.sqrt(len(ahead)) if len(ahead) > 1 else 0.0
    return float(np.mean(ahead)), float(error)


def best_of_each(study: Study) -> list[str]:
    """Label of the best trial of each router, in the order of the routers' first trials."""
    by_router: dict[str, list[FrozenTrial]] = {}
    for trial in completed(study):
        by_router.setdefault(trial.params.get("router", ""), []).append(trial)
    return [str(min(trials, key=partial(rank, study)).user_attrs[LABEL]) for trials in by_router.values()]


def front(study: Study) -> list[Router]:
    """Pareto front of a study with two metrics, sorted by the first; empty with one metric."""
    if len(study.directions) < 2:
        return []
    labels = [str(trial.user_attrs[LABEL]) for trial in sorted(study.best_trials, key=partial(rank, study))]
    return [make_router(label) for label in dict.fromkeys(labels)]


def best_so_far(study: Study) -> str:
    """Status line with the best completed trial."""
    if not (trials := completed(study)):
        return "no trial finished yet"
    best = min(trials, key=partial(rank, study))
    return f"best {best.values[0]:.4f} {best.user_attrs[LABEL]}"


def importances(study: Study) -> dict[str, dict[str, float]]:
    """Shares of the variance of the first metric over the completed trials.

    The choice of router explains the variance between routers. The importances of hyperparameters are computed within
    each router by functional ANOVA, because other routers do not have them. Groups with fewer than `MIN_TRIALS` trials
    or without variance, such as by a number of factors that no pool has, are left out.
    Source: Hutter et al., An efficient approach for assessing hyperparameter importance, ICML 2014.

    Returns
    -------
    dict of str to dict of str to float
        "all routers" or a router's name to shares, which sum to 1.
    """
    trials = completed(study)
    shares = {}
    names = list(dict.fromkeys(trial.params.get("router", "") for trial in trials))
    if len(names) > 1 and len(trials) >= MIN_TRIALS:
        share = _between(trials)
        shares["all routers"] = {"which router": share, "its hyperparameters": 1 - share}
    for name in names:
        own = [trial for trial in trials if trial.params.get("router", "") == name]
        common = sorted(set.intersection(*(set(trial.params) for trial in own)) - {"router"})
        varying = [key for key in common if len({trial.params[key] for trial in own}) > 1]
        values = [trial.values[0] for trial in own]
        if len(own) >= MIN_TRIALS and varying and not np.allclose(values, values[0], rtol=1e-9, atol=0):
            title = name or varying[0].split(".")[0]
            shares[title] = _anova(study, varying, title)
    return shares


def _anova(study: Study, parameters: list[str], prefix: str) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shares = get_param_importances(
            study, evaluator=FanovaImportanceEvaluator(seed=0), params=parameters, target=lambda t: t.values[0]
        )
    return {key.removeprefix(f"{prefix}."): float(share) for key, share in shares.items()}


def _between(trials: list[FrozenTrial]) -> float:
    """Share of the variance of the first metric that lies between routers (eta squared)."""
    value = np.array([trial.values[0] for trial in trials])
    _, code = np.unique([trial.params["router"] for trial in trials], return_inverse=True)
    mean = np.bincount(code, value) / np.bincount(code)
    total = float(((value - value.mean()) ** 2).sum())
    return float(((mean[code] - value.mean()) ** 2).sum()) / total if total > 0 else 0.0
