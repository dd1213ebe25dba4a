"""recroute refresh: what a service has observed, into its router."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from recroute.cli.options import JsonPath, Quiet
from recroute.cli.places import check_places
from recroute.cli.screen import console
from recroute.data.feedback import read_feedback
from recroute.routers import load_router
from recroute.routers.card import changed_card
from recroute.routers.ranking import shown
from recroute.routers.refresh.change import Change, refresh_with_change
from recroute.util.files import write_json

SHOWN = 20


def refresh(
    router_dir: Annotated[Path, typer.Argument(help="Folder of a fitted router.")],
    records: Annotated[
        Path, typer.Option("--records", help="The feedback folder of recroute serve, or a file of records.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the new router. Default: the old one is replaced.")
    ] = None,
    json_path: JsonPath = None,
    quiet: Quiet = False,
) -> None:
    """Take scores and preferences that came in since the fit into a router, without fitting it again.

    Feedback that was taken in before is left out, so the same growing folder can be given every time.

    Example: recroute refresh my_router --records feedback
    """
    target = router_dir if out is None else out
    check_places(json_path, folders={target: "router.json"}, inputs=[records])
    check_places(json_path, inputs=[router_dir])
    router, feedback = load_router(router_dir), read_feedback(records)
    refreshed, change = refresh_with_change(router, feedback)
    told = f"{feedback.n_records:,} scores and {feedback.n_preferences:,} preferences"
    refreshed.save(target, card=changed_card(router_dir, f"feedback was taken in: {told}"))
    if json_path is not None:
        nothing = {"n_records": 0, "n_preferences": 0, "n_llms": 0, "choices_changed": 0.0, "llms": []}
        facts = nothing if change is None else change.to_dict()
        content = {"router": refreshed.label, **facts, "notes": list(feedback.notes)}
        write_json(json_path, content)
    screen = console(quiet, json_path)
    for note in feedback.notes:
        screen.print(f"note: {note}", style="yellow", markup=False, soft_wrap=True)
    if change is None:
        screen.print("nothing new: all of this feedback was taken in before", markup=False)
    else:
        _print(change, feedback.n_records + feedback.n_preferences, screen)
    screen.print(f"router: {target}", markup=False, soft_wrap=True)


def _print(change: Change, n_rows: int, printer: Console) -> None:
    known = n_rows - change.n_records - change.n_preferences
    again = f" ({known} rows were there before)" if known else ""
    printer.print(
        f"taken in: {change.n_records} scores, {change.n_preferences} preferences{again}, {change.llms.height} LLMs; "
        f"{change.moved:.1%} of the prompts now go to another LLM",
        markup=False,
        soft_wrap=True,
    )
    table = Table(title="mean score of the answers, predicted and observed", title_justify="left")
    for name in ("LLM", "answers", "battles", "predicted", "observed", "90% interval", "predicted now"):
        table.add_column(name, justify="left" if name == "LLM" else "right", overflow="fold")
    for name, n, battles, predicted, observed, low, high, now in change.llms.head(SHOWN).iter_rows():
        cells = ["-"] * 4
        if n:
            cells = [shown(predicted), f"{observed:.3f}", f"{low:.3f} to {high:.3f}", shown(now)]
        table.add_row(name, str(n), str(battles), *cells)
    printer.print(table)
    if change.llms.height > SHOWN:
        printer.print(f"and {change.llms.height - SHOWN} LLMs with less; --json has all", markup=False)
