"""LLMs that were asked different questions and so cannot be compared."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from recroute.data.content import FEW_SHARED
from recroute.data.dataset import Dataset
from recroute.data.doctor.finding import Finding, llm_s, some
from recroute.data.prompts import prompt_groups

MEND = "check that the files of all LLMs name the same question alike, and import again"


def few_shared(dataset: Dataset) -> bool:
    """Whether hardly any instance has scores of two LLMs."""
    matrix = dataset.interactions
    count = matrix.instance_counts
    several = np.count_nonzero(matrix.llm_counts) >= 2
    return bool(several and np.count_nonzero(count >= 2) < FEW_SHARED * np.count_nonzero(count))


def check_overlap(dataset: Dataset) -> list[Finding]:
    """Instances that hardly ever have two LLMs, groups of LLMs without a common instance, LLMs without a score."""
    findings = _no_scores(dataset)
    if few_shared(dataset):
        return [*findings, _disjoint_instances(dataset)]
    return findings + _disjoint_llms(dataset)


def _no_scores(dataset: Dataset) -> list[Finding]:
    llms = tuple(np.array(dataset.llm_ids.ids)[dataset.interactions.llm_counts == 0].tolist())
    if not llms:
        return []
    nan = {llm: n for llm, n in dict(dataset.card.get("nan_scores") or {}).items() if llm in llms}
    because = f" ({some([f'{n:,} scores of {llm} were NaN' for llm, n in nan.items()])})" if nan else ""
    text = f"{llm_s(len(llms), 'has', 'have')} no score at all{because}: {some(llms)}"
    mend = "look for a failed run or an import that lost its scores, or leave them out"
    return [Finding("no_scores", "warning", text, mend, llms=llms, values={"nan_scores": nan} if nan else {})]


def _disjoint_instances(dataset: Dataset) -> Finding:
    count = dataset.interactions.instance_counts
    n_known, n_shared = int(np.count_nonzero(count)), int(np.count_nonzero(count >= 2))
    values = {"n_instances": n_known, "n_shared": n_shared}
    text = f"only {n_shared:,} of {n_known:,} instances have scores of two LLMs, so LLMs cannot be compared"
    if dataset.prompts is not None:
        n_prompts = len(np.unique(prompt_groups(dataset)[count > 0]))
        values["n_prompts"] = n_prompts
        if n_prompts < n_known:
            text += f"; there are {n_prompts:,} different prompts, so one question seems to have several ids"
    return Finding("disjoint_instances", "error", text, MEND, values=values)


def _disjoint_llms(dataset: Dataset) -> list[Finding]:
    """Groups of LLMs that share no instance, as the parts of the graph of instances and LLMs."""
    matrix = dataset.interactions
    n, m = matrix.n_instances, matrix.n_llms
    instance, llm = matrix.coordinates()
    cells = sp.coo_matrix(
        (np.ones(len(llm), dtype=np.int8), (llm, instance.astype(np.int64) + m)), shape=(n + m, n + m)
    )
    _, label = connected_components(cells, directed=False)
    group = label[:m][matrix.llm_counts > 0]
    n_groups = len(np.unique(group))
    if n_groups < 2:
        return []
    largest = np.bincount(group).argmax()
    llms = tuple(np.array(dataset.llm_ids.ids)[(matrix.llm_counts > 0) & (label[:m] != largest)].tolist())
    text = f"the LLMs fall into {n_groups:,} groups that share no instance; outside the largest group: {some(llms)}"
    return [Finding("disjoint_llms", "error", text, MEND, llms=llms, values={"n_groups": n_groups})]
