"""Train, validation and test: by instance, stratified by task, repeated prompts kept together; or one task held out."""

from recroute.splits.by_instance import SPLITS, split_dataset
from recroute.splits.fraction import take_train_fraction
from recroute.splits.holdout import HOLDOUTS, holdout_splits
from recroute.splits.split import Split

__all__ = ["HOLDOUTS", "SPLITS", "Split", "holdout_splits", "split_dataset", "take_train_fraction"]
