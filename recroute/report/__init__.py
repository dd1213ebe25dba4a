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
    "html_page": "recroute.report.old_html",
    "notebook_html": "recroute.report.old_html",
    "write_html": "recroute.report.old_html",
    "plot_evaluation": "recroute.report.old_plot",
    "plot_growth": "recroute.report.old_plot",
    "plot_intervals": "recroute.report.old_plot",
    "save_growth_png": "recroute.report.old_plot",
    "save_png": "recroute.report.old_plot",
    "growth_plot": "recroute.report.old_terminal_plot",
    "plot_history": "recroute.report.study",
    "plot_shares": "recroute.report.study",
    "study_html": "recroute.report.study",
    "study_notebook": "recroute.report.study",
    "trials_counted": "recroute.report.study",
    "growth_table": "recroute.report.table",
    "main_group": "recroute.report.table",
    "metric_table": "recroute.report.table",
    "published_table": "recroute.report.table",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'recroute.report' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
