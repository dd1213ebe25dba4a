"""Opt-in: `pytest tests/benchmarks/test_few_prompts.py -s`. Routers fitted on 50 training prompts.

The mean score on test against that of `best_single` fitted on the same 50, in points, paired, whole pool, five seeds.
Prints figures; what is asserted is that `auto` is not shown to be below the best single LLM.
"""

from pathlib import Path

import pytest

from recroute import evaluate, prepare_split, read_dataset

N_TRAIN, SEEDS = 50, range(5)
ROUTERS = ("auto", "guarded", "hierarchy", "ridge", "knn", "svd", "calibrated")


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "coverage"), [("llmrouter", 0), ("mmlupro", 0), ("zeroeval", 0), ("openllm1", 1)])
def test_fifty_training_prompts(name: str, coverage: float, real: Path) -> None:
    data = read_dataset(real / name).take_covered(coverage)
    fraction = N_TRAIN / prepare_split(data).train.n_instances
    found = evaluate(data, ROUTERS, seeds=SEEDS, train_fraction=fraction, headroom=False)
    assert found.info["dataset"]["n_train"] == N_TRAIN
    rows = found.comparisons.filter(metric="mean_score")
    print(f"\n{name}, {data.n_llms} LLMs, {rows['n_instances'][0]} test prompts x {len(SEEDS)} seeds, points")
    p_holm = {}
    for row in rows.iter_rows(named=True):
        if row["router"] in ROUTERS:
            value, low, high = (100 * row[key] for key in ("value", "ci_low", "ci_high"))
            p_holm[row["router"]] = row["p_holm"] if value < 0 else 1.0
            print(f"  {row['router']:12s} {value:+.1f} [{low:.1f}, {high:.1f}] p_holm {row['p_holm']:.3f}")
    assert p_holm["auto"] > 0.05
