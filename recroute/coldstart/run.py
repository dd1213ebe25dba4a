"""How well unseen LLMs are known after so many anchors, and how well routing among them works."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recroute.coldstart.holdout import described
from recroute.coldstart.measure import per_llm
from recroute.coldstart.result import ColdStart
from recroute.coldstart.rounds import Round, play_rounds
from recroute.coldstart.routing import N_POOLS, Bench, benches, can_take_unseen
from recroute.coldstart.rows import Seen, as_table, rows_of_llms, rows_of_routing
from recroute.data import Dataset
from recroute.encoders import encode_dataset
from recroute.errors import DataError, RouterError
from recroute.evaluation.loop import usable
from recroute.experiment.provenance import dataset_facts, environment, split_digest
from recroute.routers import Router, as_routers
from recroute.routers.memory.families import family_groups
from recroute.util.arguments import as_texts, as_whole_number, as_whole_numbers, checked

ANCHORS = (0, 1, 2, 4, 8, 16, 32, 64, 128)
# In every table, also when they win.
BASELINES = ("best_single", "task_best", "knn")
Progress = Callable[[int, int], None]


@checked
def coldstart(
    dataset: Dataset,
    routers: Sequence[Router | str] = (),
    *,
    strategies: Sequence[str] = ("random", "active"),
    anchors: Sequence[int] = ANCHORS,
    holdout: str | None = None,
    split: str | None = None,
    encoder: str = "auto",
    pool_size: int = 10,
    n_seeds: int = 5,
    seed: int = 0,
    progress: Progress | None = None,
) -> ColdStart:
    """Hold LLMs out, ask them a few training prompts, and see what that tells: of their scores, and for routing.

    Parameters
    ----------
    dataset : Dataset
    routers : list of Router or str
        Routers that take unseen LLMs. Each is fitted on the known LLMs, takes the unseen ones in with their anchors'
        scores (`Router.add_llms`), and chooses on test prompts in pools of unseen LLMs only, and in pools of which half
        is known; 50 of each are drawn. With any, `best_single`, `task_best` and `knn` are added. Without any, routing
        is not measured.
    strategies : sequence of str
        See `select_anchors`; "active" hears every answer before it asks on.
    anchors : sequence of int
        How many prompts are asked.
    holdout : {"family", "random"}, optional
        See `unseen_llms`.
    split : {"own", "random"}, optional
        See `split_dataset`; the anchors are training prompts.
    encoder : {"auto", "precomputed", "tfidf", "sentence:MODEL"}
        See `fit_encoder`.
    pool_size : int
        LLMs in a pool.
    n_seeds, seed : int
        Seeds `seed`, `seed + 1`, ...: each has its own split and unseen LLMs.
    progress : callable, optional
        Called with the rounds done and the rounds in all.

    Returns
    -------
    ColdStart. Its rows for the router "fold-in" say how well the unseen LLMs are known: means over unseen LLMs, of
    their observed training prompts that were *not* asked:

    - `mean_score_error`: |expected mean score - mean score|; `plain_mean_error`: the same for the anchors' plain mean
      (from one anchor on).
    - `brier`: mean of (expected score - score)^2.
    - `auc`: chance that a success of the LLM (score at least .5) was expected higher than a failure of it.
    - `interval_coverage`, `interval_width`: of the 90% interval of the mean score over *all* training prompts, where
      the LLM has every score; `task_interval_coverage`: mean over tasks of that of the task's mean score.

    Their 95% intervals resample families, or LLMs of no known family. The rows of the other routers say how well
    routing works, in the group (pool) "unseen" or "mixed": `mean_score` on test (judged by the highest-ranked LLM that
    was evaluated, see `Router.choose_judged`), and `share_of_full`, that score over
    the one of the same router fitted on all scores of all LLMs. Their intervals resample test instances.
    After a KeyboardInterrupt the seeds that were finished are kept.

    Raises
    ------
    RecrouteError
        For an unknown name, a router that takes no unseen LLMs, or too few LLMs or records.
    """
    dataset.require_scores("coldstart")
    anchors, strategies = as_whole_numbers(anchors, "anchors"), as_texts(strategies, "strategies")
    _check(anchors, n_seeds, pool_size)
    if not strategies:
        raise DataError("no strategy is named; give at least one, such as 'active'")
    chosen, notes = _routers(dataset, as_routers(routers))
    if chosen:
        dataset = encode_dataset(dataset, encoder)
    seeds = list(range(seed, seed + n_seeds))
    total = n_seeds * len(strategies) * len(anchors)
    group, _ = family_groups(dataset.llms)
    seen, finished, done = Seen(), list[int](), 0
    at: dict[str, Bench] = {}
    rounds = play_rounds(dataset, strategies=strategies, anchors=anchors, holdout=holdout, split=split, seeds=seeds)
    try:
        for played in rounds:
            if played.seed not in seen.groups:
                at = benches(chosen, played, encoder, pool_size) if chosen else {}
                _begin(seen, played, at, group)
            for metric, values in per_llm(played).items():
                seen.of_llms.setdefault((played.strategy, played.n_anchors, metric), {})[played.seed] = values
            for label, bench in at.items():
                for pool, scores in bench.chosen(played).items():
                    key = (label, pool, played.strategy, played.n_anchors)
                    seen.routed.setdefault(key, {})[played.seed] = scores
            done += 1
            if done == total // n_seeds * (len(finished) + 1):
                finished.append(played.seed)
            if progress:
                progress(done, total)
    except KeyboardInterrupt:
        if not finished:
            raise
        notes.append("interrupted: only the seeds that were finished are in the table")
    if share := max(seen.left_out[seed] for seed in finished):
        notes.append(
            f"in up to {share:.1%} of the pairs of pool and test instance no LLM of the pool was run: left out"
        )
    rows = [*rows_of_llms(seen, finished, seed), *rows_of_routing(seen, finished, seed)]
    info = {
        "dataset": {**dataset_facts(dataset), "holdout": described(dataset, holdout)},
        "seed": seed,
        "seeds": finished,
        "strategies": list(strategies),
        "anchors": list(anchors),
        "n_pools": N_POOLS,
        "notes": notes,
        "complete": len(finished) == n_seeds,
        "splits": seen.digests,
        "routers": {router.label: {"name": router.name, **router.hyperparameters()} for router in chosen},
        "environment": environment(),
    }
    return ColdStart(as_table(rows), info)


def _check(anchors: Sequence[int], n_seeds: int, pool_size: int) -> None:
    if not anchors or min(anchors) < 0 or len(set(anchors)) < len(anchors):
        raise DataError(f"anchors {list(anchors)}: give different whole numbers, each at least 0")
    as_whole_number(n_seeds, "n_seeds", low=1)
    as_whole_number(pool_size, "pool_size", low=2)


def _routers(dataset: Dataset, routers: Sequence[Router]) -> tuple[list[Router], list[str]]:
    """Those that were asked for and the baselines, and what to know of those left out."""
    if not routers:
        return [], []
    chosen, notes = usable(dataset, [*routers, *BASELINES])
    for router in chosen:
        if not can_take_unseen(router):
            raise RouterError(
                f"{router.label} takes no unseen LLMs (recroute routers lists those that do); leave it out"
            )
    return chosen, notes


def _begin(seen: Seen, played: Round, at: dict[str, Bench], group: NDArray[Any]) -> None:
    """What is the same for all rounds of a seed."""
    seed = played.seed
    seen.groups[seed] = group[played.unseen].astype(np.str_)
    seen.n_train[seed] = played.prior.n_instances
    seen.test_ids[seed] = np.array(played.split.test.instance_ids.ids)
    seen.digests[str(seed)] = split_digest(played.split)
    for label, bench in at.items():
        for pool, scores in bench.full.items():
            seen.full.setdefault((label, pool), {})[seed] = scores
            seen.pool_sizes[pool, seed] = len(bench.pools[pool][0])
    first = next(iter(at.values()), None)  # pools are the same for every router
    seen.left_out[seed] = first.left_out() if first else 0.0
    for pool, bounds in (first.bounds() if first else {}).items():
        for name, scores in bounds.items():
            seen.routed.setdefault((name, pool, None, None), {})[seed] = scores
