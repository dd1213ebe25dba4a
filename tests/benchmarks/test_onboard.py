"""Opt-in: `pytest tests/benchmarks -s`. Prints figures; the machine decides them, so nothing timed is asserted."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recroute.data import InteractionMatrix, read_dataset
from recroute.routers import make_router
from recroute.splits import split_dataset

N_ANSWERS = 16


def seconds(call: Callable[[], Any], runs: int) -> tuple[float, Any]:
    """Best of some runs, and what the last one gave."""
    spent = []
    for _ in range(runs):
        start = time.perf_counter()
        found = call()
        spent.append(time.perf_counter() - start)
    return min(spent), found


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["svd", "knn", "hierarchy", "auto"])
def test_one_more_llm_against_a_new_fit(name: str, real: Path, tmp_path: Path) -> None:
    """One LLM with 16 scores into a pool of 6,348; the prior is learned once, at the first LLM."""
    train = split_dataset(read_dataset(real / "openllm1")).train
    known, new = np.arange(train.n_llms - 1), np.array([train.n_llms - 1])
    block = train.take_llms(new).interactions.dense()
    observed = np.flatnonzero(~np.isnan(block[:, 0]))
    block[np.setdiff1d(np.arange(len(block)), observed[:: len(observed) // N_ANSWERS][:N_ANSWERS])] = np.nan
    scores, table = InteractionMatrix.from_dense(block), train.llms[new]
    fit, router = seconds(lambda: make_router(name).fit(train.take_llms(known)), 1)
    assert router.background_ is not None
    prior, _ = seconds(router.background_.prior, 1)
    add, grown = seconds(lambda: router.add_llms(scores, table), 10)
    save, _ = seconds(lambda: grown.save(tmp_path / "router"), 1)
    assert len(grown.llm_ids_) == train.n_llms
    print(
        f"\n{name}, {len(known)} LLMs x {train.n_instances} prompts: one LLM added in {add * 1e3:.0f} ms, fitted in "
        f"{fit:.1f} s ({fit / add:.0f} times as long); prior learned in {prior:.1f} s, saved then in {save:.2f} s"
    )
