"""LLMs that say nothing, and LLMs that are another one under a new name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recroute.data.dataset import Dataset
from recroute.data.doctor.finding import Finding, some

MIN_COMMON = 50  # records that two LLMs have to share to be compared
NEAR = 0.02  # mean squared difference: 2% of 0/1 answers differ
SHARE_OF_CHANCE = 0.1  # and no more than a tenth of what two unrelated LLMs with these means would differ by
RELATED = 0.6  # correlation of what is left when instance and LLM means are taken off
BLOCK = 512
Flags = NDArray[np.bool_]


def check_twins(dataset: Dataset) -> list[Finding]:
    """Constant, identical, nearly identical and related LLMs."""
    scores = dataset.interactions.dense()
    observed = ~np.isnan(scores)
    constant = np.nanmax(scores, axis=0, initial=-1) == np.nanmin(scores, axis=0, initial=2)
    constant &= observed.sum(axis=0) >= 2
    ids = np.array(dataset.llm_ids.ids)
    findings = []
    if constant.any():
        llms = tuple(ids[constant].tolist())
        findings.append(
            Finding(
                "constant_llm",
                "warning",
                f"{len(llms)} LLMs have the same score on every instance: {some(llms)}",
                "leave them out: nothing can be learned of them",
                llms=llms,
            )
        )
    if dataset.n_llms < 2:
        return findings
    identical, near, related = _adjacent(scores, observed, ~constant)
    order = np.argsort(-np.nan_to_num(scores).sum(axis=0), kind="stable")
    counts = {"n_llms": dataset.n_llms, "n_constant": int(constant.sum())}
    texts = {
        "identical_llms": (identical, "warning", "have the very scores of another LLM"),
        "near_identical_llms": (near, "warning", f"differ from another LLM in at most {NEAR:.0%} of the answers"),
        "related_llms": (related, "note", "are close relatives of another LLM (merges, fine-tunes, other sizes)"),
    }
    for check, (adjacent, severity, text) in texts.items():
        groups = leader_groups(adjacent, order)
        counts[f"n_distinct_{check}"] = len(groups)
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


def _adjacent(scores: NDArray[np.float32], observed: Flags, varies: Flags) -> tuple[Flags, Flags, Flags]:
    """Which pairs are identical, nearly identical, and related, bool (m, m) each."""
    seen = observed.astype(np.float32)
    raw = np.nan_to_num(scores)
    square = raw**2
    instance_mean = raw.sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    rest = np.where(observed, raw - instance_mean[:, None], 0)
    rest -= seen * (rest.sum(axis=0) / np.maximum(seen.sum(axis=0), 1))
    rest_square = rest**2
    m = int(np.size(varies))
    identical, near, related = (np.zeros((m, m), dtype=bool) for _ in range(3))
    for start in range(0, m, BLOCK):
        part = slice(start, start + BLOCK)
        common = seen[:, part].T @ seen  # (b, m), as all below
        n = np.maximum(common, 1)
        cross = raw[:, part].T @ raw
        own, other = square[:, part].T @ seen, seen[:, part].T @ square
        distance = np.maximum(own + other - 2 * cross, 0) / n
        mean_own, mean_other = (raw[:, part].T @ seen) / n, (seen[:, part].T @ raw) / n
        chance = np.maximum((own + other) / n - 2 * mean_own * mean_other, 1e-9)
        comparable = (common >= MIN_COMMON) & varies[part, None] & varies[None, :]
        identical[part] = comparable & (distance < 1e-6) & (chance > 0.02)
        near[part] = comparable & (distance <= NEAR) & (distance <= SHARE_OF_CHANCE * chance)
        norm = np.sqrt(np.maximum((rest_square[:, part].T @ seen) * (seen[:, part].T @ rest_square), 1e-12))
        related[part] = comparable & (rest[:, part].T @ rest >= RELATED * norm)
    return identical, near, related
