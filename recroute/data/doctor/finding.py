"""What the doctor says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recroute.data.dataset import Dataset

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a data set, or that a person should know of it.

    Parameters
    ----------
    check : str
        Name of the check, such as "row_order".
    severity : {"error", "warning", "note"}
        An error makes results wrong, a warning may, a note does not.
    evidence : str
        What was measured.
    mend : str
        What to do about it.
    llms, instances : tuple of str
        Ids of those concerned, all of them.
    values : mapping
        The numbers behind the evidence, for machines.
    fix : callable, optional
        Mends the data set, where a program can: takes it and gives the mended one.
    """

    check: str
    severity: str
    evidence: str
    mend: str
    llms: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    fix: Callable[[Dataset], Dataset] | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "check": self.check,
            "severity": self.severity,
            "evidence": self.evidence,
            "mend": self.mend,
            "llms": list(self.llms),
            "instances": list(self.instances),
            "values": dict(self.values),
        }


def about_instances(
    dataset: Dataset, which: NDArray[np.bool_], check: str, severity: str, text: str, mend: str
) -> list[Finding]:
    """A finding about the instances in `which`, bool (n,), that says how many they are; none where there is none."""
    ids = tuple(dataset.instance_ids.ids[i] for i in np.flatnonzero(which))
    return [Finding(check, severity, f"{len(ids):,} {text}: {some(ids)}", mend, instances=ids)] if ids else []


def some(ids: tuple[str, ...] | list[str], n: int = 3) -> str:
    """The first few ids, for a sentence."""
    more = f" and {len(ids) - n:,} more" if len(ids) > n else ""
    return ", ".join(ids[:n]) + more


def llm_s(n: int, one: str, many: str) -> str:
    """ "1 LLM has" or "5 LLMs have"."""
    return f"{n:,} LLM {one}" if n == 1 else f"{n:,} LLMs {many}"
