"""Encoders on disk: a description for JSON, arrays for npz, and the files of a sentence encoder's model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recroute.data import Encoder, Precomputed
from recroute.data.encoding import Named
from recroute.encoders.joint import JointEncoder
from recroute.encoders.registry import REGISTRY, check_savable, kind_of
from recroute.encoders.sentence import SentenceEncoder
from recroute.errors import RouterError

Arrays = dict[str, NDArray[Any]]
FOLDER = "encoder"  # of a sentence encoder's files, in the router's


def describe_encoder(encoder: Encoder | None) -> dict[str, Any] | None:
    """Kind, name and source of an encoder, and its parts if it has several; RouterError if it cannot be saved."""
    if encoder is None:
        return None
    check_savable(encoder)
    if isinstance(encoder, JointEncoder):
        parts = [describe_encoder(part) for part in encoder.parts]
        return {"kind": "joint", "name": encoder.name, "source": "", "parts": parts, "widths": list(encoder.widths)}
    if isinstance(encoder, SentenceEncoder):
        return {"kind": "sentence", "name": encoder.name, "source": encoder.label, **encoder.facts()}
    if isinstance(encoder, Precomputed):
        return {"kind": "precomputed", "name": encoder.name, "source": encoder.source}
    return {"kind": kind_of(encoder), "name": encoder.name, "source": ""}


def encoder_state(encoder: Encoder | None) -> Arrays:
    """All arrays of an encoder; those of part i are called `i.name`."""
    if isinstance(encoder, JointEncoder):
        parts = enumerate(encoder.parts)
        return {f"{i}.{name}": array for i, part in parts for name, array in encoder_state(part).items()}
    if encoder is None or kind_of(encoder) is None:
        return {}
    state: Any = encoder
    arrays = {name: np.asarray(array) for name, array in state.state().items()}
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise RouterError(f"{name!r} in the state of encoder {encoder.name!r} holds objects; give plain arrays")
    return arrays


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
        source = description["source"]
        return Named(source) if description["name"] == source else Precomputed(source)
    if kind == "sentence":
        sentence = SentenceEncoder(description["source"], folder / FOLDER, description["files"], alone=True)
        sentence.check()
        return sentence
    if kind not in REGISTRY.names():
        raise RouterError(
            f"{folder} was fitted with the encoder {kind!r}, which is not registered here; import the module that does "
            "it, or install its package"
        )
    found: Encoder = REGISTRY.get(kind).from_state(arrays)
    if kind not in REGISTRY.built_in and found.name != description["name"]:
        raise RouterError(
            f"the encoder {kind!r} of {folder} comes back as {found.name!r} and was {description['name']!r}; it is of "
            "another version, or its state() lacks something"
        )
    return found
