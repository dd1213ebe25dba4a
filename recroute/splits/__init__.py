"""Training, validation and test splits: by instance, by held-out task or benchmark, and cross-validation folds."""

from recroute.splits.by_instance import SPLITS, split_dataset
from recroute.splits.folds import Fold, make_folds
from recroute.splits.holdout import HOLDOUTS, holdout_splits
from recroute.splits.split import Split, take_train_fraction

__all__ = [
    "HOLDOUTS",
    "SPLITS",
    "Fold",
    "Split",
    "holdout_splits",
    "make_folds",
    "split_dataset",
    "take_train_fraction",
]
