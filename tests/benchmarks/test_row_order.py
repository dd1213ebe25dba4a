"""Opt-in: `pytest tests/benchmarks/test_row_order.py -s`. A tenth of all 6,349 LLMs of openllm1 in rank order.

Many of them have one task or guess, and nothing can tell the order of those; the doctor has to name them as such.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recroute.data import InteractionMatrix, read_dataset
from recroute.data.doctor._order import Order
from recroute.data.doctor.row_order import check_row_order, find_reordered, restore


@pytest.mark.realdata
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("by_task", [True, False])
def test_tenth_of_all_llms(real: Path, by_task: bool, seed: int) -> None:
    """Nobody is accused who is sound, and who is missed is named as one whose order cannot be told."""
    whole = read_dataset(real / "openllm1")
    sound = whole.interactions.dense()
    task = np.unique(whole.tasks, return_inverse=True)[1].astype(np.int64)
    rng = np.random.default_rng(seed)
    scores = sound.copy()
    affected = rng.choice(whole.n_llms, whole.n_llms // 10, replace=False)
    for j in affected:
        rows = np.flatnonzero(~np.isnan(scores[:, j]))
        scores[rows, j] = scores[Order(int(rng.choice([2, 4, 8])), by_task, True).true_rows(rows, task), j]
    ill = replace(whole, interactions=InteractionMatrix.from_dense(scores))
    examined = find_reordered(ill)
    findings = check_row_order(ill)
    changed = {int(j) for j in affected if not np.array_equal(scores[:, j], sound[:, j], equal_nan=True)}
    found = {item.llm for item in examined.found}
    untold = {llm for f in findings if f.check in ("row_order_unknown", "unrelated_scores") for llm in f.llms}
    missed = {whole.llm_ids.ids[j] for j in changed - found}
    print(
        f"\n{len(changed)} affected, {len(changed & found)} found, {len(missed)} missed, {len(untold)} cannot be told"
    )
    assert found <= changed
    assert missed <= untold
    mended = sorted(set(range(whole.n_llms)) - (changed - found))
    np.testing.assert_array_equal(restore(ill, examined.found).interactions.dense()[:, mended], sound[:, mended])
