"""Opt-in: `pytest tests/benchmarks/test_attempts_value.py -s`. Second attempts: how long they take, and calibration.

Prints figures; what a second attempt is worth on real data is told by `recroute cascade`.
"""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recroute.attempts.answers import Answers
from recroute.attempts.policies import Order, Posterior, play
from recroute.data import Dataset, Prompts, read_dataset
from recroute.experiment.prepare import prepare_split
from recroute.retrieval import tie_order, top_k
from recroute.routers import make_router
from recroute.routers.memory import joint as joint_module
from recroute.routers.memory.attempts import belief_of, learn_joint
from recroute.routers.memory.joint import JointScores
from recroute.routers.memory.verifier import EXACT

M, C = 10_000, 4_000
DATA = ("openllm1", "mmlupro", "routerbench", "zeroeval", "llmrouter")


def median(call: Callable[[], object], n: int = 50) -> float:
    """Microseconds of a single call."""
    call()
    wall = np.empty(n)
    for i in range(n):
        start = time.perf_counter()
        call()
        wall[i] = time.perf_counter() - start
    return float(np.median(wall) * 1e6)


def test_one_prompt_among_10000_llms() -> None:
    rng = np.random.default_rng(0)

    def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
        return (scale * rng.normal(size=shape)).astype(np.float32)

    mean = rng.uniform(0.3, 0.7, M).astype(np.float32)
    joint = JointScores(
        *(mean, normal(M, 64, scale=0.02), normal(C, 64), mean, normal(M, 16, scale=0.02), normal(C, 16)),
        np.ones(M, dtype=np.float32),
    )
    predicted = (mean + normal(1, M, scale=0.1)).astype(np.float32)
    order, everyone = tie_order(mean), np.arange(M)
    tried = [np.array([j]) for j in (17, 170, 1700)]
    failed = np.zeros(1, dtype=np.float32)

    def rank() -> object:
        belief = joint.belief(predicted)
        for llm in tried:
            belief = belief.observed(llm, failed)
        return top_k(belief.expected(), 10, order)

    print(f"\nload {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {M:,} LLMs, {C:,} training prompts, one prompt")
    print(
        f"rank with 3 tried: {median(rank):8.0f} us, of which the prior {median(lambda: joint.belief(predicted)):.0f}"
    )
    for k in (3, 10):
        print(f"choose_set of {k:2}:  {median(lambda k=k: joint.belief(predicted).choose_set(k, everyone)):8.0f} us")  # type: ignore[misc]


def complete(path: Path) -> Dataset:
    """A data set with its LLMs that were run on all prompts, at most some 300, if there are at least 8."""
    data = read_dataset(path)
    if (whole := np.flatnonzero(data.interactions.llm_counts == data.n_instances)).size >= 8:
        return data.take_llms(whole[:: max(1, len(whole) // 300)])
    return data


@pytest.mark.realdata
@pytest.mark.parametrize("name", DATA)
def test_the_second_attempt_is_calibrated(name: str, real: Path) -> None:
    """Brier score and calibration error of the expected score of the LLM tried second, text alone beside it."""
    told, text, reached = [], [], []
    data = complete(real / name)
    for seed in range(5):
        parts = prepare_split(data, split=None, seed=seed, encoder="auto")
        router, prompts = make_router("hierarchy", seed=seed).fit(parts.train), Prompts.of(parts.test)
        predicted, scores = router.score(prompts), parts.test.interactions.dense()
        first = router.choose(predicted, router.llm_index())[:, 0].astype(np.int64)
        rows = np.arange(len(first))
        belief = belief_of(router, prompts).observed(first, scores[rows, first])
        expected = belief.expected()
        expected[rows, first] = -np.inf
        second = expected.argmax(axis=1)
        kept = (scores[rows, first] < 1) & ~np.isnan(scores[rows, second])
        told.append(expected[rows, second][kept].clip(0, 1))
        text.append(predicted[rows, second][kept].clip(0, 1))
        reached.append(scores[rows, second][kept])
    outcome = np.concatenate(reached)
    for label, each in (("given the first answer", np.concatenate(told)), ("by the text alone", np.concatenate(text))):
        bins = np.clip((each * 10).astype(int), 0, 9)
        gaps = [abs((each - outcome)[bins == b].sum()) for b in range(10)]
        print(
            f"\n{name}, {label}: Brier {((each - outcome) ** 2).mean():.3f}, ECE {sum(gaps) / len(each):.3f}, "
            f"n = {len(each)}, 5 seeds",
            end="",
        )


@pytest.mark.realdata
@pytest.mark.parametrize("name", DATA)
def test_other_constants_on_validation(name: str, real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Score after 1, 2, 3 and 5 attempts on validation instances, by how the joint distribution is learned and used."""
    data, k = complete(real / name), 5
    scores: dict[str, list[np.ndarray]] = {}
    for seed in range(8):
        parts = prepare_split(data, split=None, seed=seed, encoder="auto")
        router = make_router("hierarchy", seed=seed).fit(parts.train)
        answers = Answers.of(parts.valid, EXACT, 1.0, seed)
        predicted = router.predicted_score(parts.valid)
        for own in (0.0, 0.4, 1.0):
            monkeypatch.setattr(joint_module, "OWN", own)
            belief = learn_joint(router).belief(predicted)
            for shifted in (False, True) if own == 0.4 else (False,):
                policy = (Shifted if shifted else Posterior)(belief, answers.scores, EXACT)
                label = f"own weight {own}{', shift kept' * shifted}"
                scores.setdefault(label, []).append(np.nanmean(play(policy, answers, k).score, axis=0))
        order = top_k(np.where(np.isnan(answers.scores), -np.inf, predicted), k, tie_order(router.llm_mean_))
        following = play(Order(order.astype(np.int64)), answers, k).score
        scores.setdefault("ranking by text", []).append(np.nanmean(following, axis=0))
    for label, found in scores.items():
        shown = ", ".join(f"{value:.3f}" for value in np.mean(found, axis=0)[[0, 1, 2, 4]])
        print(f"\n{name}, {label}: {shown} (8 seeds)", end="")


class Shifted(Posterior):
    """Keeps the router's predictions beyond the mixture after every attempt."""

    def see(self, llm: np.ndarray, verdict: np.ndarray) -> None:
        shift = self.belief.shift
        super().see(llm, verdict)
        self.belief = replace(self.belief, shift=shift)
