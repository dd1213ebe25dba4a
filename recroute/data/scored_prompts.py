"""A data set from prompts and a matrix of scores, the X and y of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from recroute.data.dataset import Dataset
from recroute.data.encoding import Precomputed
from recroute.data.matrix import InteractionMatrix
from recroute.data.prompts import TEXT_KINDS
from recroute.data.records import id_table, with_task
from recroute.errors import DataError
from recroute.util.arguments import as_texts
from recroute.util.mapped import MappedRows


def as_dataset(instances: Any, scores: Any = None, llm_ids: Any = None) -> Dataset:
    """A data set as it is, or one made of prompts and their scores.

    Parameters
    ----------
    instances : Dataset, or with `scores` a list of n texts or vectors f32 (n, d)
    scores : (n, m), optional
        As `Dataset.from_matrix` takes them.
    llm_ids : list of str, optional
        Names of the columns. Default: the columns of a table, or llm_0, llm_1, and so on.

    Raises
    ------
    DataError
        If prompts, scores and ids do not fit together, or a data set comes with either.

    Examples
    --------
    >>> as_dataset(["What is 2 + 2?", "Translate it."], [[1, 0], [0, 1]]).llm_ids.ids
    ('llm_0', 'llm_1')
    """
    if isinstance(instances, Dataset):
        if scores is not None or llm_ids is not None:
            raise DataError(f"{instances.name} has scores and LLM ids of its own; leave out scores and llm_ids")
        return instances
    if scores is None:
        raise DataError(
            f"the training data is a {type(instances).__name__} without scores; give Dataset, or prompts and a matrix "
            "of scores (n, m)"
        )
    matrix = InteractionMatrix.from_matrix(scores)
    n, m = matrix.shape
    names = getattr(scores, "columns", [f"llm_{j}" for j in range(m)]) if llm_ids is None else llm_ids
    is_array = isinstance(instances, np.ndarray | MappedRows) and instances.dtype.kind not in TEXT_KINDS
    texts = None if is_array else as_texts(instances, "prompts")
    if (given := len(instances if texts is None else texts)) != n:
        raise DataError(f"{given} prompts for {n} rows of scores; give a row for each prompt")
    columns = {"instance_id": [str(i) for i in range(n)]} | ({} if texts is None else {"prompt": texts})
    data = Dataset("the prompts", matrix, with_task(pl.DataFrame(columns)), id_table(names, "llm_id", m))
    return data.with_embeddings(instances, Precomputed("given")) if texts is None else data
