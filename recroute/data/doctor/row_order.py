"""LLMs whose rows stand in another order than everybody else's.

A run on W data-parallel ranks is often written rank after rank. Joined by position, such an LLM keeps its mean and
loses its correlation with the other LLMs; a matrix with some of them looks plausible and has an oracle that is far
too high. This asks in which order an LLM's scores agree best with the others' (`_agreement` has the statistics). The
others are those that agree with one another; LLMs that were found are put back and judge the rest with them, until
nothing changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from recroute.data.dataset import Dataset
from recroute.data.doctor._agreement import PRESENT, Scores, item_rest_correlation
from recroute.data.doctor._order import LOST, ORDERS, Order
from recroute.data.doctor.finding import Finding, llm_s, some
from recroute.data.matrix import InteractionMatrix
from recroute.data.means import llm_means
from recroute.errors import either
from recroute.util.numeric import Array, Floats

FALSE_ALARM = 0.05  # bound on the probability that a sound data set has an LLM accused
CLEAR_FIT = 6.0  # nats by which an LLM fits the others, to judge them in its turn
SURE_IN_ORDER = 10.0  # nats by which the present order is likelier than any other, for an LLM to count as in order
SURE_PADDED = 3.0  # nats by which padded ranks are likelier than others
SETTLED = 30.0  # nats from the threshold, past which an LLM is not asked about again
N_ROUNDS = 8
MIN_RECORDS = 40
MIN_FOR_DOUBT = 200
MIN_OF_EACH = 20  # successes and failures: one success correlates with nothing
MIN_TO_TELL = 10  # successes and failures: with fewer, a chance agreement weighs too much


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
    margin : f64 (m,)
        Log-likelihood of the likeliest other order over the present one.
    """

    found: list[Reordered]
    correlation: Floats
    expected: Floats
    margin: Array


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
        f"write the corrected data set with {either('--fix DIR', '.fixed()')}, or join the source by document id",
        llms=llms,
        values={
            "width": order.width,
            "by_task": order.by_task,
            "observed_only": order.observed_only,
            "padded": order.padded,
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
    """The data set with these LLMs' rows put back where they belong; answers that were padding are left out."""
    matrix = dataset.interactions
    rows, columns = matrix.coordinates()
    rows = rows.copy()
    task = np.unique(dataset.tasks, return_inverse=True)[1].astype(np.int64)
    for item in found:
        cells = np.flatnonzero(columns == item.llm)
        rows[cells] = item.order.true_rows(rows[cells].astype(np.int64), task)
    kept = rows != LOST
    shape = (matrix.n_instances, matrix.n_llms)
    costs = None if matrix.costs is None else matrix.costs.data[kept]
    restored = InteractionMatrix.from_coordinates(rows[kept], columns[kept], matrix.scores.data[kept], shape, costs)
    return replace(dataset, interactions=restored)


def find_reordered(dataset: Dataset) -> Examined:
    """Try every order on every LLM, and again with those put back that were found, until nothing changes."""
    with threadpool_limits(limits=1):  # the products are small: a second thread mostly waits
        return _find_reordered(dataset)


def _find_reordered(dataset: Dataset) -> Examined:
    scores = Scores(dataset.interactions.dense(), np.unique(dataset.tasks, return_inverse=True)[1].astype(np.int64))
    n_records = scores.observed.sum(axis=0)
    solved = scores.raw.sum(axis=0)
    telling = (n_records >= MIN_RECORDS) & (np.minimum(solved, n_records - solved) >= MIN_TO_TELL)
    sure = np.log(len(ORDERS) * dataset.n_llms / FALSE_ALARM)
    # Where an LLM fails at most of a task two readings, of its missing rows or of the last rows of its ranks, can be as
    # likely; the usual one stands.
    unusual = np.array([[(not o.observed_only) * SURE_IN_ORDER + o.padded * SURE_PADDED] for o in ORDERS])
    m = dataset.n_llms
    present, gain, asked = np.zeros(m), np.full((len(ORDERS), m), -np.inf), np.ones(m, dtype=np.bool_)
    place, trusted, known = np.full(m, PRESENT), scores.in_one_order(), np.zeros(m, dtype=np.bool_)
    for at in range(N_ROUNDS):
        fit, gained = scores.evidence(place, trusted, known, asked)
        present[asked], gain[:, asked] = fit[asked], gained[:, asked]
        margin = gain.max(axis=0)
        now = np.where((margin > sure) & telling, (gain - unusual).argmax(axis=0), PRESENT)
        fits = present + np.where(now == PRESENT, 0, margin) > CLEAR_FIT
        if at > 0:  # the first time others may have been judged by LLMs out of order
            asked = np.abs(margin - sure) < SETTLED
        if at > 0 and (np.array_equal(now, place) or not asked.any()):
            break
        known = telling & ((margin > sure) | (margin < -SURE_IN_ORDER))
        place, trusted = now, fits if np.count_nonzero(fits) > 1 else trusted
    place = now
    found = [Reordered(int(j), ORDERS[place[j]], float(gain[place[j], j])) for j in np.flatnonzero(place != PRESENT)]
    correlation = item_rest_correlation(scores, np.full(dataset.n_llms, PRESENT), trusted & (place == PRESENT))
    return Examined(found, correlation, _expected(correlation, llm_means(dataset)), margin)


def _expected(correlation: Floats, mean: Array) -> Floats:
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
