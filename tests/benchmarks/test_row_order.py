"""Opt-in: `pytest tests/benchmarks/test_row_order.py -s`. LLMs of real data sets in rank order.

A tenth of all 6,349 LLMs of openllm1: many of them have one task or guess, and nothing can tell the order of those; the
doctor has to name them as such. And most LLMs of small pools, on 2 to 8 ranks, half of them padded.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recroute.data import Dataset, InteractionMatrix, read_dataset
from recroute.data.doctor._order import LOST, Order
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


POOLS = {  # data set, LLMs, instances, numbers of ranks
    "openllm1": ("openllm1", 70, 1075, (2, 3, 4, 6, 8)),
    "openllm1, all on 8 ranks": ("openllm1", 70, 1075, (8,)),
    "openllm1, 400 instances": ("openllm1", 70, 400, (2, 3, 4, 6, 8)),
    "openllm1, 150 instances": ("openllm1", 70, 150, (2, 3, 4, 6, 8)),
    "mmlupro": ("mmlupro", 31, 12032, (2, 3, 4, 6, 8)),
    "mmlupro, 1,000 instances": ("mmlupro", 31, 1000, (2, 3, 4, 6, 8)),
    "zeroeval": ("zeroeval", 56, 2840, (2, 3, 4, 6, 8)),
    "swebench": ("swebench", 25, 500, (2, 3, 4, 6, 8)),
    "llmrouter": ("llmrouter", 9, 6108, (2, 3, 4, 6, 8)),
    "routerbench": ("routerbench", 11, 3164, (2, 3, 4, 6, 8)),
}


@pytest.mark.realdata
@pytest.mark.parametrize("pool", POOLS)
def test_most_llms_of_a_pool(real: Path, pool: str) -> None:
    """Four of seven LLMs are in rank order: nobody else is accused."""
    name, n_llms, n_instances, widths = POOLS[pool]
    whole = read_dataset(real / name)
    whole = whole.take_covered(1.0) if name == "openllm1" else whole
    n_found = n_changed = n_sound = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        data = whole.take_llms(np.sort(rng.choice(whole.n_llms, n_llms, replace=False)))
        data = data.take_instances(np.sort(rng.choice(whole.n_instances, n_instances, replace=False)))
        ill, changed = _in_rank_order(data, widths, rng)
        found = {item.llm for item in find_reordered(ill).found}
        assert found <= changed
        n_found, n_changed, n_sound = n_found + len(found), n_changed + len(changed), n_sound + n_llms - len(changed)
    print(f"\n{pool}: {n_found} of {n_changed} found, none of {n_sound} sound ones accused (10 seeds)")


def _in_rank_order(data: Dataset, widths: tuple[int, ...], rng: np.random.Generator) -> tuple[Dataset, set[int]]:
    """The data with the rows of four of seven LLMs in rank order, and the LLMs that this changed."""
    sound = data.interactions.dense()
    scores = sound.copy()
    task = np.unique(data.tasks, return_inverse=True)[1].astype(np.int64)
    for j in rng.choice(data.n_llms, round(4 / 7 * data.n_llms), replace=False):
        order = Order(int(rng.choice(widths)), bool(rng.random() < 0.7), True, padded=bool(rng.random() < 0.5))
        rows = np.flatnonzero(~np.isnan(sound[:, j]))
        at = order.true_rows(rows, task)
        scores[rows, j] = np.where(at == LOST, sound[rows[0], j], sound[at, j])
    changed = {j for j in range(data.n_llms) if not np.array_equal(scores[:, j], sound[:, j], equal_nan=True)}
    return replace(data, interactions=InteractionMatrix.from_dense(scores)), changed
