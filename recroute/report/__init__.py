"""What a person looks at: a document is said once and shown in a terminal, in a notebook and as a page."""

from importlib import import_module
from typing import Any

_HOMES = {  # of pages that still know results; each goes when its result has a document
    "diagnosis_html": "recroute.report.doctor",
    "llm_map_notebook": "recroute.report.llm_map",
    "plot_llm_map": "recroute.report.llm_map",
    "dataset_notebook": "recroute.report.objects",
    "explanation_notebook": "recroute.report.objects",
    "ranking_notebook": "recroute.report.objects",
    "router_notebook": "recroute.report.objects",
    "split_notebook": "recroute.report.objects",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'recroute.report' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
