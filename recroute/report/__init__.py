"""What a person looks at: tables, plots in the terminal, pictures, one HTML file."""

from recroute.report.combine import combine
from recroute.report.doctor import diagnosis_html
from recroute.report.frontier import frontier_notebook, frontier_tables, write_frontier_html
from recroute.report.frontier_plot import frontier_text, plot_frontier, save_frontier_png
from recroute.report.learning import (
    learning_notebook,
    learning_plot,
    learning_table,
    plot_learning,
    save_learning_png,
    write_learning_html,
)
from recroute.report.llm_map import llm_map_notebook, plot_llm_map
from recroute.report.objects import (
    dataset_notebook,
    explanation_notebook,
    ranking_notebook,
    router_notebook,
    split_notebook,
)
from recroute.report.old_html import html_page, notebook_html, write_html
from recroute.report.old_plot import plot_evaluation, plot_growth, plot_intervals, save_growth_png, save_png
from recroute.report.old_terminal_plot import growth_plot
from recroute.report.study import plot_history, plot_shares, study_html, study_notebook, trials_counted
from recroute.report.table import growth_table, main_group, metric_table, published_table

__all__ = [
    "combine",
    "dataset_notebook",
    "diagnosis_html",
    "explanation_notebook",
    "frontier_notebook",
    "frontier_tables",
    "frontier_text",
    "growth_plot",
    "growth_table",
    "html_page",
    "learning_notebook",
    "learning_plot",
    "learning_table",
    "llm_map_notebook",
    "main_group",
    "metric_table",
    "notebook_html",
    "plot_evaluation",
    "plot_frontier",
    "plot_growth",
    "plot_history",
    "plot_intervals",
    "plot_learning",
    "plot_llm_map",
    "plot_shares",
    "published_table",
    "ranking_notebook",
    "router_notebook",
    "save_frontier_png",
    "save_growth_png",
    "save_learning_png",
    "save_png",
    "split_notebook",
    "study_html",
    "study_notebook",
    "trials_counted",
    "write_frontier_html",
    "write_html",
    "write_learning_html",
]
