"""recroute routers: the registry."""

from __future__ import annotations

from typing import Any

from recroute.cli.options import OUTPUTS, QUIET, verb
from recroute.cli.places import check_places
from recroute.cli.screen import answer
from recroute.report.document import Document, Table
from recroute.routers import router_class, router_names


@verb(OUTPUTS["json"], QUIET)
def routers(chosen: Any) -> None:
    """List the routers: name, kind, what they need, whether they take unseen LLMs, hyperparameters.

    Example: recroute routers
    """
    check_places(chosen.json_path)
    entries = [_entry(name) for name in router_names()]
    answer({"routers": entries}, _document(entries), chosen.json_path, chosen.quiet)


def _document(entries: list[dict[str, Any]]) -> Document:
    rows = [
        [
            entry["name"],
            entry["kind"],
            entry["needs"] or "nothing",
            "yes" if entry["takes_unseen_llms"] else "no",
            ", ".join(f"{key}={value}" for key, value in entry["hyperparameters"].items()),
        ]
        for entry in entries
    ]
    heads = ["name", "kind", "reads", "unseen LLMs", "hyperparameters (defaults)"]
    return Document(title="Routers", blocks=[Table(title="routers", heads=heads, rows=rows)])


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
