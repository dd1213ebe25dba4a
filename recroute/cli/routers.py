"""recroute routers: the registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from recroute.cli.options import JsonPath, Quiet, console
from recroute.files import write_json
from recroute.routers import router_class, router_names


def routers(json_path: JsonPath = None, quiet: Quiet = False) -> None:
    """List the routers: name, kind, what they need, whether they take unseen LLMs, hyperparameters.

    Example: recroute routers
    """
    entries = [_entry(name) for name in router_names()]
    table = Table(title="routers", title_justify="left")
    for column in ("name", "kind", "reads", "unseen LLMs", "hyperparameters (defaults)"):
        table.add_column(column)
    for entry in entries:
        settings = ", ".join(f"{key}={value}" for key, value in entry["hyperparameters"].items())
        unseen = "yes" if entry["takes_unseen_llms"] else "no"
        table.add_row(entry["name"], entry["kind"], entry["needs"] or "nothing", unseen, settings)
    console(quiet).print(table)
    if json_path is not None:
        _write(json_path, entries)


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


def _write(path: Path, entries: list[dict[str, Any]]) -> None:
    write_json(path, {"routers": entries})
