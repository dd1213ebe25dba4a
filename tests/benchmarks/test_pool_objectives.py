"""Opt-in: `pytest tests/benchmarks/test_pool_objectives.py -s`. What a pool for a router is best chosen by.

By what the router predicts of its choices (`routed_value`), or by the scores observed of the very same choices, both
out of fold; and whether the router is then fitted on the pool alone, or on all LLMs and restricted to it. Only prompts
that are in no test set of the seeds that README's pools are judged on. Prints figures; what is asserted is that
predictions are not shown to be the worse guide.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recroute import prepare_split, read_dataset
from recroute.data import Dataset, llm_means
from recroute.experiment.prepare import with_vectors
from recroute.pool_choice.candidates import chosen_pools
from recroute.pool_choice.judge import judge
from recroute.pool_choice.objectives import N_FOLDS, completed_scores
from recroute.pools import PoolValue, ranks
from recroute.routers import make_router
from recroute.routers.parts import out_of_fold
from recroute.splits import Split

SIZES = (3, 5, 10)
JUDGED_SEEDS = range(5)
N_SPLITS = 16
ROUTER = make_router("auto")


def unseen_prompts(data: Dataset) -> Dataset:
    """The data set without the test prompts of the judged seeds."""
    tested = {i for seed in JUDGED_SEEDS for i in prepare_split(data, seed=seed).test.instance_ids}
    return data.take_instances(np.array([i for i, name in enumerate(data.instance_ids) if name not in tested]))


def one_split(data: Dataset, seed: int) -> dict[str, list[float]]:
    """Points that predictions gain over scores, and that a fit on the pool gains over a fit on all, for each size."""
    order = np.random.default_rng(seed).permutation(data.n_instances)
    n_held = data.n_instances // 5
    held, rest = (data.take_instances(np.sort(part)) for part in (order[:n_held], order[n_held:]))
    parts = with_vectors(Split(train=rest, valid=held, test=held, name="held out", seed=seed), "auto")
    train, test = parts.train, parts.test
    (predicted,), _ = out_of_fold([replace(ROUTER, seed=seed)], train, N_FOLDS, seed)
    keys = ranks(predicted, llm_means(train))
    by = {"predictions": predicted - min(float(predicted.min()), 0.0), "scores": completed_scores(train)}
    pools = {name: chosen_pools(PoolValue(keys, value), train, max(SIZES), []) for name, value in by.items()}
    everyone = replace(ROUTER, seed=seed).fit(train)
    scores = test.interactions.dense()
    found: dict[str, list[float]] = {"predictions": [], "pool alone": []}
    for size in SIZES:
        reached = {name: float(judge(ROUTER, parts, pools[name][size]).chosen.mean()) for name in pools}
        choice = everyone.rank(test, llms=np.array(pools["predictions"][size])).llm_index[:, 0]
        restricted = float(scores[np.arange(len(scores)), choice].mean())
        found["predictions"].append(100 * (reached["predictions"] - reached["scores"]))
        found["pool alone"].append(100 * (reached["predictions"] - restricted))
    return found


@pytest.mark.realdata
def test_pools_by_predictions_against_pools_by_scores(real: Path) -> None:
    data = unseen_prompts(read_dataset(real / "openllm1").take_covered(1.0))
    splits = []
    for seed in range(N_SPLITS):
        splits.append(one_split(data, seed))
        print(seed, splits[-1], flush=True)
    n_held = data.n_instances // 5
    print(f"\nopenllm1, {data.n_instances - n_held} training prompts, {n_held} held out, {N_SPLITS} splits, points")
    for name, what in (
        ("predictions", "chosen by predictions, not scores"),
        ("pool alone", "fitted on the pool alone"),
    ):
        gains = np.array([found[name] for found in splits])
        errors = gains.std(axis=0, ddof=1) / np.sqrt(N_SPLITS)
        for size, gain, error in zip(SIZES, gains.mean(axis=0), errors, strict=True):
            print(f"  {what:34s} {size:2d} LLMs: {gain:+.2f}, standard error {error:.2f}")
            assert gain > -3 * error
