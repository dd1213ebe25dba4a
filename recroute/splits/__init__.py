"""Train, validation and test: by instance, stratified by task, repeated prompts kept together."""

from recroute.splits.by_instance import SPLITS, split_dataset
from recroute.splits.split import Split

__all__ = ["SPLITS", "Split", "split_dataset"]
