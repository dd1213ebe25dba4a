"""recroute data describe: what a data set holds."""

from __future__ import annotations

from recroute.cli.options import DatasetPath, JsonPath, Quiet
from recroute.cli.places import check_places
from recroute.cli.screen import answer
from recroute.data import read_dataset
from recroute.data.description import description


def describe(dataset: DatasetPath, json_path: JsonPath = None, quiet: Quiet = False) -> None:
    """Print shape, density, scores and tasks of a data set.

    Example: recroute data describe my_dataset
    """
    check_places(json_path, inputs=[dataset])
    data = read_dataset(dataset)
    answer(description(data), data.document(), json_path, quiet)
