"""Test results of a fitted router, for its card."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from recroute.evaluation.evaluation import Evaluation
from recroute.evaluation.fitted import evaluate_fitted
from recroute.experiment.compare import bracket, sentence
from recroute.routers import Router
from recroute.routers.costs import cost_unit
from recroute.splits import Split

COLUMNS = {  # metric: column head and legend
    "mean_score": ("mean score", ""),
    "lift": ("lift", "*lift*: mean score minus that of the LLM that was best on the training instances"),
    "best_single_ratio": ("V_B", "*V_B*: mean score divided by that of the LLM that is best on the test instances"),
    "agreement": ("agreement", "*agreement*: share of held-out preferences that the predicted scores agree with"),
    "mean_cost": ("mean cost", "*mean cost*: per prompt, in {unit}"),
    "unobserved_choice": (
        "unobserved",
        "*unobserved*: share of instances whose chosen LLM was not evaluated; the next evaluated LLM counts",
    ),
}


def measured(router: Router, split: Split) -> list[str]:
    """Markdown blocks with the router and the baselines on test instances, with intervals and comparisons."""
    if not split.test.is_rated.any():
        return ["Not measured: no LLM was evaluated on a test instance."]
    found = evaluate_fitted(router, split, predictions=False)
    n = found.rows.filter(metric=found.main_metric)["n_instances"][0]
    blocks = [
        f"First choice among all {len(router.llm_ids_):,} LLMs on n = {n:,} test instances, one split with seed "
        f"{split.seed}. Brackets show 95% bootstrap intervals over instances. `oracle` and `random` are bounds.",
        *_table(router, found, cost_unit(split.train)),
        "\n".join(f"- {line}" for line in [*_against_baseline(router, found), *_notes(found, split)]),
    ]
    if (expected := router.expected()) is not None:
        blocks.append(
            f"Expected on prompts like the training prompts: {expected['cost']:.4g} {expected['unit']} per 1,000, mean "
            f"score {expected['score']:.3f}."
        )
    return [block for block in blocks if block]


def _against_baseline(router: Router, found: Evaluation) -> list[str]:
    return [sentence(row) for row in found.compared().filter(router=router.label).iter_rows(named=True)]


def _notes(found: Evaluation, split: Split) -> list[str]:
    """Notes of the evaluation, except that of the split, which another section has."""
    return [note for note in found.notes if note != split.note]


def _table(router: Router, found: Evaluation, unit: str) -> list[str]:
    """Table with a row for each router, this one first, and a legend of the columns."""
    of = {(row["router"], row["metric"]): row for row in found.rows.iter_rows(named=True)}
    shown = [name for name in COLUMNS if any(metric == name for _, metric in of)]
    if not any(row["value"] for (_, name), row in of.items() if name == "unobserved_choice"):
        shown = [name for name in shown if name != "unobserved_choice"]
    lines = [f"| router | {' | '.join(COLUMNS[name][0] for name in shown)} |", f"|---|{'---|' * len(shown)}"]
    for label in dict.fromkeys(label for label, _ in of):
        name = f"**this router**, {label}" if label == router.label else label
        lines.append(f"| {name} | {' | '.join(_cell(of.get((label, metric))) for metric in shown)} |")
    legend = [COLUMNS[name][1].format(unit=unit) for name in shown if COLUMNS[name][1]]
    return ["\n".join(lines), f"{'; '.join(legend)}." if legend else ""]


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None or math.isnan(row["value"]):
        return "-"
    form = ".3g" if row["metric"] == "mean_cost" else ".3f"
    return f"{row['value']:{form}} {bracket(row['ci_low'], row['ci_high'], form)}"
