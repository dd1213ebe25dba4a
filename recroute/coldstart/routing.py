"""Routing among LLMs of which only anchors are known, beside the same router with all their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from recroute.coldstart.rounds import Round
from recroute.coldstart.settings import ColdStartSettings
from recroute.data import InteractionMatrix
from recroute.experiment.prepare import with_vectors
from recroute.routers import Router
from recroute.routers.memory.grow import lacking
from recroute.splits import Split
from recroute.util.numeric import Array, Index, known_mean

UNSEEN, MIXED = "unseen", "mixed"
N_POOLS = 50  # that are drawn of each kind: among few LLMs, which ones they are decides much


@dataclass(frozen=True, eq=False)
class Bench:
    """One router on one split and choice of unseen LLMs.

    Parameters
    ----------
    cold : Router
        Fitted on the known LLMs.
    parts : Split
        With vectors; its LLMs are the known ones, then the unseen ones.
    n_known : int
    seen : int64 (n',)
        Training prompts that the known LLMs have a record on: those the router can be told scores of.
    pools : dict of str to list of int64 (m,)
        Pools of LLMs to choose from, of each kind.
    full : dict of str to f64 (n,)
        What the router reaches when it is fitted on all scores of all LLMs, see `reached`.
    """

    cold: Router
    parts: Split
    n_known: int
    seen: Index
    pools: dict[str, list[Index]]
    full: dict[str, Array]

    @classmethod
    def of(cls, router: Router, played: Round, parts: Split, pool_size: int) -> Bench:
        """Fit the router twice."""
        order, n_known = np.concatenate([played.known, played.unseen]), len(played.known)
        parts = replace(parts, train=parts.train.take_llms(order), test=parts.test.take_llms(order))
        pools = draw_pools(n_known, len(played.unseen), pool_size, played.seed)
        train = parts.train.take_llms(np.arange(n_known))
        seen = np.flatnonzero(train.interactions.instance_counts)
        cold = replace(router, seed=played.seed).fit(train)
        if cold.background_ is not None and len(seen) == train.n_instances:
            cold.background_.known_prior = played.prior  # learned from the same scores
        everybody = replace(router, seed=played.seed).fit(parts.train)
        return cls(cold, parts, n_known, seen, pools, reached(everybody, parts, pools))

    def chosen(self, played: Round) -> dict[str, Array]:
        """What the router reaches after so many anchors, see `reached`."""
        table = self.parts.train.llms[self.n_known :]
        grown = self.cold.add_llms(InteractionMatrix.from_dense(played.scores[self.seen]), table)
        return reached(grown, self.parts, self.pools)

    def bounds(self) -> dict[str, dict[str, Array]]:
        """What chance (in expectation) and the oracle reach, by pool."""
        scores = self.parts.test.interactions.dense()
        found: dict[str, dict[str, Array]] = {}
        for name, pools in self.pools.items():
            blocks = [scores[:, pool].astype(np.float64) for pool in pools]
            found[name] = {
                "random": known_mean([known_mean(block.T)[0] for block in blocks])[0],
                "oracle": known_mean([np.fmax.reduce(block, axis=1) for block in blocks])[0],
            }
        return found

    def left_out(self) -> float:
        """Share of the pairs of pool and test prompt of which nobody in the pool was evaluated on the prompt."""
        scores = self.parts.test.interactions.dense()
        drawn = [pool for pools in self.pools.values() for pool in pools]
        return float(np.mean([np.isnan(scores[:, pool]).all(axis=1).mean() for pool in drawn]))


def benches(routers: Sequence[Router], played: Round, settings: ColdStartSettings) -> dict[str, Bench]:
    """All routers on the split of a round, by label."""
    parts = with_vectors(played.split, settings.encoder)
    return {router.label: Bench.of(router, played, parts, settings.pool_size) for router in routers}


def draw_pools(n_known: int, n_unseen: int, size: int, seed: int) -> dict[str, list[Index]]:
    """Pools of unseen LLMs only, and with half of them known; those come first in numbering. Cut to what there is."""
    rng = np.random.default_rng([seed, 6])
    half = min(max(size // 2, 1), n_known, n_unseen)
    alone = min(size, n_unseen)
    pools: dict[str, list[Index]] = {UNSEEN: [], MIXED: []}
    for _ in range(N_POOLS):
        pools[UNSEEN].append(n_known + np.sort(rng.permutation(n_unseen)[:alone]))
        known, unseen = rng.permutation(n_known)[:half], n_known + rng.permutation(n_unseen)[:half]
        pools[MIXED].append(np.sort(np.concatenate([known, unseen])))
    return pools


def reached(router: Router, parts: Split, pools: dict[str, list[Index]]) -> dict[str, Array]:
    """By kind of pool, for each test prompt the mean over pools of the chosen LLM's score, f64 (n,).

    Choices are judged by `Router.choose_judged`; pools none of whose LLMs was evaluated on the prompt are left out.
    """
    scores = parts.test.interactions.dense().astype(np.float64)
    rows = np.arange(len(scores))
    predicted = router.score(parts.test, list(parts.test.llm_ids))
    position = router.llm_index(list(parts.test.llm_ids))
    found = {}
    for name, drawn in pools.items():
        taken = [
            pool[router.choose_judged(predicted[:, pool], scores[:, pool], position[pool]).judged] for pool in drawn
        ]
        found[name] = known_mean([scores[rows, choice] for choice in taken])[0]
    return found


def can_take_unseen(router: Router) -> bool:
    """Whether a router, fitted or not, takes unseen LLMs in; of one made of others, whether its parts do."""
    parts = router.make_parts() if hasattr(router, "make_parts") else []
    return lacking(router) is None and all(can_take_unseen(part) for part in parts)
