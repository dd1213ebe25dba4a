"""RouterEval's reference scores, and the choice of the reference for a test set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.errors import UnknownNameError

# Published scores of strong LLMs by benchmark, the denominators of V_R in RouterEval (arXiv 2503.10657).
REFERENCE_SCORES = {
    "arc": 0.852,
    "hellaswag": 0.953,
    "mmlu": 0.864,
    "truthfulqa": 0.669,
    "winogrande": 0.875,
    "gsm8k": 0.92,
    "ifeval": 0.7689,
    "bbh": 0.8303,
    "gpqa": 0.397,
    "math": 0.4,
    "musr": 0.699,
    "mmlu_pro": 0.637,
}


def reference_scores(test: Dataset, reference: str | None) -> NDArray[np.float64]:
    """Score f64 (n,) of the reference on each test instance; NaN where there is none.

    Parameters
    ----------
    test : Dataset
        With all LLMs, including those outside the pool.
    reference : str, optional
        A number, a benchmark in `REFERENCE_SCORES`, or an LLM of the data set. Default: the scores of the instances'
        benchmarks (or tasks), if the table has all of them.

    Raises
    ------
    UnknownNameError
        If `reference` is something else.
    """
    n = test.n_instances
    if reference is None:
        column = "benchmark" if "benchmark" in test.instances.columns else "task"
        names = test.instances[column].to_list()
        if set(names) <= set(REFERENCE_SCORES):
            return np.array([REFERENCE_SCORES[name] for name in names])
        return np.full(n, np.nan)
    if reference in REFERENCE_SCORES:
        return np.full(n, REFERENCE_SCORES[reference])
    if reference in test.llm_ids:
        return test.take_llms(test.llm_ids.to_index([reference])).interactions.dense()[:, 0].astype(np.float64)
    try:
        return np.full(n, float(reference))
    except ValueError:
        known = [*REFERENCE_SCORES, *test.llm_ids]
        raise UnknownNameError("reference", reference, known, where=" (a number, a benchmark or an LLM)") from None
