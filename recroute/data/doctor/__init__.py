"""The doctor: finds what makes a matrix lie. One check or one kind of check per file."""

from recroute.data.doctor.examine import Diagnosis, diagnose, diagnose_path
from recroute.data.doctor.finding import Finding
from recroute.data.doctor.headroom import Headroom, rasch_headroom

__all__ = ["Diagnosis", "Finding", "Headroom", "diagnose", "diagnose_path", "rasch_headroom"]
