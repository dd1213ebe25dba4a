"""What a router scores: a data set, prompts, or vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.data.vectors import as_vectors
from recroute.errors import RouterError
from recroute.util.arguments import as_list

Instances = Dataset | Sequence[str] | NDArray[np.float32]
TEXT_KINDS = "OUST"  # of arrays: objects, and texts in their several forms


def read_instances(instances: Any) -> Dataset | list[str] | NDArray[np.float32]:
    """Instances as routers read them: a data set, a list of prompts, or vectors f32 (b, d).

    One prompt, or one vector, counts as a list of one. Raises RecrouteError for anything else than prompts, and
    RouterError for vectors that `as_vectors` refuses.
    """
    if isinstance(instances, Dataset):
        return instances
    if isinstance(instances, np.ndarray) and instances.dtype.kind not in TEXT_KINDS and instances.shape != (0,):
        return as_vectors(np.atleast_2d(instances), "the vectors", error=RouterError)
    return as_list(instances, "prompts", str, "texts, a data set, or an array of vectors")


def n_instances(instances: Instances) -> int:
    """How many there are."""
    return instances.n_instances if isinstance(instances, Dataset) else len(instances)
