"""`TuneSettings`: settings of a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recroute.errors import DataError, UnknownNameError, argument
from recroute.evaluation.settings import POOL_SIZES
from recroute.experiment.protocol import DATA, RUNNING, SplitSettings
from recroute.metrics import METRICS
from recroute.pools import GROUPS, ROUTEREVAL_GROUPS
from recroute.tuning.space import ROUTERS
from recroute.tuning.storage import is_in_memory, read_url, without_password
from recroute.util.arguments import LARGEST_SEED
from recroute.util.settings import setting

# Settings that must be equal in all runs of a study; split and search space are compared by their content.
SHARED = ("metrics", "pool_sizes", "groups", "n_folds", "encoder", "prune", "seed")

MEDIANS, MIN_LIMIT = 10, 60  # default time limit of a trial: in medians of the completed trials, and its minimum in s


@dataclass(frozen=True, kw_only=True)
class TuneSettings(SplitSettings):
    """Settings of `tune`. Raises DataError or UnknownNameError for invalid or contradictory values."""

    routers: Sequence[str] = setting(
        (),
        option="--router",
        repeated=True,
        help="Router to search; repeat for several. Hyperparameters in a label such as 'svd(bridge=kernel)' stay "
        f"fixed. Default: {', '.join(ROUTERS)}.",
    )
    n_trials: int = setting(60, low=1, option="--trials", help="Number of trials in the study.", panel=RUNNING)
    metrics: Sequence[str] = setting(
        ("mean_score",),
        option="--metric",
        repeated=True,
        help="Objective, averaged over folds, groups and pool sizes; give two for a Pareto front.",
    )
    space: Path | str | None = setting(None, help="TOML file that overrides the packaged search spaces.")
    pool_sizes: Sequence[int] = setting(POOL_SIZES, low=1, help="Pool sizes: numbers of LLMs to choose from.")
    groups: Sequence[str] = setting(ROUTEREVAL_GROUPS, help=f"How to draw pools: any of {', '.join(GROUPS)}.")
    n_folds: int = setting(5, low=2, option="--folds", help="Number of cross-validation folds.")
    prune: bool = setting(
        True, help="Stop trials early that are unlikely to win; never with two metrics.", panel=RUNNING
    )
    storage: str | None = setting(
        None,
        help="Optuna storage, such as sqlite:///study.db or postgresql://..., to share a study between machines. "
        "Default: a journal file in the study folder.",
        panel=RUNNING,
    )
    study_name: str | None = setting(
        None, option="--study", help="Name of the study in the storage. Default: the folder's name.", panel=RUNNING
    )
    n_jobs: int = setting(1, low=1, option="--jobs", help="Worker processes on this machine.", panel=RUNNING)
    timeout: float | None = setting(
        None,
        low=0,
        help="Time limit of the search in seconds: trials in progress are stopped, and the best of the others is "
        "evaluated on test.",
        panel=RUNNING,
    )
    trial_timeout: float | None = setting(
        None,
        low=0,
        help="Time limit of a trial in seconds; a longer one is stopped and counts as pruned. Default: "
        f"{MEDIANS} times the median of the completed trials, but at least {MIN_LIMIT} s.",
        panel=RUNNING,
    )
    seed: int = setting(
        0, low=0, high=LARGEST_SEED, help="Random seed of split, folds, pools, routers and sampler.", panel=DATA
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= len(self.metrics) <= 2 or len(set(self.metrics)) < len(self.metrics):
            raise DataError(f"{len(self.metrics)} metrics ({', '.join(self.metrics)}); give one, or two different ones")
        for metric in self.metrics:
            if metric not in METRICS:
                raise UnknownNameError("metric", metric, METRICS)
            if not METRICS[metric].better:
                known = ", ".join(name for name, known in METRICS.items() if known.better)
                raise DataError(f"{metric} has no better direction and cannot be optimised; choose one of {known}")
        for group in self.groups:
            if group not in GROUPS:
                raise UnknownNameError("group", group, GROUPS)
        if not self.pool_sizes:
            raise DataError("no pool size is given; give at least one, such as 10")
        if self.storage is not None and is_in_memory(read_url(self.storage)) and self.n_jobs > 1:
            raise DataError(
                f"{argument('storage', self.storage)} is in memory and cannot be shared by {self.n_jobs} processes; "
                f"use {argument('n_jobs', 1, option='jobs')}, or a file such as sqlite:///study.db"
            )

    def shared(self) -> dict[str, Any]:
        """Values of the settings that must be equal in all runs of a study."""
        storage = without_password(self.storage) if self.storage else "journal"
        values = {name: getattr(self, name) for name in SHARED}
        return {**values, "encoder": getattr(self.encoder, "name", self.encoder), "storage": storage}
