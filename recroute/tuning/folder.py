"""The study folder: its files, and the check that an existing study was created for the same data and settings."""

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
from recroute.errors import DataError, argument
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
UNOBSERVED = "unobserved_choice"  # on incomplete data: how the choice of an unevaluated LLM counts


@dataclass(frozen=True)
class StudyFolder:
    """Folder of a study. Every file in it is written atomically.

    - `config.json`: data, settings and search space of the study;
    - `journal.log`: the trials, unless they are in another storage;
    - `trials.csv`: table of the trials;
    - `best.toml`: the chosen pipeline, for `--router`;
    - `front/`: with two metrics, one TOML file for each pipeline of the Pareto front;
    - `router/`: the chosen pipeline, fitted, with its card;
    - `run/`: results on test instances, as written by `recroute scale --out`;
    - `report.html`.
    """

    path: Path

    def check(self, identity: Mapping[str, Any]) -> None:
        """Raise DataError if the folder is not a study's, or its study has another `identity_of`."""
        if self.path.exists() and not self.path.is_dir():
            raise DataError(f"{self.path} is a file; name a folder for the study")
        if not self.path.is_dir() or not any(self.path.iterdir()):
            return
        before = self._config()
        # a study that was stopped at once has only a journal
        if before is None and not is_journal(self.path / JOURNAL):
            raise DataError(
                f"{self.path} exists and is not a study (no {CONFIG} in it); name another {argument('out')}"
            )
        if before is not None:
            check_same(self.path.name, {key: before[key] for key in identity if key in before}, identity)
        check_new_folder(self.path / ROUTER, "router.json")
        check_new_folder(self.path / RUN, "result.json")

    def _config(self) -> Mapping[str, Any] | None:
        """Configuration of the study; None if there is no such file."""
        path = self.path / CONFIG
        if not os.path.lexists(path):
            return None
        try:
            config = json.loads(path.read_text(encoding="utf8")) if path.is_file() else None
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{path} is damaged ({error}); delete it if it belongs to your study (the trials are not in it), or "
                f"name another {argument('out')}"
            ) from None
        if not is_identity(config) or "split_sha256" not in config:
            raise DataError(f"{path} is not the configuration of a study; name another {argument('out')}")
        return config

    def write_config(self, config: Mapping[str, Any]) -> None:
        write_json(self.path / CONFIG, config)

    def write(self, tuned: Tuned) -> None:
        """Write all files except the trials' storage."""
        write_text(self.path / TRIALS, tuned.trials.write_csv())
        write_toml(tuned.best, self.path / BEST)
        for number, router in enumerate(tuned.front, 1):
            write_toml(router, self.path / FRONT / f"{number}.toml")
        for old in (self.path / FRONT).glob("[0-9]*.toml"):  # the front may have been longer before a resume
            if old.stem not in map(str, range(1, len(tuned.front) + 1)):
                old.unlink()
        tuned.router.save(self.path / ROUTER, card=tuned.card)
        if tuned.evaluation is not None:
            tuned.evaluation.write_run(self.path / RUN, self._config())
        tuned.write_html(self.path / REPORT)


def write_toml(router: Router, path: Path) -> None:
    """Write a router's configuration to a TOML file that `make_router` reads."""
    values = {k: v for k, v in router.hyperparameters().items() if k != "seed"}
    inner = values.pop("router", None)  # of a composite router; the key `router` of the file is already taken
    name = router.name if inner is None else f"{router.name}(router={inner})"
    lines = [f"router = {_toml(name)}", *(f"{key} = {_toml(value)}" for key, value in values.items())]
    write_text(path, "\n".join(lines) + "\n")


def _toml(value: Any) -> str:
    """A number, bool or string in TOML, which for these equals JSON; None becomes "none"."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps("none" if value is None else str(value) if isinstance(value, Path) else value, ensure_ascii=False)


def identity_of(parts: Split, space: Space, settings: TuneSettings) -> dict[str, Any]:
    """Data, split, settings and space of a study, which must be equal for all of its trials."""
    gaps = not (parts.train.interactions.is_complete and parts.valid.interactions.is_complete)
    return {
        **({UNOBSERVED: "judged by the next choice that was evaluated"} if gaps else {}),
        "recroute": __version__,
        "data": _data_digest(parts.train, parts.valid, parts.test),
        "split_sha256": split_digest(parts),
        **settings.shared(),
        "space": space.to_dict(),
    }


def is_identity(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether a value read from disk has the form of `identity_of`; studies of older versions lack some keys."""
    return isinstance(value, Mapping) and isinstance(value.get("space", {}), Mapping)


def _data_digest(*parts: Dataset) -> str:
    """SHA-256 of scores, preferences, texts, tasks and the data set's own vectors.

    Vectors of a sentence encoder are left out: they follow from the texts, and rounding depends on the machine.
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
    """Raise DataError, which lists all differences, if a study was created with other data or settings."""
    if UNOBSERVED in now:
        before = {UNOBSERVED: "left out", **before}  # older studies do not state it
    old, new = _flat(before), _flat(now)
    searched, requested = before.get("space", {}), now.get("space", {})
    removed = [label for label in searched if label not in requested]
    added = [label for label in requested if label not in searched]
    differing = [f"it searched {', '.join(removed)}, which this run does not"] * bool(removed)
    differing += [f"it did not search {', '.join(added)}"] * bool(added)
    named = tuple(f"space.{label}." for label in (*removed, *added))
    differing += [
        f"{key} was {old.get(key, 'absent')} and is now {new.get(key, 'absent')}"
        for key in dict.fromkeys([*old, *new])
        if not key.startswith(named) and old.get(key) != new.get(key)
    ]
    if differing:
        raise DataError(
            f"the study {name} was created with other data or options: {'; '.join(differing)}; name "
            f"another {argument('out')}, or use the same data and options"
        )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Leaves of a nested mapping by dotted path; digests are truncated for display."""
    leaves: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            leaves |= _flat(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = str(value)[:12] if key in ("data", "split_sha256") else str(value)
    return leaves
