"""Policies: which LLM is tried next on a prompt, and which answer is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from recroute.attempts.answers import Answers
from recroute.data import Dataset, Prompts, llm_means
from recroute.pools import PoolValue, greedy
from recroute.retrieval import tie_order, top_k
from recroute.routers import Router
from recroute.routers.memory.attempts import belief_of
from recroute.routers.memory.joint import Belief
from recroute.routers.memory.verifier import Verifier
from recroute.util.numeric import Array, Floats, Index

NEXT, POSTERIOR, TOGETHER = "next", "posterior", "set"  # policies that ask a router
SPARE = 10  # LLMs beyond the attempts in a greedy set, for prompts on which some were not evaluated


class Policy(Protocol):
    """Interface of a policy, which `play` calls turn by turn."""

    at_once: bool

    def choose(self, turn: int) -> Index:
        """The LLM to try on each prompt, int (n,); -1 where none is left."""

    def see(self, llm: Index, verdict: Floats) -> None:
        """Take in the verdicts f32 (n,) on the answers of LLMs int (n,); NaN where none was tried."""

    def fallback(self) -> Index:
        """The LLM tried whose answer is kept where none was accepted, int (n,)."""


@dataclass(eq=False)
class Order:
    """A policy that is fixed beforehand: LLMs int (n, k) by turn, -1 where there are fewer."""

    order: Index
    at_once: bool = False

    def choose(self, turn: int) -> Index:
        found: Index = self.order[:, turn]
        return found

    def see(self, llm: Index, verdict: Floats) -> None:
        """Nothing is learned from a verdict."""

    def fallback(self) -> Index:
        return self.choose(0)


@dataclass(eq=False)
class Posterior:
    """Tries the LLM whose expected score given all verdicts on this prompt is highest."""

    belief: Belief
    scores: Floats
    verifier: Verifier
    tried: list[Index] = field(default_factory=list)
    at_once: bool = False

    def choose(self, turn: int) -> Index:
        rows = np.arange(len(self.scores))
        expected = np.where(np.isnan(self.scores), -np.inf, self.belief.expected())
        for llm in self.tried:
            expected[rows[llm >= 0], llm[llm >= 0]] = -np.inf
        best = expected.argmax(axis=1)
        return np.where(np.isinf(expected[rows, best]), -1, best)

    def see(self, llm: Index, verdict: Floats) -> None:
        self.tried.append(np.where(np.isnan(verdict), -1, llm))
        self.belief = self.belief.observed(np.maximum(llm, 0), verdict, self.verifier)

    def fallback(self) -> Index:
        tried, rows = np.stack(self.tried, axis=1), np.arange(len(self.scores))
        expected = np.where(tried < 0, -np.inf, self.belief.expected()[rows[:, None], tried])
        found: Index = tried[rows, expected.argmax(axis=1)]
        return found


@dataclass(frozen=True, eq=False)
class Played:
    """What a policy reached with at most 1, 2, ..., k attempts: f64 (n, k) each, NaN where nobody was evaluated.

    Parameters
    ----------
    score : f64 (n, k)
        Of the answer that was kept.
    calls : f64 (n, k)
        LLMs called.
    cost : f64 (n, k), optional
    """

    score: Array
    calls: Array
    cost: Array | None


def play(policy: Policy, answers: Answers, k: int) -> Played:
    """Attempt by attempt, each prompt until an answer is accepted.

    With an exact verifier the best answer so far is kept; with a judge that errs the accepted one, and before there is
    one the policy's `fallback`.
    """
    n = len(answers.scores)
    rows, open_ = np.arange(n), np.ones(n, dtype=bool)
    score, calls, cost = (np.full((n, k), np.nan) for _ in range(3))
    kept, called, spent = np.full(n, np.nan), np.zeros(n), np.zeros(n)
    done = np.zeros(n, dtype=bool)
    for turn in range(k):
        llm = policy.choose(turn)
        tried = open_ & (llm >= 0)
        policy.see(llm, np.where(tried, answers.verdicts[rows, llm], np.nan).astype(np.float32))
        reached = answers.scores[rows, llm]
        called += tried
        if answers.costs is not None:
            spent += np.where(tried, answers.costs[rows, llm], 0)
        accepted = tried & answers.accepted[rows, llm] & ~done
        if answers.verifier.exact:
            kept = np.fmax(kept, np.where(tried, reached, np.nan))
        else:
            first = policy.fallback()
            otherwise = np.where(first >= 0, answers.scores[rows, first], np.nan)
            kept = np.where(accepted, reached, np.where(done, kept, otherwise))
        done |= accepted
        if not policy.at_once:
            open_ &= ~accepted
        score[:, turn], calls[:, turn], cost[:, turn] = kept, np.where(called > 0, called, np.nan), spent
    return Played(score, calls, None if answers.costs is None else np.where(called[:, None] > 0, cost, np.nan))


def fixed_policies(train: Dataset, test: Dataset, answers: Answers, k: int) -> Iterator[tuple[str, str, Policy]]:
    """Router, name and policy of those that ask no router: by the whole of train, by each task of it, and the oracle.

    `fixed_order` takes LLMs by their mean, `fixed_set` greedily by what they add to the best score so far.
    """
    scores = train.interactions.dense()
    filled = np.where(np.isnan(scores), llm_means(train), scores).astype(np.float32)
    length = min(train.n_llms, k if not np.isnan(answers.scores).any() else k + SPARE)
    every = np.zeros(test.n_instances, dtype=np.int64)
    names, task = np.unique(np.append(train.tasks, test.tasks), return_inverse=True)
    of_train, of_test = task[: train.n_instances], task[train.n_instances :]
    groups = [np.flatnonzero(of_train == code) for code in range(len(names))]
    rows_of_task = [rows if len(rows) else np.arange(train.n_instances) for rows in groups]
    for kind, make in (("order", by_mean), ("set", greedy_set)):
        whole = make(filled, length)[None]
        yield "best_single", f"fixed_{kind}", Order(first_evaluated_of(whole, every, answers, k))
        of_tasks = np.stack([make(filled[rows], length) for rows in rows_of_task])
        yield "task_best", f"task_{kind}", Order(first_evaluated_of(of_tasks, of_test, answers, k))
    best = top_k(np.nan_to_num(answers.scores, nan=-1), k, tie_order(llm_means(train))).astype(np.int64)
    yield "oracle", "oracle", Order(np.where(np.isnan(np.take_along_axis(answers.scores, best, axis=1)), -1, best))


def router_policies(
    router: Router, test: Dataset, answers: Answers, k: int, *, only_next: bool
) -> Iterator[tuple[str, Policy]]:
    """Name and policy of those that ask a router fitted on train: its ranking by text, and what it makes of verdicts.

    With `only_next` the ranking alone. Raises RouterError if the router keeps too little of its training data.
    """
    unobserved = np.isnan(answers.scores)
    prompts = Prompts.of(test)
    scores = router.predicted_score(prompts)
    predicted = np.where(unobserved, -np.inf, scores).astype(np.float32)
    order = router.choose(predicted, router.llm_index(), k).astype(np.int64)
    yield NEXT, Order(np.where(np.isinf(np.take_along_axis(predicted, order, axis=1)), -1, order))
    if only_next:
        return
    belief = belief_of(router, prompts, scores)
    yield POSTERIOR, Posterior(belief, answers.scores, answers.verifier)
    closed = np.where(unobserved, np.inf, 0).astype(np.float32)
    members, _ = belief.choose_set(k, router.llm_index(), closed)
    members = np.where(np.take_along_axis(unobserved, members, axis=1), -1, members)
    yield TOGETHER, Order(members, at_once=True)


def by_mean(scores: Floats, length: int) -> Index:
    """LLMs by falling mean of scores f32 (n, m), int (length,)."""
    return tie_order(scores.mean(axis=0))[:length]


def greedy_set(scores: Floats, length: int) -> Index:
    """LLMs in the order in which they add most to the mean of the best score f32 (n, m), int (length,)."""
    return np.array(greedy(PoolValue(scores, scores), length, tie_order(scores.mean(axis=0))))


def first_evaluated_of(orders: Index, member: Index, answers: Answers, k: int) -> Index:
    """The first k LLMs of each prompt's order that were evaluated on it, int (n, k), -1 where there are fewer.

    `orders` int (g, length) is one order for each group, `member` int (n,) the group of each prompt.
    """
    order = orders[member]
    evaluated = ~np.isnan(np.take_along_axis(answers.scores, order, axis=1))
    place = np.where(evaluated, evaluated.cumsum(axis=1) - 1, -1)
    found = np.full((len(member), k), -1, dtype=np.int64)
    row, column = np.nonzero(evaluated & (place < k))
    found[row, place[row, column]] = order[row, column]
    return found
