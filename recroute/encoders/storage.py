"""Encoders on disk: a description for JSON, arrays for npz, and the files of a sentence encoder's model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from recroute.data import Encoder, Precomputed
from recroute.encoders.joint import JointEncoder
from recroute.encoders.sentence import SentenceEncoder
from recroute.encoders.surface import SurfaceEncoder
from recroute.encoders.tfidf import TfidfEncoder

Arrays = dict[str, NDArray[Any]]
FOLDER = "encoder"  # of a sentence encoder's files, in the router's
WITH_ARRAYS: dict[str, Any] = {"tfidf": TfidfEncoder, "surface": SurfaceEncoder}


def describe_encoder(encoder: Encoder | None) -> dict[str, Any] | None:
    """Kind, name and source of an encoder, and its parts if it has several."""
    if encoder is None:
        return None
    if isinstance(encoder, JointEncoder):
        parts = [describe_encoder(part) for part in encoder.parts]
        return {"kind": "joint", "name": encoder.name, "source": "", "parts": parts, "widths": list(encoder.widths)}
    if isinstance(encoder, SentenceEncoder):
        return {"kind": "sentence", "name": encoder.name, "source": encoder.label, **encoder.facts()}
    source = encoder.source if isinstance(encoder, Precomputed) else ""
    kinds = [kind for kind, cls in WITH_ARRAYS.items() if isinstance(encoder, cls)] or ["precomputed"]
    return {"kind": kinds[0], "name": encoder.name, "source": source}


def encoder_state(encoder: Encoder | None) -> Arrays:
    """All arrays of an encoder; those of part i are called `i.name`."""
    if isinstance(encoder, JointEncoder):
        parts = enumerate(encoder.parts)
        return {f"{i}.{name}": array for i, part in parts for name, array in encoder_state(part).items()}
    return encoder.state() if isinstance(encoder, TfidfEncoder | SurfaceEncoder) else {}


def write_encoder_files(encoder: Encoder | None, folder: Path) -> None:
    """Copy the files of a sentence encoder's model, once, into the router's folder.

    Raises RouterError if they are not those that the router was fitted with.
    """
    for part in encoder.parts if isinstance(encoder, JointEncoder) else (encoder,):
        if isinstance(part, SentenceEncoder):
            part.copy_to(folder / FOLDER)


def restore_encoder(
    description: Mapping[str, Any] | None, arrays: Mapping[str, NDArray[Any]], folder: Path
) -> Encoder | None:
    """The encoder that was described; `folder` is the router's.

    Raises KeyError if an array or an entry is missing, RouterError if a file of it is damaged.
    """
    if description is None:
        return None
    kind = description["kind"]
    if kind == "joint":
        parts = []
        for i, part in enumerate(description["parts"]):
            own = {name.removeprefix(f"{i}."): array for name, array in arrays.items() if name.startswith(f"{i}.")}
            parts.append(restore_encoder(part, own, folder))
        return JointEncoder(tuple(part for part in parts if part is not None), tuple(description["widths"]))
    if kind == "precomputed":
        return Precomputed(description["source"])
    if kind == "sentence":
        sentence = SentenceEncoder(description["source"], folder / FOLDER, description["files"], alone=True)
        sentence.check()
        return sentence
    found: Encoder = WITH_ARRAYS[kind].from_state(arrays)
    return found
