"""The doctor checks a data set for problems that would bias results: one check, or one kind of check, per file."""

from recroute.data.doctor.examine import Diagnosis, diagnose, diagnose_path
from recroute.data.doctor.finding import Finding
from recroute.data.doctor.headroom import Headroom, rasch_headroom

__all__ = ["Diagnosis", "Finding", "Headroom", "diagnose", "diagnose_path", "rasch_headroom"]
