"""A router on disk: `router.json` and arrays, no pickle, whole or not at all."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recroute._version import __version__
from recroute.arguments import checked
from recroute.data import Encoder, IdMap
from recroute.data.atomic import new_folder
from recroute.data.digest import sha256
from recroute.data.swap import read_folder
from recroute.encoders import SentenceEncoder, main_encoder
from recroute.encoders.registry import is_savable
from recroute.encoders.storage import describe_encoder, encoder_state, restore_encoder, write_encoder_files
from recroute.errors import RouterError
from recroute.files import write_json, write_text
from recroute.routers.base import Router
from recroute.routers.card import CARD
from recroute.routers.registry import make_router
from recroute.routers.unseen.background import Background
from recroute.routers.unseen.grow import lacking

FORMAT = 1
Arrays = dict[str, NDArray[Any]]


def save_router(router: Router, path: str | Path, card: str | None = None) -> None:
    """Write a fitted router as a folder; an older router of the same place is replaced whole, or not at all.

    The folder holds `router.json` (name, version, hyperparameters, encoder, LLM ids, SHA-256 of each other file),
    `arrays.npz`, for a text encoder of ours `encoder.npz`, for a sentence encoder the files of its model in `encoder/`
    (their SHA-256 is in the encoder's description), what the router's `write_files` adds, if it was fitted on scores
    `prompts.parquet` and the evidence (`evidence-*.npy`; router.json says where each array of it is), and if it takes
    unseen LLMs `prior.npz`. `card` becomes `CARD.md`, which is for people: it has no hash, and `load_router` does not
    look at it.

    Raises
    ------
    RouterError
        If the router is not fitted, its sentence encoder is not what it was then, or its encoder cannot be saved.
    RecrouteError
        If `path` is something else than a router's folder.
    """
    router.llm_index()  # raises if not fitted
    encoder = _read_by(router)
    files: dict[str, Arrays] = {"arrays.npz": router.state()}
    description: dict[str, Any] = {
        "format": FORMAT,
        "recroute": __version__,
        "name": router.name,
        "hyperparameters": router.hyperparameters(),
        "encoder": describe_encoder(encoder),
    }
    if arrays := encoder_state(encoder):
        files["encoder.npz"] = arrays
    with new_folder(Path(path), marker="router.json") as folder:
        for name, content in files.items():
            np.savez(folder / name, **content)  # type: ignore[arg-type]
        write_encoder_files(encoder, folder)
        router.write_files(folder)
        if router.background_ is not None:
            takes_unseen = lacking(router) is None
            description["evidence"] = router.background_.write(folder, files["arrays.npz"], with_prior=takes_unseen)
        description["sha256"] = {file.name: sha256(file) for file in sorted(folder.iterdir()) if file.is_file()}
        if card is not None:
            write_text(folder / CARD, card)
        description["llm_ids"] = list(router.llm_ids_)
        write_json(folder / "router.json", description)


@checked
def load_router(path: str | Path) -> Router:
    """Read a router's folder.

    Raises
    ------
    RouterError
        If there is none, or if a file of it is missing, damaged or of a later format.
    """
    return read_folder(Path(path), _read_router)


def _read_router(path: Path) -> Router:
    description = _read_description(path)
    files: dict[str, Arrays] = {}
    evidence = description.get("evidence", {})  # older versions kept none
    for name, digest in description["sha256"].items():
        if name in evidence.values():
            continue  # may be large, and is checked when it is first needed
        file = path / Path(name).name
        if not file.is_file() or sha256(file) != digest:
            raise RouterError(
                f"{file} is missing or damaged (its SHA-256 differs from router.json); fit the router again"
            )
        if name not in ("arrays.npz", "encoder.npz"):
            continue  # the router's own, read below
        try:
            with np.load(file, allow_pickle=False) as content:
                files[name] = dict(content)
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise RouterError(f"{file} cannot be read: {error}; fit the router again") from None
    router = make_router(description["name"], **description["hyperparameters"])
    try:
        router.llm_ids_ = IdMap(tuple(description["llm_ids"]), kind="llm")
        router.encoder_ = restore_encoder(description["encoder"], files.get("encoder.npz", {}), path)
        router.restore(files["arrays.npz"])
        router.background_ = Background.read(path, evidence, description["sha256"], files["arrays.npz"])
    except KeyError as missing:
        raise RouterError(f"{path} lacks {missing}; fit the router again") from None
    router.read_files(path)
    return router


def _read_by(router: Router) -> Encoder | None:
    """The router's encoder; none where the router never asks it, and it has many megabytes or cannot be saved."""
    encoder = router.encoder_
    if encoder is None or router.needs == "text":
        return encoder
    spared = isinstance(main_encoder(encoder), SentenceEncoder) or not is_savable(encoder)
    return None if spared else encoder


def _read_description(path: Path) -> dict[str, Any]:
    file = path / "router.json"
    if not file.is_file():
        raise RouterError(f"no router at {path} (router.json is missing); make one with recroute fit")
    try:
        description = json.loads(file.read_text(encoding="utf8"))
        needed = {"format", "name", "hyperparameters", "encoder", "llm_ids", "sha256"}
        if not isinstance(description, dict) or (lacking := needed - set(description)):
            raise ValueError(f"it lacks {', '.join(sorted(lacking)) if isinstance(description, dict) else 'keys'}")
    except ValueError as error:
        raise RouterError(f"{file} is damaged: {error}; fit the router again") from None
    if description["format"] > FORMAT:
        raise RouterError(
            f"{path} was written by recroute {description.get('recroute')}; install that version or a later one"
        )
    return description
