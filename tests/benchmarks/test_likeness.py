"""Opt-in: `pytest tests/benchmarks/test_likeness.py -s`. Prints how often an LLM of a new family is reported as unlike
the known ones, as it is and with its answers altered.
"""

from pathlib import Path

import numpy as np
import pytest

from recroute.coldstart import LLMPrior, unseen_llms
from recroute.coldstart.likeness import RATE, likeness
from recroute.data import read_dataset
from recroute.routers.memory.calibrate import ask, first_left
from recroute.splits import split_dataset
from recroute.util.numeric import Floats

ANSWERS = (8, 16, 32, 64)
ALTERED = ("honest", "mirrored", "zeros on a task", "random", "shuffled")
N_SEEDS = {"openllm1": 3, "zeroeval": 20, "mmlupro": 20}
MAX_UNSEEN = 40


def altered(kind: str, answers: Floats, task: np.ndarray, rng: np.random.Generator) -> Floats:
    """The answers f32 (n, j) of unseen LLMs, altered in one way; NaN stays NaN."""
    if kind == "mirrored":
        return 1 - answers
    if kind == "random":
        return np.where(np.isnan(answers), answers, rng.integers(0, 2, answers.shape)).astype(np.float32)
    answers = answers.copy()
    for column in answers.T if kind != "honest" else ():
        if kind == "shuffled":
            there = ~np.isnan(column)
            column[there] = rng.permutation(column[there])
        else:
            column[task == rng.choice(np.unique(task))] *= 0
    return answers


@pytest.mark.realdata
@pytest.mark.parametrize("strategy", ["batch", "active"])
@pytest.mark.parametrize("name", N_SEEDS)
def test_how_often_an_llm_is_reported(name: str, strategy: str, real: Path) -> None:
    data = read_dataset(real / name)
    if name == "openllm1":
        data = data.take_llms(np.flatnonzero(data.interactions.llm_counts == data.n_instances))
    reported: dict[tuple[str, int], list[bool]] = {}
    for seed in range(N_SEEDS[name]):
        train = split_dataset(data, kind=None, seed=seed).train
        unseen = unseen_llms(data, seed=seed)
        known = train.take_llms(np.setdiff1d(np.arange(data.n_llms), unseen))
        rng = np.random.default_rng(seed)
        unseen = np.sort(rng.permutation(unseen)[:MAX_UNSEEN])
        prior = LLMPrior.learn(known, calibrated=False, seed=seed)
        block, honest = known.interactions.dense(), train.take_llms(unseen).interactions.dense()
        for kind in ALTERED:
            answers = altered(kind, honest, prior.task, rng)
            if strategy == "batch":
                asked = first_left(prior, np.isnan(answers), max(ANSWERS))
            else:
                asked = ask(prior, answers, max(ANSWERS), data.llms[unseen])
            for k in ANSWERS:
                for j, rows in enumerate(asked[:k].T):
                    found = likeness(answers[rows, j], block[rows], known.llms, prior.task_names[prior.task[rows]])
                    reported.setdefault((kind, k), []).append(found is not None and found.unlike)
    for kind in ALTERED:
        cells = [f"{np.mean(reported[kind, k]):.3f}" for k in ANSWERS]
        print(f"\n{name}, {strategy}, {kind} ({len(reported[kind, 8])} LLMs): {' | '.join(cells)}", end="")
    honest_share = np.mean([reported["honest", k] for k in ANSWERS])
    assert honest_share <= (RATE if strategy == "batch" else 2 * RATE)
