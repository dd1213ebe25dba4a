"""recroute off-policy: what other routers would have scored on logged traffic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recroute.cli.experiment import Asked, experiment
from recroute.cli.options import Option, complete_router
from recroute.data import read_dataset
from recroute.errors import RecrouteError
from recroute.offpolicy.experiment import OffPolicySettings, measure
from recroute.offpolicy.logs import read_logs
from recroute.routers import Router, load_router, make_router

LOGS = Option(
    "logs",
    list[Path],
    help="Logs (parquet, csv, jsonl): instance_id, llm_id, score, propensity and, unless --dataset has them, prompt. "
    "Or the folders where servers (recroute serve) keep feedback.",
    is_argument=True,
    metavar="LOGS...",
)
ROUTERS = Option(
    "router",
    list[str],
    help="Folder of a fitted router, or a registry name, which is fitted across folds of the logs; repeated.",
    complete=complete_router,
)
KNOWN = Option("dataset", Path | None, None, help="Where the logged instances' prompts, tasks and vectors are.")
REWARD_MODEL = Option(
    "reward_model",
    str | None,
    None,
    help="Router that predicts scores for the doubly robust estimate. Default: calibrated; without text best_single.",
)


@experiment(OffPolicySettings, LOGS, ROUTERS, KNOWN, REWARD_MODEL, min_coverage=False)
def off_policy(asked: Asked) -> None:
    """Estimate other routers' mean score from a log of one router's choices, their probabilities and their scores.

    Example: recroute off-policy logs.parquet --router my_router --router hierarchy
    """
    chosen = asked.chosen
    folder, names, reward_model = chosen.dataset, chosen.router, chosen.reward_model
    asked.check(folder, *map(Path, names))
    settings, routers = asked.settings, _routers(names)
    model = None if reward_model is None else _router(reward_model)
    _ = asked.digests  # of the logs as they are read now
    logs, known = read_logs(*chosen.logs), None if folder is None else read_dataset(folder)
    with asked.progress(f"estimating from {logs.source}") as progress:
        found = measure(settings, logs, routers, known=known, reward_model=model, progress=progress)
    asked.conclude(found)


def _routers(names: Sequence[str]) -> dict[str, Router]:
    """Fitted routers by the name of their folder, others by their label."""
    found: dict[str, Router] = {}
    for name in names:
        router = _router(name)
        label = router.label if not Path(name).is_dir() else Path(name).resolve().name
        if label in found:
            raise RecrouteError(f"two routers are called {label!r}; name each once, and folders differently")
        found[label] = router
    return found


def _router(name: str) -> Router:
    return load_router(name) if Path(name).is_dir() else make_router(name)
