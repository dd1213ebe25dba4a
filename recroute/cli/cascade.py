"""recroute cascade: several attempts at a prompt."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import cast

from recroute.attempts.run import measure
from recroute.attempts.settings import VERDICT, CascadeSettings
from recroute.cli.experiment import Asked, experiment
from recroute.cli.options import COST_OPTION, DATASET, ROUTERS
from recroute.data.folder import read_verdicts


@experiment(CascadeSettings, DATASET, ROUTERS, COST_OPTION)
def cascade(asked: Asked) -> None:
    """Several attempts at each prompt until an answer is accepted: score, calls and cost by router and policy.

    Example: recroute cascade my_dataset --router hierarchy --attempts 1,2,3,5 --seeds 5 --html cascade.html
    """
    asked.check()
    settings, routers = asked.settings, asked.routers()
    with_verdicts = partial(read_verdicts, path=cast(Path, asked.source)) if settings.verifier == VERDICT else None
    data = asked.data(with_verdicts)
    with asked.progress(f"attempts on {data.name}") as progress:
        found = measure(settings, data, routers, progress)
    asked.conclude(found)
