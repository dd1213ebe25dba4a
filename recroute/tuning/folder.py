"""The study folder: its files, and the configuration that an existing study has to have been made for."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from recroute._version import __version__
from recroute.data import Dataset
from recroute.encoders import SentenceEncoder
from recroute.errors import DataError
from recroute.experiment.provenance import split_digest
from recroute.routers import Router
from recroute.splits import Split
from recroute.tuning.settings import TuneSettings
from recroute.tuning.space import Space
from recroute.tuning.storage import JOURNAL, is_journal
from recroute.tuning.tuned import Tuned
from recroute.util.files import write_json, write_text
from recroute.util.folders import check_new_folder

CONFIG, TRIALS, BEST, FRONT, ROUTER, RUN, REPORT = (
    "config.json",
    "trials.csv",
    "best.toml",
    "front",
    "router",
    "run",
    "report.html",
)
UNOBSERVED = "unobserved_choice"  # with gaps in the data: how a choice counts that nobody evaluated


@dataclass(frozen=True)
class StudyFolder:
    """The folder of a study.

    Holds `config.json` (the study with its whole space), `journal.log` (the trials, unless they are in another
    storage), `trials.csv`, `best.toml` (for `--router`), `front/` (with two metrics, one file for each pipeline of the
    Pareto front), `router/` (the chosen pipeline, fitted, with its card), `run/` (the run on test, as
    `recroute scale --out` writes it) and `report.html`. Each file is written whole or not at all.
    """

    path: Path

    def check(self, identity: Mapping[str, Any]) -> None:
        """Raise DataError if the folder holds something else, or a study made for something else (`identity_of`)."""
        if self.path.exists() and not self.path.is_dir():
            raise DataError(f"{self.path} is a file; name a folder for the study")
        if not self.path.is_dir() or not any(self.path.iterdir()):
            return
        before = self._config()
        if before is None and not is_journal(self.path / JOURNAL):  # all that one stopped in its first moments has
            raise DataError(f"{self.path} exists and is not a study (no {CONFIG} in it); name another --out")
        if before is not None:
            check_same(self.path.name, {key: before[key] for key in identity if key in before}, identity)
        check_new_folder(self.path / ROUTER, "router.json")
        check_new_folder(self.path / RUN, "result.json")

    def _config(self) -> Mapping[str, Any] | None:
        """The study's configuration; None if there is no such file."""
        path = self.path / CONFIG
        if not os.path.lexists(path):
            return None
        try:
            found = json.loads(path.read_text(encoding="utf8")) if path.is_file() else None
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{path} is damaged ({error}); delete it if it belongs to your study (the trials are kept elsewhere), "
                "or name another --out"
            ) from None
        if not is_identity(found) or "split_sha256" not in found:
            raise DataError(f"{path} is not the configuration of a study; name another --out")
        return found

    def write_config(self, config: Mapping[str, Any]) -> None:
        write_json(self.path / CONFIG, config)

    def write(self, tuned: Tuned) -> None:
        """Write everything but the trials' storage."""
        write_text(self.path / TRIALS, tuned.trials.write_csv())
        write_toml(tuned.best, self.path / BEST)
        for number, router in enumerate(tuned.front, 1):
            write_toml(router, self.path / FRONT / f"{number}.toml")
        for left in (self.path / FRONT).glob("[0-9]*.toml"):  # of a longer front, before the study was resumed
            if left.stem not in map(str, range(1, len(tuned.front) + 1)):
                left.unlink()
        tuned.router.save(self.path / ROUTER, card=tuned.card)
        if tuned.evaluation is not None:
            tuned.evaluation.write_run(self.path / RUN, self._config())
        tuned.write_html(self.path / REPORT)


def write_toml(router: Router, path: Path) -> None:
    """Write a router's configuration as `make_router` reads it."""
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


def identity_of(parts: Split, space: Space, settings: TuneSettings) -> dict[str, Any]:
    """What has to be equal for two trials to belong to one study: data, split, settings and space."""
    gaps = not (parts.train.interactions.is_complete and parts.valid.interactions.is_complete)
    return {
        **({UNOBSERVED: "judged by the next choice that was evaluated"} if gaps else {}),
        "recroute": __version__,
        "data": _data_digest(parts.train, parts.valid, parts.test),
        "split_sha256": split_digest(parts),
        **settings.shared(),
        "space": space.to_dict(),
    }


def is_identity(found: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether something read back can come from `identity_of`; early studies lack some keys."""
    return isinstance(found, Mapping) and isinstance(found.get("space", {}), Mapping)


def _data_digest(*parts: Dataset) -> str:
    """SHA-256 of scores, preferences, texts, tasks and the vectors that came with the data.

    Vectors of a sentence encoder are left out: they follow from the texts, and their last bits depend on the machine.
    """
    digest = hashlib.sha256()
    for data in parts:
        preferences = [] if data.preferences is None else data.preferences.arrays
        vectors = None if isinstance(data.encoder, SentenceEncoder) else data.embeddings
        for array in (*data.interactions.state().values(), vectors, *preferences):
            digest.update(b"none" if array is None else np.ascontiguousarray(array).data)
        for text in (*(data.prompts or ()), *data.tasks.tolist()):
            digest.update(text.encode("utf8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def check_same(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise DataError, with all that differs, if a study was made for something else than it is asked for now."""
    if UNOBSERVED in now:
        before = {UNOBSERVED: "left out", **before}  # as in all studies that do not say
    old, new = _flat(before), _flat(now)
    searched, asked = before.get("space", {}), now.get("space", {})
    here = [label for label in searched if label not in asked]
    there = [label for label in asked if label not in searched]
    differing = [f"it searched {', '.join(here)}, which is not asked for"] * bool(here)
    differing += [f"it did not search {', '.join(there)}"] * bool(there)
    named = tuple(f"space.{label}." for label in (*here, *there))
    differing += [
        f"{key} was {old.get(key, 'absent')} and is {new.get(key, 'absent')}"
        for key in dict.fromkeys([*old, *new])
        if not key.startswith(named) and old.get(key) != new.get(key)
    ]
    if differing:
        raise DataError(
            f"the study {name} was made for something else: {'; '.join(differing)}; name another --out, or use the "
            "same data and options"
        )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Leaves by their path; digests are cut short, as nobody reads all of one."""
    found: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = str(value)[:12] if key in ("data", "split_sha256") else str(value)
    return found
