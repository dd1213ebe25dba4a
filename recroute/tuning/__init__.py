"""Search for the best pipeline: spaces as TOML, an Optuna study that can be stopped and shared, an honest report."""

from recroute.tuning.search import tune
from recroute.tuning.space import Space, read_space
from recroute.tuning.tuned import Tuned

__all__ = ["Space", "Tuned", "read_space", "tune"]
