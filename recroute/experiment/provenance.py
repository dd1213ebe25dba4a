"""Provenance of results: digests of data and splits, and versions of the software."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from recroute._version import __version__
from recroute.data.description import shape_facts
from recroute.splits import Split
from recroute.util.files import sha256

# Common name of each library, and the names of its distributions; the first that is installed counts.
LIBRARIES = {
    "numpy": ("numpy",),
    "scipy": ("scipy",),
    "polars": ("polars",),
    "sklearn": ("scikit-learn",),
    "faiss": ("faiss-cpu", "faiss-gpu"),
    "implicit": ("implicit",),
    "lightfm": ("lightfm-next", "lightfm"),
}
# Files that a result depends on; other files in the folder are ignored.
DATA_FILES = (
    "records.parquet",
    "preferences.parquet",
    "instances.parquet",
    "llms.parquet",
    "pools.parquet",
    "embeddings.npz",
    "card.json",
)


def file_digests(path: Path) -> dict[str, str]:
    """SHA-256 of each file of a data set (a folder, or one records file), by file name."""
    files = [path] if path.is_file() else [path / name for name in DATA_FILES if (path / name).is_file()]
    return {file.name: sha256(file) for file in files}


def part_facts(split: Split) -> dict[str, Any]:
    """Name of a split, sizes of its parts, and the encoder of its vectors."""
    sizes = {f"n_{name}": data.n_instances for name, data in split.parts().items()}
    return {"split": split.name, **sizes, "encoder": split.train.encoder.name if split.train.encoder else None}


def split_facts(split: Split) -> dict[str, Any]:
    """Facts of a data set that has been split, over all parts, and of the split."""
    parts = split.parts()
    n_instances = sum(data.n_instances for data in parts.values())
    n_records = sum(data.interactions.n_observed for data in parts.values())
    return {
        "name": split.train.name,
        **shape_facts(split.train),
        "n_instances": n_instances,
        "n_records": n_records,
        "n_preferences": sum(data.n_preferences for data in parts.values()),
        "density": round(n_records / (n_instances * split.train.n_llms), 6),
        **part_facts(split),
    }


def split_digest(parts: Split) -> str:
    """SHA-256 of the ids in each part and of the LLMs; equal digests mean that results are comparable."""
    digest = hashlib.sha256()
    for name, data in parts.parts().items():
        _add(digest, name, data.instance_ids.ids)
    _add(digest, "llms", parts.test.llm_ids.ids)
    return digest.hexdigest()


def _add(digest: hashlib._Hash, name: str, ids: tuple[str, ...]) -> None:
    """Add a list of ids; including the lengths distinguishes ["ab"] from ["a", "b"]."""
    digest.update(f"{name} {len(ids)}\n".encode())
    for value in ids:
        raw = value.encode("utf8", "surrogatepass")
        digest.update(f"{len(raw)} ".encode() + raw)


def environment() -> dict[str, str]:
    """Versions of recroute, Python and the libraries that fit routers, and the platform."""
    versions = {"recroute": __version__, "python": platform.python_version()}
    for name, distributions in LIBRARIES.items():
        versions[name] = next(filter(None, map(_version, distributions)), "not installed")
    return {**versions, "platform": platform.platform()}


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
