"""Opt-in: `pytest tests/benchmarks/test_refresh.py -s`. What feedback is worth to a router that is not fitted again.

A quarter of the training prompts fits the router. Half of them come in later: the router answers each, one in ten with
an LLM drawn at random, and only that LLM's score is seen; or, where the feedback is preferences, the LLM that it takes
meets one drawn at random. On test prompts the router is compared with the refreshed one and with the same router fitted
again on all that was observed. Once as the data are; and once with the LLM that is taken most turned, after the fit,
into one that three quarters of the LLMs beat.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset, InteractionMatrix, read_dataset
from recroute.data.feedback import Feedback
from recroute.encoders import fit_encoder, vectors_of
from recroute.routers import Router, make_router
from recroute.splits import split_dataset

NAMES = ["mmlupro", "llmrouter", "routerbench", "zeroeval", "openllm1"]
ROUTERS = ["auto", "knn(views=all,n_neighbors=100)", "svd"]
SEEDS = 5
EPSILON = 0.1
N_LLMS = 100  # of openllm1, drawn from those with every cell
Cells = np.ndarray


@dataclass(frozen=True)
class World:
    """Prompts that fit the router, that come in later, and that judge it."""

    fit: Dataset
    later: Dataset
    judge: Dataset

    @classmethod
    def of(cls, data: Dataset, seed: int, part: str = "test") -> World:
        if data.n_llms > 1000:
            complete = np.flatnonzero(data.interactions.llm_counts == data.n_instances)
            data = data.take_llms(np.sort(np.random.default_rng([seed, 11]).choice(complete, N_LLMS, replace=False)))
        split = split_dataset(data, seed=seed)
        n = split.train.n_instances
        order = np.random.default_rng([seed, 3]).permutation(n)
        fit, later, rest = (split.train.take_instances(rows) for rows in np.split(order, [n // 4, 3 * n // 4]))
        encoder = fit_encoder(fit)
        assert encoder is not None
        judge = {"test": split.test, "valid": split.valid, "rest": rest}[part]
        return cls(*(each.with_embeddings(vectors_of(each, encoder), encoder) for each in (fit, later, judge)))

    def drifted(self, router: Router) -> World:
        """The LLM that is taken most becomes one that three quarters of them beat."""
        most = np.bincount(router.rank(self.later).llm_index[:, 0], minlength=self.fit.n_llms).argmax()
        weak = np.argsort(router.llm_mean_)[self.fit.n_llms // 4]
        column = np.arange(self.fit.n_llms)
        column[most] = weak
        later, judge = (
            replace(part, interactions=InteractionMatrix.from_dense(part.interactions.dense()[:, column]))
            for part in (self.later, self.judge)
        )
        return World(self.fit, later, judge)


def answers(world: World, router: Router, rng: np.random.Generator) -> tuple[np.ndarray, Cells]:
    """The LLM that answers each later prompt, int (n,), and the scores f32 (n, m); only evaluated cells are asked."""
    scores = world.later.interactions.dense()
    predicted = np.where(np.isnan(scores), -np.inf, router.score(world.later)).astype(np.float32)
    taken = router.choose(predicted, np.arange(scores.shape[1]))[:, 0]
    drawn = np.where(np.isnan(scores), -1, rng.random(scores.shape)).argmax(axis=1)
    return np.where(rng.random(len(taken)) < EPSILON, drawn, taken), scores


def feedback(world: World, router: Router, kind: str, seed: int) -> tuple[Feedback, Dataset]:
    """What comes in, and all that was observed as a data set to fit again on."""
    rng = np.random.default_rng([seed, 5])
    taken, scores = answers(world, router, rng)
    later, rows, ids = world.later, np.arange(len(taken)), np.array(world.later.llm_ids.ids)
    prompt = {"instance_id": later.instance_ids.ids}
    if router.encoder_ is not None:
        prompt |= {"vector": vectors_of(later, router.encoder_), "encoder": [router.encoder_.name] * len(rows)}
    both = np.concatenate([world.fit.interactions.dense(), np.full_like(scores, np.nan)])
    if kind == "scores":
        both[len(world.fit.instances) + rows, taken] = scores[rows, taken]
        seen = Feedback(pl.DataFrame({**prompt, "llm_id": ids[taken], "score": scores[rows, taken]}))
        pairs = None
    else:
        other = np.where(np.isnan(scores), -1, rng.random(scores.shape))
        other[rows, taken] = -1
        against = other.argmax(axis=1)
        outcome = (1 + scores[rows, taken] - scores[rows, against]) / 2
        table = pl.DataFrame({**prompt, "llm_a": ids[taken], "llm_b": ids[against], "outcome": outcome})
        table = table.filter(pl.col("outcome").is_not_nan())  # where only one LLM was evaluated
        seen, pairs = Feedback(preferences=table), table.select("instance_id", "llm_a", "llm_b", "outcome")
    assert world.fit.embeddings is not None
    assert later.encoder is not None
    observed = Dataset(
        "all that was observed",
        InteractionMatrix.from_dense(both),
        pl.concat([world.fit.instances, later.instances]),
        world.fit.llms,
        np.concatenate([world.fit.embeddings, later.embeddings]),
        later.encoder,
    )
    return seen, observed if pairs is None else observed.with_preferences(pairs)


def chosen_scores(router: Router, judge: Dataset) -> Cells:
    """Score of the LLM that each choice is judged by, f32 (n,)."""
    scores = judge.interactions.dense()
    return scores[np.arange(judge.n_instances), router.choose_judged(router.score(judge), scores).judged]


def interval(differences: list[Cells], ids: list[tuple[str, ...]]) -> tuple[float, float]:
    """Mean over prompts and seeds, and half its 95% interval; a prompt's seeds are not independent of each other."""
    values, names = np.concatenate(differences).astype(np.float64), np.concatenate([np.array(each) for each in ids])
    known = ~np.isnan(values)
    values, names = values[known], names[known]
    mean = values.mean()
    _, prompt = np.unique(names, return_inverse=True)
    error = np.sqrt((np.bincount(prompt, values - mean) ** 2).sum()) / len(values)
    return float(mean), float(1.96 * error)


def compare(
    data: Dataset, label: str, kind: str, drift: bool, seeds: int = SEEDS, part: str = "test"
) -> dict[str, float]:
    plain, gains, refits, ids, seconds = [], [], [], [], []
    for seed in range(seeds):
        world = World.of(data, seed, part)
        router = make_router(label, seed=seed).fit(world.fit)
        world = world.drifted(router) if drift else world
        seen, observed = feedback(world, router, kind, seed)
        start = perf_counter()
        refreshed = router.refresh(seen)
        seconds.append(perf_counter() - start)
        before = chosen_scores(router, world.judge)
        plain.append(before)
        gains.append(chosen_scores(refreshed, world.judge) - before)
        again = make_router(label, seed=seed).fit(observed) if kind == "scores" and not drift else router
        refits.append(chosen_scores(again, world.judge) - before)
        ids.append(world.judge.instance_ids.ids)
    value, _ = interval(plain, ids)
    gain, gain_reach = interval(gains, ids)
    refit, refit_reach = interval(refits, ids)
    n = sum(len(each) for each in ids)
    print(
        f"| {data.name} | {label} | {kind}{', drift' if drift else ''} | {n:,} | {value:.4f} | "
        f"{gain:+.4f} [{gain - gain_reach:+.4f}, {gain + gain_reach:+.4f}] | "
        f"{refit:+.4f} [{refit - refit_reach:+.4f}, {refit + refit_reach:+.4f}] | {np.mean(seconds):.2f} |",
        flush=True,
    )
    return {"value": value, "gain": gain, "gain_reach": gain_reach, "refit": refit}


@pytest.mark.realdata
@pytest.mark.parametrize("kind", ["scores", "preferences"])
@pytest.mark.parametrize("drift", [False, True])
def test_a_refresh_is_never_worse_than_none_and_follows_drift(kind: str, drift: bool, real: Path) -> None:
    print("\n| data | router | feedback | prompts x seeds | as fitted | refreshed | fitted again | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    found = [compare(read_dataset(real / name), label, kind, drift) for name in NAMES for label in ROUTERS]
    for row in found:
        assert row["gain"] + row["gain_reach"] >= 0
        assert not drift or row["gain"] > 0
