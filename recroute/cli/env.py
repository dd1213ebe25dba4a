"""recroute env: what is installed here, and what an extra would add."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, metadata, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from recroute._version import __version__
from recroute.cli.options import OUTPUTS, QUIET, verb
from recroute.cli.places import check_places
from recroute.cli.screen import answer
from recroute.errors import RecrouteError
from recroute.report.document import Block, Document, Facts, Medium, Table
from recroute.routers import router_class, router_names

ADDS = {  # what an extra is for
    "lightfm": "the router lightfm (part of the default install on Python 3.12 and 3.13)",
    "text": "prompts read by sentence-transformers, and the router mlc",
    "spark": "fits on Spark, from sums or als, for logs larger than memory",
    "serve": "recroute serve: a router as an HTTP service",
    "litellm": "a router that picks the model in litellm",
    "interactive": "figures in reports and notebooks with values under the pointer, by plotly",
    "notebooks": "Jupyter, to run the notebooks",
    "docs": "Sphinx, to build the documentation site",
    "dev": "what the tests and checks of recroute itself need",
}


@verb(OUTPUTS["json"], QUIET)
def env(chosen: Any) -> None:
    """Show what is installed here, and what an extra would add. Nothing is looked up on the network.

    Example: recroute env
    """
    check_places(chosen.json_path)
    facts, extras = environment(), requirements()
    default = extras.pop("")
    facts |= {
        "packages": [package.to_dict() for package in default],
        "extras": {
            name: {"adds": ADDS.get(name, ""), "install": pip(name), "packages": [p.to_dict() for p in packages]}
            for name, packages in extras.items()
        },
        "unavailable_routers": unavailable_routers(),
    }
    answer(facts, _document(facts, default, extras), chosen.json_path, chosen.quiet)


def environment() -> dict[str, Any]:
    """Versions, processors, BLAS, and what RECROUTE_DATA names."""
    return {
        "recroute": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "blas": _blas(),
        "RECROUTE_DATA": os.environ.get("RECROUTE_DATA"),
        "datasets": _datasets(os.environ.get("RECROUTE_DATA")),
    }


def unavailable_routers() -> dict[str, str]:
    """The command that mends it, for each router whose library is not here."""
    found = {}
    for name in router_names():
        for module, extra in router_class(name).optional_modules.items():
            if find_spec(module) is None:
                found[name] = pip(extra)
    return found


def pip(extra: str) -> str:
    """The command that installs an extra."""
    return f"pip install 'recroute[{extra}]'"


def _blas() -> list[dict[str, Any]]:
    """The linear algebra libraries that NumPy and SciPy have loaded."""
    import scipy.linalg  # noqa: F401  loads SciPy's own
    from threadpoolctl import threadpool_info

    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return [{"library": p["internal_api"], "version": p["version"], "threads": p["num_threads"]} for p in pools]


def _datasets(folder: str | None) -> list[str] | None:
    """Names of the data sets in a folder; None if there is no such folder."""
    if not folder or not Path(folder).is_dir():
        return None
    return sorted(path.parent.name for path in Path(folder).glob("*/records.parquet"))


def _document(facts: dict[str, Any], default: list[Package], extras: dict[str, list[Package]]) -> Document:
    blas = (f"{pool['library']} {pool['version']}: {pool['threads']} threads, 1 in fits" for pool in facts["blas"])
    data = facts["RECROUTE_DATA"] or "not set: no folder of data sets for notebooks and tests on real data"
    if facts["RECROUTE_DATA"]:
        found = facts["datasets"]
        data += ": no such folder" if found is None else f": {', '.join(found) or 'no data set in it'}"
    here = {
        "Python": f"{facts['python']} on {facts['platform']}",
        "processors": facts["cpus"],
        "BLAS": "\n".join(blas),
        "RECROUTE_DATA": data,
    }
    states = {name: ", ".join(f"{p.name} {p.state}" for p in packages) for name, packages in extras.items()}
    blocks: list[Block] = [
        Facts(title=f"recroute {facts['recroute']}", facts=here, on=Medium.ALL),
        Table(
            title="default install",
            heads=["package", "wanted", "installed"],
            rows=[[package.name, package.wanted, package.state] for package in default],
        ),
        Table(
            title="extras: pip install 'recroute[EXTRA]'",
            heads=["extra", "adds", "packages"],
            rows=[[name, ADDS.get(name, ""), state or "in the default install"] for name, state in states.items()],
        ),
    ]
    lacking = facts["unavailable_routers"]
    return Document(
        title="Environment",
        blocks=blocks,
        verdict=[] if lacking else ["every router is available"],
        notes=[f"router {name} is not available: {install}" for name, install in lacking.items()],
    )


@dataclass(frozen=True)
class Package:
    """A package that is asked for: its name, the versions that will do, and the one that is there, if any."""

    name: str
    wanted: str
    installed: str | None
    fits: bool

    @property
    def state(self) -> str:
        """In a word or two."""
        if self.installed is None:
            return "missing"
        return self.installed if self.fits else f"{self.installed}, needs {self.wanted}"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def requirements(distribution: str = "recroute") -> dict[str, list[Package]]:
    """Packages by extra, in the order of the metadata; those of the default install under "".

    Raises RecrouteError if the distribution is not installed.
    """
    try:
        known = metadata(distribution)
    except PackageNotFoundError:
        raise RecrouteError(f"{distribution} is not installed here; pip install it, or -e and its folder") from None
    asked = [Requirement(text) for text in known.get_all("Requires-Dist", [])]
    return {extra: _packages(asked, extra) for extra in ("", *known.get_all("Provides-Extra", []))}


def _packages(asked: list[Requirement], extra: str) -> list[Package]:
    """What an extra adds to the default install here, or the default install itself."""
    default = {str(r) for r in asked if r.marker is None or r.marker.evaluate({"extra": ""})}
    if not extra:
        return [_package(r) for r in asked if str(r) in default]
    own = (r for r in asked if str(r) not in default and r.marker is not None and r.marker.evaluate({"extra": extra}))
    return [_package(r) for r in own]


def _package(requirement: Requirement) -> Package:
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return Package(requirement.name, str(requirement.specifier), None, False)
    fits = requirement.specifier.contains(found, prereleases=True)
    return Package(requirement.name, str(requirement.specifier), found, fits)
