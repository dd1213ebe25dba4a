"""Preferences that do not compare what they seem to compare."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from recroute.data.dataset import Dataset
from recroute.data.doctor.finding import Finding, llm_s, some
from recroute.data.means import leaderboard
from recroute.data.preferences import Preferences

FEW_BATTLES = 30
CLEAR = 3.0  # standard errors of the effect of being shown first


def check_preferences(dataset: Dataset) -> list[Finding]:
    """LLMs with few battles, groups of LLMs that never met, and answers preferred for being shown first."""
    fought = dataset.preferences
    if not fought:
        return []
    findings = []
    n_battles = np.bincount(fought.llm_a, minlength=dataset.n_llms) + np.bincount(
        fought.llm_b, minlength=dataset.n_llms
    )
    few = tuple(np.array(dataset.llm_ids.ids)[n_battles < FEW_BATTLES].tolist())
    if few:
        text = f"{llm_s(len(few), 'has', 'have')} fewer than {FEW_BATTLES} battles: {some(few)}"
        mend = "their place on a leaderboard is hardly known: collect more battles, or leave them out"
        findings.append(Finding("few_battles", "note", text, mend, llms=few))
    if dataset.interactions.n_observed == 0:
        findings += _apart(dataset, fought, n_battles > 0)
    return findings + _first_shown(fought, dataset.n_llms)


def _apart(dataset: Dataset, fought: Preferences, met: np.ndarray) -> list[Finding]:
    m = dataset.n_llms
    graph = sp.coo_matrix((np.ones(len(fought)), (fought.llm_a, fought.llm_b)), shape=(m, m))
    _, label = connected_components(graph, directed=False)
    groups = np.bincount(label[met])
    if (n_groups := int(np.count_nonzero(groups))) < 2:
        return []
    outside = tuple(np.array(dataset.llm_ids.ids)[met & (label != groups.argmax())].tolist())
    text = (
        f"the LLMs fall into {n_groups} groups without a battle between them; outside of the largest: {some(outside)}"
    )
    mend = "LLMs of different groups do not compare, and their order is arbitrary: add battles between them, or split"
    return [Finding("groups_apart", "error", text, mend, llms=outside)]


def _first_shown(fought: Preferences, n_llms: int) -> list[Finding]:
    board = leaderboard(fought, n_llms)
    if not fought.order_tells or abs(board.first_shown) < CLEAR * board.first_shown_error:
        return []
    text = (
        f"being shown {'first' if board.first_shown > 0 else 'second'} adds {abs(board.first_shown):.3f} (standard "
        f"error {board.first_shown_error:.3f}) to the log odds of being preferred"
    )
    mend = "bradley_terry takes it out; for other programs show every pair in both orders"
    values = {"first_shown": board.first_shown, "standard_error": board.first_shown_error}
    return [Finding("position_bias", "note", text, mend, values=values)]
