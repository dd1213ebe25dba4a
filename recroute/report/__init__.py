"""What a person looks at: tables, plots in the terminal, pictures."""

from recroute.report.plot import plot_growth, save_growth_png
from recroute.report.table import growth_table, main_group, metric_table, published_table
from recroute.report.terminal_plot import growth_plot

__all__ = [
    "growth_plot",
    "growth_table",
    "main_group",
    "metric_table",
    "plot_growth",
    "published_table",
    "save_growth_png",
]
