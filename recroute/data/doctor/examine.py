"""The doctor's checks and its diagnosis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import polars as pl

from recroute.data.content import Progress
from recroute.data.dataset import Dataset
from recroute.data.description import shape_facts
from recroute.data.doctor.constant import check_constant
from recroute.data.doctor.counting import check_counting
from recroute.data.doctor.finding import SEVERITIES, Finding
from recroute.data.doctor.headroom import check_headroom
from recroute.data.doctor.kinds import check_kinds
from recroute.data.doctor.mirror import check_mirrored
from recroute.data.doctor.missing import check_instances, check_missing
from recroute.data.doctor.overlap import check_overlap
from recroute.data.doctor.preferences import check_preferences
from recroute.data.doctor.prompts import check_embeddings, check_prompts
from recroute.data.doctor.row_order import check_row_order
from recroute.data.doctor.scale import check_costs, check_raw_scores, check_scores
from recroute.data.doctor.twins import check_twins
from recroute.data.folder import read_dataset, read_records
from recroute.data.schema import number_column, text_column
from recroute.errors import DataError
from recroute.report.document import Document, Table
from recroute.report.shown import Shown
from recroute.util.arguments import checked


@dataclass(frozen=True)
class Diagnosis(Shown):
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

    def fixed(self) -> Dataset:
        """The data set with every fix that a finding offers: rows that `row_order` found elsewhere are put back.

        Raises DataError where no finding offers one.
        """
        fixes = [finding.fix for finding in self.findings if finding.fix is not None]
        if self._dataset is None or not fixes:
            raise DataError(f"{self.name}: no LLM has its rows in a known other order; there is nothing to fix")
        return reduce(lambda dataset, fix: fix(dataset), fixes, self._dataset)

    def document(self) -> Document:
        """Every finding with its evidence and what to do about it."""
        counts = {severity: sum(f.severity == severity for f in self.findings) for severity in SEVERITIES}
        counted = ", ".join(f"{n} {severity}{'' if n == 1 else 's'}" for severity, n in counts.items())
        rows = [[f.severity, f.check, f.evidence, f.mend] for f in self.findings]
        heads = ["severity", "check", "evidence", "what to do"]
        return Document(
            title=f"Diagnosis of {self.name}",
            blocks=[Table(title=f"{self.name}: {counted}", heads=heads, rows=rows)],
            simulated=bool(self.facts.get("simulated")),
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"dataset": {"name": self.name, **self.facts}, "findings": [f.to_dict() for f in self.findings]}


@dataclass(frozen=True)
class Check:
    """A check of the doctor.

    Parameters
    ----------
    run : callable
        Takes the data set, and the seed if `seeded`; gives findings.
    of_scores : bool
        Whether it examines scores, and is left out where there are only preferences.
    seeded : bool
    """

    run: Callable[..., list[Finding]]
    of_scores: bool = True
    seeded: bool = False

    def __call__(self, dataset: Dataset, seed: int) -> list[Finding]:
        return self.run(dataset, seed) if self.seeded else self.run(dataset)


CHECKS = (  # a new one: its function in a file of its own, and a line here
    Check(check_scores),
    Check(check_counting),
    Check(check_mirrored),
    Check(check_kinds),
    Check(check_overlap),
    Check(check_costs),
    Check(check_prompts, of_scores=False),
    Check(check_embeddings, of_scores=False),
    Check(check_missing),
    Check(check_instances),
    Check(check_row_order),
    Check(check_constant),
    Check(check_twins),
    Check(check_headroom, seeded=True),
    Check(check_preferences, of_scores=False),
)


@checked
def diagnose(dataset: Dataset, *, seed: int = 0, progress: Progress | None = None) -> Diagnosis:
    """Check a data set for problems that would bias results.

    Parameters
    ----------
    dataset : Dataset
    seed : int
        Of the draws behind the headroom.
    progress : callable, optional
        Called with the checks done and the checks in all.
    """
    has_scores = dataset.interactions.n_observed > 0
    checks = [check for check in CHECKS if has_scores or not check.of_scores]
    findings = []
    for done, check in enumerate(checks):
        if progress is not None:
            progress(done, len(checks))
        findings += check(dataset, seed)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Diagnosis(dataset.name, shape_facts(dataset), findings, dataset)


def diagnose_path(path: Path, *, seed: int = 0, progress: Progress | None = None) -> Diagnosis:
    """`diagnose` of what is at `path`; scores that no data set can have (outside [0, 1], NaN) are reported too."""
    try:
        dataset = read_dataset(path)
    except DataError:
        records, findings = _raw(path)
        if not findings:
            raise
        return Diagnosis(path.name, {"n_records": records.height}, findings)
    found = diagnose(dataset, seed=seed, progress=progress)
    if path.is_file():  # of a table NaN is left out as it is read
        found.findings[:0] = _raw(path)[1]
    return found


def _raw(path: Path) -> tuple[pl.DataFrame, list[Finding]]:
    """The records as they are on disk, and what is wrong with their scores; nothing where they are no numbers."""
    records = read_records(path)
    if not {"llm_id", "score"} <= set(records.columns):
        return records, []
    try:
        records = number_column(text_column(records, "llm_id", path.name), "score", path.name)
    except DataError:
        return records, []
    return records, check_raw_scores(records)
