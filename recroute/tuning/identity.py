"""What a study is made for: data, split, options and space, which stay the same from its first trial to its last."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np

from recroute._version import __version__
from recroute.data import Dataset
from recroute.encoders import SentenceEncoder
from recroute.errors import DataError
from recroute.experiment.provenance import split_digest
from recroute.splits import Split
from recroute.tuning.space import Space

UNOBSERVED = "unobserved_choice"  # of data with gaps: how a choice counts that nobody evaluated


def identity(parts: Split, space: Space, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What has to be equal for two trials to be of one study."""
    gaps = not (parts.train.interactions.is_complete and parts.valid.interactions.is_complete)
    return {
        **({UNOBSERVED: "judged by the next choice that was evaluated"} if gaps else {}),
        "recroute": __version__,
        "data": data_digest(parts.train, parts.valid, parts.test),
        "split_sha256": split_digest(parts),
        **settings,
        "space": space.to_dict(),
    }


def is_identity(found: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether something that was read back can be what `identity` gave: it may lack keys, as those of the first did."""
    return isinstance(found, Mapping) and isinstance(found.get("space", {}), Mapping)


def data_digest(*parts: Dataset) -> str:
    """SHA-256 of scores, preferences, texts, tasks and the vectors they came with.

    Those of a sentence encoder follow from the texts, and their last bits from the machine.
    """
    digest = hashlib.sha256()
    for data in parts:
        fought = [] if data.preferences is None else data.preferences.arrays
        vectors = None if isinstance(data.encoder, SentenceEncoder) else data.embeddings
        for array in (*data.interactions.state().values(), vectors, *fought):
            digest.update(b"none" if array is None else np.ascontiguousarray(array).data)
        for text in (*(data.prompts or ()), *data.tasks.tolist()):
            digest.update(text.encode("utf8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def check_same(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise DataError, with all that differs, if a study was made for something else than what it is asked for now."""
    if UNOBSERVED in now:
        before = {UNOBSERVED: "left out", **before}  # as all did that do not say what they did
    old, new = _flat(before), _flat(now)
    searched, asked = before.get("space", {}), now.get("space", {})
    here = [label for label in searched if label not in asked]
    there = [label for label in asked if label not in searched]
    differing = [f"it searched {', '.join(here)}, which is not asked for"] * bool(here)
    differing += [f"it did not search {', '.join(there)}"] * bool(there)
    told = tuple(f"space.{label}." for label in (*here, *there))
    shared = [key for key in dict.fromkeys([*old, *new]) if not key.startswith(told)]
    differing += [
        f"{key} was {old.get(key, 'absent')} and is {new.get(key, 'absent')}"
        for key in shared
        if old.get(key) != new.get(key)
    ]
    if differing:
        raise DataError(
            f"the study {name} was made for something else: {'; '.join(differing)}; take another --out, or the same "
            "data and options"
        )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Leaves by their path; digests cut short, as nobody reads all of one."""
    found: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = str(value)[:12] if key in ("data", "split_sha256") else str(value)
    return found
