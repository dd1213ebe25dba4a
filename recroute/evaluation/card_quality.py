"""How good a fitted router is, as the part of its card that is measured."""

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

COLUMNS = {  # metric: its column, and what it is
    "mean_score": ("mean score", ""),
    "lift": ("lift", "*lift*: mean score minus that of the LLM that was best on train"),
    "best_single_ratio": ("V_B", "*V_B*: mean score over that of the LLM that is best on test"),
    "agreement": ("agreement", "*agreement*: share of held-out preferences that the predicted scores agree with"),
    "mean_cost": ("mean cost", "*mean cost*: of one prompt, in {unit}"),
    "unobserved_choice": (
        "unobserved",
        "*unobserved*: share of choices that nobody evaluated, judged by the next that was",
    ),
}


def measured(router: Router, split: Split) -> list[str]:
    """Blocks of Markdown: the router beside the baselines on test, with intervals and comparisons."""
    if not split.test.is_rated.any():
        return ["Not measured: no LLM was evaluated on a test instance."]
    found = evaluate_fitted(router, split, predictions=False)
    n = found.rows.filter(metric=found.main_metric)["n_instances"][0]
    blocks = [
        f"The first choice among all {len(router.llm_ids_):,} LLMs on n = {n:,} test instances, one split and seed "
        f"({split.seed}). In brackets 95% intervals by bootstrap over instances. `oracle` and `random` are bounds.",
        *_table(router, found, cost_unit(split.train)),
        "\n".join(f"- {line}" for line in [*_against_baseline(router, found), *_notes(found, split)]),
    ]
    if (expected := router.expected()) is not None:
        blocks.append(
            f"Expected of prompts like the training prompts: {expected['cost']:.4g} {expected['unit']} per 1,000, mean "
            f"score {expected['score']:.3f}."
        )
    return [block for block in blocks if block]


def _against_baseline(router: Router, found: Evaluation) -> list[str]:
    return [sentence(row) for row in found.compared().filter(router=router.label).iter_rows(named=True)]


def _notes(found: Evaluation, split: Split) -> list[str]:
    """Without that of the split, which stands elsewhere."""
    return [note for note in found.notes if note != split.note]


def _table(router: Router, found: Evaluation, unit: str) -> list[str]:
    """A row for each router, this one first, and what the columns are."""
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
