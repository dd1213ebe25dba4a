"""recroute data describe: what a data set holds."""

from __future__ import annotations

from typing import Any

from recroute.cli.options import DATASET, OUTPUTS, QUIET, verb
from recroute.cli.places import check_places
from recroute.cli.screen import answer
from recroute.data import read_dataset
from recroute.data.description import description


@verb(DATASET, OUTPUTS["json"], QUIET)
def describe(chosen: Any) -> None:
    """Print shape, density, scores and tasks of a data set.

    Example: recroute data describe my_dataset
    """
    check_places(chosen.json_path, inputs=[chosen.dataset])
    data = read_dataset(chosen.dataset)
    answer(description(data), data.document(), chosen.json_path, chosen.quiet)
