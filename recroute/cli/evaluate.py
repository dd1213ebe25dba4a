"""recroute evaluate: routing quality on the whole pool."""

from __future__ import annotations

from recroute.cli.budget import BUDGET, QUALITY, with_budget
from recroute.cli.experiment import Asked, experiment
from recroute.cli.options import COST_OPTION, DATASET, ROUTERS
from recroute.evaluation.run import measure
from recroute.evaluation.settings import EvaluationSettings

OUTPUTS = ("json", "run", "html", "png", "csv")


@experiment(EvaluationSettings, DATASET, ROUTERS, COST_OPTION, BUDGET, QUALITY, outputs=OUTPUTS)
def evaluate(asked: Asked) -> None:
    """Top-1 routing quality with all LLMs as the pool, beside the baselines.

    With --budget or --quality the routers named weigh cost (see the router budgeted); the baselines do not.

    Example: recroute evaluate my_dataset --router svd --router als --seeds 5
    """
    asked.check()
    settings, target = asked.settings, (asked.chosen.budget, asked.chosen.quality)
    routers = [with_budget(router, *target) for router in asked.routers()]
    data = asked.data()
    with asked.progress(f"evaluating on {data.name}") as progress:
        found = measure(settings, data, routers, progress)
    asked.conclude(found)
