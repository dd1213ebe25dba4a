"""recroute refresh: what a service has observed, into its router."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recroute.cli.options import OUTPUTS, QUIET, ROUTER_DIR, Option, verb
from recroute.cli.places import check_places
from recroute.cli.screen import console
from recroute.data.feedback import read_feedback
from recroute.routers import load_router
from recroute.routers.refresh.change import refresh_with_change
from recroute.routers.storage import changed_card
from recroute.util.files import write_json

RECORDS = Option(
    "records", list[Path], help="The feedback folder of recroute serve, or a file of records; repeat for several."
)
OUT = Option("out", Path | None, None, help="Folder of the new router. Default: the old one is replaced.")


@verb(ROUTER_DIR, RECORDS, OUT, OUTPUTS["json"], QUIET)
def refresh(chosen: Any) -> None:
    """Take scores and preferences that came in since the fit into a router, without fitting it again.

    Feedback that was taken in before is left out, so the same growing folder can be given every time. Where several
    servers share a router, give the folder of each.

    Example: recroute refresh my_router --records feedback
    """
    router_dir, records, json_path = chosen.router_dir, chosen.records, chosen.json_path
    target = chosen.out or router_dir
    check_places(json_path, folders={target: "router.json"}, inputs=records)
    check_places(json_path, inputs=[router_dir])
    router, feedback = load_router(router_dir), read_feedback(*records)
    refreshed, change = refresh_with_change(router, feedback)
    counted = f"{feedback.n_records:,} scores and {feedback.n_preferences:,} preferences"
    refreshed.save(target, card=changed_card(router_dir, f"feedback was taken in: {counted}"))
    if json_path is not None:
        nothing = {"n_records": 0, "n_preferences": 0, "n_llms": 0, "choices_changed": 0.0, "llms": []}
        facts = nothing if change is None else change.to_dict()
        write_json(json_path, {"router": refreshed.label, **facts, "notes": list(feedback.notes)})
    screen = console(chosen.quiet, json_path)
    screen.note(*feedback.notes)
    if change is None:
        screen.say("nothing new: all of this feedback was taken in before")
    else:
        screen.show(change.document())
        if known := feedback.n_records + feedback.n_preferences - change.n_records - change.n_preferences:
            screen.say(f"{known:,} rows were taken in before and are left out")
    screen.say(f"router: {target}")
