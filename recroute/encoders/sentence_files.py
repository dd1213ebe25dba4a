"""Files of a sentence-transformers model: found without a network, hashed, no pickle and no code among them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from recroute.errors import DataError, RouterError
from recroute.util.files import sha256

MODULES = "modules.json"
# What a model is read from: settings, tokenizer and weights. Everything else in its folder is left alone.
SUFFIXES = (".json", ".txt", ".model", ".safetensors")
OTHER_WEIGHTS = (".bin", ".pt", ".pth", ".ckpt")
OWN_CLASSES = "sentence_transformers."


def find_model(model: str) -> Path:
    """Folder of a model that is named by its folder, or by a name that the Hugging Face cache has.

    Nothing is downloaded. Raises DataError if there is neither, RouterError without the extra `text`.
    """
    folder = Path(model).expanduser()
    if model and folder.is_dir():
        return folder.resolve()
    if not model or os.path.isabs(folder) or model.startswith((".", "~")):
        raise DataError(f"no folder {model!r} with a sentence-transformers model; name another one")
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise RouterError(without_extra()) from None
    name = model if "/" in model else f"sentence-transformers/{model}"
    try:
        return Path(snapshot_download(name, local_files_only=True)).resolve()
    except (OSError, ValueError):  # what is not in the cache, and what is no name at all
        raise DataError(
            f"{model!r} is neither a folder nor in the Hugging Face cache, and nothing is downloaded unasked; "
            f"get it with: hf download {name}"
        ) from None


def without_extra() -> str:
    """The line for who has not installed it."""
    return "a sentence encoder needs sentence-transformers, which is not here: pip install 'recroute[text]'"


def hash_model(folder: Path) -> dict[str, str]:
    """SHA-256 of each file that the model in `folder` is read from, by its path there.

    Raises DataError if the folder holds no sentence-transformers model, or one with weights that are no safetensors or
    with classes of its own: pickles and foreign code are not run.
    """
    found: dict[str, str] = {}
    for part in _module_folders(folder):
        inside = sorted(part.iterdir() if part == folder else part.rglob("*"))
        files = [file for file in inside if file.is_file()]
        kept = [file for file in files if file.suffix in SUFFIXES]
        pickled = next((file for file in files if file.suffix in OTHER_WEIGHTS), None)
        if pickled is not None and not any(file.suffix == ".safetensors" for file in kept):
            raise DataError(
                f"{pickled} is a pickle, which can run code; have the weights as safetensors "
                "(SentenceTransformer(...).save_pretrained(folder) writes them)"
            )
        found |= {file.relative_to(folder).as_posix(): sha256(file) for file in kept}
    if not any(name.endswith(".safetensors") for name in found):
        raise DataError(f"{folder} has no weights (*.safetensors); get the whole model")
    return dict(sorted(found.items()))


def _module_folders(folder: Path) -> list[Path]:
    """The model's own folder and those of its modules that have one."""
    file = folder / MODULES
    if not file.is_file():
        raise DataError(f"no sentence-transformers model at {folder} ({MODULES} is missing); name another folder")
    try:
        modules: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf8"))
        named = [(PurePosixPath(module["path"]), str(module["type"])) for module in modules]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file} cannot be read: {error!r}; get the model again") from None
    for path, kind in named:
        if not kind.startswith(OWN_CLASSES):
            raise DataError(f"{file} asks for the class {kind!r}, which is code of the model's own; it is not run")
        if not _is_inside(path):
            raise DataError(f"{file} names {str(path)!r}, which is outside of the model's folder; get the model again")
    return [folder, *(folder / path for path, _ in named if path.parts and (folder / path).is_dir())]


def check_files(folder: Path, files: Mapping[str, str], *, alone: bool) -> None:
    """Raise RouterError unless `folder` has these files, as hashed, and with `alone` no others."""
    advice = "fit the router again" if alone else "get the model again"
    for name, digest in files.items():
        file = folder / name
        if not _is_inside(PurePosixPath(name)) or not file.is_file() or sha256(file) != digest:
            raise RouterError(f"{file} is missing or damaged, or not the one that the router was fitted with; {advice}")
    if alone:
        there = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if not file.is_dir()}
        if others := sorted(there - set(files)):
            place = folder / others[0]
            raise RouterError(f"{place} does not belong to the encoder that the router was fitted with; {advice}")


def copy_files(source: Path, files: Mapping[str, str], target: Path) -> None:
    """Copy the files, and raise RouterError if what arrived is not what was hashed."""
    for name in files:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(source / name, target / name)
        except FileNotFoundError:
            raise RouterError(f"{source / name} is gone, and the router cannot be saved without it") from None
    for name, digest in files.items():
        if sha256(target / name) != digest:
            raise RouterError(f"{source / name} has changed since the router was fitted; fit it again")


def read_length(folder: Path) -> int | None:
    """Tokens of a text that the model reads, where its settings say so."""
    for name, key in (("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")):
        if (folder / name).is_file():
            value = json.loads((folder / name).read_text(encoding="utf8")).get(key)
            if isinstance(value, int):
                return value
    return None


def _is_inside(path: PurePosixPath) -> bool:
    return not path.is_absolute() and ".." not in path.parts
