"""Opt-in: `pytest tests/benchmarks/test_unobserved.py -s`. How far gains are off where cells are missing by task.

97 simulated LLMs, 1,500 prompts, 28% of the cells hidden task by task in four ways, six worlds. The lift over the best
single LLM is measured on what is left, and known on the complete matrix. It is measured as recroute does, by the
best-ranked LLM that was evaluated, and with the choices that nobody evaluated left out, as it once did.
"""

from dataclasses import replace

import numpy as np
import pytest

from recroute.data import Dataset, InteractionMatrix
from recroute.data.sources import simulate
from recroute.experiment.prepare import prepare_split
from recroute.routers import make_router

N_LLMS, N_INSTANCES, SHARE, WORLDS = 97, 1500, 0.28, range(6)
FEWEST = 3  # LLMs that every task keeps
ROUTERS = ("svd", "hierarchy", "task_best", "knn", "best_single")
WAYS = {  # what makes an LLM skip a task, of its skill and how hard the task is
    "by chance": lambda skill, hard: 0.0,
    "weak LLMs skip hard tasks": lambda skill, hard: 3 * (hard - skill),
    "strong LLMs skip hard tasks": lambda skill, hard: 3 * (hard + skill),
    "strong LLMs skip easy tasks": lambda skill, hard: 3 * (skill - hard),
}


def hidden(data: Dataset, way: str, seed: int) -> Dataset:
    scores, rng = data.interactions.dense(), np.random.default_rng(seed)
    names, skill = np.unique(data.tasks), scores.mean(axis=0)
    hard = {name: 1 - scores[data.tasks == name].mean() for name in names}
    pairs = [(name, llm) for name in names for llm in range(N_LLMS)]
    pairs.sort(key=lambda pair: WAYS[way](skill[pair[1]], hard[pair[0]]) + rng.normal(scale=0.5), reverse=True)
    left, n_hidden = dict.fromkeys(names, N_LLMS), 0
    for name, llm in pairs:
        if n_hidden < SHARE * len(pairs) and left[name] > FEWEST:
            scores[data.tasks == name, llm] = np.nan
            left[name] -= 1
            n_hidden += 1
    return replace(data, interactions=InteractionMatrix.from_dense(scores))


def world(way: str, seed: int) -> dict[str, np.ndarray]:
    """By router: lift on the complete matrix, as judged, and with choices left out; and the share of those."""
    complete = simulate(n_llms=N_LLMS, n_instances=N_INSTANCES, seed=seed)
    parts = prepare_split(hidden(complete, way, seed), seed=seed)
    scores, at = parts.test.interactions.dense(), np.arange(parts.test.n_instances)
    truth = complete.interactions.dense()[complete.instance_ids.to_index(list(parts.test.instance_ids))]
    found = {}
    for name in ROUTERS:
        router = make_router(name, seed=seed).fit(parts.train)
        first, judged = router.choose_judged(router.score(parts.test), scores)
        taken = scores[at, first]
        means = truth[at, first].mean(), scores[at, judged].mean(), np.nanmean(taken)
        found[name] = np.array([*means, np.isnan(taken).mean()])
    of_best = found.pop("best_single") * [1, 1, 1, 0]
    return {name: values - of_best for name, values in found.items()}


@pytest.mark.parametrize("way", WAYS)
def test_lift_where_the_truth_is_known(way: str) -> None:
    worlds = [world(way, seed) for seed in WORLDS]
    print(f"\n{way}: lift in points, mean of {len(worlds)} worlds; root mean squared error in brackets")
    errors = []
    for name in worlds[0]:
        true, judged, left_out, share = np.array([found[name] for found in worlds]).T
        off = [float(np.sqrt(np.mean((value - true) ** 2))) for value in (judged, left_out)]
        errors.append(off)
        told = ", ".join(
            f"{text} {100 * value.mean():+.1f} ({100 * error:.1f})"
            for text, value, error in zip(("judged", "left out"), (judged, left_out), off, strict=True)
        )
        print(f"  {name:10s} true {100 * true.mean():+.1f}, {told}, unobserved {share.mean():.0%}")
    judged_off, left_out_off = np.mean(errors, axis=0)
    print(f"  mean error {100 * judged_off:.1f} against {100 * left_out_off:.1f}")
    assert judged_off < left_out_off + 0.005
