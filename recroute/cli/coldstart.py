"""recroute coldstart: how few prompts suffice for an LLM that nobody has evaluated."""

from __future__ import annotations

from recroute.cli.experiment import Asked, experiment
from recroute.cli.options import DATASET, ROUTERS
from recroute.coldstart.experiment import measure
from recroute.coldstart.settings import ColdStartSettings


@experiment(ColdStartSettings, DATASET, ROUTERS)
def coldstart(asked: Asked) -> None:
    """Known LLMs play unseen ones: what a few of their answers tell of the rest, and how well routing to them works.

    Example: recroute coldstart my_dataset --router auto --anchors 0,4,16,64 --html coldstart.html
    """
    asked.check()
    settings, routers = asked.settings, asked.routers()
    data = asked.data()
    with asked.progress(f"cold start on {data.name}") as progress:
        found = measure(settings, data, routers, progress)
    asked.conclude(found)
