"""recroute refresh: what a service has observed, into its router."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recroute.cli.options import OUTPUTS, QUIET, ROUTER_DIR, Option, verb
from recroute.cli.places import check_places
from recroute.cli.screen import console
from recroute.data import read_dataset
from recroute.data.feedback import read_feedback
from recroute.errors import DataError
from recroute.routers import load_router
from recroute.routers.refresh.change import refresh_with_change
from recroute.routers.storage import changed_card
from recroute.routers.sums.fit import taken_in
from recroute.routers.sums.learned import Learned
from recroute.util.files import write_json

RECORDS = Option(
    "records",
    list[Path] | None,
    None,
    help="Feedback on prompts that got few answers each, for any router: the folder of recroute serve, or a file of "
    "records; repeat for several.",
)
ADD = Option(
    "add",
    Path | None,
    None,
    help="New prompts with all their records, as a data set, for a router fitted with --keep-sums.",
)
REMOVE = Option(
    "remove",
    Path | None,
    None,
    help="Prompts to forget, as a data set with the records they were learned with (--keep-sums).",
)
OUT = Option("out", Path | None, None, help="Folder of the new router. Default: the old one is replaced.")


@verb(ROUTER_DIR, RECORDS, ADD, REMOVE, OUT, OUTPUTS["json"], QUIET)
def refresh(chosen: Any) -> None:
    """Take scores and preferences that came in since the fit into a router, without fitting it again.

    Use --records for what a service observes: it corrects the predictions of any router. Feedback that was taken in
    before is left out, so the same growing folder can be given every time; where several servers share a router, give
    the folder of each.

    Use --add and --remove for prompts with all their records: the router, fitted with --keep-sums, becomes the one that
    would have been fitted with or without them.

    Example: recroute refresh my_router --records feedback
    """
    router_dir, records, json_path = chosen.router_dir, chosen.records or [], chosen.json_path
    target = chosen.out or router_dir
    sets = [place for place in (chosen.add, chosen.remove) if place is not None]
    check_places(json_path, folders={target: "router.json"}, inputs=[*records, *sets])
    check_places(json_path, inputs=[router_dir])
    if bool(records) == bool(sets):
        raise DataError("name either feedback by --records, or data sets by --add and --remove")
    if sets:
        _change_sums(chosen, target)
        return
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


def _change_sums(chosen: Any, target: Path) -> None:
    """Take data sets into and out of the router's sums."""
    added, removed = (None if place is None else read_dataset(place) for place in (chosen.add, chosen.remove))
    changed = taken_in(load_router(chosen.router_dir), added, removed)
    n_added, n_removed = (0 if data is None else data.n_instances for data in (added, removed))
    what = f"{n_added:,} prompts were added and {n_removed:,} removed"
    changed.save(target, card=changed_card(chosen.router_dir, what))
    assert changed.kept_sums_ is not None
    learned = Learned.of(changed, changed.kept_sums_.moments.n)
    facts = {"n_added": n_added, "n_removed": n_removed, **learned.to_dict()}
    if chosen.json_path is not None:
        write_json(chosen.json_path, {"router": changed.label, **facts})
    screen = console(chosen.quiet, chosen.json_path)
    screen.say(f"{what}; the router has learned from {learned}", f"router: {target}")
