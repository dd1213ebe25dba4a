"""`off_policy`: estimates of what other routers would have scored on logged traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from recroute.data import Dataset
from recroute.data.prompts import normalised
from recroute.errors import DataError, UnknownNameError
from recroute.experiment.compare import two_sided_p, with_holm
from recroute.experiment.protocol import DATA, EncoderSettings, Progress
from recroute.experiment.run import Run
from recroute.offpolicy.crossfit import folds_with_vectors, is_fitted, out_of_fold
from recroute.offpolicy.estimators import Estimate, estimates
from recroute.offpolicy.logs import Logs
from recroute.offpolicy.overlap import OVERLAPS, Overlap
from recroute.offpolicy.policy import choice_probabilities
from recroute.offpolicy.result import LOGGED, PAIR_COLUMNS, ROW_COLUMNS, OffPolicy
from recroute.routers import Router, as_router, as_routers
from recroute.util.arguments import LARGEST_SEED, checked
from recroute.util.numeric import Array
from recroute.util.settings import setting, takes_settings

REWARD_MODEL, WITHOUT_TEXT = "calibrated", "best_single"


@dataclass(frozen=True, kw_only=True)
class OffPolicySettings(EncoderSettings):
    """Settings of `off_policy`."""

    epsilon: float = setting(0.0, low=0, high=1, help="Share of choices that the judged routers make uniformly.")
    temperature: float = setting(
        0.0, low=0, help="Temperature of the softmax that judged routers draw from; 0: they choose the best LLM."
    )
    n_folds: int = setting(5, low=2, help="Folds of the log for cross-fitting the routers.")
    seed: int = setting(
        0, low=0, high=LARGEST_SEED, help="Seed of the folds and of the routers that are fitted.", panel=DATA
    )


@checked
@takes_settings(OffPolicySettings)
def off_policy(
    logs: Logs,
    routers: Mapping[str, Router] | Iterable[Router | str],
    *,
    known: Dataset | None = None,
    reward_model: Router | str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> OffPolicy:
    """Estimate the mean score of routers that did not make the logged choices, by three estimators.

    Parameters
    ----------
    logs : Logs
    routers : list of Router or str, or mapping from names to them
        A fitted router is judged unchanged. One that is not fitted, or a registry name, is cross-fitted on the logs:
        for each fold it is fitted on the other folds, so that no row is judged by a router that saw its score.
    known : Dataset, optional
        Holds the prompts, tasks and vectors of the logged instances, if the logs lack them; see `Logs.dataset`.
    reward_model : Router or str, optional
        Predicts scores for the doubly robust estimate; cross-fitted on the logs unless it is already fitted. Default:
        `calibrated`, or `best_single` if there is no text.
    **settings
    progress : callable, optional
        Called with the number of routers done and the total number, both including the reward model.

    Returns
    -------
    OffPolicy. Its 95% intervals are asymptotic, over instances; they do not include the variation of a router that is
    fitted on the logs. After a KeyboardInterrupt, it has the routers that were finished.

    Raises
    ------
    RecrouteError
        If there are fewer rows than folds, a name is unknown, or a router cannot be fitted or cannot score the logs.
    """
    return measure(
        OffPolicySettings(**settings), logs, _named(routers), known=known, reward_model=reward_model, progress=progress
    )


def measure(
    settings: OffPolicySettings,
    logs: Logs,
    routers: Mapping[str, Router],
    *,
    known: Dataset | None = None,
    reward_model: Router | str | None = None,
    progress: Progress | None = None,
) -> OffPolicy:
    """`off_policy` with checked settings, for routers by the names that tables show."""
    data = _dataset(settings, logs, routers, known)
    if reward_model is None:
        reward_model = WITHOUT_TEXT if data.prompts is None and data.embeddings is None else REWARD_MODEL
    model = as_router(reward_model)
    read_text = any(router.needs == "text" for router in (model, *routers.values()) if not is_fitted(router))
    run = Run(data, [settings.seed], progress=progress)
    judge = _Judge(settings, logs, data, encoder=settings.encoder if read_text else None, reward_model=model)
    rows, pairs = [_row(LOGGED, "mean_score", judge.logged, "mean")], list[dict[str, Any]]()
    run.step(len(routers) + 1)
    with run.keeping("routers"):
        for label, router in routers.items():
            by_estimator, overlap = judge.judged(router)
            rows += [_row(label, "mean_score", estimate, name) for name, estimate in by_estimator.items()]
            rows += [_row(label, metric, getattr(overlap, metric), None) for metric in OVERLAPS]
            pairs += [_pair(label, estimate.minus(judge.logged), name) for name, estimate in by_estimator.items()]
            run.note(*overlap.warnings(label), *_seen_before(label, router, data))
            run.finished = [settings.seed]
            run.step(len(routers) + 1)
    info = run.info(
        {"simulated": bool(known is not None and known.card.get("simulated", False))},
        routers={label: {"name": router.name, **router.hyperparameters()} for label, router in routers.items()},
        reward_model=model.label,
        n_folds=settings.n_folds,
        epsilon=settings.epsilon,
        temperature=settings.temperature,
    )
    same = {"group": "all", "pool_size": data.n_llms, "n_instances": data.n_instances}
    table = pl.DataFrame([row | same | {"seed": settings.seed} for row in rows], schema=ROW_COLUMNS)
    return OffPolicy(
        table, info, pl.DataFrame([row | same for row in with_holm(pairs, ("estimator",))], schema=PAIR_COLUMNS)
    )


class _Judge:
    """Estimates the scores of routers from a log, with its folds and the reward model's cross-fitted predictions."""

    def __init__(
        self, settings: OffPolicySettings, logs: Logs, data: Dataset, *, encoder: str | Any | None, reward_model: Router
    ) -> None:
        self.settings, self.data, self.propensity = settings, data, logs.propensity
        self.score = logs.table["score"].to_numpy().astype(np.float64)
        self.taken = data.llm_ids.to_index(logs.table["llm_id"])
        self.logged = Estimate(float(self.score.mean()), self.score - self.score.mean())
        self.folds = folds_with_vectors(data, settings.n_folds, settings.seed, encoder)
        self.predicted = self._out_of_fold(reward_model, self._scores)

    def judged(self, router: Router) -> tuple[dict[str, Estimate], Overlap]:
        """All estimates of one router by name, and how far its choices overlap with the logged ones."""
        chosen = self._out_of_fold(router, self._policy)
        weight = chosen[np.arange(len(self.taken)), self.taken] / self.propensity
        was_logged = np.bincount(self.taken, minlength=self.data.n_llms) > 0
        by_estimator = estimates(weight, self.score, self.taken, self.predicted, chosen)
        return by_estimator, Overlap.of(weight, chosen, was_logged)

    def _out_of_fold(self, router: Router, predict: Callable[[Router, Dataset], Array]) -> Array:
        return out_of_fold(router, self.data, self.folds, self.settings.seed, predict)

    def _policy(self, router: Router, part: Dataset) -> Array:
        """Probabilities f64 (n, m) with which the router chooses each LLM of the data."""
        chosen = np.zeros((part.n_instances, self.data.n_llms))
        columns = self.data.llm_ids.to_index(list(router.llm_ids_))
        epsilon, temperature = self.settings.epsilon, self.settings.temperature
        chosen[:, columns] = choice_probabilities(router, part, epsilon=epsilon, temperature=temperature)
        return chosen

    def _scores(self, router: Router, part: Dataset) -> Array:
        """Predicted scores f64 (n, m) of all LLMs of the data, clipped to [0, 1]."""
        try:
            return np.clip(router.score(part, list(self.data.llm_ids)), 0, 1).astype(np.float64)
        except UnknownNameError as error:
            raise DataError(f"the reward model {router.label} does not know every LLM of the logs: {error}") from None


def _dataset(settings: OffPolicySettings, logs: Logs, routers: Mapping[str, Router], known: Dataset | None) -> Dataset:
    """The logs as a data set that also has the LLMs and the encoder of every fitted router."""
    if (n_folds := settings.n_folds) > len(logs):
        raise DataError(f"{n_folds} folds are too many for the {len(logs)} rows of {logs.source}; use 2 to {len(logs)}")
    fitted = [router for router in routers.values() if is_fitted(router)]
    encoders = [router.encoder_ for router in fitted if router.encoder_ is not None]
    return logs.dataset(known, [name for router in fitted for name in router.llm_ids_], encoders)


def _named(routers: Mapping[str, Router] | Iterable[Router | str]) -> dict[str, Router]:
    """Routers by the name that tables show."""
    if isinstance(routers, Mapping):
        return {name: as_router(router) for name, router in routers.items()}
    made = as_routers(routers)
    by_label = {router.label: router for router in made}
    if not by_label or LOGGED in by_label or len(by_label) < len(made):
        raise DataError("name at least one router, and each once; give routers with the same label different names")
    return by_label


def _seen_before(label: str, router: Router, data: Dataset) -> list[str]:
    """A warning if a router was, or may have been, fitted on logged prompts, where it looks better than it is."""
    if not is_fitted(router):
        return []
    if router.background_ is None:
        return [f"{label}: its training prompts are unknown; if some are in the log, it looks better than it is"]
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
        "give its registry name instead, so that it is fitted across folds of the log"
    ]


def _row(router: str, metric: str, found: Estimate | float, estimator: str | None) -> dict[str, Any]:
    value, (low, high) = (found.value, found.interval) if isinstance(found, Estimate) else (found, (None, None))
    ends = {"value": value, "ci_low": low, "ci_high": high}
    return {"router": router, "metric": metric, "estimator": estimator, **ends}


def _pair(router: str, apart: Estimate, estimator: str) -> dict[str, Any]:
    one_deviation = apart.value + np.array([-1, 1]) * apart.standard_error
    p_value = two_sided_p(apart.value, one_deviation)
    return {**_row(router, "mean_score", apart, estimator), "baseline": LOGGED, "p_value": p_value}
