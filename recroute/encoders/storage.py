"""Encoders on disk: a description for JSON and arrays for npz."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from recroute.data import Encoder, Precomputed
from recroute.encoders.joint import JointEncoder
from recroute.encoders.surface import SurfaceEncoder
from recroute.encoders.tfidf import TfidfEncoder

Arrays = dict[str, NDArray[Any]]
WITH_ARRAYS: dict[str, Any] = {"tfidf": TfidfEncoder, "surface": SurfaceEncoder}


def describe_encoder(encoder: Encoder | None) -> dict[str, Any] | None:
    """Kind, name and source of an encoder, and its parts if it has several."""
    if encoder is None:
        return None
    if isinstance(encoder, JointEncoder):
        parts = [describe_encoder(part) for part in encoder.parts]
        return {"kind": "joint", "name": encoder.name, "source": "", "parts": parts, "widths": list(encoder.widths)}
    source = encoder.source if isinstance(encoder, Precomputed) else ""
    kinds = [kind for kind, cls in WITH_ARRAYS.items() if isinstance(encoder, cls)] or ["precomputed"]
    return {"kind": kinds[0], "name": encoder.name, "source": source}


def encoder_state(encoder: Encoder | None) -> Arrays:
    """All arrays of an encoder; those of part i are called `i.name`."""
    if isinstance(encoder, JointEncoder):
        parts = enumerate(encoder.parts)
        return {f"{i}.{name}": array for i, part in parts for name, array in encoder_state(part).items()}
    return encoder.state() if isinstance(encoder, TfidfEncoder | SurfaceEncoder) else {}


def restore_encoder(description: Mapping[str, Any] | None, arrays: Mapping[str, NDArray[Any]]) -> Encoder | None:
    """The encoder that was described; KeyError if an array or an entry is missing."""
    if description is None:
        return None
    kind = description["kind"]
    if kind == "joint":
        parts = []
        for i, part in enumerate(description["parts"]):
            own = {name.removeprefix(f"{i}."): array for name, array in arrays.items() if name.startswith(f"{i}.")}
            parts.append(restore_encoder(part, own))
        return JointEncoder(tuple(part for part in parts if part is not None), tuple(description["widths"]))
    if kind == "precomputed":
        return Precomputed(description["source"])
    found: Encoder = WITH_ARRAYS[kind].from_state(arrays)
    return found
