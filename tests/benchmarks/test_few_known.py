"""Opt-in: `pytest tests/benchmarks/test_few_known.py -s`. Prints the error and coverage of unseen LLMs' means where few
LLMs are known.
"""

from pathlib import Path

import numpy as np
import pytest

from recroute.coldstart import rounds, unseen_llms
from recroute.coldstart.settings import ColdStartSettings
from recroute.data import read_dataset

ANCHORS = (4, 8, 16, 32, 64, 128)
STRATEGIES = ("random", "batch", "active")


@pytest.mark.realdata
@pytest.mark.parametrize("n_known", [10, 20, 40, 80])
def test_few_known_llms(n_known: int, real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unseen LLMs of `recroute coldstart openllm1 --min-coverage 1`, with the known ones thinned at random."""
    data = read_dataset(real / "openllm1")
    data = data.take_llms(np.flatnonzero(data.interactions.llm_counts == data.n_instances))
    errors: dict[tuple[str, int], list[float]] = {}
    covered: dict[tuple[str, int], list[float]] = {}
    for seed in range(5):
        unseen = unseen_llms(data, seed=seed)
        known = np.setdiff1d(np.arange(data.n_llms), unseen)
        known = known[np.sort(np.random.default_rng(seed).permutation(len(known))[:n_known])]
        thinned = data.take_llms(np.concatenate([known, unseen]))
        held_out = np.arange(n_known, thinned.n_llms)
        monkeypatch.setattr(rounds, "unseen_llms", lambda *_, held_out=held_out, **__: held_out)
        settings = ColdStartSettings(seeds=[seed], anchors=ANCHORS, strategies=STRATEGIES)
        for played in rounds.play_rounds(thinned, settings):
            found, at = rounds.per_llm(played), (played.strategy, played.n_anchors)
            errors.setdefault(at, []).append(found["mean_score_error"].mean())
            covered.setdefault(at, []).append(found["interval_coverage"].mean())
    for strategy in STRATEGIES:
        cells = [f"{np.mean(errors[strategy, k]):.3f} ({np.mean(covered[strategy, k]):.2f})" for k in ANCHORS]
        print(f"\n{n_known} known LLMs, {strategy}: {' | '.join(cells)}", end="")
    assert len(errors) == len(STRATEGIES) * len(ANCHORS)
