"""Opt-in: `pytest tests/benchmarks/test_pairs.py -s`. Routers that learned from battles alone, judged by scores.

The scores of the training prompts are replaced by battles: two random LLMs on a random prompt, a win for the higher
score, a tie where they are equal, one battle in ten decided by a coin. The routers then choose on test, where the
scores are known. Beside them the same routers that were told the training scores themselves. Prints figures; what
is asserted is that 100,000 battles are worth most of what the scores are.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute import prepare_split, read_dataset
from recroute.data import Dataset
from recroute.evaluation.summarise import Cell, summarise
from recroute.experiment.outcomes import pool_outcomes
from recroute.metrics import Outcome
from recroute.routers import make_router
from recroute.splits import Split
from recroute.testing import drawn_preferences

ROUTERS = ("best_single", "bradley_terry", "auto")
SIZES = (1_000, 10_000, 100_000)
N_SEEDS = 5
KNOWN_BEST = "best_single, scores"


def outcomes(parts: Split) -> dict[str, Outcome]:
    """Outcomes by router and what it learned from."""
    pool = np.arange(parts.train.n_llms)
    none = np.full(parts.test.n_instances, np.nan)
    routers = [make_router(name) for name in ROUTERS]
    by_scores = pool_outcomes([*routers, make_router("random")], parts, pool, none)
    found = {f"{label}, scores": outcome for label, outcome in by_scores.items()}
    for n in SIZES:
        told = replace(parts, train=drawn_preferences(parts.train, n, noise=0.1, seed=parts.seed))
        for label, outcome in pool_outcomes(routers, told, pool, none).items():
            # the lift is over what the scores say is the best single LLM of train
            found[f"{label}, {n:,} battles"] = replace(outcome, train_best=by_scores["best_single"].train_best)
    return found


def small(data: Dataset, n_instances: int, n_llms: int) -> Dataset:
    rng = np.random.default_rng(0)
    rows, llms = (np.sort(rng.permutation(n)[:k]) for n, k in ((data.n_instances, n_instances), (data.n_llms, n_llms)))
    return data.take_instances(rows).take_llms(llms)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "coverage", "n_instances", "n_llms"),
    [
        ("llmrouter", 0, 10**6, 9),
        ("zeroeval", 0, 10**6, 20),
        ("openllm1", 1, 10**6, 30),
        ("mmlupro", 0, 2000, 20),
    ],
)
def test_battles_in_place_of_scores(real: Path, name: str, coverage: float, n_instances: int, n_llms: int) -> None:
    data = small(read_dataset(real / name).take_covered(coverage), n_instances, n_llms)
    cells = []
    for seed in range(N_SEEDS):
        parts = prepare_split(data, split="random", seed=seed)
        cells.append(Cell(seed, "all", data.n_llms, outcomes(parts), parts.test.n_instances))
        print(f"seed {seed} done", flush=True)
    rows, compared, notes = summarise(cells, 0, 1000, KNOWN_BEST)
    print(f"\n{name}: {data.n_instances:,} instances x {data.n_llms} LLMs, {N_SEEDS} seeds, 95% intervals", *notes)
    pooled = rows.filter(pl.col("seed").is_null(), pl.col("metric").is_in(["mean_score", "lift", "unobserved_choice"]))
    with pl.Config(tbl_rows=-1, fmt_str_lengths=40, float_precision=4, tbl_hide_dataframe_shape=True):
        print(pooled.select("router", "metric", "value", "ci_low", "ci_high", "n_instances"))
        print(compared.filter(metric="mean_score").select("router", "value", "ci_low", "ci_high", "p_holm"))
    mu = dict(pooled.filter(metric="mean_score").select("router", "value").iter_rows())
    gained = mu["auto, 100,000 battles"] - mu["random, scores"]
    assert gained > 0.8 * (mu["auto, scores"] - mu["random, scores"])
