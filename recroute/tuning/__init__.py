"""Search for the best pipeline: TOML search spaces, resumable Optuna studies, and a report with test results."""

from recroute.tuning.search import tune
from recroute.tuning.space import Space, read_space
from recroute.tuning.tuned import Tuned

__all__ = ["Space", "Tuned", "read_space", "tune"]
