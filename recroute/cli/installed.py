"""What the package asks for, by its own metadata, and what of it is there."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, metadata, version
from typing import Any

from packaging.requirements import Requirement

from recroute.errors import RecrouteError


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
