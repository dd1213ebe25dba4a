"""recroute frontier: what quality costs."""

from __future__ import annotations

from recroute.cli.experiment import Asked, experiment
from recroute.cli.options import COST_OPTION, DATASET, ROUTERS
from recroute.evaluation.frontier import FrontierSettings, measure


@experiment(FrontierSettings, DATASET, ROUTERS, COST_OPTION)
def frontier(asked: Asked) -> None:
    """Cost-quality curve of each router as cost counts more and more, beside single LLMs and their random mixtures.

    Example: recroute frontier my_dataset --router auto --router knn --seeds 5 --html frontier.html
    """
    asked.check()
    settings, routers = asked.settings, asked.routers()
    data = asked.data()
    with asked.progress(f"cost and quality on {data.name}") as progress:
        found = measure(settings, data, routers, progress)
    asked.conclude(found)
