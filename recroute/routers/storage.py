"""Saving and loading of routers: `router.json` and arrays, without pickle, written atomically."""

from __future__ import annotations

from datetime import UTC, datetime
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
from recroute.routers.description import FILE, FORMAT, REFIT, Description
from recroute.routers.memory.background import PROMPTS, Background
from recroute.routers.memory.remembering import RememberingRouter
from recroute.routers.names import ROUTERS
from recroute.util.arrays import ArrayError
from recroute.util.files import sha256, write_json, write_text
from recroute.util.folders import new_folder, read_folder
from recroute.util.npz import NpzError, read_npz
from recroute.util.state import arrays_of, restore

Arrays = dict[str, NDArray[Any]]
CARD = "CARD.md"


def save_router(router: RememberingRouter, path: str | Path, card: str | None = None) -> None:
    """Write a fitted router to a folder, replacing an older router there atomically.

    Saving fits nothing. The folder holds `router.json` (name, version, hyperparameters, encoder, LLM ids, SHA-256 of
    every other file) and

    - `arrays.npz` with the fitted arrays, and any files that the router's `write_files` adds;
    - `encoder.npz` with a text encoder of recroute, or `encoder/` with the model files of a sentence encoder, whose
      SHA-256 are in the encoder's description;
    - for a router fitted on scores: `prompts.parquet`, `llms.parquet`, the training scores and vectors
      (`evidence-*.npy`; `router.json` maps each array to its file), and `prior.npz` if it was learned (`Router.prior`);
    - `CARD.md`, the `card`, for people: it has no hash, and `load_router` ignores it.

    Raises
    ------
    RouterError
        If the router is not fitted, its arrays are not as declared (for example not finite), the files of its sentence
        encoder have changed since the fit, or its encoder cannot be saved.
    RecrouteError
        If `path` exists and is not a router's folder.
    """
    router.llm_index()  # raises if not fitted
    encoder = _encoder_to_save(router)
    files: dict[str, Arrays] = {"arrays.npz": arrays_of(router)}
    try:
        _check_arrays(router, encoder, files["arrays.npz"])
    except (ArrayError, RecrouteError) as error:
        raise RouterError(f"{router.label} cannot be saved: {error}; check its training data") from None
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


def changed_card(folder: str | Path, change: str) -> str | None:
    """Card of the router in `folder` with a note on top that its figures are from before `change`.

    Parameters
    ----------
    folder : str or Path
        Folder of the router before the change. Read it before the new router replaces it.
    change : str
        A clause, such as "LLM new-llm was added".

    Returns
    -------
    str or None
        None if the folder has no card.
    """
    file = Path(folder) / CARD
    if not file.is_file():
        return None
    today = datetime.now(UTC).date()
    line = f"> **Changed on {today}: {change}.** All figures below were measured before that, without this change."
    return f"{line}\n\n{file.read_text(encoding='utf8')}"


def read_router(path: Path) -> RememberingRouter:
    """Read what `save_router` wrote; see `load_router` for the errors."""
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
        raise RouterError(f"{path / FILE} nests routers too deeply; {REFIT}") from None


def _restored(router: RememberingRouter, path: Path, description: Description) -> RememberingRouter:
    """Router with the content of its folder, all of it checked before it is used."""
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
        raise RouterError(f"{path / 'arrays.npz'} does not fit this router: {error}; {REFIT}") from None
    router.read_files(path)
    return router


def _check_arrays(router: RememberingRouter, encoder: Encoder | None, arrays: Arrays) -> None:
    """Raise ArrayError or RecrouteError unless a router can be restored from these arrays."""
    restored = type(router)(**router.hyperparameters())
    restored.llm_ids_, restored.encoder_ = router.llm_ids_, encoder
    background = router.background_
    restore(restored, arrays, {} if background is None else {"n_prompts": background.prompts.height})


def _read_arrays(path: Path, description: Description) -> dict[str, Arrays]:
    """Arrays of the router and of its encoder, after the hashes of all files except the evidence were checked."""
    evidence = set(description.evidence.values())  # may be large, so it is checked at first use
    for name, digest in description.sha256.items():
        file = path / name
        if name not in evidence and not (file.is_file() and sha256(file) == digest):
            raise RouterError(f"{file} is missing or damaged (its SHA-256 differs from {FILE}); {REFIT}")
    arrays: dict[str, Arrays] = {"encoder.npz": {}}
    for name in ("arrays.npz", "encoder.npz"):
        if name not in description.sha256 or name in evidence:
            continue
        try:
            arrays[name] = read_npz(path / name)
        except NpzError as error:
            raise RouterError(f"{path / name} cannot be read: {error}; {REFIT}") from None
    if "arrays.npz" not in arrays:
        raise RouterError(f"{path / FILE} has no SHA-256 of arrays.npz; {REFIT}")
    return arrays


def _encoder_to_save(router: RememberingRouter) -> Encoder | None:
    """The router's encoder; None if the router does not read vectors and the encoder is large or cannot be saved."""
    encoder = router.encoder_
    if encoder is None or router.needs == "text":
        return encoder
    omitted = isinstance(main_encoder(encoder), SentenceEncoder) or not is_savable(encoder)
    return None if omitted else encoder
