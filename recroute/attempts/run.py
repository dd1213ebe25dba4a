"""`cascade`: what several attempts at a prompt reach, by router and policy."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, replace
from typing import Any

from recroute.attempts.policies import Played, fixed_policies, play, router_policies
from recroute.attempts.result import Cascade
from recroute.attempts.rows import Key, rows_of
from recroute.attempts.settings import CascadeSettings
from recroute.attempts.target import AtTarget, Stage
from recroute.data import Dataset
from recroute.errors import DataError, RouterError
from recroute.experiment.protocol import Progress
from recroute.experiment.provenance import part_facts
from recroute.experiment.run import TEST_USE, Run, usable
from recroute.routers import Router, as_routers
from recroute.routers.costs import cost_unit, no_costs
from recroute.splits import Split
from recroute.util.arguments import checked
from recroute.util.settings import takes_settings

BASELINES = ("random", "knn")  # by their ranking alone, in every table, also when they win


@checked
@takes_settings(CascadeSettings)
def cascade(
    dataset: Dataset, routers: Iterable[Router | str], *, progress: Progress | None = None, **settings: Any
) -> Cascade:
    """Several attempts at each prompt until an answer is accepted: score, calls and cost by policy.

    Parameters
    ----------
    dataset : Dataset
    routers : list of Router or str
        Each is fitted anew on every pool. Beside its ranking by text (`next`) it is asked after every verdict for the
        LLM whose expected score is highest now (`posterior`, see `Router.rank` with `tried`), and for a set to ask at
        once (`set`, see `Router.choose_set`). `random` and `knn` are added, by their ranking alone.

        With `budget` or `quality` these policies weigh cost: the next attempt is made if what it is expected to add to
        the score of the answer that is kept is worth its expected cost. What a unit of cost counts is chosen for each
        number of attempts on validation instances. Other policies do not weigh cost.
    **settings
    progress : callable, optional
        Called with the pools done and the pools in all.

    Notes
    -----
    Policies that ask no router: `fixed_order` takes the LLMs by their mean on train, `fixed_set` greedily by what they
    add to the best score there; `task_order` and `task_set` do the same within each task, and are told the task of a
    test prompt; `oracle` takes the best LLM first. An LLM that was not evaluated on a prompt is passed over by all.

    Returns
    -------
    Cascade. After a KeyboardInterrupt it holds the seeds that were finished.

    Raises
    ------
    RecrouteError
        If the data set cannot be split, a name is unknown, or no router can be fitted on it; with `budget` or `quality`
        if there are no costs, and with the verifier "verdict" if there are no verdicts.
    """
    return measure(CascadeSettings(**settings), dataset, routers, progress)


def measure(
    settings: CascadeSettings,
    dataset: Dataset,
    routers: Iterable[Router | str],
    progress: Progress | None = None,
) -> Cascade:
    """As `cascade`."""
    dataset.require_scores("cascade")
    asked, notes = usable(dataset, as_routers(routers))
    more = [name for name in BASELINES if name not in {router.label for router in asked}]
    baselines = [] if settings.target else usable(dataset, more)[0]
    if settings.target and dataset.interactions.mean_costs() is None:
        raise DataError(no_costs(dataset))
    pools_of, of_pools = settings.pools(dataset)
    run = Run(settings.encoded(dataset), settings.seeds, [*asked, *baselines], [*notes, *of_pools], progress)
    found: dict[int, dict[Key, Played]] = {}
    ids, facts = {}, {}
    with run.keeping():
        for seed in settings.seeds:
            parts = settings.parts(run.dataset, seed)
            pools, of_seed = pools_of(parts), dict[Key, Played]()
            for pool in pools:
                of_pool = parts.take_llms(pool.llm_index)
                for key, played in _played(run, settings, of_pool, only_next={r.label for r in baselines}):
                    of_seed[(*key, pool.group, pool.size)] = played
                run.step(len(settings.seeds) * len(pools))
            run.saw(parts)
            found[seed], ids[seed], facts = of_seed, parts.test.instances["instance_id"].to_numpy(), part_facts(parts)
            run.finished.append(seed)
    rows, pairs = rows_of([found[s] for s in run.finished], [ids[s] for s in run.finished], run.finished, settings)
    of_target = {} if settings.target is None else {**asdict(settings.target), "cost_unit": cost_unit(dataset)}
    asked_for = {"attempts": list(settings.attempts), "verifier": settings.verifier, "test_use": TEST_USE}
    info = run.info(facts, **asked_for, **of_target)
    return Cascade(rows, info, pairs)


def _played(
    run: Run, settings: CascadeSettings, parts: Split, *, only_next: Collection[str]
) -> Iterator[tuple[tuple[str, str], Played]]:
    """What each policy of each router reached on one pool, under router and policy.

    `only_next` are the labels of routers of which the ranking by text alone is wanted.
    """
    judge = settings.judge(parts.train)
    answers = settings.answers(parts.test, judge, parts.seed)
    k = min(max(settings.attempts), parts.train.n_llms)
    for label, name, policy in fixed_policies(parts.train, parts.test, answers, k):
        yield (label, name), play(policy, answers, k)
    at_target = None
    if settings.target is not None:
        valid = Stage(parts.valid, settings.answers(parts.valid, judge, parts.seed))
        ks = sorted({min(k, each) for each in settings.attempts})
        at_target = AtTarget(settings.target, parts.train, valid, Stage(parts.test, answers), ks)
    for router in run.routers:
        fitted = replace(router, seed=parts.seed).fit(parts.train)
        try:
            if at_target is not None:
                for name, played, missed in at_target.play(fitted):
                    yield (router.label, name), played
                    run.note(*(f"{router.label} {line}" for line in missed))
                continue
            for name, policy in router_policies(fitted, parts.test, answers, k, only_next=router.label in only_next):
                yield (router.label, name), play(policy, answers, k)
        except RouterError as error:
            lacks = "beyond next" if at_target is None else "that weighs cost"
            run.note(f"{router.label} has no policy {lacks}: {error}")
