"""`coldstart`: how well unseen LLMs are predicted, and routed to, after k anchors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recroute.coldstart.holdout import described
from recroute.coldstart.result import ColdStart
from recroute.coldstart.rounds import per_llm, play_rounds
from recroute.coldstart.routing import N_POOLS, Bench, benches, can_take_unseen
from recroute.coldstart.rows import Seen, rows_of
from recroute.coldstart.settings import ColdStartSettings
from recroute.coldstart.tasks import measure_tasks
from recroute.coldstart.tasks_result import TaskColdStart
from recroute.data import Dataset
from recroute.data.llm_table import family_groups
from recroute.errors import RouterError
from recroute.experiment.protocol import Progress
from recroute.experiment.run import Run, usable
from recroute.routers import Router, as_routers
from recroute.splits import HOLDOUTS as TASKS
from recroute.util.arguments import as_whole_number, checked
from recroute.util.settings import takes_settings

BASELINES = ("best_single", "task_best", "knn")  # in every table, even if they win


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
) -> ColdStart | TaskColdStart:
    """Measure how well unseen LLMs are predicted, and routed to, after running them on a few training prompts.

    LLMs are held out, and their scores on k anchors are revealed. With `holdout` "task" or "benchmark", each task is
    held out of training instead, and routers are refreshed with the scores of all LLMs on k of its prompts.

    Parameters
    ----------
    dataset : Dataset
    routers : list of Router or str
        Routers that can take unseen LLMs. Each is fitted on the known LLMs, then gets the unseen ones with their
        scores on the anchors (`Router.add_llms`). It chooses for the test prompts in 50 pools of unseen LLMs only and
        in 50 mixed pools, of which half is known. `best_single`, `task_best` and `knn` are added. Without routers,
        routing is not measured.
    n_seeds, seed : int
        The seeds `seed`, `seed + 1`, ... have different splits and unseen LLMs.
    progress : callable, optional
        Called with the number of rounds done and the total number.
    **settings
        See `ColdStartSettings`.

    Returns
    -------
    ColdStart or TaskColdStart
        After a KeyboardInterrupt it holds the finished seeds.

    Raises
    ------
    RecrouteError
        For an unknown name, a router that cannot take unseen LLMs, or too few LLMs or records.

    Notes
    -----
    Rows of the router "fold-in" describe the prediction of unseen LLMs. They are means over unseen LLMs, computed on
    the training prompts with a score that are *not* anchors:

    - `mean_score_error`: |predicted mean score - mean score|; `plain_mean_error`: the same for the plain mean of the
      anchors' scores (from one anchor on).
    - `brier`: mean of (predicted score - score)^2.
    - `auc`: probability that a success of the LLM (score at least .5) is predicted higher than a failure.
    - `interval_coverage`, `interval_width`: coverage and width of the 90% interval of the mean score over *all*
      training prompts, for LLMs with complete scores; `task_interval_coverage`: mean coverage of the intervals by task.

    Their 95% intervals resample families (or LLMs without a family). Rows of the other routers describe routing, with
    the kind of pool, "unseen" or "mixed", as the group: `mean_score` on test instances (see `Router.choose_judged`) and
    `share_of_full`, this score divided by that of the same router fitted on all scores of all LLMs. Their intervals
    resample test instances.
    """
    seeds = range(seed, seed + as_whole_number(n_seeds, "n_seeds", low=1))
    return measure(ColdStartSettings(seeds=seeds, **settings), dataset, routers, progress)


def measure(
    settings: ColdStartSettings, dataset: Dataset, routers: Sequence[Router | str], progress: Progress | None = None
) -> ColdStart | TaskColdStart:
    """Implementation of `coldstart`."""
    if settings.holdout in TASKS:
        return measure_tasks(settings, dataset, routers, progress)
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
        run.note(f"up to {share:.1%} of the pairs of pool and test instance have no score and are left out")
    rows = rows_of(seen, run.finished, settings.seeds[0])
    info = run.info(
        {"holdout": described(dataset, settings.holdout)},
        strategies=settings.strategies,
        anchors=settings.anchors,
        n_pools=N_POOLS,
    )
    return ColdStart(rows, info)


def _routers(dataset: Dataset, routers: Sequence[Router]) -> tuple[list[Router], list[str]]:
    """The requested routers and the baselines, and notes on those left out."""
    if not routers:
        return [], []
    chosen, notes = usable(dataset, [*routers, *BASELINES])
    for router in chosen:
        if not can_take_unseen(router):
            raise RouterError(
                f"{router.label} cannot take unseen LLMs (recroute routers lists those that can); leave it out"
            )
    return chosen, notes
