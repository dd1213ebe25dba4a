"""LLMs whose rows stand in another order than everybody else's.

A run on W data-parallel ranks is often written rank after rank. Joined by position, such an LLM keeps its mean and
loses its correlation with the other LLMs; a matrix with some of them looks plausible and has an oracle that is far
too high. Under each order that could have happened, this asks how well the LLM's scores fit the others', in two ways,
both log-likelihoods:

* a linear fit on the main directions in which instances differ (difficulty first), learned from other LLMs;
* agreement with the dozen LLMs it resembles most, as mutual information within tasks. Weak LLMs have next to no
  difficulty in common with the rest, but most of them have near relatives.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from recroute.data.dataset import Dataset
from recroute.data.doctor._order import N_RELATIVES, ORDERS, Order, patterns, relatives_evidence
from recroute.data.doctor.finding import Finding, llm_s, some
from recroute.data.matrix import InteractionMatrix
from recroute.data.means import llm_means
from recroute.util.numeric import Floats, Index

# Log-likelihood ratios, in nats. On sound data (openllm1 and permutations of it) the first stays below 7 and the sum
# below 42 (38 from 200 records on), over thousands of LLMs and all orders; where rows were really moved it is mostly
# far above 100.
SURE_BY_DIFFICULTY = 15.0
SURE_IN_SUM = 40.0
SURE_WITH_FEW_RECORDS = 50.0
# An order that is present is by this much likelier than any other. Of the LLMs of openllm1 2% do not reach it; where
# rows were moved and were not found (3%, all with one or two tasks), none did.
SURE_IN_ORDER = 10.0
N_DIRECTIONS = 8
MIN_RECORDS = 60
MIN_FOR_DOUBT = 200
MIN_OF_EACH = 20  # successes and failures: one success correlates with nothing
MIN_FOR_DIRECTIONS = 400  # LLMs; below, the directions would follow single LLMs


@dataclass(frozen=True)
class Reordered:
    """An LLM (its column) and the order that its rows are in."""

    llm: int
    order: Order
    evidence: float


@dataclass(frozen=True, eq=False)
class Examined:
    """What `find_reordered` saw.

    Parameters
    ----------
    found : list of Reordered
    correlation : f32 (m,)
        Item-rest correlation of every LLM.
    expected : f32 (m,)
        What LLMs with such a mean have.
    margin : f32 (m,)
        Log-likelihood of the likeliest other order over the present one.
    """

    found: list[Reordered]
    correlation: Floats
    expected: Floats
    margin: Floats


def check_row_order(dataset: Dataset) -> list[Finding]:
    """LLMs with rows in rank order, which can be put back, and LLMs whose scores do not follow the others'."""
    examined = find_reordered(dataset)
    ids, found = dataset.llm_ids.ids, examined.found
    restored = {item.llm for item in found}
    findings = [
        _moved(ids, order, [item for item in found if item.order == order])
        for order in dict.fromkeys(item.order for item in found)
    ]
    lost = [j for j in _unrelated(dataset, examined.correlation, examined.expected) if j not in restored]
    if lost:
        llms = tuple(ids[j] for j in lost)
        text = (
            f"{llm_s(len(llms), 'has', 'have')} a usual mean and scores that do not follow the others' (item-rest "
            f"correlation under .1 where neighbours in mean have {examined.expected[lost].min():.2f} or more): "
            f"{some(llms)}"
        )
        mend = (
            "look at their source: LLMs that guess (broken weights), or rows in an order that is none of the known "
            "ones; leave them out"
        )
        values = {"correlation": {ids[j]: round(float(examined.correlation[j]), 3) for j in lost}}
        findings.append(Finding("unrelated_scores", "warning", text, mend, llms=llms, values=values))
    return findings + _untold(dataset, examined, restored | set(lost))


def _moved(ids: tuple[str, ...], order: Order, items: list[Reordered]) -> Finding:
    """LLMs whose rows are all in one order, and how to put them back."""
    llms = tuple(ids[item.llm] for item in items)
    weakest = min(item.evidence for item in items)
    return Finding(
        "row_order",
        "error",
        f"{llm_s(len(llms), 'has', 'have')} rows in rank order, {order}: {some(llms)}; putting them back fits "
        f"the other LLMs better by a log-likelihood of {weakest:.0f} or more",
        "write the corrected data set with --fix DIR, or join the source by document id",
        llms=llms,
        values={
            "width": order.width,
            "by_task": order.by_task,
            "observed_only": order.observed_only,
            "evidence": {ids[item.llm]: round(item.evidence, 1) for item in items},
        },
        fix=partial(restore, found=items),
    )


def _untold(dataset: Dataset, examined: Examined, named: set[int]) -> list[Finding]:
    """The LLMs whose order cannot be known."""
    n_records = dataset.interactions.llm_counts
    few = (n_records > 0) & (n_records < MIN_RECORDS)
    untold = few | ((n_records > 0) & (examined.margin > -SURE_IN_ORDER))
    untold[list(named)] = False
    if not untold.any():
        return []
    llms = tuple(dataset.llm_ids.ids[j] for j in np.flatnonzero(untold))
    text = (
        f"the row order of {len(llms):,} of {dataset.n_llms:,} LLMs cannot be told from their scores: {some(llms)} "
        f"({np.count_nonzero(few & untold):,} have fewer than {MIN_RECORDS} records, the others have nearly one score "
        "throughout or answer as if they guessed)"
    )
    return [Finding("row_order_unknown", "note", text, "if it matters, compare with their source by document id", llms)]


def restore(dataset: Dataset, found: list[Reordered]) -> Dataset:
    """The data set with these LLMs' rows put back where they belong."""
    matrix = dataset.interactions
    rows, columns = matrix.coordinates()
    rows = rows.copy()
    task = np.unique(dataset.tasks, return_inverse=True)[1]
    for item in found:
        cells = np.flatnonzero(columns == item.llm)
        rows[cells] = item.order.true_rows(rows[cells].astype(np.int64), task)
    shape = (matrix.n_instances, matrix.n_llms)
    costs = None if matrix.costs is None else matrix.costs.data
    return replace(
        dataset, interactions=InteractionMatrix.from_coordinates(rows, columns, matrix.scores.data, shape, costs)
    )


def find_reordered(dataset: Dataset) -> Examined:
    """Try every order on every LLM."""
    scores = dataset.interactions.dense()
    observed = ~np.isnan(scores)
    raw = np.nan_to_num(scores)
    task = np.unique(dataset.tasks, return_inverse=True)[1].astype(np.int64)
    groups = patterns(observed)
    fit = _Fit(raw, observed, task, groups)
    by_difficulty, r2 = fit.evidence([fit.difficulty(half) for half in (0, 1)])
    correlation = np.sqrt(np.maximum(r2, 0)) * fit.sign
    enough = observed.sum(axis=0) >= MIN_RECORDS
    sure = (by_difficulty.max(axis=0) > SURE_BY_DIFFICULTY) & enough
    total, chosen = by_difficulty, sure
    if dataset.n_llms >= MIN_FOR_DIRECTIONS:
        sound = ~sure & (r2 > 0.1)
        if np.count_nonzero(sound) >= MIN_FOR_DIRECTIONS // 2:
            total, _ = fit.evidence([fit.directions(half, sound) for half in (0, 1)])
    open_question = np.flatnonzero(enough & ~sure & (total.max(axis=0) > -SURE_IN_SUM))
    if len(open_question) and dataset.n_llms >= N_RELATIVES:
        peers = np.flatnonzero(~sure)
        total[:, open_question] += relatives_evidence(raw, observed, task, open_question, peers)
        chosen = sure.copy()
        few = observed[:, open_question].sum(axis=0) < MIN_FOR_DOUBT
        chosen[open_question] = total[:, open_question].max(axis=0) > np.where(few, SURE_WITH_FEW_RECORDS, SURE_IN_SUM)
    # Where an LLM fails at most of a task the two readings of its missing rows can be as likely; the usual one stands.
    unusual = np.array([[0.0 if order.observed_only else SURE_IN_ORDER] for order in ORDERS], dtype=np.float32)
    best = (total - unusual).argmax(axis=0)
    found = [Reordered(int(j), ORDERS[best[j]], float(total[best[j], j])) for j in np.flatnonzero(chosen)]
    return Examined(found, correlation, _expected(correlation, llm_means(dataset)), total.max(axis=0))


class _Fit:
    """How well each LLM's scores fit directions learned from the other half of the LLMs, under every order."""

    def __init__(
        self, raw: Floats, observed: NDArray[np.bool_], task: Index, groups: list[tuple[Index, Index]]
    ) -> None:
        self.raw, self.observed, self.task, self.groups = raw, observed, task, groups
        self.n_tasks = int(task.max()) + 1
        self.sign = np.ones(raw.shape[1], dtype=np.float32)  # of the fit on the first direction, of the last call

    def difficulty(self, half: int) -> Floats:
        """Mean score of each instance over one half of the LLMs, f32 (n, 1)."""
        part = slice(half, None, 2)
        seen = np.maximum(self.observed[:, part].sum(axis=1, dtype=np.float32), 1)
        mean: Floats = self.raw[:, part].sum(axis=1) / seen
        return mean[:, None]

    def directions(self, half: int, sound: NDArray[np.bool_]) -> Floats:
        """The main directions of the sound LLMs of one half, f32 (n, 8)."""
        from sklearn.utils.extmath import randomized_svd

        llms = np.flatnonzero(sound)[half::2]
        x = _centre(self.raw[:, llms], self.observed[:, llms], self.task)
        x /= np.maximum(np.linalg.norm(x, axis=0), 1e-6)
        return randomized_svd(x, N_DIRECTIONS, random_state=0)[0]

    def evidence(self, directions: list[Floats]) -> tuple[Floats, Floats]:
        """Log-likelihood ratio of each order against the present one, f32 (orders, m), and R2 as it is, f32 (m,)."""
        m = self.raw.shape[1]
        ratio = np.full((len(ORDERS), m), -np.inf, dtype=np.float32)
        r2 = np.zeros(m, dtype=np.float32)
        for rows, llms in self.groups:
            complete = len(rows) == len(self.task)
            for half in (0, 1):
                own = llms[llms % 2 != half]  # judged by the other half: nobody speaks for himself
                if len(own) == 0 or len(rows) < 3:
                    continue
                x = self.raw[np.ix_(rows, own)]
                present, total = self._residual(x, rows, directions[half])
                r2[own] = 1 - present / np.maximum(total, 1e-3)
                self.sign[own] = np.sign(self._centred(rows, directions[half])[:, 0] @ x)
                for i, order in enumerate(ORDERS):
                    if complete and not order.observed_only:
                        continue  # the same as with the observed rows only
                    residual, _ = self._residual(x, order.true_rows(rows, self.task), directions[half])
                    ratio[i, own] = len(rows) / 2 * np.log(present / residual)
        return ratio, r2

    def _residual(self, x: Floats, rows: Index, directions: Floats) -> tuple[Floats, Floats]:
        """Sum of squares left when values x (k, b) at `rows` are fitted, and that about the tasks' means, f32 (b,)."""
        member, size = self._members(rows)
        total = (x**2).sum(axis=0) - ((member @ x) ** 2 / size[:, None]).sum(axis=0)
        orthonormal, _ = np.linalg.qr(self._centred(rows, directions))
        return np.maximum(total - ((orthonormal.T @ x) ** 2).sum(axis=0), 1e-3), total

    def _centred(self, rows: Index, directions: Floats) -> Floats:
        """Directions at `rows`, about their means in each task, f32 (k, d)."""
        member, size = self._members(rows)
        return directions[rows] - member.T @ ((member @ directions[rows]) / size[:, None])

    def _members(self, rows: Index) -> tuple[Floats, Floats]:
        member = (self.task[rows] == np.arange(self.n_tasks)[:, None]).astype(np.float32)
        return member, np.maximum(member.sum(axis=1), 1)


def _centre(raw: Floats, observed: NDArray[np.bool_], task: Index) -> Floats:
    """Scores about the LLM's mean in each task, 0 where unobserved."""
    member = (task == np.arange(int(task.max()) + 1)[:, None]).astype(np.float32)
    mean = (member @ raw) / np.maximum(member @ observed.astype(np.float32), 1)
    return np.where(observed, raw - mean[task], 0)


def _expected(correlation: Floats, mean: NDArray[np.float64]) -> Floats:
    """Median correlation of the LLMs nearest in mean (an eighth of all, at least nine), f32 (m,)."""
    m = len(mean)
    reach = max(4, m // 16)
    order = np.argsort(mean, kind="stable")
    expected = np.empty(m, dtype=np.float32)
    for place, j in enumerate(order):
        near = order[max(0, place - reach) : place + reach + 1]
        expected[j] = np.median(correlation[near])
    return expected


def _unrelated(dataset: Dataset, correlation: Floats, expected: Floats) -> list[int]:
    """LLMs whose correlation is about nil where LLMs of such a mean have a clear one."""
    scores = dataset.interactions.scores
    n_records = dataset.interactions.llm_counts
    mean = np.bincount(scores.indices, scores.data, minlength=dataset.n_llms) / np.maximum(n_records, 1)
    gap = np.arctanh(np.clip(expected, 0, 0.99)) - np.arctanh(np.clip(correlation, -0.99, 0.99))
    far = (gap * np.sqrt(np.maximum(n_records - 3, 0)) > 6) & (correlation < 0.1) & (expected > 0.3)
    telling = (n_records >= MIN_FOR_DOUBT) & (n_records * np.minimum(mean, 1 - mean) >= MIN_OF_EACH)
    return np.flatnonzero(far & telling).tolist()
