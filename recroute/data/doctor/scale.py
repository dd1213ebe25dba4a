"""Scores and costs that are something else than they should be."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data.dataset import Dataset
from recroute.data.doctor.counting import check_raw_counting
from recroute.data.doctor.finding import Finding, some
from recroute.data.doctor.kinds import check_raw_kinds
from recroute.data.means import llm_means, task_means
from recroute.errors import argument
from recroute.util.numeric import Array

INVERTED = -0.3


def check_raw_scores(records: pl.DataFrame) -> list[Finding]:
    """NaN, columns that count rows and scores outside [0, 1], in a table that cannot be read as a data set."""
    findings = _nan_scores(records)
    if counting := check_raw_counting(records):
        findings += counting
        records = records.filter(~pl.col("llm_id").is_in(counting[0].llms))
    score = records["score"].cast(pl.Float64, strict=False).drop_nulls().drop_nans().to_numpy()
    if len(score) == 0 or (score.min() >= 0 and score.max() <= 1):
        return findings
    if mixed := check_raw_kinds(records):
        return findings + mixed
    low, high = float(score.min()), float(score.max())
    values = {"min": low, "max": high, "share_outside": round(float(np.mean((score < 0) | (score > 1))), 4)}
    if high <= 0:
        kind, mend = "log-probabilities or losses", "take the correctness instead, or exp() of them before importing"
    elif low >= 0 and high <= 100 and high > 10:
        kind, mend = "percent", f"import the table with {argument('scale', 'percent')}"
    else:
        kind, mend = "on a scale of their own", f"import the table with {argument('scale', 'minmax')}"
    text = f"scores run from {low:g} to {high:g}: they look like {kind}"
    return [*findings, Finding("score_scale", "error", text, mend, values=values)]


def _nan_scores(records: pl.DataFrame) -> list[Finding]:
    """How many scores of which LLM are NaN."""
    score = pl.col("score").cast(pl.Float64, strict=False)
    counts = records.filter(score.is_nan()).group_by("llm_id", maintain_order=True).len()
    if counts.is_empty():
        return []
    n_nan = {str(llm): n for llm, n in counts.iter_rows()}
    text = f"{sum(n_nan.values()):,} scores are NaN: {some([f'{n:,} of {llm}' for llm, n in n_nan.items()], 5)}"
    mend = "remove these rows; an answer without a score is one that was not evaluated"
    return [Finding("nan_scores", "error", text, mend, llms=tuple(n_nan), values={"nan_scores": n_nan})]


def check_scores(dataset: Dataset) -> list[Finding]:
    """Scores divided too often, and scores that count failures, for all LLMs, one task or one LLM."""
    findings = []
    scores = dataset.interactions.scores.data
    if 0 < scores.max() <= 0.0101:
        text = f"no score is above {scores.max():.4f}: percent that was divided by 100 twice?"
        mend = f"multiply by 100, or import again without {argument('scale', 'percent')}"
        findings.append(Finding("score_scale", "error", text, mend))
    findings += _inverted_tasks(dataset)
    for column, text in (("n_params_b", "larger"), ("price_out", "dearer")):
        if column in dataset.llms.columns:
            size = dataset.llms[column].cast(pl.Float64, strict=False).to_numpy()
            known = np.isfinite(size) & (size > 0)
            if known.sum() >= 8 and (r := _correlation(np.log(size[known]), llm_means(dataset)[known])) < INVERTED:
                evidence = f"{text} LLMs score lower (correlation {r:+.2f} over {known.sum()} LLMs)"
                mend = "check that a score of 1 is a success and not an error rate"
                findings.append(
                    Finding("inverted_scores", "warning", evidence, mend, values={"correlation": round(r, 3)})
                )
    return findings


def check_costs(dataset: Dataset) -> list[Finding]:
    """Costs that look like token counts or prices."""
    costs = dataset.interactions.costs
    if costs is None:
        return []
    values = costs.data[~np.isnan(costs.data)]
    if len(values) == 0:
        return [Finding("costs", "warning", "no cost is known", "remove the column cost")]
    findings = []
    median = float(np.median(values))
    whole = float(np.mean(values == np.round(values)))
    if whole > 0.99 and median > 1:
        text = f"{whole:.0%} of the costs are whole numbers, median {median:g}: they look like token counts"
        mend = "multiply by the price per token: a cost is USD per answer"
        findings.append(Finding("cost_unit", "error", text, mend, values={"median": median}))
    elif _constant_by_llm(costs.indices, costs.data, dataset.n_llms) and len(values) > 2 * dataset.n_llms:
        text = f"every LLM has one and the same cost on all instances (median {median:g}): they look like prices"
        mend = "a price per 1M tokens belongs in llms.parquet (price_in, price_out); a cost is USD per answer"
        findings.append(Finding("cost_unit", "error", text, mend, values={"median": median}))
    elif median > 1:
        text = f"the median answer costs {median:g} USD"
        findings.append(Finding("cost_unit", "warning", text, "check that costs are USD per answer"))
    if missing := int(np.isnan(costs.data).sum()):
        text = f"{missing:,} of {len(costs.data):,} records have no cost"
        findings.append(Finding("missing_costs", "note", text, "their LLMs are compared on the costs that are known"))
    return findings


def _inverted_tasks(dataset: Dataset) -> list[Finding]:
    """Tasks in which the LLMs that are good elsewhere are bad."""
    names, means, n = task_means(dataset)
    if len(names) < 3 or dataset.n_llms < 8:
        return []
    found = {}
    for t, name in enumerate(names):
        rest = np.delete(means, t, axis=0).T @ np.delete(n, t) / max(np.delete(n, t).sum(), 1)
        r = _correlation(means[t], rest)
        # the bound keeps a task that is merely unrelated out, however few LLMs there are
        if np.arctanh(np.clip(r, -0.999, 0.999)) + 2 / np.sqrt(dataset.n_llms - 3) < np.arctanh(INVERTED):
            found[str(name)] = round(r, 3)
    if not found:
        return []
    text = f"LLMs do the worse the better they are elsewhere in: {some(list(found))}"
    mend = "check whether 0 and 1 are swapped there"
    return [Finding("inverted_scores", "warning", text, mend, values=found)]


def _constant_by_llm(llm: NDArray[np.integer], cost: NDArray[np.float32], m: int) -> bool:
    known = ~np.isnan(cost)
    low, high = np.full(m, np.inf), np.full(m, -np.inf)
    np.minimum.at(low, llm[known], cost[known])
    np.maximum.at(high, llm[known], cost[known])
    seen = np.isfinite(low)
    return bool((low[seen] == high[seen]).all()) and float(high[seen].max()) > 0


def _correlation(a: Array, b: Array) -> float:
    return 0.0 if np.std(a) < 1e-9 or np.std(b) < 1e-9 else float(np.corrcoef(a, b)[0, 1])
