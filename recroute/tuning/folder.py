"""What a study leaves on disk."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.study import Study

from recroute.errors import DataError
from recroute.evaluation import write_run
from recroute.routers import Router
from recroute.tuning.identity import check_same, is_identity
from recroute.tuning.journal import JOURNAL, is_journal
from recroute.util.files import write_json, write_text
from recroute.util.folders import check_new_folder

if TYPE_CHECKING:
    from recroute.tuning.tuned import Tuned

CONFIG, TRIALS, BEST, FRONT, ROUTER, RUN, REPORT = (
    "config.json",
    "trials.csv",
    "best.toml",
    "front",
    "router",
    "run",
    "report.html",
)


@dataclass(frozen=True)
class StudyFolder:
    """The folder of a study.

    Holds `config.json` (the study with its whole space), `journal.log` (the trials, unless they are in a storage of
    their own), `trials.csv`, `best.toml` (for `--router`), `front/` (with two metrics, one file for each pipeline of
    the Pareto front), `router/` (the chosen pipeline, fitted, with its card), `run/` (the run on test, as
    `recroute scale --out` writes it) and `report.html`. Each file is written whole or not at all.
    """

    path: Path

    def check(self, known: Mapping[str, Any]) -> None:
        """DataError if the place holds something else, or a study that was made for something else.

        `known` is what the study would be known by, see `identity`.
        """
        if self.path.exists() and not self.path.is_dir():
            raise DataError(f"{self.path} is a file; name a folder for the study")
        if not self.path.is_dir() or not any(self.path.iterdir()):
            return
        before = self._config()
        if before is None and not is_journal(self.path / JOURNAL):  # all that one stopped in its first moments has
            raise DataError(f"{self.path} exists and is no study (no {CONFIG} in it); name another --out")
        if before is not None:
            check_same(self.path.name, {key: before[key] for key in known if key in before}, known)
        check_new_folder(self.path / ROUTER, "router.json")
        check_new_folder(self.path / RUN, "result.json")

    def _config(self) -> Mapping[str, Any] | None:
        """What the folder says of its study; None if it says nothing."""
        path = self.path / CONFIG
        if not os.path.lexists(path):
            return None
        try:
            found = json.loads(path.read_text(encoding="utf8")) if path.is_file() else None
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{path} is damaged ({error}); remove it if it is that of your study, whose trials are not in it, or "
                "name another --out"
            ) from None
        if not is_identity(found) or "split_sha256" not in found:
            raise DataError(f"{path} is not the configuration of a study; name another --out")
        return found

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        write_json(self.path / name, value)

    def write(self, tuned: Tuned, study: Study) -> None:
        """All that is known now."""
        write_text(self.path / TRIALS, tuned.trials.write_csv())
        write_toml(tuned.best, self.path / BEST)
        for number, router in enumerate(tuned.front, 1):
            write_toml(router, self.path / FRONT / f"{number}.toml")
        for left in (self.path / FRONT).glob("[0-9]*.toml"):  # of a longer front, before the study went on
            if left.stem not in map(str, range(1, len(tuned.front) + 1)):
                left.unlink()
        tuned.router.save(self.path / ROUTER, card=tuned.card)
        if tuned.evaluation is not None:
            write_run(tuned.evaluation, self.path / RUN, self._config())
        report = import_module("recroute.report")  # shows results, and builds on the layers below
        page = report.study_html(
            study.study_name,
            tuned.trials,
            tuned.importances,
            tuned.notes,
            tuned.best.label,
            maximize=tuned.maximize,
            evaluation=tuned.evaluation,
        )
        write_text(self.path / REPORT, page)


def write_toml(router: Router, path: Path) -> None:
    """A router's configuration as `make_router` reads it."""
    values = {k: v for k, v in router.hyperparameters().items() if k != "seed"}
    inside = values.pop("router", None)  # of a router made of others; the file's own key has this name
    name = router.name if inside is None else f"{router.name}(router={inside})"
    lines = [f"router = {_toml(name)}", *(f"{key} = {_toml(value)}" for key, value in values.items())]
    write_text(path, "\n".join(lines) + "\n")


def _toml(value: Any) -> str:
    """A number, a truth value or a text, which JSON writes as TOML does; "none" stands for none."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps("none" if value is None else str(value) if isinstance(value, Path) else value, ensure_ascii=False)
