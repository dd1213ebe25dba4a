"""LLMs that are another one under a new name, or close to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recroute.data.dataset import Dataset
from recroute.data.doctor.finding import Finding, some

MIN_COMMON = 50  # records that two LLMs have to share to be compared
MIN_CHANCE = (
    20.0  # answers that two unrelated LLMs with these means would differ in: two that solve nothing tell nothing
)
NEAR = 0.02  # mean squared difference: 2% of 0/1 answers differ
SHARE_OF_CHANCE = 0.1  # and no more than a tenth of what two unrelated LLMs with these means would differ by
RELATED = 0.5  # correlation of what task and difficulty leave of the scores
CLEAR = 6.0  # standard errors: there are millions of pairs
BLOCK = 512
Flags = NDArray[np.bool_]


def check_twins(dataset: Dataset) -> list[Finding]:
    """Identical, nearly identical and related LLMs."""
    if dataset.n_llms < 2:
        return []
    scores = dataset.interactions.dense()
    observed = ~np.isnan(scores)
    ids = np.array(dataset.llm_ids.ids)
    findings = []
    identical, near, related = _adjacent(scores, observed, np.unique(dataset.tasks, return_inverse=True)[1])
    order = np.argsort(-np.nan_to_num(scores).sum(axis=0), kind="stable")
    texts = {
        "identical_llms": (identical, "warning", "have the very scores of another LLM"),
        "near_identical_llms": (near, "warning", f"differ from another LLM in at most {NEAR:.0%} of the answers"),
        "related_llms": (
            related,
            "note",
            "answer much like another LLM (merges, fine-tunes, other sizes, the same trouble with a format)",
        ),
    }
    for check, (adjacent, severity, text) in texts.items():
        groups = leader_groups(adjacent, order)
        large = sorted((group for group in groups if len(group) > 1), key=len, reverse=True)
        doubles = tuple(ids[j] for group in large for j in group[1:])
        if doubles:
            findings.append(
                Finding(
                    check,
                    severity,
                    f"{len(doubles):,} of {dataset.n_llms:,} LLMs {text}: {len(groups):,} are left when they are taken "
                    f"together; the largest group has {len(large[0])} ({some(ids[large[0]].tolist(), 2)})",
                    "hold families out together in cold start, and read a large pool as one of fewer LLMs"
                    if check == "related_llms"
                    else "keep one of each group, or count the groups when you report the size of a pool",
                    llms=doubles,
                    values={"n_distinct": len(groups), "groups": [ids[group].tolist() for group in large[:50]]},
                )
            )
    return findings


def leader_groups(adjacent: Flags, order: NDArray[np.integer]) -> list[list[int]]:
    """Groups around leaders: taken in `order`, each joins the first leader it is adjacent to, or leads.

    Unlike connected components these do not grow by chains of ever less similar members.
    """
    leaders: list[int] = []
    groups: dict[int, list[int]] = {}
    for j in order.tolist():
        near = adjacent[j, leaders].nonzero()[0]
        leader = leaders[int(near[0])] if len(near) else j
        if leader == j:
            leaders.append(j)
        groups.setdefault(leader, []).append(j)
    return list(groups.values())


def _adjacent(scores: NDArray[np.float32], observed: Flags, task: NDArray[np.integer]) -> tuple[Flags, Flags, Flags]:
    """Which pairs are identical, nearly identical, and related, bool (m, m) each."""
    seen = observed.astype(np.float32)
    raw = np.nan_to_num(scores)
    square = raw**2
    rest = _rest(raw, seen, task)
    rest_square = rest**2
    m = scores.shape[1]
    identical, near, related = (np.zeros((m, m), dtype=bool) for _ in range(3))
    for start in range(0, m, BLOCK):
        part, later = slice(start, start + BLOCK), slice(start, m)  # the other triangle is its mirror image
        common = seen[:, part].T @ seen[:, later]  # (b, m - start), as all below
        n = np.maximum(common, 1)
        own, other = square[:, part].T @ seen[:, later], seen[:, part].T @ square[:, later]
        difference = np.maximum(own + other - 2 * raw[:, part].T @ raw[:, later], 0)
        total_own, total_other = raw[:, part].T @ seen[:, later], seen[:, part].T @ raw[:, later]
        by_chance = own + other - 2 * total_own * total_other / n
        telling = (common >= MIN_COMMON) & (by_chance >= MIN_CHANCE)
        norm = (rest_square[:, part].T @ seen[:, later]) * (seen[:, part].T @ rest_square[:, later])
        correlation = (rest[:, part].T @ rest[:, later]) / np.sqrt(np.maximum(norm, 1e-9))
        z = np.arctanh(np.clip(correlation, -0.9999, 0.9999)) * np.sqrt(np.maximum(common - 3, 0))
        for found, pairs in (
            (identical, telling & (difference < 1e-6 * n)),
            (near, telling & (difference <= NEAR * n) & (difference <= SHARE_OF_CHANCE * by_chance)),
            (related, telling & (correlation >= RELATED) & (z > CLEAR)),
        ):
            found[part, later], found[later, part] = pairs, pairs.T
    return identical, near, related


def _rest(raw: NDArray[np.float32], seen: NDArray[np.float32], task: NDArray[np.integer]) -> NDArray[np.float32]:
    """What is left of each LLM's scores when its mean in each task and its slope on difficulty are taken off.

    With the difficulty left in, all weak LLMs would look alike; with the tasks, all LLMs that fail at one.
    """
    member = (task == np.arange(int(task.max()) + 1)[:, None]).astype(np.float32)
    count = np.maximum(member @ seen, 1)  # (t, m)

    def centred(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return seen * (values - ((member @ (values * seen)) / count)[task])

    mean = raw.sum(axis=1, keepdims=True) / np.maximum(seen.sum(axis=1, keepdims=True), 1)
    difficulty, rest = centred(np.broadcast_to(mean, raw.shape)), centred(raw)
    slope = (rest * difficulty).sum(axis=0) / np.maximum((difficulty**2).sum(axis=0), 1e-6)
    return rest - slope * difficulty
