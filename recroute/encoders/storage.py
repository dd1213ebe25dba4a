"""Saving and restoring encoders: a JSON description, arrays, and the files of a sentence encoder's model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recroute.data import Encoder
from recroute.data.reading import is_text
from recroute.encoders.joint import JointEncoder, encoder_width
from recroute.encoders.registry import REGISTRY, check_savable, kind_of
from recroute.errors import RouterError
from recroute.util.arrays import ArrayError, ArrayRule, check_arrays, inside
from recroute.util.state import arrays_of, made, rules_of

Arrays = dict[str, NDArray[Any]]
FOLDER = "encoder"  # folder of a sentence encoder's files in the router's folder


def describe_encoder(encoder: Encoder | None) -> dict[str, Any] | None:
    """JSON description of an encoder: kind, name, source, and its parts; RouterError if it cannot be saved."""
    if encoder is None:
        return None
    check_savable(encoder)
    if isinstance(encoder, JointEncoder):
        parts = [describe_encoder(part) for part in encoder.parts]
        return {"kind": "joint", "name": encoder.name, "source": "", "parts": parts, "widths": list(encoder.widths)}
    facts = encoder.facts() if hasattr(encoder, "facts") else {}
    return {"kind": kind_of(encoder), "name": encoder.name, "source": "", **facts}


def encoder_state(encoder: Encoder | None) -> Arrays:
    """Arrays of an encoder by name; the arrays of part i are named `i.name`."""
    if isinstance(encoder, JointEncoder):
        parts = enumerate(encoder.parts)
        return {f"{i}.{name}": array for i, part in parts for name, array in encoder_state(part).items()}
    if encoder is None or kind_of(encoder) is None:
        return {}
    arrays = {name: np.asarray(array) for name, array in arrays_of(encoder).items()}
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise RouterError(f"{name!r} in the state of encoder {encoder.name!r} holds objects; return plain arrays")
    return arrays


def write_encoder_files(encoder: Encoder | None, folder: Path) -> None:
    """Copy the files of a sentence encoder's model into the router's folder.

    Raises RouterError if one has changed since the router was fitted.
    """
    for part in encoder.parts if isinstance(encoder, JointEncoder) else (encoder,):
        if part is not None and hasattr(part, "copy_to"):
            part.copy_to(folder / FOLDER)


def restore_encoder(
    description: Mapping[str, Any] | None, arrays: Mapping[str, NDArray[Any]], folder: Path
) -> Encoder | None:
    """Restore an encoder from its description and arrays; `folder` is that of the router.

    Raises RouterError if the description, an array or a file is invalid.
    """
    try:
        if description is not None and description.get("kind") == "joint":
            return _joint(description, arrays, folder)
        check_arrays(arrays, _rules(description, arrays), {})
        return None if description is None else _one(description, arrays, folder)
    except ArrayError as error:
        raise RouterError(f"the encoder in {folder} is damaged: {error}; fit the router again") from None


def _joint(description: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], folder: Path) -> JointEncoder:
    parts, widths = description.get("parts"), description.get("widths")
    if not (isinstance(parts, list) and parts and all(isinstance(part, dict) for part in parts)):
        raise ArrayError("its parts are not a list of encoders")
    if not (isinstance(widths, list) and len(widths) == len(parts) and all(type(w) is int and w > 0 for w in widths)):
        raise ArrayError("its widths are not a list with one number for each part")
    places = tuple(f"{i}." for i in range(len(parts)))
    if (foreign := next((name for name in arrays if not name.startswith(places)), None)) is not None:
        raise ArrayError(f"array {foreign} does not belong there")
    encoders = []
    for i, (part, place) in enumerate(zip(parts, places, strict=True)):
        own = inside(arrays, place)
        check_arrays(own, _rules(part, own), {"width": widths[i]}, place)
        encoders.append(_one(part, own, folder))
        if (encoder_width(encoders[-1]) or widths[i]) != widths[i]:
            raise ArrayError(f"part {i} is not {widths[i]} wide")
    return JointEncoder(tuple(encoders), tuple(widths))


def _rules(description: Mapping[str, Any] | None, names: Collection[str]) -> Mapping[str, ArrayRule]:
    """Check the description of an encoder and return the rules of its arrays; user encoders may have any arrays."""
    if description is None:
        return {}
    kind = description.get("kind")
    if not all(is_text(description.get(key)) for key in ("kind", "name", "source")) or kind == "joint":
        raise ArrayError("its kind, name or source is missing")
    cls = REGISTRY.get(str(kind)) if kind in REGISTRY.names() else None
    if cls is None or hasattr(cls, "from_state"):
        return dict.fromkeys(names, ArrayRule(kind="any"))
    return rules_of(cls)


def _one(description: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], folder: Path) -> Encoder:
    """Restore an encoder that is not a joint one, from a checked description and checked arrays."""
    kind = description["kind"]
    if kind not in REGISTRY.names():
        raise RouterError(
            f"{folder} was fitted with the encoder {kind!r}, which is not registered; import the module that registers "
            "it, or install its package"
        )
    cls = REGISTRY.get(kind)
    if hasattr(cls, "of_facts"):
        return cls.of_facts(description, folder / FOLDER)
    encoder: Encoder = cls.from_state(arrays) if hasattr(cls, "from_state") else made(cls, arrays)
    if kind not in REGISTRY.built_in and encoder.name != description["name"]:
        raise RouterError(
            f"the encoder {kind!r} of {folder} is restored as {encoder.name!r} but was {description['name']!r}; "
            "install the version that the router was fitted with, or fix its state()"
        )
    return encoder
