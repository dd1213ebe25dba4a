"""recroute: LLM routing as collaborative filtering.

Prompts are instances, LLMs are items, and evaluated answers are interactions in a sparse matrix. All public names are
available here. Each is imported when it is first used, so that `import recroute` stays fast.

>>> import recroute as rr
>>> rr.make_router("svd", n_factors=2).label
'svd(n_factors=2)'
"""

from __future__ import annotations

from importlib import import_module

from recroute._version import __version__

TYPE_CHECKING = False  # not from typing, whose import would delay the handling of Ctrl-C in the command line
if TYPE_CHECKING:
    from typing import Any

    from recroute.attempts import Cascade, cascade
    from recroute.coldstart import LLMPrior, coldstart, expect, next_anchors, select_anchors
    from recroute.data import (
        Dataset,
        IdMap,
        InteractionMatrix,
        Preferences,
        Records,
        leaderboard,
        llm_means,
        read_dataset,
        write_dataset,
    )
    from recroute.data.doctor import diagnose
    from recroute.data.feedback import Feedback, read_feedback
    from recroute.data.sources import simulate
    from recroute.encoders import SentenceEncoder, register_encoder
    from recroute.errors import RecrouteError
    from recroute.evaluation.card import router_card
    from recroute.evaluation.curves import plot_growth
    from recroute.evaluation.evaluation import Evaluation
    from recroute.evaluation.fitted import evaluate_fitted
    from recroute.evaluation.frontier import frontier
    from recroute.evaluation.frontier_result import Frontier
    from recroute.evaluation.learning import LearningCurve, learning_curve
    from recroute.evaluation.run import evaluate, scale
    from recroute.evaluation.run_folder import read_run, write_run
    from recroute.experiment.prepare import prepare_split
    from recroute.offpolicy import Logs, OffPolicy, off_policy, read_logs, simulate_logs
    from recroute.pool_choice import PoolChoice, choose_pool
    from recroute.pools import make_pools
    from recroute.report.shown import write_html
    from recroute.routers import Ranking, Router, load_router, make_router, register_router, router_names
    from recroute.routers.estimator import mean_score
    from recroute.routers.llm_map import LLMMap, llm_map
    from recroute.routers.spark import fit_als_on_spark
    from recroute.routers.sums.fit import fit_from_sums, taken_in
    from recroute.routers.sums.spark import fit_on_spark
    from recroute.splits import Split, split_dataset
    from recroute.tuning import Tuned, tune

_HOMES = {
    "recroute.attempts": ("Cascade", "cascade"),
    "recroute.coldstart": ("LLMPrior", "coldstart", "expect", "next_anchors", "select_anchors"),
    "recroute.data": (
        "Dataset",
        "IdMap",
        "InteractionMatrix",
        "Preferences",
        "Records",
        "leaderboard",
        "llm_means",
        "read_dataset",
        "write_dataset",
    ),
    "recroute.data.doctor": ("diagnose",),
    "recroute.data.feedback": ("Feedback", "read_feedback"),
    "recroute.data.sources": ("simulate",),
    "recroute.encoders": ("SentenceEncoder", "register_encoder"),
    "recroute.errors": ("RecrouteError",),
    "recroute.evaluation.card": ("router_card",),
    "recroute.evaluation.curves": ("plot_growth",),
    "recroute.evaluation.evaluation": ("Evaluation",),
    "recroute.evaluation.fitted": ("evaluate_fitted",),
    "recroute.evaluation.frontier": ("frontier",),
    "recroute.evaluation.frontier_result": ("Frontier",),
    "recroute.evaluation.learning": ("LearningCurve", "learning_curve"),
    "recroute.evaluation.run": ("evaluate", "scale"),
    "recroute.evaluation.run_folder": ("read_run", "write_run"),
    "recroute.experiment.prepare": ("prepare_split",),
    "recroute.offpolicy": ("Logs", "OffPolicy", "off_policy", "read_logs", "simulate_logs"),
    "recroute.pools": ("make_pools",),
    "recroute.report.shown": ("write_html",),
    "recroute.routers": ("Ranking", "Router", "load_router", "make_router", "register_router", "router_names"),
    "recroute.routers.estimator": ("mean_score",),
    "recroute.routers.llm_map": ("LLMMap", "llm_map"),
    "recroute.routers.spark": ("fit_als_on_spark",),
    "recroute.routers.sums.fit": ("fit_from_sums", "taken_in"),
    "recroute.routers.sums.spark": ("fit_on_spark",),
    "recroute.splits": ("Split", "split_dataset"),
    "recroute.pool_choice": ("PoolChoice", "choose_pool"),
    "recroute.tuning": ("Tuned", "tune"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Cascade",
    "Dataset",
    "Evaluation",
    "Feedback",
    "Frontier",
    "IdMap",
    "InteractionMatrix",
    "LLMMap",
    "LLMPrior",
    "LearningCurve",
    "Logs",
    "OffPolicy",
    "PoolChoice",
    "Preferences",
    "Ranking",
    "Records",
    "RecrouteError",
    "Router",
    "SentenceEncoder",
    "Split",
    "Tuned",
    "__version__",
    "cascade",
    "choose_pool",
    "coldstart",
    "diagnose",
    "evaluate",
    "evaluate_fitted",
    "expect",
    "fit_als_on_spark",
    "fit_from_sums",
    "fit_on_spark",
    "frontier",
    "leaderboard",
    "learning_curve",
    "llm_map",
    "llm_means",
    "load_router",
    "make_pools",
    "make_router",
    "mean_score",
    "next_anchors",
    "off_policy",
    "plot_growth",
    "prepare_split",
    "read_dataset",
    "read_feedback",
    "read_logs",
    "read_run",
    "register_encoder",
    "register_router",
    "router_card",
    "router_names",
    "scale",
    "select_anchors",
    "simulate",
    "simulate_logs",
    "split_dataset",
    "taken_in",
    "tune",
    "write_dataset",
    "write_html",
    "write_run",
]


if not TYPE_CHECKING:  # a type checker reads the imports above, and knows what is misspelt

    def __getattr__(name: str) -> Any:
        if name not in _HOME_OF:
            raise AttributeError(f"module 'recroute' has no attribute {name!r}")
        return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
