"""From a data set and routers to a table of metrics with intervals: on the whole pool, and as the pool grows."""

from recroute.evaluation.card import router_card
from recroute.evaluation.evaluation import Evaluation
from recroute.evaluation.fitted import evaluate_fitted
from recroute.evaluation.frontier import frontier
from recroute.evaluation.frontier_result import Frontier
from recroute.evaluation.learning import LearningCurve, learning_curve
from recroute.evaluation.run import evaluate, scale
from recroute.evaluation.run_folder import read_run, write_run
from recroute.experiment.prepare import prepare_split
from recroute.experiment.reference import REFERENCE_SCORES

__all__ = [
    "REFERENCE_SCORES",
    "Evaluation",
    "Frontier",
    "LearningCurve",
    "evaluate",
    "evaluate_fitted",
    "frontier",
    "learning_curve",
    "prepare_split",
    "read_run",
    "router_card",
    "scale",
    "write_run",
]
