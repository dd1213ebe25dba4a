"""How well unseen LLMs are known after so many anchors, and how well routing among them works."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recroute.coldstart.holdout import described
from recroute.coldstart.result import ColdStart
from recroute.coldstart.rounds import per_llm, play_rounds
from recroute.coldstart.routing import N_POOLS, Bench, benches, can_take_unseen
from recroute.coldstart.rows import Seen, rows_of
from recroute.coldstart.settings import ColdStartSettings
from recroute.data import Dataset
from recroute.data.llm_table import family_groups
from recroute.errors import RouterError
from recroute.experiment.protocol import Progress
from recroute.experiment.run import Run, usable
from recroute.routers import Router, as_routers
from recroute.util.arguments import as_whole_number, checked
from recroute.util.settings import takes_settings

BASELINES = ("best_single", "task_best", "knn")  # in every table, also when they win


@checked
@takes_settings(ColdStartSettings, without=("seeds",))
def coldstart(
    dataset: Dataset,
    routers: Sequence[Router | str] = (),
    *,
    n_seeds: int = 5,
    seed: int = 0,
    progress: Progress | None = None,
    **settings: Any,
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
    **settings
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
    was evaluated, see `Router.choose_judged`), and `share_of_full`, that score over the one of the same router fitted
    on all scores of all LLMs. Their intervals resample test instances. After a KeyboardInterrupt the seeds that were
    finished are kept.

    Raises
    ------
    RecrouteError
        For an unknown name, a router that takes no unseen LLMs, or too few LLMs or records.
    """
    seeds = range(seed, seed + as_whole_number(n_seeds, "n_seeds", low=1))
    return measure(ColdStartSettings(seeds=seeds, **settings), dataset, routers, progress)


def measure(
    settings: ColdStartSettings, dataset: Dataset, routers: Sequence[Router | str], progress: Progress | None = None
) -> ColdStart:
    """As `coldstart`."""
    dataset.require_scores("coldstart")
    chosen, notes = _routers(dataset, as_routers(routers))
    run = Run(settings.encoded(dataset) if chosen else dataset, settings.seeds, chosen, notes, progress)
    group, _ = family_groups(dataset.llms)
    n_rounds = len(settings.strategies) * len(settings.anchors)
    seen, at, played_of_seed = Seen(), dict[str, Bench](), 0
    with run.keeping():
        for played in play_rounds(run.dataset, settings):
            if played.seed not in seen.groups:
                at = benches(chosen, played, settings) if chosen else {}
                seen.begin(played, at, group)
                run.saw(played.split)
                played_of_seed = 0
            seen.add(played, per_llm(played), at)
            played_of_seed += 1
            if played_of_seed == n_rounds:
                run.finished.append(played.seed)
            run.step(len(settings.seeds) * n_rounds)
    if share := max(seen.left_out[s] for s in run.finished):
        run.note(f"in up to {share:.1%} of the pairs of pool and test instance no LLM of the pool was run: left out")
    rows = rows_of(seen, run.finished, settings.seeds[0])
    info = run.info(
        {"holdout": described(dataset, settings.holdout)},
        strategies=settings.strategies,
        anchors=settings.anchors,
        n_pools=N_POOLS,
    )
    return ColdStart(rows, info)


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
