"""Routing among LLMs that were onboarded with k anchors, compared with the same router fitted on all scores."""

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
N_POOLS = 50  # pools drawn of each kind, because results on a single small pool vary a lot


@dataclass(frozen=True, eq=False)
class Bench:
    """One router on one split and one set of unseen LLMs.

    Parameters
    ----------
    cold : Router
        Fitted on the known LLMs.
    parts : Split
        With vectors; its LLMs are the known ones, followed by the unseen ones.
    n_known : int
    seen : int64 (n',)
        Training prompts on which known LLMs have a record; new LLMs can have scores on these.
    pools : dict of str to list of int64 (m,)
        Pools of each kind.
    full : dict of str to f64 (n,)
        Scores of the choices of the router fitted on all scores of all LLMs, see `reached`.
    """

    cold: Router
    parts: Split
    n_known: int
    seen: Index
    pools: dict[str, list[Index]]
    full: dict[str, Array]

    @classmethod
    def of(cls, router: Router, played: Round, parts: Split, pool_size: int) -> Bench:
        """Fit the router on the known LLMs, and on all LLMs."""
        order, n_known = np.concatenate([played.known, played.unseen]), len(played.known)
        parts = replace(parts, train=parts.train.take_llms(order), test=parts.test.take_llms(order))
        pools = draw_pools(n_known, len(played.unseen), pool_size, played.seed)
        train = parts.train.take_llms(np.arange(n_known))
        seen = np.flatnonzero(train.interactions.instance_counts)
        cold = replace(router, seed=played.seed).fit(train)
        if cold.background_ is not None and len(seen) == train.n_instances:
            cold.background_.known_prior = played.prior  # learned from the same scores
        full = replace(router, seed=played.seed).fit(parts.train)
        return cls(cold, parts, n_known, seen, pools, reached(full, parts, pools))

    def chosen(self, played: Round) -> dict[str, Array]:
        """Scores of the choices after the anchors of a round, see `reached`."""
        table = self.parts.train.llms[self.n_known :]
        grown = self.cold.add_llms(InteractionMatrix.from_dense(played.scores[self.seen]), table)
        return reached(grown, self.parts, self.pools)

    def bounds(self) -> dict[str, dict[str, Array]]:
        """Scores of random choices (in expectation) and of the oracle, by kind of pool."""
        scores = self.parts.test.interactions.dense()
        bounds: dict[str, dict[str, Array]] = {}
        for name, pools in self.pools.items():
            blocks = [scores[:, pool].astype(np.float64) for pool in pools]
            bounds[name] = {
                "random": known_mean([known_mean(block.T)[0] for block in blocks])[0],
                "oracle": known_mean([np.fmax.reduce(block, axis=1) for block in blocks])[0],
            }
        return bounds

    def left_out(self) -> float:
        """Share of the pairs of pool and test prompt without any score."""
        scores = self.parts.test.interactions.dense()
        drawn = [pool for pools in self.pools.values() for pool in pools]
        return float(np.mean([np.isnan(scores[:, pool]).all(axis=1).mean() for pool in drawn]))


def benches(routers: Sequence[Router], played: Round, settings: ColdStartSettings) -> dict[str, Bench]:
    """Benches of all routers on the split of a round, by label."""
    parts = with_vectors(played.split, settings.encoder)
    return {router.label: Bench.of(router, played, parts, settings.pool_size) for router in routers}


def draw_pools(n_known: int, n_unseen: int, size: int, seed: int) -> dict[str, list[Index]]:
    """Random pools of unseen LLMs only, and of known and unseen LLMs in equal parts; positions of known LLMs first.

    Pools are smaller than `size` if there are too few LLMs.
    """
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
    """Score of the router's choice on each test prompt, averaged over pools, f64 (n,), by kind of pool.

    Choices are judged by `Router.choose_judged`; pools without any score on the prompt are left out.
    """
    scores = parts.test.interactions.dense().astype(np.float64)
    rows = np.arange(len(scores))
    predicted = router.score(parts.test, list(parts.test.llm_ids))
    position = router.llm_index(list(parts.test.llm_ids))
    means = {}
    for name, drawn in pools.items():
        taken = [
            pool[router.choose_judged(predicted[:, pool], scores[:, pool], position[pool]).judged] for pool in drawn
        ]
        means[name] = known_mean([scores[rows, choice] for choice in taken])[0]
    return means


def can_take_unseen(router: Router) -> bool:
    """Whether a router, fitted or not, and all of its parts can take unseen LLMs."""
    parts = router.make_parts() if hasattr(router, "make_parts") else []
    return lacking(router) is None and all(can_take_unseen(part) for part in parts)
