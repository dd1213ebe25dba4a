"""How much of what trials differ in is due to each thing that was searched."""

from __future__ import annotations

import warnings

import numpy as np
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.study import Study
from optuna.trial import FrozenTrial

from recroute.tuning.trials import completed

MIN_TRIALS = 8  # completed trials that a forest can be fitted to


def importances(study: Study) -> dict[str, dict[str, float]]:
    """Shares of the variance of the first metric over completed trials; within a router by functional ANOVA.

    Which router it is explains the variance between routers; hyperparameters are judged over the trials with their
    router, because they exist only there. What fewer than `MIN_TRIALS` trials tell about is left out.
    Source: Hutter et al., An efficient approach for assessing hyperparameter importance, ICML 2014.

    Returns
    -------
    dict of str to dict of str to float: "all routers" or a router's name to shares, which sum to 1
    """
    trials = completed(study)
    found = {}
    names = list(dict.fromkeys(trial.params.get("router", "") for trial in trials))
    if len(names) > 1 and len(trials) >= MIN_TRIALS:
        share = _between(trials)
        found["all routers"] = {"which router": share, "its hyperparameters": 1 - share}
    for name in names:
        own = [trial for trial in trials if trial.params.get("router", "") == name]
        shared = sorted(set.intersection(*(set(trial.params) for trial in own)) - {"router"})
        varying = [key for key in shared if len({trial.params[key] for trial in own}) > 1]
        if len(own) >= MIN_TRIALS and varying:
            title = name or varying[0].split(".")[0]
            found[title] = _anova(study, varying, title)
    return found


def _anova(study: Study, parameters: list[str], prefix: str) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shares = get_param_importances(
            study, evaluator=FanovaImportanceEvaluator(seed=0), params=parameters, target=lambda t: t.values[0]
        )
    return {key.removeprefix(f"{prefix}."): float(share) for key, share in shares.items()}


def _between(trials: list[FrozenTrial]) -> float:
    """Share of the variance of the first metric that lies between routers, not within them (eta squared)."""
    value = np.array([trial.values[0] for trial in trials])
    _, code = np.unique([trial.params["router"] for trial in trials], return_inverse=True)
    mean = np.bincount(code, value) / np.bincount(code)
    total = float(((value - value.mean()) ** 2).sum())
    return float(((mean[code] - value.mean()) ** 2).sum()) / total if total > 0 else 0.0
