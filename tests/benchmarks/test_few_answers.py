"""Opt-in: `pytest tests/benchmarks/test_few_answers.py -s`. What sums over prompts tell where each has four records.

Second attempts on real data by what the joint distribution is learned from, and the prior of unseen LLMs on simulated
logs. Prints figures and asserts nothing about them.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import recroute as rr
from recroute.attempts.answers import Answers
from recroute.attempts.policies import Posterior, play
from recroute.data import Dataset, InteractionMatrix
from recroute.routers.factorisation import truncated_svd
from recroute.routers.memory import attempts, prior
from recroute.routers.memory.joint import JointScores
from recroute.routers.memory.verifier import EXACT

DATA = Path(__file__).parents[3] / "shared" / "data"
SETS = ("routerbench", "llmrouter", "mmlupro", "zeroeval")
N_SEEDS, N_RECORDS = 5, 4


def thinned(train: Dataset, seed: int) -> Dataset:
    block = train.interactions.dense()
    block[np.random.default_rng(seed).random(block.shape) > N_RECORDS / block.shape[1]] = np.nan
    return replace(train, interactions=InteractionMatrix.from_dense(block)).evaluated()


def after_attempts(joint: JointScores, predicted: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Mean score f64 (3,) kept after at most 2, 3 and 4 attempts."""
    answers = Answers(scores, scores, np.nan_to_num(scores) >= 1, EXACT)
    played = play(Posterior(joint.belief(predicted), scores, EXACT), answers, 4)
    return np.nanmean(played.score, axis=0)[1:]


@pytest.mark.parametrize("name", SETS)
def test_second_attempts(name: str) -> None:
    """Of all prompts without and with common factors; of a sample of 600 prompts alone, and with the sums of all."""
    if not (DATA / name).is_dir():
        pytest.skip(f"needs {DATA / name}")
    data = rr.read_dataset(DATA / name)
    found: dict[str, list[np.ndarray]] = {}
    for seed in range(N_SEEDS):
        parts = rr.prepare_split(data, seed=seed, encoder="auto")
        train, scores = thinned(parts.train, seed), parts.valid.interactions.dense()
        router = rr.make_router("svd", seed=seed).fit(train)
        predicted = router.predicted_score(parts.valid)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(attempts, "_covariance", lambda *_: None)
            joints = {"all, no common factors": attempts.learn_joint(router)}
        joints["all"] = attempts.learn_joint(router)
        summed = rr.fit_from_sums(train, rr.make_router("svd", seed=seed), n_sample=600, keep_sums=True)
        joints["600 and sums"] = attempts.learn_joint(summed)
        summed.kept_sums_ = None
        joints["600"] = attempts.learn_joint(summed)
        for label, joint in joints.items():
            found.setdefault(label, []).append(after_attempts(joint, predicted, scores))
    for label, each in found.items():
        gain = np.array(each) - np.array(found["all"])
        error = gain.std(axis=0, ddof=1) / np.sqrt(len(gain))
        print(f"\n{name}, {label}: {np.mean(each, axis=0).round(4)}, {gain.mean(axis=0).round(4)} +- {error.round(4)}")


def test_prior_of_unseen_llms() -> None:
    """Simulated logs, 20,000 prompts with four records each of 300 LLMs: the prior as it is learned from them, and with
    the true factors of the LLMs, the best that sums over any number of prompts could give.
    """
    n, m, k = 20_000, 300, 8
    found: dict[tuple[int, str], list[float]] = {}
    for seed in range(N_SEEDS):
        rng = np.random.default_rng(seed)
        level, factors = rng.normal(0, 0.8, m + 30), rng.normal(0, 0.6, (m + 30, k)) * np.linspace(1, 0.3, k)
        chance = 1 / (1 + np.exp(-(level + rng.normal(0, 1, (n, 1)) + rng.normal(0, 1, (n, k)) @ factors.T)))
        drawn = (rng.random(chance.shape) < chance).astype(np.float32)
        prompts = pl.DataFrame({"instance_id": [str(i) for i in range(n)], "task": ["t"] * n})
        llms = pl.DataFrame({"llm_id": [str(j) for j in range(m)]})
        logs = thinned(Dataset("logs", InteractionMatrix.from_dense(drawn[:, :m]), prompts, llms), seed)
        mean = chance[:, :m].mean(axis=0)
        kept = logs.instances["instance_id"].cast(pl.Int64).to_numpy()
        chance, drawn = chance[kept], drawn[kept]
        truth = truncated_svd((chance[:, :m] - mean).T, 24)
        learned = rr.LLMPrior.learn(logs)
        calibrated = {name: getattr(learned, name) for name in ("answers", "scale", "trust")}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(prior, "factorise", lambda *_, mean=mean, truth=truth: (mean, truth[1], truth[0]))
            told = replace(rr.LLMPrior.learn(logs, calibrated=False), **calibrated)
        for n_answers in (8, 32, 128):
            scores = np.full((len(kept), 30), np.nan, dtype=np.float32)
            asked = np.argsort(rng.random(scores.shape), axis=0)[:n_answers]
            np.put_along_axis(scores, asked, np.take_along_axis(drawn[:, m:], asked, 0), 0)
            for label, each in (("learned", learned), ("true factors", told)):
                error = np.abs(each.posterior(scores).mean - chance[:, m:].mean(axis=0)).mean()
                found.setdefault((n_answers, label), []).append(float(error))
    for (n_answers, label), errors in found.items():
        print(f"\nerror of the mean score after {n_answers} answers, {label}: {np.mean(errors):.4f} ({N_SEEDS} seeds)")
