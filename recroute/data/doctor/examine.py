"""All checks of a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from recroute.data.content import Progress
from recroute.data.dataset import Dataset
from recroute.data.doctor.constant import check_constant
from recroute.data.doctor.finding import SEVERITIES, Finding
from recroute.data.doctor.headroom import check_headroom
from recroute.data.doctor.missing import check_instances, check_missing
from recroute.data.doctor.preferences import check_preferences
from recroute.data.doctor.prompts import check_embeddings, check_prompts
from recroute.data.doctor.row_order import Reordered, check_row_order, restore
from recroute.data.doctor.scale import check_costs, check_raw_scores, check_scores
from recroute.data.doctor.twins import check_twins
from recroute.data.folder import read_dataset, read_records
from recroute.errors import DataError
from recroute.util.arguments import checked


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor found.

    Parameters
    ----------
    name : str
    facts : mapping
        Shape and density of the data set.
    findings : list of Finding
        Errors first.
    """

    name: str
    facts: dict[str, Any]
    findings: list[Finding]
    _dataset: Dataset | None = None
    _reordered: tuple[Reordered, ...] = ()

    def fixed(self) -> Dataset:
        """The data set with the rows put back that `row_order` found in another order.

        Raises DataError where there is nothing of the kind to mend.
        """
        if self._dataset is None or not self._reordered:
            raise DataError(f"{self.name}: no LLM has its rows in a known other order; there is nothing to fix")
        return restore(self._dataset, list(self._reordered))

    def _repr_html_(self) -> str:
        """What a notebook shows: every finding with its evidence and its mend."""
        return str(import_module("recroute.report").diagnosis_html(self))

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"dataset": {"name": self.name, **self.facts}, "findings": [f.to_dict() for f in self.findings]}


@checked
def diagnose(dataset: Dataset, *, seed: int = 0, progress: Progress | None = None) -> Diagnosis:
    """Look for what makes a matrix lie.

    Parameters
    ----------
    dataset : Dataset
    seed : int
        Of the draws behind the headroom.
    progress : callable, optional
        Called with the checks done and the checks in all.
    """
    reordered: list[Reordered] = []

    def row_order(data: Dataset) -> list[Finding]:
        found, orders = check_row_order(data)
        reordered.extend(orders)
        return found

    checks: list[Callable[[Dataset], list[Finding]]] = [
        check_scores,
        check_costs,
        check_prompts,
        check_embeddings,
        check_missing,
        check_instances,
        row_order,
        check_constant,
        check_twins,
        lambda data: check_headroom(data, seed),
        check_preferences,
    ]
    if dataset.interactions.n_observed == 0:  # preferences only: there are no scores to examine
        checks = [check_prompts, check_embeddings, check_preferences]
    findings = []
    for done, check in enumerate(checks):
        if progress is not None:
            progress(done, len(checks))
        findings += check(dataset)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    facts = {
        "n_instances": dataset.n_instances,
        "n_llms": dataset.n_llms,
        "n_records": dataset.interactions.n_observed,
        "n_preferences": dataset.n_preferences,
        "density": round(dataset.interactions.density, 6),
        "simulated": bool(dataset.card.get("simulated", False)),
    }
    return Diagnosis(dataset.name, facts, findings, dataset, tuple(reordered))


def diagnose_path(path: Path, *, seed: int = 0, progress: Progress | None = None) -> Diagnosis:
    """`diagnose` of what lies at `path`; scores outside [0, 1], which no data set can have, are named as well."""
    try:
        dataset = read_dataset(path)
    except DataError:
        records = read_records(path)
        findings = check_raw_scores(records) if "score" in records.columns else []
        if not findings:
            raise
        return Diagnosis(path.name, {"n_records": records.height}, findings)
    return diagnose(dataset, seed=seed, progress=progress)
