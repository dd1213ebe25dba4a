"""Off-policy evaluation: what other routers would have scored on logged traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.data.prompts import normalised
from recroute.errors import DataError, UnknownNameError
from recroute.experiment.compare import holm, two_sided_p
from recroute.experiment.provenance import environment
from recroute.offpolicy.crossfit import folds_with_vectors, is_fitted, out_of_fold
from recroute.offpolicy.estimators import Estimate, doubly_robust, ips, snips
from recroute.offpolicy.logs import Logs
from recroute.offpolicy.overlap import Overlap
from recroute.offpolicy.policy import choice_probabilities
from recroute.offpolicy.result import LOGGED, PAIR_COLUMNS, ROW_COLUMNS, OffPolicy
from recroute.routers import Router, as_router, as_routers
from recroute.util.arguments import as_whole_number, checked
from recroute.util.numeric import Array

Progress = Callable[[int, int], None]
REWARD_MODEL, WITHOUT_TEXT = "calibrated", "best_single"


@checked
def off_policy(
    logs: Logs,
    routers: Mapping[str, Router] | Iterable[Router | str],
    *,
    known: Dataset | None = None,
    reward_model: Router | str | None = None,
    encoder: str = "auto",
    epsilon: float = 0.0,
    temperature: float = 0.0,
    n_folds: int = 5,
    seed: int = 0,
    progress: Progress | None = None,
) -> OffPolicy:
    """Estimate the mean score of routers that did not make the logged choices, three ways, with 95% intervals.

    Parameters
    ----------
    logs : Logs
    routers : list of Router or str, or mapping from names to them
        A fitted router is judged as it is. One that is not, or a registry name, is fitted on the logs themselves: for
        each fold of them on the others, so that no row is judged by a router that saw its score.
    known : Dataset, optional
        Where the logged instances' prompts, tasks and vectors are, if the logs lack them; see `Logs.dataset`.
    reward_model : Router or str, optional
        What predicts scores for the doubly robust estimate; fitted on the other folds of the logs, unless it is fitted
        already. Default: `calibrated`, or `best_single` where there is no text.
    encoder : {"auto", "precomputed", "tfidf", "sentence:MODEL"}
        Of the routers that are fitted on the logs, see `fit_encoder`.
    epsilon, temperature : float
        How the judged routers would explore, see `choice_probabilities`. Default: not at all.
    n_folds : int
    seed : int
        Of the folds and of the routers that are fitted.
    progress : callable, optional
        Called with the routers done and the routers in all, the reward model among them.

    Returns
    -------
    OffPolicy. Intervals are asymptotic, over instances; a router fitted on the logs is taken as given.

    Raises
    ------
    RecrouteError
        If there are fewer rows than folds, a name is unknown, or a router cannot be fitted or applied.
    """
    if not 2 <= as_whole_number(n_folds, "n_folds") <= len(logs):
        raise DataError(f"{n_folds} folds do not fit {logs.source} with {len(logs)} rows; take 2 to {len(logs)}")
    targets = _named(routers)
    more = [name for router in targets.values() if is_fitted(router) for name in router.llm_ids_]
    encoders = [router.encoder_ for router in targets.values() if is_fitted(router) and router.encoder_ is not None]
    data = logs.dataset(known, more, encoders)
    if reward_model is None:
        reward_model = WITHOUT_TEXT if data.prompts is None and data.embeddings is None else REWARD_MODEL
    model = as_router(reward_model)
    read_text = any(router.needs == "text" for router in (model, *targets.values()) if not is_fitted(router))
    folds = folds_with_vectors(data, n_folds, seed, encoder if read_text else None)
    done, n_steps = 1, len(targets) + 1
    predicted = out_of_fold(model, data, folds, seed, lambda router, part: _scores(router, part, data))

    def policy(router: Router, part: Dataset) -> Array:
        chosen = np.zeros((part.n_instances, data.n_llms))
        columns = data.llm_ids.to_index(list(router.llm_ids_))
        chosen[:, columns] = choice_probabilities(router, part, epsilon=epsilon, temperature=temperature)
        return chosen

    score = logs.table["score"].to_numpy().astype(np.float64)
    taken = data.llm_ids.to_index(logs.table["llm_id"])
    logged = Estimate(float(score.mean()), score - score.mean())
    rows = [_row(LOGGED, data, seed, "mean_score", logged, "mean")]
    pairs: list[dict[str, Any]] = []
    notes: list[str] = []
    for label, target in targets.items():
        if progress:
            progress(done, n_steps)
        chosen = out_of_fold(target, data, folds, seed, policy)
        weight = chosen[np.arange(len(logs)), taken] / logs.propensity
        overlap = Overlap.of(weight, chosen, np.bincount(taken, minlength=data.n_llms) > 0)
        for name, found in estimates(weight, score, taken, predicted, chosen).items():
            rows.append(_row(label, data, seed, "mean_score", found, name))
            pairs.append(_pair(label, data, found.minus(logged), name))
        for metric in ("effective_n", "largest_weight", "mean_weight", "never_logged"):
            rows.append(_row(label, data, seed, metric, getattr(overlap, metric), None))
        notes += [*overlap.warnings(label), *_seen_before(label, target, data)]
        done += 1
    info = {
        "dataset": {
            "name": logs.source,
            "n_instances": data.n_instances,
            "n_llms": data.n_llms,
            "n_records": len(logs),
            "simulated": bool(known is not None and known.card.get("simulated", False)),
        },
        "seed": seed,
        "notes": notes,
        "reward_model": model.label,
        "n_folds": n_folds,
        "epsilon": epsilon,
        "temperature": temperature,
        "environment": environment(),
    }
    return OffPolicy(pl.DataFrame(rows, schema=ROW_COLUMNS), _with_holm(pairs), info)


def estimates(
    weight: Array, score: Array, taken: NDArray[np.integer], predicted: Array, chosen: Array
) -> dict[str, Estimate]:
    """All three, by name.

    Parameters
    ----------
    weight, score : f64 (n,)
    taken : int (n,)
        Column of each logged LLM.
    predicted, chosen : f64 (n, m)
        Scores by the reward model, and the target's probabilities.
    """
    of_taken = predicted[np.arange(len(taken)), taken]
    expected = (chosen * predicted).sum(axis=1)
    return {
        "ips": ips(weight, score),
        "snips": snips(weight, score),
        "dr": doubly_robust(weight, score, of_taken, expected),
    }


def _named(routers: Mapping[str, Router] | Iterable[Router | str]) -> dict[str, Router]:
    """Routers by the name that the tables give them."""
    if isinstance(routers, Mapping):
        return {name: as_router(router) for name, router in routers.items()}
    made = as_routers(routers)
    found = {router.label: router for router in made}
    if not found or LOGGED in found or len(found) < len(made):
        raise DataError("name at least one router, and each once; give routers of one label names of their own")
    return found


def _scores(router: Router, part: Dataset, data: Dataset) -> Array:
    """Predicted scores f64 (n, m) in [0, 1] of all LLMs of the data."""
    try:
        return np.clip(router.score(part, list(data.llm_ids)), 0, 1).astype(np.float64)
    except UnknownNameError as error:
        raise DataError(f"the reward model {router.label} does not know every LLM of the logs: {error}") from None


def _seen_before(label: str, router: Router, data: Dataset) -> list[str]:
    """A warning if a router was, or may have been, fitted on logged prompts: there it looks better than it is."""
    if not is_fitted(router):
        return []
    if router.background_ is None:
        return [f"{label}: it does not tell what it was fitted on; if on logged prompts, it looks better than it is"]
    known = router.background_.prompts
    ids = set(known["instance_id"])
    seen = np.array([name in ids for name in data.instance_ids])
    if data.prompts is not None and "prompt" in known.columns:
        texts = {normalised(text) for text in known["prompt"]} - {""}
        seen |= np.array([normalised(text) in texts for text in data.prompts])
    if not seen.any():
        return []
    return [
        f"{label}: it was fitted on {seen.sum()} of the {len(seen)} logged prompts, where it looks better than it is; "
        "name it by its registry name, so that it is fitted on other rows than it is judged on"
    ]


def _row(
    router: str, data: Dataset, seed: int, metric: str, found: Estimate | float, estimator: str | None
) -> dict[str, Any]:
    value, (low, high) = (found.value, found.interval) if isinstance(found, Estimate) else (found, (None, None))
    return {
        "router": router,
        "group": "all",
        "pool_size": data.n_llms,
        "seed": seed,
        "metric": metric,
        "value": value,
        "ci_low": low,
        "ci_high": high,
        "n_instances": data.n_instances,
        "estimator": estimator,
    }


def _pair(router: str, data: Dataset, apart: Estimate, estimator: str) -> dict[str, Any]:
    low, high = apart.interval
    error = apart.standard_error
    return {
        "router": router,
        "baseline": LOGGED,
        "group": "all",
        "pool_size": data.n_llms,
        "metric": "mean_score",
        "value": apart.value,
        "ci_low": low,
        "ci_high": high,
        "p_value": two_sided_p(apart.value, np.array([apart.value - error, apart.value + error])),
        "n_instances": data.n_instances,
        "estimator": estimator,
    }


def _with_holm(pairs: list[dict[str, Any]]) -> pl.DataFrame:
    for name in {row["estimator"] for row in pairs}:
        family = [row for row in pairs if row["estimator"] == name]
        for row, p in zip(family, holm([row["p_value"] for row in family]), strict=True):
            row["p_holm"] = p
    return pl.DataFrame(pairs, schema=PAIR_COLUMNS)
