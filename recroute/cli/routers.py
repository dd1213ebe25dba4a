"""recroute routers: the registry."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from recroute.cli.options import JsonPath, Quiet
from recroute.cli.places import check_places
from recroute.cli.screen import console
from recroute.routers import router_class, router_names
from recroute.util.files import write_json


def routers(json_path: JsonPath = None, quiet: Quiet = False) -> None:
    """List the routers: name, kind, what they need, whether they take unseen LLMs, hyperparameters.

    Example: recroute routers
    """
    check_places(json_path)
    entries = [_entry(name) for name in router_names()]
    if json_path is not None:
        write_json(json_path, {"routers": entries})
    table = Table(title="routers", title_justify="left")
    for column in ("name", "kind", "reads", "unseen LLMs", "hyperparameters (defaults)"):
        table.add_column(column)
    for entry in entries:
        settings = ", ".join(f"{key}={value}" for key, value in entry["hyperparameters"].items())
        unseen = "yes" if entry["takes_unseen_llms"] else "no"
        table.add_row(entry["name"], entry["kind"], entry["needs"] or "nothing", unseen, settings)
    console(quiet, json_path).print(table)


def _entry(name: str) -> dict[str, Any]:
    cls = router_class(name)
    return {
        "name": name,
        "kind": cls.kind,
        "needs": cls.needs,
        "takes_unseen_llms": cls.takes_unseen_llms,
        "learns_from_preferences": cls.learns_from_preferences,
        "hyperparameters": {f.name: f.default for f in cls.settings()},
    }
