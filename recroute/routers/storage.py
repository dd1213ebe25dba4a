"""A router on disk: `router.json` and arrays, no pickle, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recroute._version import __version__
from recroute.data import Encoder
from recroute.encoders import SentenceEncoder, main_encoder
from recroute.encoders.registry import is_savable
from recroute.encoders.storage import describe_encoder, encoder_state, restore_encoder, write_encoder_files
from recroute.errors import RecrouteError, RouterError
from recroute.routers.card import CARD
from recroute.routers.description import FILE, FORMAT, MEND, Description
from recroute.routers.memory.background import PROMPTS, Background
from recroute.routers.memory.remembering import RememberingRouter
from recroute.routers.names import ROUTERS
from recroute.util.arrays import ArrayError
from recroute.util.files import sha256, write_json, write_text
from recroute.util.folders import new_folder, read_folder
from recroute.util.npz import NpzError, read_npz
from recroute.util.state import arrays_of, restore

Arrays = dict[str, NDArray[Any]]


def save_router(router: RememberingRouter, path: str | Path, card: str | None = None) -> None:
    """Write a fitted router as a folder; an older router of the same place is replaced whole, or not at all.

    Nothing is fitted here. The folder holds `router.json` (name, version, hyperparameters, encoder, LLM ids, SHA-256 of
    each other file) and

    - `arrays.npz`, what the router was fitted to, and what its `write_files` adds;
    - `encoder.npz` for a text encoder of ours, or in `encoder/` the files of a sentence encoder's model, whose SHA-256
      are in the encoder's description;
    - of a router that was fitted on scores `prompts.parquet`, `llms.parquet` and the evidence (`evidence-*.npy`;
      router.json says where each array of it is), and `prior.npz` once it was learned (`Router.prior`);
    - `CARD.md`, the `card`, which is for people: it has no hash, and `load_router` does not look at it.

    Raises
    ------
    RouterError
        If the router is not fitted, its arrays are not what its fields declare (of numbers that are not finite, for
        one), its sentence encoder is not what it was then, or its encoder cannot be saved.
    RecrouteError
        If `path` is something else than a router's folder.
    """
    router.llm_index()  # raises if not fitted
    encoder = _read_by(router)
    files: dict[str, Arrays] = {"arrays.npz": arrays_of(router)}
    try:
        _check_arrays(router, encoder, files["arrays.npz"])
    except (ArrayError, RecrouteError) as error:
        raise RouterError(f"{router.label} cannot be saved: {error}; see that its data are sound") from None
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
            description["evidence"] = router.background_.write(folder, files["arrays.npz"])
        description["sha256"] = {file.name: sha256(file) for file in sorted(folder.iterdir()) if file.is_file()}
        if card is not None:
            write_text(folder / CARD, card)
        description["llm_ids"] = list(router.llm_ids_)
        write_json(folder / "router.json", description)


def read_router(path: Path) -> RememberingRouter:
    """See `load_router`."""
    return read_folder(path, _read_router)


def _read_router(path: Path) -> RememberingRouter:
    description = Description.read(path)
    try:
        try:
            router: RememberingRouter = ROUTERS.get(description.name).from_settings(description.hyperparameters)
        except RecrouteError as error:
            raise RouterError(f"{path / FILE}: {error}") from None
        return _restored(router, path, description)
    except RecursionError:
        raise RouterError(f"{path / FILE} names routers inside of routers too deeply; {MEND}") from None


def _restored(router: RememberingRouter, path: Path, description: Description) -> RememberingRouter:
    """The router with what its folder holds; nothing of it is used before it was checked."""
    arrays = _read_arrays(path, description)
    router.llm_ids_ = description.llm_ids
    router.encoder_ = restore_encoder(description.encoder, arrays["encoder.npz"], path)
    own, sizes = arrays["arrays.npz"], router.known_sizes()
    router.background_ = None
    if PROMPTS in description.sha256:
        router.background_ = Background.read(path, description, own, sizes)
    try:
        restore(router, own, sizes)
    except (ArrayError, RecrouteError) as error:
        raise RouterError(f"{path / 'arrays.npz'} is not of this router: {error}; {MEND}") from None
    router.read_files(path)
    return router


def _check_arrays(router: RememberingRouter, encoder: Encoder | None, arrays: Arrays) -> None:
    """Raise ArrayError or RecrouteError unless a router can be made of these arrays again."""
    found = type(router)(**router.hyperparameters())
    found.llm_ids_, found.encoder_ = router.llm_ids_, encoder
    background = router.background_
    restore(found, arrays, {} if background is None else {"n_prompts": background.prompts.height})


def _read_arrays(path: Path, description: Description) -> dict[str, Arrays]:
    """The arrays of the router and of its encoder, once the hashes of all files but the evidence were compared."""
    places = set(description.evidence.values())  # may be large, and is checked when it is first needed
    for name, digest in description.sha256.items():
        file = path / name
        if name not in places and not (file.is_file() and sha256(file) == digest):
            raise RouterError(f"{file} is missing or damaged (its SHA-256 differs from {FILE}); {MEND}")
    found: dict[str, Arrays] = {"encoder.npz": {}}
    for name in ("arrays.npz", "encoder.npz"):
        if name not in description.sha256 or name in places:
            continue
        try:
            found[name] = read_npz(path / name)
        except NpzError as error:
            raise RouterError(f"{path / name} cannot be read: {error}; {MEND}") from None
    if "arrays.npz" not in found:
        raise RouterError(f"{path / FILE} has no SHA-256 of arrays.npz; {MEND}")
    return found


def _read_by(router: RememberingRouter) -> Encoder | None:
    """The router's encoder; none where the router never asks it, and it has many megabytes or cannot be saved."""
    encoder = router.encoder_
    if encoder is None or router.needs == "text":
        return encoder
    spared = isinstance(main_encoder(encoder), SentenceEncoder) or not is_savable(encoder)
    return None if spared else encoder
