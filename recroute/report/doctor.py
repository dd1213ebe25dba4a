"""What the doctor says, as HTML."""

from __future__ import annotations

from html import escape

from recroute.data.doctor import Diagnosis
from recroute.data.doctor.finding import SEVERITIES
from recroute.report.old_html_table import html_table


def diagnosis_html(found: Diagnosis) -> str:
    """What a notebook shows of a diagnosis: how many findings there are, then each with its evidence and its mend."""
    counts = {severity: sum(f.severity == severity for f in found.findings) for severity in SEVERITIES}
    told = ", ".join(f"{n} {severity}{'' if n == 1 else 's'}" for severity, n in counts.items())
    marked = "SIMULATED DATA: " if found.facts.get("simulated") else ""
    rows = [[f.severity, f.check, f.evidence, f.mend] for f in found.findings]
    heads = ("severity", "check", "evidence", "what to do")
    return f"<h3>{marked}{escape(found.name)}: {told}</h3>\n{html_table(heads, rows, text=4)}"
