"""Files of a sentence-transformers model: locating, hashing and copying them, without network, pickles or code."""

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
# Files of a model: settings, tokenizer and weights. Other files in its folder are ignored.
SUFFIXES = (".json", ".txt", ".model", ".safetensors")
OTHER_WEIGHTS = (".bin", ".pt", ".pth", ".ckpt")
OWN_CLASSES = "sentence_transformers."


def find_model(model: str) -> Path:
    """Folder of a model, given by its folder or by its name in the Hugging Face cache; nothing is downloaded.

    Raises DataError if there is neither, RouterError if the extra `text` is not installed.
    """
    folder = Path(model).expanduser()
    if model and folder.is_dir():
        return folder.resolve()
    if not model or os.path.isabs(folder) or model.startswith((".", "~")):
        raise DataError(f"there is no folder {model!r}; name one with a sentence-transformers model")
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise RouterError(without_extra()) from None
    name = model if "/" in model else f"sentence-transformers/{model}"
    try:
        return Path(snapshot_download(name, local_files_only=True)).resolve()
    except (OSError, ValueError):  # not in the cache, or not a valid name
        raise DataError(
            f"{model!r} is neither a folder nor in the Hugging Face cache, and recroute downloads nothing; get it "
            f"with: hf download {name}"
        ) from None


def without_extra() -> str:
    """Error message if sentence-transformers is not installed."""
    return "a sentence encoder needs sentence-transformers, which is not installed: pip install 'recroute[text]'"


def hash_model(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of the model in `folder`, by its path there.

    Raises DataError if there is no sentence-transformers model, or if it needs pickled weights or its own classes,
    because loading these would run code.
    """
    digests: dict[str, str] = {}
    for part in _module_folders(folder):
        inside = sorted(part.iterdir() if part == folder else part.rglob("*"))
        files = [file for file in inside if file.is_file()]
        kept = [file for file in files if file.suffix in SUFFIXES]
        pickled = next((file for file in files if file.suffix in OTHER_WEIGHTS), None)
        if pickled is not None and not any(file.suffix == ".safetensors" for file in kept):
            raise DataError(
                f"{pickled} is a pickle, which can run code; convert the weights to safetensors "
                "(SentenceTransformer(...).save_pretrained(folder) writes them)"
            )
        digests |= {file.relative_to(folder).as_posix(): sha256(file) for file in kept}
    if not any(name.endswith(".safetensors") for name in digests):
        raise DataError(f"{folder} has no weights (*.safetensors); download the whole model")
    return dict(sorted(digests.items()))


def _module_folders(folder: Path) -> list[Path]:
    """Folder of the model and those of its modules."""
    file = folder / MODULES
    if not file.is_file():
        raise DataError(f"no sentence-transformers model at {folder} ({MODULES} is missing); name another folder")
    try:
        modules: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf8"))
        named = [(PurePosixPath(module["path"]), str(module["type"])) for module in modules]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file} cannot be read: {error!r}; download the model again") from None
    for path, kind in named:
        if not kind.startswith(OWN_CLASSES):
            raise DataError(
                f"{file} needs the class {kind!r}, which is code of the model; use a model without own code"
            )
        if not _is_inside(path):
            raise DataError(
                f"{file} names {str(path)!r}, which is outside the model's folder; download the model again"
            )
    return [folder, *(folder / path for path, _ in named if path.parts and (folder / path).is_dir())]


def check_files(folder: Path, files: Mapping[str, str], *, alone: bool) -> None:
    """Raise RouterError unless `folder` has these files with these hashes and, if `alone`, no others."""
    advice = "fit the router again" if alone else "download the model again"
    for name, digest in files.items():
        file = folder / name
        if not _is_inside(PurePosixPath(name)) or not file.is_file() or sha256(file) != digest:
            raise RouterError(f"{file} is missing, damaged or different from the one at the time of the fit; {advice}")
    if alone:
        there = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if not file.is_dir()}
        if others := sorted(there - set(files)):
            place = folder / others[0]
            raise RouterError(f"{place} does not belong to the encoder of the router; {advice}")


def copy_files(source: Path, files: Mapping[str, str], target: Path) -> None:
    """Copy the files; RouterError if one is missing or has changed since it was hashed."""
    for name in files:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(source / name, target / name)
        except FileNotFoundError:
            raise RouterError(
                f"{source / name} is missing, and the router cannot be saved without it; restore it"
            ) from None
    for name, digest in files.items():
        if sha256(target / name) != digest:
            raise RouterError(f"{source / name} has changed since the router was fitted; fit it again")


def read_length(folder: Path) -> int | None:
    """Maximum number of tokens that the model reads; None if its settings do not state it."""
    for name, key in (("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")):
        if (folder / name).is_file():
            value = json.loads((folder / name).read_text(encoding="utf8")).get(key)
            if isinstance(value, int):
                return value
    return None


def _is_inside(path: PurePosixPath) -> bool:
    return not path.is_absolute() and ".." not in path.parts
