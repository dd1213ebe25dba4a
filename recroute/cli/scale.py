"""recroute scale: routing quality as the pool of candidate LLMs grows."""

from __future__ import annotations

from recroute.cli.experiment import Asked, experiment
from recroute.cli.options import DATA, DATASET, ROUTERS, Option, numbers
from recroute.data import Dataset
from recroute.evaluation.learning import learn
from recroute.evaluation.run import measure
from recroute.evaluation.settings import ScaleSettings
from recroute.experiment.result import Result

BENCHMARK = Option(
    "benchmark", str | None, None, help="Only the instances of this benchmark, and its own pools.", panel=DATA
)
TRAIN_FRACTIONS = Option(
    "train_fractions",
    str | None,
    None,
    help="Learning curves: fit on these shares of the training instances, such as .01,.03,.1,.3,1.",
)
OUTPUTS = ("json", "run", "html", "png", "csv")


@experiment(ScaleSettings, DATASET, ROUTERS, BENCHMARK, TRAIN_FRACTIONS, outputs=OUTPUTS)
def scale(asked: Asked) -> None:
    """Top-1 routing quality as the pool grows, beside oracle, r_o(p), random, best single, kNN and task known.

    With --train-fractions quality is shown against the number of training instances instead, averaged over the pools.

    Example: recroute scale my_dataset --router svd --pool-sizes 3,10,100 --seeds 5 --png growth.png
    """
    asked.check()
    settings, routers = asked.settings, asked.routers()
    benchmark, shares = asked.chosen.benchmark, asked.chosen.train_fractions
    fractions = None if shares is None else numbers(shares, "--train-fractions")

    def of_benchmark(data: Dataset) -> Dataset:
        return data if benchmark is None else data.take_benchmark(benchmark)

    data = asked.data(of_benchmark)
    with asked.progress(f"routing in growing pools of {data.name}") as progress:
        if fractions is None:
            found: Result = measure(settings, data, routers, progress)
        else:
            found = learn(settings, data, routers, fractions, progress)
    asked.conclude(found)
