"""recroute env: what is installed here, and what an extra would add."""

from __future__ import annotations

import os
import platform
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.table import Table

from recroute._version import __version__
from recroute.cli.installed import Package, requirements
from recroute.cli.options import JsonPath, Quiet
from recroute.cli.places import check_places
from recroute.cli.screen import console
from recroute.routers import router_class, router_names
from recroute.util.files import write_json

ADDS = {  # what an extra is for
    "lightfm": "the router lightfm (part of the default install from Python 3.12 on)",
    "text": "prompts read by sentence-transformers, and the router mlc",
    "spark": "ALS factors fitted on Spark, for logs larger than memory",
    "serve": "recroute serve: a router as an HTTP service",
    "litellm": "a router that picks the model in litellm",
    "notebooks": "Jupyter, to run the notebooks",
    "dev": "what the tests and checks of recroute itself need",
}


def env(json_path: JsonPath = None, quiet: Quiet = False) -> None:
    """Show what is installed here, and what an extra would add. Nothing is looked up on the network.

    Example: recroute env
    """
    check_places(json_path)
    facts = environment()
    extras = requirements()
    default = extras.pop("")
    lacking = unavailable_routers()
    if json_path is not None:
        content = {
            **facts,
            "packages": [package.to_dict() for package in default],
            "extras": {
                name: {"adds": ADDS.get(name, ""), "install": pip(name), "packages": [p.to_dict() for p in packages]}
                for name, packages in extras.items()
            },
            "unavailable_routers": lacking,
        }
        write_json(json_path, content)
    out = console(quiet, json_path)
    out.print(_facts(facts), _packages(default))
    if extras:
        out.print(_extras(extras))
    for name, mend in lacking.items():
        out.print(f"router {name} is not available: {mend}", style="yellow", markup=False, soft_wrap=True)
    if not lacking:
        out.print("every router is available")


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


def _facts(facts: dict[str, Any]) -> Table:
    blas = (f"{pool['library']} {pool['version']}: {pool['threads']} threads, 1 in fits" for pool in facts["blas"])
    data = facts["RECROUTE_DATA"] or "not set: no folder of data sets for notebooks and tests on real data"
    if facts["RECROUTE_DATA"]:
        found = facts["datasets"]
        data += ": no such folder" if found is None else f": {', '.join(found) or 'no data set in it'}"
    table = Table(title=f"recroute {facts['recroute']}", title_justify="left", show_header=False)
    table.add_row("Python", f"{facts['python']} on {facts['platform']}")
    table.add_row("processors", str(facts["cpus"]))
    table.add_row("BLAS", "\n".join(blas))
    table.add_row("RECROUTE_DATA", data)
    return table


def _packages(packages: list[Package]) -> Table:
    table = Table("package", "wanted", "installed", title="default install", title_justify="left")
    for package in packages:
        table.add_row(package.name, package.wanted, package.state, style="" if package.fits else "red")
    return table


def _extras(extras: dict[str, list[Package]]) -> Table:
    table = Table("extra", "adds", "packages", title="extras: pip install 'recroute[EXTRA]'", title_justify="left")
    for name, packages in extras.items():
        states = ", ".join(f"{package.name} {package.state}" for package in packages) or "in the default install"
        table.add_row(name, ADDS.get(name, ""), states, style="" if all(p.fits for p in packages) else "dim")
    return table
