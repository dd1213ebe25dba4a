"""Run folders: configuration, per-instance choices, result and environment on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recroute.data.reading import DAMAGE, is_there, read_json, reading
from recroute.data.tables import read_table
from recroute.errors import DataError
from recroute.evaluation.evaluation import Evaluation
from recroute.evaluation.learning import LearningCurve
from recroute.experiment.result import CHOICES, RESULT
from recroute.util.arguments import checked
from recroute.util.folders import read_folder

# keys that identify the results of other verbs
OTHERS = {"strategies": "coldstart", "replacements": "pool", "train_fractions": "scale --train-fractions"}


@checked
def write_run(
    evaluation: Evaluation | LearningCurve, path: str | Path, config: Mapping[str, Any] | None = None
) -> None:
    """Write a run folder atomically, replacing an older run there.

    Parameters
    ----------
    evaluation : Evaluation or LearningCurve
        May be interrupted; `complete` in its result is then false.
    path : str or Path
    config : mapping, optional
        Options of the run and their values. The routers' hyperparameters are added.

    Raises
    ------
    RecrouteError
        If `path` exists and is not a run folder.
    """
    evaluation.write_run(path, config)


@checked
def read_run(path: str | Path) -> Evaluation:
    """Read a run folder, or a result JSON file, which has no per-instance choices.

    Raises
    ------
    DataError
        If it does not exist or is damaged.
    """
    return read_folder(Path(path), _read_run)


def _read_run(path: Path) -> Evaluation:
    result = path / RESULT if path.is_dir() else path
    if not result.is_file():
        raise DataError(f"no run at {path}: name the folder or the JSON file that a run wrote")
    raw = read_json(result)
    for key, verb in OTHERS.items():
        if isinstance(raw, dict) and key in raw:
            raise DataError(f"{result} is a result of {verb}; write its report with recroute {verb} --html FILE")
    try:
        evaluation = Evaluation.from_dict(raw)
    except (*DAMAGE, AttributeError) as error:
        raise DataError(f"{result} is not a result of evaluate or scale ({error!r})") from None
    choices = path / CHOICES
    if not is_there(choices):
        return evaluation
    with reading(choices, "choices of a run"):
        return evaluation.with_choices(read_table(choices))
