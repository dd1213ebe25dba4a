"""Search for the best pipeline: spaces as TOML, an Optuna study that can be stopped and shared, an honest report."""

from recroute.tuning.search import Tuned, tune
from recroute.tuning.space import Space, read_space

__all__ = ["Space", "Tuned", "read_space", "tune"]
