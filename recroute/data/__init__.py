"""Evaluated answers and preferences as data: records, id maps, the three-state matrix, data sets, their folder."""

from recroute.data.dataset import Dataset
from recroute.data.encoding import Encoder, Precomputed
from recroute.data.folder import read_dataset, write_dataset
from recroute.data.ids import IdMap
from recroute.data.matrix import InteractionMatrix
from recroute.data.means import Leaderboard, leaderboard, llm_means, task_means
from recroute.data.preferences import Preferences
from recroute.data.prompts import Prompts, prompt_groups
from recroute.data.records import Records

__all__ = [
    "Dataset",
    "Encoder",
    "IdMap",
    "InteractionMatrix",
    "Leaderboard",
    "Precomputed",
    "Preferences",
    "Prompts",
    "Records",
    "leaderboard",
    "llm_means",
    "prompt_groups",
    "read_dataset",
    "task_means",
    "write_dataset",
]
